//! The clock on the audience's wall: local days, weekends, seconds of the day.
//!
//! Computed from the zone at every moment, so days of 23 and 25 hours need no special care.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;

/// Saturday or Sunday; days count from 1 January 1970, a Thursday.
pub(crate) fn is_weekend(day: i64) -> bool {
    matches!((day + 3).rem_euclid(7), 5 | 6)
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
}
