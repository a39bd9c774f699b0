//! The clock on the audience's wall: local days, weekends, seconds of the day.
//!
//! Computed from the zone at every moment, so days of 23 and 25 hours need no special care.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

/// Saturday or Sunday; days count from 1 January 1970, a Thursday.
pub(crate) fn is_weekend(day: i64) -> bool {
    matches!((day + 3).rem_euclid(7), 5 | 6)
}

/// Seconds before and after midnight in which one day passes into the next: an audience goes to bed
/// over hours, and lives in more than one zone.
pub(crate) const DUSK: i64 = 3 * 3_600;

/// How much of a moment belongs to days of a kind, nothing to one; straight from one day to the
/// next around midnight.
pub(crate) fn share_of_day(day: i64, second: i64, is: impl Fn(i64) -> bool) -> f64 {
    let to_midnight = second.min(86_400 - second);
    let of_day = f64::from(is(day));
    if to_midnight >= DUSK {
        return of_day;
    }
    let other = if second < 43_200 { day - 1 } else { day + 1 };
    let own = 0.5 + 0.5 * to_midnight as f64 / DUSK as f64;
    own * of_day + (1.0 - own) * f64::from(is(other))
}

/// Reads local days and seconds of the day, asking the zone once per quarter hour (offsets change
/// on no finer grid).
pub(crate) struct LocalClock {
    zone: Tz,
    quarter: i64,
    offset: i64,
}

impl LocalClock {
    pub(crate) fn new(zone: Tz) -> Self {
        Self {
            zone,
            quarter: i64::MIN,
            offset: 0,
        }
    }

    /// Local day since the epoch and second of that day.
    pub(crate) fn read(&mut self, at: i64) -> (i64, i64) {
        let local = at + self.offset(at);
        (local.div_euclid(86_400), local.rem_euclid(86_400))
    }

    /// By how much the clock is ahead of UTC, seconds.
    pub(crate) fn offset(&mut self, at: i64) -> i64 {
        let quarter = at.div_euclid(900);
        if quarter != self.quarter {
            self.quarter = quarter;
            self.offset = DateTime::from_timestamp(at, 0).map_or(0, |utc| {
                let offset = self.zone.offset_from_utc_datetime(&utc.naive_utc());
                i64::from(offset.fix().local_minus_utc())
            });
        }
        self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    #[test]
    fn weekends_are_those_of_the_audience() {
        // Saturday 03:00 UTC is still Friday evening in New York
        let at = Utc
            .with_ymd_and_hms(2024, 5, 18, 3, 0, 0)
            .unwrap()
            .timestamp();
        let utc = LocalClock::new(Tz::UTC).read(at);
        let new_york = LocalClock::new(Tz::America__New_York).read(at);
        assert!(is_weekend(utc.0));
        assert!(!is_weekend(new_york.0));
        assert_eq!(new_york.1, 23 * 3_600);
    }

    #[test]
    fn days_pass_into_each_other_over_the_night() {
        let saturday = 2; // 1 January 1970 was a Thursday
        let share = |day, hour: i64| share_of_day(day, hour * 3_600, is_weekend);
        assert_eq!(share(saturday - 1, 21), 0.0);
        assert_eq!(share(saturday, 0), 0.5);
        assert_eq!(share(saturday, 3), 1.0);
        assert_eq!(share(saturday + 1, 0), 1.0);
        assert_eq!(share(saturday + 2, 0), 0.5);
        assert_eq!(share(saturday + 2, 3), 0.0);
        for minute in 0..3 * 24 * 60 {
            let at = |minute: i64| {
                let (day, minute) = (saturday - 1 + minute / 1_440, minute % 1_440);
                share_of_day(day, minute * 60, is_weekend)
            };
            assert!((at(minute + 1) - at(minute)).abs() < 0.003, "{minute}");
        }
    }
}
