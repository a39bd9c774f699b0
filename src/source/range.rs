//! The bins of a range query: which are asked for in which call, and where each point belongs.

use chrono::TimeDelta;

use super::SourceError;
use super::response::Point;
use crate::units::{Rate, Timestamp};

/// Prometheus refuses range queries of more points per series (`web/api/v1`, "exceeded maximum
/// resolution of 11,000 points per timeseries").
const MAX_POINTS: i64 = 11_000;

/// Points of a whole history: ten years of 5-minute bins. More is a slip of the pen.
const MAX_HISTORY: i64 = 1_100_000;

/// Bins of one width from one moment on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    from: Timestamp,
    /// Width of a bin, milliseconds.
    millis: i64,
    bins: i64,
}

impl Range {
    /// The whole bins of `step` in `[from, to)`.
    pub(super) fn new(
        from: Timestamp,
        to: Timestamp,
        step: TimeDelta,
    ) -> Result<Self, SourceError> {
        let millis = step.num_milliseconds();
        if millis <= 0 || to <= from {
            return Err(SourceError::Range {
                reason: "the step must be positive and the end after the start".to_owned(),
            });
        }
        let bins = (to - from).num_milliseconds() / millis;
        if !(1..=MAX_HISTORY).contains(&bins) {
            return Err(SourceError::Range {
                reason: format!(
                    "it has {bins} bins, and 1 to {MAX_HISTORY} are possible: choose another step"
                ),
            });
        }
        Ok(Self { from, millis, bins })
    }

    /// As many gaps as there are bins.
    pub(super) fn gaps(&self) -> Vec<f64> {
        vec![f64::NAN; usize::try_from(self.bins).unwrap_or_default()]
    }

    /// The calls it takes, each by its form.
    pub(super) fn forms(&self, query: &str) -> impl Iterator<Item = [(&'static str, String); 4]> {
        let Self { from, millis, bins } = *self;
        let query = query.to_owned();
        // a bin's value is the query at its end
        let end_of = move |bin: i64| from + TimeDelta::milliseconds(millis * (bin + 1));
        (0..bins).step_by(MAX_POINTS as usize).map(move |first| {
            let last = (first + MAX_POINTS).min(bins) - 1;
            [
                ("query", query.clone()),
                ("start", seconds(end_of(first))),
                ("end", seconds(end_of(last))),
                ("step", format!("{}.{:03}", millis / 1000, millis % 1000)),
            ]
        })
    }

    /// Puts points into their bins; what is no load stays a gap.
    ///
    /// # Errors
    /// The first point that is on no bin's end, or no number at all.
    pub(super) fn put(&self, values: &mut [f64], points: &[Point]) -> Result<(), Point> {
        for point in points {
            let place = point
                .at()
                .map(|at| (at - self.from).num_milliseconds())
                .filter(|offset| offset % self.millis == 0)
                .and_then(|offset| usize::try_from(offset / self.millis - 1).ok());
            let bin = place.and_then(|bin| values.get_mut(bin));
            let (Some(bin), Some(number)) = (bin, point.number()) else {
                return Err(point.clone());
            };
            if Rate::per_second(number).is_valid() {
                *bin = number;
            }
        }
        Ok(())
    }
}

/// Unix seconds to the millisecond.
pub(super) fn seconds(at: Timestamp) -> String {
    let millis = at.timestamp_millis();
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}
