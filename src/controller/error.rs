//! What a reconcile can end with, and when it is tried again.
//!
//! What goes wrong with a policy, its workload or its data is not an error here but a finding in
//! the status, and is looked at again at the next tick. What is left is an object that no API
//! server hands out.

use std::time::Duration;

/// Why a reconcile could not even begin.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The object has no name or namespace.
    #[error("the object has no {field}; it is left alone until it changes")]
    Incomplete {
        /// What it lacks.
        field: &'static str,
    },
}

impl ReconcileError {
    /// One of few words, for logs and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "incomplete",
        }
    }

    /// When to try again: such an object can only be mended by changing it, but a change may be
    /// missed.
    pub const fn retry_after(&self) -> Duration {
        match self {
            Self::Incomplete { .. } => Duration::from_secs(300),
        }
    }
}
