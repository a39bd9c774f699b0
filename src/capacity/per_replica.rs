//! Load that one ready replica is known to carry: the highest it has carried and kept.
//!
//! Proven, not guessed: the estimate never exceeds what was seen, so it errs towards more
//! replicas. It forgets slowly, because releases change what a replica can do.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// Consecutive samples a per-replica load must last before it counts as carried; one sample may
/// be a scrape artefact.
const SUSTAINED_SAMPLES: usize = 3;

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

    /// The larger of two estimates.
    #[must_use]
    pub fn or_larger(self, other: &Self) -> Self {
        let rate = |estimate: &Self| estimate.proven.map_or(Rate::ZERO, |(_, rate)| rate);
        if rate(other) > rate(&self) {
            Self {
                proven: other.proven,
                ..self
            }
        } else {
            self
        }
    }

    /// Takes in one sample of load and the replicas that were ready to carry it.
    ///
    /// A sample at or before the last one is ignored, so the same facts twice change nothing.
    #[must_use]
    pub fn observe(mut self, at: Timestamp, load: Rate, ready: u32) -> Self {
        if ready == 0 || !load.is_valid() || self.recent.last().is_some_and(|&(last, _)| at <= last)
        {
            return self;
        }
        self.recent.push((at, load / f64::from(ready)));
        if self.recent.len() > SUSTAINED_SAMPLES {
            self.recent.remove(0);
        }
        if self.recent.len() == SUSTAINED_SAMPLES {
            let sustained = self
                .recent
                .iter()
                .map(|&(_, rate)| rate)
                .reduce(Rate::min)
                .unwrap_or(Rate::ZERO);
            let known = self.at(at).unwrap_or(Rate::ZERO);
            if sustained > known && sustained > Rate::ZERO {
                self.proven = Some((at, sustained));
            }
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
                estimate.observe(minute(i), Rate::per_second(load), ready)
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
        let twice = once.clone().observe(minute(2), Rate::per_second(5000.0), 1);
        assert_eq!(once, twice);
    }

    #[test]
    fn none_ready_proves_nothing() {
        assert_eq!(
            observe_all(&[(100.0, 0), (100.0, 0), (100.0, 0)]).at(minute(9)),
            None
        );
    }
}
