//! Entries as they were known at any moment: how many, how long before the lock, and whether the
//! slate was full.

use std::collections::BTreeMap;

use super::curve::{HOURS, POINTS};
use super::opening::Opening;
use super::sold::Sold;
use crate::entries::Entries;
use crate::forecast::kick_off::KickOff;
use crate::forecast::slots::Slot;

/// Fewest entries from which a pace is read: below, chance decides.
const LEAST: f64 = 20.0;

/// What entries say about one slot at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Entries so far.
    pub(crate) so_far: f64,
    /// Hours from the moment that was read to the lock.
    pub(crate) hours: f64,
    /// True when no place was left at the moment of asking.
    pub(crate) full: bool,
}

/// Why entries say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Silence {
    /// No entries are known for it.
    Missing,
    /// The last that are known are too old; zeros that cannot be chance are not known.
    Stale,
    /// Too many are unknown.
    Holes,
    /// Too few have entered yet.
    Few,
    /// No past slot to compare with.
    NoPast,
}

/// All entries, ready to be asked about slots.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    slates: BTreeMap<Option<&'a str>, Sold<'a>>,
}

impl<'a> Book<'a> {
    pub(crate) fn new(entries: &'a Entries) -> Self {
        let slates = entries
            .iter()
            .filter(|(_, slate)| !slate.rate.is_empty())
            .map(|(name, slate)| (name, Sold::new(slate)))
            .collect();
        Self { slates }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }

    /// Entries for a slot known at `at`, since they count for it. Those without a slate count for
    /// the next lock, where nothing is known of its slates.
    pub(crate) fn read(&self, slot: &Slot, opened: &Opening, at: i64) -> Result<Reading, Silence> {
        let lock = slot.anchors.lock;
        let at = at.min(lock);
        let named = slot.slates.iter().zip(&opened.slates);
        let named = named.filter_map(|(name, &opened)| {
            let sold = self.slates.get(&Some(name.as_str()))?;
            Some((sold, opened))
        });
        let mut sold: Vec<(&Sold<'_>, i64)> = named.collect();
        if sold.is_empty() {
            let nameless = self.slates.get(&None);
            sold.extend(nameless.map(|sold| (sold, opened.nameless)));
        }
        if sold.is_empty() {
            return Err(Silence::Missing);
        }
        let mut reading = Reading {
            so_far: 0.0,
            hours: (lock - at) as f64 / 3_600.0,
            full: false,
        };
        for (sold, opened) in sold {
            let mut so_far = sold.between(opened, at)?;
            if let Some(filled) = sold.filled(opened, at) {
                // the pace at which the places went, not the silence after
                so_far = sold.between(opened, filled).unwrap_or(so_far);
                reading.full = true;
                reading.hours = reading.hours.max((lock - filled) as f64 / 3_600.0);
            }
            reading.so_far += so_far;
        }
        if reading.so_far < LEAST {
            return Err(Silence::Few);
        }
        Ok(reading)
    }
}

/// A past slot as it was seen at each point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PastSlot {
    /// Logarithm of the entries at each of [`HOURS`]; NaN where nothing was known.
    pub(crate) ln_entries: [f64; POINTS],
    /// True when it filled up: its last entries are a lower bound.
    pub(crate) full: bool,
    /// When in the week it began.
    pub(crate) kick_off: KickOff,
    /// Logarithm of the crowd at the peak by the calendar, as last forecast.
    pub(crate) crowd: f64,
    /// The final entries it was heading for: those in, or what the pace said when it filled.
    pub(crate) ln_final: f64,
}

impl PastSlot {
    /// What the book holds about a slot whose lock is past. `None` when its entries are unknown.
    pub(crate) fn of(book: &Book<'_>, slot: &Slot, opened: &Opening, crowd: f64) -> Option<Self> {
        let lock = slot.anchors.lock;
        let last = book.read(slot, opened, lock).ok()?;
        let ln_entries = HOURS.map(|hours| {
            let at = lock - (hours * 3_600.0) as i64;
            match book.read(slot, opened, at) {
                Ok(reading) if !reading.full => reading.so_far.ln(),
                _ => f64::NAN,
            }
        });
        Some(Self {
            ln_entries,
            full: last.full,
            kick_off: KickOff::of(slot),
            crowd,
            ln_final: last.so_far.ln(),
        })
    }
}
