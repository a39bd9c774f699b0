//! A person's orders.

use super::*;

#[test]
fn manual_orders_are_obeyed_until_they_expire() {
    let mut story = Story::new(10);
    let order = |action, story: &Story| {
        Some(ManualOverride {
            action,
            expires: story.now + TimeDelta::minutes(10),
            reason: "final, see war room".into(),
        })
    };
    story.observed.manual = order(ManualAction::Pin(5), &story);
    assert_eq!(
        story.tick().desired,
        5,
        "a pin goes down too: a person said so"
    );
    story.observed.manual = order(ManualAction::Boost(50), &story);
    assert!(story.tick().summary.contains("war room"));
    assert_eq!(story.replicas(), 50);
    story.observed.manual = order(ManualAction::Freeze, &story);
    story.load(9000.0);
    let plan = story.tick();
    assert_eq!(plan.desired, 50);
    assert!(
        plan.summary.contains("frozen by hand until"),
        "{}",
        plan.summary
    );
    assert!(plan.summary.contains("war room)"), "{}", plan.summary);
    story.pass(TimeDelta::minutes(11));
    assert_eq!(story.replicas(), 90, "an expired order is no order");
}

#[test]
fn a_pin_above_the_maximum_is_cut_and_said() {
    let mut story = Story::new(10);
    story.observed.manual = Some(ManualOverride {
        action: ManualAction::Pin(500),
        expires: story.now + TimeDelta::minutes(10),
        reason: "hope".into(),
    });
    let plan = story.tick();
    assert_eq!(plan.desired, 100);
    assert!(
        plan.summary.contains("maxReplicas cuts 500 to 100"),
        "{}",
        plan.summary
    );
    assert_eq!(plan.limits[0].limit, Limit::MaxReplicas);
}

#[test]
fn scaled_to_zero_by_hand_is_left_alone() {
    let mut story = Story::new(0);
    story.load(5000.0);
    let plan = story.tick();
    assert_eq!(plan.desired, 0);
    assert!(plan.actions.is_empty());
    assert_eq!(plan.holds, vec![Hold::ScaledToZero]);
}
