//! Whole requests counted second by second: what a counter sees of a rate.
//!
//! Counts are negative binomial with mean `rate · seconds` and variance `dispersion` times that;
//! a dispersion of 1 is Poisson. Each second's draw depends on the seed and its place in time
//! alone, so changing the load of one second changes no other.

use chrono::TimeDelta;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Gamma, Poisson};

use super::Traffic;
use crate::series::Series;
use crate::simulate::chance::mix;
use crate::units::Timestamp;

/// Largest mean that is drawn; beyond it the noise is too small to see.
const LARGEST_MEAN: f64 = 1e12;

impl Traffic {
    /// Units counted in each second of `[from, to)`.
    pub fn counted(&self, from: Timestamp, to: Timestamp, dispersion: f64) -> Series {
        let step = TimeDelta::seconds(1);
        let seconds = (to - from).num_seconds().max(0);
        let values = (0..seconds)
            .map(|second| {
                let middle = from + TimeDelta::milliseconds(second * 1000 + 500);
                let mean = self.rate(middle).as_per_second();
                let place = middle.timestamp();
                let rng = StdRng::seed_from_u64(mix(self.seed ^ 0xC0_0017, place));
                count(mean, dispersion, rng)
            })
            .collect();
        Series::from_raw(from, step, values)
    }
}

/// One count.
fn count(mean: f64, dispersion: f64, mut rng: StdRng) -> f64 {
    if mean.is_nan() || mean <= 0.0 || mean > LARGEST_MEAN {
        return mean.max(0.0);
    }
    let beyond = dispersion - 1.0;
    // a gamma rate makes a Poisson count negative binomial
    let rate = if beyond > 1e-9 {
        Gamma::new(mean / beyond, beyond).map_or(mean, |gamma| gamma.sample(&mut rng))
    } else {
        mean
    };
    Poisson::new(rate).map_or(0.0, |poisson| poisson.sample(&mut rng))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_the_dispersion_declared() {
        for (mean, dispersion) in [(3.0, 1.0), (20.0, 4.0), (2000.0, 4.0)] {
            let n = 20_000;
            let counts: Vec<f64> = (0..n)
                .map(|place| count(mean, dispersion, StdRng::seed_from_u64(mix(7, place))))
                .collect();
            let average = counts.iter().sum::<f64>() / n as f64;
            let squares = counts.iter().map(|x| (x - average).powi(2)).sum::<f64>();
            let found = squares / n as f64 / average;
            assert!((average / mean - 1.0).abs() < 0.03, "{average} for {mean}");
            assert!(
                (found / dispersion - 1.0).abs() < 0.06,
                "{found} for {dispersion}"
            );
            assert!(counts.iter().all(|count| count.fract() == 0.0));
        }
        assert_eq!(count(0.0, 4.0, StdRng::seed_from_u64(1)), 0.0);
    }
}
