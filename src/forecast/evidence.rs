//! What a forecaster is given to learn and predict from.

use crate::entries::Entries;
use crate::fixture::Calendar;
use crate::series::Series;
use crate::series::faults::Faults;

/// Everything known about one workload. Parts that are not known are empty.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Load, units per second.
    pub load: &'a Series,
    /// Fixtures that move it.
    pub calendar: &'a Calendar,
    /// Contest entries for them.
    pub entries: &'a Entries,
    /// Spans of the load that must not be learnt as they stand.
    pub faults: &'a Faults,
}

static NO_ENTRIES: Entries = Entries::NONE;
static NO_FAULTS: Faults = Faults::NONE;

impl<'a> Evidence<'a> {
    /// Load and fixtures, without entries and without faults.
    pub const fn new(load: &'a Series, calendar: &'a Calendar) -> Self {
        Self {
            load,
            calendar,
            entries: &NO_ENTRIES,
            faults: &NO_FAULTS,
        }
    }

    /// With contest entries.
    #[must_use]
    pub const fn with_entries(self, entries: &'a Entries) -> Self {
        Self { entries, ..self }
    }

    /// With spans that must not be learnt as they stand.
    #[must_use]
    pub const fn with_faults(self, faults: &'a Faults) -> Self {
        Self { faults, ..self }
    }
}
