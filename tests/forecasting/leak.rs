//! Nothing after the origin may reach a forecast: each test overwrites the future with garbage
//! and demands the same bits.

use crate::synthetic::{Season, horizon, start};
use chrono::TimeDelta;
use tipoff::entries::{Entries, SlateEntries};
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

/// Entries for every fixture of a season: they rise towards the start, more for some than others.
fn sales(calendar: &Calendar) -> Entries {
    let mut entries = Entries::default();
    for (place, fixture) in calendar.iter().enumerate() {
        let opens = fixture.start.at - TimeDelta::hours(40);
        let crowd = 1.0 + (place % 5) as f64 / 4.0;
        let values = (0..40 * 12)
            .map(|bin| crowd * (-(f64::from(40 * 12 - bin) / 12.0) / 8.0).exp())
            .collect();
        entries.insert(
            Some(fixture.id.0.clone()),
            SlateEntries {
                rate: Series::from_raw(opens, TimeDelta::minutes(5), values),
                spots: vec![(opens, 1e9)],
            },
        );
    }
    entries
}

/// The season's fixtures, each a slate of its own.
fn slated(calendar: &Calendar) -> Calendar {
    calendar
        .iter()
        .cloned()
        .map(|mut fixture| {
            fixture.slate = Some(fixture.id.0.clone());
            fixture
        })
        .collect()
}

#[test]
fn garbage_entries_after_the_origin_change_nothing() {
    let season = Season::new(30);
    let calendar = slated(&season.calendar);
    let entries = sales(&calendar);
    // six hours before the lock of the fixture of that day
    let origin = start() + TimeDelta::days(21) + TimeDelta::hours(12);
    let said = |entries: &Entries| {
        let known = Evidence::new(&season.series, &calendar).with_entries(entries);
        MODEL
            .fit(known, origin)
            .unwrap()
            .predict(known, horizon(origin))
    };
    let clean = said(&entries);
    let silent = said(&Entries::default());
    assert_ne!(bits(&clean), bits(&silent), "entries say something");
    assert_eq!(clean, said(&entries.before(origin)));
    for garbage in [1e9, 0.0, f64::NAN] {
        let mut poisoned = Entries::default();
        for (slate, sold) in entries.iter() {
            let mut spots = sold.spots.clone();
            spots.push((origin + TimeDelta::seconds(1), 1.0));
            poisoned.insert(
                slate.map(str::to_owned),
                SlateEntries {
                    rate: self::poisoned(&sold.rate, origin, garbage),
                    spots,
                },
            );
        }
        let mut more = sales(&calendar);
        more.insert(
            Some("of the future".into()),
            SlateEntries {
                rate: Series::from_raw(origin, TimeDelta::minutes(5), vec![garbage; 100]),
                spots: Vec::new(),
            },
        );
        assert_eq!(clean, said(&poisoned), "{garbage}");
        assert_eq!(clean, said(&more), "{garbage}");
    }
}

#[test]
fn results_that_come_after_the_origin_change_nothing() {
    let season = Season::new(30);
    // in the middle of a game
    let origin = start() + TimeDelta::days(21) + TimeDelta::hours(19);
    let clean = forecast(&season.series, &season.calendar, origin);
    let mut told = Calendar::default();
    for fixture in season.calendar.iter() {
        told.insert(fixture.clone());
        if fixture.start.at + TimeDelta::minutes(100) > origin {
            let end = (fixture.start.at + TimeDelta::minutes(165)).max(origin);
            told.insert(Fixture {
                status: Status::Final,
                ended_at: Some(end + TimeDelta::minutes(1)),
                known_at: Some(end + TimeDelta::minutes(1)),
                ..fixture.clone()
            });
        }
    }
    assert_eq!(bits(&clean), bits(&forecast(&season.series, &told, origin)));
}

#[test]
fn revisions_of_the_calendar_count_from_when_they_are_known() {
    let season = Season::new(30);
    let origin = start() + TimeDelta::days(21) + TimeDelta::hours(12);
    let clean = forecast(&season.series, &season.calendar, origin);
    let revised = |known: TimeDelta| {
        let mut calendar = Calendar::default();
        for (place, fixture) in season.calendar.iter().enumerate() {
            calendar.insert(fixture.clone());
            if fixture.start.at < origin {
                continue;
            }
            let mut later = fixture.clone();
            later.known_at = Some(origin + known);
            match place % 3 {
                0 => later.status = Status::Postponed,
                1 => later.start.at += TimeDelta::hours(5),
                _ => later.home = Some("another".into()),
            }
            calendar.insert(later);
        }
        forecast(&season.series, &calendar, origin)
    };
    assert_eq!(bits(&clean), bits(&revised(TimeDelta::seconds(1))));
    assert_ne!(bits(&clean), bits(&revised(TimeDelta::seconds(-1))));
}
