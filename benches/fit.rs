//! How long a fit and a forecast take on eight weeks of five-minute load, and what they allocate.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark may stop at once"
)]

use chrono::TimeDelta;
use divan::{AllocProfiler, Bencher, black_box};
use tipoff::fixture::Calendar;
use tipoff::forecast::{
    EventResponse, Evidence, Fit, Forecast, Horizon, Mstl, Predict, SeasonalNaive,
};
use tipoff::series::Series;
use tipoff::simulate::yardstick::{Size, yardstick};
use tipoff::units::Timestamp;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Load and fixtures, fifteen a week.
fn season(weeks: u32) -> (Series, Calendar) {
    sized(weeks, 48, 15 * weeks)
}

fn sized(weeks: u32, hours_ahead: u32, fixtures: u32) -> (Series, Calendar) {
    yardstick(Size {
        weeks,
        hours_ahead,
        fixtures,
        seed: 0,
    })
}

fn fit_then_predict(load: &Series, calendar: &Calendar, hours: i64) -> Forecast {
    let known = Evidence::new(black_box(load), calendar);
    let model = EventResponse::new(chrono_tz::Tz::America__New_York);
    let horizon = Horizon {
        length: TimeDelta::hours(hours),
        ..two_days(load.end())
    };
    model
        .fit(known, load.end())
        .unwrap()
        .predict(known, horizon)
}

fn two_days(origin: Timestamp) -> Horizon {
    Horizon {
        origin,
        length: TimeDelta::hours(48),
        step: TimeDelta::minutes(5),
    }
}

/// Fit and 48 hours ahead, by weeks of history.
#[divan::bench(args = [1, 4, 8, 16])]
fn fit_and_predict(bencher: Bencher<'_, '_>, weeks: u32) {
    let (load, calendar) = season(weeks);
    bencher.bench_local(|| fit_then_predict(&load, &calendar, 48));
}

/// Fit on eight weeks and forecast, by hours ahead.
#[divan::bench(args = [1, 24, 48, 168])]
fn by_horizon(bencher: Bencher<'_, '_>, hours: u32) {
    let (load, calendar) = sized(8, hours, 120);
    bencher.bench_local(|| fit_then_predict(&load, &calendar, i64::from(hours)));
}

/// Fit on eight weeks and 48 hours ahead, by fixtures.
#[divan::bench(args = [0, 60, 120, 500])]
fn by_fixtures(bencher: Bencher<'_, '_>, fixtures: u32) {
    let (load, calendar) = sized(8, 48, fixtures);
    bencher.bench_local(|| fit_then_predict(&load, &calendar, 48));
}

/// A fresh forecast from a kept fit, as the controller makes every tick; by hours ahead.
#[divan::bench(args = [1, 4, 24, 48])]
fn predict_again(bencher: Bencher<'_, '_>, hours: i64) {
    let (series, calendar) = season(8);
    let model = EventResponse::new(chrono_tz::Tz::America__New_York);
    let fitted = model
        .fit(Evidence::new(&series, &calendar), series.end())
        .unwrap();
    let recent = series.between(series.end() - TimeDelta::hours(25), series.end());
    let horizon = Horizon {
        length: TimeDelta::hours(hours),
        ..two_days(series.end())
    };
    bencher.bench_local(|| fitted.predict(Evidence::new(black_box(&recent), &calendar), horizon));
}

/// The challenger.
#[divan::bench]
fn mstl(bencher: Bencher<'_, '_>) {
    let (load, calendar) = season(8);
    let known = Evidence::new(&load, &calendar);
    bencher.bench_local(|| {
        let fitted = Mstl.fit(black_box(known), load.end()).unwrap();
        fitted.predict(known, two_days(load.end()))
    });
}

/// The baseline.
#[divan::bench]
fn seasonal_naive(bencher: Bencher<'_, '_>) {
    let (series, calendar) = season(8);
    bencher.bench_local(|| {
        let fitted = SeasonalNaive::WEEK
            .fit(Evidence::new(black_box(&series), &calendar), series.end())
            .unwrap();
        fitted.predict(Evidence::new(&series, &calendar), two_days(series.end()))
    });
}
