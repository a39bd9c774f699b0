//! Histories as they are: games that were shed, days without a service, seasons that end and begin
//! again, stages nobody has played.

use chrono::TimeDelta;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::{Forecast, Quantile};
use tipoff::series::Series;
use tipoff::units::Timestamp;

use crate::model::{days, forecast};
use crate::synthetic::{calm, multiple};

/// Bins of five minutes in an hour and in a day.
const HOUR: i64 = 12;
const DAY: i64 = 24 * HOUR;

/// Games at six in the evening of some days, and what each brings relative to one of size 1.
fn games(sizes: &[(i64, f64, &str)]) -> (Calendar, Vec<(Timestamp, f64)>) {
    let kick = |day: i64| days(day) + TimeDelta::hours(18);
    let calendar = sizes
        .iter()
        .map(|&(day, _, stage)| {
            let mut game = Fixture::game(format!("day {day}"), "cup", kick(day));
            game.stage = (!stage.is_empty()).then(|| stage.to_owned());
            game
        })
        .collect();
    let sizes = sizes.iter().map(|&(day, size, _)| (kick(day), size));
    (calendar, sizes.collect())
}

/// Load wanted at a moment.
fn wanted(games: &[(Timestamp, f64)], at: Timestamp) -> f64 {
    let crowds = games.iter().map(|&(kick, size)| {
        let response = multiple((at - kick).num_seconds() as f64 / 60.0);
        1.0 + size * (response - 1.0)
    });
    calm(at) * crowds.fold(1.0, f64::max)
}

/// So many days of it as `served` lets it through by bin.
fn history(until: i64, games: &[(Timestamp, f64)], served: impl Fn(i64) -> f64) -> Series {
    let value = |bin: i64| {
        let at = days(0) + TimeDelta::minutes(5 * bin);
        let noise = (bin * 7_919 % 101 - 50) as f64 / 1_000.0;
        wanted(games, at) * noise.exp() * served(bin)
    };
    let values = (0..until * DAY).map(value).collect();
    Series::from_raw(days(0), TimeDelta::minutes(5), values)
}

/// The largest value of a quantile's path in the first day.
fn top(said: &Forecast, quantile: Quantile) -> f64 {
    let day = &said.path(quantile)[..DAY as usize];
    day.iter().copied().fold(0.0, f64::max)
}

/// The most wanted in the day after an origin.
fn most(games: &[(Timestamp, f64)], origin: Timestamp) -> f64 {
    let bins = (0..DAY).map(|bin| wanted(games, origin + TimeDelta::minutes(5 * bin)));
    bins.fold(0.0, f64::max)
}

fn is_new(said: &Forecast) -> bool {
    let mut notes = said.notes.iter();
    notes.any(|note| note.starts_with("no precedent"))
}

#[test]
fn a_game_that_was_shed_is_no_smaller_game() {
    let sizes: Vec<_> = (0..43).step_by(3).map(|day| (day, 1.0, "")).collect();
    let (calendar, crowds) = games(&sizes);
    let clean = forecast(&history(42, &crowds, |_| 1.0), &calendar, days(42));
    // of the last game a part was served, from four in the afternoon to eleven
    let shed = 39 * DAY + 16 * HOUR..39 * DAY + 23 * HOUR;
    for share in [0.02, 0.1, 0.3] {
        let served = |bin| if shed.contains(&bin) { share } else { 1.0 };
        let said = forecast(&history(42, &crowds, served), &calendar, days(42));
        for quantile in [Quantile::P50, Quantile::P95] {
            let ratio = top(&said, quantile) / top(&clean, quantile);
            assert!(
                (0.75..1.3).contains(&ratio),
                "{share} {quantile:?}: {ratio}"
            );
        }
        let peak = said.peaks[0].quantiles[2] / clean.peaks[0].quantiles[2];
        assert!((0.8..2.0).contains(&peak), "{share}: {peak}");
    }
}

#[test]
fn a_day_and_a_half_without_service_is_not_demand() {
    let sizes: Vec<_> = (0..46).step_by(3).map(|day| (day, 1.0, "")).collect();
    let (calendar, crowds) = games(&sizes);
    let off = 38 * DAY + 11 * HOUR..39 * DAY + 23 * HOUR;
    let served = |bin| if off.contains(&bin) { 0.0 } else { 1.0 };
    for origin in [40, 42, 45] {
        let at = days(origin);
        let clean = forecast(&history(origin, &crowds, |_| 1.0), &calendar, at);
        let said = forecast(&history(origin, &crowds, served), &calendar, at);
        for quantile in [Quantile::P50, Quantile::P95] {
            for (bin, (said, clean)) in (said.path(quantile).iter())
                .zip(clean.path(quantile))
                .enumerate()
            {
                let ratio = said / clean;
                assert!(
                    (0.8..1.3).contains(&ratio),
                    "{origin} {bin} {quantile:?}: {ratio}"
                );
            }
        }
    }
}

#[test]
fn an_opener_is_expected_as_the_season_before_ended() {
    for size in [0.4, 1.0, 3.0] {
        // a season of twelve weeks, three quarters of a year without, and the first game
        let season = (0..=84).step_by(4).map(|day| (day, size, ""));
        let sizes: Vec<_> = season.chain([(350, size, "")]).collect();
        let (calendar, crowds) = games(&sizes);
        let load = history(350, &crowds, |_| 1.0);
        let [last, opener] = [84, 350].map(|day| forecast(&load, &calendar, days(day)));
        let ratio = top(&opener, Quantile::P50) / top(&last, Quantile::P50);
        assert!((0.7..1.2).contains(&ratio), "{size}: {ratio}");
        let bound = top(&opener, Quantile::P95) / most(&crowds, days(350));
        assert!((1.0..2.5).contains(&bound), "{size}: {bound}");
        assert!(!is_new(&opener), "{:?}", opener.notes);
    }
}

#[test]
fn the_first_quarter_final_is_no_group_game() {
    let stage = |from: i64, to: i64, size, stage| (from..to).map(move |day| (day, size, stage));
    let before = stage(28, 40, 0.7, "group").chain(stage(41, 47, 1.8, "round of 16"));
    let before: Vec<_> = before.collect();
    let next = |stage| {
        let (calendar, crowds) = games(&[&before[..], &[(49, 2.4, stage)]].concat());
        let said = forecast(&history(49, &crowds, |_| 1.0), &calendar, days(49));
        (said, most(&crowds, days(49)))
    };
    let ((known, _), (said, truth)) = (next("round of 16"), next("quarter final"));
    assert!(top(&said, Quantile::P50) > 0.9 * top(&known, Quantile::P50));
    assert!(top(&said, Quantile::P95) > 0.8 * truth);
    assert!(top(&said, Quantile::P95) > 1.1 * top(&known, Quantile::P95));
    let note = "no precedent: the first quarter final of cup; answered as the stage before it";
    let told = |said: &Forecast| said.notes.iter().any(|said| said == note);
    assert!(told(&said), "{:?}", said.notes);
    assert!(!is_new(&known), "{:?}", known.notes);
}
