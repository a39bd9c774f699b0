//! The calendar as it was known at a moment.
//!
//! A file written after a season knows what nobody knew then: results, actual ends, fixtures that
//! were announced late. Here they are taken back.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::fixture::{Calendar, Fixture, Status};
use crate::units::Timestamp;

/// The fixture as it was known at `at`; `None` when it was not known at all.
fn fixture_as_of(fixture: &Fixture, at: Timestamp) -> Option<Fixture> {
    if fixture.known_at.is_some_and(|known| known > at) {
        return None;
    }
    let mut fixture = fixture.clone();
    if fixture.ended_at.is_some_and(|end| end > at) {
        fixture.ended_at = None;
    }
    let over_by = fixture.ended_at.unwrap_or_else(|| fixture.latest_end());
    if (fixture.status.is_over() || fixture.status.is_live()) && at < over_by {
        // what a feed said at some later time says nothing now
        fixture.status = Status::Scheduled;
    }
    Some(fixture)
}

/// The calendar as it was known at `at`.
pub fn as_of(calendar: &Calendar, at: Timestamp) -> Calendar {
    calendar
        .iter()
        .filter_map(|fixture| fixture_as_of(fixture, at))
        .collect()
}

/// Every version of the calendar that was current at some time in `[from, to)`, with the moment
/// it became known.
pub fn versions(
    calendar: &Calendar,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Arc<Calendar>)> {
    let mut changes: Vec<Timestamp> = calendar
        .iter()
        .flat_map(|fixture| {
            let over_by = fixture.ended_at.unwrap_or_else(|| fixture.latest_end());
            let over = (fixture.status.is_over() || fixture.status.is_live()).then_some(over_by);
            [fixture.known_at, fixture.ended_at, over]
        })
        .flatten()
        .filter(|&at| at > from && at < to)
        .chain([from])
        .collect();
    changes.sort_unstable();
    changes.dedup_by(|later, earlier| *later - *earlier < TimeDelta::milliseconds(1));
    changes
        .into_iter()
        .map(|at| (at, Arc::new(as_of(calendar, at))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::hours(i)
    }

    #[test]
    fn results_and_late_fixtures_are_not_known_early() {
        let mut done = Fixture::game("done", "cup", hour(10));
        done.status = Status::Final;
        done.ended_at = Some(hour(13));
        let mut late = Fixture::game("late", "cup", hour(20));
        late.known_at = Some(hour(12));
        let calendar: Calendar = [done, late].into_iter().collect();

        let early = as_of(&calendar, hour(11));
        assert_eq!(early.len(), 1);
        let seen = early.iter().next().unwrap();
        assert_eq!((seen.status, seen.ended_at), (Status::Scheduled, None));

        let after = as_of(&calendar, hour(13));
        assert_eq!(after, calendar);

        let versions = versions(&calendar, hour(0), hour(40));
        let times: Vec<Timestamp> = versions.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [hour(0), hour(12), hour(13)]);
    }
}
