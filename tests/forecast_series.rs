//! The forecaster on ordinary series without fixtures: it must not lose to seasonal-naive by
//! more than noise. Skips, with a line saying so, where the series are absent.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at once and say what it measured"
)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use tipoff::fixture::Calendar;
use tipoff::forecast::{
    EventResponse, Evidence, Fit, Forecast, Horizon, Predict, Quantile, SeasonalNaive,
};
use tipoff::series::Series;
use tipoff::units::Timestamp;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/series");

/// One column of a CSV whose times are taken as UTC; repeats keep the last.
fn series(file: &str, column: usize, minutes: i64, seconds: f64) -> Option<Series> {
    let path = Path::new(FOLDER).join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let rows: BTreeMap<NaiveDateTime, f64> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let at = fields[0].trim_end_matches('Z').parse().unwrap();
            Some((at, fields[column].parse::<f64>().ok()? / seconds))
        })
        .collect();
    let start = *rows.keys().next().unwrap();
    let mut values = Vec::new();
    for (at, value) in rows {
        let place = ((at - start).num_minutes() / minutes) as usize;
        if place >= values.len() {
            values.resize(place, f64::NAN);
            values.push(value);
        }
    }
    Some(Series::from_raw(
        start.and_utc(),
        TimeDelta::minutes(minutes),
        values,
    ))
}

/// Day-ahead WAPE of daily origins over the last `days`, and how much lies under the 95 % path.
fn day_ahead<M: Fit>(model: &M, series: &Series, days: i64) -> (f64, f64) {
    let calendar = Calendar::default();
    let (mut error, mut load, mut covered, mut points) = (0.0, 0.0, 0, 0);
    for day in (1..=days).rev() {
        let origin: Timestamp = series.end() - TimeDelta::days(day);
        let horizon = Horizon {
            origin,
            length: TimeDelta::days(1),
            step: series.step(),
        };
        let forecast: Forecast = model
            .fit(Evidence::new(series, &calendar), origin)
            .unwrap()
            .predict(Evidence::new(series, &calendar), horizon);
        for bin in 0..forecast.len() {
            let Some(actual) = series.at(forecast.time(bin)) else {
                continue;
            };
            let actual = actual.as_per_second();
            error += (forecast.path(Quantile::P50)[bin] - actual).abs();
            load += actual;
            covered += usize::from(actual <= forecast.path(Quantile::P95)[bin]);
            points += 1;
        }
    }
    (error / load, f64::from(covered as u32) / f64::from(points))
}

#[test]
fn ordinary_series_are_forecast_no_worse_than_seasonal_naive() {
    let mut all = Vec::new();
    for (name, file, column, minutes, seconds, days) in [
        (
            "load balancer",
            "nab_elb_request_count_5min.csv",
            1,
            5,
            300.0,
            7,
        ),
        ("taxi", "nab_nyc_taxi_30min.csv.gz", 1, 30, 1_800.0, 28),
        (
            "tweets AAPL",
            "nab_twitter_volume_5min.csv.gz",
            1,
            5,
            300.0,
            14,
        ),
        (
            "tweets AMZN",
            "nab_twitter_volume_5min.csv.gz",
            2,
            5,
            300.0,
            14,
        ),
        (
            "tweets UPS",
            "nab_twitter_volume_5min.csv.gz",
            10,
            5,
            300.0,
            14,
        ),
        ("NASA", "nasa1995_july_minute.csv.gz", 1, 1, 60.0, 14),
    ] {
        let Some(series) = series(file, column, minutes, seconds) else {
            return;
        };
        let (ours, covered) = day_ahead(&EventResponse::new(Tz::UTC), &series, days);
        let (yesterday, _) = day_ahead(&SeasonalNaive::DAY, &series, days);
        let (last_week, _) = day_ahead(&SeasonalNaive::WEEK, &series, days);
        println!(
            "{name:<14} WAPE {ours:.3}  naive day {yesterday:.3}  week {last_week:.3}  \
             c95 {covered:.3}"
        );
        all.push((name, ours, yesterday.min(last_week), covered));
    }
    for (name, ours, naive, covered) in all {
        assert!(ours <= 1.1 * naive, "{name}: {ours:.3} against {naive:.3}");
        assert!(covered >= 0.90, "{name}: {covered:.3}");
    }
}
