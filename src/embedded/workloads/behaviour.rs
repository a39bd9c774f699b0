//! How fast the simulated cluster makes, starts and ends pods.
//!
//! Decides delays and creation times from configured distributions and one seeded generator. It
//! must not see objects.

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, LogNormal};

use crate::units::Timestamp;

/// A delay that is constant or drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    /// Always the same.
    Constant(TimeDelta),
    /// Log-normal, given by its median and its 95th percentile. A percentile below the median is
    /// read as the median, which makes the delay constant.
    LogNormal {
        /// Half of the delays are shorter.
        median: TimeDelta,
        /// One delay in twenty is longer.
        p95: TimeDelta,
    },
}

impl Delay {
    /// A constant number of seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self::Constant(TimeDelta::seconds(seconds))
    }

    pub(super) fn draw(self, rng: &mut StdRng) -> TimeDelta {
        match self {
            Self::Constant(span) => span.max(TimeDelta::zero()),
            Self::LogNormal { median, p95 } => {
                /// The 95th percentile of the standard normal distribution.
                const Z95: f64 = 1.644_853_626_951_472_2;
                let seconds = |span: TimeDelta| (span.num_milliseconds().max(1) as f64) / 1e3;
                let location = seconds(median).ln();
                let spread = ((seconds(p95).ln() - location) / Z95).max(0.0);
                let drawn = match LogNormal::new(location, spread) {
                    Ok(distribution) => distribution.sample(rng),
                    Err(_) => seconds(median),
                };
                TimeDelta::milliseconds((drawn * 1e3) as i64)
            }
        }
    }
}

/// How pods come and go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodBehaviour {
    /// From being placed on a node to Running and Ready.
    pub start_up: Delay,
    /// From the deletion mark to being gone.
    pub terminate: Delay,
    /// Pods created per second over all workloads. kube-controller-manager is held to 20 requests
    /// per second by default (`--kube-api-qps`).
    pub create_per_second: f64,
    /// Pods created at once after a quiet time (`--kube-api-burst`, 30 by default).
    pub create_burst: u32,
    /// Seed of every drawn delay.
    pub seed: u64,
}

impl Default for PodBehaviour {
    fn default() -> Self {
        Self {
            start_up: Delay::LogNormal {
                median: TimeDelta::seconds(8),
                p95: TimeDelta::seconds(15),
            },
            terminate: Delay::seconds(2),
            create_per_second: 20.0,
            create_burst: 30,
            seed: 1,
        }
    }
}

/// Nodes of limited room that are added when pods do not fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeBehaviour {
    /// Nodes at the start.
    pub initial: usize,
    /// Nodes at most.
    pub max: usize,
    /// Pods that fit on one node.
    pub pods_per_node: usize,
    /// From the first pod that does not fit to a ready node.
    pub boot: Delay,
}

/// Spaces creations out: a token bucket that tells when each of them may happen.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    interval: TimeDelta,
    allowance: TimeDelta,
    /// Time at which the bucket is full again.
    full_at: Option<Timestamp>,
}

impl Pace {
    pub(super) fn new(per_second: f64, burst: u32) -> Self {
        let rate = if per_second.is_finite() && per_second > 0.0 {
            per_second
        } else {
            1e6
        };
        let interval = TimeDelta::nanoseconds((1e9 / rate) as i64);
        Self {
            interval,
            allowance: interval * i32::try_from(burst.max(1)).unwrap_or(i32::MAX),
            full_at: None,
        }
    }

    /// Time of the next creation asked for at `at`; its token is taken.
    pub(super) fn next(&mut self, at: Timestamp) -> Timestamp {
        let full_at = self.full_at.map_or(at, |full| full.max(at)) + self.interval;
        self.full_at = Some(full_at);
        (full_at - self.allowance).max(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn creations_come_in_a_burst_and_then_at_the_rate() {
        let start: Timestamp = "2026-09-13T17:00:00Z".parse().unwrap();
        let mut pace = Pace::new(20.0, 30);
        let times: Vec<i64> = (0..50)
            .map(|_| (pace.next(start) - start).num_milliseconds())
            .collect();
        assert!(times[..30].iter().all(|at| *at == 0), "{times:?}");
        assert_eq!(times[30], 50);
        assert_eq!(times[49], 1000);
        let later = start + TimeDelta::seconds(60);
        assert_eq!(pace.next(later), later);
    }

    #[test]
    fn drawn_delays_have_the_median_and_percentile_asked_for() {
        let mut rng = StdRng::seed_from_u64(3);
        let delay = Delay::LogNormal {
            median: TimeDelta::seconds(10),
            p95: TimeDelta::seconds(30),
        };
        let mut drawn: Vec<i64> = (0..4000)
            .map(|_| delay.draw(&mut rng).num_milliseconds())
            .collect();
        drawn.sort_unstable();
        assert!((9_300..10_700).contains(&drawn[2000]), "{}", drawn[2000]);
        assert!((27_000..33_000).contains(&drawn[3800]), "{}", drawn[3800]);
    }
}
