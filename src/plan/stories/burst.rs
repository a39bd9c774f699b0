//! Spikes: what the fast loop sees reaches the size at once, and standing headroom has its price.

use super::*;
use crate::burst::{BurstDemand, SpikeSizes};
use crate::plan::demand::Source;

impl Story {
    fn spike(&mut self, per_second: f64, confirmed: bool) {
        self.observed.burst.demand = Some(BurstDemand {
            load: Rate::per_second(per_second),
            reached: Rate::ZERO,
            seen: confirmed.then(|| Rate::per_second(per_second)),
            since: self.now,
            confirmed,
            reason: "load went from 200/s to 900/s (4.5x)".into(),
        });
    }
}

#[test]
fn a_spike_is_jumped_to_in_one_decision() {
    let mut story = Story::new(2);
    story.spike(1_200.0, false);
    let plan = story.tick();
    assert_eq!((plan.desired, plan.decision), (12, Decision::Raise));
    assert_eq!(plan.leading_part().unwrap().source, Source::Burst);
    insta::assert_snapshot!(
        plan.summary,
        @"raise 2 to 12: load went from 200/s to 900/s (4.5x): ready for 1200/s takes 12, not confirmed yet"
    );
}

#[test]
fn an_alarm_that_nothing_confirms_is_let_go_without_waiting_for_the_window() {
    let mut story = Story::new(2);
    story.policy.release.window = TimeDelta::minutes(5);
    story.pass(TimeDelta::minutes(10));
    story.spike(1_200.0, false);
    story.tick();
    story.observed.burst.demand = None;
    let plan = story.tick();
    assert_eq!(plan.decision, Decision::Lower, "{}", plan.summary);

    let mut story = Story::new(2);
    story.policy.release.window = TimeDelta::minutes(5);
    story.pass(TimeDelta::minutes(10));
    story.spike(1_200.0, true);
    story.tick();
    story.observed.burst.demand = None;
    let plan = story.tick();
    assert_eq!(plan.decision, Decision::Hold, "{}", plan.summary);
}

#[test]
fn a_spike_goes_after_the_window_and_what_the_crowd_needs_stays() {
    let mut story = Story::new(2);
    story.policy.release.window = TimeDelta::minutes(2);
    let kick_off = story.now + TimeDelta::minutes(70);
    let game = Fixture::game("g", "NFL", kick_off);
    story.observed.calendar = Arc::new(Calendar::from_iter([game]));
    story.load(700.0);
    story.pass(TimeDelta::minutes(80));
    story.load(1_000.0);
    story.spike(3_000.0, true);
    if let Some(demand) = &mut story.observed.burst.demand {
        demand.seen = Some(Rate::per_second(1_200.0));
    }
    assert_eq!(story.tick().desired, 30);
    // what is left of it when it is not held any more is not the crowd's
    story.observed.burst.demand = None;
    story.load(1_500.0);
    story.tick();
    // held for the window: what was seen of it, and not what was jumped to
    story.load(100.0);
    story.pass(TimeDelta::seconds(90));
    assert!((12..30).contains(&story.replicas()), "{}", story.replicas());
    story.pass(TimeDelta::minutes(20));
    assert_eq!(story.replicas(), 7);
}

#[test]
fn a_spike_raises_while_prometheus_is_down() {
    let mut story = Story::new(2);
    story.lose_load();
    story.spike(1_200.0, true);
    assert_eq!(story.tick().desired, 12);
    // and the live samples alone still speak when it has faded
    story.observed.burst.demand = None;
    story.observed.burst.offered = Some(Rate::per_second(1_500.0));
    assert_eq!(story.tick().desired, 15);
    story.observed.burst.offered = None;
    assert_eq!(story.tick().decision, Decision::Hold);
}

#[test]
fn silent_live_samples_hold() {
    let mut story = Story::new(12);
    story.pass(TimeDelta::seconds(15));
    story.observed.burst.note = Some("no sample for 12 s".into());
    for _ in 0..100 {
        let plan = story.tick();
        assert_eq!(plan.decision, Decision::Hold);
        assert!(
            plan.problems[0].starts_with("live load: "),
            "{:?}",
            plan.problems
        );
    }
}

/// A story with `games` in play, each replica carrying 100/s, on a forecast of 1,000/s.
fn in_play(games: u32) -> Story {
    let mut story = Story::new(10);
    story.policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Share(0.95),
    };
    story.policy.start_up.scale_up_time = Some(TimeDelta::seconds(30));
    let kick_off = story.now - TimeDelta::minutes(30);
    let game = |i| Fixture::game(format!("g{i}"), "NFL", kick_off);
    story.observed.calendar = Arc::new((0..games).map(game).collect());
    story.load(1_000.0);
    story.observed.forecast = Some(step_forecast(
        story.now,
        1_000.0,
        story.now + TimeDelta::days(2),
        0.0,
    ));
    story
}

#[test]
fn automatic_cover_stands_for_most_spikes_and_says_what_it_costs() {
    let alone = in_play(1).tick();
    let spikes = SpikeSizes::default();
    let expected = spikes.quantile(0.95, 1);
    let cover = alone.cover.unwrap();
    assert!((cover.multiple - expected).abs() < 0.01, "{cover:?}");
    assert!(
        (cover.spikes_covered.unwrap() - 0.95).abs() < 0.01,
        "{cover:?}"
    );
    assert_eq!(cover.in_play, 1);
    assert_eq!(alone.desired, (10.0 * expected - 1e-9).ceil() as u32);
    assert_eq!(cover.replicas, alone.desired - 10);
    // the rest of the game, not the whole day
    let hours = cover.replica_hours / f64::from(cover.replicas);
    assert!((1.0..3.0).contains(&hours), "{hours}");

    // one of nine games moves the whole by less
    let among = in_play(9).tick().cover.unwrap();
    assert!(among.multiple < cover.multiple / 2.0, "{among:?}");
}

#[test]
fn replicas_that_start_within_the_rise_need_less_standing() {
    let mut quick = in_play(1);
    quick.policy.start_up.scale_up_time = Some(TimeDelta::seconds(1));
    let mut slow = in_play(1);
    slow.policy.start_up.scale_up_time = Some(TimeDelta::seconds(60));
    assert!(quick.tick().desired < slow.tick().desired);
}

#[test]
fn a_typed_cover_says_which_share_of_spikes_it_takes() {
    let mut story = in_play(1);
    story.policy.spike_cover.live = LiveCover::Multiple(2.0);
    let covered = story.tick().cover.unwrap().spikes_covered.unwrap();
    assert!((covered - 0.5).abs() < 0.02, "{covered}");
}
