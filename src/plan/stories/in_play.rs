//! What a crowd in play needed is held, and nothing else.

use super::*;

/// A story that begins two hours before a kick-off at 12 replicas, of which nobody needs more
/// than 2 until then.
fn before_kick_off() -> (Story, Timestamp) {
    let mut story = Story::new(12);
    let kick_off = story.now + TimeDelta::hours(2);
    let game = Fixture::game("g", "NFL", kick_off);
    story.observed.calendar = Arc::new(Calendar::from_iter([game]));
    (story, kick_off)
}

#[test]
fn what_an_earlier_crowd_needed_may_go_while_a_game_is_live() {
    let (mut story, kick_off) = before_kick_off();
    story.load(3000.0);
    story.pass(TimeDelta::minutes(50));
    assert_eq!(
        story.replicas(),
        30,
        "an earlier crowd, gone an hour before the lock"
    );
    story.load(700.0);
    story.pass(kick_off + TimeDelta::minutes(30) - story.now);
    assert_eq!(story.replicas(), 7);
    story.load(100.0);
    story.pass(TimeDelta::minutes(60));
    assert_eq!(story.replicas(), 7, "this game's own crowd is held");
}

#[test]
fn a_failed_read_in_play_does_not_freeze_what_nobody_needed() {
    let (mut story, kick_off) = before_kick_off();
    story.load(700.0);
    story.pass(kick_off + TimeDelta::minutes(10) - story.now);
    story.load(3000.0);
    story.observed.manual = Some(ManualOverride {
        action: ManualAction::Boost(60),
        expires: story.now + TimeDelta::minutes(5),
        reason: "drill".into(),
    });
    story.tick();
    story.lose_load();
    story.tick();
    story.load(3000.0);
    story.pass(TimeDelta::minutes(4));
    assert_eq!(story.replicas(), 60);
    story.pass(TimeDelta::minutes(30));
    assert_eq!(
        story.replicas(),
        30,
        "the boost goes, the crowd's need stays"
    );
}

#[test]
fn a_long_blindness_in_play_holds_everything() {
    let (mut story, kick_off) = before_kick_off();
    story.load(3000.0);
    story.pass(kick_off + TimeDelta::minutes(10) - story.now);
    story.observed.manual = Some(ManualOverride {
        action: ManualAction::Boost(60),
        expires: story.now + TimeDelta::minutes(5),
        reason: "drill".into(),
    });
    story.lose_load();
    story.pass(TimeDelta::minutes(10));
    story.load(100.0);
    story.pass(TimeDelta::minutes(60));
    assert_eq!(
        story.replicas(),
        60,
        "nobody knows what was needed meanwhile"
    );
}

#[test]
fn a_pin_that_expires_in_play_falls_to_what_the_crowd_needed() {
    let (mut story, kick_off) = before_kick_off();
    story.load(3000.0);
    story.observed.manual = Some(ManualOverride {
        action: ManualAction::Pin(50),
        expires: kick_off + TimeDelta::minutes(60),
        reason: "opener".into(),
    });
    story.pass(kick_off + TimeDelta::minutes(30) - story.now);
    story.load(100.0);
    story.pass(TimeDelta::minutes(80));
    assert_eq!(story.replicas(), 30);
}
