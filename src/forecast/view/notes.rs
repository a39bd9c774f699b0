//! What a reader of a forecast must know: stale data, entries that do not speak, fixtures without a
//! time, what nobody has seen before.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::super::grid::STEP;
use super::super::pace::{Silence, Verdict};
use super::super::slots::Slot;
use super::super::{Horizon, PeakForecast};
use super::View;

/// Longest lead whose errors are measured, hours.
const LONGEST_LEAD: i64 = 48;

/// A fit older than this is named in the forecast, hours.
const STALE_FIT: i64 = 48;

/// Data older than this at the origin are named in the forecast, minutes.
const STALE_DATA: i64 = 30;

impl View<'_> {
    /// What a reader must know.
    pub(crate) fn notes(&self, horizon: Horizon, peaks: &[PeakForecast]) -> Vec<String> {
        let model = self.model;
        let mut notes = Vec::new();
        let age = horizon.origin - model.at;
        if age > TimeDelta::hours(STALE_FIT) {
            notes.push(format!("fitted {} h before the origin", age.num_hours()));
        }
        if horizon.length > TimeDelta::hours(LONGEST_LEAD) {
            notes.push(format!(
                "errors beyond {LONGEST_LEAD} h ahead are not measured: \
                 the margins there are those of {LONGEST_LEAD} h"
            ));
        }
        match self.data_age {
            None => notes.push(
                "no load known in the last 24 h: the level is the fit's own, \
                 the margins those of two days ahead"
                    .to_owned(),
            ),
            Some(age) if age > STALE_DATA * 60 => {
                notes.push(format!("the last load known is {} min old", age / 60));
            }
            Some(_) => {}
        }
        if self.outage > 0 {
            notes.push(format!(
                "{} min of the last day look like an outage, not like demand: ignored",
                self.outage as i64 * STEP / 60
            ));
        }
        notes.extend(self.without_time(horizon));
        notes.extend(self.entries_note());
        notes.extend(self.unmatched.clone());
        let firsts = peaks.iter().filter_map(|peak| peak.novelty.as_deref());
        let mut novelties: Vec<&str> = firsts.collect();
        novelties.dedup();
        notes.extend(novelties.into_iter().map(str::to_owned));
        let widened = model.peaks.widest();
        if widened > 1.01 && !peaks.is_empty() {
            notes.push(format!(
                "peaks have lately gone over their bounds: margins of peaks are widened by {:.0} %",
                (widened - 1.0) * 100.0
            ));
        }
        notes
    }

    /// What to know of fixtures ahead whose time of day is not known.
    fn without_time(&self, horizon: Horizon) -> Option<String> {
        let until = (horizon.origin + horizon.length).timestamp();
        let possible = |slot: &&Slot| {
            let ahead = slot.anchors.start > self.origin && slot.span().0 < until;
            slot.share < 1.0 && ahead
        };
        let ahead = self.slots.iter().filter(possible);
        let fixtures: BTreeSet<usize> = ahead.map(|slot| slot.group).collect();
        let (count, them) = match fixtures.len() {
            0 => return None,
            1 => ("a fixture".to_owned(), "it"),
            several => (format!("{several} fixtures"), "them"),
        };
        Some(format!(
            "the time of day of {count} ahead is not known: bounds are those of {them} at any of the \
             possible starts; write the time as soon as it is known"
        ))
    }

    /// Why entries that could speak do not.
    fn entries_note(&self) -> Option<String> {
        let coming = |slot: &Slot| {
            slot.anchors.lock > self.origin && slot.anchors.lock < self.origin + 86_400
        };
        if !(self.entries_given || self.model.pace.has_learnt()) {
            return None;
        }
        // a fixture whose time is not known may lock at many, and locks once
        let mut locks: BTreeMap<usize, Result<Verdict, Silence>> = BTreeMap::new();
        for (slot, said) in self.slots.iter().zip(&self.entries) {
            if !coming(slot) {
                continue;
            }
            let lock = locks.entry(slot.group).or_insert(*said);
            *lock = match (*lock, said) {
                (Err(one), Err(other)) => Err(one.min(*other)),
                (known, _) if known.is_ok() => known,
                (_, said) => *said,
            };
        }
        let heard = locks.values().filter(|said| said.is_ok()).count();
        let worst = locks.values().filter_map(|said| said.err()).min()?;
        let why = match worst {
            Silence::Missing => "no entries are known for them",
            Silence::Stale => "no entries have come for too long: the feed may be dead",
            Silence::Holes => "too many of their entries are unknown",
            Silence::Few => "too few have entered yet",
            Silence::NoPast => "there is no past lock to compare with",
        };
        let all = locks.len();
        Some(if heard == 0 {
            format!(
                "entries speak for none of the {all} locks of the next 24 h: the calendar alone \
                 does ({why})"
            )
        } else {
            format!(
                "entries speak for {heard} of the {all} locks of the next 24 h; for the others the \
                 calendar alone does ({why})"
            )
        })
    }
}
