//! The KPA worked by hand from its formulas.

use super::*;
use crate::series::Series;
use crate::simulate::{ClusterModel, World, run};

fn second(i: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
}

/// 50 per replica at 70 %: 35 per replica.
fn spec() -> KpaSpec {
    KpaSpec::new(1, 1000, Rate::per_second(35.0), TimeDelta::zero())
}

#[test]
fn a_steady_load_is_divided_by_the_target_and_rounded_up() {
    let mut kpa = Kpa::new(spec(), 1, second(0));
    assert!(!kpa.panics(), "one pod is no reason to panic");
    // 35.1 / 35 = 1.003
    assert_eq!(kpa.scale(35.1, 35.1, 1, second(2)), 2);
    assert!(kpa.panics(), "2 wanted over 1 ready is the threshold");

    let mut kpa = Kpa::new(spec(), 0, second(0));
    // 350 / 35 = 10 over 6 ready is 1.67: no panic
    assert_eq!(kpa.scale(350.0, 350.0, 6, second(2)), 10);
    assert!(!kpa.panics());
}

#[test]
fn the_way_down_is_half_of_what_is_ready_at_most() {
    let mut kpa = Kpa::new(spec(), 0, second(0));
    assert_eq!(kpa.scale(35.0, 35.0, 21, second(0)), 10, "floor(21 / 2)");
    assert_eq!(kpa.scale(35.0, 35.0, 10, second(2)), 5);
    assert_eq!(kpa.scale(0.0, 0.0, 3, second(4)), 1);
    assert_eq!(kpa.scale(0.0, 0.0, 1, second(6)), 1, "the minimum");
}

#[test]
fn the_way_up_is_a_thousandfold_at_most() {
    let wide = KpaSpec {
        max: 1_000_000,
        ..spec()
    };
    let mut kpa = Kpa::new(wide, 0, second(0));
    assert_eq!(kpa.scale(1e6, 1e6, 2, second(0)), 2000);
    let mut kpa = Kpa::new(spec(), 0, second(0));
    assert_eq!(kpa.scale(1e6, 1e6, 2, second(0)), 1000, "max-scale");
}

#[test]
fn panic_begins_at_twice_and_takes_the_short_look() {
    let mut kpa = Kpa::new(spec(), 0, second(0));
    // 19 over 10 is below twice, 20 is not
    assert_eq!(kpa.scale(350.0, 19.0 * 35.0, 10, second(0)), 10);
    assert_eq!(kpa.scale(350.0, 20.0 * 35.0, 10, second(2)), 20);
    assert!(kpa.panics());
    // the long look wins when it is the larger
    assert_eq!(kpa.scale(840.0, 700.0, 20, second(4)), 24);
}

#[test]
fn in_panic_nothing_is_let_go_until_a_stable_window_after_the_last_excess() {
    let mut kpa = Kpa::new(spec(), 0, second(0));
    assert_eq!(kpa.scale(350.0, 1400.0, 10, second(0)), 40);
    // not Ready yet, so still over the threshold at 8 s: the window begins again
    assert_eq!(kpa.scale(350.0, 1400.0, 10, second(8)), 40);
    // 40 are ready, load is gone
    for at in (10..=68).step_by(2) {
        assert_eq!(kpa.scale(350.0, 350.0, 40, second(at)), 40, "at {at}");
    }
    // `since + 60 s < now` is false at 68 s and true at 70 s; then half at most
    assert_eq!(kpa.scale(350.0, 350.0, 40, second(70)), 20);
    assert!(!kpa.panics());
    assert_eq!(kpa.scale(350.0, 350.0, 20, second(72)), 10);
}

#[test]
fn a_restart_keeps_what_is_ready_for_a_stable_window() {
    let mut kpa = Kpa::new(spec(), 30, second(0));
    assert!(kpa.panics());
    assert_eq!(kpa.scale(35.0, 35.0, 30, second(60)), 30);
    assert_eq!(kpa.scale(35.0, 35.0, 30, second(62)), 15);
}

#[test]
fn a_mean_counts_the_seconds_since_the_first() {
    let mut buckets = Buckets::over(TimeDelta::seconds(6));
    assert_eq!(buckets.average(100), None);
    buckets.record(100, 60.0);
    assert_eq!(buckets.average(100), Some(60.0));
    buckets.record(101, 30.0);
    assert_eq!(buckets.average(101), Some(45.0));
    // a second left out counts 0: (60 + 30 + 0 + 30) / 4
    buckets.record(103, 30.0);
    assert_eq!(buckets.average(103), Some(30.0));
    // nobody scraped at 104 and 105: what is left of the window, 101 to 103 of 101 to 106
    assert_eq!(buckets.average(106), Some(20.0));
    assert_eq!(buckets.average(109), None, "six seconds without a value");
    let mut buckets = Buckets::over(TimeDelta::seconds(60));
    for at in 110..180 {
        buckets.record(at, 12.0);
    }
    assert_eq!(buckets.average(179), Some(12.0));
    assert_eq!(buckets.values.len(), 60);
}

#[test]
fn a_mean_begins_anew_after_a_window_without_values() {
    for window in [6, 60] {
        let mut buckets = Buckets::over(TimeDelta::seconds(window));
        for at in 0..100 {
            buckets.record(at, 700.0);
        }
        // the last value but one of a window still counts: five or fifty-nine seconds of nothing
        let mut late = buckets.clone();
        late.record(99 + window - 1, 700.0);
        let both = 2.0 * 700.0 / window as f64;
        assert_eq!(late.average(99 + window - 1), Some(both));
        buckets.record(99 + window, 700.0);
        assert_eq!(buckets.average(99 + window), Some(700.0));
    }
}

/// A cluster under a load of whole seconds from the first one on.
fn world(load: &Series, initial: u32) -> World<'_> {
    World {
        load,
        per_replica: Rate::per_second(50.0),
        cluster: ClusterModel::constant(TimeDelta::seconds(15)),
        from: load.start(),
        scored_from: load.start(),
        to: load.end(),
        step: load.step(),
        initial,
        seed: 1,
    }
}

#[test]
fn a_hole_in_the_load_longer_than_both_windows_lets_nothing_go() {
    let mut values = vec![700.0; 300];
    values[200..270].fill(f64::NAN);
    let load = Series::from_raw(second(0), TimeDelta::seconds(1), values);
    let record = run(&world(&load, 20), &mut KpaPolicy::new("kpa", spec()));
    assert_eq!(record.desired, [20; 300]);
}

/// An eightfold step from ten replicas' worth: the six-second mean passes twice what is ready in
/// its second second, and the size settles when the mean is full of the step.
#[test]
fn an_eightfold_step_is_answered_as_the_windows_fill() {
    let step_at = 120;
    let mut values = vec![350.0; step_at];
    values.extend(vec![2800.0; 60]);
    let load = Series::from_raw(second(0), TimeDelta::seconds(1), values);
    let record = run(&world(&load, 10), &mut KpaPolicy::new("kpa", spec()));
    let at = |seconds: usize| record.desired[step_at + seconds];
    // ticks are at even seconds and see whole seconds: at 2 s two of six hold the step,
    // (4 * 350 + 2 * 2800) / 6 = 1167 -> 34; at 4 s (2 * 350 + 4 * 2800) / 6 = 1983 -> 57
    assert_eq!([at(0), at(1), at(2), at(3)], [10, 10, 34, 34]);
    assert_eq!(at(4), 57);
    assert_eq!(at(6), 80, "the whole window is the step");
    assert_eq!(at(59), 80);
}
