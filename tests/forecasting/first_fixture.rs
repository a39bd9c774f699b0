//! What is said of a fixture the like of which nobody has measured.

use chrono::TimeDelta;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::Quantile;

use crate::model::{days, forecast};
use crate::synthetic::load;

#[test]
fn a_first_fixture_ever_is_expected_above_the_quiet_level() {
    let quiet = load(28, &Calendar::default(), 0.05, 3);
    let kick = days(28) + TimeDelta::hours(18);
    let calendar: Calendar = [Fixture::game("opener", "cup", kick)].into_iter().collect();
    let with = forecast(&quiet, &calendar, days(28));
    let without = forecast(&quiet, &Calendar::default(), days(28));
    let ratio = |quantile, minutes| {
        let at = kick + TimeDelta::minutes(minutes);
        with.at(quantile, at).unwrap() / without.at(quantile, at).unwrap()
    };
    assert!(ratio(Quantile::P50, 60) > 1.7);
    assert!(ratio(Quantile::P99, 60) > 3.0);
    assert!((ratio(Quantile::P50, -600) - 1.0).abs() < 0.05);
    assert!(
        with.notes
            .iter()
            .any(|note| note.starts_with("no precedent")),
        "{:?}",
        with.notes
    );
    assert_eq!(with.peaks.len(), 1);
}

#[test]
fn what_a_first_fixture_may_bring_is_not_taken_back_as_it_nears() {
    let quiet = load(29, &Calendar::default(), 0.05, 3);
    let kick = days(28) + TimeDelta::hours(18);
    let calendar: Calendar = [Fixture::game("opener", "cup", kick)].into_iter().collect();
    let ready = |minutes: i64| {
        let forecast = forecast(&quiet, &calendar, kick - TimeDelta::minutes(minutes));
        let path = forecast.at(Quantile::P95, kick + TimeDelta::minutes(60));
        [
            path.unwrap().as_per_second(),
            forecast.peaks[0].quantiles[2],
        ]
    };
    let [path, peak] = ready(18 * 60);
    // nobody has come yet, so nobody has said how many will
    for minutes in [12 * 60, 6 * 60, 5 * 60, 4 * 60, 3 * 60, 120, 90, 70] {
        let [near, top] = ready(minutes);
        assert!(near > 0.85 * path, "{minutes}: {near} after {path}");
        assert!(top > 0.85 * peak, "{minutes}: {top} after {peak}");
    }
}

#[test]
fn a_peak_that_others_draw_is_the_same_in_every_window_it_lies_in() {
    let slate = (0..29).flat_map(|day| {
        (0..8).map(move |game| {
            let at = days(day) + TimeDelta::hours(18);
            Fixture::game(format!("{day}-{game}"), "league", at)
        })
    });
    let beside = days(28) + TimeDelta::minutes(18 * 60 + 40);
    let calendar: Calendar = slate.collect();
    let history = load(28, &calendar, 0.05, 3);
    let calendar: Calendar = (calendar.iter().cloned())
        .chain([Fixture::game("opener", "cup", beside)])
        .collect();
    let said = forecast(&history, &calendar, days(28) + TimeDelta::hours(12));
    let [slate, opener] = &said.peaks[..] else {
        panic!("{:?}", said.peaks);
    };
    assert_eq!((slate.at, slate.quantiles), (opener.at, opener.quantiles));
    assert!(slate.drawn_by.is_empty(), "{slate:?}");
    assert_eq!(opener.drawn_by.len(), 8, "{opener:?}");
    // but what is new is said of the new one
    assert_eq!(slate.novelty, None);
    assert!(opener.novelty.as_deref().unwrap().contains("first of cup"));
}
