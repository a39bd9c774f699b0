//! From a written spec to the only form in which a policy reaches a decision. Every refusal names
//! the field by its path and says what to write instead.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::bridges::bridges_of;
use super::cover::{live_cover, multiple};
use super::live::{LiveFeed, LiveSpec};
use super::queries::{entries_of, queries};
use super::v1alpha1::{
    BurstSpec, CapacitySpec, ForecastSpec, OverrideAction, OverrideSpec, PredictiveAutoscalerSpec,
    ReleaseSpec, ScaleTargetRef,
};
use crate::burst::BurstPolicy;
use crate::forecast::Quantile;
use crate::plan::policy::{Release, SpikeCover, StartUp};
use crate::plan::{ManualAction, ManualOverride, Policy, PolicyError};
use crate::units::{HumanDuration, Rate};

pub use super::queries::{EntriesQueries, Queries};

/// Default of `forecast.horizon`: the next day's slate is always in it.
pub const HORIZON: TimeDelta = TimeDelta::hours(24);

/// Default of `forecast.history`: four of each weekday.
pub const HISTORY: TimeDelta = TimeDelta::days(28);

/// Longest `forecast.horizon`.
const LONGEST_HORIZON: TimeDelta = TimeDelta::days(7);

/// Longest `forecast.history`: beyond a year and a bit nothing of the last season is left out.
const LONGEST_HISTORY: TimeDelta = TimeDelta::days(400);

/// A spec whose every field is usable.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidPolicy {
    /// What a decision is given.
    pub policy: Policy,
    /// The workload.
    pub target: ScaleTargetRef,
    /// The load signals.
    pub queries: Queries,
    /// Where demand second by second comes from.
    pub live: Option<LiveFeed>,
    /// Contest entries.
    pub entries: Option<EntriesQueries>,
    /// Calendars named.
    pub calendars: Vec<String>,
    /// Fault lists named.
    pub faults: Vec<String>,
    /// How far ahead to forecast.
    pub horizon: TimeDelta,
    /// How much history to learn from.
    pub history: TimeDelta,
    /// Zone of the audience.
    pub zone: Tz,
    /// A person's order, expired or not.
    pub manual: Option<ManualOverride>,
}

/// Why a spec cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A field holds what it may not.
    #[error("spec.{field} is {value:?}: {remedy}")]
    Field {
        /// Path below `spec`.
        field: &'static str,
        /// What was written.
        value: String,
        /// What to write.
        remedy: &'static str,
    },
    /// A field is missing where another one needs it.
    #[error("spec.{field} is missing: {remedy}")]
    Missing {
        /// Path below `spec`.
        field: &'static str,
        /// Why it is needed.
        remedy: &'static str,
    },
    /// The policy as a whole does not hold.
    #[error("spec.{0}")]
    Policy(#[from] PolicyError),
}

impl SpecError {
    /// The field at fault, below `spec`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Field { field, .. }
            | Self::Missing { field, .. }
            | Self::Policy(PolicyError::OutOfRange { field, .. }) => field,
            Self::Policy(PolicyError::MinIsZero | PolicyError::MinAboveMax { .. }) => "minReplicas",
        }
    }
}

impl PredictiveAutoscalerSpec {
    /// The spec as a policy.
    ///
    /// # Errors
    /// The first field that cannot be used. The API server's schema refuses most of them before;
    /// this holds for objects that never met it.
    pub fn validate(&self) -> Result<ValidPolicy, SpecError> {
        let Self {
            mode,
            scale_target_ref,
            min_replicas,
            max_replicas,
            load,
            calendars,
            entries,
            capacity,
            forecast,
            lead,
            spike_cover,
            quiet_cover,
            burst,
            release,
            max_raise_per_minute,
            bridges,
            manual,
        } = self;
        let ScaleTargetRef {
            api_version,
            kind,
            name,
        } = scale_target_ref;
        for (field, value) in [
            ("scaleTargetRef.apiVersion", api_version),
            ("scaleTargetRef.kind", kind),
            ("scaleTargetRef.name", name),
        ] {
            if value.trim().is_empty() {
                return Err(SpecError::Missing {
                    field,
                    remedy: "name the workload, for example apps/v1, Deployment, checkout",
                });
            }
        }
        let (queries, drain_within) = queries(load)?;
        let live = load.live.as_ref().map(LiveSpec::validate).transpose()?;
        let entries = entries.as_ref().map(entries_of).transpose()?;
        if entries.is_some() && calendars.is_empty() {
            return Err(SpecError::Missing {
                field: "calendars",
                remedy: "entries tell how large the crowd of a fixture will be: name its calendar",
            });
        }
        let ForecastSpec {
            quantile,
            horizon,
            zone,
            history,
        } = forecast.clone().unwrap_or_default();
        let defaults = Policy::new(*min_replicas, *max_replicas)?;
        let CapacitySpec {
            per_replica,
            target_utilization,
            scale_up_time,
            node_time,
            pods_per_second,
        } = capacity.clone().unwrap_or_default();
        let BurstSpec {
            false_alarm_every,
            jump_quantile,
            covered,
        } = burst.clone().unwrap_or_default();
        let policy = Policy {
            mode: *mode,
            min_replicas: *min_replicas,
            max_replicas: *max_replicas,
            quantile: quantile.unwrap_or(Quantile::P95),
            lead: lead.map_or(defaults.lead, TimeDelta::from),
            spike_cover: SpikeCover {
                live: live_cover(spike_cover.as_deref(), covered)?
                    .unwrap_or(defaults.spike_cover.live),
                quiet: multiple("quietCover", quiet_cover.as_deref())?
                    .unwrap_or(defaults.spike_cover.quiet),
            },
            burst: BurstPolicy {
                false_alarm_every: false_alarm_every
                    .map_or(defaults.burst.false_alarm_every, TimeDelta::from),
                jump_quantile: jump_quantile.unwrap_or(defaults.burst.jump_quantile),
            },
            max_raise_per_minute: *max_raise_per_minute,
            release: release_of(release.as_ref(), defaults.release),
            drain_within: drain_within.unwrap_or(defaults.drain_within),
            per_replica: per_replica.map(Rate::per_second),
            target_utilization: target_utilization.unwrap_or(defaults.target_utilization),
            start_up: StartUp {
                scale_up_time: scale_up_time.map(TimeDelta::from),
                node_time: node_time.map_or(defaults.start_up.node_time, TimeDelta::from),
                pods_per_second: pods_per_second.unwrap_or(defaults.start_up.pods_per_second),
            },
            freshness: defaults.freshness,
            bridges: bridges_of(bridges.as_ref(), *max_replicas)?,
        };
        Ok(ValidPolicy {
            policy: policy.validated()?,
            target: scale_target_ref.clone(),
            queries,
            live,
            entries,
            calendars: calendars.clone(),
            faults: load.faults.clone(),
            horizon: span("forecast.horizon", horizon, HORIZON, LONGEST_HORIZON)?,
            history: span("forecast.history", history, HISTORY, LONGEST_HISTORY)?,
            zone: zone_of(zone.as_deref())?,
            manual: manual.as_ref().map(order_by_hand).transpose()?,
        })
    }
}

fn release_of(release: Option<&ReleaseSpec>, defaults: Release) -> Release {
    let ReleaseSpec {
        window,
        rung,
        every,
        hold_through,
    } = release.cloned().unwrap_or_default();
    Release {
        window: window.map_or(defaults.window, TimeDelta::from),
        rung: rung.unwrap_or(defaults.rung),
        every: every.map_or(defaults.every, TimeDelta::from),
        hold_through: hold_through.unwrap_or(defaults.hold_through),
    }
}

fn span(
    field: &'static str,
    written: Option<HumanDuration>,
    default: TimeDelta,
    longest: TimeDelta,
) -> Result<TimeDelta, SpecError> {
    let span = written.map_or(default, TimeDelta::from);
    if span < TimeDelta::hours(1) || span > longest {
        return Err(SpecError::Field {
            field,
            value: HumanDuration(span).to_string(),
            remedy: if longest == LONGEST_HORIZON {
                "write a duration from 1h to 7d"
            } else {
                "write a duration from 1h to 400d"
            },
        });
    }
    Ok(span)
}

fn zone_of(name: Option<&str>) -> Result<Tz, SpecError> {
    let Some(name) = name else { return Ok(Tz::UTC) };
    name.parse().map_err(|_| SpecError::Field {
        field: "forecast.zone",
        value: name.to_owned(),
        remedy: "write an IANA zone, for example America/New_York",
    })
}

/// What a person orders.
///
/// # Errors
/// What of it is missing.
pub(crate) fn order_by_hand(order: &OverrideSpec) -> Result<ManualOverride, SpecError> {
    let OverrideSpec {
        action,
        replicas,
        expires,
        reason,
    } = order;
    let many = || {
        replicas.ok_or(SpecError::Missing {
            field: "override.replicas",
            remedy: "Pin and Boost need a number of replicas",
        })
    };
    Ok(ManualOverride {
        action: match action {
            OverrideAction::Pin => ManualAction::Pin(many()?),
            OverrideAction::Boost => ManualAction::Boost(many()?),
            OverrideAction::Freeze => ManualAction::Freeze,
        },
        expires: expires.to_utc(),
        reason: reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PredictiveAutoscaler;
    use crate::plan::Mode;

    /// The twelve lines of the design, as people copy them.
    const MINIMAL: &str = r#"
apiVersion: tipoff.dev/v1alpha1
kind: PredictiveAutoscaler
metadata: {name: contest-entry, namespace: dfs}
spec:
  mode: Recommend            # Recommend | Enforce
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: contest-entry}
  minReplicas: 4
  maxReplicas: 400
  load:
    prometheus: {query: 'sum(rate(http_requests_total{app="contest-entry"}[1m]))'}
  calendars: [nfl]           # names from the controller's configuration
"#;

    fn with(extra: &str) -> PredictiveAutoscaler {
        serde_saphyr::from_str(&format!("{MINIMAL}{extra}")).unwrap()
    }

    #[test]
    fn twelve_lines_are_a_policy() {
        let object = with("");
        object.validate_cel().unwrap();
        let valid = object.spec.validate().unwrap();
        assert_eq!(valid.policy.mode, Mode::Recommend);
        assert_eq!(valid.policy, Policy::new(4, 400).unwrap());
        assert_eq!(valid.calendars, ["nfl"]);
        assert_eq!(valid.horizon, HORIZON);
    }

    #[test]
    fn every_optional_field_reaches_the_policy() {
        let object = with(
            "
  capacity: {perReplica: 120, targetUtilization: 0.8, scaleUpTime: 40s, nodeTime: 2m, podsPerSecond: 10}
  forecast: {quantile: p90, horizon: 36h, zone: America/New_York, history: 60d}
  lead: 15m
  spikeCover: auto
  quietCover: 1.5x
  burst: {falseAlarmEvery: 12h, jumpQuantile: 0.8, covered: 0.9}
  release: {window: 10m, rung: 0.5, every: 2m, holdThrough: Settled}
  maxRaisePerMinute: 60
  bridges: {resize: {enabled: true, factor: 3x, max: 1500m}, nodes: {enabled: true, image: idle, maxReplicas: 40}}
  entries: {prometheus: {query: e}, slateLabel: contest_slate, spots: {prometheus: {query: s}}}
  override: {action: Boost, replicas: 90, expires: '2026-09-13T13:00:00-04:00', reason: final}
",
        );
        object.validate_cel().unwrap();
        let ValidPolicy {
            policy,
            horizon,
            history,
            zone,
            entries,
            manual,
            ..
        } = object.spec.validate().unwrap();
        insta::assert_debug_snapshot!((policy, horizon, history, zone, entries, manual));
    }

    #[test]
    fn the_api_server_refuses_what_contradicts_itself() {
        for (extra, message) in [
            (
                "  override: {action: Pin, expires: '2026-01-01T00:00:00Z', reason: x}",
                "needed to Pin",
            ),
            (
                "  override: {action: Freeze, replicas: 3, expires: '2026-01-01T00:00:00Z', reason: x}",
                "no meaning with Freeze",
            ),
            ("  capacity: {perReplica: 0}", "must be above 0"),
            ("  capacity: {targetUtilization: -1}", "must be above 0"),
            ("  release: {rung: 0}", "must be above 0"),
        ] {
            let refused = with(extra).validate_cel().unwrap_err().to_string();
            assert!(refused.contains(message), "{extra}: {refused}");
        }
        let mut bounds = with("");
        bounds.spec.min_replicas = 500;
        let refused = bounds.validate_cel().unwrap_err().to_string();
        assert!(
            refused.contains("minReplicas is above maxReplicas"),
            "{refused}"
        );
        let mut drained = with("");
        drained.spec.load.drain_within = Some(HumanDuration(TimeDelta::seconds(9)));
        let refused = drained.validate_cel().unwrap_err().to_string();
        assert!(refused.contains("set load.queue too"), "{refused}");
        let mut nowhere = with("  entries: {prometheus: {query: e}}");
        nowhere.validate_cel().unwrap();
        nowhere.spec.calendars.clear();
        let refused = nowhere.validate_cel().unwrap_err().to_string();
        assert!(
            refused.contains("name its calendar in calendars"),
            "{refused}"
        );
        let refused = nowhere.spec.validate().unwrap_err().to_string();
        assert!(refused.contains("spec.calendars is missing"), "{refused}");
    }

    #[test]
    fn slates_are_told_apart_by_slate_unless_another_label_is_named() {
        let entries = with("  entries: {prometheus: {query: e}}").spec.validate();
        assert_eq!(
            entries.unwrap().entries,
            Some(EntriesQueries {
                rate: "e".into(),
                slate_label: "slate".into(),
                spots: None,
            })
        );
        assert_eq!(with("").spec.validate().unwrap().entries, None);
    }

    #[test]
    fn bridges_are_off_until_each_is_enabled() {
        let bridges = |extra: &str| with(extra).spec.validate().unwrap().policy.bridges;
        let none = crate::plan::Bridges::default();
        assert_eq!(bridges(""), none);
        let off = "  bridges: {resize: {factor: 3x}, nodes: {maxReplicas: 9}}";
        assert_eq!(bridges(off), none);
        let on = bridges("  bridges: {resize: {enabled: true}, nodes: {enabled: true}}");
        assert_eq!(on.cpu.map(|cpu| (cpu.factor, cpu.most)), Some((2.0, None)));
        assert_eq!(on.nodes.map(|nodes| nodes.most), Some(400));
    }

    #[test]
    fn a_refusal_names_the_field_and_the_remedy() {
        for (extra, message) in [
            (
                "  spikeCover: lots",
                "spec.spikeCover is \"lots\": write auto, or a multiple of the load, for example 2x or 1.3x",
            ),
            (
                "  burst: {covered: 0.9}",
                "spec.spikeCover is missing: burst.covered is the share that spikeCover: auto covers",
            ),
            (
                "  spikeCover: auto\n  burst: {covered: 1.0}",
                "spec.burst.covered is 1: it must be from 0.5 to 0.999",
            ),
            (
                "  spikeCover: 0.5x",
                "spec.spikeCover is 0.5: it must be from 1x to 100x",
            ),
            (
                "  forecast: {zone: Mars/Olympus}",
                "spec.forecast.zone is \"Mars/Olympus\": write an IANA zone, for example America/New_York",
            ),
            (
                "  forecast: {horizon: 5m}",
                "spec.forecast.horizon is \"5m\": write a duration from 1h to 7d",
            ),
            (
                "  forecast: {history: 2000d}",
                "spec.forecast.history is \"2000d\": write a duration from 1h to 400d",
            ),
            (
                "  entries: {prometheus: {query: ' '}}",
                "spec.entries.prometheus.query is missing: write PromQL that yields one series per slate",
            ),
            (
                "  entries: {prometheus: {query: e}, spots: {prometheus: {query: ''}}}",
                "spec.entries.spots.prometheus.query is missing: write PromQL that yields one series per slate",
            ),
            (
                "  entries: {prometheus: {query: e}, slateLabel: contest-slate}",
                "spec.entries.slateLabel is \"contest-slate\": write the name of a label, for example slate",
            ),
            (
                "  bridges: {resize: {enabled: true, factor: 20x}}",
                "spec.bridges.resize.factor is 20: it must be from 1.1x to 10x",
            ),
            (
                "  bridges: {resize: {enabled: true, max: lots}}",
                "spec.bridges.resize.max is \"lots\": write an amount of CPU, for example 500m, 2 or 1.5",
            ),
            (
                "  bridges: {nodes: {enabled: true, image: ' '}}",
                "spec.bridges.nodes.image is missing: name an image that does nothing, or leave it out",
            ),
            (
                "  override: {action: Pin, expires: '2026-01-01T00:00:00Z', reason: x}",
                "spec.override.replicas is missing: Pin and Boost need a number of replicas",
            ),
        ] {
            let refused = with(extra).spec.validate().unwrap_err();
            assert_eq!(refused.to_string(), message);
            assert!(message.contains(refused.field()), "{message}");
        }
        let mut bounds = with("").spec;
        bounds.min_replicas = 500;
        assert_eq!(
            bounds.validate().unwrap_err().to_string(),
            "spec.minReplicas 500 is above maxReplicas 400: raise maxReplicas or lower minReplicas"
        );
    }
}
