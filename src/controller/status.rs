//! The status as a value: what a plan and its outcome say, and whether that is worth a write.
//! Pure: no client, no clock.

use chrono::TimeDelta;

use super::act::{Applied, Outcome};
use super::pulse::WrittenBetween;
use super::state::named;
use super::validate::Refusal;
use crate::api::conditions::{ConditionType, Finding, reason, set_condition};
use crate::api::v1alpha1::{
    CapacityOrigin, CapacityProof, CapacityStatus, CoverStatus, ForecastStatus, PeakStatus,
    PredictiveAutoscalerStatus, ScaleStatus, SpikesStatus,
};
use crate::burst::{LearntSpikes, SpikeSizes};
use crate::forecast::Forecast;
use crate::plan::{Cover, Hold, Peak, Plan};
use crate::serve::Standing;
use crate::target::TargetError;
use crate::units::{HumanDuration, Timestamp};

/// A number this close to the one last written says nothing new.
const ALIKE: f64 = 0.05;

/// Numbers alone are not written more often than this.
const NUMBERS_EVERY: TimeDelta = TimeDelta::seconds(30);

/// A status is written at least this often, so that its age tells whether anybody is at work.
const HEARTBEAT: TimeDelta = TimeDelta::minutes(5);

/// Notes on a forecast that a status holds.
const MOST_NOTES: usize = 8;

/// Their longest, characters.
const LONGEST_NOTE: usize = 400;

/// The status after a decision, and every finding it holds.
pub(super) fn of_applied(
    applied: &Applied,
    last: &PredictiveAutoscalerStatus,
    generation: Option<i64>,
) -> (PredictiveAutoscalerStatus, Vec<Finding>) {
    let Applied {
        facts,
        plan,
        outcome,
        bridged,
    } = applied;
    let now = facts.now;
    let mut findings = facts.findings.clone();
    findings.insert(0, ready(plan, outcome));
    if let Some(stale) = plan
        .problems
        .iter()
        .find_map(|p| p.strip_prefix("forecast: "))
        && facts.observed.forecast.is_some()
    {
        for finding in &mut findings {
            if finding.condition == ConditionType::ForecastAvailable {
                *finding = Finding::new(finding.condition, false, reason::STALE, stale);
            }
        }
    }
    let mut conditions = last.conditions.clone();
    for finding in &findings {
        set_condition(&mut conditions, finding, generation, now);
    }
    let last_scale = match outcome {
        Outcome::Scaled { from, to } => Some(ScaleStatus {
            from: *from,
            to: *to,
            at: to_second(now),
            reason: plan.summary.clone(),
        }),
        _ => match &facts.written_between {
            Some(between) => Some(scaled_between(between)),
            None => last.last_scale.clone(),
        },
    };
    let current = match outcome {
        Outcome::Scaled { to, .. } => *to,
        _ => facts.size.replicas,
    };
    let mut reasons = plan.reasons();
    if let Outcome::HeldBack { reason } = outcome {
        reasons.push(format!("held back: {reason}"));
    }
    let unchanged = bridged.notes.iter();
    reasons.extend(unchanged.map(|note| format!("bridge not changed: {note}")));
    let scale_up_time = facts
        .policy
        .start_up
        .scale_up_time
        .unwrap_or_else(|| plan.memory.scale_up.p95());
    let status = PredictiveAutoscalerStatus {
        observed_generation: generation,
        conditions,
        updated_at: Some(to_second(now)),
        summary: Some(plan.summary.clone()),
        reasons,
        problems: plan.problems.clone(),
        current_replicas: Some(current),
        desired_replicas: Some(plan.desired),
        ready_replicas: Some(facts.size.ready),
        offered_load: plan.offered.map(|load| rounded(load.as_per_second())),
        headroom: plan.headroom.map(rounded),
        cover: plan.cover.map(cover_status),
        spikes: facts
            .spikes
            .map(|(sizes, learnt)| spikes_status(&sizes, learnt)),
        peak: plan.peak.map(|peak| peak_status(peak, now)),
        capacity: Some(CapacityStatus {
            per_replica: plan.per_replica.map(|rate| rounded(rate.as_per_second())),
            scale_up_time: HumanDuration(scale_up_time),
            origin: match (facts.policy.per_replica, plan.per_replica) {
                (Some(_), _) => CapacityOrigin::Typed,
                (None, Some(_)) => CapacityOrigin::Learned,
                (None, None) => CapacityOrigin::Unknown,
            },
            proven: plan
                .memory
                .capacity
                .proof()
                .map(|(at, rate)| CapacityProof {
                    per_replica: rounded(rate.as_per_second()),
                    at: to_second(at),
                    target: named(&facts.target),
                }),
        }),
        forecast: facts
            .observed
            .forecast
            .as_ref()
            .map(|forecast| ForecastStatus {
                origin: to_second(forecast.origin),
                until: to_second(forecast.end()),
                model: forecast.model.clone(),
                coverage: facts
                    .standing
                    .as_ref()
                    .and_then(|standing| standing.around_fixtures()),
                notes: notes(forecast, facts.standing.as_deref()),
            }),
        covering: plan.covering.clone(),
        last_scale,
    };
    (status, findings)
}

/// A size that the fast loop wrote between two ticks.
pub(super) fn scaled_between(between: &WrittenBetween) -> ScaleStatus {
    ScaleStatus {
        from: between.from,
        to: between.to,
        at: to_second(between.at),
        reason: between.reason.clone(),
    }
}

/// The status when there is nothing to decide: what was last known stays, and says so.
pub(super) fn of_refusal(
    refusal: &Refusal,
    last: &PredictiveAutoscalerStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> (PredictiveAutoscalerStatus, Vec<Finding>) {
    of_finding(refusal.finding(), last, generation, now)
}

/// The same for any single finding.
pub(super) fn of_finding(
    finding: Finding,
    last: &PredictiveAutoscalerStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> (PredictiveAutoscalerStatus, Vec<Finding>) {
    let mut status = last.clone();
    status.observed_generation = generation;
    status.updated_at = Some(to_second(now));
    status.summary = Some(format!("nothing is decided: {}", finding.message));
    status.reasons.clear();
    status.problems = vec![finding.message.clone()];
    set_condition(&mut status.conditions, &finding, generation, now);
    (status, vec![finding])
}

/// Whether decisions are made on complete facts and carried out.
fn ready(plan: &Plan, outcome: &Outcome) -> Finding {
    let condition = ConditionType::Ready;
    match outcome {
        // somebody else was quicker: the next tick decides anew
        Outcome::Failed(TargetError::Overtaken { .. } | TargetError::Conflict)
        | Outcome::Nothing
        | Outcome::Scaled { .. }
        | Outcome::HeldBack { .. } => {}
        Outcome::Failed(error) => {
            return Finding::new(condition, false, reason::WRITE_FAILED, error.to_string());
        }
    }
    if !plan.problems.is_empty() {
        let problems = plan.problems.clone();
        let blind = plan.holds.iter().find(|h| matches!(h, Hold::Blind { .. }));
        let held = blind.map_or_else(|| Hold::MissingData { problems }.text(), Hold::text);
        return Finding::new(condition, false, reason::DATA_MISSING, held);
    }
    if plan.holds.contains(&Hold::CapacityUnknown) {
        let why = Hold::CapacityUnknown.text();
        return Finding::new(condition, false, reason::CAPACITY_UNKNOWN, why);
    }
    Finding::new(
        condition,
        true,
        reason::COMPLETE,
        "decisions are made on complete facts",
    )
}

/// Whether `new` should be written over `old`: at once when something changed that a person or a
/// script acts on, every half minute when numbers moved, every five minutes as a sign of life.
pub(super) fn worth_writing(
    new: &PredictiveAutoscalerStatus,
    old: Option<&PredictiveAutoscalerStatus>,
) -> bool {
    let Some(old) = old else { return true };
    let (Some(now), Some(then)) = (new.updated_at, old.updated_at) else {
        return true;
    };
    let age = now - then;
    !same_state(new, old)
        || age >= HEARTBEAT
        || age < TimeDelta::zero()
        || (age >= NUMBERS_EVERY && !alike(new, old))
}

fn same_state(a: &PredictiveAutoscalerStatus, b: &PredictiveAutoscalerStatus) -> bool {
    let conditions = |status: &PredictiveAutoscalerStatus| {
        status
            .conditions
            .iter()
            .map(|c| {
                (
                    c.type_.clone(),
                    c.status.clone(),
                    c.reason.clone(),
                    c.observed_generation,
                )
            })
            .collect::<Vec<_>>()
    };
    let model = |status: &PredictiveAutoscalerStatus| {
        status
            .forecast
            .as_ref()
            .map(|f| (f.model.clone(), f.notes.clone()))
    };
    a.observed_generation == b.observed_generation
        && a.current_replicas == b.current_replicas
        && a.desired_replicas == b.desired_replicas
        && a.ready_replicas == b.ready_replicas
        && a.covering == b.covering
        && a.last_scale == b.last_scale
        && a.spikes == b.spikes
        && a.peak.is_some() == b.peak.is_some()
        && model(a) == model(b)
        && conditions(a) == conditions(b)
}

fn alike(a: &PredictiveAutoscalerStatus, b: &PredictiveAutoscalerStatus) -> bool {
    let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= ALIKE * a.abs().max(b.abs()),
        (None, None) => true,
        _ => false,
    };
    let peak = |s: &PredictiveAutoscalerStatus| s.peak.as_ref().map(|p| (p.at, p.replicas));
    let messages = |s: &PredictiveAutoscalerStatus| -> Vec<String> {
        s.conditions.iter().map(|c| c.message.clone()).collect()
    };
    let carries = |s: &PredictiveAutoscalerStatus| s.capacity.as_ref().and_then(|c| c.per_replica);
    close(a.offered_load, b.offered_load)
        && close(a.headroom, b.headroom)
        && close(carries(a), carries(b))
        && peak(a) == peak(b)
        && a.problems == b.problems
        && messages(a) == messages(b)
}

/// What to know of a forecast, signals first: a missing signal can be mended.
fn notes(forecast: &Forecast, standing: Option<&Standing>) -> Vec<String> {
    let signals = standing
        .into_iter()
        .flat_map(|standing| {
            let Standing {
                entries_note,
                shed_note,
                saturated_note,
                ..
            } = standing;
            [entries_note, shed_note, saturated_note]
        })
        .flatten();
    let all: Vec<&String> = signals.chain(&forecast.notes).collect();
    let mut notes: Vec<String> = all
        .iter()
        .take(MOST_NOTES)
        .map(|note| shortened(note))
        .collect();
    if all.len() > MOST_NOTES {
        notes.push(format!("and {} more", all.len() - MOST_NOTES));
    }
    notes
}

/// The note, or its beginning when it is longer than anybody reads.
fn shortened(note: &str) -> String {
    match note.char_indices().nth(LONGEST_NOTE) {
        Some((end, _)) => format!("{}...", &note[..end]),
        None => note.to_owned(),
    }
}

fn peak_status(peak: Peak, now: Timestamp) -> PeakStatus {
    let load = rounded(peak.load.as_per_second());
    PeakStatus {
        at: to_second(peak.at),
        load,
        replicas: peak.replicas,
        ready_by: to_second(peak.ready_by),
        sentence: format!(
            "{} your peak will be {}/s: {} replicas, asked for by {} UTC",
            ahead(peak.at - now),
            grouped(load),
            peak.replicas,
            peak.ready_by.format("%H:%M"),
        ),
    }
}

/// `in 2 h 10 min`, to five minutes: a sentence that changes every second is not read.
fn ahead(span: TimeDelta) -> String {
    let minutes = (span.num_minutes() + 2) / 5 * 5;
    match (minutes / 60, minutes % 60) {
        _ if span < TimeDelta::minutes(3) => "now".to_owned(),
        (0, minutes) => format!("in {minutes} min"),
        (hours, _) if hours >= 24 => format!("in {} d {} h", hours / 24, hours % 24),
        (hours, 0) => format!("in {hours} h"),
        (hours, minutes) => format!("in {hours} h {minutes} min"),
    }
}

/// `1,200`, or `0.25` below ten.
fn grouped(number: f64) -> String {
    if number < 10.0 {
        return format!("{number}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn spikes_status(sizes: &SpikeSizes, learnt: LearntSpikes) -> SpikesStatus {
    let seconds = |span: TimeDelta| rounded(span.num_milliseconds() as f64 / 1e3);
    SpikesStatus {
        median: rounded(sizes.quantile(0.5, 1)),
        p95: rounded(sizes.quantile(0.95, 1)),
        rise_seconds: seconds(sizes.rise()),
        half_life_seconds: seconds(sizes.half_life()),
        // what changes every second would be written every tick
        learnt: LearntSpikes {
            live: learnt.live.in_whole_hours(),
            quiet: learnt.quiet.in_whole_hours(),
        },
    }
}

fn cover_status(cover: Cover) -> CoverStatus {
    CoverStatus {
        multiple: rounded(cover.multiple),
        spikes_covered: cover.spikes_covered.map(rounded),
        larger_per_hour: cover.larger_per_hour.map(rounded),
        replicas: cover.replicas,
        replica_hours: rounded(cover.replica_hours),
    }
}

/// Three significant digits: what is known of a load, and all that fits an eye.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let digits = 2 - number.abs().log10().floor() as i32;
    if digits <= 0 {
        return number.round();
    }
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

fn to_second(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_for_people() {
        let minutes = |m| ahead(TimeDelta::minutes(m));
        let said = [1, 4, 58, 121, 130, 26 * 60].map(minutes);
        assert_eq!(
            said,
            [
                "now",
                "in 5 min",
                "in 1 h",
                "in 2 h",
                "in 2 h 10 min",
                "in 1 d 2 h"
            ]
        );
        assert_eq!(
            [0.25, 42.0, 1200.0, 1_234_567.0].map(grouped),
            ["0.25", "42", "1,200", "1,234,567"]
        );
        assert_eq!(
            [0.0, 0.012_345, 2.7081, 1234.5].map(rounded),
            [0.0, 0.0123, 2.71, 1235.0]
        );
    }

    #[test]
    fn notes_are_few_and_short_and_begin_with_what_can_be_mended() {
        let mut forecast = Forecast {
            origin: Timestamp::UNIX_EPOCH,
            start: Timestamp::UNIX_EPOCH,
            step: TimeDelta::minutes(5),
            paths: Default::default(),
            peaks: Vec::new(),
            model: "flat".into(),
            notes: vec!["a".into(), "é".repeat(1_000)],
        };
        let standing = Standing {
            entries_note: Some("entries".into()),
            shed_note: Some("shed".into()),
            ..Standing::default()
        };
        let said = notes(&forecast, Some(&standing));
        assert_eq!(said[..3], ["entries", "shed", "a"]);
        assert_eq!(said[3], format!("{}...", "é".repeat(400)));
        forecast.notes = vec!["novelty".into(); 20];
        let said = notes(&forecast, None);
        assert_eq!(said.len(), 9);
        assert_eq!(said[8], "and 12 more");
    }

    fn status(second: i64, load: f64, desired: u32) -> PredictiveAutoscalerStatus {
        PredictiveAutoscalerStatus {
            updated_at: Timestamp::from_timestamp(second, 0),
            offered_load: Some(load),
            desired_replicas: Some(desired),
            ..PredictiveAutoscalerStatus::default()
        }
    }

    #[test]
    fn a_status_is_written_when_it_says_something_new() {
        let old = status(0, 100.0, 4);
        let worth = |new: &PredictiveAutoscalerStatus| worth_writing(new, Some(&old));
        assert!(worth_writing(&old, None));
        assert!(!worth(&status(15, 100.0, 4)), "nothing changed");
        assert!(!worth(&status(15, 180.0, 4)), "numbers wait half a minute");
        assert!(worth(&status(30, 180.0, 4)));
        assert!(!worth(&status(60, 103.0, 4)), "noise");
        assert!(worth(&status(1, 100.0, 5)), "a size does not wait");
        assert!(worth(&status(300, 100.0, 4)), "a sign of life");
    }
}
