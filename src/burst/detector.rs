//! Sees a jump in its first samples: one-sided CUSUMs on counts against what was expected.
//!
//! `S ← max(0, S + e)`, where `e` is the evidence of a sample for a load `r` times as large as
//! expected: the log-likelihood ratio of its count. An alarm is `S > h`. Where counts are as the
//! ratio takes them the mean time to a false alarm is at least `e^h` samples (Lorden 1971), and no
//! detector with that guarantee is faster in the worst case for the jump it is made for (Moustakides
//! 1986), so `h` follows from how often a false alarm may come and is not a matter of taste.
//!
//! Two of them run side by side and share the false alarms: one made for small jumps, with Poisson's
//! ratio over `φ`, and one for large ones, with that of uneven counts, which at a unit or two a
//! second needs half the time or less for eight times the load.
//!
//! Expected is the forecast times the level at which load has lately run against it; without a
//! forecast it is that level alone. `φ` is measured in quiet time at the width of the samples.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::chart::Chart;
use super::sample::LiveSample;
use super::scatter::Scatter;
use crate::units::{Rate, Timestamp};

/// The small jump that is looked for. Loads above `(r−1)/ln r` = 1.23 times the expected ones are
/// evidence for it, smaller ones against it.
const SMALL: f64 = 1.5;

/// The large one: evidence for it are loads above 1.82 times the expected ones, or somewhat less
/// where counts are uneven. Between 2.5 and 4 it makes little difference.
const LARGE: f64 = 3.0;

/// A sample moves the level up to this multiple of the expected count.
const LEVEL_MOVES: f64 = 1.5;

/// The level follows over this time: long against a spike's rise, short against a day's course.
const LEVEL: TimeDelta = TimeDelta::seconds(60);

/// Over as many units, or lumps of them, at least, or a trickle's level would be a guess.
const LEVEL_COUNT: f64 = 200.0;

/// And over no longer than this, or the morning's level would still hold at noon.
const LEVEL_LONGEST: TimeDelta = TimeDelta::minutes(15);

/// Units or lumps more than were counted: of a load that has been silent for long it is not known
/// that it is none, and two more is what the next quarter of an hour may well bring.
const UNSEEN: f64 = 2.0;

/// Nothing is an alarm before load has been seen for this long.
const WARM_UP: TimeDelta = TimeDelta::seconds(15);

/// A pause longer than this between two samples empties the statistic: what happened in between
/// is not known.
const GAP: TimeDelta = TimeDelta::seconds(90);

/// What the detector carries from one sample to the next.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detector {
    /// For a small jump and for a large one.
    charts: [Chart; 2],
    /// Decayed units counted, and units the forecast expected, whose ratio is the level.
    counted: f64,
    forecast: f64,
    /// Whether `forecast` is one, or only time.
    by_forecast: bool,
    /// Seconds of samples the level stands on, at most its memory.
    seen: f64,
    scatter: Scatter,
    /// End of the last sample.
    last: Option<Timestamp>,
}

/// A jump that is not chance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// When the alarm was given: the end of the sample that gave it.
    pub at: Timestamp,
    /// The likeliest beginning of the jump.
    pub since: Timestamp,
    /// Load expected without it.
    pub expected: Rate,
    /// Mean load since it began, as a multiple of the expected one.
    pub multiple: f64,
    /// Variance over mean of the counts, as measured in quiet time.
    pub dispersion: f64,
}

impl Detector {
    /// Takes in the next sample. `forecast` is the load the slow loop expects then, when it knows;
    /// `false_alarm_every` the least mean time between two false alarms.
    ///
    /// A sample at or before the last one is ignored. After an alarm the statistic starts anew.
    pub fn observe(
        &mut self,
        sample: &LiveSample,
        forecast: Option<Rate>,
        false_alarm_every: TimeDelta,
    ) -> Option<Alarm> {
        if self.last.is_some_and(|last| sample.to <= last) {
            return None;
        }
        let pause = self.last.map(|last| sample.from - last);
        if pause.is_some_and(|pause| pause > GAP) {
            self.forget_time();
        }
        self.last = Some(sample.to);
        let forecast = forecast.filter(|rate| rate.is_valid() && *rate > Rate::ZERO);
        if forecast.is_some() != self.by_forecast {
            self.rebase(forecast);
        }
        let seconds = sample.seconds();
        let base = forecast.map_or(1.0, Rate::as_per_second) * seconds;
        let counted = sample.count();
        let warm = self.seen * 1e3 >= WARM_UP.num_milliseconds() as f64;
        let expected = self.expectation(base, seconds);
        let Some(expected) = expected.filter(|_| warm) else {
            // nothing is clipped yet: a load that scatters widely is known by it from the start
            if let Some(expected) = expected {
                self.was_scatter(counted, expected);
            }
            self.scatter.count(counted, seconds);
            self.follow(counted, base, seconds);
            return None;
        };

        let phi = self
            .scatter
            .about(expected)
            .and(sample.error.powi(2) * expected);
        self.scatter.count(counted, seconds);
        let evidence = [
            phi.for_small_jump(SMALL, counted, expected),
            phi.for_large_jump(LARGE, counted, expected),
        ];
        for (chart, evidence) in self.charts.iter_mut().zip(evidence) {
            chart.take_in(evidence, [counted, expected], sample.from);
        }
        let run_length = false_alarm_every.num_milliseconds() as f64 / 1e3 / seconds;
        let threshold = (run_length.max(2.0) * self.charts.len() as f64).ln();
        let likelier = |a: &&Chart, b: &&Chart| a.statistic().total_cmp(&b.statistic());
        let alarms = |chart: &&Chart| chart.alarms(threshold, phi.lump());
        let alarming = self.charts.iter().filter(alarms).max_by(likelier);
        if let Some(excursion) = alarming.and_then(Chart::excursion) {
            let alarm = Alarm {
                at: sample.to,
                since: excursion.since,
                expected: Rate::per_second(expected / seconds),
                multiple: excursion.counted / excursion.expected.max(f64::MIN_POSITIVE),
                dispersion: phi.units(),
            };
            self.charts = [Chart::default(); 2];
            return Some(alarm);
        }
        let deviation = (phi.units() * expected).sqrt();
        if self.charts.iter().all(|c| c.statistic() < threshold / 2.0) {
            let residual = counted - expected;
            self.scatter.measure(residual, expected, seconds);
        }
        // a sample that may belong to a jump moves the level no further than chance would
        let most = (expected * LEVEL_MOVES).max(expected + 3.0 * deviation + phi.lump());
        self.follow(counted.min(most), base, seconds);
        None
    }

    /// Goes on after the clock was set back by so much. The level outlasts a small step as it does
    /// a short pause: to learn it anew would leave nothing watched meanwhile.
    pub fn set_back(&mut self, by: TimeDelta) {
        if by > GAP {
            self.forget_time();
        }
        self.charts = [Chart::default(); 2];
        self.last = None;
    }

    /// Forgets when the last sample was: what was learnt of scatter stays, the level is learnt
    /// anew.
    fn forget_time(&mut self) {
        *self = Self {
            scatter: self.scatter,
            ..Self::default()
        };
    }

    /// Begins anew at a level at a time: after a spike the load before it is no measure any more.
    /// What passed since the last sample that was taken in is no pause.
    pub fn settle_at(&mut self, at: Timestamp, rate: Rate, forecast: Option<Rate>) {
        self.last = Some(at);
        let memory = LEVEL.num_seconds() as f64;
        let forecast = forecast.filter(|rate| rate.is_valid() && *rate > Rate::ZERO);
        self.by_forecast = forecast.is_some();
        self.counted = rate.as_per_second() * memory;
        self.forecast = forecast.map_or(1.0, Rate::as_per_second) * memory;
        self.seen = memory;
        self.charts = [Chart::default(); 2];
    }

    /// Takes in a sample of a time in which nothing is looked for: while a spike is followed.
    pub fn pass_over(&mut self, sample: &LiveSample) {
        self.scatter.count(sample.count(), sample.seconds());
    }

    /// Learns from an alarm that was none: what gave it is how much this load scatters.
    pub fn was_scatter(&mut self, counted: f64, expected: f64) {
        self.scatter.learn(counted, expected);
    }

    /// Load that is expected where the forecast says `forecast`.
    pub fn expected(&self, forecast: Option<Rate>) -> Option<Rate> {
        let forecast = forecast.filter(|rate| rate.is_valid() && *rate > Rate::ZERO);
        if forecast.is_some() != self.by_forecast {
            return None;
        }
        let base = forecast.map_or(1.0, Rate::as_per_second);
        self.expectation(base, 1.0).map(Rate::per_second)
    }

    /// Variance over mean of the counts around `expected` of them.
    pub fn phi(&self, expected: f64) -> f64 {
        self.scatter.phi(expected)
    }

    /// Units expected in so many seconds, in which the forecast expects `base`, or one a second.
    fn expectation(&self, base: f64, seconds: f64) -> Option<f64> {
        (self.forecast > 0.0 && self.seen > 0.0).then(|| {
            let unseen = UNSEEN * self.scatter.lump() * seconds / self.seen;
            self.counted / self.forecast * base + unseen
        })
    }

    /// Keeps the level's load when a forecast comes or goes.
    fn rebase(&mut self, forecast: Option<Rate>) {
        self.by_forecast = forecast.is_some();
        if self.seen > 0.0 {
            // `forecast` holds decayed seconds times what one second was worth
            let rate = self.counted / self.seen;
            let base = forecast.map_or(1.0, Rate::as_per_second);
            self.forecast = base * self.seen;
            self.counted = rate * self.seen;
        }
    }

    fn follow(&mut self, counted: f64, base: f64, seconds: f64) {
        let rate = if self.seen > 0.0 {
            self.counted / self.seen
        } else {
            counted / seconds
        };
        let lumps = rate / self.scatter.lump();
        let memory = (LEVEL_COUNT / lumps.max(f64::MIN_POSITIVE)).clamp(
            LEVEL.num_seconds() as f64,
            LEVEL_LONGEST.num_seconds() as f64,
        );
        let keep = (-seconds / memory).exp();
        self.counted = self.counted * keep + counted;
        self.forecast = self.forecast * keep + base;
        self.seen = self.seen * keep + seconds;
    }
}

#[cfg(test)]
mod tests;
