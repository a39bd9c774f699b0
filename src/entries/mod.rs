//! Contest entries: how many people have joined the contests of each slate, and how many may.
//!
//! Entries run ahead of load by hours: a slate that sells faster than usual will draw a larger
//! crowd. What is made of them is decided in `forecast`; here they are only kept, with gaps as
//! gaps. Reading text is in `csv`.

use std::collections::BTreeMap;

use crate::series::Series;
use crate::units::Timestamp;

pub mod csv;

/// Entries of every slate. The slate `None` holds entries whose file names no slate; they count
/// for the next lock after they were made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    slates: BTreeMap<Option<String>, SlateEntries>,
}

/// Entries of one slate.
#[derive(Debug, Clone, PartialEq)]
pub struct SlateEntries {
    /// Entries per second on a regular grid. A bin that is not known is a gap; a bin in which
    /// nobody entered is zero.
    pub rate: Series,
    /// Places on offer from each moment on, in order of time; empty when not known. A slate with
    /// no place left takes no entries, however many people want one.
    pub spots: Vec<(Timestamp, f64)>,
}

impl Entries {
    /// No entries known at all.
    pub const NONE: Self = Self {
        slates: BTreeMap::new(),
    };

    /// Adds a slate, or replaces it.
    pub fn insert(&mut self, slate: Option<String>, entries: SlateEntries) {
        self.slates.insert(slate, entries);
    }

    /// The entries of a slate, or of those without one.
    pub fn get(&self, slate: Option<&str>) -> Option<&SlateEntries> {
        // the borrowed form of an optional text is no key: slates are few, keys are compared
        self.slates
            .iter()
            .find(|(name, _)| name.as_deref() == slate)
            .map(|(_, entries)| entries)
    }

    /// Every slate with its entries, those without a slate first.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &SlateEntries)> {
        self.slates
            .iter()
            .map(|(slate, entries)| (slate.as_deref(), entries))
    }

    /// True when nothing is known.
    pub fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }

    /// What was known at `at`: whole bins that end by then, and places offered by then.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> Self {
        let slates = self
            .slates
            .iter()
            .map(|(slate, entries)| {
                let known = SlateEntries {
                    rate: entries.rate.before(at),
                    spots: entries
                        .spots
                        .iter()
                        .copied()
                        .filter(|&(from, _)| from <= at)
                        .collect(),
                };
                (slate.clone(), known)
            })
            .filter(|(_, known)| !known.rate.is_empty())
            .collect();
        Self { slates }
    }

    /// End of the last bin in which anything is known, over all slates.
    pub fn latest(&self) -> Option<Timestamp> {
        self.slates
            .values()
            .filter_map(|entries| {
                let last = entries.rate.raw().iter().rposition(|v| v.is_finite())?;
                Some(entries.rate.time(last + 1))
            })
            .max()
    }
}

impl SlateEntries {
    /// Places on offer at `at`, if known.
    pub fn spots_at(&self, at: Timestamp) -> Option<f64> {
        let known = self.spots.partition_point(|&(from, _)| from <= at);
        known.checked_sub(1).map(|last| self.spots[last].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn what_is_known_at_a_time_holds_whole_bins_and_places_offered_by_then() {
        let mut entries = Entries::default();
        let rate = Series::from_raw(at(0), TimeDelta::minutes(5), vec![1.0, f64::NAN, 3.0]);
        entries.insert(
            Some("main".into()),
            SlateEntries {
                rate,
                spots: vec![(at(0), 100.0), (at(12), 200.0)],
            },
        );
        assert_eq!(entries.latest(), Some(at(15)));
        let known = entries.before(at(12));
        let main = known.get(Some("main")).unwrap();
        assert_eq!(main.rate.len(), 2);
        assert_eq!(main.spots_at(at(11)), Some(100.0));
        assert_eq!(main.spots_at(at(13)), Some(200.0));
        assert_eq!(known.latest(), Some(at(5)));
        assert!(entries.before(at(3)).is_empty());
        assert!(entries.get(None).is_none());
    }
}
