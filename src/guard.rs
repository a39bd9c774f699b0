//! Every outside call goes through a guard: leave from its circuit breaker first, then the call,
//! then word of how it ended.
//!
//! The rules are in [`crate::breaker`]; this file holds the breakers, tells them the time and the
//! limits in force, and shows what they do. A guard may keep several breakers under one command,
//! told apart by a key, where one that fails must not hold up the others. What a refused call
//! means for a size is decided by the plan.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::breaker::{Breaker, Failure, Limits, Outcome, Permit, Position, Refused};
use crate::clock::SharedClock;
use crate::serve::metrics::{BreakerMetrics, Metrics};
use crate::settings::{BreakerSettings, Live};
use crate::units::{HumanDuration, Timestamp};

#[cfg(test)]
mod tests;

/// Breakers that were not asked for so long are forgotten: their workload or their Prometheus is
/// gone.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Why a call was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many calls before it failed.
    #[error(
        "the circuit breaker of {command} is open since {}: {failed} of {calls} calls failed, the \
         last: {}; one call tries again every {every}",
        since.format("%H:%M:%S UTC"),
        last.text
    )]
    Open {
        /// Resource, command, and what was called.
        command: String,
        /// Since when.
        since: Timestamp,
        /// Failed calls when it opened.
        failed: u32,
        /// All calls then.
        calls: u32,
        /// The last failure.
        last: Failure,
        /// How often. The moment itself is left to `/api/v1/breakers`: this text stays the same
        /// while the state does, and so does a status that holds it.
        every: HumanDuration,
    },
    /// No place was free in time.
    #[error(
        "{limit} calls of {command} are under way, and none ended within {millis} ms; raise \
         {setting}.maxConcurrent if the other side can take more"
    )]
    Busy {
        /// Resource, command, and what was called.
        command: String,
        /// How many may be.
        limit: u32,
        /// How long was waited, milliseconds.
        millis: u64,
        /// Where the limit is set.
        setting: &'static str,
    },
}

impl Refusal {
    /// One of few words. Of an open breaker it is that of the failure: what is wrong is the same
    /// whether it was found out just now or a second ago.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open { last, .. } => last.kind,
            Self::Busy { .. } => "busy",
        }
    }
}

/// An error of a guarded call.
pub trait Guarded: From<Refusal> {
    /// What it says of the other side.
    fn outcome(&self) -> Outcome;
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Prometheus,
    Kubernetes,
}

impl Resource {
    const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Kubernetes => "kubernetes",
        }
    }

    const fn setting(self) -> &'static str {
        match self {
            Self::Prometheus => "breakers.prometheus",
            Self::Kubernetes => "breakers.kubernetes",
        }
    }

    fn limits(self, settings: &BreakerSettings) -> Limits {
        match self {
            Self::Prometheus => settings.prometheus,
            Self::Kubernetes => settings.kubernetes,
        }
    }
}

/// The guards of every outside call. Clones share them.
///
/// The leader's Lease has none: it has its own deadlines, and a leader that is refused its renewal
/// would lose the lead for nothing.
#[derive(Debug, Clone)]
pub struct Breakers {
    /// Queries a decision waits for, by the address of the Prometheus.
    pub live: Arc<Guard>,
    /// The same by query, for those that are slow or refused by themselves: a tenant's must not hold
    /// up those of others.
    pub live_query: Arc<Guard>,
    /// Reading history, by the address of the Prometheus.
    pub history: Arc<Guard>,
    /// The same by query.
    pub history_query: Arc<Guard>,
    /// Reading workloads and HPAs, by kind: a broken conversion of one must not hide another.
    pub read: Arc<Guard>,
    /// Setting sizes, by workload: a raise is tried at least once in each sleep window, whatever
    /// becomes of other workloads' writes.
    pub write: Arc<Guard>,
    /// Status and Events.
    pub report: Arc<Guard>,
}

impl Breakers {
    /// Closed breakers, with the limits of the configuration in force.
    pub fn new(clock: &SharedClock, live: &watch::Receiver<Arc<Live>>, metrics: &Metrics) -> Self {
        let guard = |resource, command| {
            let guard = Guard {
                resource,
                command,
                clock: clock.clone(),
                live: live.clone(),
                metrics: metrics.breakers().clone(),
                slots: Mutex::default(),
            };
            guard.show(&guard.slots());
            Arc::new(guard)
        };
        Self {
            live: guard(Resource::Prometheus, "live"),
            live_query: guard(Resource::Prometheus, "live_query"),
            history: guard(Resource::Prometheus, "history"),
            history_query: guard(Resource::Prometheus, "history_query"),
            read: guard(Resource::Kubernetes, "read"),
            write: guard(Resource::Kubernetes, "write"),
            report: guard(Resource::Kubernetes, "report"),
        }
    }

    /// Every breaker that remembers anything, and the limits of all.
    pub fn shown(&self) -> Vec<GuardReport> {
        self.all().iter().map(|guard| guard.shown()).collect()
    }

    /// Forgets breakers whose workload or Prometheus is gone.
    pub fn forget_idle(&self) {
        for guard in self.all() {
            guard.forget_idle();
        }
    }

    /// Forgets those of writes: who does not write any more asks none of them, and they would be
    /// shown as they were.
    pub fn forget_writes(&self) {
        for guard in [&self.write, &self.report] {
            guard.forget();
        }
    }

    fn all(&self) -> [&Arc<Guard>; 7] {
        let Self {
            live,
            live_query,
            history,
            history_query,
            read,
            write,
            report,
        } = self;
        [
            live,
            history,
            read,
            write,
            report,
            live_query,
            history_query,
        ]
    }
}

/// A command as `/api/v1/breakers` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardReport {
    /// `prometheus` or `kubernetes`.
    pub resource: &'static str,
    /// What is done there.
    pub command: &'static str,
    /// The limits in force; spans in seconds.
    pub limits: Limits,
    /// Its breakers.
    pub breakers: Vec<BreakerReport>,
}

/// A breaker as `/api/v1/breakers` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerReport {
    /// What is called: an address, a kind or a workload.
    pub key: String,
    /// What it does with the next call.
    pub state: Position,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls that ended within the windows.
    pub calls: u32,
    /// How many of them failed.
    pub failed: u32,
    /// Since when it is not closed.
    pub open_since: Option<Timestamp>,
    /// When one call tries again.
    pub tries_again_at: Option<Timestamp>,
    /// The last failure, while it is not closed.
    pub last_error: Option<String>,
}

/// The breakers of one command.
pub struct Guard {
    resource: Resource,
    command: &'static str,
    clock: SharedClock,
    live: watch::Receiver<Arc<Live>>,
    metrics: BreakerMetrics,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("resource", &self.resource)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// One breaker with what the core does not know.
#[derive(Debug, Default)]
struct Slot {
    breaker: Breaker,
    /// When it opened, on the clock people read.
    opened_at: Option<Timestamp>,
    asked: Duration,
    freed: Arc<Notify>,
}

impl Guard {
    /// The limits in force now.
    pub fn limits(&self) -> Limits {
        self.resource.limits(&self.live.borrow().settings.breakers)
    }

    /// Whether nothing is held against `key` now.
    pub fn is_closed(&self, key: &str) -> bool {
        let slots = self.slots();
        let position = slots.get(key).map(|slot| slot.breaker.position());
        position.is_none_or(|position| position == Position::Closed)
    }

    /// Makes a call, unless the breaker of `key` refuses it. While all places are taken it waits
    /// for one, at most as long as a call may take.
    ///
    /// # Errors
    /// The call's own, or that of a [`Refusal`].
    pub fn call<T, E: Guarded>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // calls are large, and a tick holds several at once
        let call = Box::pin(call);
        async move {
            let pass = self.enter(key).await?;
            let answer = call.await;
            pass.leave(match &answer {
                Ok(_) => Outcome::Ok,
                Err(error) => error.outcome(),
            });
            answer
        }
    }

    async fn enter<'g>(&'g self, key: &'g str) -> Result<Pass<'g>, Refusal> {
        let limits = self.limits();
        let waiting = async {
            loop {
                match self.begin(key) {
                    Ok(permit) => {
                        return Ok(Pass {
                            guard: self,
                            key,
                            permit: Some(permit),
                        });
                    }
                    Err(Wait::Refused(refusal)) => return Err(refusal),
                    Err(Wait::Until(freed)) => freed.notified().await,
                }
            }
        };
        if let Ok(entered) = tokio::time::timeout(limits.timeout, waiting).await {
            return entered;
        }
        self.metrics.refused(self.names(), "busy");
        Err(Refusal::Busy {
            command: self.title(key),
            limit: limits.max_concurrent,
            millis: u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX),
            setting: self.resource.setting(),
        })
    }

    fn begin(&self, key: &str) -> Result<Permit, Wait> {
        let (limits, now) = (self.limits(), self.clock.monotonic());
        let mut slots = self.slots();
        let slot = slots.entry(key.to_owned()).or_default();
        slot.asked = now;
        match slot.breaker.begin(&limits, now) {
            Ok(permit) => {
                if permit.is_probe() {
                    tracing::info!(breaker = %self.title(key), "circuit breaker tries one call");
                    self.show(&slots);
                }
                Ok(permit)
            }
            Err(Refused::Busy) => Err(Wait::Until(Arc::clone(&slot.freed))),
            Err(Refused::Open(opening)) => {
                self.metrics.refused(self.names(), "open");
                Err(Wait::Refused(Refusal::Open {
                    command: self.title(key),
                    since: slot.opened_at.unwrap_or_else(|| self.clock.now()),
                    failed: opening.failed,
                    calls: opening.calls,
                    last: opening.last,
                    every: HumanDuration(
                        TimeDelta::from_std(limits.sleep_window).unwrap_or(TimeDelta::MAX),
                    ),
                }))
            }
        }
    }

    fn end(&self, key: &str, permit: Permit, outcome: Outcome) {
        let (limits, now) = (self.limits(), self.clock.monotonic());
        self.metrics.call(self.names(), &outcome);
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(key) else {
            return;
        };
        let before = slot.breaker.position();
        slot.breaker.end(permit, outcome, &limits, now);
        let after = slot.breaker.position();
        slot.freed.notify_one();
        if before == after {
            return;
        }
        match (after, slot.breaker.opening()) {
            (Position::Open, Some(opening)) if before == Position::Closed => {
                slot.opened_at = Some(self.clock.now());
                tracing::warn!(
                    breaker = %self.title(key),
                    failed = opening.failed,
                    calls = opening.calls,
                    error = opening.last.text,
                    "circuit breaker opened"
                );
            }
            (Position::Closed, _) => {
                slot.opened_at = None;
                tracing::info!(breaker = %self.title(key), "circuit breaker closed");
            }
            _ => {}
        }
        // who waits for a place is told that there is none, or that there are many
        slot.freed.notify_waiters();
        self.show(&slots);
    }

    fn shown(&self) -> GuardReport {
        let (limits, now) = (self.limits(), self.clock.monotonic());
        let slots = self.slots();
        let breakers = slots.iter().map(|(key, slot)| {
            let (calls, failed) = slot.breaker.tally(&limits, now);
            let opening = slot.breaker.opening();
            BreakerReport {
                key: key.clone(),
                state: slot.breaker.position(),
                in_flight: slot.breaker.in_flight(),
                calls,
                failed,
                open_since: slot.opened_at,
                tries_again_at: opening.map(|opening| self.at(opening.probed_at(&limits), now)),
                last_error: opening.map(|opening| opening.last.text.clone()),
            }
        });
        GuardReport {
            resource: self.resource.name(),
            command: self.command,
            limits,
            breakers: breakers.collect(),
        }
    }

    fn forget_idle(&self) {
        let (limits, now) = (self.limits(), self.clock.monotonic());
        let mut slots = self.slots();
        slots.retain(|_, slot| {
            let gone =
                slot.breaker.in_flight() == 0 && now.saturating_sub(slot.asked) > FORGOTTEN_AFTER;
            !gone && !slot.breaker.is_fresh(&limits, now)
        });
        self.show(&slots);
    }

    fn forget(&self) {
        let mut slots = self.slots();
        slots.retain(|_, slot| slot.breaker.in_flight() > 0);
        self.show(&slots);
    }

    /// Shows the worst of the breakers.
    fn show(&self, slots: &BTreeMap<String, Slot>) {
        let worst = slots.values().map(|slot| slot.breaker.position()).max();
        self.metrics
            .state(self.names(), worst.unwrap_or(Position::Closed));
    }

    /// A moment of the monotonic clock on the one people read.
    fn at(&self, monotonic: Duration, now: Duration) -> Timestamp {
        let ahead = monotonic.as_secs_f64() - now.as_secs_f64();
        self.clock.now() + TimeDelta::milliseconds((ahead * 1e3 * self.clock.factor()) as i64)
    }

    fn names(&self) -> [&'static str; 2] {
        [self.resource.name(), self.command]
    }

    fn title(&self, key: &str) -> String {
        format!("{} {} ({key})", self.resource.name(), self.command)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call cannot begin yet.
enum Wait {
    Refused(Refusal),
    Until(Arc<Notify>),
}

/// Leave to make one call, given back however it ends.
struct Pass<'g> {
    guard: &'g Guard,
    key: &'g str,
    permit: Option<Permit>,
}

impl Pass<'_> {
    fn leave(mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            self.guard.end(self.key, permit, outcome);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.guard.end(self.key, permit, Outcome::Abandoned);
        }
    }
}
