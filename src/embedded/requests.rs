//! The log of requests.
//!
//! Decides what is remembered of a request, so that a test can say "only one controller wrote".
//! It must not influence any answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::router::Verb;
use crate::units::Timestamp;

/// One request for a resource, as answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// When it was answered.
    pub at: Timestamp,
    /// What was asked.
    pub verb: Verb,
    /// API group; empty for core.
    pub group: String,
    /// `plural` or `plural/subresource`.
    pub resource: String,
    /// Namespace of the path.
    pub namespace: Option<String>,
    /// Name of the path.
    pub name: Option<String>,
    /// The client's user agent.
    pub agent: String,
    /// The field manager: the `fieldManager` parameter, or the user agent up to the first slash.
    pub manager: String,
    /// HTTP status of the answer.
    pub code: u16,
}

impl RequestRecord {
    /// True when the request changed, or could have changed, what is stored.
    pub fn wrote(&self) -> bool {
        self.verb.writes() && self.code < 300
    }
}

#[derive(Debug, Default)]
struct Inner {
    recent: VecDeque<RequestRecord>,
    counts: BTreeMap<(Verb, String, u16), u64>,
}

/// Remembers the latest requests in full and counts all of them.
#[derive(Debug, Default)]
pub struct RequestLog(Mutex<Inner>);

/// How many requests are remembered in full.
const REMEMBERED: usize = 20_000;

impl RequestLog {
    pub(super) fn add(&self, record: RequestRecord) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (record.verb, record.resource.clone(), record.code);
        *inner.counts.entry(key).or_default() += 1;
        if inner.recent.len() == REMEMBERED {
            inner.recent.pop_front();
        }
        inner.recent.push_back(record);
    }

    /// The remembered requests, oldest first.
    pub fn all(&self) -> Vec<RequestRecord> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.recent.iter().cloned().collect()
    }

    /// The remembered requests that `wanted` picks.
    pub fn select(&self, wanted: impl Fn(&RequestRecord) -> bool) -> Vec<RequestRecord> {
        let mut all = self.all();
        all.retain(wanted);
        all
    }

    /// Field managers that wrote to `resource` (`deployments/scale`, ...) with success.
    pub fn writers(&self, resource: &str) -> BTreeSet<String> {
        self.select(|record| record.wrote() && record.resource == resource)
            .into_iter()
            .map(|record| record.manager)
            .collect()
    }

    /// Requests since the start (or the last [`Self::clear`]) by verb, resource and code.
    pub fn counts(&self) -> BTreeMap<(Verb, String, u16), u64> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.counts.clone()
    }

    /// Number of requests for `resource` with `verb`, whatever the answer.
    pub fn count(&self, verb: Verb, resource: &str) -> u64 {
        self.counts()
            .into_iter()
            .filter(|((counted, what, _), _)| *counted == verb && what == resource)
            .map(|(_, count)| count)
            .sum()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Inner::default();
    }
}
