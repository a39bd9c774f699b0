//! What the controller keeps in memory for each policy between two ticks.
//!
//! Nothing of it survives a restart but what stands in the status (what a replica was proven to
//! carry, the largest maximum, what spikes were like, the last good version of a policy whose newer
//! one cannot be used): the brain then starts with an otherwise empty memory and lowers
//! nothing until it has seen a whole window.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use tokio::sync::Mutex as AsyncMutex;

use super::bridges::BridgeMemory;
use super::pulse::WrittenBetween;
use crate::api::PredictiveAutoscalerSpec;
use crate::api::conditions::{ConditionType, Holds};
use crate::api::v1alpha1::{CapacityStatus, PredictiveAutoscalerStatus, ScaleTargetRef};
use crate::capacity::CapacityEstimate;
use crate::fixture::Calendar;
use crate::plan::Memory;
use crate::series::faults::Faults;
use crate::settings::Live;
use crate::units::{Rate, Timestamp};

/// How long live samples are missing before a condition says so: as long as the alert waits for.
const SILENT_FOR: TimeDelta = TimeDelta::seconds(30);

/// Which policy: two of the same name are not the same when one was deleted in between.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct PolicyKey {
    /// Namespace.
    pub(super) namespace: String,
    /// Name.
    pub(super) name: String,
    /// Uid, empty when the API server gave none.
    pub(super) uid: String,
}

impl PolicyKey {
    /// Whether both are, or were, called the same.
    pub(super) fn has_the_name_of(&self, other: &Self) -> bool {
        (&self.namespace, &self.name) == (&other.namespace, &other.name)
    }
}

impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What was last told about a condition, so that an Event is sent once per change.
pub(super) type Told = HashMap<ConditionName, (Holds, String)>;

/// A hashable [`ConditionType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ConditionName(&'static str);

impl From<ConditionType> for ConditionName {
    fn from(condition: ConditionType) -> Self {
        Self(condition.name())
    }
}

/// The lists of one kind that a policy names, merged once per change.
#[derive(Debug, Clone, Default)]
pub(super) struct Merged<T> {
    parts: Vec<Arc<T>>,
    whole: Arc<T>,
    doubts: Doubts,
}

/// What there is to say of lists that are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubts {
    /// What of the parts the whole lacks, and why.
    pub(super) left_out: Vec<String>,
    /// What they say differently of one thing, and what is made of it.
    pub(super) disputed: Vec<String>,
}

impl<T> Merged<T> {
    /// All items of the lists, the very same as long as the lists are the same, and what there is
    /// to say of them.
    pub(super) fn of(
        &mut self,
        parts: Vec<Arc<T>>,
        merge: impl FnOnce(&[Arc<T>]) -> (T, Doubts),
    ) -> (Arc<T>, &Doubts) {
        let same = parts.len() == self.parts.len()
            && (parts.iter().zip(&self.parts)).all(|(new, old)| Arc::ptr_eq(new, old));
        if !same {
            (self.whole, self.doubts) = match parts.as_slice() {
                [one] => (Arc::clone(one), Doubts::default()),
                several => {
                    let (whole, doubts) = merge(several);
                    (Arc::new(whole), doubts)
                }
            };
            for note in self.doubts.left_out.iter().chain(&self.doubts.disputed) {
                tracing::warn!("{note}");
            }
            self.parts = parts;
        }
        (Arc::clone(&self.whole), &self.doubts)
    }
}

/// Calendars as one, and what there is to say of that.
pub(super) fn joined(calendars: &[Arc<Calendar>]) -> (Calendar, Doubts) {
    let joined = Calendar::joined(calendars.iter().map(Arc::as_ref));
    let doubts = Doubts {
        left_out: joined.clashes.iter().map(ToString::to_string).collect(),
        disputed: joined.disputes.iter().map(ToString::to_string).collect(),
    };
    (joined.calendar, doubts)
}

/// What the settings hold of the lists a policy names.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) calendars: Merged<Calendar>,
    faults: Merged<Faults>,
    /// The last version known of each fault list.
    known: BTreeMap<String, Arc<Faults>>,
}

/// The faults of the lists a policy names.
#[derive(Debug)]
pub(super) struct NamedFaults {
    /// All of them; those of a list that is gone as they were last known. They speak of the past,
    /// so that old ones are as good as new.
    pub(super) faults: Arc<Faults>,
    /// Which lists are not in force, and why.
    pub(super) missing: Option<String>,
    /// The same of those that were never known.
    pub(super) unknown: Option<String>,
}

impl Lists {
    /// The faults of the lists named.
    pub(super) fn faults(&mut self, names: &[String], live: &Live) -> NamedFaults {
        self.known.retain(|name, _| names.contains(name));
        let (mut missing, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match live.fault_list(name) {
                Ok(list) => drop(self.known.insert(name.clone(), Arc::clone(list))),
                Err(why) if self.known.contains_key(name) => {
                    missing.push(format!("{why} (it stays in use as it was)"));
                }
                Err(why) => {
                    missing.push(why.clone());
                    unknown.push(why);
                }
            }
        }
        let parts = names.iter().filter_map(|name| self.known.get(name));
        let (faults, _) = self.faults.of(parts.cloned().collect(), |lists| {
            let all = lists.iter().flat_map(|list| list.iter());
            (all.copied().collect(), Doubts::default())
        });
        let joined = |notes: Vec<String>| (!notes.is_empty()).then(|| notes.join("; "));
        NamedFaults {
            faults,
            missing: joined(missing),
            unknown: joined(unknown),
        }
    }
}

/// Everything kept for one policy.
#[derive(Debug, Default)]
pub(super) struct PolicyState {
    /// The brain's memory.
    pub(super) memory: Memory,
    /// The workload that memory speaks of.
    pub(super) target: Option<ScaleTargetRef>,
    /// The largest maximum this workload has had, and when it was last in force.
    pub(super) largest: Option<(u32, Timestamp)>,
    /// The last tick.
    pub(super) ticked_at: Option<Timestamp>,
    /// The policy as it could last be used.
    pub(super) last_good: Option<PredictiveAutoscalerSpec>,
    /// Whether what is written now cannot be used, so that the status keeps that one.
    pub(super) slipped: bool,
    /// What the last tick was made for.
    pub(super) seen: Option<Seen>,
    /// When the next one is due.
    pub(super) due_at: Option<Timestamp>,
    /// The lists it names.
    pub(super) lists: Lists,
    /// The last status this process wrote, while it leads.
    pub(super) written: Option<PredictiveAutoscalerStatus>,
    /// The last size that the fast loop wrote, until a status has said so.
    pub(super) unsaid: Option<WrittenBetween>,
    /// What Events have told.
    pub(super) told: Option<Told>,
    /// Why nothing was decided, or not as the policy is written, as the log was last told.
    pub(super) logged: Option<String>,
    /// What the status lacks because the definition in the cluster does not declare it, as the log
    /// was last told.
    pub(super) left_out: Vec<String>,
    /// Since when ticks have missed its live samples.
    pub(super) silent_since: Option<Timestamp>,
    /// What is known of its bridges.
    pub(super) bridges: BridgeMemory,
}

/// What a tick depends on besides the facts it reads: when none of it changed, a watch event is
/// only the echo of our own status.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) generation: Option<i64>,
    pub(super) live: Arc<Live>,
    pub(super) leading: bool,
}

impl Seen {
    fn same(&self, other: &Self) -> bool {
        self.generation == other.generation
            && self.leading == other.leading
            && Arc::ptr_eq(&self.live, &other.live)
    }
}

impl PolicyState {
    /// How long nothing needs to be done, when this is the same policy as at the last tick and the
    /// next one is not due yet.
    ///
    /// A tick that is further away than `tick` was planned before the clock was set back: it is
    /// due now.
    pub(super) fn rests(&self, now: Timestamp, seen: &Seen, tick: TimeDelta) -> Option<TimeDelta> {
        let same = self.seen.as_ref().is_some_and(|last| last.same(seen));
        let rest = self.due_at.filter(|_| same)? - now;
        (rest > TimeDelta::zero() && rest <= tick).then_some(rest)
    }

    /// Why live samples are missing, once they have been for so long that it is no late sender.
    /// Nothing is lowered from the first moment on.
    pub(super) fn silence(&mut self, why: Option<&str>, now: Timestamp) -> Option<String> {
        let since = why.map(|_| self.silent_since.map_or(now, |since| since.min(now)));
        self.silent_since = since;
        let long = now - since? >= SILENT_FOR;
        why.filter(|_| long).map(str::to_owned)
    }

    /// The memory a decision at `now` may use. It is emptied for another workload, and forgets
    /// that it saw a whole window when ticks stayed out for as long as one. An empty one begins
    /// with what the status holds of the same workload. What was proven: sizes from less would be
    /// many times too large until the next peak. And the largest maximum: with a later, lower one
    /// each replica would seem to have carried as many times more.
    pub(super) fn recall(
        &mut self,
        target: &ScaleTargetRef,
        capacity: Option<&CapacityStatus>,
        window: TimeDelta,
        now: Timestamp,
    ) -> &mut Memory {
        if self.target.as_ref() != Some(target) {
            self.memory = Memory::default();
            let proven = capacity.and_then(|capacity| capacity.proven.as_ref());
            let most = capacity.and_then(|capacity| capacity.largest_maximum.as_ref());
            let most = most.filter(|most| most.target == named(target));
            self.largest = most.map(|most| (most.replicas, most.at));
            if let Some(proof) = proven.filter(|proof| proof.target == named(target)) {
                let per_replica = Rate::per_second(proof.per_replica);
                self.memory.capacity = CapacityEstimate::proven(proof.at, per_replica);
            }
            self.target = Some(target.clone());
        }
        if self.ticked_at.is_some_and(|last| now - last > window) {
            self.memory.sighted_since = None;
            self.memory.watched_since = None;
        }
        self.ticked_at = Some(now);
        &mut self.memory
    }

    /// The largest maximum within a history that ends now: with so many replicas at most what it
    /// holds was carried. One that was a slip is forgotten when the history is.
    pub(super) fn largest_maximum(
        &mut self,
        maximum: u32,
        history: TimeDelta,
        now: Timestamp,
    ) -> u32 {
        let before = (self.largest).filter(|&(most, at)| most > maximum && now - at < history);
        self.largest.insert(before.unwrap_or((maximum, now))).0
    }
}

/// A workload as the status names it.
pub(super) fn named(target: &ScaleTargetRef) -> String {
    format!("{}/{}", target.kind, target.name)
}

/// All policies' states.
#[derive(Debug, Default)]
pub(super) struct States {
    by_key: Mutex<HashMap<PolicyKey, Arc<AsyncMutex<PolicyState>>>>,
}

impl States {
    /// The state of one policy, made when there is none.
    pub(super) fn of(&self, key: &PolicyKey) -> Arc<AsyncMutex<PolicyState>> {
        Arc::clone(self.lock().entry(key.clone()).or_default())
    }

    /// Forgets every policy that `stays` does not know. Returns those forgotten.
    pub(super) fn retain(
        &self,
        stays: impl Fn(&PolicyKey) -> bool,
    ) -> Vec<(PolicyKey, Arc<AsyncMutex<PolicyState>>)> {
        let mut states = self.lock();
        let gone: Vec<_> = states.keys().filter(|key| !stays(key)).cloned().collect();
        gone.into_iter()
            .filter_map(|key| states.remove_entry(&key))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PolicyKey, Arc<AsyncMutex<PolicyState>>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::{CapacityOrigin, CapacityProof, LargestMaximum};
    use crate::fixture::{Fixture, Start};
    use crate::units::HumanDuration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_silence_is_told_when_it_lasts() {
        let mut state = PolicyState::default();
        let mut told = |second, silent: bool| {
            let why = silent.then_some("no sample");
            state.silence(why, at(second)).is_some()
        };
        assert!(!told(0, true) && !told(29, true));
        assert!(told(30, true) && told(45, true));
        assert!(!told(60, false));
        assert!(!told(75, true), "another one");
        // nor by a clock that was set back
        assert!(!told(10, true) && !told(39, true));
        assert!(told(40, true));
    }

    fn target(name: &str) -> ScaleTargetRef {
        ScaleTargetRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_memory_is_of_one_workload() {
        let mut state = PolicyState::default();
        let window = TimeDelta::minutes(5);
        state.recall(&target("a"), None, window, at(0)).desired = Some(9);
        let memory = state.recall(&target("a"), None, window, at(15));
        assert_eq!(memory.desired, Some(9));
        let memory = state.recall(&target("b"), None, window, at(30));
        assert_eq!(memory.desired, None);
    }

    #[test]
    fn a_new_process_goes_on_from_what_was_proven_of_the_same_workload() {
        let status = CapacityStatus {
            per_replica: None,
            scale_up_time: HumanDuration(TimeDelta::minutes(2)),
            origin: CapacityOrigin::Learned,
            proven: Some(CapacityProof {
                per_replica: 40.0,
                at: at(0),
                target: "Deployment/a".to_owned(),
            }),
            largest_maximum: Some(LargestMaximum {
                replicas: 90,
                at: at(0),
                target: "Deployment/a".to_owned(),
            }),
        };
        let window = TimeDelta::minutes(5);
        let mut state = PolicyState::default();
        let mut recalled = |name: &str| {
            let memory = state.recall(&target(name), Some(&status), window, at(60));
            (memory.capacity.at(at(60)), state.largest)
        };
        assert_eq!(
            recalled("a"),
            (Some(Rate::per_second(40.0)), Some((90, at(0))))
        );
        assert_eq!(recalled("b"), (None, None));
    }

    #[test]
    fn the_largest_maximum_is_that_of_the_history() {
        let mut state = PolicyState::default();
        let mut largest =
            |maximum, second| state.largest_maximum(maximum, TimeDelta::seconds(100), at(second));
        assert_eq!(largest(40, 0), 40);
        assert_eq!(largest(400, 10), 400);
        assert_eq!(largest(40, 20), 400);
        assert_eq!(largest(40, 109), 400);
        assert_eq!(largest(40, 110), 40);
        assert_eq!(largest(30, 111), 40);
    }

    #[test]
    fn a_window_slept_through_was_not_seen() {
        let mut state = PolicyState::default();
        let window = TimeDelta::minutes(5);
        state
            .recall(&target("a"), None, window, at(0))
            .sighted_since = Some(at(0));
        let memory = state.recall(&target("a"), None, window, at(200));
        assert_eq!(memory.sighted_since, Some(at(0)));
        let memory = state.recall(&target("a"), None, window, at(501));
        assert_eq!(memory.sighted_since, None);
    }

    #[test]
    fn what_is_left_out_of_merged_lists_is_told_as_long_as_the_lists_are_the_same() {
        let of = |competition: &str, source: &str| {
            let mut game = Fixture::game("a", competition, at(0));
            game.provenance.source = source.to_owned();
            Arc::new(Calendar::from_iter([game]))
        };
        let parts = vec![of("NFL", "one"), of("MLB", "two")];
        let mut merged = Merged::default();
        for _ in 0..2 {
            let (whole, doubts) = merged.of(parts.clone(), joined);
            let [game] = whole.iter().collect::<Vec<_>>()[..] else {
                panic!("not one game");
            };
            assert_eq!(game.competition, "NFL");
            assert!(
                doubts.left_out[0].starts_with("two: MLB: id \"a\""),
                "{doubts:?}"
            );
        }
        let (_, doubts) = merged.of(parts[..1].to_vec(), joined);
        assert!(doubts.left_out.is_empty());
        // one game at two times is planned for both ways
        let mut later = parts[0].iter().next().unwrap().clone();
        later.start = Start::exact(at(7_200));
        later.provenance.source = "three".to_owned();
        let three = Arc::new(Calendar::from_iter([later]));
        let (whole, doubts) = merged.of(vec![Arc::clone(&parts[0]), three], joined);
        assert_eq!((whole.len(), doubts.left_out.len()), (1, 0));
        assert!(
            doubts.disputed[0].contains("disagree about start"),
            "{doubts:?}"
        );
    }
}
