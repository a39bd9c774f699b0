//! What a tick leaves to the fast loop: facts and policy, and what a decision is written to.

use crate::controller::act::{Applied, Order, Outcome};
use crate::plan::bridges::overload;
use crate::plan::briefing::sport;
use crate::plan::{Memory, Observed, Policy};
use crate::units::{Rate, Timestamp};

/// What a tick leaves to the fast loop.
#[derive(Debug, Clone)]
pub(crate) struct Stance {
    /// The policy in force.
    pub(crate) policy: Policy,
    /// The facts of the tick.
    pub(crate) observed: Observed,
    /// What the tick remembers.
    pub(crate) memory: Memory,
    /// What is written to, and how.
    pub(crate) order: Order,
    /// Load that one ready replica was taken to carry.
    pub(crate) carried: Option<Rate>,
}

impl Stance {
    /// The stance after a tick.
    pub(crate) fn of(applied: &Applied) -> Self {
        let Applied {
            facts,
            plan,
            outcome,
            bridged,
        } = applied;
        let mut order = facts.order();
        let mut observed = facts.observed.clone();
        if let Outcome::Scaled { to, .. } = outcome {
            order.size.replicas = *to;
            observed.workload.replicas = *to;
            observed.workload.ready = observed.workload.ready.min(*to);
        }
        observed.bridges.cpu = bridged.cpu().or(observed.bridges.cpu);
        Self {
            policy: facts.policy.clone(),
            observed,
            memory: plan.memory.clone(),
            order,
            carried: plan.per_replica,
        }
    }

    /// Load above which running replicas should get more CPU.
    pub(super) fn overload(&self) -> Option<Rate> {
        overload(&self.observed, &self.policy, self.carried)
    }

    /// The sport of its fixtures.
    pub(super) fn sport(&self, now: Timestamp) -> Option<&str> {
        sport(&self.observed.calendar, now)
    }
}
