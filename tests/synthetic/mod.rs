//! A declared season of load for the forecaster's tests: daily rhythm, fixtures with a known
//! response, seeded noise.
#![allow(dead_code, reason = "each test file uses its own part")]

use chrono::{TimeDelta, TimeZone as _, Utc};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Normal};
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::Horizon;
use tipoff::series::Series;
use tipoff::units::Timestamp;

/// A Monday.
pub(crate) fn start() -> Timestamp {
    Utc.with_ymd_and_hms(2024, 4, 1, 0, 0, 0).unwrap()
}

/// Two days in five-minute steps.
pub(crate) fn horizon(origin: Timestamp) -> Horizon {
    Horizon {
        origin,
        length: TimeDelta::hours(48),
        step: TimeDelta::minutes(5),
    }
}

/// Load without fixtures at a moment, units per second.
pub(crate) fn calm(at: Timestamp) -> f64 {
    let hours = (at - start()).num_seconds() as f64 / 3_600.0;
    100.0 * (0.5 * (std::f64::consts::TAU * (hours - 8.0) / 24.0).sin()).exp()
}

/// How many times the calm load a fixture brings `minutes` after its start.
pub(crate) fn multiple(minutes: f64) -> f64 {
    // a ramp to kick-off, a plateau, and a peak of 5 at the final whistle
    let plateau = if (-30.0..110.0).contains(&minutes) {
        ((minutes + 30.0) / 30.0).min(1.0)
    } else {
        0.0
    };
    let peak = (-((minutes - 112.0) / 18.0).powi(2)).exp();
    1.0 + 1.5 * plateau + 3.0 * peak
}

/// A season: one fixture on most evenings at 18:00 UTC, minutes of load.
pub(crate) struct Season {
    pub(crate) series: Series,
    pub(crate) calendar: Calendar,
}

impl Season {
    /// `days` of it, with multiplicative noise of 5 %.
    pub(crate) fn new(days: i64) -> Self {
        let calendar: Calendar = (0..days + 3)
            .filter(|day| day % 3 != 2)
            .map(|day| {
                let at = start() + TimeDelta::days(day) + TimeDelta::hours(18);
                let mut fixture = Fixture::game(format!("day-{day}"), "league", at);
                fixture.home = Some(format!("team {}", day % 4));
                fixture
            })
            .collect();
        Self {
            series: load(days, &calendar, 0.05, 1),
            calendar,
        }
    }
}

/// Minutes of load around the fixtures of a calendar; the tallest fixture at a moment counts.
pub(crate) fn load(days: i64, calendar: &Calendar, noise: f64, seed: u64) -> Series {
    let mut rng = StdRng::seed_from_u64(seed);
    let normal = Normal::new(0.0, noise).unwrap();
    let starts: Vec<Timestamp> = calendar.iter().map(|f| f.start.at).collect();
    let values = (0..days * 1_440)
        .map(|minute| {
            let at = start() + TimeDelta::minutes(minute);
            let tallest = starts
                .iter()
                .map(|&kick| multiple((at - kick).num_seconds() as f64 / 60.0))
                .fold(1.0, f64::max);
            calm(at) * tallest * normal.sample(&mut rng).exp()
        })
        .collect();
    Series::from_raw(start(), TimeDelta::minutes(1), values)
}
