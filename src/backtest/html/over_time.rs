//! What charts over the span of a backtest have in common.

use chrono::{NaiveDate, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use super::super::Outcome;
use super::super::origin::TARGET;
use crate::plot::{self, Chart, Layer};
use crate::units::Timestamp;

/// Points of a line in a chart over time.
pub(super) const POINTS: usize = 900;

/// When a day begins by the audience's clock.
const MORNING: TimeDelta = TimeDelta::hours(6);

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
    zone: Tz,
    height: u32,
    top: f64,
    layers: Vec<Layer>,
) -> Chart {
    let target =
        |index: usize| outcome.targets.from + TARGET * i32::try_from(index).unwrap_or(i32::MAX);
    let windows = outcome.targets.windows.iter();
    let shaded = windows.map(|window| (target(window.first), target(window.end)));
    plot::over_time(named, span, zone, height, top, shaded, layers)
}

/// A day by the audience's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    /// The date on which it begins.
    pub(super) date: NaiveDate,
    /// The part of it that was evaluated.
    pub(super) span: (Timestamp, Timestamp),
}

/// The day with the largest load, when the span is longer than two. It begins in the morning: the
/// games of an evening end after midnight.
pub(super) fn busiest_day(outcome: &Outcome) -> Option<Day> {
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
    let (date, from, to) = day_of(at, outcome.zone)?;
    Some(Day {
        date,
        span: (from.max(report.from), to.min(report.to)),
    })
}

/// The day from morning to morning in which a moment lies.
fn day_of(at: Timestamp, zone: Tz) -> Option<(NaiveDate, Timestamp, Timestamp)> {
    let date = (at.with_timezone(&zone).naive_local() - MORNING).date();
    let morning = |day: NaiveDate| {
        let clock = day.and_time(NaiveTime::MIN) + MORNING;
        let found = zone.from_local_datetime(&clock).earliest();
        found.map(|at| at.to_utc())
    };
    Some((date, morning(date)?, morning(date.succ_opt()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_audiences_and_holds_its_night() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let new_york = Tz::America__New_York;
        let day = |text: &str| day_of(time(text), new_york).unwrap();
        let sunday = (
            NaiveDate::from_ymd_opt(2023, 11, 5).unwrap(),
            // winter time began that night, before the morning
            time("2023-11-05T11:00:00Z"),
            time("2023-11-06T11:00:00Z"),
        );
        assert_eq!(day("2023-11-05T18:00:00Z"), sunday);
        // the last game, after midnight there and on Monday in UTC
        assert_eq!(day("2023-11-06T05:30:00Z"), sunday);
        assert_eq!(day("2023-11-06T11:00:00Z").1, time("2023-11-06T11:00:00Z"));
    }
}
