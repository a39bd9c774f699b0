//! The slots that reach a moment, and how much is left of each where several do.

use super::{KnownSlot, crowding};

/// Floor of the shape in `f(t)`, so that far ends of two responses share too.
const SHAPE_FLOOR: f64 = 0.005;

/// A slot that reaches a moment.
pub(super) struct Crowd<'a> {
    pub(super) known: &'a KnownSlot<'a>,
    /// Place in the list the rows are made for.
    pub(super) place: usize,
    /// Response minute.
    pub(super) minute: f64,
    /// Share of the top of the sport's prior response.
    pub(super) shape: f64,
    /// The same of its weight, and never quite nothing.
    pub(super) height: f64,
    /// `f(t)` of the module's formula.
    pub(super) factor: f64,
}

impl<'a> Crowd<'a> {
    pub(super) fn of(known: &'a [KnownSlot<'a>], place: usize, at: i64) -> Self {
        let known = &known[place];
        let minute = known.slot.anchors.minute(at);
        let shape = known.slot.prior.shape(minute);
        Self {
            known,
            place,
            minute,
            shape,
            height: shape.max(SHAPE_FLOOR) * known.weight,
            factor: 1.0,
        }
    }
}

/// Leaves of every group of slots the one whose shape is highest.
pub(super) fn one_of_each(crowds: &mut Vec<Crowd<'_>>) {
    let mut chosen: Vec<Crowd<'_>> = Vec::with_capacity(crowds.len());
    for crowd in crowds.drain(..) {
        let group = crowd.known.slot.group;
        match chosen.iter_mut().find(|c| c.known.slot.group == group) {
            Some(best) if crowd.shape > best.shape => *best = crowd,
            Some(_) => {}
            None => chosen.push(crowd),
        }
    }
    *crowds = chosen;
}

/// Sets `f(t)` of the module's formula for every slot, and gives the sum of all heights with it.
/// Slots that exclude each other are one term of the sums: `groups` is room for the group, how high
/// it stands and what that adds to log load.
pub(super) fn overlap(crowds: &mut [Crowd<'_>], groups: &mut Vec<(usize, f64, f64)>) -> f64 {
    if let [only] = crowds {
        return only.height;
    }
    groups.clear();
    for Crowd { known, height, .. } in &*crowds {
        let (group, log) = (known.slot.group, height * known.unit);
        match groups.iter_mut().find(|(other, ..)| *other == group) {
            Some((_, sum, logs)) => {
                *sum += height;
                *logs += log;
            }
            None => groups.push((group, *height, log)),
        }
    }
    let together = crowding::Together::of(groups.iter().map(|&(_, height, log)| (height, log)));
    let mut total = 0.0;
    for crowd in crowds {
        let mut groups = groups.iter();
        let of_group = groups.find(|(group, ..)| *group == crowd.known.slot.group);
        crowd.factor = of_group.map_or(1.0, |&(_, height, _)| together.factor(height));
        total += crowd.height * crowd.factor;
    }
    if total > 0.0 { total } else { 1.0 }
}
