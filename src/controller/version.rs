//! The version of a policy that a tick goes by: what is written now, or what could last be used.
//!
//! A slip in an edit, made in a hurry, must not end decisions in the middle of a game. What could
//! last be used stays in force, as with settings, calendars and fault lists; but what the edit says
//! plainly and only ever binds is followed at once: `Recommend`, a lower maximum, a higher minimum,
//! a bridge that is off, and a person's order. Pure: no client, no clock.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde_json::Value;

use crate::api::policy::{ValidPolicy, order_by_hand};
use crate::api::v1alpha1::{BridgesSpec, NodesSpec, PredictiveAutoscalerStatus, ResizeSpec};
use crate::api::{PredictiveAutoscalerSpec, SpecError};
use crate::plan::Mode;

/// A spec to decide by.
#[derive(Debug)]
pub(super) struct InForce<'s> {
    /// The spec.
    pub(super) spec: Cow<'s, PredictiveAutoscalerSpec>,
    /// The same, checked; `Err` when there is none to decide by.
    pub(super) policy: Result<ValidPolicy, SpecError>,
    /// Why it is not the one that is written, when it is not.
    pub(super) refused: Option<SpecError>,
}

/// What to decide by, given what is `written` and what could be used the last time.
pub(super) fn in_force<'s>(
    written: &'s PredictiveAutoscalerSpec,
    last_good: Option<&PredictiveAutoscalerSpec>,
) -> InForce<'s> {
    let as_written = |policy| InForce {
        spec: Cow::Borrowed(written),
        policy,
        refused: None,
    };
    let error = match written.validate() {
        Ok(policy) => return as_written(Ok(policy)),
        Err(error) => error,
    };
    let bound = last_good.and_then(|last_good| bound(last_good, written));
    let Some((spec, policy)) = bound else {
        return as_written(Err(error));
    };
    InForce {
        spec: Cow::Owned(spec),
        policy: Ok(policy),
        refused: Some(error),
    }
}

/// The version that an earlier process kept in the status, to go on from. One that cannot be read
/// or used is none.
pub(super) fn kept(
    status: Option<&PredictiveAutoscalerStatus>,
) -> Option<PredictiveAutoscalerSpec> {
    let kept = status?.last_good_spec.as_ref()?;
    let spec = PredictiveAutoscalerSpec::deserialize(kept).ok()?;
    spec.validate().is_ok().then_some(spec)
}

/// The same for the status to keep. A status without it is better than none.
pub(super) fn keep(last_good: &PredictiveAutoscalerSpec) -> Option<Value> {
    serde_json::to_value(last_good).ok()
}

/// The last good spec with what `written` binds it by. `None` when it cannot be followed: the
/// workload is another, or what a person orders is not known.
fn bound(
    last_good: &PredictiveAutoscalerSpec,
    written: &PredictiveAutoscalerSpec,
) -> Option<(PredictiveAutoscalerSpec, ValidPolicy)> {
    if last_good.scale_target_ref != written.scale_target_ref {
        return None;
    }
    written
        .manual
        .as_ref()
        .map(order_by_hand)
        .transpose()
        .ok()?;
    let (min_replicas, max_replicas) = bounds(last_good, written);
    let mut spec = PredictiveAutoscalerSpec {
        min_replicas,
        max_replicas,
        manual: written.manual.clone(),
        ..last_good.clone()
    };
    if written.mode == Mode::Recommend {
        spec.mode = Mode::Recommend;
    }
    let BridgesSpec { resize, nodes } = written.bridges.clone().unwrap_or_default();
    if let Some(bridges) = &mut spec.bridges {
        let resized = |resize: &ResizeSpec| resize.enabled;
        let roomy = |nodes: &NodesSpec| nodes.enabled;
        bridges.resize = bridges
            .resize
            .take()
            .filter(|_| resize.as_ref().is_some_and(resized));
        bridges.nodes = bridges
            .nodes
            .take()
            .filter(|_| nodes.as_ref().is_some_and(roomy));
    }
    let policy = spec.validate().ok()?;
    Some((spec, policy))
}

/// The higher minimum and the lower maximum. Those before where what is written contradicts itself,
/// or what was in force: then one of the two is the slip, and nobody knows which.
fn bounds(last_good: &PredictiveAutoscalerSpec, written: &PredictiveAutoscalerSpec) -> (u32, u32) {
    let max_replicas = last_good.max_replicas.min(written.max_replicas);
    let min_replicas = last_good.min_replicas.max(written.min_replicas);
    let sound = written.min_replicas > 0 && written.min_replicas <= written.max_replicas;
    if sound && min_replicas <= max_replicas {
        (min_replicas, max_replicas)
    } else {
        (last_good.min_replicas, last_good.max_replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::of_web as spec;

    const GOOD: &str = "
  mode: Enforce
  minReplicas: 4
  maxReplicas: 40
  spikeCover: 3x
  bridges: {resize: {enabled: true}, nodes: {enabled: true}}
";

    #[test]
    fn what_can_be_used_is_used_as_it_is_written() {
        let (good, other) = (spec(GOOD), spec("  minReplicas: 1\n  maxReplicas: 2"));
        let force = in_force(&other, Some(&good));
        assert_eq!(*force.spec, other);
        assert!(force.policy.is_ok() && force.refused.is_none());
    }

    #[test]
    fn a_slip_leaves_the_last_good_version_in_force() {
        let good = spec(GOOD);
        let slip = spec(&GOOD.replace("3x", "0.5x"));
        let force = in_force(&slip, Some(&good));
        assert_eq!(*force.spec, good);
        assert_eq!(force.refused.unwrap().field(), "spikeCover");
        // with nothing before it there is nothing to decide by
        let force = in_force(&slip, None);
        assert_eq!(force.policy.unwrap_err().field(), "spikeCover");
        assert!(force.refused.is_none());
    }

    #[test]
    fn what_only_binds_counts_at_once() {
        let good = spec(GOOD);
        let slip = spec(
            "
  mode: Recommend
  minReplicas: 6
  maxReplicas: 30
  spikeCover: 0.5x
  quietCover: 9x
  bridges: {resize: {enabled: true}, nodes: {enabled: false}}
  override: {action: Freeze, expires: '2026-09-13T13:00:00Z', reason: final}
",
        );
        let force = in_force(&slip, Some(&good));
        let expected = PredictiveAutoscalerSpec {
            mode: Mode::Recommend,
            min_replicas: 6,
            max_replicas: 30,
            manual: slip.manual.clone(),
            bridges: Some(BridgesSpec {
                nodes: None,
                ..good.bridges.clone().unwrap()
            }),
            ..good.clone()
        };
        assert_eq!(*force.spec, expected);
        // what would loosen it waits: only the order was a person's, who has taken it back
        let lax = GOOD
            .replace("3x", "0.5x")
            .replace("minReplicas: 4", "minReplicas: 2")
            .replace("maxReplicas: 40", "maxReplicas: 90");
        let slip = spec(&lax);
        let force = in_force(&slip, Some(&expected));
        let freed = PredictiveAutoscalerSpec {
            manual: None,
            ..expected.clone()
        };
        assert_eq!(*force.spec, freed);
    }

    #[test]
    fn what_was_kept_in_a_status_is_gone_on_from_if_it_can_be() {
        let good = spec(GOOD);
        let of = |last_good_spec| {
            let status = PredictiveAutoscalerStatus {
                last_good_spec,
                ..PredictiveAutoscalerStatus::default()
            };
            kept(Some(&status))
        };
        assert_eq!(of(keep(&good)), Some(good));
        let slip = spec(&GOOD.replace("3x", "0.5x"));
        assert_eq!(of(keep(&slip)), None);
        assert_eq!(of(Some(serde_json::json!({"mode": "Guess"}))), None);
        assert_eq!(of(None), None);
        assert_eq!(kept(None), None);
    }

    #[test]
    fn bounds_that_contradict_each_other_bind_nothing() {
        let good = spec(GOOD);
        let bounds = |min: u32, max: u32| {
            let mut slip = spec(&GOOD.replace("3x", "0.5x"));
            (slip.min_replicas, slip.max_replicas) = (min, max);
            let spec = in_force(&slip, Some(&good)).spec.into_owned();
            (spec.min_replicas, spec.max_replicas)
        };
        assert_eq!(bounds(5, 30), (5, 30));
        // 30 where 300 was meant, nothing at all, a digit too many
        for (min, max) in [
            (31, 30),
            (0, 0),
            (0, 40),
            (4, 0),
            (4_000, 40),
            (2, 3),
            (90, 99),
        ] {
            assert_eq!(bounds(min, max), (4, 40), "{min} to {max}");
        }
    }

    #[test]
    fn an_edit_that_moves_the_policy_or_orders_what_is_not_known_is_followed_by_nothing() {
        let good = spec(GOOD);
        let mut moved = spec(&GOOD.replace("3x", "0.5x"));
        moved.scale_target_ref.name = "api".to_owned();
        assert!(in_force(&moved, Some(&good)).policy.is_err());
        let pin = "  override: {action: Pin, expires: '2026-09-13T13:00:00Z', reason: final}";
        let pinned = spec(&format!("{GOOD}{pin}"));
        assert!(in_force(&pinned, Some(&good)).policy.is_err());
    }
}
