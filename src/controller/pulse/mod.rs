//! The fast loop: looks at every live sample as it arrives and decides at once when there is a
//! spike.
//!
//! It is a task of its own and never waits: not for a tick of the slow loop, not for Prometheus,
//! not for a fit, and not for the API server, for each write is a task of its own too. It decides
//! by the same `plan`, on the facts of the last tick with the spike put in, and it only ever
//! raises, sizes first and then the CPU of running pods where the policy asks for that bridge:
//! letting go is the slow loop's affair.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::events::{Event, EventType};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::act::{Order, Outcome, write};
use super::context::Context;
use super::state::PolicyKey;
use super::{bridges, events, report};
use crate::burst::spike::Learnt;
use crate::burst::{LearntSpikes, News};
use crate::plan::bridges::{CpuBridge, CpuState};
use crate::plan::{Action, Plan};
use crate::serve::metrics::WriteOutcome;
use crate::source::Inbox;
use crate::target::TargetError;
use crate::units::Timestamp;

mod beat;
mod latest;
mod patience;
mod rehearsal;
mod stance;

use beat::{Pulse, Told};
pub(super) use beat::{SeenBetween, WrittenBetween};
pub(super) use latest::Latest;
pub use rehearsal::{Look, Rehearsal};
pub(super) use stance::Stance;

/// A write that was overtaken is decided anew so often before the next tick.
const ATTEMPTS: u32 = 3;

/// The fast loop's state of every policy that has a live signal.
#[derive(Debug, Default)]
pub(super) struct Pulses {
    by_name: Mutex<HashMap<Arc<str>, Arc<Mutex<Pulse>>>>,
    /// Spikes of all workloads by sport.
    by_sport: Mutex<HashMap<String, Learnt>>,
}

impl Pulses {
    /// Takes over what a tick has found and decided.
    ///
    /// `remembered` are spikes of this workload that another controller saw: what a fast loop that
    /// begins here goes on from.
    pub(super) fn brief(
        &self,
        key: &PolicyKey,
        stance: Stance,
        remembered: Option<LearntSpikes>,
        now: Timestamp,
    ) {
        let pulse = Arc::clone(
            lock(&self.by_name)
                .entry(key.to_string().into())
                .or_default(),
        );
        let mut pulse = lock(&pulse);
        if pulse.begins(key, &stance) {
            let remembered = remembered.unwrap_or_default();
            if let Some(sport) = stance.sport(now) {
                let mut by_sport = lock(&self.by_sport);
                let pool = by_sport.entry(sport.to_owned()).or_default();
                *pool = pool.plus(&remembered.live);
            }
            *pulse = Pulse::new(key, remembered);
        }
        let kin = self.kin(&pulse, &stance, now);
        pulse.brief(stance, &kin, now);
    }

    /// What the next plan is told of spikes, and what was done since the last one.
    pub(super) fn sight(&self, key: &PolicyKey, promised: bool, now: Timestamp) -> SeenBetween {
        match self.of(&key.to_string()) {
            Some(pulse) => lock(&pulse).seen(promised, now),
            None => SeenBetween::default(),
        }
    }

    /// What the fast loop did to the CPU of running pods since this was last asked.
    pub(super) fn take_cpu(&self, key: &PolicyKey) -> Option<CpuState> {
        let pulse = self.of(&key.to_string())?;
        let mut pulse = lock(&pulse);
        pulse.is_of(key).then(|| pulse.take_cpu()).flatten()
    }

    /// Forgets a policy that is gone or has no live signal any more; whether there was one. A
    /// successor of the same name keeps what it sees.
    pub(super) fn dismiss(&self, key: &PolicyKey) -> bool {
        let name = key.to_string();
        let own = self.of(&name).is_some_and(|pulse| lock(&pulse).is_of(key));
        own && lock(&self.by_name).remove(name.as_str()).is_some()
    }

    fn of(&self, name: &str) -> Option<Arc<Mutex<Pulse>>> {
        lock(&self.by_name).get(name).cloned()
    }

    /// Spikes of other workloads of the same sport.
    fn kin(&self, pulse: &Pulse, stance: &Stance, now: Timestamp) -> Learnt {
        let Some(sport) = stance.sport(now) else {
            return Learnt::default();
        };
        let all = lock(&self.by_sport).get(sport).copied();
        all.unwrap_or_default().minus(&pulse.contributed())
    }

    /// Looks at what lies in the inbox for one policy; `None` for one without a fast loop.
    fn look(&self, inbox: &Inbox, name: &str, now: Timestamp) -> Option<Looked> {
        let shared = self.of(name)?;
        let mut pulse = lock(&shared);
        let samples = inbox.take(name, pulse.last(now));
        let hints = inbox.hints(name, now);
        let Told {
            news,
            age,
            decide,
            learnt,
        } = pulse.take_in(&samples, &hints, now);
        if let Some((sport, seen)) = learnt {
            let mut by_sport = lock(&self.by_sport);
            let pool = by_sport.entry(sport).or_default();
            *pool = pool.and(&seen);
        }
        drop(pulse);
        Some(Looked {
            pulse: shared,
            news,
            age,
            decide,
        })
    }
}

/// What one look found.
struct Looked {
    pulse: Arc<Mutex<Pulse>>,
    news: Vec<News>,
    /// Age of the newest sample, seconds.
    age: Option<f64>,
    decide: bool,
}

/// Runs until `shutdown`. Writes under way are finished.
pub(super) async fn run(ctx: Arc<Context>, shutdown: CancellationToken) {
    let writes = TaskTracker::new();
    loop {
        let names = tokio::select! {
            names = ctx.inbox.arrivals() => names,
            () = shutdown.cancelled() => break,
        };
        for name in names {
            let (now, began) = (ctx.clock.now(), ctx.clock.monotonic());
            let Some(looked) = ctx.pulses.look(&ctx.inbox, &name, now) else {
                continue;
            };
            for news in &looked.news {
                ctx.metrics.spike(news);
            }
            if let Some(age) = looked.age {
                ctx.metrics.live_looked_at(age);
            }
            if looked.decide {
                let ctx = Arc::clone(&ctx);
                writes.spawn(async move { decide(&ctx, &looked.pulse, began).await });
            }
        }
        // a flood of samples must not keep others from this thread
        tokio::task::yield_now().await;
    }
    writes.close();
    writes.wait().await;
}

/// Decides on a spike that a look `began` to see, and writes what it takes.
async fn decide(ctx: &Context, pulse: &Mutex<Pulse>, mut began: Duration) {
    if !ctx.leadership.is_leader() {
        // the leader sees the same samples; should this process lead, its tick comes at once
        lock(pulse).rest();
        return;
    }
    let (mut bridge, mut told) = (None, Vec::new());
    for _ in 0..ATTEMPTS {
        let now = ctx.clock.now();
        let Some(key) = lock(pulse).key() else {
            break;
        };
        let latest = ctx.latest(&key);
        let Some((order, plan)) = lock(pulse).decide(latest.as_ref().ok(), now) else {
            break;
        };
        if let Err(reason) = latest.and_then(|latest| latest.scales(&order.target)) {
            ctx.metrics.write(WriteOutcome::Dropped);
            tracing::debug!(policy = %key, reason, "a raise for a spike is held back");
            let held = Outcome::HeldBack { reason };
            lock(pulse).wrote(&held, &plan, now);
            break;
        }
        if plan.actions.contains(&Action::RaiseCpu) {
            let cpu = lock(pulse).cpu_bridge();
            bridge = cpu.map(|cpu| (key.clone(), order.clone(), cpu)).or(bridge);
        }
        let (from, to) = (plan.current, plan.desired);
        if to <= from {
            break;
        }
        let outcome = write(ctx, &key, &order, from, to).await;
        if matches!(outcome, Outcome::Scaled { .. }) {
            let answered = ctx.clock.monotonic();
            ctx.metrics.spike_written(answered.saturating_sub(began));
            // what more is wanted by now is another write
            began = answered;
        }
        lock(pulse).wrote(&outcome, &plan, ctx.clock.now());
        told.extend(event_of(&outcome, &plan).map(|event| (key.clone(), event)));
        match outcome {
            // more may be wanted by now, or the size was another one
            Outcome::Scaled { .. } | Outcome::Failed(TargetError::Overtaken { .. }) => {}
            _ => break,
        }
    }
    lock(pulse).rest();
    // after the size, which nothing may keep waiting: while these two are under way the next
    // raise of a growing spike is decided on
    let announce = async {
        for (key, event) in &told {
            report::publish(ctx, key, event).await;
        }
    };
    tokio::join!(raise_cpu(ctx, pulse, bridge), announce);
}

/// Gives the pods that run more CPU, where the decision asks for it.
async fn raise_cpu(
    ctx: &Context,
    pulse: &Mutex<Pulse>,
    bridge: Option<(PolicyKey, Order, CpuBridge)>,
) {
    let Some((key, order, cpu)) = bridge else {
        return;
    };
    let asked_for = || {
        let latest = ctx.latest(&key);
        latest.is_ok_and(|latest| latest.raises_cpu(&order.target))
    };
    if asked_for()
        && let Some(state) = bridges::raise_between(ctx, &key, &order, &cpu).await
    {
        lock(pulse).bridged(state);
        if !asked_for() {
            // taken back meanwhile: perhaps no tick comes that would give it back
            bridges::restore(ctx, &key, &order).await;
        }
    }
}

/// The Event of what became of a decision.
fn event_of(outcome: &Outcome, plan: &Plan) -> Option<Event> {
    match outcome {
        Outcome::Scaled { .. } => events::of_outcome(outcome, plan),
        Outcome::Failed(error) if !matches!(error, TargetError::Overtaken { .. }) => Some(Event {
            type_: EventType::Warning,
            reason: "CannotScale".to_owned(),
            note: Some(format!("a spike needs {}: {error}", plan.desired)),
            action: "ScaleForSpike".to_owned(),
            secondary: None,
        }),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
