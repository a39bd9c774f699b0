//! What circuit breakers do, as metrics.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::register;
use crate::breaker::{Outcome, Position};

/// Labels of a guard.
const GUARD: [&str; 2] = ["resource", "command"];

/// Gauges and counters of breakers. Clones share them.
#[derive(Debug, Clone)]
pub struct BreakerMetrics {
    state: IntGaugeVec,
    calls: IntCounterVec,
    refused: IntCounterVec,
}

impl BreakerMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            state: register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "tipoff_breaker_state",
                        "Circuit breaker of an outside call: 0 closed, 1 trying one call, 2 open; \
                         the worst of the command's breakers.",
                    ),
                    &GUARD,
                )?,
            )?,
            calls: register(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "tipoff_breaker_calls_total",
                        "Outside calls that were made: ok, declined (refused on purpose or by our \
                         own fault), failed, timed_out, or abandoned.",
                    ),
                    &["resource", "command", "outcome"],
                )?,
            )?,
            refused: register(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "tipoff_breaker_refused_total",
                        "Outside calls that were not made: the breaker was open, or too many were \
                         under way.",
                    ),
                    &["resource", "command", "reason"],
                )?,
            )?,
        })
    }

    /// Shows what the breakers of a command do, and every count of it.
    pub fn state(&self, [resource, command]: [&str; 2], position: Position) {
        let value = match position {
            Position::Closed => 0,
            Position::HalfOpen => 1,
            Position::Open => 2,
        };
        self.state
            .with_label_values(&[resource, command])
            .set(value);
        for outcome in ["ok", "declined", "failed", "timed_out", "abandoned"] {
            self.calls.with_label_values(&[resource, command, outcome]);
        }
        for reason in ["open", "busy"] {
            self.refused.with_label_values(&[resource, command, reason]);
        }
    }

    /// Counts a call that ended.
    pub fn call(&self, [resource, command]: [&str; 2], outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Declined => "declined",
            Outcome::Failed(_) => "failed",
            Outcome::TimedOut(_) => "timed_out",
            Outcome::Abandoned => "abandoned",
        };
        self.calls
            .with_label_values(&[resource, command, outcome])
            .inc();
    }

    /// Counts a call that was not made.
    pub fn refused(&self, [resource, command]: [&str; 2], reason: &'static str) {
        self.refused
            .with_label_values(&[resource, command, reason])
            .inc();
    }
}
