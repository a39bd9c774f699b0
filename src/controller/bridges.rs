//! Bridges in a tick: what stands of them is looked up before the decision, and what was decided is
//! carried out behind the same gate as a size.
//!
//! Only the leader looks, and only where there may be something to see: a policy that asks for no
//! bridge is looked at once per process, for what an earlier one may have left.

use std::time::Duration;

use chrono::TimeDelta;

use super::act::{Order, WRITE_DEADLINE, may_write};
use super::context::Context;
use super::gather::Raw;
use super::state::PolicyKey;
use super::validate::Validated;
use crate::api::v1alpha1::{BridgesSpec, PredictiveAutoscalerSpec};
use crate::plan::bridges::{BridgesSeen, CpuBridge, CpuState};
use crate::plan::{Action, Bridges};
use crate::serve::metrics::WriteOutcome;
use crate::target::buffer::{BufferError, Owner};
use crate::target::resize::{RAISED_LABEL, ResizeError, Round};
use crate::units::Timestamp;

/// A reserve that is wanted is looked at this often: somebody may have deleted it.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Rounds of giving CPU back that may change nothing, one after another, before it is left.
const VAIN_ROUNDS: u32 = 5;

/// Time between two of them: the API server may be asking for it.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1);

const LATE: &str = "it did not end in time, and goes on at the next tick";

/// What is known of a policy's bridges between two ticks.
#[derive(Debug, Clone, Default)]
pub(super) struct BridgeMemory {
    cpu: Option<CpuState>,
    reserve: Option<(u32, Timestamp)>,
    /// Where the pods are that may be raised.
    selector: Option<String>,
    /// Why what is wanted could not be looked up at this tick.
    blind: Vec<String>,
}

/// What was done, or why not.
#[derive(Debug, Clone, Default)]
pub(super) struct Bridged {
    cpu: Option<CpuState>,
    reserve: Option<u32>,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

impl Bridged {
    /// What the CPU of running pods has become; `None` where nothing was done to it.
    pub(super) fn cpu(&self) -> Option<CpuState> {
        self.cpu
    }
}

impl BridgeMemory {
    /// Takes in what the fast loop did to the CPU of running pods since the last tick.
    pub(super) fn raised_between(&mut self, cpu: Option<CpuState>) {
        self.cpu = cpu.or(self.cpu);
    }

    /// Why what is wanted could not be looked up at this tick, and is therefore not done.
    pub(super) fn blind(&self) -> &[String] {
        &self.blind
    }

    /// What is known of the CPU of running pods may be out of date.
    pub(super) fn look_again(&mut self) {
        self.cpu = None;
    }

    /// Takes in what a tick has done.
    pub(super) fn learn(&mut self, done: &Bridged, now: Timestamp) {
        let Bridged {
            cpu,
            reserve,
            notes: _,
        } = done;
        self.cpu = cpu.or(self.cpu);
        self.reserve = reserve.map(|replicas| (replicas, now)).or(self.reserve);
    }
}

/// Looks up what is not known, and tells all that is.
pub(super) async fn look(
    ctx: &Context,
    key: &PolicyKey,
    spec: &PredictiveAutoscalerSpec,
    raw: &Raw,
    memory: &mut BridgeMemory,
) -> BridgesSeen {
    if !ctx.leadership.is_leader() {
        // whoever leads may change it meanwhile
        *memory = BridgeMemory::default();
        return BridgesSeen::default();
    }
    memory.blind.clear();
    let BridgesSpec { resize, nodes } = spec.bridges.clone().unwrap_or_default();
    if let Ok(size) = &raw.size
        && size.selector != memory.selector
    {
        // another workload: the pods of the last one are given back what they had
        forget(ctx, key, memory).await;
        memory.cpu = None;
        memory.selector.clone_from(&size.selector);
    }
    if memory.cpu.is_none() {
        memory.cpu = match &memory.selector {
            Some(selector) => match ctx.resizes.raised(&key.namespace, selector).await {
                Ok(0) => Some(CpuState::AsMade),
                Ok(_) => Some(CpuState::Raised),
                // who may not list pods has raised none
                Err(ResizeError::Call(error)) if error.is_forbidden() => Some(CpuState::AsMade),
                Err(error) => {
                    tracing::debug!(policy = %key, %error, "raised pods not seen");
                    if resize.as_ref().is_some_and(|resize| resize.enabled) {
                        memory
                            .blind
                            .push(format!("{}: {error}", name(Action::RaiseCpu)));
                    }
                    None
                }
            },
            // where its pods cannot be found none was raised
            None => raw.size.is_ok().then_some(CpuState::AsMade),
        };
    }
    let wanted = nodes.is_some_and(|nodes| nodes.enabled);
    let age = memory.reserve.map(|(_, at)| raw.now - at);
    let due = age.is_none_or(|age| wanted && (age >= LOOK_EVERY || age < TimeDelta::zero()));
    if due {
        match ctx.buffers.held(&owner(key)).await {
            Ok(replicas) => memory.reserve = Some((replicas, raw.now)),
            Err(BufferError::Call(error)) if error.is_forbidden() && !wanted => {
                memory.reserve = Some((0, raw.now));
            }
            Err(error) => {
                tracing::debug!(policy = %key, %error, "reserve not seen");
                if wanted {
                    let forbidden =
                        matches!(&error, BufferError::Call(error) if error.is_forbidden());
                    let remedy = if forbidden {
                        "; give the controller the rights in config/rbac/bridges"
                    } else {
                        ""
                    };
                    memory.blind.push(format!("reserve: {error}{remedy}"));
                }
            }
        }
    }
    BridgesSeen {
        cpu: memory.cpu,
        reserve: memory.reserve.map(|(replicas, _)| replicas),
    }
}

/// Carries out one action of a plan, when it is a bridge's.
pub(super) async fn carry_out(
    ctx: &Context,
    key: &PolicyKey,
    facts: &Validated,
    action: Action,
    done: &mut Bridged,
) {
    let selector = facts.size.selector.as_deref();
    let lowering = match action {
        Action::Scale { .. } => return,
        Action::RaiseCpu | Action::RestoreCpu if selector.is_none() => {
            let why = ResizeError::NoSelector;
            done.notes.push(format!("{}: {why}", name(action)));
            return;
        }
        Action::RaiseCpu => false,
        Action::RestoreCpu => true,
        Action::Reserve { replicas } => facts
            .observed
            .bridges
            .reserve
            .is_some_and(|held| replicas < held),
    };
    // a batch takes one of the budget: pods by the hundred must not keep sizes from being written
    if let Err(reason) = may_write(ctx, facts.no_lowering.as_deref(), lowering).await {
        ctx.metrics.write(WriteOutcome::Dropped);
        done.notes.push(format!("{}: {reason}", name(action)));
        return;
    }
    // as for a size: it ends while this leader still leads
    let failure = match action {
        Action::Scale { .. } => return,
        Action::Reserve { replicas } => {
            let held = reserve(ctx, key, facts, replicas);
            match tokio::time::timeout(WRITE_DEADLINE, held).await {
                Ok(Ok(())) => {
                    tracing::info!(policy = %key, replicas, "reserve set");
                    done.reserve = Some(replicas);
                    None
                }
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some(LATE.to_owned()),
            }
        }
        Action::RaiseCpu | Action::RestoreCpu => {
            let bridge = facts.policy.bridges.cpu.as_ref();
            let bridge = bridge.filter(|_| action == Action::RaiseCpu);
            resize(ctx, key, selector, bridge, done).await
        }
    };
    note(ctx, key, action, failure, done);
}

/// Gives pods back the CPU they had, where a policy went while they were raised.
pub(super) async fn restore(ctx: &Context, key: &PolicyKey, order: &Order) {
    let raised = BridgeMemory {
        cpu: Some(CpuState::Raised),
        selector: order.size.selector.clone(),
        ..BridgeMemory::default()
    };
    forget(ctx, key, &raised).await;
}

/// Gives running pods more CPU between two ticks; what has become of them.
pub(super) async fn raise_between(
    ctx: &Context,
    key: &PolicyKey,
    order: &Order,
    bridge: &CpuBridge,
) -> Option<CpuState> {
    let action = Action::RaiseCpu;
    let selector = Some(order.size.selector.as_deref()?);
    let mut done = Bridged::default();
    let failure = match may_write(ctx, order.no_lowering.as_deref(), false).await {
        Err(reason) => {
            ctx.metrics.write(WriteOutcome::Dropped);
            tracing::debug!(policy = %key, reason, "{} held back", name(action));
            return None;
        }
        Ok(()) => resize(ctx, key, selector, Some(bridge), &mut done).await,
    };
    note(ctx, key, action, failure, &mut done);
    done.cpu
}

fn note(
    ctx: &Context,
    key: &PolicyKey,
    action: Action,
    failure: Option<String>,
    done: &mut Bridged,
) {
    match failure {
        None => ctx.metrics.write(WriteOutcome::Ok),
        Some(failure) => {
            ctx.metrics.write(WriteOutcome::Failed);
            tracing::warn!(policy = %key, error = failure, "{} failed", name(action));
            done.notes.push(format!("{}: {failure}", name(action)));
        }
    }
}

/// Gives pods of a policy that is gone the CPU they had. Its reserve goes with it by itself.
pub(super) async fn forget(ctx: &Context, key: &PolicyKey, memory: &BridgeMemory) {
    let raised = memory.cpu.is_some_and(|state| state != CpuState::AsMade);
    let Some(selector) = memory.selector.as_ref().filter(|_| raised) else {
        return;
    };
    if !ctx.leadership.is_leader() {
        return;
    }
    // nobody comes back to it: rounds until all is done, or nothing more succeeds
    let mut vain = 0;
    while ctx.leadership.is_leader() {
        match ctx.resizes.restore(&key.namespace, selector).await {
            Ok(Round {
                done,
                left,
                failure,
            }) => {
                let error = failure.unwrap_or_default();
                tracing::info!(policy = %key, pods = done, left, error, "restored CPU: the policy is gone");
                if left == 0 {
                    return;
                }
                vain = if done > 0 { 0 } else { vain + 1 };
            }
            Err(error) => {
                tracing::warn!(policy = %key, %error, "CPU not restored");
                vain += 1;
            }
        }
        if vain == VAIN_ROUNDS {
            tracing::error!(
                policy = %key,
                "CPU stays raised: its pods carry the label {RAISED_LABEL} and what they had as an annotation"
            );
            return;
        }
        tokio::time::sleep(BETWEEN_ROUNDS).await;
    }
}

/// Raises running pods by `bridge`, or restores them where there is none; what failed.
async fn resize(
    ctx: &Context,
    key: &PolicyKey,
    selector: Option<&str>,
    bridge: Option<&CpuBridge>,
    done: &mut Bridged,
) -> Option<String> {
    let resized = async {
        let selector = selector.ok_or(ResizeError::NoSelector)?;
        match bridge {
            Some(bridge) => ctx.resizes.raise(&key.namespace, selector, bridge).await,
            None => ctx.resizes.restore(&key.namespace, selector).await,
        }
    };
    let action = bridge.map_or(Action::RestoreCpu, |_| Action::RaiseCpu);
    // as for a size: it ends while this leader still leads
    match tokio::time::timeout(WRITE_DEADLINE, resized).await {
        Err(_) => {
            // nobody knows how far it came; a later round does the rest
            done.cpu = Some(CpuState::PartlyRaised);
            Some(LATE.to_owned())
        }
        Ok(Ok(Round {
            done: pods,
            left,
            failure,
        })) => {
            if action == Action::RaiseCpu && pods + left == 0 {
                done.notes.push(
                    "raise CPU: no ready pod has a CPU limit that can be raised without a \
                         restart (resizePolicy)"
                        .to_owned(),
                );
            }
            tracing::info!(policy = %key, pods, left, "{} done", name(action));
            done.cpu = Some(match (action, left) {
                (Action::RaiseCpu, 0) => CpuState::Raised,
                (Action::RestoreCpu, 0) => CpuState::AsMade,
                _ => CpuState::PartlyRaised,
            });
            failure
        }
        Ok(Err(error)) => Some(error.to_string()),
    }
}

async fn reserve(
    ctx: &Context,
    key: &PolicyKey,
    facts: &Validated,
    replicas: u32,
) -> Result<(), String> {
    let Bridges { cpu: _, nodes } = &facts.policy.bridges;
    let image = nodes.as_ref().map_or("", |nodes| nodes.image.as_str());
    let pod = if replicas == 0 {
        None
    } else {
        let pod = ctx.targets.pod_spec(&key.namespace, &facts.target).await;
        pod.map_err(|error| error.to_string())?
    };
    ctx.buffers
        .hold(&owner(key), &facts.target, pod.as_ref(), image, replicas)
        .await
        .map_err(|error| error.to_string())
}

fn owner(key: &PolicyKey) -> Owner<'_> {
    Owner {
        namespace: &key.namespace,
        name: &key.name,
        uid: &key.uid,
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Scale { .. } => "scale",
        Action::RaiseCpu => "raise CPU",
        Action::RestoreCpu => "restore CPU",
        Action::Reserve { .. } => "reserve",
    }
}
