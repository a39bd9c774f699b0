//! Issues again, without hindsight, the forecasts of the last weeks, to learn from their errors.
//!
//! Every past period starts from the coefficients known then; within it origins follow each other
//! as they would in operation, each with its own level correction and with the entries known by
//! then. An error counts for expert weights and margins only from the period after its target,
//! and for what the fit takes home only when the target lies before the fit's origin: exactly
//! what had matured. Margins are drawn anew for every period, so that coverage is counted against
//! bounds that were really given.

use std::collections::BTreeMap;

use super::calibration::Calibration;
use super::experts::{Fits, Losses, MODELS, Mixture, REGRESSIONS, STEADIEST, Voices, Weights};
use super::features::Rows;
use super::grid::{DAY, STEP};
use super::lead::{self, BUCKETS};
use super::learn::{Coefficients, History, LATELY, PERIOD};
use super::level::{self, Level};
use super::pace::{Book, Pace, PastSlot};
use super::peaks::{FOOTINGS, Footing, PastWindow, PeakMargins, weight_among};
use super::quantile::{Group, MarginTable, Scores};
use super::slots::Slot;
use super::track::Tracker;
use super::weekly::Weekly;

/// Periods issued again: four weeks. Older scores would weigh less than a tenth.
pub(crate) const PERIODS: usize = 28 * DAY / PERIOD;

/// Bins of history an origin must have behind it.
const WARM_UP: usize = 2 * DAY;

/// Bins between origins for leads up to four hours.
const OFTEN: usize = 12;

/// The same in periods whose errors have lost more than half their weight.
const LESS_OFTEN: usize = 24;

/// Bins between origins for longer leads.
const SELDOM: usize = 72;

/// Bins ahead that are scored from every origin.
const NEAR: [usize; 8] = [1, 2, 5, 8, 11, 23, 35, 47];

/// Bins ahead that are scored from the seldom origins: every quarter of an hour up to 48 h.
const FAR: (usize, usize, usize) = (50, 576, 3);

/// Weight of the pseudo-scores in each bucket: as many as four hours of forecasts yield.
const PSEUDO: [f64; BUCKETS] = [8.0, 12.0, 12.0, 24.0, 32.0, 64.0];

/// A window of which more than this share is unknown tells nothing about its peak.
const MOST_UNKNOWN: f64 = 0.25;

/// Least share of a peak that is taken for the crowd's when entries are compared with it.
pub(crate) const LEAST_CROWD: f64 = 0.05;

/// A past window of a slot, in bins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Place of its slot in the list the history's rows were made for.
    pub(crate) slot: usize,
    pub(crate) start: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// What the past forecasts taught.
#[derive(Debug)]
pub(crate) struct Lessons {
    pub(crate) weights: Weights,
    pub(crate) weekly: Weekly,
    pub(crate) margins: MarginTable,
    pub(crate) peaks: PeakMargins,
    pub(crate) pace: Pace,
    pub(crate) calibration: Calibration,
    pub(crate) tracker: Tracker,
}

/// What is issued again.
#[derive(Debug)]
pub(crate) struct Past<'a> {
    pub(crate) history: &'a History,
    /// Coefficients known at the start of each of the last periods; the last are the origin's.
    pub(crate) known: &'a [Coefficients],
    /// Slots that the history's rows were made for.
    pub(crate) slots: &'a [Slot],
    /// Their windows that are over, in order of their starts.
    pub(crate) windows: &'a [Window],
    pub(crate) book: &'a Book<'a>,
    /// First column that speaks of fixtures.
    pub(crate) events: usize,
}

/// A forecast whose target has not come yet.
#[derive(Debug, Clone, Copy)]
struct Issued {
    group: Group,
    bucket: usize,
    score: f64,
    /// Margins given with it.
    margins: [f64; 3],
}

/// Issues again the periods for which coefficients are known.
pub(crate) fn replay(past: &Past<'_>, pace: Pace) -> Lessons {
    let Past { history, known, .. } = *past;
    let bins = history.log.len();
    let periods = history.periods();
    let first = (periods + 1).saturating_sub(known.len());
    let mut pending = vec![Losses::NONE; periods];
    let mut awaited: Vec<Vec<Issued>> = vec![Vec::new(); periods];
    let mut losses = Losses::NONE;
    let mut scores = Scores::new();
    let mut calibration = Calibration::default();
    let mut peaks = PeakScores::new(past, pace);
    let mut tracker = Tracker::default();
    let mut weekly = Weekly::new();
    let mut view = View::default();
    let period_days = PERIOD as f64 / DAY as f64;
    let mut mature = |period: usize,
                      losses: &mut Losses,
                      scores: &mut Scores,
                      pending: &[Losses],
                      awaited: &mut [Vec<Issued>]| {
        losses.age(PERIOD);
        losses.absorb(&pending[period]);
        scores.age(period_days);
        for issued in std::mem::take(&mut awaited[period]) {
            scores.add(issued.group, issued.bucket, issued.score, 0.0);
            calibration.count(issued.group, issued.bucket, issued.score, &issued.margins);
        }
    };
    for period in first..periods {
        if period > first {
            mature(period - 1, &mut losses, &mut scores, &pending, &mut awaited);
        }
        let start = history.period_start(period);
        if start < WARM_UP {
            continue;
        }
        let weights = losses.weights();
        let margins = scores.margins(&PSEUDO);
        let coefficients = &known[period - first];
        view.remember(history, start, &mut weekly);
        view.set(history, coefficients, &weekly, start);
        peaks.close(past, start);
        let old = period + LATELY < periods;
        let often = if old { LESS_OFTEN } else { OFTEN };
        for origin in (start..(start + PERIOD).min(bins)).step_by(often) {
            let levels = view.levels(origin);
            let mixture = Mixture::new(&weights, &levels);
            let voices = Voices::new(&levels);
            let seldom = (origin - start).is_multiple_of(SELDOM);
            peaks.issue(past, coefficients, origin, seldom, |bin| {
                mixture.at((bin - origin) as f64, view.fits(bin))
            });
            let far = (FAR.0..FAR.1).step_by(FAR.2).filter(|_| seldom);
            for ahead in NEAR.into_iter().chain(far) {
                let bin = origin + ahead;
                if bin >= bins {
                    break;
                }
                let actual = history.seen(bin);
                if !actual.is_finite() {
                    continue;
                }
                let fits = view.fits(bin);
                let bucket = lead::bucket(ahead);
                let said = voices.say(fits, level::fade(ahead as f64));
                let matures = history.period_of(bin);
                pending[matures].add(bucket, &said, actual.exp());
                let median = mixture.at(ahead as f64, fits);
                tracker.add(&history.log, origin, ahead, median);
                let mut keep = |group: Group, median: f64| {
                    awaited[matures].push(Issued {
                        group,
                        bucket,
                        score: actual - median,
                        margins: margins.at(group, ahead as f64),
                    });
                };
                let in_event = history.rows.in_event[bin];
                let leading = history.rows.leading(bin).filter(|_| in_event);
                let cold = bucket >= lead::FAR_OFF
                    && leading.is_some_and(|slot| peaks.is_cold(slot, origin));
                let group = if cold { Group::Cold } else { in_event.into() };
                keep(group, median);
                if in_event
                    && !cold
                    && let Some(shift) = peaks.shift(past, coefficients, bin)
                {
                    keep(Group::Entries, median + shift);
                }
            }
        }
    }
    if let Some(last) = periods.checked_sub(1) {
        mature(last, &mut losses, &mut scores, &pending, &mut awaited);
    }
    view.remember(history, bins, &mut weekly);
    peaks.close(past, bins);
    Lessons {
        weights: losses.weights(),
        weekly,
        margins: scores.margins(&PSEUDO),
        peaks: peaks.margins(past),
        pace: peaks.pace,
        calibration,
        tracker,
    }
}

/// The fits of one period's coefficients around that period, with residuals.
#[derive(Debug, Default)]
struct View {
    from: usize,
    fits: Vec<Fits>,
    residuals: [Vec<f64>; MODELS],
    scratch: Vec<f64>,
}

impl View {
    /// From a day before `start` to the end of the longest lead of that period's last origin.
    fn set(
        &mut self,
        history: &History,
        coefficients: &Coefficients,
        weekly: &Weekly,
        start: usize,
    ) {
        self.from = start.saturating_sub(DAY);
        let to = (start + PERIOD + FAR.1).min(history.log.len());
        self.fits.clear();
        for residuals in &mut self.residuals {
            residuals.clear();
        }
        for bin in self.from..to {
            let fits = fit(&history.rows, bin, coefficients, weekly);
            let seen = history.seen(bin);
            for (residuals, fit) in self.residuals.iter_mut().zip(fits) {
                residuals.push(seen - fit);
            }
            self.fits.push(fits);
        }
    }

    /// Hands the residuals that are a day old at `until` to the weekly remainder. The last day
    /// stays out: it sets the level, and would explain itself away.
    fn remember(&self, history: &History, until: usize, weekly: &mut Weekly) {
        let steadiest = &self.residuals[STEADIEST];
        for bin in self.from..until.saturating_sub(DAY) {
            if let Some(&residual) = steadiest.get(bin - self.from)
                && history.rows.calm[bin]
            {
                weekly.add(history.rows.week_bin[bin], residual);
            }
        }
    }

    fn fits(&self, bin: usize) -> &Fits {
        &self.fits[bin - self.from]
    }

    /// Levels from the day before `origin`, that bin excluded.
    fn levels(&mut self, origin: usize) -> [Level; MODELS] {
        let to = origin - self.from;
        let from = to.saturating_sub(DAY);
        let scratch = &mut self.scratch;
        let residuals = &self.residuals;
        std::array::from_fn(|model| Level::new(&residuals[model][from..to], scratch))
    }
}

/// What every model says about one row.
pub(crate) fn fit(rows: &Rows, index: usize, coefficients: &Coefficients, weekly: &Weekly) -> Fits {
    let (columns, values) = rows.row(index);
    let mut fits = [0.0; REGRESSIONS.len()];
    for (&column, value) in columns.iter().zip(values) {
        for (fit, b) in fits.iter_mut().zip(&coefficients[usize::from(column)]) {
            *fit += b * value;
        }
    }
    let mut all = [fits[STEADIEST] + weekly.at(rows.week_bin[index]); MODELS];
    all[..REGRESSIONS.len()].copy_from_slice(&fits);
    all
}

/// What entries add to the log load of one row: each slot's shift by its share of the crowd, as
/// far as the load there is the crowd's. `None` when no slot there has a shift.
pub(crate) fn shift_at(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
    shift: impl Fn(usize) -> Option<f64>,
) -> Option<f64> {
    let mut some = false;
    let mut joint = 0.0;
    for &(slot, share) in rows.crowd(index) {
        if let Some(shift) = shift(slot as usize) {
            some = true;
            joint += f64::from(share) * shift;
        }
    }
    some.then(|| lifted(joint, crowd_share(rows, index, coefficients, events)))
}

/// What a crowd larger by `shift` (log) adds to the log load when it makes up `share` of it.
pub(crate) fn lifted(shift: f64, share: f64) -> f64 {
    (share * shift.exp_m1()).ln_1p()
}

/// Share of the load at one row that is the crowd's, by the steadiest regression.
pub(crate) fn crowd_share(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
) -> f64 {
    let crowd = rows.fit_from(index, events, |column| coefficients[column][STEADIEST]);
    1.0 - (-crowd.max(0.0)).exp()
}

/// The largest of some log loads and its place.
pub(crate) fn top(logs: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    logs.enumerate()
        .filter(|(_, log)| log.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The lock before each slot's: entries without a slate count from there.
pub(crate) fn opened(slots: &[Slot]) -> Vec<i64> {
    let mut locks: Vec<i64> = slots.iter().map(|slot| slot.anchors.lock).collect();
    locks.sort_unstable();
    locks.dedup();
    let before = |lock: i64| {
        let place = locks.partition_point(|&other| other < lock);
        place
            .checked_sub(1)
            .map_or(i64::MIN / 2, |last| locks[last])
    };
    slots.iter().map(|slot| before(slot.anchors.lock)).collect()
}

/// Sums over the origins of one window in one bucket: they err together and count once.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// Actual less predicted, by footing, and how often.
    scores: [(f64, f64); FOOTINGS],
    /// Innovation of entries, as far as the peak is the crowd's, and how often it was read.
    innovation: (f64, f64),
}

/// Peaks of past windows as they were forecast, with what entries said of them.
struct PeakScores {
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
    pace: Pace,
}

impl PeakScores {
    fn new(past: &Past<'_>, pace: Pace) -> Self {
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
    fn is_cold(&self, slot: usize, origin: usize) -> bool {
        origin < self.precedent[slot]
    }

    /// Learns from the windows that have ended by bin `now`.
    fn close(&mut self, past: &Past<'_>, now: usize) {
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
    fn issue(
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
            let share = crowd_share(&history.rows, bins.start + at, coefficients, past.events);
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

    /// What entries add at one bin, from the origin last issued.
    fn shift(&self, past: &Past<'_>, coefficients: &Coefficients, bin: usize) -> Option<f64> {
        if self.touched.is_empty() {
            return None;
        }
        shift_at(&past.history.rows, bin, coefficients, past.events, |slot| {
            self.shifts[slot]
        })
    }

    /// One score per window and bucket.
    fn margins(&self, past: &Past<'_>) -> PeakMargins {
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
