//! Issues again, without hindsight, the forecasts of the last weeks, to learn from their errors.
//!
//! Every past period starts from the coefficients known then; within it origins follow each other
//! as they would in operation, each with its own level correction. An error counts for expert
//! weights only from the period after its target, and for margins only when the target lies before
//! the fit's origin: exactly what had matured.

use super::experts::{Fits, Losses, MODELS, Mixture, REGRESSIONS, STEADIEST, Voices, Weights};
use super::features::Rows;
use super::grid::DAY;
use super::lead::{self, BUCKETS};
use super::learn::{Coefficients, History, PERIOD};
use super::level::{self, Level};
use super::peaks::PeakMargins;
use super::quantile::{MarginTable, Scores};
use super::track::Tracker;
use super::weekly::Weekly;

/// Periods issued again: four weeks. Older scores would weigh less than a tenth.
pub(crate) const PERIODS: usize = 28 * DAY / PERIOD;

/// Bins of history an origin must have behind it.
const WARM_UP: usize = 2 * DAY;

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
    pub(crate) weekly: Weekly,
    pub(crate) margins: MarginTable,
    pub(crate) peaks: PeakMargins,
    pub(crate) tracker: Tracker,
}

/// Issues again the periods for which `known` holds coefficients; its last element is the origin's.
pub(crate) fn replay(history: &History, known: &[Coefficients], windows: &[Window]) -> Lessons {
    let bins = history.log.len();
    let periods = history.periods();
    let first = (periods + 1).saturating_sub(known.len());
    let mut pending = vec![Losses::NONE; periods];
    let mut losses = Losses::NONE;
    let mut scores = Scores::new();
    let mut peaks = PeakScores::new(windows.len());
    let mut tracker = Tracker::default();
    let mut weekly = Weekly::new();
    let mut view = View::default();
    for period in first..periods {
        if period > 0 {
            losses.age(PERIOD);
            losses.absorb(&pending[period - 1]);
        }
        let start = history.period_start(period);
        if start < WARM_UP {
            continue;
        }
        let weights = losses.weights();
        view.remember(history, start, &mut weekly);
        view.set(history, &known[period - first], &weekly, start);
        for origin in (start..(start + PERIOD).min(bins)).step_by(OFTEN) {
            let levels = view.levels(origin);
            let mixture = Mixture::new(&weights, &levels);
            let voices = Voices::new(&levels);
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
                let fits = view.fits(bin);
                let bucket = lead::bucket(ahead);
                let said = voices.say(fits, level::fade(ahead as f64));
                pending[history.period_of(bin)].add(bucket, &said, actual.exp());
                let mixed = mixture.at(ahead as f64, fits);
                tracker.add(&history.log, origin, ahead, mixed);
                let score = actual - mixed;
                let age = (bins - bin) as f64 / DAY as f64;
                scores.add(history.rows.in_event[bin], bucket, score, age);
            }
            peaks.issue(history, windows, origin, seldom, |bin| {
                mixture.at((bin - origin) as f64, view.fits(bin))
            });
        }
    }
    if let Some(last) = pending.last() {
        losses.age(PERIOD);
        losses.absorb(last);
    }
    view.remember(history, bins, &mut weekly);
    Lessons {
        weights: losses.weights(),
        weekly,
        margins: scores.margins(&PSEUDO),
        peaks: peaks.margins(windows, bins),
        tracker,
    }
}

/// The fits of one period's coefficients around that period, with residuals.
#[derive(Debug, Default)]
struct View {
    from: usize,
    fits: Vec<Fits>,
    residuals: [Vec<f64>; MODELS],
    scratch: Vec<f64>,
}

impl View {
    /// From a day before `start` to the end of the longest lead of that period's last origin.
    fn set(
        &mut self,
        history: &History,
        coefficients: &Coefficients,
        weekly: &Weekly,
        start: usize,
    ) {
        self.from = start.saturating_sub(DAY);
        let to = (start + PERIOD + FAR.1).min(history.log.len());
        self.fits.clear();
        for residuals in &mut self.residuals {
            residuals.clear();
        }
        for bin in self.from..to {
            let fits = fit(&history.rows, bin, coefficients, weekly);
            for (residuals, fit) in self.residuals.iter_mut().zip(fits) {
                residuals.push(history.log[bin] - fit);
            }
            self.fits.push(fits);
        }
    }

    /// Hands the residuals that are a day old at `until` to the weekly remainder. The last day
    /// stays out: it sets the level, and would explain itself away.
    fn remember(&self, history: &History, until: usize, weekly: &mut Weekly) {
        let steadiest = &self.residuals[STEADIEST];
        for bin in self.from..until.saturating_sub(DAY) {
            if let Some(&residual) = steadiest.get(bin - self.from)
                && history.rows.calm[bin]
            {
                weekly.add(history.rows.week_bin[bin], residual);
            }
        }
    }

    fn fits(&self, bin: usize) -> &Fits {
        &self.fits[bin - self.from]
    }

    /// Levels from the day before `origin`, that bin excluded.
    fn levels(&mut self, origin: usize) -> [Level; MODELS] {
        let to = origin - self.from;
        let from = to.saturating_sub(DAY);
        let scratch = &mut self.scratch;
        let residuals = &self.residuals;
        std::array::from_fn(|model| Level::new(&residuals[model][from..to], scratch))
    }
}

/// What every model says about one row.
pub(crate) fn fit(rows: &Rows, index: usize, coefficients: &Coefficients, weekly: &Weekly) -> Fits {
    let (columns, values) = rows.row(index);
    let mut fits = [0.0; REGRESSIONS.len()];
    for (&column, value) in columns.iter().zip(values) {
        for (fit, b) in fits.iter_mut().zip(&coefficients[usize::from(column)]) {
            *fit += b * value;
        }
    }
    let mut all = [fits[STEADIEST] + weekly.at(rows.week_bin[index]); MODELS];
    all[..REGRESSIONS.len()].copy_from_slice(&fits);
    all
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
