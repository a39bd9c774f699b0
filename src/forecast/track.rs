//! Collects, while past forecasts are issued again, how wrong the model and the naive were.
//!
//! Fed by the replay with every forecast it scores; what the naive would have said is looked up
//! in the same history. Only the last days are kept. Judges nothing.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::drift::{DAYS, DayErrors, Rival, Tally, Track};
use super::grid::{DAY, STEP};
use super::lead;
use super::repetition::MOST_PERIODS;
use crate::units::Timestamp;

/// The lead bucket followed beside that of a day ahead: one to four hours.
const FOUR_HOURS: usize = 2;

/// Seconds per day.
const SECONDS: i64 = 86_400;

/// One forecast scored.
#[derive(Debug, Clone, Copy)]
struct Point {
    bin: usize,
    day_ahead: bool,
    load: f64,
    champion: f64,
    rivals: [Option<f64>; 2],
}

/// Forecasts of the last days.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    points: Vec<Point>,
}

impl Tracker {
    /// Counts the forecast of bin `origin + ahead` seen from `origin`: `said` and the history
    /// `log` are log load.
    pub(crate) fn add(&mut self, log: &[f64], origin: usize, ahead: usize, said: f64) {
        let bin = origin + ahead;
        let bucket = lead::bucket(ahead);
        let day_ahead = bucket == lead::DAY_AHEAD;
        // one more than is kept: the first may be cut in two by midnight
        let old = bin + (DAYS + 1) * DAY < log.len();
        if old || !(day_ahead || bucket == FOUR_HOURS) || !log[bin].is_finite() {
            return;
        }
        let load = log[bin].exp();
        let rivals = Rival::ALL.map(|rival| {
            let period = match rival {
                Rival::NaiveDay => DAY,
                Rival::NaiveWeek => 7 * DAY,
            };
            (1..=MOST_PERIODS)
                .map_while(|periods| bin.checked_sub(periods * period))
                .filter(|&repeated| repeated < origin)
                .map(|repeated| log[repeated])
                .find(|y| y.is_finite())
                .map(|y| (y.exp() - load).abs())
        });
        self.points.push(Point {
            bin,
            day_ahead,
            load,
            champion: (said.exp() - load).abs(),
            rivals,
        });
    }

    /// The errors by day (UTC). The history has `bins` bins, ends at `end` (seconds since the
    /// epoch), and its log is of load plus `offset`.
    pub(crate) fn track(&self, bins: usize, end: i64, offset: f64) -> Track {
        let mut days: BTreeMap<i64, (u32, [Tally; 2])> = BTreeMap::new();
        for point in &self.points {
            let at = end - (bins - point.bin) as i64 * STEP;
            let (hours, tallies) = days.entry(at.div_euclid(SECONDS)).or_default();
            *hours |= 1 << (at.rem_euclid(SECONDS) / 3_600);
            let tally = &mut tallies[usize::from(point.day_ahead)];
            let first = tally.points == 0;
            tally.points += 1;
            tally.load += point.load - offset;
            tally.champion += point.champion;
            for (sum, error) in tally.rivals.iter_mut().zip(point.rivals) {
                let so_far = if first { Some(0.0) } else { *sum };
                *sum = so_far.zip(error).map(|(sum, error)| sum + error);
            }
        }
        let skip = days.len().saturating_sub(DAYS);
        Track {
            days: days
                .into_iter()
                .skip(skip)
                .map(|(day, (hours, [four_hours, day_ahead]))| DayErrors {
                    day: Timestamp::UNIX_EPOCH + TimeDelta::days(day),
                    hours: hours.count_ones(),
                    four_hours,
                    day_ahead,
                })
                .collect(),
            until: Timestamp::UNIX_EPOCH + TimeDelta::seconds(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midnight, and a history of so many days before it that doubles on its last day.
    fn history(days: usize) -> (i64, Vec<f64>) {
        let load = |bin: usize| if bin / DAY == days - 1 { 2.0 } else { 1.0_f64 };
        let log = (0..days * DAY).map(|bin| load(bin).ln()).collect();
        (20_000 * SECONDS, log)
    }

    #[test]
    fn errors_are_summed_by_day_and_lead_beside_what_the_naive_would_have_said() {
        let (end, log) = history(10);
        let mut tracker = Tracker::default();
        for origin in (8 * DAY..10 * DAY).step_by(72) {
            for ahead in [23, 200, 100]
                .into_iter()
                .filter(|a| origin + a < log.len())
            {
                tracker.add(&log, origin, ahead, 3.0_f64.ln());
            }
        }
        let track = tracker.track(log.len(), end, 0.0);
        assert_eq!(track.until, Timestamp::UNIX_EPOCH + TimeDelta::seconds(end));
        let [first, last] = track.days[..] else {
            panic!("{track:?}");
        };
        assert_eq!(last.day, track.until - TimeDelta::days(1));
        assert_eq!((first.four_hours.points, last.four_hours.points), (4, 4));
        assert_eq!(last.hours, 8);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(first.four_hours.champion, 8.0);
        near(last.four_hours.champion, 4.0);
        near(last.four_hours.load, 8.0);
        near(last.four_hours.rivals[0].unwrap(), 4.0);
        near(
            last.day_ahead.rivals[1].unwrap(),
            last.day_ahead.points.into(),
        );
    }

    #[test]
    fn old_days_are_dropped_and_a_rival_without_history_has_no_sum() {
        let (end, log) = history(30);
        let mut tracker = Tracker::default();
        for origin in (2 * DAY..30 * DAY - 47).step_by(12) {
            tracker.add(&log, origin, 47, 0.0);
        }
        let track = tracker.track(log.len(), end + 6 * 3_600, 0.0);
        assert_eq!(track.days.len(), DAYS);
        assert!(track.days[13].hours < 24);

        let (end, log) = history(5);
        let mut tracker = Tracker::default();
        tracker.add(&log, 4 * DAY, 47, 0.0);
        let track = tracker.track(log.len(), end, 0.0);
        let tally = track.days[0].four_hours;
        assert!(tally.rivals[0].is_some());
        assert_eq!(tally.rivals[1], None);
    }

    #[test]
    fn a_naive_never_repeats_what_its_origin_did_not_know() {
        let (end, mut log) = history(10);
        let (origin, ahead) = (9 * DAY, 288);
        log.push(0.5);
        let mut tracker = Tracker::default();
        // 24 h ahead lies in the next bucket: look at the longest lead that counts
        tracker.add(&log, origin, ahead - 1, 0.0);
        let before = tracker.track(log.len(), end, 0.0);
        log[origin..origin + ahead - 1].fill(9.0);
        let mut poisoned = Tracker::default();
        poisoned.add(&log, origin, ahead - 1, 0.0);
        assert_eq!(
            poisoned.track(log.len(), end, 0.0).days[0].day_ahead.rivals,
            before.days[0].day_ahead.rivals
        );
    }
}
