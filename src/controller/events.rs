//! Which Kubernetes Events a tick is worth: one per change, none per tick. Pure.

use kube::runtime::events::{Event, EventType};

use super::act::Outcome;
use super::state::Told;
use crate::api::conditions::{ConditionType, Finding, Holds, reason};
use crate::plan::Plan;

/// Longest note the API server accepts, bytes.
const LONGEST_NOTE: usize = 1024;

/// Events for what changed since `told`, which is brought up to date.
pub(super) fn of_findings(findings: &[Finding], told: &mut Told) -> Vec<Event> {
    findings
        .iter()
        .filter_map(|finding| {
            let now = (finding.holds, key(finding));
            let before = told.insert(finding.condition.into(), now.clone());
            if before.as_ref() == Some(&now) {
                return None;
            }
            let (type_, reason) = words(finding, before.as_ref())?;
            Some(event(type_, reason, &action(finding), &finding.message))
        })
        .collect()
}

/// The Event of a size that was written.
pub(super) fn of_outcome(outcome: &Outcome, plan: &Plan) -> Option<Event> {
    let Outcome::Scaled { from, to } = outcome else {
        return None;
    };
    let reason = if to > from { "ScaledUp" } else { "ScaledDown" };
    // repeats of one action are folded with the first note, so the size is in the action
    let action = format!("ScaleTo{to}");
    Some(event(
        EventType::Normal,
        reason,
        &action,
        &format!("from {from} to {to}: {}", plan.summary),
    ))
}

/// What was being done, as precisely as the finding: repeats of one action are folded with the first
/// note.
fn action(finding: &Finding) -> String {
    let field = finding.message.split(' ').next().unwrap_or_default();
    if finding.reason == reason::INVALID_SPEC && field.starts_with("spec.") {
        format!("Read {field}")
    } else {
        format!("Observe{}", finding.reason)
    }
}

/// What makes a finding another one: of a bad spec, which field, of a bad calendar, which line; else
/// its reason.
pub(super) fn key(finding: &Finding) -> String {
    match &*finding.reason {
        reason::INVALID_SPEC | reason::CALENDAR_REFUSED => finding.message.clone(),
        other => other.to_owned(),
    }
}

/// Type and reason of the Event for a changed finding, if it deserves one.
fn words(finding: &Finding, before: Option<&(Holds, String)>) -> Option<(EventType, &'static str)> {
    use ConditionType as C;
    let lost = finding.holds == Holds::False;
    let back =
        finding.holds == Holds::True && before.is_some_and(|before| before.0 == Holds::False);
    match finding.condition {
        C::LoadAvailable if lost => Some((EventType::Warning, "LoadMissing")),
        C::LoadAvailable if back => Some((EventType::Normal, "LoadRecovered")),
        C::ForecastAvailable if lost => Some((EventType::Warning, "ForecastMissing")),
        C::ForecastAvailable if back => Some((EventType::Normal, "ForecastRecovered")),
        C::CalendarAvailable if lost => Some((EventType::Warning, "CalendarMissing")),
        C::CalendarAvailable if finding.reason == reason::CALENDAR_REFUSED => {
            Some((EventType::Warning, reason::CALENDAR_REFUSED))
        }
        C::CalendarAvailable if finding.reason == reason::FIXTURES_DISPUTED => {
            Some((EventType::Warning, reason::FIXTURES_DISPUTED))
        }
        // what was there in an older version, or in doubt, is as it should be
        C::CalendarAvailable if finding.reason == reason::CONFIGURED => {
            let in_doubt = |(_, key): &(Holds, String)| key != reason::NONE_NAMED;
            let recovered = before.is_some_and(in_doubt);
            recovered.then_some((EventType::Normal, "CalendarRecovered"))
        }
        C::CalendarAvailable if back => Some((EventType::Normal, "CalendarRecovered")),
        C::Enforcing if lost => match finding.reason.as_str() {
            reason::HPA_PRESENT => Some((EventType::Warning, reason::HPA_PRESENT)),
            reason::TARGET_TAKEN => Some((EventType::Warning, reason::TARGET_TAKEN)),
            reason::SWITCHED_OFF => Some((EventType::Warning, reason::SWITCHED_OFF)),
            _ => None,
        },
        C::Ready if lost => match finding.reason.as_str() {
            reason::INVALID_SPEC => Some((EventType::Warning, reason::INVALID_SPEC)),
            reason::TARGET_NOT_FOUND => Some((EventType::Warning, reason::TARGET_NOT_FOUND)),
            reason::TARGET_NOT_SCALABLE => Some((EventType::Warning, reason::TARGET_NOT_SCALABLE)),
            reason::TARGET_UNREADABLE => Some((EventType::Warning, reason::TARGET_UNREADABLE)),
            reason::WRITE_FAILED => Some((EventType::Warning, "CannotScale")),
            // the signal that is missing has its own Event
            _ => None,
        },
        C::Ready if back => Some((EventType::Normal, "Recovered")),
        _ => None,
    }
}

fn event(type_: EventType, reason: &str, action: &str, note: &str) -> Event {
    let mut note = note.to_owned();
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE - 3)
            .rev()
            .find(|&i| note.is_char_boundary(i));
        note.truncate(end.unwrap_or(0));
        note.push_str("...");
    }
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: action.to_owned(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(there: bool, why: &str) -> Vec<Finding> {
        vec![Finding::new(ConditionType::LoadAvailable, there, why, "m")]
    }

    #[test]
    fn a_signal_is_told_lost_once_and_back_once() {
        let mut told = Told::default();
        let mut tell = |findings: Vec<Finding>| -> Vec<String> {
            of_findings(&findings, &mut told)
                .into_iter()
                .map(|event| event.reason)
                .collect()
        };
        assert!(
            tell(load(true, reason::FRESH)).is_empty(),
            "a good start is no news"
        );
        assert_eq!(tell(load(false, "Timeout")), ["LoadMissing"]);
        assert!(tell(load(false, "Timeout")).is_empty());
        assert_eq!(
            tell(load(false, "Empty")),
            ["LoadMissing"],
            "another cause is news"
        );
        assert_eq!(tell(load(true, reason::FRESH)), ["LoadRecovered"]);
        assert!(tell(load(true, reason::FRESH)).is_empty());
    }

    #[test]
    fn another_bad_field_is_told_again() {
        let mut told = Told::default();
        let bad = |message: &str| {
            vec![Finding::new(
                ConditionType::Ready,
                false,
                reason::INVALID_SPEC,
                message,
            )]
        };
        assert_eq!(of_findings(&bad("spec.lead"), &mut told).len(), 1);
        assert_eq!(of_findings(&bad("spec.lead"), &mut told).len(), 0);
        assert_eq!(of_findings(&bad("spec.quietCover"), &mut told).len(), 1);
    }

    #[test]
    fn different_causes_are_different_actions() {
        use ConditionType as C;

        let mut told = Told::default();
        let mut action = |condition, holds: bool, why: &str, message: &str| {
            let finding = Finding::new(condition, holds, why, message);
            let events = of_findings(&[finding], &mut told).into_iter();
            events
                .map(|event| (event.reason, event.action))
                .next()
                .unwrap()
        };
        let pair = |reason: &str, action: &str| (reason.to_owned(), action.to_owned());
        let slow = action(C::LoadAvailable, false, "Timeout", "m");
        assert_eq!(slow, pair("LoadMissing", "ObserveTimeout"));
        let empty = action(C::LoadAvailable, false, "Empty", "m");
        assert_eq!(empty, pair("LoadMissing", "ObserveEmpty"));
        for field in ["spec.lead", "spec.quietCover"] {
            let told = action(
                C::Ready,
                false,
                reason::INVALID_SPEC,
                &format!("{field} is 0"),
            );
            assert_eq!(told, pair("InvalidSpec", &format!("Read {field}")));
        }
        // a calendar that is in force is worth a warning when it is not the one in the file
        let old = action(
            C::CalendarAvailable,
            true,
            reason::CALENDAR_REFUSED,
            "line 3",
        );
        assert_eq!(old, pair("CalendarRefused", "ObserveCalendarRefused"));
        let more = action(
            C::CalendarAvailable,
            true,
            reason::CALENDAR_REFUSED,
            "line 9",
        );
        assert_eq!(more.0, "CalendarRefused", "another line is news");
        let mended = action(C::CalendarAvailable, true, reason::CONFIGURED, "9 fixtures");
        assert_eq!(mended.0, "CalendarRecovered");
    }

    #[test]
    fn a_long_note_is_cut_at_a_letter() {
        let cut = event(EventType::Normal, "R", "A", &"ü".repeat(2000))
            .note
            .unwrap();
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with("..."));
    }
}
