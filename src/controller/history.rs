//! What a query has given so far: read once in pieces, then only its tail.

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;

use crate::series::Series;
use crate::source::{GuardedPrometheus, SourceError};
use crate::units::Timestamp;

/// Bins asked for at a time. Prometheus refuses more than 11 000 points a series, and a week of
/// five-minute bins is a question it answers in a second or two.
const BINS_AT_A_TIME: i64 = 2_016;

/// Bins at the end that are read again: late samples may have changed them.
const REREAD: i64 = 3;

/// And so much of it once in [`LOOK_BACK_EVERY`]: an agent that was cut off from Prometheus sends
/// what it kept when it is back, hours of it.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// A query over a day costs Prometheus too much to be asked at every reading.
const LOOK_BACK_EVERY: TimeDelta = TimeDelta::hours(1);

/// Most slates in one answer: a busy week of a large operator.
const MOST_SLATES: usize = 200;

/// Most slates kept, the latest ones: a week of bins each makes 16 MB.
const MOST_KEPT: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question<'q> {
    /// A query that gives one series.
    One(&'q str),
    /// A query that gives one series per slate.
    PerSlate {
        /// `PromQL`.
        query: &'q str,
        /// Label that names the slate.
        label: &'q str,
    },
}

impl Question<'_> {
    async fn ask(
        self,
        source: &GuardedPrometheus,
        span: (Timestamp, Timestamp),
        step: TimeDelta,
    ) -> Result<BTreeMap<Option<String>, Series>, SourceError> {
        match self {
            Self::One(query) => match source.range(query, span.0, span.1, step).await {
                Ok(series) => Ok(BTreeMap::from([(None, series)])),
                // a week before the workload existed is a gap, not a failure
                Err(SourceError::Empty { .. }) => Ok(BTreeMap::new()),
                Err(error) => Err(error),
            },
            Self::PerSlate { query, label } => {
                source.range_by(query, label, MOST_SLATES, span, step).await
            }
        }
    }
}

/// A growing window of history on a fixed grid.
#[derive(Debug)]
pub(super) struct History {
    /// Width of a bin, milliseconds. Bin 0 starts with the epoch, so that every policy shares one
    /// grid.
    step: i64,
    slates: BTreeMap<Option<String>, Bins>,
    /// First bin read, and the first that was not.
    read: Option<(i64, i64)>,
    /// Whether no series is an answer like any other.
    sparse: bool,
}

impl History {
    /// Nothing read yet.
    pub(super) fn new(step: TimeDelta) -> Self {
        Self {
            step: step.num_milliseconds().max(1),
            slates: BTreeMap::new(),
            read: None,
            sparse: false,
        }
    }

    /// The same of a query that has no series while there is nothing to say.
    pub(super) fn sparse(step: TimeDelta) -> Self {
        Self {
            sparse: true,
            ..Self::new(step)
        }
    }

    /// Reads what is missing of the last `length` before `now`.
    ///
    /// # Errors
    /// What Prometheus said. Pieces read before it are kept, so the next try goes on from there.
    pub(super) async fn refresh(
        &mut self,
        source: &GuardedPrometheus,
        question: Question<'_>,
        length: TimeDelta,
        now: Timestamp,
    ) -> Result<(), SourceError> {
        let (begin, end) = (self.bin(now - length), self.bin(now));
        // a clock set back leaves a future that did not happen
        if self.read.is_some_and(|(_, to)| to > end) {
            self.slates.clear();
            self.read = None;
        }
        let mut from = match self.read {
            Some((_, to)) if to > begin => (to - self.read_again(to, end)).max(begin),
            _ => {
                self.slates.clear();
                self.read = Some((begin, begin));
                begin
            }
        };
        while from < end {
            let to = (from + BINS_AT_A_TIME).min(end);
            let span = (self.time(from), self.time(to));
            let step = TimeDelta::milliseconds(self.step);
            let read = question.ask(source, span, step).await?;
            self.take(from, to, read);
            from = to;
        }
        self.forget_before(begin);
        Ok(())
    }

    /// How many of the bins before `to` are read again when what follows up to `end` is read.
    fn read_again(&self, to: i64, end: i64) -> i64 {
        let bins = |span: TimeDelta| (span.num_milliseconds() / self.step).max(1);
        let every = bins(LOOK_BACK_EVERY);
        if to.div_euclid(every) == end.div_euclid(every) {
            REREAD
        } else {
            bins(LOOK_BACK).max(REREAD)
        }
    }

    /// Takes the answer for the bins `[from, to)` in place of the last few of those known. What is
    /// known of bins before them stays where the answer has nothing: a Prometheus that has lost
    /// its past takes none from us.
    fn take(&mut self, from: i64, to: i64, read: BTreeMap<Option<String>, Series>) {
        let settled = self.read.map_or(from, |(_, to)| to - REREAD);
        for bins in self.slates.values_mut() {
            bins.truncate(from.max(settled));
        }
        for (slate, series) in read {
            self.slates
                .entry(slate)
                .or_default()
                .put(from, series.raw());
        }
        let first = self.read.map_or(from, |(first, _)| first);
        self.read = Some((first, to));
    }

    fn forget_before(&mut self, begin: i64) {
        self.slates.retain(|_, bins| {
            bins.forget_before(begin);
            !bins.values.is_empty()
        });
        let mut ends: Vec<i64> = self.slates.values().map(Bins::end).collect();
        if ends.len() > MOST_KEPT {
            ends.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = ends[MOST_KEPT - 1];
            // of those that ended together some may go beyond the count
            self.slates.retain(|_, bins| bins.end() >= oldest);
        }
        self.read = match self.read {
            // a source that was not filled yet: all of it is asked for again next time
            _ if self.slates.is_empty() && !self.sparse => None,
            read => read.map(|(first, to)| (first.max(begin), to)),
        };
    }

    /// True when nothing is known at all.
    pub(super) fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }

    /// What was read of the one series, with gaps as gaps.
    pub(super) fn series(&self) -> Series {
        let (from, to) = self.read.unwrap_or_default();
        let values = match self.slates.get(&None) {
            Some(bins) => bins.between(from, to),
            None => Vec::new(),
        };
        Series::from_raw(self.time(from), TimeDelta::milliseconds(self.step), values)
    }

    /// What is known of each slate, from its first known bin on. One that was heard of within
    /// `recent` before `now` ends there, with gaps where it has not been read: what is not known
    /// of the last minutes is not the same as nothing.
    pub(super) fn slates(
        &self,
        now: Timestamp,
        recent: TimeDelta,
    ) -> impl Iterator<Item = (Option<&str>, Series)> {
        let (end, step) = (self.bin(now), TimeDelta::milliseconds(self.step));
        self.slates.iter().map(move |(slate, bins)| {
            let last = bins.end();
            let current = self.time(last) > now - recent;
            let to = if current { end.max(last) } else { last };
            let series =
                Series::from_raw(self.time(bins.first), step, bins.between(bins.first, to));
            (slate.as_deref(), series)
        })
    }

    /// The bin that covers `at`.
    fn bin(&self, at: Timestamp) -> i64 {
        at.timestamp_millis().div_euclid(self.step)
    }

    /// Start of a bin.
    fn time(&self, bin: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(bin * self.step)
    }
}

/// One series, from its first known bin to its last.
#[derive(Debug, Default)]
struct Bins {
    first: i64,
    /// Units per second; NaN marks a gap.
    values: VecDeque<f64>,
}

impl Bins {
    /// The first bin after those known.
    fn end(&self) -> i64 {
        self.first + self.values.len() as i64
    }

    /// Drops the bins from `from` on.
    fn truncate(&mut self, from: i64) {
        let keep = usize::try_from(from - self.first).unwrap_or(0);
        self.values.truncate(keep);
        self.trim();
    }

    /// Puts `read` at `from`; where it has a gap, what was known stays.
    fn put(&mut self, from: i64, read: &[f64]) {
        let mut merged = self.between(from, self.end().max(from + read.len() as i64));
        for (value, &read) in merged.iter_mut().zip(read) {
            if !read.is_nan() {
                *value = read;
            }
        }
        self.truncate(from);
        self.extend(from, &merged);
    }

    /// Puts `read` at `from`, behind all there is.
    fn extend(&mut self, from: i64, read: &[f64]) {
        if self.values.is_empty() {
            self.first = from;
        }
        let gap = usize::try_from(from - self.end()).unwrap_or(0);
        self.values.extend(std::iter::repeat_n(f64::NAN, gap));
        self.values.extend(read);
        self.trim();
    }

    fn forget_before(&mut self, begin: i64) {
        let drop = usize::try_from(begin - self.first).unwrap_or(0);
        self.values.drain(..drop.min(self.values.len()));
        self.first = self.first.max(begin);
        self.trim();
    }

    /// Leaves no gap at either end.
    fn trim(&mut self) {
        while self.values.back().is_some_and(|value| value.is_nan()) {
            self.values.pop_back();
        }
        while self.values.front().is_some_and(|value| value.is_nan()) {
            self.values.pop_front();
            self.first += 1;
        }
    }

    fn between(&self, from: i64, to: i64) -> Vec<f64> {
        (from..to)
            .map(|bin| {
                let place = usize::try_from(bin - self.first).ok();
                let value = place.and_then(|place| self.values.get(place));
                value.copied().unwrap_or(f64::NAN)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: TimeDelta = TimeDelta::minutes(5);

    fn bin_start(at: &str) -> Timestamp {
        let history = History::new(STEP);
        history.time(history.bin(at.parse().unwrap()))
    }

    #[test]
    fn bins_start_on_the_grid_to_the_last_nanosecond() {
        let start: Timestamp = "2026-09-13T17:00:00Z".parse().unwrap();
        assert_eq!(bin_start("2026-09-13T17:04:59.123456789Z"), start);
        assert_eq!(bin_start("2026-09-13T17:00:00Z"), start);
        let start: Timestamp = "1969-12-31T23:55:00Z".parse().unwrap();
        assert_eq!(bin_start("1969-12-31T23:59:00.5Z"), start);
    }

    #[test]
    fn nothing_read_is_an_empty_series() {
        let history = History::new(STEP);
        assert!(history.series().is_empty());
        assert_eq!(history.slates(Timestamp::UNIX_EPOCH, STEP).count(), 0);
    }

    fn read(history: &History, from: i64, slates: &[(Option<&str>, &[f64])]) -> Read {
        slates
            .iter()
            .map(|(slate, values)| {
                let series = Series::from_raw(history.time(from), STEP, values.to_vec());
                (slate.map(str::to_owned), series)
            })
            .collect()
    }

    type Read = BTreeMap<Option<String>, Series>;

    fn known(series: &Series) -> (i64, Vec<Option<f64>>) {
        let values = series
            .iter()
            .map(|(_, v)| v.map(crate::units::Rate::as_per_second));
        (series.start().timestamp() / 300, values.collect())
    }

    #[test]
    fn slates_come_and_go_and_their_gaps_stay() {
        const GAP: f64 = f64::NAN;
        let mut history = History::new(STEP);
        history.read = Some((100, 100));
        let first = [(Some("a"), &[GAP, 1.0, GAP, 3.0][..]), (None, &[7.0; 4])];
        history.take(100, 104, read(&history, 100, &first));
        // the tail of `a` is taken back, `b` is new, the rest is silent
        let then = [(Some("a"), &[GAP, 9.0][..]), (Some("b"), &[GAP, 5.0])];
        history.take(103, 105, read(&history, 103, &then));
        history.forget_before(100);
        let now = history.time(106);
        let slates: BTreeMap<_, _> = history
            .slates(now, STEP * 2)
            .map(|(slate, series)| (slate, known(&series)))
            .collect();
        assert_eq!(slates[&None], (100, vec![Some(7.0); 3]));
        let a = vec![Some(1.0), None, None, Some(9.0), None];
        assert_eq!(slates[&Some("a")], (101, a));
        assert_eq!(slates[&Some("b")], (104, vec![Some(5.0), None]));
        assert_eq!(known(&history.series()).1.len(), 5);

        history.forget_before(105);
        assert_eq!(history.slates(now, STEP).count(), 0);
        assert_eq!(history.read, None, "all of it is asked for again");
    }

    #[test]
    fn what_was_sent_late_is_found_within_the_hour_and_nothing_is_lost_for_it() {
        const GAP: f64 = f64::NAN;
        let mut history = History::new(STEP);
        history.read = Some((100, 100));
        let cut_off = [(None, &[1.0, GAP, GAP, 4.0, 5.0, 6.0, 7.0, 8.0][..])];
        history.take(100, 108, read(&history, 100, &cut_off));
        // at each reading the last few, once an hour a day
        assert_eq!(history.read_again(108, 109), REREAD);
        assert_eq!(history.read_again(119, 120), 288);
        let sent = [(None, &[GAP, 2.0, 3.0, GAP, 5.5, 6.0, GAP, 8.5, 9.0][..])];
        history.take(100, 109, read(&history, 100, &sent));
        let now = [
            Some(1.0),
            Some(2.0),
            Some(3.0),
            Some(4.0),
            Some(5.5),
            Some(6.0),
            // of the last few the newest answer is the truth, gaps and all
            None,
            Some(8.5),
            Some(9.0),
        ];
        assert_eq!(known(&history.series()), (100, now.to_vec()));
    }

    #[test]
    fn silence_is_asked_for_again_unless_it_is_an_answer() {
        for (mut history, read) in [
            (History::new(STEP), None),
            (History::sparse(STEP), Some((100, 104))),
        ] {
            history.read = Some((100, 100));
            history.take(100, 104, Read::new());
            history.forget_before(100);
            assert_eq!(history.read, read);
            assert!(history.is_empty() && history.series().iter().all(|(_, v)| v.is_none()));
        }
    }

    #[test]
    fn only_the_latest_slates_are_kept() {
        let mut history = History::new(STEP);
        for slate in 0..MOST_KEPT as i64 + 7 {
            let name = format!("slate {slate}");
            let bins = [(Some(name.as_str()), &[1.0][..])];
            let series = read(&history, 100 + slate, &bins);
            history.take(100 + slate, 101 + slate, series);
        }
        history.forget_before(0);
        assert_eq!(history.slates.len(), MOST_KEPT);
        assert!(!history.slates.contains_key(&Some("slate 6".to_owned())));
        assert!(history.slates.contains_key(&Some("slate 7".to_owned())));
    }

    proptest! {
        #[test]
        fn reading_in_pieces_is_reading_at_once(
            values in proptest::collection::vec(proptest::option::of(0.0..9.0_f64), 1..60),
            cuts in proptest::collection::vec(1..20_usize, 0..8),
            begin in 0..30_i64,
        ) {
            let raw: Vec<f64> = values.iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            let whole = |history: &mut History| {
                history.forget_before(begin);
                known(&history.series())
            };
            let mut once = History::new(STEP);
            once.read = Some((0, 0));
            let bins = read(&once, 0, &[(None, &raw)]);
            once.take(0, raw.len() as i64, bins);
            let mut pieces = History::new(STEP);
            pieces.read = Some((0, 0));
            let mut to = 0_usize;
            for cut in cuts.into_iter().chain([raw.len()]) {
                // a piece begins with bins that were read before
                let from = to.saturating_sub(3);
                to = (to + cut).min(raw.len());
                let bins = read(&pieces, from as i64, &[(None, &raw[from..to])]);
                pieces.take(from as i64, to as i64, bins);
            }
            prop_assert_eq!(whole(&mut once), whole(&mut pieces));
        }
    }
}
