//! The way up: demand, forecasts and what limits a raise.

use super::*;

#[test]
fn rises_before_the_crowd_by_the_time_pods_take() {
    let mut story = Story::new(2);
    let crowd = story.now + TimeDelta::minutes(10);
    story.observed.forecast = Some(step_forecast(story.now, 100.0, crowd, 2000.0));
    story.pass(TimeDelta::minutes(8));
    assert_eq!(story.replicas(), 2, "not hours early for nothing");
    let plan = story.pass(TimeDelta::seconds(75));
    assert_eq!(story.replicas(), 20);
    assert!(story.now <= crowd);
    assert_eq!(plan.peak.unwrap().replicas, 20);
}

#[test]
fn a_large_rise_starts_earlier_because_pods_are_created_at_a_rate() {
    let mut story = Story::new(2);
    story.policy.max_replicas = 2400;
    // 2398 pods at 20/s take two minutes on top of the minute each takes
    let crowd = story.now + TimeDelta::minutes(10);
    story.observed.forecast = Some(step_forecast(story.now, 100.0, crowd, 240_000.0));
    story.pass(TimeDelta::minutes(8));
    // the look-ahead grows with what is missing only once the rise is in sight
    let at_sight = story.pass(TimeDelta::seconds(75));
    assert_eq!(at_sight.desired, 2400);
}

#[test]
fn live_demand_above_any_forecast_is_met() {
    let mut story = Story::new(2);
    story.load(1234.0);
    let plan = story.tick();
    assert_eq!(plan.desired, 13);
    assert_eq!(plan.leading_part().unwrap().source, Source::Live);
}

#[test]
fn shed_and_queued_load_is_demand() {
    let mut story = Story::new(2);
    let sample = |rate, at| {
        Some(Signal::Sample {
            rate: Rate::per_second(rate),
            at,
        })
    };
    story.load(200.0);
    story.observed.shed = sample(500.0, story.now);
    story.observed.queued = sample(300.0, story.now);
    let plan = story.tick();
    assert_eq!(plan.offered, Some(Rate::per_second(1000.0)));
    assert_eq!(plan.desired, 10);
}

#[test]
fn the_raise_limit_counts_a_minute_at_a_time() {
    let mut story = Story::new(10);
    story.policy.max_raise_per_minute = Some(20);
    story.load(9000.0);
    assert_eq!(story.tick().desired, 30);
    assert_eq!(
        story.tick().desired,
        30,
        "the same minute gives no second helping"
    );
    story.pass(TimeDelta::seconds(45));
    assert_eq!(story.replicas(), 50);
    story.pass(TimeDelta::minutes(3));
    assert_eq!(story.replicas(), 90);
}

#[test]
fn a_clock_set_back_does_not_stop_a_raise() {
    let mut story = Story::new(10);
    story.policy.max_raise_per_minute = Some(50);
    story.load(1100.0);
    story.tick();
    story.now -= TimeDelta::hours(1);
    story.observed.forecast = Some(step_forecast(
        story.now,
        100.0,
        story.now + TimeDelta::days(2),
        0.0,
    ));
    story.load(6000.0);
    assert_eq!(story.tick().desired, 60);
}

#[test]
fn capacity_is_learnt_when_none_is_typed() {
    let mut story = Story::new(10);
    story.policy.mode = Mode::Recommend;
    story.policy.per_replica = None;
    story.policy.target_utilization = 0.5;
    let first = story.tick();
    assert_eq!(first.holds, vec![Hold::CapacityUnknown]);
    assert_eq!(first.desired, 10);
    story.load(800.0);
    let plan = story.pass(TimeDelta::minutes(3));
    assert_eq!(plan.per_replica.unwrap().as_per_second().round(), 80.0);
    assert_eq!(
        plan.wish, 10,
        "what was carried was carried: no utilisation is taken off it again"
    );
}

#[test]
fn headroom_is_said_as_a_multiple() {
    let mut story = Story::new(42);
    assert_eq!(story.tick().headroom, Some(42.0));
}

#[test]
fn the_summary_reads_as_a_sentence() {
    let mut story = Story::new(2);
    story.load(1234.0);
    insta::assert_snapshot!(
        story.tick().summary,
        @"raise 2 to 13: 1234/s offered now needs 13 at 1.0x cover"
    );
}
