//! The HPA's arithmetic, held to the source and to the reaction times that follow from it.

use super::*;
use crate::units::HumanDuration;

fn second(i: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
}

fn external(total: f64, target: f64) -> Vec<Option<Reading>> {
    vec![Some(Reading::AverageValue { total, target })]
}

fn seen(current: u32) -> Seen {
    Seen {
        current,
        status: current,
        tolerance: Tolerance { up: 0.1, down: 0.1 },
    }
}

fn cpu(usage: u64, sampled: u32, unready: u32, missing: u32) -> Reading {
    Reading::Resource {
        target_percent: 70,
        request: 1000,
        pods: PodUsage {
            usage,
            sampled,
            unready,
            missing,
        },
    }
}

#[test]
fn the_resource_metric_truncates_tolerates_and_rounds_up() {
    // 769/1000 is 76 % after truncation: 76/70 = 1.086 is within 10 %
    assert_eq!(cpu(769, 10, 0, 0).proposal(&seen(10)), Some(10));
    // 77.0 % is 1.1 exactly: still within
    assert_eq!(cpu(770, 10, 0, 0).proposal(&seen(10)), Some(10));
    assert_eq!(cpu(780, 10, 0, 0).proposal(&seen(10)), Some(12));
    assert_eq!(cpu(1000, 10, 0, 0).proposal(&seen(10)), Some(15));
    assert_eq!(cpu(350, 10, 0, 0).proposal(&seen(10)), Some(5));
    assert_eq!(cpu(500, 0, 4, 0).proposal(&seen(4)), None);
}

#[test]
fn unready_pods_count_as_idle_on_the_way_up_only() {
    // 10 at 100 % and 5 starting: 1000 of 1500 is 66 %, below the target: hold
    assert_eq!(cpu(1000, 10, 5, 0).proposal(&seen(15)), Some(15));
    // 10 at 100 % and 1 starting: 90 % of 11 is 1.2857: ceil(14.14)
    assert_eq!(cpu(1000, 10, 1, 0).proposal(&seen(11)), Some(15));
    // on the way down they are left out
    assert_eq!(cpu(350, 10, 2, 0).proposal(&seen(12)), Some(5));
}

#[test]
fn missing_pods_count_against_the_direction() {
    // down: 8 at 35 % and 2 taken as full: 48 % of 10
    assert_eq!(cpu(350, 8, 0, 2).proposal(&seen(10)), Some(7));
    // up: 8 at 100 % and 2 taken as idle: 80 % of 10
    assert_eq!(cpu(1000, 8, 0, 2).proposal(&seen(10)), Some(12));
    // down turned into up by the correction: hold
    assert_eq!(cpu(650, 5, 0, 5).proposal(&seen(10)), Some(10));
}

#[test]
fn an_average_value_divides_by_the_status() {
    let read = |total| Reading::AverageValue {
        total,
        target: 35.0,
    };
    assert_eq!(read(350.0).proposal(&seen(10)), Some(10));
    assert_eq!(read(384.0).proposal(&seen(10)), Some(10));
    assert_eq!(read(386.0).proposal(&seen(10)), Some(12));
    assert_eq!(read(0.0).proposal(&seen(10)), Some(0));
    let value = |usage| Reading::Value {
        usage,
        target: 100.0,
        ready: 4,
    };
    assert_eq!(value(109.0).proposal(&seen(5)), Some(5));
    assert_eq!(value(150.0).proposal(&seen(5)), Some(6));
    assert_eq!(value(150.0).proposal(&seen(0)), Some(2));
}

#[test]
fn bounds_bypass_metrics_and_rates() {
    let mut hpa = Hpa::new(HpaSpec::new(80, 100));
    assert_eq!(hpa.sync(10, 10, &[], second(0)), 80);
    let mut hpa = Hpa::new(HpaSpec::new(2, 20));
    assert_eq!(hpa.sync(50, 50, &[], second(0)), 20);
    let mut hpa = Hpa::new(HpaSpec::new(2, 20));
    assert_eq!(hpa.sync(0, 0, &external(1000.0, 1.0), second(0)), 0);
}

#[test]
fn without_behavior_it_doubles_or_reaches_four() {
    let mut hpa = Hpa::new(HpaSpec::new(1, 1000));
    assert_eq!(hpa.sync(1, 1, &external(1e6, 10.0), second(0)), 4);
    assert_eq!(hpa.sync(4, 4, &external(1e6, 10.0), second(15)), 8);
    assert_eq!(hpa.sync(8, 8, &external(1e6, 10.0), second(30)), 16);
}

#[test]
fn a_fall_waits_for_five_minutes() {
    let mut hpa = Hpa::new(HpaSpec::new(1, 1000));
    assert_eq!(hpa.sync(20, 20, &external(200.0, 10.0), second(0)), 20);
    for i in 1..=20 {
        let at = second(15 * i);
        assert_eq!(hpa.sync(20, 20, &external(50.0, 10.0), at), 20, "{at}");
    }
    assert_eq!(hpa.sync(20, 20, &external(50.0, 10.0), second(315)), 5);
}

#[test]
fn a_missing_metric_never_lowers_and_may_raise() {
    let mut hpa = Hpa::new(HpaSpec::new(1, 1000));
    assert_eq!(hpa.sync(20, 20, &[None], second(0)), 20);
    let reading = |total| {
        Some(Reading::AverageValue {
            total,
            target: 10.0,
        })
    };
    let mut later =
        |i: i64, readings: &[Option<Reading>]| hpa.sync(20, 20, readings, second(600 + 15 * i));
    assert_eq!(later(0, &[None, reading(50.0)]), 20);
    assert_eq!(later(1, &[None, reading(300.0)]), 30);
}

#[test]
fn behavior_limits_by_period_and_remembers_what_it_added() {
    let behavior = Behavior {
        scale_up: Rules {
            policies: vec![
                RatePolicy::new(RateUnit::Pods, 4, 60),
                RatePolicy::new(RateUnit::Percent, 10, 60),
            ],
            ..Rules::default()
        },
        scale_down: Rules::down(),
    };
    let spec = HpaSpec {
        behavior: Some(behavior.clone()),
        ..HpaSpec::new(1, 1000)
    };
    let mut hpa = Hpa::new(spec.clone());
    let load = external(1e5, 10.0);
    assert_eq!(hpa.sync(20, 20, &load, second(0)), 24);
    // the period still began at 20
    assert_eq!(hpa.sync(24, 24, &load, second(15)), 24);
    assert_eq!(hpa.sync(24, 24, &load, second(60)), 28);

    let mut least = spec;
    if let Some(behavior) = &mut least.behavior {
        behavior.scale_up.select_policy = Select::Min;
    }
    let mut hpa = Hpa::new(least.clone());
    assert_eq!(hpa.sync(20, 20, &load, second(0)), 22);
    if let Some(behavior) = &mut least.behavior {
        behavior.scale_up.select_policy = Select::Disabled;
    }
    let mut hpa = Hpa::new(least);
    assert_eq!(hpa.sync(20, 20, &load, second(0)), 20);
}

#[test]
fn raising_the_minimum_counts_as_growth_under_behavior() {
    let spec = |min| HpaSpec {
        behavior: Some(Behavior::default()),
        ..HpaSpec::new(min, 1000)
    };
    let mut hpa = Hpa::new(spec(40));
    assert_eq!(hpa.sync(10, 10, &external(1e5, 10.0), second(0)), 40);
    // 40 - 30 = 10 at the start of the period: twice that is below the present size
    assert_eq!(hpa.sync(40, 40, &external(1e5, 10.0), second(10)), 40);
    assert_eq!(hpa.sync(40, 40, &external(1e5, 10.0), second(15)), 80);
}

#[test]
fn behavior_stabilises_both_ways_and_falls_by_rungs() {
    let spec = HpaSpec {
        behavior: Some(Behavior {
            scale_up: Rules {
                stabilization_window: HumanDuration(TimeDelta::seconds(30)),
                ..Rules::default()
            },
            scale_down: Rules {
                stabilization_window: HumanDuration(TimeDelta::seconds(60)),
                policies: vec![RatePolicy::new(RateUnit::Percent, 25, 60)],
                ..Rules::down()
            },
        }),
        ..HpaSpec::new(1, 1000)
    };
    let mut hpa = Hpa::new(spec);
    assert_eq!(hpa.sync(10, 10, &external(100.0, 10.0), second(0)), 10);
    assert_eq!(hpa.sync(10, 10, &external(200.0, 10.0), second(15)), 10);
    assert_eq!(hpa.sync(10, 10, &external(200.0, 10.0), second(30)), 20);
    // down: the largest of the last minute is 20 until second 90
    assert_eq!(hpa.sync(20, 20, &external(10.0, 10.0), second(75)), 20);
    // int(20 * 0.75)
    assert_eq!(hpa.sync(20, 20, &external(10.0, 10.0), second(90)), 15);
    assert_eq!(hpa.sync(15, 15, &external(10.0, 10.0), second(105)), 15);
    assert_eq!(hpa.sync(15, 15, &external(10.0, 10.0), second(150)), 11);
}

/// Seconds from an eightfold step to the spec being eight times as large, for each phase of the
/// sync period, on a metric `lag` seconds old.
fn seconds_to_eightfold(behavior: Option<&Behavior>, lag: i64) -> Vec<i64> {
    (0..15)
        .map(|phase| {
            let mut hpa = Hpa::new(HpaSpec {
                behavior: behavior.cloned(),
                ..HpaSpec::new(1, 1000)
            });
            let mut size = 10;
            let step_at = 600 + phase;
            for t in (0..).map(|i| i * 15) {
                let load = if t - lag >= step_at { 800.0 } else { 100.0 };
                size = hpa.sync(size, size, &external(load, 10.0), second(t));
                if size >= 80 {
                    return t - step_at;
                }
            }
            unreachable!()
        })
        .collect()
}

#[test]
fn an_eightfold_step_takes_what_the_arithmetic_says() {
    let spread = |times: &[i64]| {
        (
            *times.iter().min().unwrap(),
            *times.iter().max().unwrap(),
            times.iter().sum::<i64>() / times.len() as i64,
        )
    };
    // derived: doubling per sync gives 30-44 s, mean 37; with 30 s lag 60-74; with 900 % per 15 s 0-14, mean 7
    assert_eq!(spread(&seconds_to_eightfold(None, 0)), (30, 44, 37));
    assert_eq!(spread(&seconds_to_eightfold(None, 30)), (60, 74, 67));
    let fast = Behavior {
        scale_up: Rules {
            policies: vec![RatePolicy::new(RateUnit::Percent, 900, 15)],
            ..Rules::default()
        },
        scale_down: Rules::down(),
    };
    assert_eq!(spread(&seconds_to_eightfold(Some(&fast), 0)), (0, 14, 7));
}
