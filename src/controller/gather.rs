//! Stage 1 of a tick: ask the cluster and Prometheus for every fact, all at once.
//!
//! Judges nothing: a failed question is a fact as well. Every call has its own timeout, so the
//! stage ends even when nobody answers.

use std::sync::Arc;

use kube::Resource as _;
use kube::ResourceExt as _;

use super::claims::Claim;
use super::context::Context;
use super::pulse::{SeenBetween, WrittenBetween};
use super::state::PolicyKey;
use super::trainer::Outlook;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::api::{PredictiveAutoscaler, PredictiveAutoscalerSpec};
use crate::burst::{LearntSpikes, SpikeSizes};
use crate::plan::memory::RaiseMinute;
use crate::plan::{BridgesSeen, BurstSight};
use crate::settings::Live;
use crate::source::{Sample, SourceError};
use crate::target::{HpaSight, TargetError, WorkloadSize};
use crate::units::Timestamp;

/// The answer to one query.
pub(super) type Reading = Result<Sample, SourceError>;

/// Every fact of one tick, as it came in.
#[derive(Debug)]
pub(super) struct Raw {
    /// When the questions were asked.
    pub(super) now: Timestamp,
    /// The workload's size.
    pub(super) size: Result<WorkloadSize, TargetError>,
    /// Load served.
    pub(super) load: Reading,
    /// Load shed, when the policy has such a signal.
    pub(super) shed: Option<Reading>,
    /// Work that waits, when the policy has such a signal.
    pub(super) queue: Option<Reading>,
    /// The latest forecast.
    pub(super) outlook: Outlook,
    /// The controller's configuration.
    pub(super) live: Arc<Live>,
    /// Whether an HPA owns the size.
    pub(super) hpa: HpaSight,
    /// What the fast loop sees.
    pub(super) burst: BurstSight,
    /// Raises of the fast loop since the last tick.
    pub(super) raised_between: Option<RaiseMinute>,
    /// The size it wrote since then.
    pub(super) written_between: Option<WrittenBetween>,
    /// What is known of its spikes.
    pub(super) spikes: Option<(SpikeSizes, LearntSpikes)>,
    /// An older policy in `Enforce` that names the same workload.
    pub(super) rival: Option<String>,
    /// Why live samples have been missing for so long that a person should know.
    pub(super) silence: Option<String>,
    /// What stands of the bridges.
    pub(super) bridges: BridgesSeen,
}

/// Asks everything.
pub(super) async fn gather(
    ctx: &Context,
    key: &PolicyKey,
    object: &PredictiveAutoscaler,
    spec: &PredictiveAutoscalerSpec,
    live: Arc<Live>,
    now: Timestamp,
) -> Raw {
    let target = &spec.scale_target_ref;
    let shed = spec
        .load
        .shed
        .as_ref()
        .map(|source| source.prometheus.query.as_str());
    let queue = spec
        .load
        .queue
        .as_ref()
        .map(|source| source.prometheus.query.as_str());
    let source = ctx.sources.current(&live.settings.prometheus);
    let ask = async |query: &str| match &source {
        Ok(source) => source.instant(query, now).await,
        Err(error) => Err(error.clone()),
    };
    let ask_too = async |query: Option<&str>| match query {
        Some(query) => Some(ask(query).await),
        None => None,
    };
    let (size, load, shed, queue, hpa) = tokio::join!(
        ctx.targets.read(&key.namespace, target),
        ask(&spec.load.prometheus.query),
        ask_too(shed),
        ask_too(queue),
        ctx.hpas.on(&key.namespace, target),
    );
    // last, when the slow answers are in: seconds count
    let promised = spec.load.live.is_some();
    let SeenBetween {
        burst,
        raised: raised_between,
        written: written_between,
        spikes,
    } = ctx.pulses.sight(key, promised, ctx.clock.now());
    Raw {
        now,
        burst,
        raised_between,
        spikes,
        written_between,
        size,
        load,
        shed,
        queue,
        outlook: ctx.trainer.outlook(key),
        live,
        hpa,
        rival: rival(ctx, key, object, target),
        // looked up with what is remembered of them
        silence: None,
        bridges: BridgesSeen::default(),
    }
}

/// The policy that has the older claim on the same workload: by creation, then by name.
fn rival(
    ctx: &Context,
    key: &PolicyKey,
    object: &PredictiveAutoscaler,
    target: &ScaleTargetRef,
) -> Option<String> {
    let age = |object: &PredictiveAutoscaler| {
        let created = object.meta().creation_timestamp.as_ref().map(|time| time.0);
        (created, object.name_any())
    };
    let mine = age(object);
    ctx.policies()
        .into_iter()
        .filter_map(|other| {
            let other = other.0.as_ref().ok()?;
            let beside = other.namespace().as_deref() == Some(&key.namespace)
                && other.name_any() != key.name
                && other.meta().deletion_timestamp.is_none();
            if !beside || age(other) >= mine {
                return None;
            }
            let known = ctx.claims.of(&PolicyKey::of(other.meta()).ok()?);
            let claim = known.unwrap_or_else(|| Claim::written(other));
            claim.takes(target).then(|| other.name_any())
        })
        .min()
}
