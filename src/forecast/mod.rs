//! Projects load ahead as quantile paths.
//!
//! `Fit` learns from what was known before an origin and `Predict` turns what was learnt into a
//! [`Forecast`]. Both are pure: the same inputs give the same bits, and nothing after the origin
//! is looked at.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::fixture::FixtureId;
use crate::units::{Rate, Timestamp};

mod anatomy;
mod artefact;
mod audience;
mod calibration;
mod challenger;
mod counter;
mod drift;
mod event_response;
mod evidence;
mod experts;
mod fallback;
mod features;
mod forecaster;
mod foreseen;
mod grid;
mod kick_off;
mod last_season;
mod lead;
mod learn;
mod level;
mod level_shifts;
mod night;
mod noise;
mod novelty;
mod order;
mod overtime;
mod pace;
mod peaks;
mod plateau;
mod prior;
mod profile;
mod quantile;
mod recently;
mod remainder;
mod repetition;
mod replay;
mod response;
mod ridge;
mod scatter;
mod seasonal_naive;
mod shortage;
mod slots;
mod track;
mod view;
mod weekly;
pub mod what_if;

pub use anatomy::{
    Analogue, EntriesShare, Explanation, FixtureIntensity, FixtureShare, ResponseCurve, SlotEntries,
};
pub use artefact::{Artefact, ArtefactError, LeadScore, PeakScore, Scores, Term, Trained, score};
pub use calibration::Coverage;
pub use challenger::{FittedMstl, Mstl};
pub use drift::{DayErrors, Drift, Rival, Tally, Track, Verdict};
pub use event_response::{EventResponse, FittedEventResponse};
pub use evidence::Evidence;
pub use forecaster::{FittedForecaster, Forecaster};
pub use prior::{EntriesPrior, OvertimePrior, PriorError, ResponsePrior, SpikePrior, SportPrior};
pub use seasonal_naive::{FittedSeasonalNaive, SeasonalNaive};
pub use shortage::Shortage;

/// The quantiles every forecast carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantile {
    /// Median.
    P50,
    /// One in ten is higher.
    P90,
    /// One in twenty is higher.
    P95,
    /// One in a hundred is higher.
    P99,
}

impl Quantile {
    /// All of them, ascending.
    pub const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P95, Self::P99];

    /// The share of outcomes at or below it.
    pub const fn probability(self) -> f64 {
        match self {
            Self::P50 => 0.50,
            Self::P90 => 0.90,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
        }
    }

    /// `p50`, `p90`, `p95` or `p99`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }

    /// Place in [`Quantile::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::P50 => 0,
            Self::P90 => 1,
            Self::P95 => 2,
            Self::P99 => 3,
        }
    }
}

/// Quantile paths of load on a regular grid, seen from one origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Nothing at or after this moment was known.
    pub origin: Timestamp,
    /// Start of the first bin.
    pub start: Timestamp,
    /// Width of a bin.
    #[serde(with = "step_seconds")]
    pub step: TimeDelta,
    /// Units per second per bin, in the order of [`Quantile::ALL`]; ascending per bin.
    pub paths: [Vec<f64>; 4],
    /// The largest load of each fixture's window that is not over; empty when the model knows no
    /// fixtures.
    #[serde(default)]
    pub peaks: Vec<PeakForecast>,
    /// Which model made it, for example `event-response` or `seasonal-naive`.
    pub model: String,
    /// What a reader must know: cold start, fallback and why.
    pub notes: Vec<String>,
}

/// How high load may go around fixtures that start together. A path's quantile is not the
/// quantile of its maximum: whoever reserves capacity for a whole window wants these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeakForecast {
    /// The fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Their common start.
    pub start: Timestamp,
    /// The window, from an hour before the lock (or the origin, if later).
    pub from: Timestamp,
    /// End of the window: seventy-five minutes after the expected end.
    pub to: Timestamp,
    /// Start of the five minutes in which the median path is highest.
    pub at: Timestamp,
    /// Units per second in the order of [`Quantile::ALL`], five-minute means; ascending.
    pub quantiles: [f64; 4],
    /// Fixtures of another start that draw more at that moment than these; empty when it is the
    /// crowd of these, or when that was not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn_by: Vec<FixtureId>,
    /// What of it no history has seen, in words, when something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<String>,
}

impl Forecast {
    /// Raises what is said of each peak to the highest of the paths in its window: the largest load
    /// exceeds a level at least as often as the load of any five minutes does.
    fn hold_peaks_over_paths(&mut self) {
        let mut peaks = std::mem::take(&mut self.peaks);
        for peak in &mut peaks {
            // a bin that begins when the window is over is none of it
            let last = peak.to - TimeDelta::milliseconds(1);
            for (quantile, value) in Quantile::ALL.into_iter().zip(&mut peak.quantiles) {
                if let Some((_, highest)) = self.max_over(quantile, peak.from, last) {
                    *value = value.max(highest.as_per_second());
                }
            }
        }
        self.peaks = peaks;
    }

    /// Number of bins.
    pub fn len(&self) -> usize {
        self.paths[0].len()
    }

    /// True when it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.paths[0].is_empty()
    }

    /// End of the last bin (exclusive).
    pub fn end(&self) -> Timestamp {
        self.time(self.len())
    }

    /// Start of bin `index`.
    pub fn time(&self, index: usize) -> Timestamp {
        self.start + self.step * i32::try_from(index).unwrap_or(i32::MAX)
    }

    /// The bin that covers `at`.
    pub fn index(&self, at: Timestamp) -> Option<usize> {
        if at < self.start {
            return None;
        }
        let index = usize::try_from(
            (at - self.start).num_milliseconds() / self.step.num_milliseconds().max(1),
        )
        .ok()?;
        (index < self.len()).then_some(index)
    }

    /// The path of one quantile, units per second per bin.
    pub fn path(&self, quantile: Quantile) -> &[f64] {
        &self.paths[quantile.index()]
    }

    /// The quantile at a time; `None` outside the forecast.
    pub fn at(&self, quantile: Quantile, at: Timestamp) -> Option<Rate> {
        self.path(quantile)
            .get(self.index(at)?)
            .copied()
            .map(Rate::per_second)
    }

    /// The largest value of the quantile over the bins that meet `[from, to]`, with the start of
    /// its bin (or `from`, if that bin began earlier). `None` when no bin meets it.
    pub fn max_over(
        &self,
        quantile: Quantile,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<(Timestamp, Rate)> {
        let bin = |at: Timestamp| {
            let step = self.step.num_milliseconds().max(1);
            (at - self.start).num_milliseconds().div_euclid(step)
        };
        // a table of a year asks for each of its hours: only the bins of the span are looked at
        let first = usize::try_from(bin(from)).unwrap_or(0);
        let end = usize::try_from(bin(to) + 1).unwrap_or(0).min(self.len());
        let path = self.path(quantile).get(first..end)?;
        path.iter()
            .zip(first..)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(&value, bin)| (self.time(bin).max(from), Rate::per_second(value)))
    }
}

mod step_seconds {
    use chrono::TimeDelta;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(step: &TimeDelta, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(step.num_seconds())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TimeDelta, D::Error> {
        let seconds = i64::deserialize(d)?;
        TimeDelta::try_seconds(seconds)
            .ok_or_else(|| serde::de::Error::custom("step is out of range"))
    }
}

/// Between two fits, in the controller and in what replays it. Fixtures of one day follow each
/// other by two or three hours, and what one has taught should be known to the next: on the
/// reference trace the 95 % bound of peaks up to four hours ahead holds .895 of them, .842 with
/// fits six hours apart. Fits of a thousand workloads take half a minute of one core. The controller
/// waits up to a quarter longer, so that not all fit at once.
pub const REFIT: TimeDelta = TimeDelta::hours(2);

/// Between two forecasts: they are cheap, and should follow today's level.
pub const REISSUE: TimeDelta = TimeDelta::minutes(5);

/// What is asked of a fitted model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// First moment forecast; nothing from here on is known.
    pub origin: Timestamp,
    /// How far ahead.
    pub length: TimeDelta,
    /// Width of a bin.
    pub step: TimeDelta,
}

/// Why no model could be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Not enough history before the origin.
    #[error(
        "too little history before {}: {have_hours:.1} h with data, at least {need_hours:.0} h \
         are needed; {why}",
        .at.format("%FT%TZ")
    )]
    TooLittleHistory {
        /// The origin.
        at: Timestamp,
        /// Hours that hold data.
        have_hours: f64,
        /// Hours needed.
        need_hours: f64,
        /// Why there is not more, and what would help.
        why: Shortage,
    },
    /// The equations had no solution.
    #[error("the model could not be solved at {at}: {reason}")]
    NotSolvable {
        /// The origin.
        at: Timestamp,
        /// What failed.
        reason: String,
    },
}

/// Learns from history. Implementations look only at bins that end at or before `at` and at
/// fixtures and entries known at `at`.
pub trait Fit {
    /// What was learnt.
    type Fitted: Predict;

    /// Fits on everything known before `at`.
    ///
    /// # Errors
    /// [`FitError`] when there is too little to learn from.
    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<Self::Fitted, FitError>;
}

/// Turns what was learnt into quantile paths.
pub trait Predict {
    /// Forecasts from `horizon.origin`. `recent` holds the load and the entries known by then;
    /// bins that end after the origin are ignored, and so are fixtures not known by then.
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_a_span_is_that_of_the_bins_that_meet_it() {
        let at = |second: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(second);
        let path = [3.0, 9.0, 4.0, 9.0, 1.0, 0.5];
        let forecast = Forecast {
            origin: at(0),
            start: at(600),
            step: TimeDelta::seconds(300),
            paths: [1.0, 2.0, 3.0, 4.0].map(|factor| path.iter().map(|v| v * factor).collect()),
            peaks: Vec::new(),
            model: "a model".to_owned(),
            notes: Vec::new(),
        };
        for from in (0..3_000).step_by(50) {
            for to in (0..3_000).step_by(50) {
                let meeting = (0..path.len()).filter(|&bin| {
                    let begin = forecast.time(bin);
                    begin <= at(to) && begin + forecast.step > at(from)
                });
                let largest = meeting.max_by(|&a, &b| path[a].total_cmp(&path[b]));
                let expected = largest.map(|bin| {
                    let rate = Rate::per_second(path[bin] * 2.0);
                    (forecast.time(bin).max(at(from)), rate)
                });
                let found = forecast.max_over(Quantile::P90, at(from), at(to));
                assert_eq!(found, expected, "{from} to {to}");
            }
        }
    }
}
