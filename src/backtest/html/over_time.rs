//! What charts over the span of a backtest have in common.

use chrono::TimeDelta;

use super::super::Outcome;
use super::super::origin::TARGET;
use crate::plot::{self, Chart, Layer};
use crate::units::Timestamp;

/// Points of a line in a chart over time.
pub(super) const POINTS: usize = 900;

/// Indices of `count` equal steps from `start` that lie in a span.
pub(super) fn part(
    start: Timestamp,
    step: TimeDelta,
    count: usize,
    (from, to): (Timestamp, Timestamp),
) -> std::ops::Range<usize> {
    let index = |at: Timestamp| {
        let steps = (at - start).num_milliseconds() / step.num_milliseconds().max(1);
        (steps.max(0) as usize).min(count)
    };
    index(from)..index(to).max(index(from))
}

/// A chart over time with the windows of fixtures shaded.
pub(super) fn over_time(
    outcome: &Outcome,
    named: (&str, &str),
    span: (Timestamp, Timestamp),
    height: u32,
    top: f64,
    layers: Vec<Layer>,
) -> Chart {
    let target =
        |index: usize| outcome.targets.from + TARGET * i32::try_from(index).unwrap_or(i32::MAX);
    let windows = outcome.targets.windows.iter();
    let shaded = windows.map(|window| (target(window.first), target(window.end)));
    plot::over_time(named, span, height, top, shaded, layers)
}

/// The UTC day with the largest load, when the span is longer than two.
pub(super) fn busiest_day(outcome: &Outcome) -> Option<(Timestamp, Timestamp)> {
    let report = &outcome.report;
    if report.to - report.from <= TimeDelta::days(2) {
        return None;
    }
    let targets = &outcome.targets;
    let (place, _) = targets
        .actual
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let at = targets.from + TARGET * i32::try_from(place).ok()?;
    let day = at.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
    let from = day.max(report.from);
    Some((from, (day + TimeDelta::days(1)).min(report.to)))
}
