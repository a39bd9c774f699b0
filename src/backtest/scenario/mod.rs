//! A scenario: what to replay, over which span, against whom. Written in YAML; unknown fields are
//! refused, and every error names file, line and field.
//!
//! Reading files is the caller's: paths stay as they are written, relative to the scenario file.

use std::path::PathBuf;

use chrono::{DurationRound as _, SecondsFormat, TimeDelta};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use self::fields::{any_span, cadence, once, shares, simulation_step, timestamp, zone};
use super::challengers::Challenger;
use super::origin::{Protocol, TARGET};
use crate::forecast::{REFIT, REISSUE};
use crate::simulate::bounds::span;
use crate::units::{HumanDuration, Timestamp};

pub(crate) mod arena;
pub(crate) mod fields;
pub(crate) mod peers;
pub(crate) mod place;

pub use arena::{Arena, Cluster};
pub use peers::{CronPeer, HpaPeer, HpaSource, KpaPeer, NaivePeer, Peer};
pub use place::ScenarioError;

use arena::{RawCluster, RawPolicy, arena};
use peers::{default_peers, told_apart};
use place::refuse;

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
    /// The zone that was written, if one was: that of local fixture times.
    pub written_zone: Option<Tz>,
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
    /// Fields that are written and read by nobody: without an arena there are no policies.
    pub unread: Vec<&'static str>,
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
    #[serde(deserialize_with = "once")]
    pub protocols: Vec<Protocol>,
    /// Forecasters scored beside the one that decides.
    #[serde(deserialize_with = "once")]
    pub challengers: Vec<Challenger>,
}

impl Default for Forecasting {
    /// Fits and forecasts as often as the controller's, all protocols, everybody beside.
    fn default() -> Self {
        Self {
            refit: REFIT,
            reissue: REISSUE,
            protocols: vec![Protocol::Day, Protocol::H4, Protocol::N15],
            challengers: Challenger::ALL.to_vec(),
        }
    }
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
    zone: Option<Tz>,
    evaluate: Spanned<Span>,
    #[serde(default)]
    forecast: Forecasting,
    #[serde(default)]
    cluster: Option<Spanned<RawCluster>>,
    #[serde(default)]
    policy: Option<Spanned<RawPolicy>>,
    #[serde(default)]
    peers: Option<Vec<Spanned<Peer>>>,
    #[serde(default, deserialize_with = "some_span")]
    metric_lag: Option<HumanDuration>,
    #[serde(default)]
    simulation: Option<Simulation>,
    #[serde(default, deserialize_with = "shares")]
    equal_service: Vec<f64>,
    #[serde(default)]
    seed: u64,
}

/// Age of the load metric where none is written: a usual scrape interval.
const METRIC_LAG: HumanDuration = HumanDuration(TimeDelta::seconds(15));

fn some_span<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HumanDuration>, D::Error> {
    span(deserializer).map(Some)
}

/// Reads a scenario from the text of the file `name`.
///
/// # Errors
/// [`ScenarioError`] with the place of the first fault.
pub fn parse(text: &str, name: &str) -> Result<Scenario, ScenarioError> {
    let raw = place::read(
        text,
        name,
        &[
            "evaluate",
            "policy",
            "cluster",
            "cluster.startUp",
            "cluster.resize",
            "peers[]",
        ],
    )?;
    check(raw, name)
}

fn check(mut raw: Raw, name: &str) -> Result<Scenario, ScenarioError> {
    let evaluate = raw.evaluate.value;
    if evaluate.to <= evaluate.from {
        let reason = format!(
            "to ({}) is not after from ({}): swap them",
            evaluate.to.to_rfc3339(),
            evaluate.from.to_rfc3339()
        );
        return Err(refuse(name, raw.evaluate.referenced, "evaluate", &reason));
    }
    let past_target = evaluate.from
        - evaluate
            .from
            .duration_trunc(TARGET)
            .unwrap_or(evaluate.from);
    if !past_target.is_zero() {
        let earlier = evaluate.from - past_target;
        let show = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let reason = format!(
            "{} is not at a whole multiple of {}, as the means are that are scored: write {} or {}",
            evaluate.from.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            HumanDuration(TARGET),
            show(earlier),
            show(earlier + TARGET)
        );
        let place = raw.evaluate.referenced;
        return Err(refuse(name, place, "evaluate.from", &reason));
    }
    let equal_service = (!raw.equal_service.is_empty()).then_some("equalService");
    let arena = match (raw.cluster.take(), raw.policy.take()) {
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
    let unread = match arena {
        Some(_) => Vec::new(),
        None => unread(&raw),
    };
    Ok(Scenario {
        title: raw.title.unwrap_or_else(|| name.to_owned()),
        load: raw.load,
        entries: raw.entries,
        faults: raw.faults,
        fixtures: raw.fixtures,
        zone: raw.zone.unwrap_or_default(),
        written_zone: raw.zone,
        evaluate,
        forecast: raw.forecast,
        arena,
        peers: told_apart(raw.peers.unwrap_or_else(default_peers), name)?,
        metric_lag: raw.metric_lag.unwrap_or(METRIC_LAG).0,
        simulation: raw.simulation.unwrap_or_default(),
        equal_service: raw.equal_service,
        seed: raw.seed,
        unread,
    })
}

/// The fields of a scenario that only policies would read.
fn unread(raw: &Raw) -> Vec<&'static str> {
    let fields = [
        (
            "peers",
            raw.peers.as_ref().is_some_and(|peers| !peers.is_empty()),
        ),
        ("metricLag", raw.metric_lag.is_some()),
        ("simulation", raw.simulation.is_some()),
        ("equalService", !raw.equal_service.is_empty()),
    ];
    let written = fields.into_iter().filter(|&(_, written)| written);
    written.map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests;
