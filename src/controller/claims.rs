//! Which workload each policy scales, by the version of it that is in force.
//!
//! Of two policies that enforce on one workload the older does. What is written of it says too
//! little: an edit that cannot be used is not followed, and what it follows instead may enforce.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::state::PolicyKey;
use super::version::{InForce, in_force, kept};
use crate::api::PredictiveAutoscaler;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::plan::Mode;

/// What a policy lays claim to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    target: ScaleTargetRef,
    /// Whether it writes.
    enforces: bool,
}

impl Claim {
    /// By what is in force.
    pub(super) fn of(force: &InForce<'_>) -> Self {
        Self {
            target: force.spec.scale_target_ref.clone(),
            enforces: force.policy.is_ok() && force.spec.mode == Mode::Enforce,
        }
    }

    /// By what is written, and what its status keeps, of a policy that has not been looked at.
    pub(super) fn written(policy: &PredictiveAutoscaler) -> Self {
        let last_good = kept(policy.status.as_ref());
        Self::of(&in_force(&policy.spec, last_good.as_ref()))
    }

    /// Whether it writes to this workload.
    pub(super) fn takes(&self, target: &ScaleTargetRef) -> bool {
        self.enforces && self.target == *target
    }
}

/// All policies' claims.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_key: Mutex<HashMap<PolicyKey, Claim>>,
}

impl Claims {
    /// Notes one.
    pub(super) fn lay(&self, key: &PolicyKey, claim: Claim) {
        self.lock().insert(key.clone(), claim);
    }

    /// That of a policy, once it has been looked at.
    pub(super) fn of(&self, key: &PolicyKey) -> Option<Claim> {
        self.lock().get(key).cloned()
    }

    /// Forgets that of a policy that is gone.
    pub(super) fn forget(&self, key: &PolicyKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PolicyKey, Claim>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::PredictiveAutoscalerStatus;
    use crate::api::{PredictiveAutoscalerSpec, of_web};
    use crate::controller::version::keep;

    fn spec(fields: &str) -> PredictiveAutoscalerSpec {
        of_web(&format!("  minReplicas: 1\n  maxReplicas: 2\n  {fields}"))
    }

    #[test]
    fn what_is_in_force_lays_claim_and_not_what_is_written() {
        let recommends = spec("mode: Recommend");
        let enforces = spec("mode: Enforce");
        let target = enforces.scale_target_ref.clone();
        let slip = spec("mode: Enforce\n  quietCover: 0.1x");
        let takes = |written: &PredictiveAutoscalerSpec, last_good| {
            Claim::of(&in_force(written, last_good)).takes(&target)
        };
        let unseen = |spec: &PredictiveAutoscalerSpec, last_good| {
            let mut policy = PredictiveAutoscaler::new("web", spec.clone());
            policy.status = Some(PredictiveAutoscalerStatus {
                last_good_spec: Option::and_then(last_good, keep),
                ..PredictiveAutoscalerStatus::default()
            });
            Claim::written(&policy)
        };
        assert!(takes(&enforces, None) && !takes(&recommends, None));
        // a slip on the way to Enforce stands nobody down; one while it enforces gives nothing up
        assert!(!takes(&slip, Some(&recommends)) && takes(&slip, Some(&enforces)));
        // also of one that nobody has looked at since a restart
        assert!(!unseen(&slip, None).takes(&target));
        assert!(!unseen(&slip, Some(&recommends)).takes(&target));
        assert!(unseen(&slip, Some(&enforces)).takes(&target));
        let elsewhere = ScaleTargetRef {
            name: "api".to_owned(),
            ..target.clone()
        };
        assert!(!unseen(&enforces, None).takes(&elsewhere));
    }
}
