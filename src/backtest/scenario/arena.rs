//! What policies are compared on: the cluster, and Tipoff's policy with the names of the custom
//! resource.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::fields::{live_cover, multiple, positive, replicas, some_replicas};
use super::place::{ScenarioError, refuse};
use crate::forecast::Quantile;
use crate::plan::bridges::CpuBridge;
use crate::plan::policy::{HoldThrough, LiveCover, Release, SpikeCover, StartUp};
use crate::plan::{Bridges, Mode, Policy};
use crate::simulate::bounds::{rate, span};
use crate::simulate::{ClusterModel, Nodes, ResizeModel, StartUpTime};
use crate::units::{HumanDuration, Rate};

/// What policies are compared on.
#[derive(Debug, Clone, PartialEq)]
pub struct Arena {
    /// What the pods run on.
    pub cluster: Cluster,
    /// Tipoff's policy, with the names of the custom resource.
    pub policy: Policy,
}

/// What the pods run on.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Load one ready replica really serves.
    pub per_replica: Rate,
    /// How pods arrive.
    pub model: ClusterModel,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
/// `cluster` as it is written.
pub(crate) struct RawCluster {
    #[serde(deserialize_with = "positive")]
    per_replica: f64,
    start_up: Spanned<StartUpTime>,
    #[serde(default = "twenty", deserialize_with = "rate")]
    pods_per_second: f64,
    #[serde(default)]
    nodes: Option<Nodes>,
    #[serde(default = "no_time", deserialize_with = "span")]
    termination: HumanDuration,
    #[serde(default)]
    resize: Option<Spanned<ResizeModel>>,
}

const fn twenty() -> f64 {
    20.0
}

fn no_time() -> HumanDuration {
    HumanDuration(TimeDelta::zero())
}

/// The fields of the custom resource that act in a simulation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RawPolicy {
    #[serde(deserialize_with = "replicas")]
    min_replicas: u32,
    #[serde(deserialize_with = "replicas")]
    max_replicas: u32,
    #[serde(default)]
    capacity: RawCapacity,
    #[serde(default)]
    forecast: RawForecast,
    #[serde(default)]
    lead: Option<HumanDuration>,
    #[serde(default, deserialize_with = "live_cover")]
    spike_cover: Option<LiveCover>,
    #[serde(default, deserialize_with = "multiple")]
    quiet_cover: Option<f64>,
    #[serde(default)]
    release: RawRelease,
    #[serde(default, deserialize_with = "some_replicas")]
    max_raise_per_minute: Option<u32>,
    #[serde(default)]
    bridges: RawBridges,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawBridges {
    resize: RawResize,
}

/// Without `max`: a simulated pod has no amount of CPU.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawResize {
    enabled: bool,
    #[serde(deserialize_with = "multiple")]
    factor: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawCapacity {
    per_replica: Option<f64>,
    target_utilization: Option<f64>,
    scale_up_time: Option<HumanDuration>,
    node_time: Option<HumanDuration>,
    pods_per_second: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawForecast {
    quantile: Option<Quantile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawRelease {
    window: Option<HumanDuration>,
    rung: Option<f64>,
    every: Option<HumanDuration>,
    hold_through: Option<HoldThrough>,
}

impl RawPolicy {
    fn policy(&self) -> Result<Policy, crate::plan::PolicyError> {
        let base = Policy::new(self.min_replicas, self.max_replicas)?;
        let time = |written: Option<HumanDuration>, or: TimeDelta| written.map_or(or, |d| d.0);
        Policy {
            mode: Mode::Enforce,
            per_replica: self.capacity.per_replica.map(Rate::per_second),
            target_utilization: self
                .capacity
                .target_utilization
                .unwrap_or(base.target_utilization),
            quantile: self.forecast.quantile.unwrap_or(base.quantile),
            lead: time(self.lead, base.lead),
            spike_cover: SpikeCover {
                live: self.spike_cover.unwrap_or(base.spike_cover.live),
                quiet: self.quiet_cover.unwrap_or(base.spike_cover.quiet),
            },
            start_up: StartUp {
                scale_up_time: self.capacity.scale_up_time.map(|d| d.0),
                node_time: time(self.capacity.node_time, base.start_up.node_time),
                pods_per_second: self
                    .capacity
                    .pods_per_second
                    .unwrap_or(base.start_up.pods_per_second),
            },
            max_raise_per_minute: self.max_raise_per_minute,
            bridges: Bridges {
                cpu: self.bridges.resize.enabled.then(|| CpuBridge {
                    factor: self.bridges.resize.factor.unwrap_or(CpuBridge::FACTOR),
                    most: None,
                }),
                nodes: None,
            },
            release: Release {
                window: time(self.release.window, base.release.window),
                rung: self.release.rung.unwrap_or(base.release.rung),
                every: time(self.release.every, base.release.every),
                hold_through: self
                    .release
                    .hold_through
                    .unwrap_or(base.release.hold_through),
            },
            ..base
        }
        .validated()
    }
}

/// Both, checked. When a field `needs_capacity`, the policy must say what a replica carries.
///
/// # Errors
/// [`ScenarioError`] at the field that is at fault.
pub(crate) fn arena(
    cluster: RawCluster,
    policy: &Spanned<RawPolicy>,
    needs_capacity: Option<&str>,
    name: &str,
) -> Result<Arena, ScenarioError> {
    let start_up = cluster.start_up;
    if let Some(problem) = start_up.value.problem() {
        return Err(refuse(
            name,
            start_up.referenced,
            "cluster.startUp",
            problem,
        ));
    }
    if let Some(resize) = &cluster.resize
        && let Some(problem) = resize.value.problem()
    {
        return Err(refuse(name, resize.referenced, "cluster.resize", problem));
    }
    let place = policy.referenced;
    let policy = policy
        .value
        .policy()
        .map_err(|error| refuse(name, place, "policy", &error.to_string()))?;
    if let Some(who) = needs_capacity.filter(|_| policy.per_replica.is_none()) {
        let reason = format!("{who} needs it: a learnt capacity has no knob to turn");
        return Err(refuse(name, place, "policy.capacity.perReplica", &reason));
    }
    Ok(Arena {
        cluster: Cluster {
            per_replica: Rate::per_second(cluster.per_replica),
            model: ClusterModel {
                start_up: start_up.value,
                pods_per_second: cluster.pods_per_second,
                nodes: cluster.nodes,
                termination: cluster.termination.0,
                resize: cluster
                    .resize
                    .map_or_else(ResizeModel::default, |resize| resize.value),
            },
        },
        policy,
    })
}
