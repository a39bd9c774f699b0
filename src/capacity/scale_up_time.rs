//! Time from a decision to the last of its replicas being Ready, learnt from every scale-up seen.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// What is assumed before anything was seen: an image pull and a slow start, no new node
/// (DOMAIN.md 3: 6-15 s at best, 45-300 s with a node).
pub const UNSEEN: TimeDelta = TimeDelta::seconds(60);

/// Fewer scale-ups than this are mixed with [`UNSEEN`].
const ENOUGH: usize = 3;

/// How many of the latest scale-ups are remembered.
const REMEMBERED: usize = 20;

/// A scale-up under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleUpUnderWay {
    /// When the larger size was first seen in the spec.
    pub since: Timestamp,
    /// The size to be reached.
    pub target: u32,
}

/// The scale-ups seen lately.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleUpTimes {
    under_way: Option<ScaleUpUnderWay>,
    /// Milliseconds, oldest first.
    seen: Vec<i64>,
}

impl ScaleUpTimes {
    /// Takes in what the workload shows: the size asked for and the replicas ready.
    #[must_use]
    pub fn observe(mut self, now: Timestamp, replicas: u32, ready: u32) -> Self {
        match self.under_way {
            None if ready < replicas => {
                self.under_way = Some(ScaleUpUnderWay {
                    since: now,
                    target: replicas,
                });
            }
            Some(started) if ready >= started.target => {
                if now > started.since {
                    self.seen.push((now - started.since).num_milliseconds());
                    if self.seen.len() > REMEMBERED {
                        self.seen.remove(0);
                    }
                }
                self.under_way = (ready < replicas).then_some(ScaleUpUnderWay {
                    since: now,
                    target: replicas,
                });
            }
            // shrunk before it arrived: says nothing about start-up
            Some(started) if replicas < started.target => {
                self.under_way = None;
            }
            _ => {}
        }
        self
    }

    /// A time that nineteen in twenty scale-ups did not exceed, as far as was seen.
    pub fn p95(&self) -> TimeDelta {
        let mut sorted = self.seen.clone();
        if sorted.len() < ENOUGH {
            sorted.push(UNSEEN.num_milliseconds());
        }
        sorted.sort_unstable();
        let rank = ((sorted.len() as f64 * 0.95).ceil() as usize).clamp(1, sorted.len());
        TimeDelta::milliseconds(sorted[rank - 1])
    }

    /// How many scale-ups were seen.
    pub fn count(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
    }

    #[test]
    fn the_prior_holds_until_enough_was_seen() {
        let mut times = ScaleUpTimes::default();
        assert_eq!(times.p95(), UNSEEN);
        for i in 0..3 {
            times = times
                .observe(second(100 * i), 10, 4)
                .observe(second(100 * i + 14), 10, 10);
        }
        assert_eq!(times.count(), 3);
        assert_eq!(times.p95(), TimeDelta::seconds(14));
    }

    #[test]
    fn a_scale_up_called_off_is_not_counted() {
        let times = ScaleUpTimes::default()
            .observe(second(0), 10, 4)
            .observe(second(5), 6, 5)
            .observe(second(9), 6, 6);
        assert_eq!(times.count(), 0);
    }

    #[test]
    fn a_larger_target_starts_its_own_clock() {
        let times = ScaleUpTimes::default()
            .observe(second(0), 10, 4)
            .observe(second(20), 30, 10)
            .observe(second(50), 30, 30);
        assert_eq!(times.seen, vec![20_000, 30_000]);
    }
}
