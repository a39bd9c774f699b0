//! A Prometheus behind circuit breakers: live queries and history each behind their own, so that a
//! slow history does not keep decisions from their load.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{Prometheus, Sample, SourceError};
use crate::breaker::{Failure, Outcome};
use crate::guard::{Breakers, Guarded, Refusal};
use crate::series::Series;
use crate::units::Timestamp;

/// One Prometheus and the breakers in front of it.
#[derive(Debug)]
pub struct GuardedPrometheus {
    prometheus: Prometheus,
    breakers: Breakers,
}

impl GuardedPrometheus {
    /// A client behind breakers that are told apart by its address.
    pub fn new(prometheus: Prometheus, breakers: Breakers) -> Self {
        Self {
            prometheus,
            breakers,
        }
    }

    /// As [`Prometheus::instant`], within the timeout of the breaker.
    ///
    /// # Errors
    /// [`SourceError`], also when the call was not made.
    pub async fn instant(&self, query: &str, at: Timestamp) -> Result<Sample, SourceError> {
        let live = &self.breakers.live;
        let call = async {
            let after = live.limits().timeout;
            let call = self.prometheus.instant(query, at);
            tokio::time::timeout(after, call)
                .await
                .unwrap_or_else(|_| Err(self.prometheus.timed_out(after)))
        };
        live.call(self.prometheus.address(), call).await
    }

    /// As [`Prometheus::range`].
    ///
    /// # Errors
    /// [`SourceError`], also when the call was not made.
    pub async fn range(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        step: TimeDelta,
    ) -> Result<Series, SourceError> {
        let call = self.prometheus.range(query, from, to, step);
        let history = &self.breakers.history;
        history.call(self.prometheus.address(), call).await
    }

    /// As [`Prometheus::range_by`].
    ///
    /// # Errors
    /// [`SourceError`], also when the call was not made.
    pub async fn range_by(
        &self,
        query: &str,
        label: &str,
        most: usize,
        span: (Timestamp, Timestamp),
        step: TimeDelta,
    ) -> Result<BTreeMap<Option<String>, Series>, SourceError> {
        let call = self.prometheus.range_by(query, label, most, span, step);
        let history = &self.breakers.history;
        history.call(self.prometheus.address(), call).await
    }
}

impl From<Refusal> for SourceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Guarded for SourceError {
    fn outcome(&self) -> Outcome {
        let failure = || Failure {
            kind: self.kind(),
            text: self.to_string(),
        };
        match self {
            Self::Unreachable { .. }
            | Self::BrokeOff { .. }
            | Self::ContentType { .. }
            | Self::Malformed { .. } => Outcome::Failed(failure()),
            Self::Timeout { .. } => Outcome::TimedOut(failure()),
            Self::Http { status, shed, .. } if *status >= 500 && !shed => {
                Outcome::Failed(failure())
            }
            // Prometheus's own classes (web/api/v1): the others are mistakes in the query
            Self::Query { error_type, .. } => match error_type.as_str() {
                "timeout" => Outcome::TimedOut(failure()),
                "canceled" | "internal" | "unavailable" => Outcome::Failed(failure()),
                _ => Outcome::Declined,
            },
            Self::Http { .. } | Self::TooLarge { .. } => Outcome::Declined,
            // an answer, though none to plan with
            Self::Partial { .. }
            | Self::Empty { .. }
            | Self::ManySeries { .. }
            | Self::TooManySeries { .. }
            | Self::Ambiguous { .. }
            | Self::ResultType { .. }
            | Self::NotANumber { .. }
            | Self::Infinite { .. }
            | Self::Negative { .. } => Outcome::Ok,
            // nothing was sent
            Self::Setup { .. }
            | Self::Credentials { .. }
            | Self::Range { .. }
            | Self::Refused(_) => Outcome::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, shed: bool) -> SourceError {
        SourceError::Http {
            url: "http://p".to_owned(),
            status,
            hint: String::new(),
            shed,
        }
    }

    fn query(error_type: &str) -> SourceError {
        SourceError::Query {
            query: "load".to_owned(),
            error_type: error_type.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn what_is_refused_on_purpose_or_by_our_fault_is_no_failure() {
        assert!(matches!(http(502, false).outcome(), Outcome::Failed(_)));
        assert!(matches!(http(503, false).outcome(), Outcome::Failed(_)));
        assert_eq!(http(503, true).outcome(), Outcome::Declined);
        assert_eq!(http(429, true).outcome(), Outcome::Declined);
        assert_eq!(http(401, false).outcome(), Outcome::Declined);
        assert_eq!(query("bad_data").outcome(), Outcome::Declined);
        assert!(matches!(query("unavailable").outcome(), Outcome::Failed(_)));
        assert!(matches!(query("timeout").outcome(), Outcome::TimedOut(_)));
        let empty = SourceError::Empty {
            query: "load".to_owned(),
        };
        assert_eq!(empty.outcome(), Outcome::Ok);
    }
}
