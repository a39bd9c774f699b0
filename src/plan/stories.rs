//! Situations a workload meets, told step by step with a clock that only the story moves.

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone, Utc};

use super::policy::{HoldThrough, LiveCover, SpikeCover, StartUp};
use super::*;
use crate::fixture::{Calendar, Fixture, Status};
use crate::forecast::Forecast;

mod burst;
mod cover;
mod in_play;
mod lost_sight;
mod orders;
mod release;
mod rise;

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
