//! How soon a jump is seen and how often there was none: the fast loop's detector beside the
//! panic rule of Knative's autoscaler, on counts drawn from a declared distribution.
//!
//! Counts of a second are gamma-mixed Poisson: variance `φ` times the mean. A jump begins at a
//! moment drawn evenly within a second, so the first sample that is changed holds only a part of
//! it; what is told is the time from that moment to the end of the sample that gave the alarm.

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, Gamma, Poisson};

use crate::burst::{Detector, LiveSample};
use crate::units::{Rate, Timestamp};

/// Quiet seconds before a jump: enough to know level and dispersion.
const QUIET: i64 = 600;

/// A jump that is not seen after this is missed.
const LONGEST: i64 = 120;

/// A load and what happens to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drill {
    /// Load before.
    pub rate: Rate,
    /// Variance over mean of the counts of a second.
    pub dispersion: f64,
    /// Load after over load before.
    pub jump: f64,
}

/// Something that gives alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Watcher {
    /// The fast loop's detector with its least mean time between false alarms.
    Cusum(TimeDelta),
    /// Knative's: the mean of the last six seconds reaches twice what is planned for.
    PanicWindow,
}

/// Seconds of Knative's panic window: a tenth of the stable window of 60.
const PANIC_WINDOW: usize = 6;

/// Its threshold.
const PANIC: f64 = 2.0;

/// The state of a watcher.
#[derive(Debug, Clone)]
pub enum Watching {
    /// Of the detector.
    Cusum(Detector, TimeDelta),
    /// The last seconds, oldest first, and the load planned for.
    PanicWindow(Vec<f64>, Rate),
}

impl Watching {
    /// A watcher at its beginning, of a load planned to be `rate`.
    pub fn new(watcher: Watcher, rate: Rate) -> Self {
        match watcher {
            Watcher::Cusum(every) => Self::Cusum(Detector::default(), every),
            Watcher::PanicWindow => Self::PanicWindow(Vec::new(), rate),
        }
    }

    /// Takes in a sample; true for an alarm. The panic rule gives one when it begins to hold.
    pub fn observe(&mut self, sample: &LiveSample) -> bool {
        match self {
            Self::Cusum(detector, every) => detector.observe(sample, None, *every).is_some(),
            Self::PanicWindow(window, planned) => {
                let held = Self::panics(window, *planned);
                if window.len() == PANIC_WINDOW {
                    window.remove(0);
                }
                window.push(sample.offered.as_per_second());
                !held && Self::panics(window, *planned)
            }
        }
    }

    fn panics(window: &[f64], planned: Rate) -> bool {
        let sum: f64 = window.iter().sum();
        window.len() == PANIC_WINDOW && sum / PANIC_WINDOW as f64 >= PANIC * planned.as_per_second()
    }
}

impl Drill {
    /// Seconds from each of so many jumps to its alarm, ascending; a missed one is infinite.
    pub fn delays(&self, watcher: Watcher, trials: u32, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut delays: Vec<f64> = (0..trials).map(|_| self.delay(watcher, &mut rng)).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    /// Alarms on so many days without any jump.
    pub fn false_alarms(&self, watcher: Watcher, days: u32, seed: u64) -> u32 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut watching = Watching::new(watcher, self.rate);
        let mean = self.rate.as_per_second();
        (0..i64::from(days) * 86_400)
            .filter(|&second| {
                let count = self.draw(mean, &mut rng);
                watching.observe(&sample(second, count))
            })
            .count() as u32
    }

    /// Lorden's bound: no watcher with that time between false alarms has a smaller mean delay
    /// in the worst case, `ln(ARL) / KL` samples of a second with
    /// `KL = λ (r ln r − r + 1) / φ`. It is asymptotic; short delays may lie below it.
    pub fn bound(&self, false_alarm_every: TimeDelta) -> f64 {
        let r = self.jump;
        let information =
            self.rate.as_per_second() * (r * r.ln() - r + 1.0) / self.dispersion.max(1.0);
        (false_alarm_every.num_seconds() as f64).ln() / information
    }

    fn delay(&self, watcher: Watcher, rng: &mut StdRng) -> f64 {
        let mut watching = Watching::new(watcher, self.rate);
        let mean = self.rate.as_per_second();
        for second in 0..QUIET {
            let count = self.draw(mean, rng);
            watching.observe(&sample(second, count));
        }
        let begins: f64 = rng.random();
        for second in 0..LONGEST {
            let share = if second == 0 { 1.0 - begins } else { 1.0 };
            let load = mean * (1.0 + (self.jump - 1.0) * share);
            let count = self.draw(load, rng);
            if watching.observe(&sample(QUIET + second, count)) {
                return second as f64 + 1.0 - begins;
            }
        }
        f64::INFINITY
    }

    fn draw(&self, mean: f64, rng: &mut StdRng) -> f64 {
        let mixed = if self.dispersion > 1.0 {
            let scale = self.dispersion - 1.0;
            Gamma::new(mean / scale, scale).map_or(mean, |gamma| gamma.sample(rng))
        } else {
            mean
        };
        Poisson::new(mixed).map_or(0.0, |poisson| poisson.sample(rng))
    }
}

/// The sample of one second.
pub fn sample(second: i64, count: f64) -> LiveSample {
    let from = Timestamp::UNIX_EPOCH + TimeDelta::seconds(second);
    LiveSample {
        from,
        to: from + TimeDelta::seconds(1),
        offered: Rate::per_second(count),
        queued: None,
        error: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: TimeDelta = TimeDelta::days(1);

    #[test]
    fn the_bound_is_the_published_one() {
        let drill = |rate, dispersion, jump| Drill {
            rate: Rate::per_second(rate),
            dispersion,
            jump,
        };
        assert!((drill(20.0, 1.0, 1.5).bound(DAY) - 5.3).abs() < 0.06);
        assert!((drill(20.0, 4.0, 2.0).bound(DAY) - 5.9).abs() < 0.06);
        assert!((drill(200.0, 4.0, 2.0).bound(DAY) - 0.6).abs() < 0.06);
    }

    #[test]
    fn a_mean_of_six_seconds_sees_a_jump_later() {
        let drill = Drill {
            rate: Rate::per_second(200.0),
            dispersion: 4.0,
            jump: 4.0,
        };
        let mean = |watcher| drill.delays(watcher, 50, 1).iter().sum::<f64>() / 50.0;
        let (cusum, panic) = (mean(Watcher::Cusum(DAY)), mean(Watcher::PanicWindow));
        // two of the six seconds must be new before their mean has doubled
        assert!((1.5..3.5).contains(&panic), "{panic}");
        assert!(cusum < 1.1, "{cusum}");
        assert!(cusum < panic);
    }

    #[test]
    fn the_same_seed_draws_the_same_jumps() {
        let drill = Drill {
            rate: Rate::per_second(5.0),
            dispersion: 2.0,
            jump: 3.0,
        };
        let delays = |seed| drill.delays(Watcher::Cusum(DAY), 20, seed);
        assert_eq!(delays(3), delays(3));
        assert_ne!(delays(3), delays(4));
    }
}
