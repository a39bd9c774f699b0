//! The baseline to beat: load will be what it was a period ago.
//!
//! The median is the value one period before the target, or as many periods as it takes to reach
//! something known; margins are the pooled past scores of doing so. Knows no fixtures. As a
//! baseline a day is 24 hours; who stands in for the model repeats by the audience's clock.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::event_response::LEAST_HOURS;
use super::grid::{DAY, Grid, STEP};
use super::lead::{BUCKETS, Lead};
use super::quantile::{Group, MarginTable, Scores};
use super::repetition::{MOST_PERIODS, Repetition};
use super::shortage::too_little;
use super::{Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::units::Timestamp;

/// Days of errors that make the margins.
const SCORED_DAYS: usize = 28;

/// Added to a rate before its logarithm is taken, units per second.
const OFFSET: f64 = 0.5;

/// Repeats what was one period ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeasonalNaive {
    days: usize,
}

impl SeasonalNaive {
    /// Yesterday at the same time.
    pub const DAY: Self = Self { days: 1 };

    /// A week ago at the same time.
    pub const WEEK: Self = Self { days: 7 };

    const fn bins(self) -> usize {
        self.days * DAY
    }

    /// Fits what repeats the same time on the clock of `zone`.
    pub(super) fn fit_by_clock(
        self,
        known: Evidence<'_>,
        at: Timestamp,
        zone: Tz,
    ) -> Result<FittedSeasonalNaive, FitError> {
        let limit = SCORED_DAYS * DAY + MOST_PERIODS * self.bins();
        let grid = Grid::before(known.load, at, limit).without(known.faults);
        let hours = grid.hours();
        if hours < LEAST_HOURS {
            return Err(too_little(known, at, &grid, limit));
        }
        let mut scores = Scores::new();
        let first = grid.len().saturating_sub(SCORED_DAYS * DAY);
        let mut past = Repetition::new(&grid, self.days, zone);
        for bin in first..grid.len() {
            let Some(source) = past.source(bin as i64, bin) else {
                continue;
            };
            let score = score(grid.values[bin], grid.values[source]);
            let age = (grid.len() - bin) as f64 / DAY as f64;
            for bucket in 0..BUCKETS {
                scores.add(Group::Calm, bucket, score, age);
            }
        }
        Ok(FittedSeasonalNaive {
            period: self,
            zone,
            margins: scores.margins(&[DAY as f64 / 6.0; BUCKETS]),
            grid,
        })
    }
}

/// How far load lay above what was said of it, log load.
pub(super) fn score(load: f64, said: f64) -> f64 {
    ((load + OFFSET) / (said + OFFSET)).ln()
}

/// The part of the history that may be repeated, and how wrong that has been.
#[derive(Debug, Clone)]
pub struct FittedSeasonalNaive {
    period: SeasonalNaive,
    /// By whose clock a time is the same.
    zone: Tz,
    grid: Grid,
    margins: MarginTable,
}

impl Fit for SeasonalNaive {
    type Fitted = FittedSeasonalNaive;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedSeasonalNaive, FitError> {
        self.fit_by_clock(known, at, Tz::UTC)
    }
}

impl Predict for FittedSeasonalNaive {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        self.forecast(&self.past(recent, horizon.origin), horizon)
    }
}

impl FittedSeasonalNaive {
    /// The period, days.
    pub(super) const fn days(&self) -> usize {
        self.period.days
    }

    /// The zone by whose clock it repeats.
    pub(super) const fn zone(&self) -> Tz {
        self.zone
    }

    /// What may be repeated at `origin`.
    pub(super) fn past(&self, recent: Evidence<'_>, origin: Timestamp) -> Cow<'_, Grid> {
        let reach = MOST_PERIODS * self.period.bins();
        let fresh = Grid::before(recent.load, origin, reach).without(recent.faults);
        // what the fit kept stands in for what `recent` does not reach
        if fresh.hours() >= self.grid.hours().min(self.period.days as f64 * 24.0) {
            Cow::Owned(fresh)
        } else {
            Cow::Borrowed(&self.grid)
        }
    }

    /// How `grid`, which may end before the horizon begins, goes on.
    pub(super) fn forecast(&self, grid: &Grid, horizon: Horizon) -> Forecast {
        let fallback = grid
            .values
            .iter()
            .rev()
            .copied()
            .find(|value| value.is_finite())
            .unwrap_or(0.0);
        let step = horizon.step.num_seconds().max(1);
        let bins = (horizon.length.num_seconds() / step).max(0);
        let mut past = Repetition::new(grid, self.period.days, self.zone);
        let mut paths: [Vec<f64>; 4] = Default::default();
        for bin in 0..bins as usize {
            let (sum, count) = pieces(grid, horizon, bin)
                .map(|target| {
                    past.source(target, grid.len())
                        .map_or(fallback, |source| grid.values[source])
                })
                .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
            let median = sum / count;
            paths[0].push(median);
            let margins = self.margins.at(Group::Calm, &Lead::of(0.0));
            for (path, margin) in paths[1..].iter_mut().zip(margins) {
                path.push((median + OFFSET) * margin.exp() - OFFSET);
            }
        }
        Forecast {
            origin: horizon.origin,
            start: horizon.origin,
            step: TimeDelta::seconds(step),
            paths,
            peaks: Vec::new(),
            model: format!("seasonal-naive-{}d", self.period.days),
            notes: Vec::new(),
        }
    }
}

/// The bins of `grid`, which may lie past its end, that a bin of the horizon touches.
pub(super) fn pieces(grid: &Grid, horizon: Horizon, bin: usize) -> RangeInclusive<i64> {
    let step = horizon.step.num_seconds().max(1);
    let from = horizon.origin.timestamp() - grid.end + bin as i64 * step;
    let known = grid.len() as i64;
    known + from.div_euclid(STEP)..=known + (from + step - 1).div_euclid(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Calendar;
    use crate::forecast::Quantile;
    use crate::series::Series;
    use crate::series::faults::{Cause, Fault, Faults};
    use chrono::{TimeZone as _, Utc};

    #[test]
    fn a_declared_outage_is_not_repeated_but_the_week_before_it() {
        let start = Utc.with_ymd_and_hms(2024, 4, 1, 0, 0, 0).unwrap();
        let hour = |bin: usize| start + TimeDelta::minutes(5 * bin as i64);
        // two alike weeks, the second without its load on Wednesday from ten to noon
        let down = 7 * DAY + 2 * DAY + 120..7 * DAY + 2 * DAY + 144;
        let values: Vec<f64> = (0..14 * DAY)
            .map(|bin| if down.contains(&bin) { 1.0 } else { 100.0 })
            .collect();
        let load = Series::from_raw(start, TimeDelta::minutes(5), values);
        let none = Calendar::default();
        let outage = Fault {
            from: hour(down.start),
            to: hour(down.end),
            cause: Cause::Outage,
        };
        let faults: Faults = [outage].into_iter().collect();
        let origin = hour(14 * DAY);
        let horizon = Horizon {
            origin,
            length: TimeDelta::days(3),
            step: TimeDelta::minutes(5),
        };
        let said = |known: Evidence<'_>| {
            let fitted = SeasonalNaive::WEEK.fit(known, origin).unwrap();
            let forecast = fitted.predict(known, horizon);
            let noon = origin + TimeDelta::hours(2 * 24 + 11);
            (
                forecast.at(Quantile::P50, noon).unwrap().as_per_second(),
                forecast.at(Quantile::P95, noon).unwrap().as_per_second(),
            )
        };
        let silent = Evidence::new(&load, &none);
        assert!(said(silent).0 < 2.0);
        let (median, p95) = said(silent.with_faults(&faults));
        assert!(
            (median - 100.0).abs() < 1e-9 && p95 < 105.0,
            "{median} {p95}"
        );
    }

    #[test]
    fn repeats_the_newest_known_period() {
        let start = Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap();
        let mut values: Vec<f64> = (0..4 * 288).map(|i| 100.0 + f64::from(i % 288)).collect();
        values[3 * 288 + 5] = f64::NAN;
        let series = Series::from_raw(start, TimeDelta::minutes(5), values);
        let origin = series.end();
        let horizon = Horizon {
            origin,
            length: TimeDelta::hours(48),
            step: TimeDelta::minutes(5),
        };
        let calendar = Calendar::default();
        let known = Evidence::new(&series, &calendar);
        let fitted = SeasonalNaive::DAY.fit(known, origin).unwrap();
        let forecast = fitted.predict(known, horizon);
        for (bin, value) in forecast.paths[0].iter().enumerate() {
            assert_eq!(*value, 100.0 + (bin % 288) as f64);
        }
        // hourly output is the mean of its twelve bins
        let hourly = fitted.predict(
            known,
            Horizon {
                step: TimeDelta::hours(1),
                ..horizon
            },
        );
        assert_eq!(hourly.len(), 48);
        assert_eq!(hourly.paths[0][0], 105.5);
    }
}
