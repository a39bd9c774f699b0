//! What a policy wants forecast, and how much of what was learnt survives a change of it.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::api::policy::EntriesQueries;
use crate::fixture::Calendar;
use crate::series::faults::Faults;

/// What a policy wants forecast.
#[derive(Debug, Clone)]
pub(super) struct Lesson {
    /// PromQL of the load served.
    pub(super) query: String,
    /// PromQL of the load shed.
    pub(super) shed: Option<String>,
    /// PromQL that is above zero while no more could be carried.
    pub(super) saturated: Option<String>,
    /// Spans that somebody declared not to be learnt as they stand.
    pub(super) faults: Arc<Faults>,
    /// Contest entries.
    pub(super) entries: Option<EntriesQueries>,
    /// The fixtures that move it.
    pub(super) calendar: Arc<Calendar>,
    /// Zone of the audience.
    pub(super) zone: Tz,
    /// How much history to learn from.
    pub(super) history: TimeDelta,
    /// How far ahead to forecast.
    pub(super) horizon: TimeDelta,
}

impl Lesson {
    /// Whether what was fitted for `self` still serves `other`: a changed calendar only needs a
    /// new forecast.
    pub(super) fn shares_load(&self, other: &Self) -> bool {
        self.query == other.query
            && self.shed == other.shed
            && self.zone == other.zone
            && self.history == other.history
    }

    /// Whether the same spans of it are to be learnt with care.
    pub(super) fn shares_faults(&self, other: &Self) -> bool {
        self.saturated == other.saturated && Arc::ptr_eq(&self.faults, &other.faults)
    }

    /// Whether nothing needs to be done.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.shares_load(other)
            && self.shares_faults(other)
            && self.entries == other.entries
            && self.horizon == other.horizon
            && Arc::ptr_eq(&self.calendar, &other.calendar)
    }
}
