//! What the history has seen of fixtures, and what of a coming one is new to it.
//!
//! A forecast beyond all precedent is still given, by the prior and by what kin have taught, but
//! it says so: whoever is on duty should know that nothing like it has been measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slots::Slot;

/// So many times as many fixtures as ever before are new.
const CROWDED: f64 = 1.5;

/// A peak of so many times the largest load ever seen is new.
const HIGHER: f64 = 1.25;

/// What past windows have held, by competition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen(BTreeMap<String, Kin>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Kin {
    windows: u32,
    most_fixtures: f64,
    most_importance: f64,
}

impl Seen {
    /// From the slots whose windows are over.
    pub(crate) fn new<'a>(slots: impl Iterator<Item = &'a Slot>) -> Self {
        let mut seen: BTreeMap<String, Kin> = BTreeMap::new();
        for slot in slots {
            let kin = seen.entry(slot.competition.clone()).or_default();
            kin.windows += 1;
            kin.most_fixtures = kin.most_fixtures.max(slot.count);
            kin.most_importance = kin.most_importance.max(slot.importance);
        }
        Self(seen)
    }

    /// True when no window of any competition is over.
    pub(crate) fn nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// True when no window of the slot's competition is over.
    pub(crate) fn is_first(&self, slot: &Slot) -> bool {
        !self.0.contains_key(&slot.competition)
    }

    /// What is new about a slot whose peak is expected at `peak` where `highest` is the largest
    /// load ever seen, both in units per second.
    pub(crate) fn novelty(&self, slot: &Slot, peak: f64, highest: f64) -> Option<String> {
        let higher = highest > 0.0 && peak > HIGHER * highest;
        let times = peak / highest;
        let Some(kin) = self.0.get(&slot.competition) else {
            let from = if self.nothing() {
                format!("what is believed of {}", slot.prior.sport.replace('_', " "))
            } else {
                "what other competitions have taught".to_owned()
            };
            let growth = if higher {
                format!(" and {times:.1} times the largest load ever seen")
            } else {
                String::new()
            };
            return Some(format!(
                "no precedent: the first of {} in the history{growth}; answered by {from}",
                slot.competition
            ));
        };
        if slot.count > CROWDED * kin.most_fixtures {
            return Some(format!(
                "no precedent: {:.0} fixtures at once, at most {:.0} before",
                slot.count, kin.most_fixtures
            ));
        }
        if slot.importance > kin.most_importance {
            return Some(format!(
                "no precedent: importance {}, at most {} before",
                slot.importance, kin.most_importance
            ));
        }
        higher.then(|| {
            format!("no precedent: {times:.1} times the largest load ever seen, extrapolated")
        })
    }
}
