//! Since when entries count for a lock.

use super::super::slots::Slot;

/// Entries earlier than this before a lock do not count for it, seconds (a week).
pub(crate) const LONGEST_SALE: i64 = 7 * 86_400;

/// The lock before each slot's among those of the calendar: entries without a slate count from
/// there. `calendar` must reach back as far as a sale may last, or a slot whose last lock is out
/// of sight counts the entries of the one before too.
pub(crate) fn opened(slots: &[Slot], calendar: &[Slot]) -> Vec<i64> {
    let mut locks: Vec<i64> = calendar.iter().map(|slot| slot.anchors.lock).collect();
    locks.sort_unstable();
    locks.dedup();
    let before = |lock: i64| {
        let place = locks.partition_point(|&other| other < lock);
        place
            .checked_sub(1)
            .map_or(i64::MIN / 2, |last| locks[last])
    };
    slots.iter().map(|slot| before(slot.anchors.lock)).collect()
}
