//! What the regression leaves over by the audience's clock and calendar.
//!
//! First by the time of the week ([`Weekly`]), then, of what that leaves, by the time of the day.
//! The regression's day is six harmonics: it bends and does not jump. A job at a fixed time, a
//! service that opens at seven, a push sent at noon are learnt within days here. It is one more
//! expert's input, not a term of the model: where it does not help, the mixture leaves it alone.
//! Moments that a fixture reaches do not count, or last week's match would be expected again.

use serde::{Deserialize, Serialize};

use super::audience::is_weekend;
use super::grid::DAY;
use super::noise::beyond_noise;
use super::weekly::{BINS, Weekly, around};

/// What is left of a residual's weight after a day of its kind: half after four days.
const KEEP: f64 = 0.84;

/// Days without a deviation that the mean starts from, and most days of the other kind that count
/// for one.
const SHRINK: f64 = 1.0;

/// Standard deviation of one day about the others before any was seen, log load.
const SPREAD: f64 = 0.2;

/// Largest deviation from the mean so far that counts, log load: an outage is no habit.
const CLIP: f64 = 1.0;

/// Working days, and Saturday and Sunday.
const KINDS: usize = 2;

/// Decayed deviations of one kind of day at one time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "[f64; 4]", from = "[f64; 4]")]
struct Tally {
    weight: f64,
    sum: f64,
    /// Half the squared differences from one day to the next: what noise is, and a change is once.
    moves: f64,
    last: f64,
}

impl From<[f64; 4]> for Tally {
    fn from([weight, sum, moves, last]: [f64; 4]) -> Self {
        Self {
            weight,
            sum,
            moves,
            last,
        }
    }
}

impl From<Tally> for [f64; 4] {
    fn from(tally: Tally) -> Self {
        [tally.weight, tally.sum, tally.moves, tally.last]
    }
}

impl Tally {
    fn add(&mut self, deviation: f64) {
        let usual = self.sum / (self.weight + SHRINK);
        let counted = deviation.clamp(usual - CLIP, usual + CLIP);
        let moved = if self.weight > 0.0 {
            (counted - self.last).powi(2) / 2.0
        } else {
            0.0
        };
        *self = Self {
            weight: self.weight * KEEP + 1.0,
            sum: self.sum * KEEP + counted,
            moves: self.moves * KEEP + moved,
            last: counted,
        };
    }

    /// With as much of another kind of day as counts for this one.
    fn beside(self, other: Self) -> Self {
        let share = SHRINK.min(other.weight) / other.weight.max(SHRINK);
        Self {
            weight: self.weight + share * other.weight,
            sum: self.sum + share * other.sum,
            moves: self.moves + share * other.moves,
            last: self.last,
        }
    }

    /// The mean as far as it is more than noise, whose variance is von Neumann's, by successive
    /// differences; shrunk towards nothing.
    fn expected(self) -> f64 {
        if self.weight <= 0.0 {
            return 0.0;
        }
        let mean = self.sum / self.weight;
        let variance = (self.moves + SHRINK * SPREAD * SPREAD) / (self.weight + SHRINK);
        let sure = beyond_noise(mean, variance / self.weight);
        sure * self.weight / (self.weight + SHRINK)
    }
}

/// What is left over by time of the day and of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Remainder {
    weekly: Weekly,
    /// What the week leaves over, working days and weekends apart.
    daily: [Vec<Tally>; KINDS],
}

impl Remainder {
    pub(crate) fn new() -> Self {
        Self {
            weekly: Weekly::new(),
            daily: std::array::from_fn(|_| vec![Tally::default(); DAY]),
        }
    }

    /// Counts one residual at a time of the week ([`super::weekly::week_bin`]); NaN does not count.
    pub(crate) fn add(&mut self, week_bin: u16, residual: f64) {
        if residual.is_finite() {
            let (kind, bin) = of_day(week_bin);
            self.daily[kind][bin].add(residual - self.weekly.at(week_bin));
            self.weekly.add(week_bin, residual);
        }
    }

    /// What to expect beyond the regression at a time of the week, log load.
    pub(crate) fn at(&self, week_bin: u16) -> f64 {
        let (kind, bin) = of_day(week_bin);
        self.weekly.at(week_bin) + self.of_days(kind, bin)
    }

    /// What to expect of one kind of day beyond what its week tells.
    fn of_days(&self, kind: usize, bin: usize) -> f64 {
        let day = self.daily[kind][bin].beside(self.daily[1 - kind][bin]);
        day.expected()
    }

    /// Field and reason when it cannot be read from; nothing when it can.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let weeks = self.weekly.sums.len();
        if weeks != BINS {
            let reason = format!("{weeks} bins, but a week has {BINS} of five minutes");
            return Some(("state.remainder.weekly", reason));
        }
        if self.weekly.sums.iter().any(|&(_, weight)| weight < 0.0) {
            return Some(("state.remainder.weekly", "a weight is below 0".to_owned()));
        }
        let days = self.daily.iter().map(Vec::len).find(|&len| len != DAY);
        if let Some(days) = days {
            let reason = format!("{days} bins, but a day has {DAY} of five minutes");
            return Some(("state.remainder.daily", reason));
        }
        let mut tallies = self.daily.iter().flatten();
        tallies
            .any(|tally| tally.weight < 0.0)
            .then(|| ("state.remainder.daily", "a weight is below 0".to_owned()))
    }
}

/// What a remainder expects at every time of the week, worked out once for as long as it stands.
#[derive(Debug)]
pub(crate) struct Expected {
    weekly: Vec<f64>,
    daily: [Vec<f64>; KINDS],
}

impl Expected {
    /// Of a remainder that has seen nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            weekly: vec![0.0; BINS],
            daily: std::array::from_fn(|_| vec![0.0; DAY]),
        }
    }

    /// At a time of the week, log load: [`Remainder::at`].
    pub(crate) fn at(&self, week_bin: u16) -> f64 {
        let (kind, bin) = of_day(week_bin);
        self.weekly[usize::from(week_bin)] + self.daily[kind][bin]
    }

    /// Follows a remainder that has counted residuals at these times of the week since it was last
    /// asked.
    pub(crate) fn follow(&mut self, remainder: &Remainder, counted: &[u16]) {
        for &week_bin in counted {
            for near in around(week_bin) {
                self.weekly[usize::from(near)] = remainder.weekly.at(near);
            }
            let (_, bin) = of_day(week_bin);
            for (kind, days) in self.daily.iter_mut().enumerate() {
                days[bin] = remainder.of_days(kind, bin);
            }
        }
    }
}

/// Kind of day, and five minutes of it.
fn of_day(week_bin: u16) -> (usize, usize) {
    let week_bin = usize::from(week_bin);
    let day = (week_bin / DAY) as i64;
    (usize::from(is_weekend(day)), week_bin % DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds days, the first a Thursday: what a day and five minutes of it left over.
    fn days(
        remainder: &mut Remainder,
        days: std::ops::Range<usize>,
        left: impl Fn(usize, usize) -> f64,
    ) {
        for bin in days.start * DAY..days.end * DAY {
            remainder.add((bin % BINS) as u16, left(bin / DAY, bin % DAY));
        }
    }

    fn at(remainder: &Remainder, day: usize, bin: usize) -> f64 {
        remainder.at(((day * DAY + bin) % BINS) as u16)
    }

    /// Something between -.1 and .1 that repeats on no day.
    fn noise(day: usize, bin: usize) -> f64 {
        ((day * 7_919 + bin * 104_729) % 2_001) as f64 / 10_000.0 - 0.1
    }

    #[test]
    fn a_jump_at_a_fixed_time_is_learnt_in_days_and_to_the_bin() {
        let mut remainder = Remainder::new();
        assert_eq!(at(&remainder, 0, 5), 0.0);
        days(&mut remainder, 0..14, noise);
        let job = |day: usize, bin: usize| {
            let runs = (100..106).contains(&bin);
            noise(day, bin) + if runs { 1.6 } else { 0.0 }
        };
        days(&mut remainder, 14..19, job);
        for bin in 100..106 {
            let said = at(&remainder, 19, bin);
            assert!((0.25..1.8).contains(&said), "{bin}: {said}");
        }
        for bin in [98, 99, 106, 107] {
            assert!(at(&remainder, 19, bin).abs() < 0.15, "{bin}");
        }
        days(&mut remainder, 19..35, job);
        for bin in 100..106 {
            assert!((at(&remainder, 35, bin) - 1.6).abs() < 0.25, "{bin}");
        }
    }

    #[test]
    fn a_weekend_without_it_is_told_from_working_days() {
        let mut remainder = Remainder::new();
        let opening = |day: usize, bin: usize| {
            let open = !(2..4).contains(&(day % 7)) && (84..240).contains(&bin);
            if open { 1.0 } else { -1.0 }
        };
        // before any weekend was seen, it is expected to be like the days before it
        days(&mut remainder, 0..2, opening);
        assert!(at(&remainder, 2, 150) > 0.2);
        days(&mut remainder, 2..21, opening);
        for (day, expected) in [(0, 1.0), (2, -1.0), (3, -1.0), (4, 1.0)] {
            let said = at(&remainder, day, 150);
            assert!((said - expected).abs() < 0.25, "{day}: {said}");
        }
    }

    #[test]
    fn what_is_worked_out_once_is_what_the_remainder_says() {
        let mut remainder = Remainder::new();
        let mut expected = Expected::nothing();
        for turn in 0..60 {
            let first = turn * 431;
            let counted: Vec<u16> = (first..first + 144).map(|b| (b % BINS) as u16).collect();
            for &week_bin in &counted {
                let job = f64::from(u8::from((100..106).contains(&(week_bin % 288))));
                remainder.add(week_bin, noise(turn, usize::from(week_bin)) + job);
            }
            expected.follow(&remainder, &counted);
            for week_bin in 0..BINS as u16 {
                assert_eq!(expected.at(week_bin), remainder.at(week_bin), "{week_bin}");
            }
        }
    }

    #[test]
    fn noise_and_one_outage_are_no_habit_of_the_day() {
        let mut remainder = Remainder::new();
        days(&mut remainder, 0..21, noise);
        let daily = |remainder: &Remainder| -> f64 {
            let all = (0..7 * DAY).map(|bin| {
                let said = remainder.at(bin as u16) - remainder.weekly.at(bin as u16);
                said.abs()
            });
            all.sum::<f64>() / (7 * DAY) as f64
        };
        assert!(daily(&remainder) < 0.005, "{}", daily(&remainder));
        days(&mut remainder, 21..22, |_, _| -9.0);
        assert!(daily(&remainder) < 0.02, "{}", daily(&remainder));
        remainder.add(5, f64::NAN);
        assert!(at(&remainder, 0, 5).is_finite());
    }
}
