//! What of a calendar makes a slot, when it ends, and whose crowd is still there.

use super::ends::STILL_ON;
use super::*;
use crate::fixture::phase::NEWS_HOLD;
use crate::fixture::{Lock, Precision, Status};
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
fn one_start_is_one_slot() {
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
    assert_eq!(found[0].count, 2.0);
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

#[test]
fn play_of_days_is_in_sight_until_it_is_over() {
    let lasting = |hours: i64| {
        let mut play = Fixture::game("a", "cup", at(-96));
        play.duration.typical = TimeDelta::hours(hours);
        play.duration.long = TimeDelta::hours(hours);
        play
    };
    let found = of(vec![lasting(104)], at(2));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].last_end, at(8).timestamp());
    assert!(found[0].in_window(at(2).timestamp()));
    // of what was over days ago nothing is left
    assert!(of(vec![lasting(3)], at(2)).is_empty());
    // an end that came later than planned keeps it in sight
    let mut late = lasting(3);
    late.ended_at = Some(at(1));
    assert_eq!(of(vec![late], at(2))[0].last_end, at(1).timestamp());
}

#[test]
fn a_window_of_days_is_spread_to_its_end() {
    let within = |hours: i64| {
        let mut someday = Fixture::game("a", "cup", at(0));
        someday.start.precision = Precision::Tbd;
        someday.start.window = Some((at(0), at(hours)));
        of(vec![someday], at(-48))
    };
    let hourly = within(47);
    assert_eq!(hourly.len(), 48);
    assert!(
        hourly
            .windows(2)
            .all(|two| two[1].anchors.start - two[0].anchors.start == 3_600)
    );
    let days = within(120);
    assert_eq!(days.len(), 48);
    assert_eq!(days[0].anchors.start, at(0).timestamp());
    assert!((days[47].anchors.start - at(120).timestamp()).abs() < 60);
    assert!((days.iter().map(|slot| slot.share).sum::<f64>() - 1.0).abs() < 1e-12);
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
    // and what is added on the day, as a stage or a result, does not make it late
    let mut completed = told(-12, |f| f.start.at = at(17));
    let mut last = completed[completed.len() - 1].clone();
    last.known_at = Some(at(16));
    last.stage = Some("final".to_owned());
    completed.push(last);
    let early = of_versions(completed, at(16));
    assert_eq!(early.len(), 1);
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
fn a_crowd_comes_for_a_start_hours_after_the_lock_and_waits_for_a_delayed_one() {
    let lock_at = |hour: i64| {
        move |f: &mut Fixture| {
            f.locks = vec![Lock {
                name: "slate".to_owned(),
                at: at(hour),
            }];
        }
    };
    let mut early = Fixture::game("a", "cup", at(15));
    lock_at(12)(&mut early);
    let planned = of(vec![early], at(6));
    assert_eq!(planned[0].anchors.lock, at(12).timestamp());
    assert_eq!(planned[0].anchors.gathers, at(15).timestamp());
    // it locked at its start, and rain holds it up for three hours: who came is still there
    for status in [Status::Delayed, Status::Scheduled] {
        let late = told(15, |f| {
            f.status = status;
            f.start.at = at(18);
            lock_at(15)(f);
        });
        let late = of_versions(late, at(16));
        assert_eq!(late[0].anchors.start, at(18).timestamp());
        assert_eq!(late[0].anchors.gathers, at(15).timestamp());
    }
    // and while no new time is known
    let waiting = told(15, |f| f.status = Status::Delayed);
    let waiting = of_versions(waiting, at(15) + TimeDelta::minutes(170));
    assert_eq!(waiting[0].anchors.gathers, at(15).timestamp());
}

#[test]
fn called_off_late_it_still_holds_who_had_come_and_early_nobody() {
    let late = of_versions(told(14, |f| f.status = Status::Postponed), at(14));
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].until, Some((at(14) + NEWS_HOLD).timestamp()));
    assert!(late[0].span().1 <= (at(14) + NEWS_HOLD).timestamp());
    let early = of_versions(told(-12, |f| f.status = Status::Cancelled), at(14));
    assert!(early.is_empty());
    // with its new day already named, people have come for the old one all the same
    let moved = |hour| {
        told(hour, |f| {
            f.status = Status::Postponed;
            f.start.at = at(15) + TimeDelta::days(7);
        })
    };
    let late = of_versions(moved(14), at(14));
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].anchors.start, at(15).timestamp());
    assert_eq!(late[0].until, Some((at(14) + NEWS_HOLD).timestamp()));
    assert!(of_versions(moved(-12), at(14)).is_empty());
    // and called off in time nobody comes, though the new day is named in the evening
    let mut named = told(-12, |f| f.status = Status::Postponed);
    let mut last = named[0].clone();
    last.known_at = Some(at(16));
    last.start.at = at(15) + TimeDelta::days(7);
    named.push(last);
    assert!(of_versions(named, at(17)).is_empty());
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
