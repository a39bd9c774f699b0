//! The peak of each window of fixtures as it was forecast, beside the one that came.

use chrono::TimeDelta;
use serde::Serialize;

use super::forecasts::{BlockScores, Targets, has_window};
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
    /// The forecast that is judged was issued here; absent when it published no peak.
    pub origin: Option<Timestamp>,
    /// Median of the published peak; the top of the median path where none was published.
    pub p50: f64,
    /// 95 % bound of the published peak; the top of that path where none was published.
    pub p95: f64,
    /// When it was expected: as published, or when the median path was highest.
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

/// The fixtures that start at a moment, of those that have a window.
pub(super) fn fixtures_at(calendar: &Calendar, kickoff: Timestamp) -> Vec<&Fixture> {
    let mut found = calendar.starting_between(kickoff, kickoff + TimeDelta::seconds(1));
    found.retain(|fixture| has_window(fixture) && fixture.start.at == kickoff);
    found
}

/// The peaks of a block, in order of their windows. Windows in which nothing is known, or of
/// which nothing was forecast, are left out.
pub fn window_peaks(targets: &Targets, band: &BlockScores, calendar: &Calendar) -> Vec<WindowPeak> {
    let scored = band.scored(targets);
    let judged = targets.windows.iter().filter_map(|window| {
        let peak = scored.peak(window)?;
        let fixtures = fixtures_at(calendar, window.kickoff);
        Some(WindowPeak {
            protocol: band.block.name(),
            kickoff: window.kickoff,
            fixtures: fixtures.into_iter().map(Fixture::title).collect(),
            origin: peak.origin,
            p50: peak.p50,
            p95: peak.p95,
            expected_at: peak.expected_at,
            actual: peak.actual,
            actual_at: peak.actual_at,
            covered: peak.actual <= peak.p95,
        })
    });
    judged.collect()
}
