//! Issues again, without hindsight, the forecasts of the last weeks, to learn from their errors.
//!
//! Every past day starts from the coefficients known then; within the day origins follow each
//! other as they would in operation, each with its own level correction. An error counts for
//! expert weights only from the day after its target, and for margins only when the target lies
//! before the fit's origin: exactly what had matured.

use super::experts::{self, Fits, HALF_LIVES, Losses, Mixture, Weights};
use super::grid::DAY;
use super::lead::{self, BUCKETS};
use super::learn::{Coefficients, History};
use super::level::{self, Level};
use super::peaks::PeakMargins;
use super::quantile::{MarginTable, Scores};

/// Days issued again. Older scores would weigh less than a tenth.
pub(crate) const DAYS: usize = 28;

/// History a day must have behind it before it is issued again.
const WARM_UP: usize = 2;

/// Bins between origins for leads up to four hours.
const OFTEN: usize = 12;

/// Bins between origins for longer leads.
const SELDOM: usize = 72;

/// Bins ahead that are scored from every origin.
const NEAR: [usize; 8] = [1, 2, 5, 8, 11, 23, 35, 47];

/// Bins ahead that are scored from the seldom origins: every quarter of an hour up to 48 h.
const FAR: (usize, usize, usize) = (50, 576, 3);

/// Weight of the pseudo-scores in each bucket: as many as four hours of forecasts yield.
const PSEUDO: [f64; BUCKETS] = [8.0, 12.0, 12.0, 24.0, 32.0, 64.0];

/// A past window of a slot, in bins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// What the past forecasts taught.
#[derive(Debug)]
pub(crate) struct Lessons {
    pub(crate) weights: Weights,
    pub(crate) margins: MarginTable,
    pub(crate) peaks: PeakMargins,
}

/// Issues again the days for which `known` holds coefficients; its last element is the origin's.
pub(crate) fn replay(history: &History, known: &[Coefficients], windows: &[Window]) -> Lessons {
    let bins = history.log.len();
    let days = history.days();
    let first = (days + 1).saturating_sub(known.len());
    let mut pending = vec![Losses::NONE; days];
    let mut losses = Losses::NONE;
    let mut scores = Scores::new();
    let mut peaks = PeakScores::new(windows.len());
    let mut day_view = DayView::default();
    for day in first..days {
        if day > 0 {
            losses.age();
            losses.absorb(&pending[day - 1]);
        }
        if day < WARM_UP {
            continue;
        }
        let weights = losses.weights();
        let start = history.day_start(day);
        day_view.set(history, &known[day - first], start);
        for origin in (start..(start + DAY).min(bins)).step_by(OFTEN) {
            let levels = day_view.levels(origin);
            let mixture = Mixture::new(&weights, &levels);
            let seldom = (origin - start).is_multiple_of(SELDOM);
            let far = (FAR.0..FAR.1).step_by(FAR.2).filter(|_| seldom);
            for ahead in NEAR.into_iter().chain(far) {
                let bin = origin + ahead;
                if bin >= bins {
                    break;
                }
                let actual = history.log[bin];
                if !actual.is_finite() {
                    continue;
                }
                let fits = day_view.fits(bin);
                let bucket = lead::bucket(ahead);
                let said = experts::each(fits, &levels, level::fade(ahead as f64));
                pending[history.day_of(bin)].add(bucket, &said, actual);
                let score = actual - mixture.at(ahead as f64, fits);
                let age = (bins - bin) as f64 / DAY as f64;
                scores.add(history.rows.in_event[bin], bucket, score, age);
            }
            peaks.issue(history, windows, origin, seldom, |bin| {
                mixture.at((bin - origin) as f64, day_view.fits(bin))
            });
        }
    }
    if days > 0 {
        losses.age();
        losses.absorb(&pending[days - 1]);
    }
    Lessons {
        weights: losses.weights(),
        margins: scores.margins(&PSEUDO),
        peaks: peaks.margins(windows, bins),
    }
}

/// The fits of one day's coefficients around that day, with residuals.
#[derive(Debug, Default)]
struct DayView {
    from: usize,
    fits: Vec<Fits>,
    residuals: [Vec<f64>; HALF_LIVES.len()],
    scratch: Vec<f64>,
}

impl DayView {
    /// From a day before `start` to the end of the longest lead of that day's last origin.
    fn set(&mut self, history: &History, coefficients: &Coefficients, start: usize) {
        self.from = start.saturating_sub(DAY);
        let to = (start + DAY + FAR.1).min(history.log.len());
        self.fits.clear();
        for residuals in &mut self.residuals {
            residuals.clear();
        }
        for bin in self.from..to {
            let fits = fit(history.rows.row(bin), coefficients);
            for (residuals, fit) in self.residuals.iter_mut().zip(fits) {
                residuals.push(history.log[bin] - fit);
            }
            self.fits.push(fits);
        }
    }

    fn fits(&self, bin: usize) -> &Fits {
        &self.fits[bin - self.from]
    }

    /// Levels from the day before `origin`, that bin excluded.
    fn levels(&mut self, origin: usize) -> [Level; HALF_LIVES.len()] {
        let to = origin - self.from;
        let from = to.saturating_sub(DAY);
        let scratch = &mut self.scratch;
        let residuals = &self.residuals;
        std::array::from_fn(|model| Level::new(&residuals[model][from..to], scratch))
    }
}

/// What every half-life says about one row.
pub(crate) fn fit((columns, values): (&[u16], &[f64]), coefficients: &Coefficients) -> Fits {
    let mut fits = [0.0; HALF_LIVES.len()];
    for (&column, value) in columns.iter().zip(values) {
        for (fit, b) in fits.iter_mut().zip(&coefficients[usize::from(column)]) {
            *fit += b * value;
        }
    }
    fits
}

/// Sums of peak scores by window and lead bucket.
struct PeakScores(Vec<[(f64, f64); BUCKETS]>);

impl PeakScores {
    fn new(windows: usize) -> Self {
        Self(vec![[(0.0, 0.0); BUCKETS]; windows])
    }

    /// Scores the windows that start within 48 hours of `origin` and have ended.
    fn issue(
        &mut self,
        history: &History,
        windows: &[Window],
        origin: usize,
        seldom: bool,
        path: impl Fn(usize) -> f64,
    ) {
        for (sums, window) in self.0.iter_mut().zip(windows) {
            if window.start < origin || window.start - origin >= FAR.1 {
                continue;
            }
            let bucket = lead::bucket(window.start - origin);
            if bucket > 2 && !seldom {
                continue;
            }
            let top = |values: &mut dyn Iterator<Item = f64>| {
                values
                    .filter(|v| v.is_finite())
                    .fold(f64::NEG_INFINITY, f64::max)
            };
            let bins = || window.from.max(origin)..window.to;
            let actual = top(&mut bins().map(|bin| history.log[bin]));
            let predicted = top(&mut bins().map(&path));
            if actual.is_finite() && predicted.is_finite() {
                sums[bucket].0 += actual - predicted;
                sums[bucket].1 += 1.0;
            }
        }
    }

    /// One score per window and bucket: origins of one window err together.
    fn margins(&self, windows: &[Window], bins: usize) -> PeakMargins {
        let scores = std::array::from_fn(|bucket| {
            self.0
                .iter()
                .zip(windows)
                .filter(|(sums, _)| sums[bucket].1 > 0.0)
                .map(|(sums, window)| {
                    let age = (bins - window.to) as f64 / DAY as f64;
                    (sums[bucket].0 / sums[bucket].1, age, 1.0)
                })
                .collect()
        });
        PeakMargins::new(&scores)
    }
}
