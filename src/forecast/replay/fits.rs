//! What the models said about the bins of a period and of those ahead of it, and how wrong that was.

use std::ops::Range;

use super::super::experts::{Fits, MODELS, REGRESSIONS, STEADIEST};
use super::super::features::{GROWTH, Lines, Rows, growth};
use super::super::grid::{DAY, STEP, known_bins};
use super::super::learn::{Coefficients, History, PERIOD};
use super::super::level::{Level, at_least};
use super::super::profile::{OVER, Rises};
use super::super::remainder::Remainder;
use super::{FAR, Past};

/// The fits of one period's coefficients around that period, with residuals.
#[derive(Debug, Default)]
pub(super) struct PeriodFits {
    from: usize,
    said: Vec<[f64; REGRESSIONS.len()]>,
    fits: Vec<Fits>,
    /// The same of the rows seen before the start or the end of a fixture was known, one after the
    /// other from that at `first_foreseen` on.
    foreseen: Vec<Fits>,
    first_foreseen: usize,
    residuals: [Vec<f64>; MODELS],
    /// What fading adds to the growth line ([`growth::lost`]), by bins after the end of load.
    lost: Vec<f64>,
    scratch: Vec<i64>,
}

impl PeriodFits {
    /// From a day before `start` to the end of the longest lead of that period's last origin, and
    /// of the windows that begin by then.
    pub(super) fn set(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        remainder: &Remainder,
        start: usize,
    ) {
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
        let lines = Lines::new(coefficients);
        self.said.clear();
        lines.about(&history.rows, self.from..to, &mut self.said);
        for (bin, said) in (self.from..to).zip(&self.said) {
            // what of growth has come about by now was to fade then
            let lost = bin.checked_sub(until).map_or(0.0, |ahead| self.lost[ahead]);
            let fit_then = |said: &[f64; REGRESSIONS.len()]| {
                let mut fits = with_remainder(said, remainder, history.rows.week_bin[bin]);
                for (fit, slope) in fits.iter_mut().zip(&coefficients[GROWTH]) {
                    *fit += slope * lost;
                }
                fits
            };
            let fits = fit_then(said);
            // what comes after the period has not come by its origins
            if bin < start + PERIOD {
                for (residuals, fit) in self.residuals.iter_mut().zip(fits) {
                    residuals.push(at_least(history.log[bin] - fit, history.floor[bin]));
                }
            }
            self.fits.push(fits);
            for sight in history.foreseen.of_bin(bin) {
                // what is known when the period begins is known to all its origins
                let fits = if history.foreseen.lasts(sight, start) {
                    let (rows, place) = history.foreseen.row(sight);
                    fit_then(&regressions(rows, place, coefficients))
                } else {
                    Fits::default()
                };
                self.foreseen.push(fits);
            }
        }
    }

    /// Hands the residuals that are a day old at `until` to the remainder by the clock. The last day
    /// stays out: it sets the level, and would explain itself away.
    pub(super) fn remember(&self, history: &History, until: usize, remainder: &mut Remainder) {
        let steadiest = &self.residuals[STEADIEST];
        for bin in self.from..until.saturating_sub(DAY) {
            if let Some(&residual) = steadiest.get(bin - self.from)
                && history.rows.calm[bin]
            {
                remainder.add(history.rows.week_bin[bin], residual);
            }
        }
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
    let said = regressions(rows, index, coefficients);
    with_remainder(&said, remainder, rows.week_bin[index])
}

/// What every regression says about one row.
fn regressions(rows: &Rows, index: usize, coefficients: &Coefficients) -> [f64; REGRESSIONS.len()] {
    let (columns, values) = rows.row(index);
    let mut fits = [0.0; REGRESSIONS.len()];
    for (&column, value) in columns.iter().zip(values) {
        for (fit, b) in fits.iter_mut().zip(&coefficients[usize::from(column)]) {
            *fit += b * value;
        }
    }
    fits
}

/// With the model that adds to the steadiest regression what it leaves over by the clock.
fn with_remainder(said: &[f64; REGRESSIONS.len()], remainder: &Remainder, week_bin: u16) -> Fits {
    let mut all = [said[STEADIEST] + remainder.at(week_bin); MODELS];
    all[..REGRESSIONS.len()].copy_from_slice(said);
    all
}
