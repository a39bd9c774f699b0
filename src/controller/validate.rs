//! Stage 2 of a tick: from raw answers to what the brain may be given, or the reason why there is
//! nothing to decide. Pure: no client, no clock.

use std::sync::Arc;

use super::act::Order;
use super::findings::{enforcing, fixtures, forecast_finding, load_finding};
use super::gather::Raw;
use super::lesson::Lesson;
use super::pulse::WrittenBetween;
use super::state::{Lists, NamedFaults};
use super::trainer::Outlook;
use super::version::InForce;
use crate::api::conditions::{ConditionType, Finding, Holds, reason};
use crate::api::live::LiveFeed;
use crate::api::policy::ValidPolicy;
use crate::api::{SpecError, v1alpha1::ScaleTargetRef};
use crate::burst::{LearntSpikes, SpikeSizes};
use crate::plan::memory::RaiseMinute;
use crate::plan::{Observed, Plan, Policy, Workload};
use crate::serve::Standing;
use crate::source::SourceError;
use crate::target::{TargetError, WorkloadSize};
use crate::units::{Rate, Timestamp};

/// Facts a plan can be made of.
#[derive(Debug)]
pub(super) struct Validated {
    /// When the facts were asked for.
    pub(super) now: Timestamp,
    /// The policy, with `Recommend` where something else owns the size.
    pub(super) policy: Policy,
    /// The workload.
    pub(super) target: ScaleTargetRef,
    /// Its size as read, to write against.
    pub(super) size: WorkloadSize,
    /// What the brain is given.
    pub(super) observed: Observed,
    /// Why a smaller size may not be written, when it may not.
    pub(super) no_lowering: Option<String>,
    /// What the trainer should learn.
    pub(super) lesson: Lesson,
    /// Where demand second by second comes from.
    pub(super) feed: Option<LiveFeed>,
    /// How far the forecast can be trusted.
    pub(super) standing: Option<Arc<Standing>>,
    /// Raises of the fast loop since the last tick.
    pub(super) raised_between: Option<RaiseMinute>,
    /// The size it wrote since then.
    pub(super) written_between: Option<WrittenBetween>,
    /// What is known of its spikes, and what of that it has shown itself.
    pub(super) spikes: Option<(SpikeSizes, LearntSpikes)>,
    /// The peak of the history that replicas carried.
    pub(super) history_peak: Option<Rate>,
    /// What was found about the conditions.
    pub(super) findings: Vec<Finding>,
    /// Why the policy is not followed as it is written, but as it last could be.
    pub(super) refused: Option<Finding>,
    /// Kinds of errors of the load signals, for metrics.
    pub(super) source_errors: Vec<&'static str>,
}

impl Validated {
    /// What is wrong with what a plan was made from, the policy first.
    pub(super) fn problems(&self, plan: &Plan) -> Vec<String> {
        let refused = self.refused.iter().map(|why| why.message.clone());
        refused.chain(plan.problems.iter().cloned()).collect()
    }

    /// What is written to, and under which reserve.
    pub(super) fn order(&self) -> Order {
        Order {
            target: self.target.clone(),
            size: self.size.clone(),
            no_lowering: self.no_lowering.clone(),
        }
    }
}

/// Why there is nothing to decide.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The spec cannot be used.
    Spec(SpecError),
    /// The workload cannot be seen.
    Target(TargetError),
}

impl Refusal {
    /// The condition it becomes.
    pub(super) fn finding(&self) -> Finding {
        let (why, message) = match self {
            Self::Spec(error) => (reason::INVALID_SPEC, error.to_string()),
            Self::Target(error) => {
                let why = match error {
                    TargetError::BadApiVersion { .. } => reason::INVALID_SPEC,
                    TargetError::NotFound { .. } => reason::TARGET_NOT_FOUND,
                    TargetError::NotServed { .. } | TargetError::NotScalable { .. } => {
                        reason::TARGET_NOT_SCALABLE
                    }
                    _ => reason::TARGET_UNREADABLE,
                };
                (why, error.to_string())
            }
        };
        Finding::new(ConditionType::Ready, Holds::False, why, message)
    }
}

/// Checks everything.
pub(super) fn validate(
    force: InForce<'_>,
    raw: Raw,
    lists: &mut Lists,
) -> Result<Validated, Refusal> {
    let Raw {
        now,
        size,
        load,
        shed,
        queue,
        outlook,
        live,
        hpa,
        rival,
        burst,
        raised_between,
        written_between,
        spikes,
        silence,
        bridges,
    } = raw;
    let ValidPolicy {
        mut policy,
        target,
        queries,
        live: feed,
        entries,
        calendars,
        faults,
        horizon,
        history,
        zone,
        manual,
    } = force.policy.map_err(Refusal::Spec)?;
    let size = size.map_err(Refusal::Target)?;

    let drain = policy.drain_within.num_milliseconds() as f64 / 1e3;
    let source_errors = [Some(&load), shed.as_ref(), queue.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|reading| reading.as_ref().err())
        .map(SourceError::kind)
        .collect();
    let load = load_finding(&policy, now, (load, shed, queue), drain, silence.as_deref());
    let (calendar, calendar_note, calendar_finding) =
        fixtures(&calendars, &live, &mut lists.calendars);
    let NamedFaults {
        faults,
        missing: no_faults,
        unknown,
    } = lists.faults(&faults, &live);
    // what is learnt without them may be too low
    let lists_note = match (calendar_note, unknown) {
        (Some(calendar), Some(faults)) => Some(format!("{calendar}; {faults}")),
        (calendar, faults) => calendar.or(faults),
    };
    let (no_lowering, enforcing) = enforcing(&mut policy, &hpa, rival);
    let Outlook {
        forecast,
        note: forecast_note,
        history_peak,
        standing,
    } = outlook;

    let findings = vec![
        load.finding,
        forecast_finding(
            forecast.is_some(),
            forecast_note.as_deref(),
            standing.as_deref(),
            no_faults.as_deref(),
        ),
        calendar_finding,
        enforcing,
    ];
    Ok(Validated {
        now,
        target,
        observed: Observed {
            workload: Workload {
                replicas: size.replicas,
                ready: size.ready,
            },
            load: load.load,
            shed: load.shed,
            queued: load.queued,
            burst,
            forecast,
            forecast_note,
            calendar: Arc::clone(&calendar),
            lists_note,
            manual,
            bridges,
        },
        size,
        raised_between,
        spikes,
        written_between,
        no_lowering,
        feed,
        lesson: Lesson {
            query: queries.load,
            shed: queries.shed,
            saturated: queries.saturated,
            faults,
            entries,
            calendar,
            zone,
            history,
            horizon,
        },
        standing,
        history_peak,
        policy,
        findings,
        refused: force.refused.map(|error| {
            let stays = "the last version that could be used stays in force";
            let message = format!("{error}; {stays}");
            Finding::new(ConditionType::Ready, false, reason::INVALID_SPEC, message)
        }),
        source_errors,
    })
}
