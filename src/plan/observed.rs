//! Every fact one decision may use, with its age; and what is not known, with the reason.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::bridges::BridgesSeen;
use crate::burst::{BurstDemand, SpikeSizes};
use crate::fixture::Calendar;
use crate::forecast::Forecast;
use crate::units::{Rate, Timestamp};

/// A live signal: its latest sample, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Signal {
    /// The latest sample.
    Sample {
        /// Its value.
        rate: Rate,
        /// When it was true, not when it was read.
        at: Timestamp,
    },
    /// No sample.
    Missing {
        /// Why, as a person should read it.
        reason: String,
    },
}

impl Signal {
    /// The sample, if there is one that is a number, not from the future by more than a minute of
    /// clock skew, and not older than `max_age`; otherwise why not.
    ///
    /// # Errors
    /// The reason it may not be used.
    pub fn fresh(&self, now: Timestamp, max_age: TimeDelta) -> Result<Rate, String> {
        match self {
            Self::Missing { reason } => Err(reason.clone()),
            Self::Sample { rate, .. } if !rate.is_valid() => Err(format!(
                "the sample is not a load: {}",
                rate.as_per_second()
            )),
            Self::Sample { at, .. } if *at > now + TimeDelta::minutes(1) => Err(format!(
                "the sample lies {} s in the future",
                (*at - now).num_seconds()
            )),
            Self::Sample { at, .. } if now - *at > max_age => Err(format!(
                "the sample is {} s old, at most {} s are allowed",
                (now - *at).num_seconds(),
                max_age.num_seconds()
            )),
            Self::Sample { rate, .. } => Ok(*rate),
        }
    }
}

/// The workload as the cluster shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Replicas asked for (`spec.replicas`).
    pub replicas: u32,
    /// Replicas that are Ready.
    pub ready: u32,
}

/// What a person ordered, until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ManualAction {
    /// Exactly this many.
    Pin(u32),
    /// At least this many.
    Boost(u32),
    /// No change at all.
    Freeze,
}

/// A manual override.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManualOverride {
    /// What.
    pub action: ManualAction,
    /// Until when; it is ignored from then on.
    pub expires: Timestamp,
    /// Why, for everybody to read.
    pub reason: String,
}

/// What the fast loop sees. The default is a workload that has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BurstSight {
    /// What a spike under way, held or announced asks for.
    pub demand: Option<BurstDemand>,
    /// Load offered over the last seconds.
    pub offered: Option<Rate>,
    /// Why live samples are missing that there should be. While this says something nothing is
    /// lowered.
    pub note: Option<String>,
    /// Spikes while a fixture is in play, declared or learnt.
    pub spikes: SpikeSizes,
}

/// All facts of one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The workload.
    pub workload: Workload,
    /// Load served.
    pub load: Signal,
    /// Load shed on purpose, when there is such a signal. Shed load is demand.
    pub shed: Option<Signal>,
    /// Load that would drain the queue in the time the policy allows, when there is a queue: its
    /// depth divided by that time. Queued work is demand.
    pub queued: Option<Signal>,
    /// What the fast loop sees.
    pub burst: BurstSight,
    /// The latest forecast.
    pub forecast: Option<Arc<Forecast>>,
    /// Why there is no forecast, or what is wrong with it.
    pub forecast_note: Option<String>,
    /// The fixtures that matter to this workload.
    pub calendar: Arc<Calendar>,
    /// Why fixtures are missing from it, or faults of the past from what was learnt. A game that
    /// nobody sees cannot hold capacity, and an outage learnt as demand asks for too little: while
    /// this says something nothing is lowered.
    pub lists_note: Option<String>,
    /// An order by a person.
    pub manual: Option<ManualOverride>,
    /// What stands of the bridges.
    pub bridges: BridgesSeen,
}
