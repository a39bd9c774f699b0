//! A scenario: what to replay, over which span, against whom. Written in YAML; unknown fields are
//! refused, and every error names file, line and field.
//!
//! Reading files is the caller's: paths stay as they are written, relative to the scenario file.

use std::path::PathBuf;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::Deserialize;
use serde_path_to_error::Track;
use serde_saphyr::{Location, Spanned};

use self::fields::{
    any_span, cadence, live_cover, multiple, positive, shares, simulation_step, timestamp, zone,
};
use super::challengers::Challenger;
use super::origin::Protocol;
use crate::forecast::Quantile;
use crate::plan::policy::{HoldThrough, LiveCover, Release, SpikeCover, StartUp};
use crate::plan::{Mode, Policy};
use crate::simulate::{ClusterModel, Nodes, StartUpTime};
use crate::units::{HumanDuration, Rate, Timestamp};

mod fields;
mod peers;

pub use peers::{CronPeer, HpaPeer, HpaSource, NaivePeer, Peer};

use peers::default_peers;

/// Why a scenario is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {field}: {reason}")]
pub struct ScenarioError {
    /// File.
    pub name: String,
    /// Line, from 1; 0 when the parser knows none.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the field.
    pub field: String,
    /// What is wrong and what to write.
    pub reason: String,
}

/// A scenario, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Title of the report.
    pub title: String,
    /// Load history.
    pub load: LoadFile,
    /// Contest entries, if any.
    pub entries: Option<EntriesFile>,
    /// Spans of the load that must not be learnt as they stand, if any are declared.
    pub faults: Option<PathBuf>,
    /// Fixture files.
    pub fixtures: Vec<PathBuf>,
    /// Zone by whose clock the audience lives, and in which the report's days are.
    pub zone: Tz,
    /// Span that is scored and simulated.
    pub evaluate: Span,
    /// How forecasts are made.
    pub forecast: Forecasting,
    /// What policies are compared on; absent when only forecasts are scored.
    pub arena: Option<Arena>,
    /// Who runs beside Tipoff.
    pub peers: Vec<Peer>,
    /// Age of the load metric when an autoscaler reads it.
    pub metric_lag: TimeDelta,
    /// How the simulation runs.
    pub simulation: Simulation,
    /// Shares of demand not served at which policies are made comparable by cost.
    pub equal_service: Vec<f64>,
    /// Seed of everything random.
    pub seed: u64,
}

/// Load history.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadFile {
    /// CSV with `timestamp_utc` and one value column; gzip is accepted.
    pub file: PathBuf,
    /// When values are counts: the interval they count over. Left out, they are per second.
    #[serde(default)]
    pub per: Option<HumanDuration>,
}

/// Contest entries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntriesFile {
    /// CSV with `timestamp_utc`, `entries` and perhaps `slate` and `spots`; gzip is accepted.
    pub file: PathBuf,
    /// The interval a row counts over; left out, the spacing of the rows.
    #[serde(default)]
    pub per: Option<HumanDuration>,
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// First moment.
    #[serde(deserialize_with = "timestamp")]
    pub from: Timestamp,
    /// End, exclusive.
    #[serde(deserialize_with = "timestamp")]
    pub to: Timestamp,
}

/// How forecasts are made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Forecasting {
    /// Time between fits.
    #[serde(deserialize_with = "cadence")]
    pub refit: TimeDelta,
    /// Time between forecasts given to the policy.
    #[serde(deserialize_with = "cadence")]
    pub reissue: TimeDelta,
    /// Protocols to score.
    pub protocols: Vec<Protocol>,
    /// Forecasters scored beside the one that decides.
    pub challengers: Vec<Challenger>,
}

impl Default for Forecasting {
    /// A fit a day, a forecast every five minutes, all protocols, everybody beside.
    fn default() -> Self {
        Self {
            refit: TimeDelta::hours(24),
            reissue: TimeDelta::minutes(5),
            protocols: vec![Protocol::Day, Protocol::H4, Protocol::N15],
            challengers: Challenger::ALL.to_vec(),
        }
    }
}

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

/// How the simulation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Simulation {
    /// Step.
    #[serde(deserialize_with = "simulation_step")]
    pub step: TimeDelta,
    /// Time before the evaluated span in which policies settle in, not scored.
    #[serde(deserialize_with = "any_span")]
    pub warm_up: TimeDelta,
}

impl Default for Simulation {
    /// The HPA's period, and six hours.
    fn default() -> Self {
        Self {
            step: TimeDelta::seconds(15),
            warm_up: TimeDelta::hours(6),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    title: Option<String>,
    load: LoadFile,
    #[serde(default)]
    entries: Option<EntriesFile>,
    #[serde(default)]
    faults: Option<PathBuf>,
    #[serde(default)]
    fixtures: Vec<PathBuf>,
    #[serde(default, deserialize_with = "zone")]
    zone: Tz,
    evaluate: Spanned<Span>,
    #[serde(default)]
    forecast: Forecasting,
    #[serde(default)]
    cluster: Option<Spanned<RawCluster>>,
    #[serde(default)]
    policy: Option<Spanned<RawPolicy>>,
    #[serde(default = "default_peers")]
    peers: Vec<Peer>,
    #[serde(default = "fifteen_seconds")]
    metric_lag: HumanDuration,
    #[serde(default)]
    simulation: Simulation,
    #[serde(default, deserialize_with = "shares")]
    equal_service: Vec<f64>,
    #[serde(default)]
    seed: u64,
}

fn fifteen_seconds() -> HumanDuration {
    // a usual scrape interval
    HumanDuration(TimeDelta::seconds(15))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCluster {
    #[serde(deserialize_with = "positive")]
    per_replica: f64,
    start_up: Spanned<StartUpTime>,
    #[serde(default = "twenty", deserialize_with = "positive")]
    pods_per_second: f64,
    #[serde(default)]
    nodes: Option<Nodes>,
    #[serde(default = "no_time")]
    termination: HumanDuration,
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
struct RawPolicy {
    min_replicas: u32,
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
    #[serde(default)]
    max_raise_per_minute: Option<u32>,
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

/// Reads a scenario from the text of the file `name`.
///
/// # Errors
/// [`ScenarioError`] with the place of the first fault.
pub fn parse(text: &str, name: &str) -> Result<Scenario, ScenarioError> {
    let mut track = Track::new();
    let raw = serde_saphyr::with_deserializer_from_str(text, |yaml| {
        Raw::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track))
    })
    .map_err(|error| {
        let field = match track.path().to_string().as_str() {
            "." => "the scenario".to_owned(),
            field => as_written(field),
        };
        let place = error.location().unwrap_or(Location::UNKNOWN);
        refuse(name, place, &field, &reason(&error))
    })?;
    check(raw, name)
}

/// The path of a field without what the parser's place-keeping adds to it.
fn as_written(path: &str) -> String {
    let mut path = path.to_owned();
    for spanned in ["evaluate", "policy", "cluster", "cluster.startUp"] {
        let rest = path.strip_prefix(spanned);
        if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(".value")) {
            path = format!("{spanned}{rest}");
        }
    }
    path
}

fn refuse(name: &str, place: Location, field: &str, reason: &str) -> ScenarioError {
    ScenarioError {
        name: name.to_owned(),
        line: place.line(),
        column: place.column(),
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The parser's message without its own idea of the place.
fn reason(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::Message { msg, .. } => msg.clone(),
        other => {
            let text = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            match text.rsplit_once(" at line ") {
                Some((message, _)) => message.to_owned(),
                None => text,
            }
        }
    }
}

fn check(raw: Raw, name: &str) -> Result<Scenario, ScenarioError> {
    let evaluate = raw.evaluate.value;
    if evaluate.to <= evaluate.from {
        let reason = format!(
            "to ({}) is not after from ({}): swap them",
            evaluate.to.to_rfc3339(),
            evaluate.from.to_rfc3339()
        );
        return Err(refuse(name, raw.evaluate.referenced, "evaluate", &reason));
    }
    let equal_service = !raw.equal_service.is_empty();
    let arena = match (raw.cluster, raw.policy) {
        (Some(cluster), Some(policy)) => Some(arena(cluster.value, &policy, equal_service, name)?),
        (None, None) => None,
        (Some(cluster), None) => {
            let reason = "policy is missing: write both, or neither to score forecasts only";
            return Err(refuse(name, cluster.referenced, "cluster", reason));
        }
        (None, Some(policy)) => {
            let reason = "cluster is missing: write both, or neither to score forecasts only";
            return Err(refuse(name, policy.referenced, "policy", reason));
        }
    };
    Ok(Scenario {
        title: raw.title.unwrap_or_else(|| name.to_owned()),
        load: raw.load,
        entries: raw.entries,
        faults: raw.faults,
        fixtures: raw.fixtures,
        zone: raw.zone,
        evaluate,
        forecast: raw.forecast,
        arena,
        peers: raw.peers,
        metric_lag: raw.metric_lag.0,
        simulation: raw.simulation,
        equal_service: raw.equal_service,
        seed: raw.seed,
    })
}

fn arena(
    cluster: RawCluster,
    policy: &Spanned<RawPolicy>,
    equal_service: bool,
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
    let place = policy.referenced;
    let policy = policy
        .value
        .policy()
        .map_err(|error| refuse(name, place, "policy", &error.to_string()))?;
    if policy.per_replica.is_none() && equal_service {
        return Err(refuse(
            name,
            place,
            "policy.capacity.perReplica",
            "equalService needs it: a learnt capacity has no knob to turn",
        ));
    }
    Ok(Arena {
        cluster: Cluster {
            per_replica: Rate::per_second(cluster.per_replica),
            model: ClusterModel {
                start_up: start_up.value,
                pods_per_second: cluster.pods_per_second,
                nodes: cluster.nodes,
                termination: cluster.termination.0,
            },
        },
        policy,
    })
}

#[cfg(test)]
mod tests;
