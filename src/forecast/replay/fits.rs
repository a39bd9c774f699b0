//! What the models said about the bins of a period and of those ahead of it, and how wrong that was.

use std::ops::Range;

use super::super::experts::{Fits, MODELS, REGRESSIONS, STEADIEST};
use super::super::features::{GROWTH, Lines, Rows, growth};
use super::super::grid::{DAY, STEP, known_bins};
use super::super::learn::{Coefficients, History, PERIOD};
use super::super::level::{Level, at_least};
use super::super::profile::{OVER, Rises};
use super::super::remainder::{Expected, Remainder};
use super::{FAR, Past};

/// Place of the model that adds to the steadiest regression what it leaves over by the clock.
const WITH_REMAINDER: usize = REGRESSIONS.len();

/// The fits of one period's coefficients around that period, with residuals.
#[derive(Debug)]
pub(super) struct PeriodFits {
    from: usize,
    fits: Vec<Fits>,
    /// The same of the rows seen before the start or the end of a fixture was known, one after the
    /// other from that at `first_foreseen` on.
    foreseen: Vec<Fits>,
    first_foreseen: usize,
    residuals: [Vec<f64>; MODELS],
    /// What fading adds to the growth line ([`growth::lost`]), by bins after the end of load.
    lost: Vec<f64>,
    remainder: Remainder,
    /// What the remainder says.
    expected: Expected,
    scratch: Vec<i64>,
}

impl PeriodFits {
    pub(super) fn new() -> Self {
        Self {
            from: 0,
            fits: Vec::new(),
            foreseen: Vec::new(),
            first_foreseen: 0,
            residuals: std::array::from_fn(|_| Vec::new()),
            lost: Vec::new(),
            remainder: Remainder::new(),
            expected: Expected::nothing(),
            scratch: Vec::new(),
        }
    }

    /// From a day before `start` to the end of the longest lead of that period's last origin, and
    /// of the windows that begin by then.
    pub(super) fn set(&mut self, past: &Past<'_>, coefficients: &Coefficients, start: usize) {
        let history = past.history;
        self.from = start.saturating_sub(DAY);
        let reach = start + PERIOD + FAR.1;
        let ahead = past.windows.iter().filter(|window| window.start < reach);
        let to = ahead.map(|window| window.to).fold(reach, usize::max);
        let to = to.min(history.log.len());
        self.fits.clear();
        self.foreseen.clear();
        self.first_foreseen = history.foreseen.of_bin(self.from).start;
        for residuals in &mut self.residuals {
            residuals.clear();
        }
        // growth fades from where load ended then
        let until = known_bins(&history.log[..start]);
        while until + self.lost.len() < to {
            let ahead = self.lost.len() as f64 + 0.5;
            self.lost.push(growth::lost(ahead * STEP as f64));
        }
        let models: Vec<Fits> = coefficients.iter().map(with_steadiest).collect();
        let slopes = models[GROWTH];
        Lines::new(&models).about(&history.rows, self.from..to, &mut self.fits);
        let week_bins = &history.rows.week_bin[self.from..to];
        for (fits, &week_bin) in self.fits.iter_mut().zip(week_bins) {
            fits[WITH_REMAINDER] += self.expected.at(week_bin);
        }
        // what of growth has come about by now was to fade then
        let fade = |fits: &mut Fits, lost: f64| {
            for (fit, slope) in fits.iter_mut().zip(slopes) {
                *fit += slope * lost;
            }
        };
        let first = self.from.max(until);
        let faded = &mut self.fits[first - self.from..];
        for (fits, &lost) in faded.iter_mut().zip(&self.lost[first - until..]) {
            fade(fits, lost);
        }
        // what comes after the period has not come by its origins
        let over = self.from..to.min(start + PERIOD);
        for (model, residuals) in self.residuals.iter_mut().enumerate() {
            let fits = self.fits.iter().map(|fits| fits[model]);
            residuals.extend(
                (over.clone().zip(fits))
                    .map(|(bin, fit)| at_least(history.log[bin] - fit, history.floor[bin])),
            );
        }
        for bin in self.from..to {
            for sight in history.foreseen.of_bin(bin) {
                // what is known when the period begins is known to all its origins
                let mut fits = Fits::default();
                if history.foreseen.lasts(sight, start) {
                    let (rows, place) = history.foreseen.row(sight);
                    fits = regressions(rows, place, &models);
                    fits[WITH_REMAINDER] += self.expected.at(history.rows.week_bin[bin]);
                    if let Some(ahead) = bin.checked_sub(until) {
                        fade(&mut fits, self.lost[ahead]);
                    }
                }
                self.foreseen.push(fits);
            }
        }
    }

    /// Hands the residuals that are a day old at `until` to the remainder by the clock. The last day
    /// stays out: it sets the level, and would explain itself away.
    pub(super) fn remember(&mut self, history: &History, until: usize) {
        let mut counted = Vec::new();
        for bin in self.from..until.saturating_sub(DAY) {
            if let Some(&residual) = self.residuals[STEADIEST].get(bin - self.from)
                && history.rows.calm[bin]
            {
                counted.push(history.rows.week_bin[bin]);
                self.remainder.add(history.rows.week_bin[bin], residual);
            }
        }
        self.expected.follow(&self.remainder, &counted);
    }

    /// What has been handed over.
    pub(super) fn into_remainder(self) -> Remainder {
        self.remainder
    }

    /// How far load moved against the model in some bins, which have passed. All of them lie in
    /// the period that the fits were set for, [`super::WARM_UP`] bins or more after the first, so
    /// that [`OVER`] bins before each are at hand.
    pub(super) fn rises(&self, history: &History, bins: Range<usize>, rises: &mut Rises) {
        let residuals = &self.residuals[STEADIEST];
        for bin in bins {
            let place = bin - self.from;
            let moved = residuals[place] - residuals[place - OVER];
            rises.add(f64::from(history.rows.minute[bin]), moved);
        }
    }

    /// What the models said about a bin at `origin`.
    pub(super) fn fits(&self, history: &History, bin: usize, origin: usize) -> &Fits {
        match history.foreseen.at(bin, origin) {
            Some(sight) => &self.foreseen[sight - self.first_foreseen],
            None => &self.fits[bin - self.from],
        }
    }

    /// Levels from the day before `origin`, that bin excluded, or what is left of it without what
    /// `explained` adds to the log load of its bins.
    pub(super) fn levels(&mut self, origin: usize, explained: Option<&[f64]>) -> [Level; MODELS] {
        let to = origin - self.from;
        let from = to.saturating_sub(DAY);
        let scratch = &mut self.scratch;
        let residuals = &self.residuals;
        std::array::from_fn(|model| Level::new(&residuals[model][from..to], explained, scratch))
    }
}

/// What every model says about one row.
pub(crate) fn fit(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    remainder: &Remainder,
) -> Fits {
    let mut fits = with_steadiest(&regressions(rows, index, coefficients));
    fits[WITH_REMAINDER] += remainder.at(rows.week_bin[index]);
    fits
}

/// What every model says that the columns of one row from `first` on add.
pub(super) fn crowds(
    (rows, index): (&Rows, usize),
    coefficients: &Coefficients,
    first: usize,
) -> Fits {
    with_steadiest(&regressions_from(first, rows, index, coefficients))
}

/// What each of several regressions says about one row.
fn regressions<const N: usize>(rows: &Rows, index: usize, coefficients: &[[f64; N]]) -> [f64; N] {
    regressions_from(0, rows, index, coefficients)
}

/// The same by the columns from `first` on.
fn regressions_from<const N: usize>(
    first: usize,
    rows: &Rows,
    index: usize,
    coefficients: &[[f64; N]],
) -> [f64; N] {
    let (columns, values) = rows.row(index);
    let start = columns.partition_point(|&column| usize::from(column) < first);
    let mut fits = [0.0; N];
    for (&column, value) in columns[start..].iter().zip(&values[start..]) {
        for (fit, b) in fits.iter_mut().zip(&coefficients[usize::from(column)]) {
            *fit += b * value;
        }
    }
    fits
}

/// One number per regression as one per model: the last has the steadiest's.
fn with_steadiest(said: &[f64; REGRESSIONS.len()]) -> Fits {
    let mut all = [said[STEADIEST]; MODELS];
    all[..REGRESSIONS.len()].copy_from_slice(said);
    all
}
