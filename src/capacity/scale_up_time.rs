//! Time from a decision to the last of its replicas being Ready, learnt from every scale-up seen.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// What is assumed before anything was seen: an image pull and a slow start, no new node
/// (6-15 s at best on a vanilla cluster, 45-300 s with a node).
pub const UNSEEN: TimeDelta = TimeDelta::seconds(60);

/// Fewer scale-ups than this are mixed with [`UNSEEN`].
const ENOUGH: usize = 3;

/// A scale-up that takes longer is stuck (no node, no image, a failing probe): it says what is
/// wrong, not how early to begin.
const STUCK: TimeDelta = TimeDelta::minutes(20);

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
    /// The size asked for when last looked at.
    #[serde(default)]
    last: Option<u32>,
    /// Milliseconds, oldest first.
    seen: Vec<i64>,
}

impl ScaleUpTimes {
    /// Takes in what the workload shows: the size asked for and the replicas ready. Only a size
    /// that was seen to rise starts the clock; a replica that fails later does not.
    #[must_use]
    pub fn observe(mut self, now: Timestamp, replicas: u32, ready: u32) -> Self {
        let risen = self.last.is_some_and(|last| replicas > last);
        self.last = Some(replicas);
        let started = ScaleUpUnderWay {
            since: now,
            target: replicas,
        };
        match self.under_way {
            None if risen && ready < replicas => self.under_way = Some(started),
            Some(before) if ready >= before.target => {
                let took = now - before.since;
                if took > TimeDelta::zero() && took <= STUCK {
                    self.seen.push(took.num_milliseconds());
                    if self.seen.len() > REMEMBERED {
                        self.seen.remove(0);
                    }
                }
                self.under_way = (risen && ready < replicas).then_some(started);
            }
            // shrunk before it arrived, stuck, or the clock was set back: nothing to learn
            Some(before)
                if replicas < before.target || now - before.since > STUCK || now < before.since =>
            {
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
                .observe(second(100 * i - 5), 4, 4)
                .observe(second(100 * i), 10, 4)
                .observe(second(100 * i + 14), 10, 10);
        }
        assert_eq!(times.count(), 3);
        assert_eq!(times.p95(), TimeDelta::seconds(14));
    }

    #[test]
    fn a_scale_up_called_off_is_not_counted() {
        let times = ScaleUpTimes::default()
            .observe(second(0), 4, 4)
            .observe(second(1), 10, 4)
            .observe(second(5), 6, 5)
            .observe(second(9), 6, 6);
        assert_eq!(times.count(), 0);
    }

    #[test]
    fn a_larger_target_starts_its_own_clock() {
        let times = ScaleUpTimes::default()
            .observe(second(-5), 4, 4)
            .observe(second(0), 10, 4)
            .observe(second(20), 30, 10)
            .observe(second(50), 30, 30);
        assert_eq!(times.seen, vec![20_000, 30_000]);
    }

    #[test]
    fn a_replica_that_fails_or_sticks_is_no_scale_up() {
        let failed = ScaleUpTimes::default()
            .observe(second(0), 10, 10)
            .observe(second(5), 10, 9)
            .observe(second(86_400), 10, 10);
        assert_eq!(failed.count(), 0);
        let stuck = ScaleUpTimes::default()
            .observe(second(0), 4, 4)
            .observe(second(5), 10, 9)
            .observe(second(86_400), 10, 10);
        assert_eq!((stuck.count(), stuck.p95()), (0, UNSEEN));
    }
}
