//! Changes the step of a series.
//!
//! Going coarser takes the mean of the bins that are present and leaves a gap where too few are;
//! going finer repeats. Nothing is interpolated and no gap is filled.

use chrono::TimeDelta;

use super::Series;
use crate::units::Timestamp;

/// Why a series cannot be brought to a step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResampleError {
    /// The asked step is not positive.
    #[error("a step of {step_ms} ms is not possible: ask for a positive one")]
    NotPositive {
        /// Asked step, milliseconds.
        step_ms: i64,
    },
    /// Neither step is a whole multiple of the other.
    #[error(
        "a step of {from_ms} ms cannot become {to_ms} ms: one must be a whole multiple of the other"
    )]
    NotMultiple {
        /// Step of the series, milliseconds.
        from_ms: i64,
        /// Asked step, milliseconds.
        to_ms: i64,
    },
}

/// The share of a coarse bin's parts that must be present unless stated otherwise.
pub const HALF: f64 = 0.5;

impl Series {
    /// The series on a grid of `step`, a multiple or a whole fraction of its own.
    ///
    /// Coarser: grid lines are multiples of `step` since the Unix epoch, so that hours start on
    /// the hour; a bin is the mean of its present parts, and a gap when fewer than `min_share`
    /// (0 to 1) of its `step / self.step()` parts are present. Parts outside the series count as
    /// absent. When the series is not aligned to that grid the coarse grid starts at its start.
    ///
    /// Finer: every part repeats the value of its whole.
    ///
    /// # Errors
    /// [`ResampleError`] when the steps do not divide each other.
    pub fn resample(&self, step: TimeDelta, min_share: f64) -> Result<Self, ResampleError> {
        let (from, to) = (self.step.num_milliseconds(), step.num_milliseconds());
        if to <= 0 {
            return Err(ResampleError::NotPositive { step_ms: to });
        }
        if to == from {
            return Ok(self.clone());
        }
        if to % from == 0 {
            Ok(self.coarser(step, to / from, min_share))
        } else if from % to == 0 {
            Ok(self.finer(step, from / to))
        } else {
            Err(ResampleError::NotMultiple {
                from_ms: from,
                to_ms: to,
            })
        }
    }

    fn coarser(&self, step: TimeDelta, parts: i64, min_share: f64) -> Self {
        let (from_ms, step_ms) = (self.step.num_milliseconds(), step.num_milliseconds());
        // parts of the first coarse bin that lie before the series
        let into_bin = self.start.timestamp_millis().rem_euclid(step_ms);
        let lead = if into_bin % from_ms == 0 {
            into_bin / from_ms
        } else {
            0
        };
        let start = self.start - TimeDelta::milliseconds(lead * from_ms);
        let (parts, lead) = (parts as usize, lead as usize);
        let needed = (min_share.clamp(0.0, 1.0) * parts as f64).ceil().max(1.0);
        let bins = (lead + self.values.len()).div_ceil(parts);
        let values = (0..bins)
            .map(|bin| {
                let first = (bin * parts).saturating_sub(lead);
                let last = ((bin + 1) * parts - lead).min(self.values.len());
                let (mut sum, mut present) = (0.0, 0_u32);
                for value in &self.values[first..last] {
                    if value.is_finite() {
                        sum += value;
                        present += 1;
                    }
                }
                if f64::from(present) >= needed {
                    sum / f64::from(present)
                } else {
                    f64::NAN
                }
            })
            .collect();
        Self::from_raw(start, step, values)
    }

    fn finer(&self, step: TimeDelta, parts: i64) -> Self {
        let parts = parts as usize;
        let values = self
            .values
            .iter()
            .flat_map(|&value| std::iter::repeat_n(value, parts))
            .collect();
        Self::from_raw(self.start, step, values)
    }

    /// Index of the first bin that starts at or after `at`, at most `len()`.
    pub(super) fn first_from(&self, at: Timestamp) -> usize {
        if at <= self.start {
            return 0;
        }
        let step = self.step.num_milliseconds().max(1);
        let since = (at - self.start).num_milliseconds();
        // a part of a millisecond past a bin's start is still past it
        let exact = self.start + TimeDelta::milliseconds(since) == at;
        let index = since.div_euclid(step) + i64::from(since % step != 0 || !exact);
        usize::try_from(index)
            .unwrap_or(usize::MAX)
            .min(self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn minutes(values: Vec<f64>) -> Series {
        Series::from_raw(at(0), TimeDelta::minutes(1), values)
    }

    #[test]
    fn too_few_parts_make_a_gap() {
        let series = minutes(vec![2.0, f64::NAN, f64::NAN, f64::NAN, 1.0, 3.0, 5.0, 7.0]);
        let coarse = series.resample(TimeDelta::minutes(4), HALF).unwrap();
        assert_eq!(coarse.get(0), None);
        assert_eq!(coarse.get(1).unwrap().as_per_second(), 4.0);
        let any = series.resample(TimeDelta::minutes(4), 0.0).unwrap();
        assert_eq!(any.get(0).unwrap().as_per_second(), 2.0);
    }

    #[test]
    fn coarse_bins_start_on_round_times() {
        let series = Series::from_raw(at(30 * 60), TimeDelta::minutes(10), vec![1.0; 9]);
        let hours = series.resample(TimeDelta::hours(1), HALF).unwrap();
        assert_eq!(hours.start(), at(0));
        assert_eq!(hours.len(), 2);
        assert!(hours.get(0).is_some() && hours.get(1).is_some());
        assert_eq!(
            series.resample(TimeDelta::hours(1), 1.0).unwrap().get(0),
            None,
            "half of the first hour is absent"
        );
    }

    #[test]
    fn steps_that_do_not_divide_are_refused() {
        let series = minutes(vec![1.0; 10]);
        assert!(series.resample(TimeDelta::seconds(90), HALF).is_err());
        assert!(series.resample(TimeDelta::zero(), HALF).is_err());
    }

    proptest! {
        #[test]
        fn mean_is_preserved_on_whole_bins(
            raw in prop::collection::vec(0.0..1e6, 1..20), parts in 1_usize..12
        ) {
            let values: Vec<f64> = raw.iter().cycle().take(raw.len() * parts).copied().collect();
            let series = minutes(values.clone());
            let coarse = series.resample(TimeDelta::minutes(parts as i64), 1.0).unwrap();
            prop_assert_eq!(coarse.len(), raw.len());
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            prop_assert!((mean(&values) - mean(coarse.raw())).abs() <= 1e-6 * mean(&values).max(1.0));
        }

        #[test]
        fn gaps_stay_gaps(
            raw in prop::collection::vec(prop::option::of(0.0..1e6), 1..60), parts in 2_i64..7
        ) {
            let series = minutes(raw.iter().map(|v| v.unwrap_or(f64::NAN)).collect());
            let fine = series.resample(TimeDelta::seconds(60 / parts.min(6)), HALF);
            if let Ok(fine) = fine {
                for (time, value) in fine.iter() {
                    prop_assert_eq!(value, series.at(time));
                }
            }
            let coarse = series.resample(TimeDelta::minutes(parts), HALF).unwrap();
            for (time, value) in coarse.iter() {
                let inside = series.between(time, time + TimeDelta::minutes(parts));
                let present = inside.len() - inside.gaps();
                prop_assert_eq!(value.is_some(), present > 0 && 2 * present >= parts as usize);
            }
        }

        #[test]
        fn finer_and_back_is_the_same(
            raw in prop::collection::vec(prop::option::of(0.0..1e6), 1..60)
        ) {
            let series = minutes(raw.iter().map(|v| v.unwrap_or(f64::NAN)).collect());
            let back = series
                .resample(TimeDelta::seconds(15), 1.0).unwrap()
                .resample(TimeDelta::minutes(1), 1.0).unwrap();
            prop_assert_eq!(back.len(), series.len());
            for (index, value) in back.raw().iter().enumerate() {
                let original = series.raw()[index];
                prop_assert!(original.is_nan() == value.is_nan());
                prop_assert!(original.is_nan() || (value - original).abs() <= 1e-9 * original.max(1.0));
            }
        }

        #[test]
        fn before_never_shows_a_bin_that_ends_after(
            bins in 0_usize..50, step in 1_i64..5000, ask in -10_000_i64..300_000_000
        ) {
            let series = Series::from_raw(at(0), TimeDelta::milliseconds(step), vec![1.0; bins]);
            let moment = at(0) + TimeDelta::microseconds(ask);
            let known = series.before(moment);
            prop_assert!(known.is_empty() || known.end() <= moment);
            // and hides no bin that had ended
            prop_assert!(known.len() == bins || series.time(known.len() + 1) > moment);
        }

        #[test]
        fn between_is_exactly_the_bins_that_start_inside(
            bins in 0_usize..50, step in 1_i64..5000,
            from in -10_000_i64..300_000_000, length in 0_i64..300_000_000
        ) {
            let series = Series::from_raw(
                at(0), TimeDelta::milliseconds(step), (0..bins).map(|i| i as f64).collect());
            let from = at(0) + TimeDelta::microseconds(from);
            let to = from + TimeDelta::microseconds(length);
            let wanted: Vec<f64> = (0..bins)
                .filter(|&i| series.time(i) >= from && series.time(i) < to)
                .map(|i| i as f64)
                .collect();
            let inside = series.between(from, to);
            prop_assert_eq!(inside.raw(), wanted.as_slice());
        }
    }
}
