//! Peaks of past windows as they were forecast, with what entries said of them.

use std::collections::BTreeMap;

use super::super::features::Rows;
use super::super::grid::{DAY, STEP};
use super::super::lead::{self, BUCKETS};
use super::super::learn::Coefficients;
use super::super::pace::{Pace, PastSlot};
use super::super::peaks::{FOOTINGS, Footing, PastWindow, PeakMargins, weight_among};
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
    /// First bin at which a window of each slot's competition was over.
    precedent: Vec<usize>,
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
            precedent: precedents(past),
            order,
            closed: 0,
            closed_at: 0,
            pace,
        }
    }

    /// True when no window of the slot's competition was over at `origin`.
    pub(super) fn is_cold(&self, slot: usize, origin: usize) -> bool {
        origin < self.precedent[slot]
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
            let footing = if bucket >= lead::FAR_OFF && self.is_cold(window.slot, origin) {
                Footing::Cold
            } else {
                Footing::Calendar
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
                        let (sum, count) = self.sums[place][bucket].scores[footing];
                        (count > 0.0).then(|| PastWindow {
                            score: sum / count,
                            age: age(place),
                            weight: weight_among(on_day[&(age(place) as usize)]),
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

/// First bin at which a window of each slot's competition was over.
fn precedents(past: &Past<'_>) -> Vec<usize> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for window in past.windows {
        let competition = past.slots[window.slot].competition.as_str();
        let over = first.entry(competition).or_insert(window.to);
        *over = window.to.min(*over);
    }
    let slots = past.slots.iter();
    slots
        .map(|slot| {
            first
                .get(slot.competition.as_str())
                .copied()
                .unwrap_or(usize::MAX)
        })
        .collect()
}
