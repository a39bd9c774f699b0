//! Stage 2 of a tick: from raw answers to what the brain may be given, or the reason why there is
//! nothing to decide. Pure: no client, no clock.

use std::sync::Arc;

use super::act::Order;
use super::gather::{Raw, Reading};
use super::lesson::Lesson;
use super::pulse::WrittenBetween;
use super::state::{Lists, Merged, NamedFaults, joined};
use super::trainer::Outlook;
use crate::api::conditions::{ConditionType, Finding, Holds, reason};
use crate::api::live::LiveFeed;
use crate::api::policy::ValidPolicy;
use crate::api::v1alpha1::PredictiveAutoscalerSpec;
use crate::api::{SpecError, v1alpha1::ScaleTargetRef};
use crate::burst::{LearntSpikes, SpikeSizes};
use crate::fixture::Calendar;
use crate::plan::memory::RaiseMinute;
use crate::plan::{Mode, Observed, Policy, Signal, Workload};
use crate::serve::Standing;
use crate::settings::Live;
use crate::source::SourceError;
use crate::target::{HpaSight, TargetError, WorkloadSize};
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
    /// Kinds of errors of the load signals, for metrics.
    pub(super) source_errors: Vec<&'static str>,
}

impl Validated {
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
    spec: &PredictiveAutoscalerSpec,
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
    } = spec.validate().map_err(Refusal::Spec)?;
    let size = size.map_err(Refusal::Target)?;

    let drain = policy.drain_within.num_milliseconds() as f64 / 1e3;
    let source_errors = [Some(&load), shed.as_ref(), queue.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|reading| reading.as_ref().err())
        .map(SourceError::kind)
        .collect();
    let load = load_finding(&policy, now, load, shed, queue, drain);
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
        source_errors,
    })
}

struct LoadSignals {
    load: Signal,
    shed: Option<Signal>,
    queued: Option<Signal>,
    finding: Finding,
}

fn load_finding(
    policy: &Policy,
    now: Timestamp,
    load: Reading,
    shed: Option<Reading>,
    queue: Option<Reading>,
    drain_seconds: f64,
) -> LoadSignals {
    let mut why = None;
    let mut messages = Vec::new();
    let mut signal = |name: &str, reading: Reading, scale: f64| {
        let signal = match reading {
            Ok(sample) => Signal::Sample {
                rate: sample.rate * scale,
                at: sample.at,
            },
            Err(error) => {
                why.get_or_insert_with(|| camel(error.kind()));
                Signal::Missing {
                    reason: error.to_string(),
                }
            }
        };
        if let Err(problem) = signal.fresh(now, policy.freshness.load) {
            why.get_or_insert_with(|| reason::STALE.to_owned());
            messages.push(format!("{name}: {problem}"));
        }
        signal
    };
    let load = signal("load", load, 1.0);
    let shed = shed.map(|reading| signal("shed load", reading, 1.0));
    let queued = queue.map(|reading| signal("queue", reading, 1.0 / drain_seconds));
    let finding = match why {
        None => Finding::new(
            ConditionType::LoadAvailable,
            true,
            reason::FRESH,
            "every load signal is fresh",
        ),
        Some(why) => Finding::new(
            ConditionType::LoadAvailable,
            false,
            why,
            messages.join("; "),
        ),
    };
    LoadSignals {
        load,
        shed,
        queued,
        finding,
    }
}

/// Another model or a silent signal make a forecast worse, not missing: it is there, and says so.
fn forecast_finding(
    there: bool,
    note: Option<&str>,
    standing: Option<&Standing>,
    no_faults: Option<&str>,
) -> Finding {
    let condition = ConditionType::ForecastAvailable;
    let fallback = standing.and_then(|standing| standing.fallback.as_deref());
    let entries = standing.and_then(|standing| standing.entries_note.as_deref());
    match (there, note) {
        (true, None) => {
            let doubts: Vec<(&str, &str)> = [
                (reason::FALLBACK, fallback),
                (reason::ENTRIES_MISSING, entries),
                (reason::FAULTS_MISSING, no_faults),
            ]
            .into_iter()
            .filter_map(|(why, message)| Some((why, message?)))
            .collect();
            let (why, message) = match doubts.first() {
                None => (reason::FRESH, "the forecast is recent".to_owned()),
                Some((why, _)) => {
                    let all: Vec<&str> = doubts.iter().map(|(_, message)| *message).collect();
                    (*why, all.join("; "))
                }
            };
            Finding::new(condition, true, why, message)
        }
        (true, Some(note)) => Finding::new(
            condition,
            true,
            reason::NOT_RENEWED,
            format!("the last good forecast stays in use: {note}"),
        ),
        (false, None) => Finding::new(
            condition,
            Holds::Unknown,
            reason::TRAINING,
            "history is being read and a model fitted",
        ),
        (false, Some(note)) => Finding::new(condition, false, reason::NO_FORECAST, note),
    }
}

/// The fixtures of every calendar named, what is missing of them, and the finding.
fn fixtures(
    names: &[String],
    live: &Live,
    merged: &mut Merged<Calendar>,
) -> (Arc<Calendar>, Option<String>, Finding) {
    let mut parts = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match live.calendar(name) {
            Ok(calendar) => parts.push(Arc::clone(calendar)),
            Err(why) => missing.push(why),
        }
    }
    // with all versions, so that the past is learnt from what was known then
    let (calendar, doubts) = merged.of(parts, joined);
    let why = if missing.is_empty() {
        reason::FIXTURES_CLASH
    } else {
        reason::NOT_CONFIGURED
    };
    missing.extend(doubts.left_out.iter().cloned());
    let missing = (!missing.is_empty()).then(|| missing.join("; "));
    let condition = ConditionType::CalendarAvailable;
    let finding = if let Some(missing) = &missing {
        Finding::new(condition, false, why, missing.as_str())
    } else if names.is_empty() {
        Finding::new(
            condition,
            true,
            reason::NONE_NAMED,
            "the policy names no calendar, so no fixture is planned for",
        )
    } else if !doubts.disputed.is_empty() {
        let words = doubts.disputed.join("; ");
        Finding::new(condition, true, reason::FIXTURES_DISPUTED, words)
    } else {
        Finding::new(
            condition,
            true,
            reason::CONFIGURED,
            format!("{} fixtures", calendar.len()),
        )
    };
    (calendar, missing, finding)
}

/// Whether decisions are carried out; turns the policy to `Recommend` when something else owns
/// the size. The first value says why nothing may be lowered although decisions are carried out.
fn enforcing(
    policy: &mut Policy,
    hpa: &HpaSight,
    rival: Option<String>,
) -> (Option<String>, Finding) {
    let condition = ConditionType::Enforcing;
    let owner = match (hpa, rival) {
        (HpaSight::Present { name }, _) => Some((
            reason::HPA_PRESENT,
            format!(
                "HorizontalPodAutoscaler {name} scales the same workload, and two autoscalers undo \
                 each other: delete it, or raise its minReplicas to what is recommended here"
            ),
        )),
        (_, Some(other)) => Some((
            reason::TARGET_TAKEN,
            format!(
                "PredictiveAutoscaler {other} is older and enforces on the same workload: delete \
                 one of the two"
            ),
        )),
        _ => None,
    };
    if policy.mode == Mode::Recommend {
        let message = match owner {
            Some((_, message)) => {
                format!(
                    "mode is Recommend: nothing is written. Enforce would not either: {message}"
                )
            }
            None => "mode is Recommend: nothing is written".to_owned(),
        };
        return (
            None,
            Finding::new(condition, false, reason::RECOMMEND, message),
        );
    }
    if let Some((why, message)) = owner {
        policy.mode = Mode::Recommend;
        return (None, Finding::new(condition, false, why, message));
    }
    match hpa {
        HpaSight::Unknown { reason: why } => (
            Some(format!(
                "it cannot be ruled out that an HPA owns the workload: {why}"
            )),
            Finding::new(
                condition,
                true,
                reason::ENFORCED,
                format!("sizes are raised, but not lowered until HPAs can be seen: {why}"),
            ),
        ),
        _ => (
            None,
            Finding::new(
                condition,
                true,
                reason::ENFORCED,
                "decisions are carried out",
            ),
        ),
    }
}

/// `not_a_number` as a condition's reason: `NotANumber`.
fn camel(kind: &str) -> String {
    kind.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worse_forecast_is_still_one_and_says_why() {
        let said = |standing: &Standing| {
            let finding = forecast_finding(true, None, Some(standing), None);
            assert_eq!(finding.holds, Holds::True);
            (finding.reason, finding.message)
        };
        let mut standing = Standing::default();
        let pair = |why: &str, message: &str| (why.to_owned(), message.to_owned());
        assert_eq!(said(&standing), pair("Fresh", "the forecast is recent"));
        standing.entries_note = Some("no entries".to_owned());
        assert_eq!(said(&standing), pair("EntriesMissing", "no entries"));
        standing.fallback = Some("last week predicted better".to_owned());
        assert_eq!(
            said(&standing),
            pair("Fallback", "last week predicted better; no entries")
        );
        standing.entries_note = None;
        assert_eq!(
            said(&standing),
            pair("Fallback", "last week predicted better")
        );
        let finding = forecast_finding(true, None, Some(&standing), Some("no list"));
        assert_eq!(finding.reason, reason::FALLBACK);
        assert_eq!(finding.message, "last week predicted better; no list");
        let finding = forecast_finding(true, None, None, Some("no list"));
        assert_eq!(finding.reason, reason::FAULTS_MISSING);
        // what is not renewed is worse than either
        let finding = forecast_finding(true, Some("timeout"), Some(&standing), None);
        assert_eq!(finding.reason, reason::NOT_RENEWED);
    }
}
