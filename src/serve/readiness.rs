//! What the controller still waits for before it can be called ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open conditions, by name. Clones share them.
///
/// Ready means that nothing is open. A condition that fails again opens again.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    open: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Waits for each of these conditions.
    pub fn waiting_for<'a>(conditions: impl IntoIterator<Item = &'a str>) -> Self {
        let readiness = Self::default();
        for condition in conditions {
            readiness.wait(condition, "not there yet");
        }
        readiness
    }

    /// Opens a condition, or gives a new reason for an open one.
    pub fn wait(&self, condition: &str, why: impl Into<String>) {
        self.lock().insert(condition.to_owned(), why.into());
    }

    /// Closes a condition.
    pub fn done(&self, condition: &str) {
        self.lock().remove(condition);
    }

    /// The open conditions, each with its reason.
    pub fn missing(&self) -> BTreeMap<String, String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // every change is one insert or remove: a panic elsewhere leaves nothing half done
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
