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
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution as _, Gamma, Poisson};

    use super::*;

    const DAY: TimeDelta = TimeDelta::days(1);

    /// Counts a second with variance `phi` times the mean.
    fn draw(rng: &mut StdRng, mean: f64, phi: f64) -> f64 {
        let mean = if phi > 1.0 {
            Gamma::new(mean / (phi - 1.0), phi - 1.0)
                .unwrap()
                .sample(rng)
        } else {
            mean
        };
        if mean > 0.0 {
            Poisson::new(mean).unwrap().sample(rng)
        } else {
            0.0
        }
    }

    fn sample(second: i64, count: f64) -> LiveSample {
        let from = Timestamp::UNIX_EPOCH + TimeDelta::seconds(second);
        LiveSample {
            from,
            to: from + TimeDelta::seconds(1),
            offered: Rate::per_second(count),
            queued: None,
            error: 0.0,
        }
    }

    /// Seconds from the jump to the alarm.
    fn delay(rng: &mut StdRng, mean: f64, phi: f64, jump: f64) -> i64 {
        let mut detector = Detector::default();
        for second in 0..300 {
            let quiet = draw(rng, mean, phi);
            detector.observe(&sample(second, quiet), None, DAY);
        }
        (300..600)
            .position(|second| {
                let count = draw(rng, mean * jump, phi);
                detector
                    .observe(&sample(second, count), None, DAY)
                    .is_some()
            })
            .map_or(300, |place| place as i64 + 1)
    }

    fn mean_delay(mean: f64, phi: f64, jump: f64) -> f64 {
        let mut rng = StdRng::seed_from_u64(7);
        let delays = (0..200).map(|_| delay(&mut rng, mean, phi, jump));
        delays.sum::<i64>() as f64 / 200.0
    }

    #[test]
    fn eight_times_the_load_is_seen_in_its_first_sample() {
        assert!(mean_delay(20.0, 1.0, 8.0) <= 1.1);
        assert_eq!(mean_delay(200.0, 4.0, 8.0), 1.0);
        assert_eq!(mean_delay(2_000.0, 20.0, 8.0), 1.0);
    }

    #[test]
    fn small_rates_take_a_few_samples_more() {
        assert!(mean_delay(1.0, 1.0, 8.0) <= 4.0);
        assert!(mean_delay(2.0, 1.0, 8.0) <= 2.0);
        assert!(mean_delay(20.0, 4.0, 2.0) <= 12.0);
    }

    #[test]
    fn false_alarms_come_no_more_often_than_they_may() {
        let mut rng = StdRng::seed_from_u64(11);
        for (mean, phi) in [(1.0, 1.0), (20.0, 4.0), (500.0, 10.0)] {
            let mut detector = Detector::default();
            let alarms = (0..5 * 86_400)
                .filter(|&second| {
                    let count = draw(&mut rng, mean, phi);
                    detector
                        .observe(&sample(second, count), None, DAY)
                        .is_some()
                })
                .count();
            assert!(alarms <= 5, "{alarms} at {mean}/s with dispersion {phi}");
        }
    }

    #[test]
    fn rare_lumps_are_no_jumps_and_many_are() {
        let mut rng = StdRng::seed_from_u64(13);
        for (lumps, jumps) in [(0.002, None), (0.05, Some(20.0)), (1.0, Some(8.0))] {
            let mut detector = Detector::default();
            let mut alarms = |seconds: std::ops::Range<i64>, lumps: f64| {
                seconds
                    .filter(|&second| {
                        let count = 1_000.0 * draw(&mut rng, lumps, 1.0);
                        let seen = sample(second, count);
                        detector.observe(&seen, None, DAY).is_some()
                    })
                    .count()
            };
            let (day, days) = (86_400, 5);
            let quiet = alarms(0..days * day, lumps);
            assert!(quiet <= days as usize, "{quiet} at {lumps} lumps a second");
            if let Some(jump) = jumps {
                assert!(alarms(days * day..days * day + 25, lumps * jump) > 0);
            }
        }
    }

    #[test]
    fn a_load_that_is_off_at_night_is_seen_when_it_comes_back() {
        let mut rng = StdRng::seed_from_u64(17);
        let mut detector = Detector::default();
        for hour in 0..36 {
            for second in hour * 3_600..(hour + 1) * 3_600 {
                let on = hour / 6 % 2 == 1;
                let count = if on { draw(&mut rng, 500.0, 4.0) } else { 0.0 };
                let alarm = detector.observe(&sample(second, count), None, DAY);
                if hour % 12 == 6 && second == hour * 3_600 {
                    assert!(alarm.is_some(), "hour {hour}");
                }
            }
        }
    }

    /// Seconds from the jump to the alarm, after `quiet` at one count a second and 500 a second for
    /// `steady` seconds.
    fn delay_after(quiet: &[f64], steady: i64, jump: f64) -> Option<i64> {
        let mut rng = StdRng::seed_from_u64(19);
        let mut detector = Detector::default();
        let mut second = 0;
        let mut next = |count: f64| {
            second += 1;
            detector
                .observe(&sample(second, count), None, DAY)
                .is_some()
        };
        for count in quiet {
            next(*count);
        }
        for _ in 0..steady {
            next(draw(&mut rng, 500.0, 4.0));
        }
        (1..=60).find(|_| next(draw(&mut rng, 500.0 * jump, 4.0)))
    }

    #[test]
    fn empty_samples_at_the_start_do_not_hide_a_jump() {
        for zeros in [1, 5, 14] {
            let delay = delay_after(&vec![0.0; zeros], 60, 8.0);
            assert!(delay.is_some_and(|delay| delay <= 2), "{zeros}: {delay:?}");
        }
    }

    #[test]
    fn a_burst_into_an_idle_service_does_not_hide_the_crowd() {
        // all that ever came was 1,000 at once: five hundred might be half of one more such lump
        for (burst, most) in [(60.0, 2), (1_000.0, 8)] {
            let mut quiet = vec![0.0; 3_600];
            quiet[3_000] = burst;
            let delay = delay_after(&quiet, 0, 1.0);
            let soon = delay.is_some_and(|delay| delay <= most);
            assert!(soon, "{burst}: {delay:?}");
        }
    }

    #[test]
    fn a_morning_that_doubles_in_ten_minutes_is_no_jump() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut detector = Detector::default();
        let alarmed = (0..3_600).any(|second| {
            let grown = 2.0_f64.powf(second as f64 / 600.0);
            let count = draw(&mut rng, 50.0 * grown, 2.0);
            detector
                .observe(&sample(second, count), None, DAY)
                .is_some()
        });
        assert!(!alarmed);
    }

    #[test]
    fn what_the_forecast_knew_is_no_jump() {
        let mut detector = Detector::default();
        for second in 0..120 {
            let forecast = Rate::per_second(if second < 60 { 100.0 } else { 800.0 });
            let seen = sample(second, forecast.as_per_second());
            assert_eq!(detector.observe(&seen, Some(forecast), DAY), None);
        }
    }

    #[test]
    fn an_alarm_tells_when_how_large_and_above_what() {
        let mut detector = Detector::default();
        for second in 0..100 {
            detector.observe(&sample(second, 200.0), None, DAY);
        }
        let alarm = detector.observe(&sample(100, 1_600.0), None, DAY).unwrap();
        assert_eq!(alarm.since, sample(100, 0.0).from);
        assert_eq!(alarm.at, sample(100, 0.0).to);
        assert!((alarm.expected.as_per_second() - 200.0).abs() < 1.0);
        assert!((alarm.multiple - 8.0).abs() < 0.1);
    }

    #[test]
    fn a_pause_says_nothing_about_what_happened_in_it() {
        let mut detector = Detector::default();
        for second in 0..100 {
            detector.observe(&sample(second, 200.0), None, DAY);
        }
        for second in 1_000..1_014 {
            assert_eq!(detector.observe(&sample(second, 900.0), None, DAY), None);
        }
        let late = detector.observe(&sample(500, 90_000.0), None, DAY);
        assert_eq!(late, None, "late samples are ignored");
    }

    proptest! {
        #[test]
        fn more_load_never_means_less_alarm(
            samples in proptest::collection::vec(
                (prop_oneof![Just(0.0), 0.0..500.0_f64], prop_oneof![Just(1), 1..20_i64]),
                30..80,
            ),
            last in prop_oneof![Just(0.0), 0.0..2_000.0_f64],
            more in 0.0..500.0_f64,
        ) {
            let mut a = Detector::default();
            let mut at = 0;
            for (rate, seconds) in samples {
                let mut seen = sample(at, rate);
                at += seconds;
                seen.to = seen.from + TimeDelta::seconds(seconds);
                a.observe(&seen, None, DAY);
            }
            let mut b = a;
            let fewer = a.observe(&sample(at, last), None, DAY);
            let larger = b.observe(&sample(at, last + more), None, DAY);
            prop_assert!(fewer.is_none() || larger.is_some());
        }

        #[test]
        fn anything_is_survived(
            samples in proptest::collection::vec(
                (-100..2_000_i64, 0.0..1e12_f64, 0.0..10.0_f64, proptest::option::of(0.0..1e9_f64)),
                0..200,
            ),
        ) {
            let mut detector = Detector::default();
            for (second, count, error, forecast) in samples {
                let seen = LiveSample { error, ..sample(second, count) };
                let alarm = detector.observe(&seen, forecast.map(Rate::per_second), DAY);
                if let Some(alarm) = alarm {
                    prop_assert!(alarm.multiple.is_finite() && alarm.expected.is_valid());
                }
                prop_assert!(detector.charts.iter().all(|chart| chart.statistic().is_finite()));
            }
        }
    }
}
