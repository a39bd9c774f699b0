//! Whose crowd is there at a moment.

use std::collections::BTreeSet;

use super::super::features::Rows;
use super::super::slots::Slot;
use crate::fixture::FixtureId;

/// The slots that reach a moment, each with its share of the crowd by what is believed.
pub(super) struct Crowd<'a>(Vec<(&'a Slot, f32)>);

impl<'a> Crowd<'a> {
    /// Of one of the rows made for the slots `near`.
    pub(super) fn at(near: &'a [Slot], rows: &Rows, index: usize) -> Self {
        let crowd = rows.crowd(index).iter();
        Self(
            crowd
                .map(|&(slot, share)| (&near[slot as usize], share))
                .collect(),
        )
    }

    /// When they begin, without repeats.
    pub(super) fn starts(&self) -> BTreeSet<i64> {
        self.0.iter().map(|(slot, _)| slot.anchors.start).collect()
    }

    fn beginning_at(&self, start: i64) -> impl Iterator<Item = &(&'a Slot, f32)> {
        self.0
            .iter()
            .filter(move |(slot, _)| slot.anchors.start == start)
    }

    /// Of those that begin at `start` the one with the largest share.
    pub(super) fn largest_of(&self, start: i64) -> Option<&'a Slot> {
        let largest = self.beginning_at(start).max_by(|a, b| a.1.total_cmp(&b.1));
        largest.map(|&(slot, _)| slot)
    }

    /// The fixtures that begin at `start`.
    pub(super) fn fixtures_of(&self, start: i64) -> Vec<FixtureId> {
        self.beginning_at(start)
            .flat_map(|(slot, _)| slot.fixtures.clone())
            .collect()
    }

    /// The slots if nobody came for those that begin at `start`.
    pub(super) fn without(&self, start: i64) -> Vec<Slot> {
        let left = self.0.iter().map(|&(slot, _)| {
            if slot.anchors.start == start {
                slot.without_crowd()
            } else {
                slot.clone()
            }
        });
        left.collect()
    }
}
