//! What one decision hands to the next. Serialisable, so that a decision can be replayed.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::capacity::{CapacityEstimate, ScaleUpTimes};
use crate::units::Timestamp;

/// A size that was wanted from a moment on.
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
    /// Sizes wanted within the release window, oldest first.
    pub wanted: Vec<Wanted>,
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
    /// Adds a wish and forgets those that ended before the window.
    pub(super) fn remember_wish(&mut self, now: Timestamp, replicas: u32, window: TimeDelta) {
        match self.wanted.last_mut() {
            Some(last) if last.replicas == replicas && last.until <= now => last.until = now,
            _ => self.wanted.push(Wanted {
                from: now,
                until: now,
                replicas,
            }),
        }
        self.wanted.retain(|wish| now - wish.until <= window);
    }

    /// The largest size wanted within the window.
    pub(super) fn largest_wish(&self) -> Option<u32> {
        self.wanted.iter().map(|wish| wish.replicas).max()
    }
}
