//! What the challenger must do to be a fair one, and that nothing breaks it.

use super::*;
use crate::fixture::Calendar;
use crate::forecast::Quantile;
use crate::series::Series;
use crate::series::faults::{Cause, Fault};
use chrono::TimeZone as _;
use proptest::prelude::*;

fn start() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap()
}

fn series(values: Vec<f64>) -> Series {
    Series::from_raw(start(), TimeDelta::minutes(5), values)
}

/// Days and weekends with a little noise, units per second.
fn load(bin: usize) -> f64 {
    let day = (bin % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
    let weekend = if bin / DAY % 7 >= 5 { 0.5 } else { 1.0 };
    let noise = ((bin * 7_919) % 101) as f64 / 1_000.0;
    80.0 * weekend * (0.6 * day.sin() + noise).exp()
}

fn two_days(origin: Timestamp) -> Horizon {
    Horizon {
        origin,
        length: TimeDelta::hours(48),
        step: TimeDelta::minutes(5),
    }
}

fn forecast(series: &Series, faults: &Faults, at: Timestamp) -> Forecast {
    let calendar = Calendar::default();
    let known = Evidence::new(series, &calendar).with_faults(faults);
    let fitted = Mstl.fit(known, at).unwrap();
    fitted.predict(known, two_days(at))
}

/// Mean absolute error over mean load of the median.
fn wape(forecast: &Forecast, truth: impl Fn(usize) -> f64) -> f64 {
    let first = (forecast.start - start()).num_minutes() as usize / 5;
    let median = forecast.path(Quantile::P50);
    let error: f64 = (0..median.len())
        .map(|bin| (median[bin] - truth(first + bin)).abs())
        .sum();
    error / (0..median.len()).map(|bin| truth(first + bin)).sum::<f64>()
}

#[test]
fn days_and_weekends_go_on_and_the_band_covers() {
    let all = series((0..37 * DAY).map(load).collect());
    // a Friday: the two days ahead hold a Saturday
    let at = start() + TimeDelta::days(32);
    let said = forecast(&all, &Faults::NONE, at);
    assert_eq!(said.model, "mstl");
    assert!(said.notes.is_empty(), "{:?}", said.notes);
    let wape = wape(&said, load);
    assert!(wape < 0.06, "{wape}");
    let (mut covered, mut bins) = (0, 0);
    for day in [26, 29, 32, 35] {
        let said = forecast(&all, &Faults::NONE, start() + TimeDelta::days(day));
        let path = said.path(Quantile::P95);
        let first = day as usize * DAY;
        covered += (0..path.len())
            .filter(|&bin| load(first + bin) <= path[bin])
            .count();
        bins += path.len();
    }
    let covered = covered as f64 / bins as f64;
    assert!(covered > 0.88 && covered < 0.995, "{covered}");
}

#[test]
fn the_level_of_the_present_is_followed_from_an_old_fit() {
    let doubled = |bin: usize| load(bin) * if bin >= 28 * DAY { 2.0 } else { 1.0 };
    let all = series((0..31 * DAY).map(doubled).collect());
    let calendar = Calendar::default();
    let known = Evidence::new(&all, &calendar);
    let fitted = Mstl.fit(known, start() + TimeDelta::days(28)).unwrap();
    let said = fitted.predict(known, two_days(start() + TimeDelta::hours(28 * 24 + 20)));
    let wape = wape(&said, doubled);
    assert!(wape < 0.15, "{wape}");
}

#[test]
fn a_fault_is_not_learnt_as_little_load() {
    let broken = |bin: usize| {
        if (30 * DAY + 100..30 * DAY + 180).contains(&bin) {
            0.0
        } else {
            load(bin)
        }
    };
    let all = series((0..31 * DAY).map(broken).collect());
    let fault = Fault {
        from: all.time(30 * DAY + 100),
        to: all.time(30 * DAY + 180),
        cause: Cause::Outage,
    };
    let at = all.end();
    let with = wape(&forecast(&all, &Faults::new(vec![fault]), at), load);
    let without = wape(&forecast(&all, &Faults::NONE, at), load);
    assert!(with < 0.08, "{with}");
    assert!(with < without, "{with} {without}");
}

#[test]
fn too_little_is_refused_and_a_day_is_repeated() {
    let calendar = Calendar::default();
    let short = series((0..DAY - 1).map(load).collect());
    let refused = Mstl.fit(Evidence::new(&short, &calendar), short.end());
    assert!(matches!(refused, Err(FitError::TooLittleHistory { .. })));

    let day = series((0..DAY).map(load).collect());
    let said = forecast(&day, &Faults::NONE, day.end());
    for bin in (0..2 * DAY).step_by(11) {
        let truth = load(bin % DAY);
        assert!((said.path(Quantile::P50)[bin] - truth).abs() < 1e-6 * truth);
    }
    assert_eq!(said.notes, ["1.0 days of data: days are taken to be alike"]);
}

#[test]
fn nothing_after_the_origin_is_seen() {
    let at = start() + TimeDelta::days(25);
    let clean = series((0..30 * DAY).map(load).collect());
    let poisoned = series(
        (0..30 * DAY)
            .map(|bin| if bin < 25 * DAY { load(bin) } else { 1e9 })
            .collect(),
    );
    assert_eq!(
        forecast(&clean, &Faults::NONE, at),
        forecast(&poisoned, &Faults::NONE, at)
    );
}

#[test]
fn wider_bins_are_means_and_origins_may_lie_between_bins() {
    let all = series((0..25 * DAY).map(load).collect());
    let calendar = Calendar::default();
    let known = Evidence::new(&all, &calendar);
    let fitted = Mstl.fit(known, all.end()).unwrap();
    let fine = fitted.predict(known, two_days(all.end()));
    let wide = fitted.predict(
        known,
        Horizon {
            step: TimeDelta::hours(1),
            ..two_days(all.end())
        },
    );
    let mean = fine.path(Quantile::P95)[12..24].iter().sum::<f64>() / 12.0;
    assert!((wide.path(Quantile::P95)[1] - mean).abs() < 1e-9 * mean);
    let between = fitted.predict(known, two_days(all.end() + TimeDelta::seconds(137)));
    assert_eq!(between.len(), 576);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_the_load_quantiles_are_finite_and_ascend(
        days in 1_usize..9,
        level in prop_oneof![Just(0.0), Just(1e-3), Just(5.0), Just(1e7)],
        swing in prop_oneof![Just(0.0), Just(1.0), Just(8.0)],
        holes in 0_usize..4,
        seed in 0_usize..1_000,
    ) {
        let mut values: Vec<f64> = (0..days * DAY + DAY / 2)
            .map(|bin| level * (swing * (((bin + seed) * 7_919 % 1_009) as f64 / 1_009.0)).exp())
            .collect();
        for hole in 0..holes {
            let from = (seed * 131 + hole * 977) % (values.len() / 2);
            let to = (from + 40).min(values.len());
            values[from..to].fill(f64::NAN);
        }
        let all = series(values);
        let calendar = Calendar::default();
        let known = Evidence::new(&all, &calendar);
        let Ok(fitted) = Mstl.fit(known, all.end()) else {
            return Ok(());
        };
        let said = fitted.predict(known, two_days(all.end() + TimeDelta::minutes(35)));
        for bin in 0..said.len() {
            for pair in said.paths.windows(2) {
                prop_assert!(pair[0][bin].is_finite() && pair[1][bin].is_finite());
                prop_assert!(pair[0][bin] <= pair[1][bin] && pair[0][bin] >= 0.0);
            }
        }
    }
}
