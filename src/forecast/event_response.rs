//! The event-response model: seasonal baseline times fixture responses, corrected by level.
//!
//! Puts the parts together: the regression (`features`, `learn`), the level correction, the
//! experts mixed by their past errors, and margins from forecasts issued again (`replay`).
//! `fit` is for every few hours; `predict` is cheap enough for every tick, needs the load of the
//! last 24 hours, and follows the calendar as it is given then.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::drift::Track;
use super::experts::{MODELS, Mixture, Weights};
use super::features::{Design, Rows, WINDOW};
use super::grid::{DAY, Grid, STEP};
use super::lead;
use super::learn::{self, Coefficients, History};
use super::level::Level;
use super::peaks::PeakMargins;
use super::quantile::MarginTable;
use super::replay::{self, Window, fit};
use super::slots::{Slot, slots};
use super::weekly::Weekly;
use super::{Evidence, Fit, FitError, Forecast, Horizon, PeakForecast, Predict};
use crate::series::Series;
use crate::units::Timestamp;

/// Name of the model in forecasts.
pub(crate) const MODEL: &str = "event-response";

/// Hours of data without which nothing is fitted: one full day shape.
pub(crate) const LEAST_HOURS: f64 = 24.0;

/// Days of data from which weekends are told apart.
const WEEKLY_AFTER: f64 = 7.0;

/// Longest history used, days: six times the slowest half-life.
const LONGEST: usize = 120;

/// No prediction leaves this many natural logarithms around what was seen (a factor of 1,000).
const LEASH: f64 = 6.9;

/// Longest lead whose errors are measured, hours.
const LONGEST_LEAD: i64 = 48;

/// A fit older than this is named in the forecast, hours.
const STALE_FIT: i64 = 48;

/// Data older than this at the origin are named in the forecast, minutes.
const STALE_DATA: i64 = 30;

/// The model to fit: ridge regression of log load on the audience's clock and on fixtures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventResponse {
    /// Zone by whose clock the audience lives.
    pub zone: Tz,
}

impl EventResponse {
    /// For an audience that lives by the clock of `zone`.
    pub const fn new(zone: Tz) -> Self {
        Self { zone }
    }
}

/// What was learnt, a few tens of kilobytes. Keep it between forecasts and give
/// [`Predict::predict`] the last 24 hours of load or more.
#[derive(Debug, Clone)]
pub struct FittedEventResponse {
    zone: Tz,
    at: Timestamp,
    offset: f64,
    /// Smallest and largest log load allowed in a forecast.
    leash: (f64, f64),
    seen_slots: usize,
    design: Design,
    coefficients: Coefficients,
    weights: Weights,
    weekly: Weekly,
    margins: MarginTable,
    peaks: PeakMargins,
    track: Track,
    notes: Vec<String>,
}

impl FittedEventResponse {
    /// The moment up to which it has learnt.
    pub const fn fitted_at(&self) -> Timestamp {
        self.at
    }

    /// How wrong it was of late, beside the naive: from forecasts issued again without hindsight.
    pub const fn track(&self) -> &Track {
        &self.track
    }
}

impl Fit for EventResponse {
    type Fitted = FittedEventResponse;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedEventResponse, FitError> {
        let Evidence { load, calendar, .. } = known;
        let grid = known_part(Grid::before(load, at, LONGEST * DAY));
        let hours = grid.hours();
        if hours < LEAST_HOURS {
            return Err(FitError::TooLittleHistory {
                at,
                have_hours: hours,
                need_hours: LEAST_HOURS,
            });
        }
        let offset = log_offset(&grid.values);
        let log: Vec<f64> = grid.values.iter().map(|v| (v + offset).ln()).collect();
        let known = || log.iter().copied().filter(|y| y.is_finite());
        let leash = (
            known().fold(f64::INFINITY, f64::min) - LEASH,
            known().fold(f64::NEG_INFINITY, f64::max) + LEASH,
        );
        let weekly = hours >= WEEKLY_AFTER * 24.0;
        let begin = grid.middle(0);
        let first = Timestamp::from_timestamp(begin, 0).unwrap_or(at);
        let slots = slots(calendar, at, self.zone, (first, at));
        let mut design = Design::new(self.zone, weekly, &slots, begin, grid.end);
        // where all data have faded, a usual level is a better guess than one unit per second
        design.prior[0] = median(known().collect());
        let near = reaching(&slots, begin, grid.end);
        let rows = design.rows(&near, (0..grid.len()).map(|bin| grid.middle(bin)));
        let history = History { log, rows };
        let keep = replay::PERIODS.min(history.periods());
        let mut known =
            learn::coefficients(&history, &design, keep).ok_or_else(|| FitError::NotSolvable {
                at,
                reason: "the normal equations are not positive definite; \
                         is some load beyond 1e150 per second?"
                    .to_owned(),
            })?;
        let windows = windows(&near, &grid);
        let lessons = replay::replay(&history, &known, &windows);
        let mut notes = Vec::new();
        if !weekly {
            notes.push(format!(
                "{:.1} days of data: weekends are not told apart before {WEEKLY_AFTER:.0}",
                hours / 24.0
            ));
        }
        Ok(FittedEventResponse {
            zone: self.zone,
            at,
            offset,
            leash,
            seen_slots: windows.len(),
            design,
            coefficients: known.pop().unwrap_or_default(),
            weights: lessons.weights,
            weekly: lessons.weekly,
            margins: lessons.margins,
            peaks: lessons.peaks,
            track: lessons.tracker.track(grid.len(), grid.end, offset),
            notes,
        })
    }
}

impl Predict for FittedEventResponse {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        let Evidence {
            load: recent,
            calendar,
            ..
        } = recent;
        let origin = horizon.origin;
        let span = (origin - TimeDelta::days(1), origin + horizon.length);
        let slots = slots(calendar, origin, self.zone, span);
        let view = View::new(self, recent, &slots, origin);
        let mut notes = self.notes.clone();
        let age = origin - self.at;
        if age > TimeDelta::hours(STALE_FIT) {
            notes.push(format!("fitted {} h before the origin", age.num_hours()));
        }
        if horizon.length > TimeDelta::hours(LONGEST_LEAD) {
            notes.push(format!(
                "errors beyond {LONGEST_LEAD} h ahead are not measured: \
                 the margins there are those of {LONGEST_LEAD} h"
            ));
        }
        match view.data_age {
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

        let step = horizon.step.num_seconds().max(1);
        let bins = (horizon.length.num_seconds() / step).max(0);
        let pieces = (step + STEP - 1) / STEP;
        let begin = origin.timestamp();
        let moments = (0..bins * pieces).map(|piece| {
            let (bin, part) = (piece / pieces, piece % pieces);
            begin + bin * step + (2 * part + 1) * step / (2 * pieces)
        });
        let near = reaching(&slots, begin, begin + bins * step);
        let fine = view.quantiles(&near, moments);
        let paths = fine.map(|path| {
            path.chunks_exact(pieces as usize)
                .map(|part| part.iter().sum::<f64>() / pieces as f64)
                .collect()
        });

        let ahead: Vec<Slot> = slots
            .iter()
            .filter(|slot| {
                slot.share >= 1.0
                    && slot.anchors.start < begin + bins * step
                    && slot.anchors.end + WINDOW.1 > begin
            })
            .cloned()
            .collect();
        if self.seen_slots == 0 && !ahead.is_empty() {
            notes.push(
                "no fixture of this calendar lies in the history: responses are the prior".into(),
            );
        }
        Forecast {
            origin,
            start: origin,
            step: TimeDelta::seconds(step),
            paths,
            peaks: ahead
                .iter()
                .filter_map(|slot| view.peak(&slots, slot))
                .collect(),
            model: MODEL.to_owned(),
            notes,
        }
    }
}

/// The model as seen from one origin.
struct View<'a> {
    model: &'a FittedEventResponse,
    mixture: Mixture,
    origin: i64,
    /// Seconds from the end of the last known bin to the origin.
    data_age: Option<i64>,
}

impl<'a> View<'a> {
    fn new(
        model: &'a FittedEventResponse,
        recent: &Series,
        slots: &[Slot],
        origin: Timestamp,
    ) -> Self {
        let grid = Grid::before(recent, origin, DAY);
        let begin = grid.middle(0);
        let near = reaching(slots, begin, grid.end);
        let rows = model
            .design
            .rows(&near, (0..grid.len()).map(|bin| grid.middle(bin)));
        let fits: Vec<_> = (0..rows.len())
            .map(|bin| fit(&rows, bin, &model.coefficients, &model.weekly))
            .collect();
        let mut scratch = Vec::new();
        let levels: [Level; MODELS] = std::array::from_fn(|place| {
            let residuals: Vec<f64> = grid
                .values
                .iter()
                .zip(&fits)
                .map(|(value, fits)| (value + model.offset).ln() - fits[place])
                .collect();
            Level::new(&residuals, &mut scratch)
        });
        let unknown = grid.values.iter().rev().position(|v| v.is_finite());
        Self {
            model,
            mixture: Mixture::new(&model.weights, &levels),
            origin: origin.timestamp(),
            data_age: unknown.map(|bins| bins as i64 * STEP),
        }
    }

    /// Bins ahead of the last known one.
    fn lead(&self, at: i64) -> f64 {
        let ahead = (at - self.origin) as f64 / STEP as f64 - 0.5;
        let behind = self
            .data_age
            .map_or(DAY as f64, |age| age as f64 / STEP as f64);
        (ahead + behind).max(0.0)
    }

    /// Median and upper quantiles at ascending moments, units per second.
    fn quantiles(&self, near: &[Slot], moments: impl Iterator<Item = i64>) -> [Vec<f64>; 4] {
        let moments: Vec<i64> = moments.collect();
        let rows = self.model.design.rows(near, moments.iter().copied());
        let tallest = near
            .iter()
            .any(|slot| slot.share < 1.0)
            .then(|| self.model.design.tallest(near, moments.iter().copied()));
        let mut paths: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(moments.len()));
        for (index, &at) in moments.iter().enumerate() {
            let lead = self.lead(at);
            let log = self.log(&rows, index, lead);
            let margins = self.model.margins.at(rows.in_event[index], lead);
            paths[0].push(self.model.rate(log));
            let log = tallest
                .as_ref()
                .map_or(log, |rows| self.log(rows, index, lead).max(log));
            for (path, margin) in paths[1..].iter_mut().zip(margins) {
                path.push(self.model.rate(log + margin));
            }
        }
        paths
    }

    fn log(&self, rows: &Rows, index: usize, lead: f64) -> f64 {
        let model = self.model;
        let fits = fit(rows, index, &model.coefficients, &model.weekly);
        self.mixture.at(lead, &fits)
    }

    /// The peak of what is left of a slot's window.
    fn peak(&self, slots: &[Slot], slot: &Slot) -> Option<PeakForecast> {
        let from = (slot.anchors.lock - WINDOW.0).max(self.origin);
        let to = slot.anchors.end + WINDOW.1;
        let moments: Vec<i64> = (from..to)
            .step_by(STEP as usize)
            .map(|bin| bin + STEP / 2)
            .collect();
        let near = reaching(slots, from, to);
        let rows = self.model.design.rows(&near, moments.iter().copied());
        let (place, log) = (0..rows.len())
            .map(|index| self.log(&rows, index, self.lead(moments[index])))
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        // a window under way has its peak, not its start, ahead
        let target = if slot.anchors.start < self.origin {
            moments[place]
        } else {
            slot.anchors.start + STEP / 2
        };
        let ahead = self.lead(target);
        let margins = self.model.peaks.at(lead::bucket(ahead as usize));
        let time = |at: i64| Timestamp::from_timestamp(at, 0);
        Some(PeakForecast {
            fixtures: slot.fixtures.clone(),
            start: time(slot.anchors.start)?,
            from: time(from)?,
            to: time(to)?,
            at: time(moments[place] - STEP / 2)?,
            quantiles: margins.map(|margin| self.model.rate(log + margin)),
        })
    }
}

impl FittedEventResponse {
    /// Units per second of a log load.
    fn rate(&self, log: f64) -> f64 {
        let rate = log.clamp(self.leash.0, self.leash.1).exp() - self.offset;
        // `max` would turn a NaN into a forecast of nothing
        if rate < 0.0 { 0.0 } else { rate }
    }
}

/// Leading gaps removed.
fn known_part(mut grid: Grid) -> Grid {
    let first = grid.values.iter().position(|value| value.is_finite());
    grid.values.drain(..first.unwrap_or(grid.values.len()));
    grid
}

/// What is added to a rate before its logarithm is taken: half a unit per second as in the
/// study, less for small loads (a hundredth of the median of what is not zero) and never less
/// than half a unit per bin.
pub(super) fn log_offset(values: &[f64]) -> f64 {
    let positive: Vec<f64> = values.iter().copied().filter(|&v| v > 0.0).collect();
    if positive.is_empty() {
        return 0.5;
    }
    (0.01 * median(positive)).clamp(0.5 / STEP as f64, 0.5)
}

/// The middle value; zero of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Slots that can move load in `[from, to)`.
fn reaching(slots: &[Slot], from: i64, to: i64) -> Vec<Slot> {
    slots
        .iter()
        .filter(|slot| {
            // a day to either side, so that match days are whole local days
            let (first, last) = slot.anchors.span();
            last + 86_400 > from && first - 86_400 < to
        })
        .cloned()
        .collect()
}

/// The windows of slots whose start is known and whose window is over, in bins of the grid.
fn windows(slots: &[Slot], grid: &Grid) -> Vec<Window> {
    let bin = |at: i64| -> i64 { grid.len() as i64 + (at - grid.end).div_euclid(STEP) };
    slots
        .iter()
        .filter(|slot| slot.share >= 1.0)
        .filter_map(|slot| {
            let from = usize::try_from(bin(slot.anchors.lock - WINDOW.0)).ok()?;
            let to = usize::try_from(bin(slot.anchors.end + WINDOW.1)).ok()?;
            let start = usize::try_from(bin(slot.anchors.start)).ok()?;
            (to <= grid.len()).then_some(Window { start, from, to })
        })
        .collect()
}
