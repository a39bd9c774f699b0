//! The baseline to beat: load will be what it was a period ago.
//!
//! The median is the value one period before the target, or as many periods as it takes to reach
//! something known; margins are the pooled past scores of doing so. Knows no fixtures.

use chrono::TimeDelta;

use super::event_response::LEAST_HOURS;
use super::grid::{DAY, Grid, STEP};
use super::lead::BUCKETS;
use super::quantile::{Group, MarginTable, Scores};
use super::shortage::too_little;
use super::{Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::units::Timestamp;

/// Periods looked back before giving up.
const MOST_PERIODS: usize = 5;

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
}

/// The part of the history that may be repeated, and how wrong that has been.
#[derive(Debug, Clone)]
pub struct FittedSeasonalNaive {
    period: SeasonalNaive,
    grid: Grid,
    margins: MarginTable,
}

impl Fit for SeasonalNaive {
    type Fitted = FittedSeasonalNaive;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedSeasonalNaive, FitError> {
        let limit = SCORED_DAYS * DAY + MOST_PERIODS * self.bins();
        let grid = Grid::before(known.load, at, limit).without(known.faults);
        let hours = grid.hours();
        if hours < LEAST_HOURS {
            return Err(too_little(known, at, &grid, limit));
        }
        let mut scores = Scores::new();
        let first = grid.len().saturating_sub(SCORED_DAYS * DAY);
        for bin in first..grid.len() {
            let Some(said) = repeated(&grid.values, bin as i64, self.bins(), bin) else {
                continue;
            };
            let score = ((grid.values[bin] + OFFSET) / (said + OFFSET)).ln();
            let age = (grid.len() - bin) as f64 / DAY as f64;
            for bucket in 0..BUCKETS {
                scores.add(Group::Calm, bucket, score, age);
            }
        }
        Ok(FittedSeasonalNaive {
            period: *self,
            margins: scores.margins(&[DAY as f64 / 6.0; BUCKETS]),
            grid,
        })
    }
}

impl Predict for FittedSeasonalNaive {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        let reach = MOST_PERIODS * self.period.bins();
        let fresh = Grid::before(recent.load, horizon.origin, reach).without(recent.faults);
        // what the fit kept stands in for what `recent` does not reach
        let grid = if fresh.hours() >= self.grid.hours().min(self.period.days as f64 * 24.0) {
            &fresh
        } else {
            &self.grid
        };
        let fallback = grid
            .values
            .iter()
            .rev()
            .copied()
            .find(|value| value.is_finite())
            .unwrap_or(0.0);
        let step = horizon.step.num_seconds().max(1);
        let bins = (horizon.length.num_seconds() / step).max(0);
        let begin = horizon.origin.timestamp() - grid.end;
        let mut paths: [Vec<f64>; 4] = Default::default();
        for bin in 0..bins {
            let (from, to) = (begin + bin * step, begin + (bin + 1) * step);
            let known = grid.len() as i64;
            let pieces = known + from.div_euclid(STEP)..=known + (to - 1).div_euclid(STEP);
            let (sum, count) = pieces
                .map(|target| {
                    repeated(&grid.values, target, self.period.bins(), grid.len())
                        .unwrap_or(fallback)
                })
                .fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
            let median = sum / count;
            paths[0].push(median);
            let margins = self.margins.at(Group::Calm, 0.0);
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

/// The newest known value a whole number of periods before bin `target`, among the first `known`
/// bins.
fn repeated(values: &[f64], target: i64, period: usize, known: usize) -> Option<f64> {
    let least = ((target - known as i64).max(0) as usize / period) + 1;
    (least..least + MOST_PERIODS)
        .map_while(|periods| usize::try_from(target - (periods * period) as i64).ok())
        .filter(|&bin| bin < known)
        .map(|bin| values[bin])
        .find(|value| value.is_finite())
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
