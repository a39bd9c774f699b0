//! What every tick shares: clients, caches, clock, configuration, and who may write.

use std::sync::{Arc, Mutex, OnceLock};

use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::leader::Leadership;
use super::sources::Sources;
use super::state::States;
use super::trainer::Trainer;
use crate::api::PredictiveAutoscaler;
use crate::clock::SharedClock;
use crate::guard::Breakers;
use crate::serve::{Metrics, Workloads};
use crate::settings::Live;
use crate::target::{Hpas, ScaleTargets};

/// A policy as the watch sees it: one that cannot be read does not stop the others.
pub(super) type Watched = DeserializeGuard<PredictiveAutoscaler>;

/// Shared by every tick of every policy.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) clock: SharedClock,
    pub(super) live: watch::Receiver<Arc<Live>>,
    pub(super) leadership: Leadership,
    pub(super) metrics: Metrics,
    pub(super) workloads: Workloads,
    pub(super) breakers: Breakers,
    pub(super) recorder: Recorder,
    pub(super) sources: Arc<Sources>,
    pub(super) trainer: Arc<Trainer>,
    pub(super) targets: ScaleTargets,
    pub(super) hpas: Hpas,
    pub(super) states: States,
    pub(super) budget: Mutex<Budget>,
    /// Cancelled once the controller is asked to stop.
    pub(super) shutdown: CancellationToken,
    /// Set when the watch is built; empty until then.
    pub(super) store: OnceLock<Store<Watched>>,
}

impl Context {
    /// Every policy the watch knows.
    pub(super) fn policies(&self) -> Vec<Arc<Watched>> {
        self.store.get().map(Store::state).unwrap_or_default()
    }
}
