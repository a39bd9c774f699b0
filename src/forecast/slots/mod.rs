//! Turns a calendar into slots: fixtures of one competition that move load together.
//!
//! Decides what of a calendar counts at an origin: fixtures not yet known are not there, ends not
//! yet reached are expected ends, fixtures that will not be played are dropped, and one whose
//! kick-off nobody knows is spread thinly over the hours in which it may begin. A crowd that has
//! come stays: a late postponement or delay keeps what had gathered (DOMAIN study, 4.3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveTime, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;

use super::features::WINDOW;
use super::prior::SportPrior;
use super::response::Anchors;
use crate::fixture::phase::MAX_DELAY;
use crate::fixture::sport::is_knockout;
use crate::fixture::{Calendar, Fixture, FixtureId};
use crate::units::Timestamp;
use ends::{expected_end, extension, middle};
use gathering::{Gathering, gatherings, said};
use weights::{Counted, Ordinary};

mod ends;
mod gathering;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use ends::Extension;

/// Local hours in which a fixture known by its day alone may begin.
const PLAUSIBLE: (u32, u32) = (11, 21);

/// A fixture whose time is not known is spread over no more starts than this, two days of hours.
const MOST_STARTS: i64 = 48;

/// How far outside a span fixtures may start and still be looked at.
const NEAR: TimeDelta = TimeDelta::days(2);

/// One that began earlier is looked at for so long after its end: its response and the day and
/// nights that its play makes a match day are over by then.
const AFTERMATH: TimeDelta = TimeDelta::hours(34);

/// Play shorter than this is a marker in a feed, not a duration.
const SHORTEST_PLAY: TimeDelta = TimeDelta::minutes(10);

/// Fixtures of one competition with one start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot {
    /// When it begins, locks and ends.
    pub(crate) anchors: Anchors,
    /// When it was expected to end before anybody knew, seconds since the epoch.
    pub(crate) expected_end: i64,
    /// When the last of its fixtures ends, as far as is known: until then it is not over.
    pub(crate) last_end: i64,
    /// How many ordinary fixtures its fixtures count for.
    pub(crate) count: f64,
    /// Steps of importance they are above ordinary ones.
    pub(crate) steps: f64,
    /// Weight of the greatest.
    pub(crate) importance: f64,
    /// Probability that it begins at this time; below one only when the time is not known.
    pub(crate) share: f64,
    /// Competition, whatever its season.
    pub(crate) competition: String,
    /// What is believed of its sport.
    pub(crate) prior: &'static SportPrior,
    /// The stage without its running number, when one is stated.
    pub(crate) stage: Option<String>,
    /// Day of the week and hour of the start on the audience's clock, Monday first.
    pub(crate) local: (u8, u8),
    /// Date of the start on the audience's clock, days of the common era.
    pub(crate) date: i32,
    /// Competitors as `competition/name`, without repeats.
    pub(crate) teams: Vec<String>,
    /// Pairs of competitors, each in order, without repeats.
    pub(crate) pairings: Vec<String>,
    /// Slates the fixtures belong to, without repeats.
    pub(crate) slates: Vec<String>,
    /// The fixtures.
    pub(crate) fixtures: Vec<FixtureId>,
    /// Play that may follow the regular end, while nobody knows whether it will.
    pub(crate) extension: Option<Extension>,
    /// From here on it moves load no more: it was called off after the crowd had come.
    pub(crate) until: Option<i64>,
    /// When it became known that it begins when it does, seconds since the epoch; `None` when that
    /// was never news.
    pub(crate) told: Option<i64>,
    /// Slots of one group exclude each other: the possible starts of a single fixture.
    pub(crate) group: usize,
}

impl Slot {
    /// True when no moment from here on can be moved by it, nor any before its first.
    pub(crate) fn span(&self) -> (i64, i64) {
        let (first, last) = self.anchors.span();
        let last = last.max(self.last_end + WINDOW.1);
        (first, self.until.map_or(last, |until| last.min(until)))
    }

    /// The same if nobody came: its day is a match day all the same.
    pub(crate) fn without_crowd(&self) -> Self {
        Self {
            count: 0.0,
            ..self.clone()
        }
    }

    /// As it looked before its end was known.
    pub(crate) fn as_expected(&self) -> Self {
        let mut slot = self.clone();
        slot.anchors.end = self.expected_end;
        slot.last_end = self.expected_end;
        slot
    }
}

/// What the fixtures of one slot have in common: start, competition, whether they are played only if
/// necessary, and until when a crowd whose game was called off stays.
type Together<'f> = (i64, Cow<'f, str>, bool, Option<i64>);

/// The slots of the fixtures known at `origin` that start within two days of `[from, to)`, or
/// may still be on or just over then, in order of start.
pub(crate) fn slots(
    calendar: &Calendar,
    origin: Timestamp,
    zone: Tz,
    (from, to): (Timestamp, Timestamp),
) -> Vec<Slot> {
    let mut together: BTreeMap<Together<'_>, Vec<Gathering<'_>>> = BTreeMap::new();
    let mut spread = Vec::new();
    for fixture in calendar.iter() {
        let known = fixture.known_at.is_none_or(|known| known <= origin);
        let near_now = near(fixture, from, to);
        // moved far away it is still where people had come for it
        let was_near =
            || fixture.known_at.is_some() && said(calendar, fixture).any(|f| near(f, from, to));
        if !(known && (near_now || was_near())) {
            continue;
        }
        let timed = fixture.start.is_timed();
        for gathering in gatherings(calendar, fixture, origin) {
            let missed = gathering.until.is_some() && gathering.fixture.start.is_timed();
            if !(missed || timed && near_now) {
                continue;
            }
            let key = (
                gathering.start.timestamp(),
                fixture.league(),
                fixture.if_necessary,
                gathering.until.map(|until| until.timestamp()),
            );
            together.entry(key).or_default().push(gathering);
        }
        if near_now && !timed && !fixture.status.is_off() {
            spread.push(fixture);
        }
    }
    let ordinary = Ordinary::of(calendar, origin);
    let mut found: Vec<Slot> = together
        .values()
        .enumerate()
        .map(|(group, members)| {
            slot(
                members,
                &ordinary,
                origin,
                zone,
                TimeDelta::zero(),
                1.0,
                group,
            )
        })
        .collect();
    let timed = found.len();
    for (place, fixture) in spread.into_iter().enumerate() {
        let (from, to) = fixture.start.window.unwrap_or_else(|| {
            plausible_hours(fixture.start.at, fixture.start.zone.unwrap_or(zone))
        });
        // every hour, or further apart when that would be too many
        let hours = (to - from).num_hours().max(0);
        let steps = hours.min(MOST_STARTS - 1);
        let step = if hours > steps {
            (to - from) / steps as i32
        } else {
            TimeDelta::hours(1)
        };
        let share = 1.0 / (steps + 1) as f64;
        for start in 0..=steps {
            let shift = from + step * start as i32 - fixture.start.at;
            let member = [Gathering::of(fixture)];
            found.push(slot(
                &member,
                &ordinary,
                origin,
                zone,
                shift,
                share,
                timed + place,
            ));
        }
    }
    found.sort_by(|a, b| (a.anchors.start, &a.fixtures).cmp(&(b.anchors.start, &b.fixtures)));
    found
}

/// True when a fixture may move load in `[from, to)`: also one whose play began days before, or
/// may begin days from when it is listed.
fn near(fixture: &Fixture, from: Timestamp, to: Timestamp) -> bool {
    let start = fixture.start.at;
    let earliest = match fixture.start.window {
        Some((earliest, _)) if !fixture.start.is_timed() => earliest.min(start),
        _ => start,
    };
    if earliest >= to + NEAR {
        return false;
    }
    // an end that is known may lie after the origin, where it must not say anything
    let planned = fixture.start.latest() + fixture.duration.long.max(fixture.duration.typical);
    let extra = fixture
        .may_extend
        .as_ref()
        .map_or(TimeDelta::zero(), |extra| extra.at_most);
    let end = (planned + extra).max(fixture.latest_end()) + MAX_DELAY;
    start >= from - NEAR || end + AFTERMATH > from
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
    members: &[Gathering<'_>],
    ordinary: &Ordinary<'_>,
    origin: Timestamp,
    zone: Tz,
    shift: TimeDelta,
    share: f64,
    group: usize,
) -> Slot {
    let fixtures = || members.iter().map(|member| member.fixture);
    let Counted {
        count,
        steps,
        importance,
    } = ordinary.count(fixtures(), origin);
    let start = members.iter().map(|m| m.start).min().unwrap_or(origin) + shift;
    let lock = members.iter().map(|m| m.lock).min().unwrap_or(origin) + shift;
    let gathers = members.iter().map(|m| m.gathers).min().unwrap_or(origin) + shift;
    let ends: Vec<Timestamp> = members
        .iter()
        .map(|m| {
            let f = m.fixture;
            let actual = f.ended_at.filter(|&end| end <= origin && end > m.start);
            actual.unwrap_or_else(|| expected_end(f, m.start, origin)) + shift
        })
        .collect();
    let end = middle(&ends).unwrap_or(start).max(start + SHORTEST_PLAY);
    let expected: Vec<Timestamp> = members
        .iter()
        .map(|m| m.start + m.fixture.duration.typical + shift)
        .collect();
    let expected_end = middle(&expected)
        .unwrap_or(start)
        .max(start + SHORTEST_PLAY);
    let sport = fixtures().find_map(|f| f.sport.as_deref());
    let prior = SportPrior::of(sport);
    let local = start.with_timezone(&zone);
    let unique = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.dedup();
        names
    };
    let sides = |f: &Fixture| -> Vec<String> {
        let names = [&f.home, &f.away].into_iter().flatten();
        names.map(|team| format!("{}/{team}", f.league())).collect()
    };
    Slot {
        anchors: Anchors {
            lock: lock.min(start).timestamp(),
            gathers: gathers.min(start).timestamp(),
            start: start.timestamp(),
            end: end.timestamp(),
        },
        expected_end: expected_end.timestamp(),
        last_end: ends
            .iter()
            .max()
            .map_or(end, |last| end.max(*last))
            .timestamp(),
        count,
        steps,
        importance,
        share,
        competition: fixtures()
            .next()
            .map_or_else(String::new, |f| f.league().into_owned()),
        prior,
        stage: fixtures().find_map(|f| f.stage.as_deref()).map(stage_class),
        local: (
            local.weekday().num_days_from_monday() as u8,
            local.hour() as u8,
        ),
        date: local.date_naive().num_days_from_ce(),
        teams: unique(&mut fixtures().flat_map(sides)),
        pairings: unique(&mut fixtures().filter_map(|f| {
            let mut sides = sides(f);
            sides.sort();
            (sides.len() == 2).then(|| sides.join(" v "))
        })),
        slates: unique(&mut fixtures().filter_map(|f| f.slate.clone())),
        fixtures: fixtures().map(|f| f.id.clone()).collect(),
        extension: extension(members, prior, origin, end),
        until: members
            .iter()
            .filter_map(|m| m.until)
            .max()
            .map(|at| at.timestamp()),
        told: members
            .iter()
            .map(|m| m.told)
            .min()
            .flatten()
            .map(|at| at.timestamp()),
        group,
    }
}

/// A stage without what only numbers it: `Week 3` and `Week 4` are one kind of stage, a final is
/// another, a round of 16 is not one of 32.
fn stage_class(stage: &str) -> String {
    let words = stage.to_lowercase();
    let words = words
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    if is_knockout(stage) {
        return words.collect::<Vec<_>>().join(" ");
    }
    words
        .filter(|word| word.len() > 1 && !word.chars().any(|c| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join(" ")
}
