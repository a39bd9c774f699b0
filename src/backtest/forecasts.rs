//! Scores forecasters over a span by rolling origins, the fixtures-blind baselines beside the one
//! that decides.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::declared::wanted;
use super::origin::{Block, Protocol, TARGET};
use super::replay::Replay;
use super::score::{EventWindow, PeakBound, Scored, Scores};
use crate::fixture::Fixture;
use crate::forecast::{Evidence, Fit, FitError, Forecast, Quantile};
use crate::series::Series;
use crate::units::Timestamp;

/// Time before fixtures lock, or start if that is earlier, that counts as their window.
pub const BEFORE: TimeDelta = TimeDelta::minutes(60);

/// Time after their expected end that still does.
pub const AFTER: TimeDelta = TimeDelta::minutes(75);

/// What is scored: five-minute means over a span, and the windows of its fixtures.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    /// Start of the first target.
    pub from: Timestamp,
    /// Units per second; NaN where nothing is known.
    pub actual: Vec<f64>,
    /// One per distinct start of fixtures.
    pub windows: Vec<EventWindow>,
}

impl Targets {
    /// The targets of `[from, to)`, those in declared faults unknown.
    ///
    /// Windows follow the announced lock, start and typical duration, as everybody expected them:
    /// they are those that forecasts publish, or a top before the lock would be held against one
    /// after it.
    pub fn new(known: Evidence<'_>, from: Timestamp, to: Timestamp) -> Self {
        let Evidence {
            calendar, faults, ..
        } = known;
        let load = &wanted(known.load, faults);
        let count = ((to - from).num_milliseconds() / TARGET.num_milliseconds()).max(0) as usize;
        let actual = (0..count)
            .map(|index| mean(load, at(from, index), at(from, index + 1)))
            .collect();
        let mut spans: BTreeMap<Timestamp, (Timestamp, Timestamp)> = BTreeMap::new();
        for fixture in calendar.starting_between(from, to) {
            if !has_window(fixture) {
                continue;
            }
            let start = fixture.start.at;
            let gathers = fixture.lock().min(start);
            let end = start + fixture.duration.typical;
            let span = spans.entry(start).or_insert((gathers, end));
            *span = (span.0.min(gathers), span.1.max(end));
        }
        let index = |moment: Timestamp| {
            // the first target that starts at or after the moment
            let offset = (moment - from).num_milliseconds() + TARGET.num_milliseconds() - 1;
            (offset.div_euclid(TARGET.num_milliseconds()).max(0) as usize).min(count)
        };
        let windows = spans
            .into_iter()
            .map(|(kickoff, (gathers, end))| {
                let (opens, closes) = (gathers - BEFORE, end + AFTER);
                let mut faults = faults.iter();
                EventWindow {
                    kickoff,
                    first: index(opens),
                    end: index(closes),
                    whole: !faults.any(|fault| fault.from < closes && fault.to > opens),
                }
            })
            .filter(|window| window.first < window.end)
            .collect();
        Self {
            from,
            actual,
            windows,
        }
    }

    /// End of the last target.
    pub fn end(&self) -> Timestamp {
        at(self.from, self.actual.len())
    }

    /// The target that starts at a moment.
    pub fn index(&self, target: Timestamp) -> Option<usize> {
        let offset = (target - self.from).num_milliseconds();
        let index = usize::try_from(offset.div_euclid(TARGET.num_milliseconds())).ok()?;
        (offset % TARGET.num_milliseconds() == 0 && index < self.actual.len()).then_some(index)
    }
}

/// True for a fixture around which a window can be laid: one that is on and of which more than the
/// day is known. The placeholder of a day is no start.
pub(super) fn has_window(fixture: &Fixture) -> bool {
    !fixture.status.is_off() && fixture.start.is_timed()
}

fn at(from: Timestamp, index: usize) -> Timestamp {
    from + TARGET * i32::try_from(index).unwrap_or(i32::MAX)
}

/// Mean of the known bins of `[from, to)`; of the bin around `from` when bins are wider.
fn mean(load: &Series, from: Timestamp, to: Timestamp) -> f64 {
    let step = load.step().num_milliseconds();
    let bin = |moment: Timestamp| (moment - load.start()).num_milliseconds().div_euclid(step);
    let first = bin(from);
    let last = bin(to - TimeDelta::milliseconds(1)).max(first);
    let (mut sum, mut count) = (0.0, 0.0);
    for index in first..=last {
        let value = usize::try_from(index).ok().and_then(|i| load.get(i));
        if let Some(rate) = value {
            sum += rate.as_per_second();
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { f64::NAN }
}

/// One forecaster under one block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockScores {
    /// Forecaster.
    pub model: String,
    /// Block.
    pub block: Block,
    /// Its scores.
    pub scores: Scores,
    /// Quantiles per target, NaN where none was issued.
    pub quantiles: Vec<[f64; 4]>,
    /// Peaks as the forecaster published them, one per start of fixtures.
    pub bounds: Vec<PeakBound>,
}

impl BlockScores {
    /// What is scored, once more.
    pub(super) fn scored<'a>(&'a self, targets: &'a Targets) -> Scored<'a> {
        Scored {
            actual: &targets.actual,
            quantiles: &self.quantiles,
            windows: &targets.windows,
            bounds: &self.bounds,
            from: targets.from,
            step: TARGET,
        }
    }
}

/// Scores a model under some protocols. `tell` is given every forecast issued.
///
/// # Errors
/// When the model could not be fitted at an origin.
pub fn score<F: Fit>(
    replay: &mut Replay<'_, F>,
    targets: &Targets,
    protocols: &[Protocol],
    mut tell: impl FnMut(Protocol, &Forecast),
) -> Result<Vec<BlockScores>, FitError> {
    let mut scored = Vec::new();
    for &protocol in protocols {
        let blocks = protocol.blocks();
        let mut paths = vec![vec![[f64::NAN; 4]; targets.actual.len()]; blocks.len()];
        let mut bounds: Vec<BTreeMap<Timestamp, PeakBound>> = vec![BTreeMap::new(); blocks.len()];
        let mut model = String::new();
        for origin in protocol.origins(targets.from, targets.end()) {
            let forecast = replay.forecast(origin, protocol.length(), TARGET)?;
            tell(protocol, &forecast);
            for (place, block) in blocks.iter().enumerate() {
                for bin in 0..forecast.len() {
                    let target = forecast.time(bin);
                    if block.holds(target - origin)
                        && let Some(index) = targets.index(target)
                    {
                        paths[place][index] = Quantile::ALL.map(|q| forecast.path(q)[bin]);
                    }
                }
                for peak in &forecast.peaks {
                    if block.holds_peak(peak.start - origin) {
                        let bound = PeakBound {
                            kickoff: peak.start,
                            origin,
                            at: peak.at,
                            p50: peak.quantiles[Quantile::P50.index()],
                            p95: peak.quantiles[Quantile::P95.index()],
                            p99: peak.quantiles[Quantile::P99.index()],
                        };
                        // a later origin replaces an earlier one; where two competitions start
                        // together the greater holds for the window that is theirs both
                        let known = bounds[place].entry(peak.start).or_insert(bound);
                        if known.origin < origin || known.p50 < bound.p50 {
                            *known = bound;
                        }
                    }
                }
            }
            model = forecast.model;
        }
        for ((&block, quantiles), bounds) in blocks.iter().zip(paths).zip(bounds) {
            let bounds: Vec<PeakBound> = bounds.into_values().collect();
            let scores = Scored {
                actual: &targets.actual,
                quantiles: &quantiles,
                windows: &targets.windows,
                bounds: &bounds,
                from: targets.from,
                step: TARGET,
            }
            .scores();
            if let Some(scores) = scores {
                scored.push(BlockScores {
                    model: model.clone(),
                    block,
                    scores,
                    quantiles,
                    bounds,
                });
            }
        }
    }
    Ok(scored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Lock, Precision, Status};
    use crate::series::faults::{Cause, Fault, Faults};

    #[test]
    fn only_fixtures_with_a_time_have_windows() {
        let hour = |hours: i64| Timestamp::UNIX_EPOCH + TimeDelta::hours(hours);
        let load = Series::from_raw(hour(0), TARGET, vec![1.0; 288]);
        let mut day = Fixture::game("day", "cup", hour(4));
        day.start.precision = Precision::Date;
        let mut off = Fixture::game("off", "cup", hour(8));
        off.status = Status::Cancelled;
        let calendar: Calendar = [day, off, Fixture::game("on", "cup", hour(12))]
            .into_iter()
            .collect();
        let targets = Targets::new(Evidence::new(&load, &calendar), hour(0), hour(24));
        let starts: Vec<Timestamp> = targets.windows.iter().map(|w| w.kickoff).collect();
        assert_eq!(starts, [hour(12)]);
    }

    #[test]
    fn a_window_opens_an_hour_before_the_lock_as_that_of_a_forecast_does() {
        let hour = |hours: i64| Timestamp::UNIX_EPOCH + TimeDelta::hours(hours);
        let load = Series::from_raw(hour(0), TARGET, vec![1.0; 288]);
        let game = |id: &str, start: i64, lock: i64| Fixture {
            locks: vec![Lock {
                name: "slate".to_owned(),
                at: hour(lock),
            }],
            ..Fixture::game(id, "cup", hour(start))
        };
        let calendar: Calendar = [
            game("early", 10, 10),
            // one slate: both lock with the first of them
            game("late", 12, 10),
            game("alone", 12, 12),
            // a lock in play does not shorten what comes before the start
            game("in-play", 18, 19),
        ]
        .into_iter()
        .collect();
        let targets = Targets::new(Evidence::new(&load, &calendar), hour(0), hour(24));
        let opens: Vec<usize> = targets.windows.iter().map(|w| w.first / 12).collect();
        assert_eq!(opens, [9, 9, 17]);
    }

    #[test]
    fn a_window_that_a_declared_fault_touches_has_no_peak_that_came() {
        let hour = |hours: i64| Timestamp::UNIX_EPOCH + TimeDelta::hours(hours);
        let load = Series::from_raw(hour(0), TARGET, vec![1.0; 288]);
        let games = [("early", 6), ("late", 16)];
        let calendar: Calendar = games
            .map(|(id, start)| Fixture::game(id, "cup", hour(start)))
            .into_iter()
            .collect();
        let faults = Faults::new(vec![Fault {
            from: hour(7),
            to: hour(8),
            cause: Cause::Outage,
        }]);
        let known = Evidence {
            faults: &faults,
            ..Evidence::new(&load, &calendar)
        };
        let targets = Targets::new(known, hour(0), hour(24));
        let whole: Vec<bool> = targets.windows.iter().map(|w| w.whole).collect();
        assert_eq!(whole, [false, true]);
        let lost: Vec<usize> = (0..288).filter(|&i| targets.actual[i].is_nan()).collect();
        assert_eq!(lost, (84..96).collect::<Vec<_>>());

        let scored = Scored {
            actual: &targets.actual,
            quantiles: &[[1.0, 2.0, 3.0, 4.0]; 288],
            windows: &targets.windows,
            bounds: &[],
            from: targets.from,
            step: TARGET,
        };
        let judged: Vec<bool> = targets
            .windows
            .iter()
            .map(|window| scored.peak(window).is_some())
            .collect();
        assert_eq!(judged, whole);
    }
}
