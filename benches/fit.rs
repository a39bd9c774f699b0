//! How long a fit and a forecast take on eight weeks of five-minute load, and what they allocate.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark may stop at once"
)]

use chrono::{TimeDelta, TimeZone as _, Utc};
use divan::{AllocProfiler, Bencher, black_box};
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::{EventResponse, Evidence, Fit, Horizon, Predict, SeasonalNaive};
use tipoff::series::Series;
use tipoff::units::Timestamp;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn start() -> Timestamp {
    Utc.with_ymd_and_hms(2024, 9, 2, 0, 0, 0)
        .single()
        .unwrap_or_default()
}

/// Two fixtures on most days between 32 teams, and load that follows them.
fn season(weeks: usize) -> (Series, Calendar) {
    let calendar: Calendar = (0..7 * weeks as i64 + 3)
        .flat_map(|day| [(day, 17), (day, 20)])
        .map(|(day, hour)| {
            let at = start() + TimeDelta::days(day) + TimeDelta::hours(hour);
            let mut fixture = Fixture::game(format!("{day}-{hour}"), "league", at);
            fixture.home = Some(format!("home {}", (day * 7 + hour) % 16));
            fixture.away = Some(format!("away {}", (day * 5 + hour) % 16));
            fixture
        })
        .collect();
    let values = (0..weeks * 2_016)
        .map(|bin| {
            let day = (bin % 288) as f64 / 288.0;
            let noise = ((bin * 7_919) % 101) as f64 / 1_000.0;
            let event = if (204..300).contains(&(bin % 288)) {
                3.0
            } else {
                1.0
            };
            100.0 * event * (0.5 * (day * std::f64::consts::TAU).sin() + noise).exp()
        })
        .collect();
    let series = Series::from_raw(start(), TimeDelta::minutes(5), values);
    (series, calendar)
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
fn fit_and_predict(bencher: Bencher<'_, '_>, weeks: usize) {
    let (series, calendar) = season(weeks);
    let model = EventResponse::new(chrono_tz::Tz::America__New_York);
    bencher.bench_local(|| {
        let fitted = model
            .fit(Evidence::new(black_box(&series), &calendar), series.end())
            .unwrap();
        fitted.predict(Evidence::new(&series, &calendar), two_days(series.end()))
    });
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
