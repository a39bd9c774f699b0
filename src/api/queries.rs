//! Signals as they are written, to the questions that are put to Prometheus.

use chrono::TimeDelta;

use super::policy::SpecError;
use super::v1alpha1::{EntriesSpec, LoadSpec};

/// Default of `entries.slateLabel`: what fixture files call it.
const SLATE_LABEL: &str = "slate";

/// The load signals of a policy, as PromQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Queries {
    /// Load served, units per second.
    pub load: String,
    /// Load shed, units per second.
    pub shed: Option<String>,
    /// Above zero while no more could be carried.
    pub saturated: Option<String>,
    /// Work that waits, units.
    pub queue: Option<String>,
}

/// The entries of a policy, as PromQL that gives one series per slate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntriesQueries {
    /// Entries made, per second.
    pub rate: String,
    /// Label that names the slate.
    pub slate_label: String,
    /// Places on offer.
    pub spots: Option<String>,
}

/// The load signals as written, and the time in which waiting work should be drained.
pub(super) fn queries(load: &LoadSpec) -> Result<(Queries, Option<TimeDelta>), SpecError> {
    let LoadSpec {
        prometheus,
        shed,
        saturated,
        faults: _,
        queue,
        drain_within,
        live: _,
    } = load;
    let shed = shed.as_ref().map(|source| &source.prometheus.query);
    let saturated = saturated.as_ref().map(|source| &source.prometheus.query);
    let queue = queue.as_ref().map(|source| &source.prometheus.query);
    for (field, query) in [
        ("load.prometheus.query", Some(&prometheus.query)),
        ("load.shed.prometheus.query", shed),
        ("load.saturated.prometheus.query", saturated),
        ("load.queue.prometheus.query", queue),
    ] {
        if query.is_some_and(|query| query.trim().is_empty()) {
            return Err(SpecError::Missing {
                field,
                remedy: "write PromQL that yields one series in units per second",
            });
        }
    }
    if drain_within.is_some() && queue.is_none() {
        return Err(SpecError::Missing {
            field: "load.queue",
            remedy: "load.drainWithin says how fast it should drain",
        });
    }
    let queries = Queries {
        load: prometheus.query.clone(),
        shed: shed.cloned(),
        saturated: saturated.cloned(),
        queue: queue.cloned(),
    };
    Ok((queries, drain_within.map(TimeDelta::from)))
}

/// The signals of entries as written.
pub(super) fn entries_of(entries: &EntriesSpec) -> Result<EntriesQueries, SpecError> {
    let EntriesSpec {
        prometheus,
        slate_label,
        spots,
    } = entries;
    let spots = spots.as_ref().map(|source| &source.prometheus.query);
    for (field, query) in [
        ("entries.prometheus.query", Some(&prometheus.query)),
        ("entries.spots.prometheus.query", spots),
    ] {
        if query.is_some_and(|query| query.trim().is_empty()) {
            return Err(SpecError::Missing {
                field,
                remedy: "write PromQL that yields one series per slate",
            });
        }
    }
    let label = slate_label.as_deref().unwrap_or(SLATE_LABEL);
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if label.is_empty()
        || label.starts_with(|c: char| c.is_ascii_digit())
        || !label.chars().all(letters)
    {
        return Err(SpecError::Field {
            field: "entries.slateLabel",
            value: label.to_owned(),
            remedy: "write the name of a label, for example slate",
        });
    }
    Ok(EntriesQueries {
        rate: prometheus.query.clone(),
        slate_label: label.to_owned(),
        spots: spots.cloned(),
    })
}
