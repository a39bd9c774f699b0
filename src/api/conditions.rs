//! Conditions of a policy: which there are, and how one is written without losing since when it
//! holds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff;

use crate::units::Timestamp;

/// The conditions a policy carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The spec is valid, the target is there, every fact is fresh and writes go through.
    Ready,
    /// The load signals are fresh numbers.
    LoadAvailable,
    /// A forecast is there, recent enough to lower on.
    ForecastAvailable,
    /// Every calendar the policy names is configured.
    CalendarAvailable,
    /// Decisions are made and carried out. False with its reason in `Recommend`, when something else
    /// owns the workload's size or has set it to 0, and when there is nothing to decide.
    Enforcing,
}

impl ConditionType {
    /// As it stands in `conditions[].type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::LoadAvailable => "LoadAvailable",
            Self::ForecastAvailable => "ForecastAvailable",
            Self::CalendarAvailable => "CalendarAvailable",
            Self::Enforcing => "Enforcing",
        }
    }
}

/// Reasons, as they stand in `conditions[].reason`. Scripts may match on them.
pub mod reason {
    /// Everything a decision needs is there.
    pub const COMPLETE: &str = "Complete";
    /// A field of the spec is not usable; the message names it.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// The workload does not exist.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
    /// The workload's kind is not served by this cluster, or has no `/scale`.
    pub const TARGET_NOT_SCALABLE: &str = "TargetNotScalable";
    /// The API server did not answer about the workload.
    pub const TARGET_UNREADABLE: &str = "TargetUnreadable";
    /// Facts are missing; nothing is lowered.
    pub const DATA_MISSING: &str = "DataMissing";
    /// What a replica carries is neither typed nor learnt yet.
    pub const CAPACITY_UNKNOWN: &str = "CapacityUnknown";
    /// A size could not be written.
    pub const WRITE_FAILED: &str = "WriteFailed";
    /// Signals are fresh.
    pub const FRESH: &str = "Fresh";
    /// A signal is older than allowed.
    pub const STALE: &str = "Stale";
    /// The load is known, but its live samples have stopped; the message says since when.
    pub const LIVE_SILENT: &str = "LiveSilent";
    /// The last good forecast is in use, because a newer one could not be made.
    pub const NOT_RENEWED: &str = "NotRenewed";
    /// The forecast is recent, but a simpler model makes it; the message says why.
    pub const FALLBACK: &str = "Fallback";
    /// The forecast is recent, but entries are missing from it; the message says why.
    pub const ENTRIES_MISSING: &str = "EntriesMissing";
    /// The forecast is recent, but a list of faults is missing from it; the message says why.
    pub const FAULTS_MISSING: &str = "FaultsMissing";
    /// No model has been fitted yet.
    pub const TRAINING: &str = "Training";
    /// The forecast is missing or unusable; the message says why.
    pub const NO_FORECAST: &str = "NoForecast";
    /// All calendars named are configured.
    pub const CONFIGURED: &str = "Configured";
    /// The policy names no calendar.
    pub const NONE_NAMED: &str = "NoneNamed";
    /// A calendar is named that the controller's configuration does not hold.
    pub const NOT_CONFIGURED: &str = "NotConfigured";
    /// A newer version of a calendar cannot be used, and its last good one is in force; the message
    /// says why.
    pub const CALENDAR_REFUSED: &str = "CalendarRefused";
    /// Two calendars that are named give one id to different games; the message says which.
    pub const FIXTURES_CLASH: &str = "FixturesClash";
    /// Two calendars that are named disagree about a game; the message says what is planned for.
    pub const FIXTURES_DISPUTED: &str = "FixturesDisputed";
    /// `mode: Enforce` and nothing in the way.
    pub const ENFORCED: &str = "Enforced";
    /// `mode: Recommend`.
    pub const RECOMMEND: &str = "Recommend";
    /// A `HorizontalPodAutoscaler` owns the workload's size.
    pub const HPA_PRESENT: &str = "HpaPresent";
    /// Somebody else has scaled the workload to 0.
    pub const SWITCHED_OFF: &str = "SwitchedOff";
    /// An older policy names the same workload.
    pub const TARGET_TAKEN: &str = "TargetTaken";
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl Holds {
    const fn text(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What a stage found about one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which condition.
    pub condition: ConditionType,
    /// Whether it holds.
    pub holds: Holds,
    /// One of [`reason`], or the kind of an error.
    pub reason: String,
    /// For a person: what, where, and what to do.
    pub message: String,
}

impl Finding {
    /// A finding.
    pub fn new(
        condition: ConditionType,
        holds: impl Into<Holds>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            condition,
            holds: holds.into(),
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// Writes a finding into a list of conditions. `lastTransitionTime` changes only when the status
/// does; the list stays in the order in which conditions were first written.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    finding: &Finding,
    generation: Option<i64>,
    now: Timestamp,
) {
    let Finding {
        condition,
        holds,
        reason,
        message,
    } = finding;
    let fresh = Condition {
        type_: condition.name().to_owned(),
        status: holds.text().to_owned(),
        reason: reason.clone(),
        message: message.clone(),
        observed_generation: generation,
        last_transition_time: time(now),
    };
    match conditions.iter_mut().find(|old| old.type_ == fresh.type_) {
        Some(old) => {
            let since = old.last_transition_time.clone();
            let changed = old.status != fresh.status;
            *old = fresh;
            if !changed {
                old.last_transition_time = since;
            }
        }
        None => conditions.push(fresh),
    }
}

/// A time as Kubernetes writes it, to the second.
pub fn time(at: Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(at.timestamp()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        let ready = |holds: bool, message: &str| {
            Finding::new(ConditionType::Ready, holds, reason::COMPLETE, message)
        };
        set_condition(&mut conditions, &ready(true, "a"), Some(1), at(10));
        set_condition(&mut conditions, &ready(true, "b"), Some(2), at(20));
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].message, "b");
        assert_eq!(conditions[0].observed_generation, Some(2));
        assert_eq!(conditions[0].last_transition_time, time(at(10)));
        set_condition(&mut conditions, &ready(false, "c"), Some(2), at(30));
        assert_eq!(conditions[0].last_transition_time, time(at(30)));
    }
}
