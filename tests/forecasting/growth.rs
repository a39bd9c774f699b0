//! A load that grows from week to week.

use chrono::{Datelike as _, TimeDelta, Weekday};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tipoff::fixture::Calendar;
use tipoff::forecast::{Artefact, EventResponse, Evidence, Fit as _, Quantile};
use tipoff::series::Series;

use crate::model::{days, forecast};

/// Days for which load grows.
const GROWN: i64 = 35;

/// Five minutes in a day.
const BINS_A_DAY: i64 = 288;

/// Weeks with quiet weekends and a daily rhythm, in which load grows by so much of its logarithm a
/// week, and then no more.
fn growing(weekly: f64) -> Series {
    let value = |bin: i64| {
        let day = bin as f64 / BINS_A_DAY as f64;
        let weekend = matches!(
            days(bin / BINS_A_DAY).weekday(),
            Weekday::Sat | Weekday::Sun
        );
        let log = 100_f64.ln() + weekly / 7.0 * day.min(GROWN as f64)
            - if weekend { 0.5 } else { 0.0 }
            + 0.8 * (day * std::f64::consts::TAU).sin();
        log.exp()
    };
    let values = (0..(GROWN + 14) * BINS_A_DAY).map(value).collect();
    Series::from_raw(days(0), TimeDelta::minutes(5), values)
}

/// The same without what was seen on some days.
fn without(load: &Series, from: i64, to: i64) -> Series {
    let (from, to) = ((from * BINS_A_DAY) as usize, (to * BINS_A_DAY) as usize);
    let mut values = load.raw().to_vec();
    values[from..to].fill(f64::NAN);
    Series::from_raw(load.start(), load.step(), values)
}

/// Mean of `ln(actual / median)` over the day that begins at an origin.
fn surprise(known: &Series, actual: &Series, day: i64) -> f64 {
    let forecast = forecast(known, &Calendar::default(), days(day));
    let errors = (1..24).map(|hour| {
        let at = days(day) + TimeDelta::hours(hour);
        let [actual, said] = [actual.at(at), forecast.at(Quantile::P50, at)]
            .map(|rate| rate.unwrap().as_per_second());
        (actual / said).ln()
    });
    errors.sum::<f64>() / 23.0
}

#[test]
fn growth_is_not_put_down_to_the_day_of_the_week() {
    for weekly in [0.4, -0.4] {
        let load = growing(weekly);
        // by Saturday load has changed since last weekend, and by Monday since Friday
        for day in 21..GROWN {
            let error = surprise(&load, &load, day);
            let weekday = days(day).weekday();
            assert!(error.abs() < 0.1, "{weekly} {weekday}: {error:.3}");
        }
    }
}

#[test]
fn growth_that_ends_is_not_believed_for_long() {
    for weekly in [0.4, -0.4] {
        let load = growing(weekly);
        for day in GROWN + 1..GROWN + 14 {
            let error = surprise(&load, &load, day);
            let weekday = days(day).weekday();
            assert!(error.abs() < 0.16, "{weekly} {weekday} {day}: {error:.3}");
        }
        let week = (GROWN + 7..GROWN + 14).map(|day| surprise(&load, &load, day));
        let mean = week.sum::<f64>() / 7.0;
        assert!(mean.abs() < 0.04, "{weekly}: {mean:.3}");
    }
}

#[test]
fn growth_fades_where_load_is_not_known() {
    let (load, gap, day) = (growing(0.4), 20, 34);
    // fourteen days later load is .8 up; what was known can speak for two days of it at most
    let error = surprise(&without(&load, gap, day), &load, day);
    assert!((0.6..0.9).contains(&error), "{error:.3}");
}

#[test]
fn most_of_a_doubling_that_has_held_for_eight_hours_is_planned_for_tomorrow() {
    let mut random = StdRng::seed_from_u64(1);
    let mut load = growing(0.0);
    let doubled = GROWN * BINS_A_DAY - 8 * 12;
    let values = (load.raw().iter().enumerate()).map(|(bin, value)| {
        let noise = random.random_range(0.95..1.05);
        let more = if bin as i64 >= doubled { 2.0 } else { 1.0 };
        value * noise * more
    });
    load = Series::from_raw(load.start(), load.step(), values.collect());
    let error = surprise(&load, &load, GROWN);
    // of ln 2; when only the level of the whole day lasted it was .64
    assert!((0.0..0.3).contains(&error), "{error:.3}");
}

#[test]
fn one_regression_has_the_line() {
    let load = growing(0.4);
    let calendar = Calendar::default();
    let known = Evidence::new(&load, &calendar);
    let fitted = EventResponse::new(Tz::UTC).fit(known, days(GROWN)).unwrap();
    let artefact = Artefact::new(fitted, known, None).unwrap();
    let mut lines = artefact.terms.iter().filter(|t| t.name.contains("growth"));
    let line = lines.next().unwrap();
    assert!(lines.next().is_none());
    assert!((line.value - 0.4).abs() < 0.05, "{line:?}");
    assert_eq!(artefact.growth_a_week(), line.value.exp());
    let free = line.values.iter().filter(|value| value.abs() > 1e-6);
    assert_eq!(free.count(), 1, "{line:?}");
}

#[test]
fn a_step_that_lasts_is_the_level_of_all_days_to_come() {
    // a Tuesday morning
    let step = 29 * BINS_A_DAY + 9 * 12;
    assert_eq!(days(29).weekday(), Weekday::Tue);
    for multiple in [2.5, 0.4] {
        let plain = growing(0.0);
        let stepped = (plain.raw().iter().enumerate()).map(|(bin, load)| {
            if (bin as i64) < step {
                *load
            } else {
                multiple * load
            }
        });
        let load = Series::from_raw(plain.start(), plain.step(), stepped.collect());
        // from the second midnight after it: the weekend, too, and the Monday after
        for day in 31..38 {
            let missed = surprise(&load, &load, day);
            assert!(missed.abs() < 0.08, "x{multiple}, day {day}: {missed}");
        }
    }
}
