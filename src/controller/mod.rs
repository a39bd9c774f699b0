//! The controller's shell around the brain.
//!
//! A tick of one policy goes through five stages, each a file and each with its own type:
//! gather (asks the cluster and Prometheus) -> validate (pure) -> [`crate::plan`] (pure) ->
//! act (writes the size) -> report (metrics, status, Events). Only gather, act and report see a
//! client. Forecasts are made beside it by the trainer; a tick takes the latest there is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Client, Resource as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::PredictiveAutoscaler;
use crate::api::conditions::{ConditionType, Finding, reason};
use crate::clock::SharedClock;
use crate::guard::Breakers;
use crate::plan::plan;
use crate::serve::{Metrics, Readiness, Workloads};
use crate::settings::Live;
use crate::source::Inbox;
use crate::target::call::within;
use crate::target::{Buffers, Hpas, READ_TIMEOUT, Resizes, ScaleTargets};

mod act;
mod bridges;
mod budget;
mod claims;
mod context;
mod error;
mod events;
mod feeders;
mod findings;
mod gather;
mod history;
pub mod leader;
mod lesson;
mod offered;
mod pulse;
mod records;
mod report;
mod sources;
mod state;
mod status;
mod study;
mod trainer;
mod undeclared;
mod validate;
mod version;

pub use error::ReconcileError;
pub use pulse::{Look, Rehearsal};
pub use trainer::Pace;

use act::{Planned, act};
use claims::{Claim, Claims};
use context::{Context, Watched};
use feeders::{Feeders, Kitchen};
use gather::gather;
use leader::Leadership;
use pulse::{Pulses, Stance};
use report::{Ending, report};
use sources::Sources;
use state::{PolicyKey, Seen, States};
use trainer::Trainer;
use validate::validate;
use version::{in_force, kept};

/// What [`ControllerConfig::readiness`] waits for until every policy has been listed.
pub const READINESS: &str = "policies";

/// Ticks at the same time. Each may wait for a slow Prometheus, so there are many; the API server
/// sees at most a few calls from each.
const CONCURRENCY: u16 = 256;

/// How often policies that are gone are forgotten, and a missing definition is looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// Everything a controller is made of.
#[derive(Clone)]
pub struct ControllerConfig {
    /// The cluster.
    pub client: Client,
    /// The time all decisions are made at.
    pub clock: SharedClock,
    /// The configuration in force.
    pub live: watch::Receiver<Arc<Live>>,
    /// Who may write. The election itself is run by the caller, who ends it after the controller.
    pub leadership: Leadership,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where the last plans are shown.
    pub workloads: Workloads,
    /// What every outside call goes through.
    pub breakers: Breakers,
    /// What it still waits for: [`READINESS`] at first.
    pub readiness: Readiness,
    /// The only namespace to look after; `None` for all.
    pub namespace: Option<String>,
    /// This process, as Events name it.
    pub identity: String,
    /// How often it learns and forecasts.
    pub pace: Pace,
    /// Where live samples and hints lie, also those that are sent.
    pub inbox: Inbox,
    /// Whether samples are looked at as they come. Without it they lie in the inbox for somebody
    /// else.
    pub fast_loop: bool,
}

impl std::fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControllerConfig")
            .field("identity", &self.identity)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Runs a controller until `shutdown`. What is under way is finished then, and nothing is lowered
/// any more.
pub async fn run(config: ControllerConfig, shutdown: CancellationToken) {
    let ControllerConfig {
        client,
        clock,
        live,
        leadership,
        metrics,
        workloads,
        breakers,
        readiness,
        namespace,
        identity,
        pace,
        inbox,
        fast_loop,
    } = config;
    let api: Api<Watched> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let listed: Api<PartialObjectMeta<PredictiveAutoscaler>> = match &namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    readiness.wait(READINESS, "policies have not been listed yet");
    tokio::select! {
        () = installed(&listed) => {}
        () = shutdown.cancelled() => return,
    }
    let sources = Arc::new(Sources::new(breakers.clone()));
    let reporter = Reporter {
        controller: "tipoff".to_owned(),
        instance: Some(identity),
    };
    let trainer = Arc::new(Trainer::new(
        clock.clone(),
        Arc::clone(&sources),
        live.clone(),
        pace,
        metrics.clone(),
        shutdown.clone(),
    ));
    let targets = Arc::new(ScaleTargets::new(client.clone(), breakers.clone()));
    let feeders = Arc::new(Feeders::new(Kitchen {
        client: client.clone(),
        targets: Arc::clone(&targets),
        clock: clock.clone(),
        inbox: inbox.clone(),
        sources: Arc::clone(&sources),
        live: live.clone(),
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    }));
    let ctx = Arc::new(Context {
        inbox,
        feeders: Arc::clone(&feeders),
        pulses: Pulses::default(),
        recorder: Recorder::new(client.clone(), reporter),
        sources,
        trainer: Arc::clone(&trainer),
        targets,
        hpas: Hpas::new(client.clone(), clock.clone(), breakers.clone()),
        resizes: Resizes::new(client.clone(), clock.clone(), breakers.clone()),
        buffers: Buffers::new(client.clone(), clock.clone(), breakers.clone()),
        breakers,
        states: States::default(),
        claims: Claims::default(),
        budget: std::sync::Mutex::default(),
        shutdown: shutdown.clone(),
        store: OnceLock::new(),
        client,
        clock,
        live: live.clone(),
        leadership: leadership.clone(),
        metrics,
        workloads,
    });
    let controller = kube::runtime::Controller::new(api, watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .trigger_backoff(crate::rewatch::Rewatch::new())
        .reconcile_all_on(changes(live, leadership))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let store = controller.store();
    // set once, right after it was made empty
    let _ = ctx.store.set(store.clone());
    let ticks = controller
        .run(reconcile, error_policy, Arc::clone(&ctx))
        .for_each(|ticked| async {
            if let Err(error) = ticked {
                // an object deleted between its trigger and its tick is no news
                tracing::debug!(%error, "tick not made");
            }
        });
    // a task of its own: no tick of the slow loop holds up a look at a sample
    let fast = fast_loop.then(|| {
        let ctx = Arc::clone(&ctx);
        tokio::spawn(pulse::run(ctx, shutdown.clone()))
    });
    let sweep = async {
        if store.wait_until_ready().await.is_ok() {
            readiness.done(READINESS);
        }
        loop {
            tokio::time::sleep(SWEEP).await;
            forget_deleted(&ctx).await;
        }
    };
    tokio::select! {
        () = ticks => {}
        () = sweep => {}
    }
    readiness.wait(READINESS, "the controller has stopped");
    if let Some(Err(error)) = futures::future::OptionFuture::from(fast).await {
        tracing::error!(%error, "the fast loop ended badly");
    }
    tokio::join!(trainer.ended(), feeders.ended());
}

/// Waits until the cluster serves policies, and says once why it does not.
async fn installed(api: &Api<PartialObjectMeta<PredictiveAutoscaler>>) {
    let mut told = None;
    loop {
        let params = ListParams::default().limit(1);
        let call = api.list_metadata(&params);
        let Err(error) = within(READ_TIMEOUT, "list PredictiveAutoscalers", call).await else {
            return;
        };
        if told != Some(error.kind()) {
            told = Some(error.kind());
            let remedy = if error.is_not_found() {
                "install the definition: tipoff crds | kubectl apply --server-side -f -"
            } else if error.is_forbidden() {
                "apply config/rbac"
            } else {
                "the API server is tried again"
            };
            tracing::error!(%error, remedy, "waiting for the cluster");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// Everything after which every policy should be looked at again.
fn changes(
    live: watch::Receiver<Arc<Live>>,
    leadership: Leadership,
) -> impl futures::Stream<Item = ()> + Send + 'static {
    let settings = stream::unfold(live, |mut live| async move {
        live.changed().await.ok()?;
        Some(((), live))
    });
    let lead = stream::unfold(leadership, |mut leadership| async move {
        leadership.changed().await;
        Some(((), leadership))
    });
    stream::select(settings, lead)
}

async fn forget_deleted(ctx: &Context) {
    let known: std::collections::HashSet<PolicyKey> = ctx
        .policies()
        .iter()
        .filter_map(|policy| PolicyKey::of(policy.meta()).ok())
        .collect();
    for (key, state) in ctx.states.retain(|key| known.contains(key)) {
        ctx.trainer.dismiss(&key);
        ctx.feeders.dismiss(&key);
        ctx.claims.forget(&key);
        let mut state = state.lock().await;
        state.bridges.raised_between(ctx.pulses.take_cpu(&key));
        ctx.pulses.dismiss(&key);
        // made anew under its old name, it is shown as what it is now
        let replaced = known.iter().any(|other| other.has_the_name_of(&key));
        if !replaced {
            ctx.metrics.forget_workload(&key.namespace, &key.name);
            ctx.workloads.remove(&key.namespace, &key.name);
        }
        bridges::forget(ctx, &key, &state.bridges).await;
    }
    ctx.breakers.forget_idle();
    if !ctx.leadership.is_leader() {
        ctx.breakers.forget_writes();
    }
}

impl PolicyKey {
    fn of(meta: &ObjectMeta) -> Result<Self, ReconcileError> {
        let part = |field, value: &Option<String>| {
            value.clone().ok_or(ReconcileError::Incomplete { field })
        };
        Ok(Self {
            namespace: part("namespace", &meta.namespace)?,
            name: part("name", &meta.name)?,
            uid: meta.uid.clone().unwrap_or_default(),
        })
    }
}

/// One tick of one policy.
async fn reconcile(watched: Arc<Watched>, ctx: Arc<Context>) -> Result<Action, ReconcileError> {
    let meta = watched.meta();
    let key = PolicyKey::of(meta)?;
    if meta.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let state = ctx.states.of(&key);
    let mut state = state.lock().await;
    let live = ctx.live.borrow().clone();
    let now = ctx.clock.now();
    let tick = live.settings.tick;
    let seen = Seen {
        generation: meta.generation,
        live: Arc::clone(&live),
        leading: ctx.leadership.is_leader(),
    };
    if let Some(rest) = state.rests(now, &seen, tick) {
        return Ok(wait(&ctx.clock, rest));
    }
    if let Some(late) = state.due_at.map(|due_at| now - due_at)
        && late > tick
    {
        ctx.metrics.tick_late(late.num_milliseconds() as f64 / 1e3);
    }
    let mut due_at = now + tick;

    let (ending, found) = match &watched.0 {
        Err(invalid) => {
            state.slipped = true;
            (Ending::Unreadable(unreadable(&invalid.error), now), None)
        }
        Ok(object) => {
            let found = object.status.as_ref();
            state.last_good = state.last_good.take().or_else(|| kept(found));
            let force = in_force(&object.spec, state.last_good.as_ref());
            ctx.claims.lay(&key, Claim::of(&force));
            // client required
            let mut raw = gather(&ctx, &key, object, &force.spec, live, now).await;
            state.bridges.raised_between(ctx.pulses.take_cpu(&key));
            state.unsaid = raw.written_between.take().or(state.unsaid.take());
            raw.written_between.clone_from(&state.unsaid);
            raw.silence = state.silence(raw.burst.note.as_deref(), now);
            raw.bridges = bridges::look(&ctx, &key, &force.spec, &raw, &mut state.bridges).await;
            // no client from here on, until act
            let followed = force.policy.is_ok() && force.refused.is_none();
            if followed {
                state.last_good = Some(object.spec.clone());
            }
            state.slipped = !followed;
            let ending = match validate(force, raw, &mut state.lists) {
                Err(refusal) => {
                    // a window in which the workload was not seen is not a full one
                    state.memory.sighted_since = None;
                    Ending::Refused(refusal, now)
                }
                Ok(facts) => {
                    ctx.trainer.teach(&key, facts.lesson.clone());
                    ctx.feeders.follow(&key, facts.feed.as_ref(), &facts.target);
                    ctx.show_live_age(&key, now);
                    let window = facts.policy.release.window;
                    let capacity = found.and_then(|status| status.capacity.as_ref());
                    state.recall(&facts.target, capacity, window, now);
                    let (maximum, history) = (facts.policy.max_replicas, facts.lesson.history);
                    let most = state.largest_maximum(maximum, history, now);
                    let memory = &mut state.memory;
                    if let Some(peak) = facts.history_peak {
                        let capacity = std::mem::take(&mut memory.capacity);
                        memory.capacity = capacity.shown_by(peak, most);
                    }
                    memory.count_raise(facts.raised_between);
                    let plan = plan(&facts.observed, &facts.policy, memory, now);
                    state.memory = plan.memory.clone();
                    due_at = due_at.min(plan.wake_at);
                    // client required
                    let mut applied = act(&ctx, &key, Planned { facts, plan }).await;
                    let blind = state.bridges.blind().iter().cloned();
                    applied.bridged.notes.extend(blind);
                    if applied.facts.feed.is_some() {
                        let remembered = found.and_then(|status| status.spikes);
                        let remembered = remembered.map(|spikes| spikes.learnt);
                        ctx.pulses
                            .brief(&key, Stance::of(&applied), remembered, now);
                        state.bridges.learn(&applied.bridged, now);
                    } else {
                        state.bridges.learn(&applied.bridged, now);
                        if ctx.pulses.dismiss(&key) {
                            // a raise may be on its way still: the next tick looks
                            state.bridges.look_again();
                        }
                    }
                    Ending::Decided(Box::new(applied))
                }
            };
            (ending, found)
        }
    };
    // client required
    report(&ctx, &key, meta, found, &mut state, &ending).await;
    state.seen = Some(seen);
    state.due_at = Some(due_at);
    Ok(wait(&ctx.clock, due_at - ctx.clock.now()))
}

fn unreadable(error: &str) -> Finding {
    Finding::new(
        ConditionType::Ready,
        false,
        reason::INVALID_SPEC,
        format!("the object cannot be read: {error}"),
    )
}

/// A span of the clock as a wait in real time.
fn wait(clock: &SharedClock, span: TimeDelta) -> Action {
    let seconds = span.num_milliseconds().max(1) as f64 / 1e3 / clock.factor();
    Action::requeue(Duration::try_from_secs_f64(seconds).unwrap_or(SWEEP))
}

fn error_policy(_: Arc<Watched>, error: &ReconcileError, _: Arc<Context>) -> Action {
    tracing::warn!(kind = error.kind(), %error, "tick not made");
    Action::requeue(error.retry_after())
}
