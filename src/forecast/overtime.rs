//! A mixture of two futures: the fixture ends at its time, or it runs over.
//!
//! Until the end is known the load of the late hours has two humps, one for each. A quantile of
//! the mixture is where both distributions together leave as much above as the quantile says; it
//! is not the mixture of quantiles. Each future is its median with the conformal margins around
//! it, joined by straight lines and continued by an exponential tail (FORECASTING study, 1.4).

use super::quantile::{Margins, UPPER};

/// Halvings of the search: a log load is found to within a millionth of the span.
const HALVINGS: usize = 24;

/// Medians closer than this are one future, log load.
const SAME: f64 = 1e-3;

/// Log load at .5, .9, .95 and .99 when with probability `chance` the median is `late` instead of
/// `regular`.
pub(crate) fn quantiles(regular: f64, late: f64, chance: f64, margins: &Margins) -> [f64; 4] {
    let one = |median: f64| {
        let [p90, p95, p99] = margins.map(|margin| median + margin);
        [median, p90, p95, p99]
    };
    if chance <= 0.0 || (late - regular).abs() < SAME {
        return one(regular);
    }
    if chance >= 1.0 {
        return one(late);
    }
    let (low, high) = (one(regular.min(late)), one(regular.max(late)));
    let below = |x: f64| {
        (1.0 - chance) * share_below(x - regular, margins) + chance * share_below(x - late, margins)
    };
    let levels = [0.5, UPPER[0], UPPER[1], UPPER[2]];
    std::array::from_fn(|place| {
        let (mut from, mut to) = (low[place], high[place]);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(from, to);
            if below(middle) < levels[place] {
                from = middle;
            } else {
                to = middle;
            }
        }
        to
    })
}

/// Share of one future at or below `x` above its median.
fn share_below(x: f64, margins: &Margins) -> f64 {
    if x < 0.0 {
        // the lower half mirrors the upper
        return 1.0 - share_below(-x, margins);
    }
    let mut last = (0.0, 0.5);
    for (&margin, &level) in margins.iter().zip(&UPPER) {
        if x < margin {
            return last.1 + (level - last.1) * (x - last.0) / (margin - last.0);
        }
        last = (margin, level);
    }
    // as fast as from .95 to .99
    let [_, p95, p99] = *margins;
    let pace = (p99 - p95).max(1e-6) / 5.0_f64.ln();
    1.0 - (1.0 - UPPER[2]) * (-(x - p99) / pace).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARGINS: Margins = [0.3, 0.4, 0.6];

    #[test]
    fn certain_futures_are_themselves() {
        assert_eq!(quantiles(1.0, 3.0, 0.0, &MARGINS), [1.0, 1.3, 1.4, 1.6]);
        assert_eq!(quantiles(1.0, 3.0, 1.0, &MARGINS), [3.0, 3.3, 3.4, 3.6]);
    }

    #[test]
    fn a_small_chance_leaves_the_median_and_lifts_the_tail() {
        let mixed = quantiles(1.0, 3.0, 0.08, &MARGINS);
        assert!((mixed[0] - 1.0).abs() < 0.1, "{mixed:?}");
        // one in twelve runs over: the 95 % quantile must be ready for it
        assert!(mixed[2] > 2.5 && mixed[2] < 3.4, "{mixed:?}");
        let even = quantiles(1.0, 3.0, 0.5, &MARGINS);
        assert!(even[1] > 2.9, "{even:?}");
    }

    proptest! {
        #[test]
        fn quantiles_ascend_and_lie_between_the_futures(
            regular in -5.0..10.0f64,
            late in -5.0..10.0f64,
            chance in 0.0..1.0f64,
            steps in (0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64),
        ) {
            let margins = [steps.0, steps.0 + steps.1, steps.0 + steps.1 + steps.2];
            let mixed = quantiles(regular, late, chance, &margins);
            prop_assert!(mixed.windows(2).all(|pair| pair[0] <= pair[1] + 1e-3), "{mixed:?}");
            let top = regular.max(late);
            for (value, margin) in mixed.iter().zip([0.0, margins[0], margins[1], margins[2]]) {
                prop_assert!(*value <= top + margin + 1e-9);
                prop_assert!(*value >= regular.min(late) + margin - 1e-3);
            }
        }
    }
}
