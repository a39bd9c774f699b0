//! Peaks of past windows as they were forecast, with what entries said of them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::super::experts::STEADIEST;
use super::super::features::{Moment, Rows};
use super::super::grid::{DAY, STEP};
use super::super::kick_off::{Deviations, KickOff};
use super::super::lead::{self, BUCKETS};
use super::super::learn::Coefficients;
use super::super::novelty::{Precedent, yet_to_come_at_peak};
use super::super::order::median;
use super::super::pace::{Opening, Pace, PastSlot, Verdict, opened};
use super::super::peaks::{FOOTINGS, Footing, PastWindow, PeakMargins, weight_among};
use super::crowd::{Alone, crowd_share, is_own, own_or_all, shift_at, top};
use super::paths::Paths;
use super::precedents::Precedents;
use super::{FAR, Past, Window, by_end};

/// A window of which more than this share is unknown tells nothing about its peak.
const MOST_UNKNOWN: f64 = 0.25;

/// How far a top above or below the fit's counts as peculiar to the kick-off, log load: a factor of
/// four. Beyond it lie bursts and loads that were shed, which do not come with the kick-off.
const PECULIAR: f64 = 1.4;

/// Sums over the origins of one window in one bucket: they err together and count once.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Actual less predicted, by footing, and how often.
    scores: [(f64, f64); FOOTINGS],
    /// Joint innovation of the entries of all slots at the peak, as far as it is the crowd's, and
    /// how often it was read.
    innovation: (f64, f64),
    /// Actual less predicted without what entries said of it, and how often.
    unheard: (f64, f64),
    /// How much wider than others' its margins were when it was forecast last.
    widening: f64,
}

/// A window that is to come.
#[derive(Debug, Clone, Copy)]
struct Coming {
    place: usize,
    bucket: usize,
}

/// Peaks of past windows as they were forecast, with what entries said of them.
pub(super) struct PeakScores {
    sums: Vec<[Sums; BUCKETS]>,
    /// The crowd predicted last before any of it was there, if nobody came for another, without
    /// what entries said of it, log load.
    crowds: Vec<f64>,
    /// What entries say at the origin, by slot.
    verdicts: Vec<Option<Verdict>>,
    /// What entries add to the bins of the last day, log load.
    lifts: Vec<f64>,
    /// Windows to come at the origin last issued; kept for its room alone.
    coming: Vec<Coming>,
    touched: Vec<usize>,
    opened: Vec<Opening>,
    precedents: Precedents,
    /// All windows in order of their ends; so many of them have been learnt from, up to a bin.
    order: Vec<usize>,
    closed: usize,
    closed_at: usize,
    /// Bins from the start to the end of the longest window.
    longest: usize,
    /// Rows of every window's bins if its slot were alone; none without entries.
    alone: Vec<Rows>,
    pub(super) pace: Pace,
    /// By how much the peaks of some kick-offs are above the top of the path.
    pub(super) tops: Deviations,
}

impl PeakScores {
    pub(super) fn new(past: &Past<'_>, pace: Pace) -> Self {
        let windows = past.windows.len();
        let played = &past.slots[..past.played];
        let lengths = past
            .windows
            .iter()
            .map(|window| window.to.saturating_sub(window.start));
        Self {
            sums: vec![[Sums::default(); BUCKETS]; windows],
            crowds: vec![f64::NAN; windows],
            verdicts: vec![None; past.slots.len()],
            lifts: Vec::new(),
            coming: Vec::new(),
            touched: Vec::new(),
            opened: opened(played, played),
            precedents: Precedents::new(past.windows, past.slots),
            order: by_end(past.windows),
            closed: 0,
            closed_at: 0,
            longest: lengths.max().unwrap_or(0),
            alone: past.alone(),
            pace,
            tops: Deviations::default(),
        }
    }

    /// What was known of a slot's kind at `origin`.
    pub(super) fn precedent(&self, past: &Past<'_>, slot: usize, origin: usize) -> Precedent {
        self.precedents.at(past.slots, slot, origin)
    }

    /// Learns from the windows that have ended by bin `now`, when these coefficients are known.
    pub(super) fn close(&mut self, past: &Past<'_>, coefficients: &Coefficients, now: usize) {
        while let Some(&place) = self.order.get(self.closed) {
            let window = &past.windows[place];
            if window.to > now {
                break;
            }
            self.closed += 1;
            self.age(window.to);
            let slot = &past.slots[window.slot];
            let above = past.above_the_fit(window, coefficients);
            self.tops
                .add(KickOff::of(slot), above.clamp(-PECULIAR, PECULIAR));
            if past.book.is_empty() {
                continue;
            }
            let crowd = self.crowds[place];
            // a window before the replay has no forecast: what came stands in for it
            let crowd = if crowd.is_finite() {
                crowd
            } else {
                past.crowd_that_came(window, &self.alone[place])
            };
            let opened = &self.opened[window.slot];
            if let Some(sold) = PastSlot::of(past.book, slot, opened, crowd) {
                self.pace.learn(sold);
            }
            for (bucket, sums) in self.sums[place].iter().enumerate() {
                let (innovation, read) = sums.innovation;
                let (error, count) = sums.unheard;
                if read > 0.0 && count > 0.0 {
                    self.pace.link(bucket, innovation / read, error / count);
                }
            }
        }
        self.age(now);
    }

    /// What was learnt until some bin grows old until `now`.
    fn age(&mut self, now: usize) {
        let days = now.saturating_sub(self.closed_at) as f64 / DAY as f64;
        self.pace.age(days);
        self.tops.age(days);
        self.closed_at = self.closed_at.max(now);
    }

    /// Asks entries about the crowds that have begun to gather by `origin`, and gives what they add
    /// to the load of the day before it, one log load per bin; `None` when that is nothing. Only
    /// what that does not explain is the level of the day: the crowd itself would count twice.
    pub(super) fn explain(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        origin: usize,
    ) -> Option<&[f64]> {
        for slot in self.touched.drain(..) {
            self.verdicts[slot] = None;
        }
        if past.book.is_empty() {
            return None;
        }
        let since = origin.saturating_sub(DAY);
        let gathered =
            |window: &&Window| window.from < origin && window.to > since && window.known <= origin;
        // in order of their starts; play may be of any length
        let first = past
            .windows
            .partition_point(|window| window.start + self.longest <= since);
        let near = &past.windows[first..];
        let near = &near[..near.partition_point(|window| window.start < origin + DAY)];
        for (place, window) in (first..).zip(near) {
            if gathered(&window) && self.crowds[place].is_finite() {
                self.judge(
                    past,
                    window.slot,
                    self.crowds[place],
                    origin,
                    lead::GATHERED,
                );
            }
        }
        if self.touched.is_empty() {
            return None;
        }
        let mut lifts = std::mem::take(&mut self.lifts);
        lifts.clear();
        lifts.resize(origin - since, 0.0);
        for window in near.iter().filter(gathered) {
            for bin in window.from.max(since)..window.to.min(origin) {
                let row = past.history.row_seen(bin, origin);
                lifts[bin - since] = self.shift(past, coefficients, row).unwrap_or(0.0);
            }
        }
        self.lifts = lifts;
        Some(&self.lifts)
    }

    /// Asks entries about one slot whose crowd is put at `exp(crowd)` without them.
    fn judge(&mut self, past: &Past<'_>, slot: usize, crowd: f64, origin: usize, bucket: usize) {
        let now = past.history.time(origin);
        let kick_off = KickOff::of(&past.slots[slot]);
        let verdict = past
            .book
            .read(&past.slots[slot], &self.opened[slot], now)
            .and_then(|reading| self.pace.judge(kick_off, reading, crowd, bucket));
        if let Ok(verdict) = verdict {
            self.verdicts[slot] = Some(verdict);
            self.touched.push(slot);
        }
    }

    /// Asks entries about the windows that start within 48 hours of `origin` and scores them. Of
    /// crowds that gather already they have been asked ([`explain`](Self::explain)).
    pub(super) fn issue(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        origin: usize,
        seldom: bool,
        paths: &Paths<'_>,
    ) {
        let entries = !past.book.is_empty();
        let history = past.history;
        let mut coming = std::mem::take(&mut self.coming);
        for (place, window) in past.windows.iter().enumerate() {
            let ahead = window.start.saturating_sub(origin);
            if window.start < origin || ahead >= FAR.1 || origin < window.known {
                continue;
            }
            let bucket = lead::bucket(ahead);
            if bucket > lead::FAR_OFF && !seldom {
                continue;
            }
            // without a forecast from before it gathered, the one from now
            if entries && (origin <= window.from || !self.crowds[place].is_finite()) {
                let own = (window.from.max(origin)..window.to).map(|bin| {
                    let all = history.row_seen(bin, origin);
                    let own = (&self.alone[place], bin - window.from);
                    let alone = Alone::of(all, own, coefficients, past.design);
                    alone.crowd(paths.informed_if(bin, &alone.change))
                });
                let Some((_, crowd)) = top(own) else {
                    continue;
                };
                self.crowds[place] = crowd;
                self.judge(past, window.slot, crowd, origin, bucket);
            }
            if seldom || bucket < lead::FAR_OFF {
                coming.push(Coming { place, bucket });
            }
        }
        for window in coming.drain(..) {
            self.score(past, coefficients, origin, window, paths);
        }
        self.coming = coming;
    }

    /// Scores one window that is to come.
    fn score(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        origin: usize,
        Coming { place, bucket }: Coming,
        paths: &Paths<'_>,
    ) {
        let history = past.history;
        let window = &past.windows[place];
        let bins = window.from.max(origin)..window.to;
        let Some((highest, predicted)) = top(bins.clone().map(|bin| paths.calendar(bin))) else {
            return;
        };
        let actual = past.peak_above(bins.clone(), predicted);
        let verdict = self.verdicts[window.slot];
        if verdict.is_some() && origin <= window.from {
            self.teach(past, coefficients, origin, (place, bucket), paths);
        }
        let Some(actual) = actual else {
            return;
        };
        // who draws most of a peak answers for it, whosever window it is in
        let leading = |place: usize| {
            let (rows, row) = history.row_seen(bins.start + place, origin);
            rows.leading(row).unwrap_or(window.slot)
        };
        let draws = leading(highest);
        let slot = &past.slots[draws];
        let at = history.time(bins.start + highest) + STEP / 2;
        let to_come = yet_to_come_at_peak(slot, history.time(origin), at, bucket);
        let precedent = self.precedent(past, draws, self.closed_at).ahead(to_come);
        let above = |slot: usize| self.tops.at(KickOff::of(&past.slots[slot]));
        // entries may move the top to where another slate's crowd is
        let with_entries = (!self.touched.is_empty()).then(|| {
            top(bins.clone().map(|bin| {
                let row = history.row_seen(bin, origin);
                paths.informed(bin) + self.shift(past, coefficients, row).unwrap_or(0.0)
            }))
        });
        let moved = with_entries.flatten().and_then(|(place, top)| {
            let draws = leading(place);
            self.verdicts[draws].map(|_| top + above(draws))
        });
        let predicted = predicted + above(draws);
        let sums = &mut self.sums[place][bucket];
        sums.widening = precedent.widening_of_peaks();
        let mut add = |footing: Footing, predicted: f64| {
            let (sum, count) = &mut sums.scores[footing as usize];
            *sum += actual - predicted;
            *count += 1.0;
        };
        if precedent == Precedent::Missing {
            // with entries or without: there is one footing for want of a precedent
            add(Footing::Cold, moved.unwrap_or(predicted));
        } else {
            add(Footing::Calendar, predicted);
            if let Some(moved) = moved {
                add(Footing::Entries, moved);
            }
        }
    }

    /// Keeps what entries said of a window and what would have been wrong without, where the window
    /// is its own: a late slate is not charged with the rush to the evening's game.
    fn teach(
        &mut self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        origin: usize,
        (place, bucket): (usize, usize),
        paths: &Paths<'_>,
    ) {
        let history = past.history;
        let window = &past.windows[place];
        let own = past.own_bins(window, window.from.max(origin)..window.to, origin);
        let Some((at, unheard)) = top(own.iter().map(|&bin| paths.informed(bin))) else {
            return;
        };
        let (rows, row) = history.row_seen(own[at], origin);
        let share = crowd_share(rows, row, coefficients, past.events());
        let joint: f64 = rows
            .crowd(row)
            .iter()
            .filter_map(|&(slot, of)| {
                Some(f64::from(of) * self.verdicts[slot as usize]?.innovation)
            })
            .sum();
        let sums = &mut self.sums[place][bucket];
        sums.innovation.0 += share * joint;
        sums.innovation.1 += 1.0;
        if let Some(actual) = past.peak_above(own.iter().copied(), unheard) {
            sums.unheard.0 += actual - unheard;
            sums.unheard.1 += 1.0;
        }
    }

    /// What entries add at one row, by what they say at the origin.
    pub(super) fn shift(
        &self,
        past: &Past<'_>,
        coefficients: &Coefficients,
        (rows, row): (&Rows, usize),
    ) -> Option<f64> {
        if self.touched.is_empty() {
            return None;
        }
        shift_at(rows, row, coefficients, past.events(), |slot| {
            self.verdicts[slot].map(|verdict| verdict.shift)
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
                            widening: sums.widening,
                        })
                    })
                    .collect()
            })
        });
        PeakMargins::new(&scores)
    }
}

impl Past<'_> {
    /// Rows of every window's bins if its slot were alone, as it was expected to go on; none without
    /// entries to compare with it.
    fn alone(&self) -> Vec<Rows> {
        if self.book.is_empty() {
            return Vec::new();
        }
        let rows = |window: &Window| {
            let slot = self.slots[window.slot].as_expected();
            let middles = (window.from..window.to).map(|bin| self.history.time(bin) + STEP / 2);
            self.design.rows(&[slot], middles)
        };
        self.windows.iter().map(rows).collect()
    }

    /// The bins, as they were seen at `origin`, whose crowd is that of a window's slot; all of them
    /// where there is none.
    fn own_bins(&self, window: &Window, bins: Range<usize>, origin: usize) -> Vec<usize> {
        own_or_all(bins, |bin| {
            let (rows, row) = self.history.row_seen(bin, origin);
            is_own(rows, row, self.slots, window.slot)
        })
    }

    /// Largest log load of some bins for which `predicted` was forecast. `None` when too many are
    /// unknown to tell: of a window cut short by full replicas only its being higher is known.
    fn peak_above(
        &self,
        bins: impl ExactSizeIterator<Item = usize> + Clone,
        predicted: f64,
    ) -> Option<f64> {
        let history = self.history;
        let (_, actual) = top(bins.clone().map(|bin| history.log[bin]))?;
        let all = bins.len() as f64;
        let unknown = bins.filter(|&bin| !history.seen(bin).is_finite()).count() as f64;
        (unknown <= MOST_UNKNOWN * all || actual > predicted).then_some(actual)
    }

    /// Largest log load of some bins; NaN when too many are unknown to tell, or when full replicas
    /// cut it off.
    fn whole_peak(&self, bins: &Range<usize>) -> f64 {
        let history = self.history;
        let logs = history.log[bins.clone()].iter().copied();
        let known = logs.clone().filter(|log| log.is_finite()).count();
        match top(logs) {
            Some((at, peak))
                if !history.floor[bins.start + at]
                    && (bins.len() - known) as f64 <= MOST_UNKNOWN * bins.len() as f64 =>
            {
                peak
            }
            _ => f64::NAN,
        }
    }

    /// By how much the peak of a past window is above the top of the fit, less what all of play
    /// is: how large crowds are is the regression's to learn. NaN when the peak or play is not
    /// known.
    fn above_the_fit(&self, window: &Window, coefficients: &Coefficients) -> f64 {
        let bins = window.from..window.to;
        let rows = &self.history.rows;
        let mut highest = f64::NAN;
        let mut errors = Vec::with_capacity(bins.len());
        for bin in bins.clone() {
            let fit = rows.fit_from(bin, 0, |column| coefficients[column][STEADIEST]);
            highest = highest.max(fit);
            let error = self.history.seen(bin) - fit;
            if rows.moment[bin] == Moment::Play && error.is_finite() {
                errors.push(error);
            }
        }
        let size = median(&mut errors).unwrap_or(f64::NAN);
        self.whole_peak(&bins) - highest - size
    }

    /// Log of the crowd that would have come for a past window's slot alone; NaN when nothing of it
    /// is known.
    fn crowd_that_came(&self, window: &Window, alone: &Rows) -> f64 {
        let Some(coefficients) = self.known.first() else {
            return f64::NAN;
        };
        let own = (window.from..window.to).map(|bin| {
            let (all, own) = ((&self.history.rows, bin), (alone, bin - window.from));
            Alone::of(all, own, coefficients, self.design).crowd_of_all(self.history.log[bin])
        });
        top(own).map_or(f64::NAN, |(_, crowd)| crowd)
    }
}
