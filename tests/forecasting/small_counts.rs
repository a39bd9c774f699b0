//! A service that is asked a few times a minute: what comes in five minutes is mostly chance, by
//! night more than by day.

use chrono::TimeDelta;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Poisson};
use tipoff::fixture::Calendar;
use tipoff::forecast::Quantile;
use tipoff::series::Series;

use crate::model::{days, forecast};

/// Five minutes in a day.
const BINS_A_DAY: i64 = 288;

/// What is expected in the five minutes of a day: 2 at night, 60 in the afternoon.
fn expected(bin: i64) -> f64 {
    let day = bin as f64 / BINS_A_DAY as f64;
    let middle = 120_f64.ln() / 2.0;
    let swing = 30_f64.ln() / 2.0;
    (middle - swing * (day * std::f64::consts::TAU).cos()).exp()
}

#[test]
fn a_bound_means_the_same_at_night_and_by_day() {
    let mut random = StdRng::seed_from_u64(7);
    let counts = (0..42 * BINS_A_DAY).map(|bin| {
        let count: f64 = Poisson::new(expected(bin)).unwrap().sample(&mut random);
        count / 300.0
    });
    let load = Series::from_raw(days(0), TimeDelta::minutes(5), counts.collect());
    // of the night and of the day: bins, those under their bound, and bounds over medians
    let mut found = [(0.0, 0.0, 0.0); 2];
    for day in 28..42 {
        let forecast = forecast(&load, &Calendar::default(), days(day));
        for bin in day * BINS_A_DAY..(day + 1) * BINS_A_DAY {
            let at = days(0) + TimeDelta::minutes(5) * bin as i32;
            let came = load.at(at).unwrap().as_per_second();
            let [median, bound] = [Quantile::P50, Quantile::P95]
                .map(|quantile| forecast.at(quantile, at).unwrap().as_per_second());
            let kind = match expected(bin) {
                count if count < 6.0 => 0,
                count if count > 30.0 => 1,
                _ => continue,
            };
            let (bins, under, wide) = &mut found[kind];
            *bins += 1.0;
            *under += f64::from(u8::from(came <= bound));
            *wide += bound / median;
        }
    }
    let [night, day] = found.map(|(bins, under, wide)| (under / bins, wide / bins));
    println!("under the 95 % bound, and bound over median: night {night:?}, day {day:?}");
    for (under, _) in [night, day] {
        assert!(
            (0.92..0.985).contains(&under),
            "night {night:?}, day {day:?}"
        );
    }
    // of fifty requests 62 are one in twenty (Poisson)
    assert!(day.1 < 1.4 && night.1 > 1.6, "night {night:?}, day {day:?}");
}
