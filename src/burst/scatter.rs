//! How much a load's counts scatter: their variance over their mean, `φ`.
//!
//! Measured in quiet time, over minutes, about what was expected. Where many samples are empty that
//! measures nothing: between two units that come hours apart every residual is small, and the next
//! unit looks like a jump. There the size of what comes is seen in the samples themselves. If units
//! come in lumps of `q`, at random, then `φ` is no less than `q`; a share `p` of samples stays empty
//! when there are `−ln p` lumps in each, so that `q` is the mean over that. It is no more than the
//! smallest that ever came, nor than the variance over the mean of all samples. And they must come
//! at random: a load that is on for an hour and off for the next, or was in between by an outage,
//! has empty samples beside empty ones, and no lumps.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Residuals are measured over this time.
const MEMORY: TimeDelta = TimeDelta::minutes(10);

/// Dispersion is believed to be this before anything was measured, for as many samples' worth:
/// twice Poisson's, and load that moves by 3 % from one second to the next.
const PRIOR: (f64, f64, f64) = (2.0, 0.03, 30.0);

/// Fewer samples that follow an empty one are an accident where most are not empty.
const FEW: f64 = 3.0;

/// Sums do not decay below this.
const FORGOTTEN: f64 = 1e-100;

/// Residuals count up to this many standard deviations.
const CLIP: f64 = 4.0;

/// Empty samples are counted over this time.
const LUMPS_MEMORY: TimeDelta = TimeDelta::minutes(15);

/// The smallest sample that was not empty is forgotten at this rate with each that follows it.
const SMALLEST_GROWS: f64 = 1.01;

/// Variance over mean of counts about what is expected of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phi {
    /// Units that come at once.
    lump: f64,
    /// Of the number of lumps, 1 or more.
    lumps: f64,
}

impl Phi {
    /// Units that come at once, 1 or more.
    pub(super) fn lump(self) -> f64 {
        self.lump
    }

    /// Of units.
    pub(super) fn units(self) -> f64 {
        self.lump * self.lumps
    }

    /// With as much more.
    pub(super) fn and(self, more: f64) -> Self {
        Self {
            lumps: self.lumps + more / self.lump,
            ..self
        }
    }

    /// Evidence for a load `ratio` times the expected one, given a count: Poisson's log-likelihood
    /// ratio over `φ`, `(x ln r − m (r − 1)) / φ`.
    ///
    /// For small ratios: it takes the far tail of uneven counts for Poisson's, and what large ratios
    /// make of that are false alarms.
    pub(super) fn for_small_jump(self, ratio: f64, counted: f64, expected: f64) -> f64 {
        (counted * ratio.ln() - expected * (ratio - 1.0)) / self.units()
    }

    /// The same where few lumps must decide: the log-likelihood ratio of lumps drawn from a negative
    /// binomial, as are counts whose rate is itself a gamma's.
    ///
    /// With its size kept (`m / (φ − 1)`: unevenness grows with the load) the ratio of two of them
    /// is `−x ln(1 − (r − 1) / (r φ)) − m ln(1 + (r − 1)(φ − 1) / φ) / (φ − 1)`, and Poisson's at
    /// `φ` = 1.
    pub(super) fn for_large_jump(self, ratio: f64, counted: f64, expected: f64) -> f64 {
        let (x, m) = (counted / self.lump, expected / self.lump);
        let uneven = self.lumps - 1.0;
        if uneven < 1e-6 {
            return x * ratio.ln() - m * (ratio - 1.0);
        }
        let larger = ratio - 1.0;
        let each = -(-larger / (ratio * self.lumps)).ln_1p();
        let none = (larger * uneven / self.lumps).ln_1p() / uneven;
        x * each - m * none
    }
}

/// Variance over mean of a load's counts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scatter {
    /// Decayed squared residuals over expected counts, and how many samples they stand for.
    squares: f64,
    samples: f64,
    lumps: Lumps,
}

/// What all samples were, quiet or not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lumps {
    /// Decayed number of samples, of those that were not empty, and of those among them that
    /// followed an empty one.
    all: f64,
    filled: f64,
    begun: f64,
    /// Whether the last one was not empty.
    on: bool,
    /// Decayed sums of their lengths, of their counts, and of the squares of those over the lengths.
    seconds: f64,
    counts: f64,
    squares: f64,
    /// The smallest that was not empty.
    smallest: Option<f64>,
}

impl Scatter {
    /// Variance over mean of the counts around `expected` of them, 1 or more.
    pub(super) fn phi(&self, expected: f64) -> f64 {
        self.about(expected).units()
    }

    /// The same, with the lumps told apart.
    pub(super) fn about(&self, expected: f64) -> Phi {
        let (times_poisson, relative, weight) = PRIOR;
        let believed = times_poisson + relative.powi(2) * expected;
        let measured = (self.squares + weight * believed) / (self.samples + weight);
        let lump = self.lump();
        Phi {
            lump,
            lumps: (measured / lump).max(1.0),
        }
    }

    /// Units that come at once, 1 or more.
    pub(super) fn lump(&self) -> f64 {
        self.lumps.size().max(1.0)
    }

    /// Takes in the count of any sample.
    pub(super) fn count(&mut self, counted: f64, seconds: f64) {
        self.lumps.count(counted, seconds);
    }

    /// Takes in what a sample of quiet time lay off the expected count.
    pub(super) fn measure(&mut self, residual: f64, expected: f64, seconds: f64) {
        if expected <= 0.0 {
            return;
        }
        let keep = decay(seconds, MEMORY);
        let most = CLIP.powi(2) * self.phi(expected);
        let square = (residual * residual / expected).min(most);
        self.squares = self.squares * keep + square;
        self.samples = self.samples * keep + 1.0;
    }

    /// Takes in a count at its full size, as of an alarm that was none. Over what is larger, counted
    /// or expected: where next to nothing was expected, that was a guess, and one sample over it
    /// would hide all that follow.
    pub(super) fn learn(&mut self, counted: f64, expected: f64) {
        let over = expected.max(counted);
        if over > 0.0 && over.is_finite() {
            self.squares += (counted - expected).powi(2) / over;
            self.samples += 1.0;
        }
    }
}

impl Lumps {
    fn count(&mut self, counted: f64, seconds: f64) {
        let filled = counted > 0.0;
        let keep = decay(seconds, LUMPS_MEMORY);
        if !filled && self.filled * keep < FORGOTTEN {
            // nothing came yet, or so long ago that only the ratios of the sums matter any more
            self.on = false;
            return;
        }
        let one = |is: bool| f64::from(u8::from(is));
        self.all = self.all * keep + 1.0;
        self.filled = self.filled * keep + one(filled);
        self.begun = self.begun * keep + one(filled && !self.on);
        self.seconds = self.seconds * keep + seconds;
        self.counts = self.counts * keep + counted;
        self.squares = self.squares * keep + counted * counted / seconds;
        self.on = filled;
        if filled {
            let grown = self.smallest.map(|smallest| smallest * SMALLEST_GROWS);
            self.smallest = Some(grown.map_or(counted, |grown| grown.min(counted)));
        }
    }

    fn size(&self) -> f64 {
        let Some(smallest) = self.smallest else {
            return 0.0;
        };
        let filled = self.filled / self.all;
        if filled >= 1.0 || (filled > 0.5 && self.begun < FEW) {
            // one empty sample or two among many bound nothing
            return 0.0;
        }
        let lumps = -(-filled).ln_1p();
        let mean = self.counts / self.all;
        // about the mean rate, so that samples of different length do not count as scatter
        let squares = self.squares - self.counts * self.counts / self.seconds;
        let variance = squares / self.all / (self.counts / self.seconds);
        // of samples filled at random a share of 1 - filled follows an empty one
        let random = (self.begun / (self.filled * (1.0 - filled))).min(1.0);
        random * smallest.min(mean / lumps).min(variance)
    }
}

fn decay(seconds: f64, memory: TimeDelta) -> f64 {
    (-seconds / memory.num_seconds() as f64).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution as _, Gamma, Poisson};

    use super::*;

    /// Lumps of `size`, so many a second in the mean.
    fn lumpy(size: f64, lumps: f64, seconds: usize) -> Scatter {
        let mut rng = StdRng::seed_from_u64(5);
        let drawn = Poisson::new(lumps).unwrap();
        let mut scatter = Scatter::default();
        for _ in 0..seconds {
            scatter.count(size * drawn.sample(&mut rng), 1.0);
        }
        scatter
    }

    #[test]
    fn lumps_are_as_large_as_what_comes_at_once() {
        for lumps in [0.01, 0.1, 0.5, 1.0, 2.0] {
            let size = lumpy(1_000.0, lumps, 3_600).lump();
            assert!((700.0..=1_010.0).contains(&size), "{size} at {lumps}/s");
        }
        // hours without any do not make the next one a surprise
        let mut scatter = lumpy(1_000.0, 0.01, 3_600);
        for _ in 0..30 * 86_400 / 60 {
            scatter.count(0.0, 60.0);
        }
        assert!((700.0..=1_100.0).contains(&scatter.lump()));
    }

    #[test]
    fn single_units_and_loads_without_empty_samples_come_in_no_lumps() {
        assert_eq!(lumpy(1.0, 0.2, 3_600).lump(), 1.0);
        assert_eq!(lumpy(1.0, 200.0, 3_600).lump(), 1.0);
    }

    #[test]
    fn an_outage_is_not_taken_for_lumps() {
        let mut scatter = lumpy(1.0, 500.0, 900);
        for _ in 0..60 {
            scatter.count(0.0, 1.0);
        }
        for _ in 0..10 {
            scatter.count(500.0, 1.0);
        }
        assert!(scatter.lump() < 5.0, "{}", scatter.lump());
    }

    #[test]
    fn a_load_that_is_off_at_night_has_no_lumps_in_the_morning() {
        let mut scatter = Scatter::default();
        for hour in 0..48 {
            let count = if hour % 24 < 12 { 0.0 } else { 500.0 };
            for _ in 0..3_600 {
                scatter.count(count, 1.0);
            }
        }
        for _ in 0..12 * 3_600 {
            scatter.count(0.0, 1.0);
        }
        assert!(scatter.lump() < 2.0, "{}", scatter.lump());
        // nor after an off-season
        for _ in 0..60 * 86_400 / 60 {
            scatter.count(0.0, 60.0);
        }
        assert!(scatter.lump() < 2.0, "{}", scatter.lump());
    }

    #[test]
    fn samples_of_different_length_and_one_empty_one_are_no_lumps() {
        let mut rng = StdRng::seed_from_u64(6);
        let mut scatter = Scatter::default();
        for second in 0..1_200_u32 {
            let seconds = if second % 100 == 99 { 10.0 } else { 1.0 };
            let count = Poisson::new(500.0 * seconds).unwrap().sample(&mut rng);
            let empty = second % 300 == 150;
            scatter.count(if empty { 0.0 } else { count }, seconds);
        }
        assert!(scatter.lump() < 5.0, "{}", scatter.lump());
        let mut minutes = Scatter::default();
        for minute in 0..30 {
            minutes.count(if minute == 20 { 0.0 } else { 3_000.0 }, 60.0);
        }
        assert_eq!(minutes.lump(), 1.0);
    }

    #[test]
    fn one_wild_sample_does_not_hide_what_follows() {
        let mut scatter = Scatter::default();
        for _ in 0..100 {
            scatter.measure(10.0, 100.0, 1.0);
        }
        let before = scatter.phi(100.0);
        scatter.measure(10_000.0, 100.0, 1.0);
        assert!(scatter.phi(100.0) < before * 1.5);
        scatter.learn(10_000.0, 100.0);
        assert!(scatter.phi(100.0) > before * 50.0);
    }

    #[test]
    fn both_measures_are_poissons_where_counts_are() {
        let phi = Phi {
            lump: 1.0,
            lumps: 1.0,
        };
        let ratio = phi.for_large_jump(3.0, 30.0, 10.0);
        assert!((ratio - (30.0 * 3.0_f64.ln() - 20.0)).abs() < 1e-9);
        assert_eq!(ratio, phi.for_small_jump(3.0, 30.0, 10.0));
        let nearly = Phi {
            lumps: 1.0 + 1e-5,
            ..phi
        };
        assert!((nearly.for_large_jump(3.0, 30.0, 10.0) - ratio).abs() < 1e-2);
    }

    /// `E[exp(evidence)]` is 1 where nothing jumped: what bounds false alarms.
    #[test]
    fn the_measure_for_large_jumps_is_a_likelihood_ratio() {
        let mut rng = StdRng::seed_from_u64(9);
        let (mean, lumps) = (3.0, 2.5);
        let rate = Gamma::new(mean / (lumps - 1.0), lumps - 1.0).unwrap();
        let phi = Phi { lump: 7.0, lumps };
        let trials = 400_000;
        let sum: f64 = (0..trials)
            .map(|_| {
                let x: f64 = Poisson::new(rate.sample(&mut rng).max(1e-12))
                    .unwrap()
                    .sample(&mut rng);
                phi.for_large_jump(2.0, 7.0 * x, 7.0 * mean).exp()
            })
            .sum();
        assert!((sum / f64::from(trials) - 1.0).abs() < 0.03, "{sum}");
    }

    proptest! {
        #[test]
        fn more_is_more_evidence(
            (lump, lumps) in (1.0..1e4_f64, 1.0..1e3_f64),
            ratio in 1.01..10.0_f64,
            (counted, more, expected) in (0.0..1e6_f64, 0.0..1e6_f64, 1e-6..1e6_f64),
        ) {
            let phi = Phi { lump, lumps };
            for evidence in [Phi::for_small_jump, Phi::for_large_jump] {
                let less = evidence(phi, ratio, counted, expected);
                let larger = evidence(phi, ratio, counted + more, expected);
                prop_assert!(less <= larger && larger.is_finite());
                prop_assert!(evidence(phi, ratio, 0.0, expected) < 0.0);
            }
        }

        #[test]
        fn anything_is_survived(
            counts in proptest::collection::vec((0.0..1e12_f64, 0.1..60.0_f64), 0..200),
            expected in 0.0..1e12_f64,
        ) {
            let mut scatter = Scatter::default();
            for (count, seconds) in counts {
                scatter.count(count, seconds);
                scatter.measure(count - expected, expected, seconds);
                prop_assert!(scatter.phi(expected).is_finite() && scatter.phi(expected) >= 1.0);
            }
        }
    }
}
