//! Stage 5 of a tick: say what was seen, decided and done, in metrics, status and Events.
//!
//! Only the leader writes, and a status only when it says something new. What cannot be said is
//! logged and said at the next tick; it never stops a decision.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::events::Event;
use serde::Deserialize as _;
use serde_json::json;

use super::act::{Applied, Outcome};
use super::context::Context;
use super::state::{PolicyKey, PolicyState, Told, named};
use super::undeclared::leave_out;
use super::validate::Refusal;
use super::version::keep;
use super::{events, status};
use crate::api::PredictiveAutoscaler;
use crate::api::conditions::{ConditionType, Finding, Holds};
use crate::api::v1alpha1::{LargestMaximum, PredictiveAutoscalerStatus};
use crate::serve::metrics::WorkloadSample;
use crate::serve::{Facts, Report, Unwritten};
use crate::target::call::within;
use crate::target::scale::MANAGER;
use crate::target::{CallError, TargetError};
use crate::units::Timestamp;

/// What the log says of a policy about which nothing is decided.
const UNDECIDED: &str = "nothing is decided";

/// And of one that is followed as it last could be.
const NOT_FOLLOWED: &str = "the policy is not followed as it is written";

/// What a tick ended in.
#[derive(Debug)]
pub(super) enum Ending {
    /// A decision.
    Decided(Box<Applied>),
    /// Nothing to decide.
    Refused(Refusal, Timestamp),
    /// The object cannot be read at all.
    Unreadable(Finding, Timestamp),
}

/// Says it.
pub(super) async fn report(
    ctx: &Context,
    key: &PolicyKey,
    meta: &ObjectMeta,
    found: Option<&PredictiveAutoscalerStatus>,
    state: &mut PolicyState,
    ending: &Ending,
) {
    if let Ending::Decided(applied) = ending {
        let Applied {
            facts,
            plan,
            outcome,
            ..
        } = applied.as_ref();
        for kind in &facts.source_errors {
            ctx.metrics.source_error(kind);
        }
        let report = Report {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            target: named(&facts.target),
            mode: facts.policy.mode,
            observed: Facts::new(&facts.observed, facts.now),
            standing: facts.standing.clone(),
            plan: plan.clone(),
            refused: facts.refused.as_ref().map(|why| why.message.clone()),
            unwritten: unwritten(outcome),
            undecided: None,
        };
        ctx.metrics.workload(WorkloadSample {
            namespace: &key.namespace,
            name: &key.name,
            plan,
            replicas: facts.size.replicas,
            ready: facts.size.ready,
            standing: facts.standing.as_deref(),
            problems: report.problems(),
        });
        ctx.workloads.put(report);
    }
    let undecided = match ending {
        Ending::Decided(_) => None,
        Ending::Refused(refusal, now) => Some((refusal.finding(), *now)),
        Ending::Unreadable(finding, now) => Some((finding.clone(), *now)),
    };
    match (ending, &undecided) {
        (Ending::Decided(applied), _) => {
            let refused = applied.facts.refused.as_ref();
            log_slip(key, NOT_FOLLOWED, refused, &mut state.logged);
        }
        (_, undecided) => {
            let why = undecided.as_ref().map(|(why, _)| why);
            log_slip(key, UNDECIDED, why, &mut state.logged);
        }
    }
    if let Some((why, now)) = undecided {
        ctx.metrics.undecided(&key.namespace, &key.name);
        ctx.show_live_age(key, now);
        ctx.workloads
            .undecided(&key.namespace, &key.name, now, &why.message);
    }
    if !ctx.leadership.is_leader() {
        // the leader's words count; what it wrote is read back should we lead one day
        state.written = None;
        state.told = None;
        state.unsaid = None;
        return;
    }
    let empty = PredictiveAutoscalerStatus::default();
    let read_again;
    let mut last = state.written.as_ref().or(found);
    if let (Ending::Unreadable(..), None) = (ending, last) {
        // its status may well be read: what it keeps is not lost by a version that cannot use it
        let Some(status) = read_status(ctx, key).await else {
            return;
        };
        read_again = status;
        last = read_again.as_ref();
    }
    let generation = meta.generation;
    let (mut new, findings) = match ending {
        Ending::Decided(applied) => status::of_applied(applied, last.unwrap_or(&empty), generation),
        Ending::Refused(refusal, now) => {
            status::of_refusal(refusal, last.unwrap_or(&empty), generation, *now)
        }
        Ending::Unreadable(finding, now) => {
            status::of_finding(finding.clone(), last.unwrap_or(&empty), generation, *now)
        }
    };
    keep_for_the_next(state, &mut new);
    match (ending, &state.unsaid) {
        // of two sizes the later is the last
        (Ending::Decided(applied), _) if matches!(applied.outcome, Outcome::Scaled { .. }) => {
            state.unsaid = None;
        }
        (Ending::Decided(_), _) | (_, None) => {}
        // nothing is decided, but this was done
        (_, Some(between)) => new.last_scale = Some(status::scaled_between(between)),
    }
    let told = state.told.get_or_insert_with(|| already_told(found));
    let mut news = events::of_findings(&findings, told);
    if let Ending::Decided(applied) = ending {
        news.extend(events::of_outcome(&applied.outcome, &applied.plan));
    }
    if status::worth_writing(&new, last) && write_status(ctx, key, &new, &mut state.left_out).await
    {
        state.written = Some(new);
        state.unsaid = None;
    }
    for event in &news {
        publish(ctx, key, event).await;
    }
}

/// Adds what a controller that starts anew cannot learn from anything else.
fn keep_for_the_next(state: &PolicyState, new: &mut PredictiveAutoscalerStatus) {
    if !state.slipped {
        new.last_good_spec = None;
    } else if let Some(last_good) = &state.last_good {
        new.last_good_spec = keep(last_good);
    }
    // else what this process cannot use stays for one that can
    let known = (&mut new.capacity, &state.target, state.largest);
    if let (Some(capacity), Some(target), Some((replicas, at))) = known {
        capacity.largest_maximum = Some(LargestMaximum {
            replicas,
            at: status::to_second(at),
            target: named(target),
        });
    }
}

/// Tells the log why a policy is not followed as it should be, once for each reason: nobody may look
/// at the status.
fn log_slip(key: &PolicyKey, what: &str, why: Option<&Finding>, logged: &mut Option<String>) {
    let reason = why.map(|why| format!("{what}: {}", events::key(why)));
    if *logged == reason {
        return;
    }
    *logged = reason;
    if let Some(Finding {
        reason, message, ..
    }) = why
    {
        tracing::warn!(policy = %key, reason, "{what}: {message}");
    } else {
        tracing::info!(policy = %key, "what kept it from being followed is over");
    }
}

/// What kept a size from being the workload's.
fn unwritten(outcome: &Outcome) -> Option<Unwritten> {
    match outcome {
        Outcome::Nothing | Outcome::Scaled { .. } => None,
        Outcome::HeldBack { reason } => Some(Unwritten {
            failed: false,
            reason: reason.clone(),
        }),
        Outcome::Failed(error) => Some(Unwritten {
            // who was overtaken decides anew at once
            failed: !matches!(error, TargetError::Overtaken { .. } | TargetError::Conflict),
            reason: error.to_string(),
        }),
    }
}

/// What the Events of an earlier leader have told, as far as the status shows it.
fn already_told(found: Option<&PredictiveAutoscalerStatus>) -> Told {
    const ALL: [ConditionType; 5] = [
        ConditionType::Ready,
        ConditionType::LoadAvailable,
        ConditionType::ForecastAvailable,
        ConditionType::CalendarAvailable,
        ConditionType::Enforcing,
    ];
    let conditions = found
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    ALL.iter()
        .filter_map(|&condition| {
            let written = conditions.iter().find(|c| c.type_ == condition.name())?;
            let holds = match written.status.as_str() {
                "True" => Holds::True,
                "False" => Holds::False,
                _ => Holds::Unknown,
            };
            let finding = Finding::new(condition, holds, &*written.reason, &*written.message);
            Some((condition.into(), (holds, events::key(&finding))))
        })
        .collect()
}

/// The status of an object whose spec cannot be read. `None` when it is not known whether there is
/// one.
async fn read_status(ctx: &Context, key: &PolicyKey) -> Option<Option<PredictiveAutoscalerStatus>> {
    let resource = ApiResource::erase::<PredictiveAutoscaler>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(ctx.client.clone(), &key.namespace, &resource);
    let guard = &ctx.breakers.report;
    let call = within(guard.limits().timeout, "give a policy", api.get(&key.name));
    let object = guard.call("status", call).await.ok()?;
    let status = object.data.get("status");
    Some(status.and_then(|status| PredictiveAutoscalerStatus::deserialize(status).ok()))
}

/// Answers in which an API server may name fields that it does not know: it names all of them in
/// the first.
const ANSWERS: usize = 3;

/// Applies the status as its only owner, so that what is left out is removed. True when it is
/// written, if without what the definition in the cluster does not declare: `left_out`.
///
/// The answer is read for its metadata only: it holds the whole policy, and one whose spec cannot be
/// read would make a failure of each status that says so.
async fn write_status(
    ctx: &Context,
    key: &PolicyKey,
    status: &PredictiveAutoscalerStatus,
    left_out: &mut Vec<String>,
) -> bool {
    let api: Api<PartialObjectMeta<PredictiveAutoscaler>> =
        Api::namespaced(ctx.client.clone(), &key.namespace);
    let mut body = json!({
        "apiVersion": PredictiveAutoscaler::api_version(&()),
        "kind": PredictiveAutoscaler::kind(&()),
        "metadata": { "name": key.name },
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    let guard = &ctx.breakers.report;
    let mut undeclared = Vec::new();
    for _ in 0..ANSWERS {
        let patch = Patch::Apply(&body);
        let call = api.patch_status(&key.name, &params, &patch);
        let call = within(guard.limits().timeout, "take the status", call);
        match guard.call("status", call).await {
            Ok(_) => {
                log_left_out(key, undeclared, left_out);
                return true;
            }
            // deleted meanwhile: nobody is left to read it
            Err(error) if error.is_not_found() => return false,
            // the breaker has said so itself, once
            Err(CallError::Refused(_)) => return false,
            Err(error) => {
                let mut unknown = error.undeclared();
                unknown.retain(|path| leave_out(&mut body, path));
                if unknown.is_empty() {
                    tracing::warn!(policy = %key, kind = error.kind(), %error, "status not written");
                    return false;
                }
                undeclared.extend(unknown);
            }
        }
    }
    tracing::warn!(policy = %key, ?undeclared, "status not written: the definition knows too little of it");
    false
}

/// Tells the log once what the definition in the cluster does not declare.
fn log_left_out(key: &PolicyKey, undeclared: Vec<String>, left_out: &mut Vec<String>) {
    if !undeclared.is_empty() && undeclared != *left_out {
        tracing::warn!(
            policy = %key,
            fields = undeclared.join(", "),
            "the definition of PredictiveAutoscaler in this cluster is older than this controller: \
             its status is written without these fields; apply the definitions of this version \
             (tipoff crds)"
        );
    }
    *left_out = undeclared;
}

pub(super) async fn publish(ctx: &Context, key: &PolicyKey, event: &Event) {
    let about = ObjectReference {
        api_version: Some(PredictiveAutoscaler::api_version(&()).into_owned()),
        kind: Some(PredictiveAutoscaler::kind(&()).into_owned()),
        name: Some(key.name.clone()),
        namespace: Some(key.namespace.clone()),
        uid: Some(key.uid.clone()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    };
    let call = ctx.recorder.publish(event, &about);
    let guard = &ctx.breakers.report;
    let call = within(guard.limits().timeout, "take an event", call);
    if let Err(error) = guard.call("events", call).await {
        tracing::warn!(policy = %key, reason = event.reason, %error, "event not sent");
    }
}
