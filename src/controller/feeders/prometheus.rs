//! One workload's demand by an instant query each second.
//!
//! Prometheus tells of new data no sooner than it has scraped, so most evaluations within one
//! scrape interval say the same. An equal value is taken for the same evidence until the query's
//! window has passed, or half the time after which a workload counts as silent, and then for
//! evidence that nothing changed; `timestamp()` cannot help, since of an expression it gives the
//! time of the evaluation. A sample stands for the part of the
//! window that no sample before it has covered, so that no demand is counted twice.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Kitchen, Pace, Silence};
use crate::burst::LiveSample;
use crate::burst::watch::STALE;
use crate::source::{LiveSource, Sample, SourceError};
use crate::units::{Rate, Timestamp};

/// Longest an evaluation may take: the next second has its own.
const TIMEOUT: Duration = Duration::from_millis(900);

/// What one task works with.
pub(super) struct Task {
    pub(super) kitchen: Kitchen,
    pub(super) name: String,
    pub(super) query: String,
    pub(super) window: TimeDelta,
    pub(super) pace: Pace,
}

/// The last evaluation that was taken for evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Last {
    rate: Rate,
    at: Timestamp,
}

impl Task {
    pub(super) async fn run(self) {
        let Kitchen {
            clock,
            inbox,
            metrics,
            ..
        } = &self.kitchen;
        let (mut last, mut silence) = (None, Silence::default());
        loop {
            self.pace.tick().await;
            let outcome = match self.ask().await {
                Ok(found) => {
                    if let Some(sample) = next(found, self.window, &mut last) {
                        let now = clock.now();
                        inbox
                            .offer(&self.name, LiveSource::Prometheus, sample, now)
                            .map_err(|refused| refused.to_string())
                    } else {
                        metrics.live_refused("duplicate");
                        Ok(())
                    }
                }
                Err(error) => {
                    metrics.source_error(error.kind());
                    Err(error.to_string())
                }
            };
            silence.note(&self.name, outcome);
        }
    }

    async fn ask(&self) -> Result<Sample, SourceError> {
        let settings = self.kitchen.live.borrow().settings.prometheus.clone();
        let source = self.kitchen.sources.current(&settings)?;
        let call = source.instant(&self.query, self.kitchen.clock.now());
        let timeout = TIMEOUT.min(settings.timeout);
        match tokio::time::timeout(timeout, call).await {
            Ok(found) => found,
            Err(_) => Err(SourceError::Timeout {
                url: settings.url.to_string(),
                millis: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }
}

/// The evaluation as a sample, unless it is the last one again.
fn next(found: Sample, window: TimeDelta, last: &mut Option<Last>) -> Option<LiveSample> {
    let Sample { at, rate } = found;
    let mut from = at - window;
    // a clock that was set back begins anew
    if let Some(last) = last.filter(|last| last.at < at) {
        if last.rate == rate && at - last.at < window.min(STALE / 2) {
            return None;
        }
        from = from.max(last.at);
    }
    *last = Some(Last { rate, at });
    Some(LiveSample {
        from,
        to: at,
        offered: rate,
        queued: None,
        error: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_evidence_until_the_window_has_passed() {
        let second = |n: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(n);
        let mut last = None;
        let mut found = Vec::new();
        // scraped at 0, 4 and 12, and nothing changes after 4
        for (at, rate) in (0..=14).zip([9, 9, 9, 9, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30]) {
            let sample = Sample {
                at: second(at),
                rate: Rate::per_second(f64::from(rate)),
            };
            if let Some(sample) = next(sample, TimeDelta::seconds(5), &mut last) {
                let seconds = |at: Timestamp| at.timestamp();
                found.push((seconds(sample.from), seconds(sample.to), rate));
            }
        }
        assert_eq!(found, [(-5, 0, 9), (0, 4, 30), (4, 9, 30), (9, 14, 30)]);
    }

    #[test]
    fn a_steady_load_is_not_silent_however_long_the_window() {
        let mut last = None;
        let heard: Vec<i64> = (0..=60)
            .filter(|&second| {
                let sample = Sample {
                    at: Timestamp::UNIX_EPOCH + TimeDelta::seconds(second),
                    rate: Rate::per_second(7.0),
                };
                next(sample, TimeDelta::seconds(60), &mut last).is_some()
            })
            .collect();
        let longest = heard.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(longest.unwrap() < STALE.num_seconds(), "{heard:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let at = |n: i64| Sample {
            at: Timestamp::UNIX_EPOCH + TimeDelta::seconds(n),
            rate: Rate::per_second(5.0),
        };
        let mut last = None;
        next(at(3_600), TimeDelta::seconds(5), &mut last).unwrap();
        assert_eq!(
            next(at(10), TimeDelta::seconds(5), &mut last).unwrap().to,
            at(10).at
        );
    }
}
