//! The state every request, watch and simulation step shares.
//!
//! Decides the order of things: before and after every access the simulation catches up with the
//! clock, so whoever reads at a time sees what has happened by that time. It must not answer
//! requests (see `server`).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::faults::Faults;
use super::requests::RequestLog;
use super::store::Store;
use super::workloads::Simulation;
use crate::clock::SharedClock;
use crate::units::Timestamp;

/// What is behind the handle.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: SharedClock,
    pub(super) faults: Faults,
    pub(super) requests: RequestLog,
    pub(super) stop: CancellationToken,
    pub(super) bookmark_every: Duration,
    core: Mutex<(Store, Simulation)>,
    newest: watch::Sender<u64>,
    wake: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(
        clock: SharedClock,
        store: Store,
        simulation: Simulation,
        bookmark_every: Duration,
    ) -> Self {
        Self {
            clock,
            faults: Faults::default(),
            requests: RequestLog::default(),
            stop: CancellationToken::new(),
            bookmark_every,
            newest: watch::channel(store.version()).0,
            core: Mutex::new((store, simulation)),
            wake: Arc::new(Notify::new()),
        }
    }

    /// Told whenever something was stored.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Runs `access` on the store as it is at the present time.
    pub(super) fn with_store<R>(&self, access: impl FnOnce(&mut Store, Timestamp) -> R) -> R {
        // A panic inside one request (a defect) must not take the others down with it; every
        // single change to the store is complete in itself.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let (store, simulation) = &mut *core;
        let now = self.clock.now();
        let planned = simulation.next_wake();
        simulation.settle(store, now);
        let result = access(store, now);
        simulation.settle(store, now);
        let replanned = simulation.next_wake() != planned;
        let version = store.version();
        drop(core);
        self.newest.send_if_modified(|newest| {
            let news = *newest != version;
            *newest = version;
            news
        });
        if replanned {
            self.wake.notify_one();
        }
        result
    }

    /// Lets time pass for the simulation until the cluster stops or is dropped.
    pub(super) async fn run(this: Weak<Self>) {
        loop {
            let Some(shared) = this.upgrade() else { return };
            shared.with_store(|_, _| ());
            let next = {
                let core = shared.core.lock().unwrap_or_else(PoisonError::into_inner);
                core.1.next_wake()
            };
            // Without a plan there is only the notification to wait for.
            let sleep = match next {
                Some(at) => shared.clock.sleep_until(at),
                None => Box::pin(std::future::pending()),
            };
            let stop = shared.stop.clone();
            let wake = Arc::clone(&shared.wake);
            drop(shared);
            tokio::select! {
                () = sleep => {}
                () = wake.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
