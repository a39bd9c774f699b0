//! A fitted model as seen from one origin: the level of the day, the entries known, the fixtures
//! as the calendar has them now.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::event_response::{FittedEventResponse, as_known, reaching};
use super::experts::Mixture;
use super::features::{Moment, Rows, WINDOW};
use super::grid::{DAY, Grid, STEP};
use super::kick_off::KickOff;
use super::lead::{self, Lead};
use super::novelty::{Precedent, yet_to_come, yet_to_come_at_peak};
use super::overtime;
use super::pace::{Book, LONGEST_SALE, Opening, Reading, Silence, Verdict, opened, unmatched};
use super::peaks::Footing;
use super::quantile::Group;
use super::recently::Recently;
use super::replay::{Alone, fit, shift_at, top};
use super::slots::{Slot, slots};
use super::{Evidence, Horizon, PeakForecast};
use crate::units::Timestamp;
use crowd::Crowd;

mod crowd;
mod notes;

/// Largest margin of a bound that lies above all load ever seen, log load: a factor of twenty.
const LARGEST_MARGIN: f64 = 3.0;

/// The model as seen from one origin.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) model: &'a FittedEventResponse,
    /// Fixtures that can matter, in order of start.
    pub(crate) slots: Vec<Slot>,
    pub(crate) mixture: Mixture,
    origin: i64,
    /// Seconds from the end of the last known bin to the origin.
    data_age: Option<i64>,
    /// What entries say of each slot.
    pub(crate) entries: Vec<Result<Verdict, Silence>>,
    entries_given: bool,
    /// What to know of entries that are of no fixture.
    unmatched: Option<String>,
    /// Bins of the last day that look like an outage.
    outage: usize,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        model: &'a FittedEventResponse,
        recent: Evidence<'a>,
        horizon: Horizon,
    ) -> Self {
        let origin = horizon.origin;
        let calendar = as_known(recent.calendar, origin);
        let span = (origin - TimeDelta::days(1), origin + horizon.length);
        let entries_given = !recent.entries.is_empty();
        // entries count from the last lock on, however long ago that was
        let sales = (span.0 - TimeDelta::seconds(LONGEST_SALE), span.1);
        let sold = entries_given.then(|| slots(&calendar, origin, model.zone, sales));
        let slots = slots(&calendar, origin, model.zone, span);
        // what entries explain of the last day is seen from before it
        let days = if entries_given { 2 } else { 1 };
        let grid = Grid::before(recent.load, origin, days * DAY).without(recent.faults);
        let unknown = grid.values.iter().rev().position(|v| v.is_finite());
        let unknown = unknown.filter(|&bins| bins < DAY);
        let recently = Recently::new(model, &slots, &grid);
        let mixture = Mixture::new(&model.weights, &recently.levels(grid.len(), None));
        let mut view = Self {
            model,
            entries: vec![Err(Silence::Missing); slots.len()],
            slots,
            mixture,
            origin: origin.timestamp(),
            data_age: unknown.map(|bins| bins as i64 * STEP),
            entries_given,
            unmatched: unmatched(recent.entries, &calendar, origin),
            outage: recently.outage,
        };
        if let Some(sold) = sold {
            view.read(recent, &recently, &opened(&view.slots, &sold));
        }
        view
    }

    /// Asks the entries about every slot: first those whose crowds have begun to gather, in their
    /// order, each as it was forecast before it did. What they explain of the last day's load is
    /// no deviation of the day, or a large crowd would count twice.
    fn read(&mut self, recent: Evidence<'_>, recently: &Recently, opened: &[Opening]) {
        let at = Timestamp::from_timestamp(self.origin, 0).unwrap_or_default();
        let entries = recent.entries.before(at);
        let book = Book::new(&entries);
        let weights = &self.model.weights;
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        order.sort_by_key(|&place| self.slots[place].anchors.lock);
        let coming = order.partition_point(|&place| {
            let (from, _) = whole_window(&self.slots[place]);
            from < self.origin
        });
        let mut explained = vec![0.0; recently.len()];
        for &place in &order[..coming] {
            let slot = &self.slots[place];
            let (from, to) = whole_window(slot);
            let before = recently.levels(recently.bin(from), Some(&explained));
            self.mixture = Mixture::new(weights, &before);
            let reading = book.read(slot, &opened[place], self.origin);
            self.entries[place] = reading.and_then(|reading| {
                self.judge(slot, reading, lead::GATHERED, |at| {
                    Lead::of(((at - from) as f64 / STEP as f64 - 0.5).max(0.0))
                })
            });
            let bins = recently.bin(from)..recently.bin(to);
            for (bin, explained) in bins.clone().zip(&mut explained[bins]) {
                let shift = self.shift(&recently.near, &recently.rows, bin);
                *explained = shift.unwrap_or(0.0);
            }
        }
        let left = recently.levels(recently.len(), Some(&explained));
        self.mixture = Mixture::new(weights, &left);
        for &place in &order[coming..] {
            let slot = &self.slots[place];
            let bucket = lead::bucket(self.ahead(slot.anchors.start));
            let reading = book.read(slot, &opened[place], self.origin);
            self.entries[place] =
                reading.and_then(|reading| self.judge(slot, reading, bucket, |at| self.lead(at)));
        }
    }

    /// What a reading means for a slot that is forecast with these leads.
    fn judge(
        &self,
        slot: &Slot,
        reading: Reading,
        bucket: usize,
        lead: impl Fn(i64) -> Lead,
    ) -> Result<Verdict, Silence> {
        let model = self.model;
        let (from, to) = whole_window(slot);
        let near = reaching(&self.slots, from, to);
        let moments = middles((from, to));
        let rows = model.design.rows(&near, moments.iter().copied());
        let alone = std::slice::from_ref(slot);
        let alone = model.design.rows(alone, moments.iter().copied());
        let crowds = moments.iter().enumerate().map(|(index, &at)| {
            let (all, own) = ((&rows, index), (&alone, index));
            let alone = Alone::of(all, own, &model.coefficients, &model.design);
            let mut fits = fit(&rows, index, &model.coefficients, &model.remainder);
            for (fit, change) in fits.iter_mut().zip(alone.change) {
                *fit += change;
            }
            alone.crowd(self.mixture.at(&lead(at), &fits))
        });
        let (_, crowd) = top(crowds).ok_or(Silence::Missing)?;
        model.pace.judge(KickOff::of(slot), reading, crowd, bucket)
    }

    /// Bins ahead of the last known one.
    pub(crate) fn lead(&self, at: i64) -> Lead {
        let ahead = (at - self.origin) as f64 / STEP as f64 - 0.5;
        let behind = self
            .data_age
            .map_or(DAY as f64, |age| age as f64 / STEP as f64);
        Lead::of((ahead + behind).max(0.0))
    }

    /// Whole bins from the last known one to a moment; nothing for a moment that is past.
    fn ahead(&self, at: i64) -> usize {
        self.lead(at.max(self.origin) + STEP / 2).bins() as usize
    }

    /// What is left of a slot's window.
    fn window(&self, slot: &Slot) -> (i64, i64) {
        let (from, to) = whole_window(slot);
        (from.max(self.origin), to)
    }

    /// Log median without what entries say of the slots at that moment.
    pub(crate) fn log(&self, rows: &Rows, index: usize, lead: Lead) -> f64 {
        let model = self.model;
        let fits = fit(rows, index, &model.coefficients, &model.remainder);
        self.mixture.at(&lead, &fits)
    }

    /// What entries add to the log median of a row made for `near`.
    pub(crate) fn shift(&self, near: &[Slot], rows: &Rows, index: usize) -> Option<f64> {
        if !self.entries_given {
            return None;
        }
        let model = self.model;
        shift_at(
            rows,
            index,
            &model.coefficients,
            model.design.events(),
            |slot| self.verdict(&near[slot]).map(|verdict| verdict.shift),
        )
    }

    /// What entries say of a slot.
    pub(crate) fn verdict(&self, slot: &Slot) -> Option<Verdict> {
        let place = self.slots.iter().position(|other| is_same(other, slot))?;
        self.entries[place].ok()
    }

    /// Median and upper quantiles at ascending moments, units per second.
    pub(crate) fn quantiles(&self, moments: &[i64]) -> [Vec<f64>; 4] {
        let model = self.model;
        let (Some(&first), Some(&last)) = (moments.first(), moments.last()) else {
            return Default::default();
        };
        let near = reaching(&self.slots, first, last + 1);
        let rows = model.design.rows(&near, moments.iter().copied());
        let uncertain = near.iter().any(|slot| slot.share < 1.0);
        let tallest = uncertain.then(|| model.design.tallest(&near, moments.iter().copied()));
        let late = running_over(&near)
            .map(|near| (model.design.rows(&near, moments.iter().copied()), near));
        let highest = (model.highest + model.offset).ln();
        let mut paths: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(moments.len()));
        for (index, &at) in moments.iter().enumerate() {
            let lead = self.lead(at);
            let log = self.log(&rows, index, lead);
            let shift = self.shift(&near, &rows, index);
            let moment = rows.moment[index];
            let leading = rows.leading(index).filter(|_| moment != Moment::Calm);
            let minute = f64::from(rows.minute[index]);
            let (precedent, to_come) = leading.map_or((Precedent::AMPLE, 0.0), |slot| {
                let slot = &near[slot];
                let to_come = yet_to_come(slot, self.origin, minute, lead.far_off());
                (model.seen.precedent(slot), to_come)
            });
            let widening = precedent.widening(to_come);
            let precedent = precedent.ahead(to_come);
            let group = Group::of(moment, shift.is_some(), precedent);
            let shift = shift.unwrap_or(0.0);
            let margins = model.margins.at(group, &lead);
            let calm = group == Group::Calm;
            let factor = model.profile.at(&lead, minute)
                * model
                    .scatter
                    .at(calm, &lead, model.scatter.noise(log + shift))
                * widening;
            // what bursts add to next to nothing they do not add to a burst
            let room = (highest - log - shift).max(LARGEST_MARGIN);
            let margins = margins.map(|margin| (margin * factor).min(room));
            let mut logs = [log, log + margins[0], log + margins[1], log + margins[2]];
            if let Some((rows, slots)) = &late {
                let extension = rows.leading(index).and_then(|slot| slots[slot].extension);
                if let Some(extension) = extension {
                    let over = self.log(rows, index, lead);
                    let share = extension.share;
                    let over = ((1.0 - share) * log.exp() + share * over.exp()).ln();
                    logs = overtime::quantiles(log, over, extension.chance, &margins);
                }
            }
            if let Some(rows) = &tallest {
                let raised = self.log(rows, index, lead).max(log) - log;
                for log in &mut logs[1..] {
                    *log += raised;
                }
            }
            for (path, log) in paths.iter_mut().zip(logs) {
                path.push(model.rate(log + shift));
            }
        }
        paths
    }

    /// Peaks of the fixtures that are not over and start before `until`, those with one start
    /// together.
    pub(crate) fn peaks(&self, until: i64) -> Vec<PeakForecast> {
        let mut together: BTreeMap<i64, Vec<&Slot>> = BTreeMap::new();
        for slot in &self.slots {
            let ahead = slot.anchors.start < until && slot.last_end + WINDOW.1 > self.origin;
            if ahead && slot.share >= 1.0 && slot.until.is_none() {
                together.entry(slot.anchors.start).or_default().push(slot);
            }
        }
        together
            .into_iter()
            .filter_map(|(start, slots)| self.peak(start, &slots))
            .collect()
    }

    /// The peak of what is left of the window of slots that start together.
    fn peak(&self, start: i64, together: &[&Slot]) -> Option<PeakForecast> {
        let model = self.model;
        let windows = together.iter().map(|slot| self.window(slot));
        let (from, to) = windows.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let near = reaching(&self.slots, from, to);
        let moments = middles((from, to));
        let rows = model.design.rows(&near, moments.iter().copied());
        let shifted = |index: usize| {
            let by_calendar = self.log(&rows, index, self.lead(moments[index]));
            by_calendar + self.shift(&near, &rows, index).unwrap_or(0.0)
        };
        let (place, log) = (0..rows.len())
            .map(shifted)
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let own = together.iter().max_by(|a, b| a.count.total_cmp(&b.count))?;
        let crowd = Crowd::at(&near, &rows, place);
        let drawing = self.missed_most(&crowd, moments[place]).unwrap_or(start);
        // who draws most of it answers for the peak, whosever window it is in
        let leading = crowd.largest_of(drawing).unwrap_or(own);
        // a window under way has its peak, not its start, ahead
        let begins = leading.anchors.start;
        let under_way = begins < self.origin;
        let target = if under_way {
            moments[place]
        } else {
            begins + STEP / 2
        };
        let bucket = lead::bucket(self.lead(target).bins() as usize);
        let to_come = yet_to_come_at_peak(leading, self.origin, moments[place], bucket);
        let precedent = model.seen.precedent(leading).ahead(to_come);
        let footing = match precedent {
            Precedent::Missing => Footing::Cold,
            _ if self.verdict(leading).is_some() => Footing::Entries,
            Precedent::Known(_) | Precedent::Lesser => Footing::Calendar,
        };
        let judged = model.peaks.at(footing, bucket);
        let margins = judged.widened_by(precedent.widening_of_peaks());
        // once it is under way the path knows what is peculiar to it
        let top = log;
        let log = if under_way {
            top
        } else {
            top + model.tops.at(KickOff::of(leading))
        };
        let time = |at: i64| Timestamp::from_timestamp(at, 0);
        Some(PeakForecast {
            fixtures: together
                .iter()
                .flat_map(|slot| slot.fixtures.iter().cloned())
                .collect(),
            start: time(start)?,
            from: time(from)?,
            to: time(to)?,
            at: time(moments[place] - STEP / 2)?,
            // the median of the largest is no less than the largest of the medians
            quantiles: margins.map(|margin| model.rate((log + margin).max(top))),
            drawn_by: if drawing == start {
                Vec::new()
            } else {
                crowd.fixtures_of(drawing)
            },
            novelty: model.seen.novelty(own, model.rate(log), model.highest),
        })
    }

    /// The start of the fixtures without which load would be lowest at a moment; `None` where
    /// nobody's crowd is there.
    fn missed_most(&self, crowd: &Crowd<'_>, at: i64) -> Option<i64> {
        let starts = crowd.starts();
        if starts.len() < 2 {
            return starts.first().copied();
        }
        let without = |start: i64| {
            let rows = self
                .model
                .design
                .rows(&crowd.without(start), std::iter::once(at));
            self.log(&rows, 0, self.lead(at))
        };
        let without = starts.into_iter().map(|start| (start, without(start)));
        without
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(start, _)| start)
    }
}

/// Whether two descriptions are of one slot.
fn is_same(one: &Slot, other: &Slot) -> bool {
    one.anchors.start == other.anchors.start && one.fixtures == other.fixtures
}

/// A slot's window, the past of it too.
fn whole_window(slot: &Slot) -> (i64, i64) {
    let late = slot.extension.map_or(0, |extension| extension.seconds);
    (
        slot.anchors.lock - WINDOW.0,
        slot.last_end + WINDOW.1 + late,
    )
}

/// Middles of the model's bins in a span.
pub(crate) fn middles((from, to): (i64, i64)) -> Vec<i64> {
    (from..to)
        .step_by(STEP as usize)
        .map(|bin| bin + STEP / 2)
        .collect()
}

/// The slots as they are when those that may run over do; `None` when none may.
fn running_over(near: &[Slot]) -> Option<Vec<Slot>> {
    near.iter().any(|slot| slot.extension.is_some()).then(|| {
        near.iter()
            .cloned()
            .map(|mut slot| {
                if let Some(extension) = slot.extension {
                    slot.anchors.end += extension.seconds;
                }
                slot
            })
            .collect()
    })
}

impl FittedEventResponse {
    /// Units per second of a log load.
    pub(crate) fn rate(&self, log: f64) -> f64 {
        let rate = log.clamp(self.leash.0, self.leash.1).exp() - self.offset;
        // `max` would turn a NaN into a forecast of nothing
        if rate < 0.0 { 0.0 } else { rate }
    }
}
