//! How a slate sells, in the words of a person: so far, usual by now, and what that changes.

use super::super::Evidence;
use super::super::slots::Slot;
use super::EntriesShare;
use crate::entries::SlateEntries;
use crate::fixture::{Calendar, Fixture};
use crate::units::Timestamp;

/// The entries of a slot's slate at `origin` against those of past slates of its competitions as
/// long before their locks, and the difference between the median with and `without` entries.
/// `None` when its slate has no entries or no slate before it had any.
pub(super) fn pace(
    known: Evidence<'_>,
    origin: Timestamp,
    slot: &Slot,
    median: f64,
    without: f64,
) -> Option<EntriesShare> {
    let members: Vec<&Fixture> = slot
        .fixtures
        .iter()
        .filter_map(|id| known.calendar.get(id))
        .collect();
    let slate = members
        .iter()
        .find_map(|fixture| fixture.slate.as_deref())?;
    let competition = members.first()?.competition.as_str();
    let lock = lock_of(known.calendar, slate)?;
    let so_far = made(known.entries.get(Some(slate))?, origin.min(lock));
    let mut before: Vec<f64> = known
        .entries
        .iter()
        .filter_map(|(name, entries)| {
            let name = name.filter(|name| *name != slate)?;
            let of_kin = known.calendar.iter().any(|fixture| {
                fixture.slate.as_deref() == Some(name) && fixture.competition == competition
            });
            let earlier = lock_of(known.calendar, name).filter(|other| *other <= origin)?;
            of_kin.then(|| made(entries, (earlier - (lock - origin)).min(earlier)))
        })
        .filter(|made| *made > 0.0)
        .collect();
    before.sort_by(f64::total_cmp);
    let usual = *before.get(before.len() / 2)?;
    Some(EntriesShare {
        so_far,
        usual,
        pace: so_far / usual,
        factor: if without > 0.0 { median / without } else { 1.0 },
        load: median - without,
    })
}

/// The first lock of a slate's fixtures.
fn lock_of(calendar: &Calendar, slate: &str) -> Option<Timestamp> {
    calendar
        .iter()
        .filter(|fixture| fixture.slate.as_deref() == Some(slate))
        .map(Fixture::lock)
        .min()
}

/// Entries made in whole intervals that end by `at`.
fn made(entries: &SlateEntries, at: Timestamp) -> f64 {
    let known = entries.rate.before(at);
    let seconds = known.step().num_milliseconds() as f64 / 1_000.0;
    known
        .raw()
        .iter()
        .filter(|rate| rate.is_finite())
        .map(|rate| rate * seconds)
        .sum()
}
