//! The event-response model: seasonal baseline times fixture responses, corrected by level.
//!
//! Puts the parts together: the regression (`features`, `learn`), the level correction, the
//! experts mixed by their past errors, and margins from forecasts issued again (`replay`).
//! `fit` is for every few hours; `predict` is cheap enough for every tick, needs the load of the
//! last 24 hours, and follows the calendar as it is given then.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::anatomy::fixtures_seen;
use super::audience::{LocalClock, is_weekend};
use super::calibration::{Calibration, Coverage};
use super::counter;
use super::drift::Track;
use super::experts::{STEADIEST, Weights};
use super::features::{Design, Lifts, WINDOW};
use super::foreseen::{Foreseen, before_news, bin_after};
use super::grid::{DAY, Grid, STEP, known_bins};
use super::kick_off::Deviations;
use super::last_season::days_to_learn;
use super::learn::{self, Coefficients, History, PERIOD};
use super::level_shifts::level_shifts;
use super::night::{DUSK, Night};
use super::novelty::Seen;
use super::order::median;
use super::pace::{Book, Curve, Pace};
use super::peaks::PeakMargins;
use super::prior::SportPrior;
use super::profile::Profile;
use super::quantile::MarginTable;
use super::remainder::Remainder;
use super::replay::{self, Past, Window};
use super::scatter::Scatter;
use super::shortage::{old_note, too_little};
use super::slots::{Slot, slots};
use super::view::View;
use super::{Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::fixture::Calendar;
use crate::units::Timestamp;

/// Name of the model in forecasts.
pub(crate) const MODEL: &str = "event-response";

/// Hours of data without which nothing is fitted: one full day shape.
pub(crate) const LEAST_HOURS: f64 = 24.0;

/// Hours of working days and of weekends that must be known before the two are told apart: most of a
/// day of each. Who has seen one Saturday knows more of the next Monday than who takes all days for
/// alike.
const TOLD_APART: f64 = 18.0;

/// For so long a shift of the level is named in forecasts.
const SHIFT_TOLD: TimeDelta = TimeDelta::days(14);

/// No prediction leaves this many natural logarithms around what was seen (a factor of 1,000).
const LEASH: f64 = 6.9;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FittedEventResponse {
    pub(super) zone: Tz,
    pub(super) at: Timestamp,
    pub(super) offset: f64,
    /// Smallest and largest log load allowed in a forecast.
    pub(super) leash: (f64, f64),
    /// Largest load seen, units per second.
    pub(super) highest: f64,
    pub(super) seen: Seen,
    /// Fixtures learnt from, by competition.
    pub(super) fixtures_seen: BTreeMap<String, usize>,
    pub(super) design: Design,
    pub(super) coefficients: Coefficients,
    pub(super) weights: Weights,
    pub(super) remainder: Remainder,
    pub(super) margins: MarginTable,
    pub(super) profile: Profile,
    pub(super) scatter: Scatter,
    pub(super) peaks: PeakMargins,
    /// By how much the peaks of some kick-offs are above the top of the path, log load.
    pub(super) tops: Deviations,
    pub(super) pace: Pace,
    pub(super) calibration: Calibration,
    pub(super) track: Track,
    pub(super) notes: Vec<String>,
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

    /// How often load stayed under the bounds that its past forecasts gave.
    pub fn coverage(&self) -> Vec<Coverage> {
        self.calibration.rows()
    }
}

impl Fit for EventResponse {
    type Fitted = FittedEventResponse;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedEventResponse, FitError> {
        let calendar = as_known(known.calendar, at);
        let limit = days_to_learn(&calendar, at) * DAY;
        let grid = known_part(Grid::before(known.load, at, limit).without(known.faults));
        let hours = grid.hours();
        if hours < LEAST_HOURS {
            return Err(too_little(known, at, &grid, limit));
        }
        let offset = log_offset(&grid.values);
        let log: Vec<f64> = grid.values.iter().map(|v| (v + offset).ln()).collect();
        let finite = || log.iter().copied().filter(|y| y.is_finite());
        let (lowest, highest) = (
            finite().fold(f64::INFINITY, f64::min),
            finite().fold(f64::NEG_INFINITY, f64::max),
        );
        let weekly = least_of_a_kind(&grid, self.zone) >= TOLD_APART;
        let begin = grid.middle(0);
        let first = Timestamp::from_timestamp(begin, 0).unwrap_or(at);
        let slots = slots(&calendar, at, self.zone, (first, at));
        let near = reaching(&slots, begin, grid.end);
        let windows = windows(&near, &grid);
        let shifts = level_shifts(&without(&windows, &log)).into_iter();
        let shifts = shifts.map(|bin| grid.middle(bin) - STEP / 2).collect();
        let mut design = Design::new(self.zone, weekly, shifts, &slots, (begin, grid.end));
        let unknown = grid.len() - known_bins(&grid.values);
        design.learnt_until = grid.end - unknown as i64 * STEP;
        // where all data have faded, a usual level is a better guess than one unit per second
        design.prior[0] = median(&mut finite().collect()).unwrap_or(0.0);
        let mut clock = LocalClock::new(self.zone);
        design.night = Night::of(&log, |bin| clock.read(grid.middle(bin)).1);
        design.keep_match_days(&slots);
        let hour = |bin: usize| (grid.middle(bin).div_euclid(3_600).rem_euclid(24)) as usize;
        design.lifts = Lifts::seen(&log, hour, &near, &windows);
        let rows = design.rows(&near, (0..grid.len()).map(|bin| grid.middle(bin)));
        let mut notes = fault_notes(&grid);
        notes.extend(counter::note(&grid.values));
        let replayed = grid.end - (replay::PERIODS * PERIOD) as i64 * STEP;
        let ahead = TimeDelta::seconds(replay::LONGEST_LEAD as i64 * STEP);
        let before = before_news(&calendar, self.zone, &grid, (replayed, ahead));
        let (foreseen, strangers) = Foreseen::of(&near, &before, &design, &grid);
        let grid_bins = grid.len();
        let history = History {
            log,
            rows,
            foreseen,
            floor: grid.floor,
            end: grid.end,
            apart: grid.apart,
        };
        let keep = replay::PERIODS.min(history.periods());
        let mut coefficients =
            learn::coefficients(&history, &design, keep).ok_or_else(|| FitError::NotSolvable {
                at,
                reason: "the normal equations are not positive definite; \
                         is some load beyond 1e150 per second?"
                    .to_owned(),
            })?;
        let entries = known.entries.before(at);
        let book = Book::new(&entries);
        let sport = near.last().map_or(SportPrior::of(None), |slot| slot.prior);
        let played = near.len();
        let expected = [near, strangers].concat();
        let curve = Curve::declared(&sport.entries.completed_at_hours, &sport.entries.spread_ln);
        let past = Past {
            history: &history,
            known: &coefficients,
            slots: &expected,
            played,
            windows: &windows,
            book: &book,
            design: &design,
        };
        let lessons = replay::replay(&past, Pace::new(curve));
        if !weekly {
            notes.push(format!(
                "{:.1} days of data: weekends are not told apart before a working day and a day \
                 of a weekend are known",
                hours / 24.0
            ));
        }
        if let Some(coefficients) = coefficients.last() {
            notes.extend(shift_notes(&design, coefficients, at));
        }
        let over = replay::by_end(&windows).into_iter();
        Ok(FittedEventResponse {
            zone: self.zone,
            at,
            offset,
            leash: (lowest - LEASH, highest + LEASH),
            highest: highest.exp() - offset,
            seen: Seen::new(over.map(|place| &expected[windows[place].slot])),
            fixtures_seen: fixtures_seen(&calendar, first, at),
            design,
            coefficients: coefficients.pop().unwrap_or_default(),
            weights: lessons.weights,
            remainder: lessons.remainder,
            margins: lessons.margins,
            profile: lessons.profile,
            scatter: lessons.scatter,
            peaks: lessons.peaks,
            tops: lessons.tops,
            pace: lessons.pace,
            calibration: lessons.calibration,
            track: lessons.tracker.track(grid_bins, grid.end, offset),
            notes,
        })
    }
}

/// Hours that are known of working days or of weekends, whichever are fewer.
fn least_of_a_kind(grid: &Grid, zone: Tz) -> f64 {
    let mut clock = LocalClock::new(zone);
    let mut known = [0; 2];
    for (bin, _) in (grid.values.iter().enumerate()).filter(|(_, value)| value.is_finite()) {
        known[usize::from(is_weekend(clock.read(grid.middle(bin)).0))] += 1;
    }
    let [working, weekend] = known;
    f64::from(working.min(weekend)) * STEP as f64 / 3_600.0
}

/// Log load outside the windows of fixtures.
fn without(windows: &[Window], log: &[f64]) -> Vec<f64> {
    let mut calm = log.to_vec();
    for window in windows {
        calm[window.from..window.to].fill(f64::NAN);
    }
    calm
}

/// What to know of levels that load has shifted to of late.
fn shift_notes(design: &Design, coefficients: &Coefficients, at: Timestamp) -> Vec<String> {
    let since = (at - SHIFT_TOLD).timestamp();
    let told = design.shifts().filter(|&(shift, _)| shift >= since);
    told.map(|(shift, column)| {
        let from = Timestamp::from_timestamp(shift, 0).unwrap_or(at);
        format!(
            "load has stood at {:.2} times its former level since {}: taken for its level from here on",
            coefficients[column][STEADIEST].exp(),
            from.format("%Y-%m-%d %H:%M UTC"),
        )
    })
    .collect()
}

impl Predict for FittedEventResponse {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        let origin = horizon.origin;
        let view = View::new(self, recent, horizon);
        let step = horizon.step.num_seconds().max(1);
        let bins = (horizon.length.num_seconds() / step).max(0);
        let pieces = (step + STEP - 1) / STEP;
        let begin = origin.timestamp();
        let moments = (0..bins * pieces).map(|piece| {
            let (bin, part) = (piece / pieces, piece % pieces);
            begin + bin * step + (2 * part + 1) * step / (2 * pieces)
        });
        let fine = view.quantiles(&moments.collect::<Vec<i64>>());
        let paths = fine.map(|path| {
            path.chunks_exact(pieces as usize)
                .map(|part| part.iter().sum::<f64>() / pieces as f64)
                .collect()
        });
        let peaks = view.peaks(begin + bins * step);
        let mut notes = self.notes.clone();
        notes.extend(old_note(recent, origin));
        notes.extend(view.notes(horizon, &peaks));
        let mut forecast = Forecast {
            origin,
            start: origin,
            step: TimeDelta::seconds(step),
            paths,
            peaks,
            model: MODEL.to_owned(),
            notes,
        };
        forecast.hold_peaks_over_paths();
        forecast
    }
}

/// Leading gaps removed.
fn known_part(mut grid: Grid) -> Grid {
    let first = grid.values.iter().position(|value| value.is_finite());
    let unknown = first.unwrap_or(grid.values.len());
    grid.values.drain(..unknown);
    grid.floor.drain(..unknown);
    grid
}

/// What is added to a rate before its logarithm is taken: half a unit per second as in the
/// study, less for small loads and never less than half a unit per bin. Small is a hundredth of the
/// median of what is not zero, or three of its mean where that is more: where nights are nearly
/// nothing, how nearly says little about days. The latter was chosen on ordinary series.
pub(crate) fn log_offset(values: &[f64]) -> f64 {
    let mut positive: Vec<f64> = values.iter().copied().filter(|&v| v > 0.0).collect();
    median(&mut positive).map_or(0.5, |median| {
        // one bin that is no load, as when a counter jumps, moves no mean
        let sum: f64 = (positive.iter())
            .map(|&load| load.min(1_000.0 * median))
            .sum();
        let mean = sum / positive.len() as f64;
        (0.01 * median)
            .max(0.03 * mean)
            .clamp(0.5 / STEP as f64, 0.5)
    })
}

/// How far from its response a slot can make a day a match day, seconds: a day of 25 hours and the
/// hours in which days pass into each other.
pub(super) const REACH: i64 = 25 * 3_600 + DUSK;

/// Slots that can move load in `[from, to)`.
pub(super) fn reaching(slots: &[Slot], from: i64, to: i64) -> Vec<Slot> {
    slots
        .iter()
        .filter(|slot| {
            // so far to either side that match days are whole local days with the nights about them
            let (first, last) = slot.span();
            last + REACH > from && first - REACH < to
        })
        .cloned()
        .collect()
}

/// The windows of slots whose start is known and whose window is over, in bins of the grid.
fn windows(slots: &[Slot], grid: &Grid) -> Vec<Window> {
    let bin = |at: i64| -> i64 { grid.len() as i64 + (at - grid.end).div_euclid(STEP) };
    slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| slot.share >= 1.0 && slot.until.is_none())
        .filter_map(|(place, slot)| {
            let from = usize::try_from(bin(slot.anchors.lock - WINDOW.0)).ok()?;
            let to = usize::try_from(bin(slot.last_end + WINDOW.1)).ok()?;
            let start = usize::try_from(bin(slot.anchors.start)).ok()?;
            // written down after the start, it is the record of what was known all along
            let told = slot.told.filter(|&told| told < slot.anchors.start);
            (to <= grid.len()).then_some(Window {
                slot: place,
                start,
                from,
                to,
                known: told.map_or(0, |told| bin_after(grid, told)),
            })
        })
        .collect()
}

/// The calendar as it was known at a moment. A calendar without later knowledge is itself.
pub(super) fn as_known(calendar: &Calendar, at: Timestamp) -> Cow<'_, Calendar> {
    let later = calendar
        .all_versions()
        .any(|version| version.known_at.is_some_and(|known| known > at))
        || calendar
            .tombstones()
            .any(|(_, stone)| stone.at.is_some_and(|removed| removed > at));
    if later {
        Cow::Owned(calendar.as_of(at))
    } else {
        Cow::Borrowed(calendar)
    }
}

/// What of the history was not learnt as it stands.
fn fault_notes(grid: &Grid) -> Vec<String> {
    let hours = |bins: usize| bins as f64 * STEP as f64 / 3_600.0;
    let mut notes = Vec::new();
    if grid.declared > 0 {
        notes.push(format!(
            "{:.1} h of the history are declared faulty and not learnt",
            hours(grid.declared)
        ));
    }
    if grid.outage > 0 {
        notes.push(format!(
            "{:.1} h of the history look like an outage (next to nothing where other days have \
             load) and are not learnt as low demand",
            hours(grid.outage)
        ));
    }
    if grid.plateau > 0 {
        notes.push(format!(
            "{:.1} h of the history look as if no more could be served (busy, and flatter than \
             load ever is): learnt as the least that was wanted",
            hours(grid.plateau)
        ));
    }
    let known = |(floor, value): &(&bool, &f64)| **floor && value.is_finite();
    let floor = (grid.floor.iter().zip(&grid.values)).filter(known).count();
    let told = floor.saturating_sub(grid.plateau);
    if told > 0 {
        notes.push(format!(
            "in {:.1} h of the history more was wanted than was served: learnt as a lower bound",
            hours(told)
        ));
    }
    notes
}
