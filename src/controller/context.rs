//! What every tick shares: clients, caches, clock, configuration, and who may write.

use std::sync::{Arc, Mutex, OnceLock};

use kube::Client;
use kube::Resource as _;
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::budget::Budget;
use super::claims::Claims;
use super::feeders::Feeders;
use super::leader::Leadership;
use super::pulse::{Latest, Pulses};
use super::sources::Sources;
use super::state::{PolicyKey, States};
use super::trainer::Trainer;
use crate::api::PredictiveAutoscaler;
use crate::clock::SharedClock;
use crate::guard::Breakers;
use crate::serve::{Metrics, Workloads};
use crate::settings::Live;
use crate::source::Inbox;
use crate::source::live::TOLERANCE;
use crate::target::{Buffers, Hpas, Resizes, ScaleTargets};
use crate::units::Timestamp;

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
    pub(super) inbox: Inbox,
    pub(super) feeders: Arc<Feeders>,
    pub(super) pulses: Pulses,
    pub(super) targets: Arc<ScaleTargets>,
    pub(super) hpas: Hpas,
    pub(super) resizes: Resizes,
    pub(super) buffers: Buffers,
    pub(super) states: States,
    pub(super) claims: Claims,
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

    /// What a policy says right now, when it is still there.
    ///
    /// # Errors
    /// Why nothing may be written by it.
    pub(super) fn latest(&self, key: &PolicyKey) -> Result<Latest, String> {
        let policies = self.policies();
        let policy = policies.iter().find(|policy| {
            let meta = policy.meta();
            meta.name.as_ref() == Some(&key.name)
                && meta.namespace.as_ref() == Some(&key.namespace)
                && meta.uid.as_deref().unwrap_or_default() == key.uid
                && meta.deletion_timestamp.is_none()
        });
        let policy = policy.ok_or("the policy is deleted")?;
        match &policy.0 {
            Ok(object) => Latest::of(&object.spec),
            Err(invalid) => Err(format!("the policy cannot be read: {}", invalid.error)),
        }
    }

    /// Shows how old a policy's newest live sample is.
    pub(super) fn show_live_age(&self, key: &PolicyKey, now: Timestamp) {
        let newest = self.inbox.newest(&key.to_string());
        // of another time when the clock was set back since
        let newest = newest.filter(|&newest| newest <= now + TOLERANCE);
        let age = newest.map(|newest| (now - newest).num_milliseconds().max(0) as f64 / 1e3);
        self.metrics.live_age(&key.namespace, &key.name, age);
    }
}
