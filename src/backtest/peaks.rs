//! The peak of each window of fixtures as it was forecast, beside the one that came.

use chrono::TimeDelta;
use serde::Serialize;

use super::forecasts::{BlockScores, Targets};
use super::origin::TARGET;
use super::score::largest;
use crate::fixture::{Calendar, Fixture};
use crate::units::Timestamp;

/// One window's peak under one block. Units per second, five-minute means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowPeak {
    /// Block, for example `D1 0-24h`.
    pub protocol: &'static str,
    /// Start of the fixtures.
    pub kickoff: Timestamp,
    /// What people call them.
    pub fixtures: Vec<String>,
    /// The forecast that is judged was issued here; absent when it named no peak.
    pub origin: Option<Timestamp>,
    /// Median of the peak; of the path where no peak was named.
    pub p50: f64,
    /// Its 95 % bound.
    pub p95: f64,
    /// When the median path was highest.
    pub expected_at: Timestamp,
    /// What came.
    pub actual: f64,
    /// When.
    pub actual_at: Timestamp,
    /// Whether what came lay at or below the bound.
    pub covered: bool,
}

impl WindowPeak {
    /// Log of what came over the median: positive when it was too low.
    pub fn log_error(&self) -> f64 {
        (self.actual / self.p50.max(1e-9)).ln()
    }
}

/// The fixtures that start at a moment and are not off.
pub(super) fn fixtures_at(calendar: &Calendar, kickoff: Timestamp) -> Vec<&Fixture> {
    let mut found = calendar.starting_between(kickoff, kickoff + TimeDelta::seconds(1));
    found.retain(|fixture| !fixture.status.is_off() && fixture.start.at == kickoff);
    found
}

/// The peaks of a block, in order of their windows. Windows in which nothing is known, or of
/// which nothing was forecast, are left out.
pub fn window_peaks(targets: &Targets, band: &BlockScores, calendar: &Calendar) -> Vec<WindowPeak> {
    let time = |index: usize| targets.from + TARGET * i32::try_from(index).unwrap_or(i32::MAX);
    let judged = targets.windows.iter().filter_map(|window| {
        let range = window.first..window.end;
        let paths = &band.quantiles[range.clone()];
        let (actual_place, actual) = largest(&targets.actual[range], |&value| value)?;
        let (expected_place, median) = largest(paths, |quantiles| quantiles[0])?;
        if actual <= 0.0 {
            return None;
        }
        let bound = band
            .bounds
            .iter()
            .find(|bound| bound.kickoff == window.kickoff);
        let (p50, p95) = match bound {
            Some(bound) => (bound.p50, bound.p95),
            None => (median, largest(paths, |quantiles| quantiles[2])?.1),
        };
        let fixtures = fixtures_at(calendar, window.kickoff);
        Some(WindowPeak {
            protocol: band.block.name(),
            kickoff: window.kickoff,
            fixtures: fixtures.into_iter().map(Fixture::title).collect(),
            origin: bound.map(|bound| bound.origin),
            p50,
            p95,
            expected_at: time(window.first + expected_place),
            actual,
            actual_at: time(window.first + actual_place),
            covered: actual <= p95,
        })
    });
    judged.collect()
}
