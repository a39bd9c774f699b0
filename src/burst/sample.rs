//! Live evidence: what was offered over a second or so, and what a feed says is about to come.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Timestamp};

/// Longest interval a live sample may stand for: a mean over more hides a spike.
pub const LONGEST_INTERVAL: TimeDelta = TimeDelta::seconds(60);

/// Demand on a whole workload over one short interval, whoever measured it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveSample {
    /// Start of the interval.
    pub from: Timestamp,
    /// End of the interval: when the last of it had been counted.
    pub to: Timestamp,
    /// Load offered, mean over the interval: served plus shed on purpose. Never a bare 503.
    pub offered: Rate,
    /// Units waiting at `to`, when somebody counts them.
    pub queued: Option<f64>,
    /// Relative standard error of `offered` from having asked only some of the pods; 0 when all
    /// were asked.
    pub error: f64,
}

/// Why something is not a live sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The interval is empty, backwards or too long.
    #[error("its interval must be longer than 0 s and at most 60 s")]
    Interval,
    /// Offered load is not one.
    #[error("offered load must be a number from 0 to 1e15 per second")]
    Offered,
    /// Queue length is not one.
    #[error("queued must be a number from 0 to 1e15")]
    Queued,
    /// The standard error is not one.
    #[error("the standard error must be a finite number, 0 or more")]
    Error,
}

impl LiveSample {
    /// The sample itself, if it can be one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validated(self) -> Result<Self, SampleError> {
        let length = self.to.signed_duration_since(self.from);
        if length <= TimeDelta::zero() || length > LONGEST_INTERVAL {
            return Err(SampleError::Interval);
        }
        if !self.offered.is_valid() {
            return Err(SampleError::Offered);
        }
        // as large as what waits for a second of the largest load
        let amount = |x: f64| Rate::per_second(x).is_valid();
        if !self.queued.is_none_or(amount) {
            return Err(SampleError::Queued);
        }
        if !amount(self.error) {
            return Err(SampleError::Error);
        }
        Ok(self)
    }

    /// Length of the interval in seconds.
    pub fn seconds(&self) -> f64 {
        (self.to - self.from).num_milliseconds() as f64 / 1e3
    }

    /// Units counted in the interval.
    pub fn count(&self) -> f64 {
        self.offered.as_per_second() * self.seconds()
    }
}

/// Word of a spike before traffic moves: a score feed's touchdown, a push that was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// When it happened.
    pub at: Timestamp,
    /// How long it is worth anything.
    pub until: Timestamp,
    /// Multiple of the load before it that should be expected; `None`: what was learnt for a
    /// scoring spike.
    pub multiple: Option<f64>,
    /// What it was, for people: `touchdown`, `push`.
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: i64, offered: f64) -> LiveSample {
        let from = Timestamp::UNIX_EPOCH;
        LiveSample {
            from,
            to: from + TimeDelta::milliseconds(milliseconds),
            offered: Rate::per_second(offered),
            queued: None,
            error: 0.0,
        }
    }

    #[test]
    fn counts_are_rate_times_time() {
        let half_a_second = sample(500, 40.0);
        assert_eq!(half_a_second.count(), 20.0);
        assert_eq!(half_a_second.validated(), Ok(half_a_second));
    }

    #[test]
    fn what_cannot_be_a_sample_says_why() {
        assert_eq!(sample(0, 1.0).validated(), Err(SampleError::Interval));
        assert_eq!(sample(-1, 1.0).validated(), Err(SampleError::Interval));
        assert_eq!(sample(60_001, 1.0).validated(), Err(SampleError::Interval));
        assert_eq!(sample(1000, -1.0).validated(), Err(SampleError::Offered));
        let nan = sample(1000, f64::NAN).validated();
        assert_eq!(nan, Err(SampleError::Offered));
        assert_eq!(sample(1000, 1e300).validated(), Err(SampleError::Offered));
        let queued = LiveSample {
            queued: Some(f64::INFINITY),
            ..sample(1000, 1.0)
        };
        assert_eq!(queued.validated(), Err(SampleError::Queued));
    }
}
