//! Keeps the Lease, and tells at any moment whether this process may write.
//!
//! The rules are in [`crate::lease`]; this file only carries them out against the API, with
//! `resourceVersion` on every replace, so that of two candidates one is told 409. What leaders do
//! and others must not is decided at the writers, by [`Leadership::is_leader`].

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::core::Status;
use kube::{Client, Resource as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::SharedClock;
use crate::lease::{self, Candidate, LeaseSeen, Record, Step, Timing};
use crate::serve::metrics::Metrics;
use crate::settings::LeaderElectionSettings;
use crate::units::Timestamp;

/// Whether this process leads, for everybody who writes. Clones see the same.
#[derive(Debug, Clone)]
pub struct Leadership {
    clock: SharedClock,
    claim: watch::Receiver<Claim>,
}

/// Until when, on the monotonic clock, we lead; nothing when we do not.
type Claim = Option<Duration>;

impl Leadership {
    /// The leadership of a controller that is certainly alone.
    pub fn always(clock: SharedClock) -> Self {
        let (_, claim) = watch::channel(Some(Duration::MAX));
        Self { clock, claim }
    }

    /// True while this process may write. To be asked right before each write: the answer turns
    /// false by itself when the renewal deadline passes, whatever the election loop is doing.
    pub fn is_leader(&self) -> bool {
        self.claim
            .borrow()
            .is_some_and(|until| self.clock.monotonic() < until)
    }

    /// Completes when the lead was won or lost since the last call, and says which it is now.
    /// Renewals do not count. With the election over it never completes.
    pub async fn changed(&mut self) -> bool {
        if self.claim.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.claim.borrow_and_update();
        self.is_leader()
    }
}

/// A candidate for the lead.
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    name: String,
    /// What the Lease is called in the metrics.
    label: String,
    clock: SharedClock,
    metrics: Metrics,
    me: Candidate,
    seen: Option<LeaseSeen>,
    /// The lease as last read, to be replaced under its `resourceVersion`.
    lease: Option<Lease>,
    claim: watch::Sender<Claim>,
}

/// A name no other process has, now or later: the host's, for people, and something random.
pub fn identity() -> String {
    let host = std::env::var("HOSTNAME")
        .ok()
        .filter(|host| !host.trim().is_empty())
        .unwrap_or_else(|| "tipoff".to_owned());
    // the standard library seeds each of its hash states at random
    let random = RandomState::new().build_hasher().finish();
    format!("{host}_{random:016x}")
}

/// The Lease in the metrics, where those of several namespaces and installations meet. A controller
/// that holds no election goes by the Lease it would compete for: two of them write to the same.
pub fn label(client: &Client, settings: &LeaderElectionSettings, watched: Option<&str>) -> String {
    let namespace = settings.lease_namespace(client.default_namespace());
    format!("{namespace}/{}", settings.lease_name(watched))
}

impl Elector {
    /// A candidate for the workloads of one namespace or of all, that does nothing until
    /// [`Elector::run`].
    pub fn new(
        client: &Client,
        settings: &LeaderElectionSettings,
        watched: Option<&str>,
        identity: String,
        clock: SharedClock,
        metrics: Metrics,
    ) -> (Self, Leadership) {
        let (claim, receiver) = watch::channel(None);
        let namespace = settings.lease_namespace(client.default_namespace());
        let name = settings.lease_name(watched);
        let label = label(client, settings, watched);
        metrics.leader(&label, false);
        let elector = Self {
            api: Api::namespaced(client.clone(), namespace),
            name,
            label,
            clock: clock.clone(),
            metrics,
            me: Candidate {
                identity,
                timing: Timing {
                    lease_duration: settings.lease_duration,
                    renew_deadline: settings.renew_deadline,
                    retry_period: settings.retry_period,
                },
                renewed: None,
            },
            seen: None,
            lease: None,
            claim,
        };
        let leadership = Leadership {
            clock,
            claim: receiver,
        };
        (elector, leadership)
    }

    /// Runs for the lead until `stop`, then hands it back.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // a turn is never cut short: a write whose answer nobody reads may have been taken
            let pause = self.turn().await;
            tokio::select! {
                () = self.clock.sleep(real_time(&self.clock, pause)) => {}
                () = stop.cancelled() => {}
            }
        }
        self.release().await;
    }

    /// Looks, decides and carries out; the time until the next look.
    async fn turn(&mut self) -> Duration {
        let looked = self.look().await;
        let retry = self.me.timing.retry_period;
        let now = self.clock.monotonic();
        match lease::next(self.seen.as_ref(), &self.me, now) {
            // who cannot see the lease does not know that nobody has it
            Step::Acquire if !looked => retry,
            Step::Wait(until) => until.saturating_sub(now).min(retry),
            Step::StandDown => {
                self.stand_down("the lease is not ours, or could not be renewed in time");
                // it may be free already
                retry / 2
            }
            step @ (Step::Acquire | Step::Renew) => {
                self.write(step).await;
                retry
            }
        }
    }

    /// Reads the lease; false when it could not be read.
    async fn look(&mut self) -> bool {
        let (api, name) = (self.api.clone(), self.name.clone());
        match self.in_time(async move { api.get_opt(&name).await }).await {
            Ok(Some(lease)) => {
                let now = self.clock.monotonic();
                let record = record(&lease);
                self.tell_of(record.holder.as_deref());
                self.seen = Some(LeaseSeen::observe(self.seen.take(), record, now));
                self.lease = Some(lease);
            }
            // what was seen stays: its holder may not know yet that the lease is gone
            Ok(None) => self.lease = None,
            Err(reason) => {
                warn!(%reason, lease = self.name, "failed to read the lease");
                return false;
            }
        }
        true
    }

    /// Says whom this process waits for, once for each: one that never leads is easily taken for
    /// broken.
    fn tell_of(&self, holder: Option<&str>) {
        let known = self.seen.as_ref().map(|seen| seen.record.holder.as_deref());
        if let Some(leader) = holder
            && leader != self.me.identity
            && known != Some(holder)
        {
            info!(leader, lease = self.name, "following another leader");
        }
    }

    async fn write(&mut self, step: Step) {
        // before sending: others can only begin to wait on it later
        let sent = self.clock.monotonic();
        let lease = claimed(self.lease.as_ref(), &self.name, &self.me, self.clock.now());
        let (api, name, fresh) = (self.api.clone(), self.name.clone(), self.lease.is_none());
        let outcome = self
            .in_time(async move {
                let how = PostParams::default();
                if fresh {
                    api.create(&how, &lease).await
                } else {
                    api.replace(&name, &how, &lease).await
                }
            })
            .await;
        match outcome {
            Ok(lease) => {
                let now = self.clock.monotonic();
                self.seen = Some(LeaseSeen::observe(self.seen.take(), record(&lease), now));
                self.lease = Some(lease);
                self.me.renewed = Some(sent);
                self.claim_until(self.me.leads_until());
            }
            Err(Trouble::Api(error)) if conflicts(&error) => {
                debug!("somebody else wrote the lease first");
                if step == Step::Renew {
                    self.stand_down("somebody else wrote the lease");
                }
            }
            // the claim runs on to its deadline, and the next turn tries again
            Err(reason) => warn!(%reason, lease = self.name, "failed to write the lease"),
        }
    }

    /// Clears our name, so that the next candidate need not wait.
    async fn release(&mut self) {
        if self.me.renewed.is_none() {
            return;
        }
        self.stand_down("stopping");
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
        }
        let (api, name) = (self.api.clone(), self.name.clone());
        let outcome = self
            .in_time(async move { api.replace(&name, &PostParams::default(), &lease).await })
            .await;
        if let Err(reason) = outcome {
            warn!(%reason, "failed to release the lease; the next leader waits until it runs out");
        }
    }

    fn stand_down(&mut self, reason: &str) {
        if self.me.renewed.take().is_some() {
            info!(reason, "no longer the leader");
        }
        self.claim_until(None);
    }

    /// Publishes the claim; only winning and losing wakes those who wait for a change.
    fn claim_until(&self, until: Claim) {
        let leads = until.is_some();
        let turned = self.claim.send_if_modified(|claim| {
            let turned = claim.is_some() != leads;
            *claim = until;
            turned
        });
        if turned {
            self.metrics.leader(&self.label, leads);
            if leads {
                info!(
                    identity = self.me.identity,
                    lease = self.name,
                    "now the leader"
                );
            }
        }
    }

    /// A call that takes no longer than a retry period may: in real time, like all outside calls.
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>> + Send,
    ) -> Result<T, Trouble> {
        let limit = self.me.timing.renew_deadline / 2;
        match tokio::time::timeout(limit, call).await {
            Ok(outcome) => outcome.map_err(|error| match error {
                kube::Error::Api(status) if status.code == 403 => Trouble::Forbidden(status),
                error => Trouble::Api(error),
            }),
            Err(_) => Err(Trouble::TimedOut(limit)),
        }
    }
}

/// Why a call for the lease gave nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Api(kube::Error),
    #[error("{}: name the lease in config/rbac/leader_election_role.yaml", .0.message)]
    Forbidden(Box<Status>),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

fn conflicts(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 409 | 404))
}

/// What a lease says, in the words of the rules.
fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        renewed: spec.renew_time.map(|MicroTime(time)| time.to_string()),
        duration: spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

/// The lease with our name in it, under the version it was read at.
fn claimed(read: Option<&Lease>, name: &str, me: &Candidate, now: Timestamp) -> Lease {
    let before = read
        .and_then(|lease| lease.spec.clone())
        .unwrap_or_default();
    let ours = before.holder_identity.as_deref() == Some(me.identity.as_str());
    let time = jiff::Timestamp::from_microsecond(now.timestamp_micros())
        .ok()
        .map(MicroTime);
    let metadata = match read {
        Some(lease) => lease.meta().clone(),
        None => ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
    };
    Lease {
        metadata,
        spec: Some(LeaseSpec {
            holder_identity: Some(me.identity.clone()),
            lease_duration_seconds: i32::try_from(me.timing.lease_duration.as_secs()).ok(),
            renew_time: time.clone(),
            acquire_time: if ours { before.acquire_time } else { time },
            lease_transitions: Some(match read {
                Some(_) if !ours => before.lease_transitions.unwrap_or_default() + 1,
                _ => before.lease_transitions.unwrap_or_default(),
            }),
            ..before
        }),
    }
}

/// A span of real time in the clock's own, which may run faster.
fn real_time(clock: &SharedClock, span: Duration) -> TimeDelta {
    let scaled = span.as_secs_f64() * clock.factor().max(1.0);
    TimeDelta::milliseconds((scaled * 1e3).ceil() as i64)
}
