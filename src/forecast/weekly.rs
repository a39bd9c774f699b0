//! What the regression leaves over by time of the week.
//!
//! The regression knows days and weekends; some audiences also tell Friday night from Saturday
//! night. Per five minutes of the local week this keeps a decayed mean of past residuals, shrunk
//! towards nothing. Of three neighbours the middle one speaks: that quietens noise as a mean
//! would, and leaves a jump where it is.

/// Five minutes in a week.
pub(super) const BINS: usize = 7 * super::grid::DAY;

/// What is left of a residual's weight after a week.
const KEEP: f64 = 0.5;

/// Weeks of nothing that the mean starts from.
const SHRINK: f64 = 0.25;

/// Largest residual counted, log load: a blizzard is no habit.
const CLIP: f64 = 1.0;

/// Decayed residuals by local time of the week.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Weekly {
    /// Weighted sum and weight.
    pub(super) sums: Vec<(f64, f64)>,
}

impl Weekly {
    pub(crate) fn new() -> Self {
        Self {
            sums: vec![(0.0, 0.0); BINS],
        }
    }

    /// Counts one residual at a time of the week; NaN does not count.
    pub(crate) fn add(&mut self, week_bin: u16, residual: f64) {
        if let Some((sum, weight)) = self.sums.get_mut(usize::from(week_bin))
            && residual.is_finite()
        {
            *sum = *sum * KEEP + residual.clamp(-CLIP, CLIP);
            *weight = *weight * KEEP + 1.0;
        }
    }

    /// What to expect beyond the regression at a time of the week, log load.
    pub(crate) fn at(&self, week_bin: u16) -> f64 {
        let [before, own, after] = around(week_bin).map(|week_bin| {
            let (sum, weight) = self.sums[usize::from(week_bin)];
            sum / (weight + SHRINK)
        });
        own.clamp(before.min(after), before.max(after))
    }
}

/// The five minutes before some of the week, these, and those after.
pub(super) fn around(week_bin: u16) -> [u16; 3] {
    let last = BINS as u16 - 1;
    [
        week_bin.checked_sub(1).unwrap_or(last),
        week_bin,
        if week_bin == last { 0 } else { week_bin + 1 },
    ]
}

/// The five minutes of the local week that a local day and second fall into.
pub(crate) fn week_bin(day: i64, second: i64) -> u16 {
    let bin = day.rem_euclid(7) * super::grid::DAY as i64 + second / super::grid::STEP;
    bin.clamp(0, BINS as i64 - 1) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_habit_is_learnt_in_weeks_and_a_blizzard_is_clipped() {
        let mut weekly = Weekly::new();
        assert_eq!(weekly.at(5), 0.0);
        let week = |weekly: &mut Weekly, residual: f64| {
            for bin in 0..2_016 {
                weekly.add(bin, residual);
            }
        };
        week(&mut weekly, 0.4);
        assert!((weekly.at(5) - 0.32).abs() < 1e-12);
        for _ in 0..8 {
            week(&mut weekly, 0.4);
        }
        assert!((0.34..0.4).contains(&weekly.at(2_015)));
        week(&mut weekly, -9.0);
        assert!(weekly.at(5) > -0.4);
    }

    #[test]
    fn the_week_has_its_own_bins() {
        assert_eq!(week_bin(0, 0), 0);
        assert_eq!(week_bin(6, 86_399), 2_015);
        assert_eq!(week_bin(7, 300), 1);
    }
}
