//! Load that one ready replica is known to carry: the highest it has carried and kept.
//!
//! Proven, not guessed: the estimate never exceeds what was seen, so it errs towards more
//! replicas. It forgets slowly, because releases change what a replica can do.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// A per-replica load must last this long before it counts as carried: a scrape interval or two
/// may be an artefact, and several samples in a row may be one scrape read again.
const SUSTAINED: TimeDelta = TimeDelta::minutes(2);

/// A proven capacity loses half its weight over this time without new proof.
const HALF_LIFE: TimeDelta = TimeDelta::days(60);

/// The running estimate of capacity per ready replica.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityEstimate {
    /// Highest sustained load per ready replica and when it was proven.
    proven: Option<(Timestamp, Rate)>,
    /// The latest per-replica loads, oldest first.
    recent: Vec<(Timestamp, Rate)>,
}

impl CapacityEstimate {
    /// An estimate from history alone: a past peak was carried by at most `max_replicas`
    /// replicas, so each carried at least that share.
    pub fn from_history_peak(at: Timestamp, peak: Rate, max_replicas: u32) -> Self {
        let share = peak / f64::from(max_replicas.max(1));
        Self {
            proven: (share > Rate::ZERO).then_some((at, share)),
            recent: Vec::new(),
        }
    }

    /// An estimate from the load and the ready replicas of the past: the per-replica load that
    /// nineteen in twenty bins did not exceed, so that the minutes in which the workload was
    /// drowning do not count as carried.
    pub fn from_history(load: &Series, ready: &Series) -> Self {
        let mut shares: Vec<f64> = load
            .iter()
            .filter_map(|(at, rate)| Some(rate? / ready.at(at)?.as_per_second()))
            .map(Rate::as_per_second)
            .filter(|share| share.is_finite() && *share > 0.0)
            .collect();
        shares.sort_by(f64::total_cmp);
        let rank = (shares.len() as f64 * 0.95).ceil() as usize;
        let proven = rank
            .checked_sub(1)
            .and_then(|index| shares.get(index))
            .map(|&share| (load.end(), Rate::per_second(share)));
        Self {
            proven,
            recent: Vec::new(),
        }
    }

    /// The larger of two estimates at `now`.
    #[must_use]
    pub fn or_larger(self, other: &Self, now: Timestamp) -> Self {
        if other.at(now) > self.at(now) {
            Self {
                proven: other.proven,
                ..self
            }
        } else {
            self
        }
    }

    /// Takes in one sample of load and the replicas that were there to carry it.
    ///
    /// While not every replica asked for is Ready (a start, a failing probe, a rollout) the sample
    /// says nothing about what a replica carries: its load may belong to those that left. A
    /// sample at or before the last one is ignored, so the same facts twice change nothing.
    #[must_use]
    pub fn observe(mut self, at: Timestamp, load: Rate, replicas: u32, ready: u32) -> Self {
        if ready == 0 || ready != replicas || !load.is_valid() {
            self.recent.clear();
            return self;
        }
        if self.recent.last().is_some_and(|&(last, _)| at <= last) {
            return self;
        }
        self.recent.push((at, load / f64::from(ready)));
        // the oldest sample kept is the youngest that still spans the whole time
        while self
            .recent
            .get(1)
            .is_some_and(|&(second, _)| at - second >= SUSTAINED)
        {
            self.recent.remove(0);
        }
        let spans = self
            .recent
            .first()
            .is_some_and(|&(first, _)| at - first >= SUSTAINED);
        let sustained = self.recent.iter().map(|&(_, rate)| rate).reduce(Rate::min);
        if let Some(sustained) = sustained.filter(|_| spans)
            && sustained > self.at(at).unwrap_or(Rate::ZERO)
        {
            self.proven = Some((at, sustained));
        }
        self
    }

    /// The estimate at `now`; `None` before anything was proven.
    pub fn at(&self, now: Timestamp) -> Option<Rate> {
        let (proven_at, rate) = self.proven?;
        let age = (now - proven_at).max(TimeDelta::zero());
        // by whole days, or every tick would need a hair more than the last
        let half_lives = age.num_days() as f64 / HALF_LIFE.num_days() as f64;
        Some(rate * 0.5_f64.powf(half_lives))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(i)
    }

    fn observe_all(loads: &[(f64, u32)]) -> CapacityEstimate {
        (0..).zip(loads).fold(
            CapacityEstimate::default(),
            |estimate, (i, &(load, ready))| {
                estimate.observe(minute(i), Rate::per_second(load), ready, ready)
            },
        )
    }

    #[test]
    fn nothing_is_known_before_it_lasted() {
        assert_eq!(observe_all(&[(100.0, 2), (100.0, 2)]).at(minute(2)), None);
        let known = observe_all(&[(100.0, 2), (90.0, 2), (110.0, 2)])
            .at(minute(2))
            .unwrap();
        assert_eq!(known, Rate::per_second(45.0));
    }

    #[test]
    fn a_single_freak_sample_proves_nothing() {
        let estimate = observe_all(&[(100.0, 2), (100.0, 2), (100.0, 2), (9000.0, 2), (100.0, 2)]);
        let known = estimate.at(minute(4)).unwrap().as_per_second();
        assert!((49.9..=50.0).contains(&known), "{known}");
    }

    #[test]
    fn history_proves_what_nineteen_in_twenty_busy_bins_carried() {
        let step = TimeDelta::minutes(5);
        let load: Vec<f64> = (0..1000).map(|i| f64::from(i % 100) * 10.0).collect();
        let load = Series::from_raw(minute(0), step, load);
        let ready = Series::from_raw(minute(0), step, vec![10.0; 1000]);
        let estimate = CapacityEstimate::from_history(&load, &ready);
        let known = estimate.at(load.end()).unwrap().as_per_second();
        assert!((94.0..=99.0).contains(&known), "{known}");
        let none = Series::from_raw(minute(0), step, vec![f64::NAN; 1000]);
        assert_eq!(
            CapacityEstimate::from_history(&load, &none),
            CapacityEstimate::default()
        );
    }

    #[test]
    fn the_same_sample_twice_changes_nothing() {
        let once = observe_all(&[(100.0, 2), (100.0, 2), (100.0, 2)]);
        let twice = once
            .clone()
            .observe(minute(2), Rate::per_second(5000.0), 1, 1);
        assert_eq!(once, twice);
    }

    #[test]
    fn replicas_that_vanish_do_not_make_the_others_stronger() {
        let mut estimate = observe_all(&[(1000.0, 40), (1000.0, 40), (1000.0, 40)]);
        for i in 3..30 {
            estimate = estimate.observe(minute(i), Rate::per_second(1000.0), 40, 4);
        }
        assert_eq!(estimate.at(minute(30)), Some(Rate::per_second(25.0)));
    }

    #[test]
    fn samples_in_quick_succession_do_not_last() {
        let second = |i: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(i);
        let load = |i: i64| Rate::per_second(if i < 110 { 500.0 } else { 100.0 });
        let estimate = (0..60).fold(CapacityEstimate::default(), |estimate, i| {
            estimate.observe(second(5 * i), load(5 * i), 1, 1)
        });
        assert_eq!(estimate.at(second(300)), Some(Rate::per_second(100.0)));
    }

    #[test]
    fn none_ready_proves_nothing() {
        assert_eq!(
            observe_all(&[(100.0, 0), (100.0, 0), (100.0, 0)]).at(minute(9)),
            None
        );
    }
}
