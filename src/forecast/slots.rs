//! Turns a calendar into slots: fixtures of one competition that move load together.
//!
//! Decides what of a calendar counts at an origin: fixtures not yet known are not there, ends not
//! yet reached are expected ends, fixtures that will not be played are dropped, and one whose
//! kick-off nobody knows is spread thinly over the hours in which it may begin. A crowd that has
//! come stays: a late postponement or delay keeps what had gathered (DOMAIN study, 4.3).

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveTime, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;

use super::features::WINDOW;
use super::prior::SportPrior;
use super::response::Anchors;
use crate::fixture::phase::{MAX_DELAY, NEWS_HOLD};
use crate::fixture::sport::is_knockout;
use crate::fixture::{Calendar, Fixture, FixtureId, Precision, Status};
use crate::units::Timestamp;

/// Local hours in which a fixture known by its day alone may begin.
const PLAUSIBLE: (u32, u32) = (11, 21);

/// A fixture that may not be needed counts this share of one that is certain.
const IF_NECESSARY: f64 = 0.5;

/// A fixture still on past its typical end is expected to end after this.
const STILL_ON: TimeDelta = TimeDelta::minutes(10);

/// A delayed fixture that has not begun is expected to begin after this.
const STILL_WAITING: TimeDelta = TimeDelta::minutes(20);

/// A change that becomes known this shortly before the start no longer turns the crowd away.
const TOO_LATE: TimeDelta = TimeDelta::hours(2);

/// How far outside a span fixtures may start and still be looked at.
const NEAR: TimeDelta = TimeDelta::days(2);

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
    /// How many fixtures, each counted by its importance relative to the largest.
    pub(crate) count: f64,
    /// Importance of the largest.
    pub(crate) importance: f64,
    /// Probability that it begins at this time; below one only when the time is not known.
    pub(crate) share: f64,
    /// Competition.
    pub(crate) competition: String,
    /// What is believed of its sport.
    pub(crate) prior: &'static SportPrior,
    /// The stage without its running number, when one is stated.
    pub(crate) stage: Option<String>,
    /// Day of the week and hour of the start on the audience's clock, Monday first.
    pub(crate) local: (u8, u8),
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
    /// Slots of one group exclude each other: the possible starts of a single fixture.
    pub(crate) group: usize,
}

/// Play beyond the regular end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extension {
    /// Chance that one of the fixtures runs over.
    pub(crate) chance: f64,
    /// How much later it then ends, seconds.
    pub(crate) seconds: i64,
    /// Share of the slot's crowd that stays for it.
    pub(crate) share: f64,
}

impl Slot {
    /// True when no moment from here on can be moved by it, nor any before its first.
    pub(crate) fn span(&self) -> (i64, i64) {
        let (first, last) = self.anchors.span();
        let last = last.max(self.last_end + WINDOW.1);
        (first, self.until.map_or(last, |until| last.min(until)))
    }

    /// As it looked before its end was known.
    pub(crate) fn as_expected(&self) -> Self {
        let mut slot = self.clone();
        slot.anchors.end = self.expected_end;
        slot.last_end = self.expected_end;
        slot
    }
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
    let mut together: BTreeMap<(i64, &str, bool, Option<i64>), Vec<Gathering<'_>>> =
        BTreeMap::new();
    let mut spread = Vec::new();
    for fixture in calendar.iter() {
        let known = fixture.known_at.is_none_or(|known| known <= origin);
        let near = fixture.start.at >= from && fixture.start.at < to;
        if !(known && near) {
            continue;
        }
        let gatherings = gatherings(calendar, fixture, origin);
        match fixture.start.precision {
            Precision::Exact | Precision::Approximate => {
                for gathering in gatherings {
                    let key = (
                        gathering.start.timestamp(),
                        fixture.competition.as_str(),
                        fixture.if_necessary,
                        gathering.until.map(|until| until.timestamp()),
                    );
                    together.entry(key).or_default().push(gathering);
                }
            }
            Precision::Date | Precision::Tbd if !fixture.status.is_off() => spread.push(fixture),
            Precision::Date | Precision::Tbd => {}
        }
    }
    let mut found: Vec<Slot> = together
        .values()
        .enumerate()
        .map(|(group, members)| slot(members, origin, zone, TimeDelta::zero(), 1.0, group))
        .collect();
    let timed = found.len();
    for (place, fixture) in spread.into_iter().enumerate() {
        let (from, to) = fixture.start.window.unwrap_or_else(|| {
            plausible_hours(fixture.start.at, fixture.start.zone.unwrap_or(zone))
        });
        let hours = (to - from).num_hours().clamp(0, 47);
        let share = 1.0 / (hours + 1) as f64;
        for hour in 0..=hours {
            let shift = from + TimeDelta::hours(hour) - fixture.start.at;
            let member = [Gathering::of(fixture)];
            found.push(slot(&member, origin, zone, shift, share, timed + place));
        }
    }
    found.sort_by(|a, b| (a.anchors.start, &a.fixtures).cmp(&(b.anchors.start, &b.fixtures)));
    found
}

/// One fixture and when its crowd comes: usually at its lock and start, but a crowd that came
/// for an earlier time is still there.
struct Gathering<'a> {
    fixture: &'a Fixture,
    lock: Timestamp,
    start: Timestamp,
    until: Option<Timestamp>,
}

impl<'a> Gathering<'a> {
    fn of(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            lock: fixture.lock(),
            start: fixture.start.at,
            until: None,
        }
    }
}

/// When the crowds of a fixture come, as it is known at `origin`.
fn gatherings<'a>(
    calendar: &'a Calendar,
    fixture: &'a Fixture,
    origin: Timestamp,
) -> Vec<Gathering<'a>> {
    let missed = broken_promise(calendar, fixture);
    if fixture.status.is_off() {
        // called off: nobody will come, but who had come wants to know and wants the money back
        return match (fixture.status, fixture.known_at) {
            (Status::Postponed | Status::Cancelled, Some(told))
                if told > fixture.start.at - TOO_LATE =>
            {
                let before = Gathering::of(missed.unwrap_or(fixture));
                let until = Some(told + NEWS_HOLD);
                vec![Gathering { until, ..before }]
            }
            _ => Vec::new(),
        };
    }
    let mut now = Gathering::of(fixture);
    if fixture.status == Status::Delayed && origin > now.start && origin < now.start + MAX_DELAY {
        now.start = origin + STILL_WAITING;
    }
    let Some(missed) = missed else {
        return vec![now];
    };
    if now.start <= missed.start.at + MAX_DELAY {
        // the same crowd waits
        now.lock = missed.lock().min(now.lock);
        return vec![now];
    }
    let told = fixture.known_at.unwrap_or(missed.start.at);
    let before = Gathering {
        until: Some(told + NEWS_HOLD),
        ..Gathering::of(missed)
    };
    vec![before, now]
}

/// The version of a fixture for which people came although it started later than it said: its
/// change became known too late.
fn broken_promise<'a>(calendar: &'a Calendar, fixture: &Fixture) -> Option<&'a Fixture> {
    let told = fixture.known_at?;
    calendar
        .versions(&fixture.id)
        .iter()
        .chain(
            fixture
                .supersedes
                .iter()
                .flat_map(|id| calendar.versions(id)),
        )
        .filter(|version| version.known_at.is_none_or(|known| known < told))
        .filter(|version| version.start.is_timed() && version.start.at < fixture.start.at)
        .rfind(|version| told > version.start.at - TOO_LATE)
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
    origin: Timestamp,
    zone: Tz,
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
    let fixtures = || members.iter().map(|member| member.fixture);
    let importance = fixtures().map(weight).fold(0.0, f64::max);
    let count = fixtures()
        .map(|f| {
            let certain = f
                .probability
                .unwrap_or(if f.if_necessary { IF_NECESSARY } else { 1.0 });
            weight(f) / importance * certain.clamp(0.05, 1.0)
        })
        .sum();
    let start = members.iter().map(|m| m.start).min().unwrap_or(origin) + shift;
    let lock = members.iter().map(|m| m.lock).min().unwrap_or(origin) + shift;
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
        names
            .map(|team| format!("{}/{team}", f.competition))
            .collect()
    };
    Slot {
        anchors: Anchors {
            lock: lock.min(start).timestamp(),
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
        importance,
        share,
        competition: fixtures()
            .next()
            .map_or_else(String::new, |f| f.competition.clone()),
        prior,
        stage: fixtures().find_map(|f| f.stage.as_deref()).map(stage_class),
        local: (
            local.weekday().num_days_from_monday() as u8,
            local.hour() as u8,
        ),
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
        group,
    }
}

/// The middle of some ends: as fixtures end one by one, so their crowd goes.
fn middle(ends: &[Timestamp]) -> Option<Timestamp> {
    let first = *ends.iter().min()?;
    let later: i64 = ends.iter().map(|end| (*end - first).num_seconds()).sum();
    Some(first + TimeDelta::seconds(later / ends.len() as i64))
}

/// The end of a fixture that has not ended: the typical one, or, when the feed vouched after the
/// start that play goes on past it, soon.
fn expected_end(fixture: &Fixture, start: Timestamp, origin: Timestamp) -> Timestamp {
    let typical = start + fixture.duration.typical;
    let limit = fixture.latest_end() + MAX_DELAY;
    if vouched_live(fixture) && origin < limit {
        typical.max(origin + STILL_ON)
    } else {
        typical
    }
}

/// True when the feed said after the start that it is being played.
fn vouched_live(fixture: &Fixture) -> bool {
    let vouched = fixture
        .known_at
        .is_some_and(|known| known > fixture.start.at);
    fixture.status.is_live() && vouched
}

/// What may follow the regular `end`, as long as nobody knows that it will not.
fn extension(
    members: &[Gathering<'_>],
    prior: &SportPrior,
    origin: Timestamp,
    end: Timestamp,
) -> Option<Extension> {
    let open = |member: &Gathering<'_>| -> Option<TimeDelta> {
        let fixture = member.fixture;
        let ended = fixture.ended_at.is_some_and(|at| at <= origin)
            || fixture.status.is_over() && fixture.known_at.is_some_and(|at| at <= origin);
        let most = fixture.may_extend.as_ref()?.at_most;
        let typical = member.start + fixture.duration.typical;
        (!ended && origin < typical + most).then_some(most)
    };
    let open: Vec<TimeDelta> = members.iter().filter_map(open).collect();
    let most = open.iter().copied().max()?;
    let usual = TimeDelta::seconds((prior.overtime.minutes * 60.0) as i64);
    let chance = prior.overtime.chance.clamp(0.0, 1.0);
    // on past its regular end: no longer a chance but the case, and the end moves as it is told
    let running_over = members.iter().any(|member| {
        let typical = member.start + member.fixture.duration.typical;
        vouched_live(member.fixture) && origin > typical + STILL_ON
    });
    if running_over || chance == 0.0 {
        return None;
    }
    let seconds = usual.min(most).num_seconds();
    (seconds > 0 && origin < end + most).then(|| Extension {
        chance: 1.0 - (1.0 - chance).powi(open.len() as i32),
        seconds,
        share: 1.0 / members.len().max(1) as f64,
    })
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
    fn a_slate_ends_in_the_middle_of_its_games_and_remembers_what_was_expected() {
        let mut early = Fixture::game("a", "cup", at(15));
        let mut late = Fixture::game("b", "cup", at(15));
        let typical = early.duration.typical;
        early.ended_at = Some(at(15) + typical + TimeDelta::minutes(10));
        late.ended_at = Some(at(15) + typical + TimeDelta::minutes(50));
        let expected = (at(15) + typical).timestamp();
        let both = vec![early, late];
        let before = &of(both.clone(), at(15))[0];
        assert_eq!(
            (before.anchors.end, before.expected_end),
            (expected, expected)
        );
        // one is over, the other is expected to end as usual until somebody says otherwise
        let between = &of(both.clone(), at(15) + typical + TimeDelta::minutes(20))[0];
        assert_eq!(between.anchors.end, expected + 5 * 60);
        let after = &of(both, at(24))[0];
        assert_eq!(after.anchors.end, expected + 30 * 60);
        assert_eq!(after.last_end, expected + 50 * 60);
        assert_eq!(after.as_expected().anchors.end, expected);
    }

    #[test]
    fn a_slate_is_not_over_before_its_last_game() {
        let mut slate: Vec<Fixture> = (0..16)
            .map(|i| {
                let mut game = Fixture::game(format!("g{i:02}"), "cup", at(12));
                game.ended_at = Some(at(12) + game.duration.typical);
                game
            })
            .collect();
        let end = at(12) + slate[0].duration.typical;
        slate[0].ended_at = Some(end + TimeDelta::hours(2));
        let slot = &of(slate, at(24))[0];
        assert!(slot.anchors.end < (end + TimeDelta::minutes(10)).timestamp());
        let late = end + TimeDelta::hours(2);
        assert!(slot.in_window(late.timestamp()));
        assert!(slot.span().1 > late.timestamp());
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

    fn told(hour: i64, change: impl FnOnce(&mut Fixture)) -> Vec<Fixture> {
        let first = Fixture::game("a", "cup", at(15));
        let mut later = first.clone();
        later.known_at = Some(at(hour));
        change(&mut later);
        vec![first, later]
    }

    fn of_versions(versions: Vec<Fixture>, origin: Timestamp) -> Vec<Slot> {
        let mut calendar = Calendar::default();
        for version in versions {
            calendar.insert(version);
        }
        slots(&calendar, origin, Tz::UTC, (at(0), at(24)))
    }

    #[test]
    fn a_crowd_that_has_come_waits_for_a_late_start() {
        // told an hour before: people are there, and the response pauses at the lock
        let late = of_versions(told(14, |f| f.start.at = at(17)), at(14));
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].anchors.lock, at(15).timestamp());
        assert_eq!(late[0].anchors.start, at(17).timestamp());
        // told the day before: nobody came for the old time
        let early = of_versions(told(-12, |f| f.start.at = at(17)), at(14));
        assert_eq!(early[0].anchors.lock, at(17).timestamp());
        // told late, but for another day: the crowd goes after an hour of news
        let moved = of_versions(told(14, |f| f.start.at = at(23)), at(14));
        assert_eq!(moved.len(), 2);
        assert_eq!(moved[0].until, Some((at(14) + NEWS_HOLD).timestamp()));
        assert_eq!(moved[1].until, None);
        // not begun at its time and no new one known
        let waiting = told(15, |f| f.status = Status::Delayed);
        let waiting = of_versions(waiting, at(15) + TimeDelta::minutes(40));
        assert_eq!(waiting[0].anchors.lock, at(15).timestamp());
        assert_eq!(waiting[0].anchors.start, at(16).timestamp());
    }

    #[test]
    fn called_off_late_it_still_holds_who_had_come_and_early_nobody() {
        let late = of_versions(told(14, |f| f.status = Status::Postponed), at(14));
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].until, Some((at(14) + NEWS_HOLD).timestamp()));
        assert!(late[0].span().1 <= (at(14) + NEWS_HOLD).timestamp());
        let early = of_versions(told(-12, |f| f.status = Status::Cancelled), at(14));
        assert!(early.is_empty());
    }

    #[test]
    fn extra_play_is_a_chance_until_the_end_is_known() {
        let mut cup = Fixture::game("a", "World Cup", at(15));
        cup.stage = Some("Quarter-final".into());
        cup.assume_sport();
        let extension = |fixture: &Fixture, origin| of(vec![fixture.clone()], origin)[0].extension;
        let chance = extension(&cup, at(14)).unwrap();
        assert!(chance.chance > 0.1 && chance.chance < 0.5 && chance.seconds >= 1_800);
        assert_eq!(chance.share, 1.0);
        let mut ended = cup.clone();
        ended.ended_at = Some(at(17));
        assert_eq!(extension(&ended, at(17)), None);
        assert!(extension(&ended, at(16)).is_some(), "not known yet");
        // the feed says it goes on: no longer a chance
        let mut on = cup.clone();
        on.status = Status::Live;
        on.known_at = Some(at(17));
        assert_eq!(extension(&on, at(17) + TimeDelta::minutes(5)), None);
        let mut group = cup.clone();
        group.stage = Some("Group A".into());
        group.assume_sport();
        assert_eq!(extension(&group, at(14)), None);
        // one of nine going on keeps a ninth of the crowd
        let nine = |i| Fixture {
            id: FixtureId(format!("n{i}")),
            ..cup.clone()
        };
        let slate = of((0..9).map(nine).collect(), at(14))[0].extension.unwrap();
        assert!(slate.chance > chance.chance && (slate.share - 1.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn stages_are_kinds_not_numbers() {
        assert_eq!(stage_class("Week 3"), stage_class("Week 4"));
        assert_eq!(stage_class("Group A"), stage_class("group B"));
        assert_ne!(stage_class("Round of 16"), stage_class("Round of 32"));
        assert_eq!(stage_class("Semi-finals"), "semi finals");
    }
}
