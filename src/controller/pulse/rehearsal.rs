//! The fast loop at full load without a cluster: as many workloads as wanted, samples sent to the
//! inbox, every look the controller takes, and the slow loop's plans beside them.
//!
//! What is left out is the network: answers of the API server and of Prometheus, and the reading
//! of pushed JSON or scraped pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;

use super::{Pulses, Stance};
use crate::api::v1alpha1::ScaleTargetRef;
use crate::burst::LiveSample;
use crate::clock::{Clock as _, SystemClock};
use crate::controller::act::Order;
use crate::controller::state::PolicyKey;
use crate::fixture::{Calendar, Fixture};
use crate::forecast::Forecast;
use crate::plan::{BridgesSeen, BurstSight, Memory, Observed, Policy, Signal, Workload, plan};
use crate::serve::Metrics;
use crate::source::{Inbox, LiveSource};
use crate::target::WorkloadSize;
use crate::units::{Rate, Timestamp};

/// Load of each workload, per second.
const LOAD: f64 = 200.0;

/// Many workloads and their fast loops.
#[derive(Debug)]
pub struct Rehearsal {
    clock: SystemClock,
    inbox: Inbox,
    pulses: Pulses,
    workloads: Vec<Rehearsed>,
}

#[derive(Debug)]
struct Rehearsed {
    key: PolicyKey,
    name: String,
    stance: Stance,
    /// Monotonic nanoseconds at which its last sample was sent.
    sent: AtomicU64,
}

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// From the sample being sent to it being looked at.
    pub lateness: TimeDelta,
    /// Whether it calls for a decision.
    pub decides: bool,
}

impl Rehearsal {
    /// So many workloads with a day's forecast and three hundred fixtures.
    ///
    /// # Errors
    /// When metrics cannot be made, which no input can cause.
    pub fn new(workloads: u32) -> Result<Self, prometheus::Error> {
        let clock = SystemClock::new();
        let now = clock.now();
        let inbox = Inbox::new(Metrics::new()?);
        let pulses = Pulses::default();
        let stance = stance(now)?;
        let workloads = (0..workloads)
            .map(|number| {
                let key = PolicyKey {
                    namespace: "dfs".to_owned(),
                    name: format!("workload-{number}"),
                    uid: number.to_string(),
                };
                let name = key.to_string();
                inbox.open(&name, LiveSource::Push);
                pulses.brief(&key, stance.clone(), None, now);
                Rehearsed {
                    key,
                    name,
                    stance: stance.clone(),
                    sent: AtomicU64::new(0),
                }
            })
            .collect();
        Ok(Self {
            clock,
            inbox,
            pulses,
            workloads,
        })
    }

    /// Sends a second of one workload's load, which wobbles by a few percent.
    pub fn send(&self, number: usize, second: u64) {
        let workload = &self.workloads[number];
        let now = self.clock.now();
        let wobble = ((number as u64 * 7 + second * 13) % 21) as f64 - 10.0;
        let sample = LiveSample {
            from: now - TimeDelta::seconds(1),
            to: now,
            offered: Rate::per_second(LOAD + wobble),
            queued: None,
            error: 0.0,
        };
        let sent = self.clock.monotonic().as_nanos() as u64;
        workload.sent.store(sent, Ordering::Relaxed);
        // a sample that is refused is not looked at, and so not counted
        let _ = self
            .inbox
            .offer(&workload.name, LiveSource::Push, sample, now);
    }

    /// Waits for samples and looks at each workload that has some.
    pub async fn look(&self) -> Vec<Look> {
        let names = self.inbox.arrivals().await;
        let mut looks = Vec::with_capacity(names.len());
        for name in names {
            let looked = self.pulses.look(&self.inbox, &name, self.clock.now());
            let number = name
                .rsplit('-')
                .next()
                .and_then(|text| text.parse::<usize>().ok());
            let (Some(looked), Some(number)) = (looked, number) else {
                continue;
            };
            let sent = self.workloads[number].sent.load(Ordering::Relaxed);
            let late = (self.clock.monotonic().as_nanos() as u64).saturating_sub(sent);
            looks.push(Look {
                lateness: TimeDelta::nanoseconds(late as i64),
                decides: looked.decide,
            });
        }
        looks
    }

    /// One tick of the slow loop for one workload: a whole plan, and the briefing of its fast loop.
    pub fn tick(&self, number: usize) {
        let workload = &self.workloads[number];
        let now = self.clock.now();
        let mut stance = workload.stance.clone();
        stance.observed.burst = self.pulses.sight(&workload.key, true, now).burst;
        stance.observed.load = Signal::Sample {
            rate: Rate::per_second(LOAD),
            at: now,
        };
        let plan = plan(&stance.observed, &stance.policy, &stance.memory, now);
        stance.memory = plan.memory;
        self.pulses.brief(&workload.key, stance, None, now);
    }

    /// How many workloads there are.
    pub fn len(&self) -> usize {
        self.workloads.len()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.workloads.is_empty()
    }
}

fn stance(now: Timestamp) -> Result<Stance, prometheus::Error> {
    let mut policy =
        Policy::new(2, 400).map_err(|error| prometheus::Error::Msg(error.to_string()))?;
    policy.per_replica = Some(Rate::per_second(50.0));
    let path: Vec<f64> = (0..288).map(|bin| LOAD + f64::from(bin % 40)).collect();
    let forecast = Forecast {
        origin: now,
        start: now,
        step: TimeDelta::minutes(5),
        paths: [path.clone(), path.clone(), path.clone(), path],
        peaks: Vec::new(),
        model: "rehearsal".to_owned(),
        notes: Vec::new(),
    };
    let calendar: Calendar = (0..300)
        .map(|number| {
            let start = now + TimeDelta::hours(number * 5) - TimeDelta::days(30);
            Fixture::game(format!("game-{number}"), "league", start)
        })
        .collect();
    let replicas = 6;
    Ok(Stance {
        carried: policy.per_replica,
        policy,
        observed: Observed {
            workload: Workload {
                replicas,
                ready: replicas,
            },
            load: Signal::Sample {
                rate: Rate::per_second(LOAD),
                at: now,
            },
            shed: None,
            queued: None,
            burst: BurstSight::default(),
            forecast: Some(Arc::new(forecast)),
            forecast_note: None,
            calendar: Arc::new(calendar),
            lists_note: None,
            manual: None,
            bridges: BridgesSeen::default(),
        },
        memory: Memory::default(),
        order: Order {
            target: ScaleTargetRef {
                api_version: "apps/v1".to_owned(),
                kind: "Deployment".to_owned(),
                name: "rehearsed".to_owned(),
            },
            size: WorkloadSize {
                replicas,
                ready: replicas,
                version: None,
                selector: None,
            },
            no_lowering: None,
        },
    })
}
