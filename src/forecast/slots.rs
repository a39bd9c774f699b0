//! Turns a calendar into slots: fixtures that move load together.
//!
//! Decides what of a calendar counts at an origin: fixtures not yet known are not there, ends not
//! yet reached are expected ends, fixtures that will not be played are dropped, and one whose
//! kick-off nobody knows is spread thinly over the hours in which it may begin.

use std::collections::BTreeMap;

use chrono::{NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use super::response::Anchors;
use crate::fixture::phase::MAX_DELAY;
use crate::fixture::{Calendar, Fixture, FixtureId, Precision};
use crate::units::Timestamp;

/// Local hours in which a fixture known by its day alone may begin.
const PLAUSIBLE: (u32, u32) = (11, 21);

/// A fixture that may not be needed counts this share of one that is certain.
const IF_NECESSARY: f64 = 0.5;

/// A fixture still on past its typical end is expected to end after this.
const STILL_ON: TimeDelta = TimeDelta::minutes(10);

/// How far outside a span fixtures may start and still be looked at.
const NEAR: TimeDelta = TimeDelta::days(2);

/// Play shorter than this is a marker in a feed, not a duration.
const SHORTEST_PLAY: TimeDelta = TimeDelta::minutes(10);

/// Fixtures with one start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    /// When it begins, locks and ends.
    pub(crate) anchors: Anchors,
    /// How many fixtures, each counted by its importance relative to the largest.
    pub(crate) count: f64,
    /// Importance of the largest.
    pub(crate) importance: f64,
    /// Probability that it begins at this time; below one only when the time is not known.
    pub(crate) share: f64,
    /// Competitions, without repeats.
    pub(crate) competitions: Vec<String>,
    /// Competitors as `competition/name`, without repeats.
    pub(crate) teams: Vec<String>,
    /// The fixtures.
    pub(crate) fixtures: Vec<FixtureId>,
    /// Slots of one group exclude each other: the possible starts of a single fixture.
    pub(crate) group: usize,
}

/// The slots of the fixtures known at `origin` that start within two days of `[from, to)`, in
/// order of start. Two days are more than any response reaches.
pub(crate) fn slots(
    calendar: &Calendar,
    origin: Timestamp,
    zone: Tz,
    (from, to): (Timestamp, Timestamp),
) -> Vec<Slot> {
    let (from, to) = (from - NEAR, to + NEAR);
    let mut by_start: BTreeMap<(i64, bool), Vec<&Fixture>> = BTreeMap::new();
    let mut spread = Vec::new();
    for fixture in calendar.iter() {
        let known = fixture.known_at.is_none_or(|known| known <= origin);
        let near = fixture.start.at >= from && fixture.start.at < to;
        if !(known && near) || fixture.status.is_off() {
            continue;
        }
        match fixture.start.precision {
            Precision::Exact | Precision::Approximate => by_start
                .entry((fixture.start.at.timestamp(), fixture.if_necessary))
                .or_default()
                .push(fixture),
            Precision::Date | Precision::Tbd => spread.push(fixture),
        }
    }
    let mut found: Vec<Slot> = by_start
        .values()
        .enumerate()
        .map(|(group, members)| slot(members, origin, TimeDelta::zero(), 1.0, group))
        .collect();
    for (place, fixture) in spread.into_iter().enumerate() {
        let (from, to) = fixture.start.window.unwrap_or_else(|| {
            plausible_hours(fixture.start.at, fixture.start.zone.unwrap_or(zone))
        });
        let hours = (to - from).num_hours().clamp(0, 47);
        let share = 1.0 / (hours + 1) as f64;
        for hour in 0..=hours {
            let shift = from + TimeDelta::hours(hour) - fixture.start.at;
            let group = by_start.len() + place;
            found.push(slot(&[fixture], origin, shift, share, group));
        }
    }
    found.sort_by(|a, b| (a.anchors.start, &a.fixtures).cmp(&(b.anchors.start, &b.fixtures)));
    found
}

/// The hours of `day`, in its own zone, in which a fixture usually begins.
fn plausible_hours(day: Timestamp, zone: Tz) -> (Timestamp, Timestamp) {
    let date = day.with_timezone(&zone).date_naive();
    let at = |hour| {
        NaiveTime::from_hms_opt(hour, 0, 0)
            .and_then(|time| zone.from_local_datetime(&date.and_time(time)).earliest())
            .map_or(day + TimeDelta::hours(i64::from(hour)), |local| {
                local.to_utc()
            })
    };
    (at(PLAUSIBLE.0), at(PLAUSIBLE.1))
}

fn slot(
    members: &[&Fixture],
    origin: Timestamp,
    shift: TimeDelta,
    share: f64,
    group: usize,
) -> Slot {
    let weight = |fixture: &Fixture| {
        let value = fixture.weight_at(origin.min(fixture.start.at));
        if value.is_finite() && value > 0.0 {
            value
        } else {
            1.0
        }
    };
    let importance = members.iter().map(|f| weight(f)).fold(0.0, f64::max);
    let count = members
        .iter()
        .map(|f| weight(f) / importance * if f.if_necessary { IF_NECESSARY } else { 1.0 })
        .sum();
    let start = members.iter().map(|f| f.start.at).min().unwrap_or(origin) + shift;
    let lock = members.iter().map(|f| f.lock()).min().unwrap_or(origin) + shift;
    let end = members
        .iter()
        .map(|f| {
            let actual = f.ended_at.filter(|&end| end <= origin && end > f.start.at);
            actual.unwrap_or_else(|| expected_end(f, origin)) + shift
        })
        .max()
        .unwrap_or(start)
        .max(start + SHORTEST_PLAY);
    let mut competitions: Vec<String> = members.iter().map(|f| f.competition.clone()).collect();
    let mut teams: Vec<String> = members
        .iter()
        .flat_map(|f| {
            [&f.home, &f.away]
                .into_iter()
                .flatten()
                .map(|team| format!("{}/{team}", f.competition))
        })
        .collect();
    for names in [&mut competitions, &mut teams] {
        names.sort();
        names.dedup();
    }
    Slot {
        anchors: Anchors {
            lock: lock.min(start).timestamp(),
            start: start.timestamp(),
            end: end.timestamp(),
        },
        count,
        importance,
        share,
        competitions,
        teams,
        fixtures: members.iter().map(|f| f.id.clone()).collect(),
        group,
    }
}

/// The end of a fixture that has not ended: the typical one, or, when the feed vouched after the
/// start that play goes on past it, soon.
fn expected_end(fixture: &Fixture, origin: Timestamp) -> Timestamp {
    let typical = fixture.start.at + fixture.duration.typical;
    let vouched = fixture
        .known_at
        .is_some_and(|known| known > fixture.start.at);
    let limit = fixture.latest_end() + MAX_DELAY;
    if fixture.status.is_live() && vouched && origin < limit {
        typical.max(origin + STILL_ON)
    } else {
        typical
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Status;
    use chrono::Utc;

    fn at(hour: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2024, 3, 2, 0, 0, 0).unwrap() + TimeDelta::hours(hour)
    }

    fn of(fixtures: Vec<Fixture>, origin: Timestamp) -> Vec<Slot> {
        slots(
            &fixtures.into_iter().collect(),
            origin,
            Tz::UTC,
            (at(0), at(24)),
        )
    }

    #[test]
    fn one_start_is_one_slot_counted_by_relative_importance() {
        let mut big = Fixture::game("a", "cup", at(15));
        big.weight = Some(crate::fixture::Weight {
            value: 4.0,
            expires: None,
        });
        big.home = Some("x".into());
        let found = of(
            vec![
                big,
                Fixture::game("b", "cup", at(15)),
                Fixture::game("c", "cup", at(19)),
            ],
            at(0),
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].count, 1.25);
        assert_eq!(found[0].importance, 4.0);
        assert_eq!(found[0].teams, ["cup/x"]);
    }

    #[test]
    fn what_is_not_known_yet_is_not_there() {
        let mut later = Fixture::game("a", "cup", at(15));
        later.known_at = Some(at(5));
        assert!(of(vec![later.clone()], at(4)).is_empty());
        assert_eq!(of(vec![later], at(5)).len(), 1);

        let mut ended = Fixture::game("b", "cup", at(15));
        ended.ended_at = Some(at(18));
        assert_eq!(
            of(vec![ended.clone()], at(18))[0].anchors.end,
            at(18).timestamp()
        );
        let before = of(vec![ended], at(17))[0].anchors;
        assert_eq!(before.end - before.start, 110 * 60);

        let mut long = Fixture::game("c", "cup", at(15));
        long.status = Status::Live;
        long.known_at = Some(at(17));
        let end = of(vec![long], at(17))[0].anchors.end;
        assert_eq!(end, (at(17) + STILL_ON).timestamp());

        let mut off = Fixture::game("c", "cup", at(15));
        off.status = Status::Postponed;
        assert!(of(vec![off], at(0)).is_empty());
    }

    #[test]
    fn a_date_is_spread_over_the_hours_of_play_never_at_midnight() {
        let mut someday = Fixture::game("a", "cup", at(0));
        someday.start.precision = Precision::Date;
        let found = of(vec![someday], at(-48));
        assert_eq!(found.len(), 11);
        assert!((found.iter().map(|s| s.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.iter().all(|s| s.anchors.start >= at(11).timestamp()));
    }
}
