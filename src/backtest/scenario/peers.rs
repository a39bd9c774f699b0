//! Who may run beside Tipoff, as a scenario names them.

use chrono::TimeDelta;
use serde::Deserialize;

use super::fields::share;
use crate::simulate::bounds::span;
use crate::simulate::peers::hpa::Behavior;
use crate::units::HumanDuration;

/// Who runs beside Tipoff.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Peer {
    /// Always enough for the largest load of the span (hindsight).
    StaticPeak,
    /// Knows the future over exactly the start-up time.
    Oracle,
    /// `HorizontalPodAutoscaler`.
    Hpa(HpaPeer),
    /// Knative's pod autoscaler; it is itself only in steps of two seconds or less.
    Kpa(KpaPeer),
    /// KEDA with cron triggers around fixtures.
    KedaCron(CronPeer),
    /// A week ago, half an hour early, over an HPA.
    SeasonalNaive(NaivePeer),
}

/// What an HPA measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HpaSource {
    /// Offered load, as an External metric.
    #[default]
    External,
    /// CPU utilisation, which saturates.
    Cpu,
}

/// An HPA.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaPeer {
    /// Name in tables; made from the rest when left out.
    #[serde(default)]
    pub name: Option<String>,
    /// What it measures.
    #[serde(default)]
    pub metric: HpaSource,
    /// Share of a replica's capacity to aim for.
    #[serde(deserialize_with = "share")]
    pub target: f64,
    /// `spec.behavior`.
    #[serde(default)]
    pub behavior: Option<Behavior>,
}

/// Knative's pod autoscaler.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KpaPeer {
    /// Name in tables.
    #[serde(default)]
    pub name: Option<String>,
    /// Share of a replica's capacity to aim for.
    #[serde(default = "seventy", deserialize_with = "share")]
    pub target: f64,
}

/// KEDA with cron triggers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CronPeer {
    /// Name in tables.
    #[serde(default)]
    pub name: Option<String>,
    /// Replicas within the windows. Left out: the two sizes hindsight would type, and no load
    /// trigger.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Start of a window before the start of its fixture.
    #[serde(default = "an_hour", deserialize_with = "span")]
    pub before: HumanDuration,
    /// End of a window after the expected end of its fixture.
    #[serde(default = "an_hour_and_a_quarter", deserialize_with = "span")]
    pub after: HumanDuration,
    /// Share of a replica's capacity the load trigger aims for.
    #[serde(default = "seventy", deserialize_with = "share")]
    pub target: f64,
}

/// Seasonal-naive floor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NaivePeer {
    /// Name in tables.
    #[serde(default)]
    pub name: Option<String>,
    /// Share of a replica's capacity to aim for.
    #[serde(default = "seventy", deserialize_with = "share")]
    pub target: f64,
}

fn an_hour() -> HumanDuration {
    HumanDuration(TimeDelta::hours(1))
}

fn an_hour_and_a_quarter() -> HumanDuration {
    HumanDuration(TimeDelta::minutes(75))
}

const fn seventy() -> f64 {
    0.7
}

pub(crate) fn default_peers() -> Vec<Peer> {
    let hpa = |metric, target| {
        Peer::Hpa(HpaPeer {
            name: None,
            metric,
            target,
            behavior: None,
        })
    };
    vec![
        hpa(HpaSource::External, 0.7),
        hpa(HpaSource::External, 0.5),
        hpa(HpaSource::Cpu, 0.7),
        Peer::KedaCron(CronPeer {
            name: None,
            replicas: None,
            before: an_hour(),
            after: an_hour_and_a_quarter(),
            target: 0.7,
        }),
        Peer::SeasonalNaive(NaivePeer {
            name: None,
            target: 0.7,
        }),
        Peer::StaticPeak,
        Peer::Oracle,
    ]
}
