//! Puts load on the model's own grid: five-minute bins that end exactly at an origin.
//!
//! Decides what a bin of the model holds: the mean over the part of it that is known, or nothing.
//! Bins that end after the origin never enter. Gaps stay gaps; an isolated zero in heavy load is
//! read as a gap, because a logger that lost a minute and a crowd that vanished for a minute look
//! alike and only the first happens.

use std::ops::Range;

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

/// Longest outage that is not over and still told from a service that was switched off, bins: a
/// weekend on which nobody looks, and a day more.
const LONGEST_OUTAGE: usize = 3 * DAY;

/// Days before and after that tell what is usual at a time of the day.
const OTHER_DAYS: usize = 4;

/// A stretch of next to nothing is one outage where load was due in more than this share of it.
/// Between games that alone bring load it is due for some hours of a day.
const DUE: f64 = 0.5;

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
    /// Bins that hold nothing in common are so far apart: both may hold parts of what was measured
    /// between them.
    pub(crate) apart: usize,
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
                apart: 1,
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
            apart: (width / step).ceil() as usize + 1,
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

    /// Turns stretches of next to nothing into gaps where the days around have load at that time.
    /// A service that is quiet every night or every weekend is believed, and so is one that has been
    /// switched off for days; once load is back it was an outage, however long.
    fn without_outages(&mut self) {
        let highest = self.values.iter().copied().fold(0.0, f64::max);
        // what is not small beside the largest load is small beside none
        let small = |value: f64| value.is_nan() || value < OUTAGE * highest;
        let mut gaps: Vec<usize> = Vec::new();
        let mut from = 0;
        while from < self.values.len() {
            if !small(self.values[from]) {
                from += 1;
                continue;
            }
            let length = self.values[from..].iter().position(|&value| !small(value));
            let stretch = from..length.map_or(self.values.len(), |length| from + length);
            let lost = |beside: &dyn Fn(usize) -> Range<usize>| -> Vec<usize> {
                let lost = |&bin: &usize| self.is_lost(bin, &beside(bin));
                stretch.clone().filter(lost).collect()
            };
            let mut lost_of_it = lost(&|_| stretch.clone());
            let known = self.values[stretch.clone()].iter().filter(|v| !v.is_nan());
            let is_one = lost_of_it.len() as f64 > DUE * known.count() as f64;
            if !is_one {
                lost_of_it = lost(&|bin| bin..bin + 1);
            }
            let is_over = stretch.end < self.values.len();
            let believed = is_one && !is_over && lost_of_it.len() > LONGEST_OUTAGE;
            let weeks = stretch.len().div_ceil(7 * DAY);
            let habit = stretch.len() > DAY && self.comes_weekly(&lost_of_it, weeks, small);
            if !(believed || habit) {
                gaps.extend(lost_of_it);
            }
            from = stretch.end;
        }
        for bin in gaps {
            self.values[bin] = f64::NAN;
            self.floor[bin] = false;
            self.outage += 1;
        }
    }

    /// Whether so many weeks before and after most of some bins brought next to nothing too, as
    /// where nobody works on weekends, or nobody knows.
    fn comes_weekly(&self, bins: &[usize], weeks: usize, small: impl Fn(f64) -> bool) -> bool {
        let shift = weeks * 7 * DAY;
        let others = (bins.iter()).flat_map(|&bin| [bin.checked_sub(shift), Some(bin + shift)]);
        let known = others
            .flatten()
            .filter_map(|other| self.values.get(other).copied())
            .filter(|value| value.is_finite());
        let (quiet, busy): (Vec<f64>, Vec<f64>) = known.partition(|&value| small(value));
        quiet.len() >= busy.len()
    }

    /// Whether next to nothing came in a bin while days that have none of `stretch` at its time
    /// bring load.
    fn is_lost(&self, bin: usize, stretch: &Range<usize>) -> bool {
        let value = self.values[bin];
        if value.is_nan() {
            return false;
        }
        // the first days on either side that lie outside
        let before = bin.saturating_sub(stretch.start).div_euclid(DAY) + 1;
        let after = stretch.end.saturating_sub(bin + 1).div_euclid(DAY) + 1;
        let before = (before..before + OTHER_DAYS).filter_map(|days| bin.checked_sub(days * DAY));
        let after = (after..after + OTHER_DAYS).map(|days| bin + days * DAY);
        let mut others: Vec<f64> = before
            .chain(after)
            .filter_map(|other| self.values.get(other).copied())
            .filter(|value| value.is_finite())
            .collect();
        others.len() >= 3
            && median(&mut others)
                .is_some_and(|usual| usual * STEP as f64 >= DOUBT && value < OUTAGE * usual)
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

    /// Five-minute bins of so many days, of which `off` brought nothing.
    fn days_with(days: usize, off: Range<usize>, load: impl Fn(usize) -> f64) -> Grid {
        let load = |bin| if off.contains(&bin) { 0.0 } else { load(bin) };
        let values: Vec<f64> = (0..days * DAY).map(load).collect();
        let series = Series::from_raw(at(0), TimeDelta::minutes(5), values);
        Grid::before(&series, series.end(), usize::MAX >> 8).without(&Faults::default())
    }

    #[test]
    fn once_load_is_back_it_was_an_outage_however_long() {
        let busy = |bin: usize| 100.0 + (bin % DAY) as f64;
        for hours in [1, 23, 25, 36, 24 * 9] {
            let off = 10 * DAY..10 * DAY + hours * 12;
            let grid = days_with(21, off.clone(), busy);
            assert_eq!(grid.outage, off.len(), "{hours}");
            assert!(off.clone().all(|bin| grid.values[bin].is_nan()));
        }
        // it is not over: believed after three days
        for (days, outage) in [(2, 2 * DAY), (3, 3 * DAY), (4, 0)] {
            let off = (21 - days) * DAY..21 * DAY;
            assert_eq!(days_with(21, off, busy).outage, outage, "{days}");
        }
    }

    #[test]
    fn quiet_nights_and_days_without_a_game_are_no_outage() {
        let nightly = |bin: usize| if bin % DAY < 96 { 0.0 } else { 100.0 };
        assert_eq!(days_with(21, 0..0, nightly).outage, 0);
        // an outage of a day and a half, of which nights are no part
        let off = 10 * DAY..11 * DAY + DAY / 2;
        let grid = days_with(21, off, nightly);
        assert_eq!(grid.outage, 2 * (DAY - 96) - DAY / 2);
        // weekends without load, by day alone and at all
        let working = |bin: usize| if bin / DAY % 7 < 5 { 100.0 } else { 0.0 };
        assert_eq!(days_with(24, 0..0, working).outage, 0);
        assert_eq!(days_with(28, 0..0, working).outage, 0);
        let office = |bin: usize| if bin % DAY < 96 { 0.0 } else { working(bin) };
        assert_eq!(days_with(24, 0..0, office).outage, 0);
        // of a Wednesday and a Thursday that would have been worked
        let grid = days_with(24, 9 * DAY..11 * DAY, working);
        assert_eq!(grid.outage, 2 * DAY);
        // games that alone bring load, every fourth day
        let games = |bin: usize| {
            let playing = bin % (4 * DAY) / 12 == 20;
            if playing { 500.0 } else { 0.0 }
        };
        assert_eq!(days_with(21, 0..0, games).outage, 0);
    }

    #[test]
    fn a_limit_keeps_the_newest() {
        let series = minutes((0..600).map(f64::from).collect());
        let all = Grid::before(&series, at(600), 10_000);
        let some = Grid::before(&series, at(600), 7);
        assert_eq!(some.values, all.values[all.len() - 7..]);
    }
}
