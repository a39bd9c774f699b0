//! What a reconcile can end with, and when it is tried again.
//!
//! Nearly everything that goes wrong is not an error here but a finding in the status; what is
//! left is the failure to say so.

use std::time::Duration;

use crate::target::CallError;

/// Why a reconcile did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The status could not be written.
    #[error("failed to write the status: {0}")]
    Status(#[source] CallError),
    /// The object has no name or namespace, which no API server hands out.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

impl ReconcileError {
    /// One of few words, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status(error) => error.kind(),
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// Why a controller did not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A metric was registered twice.
    #[error("failed to register the controller's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The custom resource is not served.
    #[error(
        "this cluster does not serve predictiveautoscalers.tipoff.dev ({0}): install the definition \
         with `tipoff crds | kubectl apply --server-side -f -`, and let the controller list it"
    )]
    NotInstalled(#[source] CallError),
    /// A background task died.
    #[error("a background task ended before it should: {0}")]
    Task(String),
}

/// Shortest and longest wait after a failed reconcile.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long to wait after `failures` reconciles in a row failed: doubling, within bounds.
pub(super) fn retry_after(failures: u32) -> Duration {
    let (shortest, longest) = RETRY;
    shortest
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_back_off_to_a_minute() {
        let waits: Vec<u64> = [1, 2, 3, 7, 99].map(|n| retry_after(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 60, 60]);
    }
}
