//! Scores quantile forecasts against what came.
//!
//! The definitions are those of the study that set the targets: weighted absolute percentage
//! error of the median, weighted quantile losses (twice the summed pinball loss over the summed
//! load), coverage, and errors of the peak of each window around fixtures that start together.
//! Bins in which nothing is known are left out of everything.
//!
//! A peak is judged as it was published: the quantile of a maximum is not the maximum of a
//! quantile path. Only where a forecaster published none does the top of its path stand for it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::forecast::Quantile;
use crate::units::Timestamp;

/// A window around fixtures that start together: from an hour before they lock, or start if that is
/// earlier, to seventy-five minutes after their expected end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventWindow {
    /// Start of the fixtures.
    pub kickoff: Timestamp,
    /// First target.
    pub first: usize,
    /// One past the last target.
    pub end: usize,
    /// False where a declared fault lies in it: the peak that people wanted is not known.
    pub whole: bool,
}

/// The peak of one window, as the forecaster published it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakBound {
    /// Start of the fixtures.
    pub kickoff: Timestamp,
    /// Where the forecast was issued.
    pub origin: Timestamp,
    /// Start of the five minutes in which it was expected.
    pub at: Timestamp,
    /// Median.
    pub p50: f64,
    /// 95 % bound.
    pub p95: f64,
    /// 99 % bound.
    pub p99: f64,
}

/// One value per quantile.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct PerQuantile {
    /// Of the median.
    pub p50: f64,
    /// Of the 90 % quantile.
    pub p90: f64,
    /// Of the 95 % quantile.
    pub p95: f64,
    /// Of the 99 % quantile.
    pub p99: f64,
}

impl From<[f64; 4]> for PerQuantile {
    fn from([p50, p90, p95, p99]: [f64; 4]) -> Self {
        Self { p50, p90, p95, p99 }
    }
}

/// Errors of the peaks of the windows. "Predicted" is the peak the forecast published for the
/// window, all figures alike; the top of its path within the window where it published none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PeakScores {
    /// Windows scored.
    pub windows: usize,
    /// Those of them that are judged by a published peak; the others by the top of the path.
    pub published: usize,
    /// Mean of |ln(median of the predicted peak / actual peak)|.
    pub abs_ln: f64,
    /// Geometric mean of the median of the predicted peak over the actual one.
    pub bias: f64,
    /// Smallest median of a predicted peak over the actual one.
    pub worst_under: f64,
    /// Median distance between predicted and actual time of the peak, minutes.
    pub time_error_minutes: f64,
    /// Share of peaks under the 95 % bound.
    pub coverage_p95: f64,
    /// Share of peaks under the 99 % bound.
    pub coverage_p99: f64,
    /// Geometric mean of the 95 % bound over the actual peak: what the coverage costs.
    pub margin_p95: f64,
}

/// Scores of one forecaster under one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Targets scored.
    pub points: usize,
    /// Sum of |median - actual| over the sum of actual.
    pub wape: f64,
    /// The same within event windows; absent without fixtures.
    pub wape_events: Option<f64>,
    /// Sum of (median - actual) over the sum of actual.
    pub bias: f64,
    /// Weighted quantile loss.
    pub pinball: PerQuantile,
    /// Mean of the four weighted quantile losses.
    pub crps: f64,
    /// Share of targets at or below the quantile.
    pub coverage: PerQuantile,
    /// The same within event windows; absent without fixtures.
    pub coverage_events: Option<PerQuantile>,
    /// Peaks of the windows; absent without fixtures.
    pub peaks: Option<PeakScores>,
}

/// Forecasts of consecutive targets, and what came.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// What came, units per second; NaN where nothing is known.
    pub actual: &'a [f64],
    /// Quantiles per target in the order of [`Quantile::ALL`]; NaN where none was issued.
    pub quantiles: &'a [[f64; 4]],
    /// Windows, as indices of targets.
    pub windows: &'a [EventWindow],
    /// Peaks as published; windows without one are judged by the largest value of the path.
    pub bounds: &'a [PeakBound],
    /// Start of the first target.
    pub from: Timestamp,
    /// Width of a target.
    pub step: TimeDelta,
}

/// The peak of one window as it was forecast and as it came. Units per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct JudgedPeak {
    /// The published peak was issued here; absent when the top of the path stands for it.
    pub origin: Option<Timestamp>,
    /// Median.
    pub p50: f64,
    /// 95 % bound.
    pub p95: f64,
    /// 99 % bound.
    pub p99: f64,
    /// Start of the target in which it was expected.
    pub expected_at: Timestamp,
    /// What came.
    pub actual: f64,
    /// Start of the target in which it came.
    pub actual_at: Timestamp,
}

fn pinball(actual: f64, predicted: f64, probability: f64) -> f64 {
    let error = actual - predicted;
    (probability * error).max((probability - 1.0) * error)
}

/// Sums over a set of targets.
#[derive(Default)]
struct Sums {
    points: usize,
    load: f64,
    absolute: f64,
    signed: f64,
    pinball: [f64; 4],
    covered: [usize; 4],
}

impl Sums {
    fn add(&mut self, actual: f64, quantiles: &[f64; 4]) {
        self.points += 1;
        self.load += actual;
        self.absolute += (actual - quantiles[0]).abs();
        self.signed += quantiles[0] - actual;
        for quantile in Quantile::ALL {
            let index = quantile.index();
            self.pinball[index] += pinball(actual, quantiles[index], quantile.probability());
            self.covered[index] += usize::from(actual <= quantiles[index]);
        }
    }

    fn coverage(&self) -> PerQuantile {
        self.covered
            .map(|covered| covered as f64 / self.points as f64)
            .into()
    }
}

impl Scored<'_> {
    /// The scores; `None` when no target has both a forecast and a value.
    pub fn scores(&self) -> Option<Scores> {
        let mut in_window = vec![false; self.actual.len()];
        for window in self.windows {
            in_window[window.first..window.end].fill(true);
        }
        let (mut all, mut events) = (Sums::default(), Sums::default());
        for ((&actual, quantiles), &event) in self.actual.iter().zip(self.quantiles).zip(&in_window)
        {
            if !actual.is_finite() || !quantiles[0].is_finite() {
                continue;
            }
            all.add(actual, quantiles);
            if event {
                events.add(actual, quantiles);
            }
        }
        if all.points == 0 || all.load <= 0.0 {
            return None;
        }
        let pinball = all.pinball.map(|sum| 2.0 * sum / all.load);
        let some_events = events.points > 0 && events.load > 0.0;
        Some(Scores {
            points: all.points,
            wape: all.absolute / all.load,
            wape_events: some_events.then(|| events.absolute / events.load),
            bias: all.signed / all.load,
            pinball: pinball.into(),
            crps: pinball.iter().sum::<f64>() / pinball.len() as f64,
            coverage: all.coverage(),
            coverage_events: some_events.then(|| events.coverage()),
            peaks: self.peaks(),
        })
    }

    /// The peak of a window; `None` when nothing is known in it, nothing was forecast, or the
    /// largest load may have been lost in a declared fault.
    pub(super) fn peak(&self, window: &EventWindow) -> Option<JudgedPeak> {
        if !window.whole {
            return None;
        }
        let range = window.first..window.end;
        let time = |place: usize| {
            let index = i32::try_from(window.first + place).unwrap_or(i32::MAX);
            self.from + self.step * index
        };
        let (came, actual) = largest(&self.actual[range.clone()], |&value| value)?;
        if actual <= 0.0 {
            return None;
        }
        let bound = self.bounds.iter().find(|b| b.kickoff == window.kickoff);
        let (origin, [p50, p95, p99], expected_at) = if let Some(bound) = bound {
            let quantiles = [bound.p50, bound.p95, bound.p99];
            (Some(bound.origin), quantiles, bound.at)
        } else {
            let paths = &self.quantiles[range];
            let top = |quantile: Quantile| largest(paths, |q| q[quantile.index()]);
            let (place, p50) = top(Quantile::P50)?;
            let (_, p95) = top(Quantile::P95)?;
            let (_, p99) = top(Quantile::P99)?;
            (None, [p50, p95, p99], time(place))
        };
        Some(JudgedPeak {
            origin,
            p50,
            p95,
            p99,
            expected_at,
            actual,
            actual_at: time(came),
        })
    }

    fn peaks(&self) -> Option<PeakScores> {
        let windows = self.windows.iter();
        let peaks: Vec<JudgedPeak> = windows.filter_map(|window| self.peak(window)).collect();
        if peaks.is_empty() {
            return None;
        }
        let n = peaks.len() as f64;
        let over = |predicted: f64, peak: &JudgedPeak| (predicted.max(1e-9) / peak.actual).ln();
        let logs: Vec<f64> = peaks.iter().map(|peak| over(peak.p50, peak)).collect();
        let margins: f64 = peaks.iter().map(|peak| over(peak.p95, peak)).sum();
        let mut times: Vec<f64> = peaks
            .iter()
            .map(|peak| (peak.actual_at - peak.expected_at).abs())
            .map(|off| off.num_milliseconds() as f64 / 60e3)
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let middle = f64::midpoint(times[(times.len() - 1) / 2], times[times.len() / 2]);
        let share = |under: fn(&JudgedPeak) -> bool| {
            peaks.iter().filter(|peak| under(peak)).count() as f64 / n
        };
        Some(PeakScores {
            windows: peaks.len(),
            published: peaks.iter().filter(|peak| peak.origin.is_some()).count(),
            abs_ln: logs.iter().map(|log| log.abs()).sum::<f64>() / n,
            bias: (logs.iter().sum::<f64>() / n).exp(),
            worst_under: logs.iter().copied().fold(f64::INFINITY, f64::min).exp(),
            time_error_minutes: middle,
            coverage_p95: share(|peak| peak.actual <= peak.p95),
            coverage_p99: share(|peak| peak.actual <= peak.p99),
            margin_p95: (margins / n).exp(),
        })
    }
}

/// The first of the largest finite values and its place.
pub(super) fn largest<T>(items: &[T], value: impl Fn(&T) -> f64) -> Option<(usize, f64)> {
    let mut found: Option<(usize, f64)> = None;
    for (index, item) in items.iter().enumerate() {
        let value = value(item);
        if value.is_finite() && found.is_none_or(|(_, most)| value > most) {
            found = Some((index, value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn scores_match_a_sum_done_by_hand() {
        let kickoff = Timestamp::UNIX_EPOCH + TimeDelta::hours(1);
        let actual = [10.0, 20.0, f64::NAN, 40.0, 30.0];
        let quantiles = [
            [12.0, 15.0, 16.0, 20.0],
            [18.0, 19.0, 22.0, 30.0],
            [1.0, 2.0, 3.0, 4.0],
            [30.0, 36.0, 44.0, 50.0],
            [33.0, 40.0, 45.0, 50.0],
        ];
        let windows = [EventWindow {
            kickoff,
            first: 2,
            end: 5,
            whole: true,
        }];
        let scored = Scored {
            actual: &actual,
            quantiles: &quantiles,
            windows: &windows,
            bounds: &[],
            from: Timestamp::UNIX_EPOCH,
            step: TimeDelta::minutes(5),
        };
        let scores = scored.scores().unwrap();
        assert_eq!(scores.points, 4);
        // |12-10| + |18-20| + |30-40| + |33-30| = 17 of 100
        close(scores.wape, 0.17);
        close(scores.bias, (2.0 - 2.0 - 10.0 + 3.0) / 100.0);
        close(scores.wape_events.unwrap(), 13.0 / 70.0);
        close(scores.pinball.p50, 0.17);
        // 90 %: .1*5 + .9*1 + .9*4 + .1*10 = 6.0, twice over 100
        close(scores.pinball.p90, 0.12);
        // 95 %: .05*6 + .05*2 + .05*4 + .05*15 = 1.35
        close(scores.pinball.p95, 0.027);
        // 99 %: .01*(10 + 10 + 10 + 20) = 0.5
        close(scores.pinball.p99, 0.01);
        close(scores.crps, (0.17 + 0.12 + 0.027 + 0.01) / 4.0);
        close(scores.coverage.p90, 0.5);
        close(scores.coverage.p95, 1.0);
        close(scores.coverage_events.unwrap().p90, 0.5);

        // the window's peak: 40 at its second bin; predicted 33 at its third
        let peaks = scores.peaks.unwrap();
        close(peaks.abs_ln, (40.0_f64 / 33.0).ln());
        close(peaks.bias, 33.0 / 40.0);
        close(peaks.worst_under, 33.0 / 40.0);
        close(peaks.time_error_minutes, 5.0);
        close(peaks.coverage_p95, 1.0);
        close(peaks.margin_p95, 45.0 / 40.0);
        assert_eq!((peaks.windows, peaks.published), (1, 0));

        let bounds = [PeakBound {
            kickoff,
            origin: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH + TimeDelta::minutes(20),
            p50: 33.0,
            p95: 38.0,
            p99: 60.0,
        }];
        let peaks = Scored {
            bounds: &bounds,
            ..scored
        }
        .scores()
        .unwrap()
        .peaks
        .unwrap();
        close(peaks.coverage_p95, 0.0);
        close(peaks.coverage_p99, 1.0);
        close(peaks.margin_p95, 0.95);
    }

    #[test]
    fn a_published_peak_is_judged_and_not_the_top_of_the_path() {
        let kickoff = Timestamp::UNIX_EPOCH + TimeDelta::minutes(10);
        let window = |kickoff, first, end| EventWindow {
            kickoff,
            first,
            end,
            whole: true,
        };
        let scored = Scored {
            actual: &[10.0, 50.0, 10.0, 20.0, 10.0],
            quantiles: &[
                [10.0, 11.0, 12.0, 13.0],
                [10.0, 11.0, 12.0, 13.0],
                [40.0, 44.0, 48.0, 60.0],
                [10.0, 11.0, 12.0, 13.0],
                [16.0, 18.0, 24.0, 30.0],
            ],
            windows: &[
                window(kickoff, 0, 3),
                window(kickoff + TimeDelta::minutes(10), 3, 5),
            ],
            bounds: &[PeakBound {
                kickoff,
                origin: Timestamp::UNIX_EPOCH,
                at: Timestamp::UNIX_EPOCH + TimeDelta::minutes(5),
                p50: 60.0,
                p95: 90.0,
                p99: 99.0,
            }],
            from: Timestamp::UNIX_EPOCH,
            step: TimeDelta::minutes(5),
        };
        let peaks = scored.scores().unwrap().peaks.unwrap();
        assert_eq!((peaks.windows, peaks.published), (2, 1));
        // 60 for 50 as published, 16 for 20 at the top of the other window's path
        let (own, path) = ((60.0_f64 / 50.0).ln(), (16.0_f64 / 20.0).ln());
        close(peaks.abs_ln, (own - path) / 2.0);
        close(peaks.bias, f64::midpoint(own, path).exp());
        close(peaks.worst_under, 0.8);
        // the moment is the published one as well
        close(peaks.time_error_minutes, f64::midpoint(0.0, 5.0));
        close(peaks.margin_p95, (1.8_f64 * 1.2).sqrt());
    }

    #[test]
    fn nothing_known_scores_nothing() {
        let scored = Scored {
            actual: &[f64::NAN],
            quantiles: &[[1.0; 4]],
            windows: &[],
            bounds: &[],
            from: Timestamp::UNIX_EPOCH,
            step: TimeDelta::minutes(5),
        };
        assert_eq!(scored.scores(), None);
    }
}
