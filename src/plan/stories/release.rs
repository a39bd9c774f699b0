//! The way down, and what holds it.

use super::*;

#[test]
fn comes_down_in_rungs_after_the_window() {
    let mut story = Story::new(40);
    let held = story.pass(TimeDelta::minutes(5));
    assert_eq!(
        story.replicas(),
        40,
        "a restart shrinks nothing before a full window"
    );
    assert!(matches!(held.holds[0], Hold::WindowNotFull { .. }));
    let lowered = story.tick();
    assert_eq!(story.replicas(), 30, "one rung of a quarter");
    assert_eq!(
        lowered.summary,
        "lower 40 to 30: 1 are enough now, one rung at a time"
    );
    story.tick();
    assert_eq!(story.replicas(), 30, "the rung lasts a minute");
    story.pass(TimeDelta::minutes(1));
    assert_eq!(story.replicas(), 23);
    story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 2, "down to the minimum at last");
}

#[test]
fn a_size_that_is_lowered_to_more_than_is_wanted_says_what_holds_the_rest() {
    let mut story = Story::new(36);
    for (load, minutes) in [(3500.0, 6), (3400.0, 2)] {
        story.load(load);
        story.pass(TimeDelta::minutes(minutes));
    }
    story.load(3300.0);
    let mut said = Vec::new();
    while story.replicas() > 34 {
        said.push(story.tick().summary);
    }
    assert_eq!(
        said.last().map(String::as_str),
        Some("lower 35 to 34: 33 are enough now; 34 were wanted within the release window")
    );
}

#[test]
fn a_dip_shorter_than_the_window_lowers_nothing() {
    let mut story = Story::new(10);
    story.load(1000.0);
    story.pass(TimeDelta::minutes(10));
    story.load(100.0);
    story.pass(TimeDelta::minutes(4));
    assert_eq!(story.replicas(), 10);
    story.load(1000.0);
    story.pass(TimeDelta::minutes(10));
    assert_eq!(story.replicas(), 10);
}

#[test]
fn nothing_is_let_go_while_a_fixture_is_live() {
    let mut story = Story::new(40);
    let mut game = Fixture::game("g", "NFL", story.now - TimeDelta::minutes(30));
    game.home = Some("Bills".into());
    game.away = Some("Patriots".into());
    game.status = Status::Live;
    story.observed.calendar = Arc::new(Calendar::from_iter([game.clone()]));
    let plan = story.pass(TimeDelta::hours(3));
    assert_eq!(
        story.replicas(),
        40,
        "the feed says live, whatever the clock expected"
    );
    assert!(
        plan.summary.contains("Bills v Patriots is live"),
        "{}",
        plan.summary
    );
    game.status = Status::Final;
    game.ended_at = Some(story.now);
    story.observed.calendar = Arc::new(Calendar::from_iter([game]));
    story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 2);
}

#[test]
fn settled_hold_waits_for_the_payouts() {
    let mut story = Story::new(40);
    story.policy.release.hold_through = HoldThrough::Settled;
    let mut game = Fixture::game("g", "NFL", story.now - TimeDelta::hours(3));
    game.status = Status::Final;
    game.ended_at = Some(story.now);
    story.observed.calendar = Arc::new(Calendar::from_iter([game]));
    story.pass(TimeDelta::minutes(59));
    assert_eq!(story.replicas(), 40);
    story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 2);
}

#[test]
fn recommending_never_acts_and_follows_its_own_ladder() {
    let mut story = Story::new(40);
    story.policy.mode = Mode::Recommend;
    let plan = story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 40);
    assert_eq!(plan.desired, 2, "what it would have come down to by now");
    assert!(plan.actions.is_empty());
}

#[test]
fn replicas_that_wait_for_a_node_are_not_taken_back_while_the_others_are_full() {
    let mut story = Story::new(18);
    story.pass(TimeDelta::minutes(30));
    assert_eq!(
        story.replicas(),
        2,
        "a story whose replicas are ready comes down"
    );

    let mut story = Story::new(18);
    story.load(280.0);
    let mut cut_off = |minutes| {
        let end = story.now + TimeDelta::minutes(minutes);
        while story.now < end {
            // quota, nodes or images: three are Ready, and no more will be
            story.observed.workload = Workload {
                replicas: story.replicas(),
                ready: 3,
            };
            let plan = story.tick();
            assert_eq!(plan.desired, 18, "{}", plan.summary);
        }
    };
    cut_off(30);
    let held = Hold::CutOff {
        ready: 3,
        replicas: 18,
    };
    story.observed.workload.ready = 3;
    let plan = story.tick();
    assert_eq!(plan.holds, [held]);
    assert!(
        plan.summary
            .starts_with("hold 18: nothing is lowered while only 3 of 18 replicas are Ready"),
        "{}",
        plan.summary
    );

    // with room to spare what they serve is all that is wanted
    story.load(200.0);
    story.observed.workload.ready = 3;
    story.tick();
    story.observed.workload.ready = 3;
    story.pass(TimeDelta::minutes(30));
    assert!(story.replicas() < 18);
}

#[test]
fn a_load_about_what_is_full_takes_no_second_rung() {
    let mut story = Story::new(40);
    story.pass(TimeDelta::minutes(5));
    story.tick();
    assert_eq!(story.replicas(), 30, "one rung of a quarter");
    // ten of thirty have gone; the others are full in one tick and not in the next
    for load in [1_700.0, 1_500.0, 1_700.0] {
        story.observed.workload.ready = 20;
        story.load(load);
        story.tick();
        assert_eq!(story.replicas(), 30, "the rung lasts a minute");
    }
}

#[test]
fn above_the_maximum_a_shortage_is_judged_by_the_maximum() {
    let mut story = Story::new(120);
    story.observed.workload.ready = 100;
    story.load(8_500.0);
    let plan = plan(&story.observed, &story.policy, &story.memory, story.now);
    assert_eq!(plan.desired, 100);
    assert!(!plan.holds.iter().any(|h| matches!(h, Hold::CutOff { .. })));
    story.observed.workload.ready = 90;
    let plan = super::plan(&story.observed, &story.policy, &story.memory, story.now);
    let held = Hold::CutOff {
        ready: 90,
        replicas: 100,
    };
    assert_eq!((plan.desired, plan.holds), (100, vec![held]));
}
