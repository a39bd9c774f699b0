//! Nothing after the origin may reach a forecast: each test overwrites the future with garbage
//! and demands the same bits.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

mod synthetic;

use chrono::TimeDelta;
use synthetic::{Season, horizon, start};
use tipoff::fixture::{Calendar, Fixture, Status};
use tipoff::forecast::{EventResponse, Evidence, Fit, Forecast, Predict, SeasonalNaive};
use tipoff::series::Series;
use tipoff::units::Timestamp;

const MODEL: EventResponse = EventResponse::new(chrono_tz::Tz::Europe__Paris);

fn forecast(series: &Series, calendar: &Calendar, origin: Timestamp) -> Forecast {
    MODEL
        .fit(Evidence::new(series, calendar), origin)
        .unwrap()
        .predict(Evidence::new(series, calendar), horizon(origin))
}

/// Everything at or after `origin` replaced; the bin that straddles it too.
fn poisoned(series: &Series, origin: Timestamp, garbage: f64) -> Series {
    let values = (0..series.len())
        .map(|bin| {
            if series.time(bin) + series.step() > origin {
                garbage * (1.0 + bin as f64)
            } else {
                series.raw()[bin]
            }
        })
        .collect();
    Series::from_raw(series.start(), series.step(), values)
}

fn bits(forecast: &Forecast) -> Vec<u64> {
    forecast
        .paths
        .iter()
        .flatten()
        .chain(forecast.peaks.iter().flat_map(|peak| &peak.quantiles))
        .map(|value| value.to_bits())
        .collect()
}

#[test]
fn garbage_load_after_the_origin_changes_nothing() {
    let season = Season::new(30);
    for origin in [
        start() + TimeDelta::days(21),
        // between two bins of the input
        start() + TimeDelta::days(21) + TimeDelta::minutes(722) + TimeDelta::seconds(30),
    ] {
        let clean = forecast(&season.series, &season.calendar, origin);
        let truncated = forecast(&season.series.before(origin), &season.calendar, origin);
        assert_eq!(clean, truncated);
        for garbage in [1e9, 0.0, -5.0, f64::NAN] {
            let poison = poisoned(&season.series, origin, garbage);
            let again = forecast(&poison, &season.calendar, origin);
            assert_eq!(bits(&clean), bits(&again), "{garbage}");
            assert_eq!(clean, again);
            for naive in [SeasonalNaive::DAY, SeasonalNaive::WEEK] {
                let said = |series: &Series| {
                    naive
                        .fit(Evidence::new(series, &season.calendar), origin)
                        .unwrap()
                        .predict(Evidence::new(series, &season.calendar), horizon(origin))
                };
                assert_eq!(said(&season.series), said(&poison));
            }
        }
    }
}

#[test]
fn a_later_forecast_from_an_earlier_fit_sees_only_its_own_past() {
    let season = Season::new(30);
    let fitted_at = start() + TimeDelta::days(21);
    let origin = fitted_at + TimeDelta::hours(17);
    let fitted = MODEL
        .fit(Evidence::new(&season.series, &season.calendar), fitted_at)
        .unwrap();
    let clean = fitted.predict(
        Evidence::new(&season.series, &season.calendar),
        horizon(origin),
    );
    let poison = poisoned(&season.series, origin, 1e9);
    assert_eq!(
        clean,
        fitted.predict(Evidence::new(&poison, &season.calendar), horizon(origin))
    );
    // and it does see what the fit could not
    let early = poisoned(&season.series, fitted_at, 1.0);
    assert_ne!(
        clean,
        fitted.predict(Evidence::new(&early, &season.calendar), horizon(origin))
    );
}

#[test]
fn fixtures_learnt_later_and_ends_not_yet_reached_change_nothing() {
    let season = Season::new(30);
    let origin = start() + TimeDelta::days(21) + TimeDelta::hours(12);
    let clean = forecast(&season.series, &season.calendar, origin);

    let mut edited = season.calendar.clone();
    for fixture in season.calendar.iter() {
        if fixture.start.at >= origin - TimeDelta::hours(1) {
            let mut later = fixture.clone();
            later.ended_at = Some(
                (later.start.at + TimeDelta::minutes(170)).max(origin + TimeDelta::minutes(1)),
            );
            edited.insert(later);
        }
    }
    for hour in 0..40 {
        let mut added = Fixture::game(
            format!("later-{hour}"),
            "surprise",
            origin + TimeDelta::hours(hour - 20),
        );
        added.known_at = Some(origin + TimeDelta::seconds(1));
        added.home = Some("unheard of".into());
        edited.insert(added);
    }
    assert_eq!(clean, forecast(&season.series, &edited, origin));
}

#[test]
fn a_fixture_called_off_leaves_the_forecast() {
    let season = Season::new(30);
    let origin = start() + TimeDelta::days(21);
    let next = season
        .calendar
        .starting_between(origin, origin + TimeDelta::days(2))[0]
        .clone();
    let during = next.start.at + TimeDelta::minutes(100);
    let mut without = season.calendar.clone();
    without.insert(Fixture {
        status: Status::Postponed,
        ..next
    });
    let with = forecast(&season.series, &season.calendar, origin);
    let without = forecast(&season.series, &without, origin);
    let median = |f: &Forecast| {
        f.at(tipoff::forecast::Quantile::P50, during)
            .unwrap()
            .as_per_second()
    };
    assert!(median(&with) > 1.5 * median(&without));
}

#[test]
fn the_same_inputs_give_the_same_bits() {
    let season = Season::new(25);
    let origin = start() + TimeDelta::days(24);
    assert_eq!(
        bits(&forecast(&season.series, &season.calendar, origin)),
        bits(&forecast(&season.series, &season.calendar, origin))
    );
}
