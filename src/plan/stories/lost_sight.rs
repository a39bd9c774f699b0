//! Facts that are missing, stale or not numbers lower nothing.

use super::*;

#[test]
fn lost_load_lowers_nothing_and_starts_the_window_anew() {
    let mut story = Story::new(40);
    story.pass(TimeDelta::minutes(4));
    story.lose_load();
    let plan = story.pass(TimeDelta::hours(2));
    assert_eq!(story.replicas(), 40);
    assert!(
        plan.summary.contains("connection refused"),
        "{}",
        plan.summary
    );
    story.load(100.0);
    story.pass(TimeDelta::minutes(4));
    assert_eq!(story.replicas(), 40, "a full window must be seen first");
    story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 2);
}

#[test]
fn the_forecast_still_raises_while_load_is_lost() {
    let mut story = Story::new(2);
    story.lose_load();
    let crowd = story.now + TimeDelta::minutes(5);
    story.observed.forecast = Some(step_forecast(story.now, 100.0, crowd, 2000.0));
    story.pass(TimeDelta::minutes(5));
    assert_eq!(story.replicas(), 20);
}

#[test]
fn a_lost_forecast_lowers_nothing_but_load_still_raises() {
    let mut story = Story::new(20);
    story.observed.forecast = None;
    story.observed.forecast_note = Some("too little history".into());
    let plan = story.pass(TimeDelta::hours(1));
    assert_eq!(story.replicas(), 20);
    assert!(plan.problems[0].contains("too little history"));
    story.load(3000.0);
    story.tick();
    assert_eq!(story.replicas(), 30);
}

#[test]
fn with_neither_load_nor_forecast_it_is_said_that_nothing_grows_either() {
    let mut story = Story::new(10);
    story.lose_load();
    story.observed.forecast = None;
    story.observed.forecast_note = Some("no load is known".into());
    for capacity in [Some(Rate::per_second(100.0)), None] {
        story.policy.per_replica = capacity;
        let plan = story.tick();
        assert!(
            plan.summary
                .starts_with("hold 10: nothing is raised or lowered while data is missing: load"),
            "{}",
            plan.summary
        );
    }
}

#[test]
fn a_calendar_that_is_missing_lowers_nothing() {
    let mut story = Story::new(20);
    story.observed.lists_note = Some("calendar \"nfl\" has not loaded".into());
    let plan = story.pass(TimeDelta::hours(1));
    assert_eq!(story.replicas(), 20);
    assert_eq!(plan.problems, ["calendar \"nfl\" has not loaded"]);
    story.observed.lists_note = None;
    story.pass(TimeDelta::hours(1));
    assert!(story.replicas() < 20);
}

#[test]
fn a_stale_sample_counts_as_missing() {
    let mut story = Story::new(20);
    let stale = Signal::Sample {
        rate: Rate::ZERO,
        at: story.now - TimeDelta::minutes(3),
    };
    let nan = Signal::Sample {
        rate: Rate::per_second(f64::NAN),
        at: story.now,
    };
    let future = Signal::Sample {
        rate: Rate::ZERO,
        at: story.now + TimeDelta::minutes(5),
    };
    for bad in [stale, nan, future] {
        story.observed.load = bad;
        let plan = plan(&story.observed, &story.policy, &story.memory, story.now);
        assert_eq!(plan.desired, 20);
        assert!(plan.memory.sighted_since.is_none());
    }
}

#[test]
fn no_ready_replica_means_hold() {
    let mut story = Story::new(20);
    story.pass(TimeDelta::minutes(5));
    story.observed.workload.ready = 0;
    story.load(0.0);
    let plan = plan(&story.observed, &story.policy, &story.memory, story.now);
    assert_eq!(plan.desired, 20);
}

#[test]
fn a_forecast_with_holes_lowers_nothing() {
    let mut story = Story::new(20);
    let mut forecast = (*story.observed.forecast.clone().unwrap()).clone();
    for path in &mut forecast.paths {
        path.fill(f64::NAN);
    }
    story.observed.forecast = Some(Arc::new(forecast));
    let plan = story.pass(TimeDelta::hours(1));
    assert_eq!(story.replicas(), 20);
    assert!(
        plan.problems[0].contains("not loads"),
        "{:?}",
        plan.problems
    );
}
