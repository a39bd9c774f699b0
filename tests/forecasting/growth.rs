//! A load that grows from week to week.

use chrono::{Datelike as _, TimeDelta, Weekday};
use tipoff::fixture::Calendar;
use tipoff::forecast::Quantile;
use tipoff::series::Series;

use crate::model::{days, forecast};

/// Days for which load grows.
const GROWN: i64 = 35;

/// Weeks with quiet weekends and a daily rhythm, in which load grows by so much of its logarithm a
/// week, and then no more.
fn growing(weekly: f64) -> Series {
    let bins_a_day = 288;
    let value = |bin: i64| {
        let day = bin as f64 / bins_a_day as f64;
        let weekend = matches!(
            days(bin / bins_a_day).weekday(),
            Weekday::Sat | Weekday::Sun
        );
        let log = 100_f64.ln() + weekly / 7.0 * day.min(GROWN as f64)
            - if weekend { 0.5 } else { 0.0 }
            + 0.8 * (day * std::f64::consts::TAU).sin();
        log.exp()
    };
    let values = (0..(GROWN + 14) * bins_a_day).map(value).collect();
    Series::from_raw(days(0), TimeDelta::minutes(5), values)
}

/// Mean of `ln(actual / median)` over the day that begins at an origin.
fn surprise(load: &Series, day: i64) -> f64 {
    let forecast = forecast(load, &Calendar::default(), days(day));
    let errors = (1..24).map(|hour| {
        let at = days(day) + TimeDelta::hours(hour);
        let [actual, said] =
            [load.at(at), forecast.at(Quantile::P50, at)].map(|rate| rate.unwrap().as_per_second());
        (actual / said).ln()
    });
    errors.sum::<f64>() / 23.0
}

#[test]
fn growth_is_not_put_down_to_the_day_of_the_week() {
    let load = growing(0.4);
    // by Saturday load has grown since last weekend, and by Monday since Friday
    for day in 21..GROWN {
        let error = surprise(&load, day);
        assert!(error.abs() < 0.1, "{}: {error:.3}", days(day).weekday());
    }
}

#[test]
fn growth_that_ends_is_not_believed_for_long() {
    let load = growing(0.4);
    for day in GROWN + 1..GROWN + 14 {
        let error = surprise(&load, day);
        let weekday = days(day).weekday();
        assert!(error.abs() < 0.16, "{weekday} {day}: {error:.3}");
    }
    assert!(surprise(&load, GROWN + 13).abs() < 0.05);
}
