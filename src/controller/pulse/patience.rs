//! How long the fast loop leaves an API server in peace that is well and refuses a size: no right,
//! too many requests, a quota. A breaker does not count these, and samples come every second.
//! Pure: told the time.

use chrono::TimeDelta;

use crate::breaker;
use crate::guard::Guarded as _;
use crate::target::TargetError;
use crate::units::Timestamp;

/// Longest pause of our own choice, a breaker's sleep window: a spike's raise is tried as often as
/// that, whatever refuses it.
const LONGEST: TimeDelta = TimeDelta::seconds(5);

/// Longest pause on request, a tick: then the slow loop tries anyway.
const LONGEST_ASKED: TimeDelta = TimeDelta::seconds(15);

/// Refusals in a row, and until when nothing is tried.
#[derive(Debug, Default)]
pub(super) struct Patience {
    refusals: u32,
    until: Option<Timestamp>,
}

impl Patience {
    /// Takes note of a write that failed at `now`. The first pause is a second, each further one
    /// twice as long.
    pub(super) fn failed(&mut self, error: &TargetError, now: Timestamp) {
        let raced = matches!(error, TargetError::Overtaken { .. } | TargetError::Conflict);
        // what a breaker counts it bounds, and what was not called bothers nobody
        if raced || error.outcome() != breaker::Outcome::Declined {
            return;
        }
        let own = (TimeDelta::seconds(1) * (1 << self.refusals.min(8))).min(LONGEST);
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_ASKED);
        self.refusals = self.refusals.saturating_add(1);
        self.until = Some(now + own.max(asked));
    }

    /// Takes note of a size that was taken.
    pub(super) fn taken(&mut self) {
        *self = Self::default();
    }

    /// Whether it is too early to try again. A clock that was set back holds up nothing.
    pub(super) fn waits(&self, now: Timestamp) -> bool {
        self.until
            .is_some_and(|until| now < until && until - now <= LONGEST_ASKED)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::target::CallError;

    fn refused(code: u16, retry_after: u32) -> TargetError {
        let status = json!({
            "status": "Failure", "code": code, "reason": "R", "message": "m",
            "details": {"retryAfterSeconds": retry_after},
        });
        let status = serde_json::from_value(status).unwrap();
        TargetError::Call(CallError::Api {
            what: "set the size",
            source: Box::new(kube::Error::Api(Box::new(status))),
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    /// Seconds it waits after a failure.
    fn pause(patience: &mut Patience, error: &TargetError) -> i64 {
        patience.failed(error, at(100));
        (0..60).find(|&s| !patience.waits(at(100 + s))).unwrap()
    }

    #[test]
    fn refusals_are_tried_again_ever_later_but_within_seconds() {
        let mut patience = Patience::default();
        let pauses: Vec<i64> = (0..6)
            .map(|_| pause(&mut patience, &refused(403, 0)))
            .collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5, 5]);
        patience.taken();
        assert!(!patience.waits(at(100)));
        assert_eq!(pause(&mut patience, &refused(429, 0)), 1);
    }

    #[test]
    fn a_time_to_come_back_is_kept_to_up_to_a_tick() {
        for (asked, waited) in [(3, 3), (900, 15)] {
            let mut patience = Patience::default();
            assert_eq!(pause(&mut patience, &refused(429, asked)), waited);
            assert_eq!(pause(&mut patience, &refused(503, asked)), waited);
        }
        let mut patience = Patience::default();
        patience.failed(&refused(429, 15), at(100));
        assert!(!patience.waits(at(10)), "the clock was set back");
    }

    #[test]
    fn a_race_that_was_lost_and_a_server_that_is_ill_are_not_waited_for_here() {
        let mut patience = Patience::default();
        for error in [
            TargetError::Overtaken { from: 3, found: 5 },
            TargetError::Conflict,
            refused(500, 0),
        ] {
            assert_eq!(pause(&mut patience, &error), 0, "{error}");
        }
    }
}
