//! Peaks of past windows as they were forecast, with what entries said of them.

use std::collections::BTreeMap;

use super::super::features::Rows;
use super::super::grid::{DAY, STEP};
use super::super::lead::{self, BUCKETS};
use super::super::learn::Coefficients;
use super::super::novelty::{Kin, Precedent};
use super::super::pace::{Pace, PastSlot};
use super::super::peaks::{FOOTINGS, Footing, PastWindow, PeakMargins, weight_among};
use super::super::slots::Slot;
use super::crowd::{LEAST_CROWD, crowd_share, lifted, opened, shift_at, top};
use super::{FAR, Past, Window};

/// A window of which more than this share is unknown tells nothing about its peak.
const MOST_UNKNOWN: f64 = 0.25;

/// Sums over the origins of one window in one bucket: they err together and count once.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Actual less predicted, by footing, and how often.
    scores: [(f64, f64); FOOTINGS],
    /// Innovation of entries, as far as the peak is the crowd's, and how often it was read.
    innovation: (f64, f64),
    /// What was known of its kind when it was forecast last.
    precedent: Precedent,
}

/// Peaks of past windows as they were forecast, with what entries said of them.
pub(super) struct PeakScores {
    sums: Vec<[Sums; BUCKETS]>,
    /// The crowd at the peak the calendar alone predicted last, log load.
    crowds: Vec<f64>,
    /// Shift by entries at the origin last issued, by slot.
    shifts: Vec<Option<f64>>,
    touched: Vec<usize>,
    opened: Vec<i64>,
    /// By slot: when a window of its competition was over, and when one that was its equal.
    precedents: Vec<Precedents>,
    /// Windows already learnt from, in order of their ends.
    order: Vec<usize>,
    closed: usize,
    closed_at: usize,
    pub(super) pace: Pace,
}

impl PeakScores {
    pub(super) fn new(past: &Past<'_>, pace: Pace) -> Self {
        let windows = past.windows.len();
        let mut order: Vec<usize> = (0..windows).collect();
        order.sort_by_key(|&window| past.windows[window].to);
        Self {
            sums: vec![[Sums::default(); BUCKETS]; windows],
            crowds: vec![f64::NAN; windows],
            shifts: vec![None; past.slots.len()],
            touched: Vec::new(),
            opened: opened(past.slots),
            precedents: precedents(past.windows, past.slots),
            order,
            closed: 0,
            closed_at: 0,
            pace,
        }
    }

    /// What was known of a slot's kind at `origin`.
    pub(super) fn precedent(&self, slot: usize, origin: usize) -> Precedent {
        self.precedents[slot].at(origin)
    }

    /// Learns from the windows that have ended by bin `now`.
    pub(super) fn close(&mut self, past: &Past<'_>, now: usize) {
        if past.book.is_empty() {
            return;
        }
        let days = now.saturating_sub(self.closed_at) as f64 / DAY as f64;
        self.pace.age(days);
        self.closed_at = now;
        while let Some(&place) = self.order.get(self.closed) {
            let window = &past.windows[place];
            if window.to > now {
                break;
            }
            self.closed += 1;
            let slot = &past.slots[window.slot];
            let crowd = self.crowds[place];
            // a window before the replay has no forecast: what came stands in for it
            let crowd = if crowd.is_finite() {
                crowd
            } else {
                past.crowd_that_came(window)
            };
            let opened = self.opened[window.slot];
            if let Some(slot) = PastSlot::of(past.book, slot, opened, crowd) {
                self.pace.learn(slot);
            }
            for (bucket, sums) in self.sums[place].iter().enumerate() {
                let (innovation, read) = sums.innovation;
                let by_calendar = sums.scores[Footing::Calendar as usize];
                let cold = sums.scores[Footing::Cold as usize];
                let (error, count) = (by_calendar.0 + cold.0, by_calendar.1 + cold.1);
                if read > 0.0 && count > 0.0 {
                    self.pace.link(bucket, innovation / read, error / count);
                }
            }
        }
    }

    /// Scores the windows that start within 48 hours of `origin` or are under way.
    pub(super) fn issue(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        origin: usize,
        seldom: bool,
        path: impl Fn(usize) -> f64,
    ) {
        for slot in self.touched.drain(..) {
            self.shifts[slot] = None;
        }
        let entries = !past.book.is_empty();
        let history = past.history;
        for (place, window) in past.windows.iter().enumerate() {
            let ahead = window.start.saturating_sub(origin);
            let upcoming = window.start >= origin;
            let under_way = entries && window.to > origin;
            if !(upcoming || under_way) || ahead >= FAR.1 {
                continue;
            }
            let bucket = lead::bucket(ahead);
            if bucket > 2 && !seldom {
                continue;
            }
            let bins = window.from.max(origin)..window.to;
            let Some((at, predicted)) = top(bins.clone().map(&path)) else {
                continue;
            };
            let (rows, row) = history.row_seen(bins.start + at, origin);
            let share = crowd_share(rows, row, coefficients, past.events);
            let crowd = predicted + share.max(LEAST_CROWD).ln();
            let mut shift = None;
            if entries {
                let slot = &past.slots[window.slot];
                let now = history.end - (history.log.len() - origin) as i64 * STEP;
                let verdict = past
                    .book
                    .read(slot, self.opened[window.slot], now)
                    .and_then(|reading| self.pace.judge(reading, crowd, bucket));
                if let Ok(verdict) = verdict {
                    shift = Some(verdict.shift);
                    self.shifts[window.slot] = shift;
                    self.touched.push(window.slot);
                    if upcoming {
                        let sums = &mut self.sums[place][bucket].innovation;
                        sums.0 += share * verdict.innovation;
                        sums.1 += 1.0;
                    }
                }
            }
            if !upcoming {
                continue;
            }
            self.crowds[place] = crowd;
            let actual = history.peak(bins.clone());
            let unknown = bins.clone().filter(|&bin| !history.seen(bin).is_finite());
            let unknown = unknown.count() as f64 > MOST_UNKNOWN * bins.len() as f64;
            // of a window cut short by full replicas only its being higher is known
            if !actual.is_finite() || (unknown && actual <= predicted) {
                continue;
            }
            let precedent = self.precedent(window.slot, origin).ahead(bucket);
            self.sums[place][bucket].precedent = precedent;
            let footing = match precedent {
                Precedent::Missing => Footing::Cold,
                Precedent::Known | Precedent::Lesser => Footing::Calendar,
            };
            let mut add = |footing: Footing, predicted: f64| {
                let sums = &mut self.sums[place][bucket].scores[footing as usize];
                sums.0 += actual - predicted;
                sums.1 += 1.0;
            };
            add(footing, predicted);
            if let Some(shift) = shift {
                add(Footing::Entries, predicted + lifted(shift, share));
            }
        }
    }

    /// What entries add at one row, from the origin last issued.
    pub(super) fn shift(
        &self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        (rows, row): (&Rows, usize),
    ) -> Option<f64> {
        if self.touched.is_empty() {
            return None;
        }
        shift_at(rows, row, coefficients, past.events, |slot| {
            self.shifts[slot]
        })
    }

    /// One score per window and bucket.
    pub(super) fn margins(&self, past: &Past<'_>) -> PeakMargins {
        let bins = past.history.log.len();
        let age = |place: usize| (bins - past.windows[place].to) as f64 / DAY as f64;
        let mut on_day: BTreeMap<usize, usize> = BTreeMap::new();
        for place in 0..past.windows.len() {
            *on_day.entry(age(place) as usize).or_default() += 1;
        }
        let scores = std::array::from_fn(|footing| {
            std::array::from_fn(|bucket| {
                self.order
                    .iter()
                    .filter_map(|&place| {
                        let sums = &self.sums[place][bucket];
                        let (sum, count) = sums.scores[footing];
                        (count > 0.0).then(|| PastWindow {
                            score: sum / count,
                            age: age(place),
                            weight: weight_among(on_day[&(age(place) as usize)]),
                            widening: sums.precedent.widening(),
                        })
                    })
                    .collect()
            })
        });
        PeakMargins::new(&scores)
    }
}

impl Past<'_> {
    /// Log of the crowd at the peak of a past window; NaN when nothing of it is known.
    fn crowd_that_came(&self, window: &Window) -> f64 {
        let (Some((at, peak)), Some(coefficients)) = (
            top(self.history.log[window.from..window.to].iter().copied()),
            self.known.first(),
        ) else {
            return f64::NAN;
        };
        let rows = &self.history.rows;
        let share = crowd_share(rows, window.from + at, coefficients, self.events);
        peak + share.max(LEAST_CROWD).ln()
    }
}

/// First bins at which a window of a slot's competition was over, and at which some together were
/// a precedent for all of it.
#[derive(Debug, Clone, Copy)]
struct Precedents {
    first: usize,
    equal: usize,
}

impl Precedents {
    fn at(self, origin: usize) -> Precedent {
        if origin < self.first {
            Precedent::Missing
        } else if origin < self.equal {
            Precedent::Lesser
        } else {
            Precedent::Known
        }
    }
}

fn precedents(windows: &[Window], slots: &[Slot]) -> Vec<Precedents> {
    // what each competition's windows had held at most, whenever one of them ended
    let mut held: BTreeMap<&str, Vec<(usize, Kin)>> = BTreeMap::new();
    let mut windows: Vec<&Window> = windows.iter().collect();
    windows.sort_by_key(|window| window.to);
    for window in windows {
        let slot = &slots[window.slot];
        let held = held.entry(&slot.competition).or_default();
        let mut kin = held.last().map(|&(_, kin)| kin).unwrap_or_default();
        kin.add(slot);
        held.push((window.to, kin));
    }
    slots
        .iter()
        .map(|slot| {
            let held = held.get(slot.competition.as_str());
            let held = held.map_or(&[][..], Vec::as_slice);
            let equal = held.partition_point(|(_, kin)| kin.precedent(slot) != Precedent::Known);
            let over = |place: usize| held.get(place).map_or(usize::MAX, |&(over, _)| over);
            Precedents {
                first: over(0),
                equal: over(equal),
            }
        })
        .collect()
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
            })
            .collect();
        let precedents = precedents(&windows, &slots);
        for origin in 0..100 {
            let over = windows.iter().filter(|window| window.to <= origin);
            let seen = Seen::new(over.map(|window| &slots[window.slot]));
            for (slot, precedents) in slots.iter().zip(&precedents) {
                assert_eq!(precedents.at(origin), seen.precedent(slot), "{origin}");
            }
        }
    }
}
