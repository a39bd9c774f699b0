//! What entries are read as, and what past slates teach.

use std::collections::BTreeMap;

use super::*;
use crate::entries::{Entries, SlateEntries};
use crate::fixture::{Calendar, Fixture};
use crate::forecast::slots::{Slot, slots};
use crate::forecast::{EventResponse, Evidence, Fit as _, Horizon, Predict as _};
use crate::series::Series;
use crate::units::Timestamp;
use chrono::{TimeDelta, TimeZone as _, Utc};

const SHARES: [(f64, f64); 4] = [(48.0, 0.05), (24.0, 0.1), (6.0, 0.5), (0.0, 1.0)];
const SPREADS: [(f64, f64); 3] = [(48.0, 0.4), (6.0, 0.2), (0.0, 0.0)];

fn lock() -> Timestamp {
    Utc.with_ymd_and_hms(2024, 9, 8, 17, 0, 0).unwrap()
}

fn slot(slate: Option<&str>) -> Slot {
    let mut game = Fixture::game("g", "nfl", lock());
    game.slate = slate.map(str::to_owned);
    let calendar: Calendar = [game].into_iter().collect();
    let around = (lock() - TimeDelta::days(1), lock() + TimeDelta::days(1));
    slots(
        &calendar,
        lock() - TimeDelta::days(1),
        chrono_tz::Tz::UTC,
        around,
    )
    .remove(0)
}

/// One entry a second in the last ten hours before the lock.
fn steady(rate: f64) -> Series {
    let from = lock() - TimeDelta::hours(10);
    Series::from_raw(from, TimeDelta::minutes(5), vec![rate; 120])
}

fn entries(slate: Option<&str>, rate: Series, spots: Vec<(Timestamp, f64)>) -> Entries {
    let mut entries = Entries::default();
    entries.insert(slate.map(str::to_owned), SlateEntries { rate, spots });
    entries
}

fn before(hours: i64) -> i64 {
    (lock() - TimeDelta::hours(hours)).timestamp()
}

/// Entries count since so many hours before the lock.
fn since(hours: i64) -> Opening {
    Opening {
        slates: vec![before(168)],
        nameless: before(hours),
    }
}

#[test]
fn a_slot_reads_its_slate_or_what_came_since_the_last_lock() {
    let named = entries(Some("main"), steady(1.0), Vec::new());
    let book = Book::new(&named);
    let reading = book
        .read(&slot(Some("main")), &since(168), before(4))
        .unwrap();
    assert_eq!((reading.so_far, reading.hours), (6.0 * 3_600.0, 4.0));
    assert_eq!(
        book.read(&slot(Some("late")), &since(168), before(4)),
        Err(Silence::Missing)
    );
    let nameless = entries(None, steady(1.0), Vec::new());
    let book = Book::new(&nameless);
    let reading = book
        .read(&slot(Some("late")), &since(7), before(4))
        .unwrap();
    assert_eq!(reading.so_far, 3.0 * 3_600.0);
}

#[test]
fn silence_has_its_reasons() {
    let early = entries(Some("main"), steady(1.0), Vec::new());
    let book = Book::new(&early);
    let ask = |book: &Book<'_>, hours| book.read(&slot(Some("main")), &since(168), before(hours));
    assert_eq!(ask(&book, 12), Err(Silence::Missing));
    // known up to eight hours before, asked six hours before
    let stale = early.before(lock() - TimeDelta::hours(8));
    assert_eq!(ask(&Book::new(&stale), 6), Err(Silence::Stale));
    let mut holes = steady(1.0).raw().to_vec();
    holes[5..60].fill(f64::NAN);
    let holes = Series::from_raw(lock() - TimeDelta::hours(10), TimeDelta::minutes(5), holes);
    let holes = entries(Some("main"), holes, Vec::new());
    assert_eq!(ask(&Book::new(&holes), 4), Err(Silence::Holes));
    let few = entries(Some("main"), steady(1e-4), Vec::new());
    assert_eq!(ask(&Book::new(&few), 4), Err(Silence::Few));
}

#[test]
fn a_full_slate_counts_as_it_stood_when_the_last_place_went() {
    let mut rate = steady(1.0).raw().to_vec();
    rate[60..].fill(0.0);
    let rate = Series::from_raw(lock() - TimeDelta::hours(10), TimeDelta::minutes(5), rate);
    let spots = vec![(lock() - TimeDelta::hours(10), 5.0 * 3_600.0)];
    let full = entries(Some("main"), rate, spots);
    let reading = Book::new(&full)
        .read(&slot(Some("main")), &since(168), before(1))
        .unwrap();
    assert!(reading.full);
    assert!((reading.hours - 5.0).abs() < 0.2, "{reading:?}");
}

fn any() -> KickOff {
    KickOff::of(&slot(None))
}

fn past(ln_final: f64, crowd: f64, curve: &Curve) -> PastSlot {
    PastSlot {
        ln_entries: curve.ln_share.map(|share| ln_final + share),
        full: false,
        kick_off: any(),
        crowd,
        ln_final,
    }
}

#[test]
fn a_slate_that_sells_faster_than_usual_draws_more_and_only_as_far_as_it_was_right() {
    let curve = Curve::declared(&SHARES, &SPREADS);
    let mut pace = Pace::new(curve);
    let reading = |times: f64| Reading {
        so_far: times * 50_000.0,
        hours: 6.0,
        full: false,
    };
    assert_eq!(
        pace.judge(any(), reading(1.0), 6.0, 3),
        Err(Silence::NoPast)
    );
    for _ in 0..6 {
        pace.learn(past(100_000.0_f64.ln(), 6.0, &curve));
    }
    let usual = pace.judge(any(), reading(1.0), 6.0, 3).unwrap();
    assert!(usual.innovation.abs() < 0.02, "{usual:?}");
    assert!((usual.usual - 50_000.0).abs() < 1_500.0);
    let fast = pace.judge(any(), reading(1.6), 6.0, 3).unwrap();
    assert!((fast.innovation - 1.6_f64.ln()).abs() < 0.02);
    assert!(fast.shift > 0.2 && fast.shift < fast.innovation);
    let slow = pace.judge(any(), reading(0.5), 6.0, 3).unwrap();
    assert!(slow.shift < -0.2);
    // a larger crowd by the calendar is no news when it sells in proportion
    let larger = pace
        .judge(any(), reading(1.6), 6.0 + 1.6_f64.ln(), 3)
        .unwrap();
    assert!(larger.innovation.abs() < 0.05, "{larger:?}");

    let mut wrong = pace.clone();
    for _ in 0..40 {
        pace.link(3, 0.5, 0.5);
        wrong.link(3, 0.5, 0.0);
    }
    let trusted = pace.judge(any(), reading(1.6), 6.0, 3).unwrap();
    let ignored = wrong.judge(any(), reading(1.6), 6.0, 3).unwrap();
    assert!(trusted.shift > fast.shift && ignored.shift < 0.1 * trusted.shift);
}

#[test]
fn full_is_at_least() {
    let curve = Curve::declared(&SHARES, &SPREADS);
    let mut pace = Pace::new(curve);
    pace.learn(past(100_000.0_f64.ln(), 6.0, &curve));
    let reading = Reading {
        so_far: 1_000.0,
        hours: 6.0,
        full: true,
    };
    assert_eq!(pace.judge(any(), reading, 6.0, 3).unwrap().shift, 0.0);
    let open = Reading {
        full: false,
        ..reading
    };
    assert!(pace.judge(any(), open, 6.0, 3).unwrap().shift < 0.0);
    // a full slate teaches what it was heading for, not what it was cut at
    let mut cut = past(50_000.0_f64.ln(), 6.0, &curve);
    cut.full = true;
    for point in &mut cut.ln_entries[8..] {
        *point = f64::NAN;
    }
    let mut pace = Pace::new(curve);
    pace.learn(cut);
    let expected = pace.finals.expected(any(), 6.0).unwrap();
    assert!((expected - 50_000.0_f64.ln()).abs() < 0.05, "{expected}");
}

#[test]
fn the_curve_is_the_prior_until_slates_say_otherwise() {
    let curve = Curve::declared(&SHARES, &SPREADS);
    let mut pace = Pace::new(curve);
    let (share, spread) = pace.usual(6.0);
    assert!((share.exp() - 0.5).abs() < 1e-9 && (spread - 0.2).abs() < 1e-9);
    assert_eq!(pace.usual(0.0), (0.0, 0.0));
    let late = Curve::declared(&[(48.0, 0.01), (6.0, 0.1), (0.0, 1.0)], &SPREADS);
    for _ in 0..20 {
        pace.learn(past(10.0, 5.0, &late));
    }
    assert!((pace.usual(6.0).0.exp() - 0.12).abs() < 0.02);
    pace.age(4_000.0);
    assert!((pace.usual(6.0).0.exp() - 0.5).abs() < 1e-6);
}

/// Seven weeks of games on Wednesday and Sunday evenings, their load, and entries that sell from
/// one lock to the next, under the name that each slate is given.
fn season(named: impl Fn(usize) -> Option<String>) -> (Series, Calendar, Entries) {
    let bin = |index: i64| lock() + TimeDelta::minutes(5 * index);
    let (days, first) = (49, -49 * 288);
    let locks: Vec<i64> = (0..16)
        .map(|game: i64| first + 288 * (game / 2 * 7 + game % 2 * 4))
        .collect();
    let size = |game: usize| 1.0 + 0.2 * ((game * 37 % 11) as f64 - 5.0) / 5.0;
    let calendar = locks.iter().enumerate().map(|(game, &lock)| {
        let mut fixture = Fixture::game(format!("g{game}"), "cup", bin(lock));
        fixture.slate = named(game);
        fixture
    });
    let calendar: Calendar = calendar.collect();
    let load = (0..days * 288).map(|index| {
        let now = first + index;
        let near = locks
            .iter()
            .position(|lock| (-12..24).contains(&(now - lock)));
        let noise = 1.0 + ((index * 7_919) % 101) as f64 / 2_000.0;
        noise * (100.0 + near.map_or(0.0, |game| 400.0 * size(game)))
    });
    let load = Series::from_raw(bin(first), TimeDelta::minutes(5), load.collect());
    let mut sold: BTreeMap<Option<String>, Vec<f64>> = BTreeMap::new();
    for index in 0..days * 288 {
        let now = first + index;
        let next = locks.partition_point(|&lock| lock <= now);
        for rate in sold.values_mut() {
            rate.push(0.0);
        }
        let rate = sold
            .entry(named(next))
            .or_insert_with(|| vec![0.0; index as usize + 1]);
        rate[index as usize] =
            (size(next) * 100.0 * (-(locks[next] - now) as f64 / 200.0).exp()).round();
    }
    let mut entries = Entries::default();
    for (slate, rate) in sold {
        let rate = Series::from_raw(bin(first), TimeDelta::minutes(5), rate);
        entries.insert(
            slate,
            SlateEntries {
                rate,
                spots: Vec::new(),
            },
        );
    }
    (load, calendar, entries)
}

/// The forecast of the last Sunday's game from four hours before, when the lock before it is more
/// than three days past.
fn sunday(named: impl Fn(usize) -> Option<String>) -> f64 {
    let (load, calendar, entries) = season(named);
    let origin = lock() - TimeDelta::days(3) - TimeDelta::hours(4);
    let known = Evidence::new(&load, &calendar).with_entries(&entries);
    let fitted = EventResponse::new(chrono_tz::Tz::UTC)
        .fit(known, origin)
        .unwrap();
    let horizon = Horizon {
        origin,
        length: TimeDelta::hours(12),
        step: TimeDelta::minutes(5),
    };
    fitted.predict(known, horizon).peaks[0].quantiles[0]
}

#[test]
fn entries_without_a_slate_count_from_the_lock_before_however_long_ago_it_was() {
    let with_slates = sunday(|game| Some(format!("slate {game}")));
    let without = sunday(|_| None);
    assert!(
        (without / with_slates - 1.0).abs() < 1e-6,
        "{without} {with_slates}"
    );
}

#[test]
fn a_slate_named_as_the_one_before_counts_from_that_one_s_lock() {
    let with_slates = sunday(|game| Some(format!("slate {game}")));
    let used_again = sunday(|_| Some("main".to_owned()));
    assert!(
        (used_again / with_slates - 1.0).abs() < 1e-6,
        "{used_again} {with_slates}"
    );
}

#[test]
fn locks_of_one_round_do_not_part_its_entries() {
    let at = |hours: i64| {
        let mut slot = slot(Some("main"));
        slot.anchors.lock += hours * 3_600;
        slot
    };
    let round = [at(-96), at(-90), at(0), at(4), at(11)];
    let hour = |opening: &Opening| (opening.slates[0] - lock().timestamp()) / 3_600;
    let found = opened(&round, &round);
    assert_eq!(
        found.iter().map(hour).collect::<Vec<_>>(),
        [-264, -258, -90, -90, -90]
    );
    assert_eq!(found[3].nameless, lock().timestamp());
}
