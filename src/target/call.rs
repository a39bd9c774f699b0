//! One call to the API server: bounded in time, its failure in words and in one of few kinds.

use std::time::Duration;

use chrono::TimeDelta;

use crate::breaker::{Failure, Outcome};
use crate::guard::{Guarded, Refusal};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time.
    #[error("the API server did not {what} within {} s", after.as_secs())]
    Timeout {
        /// What was asked for.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// An answer that is a failure, or none at all.
    #[error("the API server did not {what}: {}", text(source))]
    Api {
        /// What was asked for.
        what: &'static str,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// The call was not made.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

/// What an API server says behind the path of a field.
const UNDECLARED: &str = ": field not declared in schema";

/// The kind of what is not there, nor perhaps its kind.
const NOT_FOUND: &str = "not_found";

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Guarded for CallError {
    /// A conflict, a missing object, a missing right and a 429 are answers of an API server that
    /// is well, and so is a field that it does not know. A 503 with a time to come back is what it
    /// says while it sheds.
    fn outcome(&self) -> Outcome {
        let failure = || Failure {
            kind: self.kind(),
            text: self.to_string(),
        };
        match self {
            Self::Timeout { .. } => Outcome::TimedOut(failure()),
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => {
                    let comes_back = self.retry_after().is_some();
                    let sheds = status.code == 503 && comes_back;
                    if status.code < 500 || sheds || !self.undeclared().is_empty() {
                        Outcome::Declined
                    } else {
                        Outcome::Failed(failure())
                    }
                }
                kube::Error::Discovery(_) => Outcome::Declined,
                _ => Outcome::Failed(failure()),
            },
            Self::Refused(_) => Outcome::Abandoned,
        }
    }
}

impl CallError {
    /// One of few words, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Refused(refusal) => refusal.kind(),
            Self::Api { source, .. } => kind(source),
        }
    }

    /// Paths of fields of a server-side apply that the definition in the cluster does not declare.
    /// The API server refuses all of it for one of them, with a 500 and in words only
    /// (kubernetes/kubernetes issue 139253).
    pub fn undeclared(&self) -> Vec<String> {
        let Self::Api { source, .. } = self else {
            return Vec::new();
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return Vec::new();
        };
        let paths = status.message.lines().filter_map(|line| {
            let (before, _) = line.split_once(UNDECLARED)?;
            before.rsplit([' ', '\t']).next().map(str::to_owned)
        });
        paths.filter(|path| path.starts_with('.')).collect()
    }

    /// How long the API server asks to be left in peace, when it does.
    pub fn retry_after(&self) -> Option<TimeDelta> {
        let Self::Api { source, .. } = self else {
            return None;
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return None;
        };
        let seconds = status.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| TimeDelta::seconds(seconds.into()))
    }

    /// True when the object or its kind is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == NOT_FOUND
    }

    /// True when another write came first.
    pub fn is_conflict(&self) -> bool {
        self.kind() == "conflict"
    }

    /// True when RBAC does not allow it.
    pub fn is_forbidden(&self) -> bool {
        self.kind() == "forbidden"
    }
}

fn kind(error: &kube::Error) -> &'static str {
    match error {
        // by the code: where nothing is served the body is no Status, and has no reason
        kube::Error::Api(status) => match status.code {
            403 => "forbidden",
            404 => NOT_FOUND,
            409 => "conflict",
            422 => "invalid",
            429 => "too_many_requests",
            500.. => "server",
            _ => "api",
        },
        kube::Error::Discovery(_) => NOT_FOUND,
        _ => "transport",
    }
}

/// True when nothing is served where was asked.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    kind(error) == NOT_FOUND
}

/// The message of a status without the dump of its whole structure.
pub(crate) fn text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

/// Waits for a call at most `after`; `what` completes "the API server did not ...".
///
/// # Errors
/// [`CallError`], when it failed or took too long.
pub async fn within<T>(
    after: Duration,
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(after, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(CallError::Api {
            what,
            source: Box::new(source),
        }),
        Err(_) => Err(CallError::Timeout { what, after }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(status: &serde_json::Value) -> Outcome {
        let status: kube::core::Status = serde_json::from_value(status.clone()).unwrap();
        let error = CallError::Api {
            what: "do it",
            source: Box::new(kube::Error::Api(Box::new(status))),
        };
        error.outcome()
    }

    #[test]
    fn an_api_server_that_refuses_with_a_reason_is_well() {
        for code in [400, 403, 404, 409, 422, 429] {
            let status = json!({"status": "Failure", "code": code, "reason": "R", "message": "m"});
            assert_eq!(answered(&status), Outcome::Declined, "{code}");
        }
        let sheds = json!({
            "status": "Failure", "code": 503, "reason": "ServiceUnavailable", "message": "m",
            "details": {"retryAfterSeconds": 1},
        });
        assert_eq!(answered(&sheds), Outcome::Declined);
    }

    #[test]
    fn fields_that_are_not_declared_are_read_from_the_message() {
        let said = |message: &str| {
            let status = kube::core::Status::failure(message, "").with_code(500);
            let error = CallError::Api {
                what: "do it",
                source: Box::new(kube::Error::Api(Box::new(status))),
            };
            let well = error.outcome() == Outcome::Declined;
            assert_eq!(well, !error.undeclared().is_empty());
            error.undeclared()
        };
        let head = "failed to create typed patch object (dfs/entry; tipoff.dev/v1alpha1, \
                    Kind=PredictiveAutoscaler): ";
        assert_eq!(
            said(&format!("{head}.status.a.b: field not declared in schema")),
            [".status.a.b"]
        );
        let two = "errors:\n  .status.a: field not declared in schema\n  \
                   .status.list[type=\"Ready\"].b: field not declared in schema";
        assert_eq!(
            said(&format!("{head}{two}")),
            [".status.a", ".status.list[type=\"Ready\"].b"]
        );
        assert!(said("etcdserver: request timed out").is_empty());
    }

    #[test]
    fn what_is_not_served_is_known_without_a_status() {
        // as the client makes it of the plain text that a real API server answers with
        let status =
            kube::core::Status::failure("404 page not found", "Failed to parse error data")
                .with_code(404);
        let error = CallError::Api {
            what: "do it",
            source: Box::new(kube::Error::Api(Box::new(status))),
        };
        assert!(error.is_not_found() && !error.is_forbidden());
    }

    #[test]
    fn an_api_server_that_fails_is_not() {
        for code in [500, 503, 504] {
            let status = json!({"status": "Failure", "code": code, "reason": "R", "message": "m"});
            assert!(matches!(answered(&status), Outcome::Failed(_)), "{code}");
        }
        let late = CallError::Timeout {
            what: "do it",
            after: Duration::from_secs(1),
        };
        assert!(matches!(late.outcome(), Outcome::TimedOut(_)));
    }
}
