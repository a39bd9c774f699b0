//! The load a policy has seen: read once in pieces, then only its tail.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::series::Series;
use crate::source::{Prometheus, SourceError};
use crate::units::Timestamp;

/// Bins asked for at a time. Prometheus refuses more than 11 000 points a series, and a week of
/// five-minute bins is a question it answers in a second or two.
const BINS_AT_A_TIME: i32 = 2_016;

/// Bins at the end that are read again: late samples may have changed them.
const REREAD: i32 = 3;

/// A growing window of history on a fixed grid.
#[derive(Debug)]
pub(super) struct History {
    step: TimeDelta,
    /// Units per second by start of bin; a gap is absent.
    bins: BTreeMap<Timestamp, f64>,
    /// End of what was read.
    read_to: Option<Timestamp>,
    /// Start of what was read.
    read_from: Option<Timestamp>,
}

impl History {
    /// Nothing read yet.
    pub(super) fn new(step: TimeDelta) -> Self {
        Self {
            step,
            bins: BTreeMap::new(),
            read_to: None,
            read_from: None,
        }
    }

    /// Reads what is missing of the last `length` before `now`.
    ///
    /// # Errors
    /// What Prometheus said. Pieces read before it are kept, so the next try goes on from there.
    pub(super) async fn refresh(
        &mut self,
        source: &Prometheus,
        query: &str,
        length: TimeDelta,
        now: Timestamp,
    ) -> Result<(), SourceError> {
        let end = self.floor(now);
        let begin = self.floor(now - length);
        // a clock set back leaves a future that did not happen
        if self.read_to.is_some_and(|read_to| read_to > end) {
            *self = Self::new(self.step);
        }
        let mut from = match self.read_to {
            Some(read_to) if read_to > begin => (read_to - self.step * REREAD).max(begin),
            _ => {
                self.bins.clear();
                self.read_from = Some(begin);
                begin
            }
        };
        while from < end {
            let to = (from + self.step * BINS_AT_A_TIME).min(end);
            let read = match source.range(query, from, to, self.step).await {
                Ok(series) => Some(series),
                // a week before the workload existed is a gap, not a failure
                Err(SourceError::Empty { .. }) => None,
                Err(error) => return Err(error),
            };
            self.bins.retain(|at, _| *at < from || *at >= to);
            let known = read.iter().flat_map(Series::iter);
            self.bins
                .extend(known.filter_map(|(at, rate)| Some((at, rate?.as_per_second()))));
            self.read_to = Some(to);
            from = to;
        }
        self.bins = self.bins.split_off(&begin);
        if self.bins.is_empty() {
            // a source that was not filled yet: all of it is asked for again next time
            self.read_to = None;
        }
        self.read_from = self.read_from.map(|read_from| read_from.max(begin));
        Ok(())
    }

    /// What was read, with gaps as gaps.
    pub(super) fn series(&self) -> Arc<Series> {
        let (Some(from), Some(to)) = (self.read_from, self.read_to) else {
            return Arc::new(Series::from_raw(
                Timestamp::UNIX_EPOCH,
                self.step,
                Vec::new(),
            ));
        };
        let count = (to - from).num_milliseconds() / self.step.num_milliseconds().max(1);
        let values = (0..i32::try_from(count).unwrap_or(0))
            .map(|i| {
                self.bins
                    .get(&(from + self.step * i))
                    .copied()
                    .unwrap_or(f64::NAN)
            })
            .collect();
        Arc::new(Series::from_raw(from, self.step, values))
    }

    /// The start of the bin that covers `at`, on a grid that every policy shares.
    fn floor(&self, at: Timestamp) -> Timestamp {
        let step = self.step.num_milliseconds().max(1);
        let since_epoch = at.timestamp_millis();
        let start = since_epoch - since_epoch.rem_euclid(step);
        Timestamp::from_timestamp_millis(start).unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_start_on_the_grid_to_the_last_nanosecond() {
        let history = History::new(TimeDelta::minutes(5));
        let at: Timestamp = "2026-09-13T17:04:59.123456789Z".parse().unwrap();
        let start: Timestamp = "2026-09-13T17:00:00Z".parse().unwrap();
        assert_eq!(history.floor(at), start);
        assert_eq!(history.floor(start), start);
        let before_epoch: Timestamp = "1969-12-31T23:59:00.5Z".parse().unwrap();
        let start: Timestamp = "1969-12-31T23:55:00Z".parse().unwrap();
        assert_eq!(history.floor(before_epoch), start);
    }

    #[test]
    fn nothing_read_is_an_empty_series() {
        assert!(History::new(TimeDelta::minutes(5)).series().is_empty());
    }
}
