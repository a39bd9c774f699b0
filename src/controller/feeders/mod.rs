//! Brings each workload's live samples into the inbox: one task per policy that scrapes its pods
//! or asks Prometheus each second; for pushed samples only a place is kept.
//!
//! Every task has its own second, spread by its policy's name, and its own timeouts, so what hangs
//! costs nobody else anything. It decides nothing: the fast loop takes what lies in the inbox.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::sources::Sources;
use super::state::PolicyKey;
use crate::api::live::LiveFeed;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::clock::SharedClock;
use crate::serve::Metrics;
use crate::settings::Live;
use crate::source::Inbox;
use crate::target::ScaleTargets;

mod prometheus;
mod scrape;

/// Real time between two samples of a workload.
const PERIOD: Duration = Duration::from_secs(1);

/// Rounds without a sample after which it is said aloud, once until there is one again.
const SILENT: u32 = 3;

/// What all tasks share.
#[derive(Clone)]
pub(super) struct Kitchen {
    /// The cluster, for pods and their selectors.
    pub(super) client: Client,
    /// The selectors of workloads' pods.
    pub(super) targets: Arc<ScaleTargets>,
    /// The time of samples.
    pub(super) clock: SharedClock,
    /// Where samples go.
    pub(super) inbox: Inbox,
    /// The Prometheus in force.
    pub(super) sources: Arc<Sources>,
    /// The settings in force.
    pub(super) live: watch::Receiver<Arc<Live>>,
    /// Where it counts.
    pub(super) metrics: Metrics,
    /// When all tasks end.
    pub(super) shutdown: CancellationToken,
}

/// Starts and ends the tasks.
pub(super) struct Feeders {
    kitchen: Kitchen,
    tasks: TaskTracker,
    /// By namespace and name: a policy made anew under its old name takes its place.
    running: Mutex<HashMap<String, Feeder>>,
}

/// A policy's task; dropping it ends the task.
struct Feeder {
    uid: String,
    feed: LiveFeed,
    target: ScaleTargetRef,
    _stop: DropGuard,
}

impl std::fmt::Debug for Feeders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeders").finish_non_exhaustive()
    }
}

impl Feeders {
    /// None yet.
    pub(super) fn new(kitchen: Kitchen) -> Self {
        Self {
            kitchen,
            tasks: TaskTracker::new(),
            running: Mutex::default(),
        }
    }

    /// Sees to it that a policy's samples come from here from now on; `None` for a policy without
    /// live signals. Nothing happens when that is so already.
    pub(super) fn follow(&self, key: &PolicyKey, feed: Option<&LiveFeed>, target: &ScaleTargetRef) {
        let Some(feed) = feed else {
            self.dismiss(key);
            return;
        };
        let name = key.to_string();
        let mut running = self.lock();
        let same = running.get(&name).is_some_and(|feeder| {
            feeder.uid == key.uid && feeder.feed == *feed && feeder.target == *target
        });
        if same || self.kitchen.shutdown.is_cancelled() {
            return;
        }
        self.kitchen.inbox.open(&name, feed.source());
        let stop = self.kitchen.shutdown.child_token();
        self.start(key, &name, feed, target, stop.clone());
        let feeder = Feeder {
            uid: key.uid.clone(),
            feed: feed.clone(),
            target: target.clone(),
            _stop: stop.drop_guard(),
        };
        running.insert(name, feeder);
    }

    fn start(
        &self,
        key: &PolicyKey,
        name: &str,
        feed: &LiveFeed,
        target: &ScaleTargetRef,
        stop: CancellationToken,
    ) {
        let pace = Pace::of(name, self.kitchen.clock.clone());
        match feed {
            LiveFeed::Push => {}
            LiveFeed::Prometheus { query, window } => {
                let task = prometheus::Task {
                    kitchen: self.kitchen.clone(),
                    name: name.to_owned(),
                    query: query.clone(),
                    window: *window,
                    pace,
                };
                self.tasks.spawn(stop.run_until_cancelled_owned(task.run()));
            }
            LiveFeed::Scrape(feed) => {
                let task = scrape::Task {
                    kitchen: self.kitchen.clone(),
                    targets: Arc::clone(&self.kitchen.targets),
                    name: name.to_owned(),
                    namespace: key.namespace.clone(),
                    target: target.clone(),
                    feed: feed.as_ref().clone(),
                    pace,
                };
                self.tasks.spawn(stop.run_until_cancelled_owned(task.run()));
            }
        }
    }

    /// Ends a policy's task and forgets its samples.
    pub(super) fn dismiss(&self, key: &PolicyKey) {
        let name = key.to_string();
        let mut running = self.lock();
        if running
            .get(&name)
            .is_some_and(|feeder| feeder.uid == key.uid)
        {
            running.remove(&name);
            self.kitchen.inbox.close(&name);
        }
    }

    /// Waits until every task has ended, after shutdown began.
    pub(super) async fn ended(&self) {
        self.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Feeder>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The second of one workload: ticks a period apart, at a place in it that its name fixes, so that
/// a thousand workloads are spread over it and stay so.
#[derive(Debug, Clone)]
struct Pace {
    clock: SharedClock,
    phase: Duration,
}

impl Pace {
    fn of(name: &str, clock: SharedClock) -> Self {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let phase = PERIOD.mul_f64((hash % 1_000) as f64 / 1e3);
        Self { clock, phase }
    }

    /// Waits for the next tick; those that were missed are left out.
    async fn tick(&self) {
        // pods count in real time, however fast the clock runs
        let wait = self.until_tick(self.clock.monotonic()).as_secs_f64() * self.clock.factor();
        let wait = TimeDelta::microseconds((wait * 1e6).ceil() as i64);
        self.clock.sleep(wait).await;
    }

    fn until_tick(&self, now: Duration) -> Duration {
        let into = (now + PERIOD).saturating_sub(self.phase).as_nanos() % PERIOD.as_nanos();
        PERIOD.saturating_sub(Duration::from_nanos(
            u64::try_from(into).unwrap_or_default(),
        ))
    }
}

/// Says once that samples stay away, and once that they are back.
#[derive(Debug, Default)]
struct Silence {
    rounds: u32,
}

impl Silence {
    /// Takes note of a round that gave a sample, or of why there was none.
    fn note(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                if self.rounds >= SILENT {
                    tracing::info!(policy = name, "live samples are back");
                }
                self.rounds = 0;
            }
            Err(reason) => {
                self.rounds = self.rounds.saturating_add(1);
                if self.rounds == SILENT {
                    tracing::warn!(policy = name, reason, "no live samples");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn ticks_are_a_period_apart_and_spread_by_name() {
        let clock = SystemClock::shared();
        let mut phases: Vec<u128> = (0..1_000)
            .map(|n| {
                Pace::of(&format!("dfs/w{n}"), clock.clone())
                    .phase
                    .as_millis()
            })
            .collect();
        phases.sort_unstable();
        for tenth in 0..10 {
            let here = phases.iter().filter(|phase| **phase / 100 == tenth).count();
            assert!((60..140).contains(&here), "{here} in tenth {tenth}");
        }
        let pace = Pace::of("dfs/checkout", clock);
        let mut now = Duration::from_secs(1_000);
        now += pace.until_tick(now);
        assert_eq!(pace.until_tick(now), PERIOD);
        let late = now + Duration::from_millis(2_300);
        assert_eq!(pace.until_tick(late), Duration::from_millis(700));
    }
}
