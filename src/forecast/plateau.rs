//! Load that is flatter than load ever is: a service that gives all it has.
//!
//! People come in random numbers, so that load always moves a little; a service whose replicas are
//! all busy, or a gate that lets so many through and no more, serves the same amount for as long
//! as more is wanted. Where the busiest load stands still for half an hour, within half of what it
//! moves from bin to bin before and after, and is lower on both sides, what was served is the least that
//! was wanted.
//!
//! On generated seasons this finds 36 of 42 such spans of half an hour or more, with one false one
//! in 616 days, and none in 450 days of real load (WC98, NASA, `NAB`'s request count, tweets and
//! taxis). Half as strict it would find no more, and 15 false ones.
//!
//! A plateau is known by its end. Past forecasts that were issued within one are scored as if they
//! had known, which at the time they did not.

use std::ops::Range;

use super::grid::STEP;
use super::order::quantile;

/// Shortest plateau, bins.
const SHORTEST: usize = 6;

/// Largest movement of a plateau, as a share of how much load moves around it.
const FLAT: f64 = 0.5;

/// Bins before and after that tell how much load moves.
const AROUND: usize = 24;

/// Only above this share of the history can replicas have been short.
const BUSY: f64 = 0.8;

/// Units in a bin below which standing still is no surprise: a few units more or less are half of
/// what there is.
const LEAST_UNITS: f64 = 400.0;

/// Load that moves more than this from bin to bin says nothing by standing still, log load.
const WILDEST: f64 = 0.2;

/// The plateaus of a load on the model's grid, NaN for gaps. One that goes on to the last bin is
/// not told from a peak yet.
pub(crate) fn plateaus(values: &[f64]) -> Vec<Range<usize>> {
    let Some(busy) = quantile(&mut values.to_vec(), BUSY) else {
        return Vec::new();
    };
    let busy = busy.max(LEAST_UNITS / STEP as f64);
    let log: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let moves = |bin: usize| -> f64 {
        match log.get(bin.wrapping_sub(1)..bin + 2) {
            Some(&[before, here, after]) => (after - 2.0 * here + before).abs() / 2.0,
            _ => f64::NAN,
        }
    };
    let usual = (0..log.len()).filter(|&bin| values[bin] > busy).map(moves);
    let Some(usual) = quantile(&mut usual.collect(), 0.5) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut from = 0;
    while from + SHORTEST < log.len() {
        let (to, range) = still(&log, from, FLAT * usual);
        if to - from < SHORTEST {
            from += 1;
            continue;
        }
        let before = from.saturating_sub(AROUND)..from.saturating_sub(1);
        let after = to + 1..(to + 1 + AROUND).min(log.len());
        let mut around: Vec<f64> = before.chain(after).map(moves).collect();
        let known = around.iter().filter(|moves| moves.is_finite()).count();
        let around = quantile(&mut around, 0.5).unwrap_or(0.0);
        let highest = (log[from..to].iter().copied()).fold(f64::NEG_INFINITY, f64::max);
        let lower = |bin: Option<usize>| {
            let beside = bin.and_then(|bin| log.get(bin));
            beside.is_some_and(|&beside| beside < highest)
        };
        if values[from] >= busy
            && known >= AROUND
            && around > 0.0
            && around < WILDEST
            && range <= FLAT * around
            && lower(from.checked_sub(1))
            && lower(Some(to))
        {
            found.push(from..to);
        }
        from = to;
    }
    found
}

/// The end of the longest run from `from` on that moves no more than `most`, and how much it does.
fn still(log: &[f64], from: usize, most: f64) -> (usize, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (bin, &value) in log.iter().enumerate().skip(from) {
        let (lower, higher) = (low.min(value), high.max(value));
        if !value.is_finite() || higher - lower > most {
            return (bin, high - low);
        }
        (low, high) = (lower, higher);
    }
    (log.len(), high - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::faults::Cause;
    use crate::simulate::season::{self, Preset};
    use proptest::prelude::*;

    const DAY: usize = 288;

    /// Days with an evening peak of up to 1,000 a second and 2 % of noise.
    fn days(count: usize) -> Vec<f64> {
        let noise = |bin: usize| {
            let mixed = (bin as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            0.04 * (mixed as f64 / (1_u64 << 24) as f64 - 0.5)
        };
        (0..count * DAY)
            .map(|bin| {
                let hour = (bin % DAY) as f64 / 12.0;
                let peak = 900.0 * (-((hour - 20.0) / 1.5).powi(2)).exp();
                (100.0 + peak) * (1.0 + noise(bin))
            })
            .collect()
    }

    #[test]
    fn a_load_cut_off_at_the_top_is_found_and_an_ordinary_peak_is_not() {
        let mut load = days(6);
        assert!(plateaus(&load).is_empty());
        for value in &mut load[4 * DAY..5 * DAY] {
            *value = value.min(600.0);
        }
        let [found] = &plateaus(&load)[..] else {
            panic!("{:?}", plateaus(&load));
        };
        let cut = load.iter().rposition(|value| *value == 600.0).unwrap();
        assert!(found.len() > 20 && found.contains(&cut), "{found:?}, {cut}");
        assert!(load[found.clone()].iter().all(|value| *value > 590.0));
    }

    #[test]
    fn a_service_that_gives_all_it_has_moves_by_little() {
        let mut load = days(6);
        for (bin, value) in load.iter_mut().enumerate().skip(4 * DAY) {
            *value = value.min(600.0 + (bin % 3) as f64);
        }
        assert_eq!(plateaus(&load).len(), 2);
    }

    #[test]
    fn what_is_not_over_or_stands_still_at_night_is_no_plateau() {
        let mut load = days(4);
        let evening = 3 * DAY + 240;
        load[evening..].fill(900.0);
        assert!(plateaus(&load).is_empty());
        let mut load = days(4);
        load[2 * DAY + 60..2 * DAY + 90].fill(101.0);
        assert!(plateaus(&load).is_empty());
    }

    #[test]
    fn values_that_are_held_for_an_hour_are_no_plateaus() {
        let mut load = days(6);
        for hour in load.chunks_mut(12) {
            let mean = hour.iter().sum::<f64>() / hour.len() as f64;
            hour.fill(mean);
        }
        assert!(plateaus(&load).is_empty());
    }

    /// What the module's comment says is measured here.
    #[test]
    fn most_full_hours_of_generated_seasons_are_found_and_hardly_any_other() {
        let (mut long, mut found, mut wrong, mut days) = (0, 0, 0, 0);
        for seed in 1..=4 {
            let season = Preset::Censored.season();
            let made = season::generate(&season, None, seed).unwrap();
            let load = made.load.raw();
            let full: Vec<Range<usize>> = made
                .faults
                .iter()
                .filter(|fault| fault.cause == Cause::Saturated)
                .filter_map(|fault| Some(made.load.index(fault.from)?..made.load.index(fault.to)?))
                .collect();
            let seen = plateaus(load);
            let meet = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
            long += full.iter().filter(|span| span.len() >= SHORTEST).count();
            found += full
                .iter()
                .filter(|span| span.len() >= SHORTEST && seen.iter().any(|run| meet(run, span)))
                .count();
            wrong += seen
                .iter()
                .filter(|run| !full.iter().any(|span| meet(run, span)))
                .count();
            days += load.len() / DAY;
        }
        let figures = format!("{found} of {long} found, {wrong} false in {days} days");
        assert!(4 * found >= 3 * long && wrong <= 2, "{figures}");
    }

    proptest! {
        #[test]
        fn any_load_gives_runs_in_order(
            load in proptest::collection::vec(
                prop_oneof![Just(f64::NAN), Just(0.0), Just(50.0), 0.0..1e4_f64], 0..400
            )
        ) {
            let found = plateaus(&load);
            for run in &found {
                prop_assert!(run.len() >= SHORTEST && run.end < load.len());
                prop_assert!(load[run.clone()].iter().all(|value| value.is_finite()));
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
