//! From rows at any times to a regular series: the step, and the bins that each row fills.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};

use super::spans::{Coarser, Stretch, stretches};
use super::{LoadError, Per};
use crate::series::Series;
use crate::series::rows::commonest;
use crate::units::Timestamp;

/// The most bins a file may span; a year of seconds.
const MAX_BINS: i64 = 32_000_000;

/// Rows at the end that are less than one in so many do not decide about the step.
const SMALL_PART: usize = 10;

/// The series of some rows (milliseconds and rates) known `before` a moment, and those of them that
/// last longer than its step.
pub(super) fn grid(
    rows: &[(i64, f64)],
    per: Per,
    before: Option<Timestamp>,
    name: &str,
) -> Result<(Series, Option<Coarser>), LoadError> {
    let (first, last) = (rows[0].0, rows[rows.len() - 1].0);
    let stretches = stretches(rows);
    let step = step_of(rows, &stretches).unwrap_or_else(|| {
        // one row says nothing about its width; a count names its own
        if per == Per::SECOND {
            60_000
        } else {
            per.interval().num_milliseconds()
        }
    });
    let last_length = stretches.last().and_then(|last| last.length);
    let bins = (last - first + last_length.unwrap_or(step).max(step)) / step;
    if bins > MAX_BINS {
        return Err(LoadError::TooLarge {
            name: name.to_owned(),
            what: format!("spans {bins} steps of {step} ms"),
        });
    }
    let mut sums = vec![0.0; bins as usize];
    let mut counts = vec![0_u32; bins as usize];
    let time = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let interval = per.interval().num_milliseconds();
    let counted = per != Per::SECOND && stretches.iter().any(|s| s.length == Some(interval));
    let mut coarser: Option<Coarser> = None;
    for (place, stretch) in stretches.iter().enumerate() {
        let end = stretches
            .get(place + 1)
            .map_or(rows.len(), |next| next.first);
        let spread = stretch.length.filter(|&length| length > step);
        let scale = match stretch.length {
            Some(length) if counted => interval as f64 / length as f64,
            _ => 1.0,
        };
        for &(at, value) in rows[stretch.first..end]
            .iter()
            .filter(|row| row.1.is_finite())
        {
            let bin = (at - first) / step;
            let mut until = bin + 1;
            if let Some(length) = spread {
                let to = time(at + length);
                if before.is_some_and(|before| to > before) {
                    // its mean is not known before it is over
                    continue;
                }
                until = until.max((at + length - first) / step);
                let seen = coarser.get_or_insert(Coarser {
                    rows: 0,
                    longest: TimeDelta::zero(),
                    from: time(at),
                    to,
                    step: TimeDelta::milliseconds(step),
                    counted,
                });
                seen.rows += 1;
                seen.longest = seen.longest.max(TimeDelta::milliseconds(length));
                seen.to = to;
            }
            for bin in bin as usize..until as usize {
                sums[bin] += value * scale;
                counts[bin] += 1;
            }
        }
    }
    for (sum, &count) in sums.iter_mut().zip(&counts) {
        *sum = if count == 0 {
            f64::NAN
        } else {
            *sum / f64::from(count)
        };
    }
    let step = TimeDelta::milliseconds(step);
    Ok((Series::from_raw(time(first), step, sums), coarser))
}

/// Milliseconds; `None` for fewer than two rows.
fn step_of(rows: &[(i64, f64)], stretches: &[Stretch]) -> Option<i64> {
    let common = common_step(rows)?;
    let last = stretches
        .last()
        .filter(|last| (rows.len() - last.first) * SMALL_PART >= rows.len())
        .and_then(|last| last.length)
        .filter(|length| (rows[rows.len() - 1].0 - rows[0].0) / length < MAX_BINS);
    Some(last.map_or(common, |last| last.min(common)))
}

/// Milliseconds; `None` for fewer than two rows.
fn common_step(rows: &[(i64, f64)]) -> Option<i64> {
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in rows.windows(2) {
        *seen.entry((pair[1].0 - pair[0].0).max(1)).or_default() += 1;
    }
    commonest(&seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    /// Rows from one minute to another, so many minutes apart.
    fn rows(from: i64, to: i64, apart: usize, value: f64) -> Vec<(i64, f64)> {
        let minutes = (from..to).step_by(apart);
        minutes.map(|minute| (minute * MINUTE, value)).collect()
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn made(rows: &[(i64, f64)], per: &str) -> (Series, Option<Coarser>) {
        grid(rows, per.parse().unwrap(), None, "load.csv").unwrap()
    }

    #[test]
    fn an_older_part_of_a_coarser_step_is_no_part_of_gaps() {
        let mut all = rows(0, 1000, 5, 7.0);
        all.extend(rows(1000, 2000, 1, 3.0));
        let (series, coarser) = made(&all, "1s");
        assert_eq!(series.step(), TimeDelta::minutes(1));
        assert_eq!((series.len(), series.gaps()), (2000, 0));
        assert_eq!((series.raw()[999], series.raw()[1000]), (7.0, 3.0));
        let coarser = coarser.unwrap();
        assert_eq!(
            (coarser.rows, coarser.longest),
            (200, TimeDelta::minutes(5))
        );
        assert_eq!((coarser.from, coarser.to), (minute(0), minute(1000)));
        insta::assert_snapshot!(coarser.note(), @"200 rows from 1970-01-01T00:00:00Z to 1970-01-01T16:40:00Z are up to 5m apart, the others 1m: each is read as the mean of the time it covers, and shorter peaks are not seen there");
        // and so it is the other way round, the last row too
        let mut all = rows(0, 1000, 1, 3.0);
        all.extend(rows(1000, 2000, 5, 7.0));
        let (series, coarser) = made(&all, "1s");
        assert_eq!((series.len(), series.gaps()), (2000, 0));
        assert_eq!(coarser.unwrap().to, minute(2000));
        assert_eq!(made(&rows(0, 1000, 5, 1.0), "1s").1, None);
    }

    #[test]
    fn a_hole_stays_a_hole_in_both_parts() {
        let mut all = rows(0, 1000, 5, 7.0);
        all.extend(rows(1000, 2000, 1, 3.0));
        let lost = [(100, 125), (400, 405), (1300, 1305), (1500, 1510)];
        all.retain(|&(at, _)| {
            let at = at / MINUTE;
            !lost.iter().any(|&(from, to)| (from..to).contains(&at))
        });
        // a row that says that it knows nothing
        all.iter_mut().find(|row| row.0 == 600 * MINUTE).unwrap().1 = f64::NAN;
        let (series, _) = made(&all, "1s");
        let holes: Vec<i64> = (0..2000)
            .filter(|&minute| series.raw()[minute as usize].is_nan())
            .collect();
        let expected = lost.iter().chain(&[(600, 605)]);
        let mut expected: Vec<i64> = expected.flat_map(|&(from, to)| from..to).collect();
        expected.sort_unstable();
        assert_eq!(holes, expected);
    }

    #[test]
    fn a_count_of_a_row_counts_over_the_time_it_lasts() {
        // counts per minute are divided by 60 s before they come here
        let mut all = rows(0, 1000, 5, 300.0 / 60.0);
        all.extend(rows(1000, 2000, 1, 60.0 / 60.0));
        let (series, coarser) = made(&all, "1m");
        assert!(series.raw().iter().all(|value| (value - 1.0).abs() < 1e-12));
        assert!(coarser.unwrap().counted);
        // a unit that no rows are as far apart as is a unit and no count of rows
        let (series, coarser) = made(&all, "2m");
        assert_eq!((series.raw()[0], series.raw()[1500]), (5.0, 1.0));
        assert!(!coarser.unwrap().counted);
    }

    #[test]
    fn the_last_rows_keep_their_step_when_they_are_no_small_part() {
        let mut all = rows(0, 60 * 300, 60, 1.0);
        all.extend(rows(60 * 300, 60 * 310, 5, 2.0));
        let (series, coarser) = made(&all, "1s");
        assert_eq!((series.step(), series.gaps()), (TimeDelta::minutes(5), 0));
        assert_eq!(coarser.unwrap().longest, TimeDelta::hours(1));
        let mut all = rows(0, 60 * 300, 60, 1.0);
        all.extend(rows(60 * 300, 60 * 300 + 140, 5, 2.0));
        assert_eq!(made(&all, "1s").0.step(), TimeDelta::hours(1));
    }

    #[test]
    fn a_coarse_row_is_known_when_it_is_over() {
        let mut all = rows(0, 1000, 1, 3.0);
        all.extend(rows(1000, 1200, 5, 7.0));
        let known = |at: i64| {
            let per = Per::SECOND;
            let (series, _) = grid(&all, per, Some(minute(at)), "load.csv").unwrap();
            series.at(minute(1195)).is_some()
        };
        assert!(known(1200) && !known(1199));
    }
}
