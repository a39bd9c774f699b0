//! Takes log load apart into seasons and the rest, and says what the seasons do next.
//!
//! Multiple seasonal-trend decomposition by Loess (Bandara, Hyndman, Bergmeir, 2021,
//! arXiv:2107.13462) as the `stlrs` crate implements it: a day, and a week once three of them
//! are there. A season goes on as its last cycle was.

use augurs::mstl::stlrs::Mstl;

use crate::forecast::grid::DAY;

/// Model bins per week.
const WEEK: usize = 7 * DAY;

/// Weeks of history before a weekly season is looked for: with two, each weekday's shape would
/// rest on one repetition.
const WEEKS: usize = 3;

/// Days to either side in which a gap looks for its own time of day.
const NEAR_DAYS: usize = 7;

/// Log load taken apart.
#[derive(Debug, Clone)]
pub(super) struct Seasons {
    /// The last cycle of each season.
    cycles: Vec<Vec<f64>>,
    /// Log load without its seasons, oldest first; gaps filled.
    pub(super) adjusted: Vec<f64>,
}

impl Seasons {
    /// Takes `log` apart, NaN where nothing is known. With less than two days there is nothing to
    /// decompose: the last day is the season, and its level is all that is left.
    pub(super) fn new(log: &[f64]) -> Self {
        let filled = filled(log);
        let periods: &[usize] = match filled.len() {
            bins if bins >= WEEKS * WEEK => &[DAY, WEEK],
            bins if bins >= 2 * DAY => &[DAY],
            _ => &[],
        };
        let narrow: Vec<f32> = filled.iter().map(|&y| y as f32).collect();
        // it refuses only what was checked above; should it ever, a day repeated is still right
        match Mstl::fit(&narrow, periods) {
            Ok(parts) => {
                let mut adjusted = filled;
                for season in parts.seasonal() {
                    for (y, season) in adjusted.iter_mut().zip(season) {
                        *y -= f64::from(*season);
                    }
                }
                let cycles = periods
                    .iter()
                    .zip(parts.seasonal())
                    .map(|(&period, season)| {
                        let last = &season[season.len() - period..];
                        last.iter().map(|&s| f64::from(s)).collect()
                    })
                    .collect();
                Self { cycles, adjusted }
            }
            Err(_) => Self::repeated(&filled),
        }
    }

    /// The last day as the season.
    fn repeated(filled: &[f64]) -> Self {
        let last = &filled[filled.len().saturating_sub(DAY)..];
        let level = last.iter().sum::<f64>() / last.len().max(1) as f64;
        Self {
            cycles: vec![last.iter().map(|y| y - level).collect()],
            adjusted: vec![level; last.len()],
        }
    }

    /// Number of seasons found.
    pub(super) fn count(&self) -> usize {
        self.cycles.len()
    }

    /// What the seasons add in the `after`-th bin after the last one taken apart (the first is 0).
    pub(super) fn at(&self, after: usize) -> f64 {
        self.cycles
            .iter()
            .filter(|cycle| !cycle.is_empty())
            .map(|cycle| cycle[after % cycle.len()])
            .sum()
    }

    /// Adds later log load, NaN where unknown, without its seasons. An unknown bin stays at the
    /// level of the last known one.
    pub(super) fn extended(&self, later: &[f64]) -> Vec<f64> {
        let mut adjusted = self.adjusted.clone();
        adjusted.reserve(later.len());
        for (after, y) in later.iter().enumerate() {
            let value = y - self.at(after);
            let carried = adjusted.last().copied().unwrap_or(0.0);
            adjusted.push(if value.is_finite() { value } else { carried });
        }
        adjusted
    }
}

/// Gaps filled for the decomposition alone, which needs every bin: with the mean of the nearest
/// known bins at the same time of day, before and after, within a week; failing that on the
/// straight line between the known neighbours. Never with zero.
fn filled(log: &[f64]) -> Vec<f64> {
    let mut out = log.to_vec();
    let known = |bin: Option<usize>| {
        bin.and_then(|bin| log.get(bin).copied())
            .filter(|y| y.is_finite())
    };
    for bin in (0..log.len()).filter(|&bin| !log[bin].is_finite()) {
        let before = (1..=NEAR_DAYS).find_map(|days| known(bin.checked_sub(days * DAY)));
        let after = (1..=NEAR_DAYS).find_map(|days| known(Some(bin + days * DAY)));
        out[bin] = match (before, after) {
            (Some(before), Some(after)) => f64::midpoint(before, after),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => f64::NAN,
        };
    }
    let mut last: Option<usize> = None;
    for bin in 0..=out.len() {
        if bin < out.len() && !out[bin].is_finite() {
            continue;
        }
        let from = last.map_or(0, |last| last + 1);
        let left = last.map(|last| out[last]);
        let right = out.get(bin).copied();
        let width = (bin - from + 1) as f64;
        for (place, y) in out[from..bin].iter_mut().enumerate() {
            let share = (place + 1) as f64 / width;
            *y = match (left, right) {
                (Some(left), Some(right)) => left + share * (right - left),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => 0.0,
            };
        }
        last = Some(bin);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(bin: usize) -> f64 {
        let day = (bin % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
        let weekend = if bin / DAY % 7 >= 5 { 0.5 } else { 0.0 };
        3.0 + day.sin() + weekend
    }

    #[test]
    fn a_day_and_a_week_are_found_and_go_on() {
        let log: Vec<f64> = (0..5 * WEEK).map(shape).collect();
        let seasons = Seasons::new(&log);
        assert_eq!(seasons.count(), 2);
        let level = seasons.adjusted[log.len() - 1];
        for after in (0..WEEK).step_by(7) {
            let said = level + seasons.at(after);
            let truth = shape(log.len() + after);
            assert!((said - truth).abs() < 0.15, "{after}: {said} {truth}");
        }
    }

    #[test]
    fn short_histories_have_a_day_only() {
        for (bins, count) in [(2 * WEEK, 1), (2 * DAY, 1), (DAY, 1), (0, 1)] {
            let log: Vec<f64> = (0..bins).map(shape).collect();
            let seasons = Seasons::new(&log);
            assert_eq!(seasons.count(), count, "{bins}");
            assert!(seasons.at(5).is_finite());
        }
        let day: Vec<f64> = (0..DAY).map(shape).collect();
        let seasons = Seasons::new(&day);
        let said = seasons.adjusted[0] + seasons.at(100);
        assert!((said - shape(100)).abs() < 1e-9);
    }

    #[test]
    fn gaps_are_filled_from_their_time_of_day_and_never_with_zero() {
        let mut log: Vec<f64> = (0..4 * DAY).map(shape).collect();
        log[DAY + 10..DAY + 40].fill(f64::NAN);
        for (bin, y) in filled(&log).iter().enumerate() {
            assert!((y - shape(bin)).abs() < 1e-9, "{bin}");
        }
        // the same hours unknown on every day: a straight line
        for day in 0..4 {
            log[day * DAY + 10..day * DAY + 12].fill(f64::NAN);
        }
        let line = filled(&log);
        let third = (shape(12) - shape(9)) / 3.0;
        assert!((line[10] - (shape(9) + third)).abs() < 1e-9);
        assert!((line[11] - (shape(12) - third)).abs() < 1e-9);
        // at the ends the nearest known value
        let ends = filled(&[f64::NAN, 2.0, f64::NAN]);
        assert_eq!(ends, [2.0, 2.0, 2.0]);
    }

    #[test]
    fn later_load_loses_its_seasons_and_unknown_bins_keep_the_level() {
        let log: Vec<f64> = (0..4 * WEEK).map(shape).collect();
        let seasons = Seasons::new(&log);
        let mut later: Vec<f64> = (4 * WEEK..4 * WEEK + 24).map(|b| shape(b) + 1.0).collect();
        later[12..].fill(f64::NAN);
        let adjusted = seasons.extended(&later);
        let tail = &adjusted[log.len()..];
        assert!((tail[0] - seasons.adjusted[log.len() - 1] - 1.0).abs() < 0.15);
        assert_eq!(tail[11], tail[23]);
    }
}
