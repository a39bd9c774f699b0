//! A challenger without fixtures: seasons by MSTL, level by exponential smoothing.
//!
//! What a careful user would take who has no fixture list: log load decomposed into a daily and a
//! weekly season (`seasons`), the rest carried on by ETS (`trend`), and margins from its own past
//! errors. It is scored beside the model that decides and never steers anything.
//!
//! Seasons run on bins counted in UTC: where clocks change, they are an hour off for a while.

use chrono::TimeDelta;

use super::event_response::{LEAST_HOURS, log_offset};
use super::grid::{DAY, Grid, STEP};
use super::lead::{self, BUCKETS, Lead};
use super::quantile::{Group, MarginTable, Scores};
use super::shortage::too_little;
use super::{Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::series::faults::Faults;
use crate::units::Timestamp;

mod seasons;
mod trend;

use seasons::Seasons;
use trend::Trend;

/// Name of the model in forecasts.
const MODEL: &str = "mstl";

/// Longest history used, days.
const LONGEST: usize = 56;

/// Days held out of a second decomposition, to see how wrong it gets. Its seasons are up to this
/// much older than those of the forecast, so the errors are rather too large than too small.
const HELD_OUT: usize = 7;

/// Days a decomposition needs before days can be held out.
const LEARNT: usize = 3;

/// Bins between held-out origins: six hours.
const EVERY: usize = 72;

/// Bins ahead scored from each of them up to four hours.
const NEAR: [usize; 8] = [1, 2, 5, 8, 11, 23, 35, 47];

/// Bins ahead scored beyond: every quarter of an hour up to 48 h.
const FAR: (usize, usize, usize) = (50, 576, 3);

/// Weight of the pseudo-scores in each bucket, in scores: about a day of held-out ones.
const PSEUDO: [f64; BUCKETS] = [8.0, 12.0, 12.0, 48.0, 96.0, 96.0];

/// No prediction leaves this many natural logarithms around what was seen (a factor of 1,000).
const LEASH: f64 = 6.9;

/// Seasonal-trend decomposition with exponential smoothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mstl;

/// The seasons found and how wrong carrying them on has been.
#[derive(Debug, Clone)]
pub struct FittedMstl {
    /// End of the last bin learnt from, seconds since the epoch.
    end: i64,
    offset: f64,
    leash: (f64, f64),
    seasons: Seasons,
    margins: MarginTable,
    notes: Vec<String>,
}

impl Fit for Mstl {
    type Fitted = FittedMstl;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedMstl, FitError> {
        let mut grid = Grid::before(known.load, at, LONGEST * DAY);
        without_faults(&mut grid, known.faults);
        let first = grid.values.iter().position(|value| value.is_finite());
        grid.values.drain(..first.unwrap_or(grid.values.len()));
        let hours = grid.hours();
        if hours < LEAST_HOURS {
            return Err(too_little(known, at, &grid, LONGEST * DAY));
        }
        let offset = log_offset(&grid.values);
        let log: Vec<f64> = grid.values.iter().map(|v| (v + offset).ln()).collect();
        let seen = || log.iter().copied().filter(|y| y.is_finite());
        let leash = (
            seen().fold(f64::INFINITY, f64::min) - LEASH,
            seen().fold(f64::NEG_INFINITY, f64::max) + LEASH,
        );
        let seasons = Seasons::new(&log);
        let mut notes = Vec::new();
        if seasons.count() < 2 {
            notes.push(format!(
                "{:.1} days of data: days are taken to be alike",
                hours / 24.0
            ));
        }
        Ok(FittedMstl {
            end: grid.end,
            offset,
            leash,
            margins: held_out(&log).margins(&PSEUDO),
            seasons,
            notes,
        })
    }
}

/// Errors of the last days, forecast from a decomposition that ends before them; only the level
/// follows them, as it would in operation. None when too little would be left to learn from.
fn held_out(log: &[f64]) -> Scores {
    let mut scores = Scores::new();
    let Some(cut) = log.len().checked_sub(HELD_OUT * DAY) else {
        return scores;
    };
    if cut < LEARNT * DAY {
        return scores;
    }
    let seasons = Seasons::new(&log[..cut]);
    let adjusted = seasons.extended(&log[cut..]);
    for origin in (cut..log.len()).step_by(EVERY) {
        let trend = Trend::new(&adjusted[..adjusted.len() - (log.len() - origin)], 48);
        for ahead in NEAR.into_iter().chain((FAR.0..FAR.1).step_by(FAR.2)) {
            let bin = origin + ahead;
            let Some(&actual) = log.get(bin) else {
                break;
            };
            let score = actual - trend.at(ahead) - seasons.at(bin - cut);
            let age = (log.len() - bin) as f64 / DAY as f64;
            scores.add(Group::Calm, lead::bucket(ahead), score, age);
        }
    }
    scores
}

/// Makes gaps of the bins that touch a fault: whatever load was wanted then, it is not this.
fn without_faults(grid: &mut Grid, faults: &Faults) {
    let bins = grid.len() as i64;
    for fault in faults.iter() {
        let bin = |at: i64| (bins + at.div_euclid(STEP)).clamp(0, bins) as usize;
        let from = bin(fault.from.timestamp() - grid.end);
        let to = bin(fault.to.timestamp() - grid.end + STEP - 1);
        grid.values[from..to].fill(f64::NAN);
    }
}

impl Predict for FittedMstl {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        let begin = horizon.origin.timestamp();
        let since = ((begin - self.end).max(0) / STEP) as usize;
        let mut fresh = Grid::before(recent.load, horizon.origin, since);
        without_faults(&mut fresh, recent.faults);
        let mut later = vec![f64::NAN; since - fresh.len()];
        later.extend(fresh.values.iter().map(|v| (v + self.offset).ln()));
        let behind = later.iter().rev().take_while(|y| !y.is_finite()).count();
        let adjusted = self.seasons.extended(&later);

        let step = horizon.step.num_seconds().max(1);
        let bins = (horizon.length.num_seconds() / step).max(0);
        let hours = (bins * step).div_euclid(3_600) + 1;
        let trend = Trend::new(&adjusted, hours as usize);
        let mut paths: [Vec<f64>; 4] = Default::default();
        for bin in 0..bins {
            let pieces = (bin * step / STEP) as usize..=(((bin + 1) * step - 1) / STEP) as usize;
            let mut sums = [0.0; 4];
            let mut count = 0.0;
            for ahead in pieces {
                let log = trend.at(ahead) + self.seasons.at(since + ahead);
                let margins = self
                    .margins
                    .at(Group::Calm, &Lead::of((ahead + behind) as f64));
                sums[0] += self.rate(log);
                for (sum, margin) in sums[1..].iter_mut().zip(margins) {
                    *sum += self.rate(log + margin);
                }
                count += 1.0;
            }
            for (path, sum) in paths.iter_mut().zip(sums) {
                path.push(sum / count);
            }
        }
        Forecast {
            origin: horizon.origin,
            start: horizon.origin,
            step: TimeDelta::seconds(step),
            paths,
            peaks: Vec::new(),
            model: MODEL.to_owned(),
            notes: self.notes.clone(),
        }
    }
}

impl FittedMstl {
    /// Units per second of a log load.
    fn rate(&self, log: f64) -> f64 {
        (log.clamp(self.leash.0, self.leash.1).exp() - self.offset).max(0.0)
    }
}

#[cfg(test)]
mod tests;
