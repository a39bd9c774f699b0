//! A Prometheus behind circuit breakers: live queries and history each behind their own, so that a
//! slow history does not keep decisions from their load, and each query behind one of its own, so
//! that a slow one does not keep others from theirs.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{Prometheus, Sample, SourceError};
use crate::breaker::{Failure, Outcome};
use crate::guard::{Breakers, Guard, Guarded, Refusal};
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
        let Breakers {
            live, live_query, ..
        } = &self.breakers;
        let after = live.limits().timeout;
        let call = async {
            let call = self.prometheus.instant(query, at);
            tokio::time::timeout(after, call)
                .await
                .unwrap_or_else(|_| Err(self.prometheus.timed_out(after)))
        };
        self.guarded((live, live_query), query, call).await
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
        self.guarded(self.history(), query, call).await
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
        self.guarded(self.history(), query, call).await
    }

    fn history(&self) -> (&Guard, &Guard) {
        (&self.breakers.history, &self.breakers.history_query)
    }

    /// Makes a call behind the breaker of the address and that of the query.
    ///
    /// A query that is known to be slow says nothing of the others: the address counts its timeouts
    /// only until its own breaker opens. When nothing answers at all, the first queries open both.
    async fn guarded<T>(
        &self,
        (by_address, by_query): (&Guard, &Guard),
        query: &str,
        call: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let address = self.prometheus.address();
        let key = format!("{query} at {address}");
        let known = !by_query.is_closed(&key);
        let call = async { call.await.map_err(OfQuery) };
        let call = async {
            let answer = by_query.call(&key, call).await;
            answer.map_err(|OfQuery(error)| OfAddress { error, known })
        };
        let answer = by_address.call(address, call).await;
        answer.map_err(|OfAddress { error, .. }| error)
    }
}

/// An error as the breaker of its query counts it.
struct OfQuery(SourceError);

/// An error as the breaker of the address counts it.
struct OfAddress {
    error: SourceError,
    /// Whether something was held against the query before.
    known: bool,
}

impl From<Refusal> for OfQuery {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.into())
    }
}

impl From<Refusal> for OfAddress {
    fn from(refusal: Refusal) -> Self {
        let error = refusal.into();
        Self {
            error,
            known: false,
        }
    }
}

impl Guarded for OfQuery {
    fn outcome(&self) -> Outcome {
        match self.0.outcome() {
            Outcome::Failed(_) | Outcome::TimedOut(_) if !self.0.is_of_the_query() => {
                Outcome::Declined
            }
            outcome => outcome,
        }
    }
}

impl Guarded for OfAddress {
    fn outcome(&self) -> Outcome {
        if self.known && self.error.is_of_the_query() {
            Outcome::Abandoned
        } else {
            self.error.outcome()
        }
    }
}

impl SourceError {
    /// Whether another query may have fared better at the same time.
    fn is_of_the_query(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Query { .. })
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
    fn a_slow_query_is_held_against_itself_and_once_known_not_against_the_address() {
        let slow = || SourceError::Timeout {
            url: "http://p".to_owned(),
            millis: 4_000,
        };
        let of_address = |error, known| OfAddress { error, known }.outcome();
        assert!(matches!(OfQuery(slow()).outcome(), Outcome::TimedOut(_)));
        assert!(matches!(of_address(slow(), false), Outcome::TimedOut(_)));
        assert_eq!(of_address(slow(), true), Outcome::Abandoned);
        // what befalls every query is the address's
        assert_eq!(OfQuery(http(502, false)).outcome(), Outcome::Declined);
        assert!(matches!(
            of_address(http(502, false), true),
            Outcome::Failed(_)
        ));
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
