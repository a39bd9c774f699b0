//! Contest entries as a leading indicator: how a slate sells against its usual pace.
//!
//! Entries so far, divided by the share that is usually in by then, tell how many will have
//! entered at the lock (multiplicative pickup in its log form, the booking curve of hotels and
//! airlines). Only the *innovation* counts, the difference to what the calendar already says:
//!
//! ```text
//! z(h)          = ln E(h) - ln F(h)              F: usual share in h hours before the lock
//! innovation(h) = z(h) - (a + b mu + c)          mu: ln crowd at the peak by the calendar
//!                                                c: what is peculiar to the kick-off
//! ln crowd      = mu + k(h) innovation(h)
//! ```
//!
//! `F`, its spread, `a`, `b`, `c` and `k` are learnt from past slots, each shrunk towards a declared
//! prior: `k0(h) = sc^2 / (sc^2 + sL^2 + sF(h)^2)` is the combination of two independent opinions
//! by their precision (FORECASTING study, 1.3). A slate that is full says "at least": it counts
//! as it stood when the last place went. Nothing here looks past the moment it is asked about.

use super::kick_off::KickOff;
use super::lead::{self, BUCKETS};
use curve::{HOURS, POINTS};
use finals::Finals;

mod book;
mod curve;
mod finals;
mod opening;
mod sold;
#[cfg(test)]
mod tests;
mod unmatched;

pub(crate) use book::{Book, PastSlot, Reading, Silence};
pub(crate) use curve::Curve;
pub(crate) use opening::{LONGEST_SALE, Opening, opened};
pub(crate) use unmatched::unmatched;

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

/// Entries move a forecast by this factor at most, up or down.
const MOST_SHIFT: f64 = 1.386_294_361_119_890_6; // ln 4

/// Days in which a past slot loses half its weight.
const MEMORY: f64 = 40.0;

/// What past slots have taught about entries.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Pace {
    prior: Curve,
    /// Weight, sum and sum of squares of ln shares per point.
    shares: [(f64, f64, f64); POINTS],
    finals: Finals,
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
            finals: Finals::default(),
            links: [(0.0, 0.0); BUCKETS],
        }
    }

    /// True once a past slot has taught something.
    pub(crate) fn has_learnt(&self) -> bool {
        self.finals.slots() > 0.0
    }

    /// True when whatever is asked of it has a finite answer.
    pub(crate) fn is_sound(&self) -> bool {
        self.finals.is_sound()
    }

    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for (weight, sum, squares) in &mut self.shares {
            *weight *= keep;
            *sum *= keep;
            *squares *= keep;
        }
        self.finals.fade(keep);
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
        self.finals.learn(past.kick_off, past.crowd, past.ln_final);
    }

    /// Learns how far an innovation was right: what the calendar alone got wrong about the peak.
    /// `innovation` is that of all slots whose crowds were at the peak, each by its share of them,
    /// as far as the peak was the crowds'.
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

    /// What a reading means for a slot whose crowd the calendar puts at `exp(mu)`, `bucket` ahead.
    pub(crate) fn judge(
        &self,
        kick_off: KickOff,
        reading: Reading,
        mu: f64,
        bucket: usize,
    ) -> Result<Verdict, Silence> {
        let expected = self.finals.expected(kick_off, mu).ok_or(Silence::NoPast)?;
        let (ln_share, spread) = self.usual(reading.hours);
        let innovation = reading.so_far.ln() - ln_share - expected;
        let (calendar, entries) = (BY_CALENDAR * BY_CALENDAR, BY_ENTRIES * BY_ENTRIES);
        let prior = calendar / (calendar + entries + spread * spread);
        // nearer, a forecast sees the crowd itself: what entries told before it came holds on
        let (squares, products) = self.links[bucket.max(lead::GATHERED)];
        let weight = LINK_SLOTS * USUAL_VARIANCE;
        let link = ((products + weight * prior) / (squares + weight)).clamp(0.0, STRONGEST);
        // with one past slot "usual" is itself half chance
        let slots = self.finals.slots();
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
