//! Situations a workload meets, told step by step with a clock that only the story moves.

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone, Utc};

use super::policy::{HoldThrough, LiveCover, SpikeCover, StartUp};
use super::*;
use crate::fixture::{Calendar, Fixture, Status};
use crate::forecast::Forecast;

fn noon() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 9, 13, 12, 0, 0).unwrap()
}

/// One replica carries 100/s at full target, pods take a minute, no lead, no cover.
fn policy() -> Policy {
    let mut policy = Policy::new(2, 100).unwrap();
    policy.mode = Mode::Enforce;
    policy.per_replica = Some(Rate::per_second(100.0));
    policy.target_utilization = 1.0;
    policy.lead = TimeDelta::zero();
    policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Multiple(1.0),
    };
    policy.start_up = StartUp {
        scale_up_time: Some(TimeDelta::minutes(1)),
        ..StartUp::default()
    };
    policy
}

mod burst;

/// A forecast of `level` per second that becomes `later` at `at`.
fn step_forecast(origin: Timestamp, level: f64, at: Timestamp, later: f64) -> Arc<Forecast> {
    let step = TimeDelta::minutes(1);
    let path: Vec<f64> = (0..24 * 60)
        .map(|i| if origin + step * i < at { level } else { later })
        .collect();
    Arc::new(Forecast {
        origin,
        start: origin,
        step,
        paths: [path.clone(), path.clone(), path.clone(), path],
        peaks: Vec::new(),
        model: "story".into(),
        notes: vec![],
    })
}

/// A workload whose orders are carried out at once, and the facts it shows.
struct Story {
    now: Timestamp,
    policy: Policy,
    memory: Memory,
    observed: Observed,
}

impl Story {
    fn new(replicas: u32) -> Self {
        let now = noon();
        Self {
            now,
            policy: policy(),
            memory: Memory::default(),
            observed: Observed {
                workload: Workload {
                    replicas,
                    ready: replicas,
                },
                load: Signal::Sample {
                    rate: Rate::per_second(100.0),
                    at: now,
                },
                shed: None,
                queued: None,
                burst: BurstSight::default(),
                forecast: Some(step_forecast(now, 100.0, now + TimeDelta::days(2), 0.0)),
                forecast_note: None,
                lists_note: None,
                calendar: Arc::default(),
                manual: None,
                bridges: BridgesSeen::default(),
            },
        }
    }

    fn load(&mut self, per_second: f64) {
        self.observed.load = Signal::Sample {
            rate: Rate::per_second(per_second),
            at: self.now,
        };
    }

    fn lose_load(&mut self) {
        self.observed.load = Signal::Missing {
            reason: "connection refused".into(),
        };
    }

    /// Decides, carries it out, then lets 15 s pass with the load unchanged.
    fn tick(&mut self) -> Plan {
        let plan = plan(&self.observed, &self.policy, &self.memory, self.now);
        self.memory = plan.memory.clone();
        for action in &plan.actions {
            let Action::Scale { from, to } = *action else {
                panic!("{action:?} without a bridge");
            };
            assert_eq!(from, self.observed.workload.replicas);
            self.observed.workload = Workload {
                replicas: to,
                ready: to,
            };
        }
        self.now += TimeDelta::seconds(15);
        if let Signal::Sample { at, .. } = &mut self.observed.load {
            *at = self.now;
        }
        plan
    }

    /// Ticks for a while and returns the last plan.
    fn pass(&mut self, span: TimeDelta) -> Plan {
        let end = self.now + span;
        let mut last = self.tick();
        while self.now < end {
            last = self.tick();
        }
        last
    }

    fn replicas(&self) -> u32 {
        self.observed.workload.replicas
    }
}

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
fn comes_down_in_rungs_after_the_window() {
    let mut story = Story::new(40);
    let held = story.pass(TimeDelta::minutes(5));
    assert_eq!(
        story.replicas(),
        40,
        "a restart shrinks nothing before a full window"
    );
    assert!(matches!(held.holds[0], Hold::WindowNotFull { .. }));
    story.tick();
    assert_eq!(story.replicas(), 30, "one rung of a quarter");
    story.tick();
    assert_eq!(story.replicas(), 30, "the rung lasts a minute");
    story.pass(TimeDelta::minutes(1));
    assert_eq!(story.replicas(), 23);
    story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 2, "down to the minimum at last");
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
    assert_eq!(story.tick().desired, 50);
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
fn recommending_never_acts_and_follows_its_own_ladder() {
    let mut story = Story::new(40);
    story.policy.mode = Mode::Recommend;
    let plan = story.pass(TimeDelta::minutes(30));
    assert_eq!(story.replicas(), 40);
    assert_eq!(plan.desired, 2, "what it would have come down to by now");
    assert!(plan.actions.is_empty());
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
fn cover_starts_at_a_kick_off_inside_a_forecast_bin() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Multiple(4.0),
    };
    let kick_off = story.now + TimeDelta::minutes(2);
    story.observed.calendar = Arc::new(Calendar::from_iter([Fixture::game("g", "NFL", kick_off)]));
    let mut forecast = (*step_forecast(story.now, 200.0, kick_off, 200.0)).clone();
    forecast.step = TimeDelta::minutes(5);
    story.observed.forecast = Some(Arc::new(forecast));
    assert_eq!(story.tick().desired, 2, "two minutes off, a pod takes one");
    story.pass(TimeDelta::seconds(60));
    assert_eq!(story.replicas(), 8);
}

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

#[test]
fn the_bands_error_and_the_spike_join_in_quadrature() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 2.0,
        live: LiveCover::Multiple(2.0),
    };
    let mut forecast = (*step_forecast(story.now, 1000.0, story.now, 1000.0)).clone();
    for quantile in 1..4 {
        forecast.paths[quantile].fill(2000.0);
    }
    story.observed.forecast = Some(Arc::new(forecast));
    // 1000 * exp(sqrt(2) * ln 2) = 2665, neither 2000 nor 4000
    assert_eq!(story.tick().desired, 27);
}

#[test]
fn headroom_is_said_as_a_multiple() {
    let mut story = Story::new(42);
    assert_eq!(story.tick().headroom, Some(42.0));
}

#[test]
fn live_cover_stands_ready_from_kick_off() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Multiple(4.0),
    };
    let kick_off = story.now + TimeDelta::minutes(10);
    story.observed.calendar = Arc::new(Calendar::from_iter([Fixture::game("g", "NFL", kick_off)]));
    story.load(200.0);
    story.observed.forecast = Some(step_forecast(story.now, 200.0, kick_off, 200.0));
    story.pass(TimeDelta::minutes(8));
    assert_eq!(story.replicas(), 2);
    story.pass(TimeDelta::seconds(75));
    assert_eq!(
        story.replicas(),
        8,
        "a pod takes a minute, so before the kick-off"
    );
    assert!(story.now <= kick_off);
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
