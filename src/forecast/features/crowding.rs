//! How the crowds of fixtures at once add up.
//!
//! In the log load of the regression `n` fixtures weigh `n^g`, `g` < 1, because their crowds are
//! partly the same people (FORECASTING study, 1.1). But people add, not their logarithms: where one
//! fixture makes load `m` times the usual, `n` of them bring no more than `n (m - 1)` on top. So
//! the weight is `min(n^g, ln(1 + n (m - 1)) / ln m)`. The bound is what matters for a first slate of
//! ten after single games: with `m` = 8 it is 71 times the usual at most, and not `8^3.2` = 720.

/// Exponent of the number of simultaneous fixtures (`g` above). Between .3 and .8 it changes the
/// error by less than a hundredth on the reference trace.
const CROWDING: f64 = 0.5;

/// Least and largest log load of one fixture that is reckoned with: a hundredth and a factor of
/// thirty.
const UNITS: (f64, f64) = (0.01, 3.4);

/// Log load that one fixture adds at its top, `ln m`: the unit of weights and heights.
pub(super) fn unit(lift: f64) -> f64 {
    lift.clamp(UNITS.0, UNITS.1)
}

/// Log load that one fixture adds where `count` of them add `lift`.
pub(super) fn of_one(lift: f64, count: f64) -> f64 {
    let (lift, count) = (lift.max(0.0), count.max(1.0));
    f64::max(lift / count.powf(CROWDING), (lift.exp_m1() / count).ln_1p())
}

/// Weight of a slot of `count` fixtures in log load, where one weighs 1.
pub(super) fn weight(count: f64, unit: f64) -> f64 {
    f64::min(count.powf(CROWDING), (count * unit.exp_m1()).ln_1p() / unit)
}

/// Slots whose crowds are there at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Together {
    /// How high all of them stand, as one crowd of people who are partly the same.
    height: f64,
    /// So much of that is left where crowds would be more than their sum.
    left: f64,
}

impl Together {
    /// Of slots with a height each, and what that adds to log load where a slot is alone.
    pub(super) fn of(slots: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let powers: f64 = slots
            .clone()
            .map(|(height, _)| height.powf(1.0 / CROWDING))
            .sum();
        let mut together = Self {
            height: powers.powf(CROWDING),
            left: 1.0,
        };
        let (logs, excesses) = slots.fold((0.0, 0.0), |(logs, excesses), (height, log)| {
            (
                logs + together.factor(height) * log,
                excesses + log.exp_m1(),
            )
        });
        if logs > 0.0 {
            together.left = f64::min(1.0, excesses.ln_1p() / logs);
        }
        together
    }

    /// Factor on the log load that a slot of this height would add alone: the heights sum to that of
    /// all together, and who stands far above the others is hardly moved by them. A game that is
    /// over does not take from the one that is on.
    pub(super) fn factor(self, height: f64) -> f64 {
        if self.height > 0.0 {
            self.left * (height / self.height).powf(1.0 / CROWDING - 1.0)
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How high slots stand together.
    fn stands(slots: &[(f64, f64)]) -> f64 {
        let together = Together::of(slots.iter().copied());
        slots
            .iter()
            .map(|&(height, _)| together.factor(height) * height)
            .sum()
    }

    #[test]
    fn a_game_that_is_over_does_not_take_from_the_one_that_is_on() {
        let (on, over) = ((1.0, 0.8), (0.2, 0.16));
        let together = Together::of([on, over].into_iter());
        assert!(together.factor(on.0) > 0.98);
        assert!(together.factor(over.0) < 0.2);
        // equal ones share, and one alone is itself
        let twins = Together::of([on, on].into_iter());
        assert!((twins.factor(on.0) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((Together::of(std::iter::once(on)).factor(on.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn one_weighs_one_and_ten_are_at_most_ten_times_one() {
        for multiple in [1.0, 1.3, 2.0, 4.0, 20.0] {
            let unit = unit(f64::ln(multiple));
            assert!((weight(1.0, unit) - 1.0).abs() < 1e-12, "{multiple}");
            assert!((of_one(unit, 1.0) - unit).abs() < 1e-12, "{multiple}");
        }
        let slate = |multiple: f64| multiple.powf(weight(10.0, multiple.ln()));
        assert!((slate(8.0) - 71.0).abs() < 1e-9, "{}", slate(8.0));
        // where one brings little the root of their number is less
        assert!((slate(1.5) - 1.5_f64.powf(10.0_f64.sqrt())).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn more_weigh_more_but_less_than_their_sum(
            count in 1.0..20.0f64,
            more in 0.1..20.0f64,
            unit in 0.01..3.4f64,
        ) {
            let (one, both) = (weight(count, unit), weight(count + more, unit));
            prop_assert!(both > one);
            prop_assert!(both <= one + more);
        }

        #[test]
        fn what_one_brings_is_told_from_what_many_did(
            count in 1.0..20.0f64,
            unit in 0.01..3.4f64,
        ) {
            prop_assert!((of_one(unit * weight(count, unit), count) - unit).abs() < 1e-9);
        }

        #[test]
        fn equal_slots_together_are_no_more_than_one_slot_of_all_their_fixtures(
            count in 1.0..12.0f64,
            slots in 1_i32..6,
            unit in 0.01..3.4f64,
        ) {
            let height = weight(count, unit);
            let slots = f64::from(slots);
            let said = stands(&vec![(height, unit * height); slots as usize]);
            let one = weight(count * slots, unit);
            prop_assert!(said <= one + 1e-9, "{said} {one}");
            // singles, of which all of it is one law or the other
            if count < 1.01 {
                prop_assert!((said - one).abs() < 0.01 * one, "{said} {one}");
            }
        }

        #[test]
        fn together_is_between_the_greatest_and_the_sum(
            heights in proptest::collection::vec(0.001..3.0f64, 1..6),
            unit in 0.01..3.4f64,
        ) {
            let sum: f64 = heights.iter().sum();
            let slots: Vec<_> = heights.iter().map(|&height| (height, unit * height)).collect();
            let said = stands(&slots);
            let greatest = heights.iter().copied().fold(0.0, f64::max);
            prop_assert!(said >= greatest - 1e-9 && said <= sum + 1e-9);
        }
    }
}
