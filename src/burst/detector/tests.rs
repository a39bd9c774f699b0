//! What the detector answers: steps and ramps of a Poisson load, noise that is no
//! spike, and the times in between.

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
