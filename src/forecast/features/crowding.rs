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

/// Factor on the log loads that slots would add one by one when all of them are there; each has a
/// height and what that adds to log load. It is 1 for one slot, and nearly so where one is far above
/// the others.
pub(super) fn share_of_sum(slots: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut heights, mut powers, mut logs, mut excesses) = (0.0, 0.0, 0.0, 0.0);
    for (height, log) in slots {
        heights += height;
        powers += height.powf(1.0 / CROWDING);
        logs += log;
        excesses += log.exp_m1();
    }
    if heights > 0.0 {
        f64::min(powers.powf(CROWDING) / heights, excesses.ln_1p() / logs)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            let all = (0..slots as usize).map(|_| (height, unit * height));
            let said = share_of_sum(all) * slots * height;
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
            let slots = heights.iter().map(|&height| (height, unit * height));
            let said = share_of_sum(slots) * sum;
            let greatest = heights.iter().copied().fold(0.0, f64::max);
            prop_assert!(said >= greatest - 1e-9 && said <= sum + 1e-9);
        }
    }
}
