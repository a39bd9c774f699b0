//! Stage 4 of a tick: carry out what was planned, and nothing else.
//!
//! The gate is here, right before each write: only a leader writes, nothing is lowered while
//! stopping or while another owner cannot be ruled out. A `Recommend` plan holds no size to write;
//! at most a bridge is taken back.

use std::sync::PoisonError;
use std::time::Duration;

use super::bridges::{self, Bridged};
use super::context::Context;
use super::state::PolicyKey;
use super::validate::Validated;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::plan::{Action, Plan};
use crate::serve::metrics::WriteOutcome;
use crate::target::{CallError, TargetError, WorkloadSize};

/// Longest a raise waits for the write budget before it is decided anew.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

const FOLLOWS: &str = "another controller leads";

/// A decision with the facts it was made of.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) facts: Validated,
    pub(super) plan: Plan,
}

/// What became of the decision.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// The size was written.
    Scaled {
        /// Size before.
        from: u32,
        /// Size after.
        to: u32,
    },
    /// It was not tried.
    HeldBack {
        /// Why.
        reason: String,
    },
    /// It was tried and failed.
    Failed(TargetError),
}

/// A decision and what became of it.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) facts: Validated,
    pub(super) plan: Plan,
    pub(super) outcome: Outcome,
    pub(super) bridged: Bridged,
}

/// What is written to, and under which reserve.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The workload.
    pub(crate) target: ScaleTargetRef,
    /// Its size as read, to write against.
    pub(crate) size: WorkloadSize,
    /// Why a smaller size may not be written, when it may not.
    pub(crate) no_lowering: Option<String>,
}

/// Carries out a plan.
pub(super) async fn act(ctx: &Context, key: &PolicyKey, planned: Planned) -> Applied {
    let Planned { facts, plan } = planned;
    let mut outcome = Outcome::Nothing;
    let mut bridged = Bridged::default();
    for action in &plan.actions {
        if let Action::Scale { from, to } = *action {
            outcome = write(ctx, key, &facts.order(), from, to).await;
        } else {
            bridges::carry_out(ctx, key, &facts, *action, &mut bridged).await;
        }
    }
    Applied {
        facts,
        plan,
        outcome,
        bridged,
    }
}

/// A write, its repeats included, ends within this time of the gate. By default a lease outlives
/// its holder's last claim to lead by five seconds, so nobody else leads by then.
pub(super) const WRITE_DEADLINE: Duration = Duration::from_secs(4);

/// Writes one size, through the gate.
pub(super) async fn write(
    ctx: &Context,
    key: &PolicyKey,
    order: &Order,
    from: u32,
    to: u32,
) -> Outcome {
    let reserve = order.no_lowering.as_deref();
    if let Err(reason) = may_write(ctx, reserve, to < from).await {
        ctx.metrics.write(WriteOutcome::Dropped);
        return Outcome::HeldBack { reason };
    }
    let writing = ctx
        .targets
        .write(&key.namespace, &order.target, &order.size, to);
    let written = tokio::time::timeout(WRITE_DEADLINE, writing)
        .await
        .unwrap_or_else(|_| {
            Err(TargetError::from(CallError::Timeout {
                what: "set the workload's size in time for this leader",
                after: WRITE_DEADLINE,
            }))
        });
    match written {
        Ok(()) => {
            ctx.metrics.write(WriteOutcome::Ok);
            tracing::info!(policy = %key, from, to, "scaled");
            Outcome::Scaled { from, to }
        }
        // not tried, or overtaken by the other loop or by somebody else: the next look decides anew
        Err(
            error @ (TargetError::Call(CallError::Refused(_))
            | TargetError::Overtaken { .. }
            | TargetError::Conflict),
        ) => {
            ctx.metrics.write(WriteOutcome::Dropped);
            tracing::debug!(policy = %key, from, to, %error, "not written");
            Outcome::Failed(error)
        }
        Err(error) => {
            ctx.metrics.write(WriteOutcome::Failed);
            tracing::warn!(policy = %key, from, to, %error, "failed to scale");
            Outcome::Failed(error)
        }
    }
}

/// The gate. Leadership is asked last, after every wait.
pub(super) async fn may_write(
    ctx: &Context,
    reserve: Option<&str>,
    lowering: bool,
) -> Result<(), String> {
    if lowering && let Some(reason) = reserve {
        return Err(reason.to_owned());
    }
    if !ctx.leadership.is_leader() {
        return Err(FOLLOWS.to_owned());
    }
    let settings = ctx.live.borrow().settings.budget;
    let began = ctx.clock.monotonic();
    loop {
        let now = ctx.clock.monotonic();
        let taken = {
            let mut budget = ctx.budget.lock().unwrap_or_else(PoisonError::into_inner);
            budget.take(&settings, lowering, now)
        };
        match taken {
            Ok(()) => break,
            // less can wait for its next tick, more only for a moment
            Err(wait) if !lowering && now.saturating_sub(began) + wait <= LONGEST_WAIT => {
                tokio::time::sleep(wait).await;
            }
            Err(_) => return Err("the write budget is used up; it is tried again".to_owned()),
        }
    }
    if lowering && ctx.shutdown.is_cancelled() {
        return Err("the controller is stopping, and nothing is lowered on the way out".to_owned());
    }
    if ctx.leadership.is_leader() {
        Ok(())
    } else {
        Err(FOLLOWS.to_owned())
    }
}
