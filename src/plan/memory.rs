//! What one decision hands to the next. Serialisable, so that a decision can be replayed.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::capacity::{CapacityEstimate, ScaleUpTimes};
use crate::units::Timestamp;

/// A size that was wanted for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// First moment.
    pub from: Timestamp,
    /// Last moment it was still wanted.
    pub until: Timestamp,
    /// How many replicas.
    pub replicas: u32,
}

/// The rung of the ladder down that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// When it began.
    pub since: Timestamp,
    /// Size it began at.
    pub from: u32,
}

/// The minute of raises that counts against the raise limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RaiseMinute {
    /// When it began.
    pub since: Timestamp,
    /// Size it began at.
    pub from: u32,
}

/// What is remembered between decisions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Since when every tick had fresh load and forecast; `None` while something is missing.
    pub sighted_since: Option<Timestamp>,
    /// Since when wishes have been remembered without a blind spell as long as the release window;
    /// a single failed read does not count.
    pub watched_since: Option<Timestamp>,
    /// Since when something has been missing; `None` while nothing is.
    pub blind_since: Option<Timestamp>,
    /// Sizes wanted lately that no later one reached, oldest and largest first.
    pub wanted: Vec<Wanted>,
    /// The same of what the crowd needed, spikes left out.
    pub crowd: Vec<Wanted>,
    /// When a spike was last under way, held or announced.
    pub spiked_at: Option<Timestamp>,
    /// The ladder's present rung.
    pub rung: Option<Rung>,
    /// The present minute of raises.
    pub raise: Option<RaiseMinute>,
    /// What the last plan wanted the workload to be.
    pub desired: Option<u32>,
    /// Learnt capacity per replica.
    pub capacity: CapacityEstimate,
    /// Learnt scale-up times.
    pub scale_up: ScaleUpTimes,
}

impl Memory {
    /// Notes whether every fact is there.
    pub(super) fn note_sight(&mut self, now: Timestamp, complete: bool, window: TimeDelta) {
        if complete {
            self.sighted_since = Some(self.sighted_since.unwrap_or(now));
            self.blind_since = None;
        } else {
            self.sighted_since = None;
            let blind_since = *self.blind_since.get_or_insert(now);
            if now - blind_since > window {
                self.watched_since = None;
                return;
            }
        }
        self.watched_since = Some(self.watched_since.unwrap_or(now));
    }

    /// Adds what is wanted, and what of it is for the crowd and no spike, and forgets what is older
    /// than `keep`.
    pub(super) fn remember(
        &mut self,
        now: Timestamp,
        (wanted, crowd): (Option<u32>, Option<u32>),
        keep: TimeDelta,
    ) {
        for (wishes, wish) in [(&mut self.wanted, wanted), (&mut self.crowd, crowd)] {
            if let Some(replicas) = wish {
                add_wish(wishes, now, replicas, keep);
            }
        }
    }

    /// Takes over the minute of raises of whoever raised since the last decision.
    pub fn count_raise(&mut self, raised: Option<RaiseMinute>) {
        if let Some(raised) = raised
            && self.raise.is_none_or(|raise| raise.since < raised.since)
        {
            self.raise = Some(raised);
        }
    }

    /// The largest size wanted at or after `since`.
    pub(super) fn largest_wish(&self, since: Timestamp) -> Option<u32> {
        largest(&self.wanted, since)
    }

    /// The largest size the crowd needed at or after `since`.
    pub(super) fn largest_crowd(&self, since: Timestamp) -> Option<u32> {
        largest(&self.crowd, since)
    }
}

/// Adds a wish and forgets those older than `keep`.
///
/// A wish that a later one equals or exceeds can decide nothing any more, so only a falling
/// sequence is kept: the usual queue of a sliding maximum.
fn add_wish(wishes: &mut Vec<Wanted>, now: Timestamp, replicas: u32, keep: TimeDelta) {
    let from = wishes
        .iter()
        .find(|wish| wish.replicas == replicas)
        .map_or(now, |wish| wish.from);
    wishes.retain(|wish| wish.replicas > replicas && now - wish.until <= keep);
    wishes.push(Wanted {
        from: from.min(now),
        until: now,
        replicas,
    });
}

fn largest(wishes: &[Wanted], since: Timestamp) -> Option<u32> {
    wishes
        .iter()
        .filter(|wish| wish.until >= since)
        .map(|wish| wish.replicas)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_wish_is_that_of_the_whole_list() {
        let at = |minute: i64| Timestamp::UNIX_EPOCH + TimeDelta::minutes(minute);
        let wishes = [5, 9, 3, 7, 7, 2, 8, 1, 1, 4, 6, 2, 0, 3];
        let mut memory = Memory::default();
        for (minute, &replicas) in (0..).zip(&wishes) {
            memory.remember(at(minute), (Some(replicas), None), TimeDelta::minutes(6));
            for back in 0..=minute.min(6) {
                let naive = wishes[(minute - back) as usize..=minute as usize]
                    .iter()
                    .max();
                assert_eq!(memory.largest_wish(at(minute - back)).as_ref(), naive);
            }
            assert!(memory.wanted.is_sorted_by(|a, b| a.replicas > b.replicas));
        }
    }
}
