//! Puts load on the model's own grid: five-minute bins that end exactly at an origin.
//!
//! Decides what a bin of the model holds: the mean over the part of it that is known, or nothing.
//! Bins that end after the origin never enter. Gaps stay gaps; an isolated zero in heavy load is
//! read as a gap, because a logger that lost a minute and a crowd that vanished for a minute look
//! alike and only the first happens.

use super::order::median;
use super::plateau::plateaus;
use crate::series::Series;
use crate::series::faults::Faults;
use crate::units::Timestamp;

/// Width of a model bin, seconds.
pub(crate) const STEP: i64 = 300;

/// Model bins per day.
pub(crate) const DAY: usize = 288;

/// Longest run of zeros that may be a logging hole, seconds. Longer ones are believed.
const HOLE: i64 = 1_800;

/// Units that must have been expected in a zero bin before it is doubted. A Poisson count with
/// this mean is zero once in 5e8 bins.
pub(crate) const DOUBT: f64 = 20.0;

/// Less than this share of what other days bring at the same time is an outage, not demand.
pub(crate) const OUTAGE: f64 = 0.01;

/// Longest outage told from a service that was switched off, bins: a day.
const LONGEST_OUTAGE: usize = DAY;

/// Days before and after that tell what is usual at a time of the day.
const OTHER_DAYS: usize = 4;

/// Five-minute means that end at `end`, NaN where nothing is known.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    /// End of the last bin, seconds since the epoch.
    pub(crate) end: i64,
    /// Units per second, oldest first.
    pub(crate) values: Vec<f64>,
    /// True where more was wanted than is seen.
    pub(crate) floor: Vec<bool>,
    /// Bins left out because they were declared faulty.
    pub(crate) declared: usize,
    /// Bins left out because they look like an outage.
    pub(crate) outage: usize,
    /// Bins that look as if no more could be served.
    pub(crate) plateau: usize,
    /// Whether a bin holds what was measured in it, not a part of something wider.
    fine: bool,
}

impl Grid {
    /// The bins of `series` known at `origin`, at most `limit` of them, on a grid ending there.
    ///
    /// An input bin wider than the grid's fills every bin it covers. A grid bin is known when at
    /// least half of it is.
    pub(crate) fn before(series: &Series, origin: Timestamp, limit: usize) -> Self {
        let end = origin.timestamp();
        let width = series.step().num_milliseconds().max(1) as f64 / 1_000.0;
        let first = series.start().timestamp_millis() as f64 / 1_000.0 - end as f64;
        let whole = ((-first / width) + 1e-9).floor().max(0.0) as usize;
        let whole = whole.min(series.len());
        let keep = ((limit as f64 + 1.0) * STEP as f64 / width).ceil() as usize
            + (HOLE as f64 / width).ceil() as usize
            + 1;
        let skip = whole.saturating_sub(keep);
        let known = without_holes(&series.raw()[skip..whole], width);
        let first = first + skip as f64 * width;
        if known.is_empty() {
            return Self {
                end,
                values: Vec::new(),
                floor: Vec::new(),
                declared: 0,
                outage: 0,
                plateau: 0,
                fine: false,
            };
        }
        let step = STEP as f64;
        let bins = ((-first / step).ceil() as usize).min(limit);
        let mut sum = vec![0.0; bins];
        let mut covered = vec![0.0; bins];
        let left = -(bins as f64) * step;
        for (index, &value) in known.iter().enumerate() {
            if !value.is_finite() {
                continue;
            }
            // seconds from the left edge of the grid
            let from = first + index as f64 * width - left;
            let to = from + width;
            if to <= 0.0 {
                continue;
            }
            let mut bin = (from.max(0.0) / step).floor() as usize;
            while bin < bins && (bin as f64) * step < to - 1e-9 {
                let overlap = to.min((bin + 1) as f64 * step) - from.max(bin as f64 * step);
                if overlap > 0.0 {
                    sum[bin] += value.max(0.0) * overlap;
                    covered[bin] += overlap;
                }
                bin += 1;
            }
        }
        let values = sum
            .iter()
            .zip(&covered)
            .map(|(&sum, &covered)| {
                if covered >= 0.5 * step - 1e-6 {
                    sum / covered
                } else {
                    f64::NAN
                }
            })
            .collect();
        Self {
            end,
            values,
            floor: vec![false; bins],
            declared: 0,
            outage: 0,
            plateau: 0,
            fine: width <= step,
        }
    }

    /// Without what must not be learnt: declared faults become gaps, or lower bounds where at
    /// least so much was wanted; what looks like an outage becomes a gap, and what looks like all
    /// that could be served a lower bound.
    pub(crate) fn without(mut self, faults: &Faults) -> Self {
        let bins = self.values.len() as i64;
        for fault in faults.iter() {
            let place = |at: Timestamp, up: i64| {
                let bin = bins + (at.timestamp() + up - self.end).div_euclid(STEP);
                bin.clamp(0, bins) as usize
            };
            // every bin the span touches
            for bin in place(fault.from, 0)..place(fault.to, STEP - 1) {
                if !self.values[bin].is_finite() {
                    continue;
                }
                if fault.cause.is_lower_bound() {
                    self.floor[bin] = true;
                } else {
                    self.values[bin] = f64::NAN;
                    self.declared += 1;
                }
            }
        }
        self.without_outages();
        if self.fine {
            self.mark_plateaus();
        }
        self
    }

    /// Turns what looks like all a service could give into lower bounds.
    fn mark_plateaus(&mut self) {
        for bin in plateaus(&self.values).into_iter().flatten() {
            self.plateau += usize::from(!self.floor[bin]);
            self.floor[bin] = true;
        }
    }

    /// Turns runs of next to nothing into gaps where the days around have load at that time. A
    /// service that is quiet every night, or was switched off for more than a day, is believed.
    fn without_outages(&mut self) {
        let usual = |values: &[f64], bin: usize| -> Option<f64> {
            let before = (1..=OTHER_DAYS).filter_map(|days| bin.checked_sub(days * DAY));
            let after = (1..=OTHER_DAYS).map(|days| bin + days * DAY);
            let mut others: Vec<f64> = before
                .chain(after)
                .filter_map(|other| values.get(other).copied())
                .filter(|value| value.is_finite())
                .collect();
            let enough = others.len() >= 3;
            enough.then(|| median(&mut others)).flatten()
        };
        let highest = self.values.iter().copied().fold(0.0, f64::max);
        let lost = |values: &[f64], bin: usize| {
            // what is not small beside the largest load is small beside none
            if values[bin].is_nan() || values[bin] >= OUTAGE * highest {
                return false;
            }
            usual(values, bin)
                .is_some_and(|usual| usual * STEP as f64 >= DOUBT && values[bin] < OUTAGE * usual)
        };
        let mut bin = 0;
        let mut gaps = Vec::new();
        while bin < self.values.len() {
            if !lost(&self.values, bin) {
                bin += 1;
                continue;
            }
            let from = bin;
            while bin < self.values.len() && lost(&self.values, bin) {
                bin += 1;
            }
            if bin - from <= LONGEST_OUTAGE {
                gaps.push(from..bin);
            }
        }
        for bin in gaps.into_iter().flatten() {
            self.values[bin] = f64::NAN;
            self.floor[bin] = false;
            self.outage += 1;
        }
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Middle of bin `index` (which may lie past the end), seconds since the epoch.
    pub(crate) fn middle(&self, index: usize) -> i64 {
        self.end + (index as i64 - self.values.len() as i64) * STEP + STEP / 2
    }

    /// Hours that hold data.
    pub(crate) fn hours(&self) -> f64 {
        self.values.iter().filter(|value| value.is_finite()).count() as f64 * STEP as f64 / 3_600.0
    }
}

/// The values with implausible zeros turned into gaps: a run of at most half an hour of exact
/// zeros whose known neighbours (the nearest up to half an hour on each side) have medians that
/// make a zero bin practically impossible. A run at the very end has a left side only.
fn without_holes(values: &[f64], width: f64) -> Vec<f64> {
    let mut out = values.to_vec();
    let reach = ((HOLE as f64 / width).round() as usize).max(1);
    let mut index = 0;
    while index < values.len() {
        if values[index] != 0.0 {
            index += 1;
            continue;
        }
        let from = index;
        while index < values.len() && values[index] == 0.0 {
            index += 1;
        }
        if (index - from) as f64 * width > HOLE as f64 {
            continue;
        }
        let before = median(&mut values[from.saturating_sub(reach)..from].to_vec());
        let after = median(&mut values[index..(index + reach).min(values.len())].to_vec());
        let level = match (before, after) {
            (Some(before), Some(after)) => before.min(after),
            (Some(before), None) if index == values.len() => before,
            _ => 0.0,
        };
        if level * width >= DOUBT {
            out[from..index].fill(f64::NAN);
        }
    }
    out
}

/// Number of bins up to the last one that is known.
pub(crate) fn known_bins(values: &[f64]) -> usize {
    let last = values.iter().rposition(|value| value.is_finite());
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone, Utc};

    fn at(minute: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap() + TimeDelta::minutes(minute)
    }

    fn minutes(values: Vec<f64>) -> Series {
        Series::from_raw(at(0), TimeDelta::minutes(1), values)
    }

    #[test]
    fn minutes_become_means_that_end_at_the_origin() {
        let series = minutes((0..12).map(f64::from).collect());
        let grid = Grid::before(&series, at(12), usize::MAX >> 8);
        // 0..2 covers two of five minutes only
        assert!(grid.values[0].is_nan());
        assert_eq!(grid.values[1..], [4.0, 9.0]);
        assert_eq!(grid.middle(2), at(12).timestamp() - 150);
    }

    #[test]
    fn a_bin_that_ends_after_the_origin_is_not_seen() {
        let series = Series::from_raw(at(0), TimeDelta::minutes(30), vec![1.0, 2.0, 99.0]);
        let grid = Grid::before(&series, at(75), 1_000);
        assert!(grid.values.iter().all(|v| v.is_nan() || *v < 3.0));
        assert!(grid.values.last().unwrap().is_nan());
        assert_eq!(grid.values.iter().filter(|v| v.is_finite()).count(), 12);
    }

    #[test]
    fn an_isolated_zero_in_heavy_load_is_a_gap_and_a_quiet_night_is_not() {
        let mut busy = vec![50.0; 60];
        busy[30..33].fill(0.0);
        let holes = without_holes(&busy, 60.0);
        assert_eq!(holes.iter().filter(|v| v.is_nan()).count(), 3);

        let mut quiet = vec![0.01; 60];
        quiet[30] = 0.0;
        assert!(without_holes(&quiet, 60.0).iter().all(|v| v.is_finite()));

        let mut stopped = vec![50.0; 60];
        stopped.extend([0.0; 40]);
        assert!(without_holes(&stopped, 60.0).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_limit_keeps_the_newest() {
        let series = minutes((0..600).map(f64::from).collect());
        let all = Grid::before(&series, at(600), 10_000);
        let some = Grid::before(&series, at(600), 7);
        assert_eq!(some.values, all.values[all.len() - 7..]);
    }
}
