//! What of a new status is news that is worth writing at once, or soon.

use chrono::TimeDelta;

use crate::api::v1alpha1::PredictiveAutoscalerStatus;

/// A number this close to the one last written says nothing new.
const ALIKE: f64 = 0.05;

/// Numbers alone are not written more often than this.
const NUMBERS_EVERY: TimeDelta = TimeDelta::seconds(30);

/// A status is written at least this often, so that its age tells whether anybody is at work.
const HEARTBEAT: TimeDelta = TimeDelta::minutes(5);

/// Whether `new` should be written over `old`: at once when something changed that a person or a
/// script acts on, every half minute when numbers moved, every five minutes as a sign of life.
pub(in crate::controller) fn worth_writing(
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

/// What a status says, but for its numbers.
fn words(status: &PredictiveAutoscalerStatus) -> Vec<String> {
    let said = status.summary.iter().chain(&status.reasons);
    said.map(|text| text.chars().filter(|c| !c.is_ascii_digit()).collect())
        .collect()
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
        && words(a) == words(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

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
        let saying = |second, summary: &str| PredictiveAutoscalerStatus {
            summary: Some(summary.to_owned()),
            ..status(second, 100.0, 4)
        };
        let old = saying(0, "hold 4: frozen by hand");
        let other = saying(30, "hold 4: forecast of 90/s takes 4");
        assert!(worth_writing(&other, Some(&old)), "other words");
        let same = saying(60, "hold 4: forecast of 91/s takes 4");
        assert!(!worth_writing(&same, Some(&other)), "other numbers");
        assert!(worth(&status(300, 100.0, 4)), "a sign of life");
    }
}
