//! The status as a value: what a plan and its outcome say, and whether that is worth a write.
//! Pure: no client, no clock.

use chrono::TimeDelta;

use super::act::{Applied, Outcome};
use super::pulse::WrittenBetween;
use super::state::named;
use super::validate::Refusal;
use crate::api::conditions::{ConditionType, Finding, Holds, reason, set_condition};
use crate::api::v1alpha1::{
    CapacityOrigin, CapacityProof, CapacityStatus, CoverStatus, ForecastStatus, PeakStatus,
    PredictiveAutoscalerStatus, ScaleStatus, SpikesStatus,
};
use crate::burst::{LearntSpikes, SpikeSizes};
use crate::forecast::Forecast;
use crate::plan::{Cover, Hold, ManualOverride, Peak, Plan};
use crate::serve::Standing;
use crate::target::TargetError;
use crate::units::{HumanDuration, Timestamp};

mod news;

pub(super) use news::worth_writing;

/// Notes on a forecast that a status holds.
const MOST_NOTES: usize = 8;

/// Their longest, characters.
const LONGEST_NOTE: usize = 400;

/// The status after a decision, but for what it keeps for a later process, and every finding it
/// holds.
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
    findings.insert(0, ready(facts.refused.as_ref(), plan, outcome));
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
    if let Some(off) = plan.holds.iter().find(|hold| **hold == Hold::ScaledToZero) {
        for finding in &mut findings {
            if finding.condition == ConditionType::Enforcing && finding.holds == Holds::True {
                *finding = Finding::new(finding.condition, false, reason::SWITCHED_OFF, off.text());
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
    reasons.extend(
        facts
            .observed
            .manual
            .as_ref()
            .and_then(|order| run_out(order, now)),
    );
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
        problems: facts.problems(plan),
        last_good_spec: None,
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
            largest_maximum: None,
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
    // what is not decided is not carried out either; but who did not answer once may the next time,
    // and what stood in the way before still does
    let stopped = (last.conditions.iter())
        .any(|c| c.type_ == ConditionType::Enforcing.name() && c.status == "False");
    let enforcing = Finding {
        condition: ConditionType::Enforcing,
        ..finding.clone()
    };
    let lost = !stopped && finding.reason != reason::TARGET_UNREADABLE;
    let findings: Vec<Finding> = [Some(finding), lost.then_some(enforcing)]
        .into_iter()
        .flatten()
        .collect();
    for finding in &findings {
        set_condition(&mut status.conditions, finding, generation, now);
    }
    (status, findings)
}

/// Whether decisions are made by the policy as it is written, on complete facts, and carried out.
fn ready(refused: Option<&Finding>, plan: &Plan, outcome: &Outcome) -> Finding {
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
    if let Some(refused) = refused {
        return refused.clone();
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

/// What to know of an order by hand whose time is over: somebody may wait for it, as after a slip of
/// the time zone.
fn run_out(order: &ManualOverride, now: Timestamp) -> Option<String> {
    (order.expires <= now).then(|| {
        format!(
            "manual: not followed, it ran out at {} ({}): give it a later `expires`, or take it out",
            order.expires.format("%Y-%m-%d %H:%M UTC"),
            order.reason
        )
    })
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

pub(super) fn to_second(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ManualAction;

    #[test]
    fn an_order_whose_time_is_over_is_told() {
        let order = ManualOverride {
            action: ManualAction::Boost(30),
            expires: Timestamp::UNIX_EPOCH,
            reason: "final".into(),
        };
        let ago = |seconds| run_out(&order, order.expires - TimeDelta::seconds(seconds));
        assert_eq!(ago(1), None);
        let said = ago(0).unwrap();
        assert!(said.contains("1970-01-01 00:00 UTC (final)"), "{said}");
    }

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
}
