//! Permission, kept apart from the wish: bounds and how fast a workload may grow.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::memory::{Memory, RaiseMinute};
use super::policy::Policy;
use crate::units::Timestamp;

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// `minReplicas` lifted the wish.
    MinReplicas,
    /// `maxReplicas` cut the wish.
    MaxReplicas,
    /// `maxRaisePerMinute` cut the wish.
    RaiseRate,
}

/// A limit that changed the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitCut {
    /// Which.
    pub limit: Limit,
    /// What was asked for.
    pub wanted: u32,
    /// What it became.
    pub allowed: u32,
}

impl LimitCut {
    /// In words.
    pub fn text(&self) -> String {
        let Self {
            limit,
            wanted,
            allowed,
        } = self;
        match limit {
            Limit::MinReplicas => format!("minReplicas lifts {wanted} to {allowed}"),
            Limit::MaxReplicas => format!(
                "maxReplicas cuts {wanted} to {allowed}: {} replicas' worth of demand will not be \
                 covered",
                wanted - allowed
            ),
            Limit::RaiseRate => format!("maxRaisePerMinute allows {allowed} of {wanted} for now"),
        }
    }
}

/// The wish within `minReplicas..=maxReplicas`.
pub(super) fn within_bounds(wish: u32, policy: &Policy, cuts: &mut Vec<LimitCut>) -> u32 {
    let allowed = wish.clamp(policy.min_replicas, policy.max_replicas);
    if allowed != wish {
        let limit = if allowed > wish {
            Limit::MinReplicas
        } else {
            Limit::MaxReplicas
        };
        cuts.push(LimitCut {
            limit,
            wanted: wish,
            allowed,
        });
    }
    allowed
}

/// How much of a raise from `current` to `wish` this minute allows. The lower bound is never
/// held back.
pub(super) fn within_raise_rate(
    current: u32,
    wish: u32,
    policy: &Policy,
    memory: &mut Memory,
    now: Timestamp,
    cuts: &mut Vec<LimitCut>,
) -> u32 {
    let Some(per_minute) = policy.max_raise_per_minute else {
        return wish;
    };
    let minute = memory
        .raise
        .filter(|minute| {
            (minute.since..minute.since + TimeDelta::minutes(1)).contains(&now)
                && minute.from <= current
        })
        .unwrap_or(RaiseMinute {
            since: now,
            from: current,
        });
    memory.raise = Some(minute);
    let most = minute
        .from
        .saturating_add(per_minute)
        .max(policy.min_replicas)
        .max(current);
    let allowed = wish.min(most);
    if allowed < wish {
        cuts.push(LimitCut {
            limit: Limit::RaiseRate,
            wanted: wish,
            allowed,
        });
    }
    allowed
}
