//! What was known of each slot's kind as past windows ended.

use std::collections::BTreeMap;

use super::super::novelty::{Kin, Precedent};
use super::super::slots::Slot;
use super::{Window, by_end};

/// What was known of each slot's kind as windows ended.
#[derive(Debug)]
pub(super) struct Precedents {
    /// Place of each slot's competition in `held`.
    competition: Vec<usize>,
    /// By competition, what its windows had held whenever one of them ended, with the bin.
    held: Vec<Vec<(usize, Kin)>>,
}

impl Precedents {
    pub(super) fn new(windows: &[Window], slots: &[Slot]) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let competition: Vec<usize> = slots
            .iter()
            .map(|slot| {
                let next = places.len();
                *places.entry(&slot.competition).or_insert(next)
            })
            .collect();
        let mut held: Vec<Vec<(usize, Kin)>> = vec![Vec::new(); places.len()];
        for place in by_end(windows) {
            let window = &windows[place];
            let held = &mut held[competition[window.slot]];
            let mut kin = held.last().map(|(_, kin)| kin.clone()).unwrap_or_default();
            kin.add(&slots[window.slot]);
            held.push((window.to, kin));
        }
        Self { competition, held }
    }

    /// What was known of the kind of slot number `place` of `slots` at `origin`.
    pub(super) fn at(&self, slots: &[Slot], place: usize, origin: usize) -> Precedent {
        let held = &self.held[self.competition[place]];
        let over = held.partition_point(|(to, _)| *to <= origin);
        let last = over.checked_sub(1).map(|last| &held[last].1);
        last.map_or(Precedent::Missing, |kin| kin.precedent(&slots[place]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::novelty::Seen;
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    #[test]
    fn precedents_are_what_the_windows_over_by_then_have_taught() {
        let begin = Utc.with_ymd_and_hms(2024, 9, 1, 17, 0, 0).unwrap();
        let days = [(0, 1), (1, 4), (2, 2), (3, 6), (4, 9), (6, 1), (7, 14)];
        let calendar: Calendar = (days.iter())
            .flat_map(|&(day, games)| {
                (0..games).map(move |game| {
                    let competition = if day == 6 { "cup" } else { "nfl" };
                    let at = begin + TimeDelta::days(day);
                    Fixture::game(format!("{day}-{game}"), competition, at)
                })
            })
            .collect();
        let span = (begin - TimeDelta::days(1), begin + TimeDelta::days(9));
        let slots = slots(&calendar, span.0, chrono_tz::Tz::UTC, span);
        assert_eq!(slots.len(), days.len());
        let windows: Vec<Window> = (0..slots.len())
            .map(|slot| Window {
                slot,
                start: 10 * slot,
                from: 10 * slot,
                to: 10 * slot + 15, // the next has begun
                known: 0,
            })
            .collect();
        let precedents = Precedents::new(&windows, &slots);
        for origin in 0..100 {
            let over = windows.iter().filter(|window| window.to <= origin);
            let seen = Seen::new(over.map(|window| &slots[window.slot]));
            for (place, slot) in slots.iter().enumerate() {
                let known = precedents.at(&slots, place, origin);
                assert_eq!(known, seen.precedent(slot), "{origin}");
            }
        }
    }
}
