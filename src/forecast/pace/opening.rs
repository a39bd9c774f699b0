//! Since when entries count for a lock.

use std::collections::BTreeMap;

use super::super::slots::Slot;
use crate::fixture::slate::ANOTHER_ROUND;

/// Entries earlier than this before a lock do not count for it, seconds (a week).
pub(crate) const LONGEST_SALE: i64 = 7 * 86_400;

/// Since when entries count for a slot, seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Those of its slates, in their order: since the lock of the last round that was sold under
    /// the same name.
    pub(super) slates: Vec<i64>,
    /// Those without a slate: since the lock before.
    pub(super) nameless: i64,
}

/// Since when entries count for each slot, by the locks of a calendar. It must reach back as far
/// as a sale may last, or a slot whose last lock is out of sight counts the entries of the one
/// before too.
pub(crate) fn opened(slots: &[Slot], calendar: &[Slot]) -> Vec<Opening> {
    let mut all: Vec<i64> = Vec::new();
    let mut named: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for slot in calendar {
        all.push(slot.anchors.lock);
        for slate in &slot.slates {
            named.entry(slate).or_default().push(slot.anchors.lock);
        }
    }
    for locks in named.values_mut().chain([&mut all]) {
        locks.sort_unstable();
        locks.dedup();
    }
    let opening = |slot: &Slot| {
        let lock = slot.anchors.lock;
        let earliest = lock - LONGEST_SALE;
        let last = all[..all.partition_point(|&other| other < lock)].last();
        let rounds = slot.slates.iter().map(|slate| {
            let locks = named.get(slate.as_str()).map_or(&[][..], Vec::as_slice);
            last_round(locks, lock).map_or(earliest, |last| last.max(earliest))
        });
        Opening {
            slates: rounds.collect(),
            nameless: last.map_or(earliest, |&last| last.max(earliest)),
        }
    };
    slots.iter().map(opening).collect()
}

/// The last of some ascending locks of one name that is of another round than `lock`.
fn last_round(locks: &[i64], lock: i64) -> Option<i64> {
    let mut first = lock;
    for &other in locks[..locks.partition_point(|&other| other < lock)]
        .iter()
        .rev()
    {
        if first - other > ANOTHER_ROUND.num_seconds() {
            return Some(other);
        }
        first = other;
    }
    None
}
