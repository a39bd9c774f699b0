//! What a policy says right now, whatever the last tick made of it.
//!
//! A tick that waits for a slow Prometheus, or that refuses the spec, leaves the stance of an
//! earlier spec in force. To write nothing until they agree would hold the fast loop off in the
//! middle of a spike because of any harmless edit, and for good after a typing error. So the last
//! good stance stays in force for everything but what an edit may forbid a raise by: these few
//! fields are read as they stand right before each write. Bounds only ever make it smaller; what a
//! person orders by hand counts from the moment it is ordered, more or less.

use crate::api::PredictiveAutoscalerSpec;
use crate::api::policy::order_by_hand;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::plan::{ManualOverride, Mode, Policy};

/// What binds a raise as the policy stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latest {
    /// The only workload that may be written to.
    pub(super) target: ScaleTargetRef,
    /// The bounds of its size.
    pub(super) min_replicas: u32,
    pub(super) max_replicas: u32,
    /// A person's order.
    pub(super) manual: Option<ManualOverride>,
    /// Whether running pods may get more CPU.
    pub(super) cpu: bool,
}

impl Latest {
    /// What a spec binds a raise by.
    ///
    /// # Errors
    /// Why nothing may be written by it.
    pub(crate) fn of(spec: &PredictiveAutoscalerSpec) -> Result<Self, String> {
        if spec.mode != Mode::Enforce {
            return Err("mode is Recommend: nothing is written".to_owned());
        }
        let manual = spec.manual.as_ref().map(order_by_hand).transpose();
        Ok(Self {
            target: spec.scale_target_ref.clone(),
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            cpu: spec
                .bridges
                .as_ref()
                .and_then(|bridges| bridges.resize.as_ref())
                .is_some_and(|resize| resize.enabled),
            manual: manual
                .map_err(|error| format!("what is ordered by hand is not known: {error}"))?,
        })
    }

    /// Whether this workload is still the policy's.
    pub(super) fn scales(&self, target: &ScaleTargetRef) -> Result<(), String> {
        if self.target == *target {
            return Ok(());
        }
        Err(format!(
            "scaleTargetRef names another workload since the last tick: {} {} is not written to",
            target.kind, target.name
        ))
    }

    /// Whether pods of this workload may get more CPU by it.
    pub(super) fn raises_cpu(&self, target: &ScaleTargetRef) -> bool {
        self.cpu && self.scales(target).is_ok()
    }

    /// A policy within these bounds as well. Wider ones are the next tick's: a spec that it refuses
    /// is none to raise by.
    pub(super) fn within(&self, policy: &Policy) -> Policy {
        let max_replicas = policy.max_replicas.min(self.max_replicas).max(1);
        let min_replicas = policy.min_replicas.min(self.min_replicas);
        Policy {
            min_replicas: min_replicas.clamp(1, max_replicas),
            max_replicas,
            ..policy.clone()
        }
    }
}
