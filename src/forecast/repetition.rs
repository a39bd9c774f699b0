//! What of the past is repeated at a time: the same time on a clock, whole periods before.

use chrono_tz::Tz;

use super::audience::{LocalClock, is_weekend};
use super::grid::{DAY, Grid, STEP};

/// Periods looked back before giving up.
pub(super) const MOST_PERIODS: usize = 5;

/// Finds what a grid holds one period before, and before that.
pub(super) struct Repetition<'g> {
    grid: &'g Grid,
    /// Bins.
    period: usize,
    // one each, because a clock remembers only the last quarter of an hour it was asked about
    now: LocalClock,
    then: LocalClock,
}

impl<'g> Repetition<'g> {
    /// Of so many days on the clock of `zone`: across a change of its offset they are an hour
    /// longer or shorter.
    pub(super) fn new(grid: &'g Grid, days: usize, zone: Tz) -> Self {
        Self {
            grid,
            period: days * DAY,
            now: LocalClock::new(zone),
            then: LocalClock::new(zone),
        }
    }

    /// The newest known bin a whole number of periods before bin `target`, among the first
    /// `known` bins.
    pub(super) fn source(&mut self, target: i64, known: usize) -> Option<usize> {
        let least = ((target - known as i64).max(0) as usize / self.period) + 1;
        self.newest(target, least, |_, bin| bin < known)
    }

    /// The newest known bin before `source` that it repeats: on a weekend as it is, or as it is on
    /// none.
    pub(super) fn earlier(&mut self, source: usize) -> Option<usize> {
        self.newest(source as i64, 1, |past, bin| past.alike(source, bin))
    }

    /// The newest known bin that will do, from `least` periods before `target` on.
    fn newest(
        &mut self,
        target: i64,
        least: usize,
        will_do: impl Fn(&mut Self, usize) -> bool,
    ) -> Option<usize> {
        for periods in least..least + MOST_PERIODS {
            let bin = usize::try_from(self.back(target, periods)).ok()?;
            let value = self.grid.values.get(bin);
            if value.is_some_and(|value| value.is_finite()) && will_do(self, bin) {
                return Some(bin);
            }
        }
        None
    }

    /// Whether two bins lie both on a weekend by the clock, or neither.
    pub(super) fn alike(&mut self, a: usize, b: usize) -> bool {
        let [a, b] = [a, b].map(|bin| self.middle(bin as i64));
        is_weekend(self.now.read(a).0) == is_weekend(self.then.read(b).0)
    }

    /// The bin so many periods before `target`, which may lie before the first.
    fn back(&mut self, target: i64, periods: usize) -> i64 {
        let bin = target - (periods * self.period) as i64;
        let (now, then) = (self.middle(target), self.middle(bin));
        bin + (self.now.offset(now) - self.then.offset(then)).div_euclid(STEP)
    }

    /// Start of a bin, seconds since the epoch.
    pub(super) fn start(&self, bin: usize) -> i64 {
        self.middle(bin as i64) - STEP / 2
    }

    /// Middle of a bin, seconds since the epoch.
    fn middle(&self, bin: i64) -> i64 {
        self.grid.end + (bin - self.grid.len() as i64) * STEP + STEP / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    /// A month in which every bin holds its number, up to a midnight of London's winter.
    fn grid(end: (i32, u32, u32)) -> Grid {
        let end = Utc.with_ymd_and_hms(end.0, end.1, end.2, 0, 0, 0).unwrap();
        let values = (0..30 * DAY).map(|bin| bin as f64).collect();
        let load = Series::from_raw(end - TimeDelta::days(30), TimeDelta::minutes(5), values);
        Grid::before(&load, end, 30 * DAY)
    }

    #[test]
    fn the_same_time_on_the_clock_is_an_hour_off_across_a_change() {
        let week = 7 * DAY;
        for (end, hour) in [((2026, 3, 30), 1), ((2026, 10, 26), -1)] {
            let grid = grid(end);
            let noon = (grid.len() + DAY / 2) as i64;
            let source = |zone| Repetition::new(&grid, 7, zone).source(noon, grid.len());
            assert_eq!(source(Tz::UTC), Some(noon as usize - week));
            let shifted = noon + hour * (DAY / 24) as i64;
            assert_eq!(source(Tz::Europe__London), Some(shifted as usize - week));
        }
        // an hour that is not known yet stands a period further back
        let grid = grid((2026, 3, 29));
        let last = (grid.len() + DAY - 1) as i64;
        let mut day = Repetition::new(&grid, 1, Tz::Europe__London);
        let source = day.source(last, grid.len());
        assert_eq!(source, Some(last as usize - 2 * DAY + DAY / 24));
    }

    #[test]
    fn a_working_day_repeats_a_working_day() {
        // up to Tuesday: Monday repeats the Friday before
        let grid = grid((2026, 2, 10));
        let monday = grid.len() - DAY / 2;
        let mut day = Repetition::new(&grid, 1, Tz::UTC);
        assert_eq!(day.earlier(monday), Some(monday - 3 * DAY));
        assert_eq!(day.earlier(monday - DAY), Some(monday - 2 * DAY));
        let mut week = Repetition::new(&grid, 7, Tz::UTC);
        assert_eq!(week.earlier(monday), Some(monday - 7 * DAY));
    }
}
