//! Who may run beside Tipoff, as a scenario names them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::fields::{share, some_replicas};
use super::place::{ScenarioError, refuse};
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

/// How Tipoff's own names begin: a report gives its rows the first colour, its alarms and its
/// curve over the covers.
pub(crate) const TIPOFF: &str = "tipoff";

/// Name of the bound whose price others are shown over.
pub(crate) const STATIC_PEAK: &str = "static-peak";

/// Name of the bound that costs at equal service are shown over.
pub(crate) const ORACLE: &str = "oracle";

impl Peer {
    /// Name in tables: the one given, or what it is.
    pub fn name(&self) -> String {
        self.given_name().map_or_else(
            || match self {
                Self::StaticPeak => STATIC_PEAK.to_owned(),
                Self::Oracle => ORACLE.to_owned(),
                Self::Hpa(hpa) => {
                    let kind = match hpa.metric {
                        HpaSource::External => "hpa",
                        HpaSource::Cpu => "hpa-cpu",
                    };
                    format!("{kind}-{:.0}", hpa.target * 100.0)
                }
                Self::Kpa(kpa) => format!("kpa-{:.0}", kpa.target * 100.0),
                Self::KedaCron(cron) => match cron.replicas {
                    Some(_) => "keda-cron".to_owned(),
                    None => "keda-cron-hindsight".to_owned(),
                },
                Self::SeasonalNaive(_) => "seasonal-naive".to_owned(),
            },
            str::to_owned,
        )
    }

    fn given_name(&self) -> Option<&str> {
        match self {
            Self::StaticPeak | Self::Oracle => None,
            Self::Hpa(HpaPeer { name, .. })
            | Self::Kpa(KpaPeer { name, .. })
            | Self::KedaCron(CronPeer { name, .. })
            | Self::SeasonalNaive(NaivePeer { name, .. }) => name.as_deref(),
        }
    }
}

/// The peers of a scenario, when each row of a report can be told from every other.
///
/// # Errors
/// [`ScenarioError`] at the first peer whose name is taken.
pub(crate) fn told_apart(
    peers: Vec<Spanned<Peer>>,
    file: &str,
) -> Result<Vec<Peer>, ScenarioError> {
    let mut names = BTreeSet::new();
    for (index, peer) in peers.iter().enumerate() {
        let field = format!("peers[{index}]");
        let refuse = |reason: &str| Err(refuse(file, peer.referenced, &field, reason));
        let name = peer.value.name();
        if let Some(given) = peer.value.given_name()
            && (given.starts_with(TIPOFF) || [STATIC_PEAK, ORACLE].contains(&given))
        {
            return refuse(&format!(
                "the name {given:?} is one that the report keeps: choose one that is not \
                 {STATIC_PEAK} or {ORACLE} and does not begin with {TIPOFF}"
            ));
        }
        if names.contains(&name) {
            return refuse(&format!(
                "another peer is called {name:?} already: give one of them a `name` of its own, \
                 or leave it out"
            ));
        }
        names.insert(name);
    }
    Ok(peers.into_iter().map(|peer| peer.value).collect())
}

/// Peers that no file has written.
pub(crate) fn unwritten(peers: Vec<Peer>) -> Vec<Spanned<Peer>> {
    let nowhere = |peer| Spanned::new(peer, Location::UNKNOWN, Location::UNKNOWN);
    peers.into_iter().map(nowhere).collect()
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
    #[serde(default, deserialize_with = "some_replicas")]
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

pub(crate) fn default_peers() -> Vec<Spanned<Peer>> {
    let hpa = |metric, target| {
        Peer::Hpa(HpaPeer {
            name: None,
            metric,
            target,
            behavior: None,
        })
    };
    unwritten(vec![
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
    ])
}
