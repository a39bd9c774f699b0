//! A workload with a fast loop, second by second.

use std::sync::Arc;

use chrono::TimeDelta;

use super::*;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::burst::LiveSample;
use crate::forecast::Forecast;
use crate::plan::{ManualAction, ManualOverride, Memory, Mode, Observed, Policy, Signal};
use crate::target::WorkloadSize;

struct Story {
    pulse: Pulse,
    now: Timestamp,
}

fn key() -> PolicyKey {
    PolicyKey {
        namespace: "dfs".into(),
        name: "entry".into(),
        uid: "1".into(),
    }
}

fn stance(now: Timestamp, mode: Mode, replicas: u32) -> Stance {
    let mut policy = Policy::new(2, 100).unwrap();
    policy.mode = mode;
    policy.per_replica = Some(Rate::per_second(100.0));
    policy.target_utilization = 1.0;
    let path = vec![200.0; 288];
    let forecast = Forecast {
        origin: now,
        start: now,
        step: TimeDelta::minutes(5),
        paths: [path.clone(), path.clone(), path.clone(), path],
        peaks: Vec::new(),
        model: "story".into(),
        notes: Vec::new(),
    };
    Stance {
        carried: None,
        policy,
        observed: Observed {
            workload: Workload {
                replicas,
                ready: replicas,
            },
            load: Signal::Sample {
                rate: Rate::per_second(200.0),
                at: now,
            },
            shed: None,
            queued: None,
            burst: BurstSight::default(),
            forecast: Some(Arc::new(forecast)),
            forecast_note: None,
            calendar: Arc::default(),
            lists_note: None,
            manual: None,
            bridges: crate::plan::BridgesSeen::default(),
        },
        memory: Memory::default(),
        order: Order {
            target: ScaleTargetRef {
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                name: "entry".into(),
            },
            size: WorkloadSize {
                replicas,
                ready: replicas,
                version: Some("7".into()),
                selector: None,
            },
            no_lowering: None,
        },
    }
}

impl Story {
    fn new(mode: Mode) -> Self {
        let mut story = Self {
            pulse: Pulse::default(),
            now: Timestamp::UNIX_EPOCH + TimeDelta::days(20_000),
        };
        story.tick(mode, 3);
        for _ in 0..60 {
            assert!(!story.see(200.0));
        }
        story.tick(mode, 3);
        story
    }

    fn tick(&mut self, mode: Mode, replicas: u32) {
        let stance = stance(self.now, mode, replicas);
        if self.pulse.begins(&key(), &stance) {
            self.pulse = Pulse::new(&key(), LearntSpikes::default());
        }
        self.pulse.brief(stance, &Learnt::default(), self.now);
    }

    /// One second with so much load; true when it calls for a decision.
    fn see(&mut self, load: f64) -> bool {
        let from = self.now;
        self.now += TimeDelta::seconds(1);
        let sample = LiveSample {
            from,
            to: self.now,
            offered: Rate::per_second(load),
            queued: None,
            error: 0.0,
        };
        self.pulse.take_in(&[sample], &[], self.now).decide
    }

    /// The decision where nobody has touched the policy since the tick.
    fn decide(&mut self) -> Option<(Order, Plan)> {
        let latest = self.latest();
        self.pulse.decide(Some(&latest), self.now)
    }

    fn latest(&self) -> Latest {
        let Stance { policy, order, .. } = stance(self.now, Mode::Enforce, 3);
        Latest {
            target: order.target,
            min_replicas: policy.min_replicas,
            max_replicas: policy.max_replicas,
            manual: None,
            cpu: true,
        }
    }
}

#[test]
fn a_spike_is_decided_once_and_written_against_the_size_of_the_tick() {
    let mut story = Story::new(Mode::Enforce);
    assert!(story.see(1_600.0));
    let (order, plan) = story.decide().unwrap();
    assert_eq!(
        (plan.current, order.size.version.as_deref()),
        (3, Some("7"))
    );
    assert!(plan.desired >= 16, "{}", plan.summary);
    // somebody is at it
    assert!(!story.see(1_600.0));
    let scaled = Outcome::Scaled {
        from: 3,
        to: plan.desired,
    };
    story.pulse.wrote(&scaled, &plan, story.now);
    assert!(story.decide().is_none());
    story.pulse.rest();
    assert!(!story.see(1_600.0));
    let written = story.pulse.seen(true, story.now).written.unwrap();
    assert_eq!((written.from, written.to), (3, plan.desired));
    assert!(story.pulse.seen(true, story.now).written.is_none());
}

#[test]
fn a_write_that_is_refused_is_not_tried_again_at_each_sample() {
    let mut story = Story::new(Mode::Enforce);
    let mut tried = Vec::new();
    for second in 0..30 {
        if story.see(1_600.0) {
            tried.push(second);
            let (_, plan) = story.decide().unwrap();
            let gone = Outcome::Failed(TargetError::NotFound {
                kind: "Deployment".into(),
                name: "entry".into(),
                namespace: "dfs".into(),
            });
            story.pulse.wrote(&gone, &plan, story.now);
            story.pulse.rest();
        }
    }
    assert_eq!(tried, [0, 1, 3, 7, 12, 17, 22, 27]);
    story.now += TimeDelta::seconds(4);
    let again = story.decide().unwrap().1;
    let taken = Outcome::Scaled {
        from: 3,
        to: again.desired,
    };
    story.pulse.wrote(&taken, &again, story.now);
    assert!(story.decide().is_none());
}

#[test]
fn a_write_that_was_overtaken_is_decided_on_the_size_that_was_found() {
    let mut story = Story::new(Mode::Enforce);
    story.see(1_600.0);
    let (_, plan) = story.decide().unwrap();
    let overtaken = Outcome::Failed(TargetError::Overtaken { from: 3, found: 5 });
    story.pulse.wrote(&overtaken, &plan, story.now);
    let (order, again) = story.decide().unwrap();
    assert_eq!((again.current, order.size.replicas), (5, 5));
    assert_eq!(again.desired, plan.desired);
}

#[test]
fn what_is_only_recommended_writes_nothing() {
    let mut story = Story::new(Mode::Recommend);
    assert!(story.see(1_600.0));
    assert!(story.decide().is_none());
    let sight = story.pulse.seen(true, story.now).burst;
    assert!(sight.demand.is_some() && sight.note.is_none());
}

#[test]
fn what_is_left_of_many_pods_gets_cpu_with_the_next_sample() {
    let mut story = Story::new(Mode::Enforce);
    let mut bridged = stance(story.now, Mode::Enforce, 3);
    bridged.carried = Some(Rate::per_second(100.0));
    bridged.policy.bridges.cpu = Some(CpuBridge {
        factor: 2.0,
        most: None,
    });
    bridged.observed.bridges.cpu = Some(CpuState::AsMade);
    story.pulse.brief(bridged, &Learnt::default(), story.now);
    for (state, again) in [(CpuState::PartlyRaised, true), (CpuState::Raised, false)] {
        assert!(story.see(1_600.0));
        let (_, plan) = story.decide().unwrap();
        assert!(plan.actions.contains(&Action::RaiseCpu), "{}", plan.summary);
        let scaled = Outcome::Scaled {
            from: plan.current,
            to: plan.desired,
        };
        story.pulse.bridged(state);
        story.pulse.wrote(&scaled, &plan, story.now);
        story.pulse.rest();
        assert_eq!(story.see(1_600.0), again, "{state:?}");
        story.pulse.rest();
    }
}

#[test]
fn a_failed_write_is_tried_again_with_the_next_sample() {
    let mut story = Story::new(Mode::Enforce);
    story.see(1_600.0);
    let (_, plan) = story.decide().unwrap();
    let held = Outcome::HeldBack {
        reason: "no budget".into(),
    };
    story.pulse.wrote(&held, &plan, story.now);
    story.pulse.rest();
    assert!(story.see(1_600.0));
}

#[test]
fn a_hint_is_heard_once() {
    let mut story = Story::new(Mode::Enforce);
    let hint = Hint {
        at: story.now,
        until: story.now + TimeDelta::seconds(60),
        multiple: Some(3.0),
        kind: "push".into(),
    };
    let hints = [hint];
    assert!(story.pulse.take_in(&[], &hints, story.now).decide);
    let first = story.pulse.seen(true, story.now).burst.demand.unwrap().load;
    for _ in 0..5 {
        story.see(500.0);
        story.pulse.take_in(&[], &hints, story.now);
    }
    let heard = story.pulse.heard.len();
    assert_eq!(heard, 1);
    assert!((600.0..760.0).contains(&first.as_per_second()), "{first}");
}

#[test]
fn a_hint_before_the_first_sample_is_heard_with_it() {
    let mut story = Story::new(Mode::Enforce);
    story.pulse = Pulse::default();
    story.tick(Mode::Enforce, 3);
    let hints = [Hint {
        at: story.now,
        until: story.now + TimeDelta::seconds(60),
        multiple: Some(3.0),
        kind: "touchdown".into(),
    }];
    assert!(!story.pulse.take_in(&[], &hints, story.now).decide);
    story.see(200.0);
    assert!(story.pulse.take_in(&[], &hints, story.now).decide);
    let demand = story.pulse.seen(true, story.now).burst.demand.unwrap();
    assert!(demand.load >= Rate::per_second(600.0), "{}", demand.load);
}

#[test]
fn what_was_ordered_by_hand_since_the_tick_binds_a_raise() {
    let orders = [
        (ManualAction::Freeze, None),
        (ManualAction::Pin(4), Some(4)),
    ];
    for (action, raised) in orders {
        let mut story = Story::new(Mode::Enforce);
        assert!(story.see(1_600.0));
        let latest = Latest {
            manual: Some(ManualOverride {
                action,
                expires: story.now + TimeDelta::hours(1),
                reason: "the database is at its end".into(),
            }),
            ..story.latest()
        };
        let decided = story.pulse.decide(Some(&latest), story.now);
        assert_eq!(decided.map(|(_, plan)| plan.desired), raised, "{action:?}");
    }
}

#[test]
fn bounds_edited_since_the_tick_only_make_a_raise_smaller() {
    for (max_replicas, raised) in [(5, Some(5)), (3, None), (2, None), (0, None)] {
        let mut story = Story::new(Mode::Enforce);
        assert!(story.see(1_600.0));
        let latest = Latest {
            max_replicas,
            ..story.latest()
        };
        let decided = story.pulse.decide(Some(&latest), story.now);
        assert_eq!(decided.map(|(_, plan)| plan.desired), raised);
    }
    let mut story = Story::new(Mode::Enforce);
    story.see(40_000.0);
    let latest = Latest {
        min_replicas: 200,
        max_replicas: 900,
        ..story.latest()
    };
    let (_, plan) = story.pulse.decide(Some(&latest), story.now).unwrap();
    assert_eq!(plan.desired, 100);
}

#[test]
fn a_workload_that_is_not_the_policys_any_more_is_not_written_to() {
    let story = Story::new(Mode::Enforce);
    let mut latest = story.latest();
    let mine = latest.target.clone();
    assert_eq!(latest.scales(&mine), Ok(()));
    assert!(latest.raises_cpu(&mine));
    latest.cpu = false;
    assert!(!latest.raises_cpu(&mine), "switched off since the tick");
    latest.cpu = true;
    latest.target.name = "payout".into();
    assert!(!latest.raises_cpu(&mine));
    let refused = latest.scales(&mine).unwrap_err();
    assert!(
        refused.contains("Deployment entry is not written to"),
        "{refused}"
    );
}

#[test]
fn silence_is_said_when_samples_were_promised() {
    let mut story = Story::new(Mode::Enforce);
    story.now += TimeDelta::seconds(30);
    let sight = story.pulse.seen(true, story.now).burst;
    assert_eq!(sight.note.as_deref(), Some("no sample for 30 s"));
    assert_eq!(story.pulse.seen(false, story.now).burst.note, None);
}

#[test]
fn a_clock_set_back_by_less_than_a_minute_does_not_blind_it() {
    for step in [5, 45] {
        let mut story = Story::new(Mode::Enforce);
        story.now -= TimeDelta::seconds(step);
        assert_eq!(story.pulse.last(story.now), Timestamp::MIN_UTC);
        let note = story.pulse.seen(true, story.now).burst.note;
        assert!(note.is_none_or(|note| !note.contains('-')));
        assert!(!story.see(200.0));
        let sight = story.pulse.seen(true, story.now).burst;
        assert!(sight.offered.is_some() && sight.note.is_none());
        assert!(story.see(1_600.0), "a spike {step} s after the step");
    }
}

#[test]
fn another_policy_of_the_same_name_begins_anew() {
    let mut story = Story::new(Mode::Enforce);
    story.see(1_600.0);
    let other = PolicyKey {
        uid: "2".into(),
        ..key()
    };
    let stance = stance(story.now, Mode::Enforce, 3);
    assert!(!story.pulse.begins(&key(), &stance));
    assert!(story.pulse.begins(&other, &stance));
}
