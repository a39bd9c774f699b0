//! From a proposal to a size: stabilisation windows and rate limits, with and without `behavior`.
//!
//! Source: `stabilizeRecommendation*`, `convertDesiredReplicas*` and `calculateScale*Limit*` of
//! `pkg/controller/podautoscaler/horizontal.go`.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::HpaSpec;
use crate::simulate::bounds::span;
use crate::units::{HumanDuration, Timestamp};

/// `spec.behavior`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behavior {
    /// On the way up.
    pub scale_up: Rules,
    /// On the way down.
    #[serde(default = "Rules::down")]
    pub scale_down: Rules,
}

/// Rules of one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// Window over which the most cautious recommendation wins.
    #[serde(deserialize_with = "span")]
    pub stabilization_window: HumanDuration,
    /// Which policy wins.
    pub select_policy: Select,
    /// Rate limits.
    pub policies: Vec<RatePolicy>,
}

impl Default for Rules {
    /// Upwards: at once, and the larger of 4 pods and 100 % every 15 s.
    fn default() -> Self {
        Self {
            stabilization_window: HumanDuration(TimeDelta::zero()),
            select_policy: Select::Max,
            policies: vec![
                RatePolicy::new(RateUnit::Pods, 4, 15),
                RatePolicy::new(RateUnit::Percent, 100, 15),
            ],
        }
    }
}

impl Rules {
    /// Downwards: after five minutes, all of it every 15 s.
    pub fn down() -> Self {
        Self {
            stabilization_window: HumanDuration(TimeDelta::minutes(5)),
            select_policy: Select::Max,
            policies: vec![RatePolicy::new(RateUnit::Percent, 100, 15)],
        }
    }
}

/// Which of several rate limits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Select {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest.
    Min,
    /// No change in this direction.
    Disabled,
}

/// Unit of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateUnit {
    /// Pods.
    Pods,
    /// Per cent of the size at the start of the period.
    Percent,
}

/// One rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RatePolicy {
    /// Unit.
    #[serde(rename = "type")]
    pub unit: RateUnit,
    /// How many, or how many per cent.
    pub value: u32,
    /// Per how many seconds.
    pub period_seconds: u32,
}

impl RatePolicy {
    /// `value` units every `period_seconds`.
    pub const fn new(unit: RateUnit, value: u32, period_seconds: u32) -> Self {
        Self {
            unit,
            value,
            period_seconds,
        }
    }
}

/// A recommendation and when it was made.
#[derive(Debug, Clone, Copy)]
struct Recommendation {
    replicas: u32,
    at: Timestamp,
}

/// A change that was written, and when.
#[derive(Debug, Clone, Copy)]
struct ScaleEvent {
    change: u32,
    at: Timestamp,
}

/// What one HPA remembers.
#[derive(Debug, Clone)]
pub(super) struct Normalizer {
    recommendations: Vec<Recommendation>,
    ups: Vec<ScaleEvent>,
    downs: Vec<ScaleEvent>,
    longest_up: TimeDelta,
    longest_down: TimeDelta,
}

impl Normalizer {
    pub(super) fn new(spec: &HpaSpec) -> Self {
        let longest = |rules: Option<&Rules>| {
            rules
                .into_iter()
                .flat_map(|rules| &rules.policies)
                .map(|policy| TimeDelta::seconds(i64::from(policy.period_seconds)))
                .max()
                .unwrap_or_default()
        };
        let behavior = spec.behavior.as_ref();
        Self {
            recommendations: Vec::new(),
            ups: Vec::new(),
            downs: Vec::new(),
            longest_up: longest(behavior.map(|b| &b.scale_up)),
            longest_down: longest(behavior.map(|b| &b.scale_down)),
        }
    }

    /// On first sight the present size is the first recommendation.
    pub(super) fn first_sight(&mut self, current: u32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Recommendation {
                replicas: current,
                at: now,
            });
        }
    }

    /// Stabilises and limits a proposal.
    pub(super) fn normalize(
        &mut self,
        current: u32,
        proposed: u32,
        spec: &HpaSpec,
        now: Timestamp,
    ) -> u32 {
        match &spec.behavior {
            None => {
                let window = spec.downscale_stabilization;
                let stable = self.largest_since(proposed, now - window, now);
                // "max(2 * current, 4)": horizontal.go, scaleUpLimitFactor and scaleUpLimitMinimum
                let limit = current.saturating_mul(2).max(4);
                stable.clamp(spec.min, spec.max.min(limit).max(spec.min))
            }
            Some(behavior) => {
                let stable = self.stabilize(current, proposed, behavior, now);
                match stable.cmp(&current) {
                    std::cmp::Ordering::Greater => {
                        let limit = self.up_limit(current, &behavior.scale_up, now).max(current);
                        stable.min(spec.max.min(limit))
                    }
                    std::cmp::Ordering::Less => {
                        let limit = self.down_limit(current, &behavior.scale_down, now);
                        stable.max(spec.min.max(limit.min(current)))
                    }
                    std::cmp::Ordering::Equal => stable.clamp(spec.min, spec.max),
                }
            }
        }
    }

    /// The largest recommendation not older than `cutoff`, the new one included and remembered.
    fn largest_since(&mut self, proposed: u32, cutoff: Timestamp, now: Timestamp) -> u32 {
        let largest = self
            .recommendations
            .iter()
            .filter(|old| old.at >= cutoff)
            .map(|old| old.replicas)
            .fold(proposed, u32::max);
        self.remember(proposed, now, |old| old.at < cutoff);
        largest
    }

    fn stabilize(
        &mut self,
        current: u32,
        proposed: u32,
        behavior: &Behavior,
        now: Timestamp,
    ) -> u32 {
        let up_from = now - behavior.scale_up.stabilization_window.0;
        let down_from = now - behavior.scale_down.stabilization_window.0;
        let (mut up, mut down) = (proposed, proposed);
        for old in &self.recommendations {
            if old.at > up_from {
                up = up.min(old.replicas);
            }
            if old.at > down_from {
                down = down.max(old.replicas);
            }
        }
        self.remember(proposed, now, |old| old.at < up_from && old.at < down_from);
        let mut stable = current;
        if stable < up {
            stable = up;
        }
        if stable > down {
            stable = down;
        }
        stable
    }

    /// Remembers a recommendation in the place of one that no longer counts, as the source does.
    fn remember(&mut self, replicas: u32, now: Timestamp, stale: impl Fn(&Recommendation) -> bool) {
        let new = Recommendation { replicas, at: now };
        match self.recommendations.iter().rposition(stale) {
            Some(index) => self.recommendations[index] = new,
            None => self.recommendations.push(new),
        }
    }

    /// Remembers a change that was written.
    pub(super) fn store_event(&mut self, from: u32, to: u32, now: Timestamp) {
        let (events, longest) = if to > from {
            (&mut self.ups, self.longest_up)
        } else {
            (&mut self.downs, self.longest_down)
        };
        let event = ScaleEvent {
            change: to.abs_diff(from),
            at: now,
        };
        let cutoff = now - longest;
        match events.iter().rposition(|old| old.at < cutoff) {
            Some(index) => events[index] = event,
            None => events.push(event),
        }
    }

    /// The size the period began with.
    fn at_start(&self, current: u32, period_seconds: u32, now: Timestamp) -> i64 {
        let from = now - TimeDelta::seconds(i64::from(period_seconds));
        let sum = |events: &[ScaleEvent]| {
            events
                .iter()
                .filter(|event| event.at > from)
                .map(|event| i64::from(event.change))
                .sum::<i64>()
        };
        i64::from(current) - sum(&self.ups) + sum(&self.downs)
    }

    fn up_limit(&self, current: u32, rules: &Rules, now: Timestamp) -> u32 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start(current, policy.period_seconds, now);
            match policy.unit {
                RateUnit::Pods => start + i64::from(policy.value),
                RateUnit::Percent => {
                    (start as f64 * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i64
                }
            }
        });
        select(limits, rules.select_policy, current, Ends::Up)
    }

    fn down_limit(&self, current: u32, rules: &Rules, now: Timestamp) -> u32 {
        let limits = rules.policies.iter().map(|policy| {
            let start = self.at_start(current, policy.period_seconds, now);
            match policy.unit {
                RateUnit::Pods => start - i64::from(policy.value),
                RateUnit::Percent => {
                    (start as f64 * (1.0 - f64::from(policy.value) / 100.0)) as i64
                }
            }
        });
        select(limits, rules.select_policy, current, Ends::Down)
    }
}

/// Which end of a set of limits allows the larger change.
#[derive(Clone, Copy)]
enum Ends {
    Up,
    Down,
}

fn select(limits: impl Iterator<Item = i64>, select: Select, current: u32, direction: Ends) -> u32 {
    let limit = match (select, direction) {
        (Select::Disabled, _) => None,
        (Select::Max, Ends::Up) | (Select::Min, Ends::Down) => limits.max(),
        (Select::Min, Ends::Up) | (Select::Max, Ends::Down) => limits.min(),
    };
    limit.map_or(current, |limit| {
        u32::try_from(limit.max(0)).unwrap_or(u32::MAX)
    })
}
