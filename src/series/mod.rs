//! Regular time series of load in which a gap stays a gap.
//!
//! A missing bin is never filled with zero and never interpolated here: whoever needs a value
//! there has to say what absence means to them.

use chrono::TimeDelta;

use crate::units::{Rate, Timestamp};

pub mod csv;
pub mod faults;
pub mod resample;
pub(crate) mod rows;

/// Load on a regular grid. Bin `i` covers `[start + i*step, start + (i+1)*step)` and holds the
/// mean rate over it, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    start: Timestamp,
    step: TimeDelta,
    /// Units per second; NaN marks a gap.
    values: Vec<f64>,
}

impl Series {
    /// A series whose first bin starts at `start`. `None` is a gap; so is a value that is not
    /// finite.
    ///
    /// # Panics
    /// Never in practice: a `step` that is not positive is treated as one second.
    pub fn new(start: Timestamp, step: TimeDelta, values: Vec<Option<Rate>>) -> Self {
        let values = values
            .into_iter()
            .map(|value| value.map_or(f64::NAN, Rate::as_per_second))
            .collect();
        Self::from_raw(start, step, values)
    }

    /// A series from raw units per second, in which every non-finite value is a gap.
    pub fn from_raw(start: Timestamp, step: TimeDelta, mut values: Vec<f64>) -> Self {
        let step = if step > TimeDelta::zero() {
            step
        } else {
            TimeDelta::seconds(1)
        };
        for value in &mut values {
            if !value.is_finite() {
                *value = f64::NAN;
            }
        }
        Self {
            start,
            step,
            values,
        }
    }

    /// Start of the first bin.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Width of a bin.
    pub fn step(&self) -> TimeDelta {
        self.step
    }

    /// End of the last bin (exclusive).
    pub fn end(&self) -> Timestamp {
        self.time(self.values.len())
    }

    /// Number of bins, gaps included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True when there is not one bin.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Start of bin `index`, which may lie past the end.
    pub fn time(&self, index: usize) -> Timestamp {
        self.start + self.step * i32::try_from(index).unwrap_or(i32::MAX)
    }

    /// The bin that covers `at`, if there is one.
    pub fn index(&self, at: Timestamp) -> Option<usize> {
        if at < self.start {
            return None;
        }
        let index = usize::try_from(
            (at - self.start).num_milliseconds() / self.step.num_milliseconds().max(1),
        )
        .ok()?;
        (index < self.values.len()).then_some(index)
    }

    /// The value of bin `index`; `None` for a gap or outside the series.
    pub fn get(&self, index: usize) -> Option<Rate> {
        self.values
            .get(index)
            .copied()
            .filter(|value| value.is_finite())
            .map(Rate::per_second)
    }

    /// The value at a time; `None` for a gap or outside the series.
    pub fn at(&self, at: Timestamp) -> Option<Rate> {
        self.get(self.index(at)?)
    }

    /// Raw units per second, NaN for gaps: for numeric code that handles NaN itself.
    pub fn raw(&self) -> &[f64] {
        &self.values
    }

    /// Every bin with its start.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Option<Rate>)> + '_ {
        (0..self.len()).map(|index| (self.time(index), self.get(index)))
    }

    /// The bins that lie wholly before `at`: what was known at that moment.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> Self {
        let whole = if at <= self.start {
            0
        } else {
            usize::try_from(
                (at - self.start).num_milliseconds() / self.step.num_milliseconds().max(1),
            )
            .unwrap_or(usize::MAX)
        };
        let keep = whole.min(self.values.len());
        Self {
            start: self.start,
            step: self.step,
            values: self.values[..keep].to_vec(),
        }
    }

    /// The bins that start in `[from, to)`, on the same grid.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Self {
        let first = self.first_from(from);
        let last = self.first_from(to).max(first);
        Self {
            start: self.time(first),
            step: self.step,
            values: self.values[first..last].to_vec(),
        }
    }

    /// Number of gaps.
    pub fn gaps(&self) -> usize {
        self.values.iter().filter(|value| value.is_nan()).count()
    }

    /// The value that a share `probability` of the bins with data does not exceed.
    pub fn quantile(&self, probability: f64) -> Option<Rate> {
        let mut known: Vec<f64> = self
            .values
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        known.sort_by(f64::total_cmp);
        let rank = (known.len() as f64 * probability.clamp(0.0, 1.0)).ceil() as usize;
        known.get(rank.max(1) - 1).copied().map(Rate::per_second)
    }

    /// Largest value and the start of its bin.
    pub fn peak(&self) -> Option<(Timestamp, Rate)> {
        self.iter()
            .filter_map(|(at, value)| Some((at, value?)))
            .max_by(|(_, a), (_, b)| a.as_per_second().total_cmp(&b.as_per_second()))
    }
}
