//! One slate's entries: what was in by any moment, and which of its zeros are no entries but a
//! feed that died and goes on writing.

use super::book::Silence;
use crate::entries::SlateEntries;

/// Entries older than this at the time of asking are stale, seconds.
const FRESH: i64 = 45 * 60;

/// A day, seconds.
const DAY: i64 = 86_400;

/// Largest share of unknown bins in the last day of sales that is put up with.
const MOST_UNKNOWN: f64 = 0.25;

/// A slate is full from this share of its places on.
const FULL: f64 = 0.98;

/// Entries that the mean pace of the day before would have brought while none came, from which on
/// the zeros are a fault. Nights sell at a tenth to a fiftieth of the day's pace: at a fiftieth
/// these are 20, and a Poisson count with that mean is zero once in 5e8.
const IMPOSSIBLE: f64 = 1_000.0;

/// Bins without a single entry after one with some.
#[derive(Debug)]
struct Quiet {
    /// The first zero.
    from: usize,
    /// The first bin with entries after it; the number of bins when none has come.
    to: usize,
    /// The last known rate before, entries per second.
    before: f64,
}

/// One slate's entries with running sums: what was in by any moment is a subtraction.
#[derive(Debug)]
pub(super) struct Sold<'a> {
    slate: &'a SlateEntries,
    /// Entries before each bin; unknown bins carry the last known rate on.
    sums: Vec<f64>,
    /// Unknown bins before each bin.
    unknown: Vec<u32>,
    /// All stretches without entries that are long enough to be doubted, in order.
    quiet: Vec<Quiet>,
}

impl<'a> Sold<'a> {
    pub(super) fn new(slate: &'a SlateEntries) -> Self {
        let mut sold = Self {
            slate,
            sums: vec![0.0],
            unknown: vec![0],
            quiet: Vec::new(),
        };
        let (mut sum, mut missing, mut last) = (0.0, 0, 0.0);
        let mut quiet: Option<Quiet> = None;
        for (bin, &rate) in slate.rate.raw().iter().enumerate() {
            if !rate.is_finite() {
                missing += 1;
            } else if rate > 0.0 {
                sold.doubt(quiet.take());
                last = rate;
            } else {
                let before = last;
                quiet.get_or_insert(Quiet {
                    from: bin,
                    to: slate.rate.len(),
                    before,
                });
                last = rate;
            }
            if let Some(quiet) = &mut quiet {
                quiet.to = bin + 1;
            }
            sum += last * sold.seconds();
            sold.sums.push(sum);
            sold.unknown.push(missing);
        }
        sold.doubt(quiet);
        sold
    }

    /// Keeps a stretch without entries that lasted as long as entries pass for fresh.
    fn doubt(&mut self, quiet: Option<Quiet>) {
        let least = self.stale() as f64 / self.seconds();
        self.quiet
            .extend(quiet.filter(|quiet| (quiet.to - quiet.from) as f64 >= least));
    }

    /// Length of a bin, seconds.
    fn seconds(&self) -> f64 {
        self.slate.rate.step().num_milliseconds() as f64 / 1_000.0
    }

    /// Age from which on entries are stale, seconds: the next ones are overdue.
    fn stale(&self) -> i64 {
        FRESH.max(2 * self.slate.rate.step().num_seconds().max(1))
    }

    /// Whole bins that end by `at`.
    fn bins(&self, at: i64) -> usize {
        let step = self.slate.rate.step().num_milliseconds().max(1);
        let since = at * 1_000 - self.slate.rate.start().timestamp_millis();
        usize::try_from(since.div_euclid(step))
            .unwrap_or(0)
            .min(self.sums.len() - 1)
    }

    fn time(&self, bin: usize) -> i64 {
        self.slate.rate.time(bin).timestamp()
    }

    /// Entries in `[from, at)` as they were known at `at`.
    pub(super) fn between(&self, from: i64, at: i64) -> Result<f64, Silence> {
        let (first, last) = (self.bins(from), self.bins(at));
        if last <= first {
            return Err(Silence::Missing);
        }
        let raw = self.slate.rate.raw();
        let known = raw[first..last].iter().rposition(|rate| rate.is_finite());
        let Some(known) = known else {
            return Err(Silence::Missing);
        };
        if at - self.time(first + known + 1) > self.stale() {
            return Err(Silence::Stale);
        }
        let dead = self.dead(from, last);
        if dead.last().is_some_and(|quiet| quiet.to >= last) {
            return Err(Silence::Stale);
        }
        let day = self.bins(at - DAY).max(first);
        let written: f64 = dead
            .iter()
            .filter(|quiet| quiet.to > day)
            .map(|quiet| self.zeros(quiet.from.max(day), quiet.to))
            .sum();
        let unknown = written + f64::from(self.unknown[last] - self.unknown[day]);
        if unknown > MOST_UNKNOWN * (last - day) as f64 {
            return Err(Silence::Holes);
        }
        Ok(self.sold(first, last, &dead))
    }

    /// When the places on offer were taken, if they were by `at`.
    pub(super) fn filled(&self, from: i64, at: i64) -> Option<i64> {
        let (first, last) = (self.bins(from), self.bins(at));
        let spots = self.slate.spots_at(self.slate.rate.time(last))?;
        let dead = self.dead(from, last);
        let full = |bin: usize| self.sold(first, bin, &dead) >= FULL * spots;
        if spots <= 0.0 || !full(last) {
            return None;
        }
        // sums ascend, so the moment can be searched for
        let (mut low, mut high) = (first, last);
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if full(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(self.time(high))
    }

    /// Entries in the bins `[first, last)`, with the rate before carried on through what was dead.
    fn sold(&self, first: usize, last: usize, dead: &[&Quiet]) -> f64 {
        let carried: f64 = dead
            .iter()
            .map(|quiet| {
                let bins = quiet.to.min(last).saturating_sub(quiet.from);
                quiet.before * self.seconds() * bins as f64
            })
            .sum();
        self.sums[last] - self.sums[first] + carried
    }

    /// The stretches since `from` that are faults, as far as the bins before `last` tell. Only the
    /// last may not be over.
    fn dead(&self, from: i64, last: usize) -> Vec<&Quiet> {
        let first = self.bins(from);
        // what a feed tells late of the sale before is no pace of this one
        let opened = self.bins(from + FRESH);
        let begun = self.quiet.partition_point(|quiet| quiet.from <= opened);
        self.quiet[begun..]
            .iter()
            .take_while(|quiet| quiet.from < last)
            .filter(|quiet| self.is_fault(quiet, first, opened, last))
            .collect()
    }

    fn is_fault(&self, quiet: &Quiet, first: usize, opened: usize, last: usize) -> bool {
        let (from, to) = (quiet.from, quiet.to.min(last));
        if ((to - from) as f64) < self.stale() as f64 / self.seconds() {
            return false;
        }
        let bins = DAY as f64 / self.seconds();
        let day = from.saturating_sub(bins.ceil() as usize).max(opened);
        let pace = (self.sums[from] - self.sums[day]) / bins;
        if pace * self.zeros(from, to) < IMPOSSIBLE {
            return false;
        }
        // a slate that is full sells nothing more, and one that was until places came sold nothing
        let sold = self.sums[from] - self.sums[first];
        ![from, to].into_iter().any(|bin| {
            let spots = self.slate.spots_at(self.slate.rate.time(bin));
            spots.is_some_and(|spots| sold >= FULL * spots)
        })
    }

    /// Zeros in a part `[from, to)` of a stretch without entries: the rest of it is unknown.
    fn zeros(&self, from: usize, to: usize) -> f64 {
        (to - from) as f64 - f64::from(self.unknown[to] - self.unknown[from])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;
    use crate::units::Timestamp;
    use chrono::TimeDelta;

    /// Bins of five minutes in an hour.
    const HOUR: usize = 12;

    fn hour(hours: f64) -> i64 {
        (hours * 3_600.0).round() as i64
    }

    /// Half an entry a second for two days, but none in some hours.
    fn sold(hours: std::ops::Range<usize>, spots: Vec<(Timestamp, f64)>) -> SlateEntries {
        let mut rate = vec![0.5; 48 * HOUR];
        rate[hours.start * HOUR..hours.end * HOUR].fill(0.0);
        let start = Timestamp::UNIX_EPOCH;
        SlateEntries {
            rate: Series::from_raw(start, TimeDelta::minutes(5), rate),
            spots,
        }
    }

    fn ask(slate: &SlateEntries, at: f64) -> Result<f64, Silence> {
        Sold::new(slate).between(0, hour(at))
    }

    #[test]
    fn zeros_that_cannot_be_chance_are_stale_as_rows_that_do_not_come() {
        let died = sold(30..48, Vec::new());
        assert_eq!(ask(&died, 30.7), Ok(30.0 * 1_800.0));
        assert_eq!(ask(&died, 30.8), Err(Silence::Stale));
        assert_eq!(ask(&died, 47.0), Err(Silence::Stale));
        // where few enter, hours of none may be chance
        let mut slow = died.clone();
        let rate = slow.rate.raw().iter().map(|rate| rate / 32.0).collect();
        slow.rate = Series::from_raw(Timestamp::UNIX_EPOCH, TimeDelta::minutes(5), rate);
        assert_eq!(ask(&slow, 40.0), Ok(30.0 * 56.25));
    }

    #[test]
    fn zeros_that_are_over_are_unknown_and_not_before() {
        let back = sold(30..34, Vec::new());
        assert_eq!(ask(&back, 34.0), Err(Silence::Stale));
        assert_eq!(ask(&back, 34.0 + 1.0 / 12.0), Ok(61_350.0));
        assert_eq!(ask(&back, 47.0), Ok(47.0 * 1_800.0));
        let long = sold(30..37, Vec::new());
        assert_eq!(ask(&long, 40.0), Err(Silence::Holes));
        // whatever comes later, what was said of a moment stands
        for at in (1..48 * 12).map(|bin| f64::from(bin) / 12.0) {
            let moment = Timestamp::UNIX_EPOCH + TimeDelta::seconds(hour(at));
            let known = SlateEntries {
                rate: back.rate.before(moment),
                spots: Vec::new(),
            };
            assert_eq!(ask(&back, at), ask(&known, at), "{at}");
        }
    }

    #[test]
    fn a_slate_without_places_and_a_sale_that_has_just_opened_may_be_silent() {
        let start = Timestamp::UNIX_EPOCH;
        let full = sold(30..48, vec![(start, 54_000.0)]);
        assert_eq!(ask(&full, 40.0), Ok(54_000.0));
        assert!(Sold::new(&full).filled(0, hour(40.0)).is_some());
        let restocked = vec![(start, 54_000.0), (start + TimeDelta::hours(34), 90_000.0)];
        let again = sold(30..34, restocked);
        assert_eq!(ask(&again, 40.0), Ok(36.0 * 1_800.0));
        // sales that count from when they stopped, or from little before, had no pace yet
        let stopped = sold(30..48, Vec::new());
        let stopped = Sold::new(&stopped);
        assert_eq!(stopped.between(hour(30.0), hour(40.0)), Ok(0.0));
        assert_eq!(stopped.between(hour(29.5), hour(40.0)), Ok(900.0));
    }
}
