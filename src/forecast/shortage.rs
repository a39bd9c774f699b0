//! Why a history is too short to learn from, and what would help.
//!
//! A load that ended long ago and faults that cover what there is leave as little to learn as a
//! load of a few hours does, but a longer history helps only with the last. Decides nothing about
//! how much is enough.

use std::fmt;

use chrono::TimeDelta;

use super::event_response::LEAST_HOURS;
use super::grid::{DAY, Grid, STEP};
use super::{Evidence, FitError};
use crate::units::Timestamp;

/// Load that ended longer ago than this is said to be old.
pub(crate) const OLD: TimeDelta = TimeDelta::days(1);

/// Why there is too little to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shortage {
    /// There is not more.
    Short,
    /// Load was known, but ended too long before the origin.
    Old {
        /// End of the last bin that holds load.
        last: Timestamp,
        /// Days before the origin that are looked at.
        looked_at: usize,
        /// Days between the two.
        days: i64,
    },
    /// There is enough, but declared faults cover it.
    Faulty {
        /// Hours that they cover.
        hours: f64,
    },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("give a longer load history or a later time"),
            Self::Old {
                last,
                looked_at,
                days,
            } => write!(
                f,
                "the last load known is of {}, {days} days earlier, and only the last {looked_at} \
                 days are learnt from; give a fresher load history or an earlier time, --at on the \
                 command line",
                last.format("%FT%TZ"),
            ),
            Self::Faulty { hours } => write!(
                f,
                "declared faults cover {hours:.1} h of the load; shorten the faults (are their \
                 times right?) or give a longer load history"
            ),
        }
    }
}

/// The refusal of a history whose bins, at most `limit` of them, are too few.
pub(crate) fn too_little(
    known: Evidence<'_>,
    at: Timestamp,
    grid: &Grid,
    limit: usize,
) -> FitError {
    let have_hours = grid.hours();
    let declared = grid.declared as f64 * STEP as f64 / 3_600.0;
    let why = if declared > 0.0 && have_hours + declared >= LEAST_HOURS {
        Shortage::Faulty { hours: declared }
    } else {
        old(known, at, limit).unwrap_or(Shortage::Short)
    };
    FitError::TooLittleHistory {
        at,
        have_hours,
        need_hours: LEAST_HOURS,
        why,
    }
}

/// Set when there would have been enough at the time the load ended.
fn old(known: Evidence<'_>, at: Timestamp, limit: usize) -> Option<Shortage> {
    let last = last_known(known, at)?;
    let enough = || Grid::before(known.load, last, limit).hours() >= LEAST_HOURS;
    (at - last > OLD && enough()).then(|| Shortage::Old {
        last,
        looked_at: limit / DAY,
        days: (at - last).num_days(),
    })
}

/// End of the last bin known at a moment that holds load.
pub(crate) fn last_known(known: Evidence<'_>, at: Timestamp) -> Option<Timestamp> {
    let load = known.load;
    let values = load.raw().iter().enumerate().rev();
    values
        .filter(|(_, value)| value.is_finite())
        .map(|(bin, _)| load.time(bin + 1))
        .find(|&end| end <= at)
}

/// What a reader must know of a forecast from load that ended long before it.
pub(crate) fn old_note(recent: Evidence<'_>, origin: Timestamp) -> Option<String> {
    let last = last_known(recent, origin)?;
    let age = origin - last;
    (age > OLD).then(|| {
        format!(
            "nothing is known of the load since {}, {:.1} days before this forecast: it is the \
             shape that the calendar gives, at the level of then; give a fresher load history",
            last.format("%FT%TZ"),
            age.num_minutes() as f64 / 1_440.0,
        )
    })
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone as _, Utc};
    use chrono_tz::Tz;
    use insta::assert_snapshot;

    use super::*;
    use crate::fixture::Calendar;
    use crate::forecast::{
        EventResponse, Fit as _, Forecaster, Horizon, Mstl, Predict as _, SeasonalNaive,
    };
    use crate::series::Series;
    use crate::series::faults::{Cause, Fault, Faults};

    fn day(days: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 1, 5, 0, 0, 0).unwrap() + TimeDelta::days(days)
    }

    /// Ten days of five-minute load.
    fn ten_days() -> Series {
        let values = (0..10 * DAY).map(|bin| 50.0 + (bin % DAY).abs_diff(DAY / 2) as f64);
        Series::from_raw(day(0), TimeDelta::minutes(5), values.collect())
    }

    fn refused<F: crate::forecast::Fit>(model: &F, known: Evidence<'_>, at: Timestamp) -> String {
        model.fit(known, at).err().unwrap().to_string()
    }

    #[test]
    fn a_history_that_ended_long_ago_is_said_to_be_old_not_short() {
        let (load, none) = (ten_days(), Calendar::default());
        let known = Evidence::new(&load, &none);
        assert_snapshot!(refused(&EventResponse::new(Tz::UTC), known, day(365)), @"too little history before 2027-01-05T00:00:00Z: 0.0 h with data, at least 24 h are needed; the last load known is of 2026-01-15T00:00:00Z, 355 days earlier, and only the last 120 days are learnt from; give a fresher load history or an earlier time, --at on the command line");
        assert!(refused(&SeasonalNaive::DAY, known, day(365)).contains("2026-01-15T00:00:00Z"));
        assert!(refused(&Mstl, known, day(365)).contains("2026-01-15T00:00:00Z"));
        let early = day(0) + TimeDelta::hours(20);
        assert_snapshot!(refused(&EventResponse::new(Tz::UTC), known, early), @"too little history before 2026-01-05T20:00:00Z: 20.0 h with data, at least 24 h are needed; give a longer load history or a later time");
    }

    #[test]
    fn faults_that_cover_the_history_are_named() {
        let (load, none) = (ten_days(), Calendar::default());
        let faults = Faults::new(vec![Fault {
            from: day(-1),
            to: day(20),
            cause: Cause::Outage,
        }]);
        let known = Evidence::new(&load, &none).with_faults(&faults);
        assert_snapshot!(refused(&EventResponse::new(Tz::UTC), known, day(10)), @"too little history before 2026-01-15T00:00:00Z: 0.0 h with data, at least 24 h are needed; declared faults cover 240.0 h of the load; shorten the faults (are their times right?) or give a longer load history");
    }

    #[test]
    fn a_forecast_from_old_load_says_since_when_nothing_is_known() {
        let (load, none) = (ten_days(), Calendar::default());
        let known = Evidence::new(&load, &none);
        let notes = |at: Timestamp| {
            let horizon = Horizon {
                origin: at,
                length: TimeDelta::hours(1),
                step: TimeDelta::minutes(5),
            };
            let fitted = Forecaster::new(Tz::UTC).fit(known, at).unwrap();
            fitted.predict(known, horizon).notes.join("\n")
        };
        let old = notes(day(14));
        let said = old
            .lines()
            .find(|line| line.starts_with("nothing is known"));
        assert_snapshot!(said.unwrap(), @"nothing is known of the load since 2026-01-15T00:00:00Z, 4.0 days before this forecast: it is the shape that the calendar gives, at the level of then; give a fresher load history");
        assert!(!notes(day(11)).contains("nothing is known"));
    }
}
