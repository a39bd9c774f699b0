//! Load that one ready replica is known to carry: the highest it has carried and kept.
//!
//! Proven, not guessed: the estimate never exceeds what was seen, so it errs towards more
//! replicas. It forgets slowly, because releases change what a replica can do, and not for ever: a
//! fleet that is kept larger than its load never proves as much again, and would grow without end.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Timestamp};

/// A per-replica load must last this long before it counts as carried: a scrape interval or two
/// may be an artefact, and several samples in a row may be one scrape read again.
const SUSTAINED: TimeDelta = TimeDelta::minutes(2);

/// A proven capacity is believed half over this time without new proof,
const HALF_LIFE: TimeDelta = TimeDelta::days(60);

/// but never less than this share of it: about the cover of a quiet hour, which a fleet of the
/// right size has to spare.
const LEAST_BELIEVED: f64 = 0.8;

/// The running estimate of capacity per ready replica.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityEstimate {
    /// Highest sustained load per ready replica and when it was proven.
    proven: Option<(Timestamp, Rate)>,
    /// What the history shows that each must have carried. It may be a small part of what they
    /// can, so that it never speaks alone.
    shown: Option<Rate>,
    /// The latest per-replica loads, oldest first.
    recent: Vec<(Timestamp, Rate)>,
}

impl CapacityEstimate {
    /// What was proven before, by an earlier process for the same workload.
    pub fn proven(at: Timestamp, per_replica: Rate) -> Self {
        Self {
            proven: (per_replica.is_valid() && per_replica > Rate::ZERO)
                .then_some((at, per_replica)),
            ..Self::default()
        }
    }

    /// The highest sustained load per ready replica, and when it was proven.
    pub const fn proof(&self) -> Option<(Timestamp, Rate)> {
        self.proven
    }

    /// Takes in a peak of the history: at most `max_replicas` replicas carried it, so each carried
    /// at least that share. A fleet that proved less in a quiet hour is believed to carry as much;
    /// where nothing was proven the share says nothing, as ten times fewer may have carried it.
    #[must_use]
    pub fn shown_by(mut self, peak: Rate, max_replicas: u32) -> Self {
        let share = peak / f64::from(max_replicas.max(1));
        self.shown = (share.is_valid() && share > Rate::ZERO).then_some(share);
        self
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
            && sustained > self.believed(at).unwrap_or(Rate::ZERO)
        {
            self.proven = Some((at, sustained));
        }
        self
    }

    /// The estimate at `now`; `None` before anything was proven.
    pub fn at(&self, now: Timestamp) -> Option<Rate> {
        let believed = self.believed(now)?;
        Some(self.shown.map_or(believed, |shown| believed.max(shown)))
    }

    /// What is still believed at `now` of what was proven.
    fn believed(&self, now: Timestamp) -> Option<Rate> {
        let (proven_at, rate) = self.proven?;
        let age = (now - proven_at).max(TimeDelta::zero());
        // by whole days, or every tick would need a hair more than the last
        let half_lives = age.num_days() as f64 / HALF_LIFE.num_days() as f64;
        Some(rate * 0.5_f64.powf(half_lives).max(LEAST_BELIEVED))
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
    fn what_the_history_shows_lifts_a_proof_and_is_none() {
        let peak = Rate::per_second(1_000.0);
        let alone = CapacityEstimate::default().shown_by(peak, 40);
        assert_eq!(alone.at(minute(0)), None);
        let quiet = observe_all(&[(50.0, 12), (50.0, 12), (50.0, 12)]);
        let lifted = quiet.clone().shown_by(peak, 40);
        assert_eq!(lifted.at(minute(2)), Some(Rate::per_second(25.0)));
        let wide = quiet.clone().shown_by(peak, 400);
        assert_eq!(wide.at(minute(2)), quiet.at(minute(2)));
        // a smaller maximum shows more, and takes nothing back that was proven
        assert_eq!(wide.shown_by(peak, 40).at(minute(2)), lifted.at(minute(2)));
    }

    #[test]
    fn a_proof_is_taken_up_again_and_forgotten_no_further_than_a_fifth() {
        let again = CapacityEstimate::proven(minute(0), Rate::per_second(50.0));
        assert_eq!(again.proof(), Some((minute(0), Rate::per_second(50.0))));
        let after = |days: i64| {
            let at = minute(days * 1_440);
            again.at(at).unwrap().as_per_second()
        };
        assert_eq!(after(0), 50.0);
        assert!(after(10) < 50.0 && after(10) > 40.0);
        assert_eq!(after(60), 40.0);
        assert_eq!(after(6_000), 40.0);
        let nonsense = CapacityEstimate::proven(minute(0), Rate::per_second(f64::NAN));
        assert_eq!(nonsense.at(minute(0)), None);
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
