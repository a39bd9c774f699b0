//! What is found about each condition of a policy. Pure: no client, no clock.

use std::sync::Arc;

use super::gather::Reading;
use super::state::{Merged, joined};
use crate::api::conditions::{ConditionType, Finding, Holds, reason};
use crate::fixture::Calendar;
use crate::plan::{Mode, Policy, Signal};
use crate::serve::Standing;
use crate::settings::Live;
use crate::target::HpaSight;
use crate::units::Timestamp;

/// The load signals as a decision is given them, and what is found of them.
pub(super) struct LoadSignals {
    pub(super) load: Signal,
    pub(super) shed: Option<Signal>,
    pub(super) queued: Option<Signal>,
    pub(super) finding: Finding,
}

/// Judges the answers about load: served, shed and queued. `silence` is why live samples are missing.
pub(super) fn load_finding(
    policy: &Policy,
    now: Timestamp,
    (load, shed, queue): (Reading, Option<Reading>, Option<Reading>),
    drain_seconds: f64,
    silence: Option<&str>,
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
    if let Some(silence) = silence {
        why.get_or_insert_with(|| reason::LIVE_SILENT.to_owned());
        messages.push(format!("live load: {silence}"));
    }
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
pub(super) fn forecast_finding(
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
pub(super) fn fixtures(
    names: &[String],
    live: &Live,
    merged: &mut Merged<Calendar>,
) -> (Arc<Calendar>, Option<String>, Finding) {
    let mut parts = Vec::new();
    let mut missing = Vec::new();
    let mut refused = Vec::new();
    for name in names {
        match live.calendar(name) {
            Ok(calendar) => parts.push(Arc::clone(calendar)),
            Err(why) => missing.push(why),
        }
        refused.extend(
            live.calendars.refused(name).map(|why| {
                format!("calendar {name:?}: {why} (its last good version stays in force)")
            }),
        );
    }
    // with all versions, so that the past is learnt from what was known then
    let (calendar, doubts) = merged.of(parts, joined);
    let why = if missing.is_empty() {
        reason::FIXTURES_CLASH
    } else {
        reason::NOT_CONFIGURED
    };
    missing.extend(doubts.left_out.iter().cloned());
    let condition = ConditionType::CalendarAvailable;
    let told = |parts: [&[String]; 3]| parts.concat().join("; ");
    let finding = if !missing.is_empty() {
        let words = told([&missing, &refused, &doubts.disputed]);
        Finding::new(condition, false, why, words)
    } else if names.is_empty() {
        Finding::new(
            condition,
            true,
            reason::NONE_NAMED,
            "the policy names no calendar, so no fixture is planned for",
        )
    } else if !refused.is_empty() {
        let words = told([&refused, &doubts.disputed, &[]]);
        Finding::new(condition, true, reason::CALENDAR_REFUSED, words)
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
    let missing = (!missing.is_empty()).then(|| missing.join("; "));
    (calendar, missing, finding)
}

/// Whether decisions are carried out; turns the policy to `Recommend` when something else owns
/// the size. The first value says why nothing may be lowered although decisions are carried out.
pub(super) fn enforcing(
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
    use crate::settings::{PrometheusSettings, Settings};
    use crate::source::{Sample, SourceError};
    use crate::units::Rate;

    #[test]
    fn live_samples_that_have_stopped_are_a_load_signal_that_is_missing() {
        let policy = Policy::new(1, 2).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let sample = Sample {
            rate: Rate::per_second(1.0),
            at: now,
        };
        let said = |load: Reading, silence| {
            let finding = load_finding(&policy, now, (load, None, None), 30.0, silence).finding;
            (finding.holds, finding.reason, finding.message)
        };
        let (holds, why, _) = said(Ok(sample), None);
        assert_eq!((holds, &*why), (Holds::True, reason::FRESH));
        let (holds, why, message) = said(Ok(sample), Some("no sample for 30 s"));
        assert_eq!((holds, &*why), (Holds::False, reason::LIVE_SILENT));
        assert_eq!(message, "live load: no sample for 30 s");
        let empty = SourceError::Empty {
            query: "q".to_owned(),
        };
        let (_, why, message) = said(Err(empty), Some("no sample for 30 s"));
        assert_eq!(why, "Empty");
        assert!(
            message.ends_with("; live load: no sample for 30 s"),
            "{message}"
        );
    }

    #[test]
    fn a_calendar_whose_newer_version_is_refused_is_there_and_says_so() {
        let prometheus = PrometheusSettings::new("http://p".parse().unwrap());
        let mut live = Live::fixed(Settings::new(prometheus));
        live.calendars.insert("nfl", Arc::default());
        live.calendars.refuses("nfl", "line 3: no start".to_owned());
        let names = ["nfl".to_owned()];
        let (_, missing, finding) = fixtures(&names, &live, &mut Merged::default());
        assert_eq!(missing, None);
        assert_eq!(
            (finding.holds, &*finding.reason),
            (Holds::True, reason::CALENDAR_REFUSED)
        );
        assert_eq!(
            finding.message,
            "calendar \"nfl\": line 3: no start (its last good version stays in force)"
        );
    }

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
