//! Steps of load that last: a new client, a move of half the traffic to another region.
//!
//! A level shift (Chen and Liu, Joint estimation of model parameters and outlier effects in time
//! series, 1993) is met by the regression with a column of its own. Decayed averages would take days
//! to follow it, and days of one kind would follow before those of the other: on the Saturday after
//! a step on a Tuesday it was forecast as if it had not been. It is told by the difference to a week
//! ago, which habits of the day and the week are not in, and only where that is steady for a day on
//! both sides: holidays, promotions and the first days of a cup are not.

use super::order::median;

/// Bins of an hour.
const HOUR: usize = 12;

/// Hours of a day, and of a week.
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;

/// Hours that a shift must have held before it is told from what passes: each time of the day once.
pub(crate) const HELD: usize = DAY;

/// Hours on either side of which so many must be known.
const KNOWN: usize = 16;

/// Hours back from the end in which shifts are looked for: what lies further back weighs little.
const LOOKED_AT: usize = 8 * WEEK;

/// Most shifts that are told apart; a load that jumps more often has no level.
const MOST: usize = 6;

/// Least shift, log load: a factor of 1.3. What is smaller is followed well enough without.
const LEAST: f64 = 0.25;

/// How many times the mean deviation of the hours on either side it must be, as for a load that holds
/// within a day ([`super::level`]).
const STEADY: f64 = 10.0;

/// Less than this is no smaller deviation, log load.
const LEAST_SPREAD: f64 = 0.02;

/// First bins of the levels that load shifted to, in the order found, which is that of time. `log` is
/// log load in bins of five minutes, NaN where it is unknown or says nothing of the level.
pub(crate) fn level_shifts(log: &[f64]) -> Vec<usize> {
    let first_bin = log.len() % HOUR;
    let mut hours: Vec<f64> = log[first_bin..].chunks(HOUR).map(of_an_hour).collect();
    let mut found = Vec::new();
    let mut from = (WEEK + DAY).max(hours.len().saturating_sub(LOOKED_AT));
    while found.len() < MOST
        && let Some((hour, shift)) = first_shift(&hours, from)
    {
        // what comes a week later is not another
        for later in &mut hours[hour..] {
            *later -= shift;
        }
        // within an hour of each other the later one may be seen first
        let before = found.last().copied().unwrap_or_default();
        found.push(sharpest(log, first_bin + hour * HOUR, shift).max(before));
        from = hour + 1;
    }
    found
}

/// The bin within an hour of `near` at which load moves most in the direction of a shift.
fn sharpest(log: &[f64], near: usize, shift: f64) -> usize {
    let last = (near + HOUR).min(log.len() - HELD * HOUR);
    let moved = |bin: usize| {
        let mean = |bins: &[f64]| {
            let known = bins.iter().filter(|log| log.is_finite());
            known.clone().sum::<f64>() / known.count() as f64
        };
        shift.signum() * (mean(&log[bin..bin + HOUR / 2]) - mean(&log[bin - HOUR / 2..bin]))
    };
    let bins = (near - HOUR..=last).map(|bin| (bin, moved(bin)));
    bins.filter(|(_, moved)| moved.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(near, |(bin, _)| bin)
}

/// The middle load of an hour; NaN when less than half of it is known.
fn of_an_hour(bins: &[f64]) -> f64 {
    let mut known: Vec<f64> = bins.iter().copied().filter(|log| log.is_finite()).collect();
    if known.len() < HOUR / 2 {
        return f64::NAN;
    }
    median(&mut known).unwrap_or(f64::NAN)
}

/// The first hour from `from` on at which load shifts, and by how much.
fn first_shift(hours: &[f64], from: usize) -> Option<(usize, f64)> {
    let last = hours.len().checked_sub(HELD)?;
    let (found, _) =
        (from..=last).find_map(|hour| shift_at(hours, hour).map(|seen| (hour, seen)))?;
    // the hours before it see it coming
    let near =
        (found..=last.min(found + DAY)).filter_map(|hour| Some((hour, shift_at(hours, hour)?)));
    let (hour, (shift, _)) = near.max_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    Some((hour, shift))
}

/// By how much load shifts at an hour, and how many times the deviations that is; `None` where it
/// does not.
fn shift_at(hours: &[f64], hour: usize) -> Option<(f64, f64)> {
    let to_last_week = |hour: usize| hours[hour] - hours[hour - WEEK];
    let jump = to_last_week(hour + 1) - to_last_week(hour - 2);
    // most hours need no closer look
    if jump.abs() < 0.5 * LEAST {
        return None;
    }
    let (after, scatter_after) = middle((hour..hour + DAY).map(to_last_week))?;
    let (before, scatter_before) = middle((hour - DAY..hour).map(to_last_week))?;
    let shift = after - before;
    let times = shift.abs() / scatter_after.max(scatter_before).max(LEAST_SPREAD);
    // where the week before was another itself, it is that which ends
    let is_new = before.abs() <= 0.5 * shift.abs();
    (shift.abs() >= LEAST && times >= STEADY && is_new).then_some((shift, times))
}

/// The median of what is known of a day's hours, and the mean deviation from it.
fn middle(hours: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut known: Vec<f64> = hours.filter(|hour| hour.is_finite()).collect();
    if known.len() < KNOWN {
        return None;
    }
    let middle = median(&mut known)?;
    let deviation = known.iter().map(|hour| (hour - middle).abs()).sum::<f64>();
    Some((middle, deviation / known.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BINS: usize = 24 * HOUR;
    const NONE: [usize; 0] = [];

    /// Days of log load with a wave, weekends and noise, plus what is added at a bin.
    fn load(days: usize, noise: f64, add: impl Fn(usize) -> f64) -> Vec<f64> {
        (0..days * BINS)
            .map(|bin| {
                let wave = (std::f64::consts::TAU * bin as f64 / BINS as f64).sin();
                let weekend = if bin / BINS % 7 >= 5 { -0.5 } else { 0.0 };
                let noise = noise * ((bin * 7_919 % 101) as f64 / 50.0 - 1.0);
                5.0 + wave + weekend + noise + add(bin)
            })
            .collect()
    }

    #[test]
    fn a_step_is_told_once_a_day_has_seen_it_and_its_echo_is_not() {
        let step = 16 * BINS + 110;
        let stepped = |days| load(days, 0.1, |bin| if bin >= step { 0.9 } else { 0.0 });
        assert_eq!(level_shifts(&stepped(17)), NONE);
        for days in [18, 22, 24, 30] {
            let found = level_shifts(&stepped(days));
            assert_eq!(found, [step], "{days}");
        }
        // one that the history begins too late to tell has no echo either
        let early = load(20, 0.1, |bin| if bin >= 4 * BINS { 0.9 } else { 0.0 });
        assert_eq!(level_shifts(&early), NONE);
    }

    #[test]
    fn what_goes_down_and_comes_back_has_shifted_twice() {
        let (down, up) = (15 * BINS, 18 * BINS);
        let there = |bin: usize| if (down..up).contains(&bin) { -0.7 } else { 0.0 };
        assert_eq!(level_shifts(&load(28, 0.05, there)), [down, up]);
    }

    #[test]
    fn holidays_bursts_growth_and_gaps_are_no_levels() {
        let of = |add: &dyn Fn(usize) -> f64| level_shifts(&load(28, 0.1, add));
        // a holiday is another kind of day, not the same at another level
        let holiday = |bin: usize| {
            if bin / BINS == 17 {
                -0.3 - wave(bin)
            } else {
                0.0
            }
        };
        assert_eq!(of(&holiday), NONE);
        assert_eq!(of(&|bin| if bin / HOUR == 400 { 2.0 } else { 0.0 }), NONE);
        assert_eq!(of(&|bin| 0.03 * bin as f64 / BINS as f64), NONE);
        assert_eq!(
            of(&|bin| if bin / BINS % 9 == 4 { f64::NAN } else { 0.0 }),
            NONE
        );
        assert_eq!(level_shifts(&[]), NONE);
        assert_eq!(level_shifts(&[1.0; 11]), NONE);
    }

    fn wave(bin: usize) -> f64 {
        0.6 * (std::f64::consts::TAU * bin as f64 / BINS as f64).sin()
    }

    proptest! {
        #[test]
        fn any_load_has_few_shifts_in_order(
            days in 0_usize..40,
            noise in 0.0..2.0f64,
            steps in proptest::collection::vec((0_usize..40 * BINS, -2.0..2.0f64), 0..9),
        ) {
            let add = |bin: usize| steps.iter().filter(|s| bin >= s.0).map(|s| s.1).sum::<f64>();
            let log = load(days, noise, add);
            let found = level_shifts(&log);
            prop_assert!(found.len() <= MOST && found.is_sorted());
            prop_assert!(found.iter().all(|&bin| bin + HELD * HOUR <= log.len()));
        }
    }
}
