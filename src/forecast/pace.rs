//! Contest entries as a leading indicator: how a slate sells against its usual pace.
//!
//! Entries so far, divided by the share that is usually in by then, tell how many will have
//! entered at the lock (multiplicative pickup in its log form, the booking curve of hotels and
//! airlines). Only the *innovation* counts, the difference to what the calendar already says:
//!
//! ```text
//! z(h)          = ln E(h) - ln F(h)              F: usual share in h hours before the lock
//! innovation(h) = z(h) - (a + b mu)              mu: ln crowd at the peak by the calendar
//! ln crowd      = mu + k(h) innovation(h)
//! ```
//!
//! `F`, its spread, `a`, `b` and `k` are learnt from past slots, each shrunk towards a declared
//! prior: `k0(h) = sc^2 / (sc^2 + sL^2 + sF(h)^2)` is the combination of two independent opinions
//! by their precision (FORECASTING study, 1.3). A slate that is full says "at least": it counts
//! as it stood when the last place went. Nothing here looks past the moment it is asked about.

use super::lead::BUCKETS;
use super::slots::Slot;
use crate::entries::{Entries, SlateEntries};

/// Hours before the lock at which curves are kept.
const HOURS: [f64; 14] = [
    72.0, 48.0, 36.0, 24.0, 18.0, 12.0, 9.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0,
];

/// Number of points of a curve.
pub(crate) const POINTS: usize = HOURS.len();

/// Entries earlier than this before a lock do not count for it, seconds (a week).
const LONGEST_SALE: i64 = 7 * 86_400;

/// Entries older than this at the time of asking are stale, seconds.
const FRESH: i64 = 45 * 60;

/// Largest share of unknown bins in the last day of sales that is put up with.
const MOST_UNKNOWN: f64 = 0.25;

/// A slate is full from this share of its places on.
const FULL: f64 = 0.98;

/// Fewest entries from which a pace is read: below, chance decides.
const LEAST: f64 = 20.0;

/// Past slots that the prior curve is worth.
const CURVE_SLOTS: f64 = 2.0;

/// Standard deviation of a peak by the calendar alone, log load (FORECASTING study, 1.3: .45).
const BY_CALENDAR: f64 = 0.45;

/// What the number of entries leaves open about the peak, log load (there: .2).
const BY_ENTRIES: f64 = 0.2;

/// Past slots that the prior of `k` is worth.
const LINK_SLOTS: f64 = 4.0;

/// Variance of innovations before any were seen.
const USUAL_VARIANCE: f64 = 0.1;

/// `k` is kept between nothing and this.
const STRONGEST: f64 = 1.3;

/// Past slots that the prior `b` = 1 (entries in proportion to the crowd) is worth, times the
/// usual variance of peaks.
const SLOPE_SLOTS: f64 = 4.0;

/// Entries move a forecast by this factor at most, up or down.
const MOST_SHIFT: f64 = 1.386_294_361_119_890_6; // ln 4

/// Days in which a past slot loses half its weight.
const MEMORY: f64 = 40.0;

/// Usual share of the final entries at each of [`HOURS`], in logs, and its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Curve {
    pub(crate) ln_share: [f64; POINTS],
    pub(crate) spread: [f64; POINTS],
}

impl Curve {
    /// From `(hours before the lock, share)` and `(hours, standard deviation of its logarithm)`,
    /// both in descending order of hours, joined by straight lines in the logarithm of hours.
    pub(crate) fn declared(shares: &[(f64, f64)], spreads: &[(f64, f64)]) -> Self {
        Self {
            ln_share: HOURS.map(|hours| along(shares, hours).clamp(1e-4, 1.0).ln()),
            spread: HOURS.map(|hours| along(spreads, hours).max(0.0)),
        }
    }
}

/// The value at `hours` on a line through points in descending order of hours.
fn along(points: &[(f64, f64)], hours: f64) -> f64 {
    let x = |hours: f64| (hours + 0.25).ln();
    let after = points.iter().position(|&(at, _)| at <= hours);
    match after {
        None => points.last().map_or(0.0, |point| point.1),
        Some(0) => points[0].1,
        Some(right) => {
            let ((h0, y0), (h1, y1)) = (points[right - 1], points[right]);
            y0 + (y1 - y0) * (x(h0) - x(hours)) / (x(h0) - x(h1))
        }
    }
}

/// What entries say about one slot at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Entries so far.
    pub(crate) so_far: f64,
    /// Hours from the moment that was read to the lock.
    pub(crate) hours: f64,
    /// True when no place was left at the moment of asking.
    pub(crate) full: bool,
}

/// Why entries say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Silence {
    /// No entries are known for it.
    Missing,
    /// The last that are known are too old.
    Stale,
    /// Too many are unknown.
    Holes,
    /// Too few have entered yet.
    Few,
    /// No past slot to compare with.
    NoPast,
}

/// One slate's entries with running sums: what was in by any moment is a subtraction.
#[derive(Debug)]
struct Sold<'a> {
    name: Option<&'a str>,
    slate: &'a SlateEntries,
    /// Entries before each bin; unknown bins carry the last known rate on.
    sums: Vec<f64>,
    /// Unknown bins before each bin.
    unknown: Vec<u32>,
}

impl<'a> Sold<'a> {
    fn new(name: Option<&'a str>, slate: &'a SlateEntries) -> Self {
        let seconds = slate.rate.step().num_milliseconds() as f64 / 1_000.0;
        let (mut sum, mut missing, mut last) = (0.0, 0, 0.0);
        let mut sums = vec![0.0];
        let mut unknown = vec![0];
        for &rate in slate.rate.raw() {
            if rate.is_finite() {
                last = rate;
            } else {
                missing += 1;
            }
            sum += last * seconds;
            sums.push(sum);
            unknown.push(missing);
        }
        Self {
            name,
            slate,
            sums,
            unknown,
        }
    }

    /// Whole bins that end by `at`.
    fn bins(&self, at: i64) -> usize {
        let step = self.slate.rate.step().num_milliseconds().max(1);
        let since = at * 1_000 - self.slate.rate.start().timestamp_millis();
        usize::try_from(since.div_euclid(step))
            .unwrap_or(0)
            .min(self.sums.len() - 1)
    }

    /// Entries in `[from, at)` as they were known at `at`.
    fn between(&self, from: i64, at: i64) -> Result<f64, Silence> {
        let (first, last) = (self.bins(from), self.bins(at));
        if last <= first {
            return Err(Silence::Missing);
        }
        let step = self.slate.rate.step().num_seconds().max(1);
        let day = self.bins(at - 86_400).max(first);
        let raw = self.slate.rate.raw();
        let known = raw[first..last].iter().rposition(|rate| rate.is_finite());
        let Some(known) = known else {
            return Err(Silence::Missing);
        };
        let end = self.slate.rate.start().timestamp() + (first + known + 1) as i64 * step;
        if at - end > FRESH.max(2 * step) {
            return Err(Silence::Stale);
        }
        let unknown = f64::from(self.unknown[last] - self.unknown[day]);
        if unknown > MOST_UNKNOWN * (last - day) as f64 {
            return Err(Silence::Holes);
        }
        Ok(self.sums[last] - self.sums[first])
    }
}

/// All entries, ready to be asked about slots.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    slates: Vec<Sold<'a>>,
}

impl<'a> Book<'a> {
    pub(crate) fn new(entries: &'a Entries) -> Self {
        let slates = entries
            .iter()
            .filter(|(_, slate)| !slate.rate.is_empty())
            .map(|(name, slate)| Sold::new(name, slate))
            .collect();
        Self { slates }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slates.is_empty()
    }

    /// Entries for a slot known at `at`. `opened` is the lock before it: entries without a slate
    /// count for the next lock.
    pub(crate) fn read(&self, slot: &Slot, opened: i64, at: i64) -> Result<Reading, Silence> {
        let lock = slot.anchors.lock;
        let at = at.min(lock);
        let mut named = self
            .slates
            .iter()
            .filter(|sold| {
                sold.name
                    .is_some_and(|name| slot.slates.iter().any(|s| s == name))
            })
            .peekable();
        let sold: Vec<&Sold<'_>> = if named.peek().is_some() {
            named.collect()
        } else {
            self.slates
                .iter()
                .filter(|sold| sold.name.is_none())
                .collect()
        };
        if sold.is_empty() {
            return Err(Silence::Missing);
        }
        let mut reading = Reading {
            so_far: 0.0,
            hours: (lock - at) as f64 / 3_600.0,
            full: false,
        };
        for sold in sold {
            let from = if sold.name.is_some() {
                lock - LONGEST_SALE
            } else {
                opened.max(lock - LONGEST_SALE)
            };
            let mut so_far = sold.between(from, at)?;
            if let Some(filled) = sold.filled(from, at) {
                // the pace at which the places went, not the silence after
                so_far = sold.between(from, filled).unwrap_or(so_far);
                reading.full = true;
                reading.hours = reading.hours.max((lock - filled) as f64 / 3_600.0);
            }
            reading.so_far += so_far;
        }
        if reading.so_far < LEAST {
            return Err(Silence::Few);
        }
        Ok(reading)
    }
}

impl Sold<'_> {
    /// When the places on offer were taken, if they were by `at`.
    fn filled(&self, from: i64, at: i64) -> Option<i64> {
        let (first, last) = (self.bins(from), self.bins(at));
        let time = |bin: usize| self.slate.rate.time(bin);
        let spots = self.slate.spots_at(time(last))?;
        let full = |bin: usize| self.sums[bin] - self.sums[first] >= FULL * spots;
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
        Some(time(high).timestamp())
    }
}

/// A past slot as it was seen at each point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PastSlot {
    /// Logarithm of the entries at each of [`HOURS`]; NaN where nothing was known.
    pub(crate) ln_entries: [f64; POINTS],
    /// True when it filled up: its last entries are a lower bound.
    pub(crate) full: bool,
    /// Logarithm of the crowd at the peak by the calendar, as last forecast.
    pub(crate) crowd: f64,
    /// The final entries it was heading for: those in, or what the pace said when it filled.
    pub(crate) ln_final: f64,
}

impl PastSlot {
    /// What the book holds about a slot whose lock is past. `None` when its entries are unknown.
    pub(crate) fn of(book: &Book<'_>, slot: &Slot, opened: i64, crowd: f64) -> Option<Self> {
        let lock = slot.anchors.lock;
        let last = book.read(slot, opened, lock).ok()?;
        let ln_entries = HOURS.map(|hours| {
            let at = lock - (hours * 3_600.0) as i64;
            match book.read(slot, opened, at) {
                Ok(reading) if !reading.full => reading.so_far.ln(),
                _ => f64::NAN,
            }
        });
        Some(Self {
            ln_entries,
            full: last.full,
            crowd,
            ln_final: last.so_far.ln(),
        })
    }
}

/// What past slots have taught about entries.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pace {
    prior: Curve,
    /// Weight, sum and sum of squares of ln shares per point.
    shares: [(f64, f64, f64); POINTS],
    /// Decayed sums for `ln final = a + b mu`: weight, mu, final, mu^2, mu final.
    finals: [f64; 5],
    /// Decayed sums for `k` per lead bucket: innovation^2, innovation x error.
    links: [(f64, f64); BUCKETS],
}

/// What entries make of one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// Entries so far.
    pub(crate) so_far: f64,
    /// Entries usual by then for what the calendar says.
    pub(crate) usual: f64,
    /// `z - E[z | calendar]`, log.
    pub(crate) innovation: f64,
    /// What it adds to the log of the crowd.
    pub(crate) shift: f64,
    /// True when no place is left.
    pub(crate) full: bool,
}

impl Pace {
    pub(crate) fn new(prior: Curve) -> Self {
        Self {
            prior,
            shares: [(0.0, 0.0, 0.0); POINTS],
            finals: [0.0; 5],
            links: [(0.0, 0.0); BUCKETS],
        }
    }

    /// True once a past slot has taught something.
    pub(crate) fn has_learnt(&self) -> bool {
        self.finals[0] > 0.0
    }

    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for (weight, sum, squares) in &mut self.shares {
            *weight *= keep;
            *sum *= keep;
            *squares *= keep;
        }
        for sum in &mut self.finals {
            *sum *= keep;
        }
        for (squares, products) in &mut self.links {
            *squares *= keep;
            *products *= keep;
        }
    }

    /// Learns from a slot that has been played.
    pub(crate) fn learn(&mut self, mut past: PastSlot) {
        if past.full {
            // how many would have come had there been places
            let last = past.ln_entries.iter().rposition(|ln| ln.is_finite());
            if let Some(point) = last {
                let (ln_share, _) = self.usual(HOURS[point]);
                past.ln_final = past.ln_final.max(past.ln_entries[point] - ln_share);
            }
        } else {
            for (sums, ln) in self.shares.iter_mut().zip(past.ln_entries) {
                let share = ln - past.ln_final;
                if share.is_finite() {
                    sums.0 += 1.0;
                    sums.1 += share;
                    sums.2 += share * share;
                }
            }
        }
        let (mu, last) = (past.crowd, past.ln_final);
        if mu.is_finite() && last.is_finite() {
            for (sum, value) in self
                .finals
                .iter_mut()
                .zip([1.0, mu, last, mu * mu, mu * last])
            {
                *sum += value;
            }
        }
    }

    /// Learns how far an innovation was right: what the calendar alone got wrong about the peak.
    /// The innovation counts as far as the peak was the crowd's.
    pub(crate) fn link(&mut self, bucket: usize, innovation: f64, error: f64) {
        if innovation.is_finite() && error.is_finite() {
            let x = innovation.clamp(-2.0, 2.0);
            self.links[bucket].0 += x * x;
            self.links[bucket].1 += x * error.clamp(-2.0, 2.0);
        }
    }

    /// Usual log share `hours` before the lock, and its standard deviation.
    fn usual(&self, hours: f64) -> (f64, f64) {
        let point = |index: usize| {
            let (weight, sum, squares) = self.shares[index];
            let (ln, sd) = (self.prior.ln_share[index], self.prior.spread[index]);
            let total = weight + CURVE_SLOTS;
            let mean = (sum + CURVE_SLOTS * ln) / total;
            let scatter = squares - 2.0 * mean * sum + mean * mean * weight;
            let variance = (scatter.max(0.0) + CURVE_SLOTS * sd * sd) / total;
            (mean, variance.sqrt())
        };
        let right = HOURS.iter().position(|&at| at <= hours);
        match right {
            Some(0) => point(0),
            None => point(POINTS - 1),
            Some(right) => {
                let x = |hours: f64| (hours + 0.25).ln();
                let (a, b) = (point(right - 1), point(right));
                let (h0, h1) = (HOURS[right - 1], HOURS[right]);
                let part = (x(h0) - x(hours)) / (x(h0) - x(h1));
                (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part)
            }
        }
    }

    /// What the calendar says of the final entries: `a + b mu`, with the number of past slots
    /// behind it.
    fn expected(&self, mu: f64) -> Option<(f64, f64)> {
        let [weight, sum_mu, sum_last, mu2, cross] = self.finals;
        if weight <= 0.0 {
            return None;
        }
        let (mean_mu, mean_last) = (sum_mu / weight, sum_last / weight);
        let variance = (mu2 - weight * mean_mu * mean_mu).max(0.0);
        let covariance = cross - weight * mean_mu * mean_last;
        let prior = SLOPE_SLOTS * BY_CALENDAR * BY_CALENDAR;
        let slope = (covariance + prior) / (variance + prior);
        Some((mean_last + slope.clamp(0.0, 2.0) * (mu - mean_mu), weight))
    }

    /// What a reading means for a slot whose crowd the calendar puts at `exp(mu)`, `bucket` ahead.
    pub(crate) fn judge(
        &self,
        reading: Reading,
        mu: f64,
        bucket: usize,
    ) -> Result<Verdict, Silence> {
        let (expected, slots) = self.expected(mu).ok_or(Silence::NoPast)?;
        let (ln_share, spread) = self.usual(reading.hours);
        let innovation = reading.so_far.ln() - ln_share - expected;
        let (calendar, entries) = (BY_CALENDAR * BY_CALENDAR, BY_ENTRIES * BY_ENTRIES);
        let prior = calendar / (calendar + entries + spread * spread);
        let (squares, products) = self.links[bucket];
        let weight = LINK_SLOTS * USUAL_VARIANCE;
        let link = ((products + weight * prior) / (squares + weight)).clamp(0.0, STRONGEST);
        // with one past slot "usual" is itself half chance
        let trust = slots / (slots + 1.0);
        let shift = (link * trust * innovation).clamp(-MOST_SHIFT, MOST_SHIFT);
        // a full slate says that at least so many wanted in: no reason to expect fewer
        let shift = if reading.full { shift.max(0.0) } else { shift };
        Ok(Verdict {
            so_far: reading.so_far,
            usual: (expected + ln_share).exp(),
            innovation,
            shift,
            full: reading.full,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::SlateEntries;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use crate::series::Series;
    use crate::units::Timestamp;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    const SHARES: [(f64, f64); 4] = [(48.0, 0.05), (24.0, 0.1), (6.0, 0.5), (0.0, 1.0)];
    const SPREADS: [(f64, f64); 3] = [(48.0, 0.4), (6.0, 0.2), (0.0, 0.0)];

    fn lock() -> Timestamp {
        Utc.with_ymd_and_hms(2024, 9, 8, 17, 0, 0).unwrap()
    }

    fn slot(slate: Option<&str>) -> Slot {
        let mut game = Fixture::game("g", "nfl", lock());
        game.slate = slate.map(str::to_owned);
        let calendar: Calendar = [game].into_iter().collect();
        let around = (lock() - TimeDelta::days(1), lock() + TimeDelta::days(1));
        slots(
            &calendar,
            lock() - TimeDelta::days(1),
            chrono_tz::Tz::UTC,
            around,
        )
        .remove(0)
    }

    /// One entry a second in the last ten hours before the lock.
    fn steady(rate: f64) -> Series {
        let from = lock() - TimeDelta::hours(10);
        Series::from_raw(from, TimeDelta::minutes(5), vec![rate; 120])
    }

    fn entries(slate: Option<&str>, rate: Series, spots: Vec<(Timestamp, f64)>) -> Entries {
        let mut entries = Entries::default();
        entries.insert(slate.map(str::to_owned), SlateEntries { rate, spots });
        entries
    }

    fn before(hours: i64) -> i64 {
        (lock() - TimeDelta::hours(hours)).timestamp()
    }

    #[test]
    fn a_slot_reads_its_slate_or_what_came_since_the_last_lock() {
        let named = entries(Some("main"), steady(1.0), Vec::new());
        let book = Book::new(&named);
        let reading = book
            .read(&slot(Some("main")), i64::MIN / 2, before(4))
            .unwrap();
        assert_eq!((reading.so_far, reading.hours), (6.0 * 3_600.0, 4.0));
        assert_eq!(
            book.read(&slot(Some("late")), i64::MIN / 2, before(4)),
            Err(Silence::Missing)
        );
        let nameless = entries(None, steady(1.0), Vec::new());
        let book = Book::new(&nameless);
        let reading = book
            .read(&slot(Some("late")), before(7), before(4))
            .unwrap();
        assert_eq!(reading.so_far, 3.0 * 3_600.0);
    }

    #[test]
    fn silence_has_its_reasons() {
        let early = entries(Some("main"), steady(1.0), Vec::new());
        let book = Book::new(&early);
        let ask =
            |book: &Book<'_>, hours| book.read(&slot(Some("main")), i64::MIN / 2, before(hours));
        assert_eq!(ask(&book, 12), Err(Silence::Missing));
        // known up to eight hours before, asked six hours before
        let stale = early.before(lock() - TimeDelta::hours(8));
        assert_eq!(ask(&Book::new(&stale), 6), Err(Silence::Stale));
        let mut holes = steady(1.0).raw().to_vec();
        holes[5..60].fill(f64::NAN);
        let holes = Series::from_raw(lock() - TimeDelta::hours(10), TimeDelta::minutes(5), holes);
        let holes = entries(Some("main"), holes, Vec::new());
        assert_eq!(ask(&Book::new(&holes), 4), Err(Silence::Holes));
        let few = entries(Some("main"), steady(1e-4), Vec::new());
        assert_eq!(ask(&Book::new(&few), 4), Err(Silence::Few));
    }

    #[test]
    fn a_full_slate_counts_as_it_stood_when_the_last_place_went() {
        let mut rate = steady(1.0).raw().to_vec();
        rate[60..].fill(0.0);
        let rate = Series::from_raw(lock() - TimeDelta::hours(10), TimeDelta::minutes(5), rate);
        let spots = vec![(lock() - TimeDelta::hours(10), 5.0 * 3_600.0)];
        let full = entries(Some("main"), rate, spots);
        let reading = Book::new(&full)
            .read(&slot(Some("main")), i64::MIN / 2, before(1))
            .unwrap();
        assert!(reading.full);
        assert!((reading.hours - 5.0).abs() < 0.2, "{reading:?}");
    }

    fn past(ln_final: f64, crowd: f64, curve: &Curve) -> PastSlot {
        PastSlot {
            ln_entries: curve.ln_share.map(|share| ln_final + share),
            full: false,
            crowd,
            ln_final,
        }
    }

    #[test]
    fn a_slate_that_sells_faster_than_usual_draws_more_and_only_as_far_as_it_was_right() {
        let curve = Curve::declared(&SHARES, &SPREADS);
        let mut pace = Pace::new(curve);
        let reading = |times: f64| Reading {
            so_far: times * 50_000.0,
            hours: 6.0,
            full: false,
        };
        assert_eq!(pace.judge(reading(1.0), 6.0, 3), Err(Silence::NoPast));
        for _ in 0..6 {
            pace.learn(past(100_000.0_f64.ln(), 6.0, &curve));
        }
        let usual = pace.judge(reading(1.0), 6.0, 3).unwrap();
        assert!(usual.innovation.abs() < 0.02, "{usual:?}");
        assert!((usual.usual - 50_000.0).abs() < 1_500.0);
        let fast = pace.judge(reading(1.6), 6.0, 3).unwrap();
        assert!((fast.innovation - 1.6_f64.ln()).abs() < 0.02);
        assert!(fast.shift > 0.2 && fast.shift < fast.innovation);
        let slow = pace.judge(reading(0.5), 6.0, 3).unwrap();
        assert!(slow.shift < -0.2);
        // a larger crowd by the calendar is no news when it sells in proportion
        let larger = pace.judge(reading(1.6), 6.0 + 1.6_f64.ln(), 3).unwrap();
        assert!(larger.innovation.abs() < 0.05, "{larger:?}");

        let mut wrong = pace.clone();
        for _ in 0..40 {
            pace.link(3, 0.5, 0.5);
            wrong.link(3, 0.5, 0.0);
        }
        let trusted = pace.judge(reading(1.6), 6.0, 3).unwrap();
        let ignored = wrong.judge(reading(1.6), 6.0, 3).unwrap();
        assert!(trusted.shift > fast.shift && ignored.shift < 0.1 * trusted.shift);
    }

    #[test]
    fn full_is_at_least() {
        let curve = Curve::declared(&SHARES, &SPREADS);
        let mut pace = Pace::new(curve);
        pace.learn(past(100_000.0_f64.ln(), 6.0, &curve));
        let reading = Reading {
            so_far: 1_000.0,
            hours: 6.0,
            full: true,
        };
        assert_eq!(pace.judge(reading, 6.0, 3).unwrap().shift, 0.0);
        let open = Reading {
            full: false,
            ..reading
        };
        assert!(pace.judge(open, 6.0, 3).unwrap().shift < 0.0);
        // a full slate teaches what it was heading for, not what it was cut at
        let mut cut = past(50_000.0_f64.ln(), 6.0, &curve);
        cut.full = true;
        for point in &mut cut.ln_entries[8..] {
            *point = f64::NAN;
        }
        let mut pace = Pace::new(curve);
        pace.learn(cut);
        let (expected, _) = pace.expected(6.0).unwrap();
        assert!((expected - 50_000.0_f64.ln()).abs() < 0.05, "{expected}");
    }

    #[test]
    fn the_curve_is_the_prior_until_slates_say_otherwise() {
        let curve = Curve::declared(&SHARES, &SPREADS);
        let mut pace = Pace::new(curve);
        let (share, spread) = pace.usual(6.0);
        assert!((share.exp() - 0.5).abs() < 1e-9 && (spread - 0.2).abs() < 1e-9);
        assert_eq!(pace.usual(0.0), (0.0, 0.0));
        let late = Curve::declared(&[(48.0, 0.01), (6.0, 0.1), (0.0, 1.0)], &SPREADS);
        for _ in 0..20 {
            pace.learn(past(10.0, 5.0, &late));
        }
        assert!((pace.usual(6.0).0.exp() - 0.12).abs() < 0.02);
        pace.age(4_000.0);
        assert!((pace.usual(6.0).0.exp() - 0.5).abs() < 1e-6);
    }
}
