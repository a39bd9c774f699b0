//! The versions of a calendar over time: a replay must not read today's calendar.

use std::sync::Arc;

use chrono::{DurationRound as _, TimeDelta};

use crate::fixture::{Calendar, Fixture};
use crate::units::Timestamp;

/// Moments at which more of a fixture becomes known: its announcement, and its result.
fn changes(fixture: &Fixture) -> impl Iterator<Item = Timestamp> + use<> {
    let over = fixture.ended_at.unwrap_or_else(|| fixture.latest_end());
    let played = fixture.status.is_over() || fixture.status.is_live();
    [
        fixture.known_at,
        fixture.ended_at,
        played.then_some(over),
        played.then_some(fixture.latest_end()),
    ]
    .into_iter()
    .flatten()
}

/// Every version of the calendar that was current at some time in `[from, to)`, with the moment
/// it became known.
pub fn versions(
    calendar: &Calendar,
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Arc<Calendar>)> {
    let removed = calendar.tombstones().flat_map(|(id, stone)| {
        calendar
            .versions(id)
            .iter()
            .flat_map(changes)
            .chain(stone.at)
    });
    let mut moments: Vec<Timestamp> = calendar
        .all_versions()
        .flat_map(changes)
        .chain(removed)
        .filter(|&at| at > from && at < to)
        .chain([from])
        .collect();
    moments.sort_unstable();
    moments.dedup();
    let mut versions: Vec<(Timestamp, Arc<Calendar>)> = Vec::new();
    for at in moments {
        // results become visible at the moment or just after it, as `as_of` sees fit
        for at in [at, at + TimeDelta::milliseconds(1)] {
            let known = calendar.as_of(at);
            if versions.last().is_none_or(|(_, last)| **last != known) {
                versions.push((at, Arc::new(known)));
            }
        }
    }
    versions
}

/// The same versions cut to the fixtures around each day, as [`versions`] gives them: those that
/// start from `before` its midnight to `after` it. A season's calendar is mostly irrelevant to
/// any one decision, and a simulation makes a hundred thousand.
pub fn cut_to_days(
    versions: &[(Timestamp, Arc<Calendar>)],
    to: Timestamp,
    before: TimeDelta,
    after: TimeDelta,
) -> Vec<(Timestamp, Arc<Calendar>)> {
    const DAY: TimeDelta = TimeDelta::days(1);
    let mut cut = Vec::new();
    for (index, (known_from, calendar)) in versions.iter().enumerate() {
        let until = versions.get(index + 1).map_or(to, |(next, _)| *next);
        let mut at = *known_from;
        while at < until {
            let midnight = at.duration_trunc(DAY).unwrap_or(at);
            let near = calendar.starting_between(midnight - before, midnight + after);
            cut.push((at, Arc::new(near.into_iter().cloned().collect())));
            at = midnight + DAY;
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Status;

    fn hour(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::hours(i)
    }

    #[test]
    fn the_version_in_force_is_what_was_known_then() {
        let mut done = Fixture::game("done", "cup", hour(10));
        done.status = Status::Final;
        done.ended_at = Some(hour(13));
        let mut late = Fixture::game("late", "cup", hour(20));
        late.known_at = Some(hour(12));
        let calendar: Calendar = [done, late].into_iter().collect();

        let versions = versions(&calendar, hour(0), hour(40));
        assert!(versions.len() >= 3, "{versions:?}");
        for quarter in 0..160 {
            let at = hour(0) + TimeDelta::minutes(15 * quarter) + TimeDelta::seconds(1);
            let index = versions.partition_point(|(from, _)| *from <= at);
            assert_eq!(*versions[index - 1].1, calendar.as_of(at), "{at}");
        }
        let first = &versions[0].1;
        assert_eq!(first.len(), 1);
        assert_eq!(first.iter().next().unwrap().status, Status::Scheduled);
    }

    #[test]
    fn a_cut_calendar_holds_all_that_is_near() {
        let calendar: Calendar = (0..40)
            .map(|i| Fixture::game(format!("g{i}"), "cup", hour(7 * i)))
            .collect();
        let whole = versions(&calendar, hour(5), hour(250));
        let (before, after) = (TimeDelta::days(2), TimeDelta::days(3));
        let cut = cut_to_days(&whole, hour(250), before, after);
        assert_eq!(cut[0].0, hour(5));
        for i in 5..250 {
            let now = hour(i);
            let index = cut.partition_point(|(from, _)| *from <= now) - 1;
            // from two days before to a day after the end of the day
            let (from, to) = (now - TimeDelta::days(2), now + TimeDelta::days(2));
            let ids = |calendar: &Calendar| -> Vec<_> {
                let near = calendar.starting_between(from, to);
                near.into_iter().map(|fixture| fixture.id.clone()).collect()
            };
            let (a, b) = (ids(&calendar), ids(&cut[index].1));
            assert_eq!(a[1..], b[b.len() + 1 - a.len()..], "{now}");
        }
    }
}
