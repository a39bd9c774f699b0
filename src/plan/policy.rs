//! What a workload's owner wants, validated: the only form in which a policy reaches a decision.

use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::bridges::Bridges;
use crate::burst::BurstPolicy;
use crate::forecast::Quantile;
use crate::units::{HumanDuration, Rate};

/// Whether a plan is carried out.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Mode {
    /// Say what would be done; never write to the workload.
    #[default]
    Recommend,
    /// Do it.
    Enforce,
}

/// Multiple of the expected load that stands ready, because pods come too late for a spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpikeCover {
    /// Outside live phases.
    pub quiet: f64,
    /// While a fixture is in play.
    pub live: LiveCover,
}

/// The cover while a fixture is in play.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LiveCover {
    /// So many times the expected load.
    Multiple(f64),
    /// As much as this share of spikes takes, given how large they are, how fast they rise, how
    /// many fixtures share the load and how long replicas need.
    Share(f64),
}

/// Share of spikes that `spikeCover: auto` covers, unless a policy says otherwise. On the
/// generated Sundays of the replay sample a replica-hour of cover saves about a hundred units up to
/// there, and forty beyond.
pub const AUTO_COVER: f64 = 0.9;

/// Why a text is not a cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a cover: write auto, or a multiple of the load, for example 2x or 1.3x")]
pub struct CoverError {
    /// What was written.
    pub text: String,
}

/// `auto`, or a multiple such as `2x`; the range is the policy's own affair.
impl FromStr for LiveCover {
    type Err = CoverError;

    fn from_str(text: &str) -> Result<Self, CoverError> {
        if text == "auto" {
            return Ok(Self::Share(AUTO_COVER));
        }
        text.strip_suffix('x')
            .and_then(|number| number.parse().ok())
            .map(Self::Multiple)
            .ok_or_else(|| CoverError {
                text: text.to_owned(),
            })
    }
}

impl Default for SpikeCover {
    /// 1.3 is the 99th percentile of growth over a five-minute scale-up on WorldCup98 and
    /// Hotstar's traffic buffer; 2 is the typical scoring spike, as DraftKings tells it.
    fn default() -> Self {
        Self {
            quiet: 1.3,
            live: LiveCover::Multiple(2.0),
        }
    }
}

/// How long capacity takes to arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartUp {
    /// Decision to Ready with room on the nodes. `None`: learnt.
    pub scale_up_time: Option<TimeDelta>,
    /// More when a node must boot first.
    pub node_time: TimeDelta,
    /// Pods the cluster creates per second; kube-controller-manager's default client allows 20.
    pub pods_per_second: f64,
}

impl Default for StartUp {
    fn default() -> Self {
        Self {
            scale_up_time: None,
            node_time: TimeDelta::zero(),
            pods_per_second: 20.0,
        }
    }
}

/// Through which phases of a fixture what it needed is held.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum HoldThrough {
    /// While in play, breaks and delays included: what the crowd needed since an hour before its
    /// lock, spikes left out.
    #[default]
    Live,
    /// From an hour before the lock until the crowd has settled.
    Settled,
    /// Not at all: the window and the rungs alone decide.
    Never,
}

/// How capacity is let go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Release {
    /// Nothing is let go that was needed within this time.
    pub window: TimeDelta,
    /// Largest share of the replicas let go in one rung, in (0, 1].
    pub rung: f64,
    /// Time between rungs.
    pub every: TimeDelta,
    /// Phases during which what the crowd needed is held.
    pub hold_through: HoldThrough,
}

impl Default for Release {
    /// Five minutes is the HPA's stabilisation; a quarter every minute takes 100 to 10 replicas
    /// in eight minutes and leaves time to see what a rung did.
    fn default() -> Self {
        Self {
            window: TimeDelta::minutes(5),
            rung: 0.25,
            every: TimeDelta::minutes(1),
            hold_through: HoldThrough::Live,
        }
    }
}

/// How old a fact may be and still lower anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Age of a load sample.
    pub load: TimeDelta,
    /// Age of a forecast's origin.
    pub forecast: TimeDelta,
}

impl Default for Freshness {
    /// Two minutes spans a 60 s scrape and its delay; a day-old forecast has lost its level.
    fn default() -> Self {
        Self {
            load: TimeDelta::minutes(2),
            forecast: TimeDelta::hours(24),
        }
    }
}

/// A validated policy. Build it with [`Policy::new`] and change what differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Recommend or enforce. A plan is the same in both.
    pub mode: Mode,
    /// Fewest replicas, at least 1.
    pub min_replicas: u32,
    /// Most replicas, at least `min_replicas`.
    pub max_replicas: u32,
    /// Load one ready replica carries. `None`: learnt.
    pub per_replica: Option<Rate>,
    /// Share of capacity to plan for, in (0, 1].
    pub target_utilization: f64,
    /// Quantile of the forecast to be ready for.
    pub quantile: Quantile,
    /// Be ready this long before the load, on top of the time capacity takes to arrive.
    pub lead: TimeDelta,
    /// Standing headroom.
    pub spike_cover: SpikeCover,
    /// How bursts are seen and met.
    pub burst: BurstPolicy,
    /// How long capacity takes to arrive.
    pub start_up: StartUp,
    /// Most replicas added per minute; `None`: no limit but the cluster's.
    pub max_raise_per_minute: Option<u32>,
    /// How capacity is let go.
    pub release: Release,
    /// How old facts may be.
    pub freshness: Freshness,
    /// Time in which queued work should be drained, to count a queue as demand.
    pub drain_within: TimeDelta,
    /// What carries the workload until replicas or nodes are there.
    pub bridges: Bridges,
}

/// Why a policy is not one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// No replicas at all.
    #[error("minReplicas is 0: at least 1 is needed, scaling to zero is not supported")]
    MinIsZero,
    /// Bounds the wrong way round.
    #[error("minReplicas {min} is above maxReplicas {max}: raise maxReplicas or lower minReplicas")]
    MinAboveMax {
        /// Fewest.
        min: u32,
        /// Most.
        max: u32,
    },
    /// A number outside its range.
    #[error("{field} is {value}: it must be {range}")]
    OutOfRange {
        /// Path of the field in the policy.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
}

impl Policy {
    /// A policy with defaults for all but its bounds.
    ///
    /// # Errors
    /// When the bounds are not `1 <= min <= max`.
    pub fn new(min_replicas: u32, max_replicas: u32) -> Result<Self, PolicyError> {
        let policy = Self {
            mode: Mode::Recommend,
            min_replicas,
            max_replicas,
            per_replica: None,
            // queueing grows without bound towards 1; with the quiet cover of 1.3 this is the 70 %
            // of peak that an HPA is usually given
            target_utilization: 0.9,
            quantile: Quantile::P95,
            lead: TimeDelta::minutes(10),
            spike_cover: SpikeCover::default(),
            burst: BurstPolicy::default(),
            start_up: StartUp::default(),
            max_raise_per_minute: None,
            release: Release::default(),
            freshness: Freshness::default(),
            drain_within: TimeDelta::seconds(30),
            bridges: Bridges::default(),
        };
        policy.validated()
    }

    /// The policy itself, if every field is in its range.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn validated(self) -> Result<Self, PolicyError> {
        let out = |field, value: String, range| {
            Err(PolicyError::OutOfRange {
                field,
                value,
                range,
            })
        };
        if self.min_replicas == 0 {
            return Err(PolicyError::MinIsZero);
        }
        if self.min_replicas > self.max_replicas {
            return Err(PolicyError::MinAboveMax {
                min: self.min_replicas,
                max: self.max_replicas,
            });
        }
        if let Some(rate) = self.per_replica
            && !(rate.is_valid() && rate > Rate::ZERO)
        {
            return out("capacity.perReplica", rate.to_string(), "a positive number");
        }
        let share = |x: f64| x.is_finite() && x > 0.0 && x <= 1.0;
        if !share(self.target_utilization) {
            let value = self.target_utilization.to_string();
            return out("capacity.targetUtilization", value, "above 0 and at most 1");
        }
        if !share(self.release.rung) {
            return out(
                "release.rung",
                self.release.rung.to_string(),
                "above 0 and at most 1",
            );
        }
        let BurstPolicy {
            false_alarm_every,
            jump_quantile,
        } = self.burst;
        let live = match self.spike_cover.live {
            LiveCover::Multiple(multiple) => multiple,
            LiveCover::Share(share) => {
                if !(share.is_finite() && (0.5..=0.999).contains(&share)) {
                    return out("burst.covered", share.to_string(), "from 0.5 to 0.999");
                }
                1.0
            }
        };
        if !(jump_quantile.is_finite() && (0.5..=0.999).contains(&jump_quantile)) {
            return out(
                "burst.jumpQuantile",
                jump_quantile.to_string(),
                "from 0.5 to 0.999",
            );
        }
        if !(TimeDelta::minutes(1)..=TimeDelta::days(365)).contains(&false_alarm_every) {
            return out(
                "burst.falseAlarmEvery",
                format!("{false_alarm_every}"),
                "between 1m and 365d",
            );
        }
        for (field, cover) in [("quietCover", self.spike_cover.quiet), ("spikeCover", live)] {
            if !(cover.is_finite() && (1.0..=100.0).contains(&cover)) {
                return out(field, cover.to_string(), "from 1x to 100x");
            }
        }
        let pods_per_second = self.start_up.pods_per_second;
        if !(pods_per_second.is_finite() && pods_per_second > 0.0) {
            return out(
                "podsPerSecond",
                pods_per_second.to_string(),
                "a positive number",
            );
        }
        if self.max_raise_per_minute == Some(0) {
            return out("maxRaisePerMinute", "0".to_owned(), "at least 1");
        }
        let scale_up_time = self.start_up.scale_up_time.unwrap_or(TimeDelta::zero());
        for (field, span) in [
            ("lead", self.lead),
            ("capacity.scaleUpTime", scale_up_time),
            ("capacity.nodeTime", self.start_up.node_time),
            ("release.window", self.release.window),
            ("release.every", self.release.every),
            ("freshness.load", self.freshness.load),
            ("freshness.forecast", self.freshness.forecast),
        ] {
            if span < TimeDelta::zero() || span > TimeDelta::days(7) {
                return out(field, HumanDuration(span).to_string(), "between 0s and 7d");
            }
        }
        if self.drain_within <= TimeDelta::zero() {
            return out(
                "load.drainWithin",
                HumanDuration(self.drain_within).to_string(),
                "above 0s",
            );
        }
        if let Some(cpu) = &self.bridges.cpu
            && !(cpu.factor.is_finite() && (1.1..=10.0).contains(&cpu.factor))
        {
            let value = cpu.factor.to_string();
            return out("bridges.resize.factor", value, "from 1.1x to 10x");
        }
        Ok(self)
    }
}
