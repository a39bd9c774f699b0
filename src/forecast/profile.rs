//! Where around a fixture the next minutes are least sure.
//!
//! Minutes ahead, what a forecast does not know is how far load will rise by then, and load rises
//! most at the start and at the end of play: on the reference trace nine tenths of what one bound
//! for all minutes leaves unserved a quarter of an hour ahead falls into an hour of them. Scores so
//! near are divided by how much load usually rises at their moment before they become margins, and
//! the margins are multiplied by it again: conformal prediction with normalised scores
//! (Papadopoulos, Gammerman and Vovk, Normalized nonconformity measures for regression conformal
//! prediction, 2008). There a bound that leaves a thousandth unserved costs 1.18 times an
//! oracle's replicas with it and 1.22 without; cells of ten or fifteen minutes are alike.

use serde::{Deserialize, Serialize};

use super::lead::Lead;

/// First response minute of the first cell, width of a cell in minutes, and number of cells: from
/// an hour before the lock until the crowd has gone.
const FIRST: f64 = -60.0;
const WIDTH: f64 = 10.0;
const CELLS: usize = 28;

/// Bins over which a rise is measured: a quarter of an hour ahead with data ten minutes old.
pub(crate) const OVER: usize = 2;

/// Days in which a rise loses half its weight.
const MEMORY: f64 = 8.0;

/// Bins of a cell that the mean of all cells is worth: those of a dozen fixtures. Half a dozen rises
/// of a spike or two must not be taken for the shape of a game.
const PRIOR_BINS: f64 = 24.0;

/// Smallest and largest factor.
const BOUNDS: (f64, f64) = (0.5, 2.5);

/// Buckets of leads at which rises matter more than how large the crowd is: up to an hour.
const NEAR: usize = 2;

/// Rises of load against the model by cell, fading.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rises([(f64, f64); CELLS]);

impl Rises {
    /// Adds how far the residual moved, log load, by this response minute of the fixture that
    /// draws most; NaN outside every window. A fall is no rise: margins are upper ones.
    pub(crate) fn add(&mut self, minute: f64, moved: f64) {
        let place = ((minute - FIRST) / WIDTH).floor();
        if moved.is_finite() && place >= 0.0 && place < CELLS as f64 {
            let (sum, bins) = &mut self.0[place as usize];
            *sum += moved.max(0.0);
            *bins += 1.0;
        }
    }

    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for (sum, bins) in &mut self.0 {
            *sum *= keep;
            *bins *= keep;
        }
    }

    /// How much more than on average load rises in each cell.
    pub(crate) fn profile(&self) -> Profile {
        let (sum, bins) =
            (self.0.iter()).fold((0.0, 0.0), |all, cell| (all.0 + cell.0, all.1 + cell.1));
        let mean = sum / bins;
        if !(mean > 0.0 && mean.is_finite()) {
            return Profile::FLAT;
        }
        Profile(self.0.map(|(sum, bins)| {
            let here = (sum + PRIOR_BINS * mean) / (bins + PRIOR_BINS);
            (here / mean).clamp(BOUNDS.0, BOUNDS.1)
        }))
    }
}

/// Factors on the margins of the next hour, by cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile([f64; CELLS]);

impl Profile {
    /// Every moment like every other.
    pub(crate) const FLAT: Self = Self([1.0; CELLS]);

    /// The factor at a lead and a response minute, NaN outside every window.
    pub(crate) fn at(&self, lead: &Lead, minute: f64) -> f64 {
        let near = lead.mean(|bucket| f64::from(bucket < NEAR));
        if near == 0.0 || !minute.is_finite() {
            return 1.0;
        }
        1.0 + near * (self.cell(minute) - 1.0)
    }

    /// Between the middles of two cells on the line between them.
    fn cell(&self, minute: f64) -> f64 {
        let place = ((minute - FIRST) / WIDTH - 0.5).clamp(0.0, (CELLS - 1) as f64);
        let low = (place as usize).min(CELLS - 2);
        let share = place - low as f64;
        self.0[low] * (1.0 - share) + self.0[low + 1] * share
    }

    /// True when every factor is one that could have been learnt.
    pub(crate) fn is_sound(&self) -> bool {
        (self.0.iter()).all(|factor| (BOUNDS.0..=BOUNDS.1).contains(factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_load_moves_margins_are_wide_and_elsewhere_narrow() {
        let mut rises = Rises::default();
        assert_eq!(rises.profile(), Profile::FLAT);
        for _ in 0..50 {
            for minute in -60..225 {
                let rise = if (100..120).contains(&minute) {
                    0.25
                } else {
                    0.1
                };
                rises.add(f64::from(minute), rise);
            }
        }
        rises.add(30.0, -9.0);
        rises.add(f64::NAN, 9.0);
        rises.add(-61.0, 9.0);
        rises.add(50.0, f64::NAN);
        let profile = rises.profile();
        assert!(profile.is_sound());
        assert!(
            (profile.at(&Lead::of(2.0), 110.0) / profile.at(&Lead::of(2.0), 60.0) - 2.5).abs()
                < 0.1
        );
        // continuous, and of no matter to the day ahead or outside of windows
        assert!(
            (profile.at(&Lead::of(2.0), 99.9) - profile.at(&Lead::of(2.0), 100.1)).abs() < 0.05
        );
        assert_eq!(profile.at(&Lead::of(200.0), 110.0), 1.0);
        assert_eq!(profile.at(&Lead::of(2.0), f64::NAN), 1.0);
    }

    #[test]
    fn one_fixture_says_little_and_old_ones_fade() {
        let mut rises = Rises::default();
        for minute in -60..225 {
            rises.add(f64::from(minute), 0.1);
        }
        rises.add(112.0, 2.0);
        let once = rises.profile().at(&Lead::of(0.0), 115.0);
        assert!(once > 1.0 && once <= BOUNDS.1, "{once}");
        rises.age(80.0);
        for minute in (-60..225).chain(-60..225) {
            rises.add(f64::from(minute), 0.1);
        }
        assert!(rises.profile().at(&Lead::of(0.0), 115.0) < 1.05);
    }
}
