//! Bridges: what carries a workload over the time until new replicas are Ready, or until there are
//! nodes for them.
//!
//! More CPU for running pods takes a second or two where a new pod takes ten and more; a reserve
//! asked of the cluster has nodes there before the crowd. Both are off unless the policy asks for
//! them. While something is unknown both stay as they are; what a bridge left behind is taken back
//! in either mode.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::demand::{self, Crowd, Sizing};
use super::observed::Observed;
use super::policy::{Mode, Policy};
use super::{Action, safety::Trusted};
use crate::burst::BurstDemand;
use crate::units::{Millicores, Rate, Timestamp};

/// How far ahead nodes are asked for: a node takes 45 to 320 s to boot, and an autoscaler adds
/// them in turns.
const AHEAD: TimeDelta = TimeDelta::hours(1);

/// Share of what ready replicas carry below which more CPU is given back though some are missing
/// still; above it a load that swings would raise and restore at each tick.
const SPARE: f64 = 0.8;

/// A smaller reserve is asked for only when it is smaller by this share: nodes do not follow noise.
const WORTH_LOWERING: f64 = 0.9;

/// Image of the pods that hold room on nodes where the cluster has no better way.
pub const PAUSE_IMAGE: &str = "registry.k8s.io/pause:3.10";

/// More CPU for running pods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuBridge {
    /// Multiple of the CPU they have, above 1.
    pub factor: f64,
    /// Most CPU of one container; `None`: no limit but the factor.
    pub most: Option<Millicores>,
}

impl CpuBridge {
    /// The usual multiple: a spike of twice the load is the typical one.
    pub const FACTOR: f64 = 2.0;

    /// What a container with this limit is raised to; `None` when it has as much already.
    pub fn raised(&self, limit: Millicores) -> Option<Millicores> {
        let wished = Millicores((limit.0 as f64 * self.factor).round() as u64);
        let raised = self.most.map_or(wished, |most| wished.min(most));
        (raised > limit).then_some(raised)
    }
}

/// Room on nodes for replicas to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeBridge {
    /// Image of the pods that hold the room where the cluster knows no `CapacityBuffer`.
    pub image: String,
    /// Most replicas there is room held for.
    pub most: u32,
}

/// The bridges a policy asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bridges {
    /// More CPU for running pods.
    pub cpu: Option<CpuBridge>,
    /// Room on nodes.
    pub nodes: Option<NodeBridge>,
}

/// The CPU of a workload's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CpuState {
    /// As they were made.
    AsMade,
    /// Some were raised, and some that should be were not.
    PartlyRaised,
    /// Raised.
    Raised,
}

/// What stands of the bridges. What is not known is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgesSeen {
    /// The CPU of running pods.
    pub cpu: Option<CpuState>,
    /// Replicas that room is held for.
    pub reserve: Option<u32>,
}

impl BridgesSeen {
    /// Whether a replica carries what it was made to carry: with more CPU it shows more than the
    /// next one will. Where more is asked for and nobody looked, as on a follower, it may have it.
    pub(super) fn as_made(self, policy: &Policy) -> bool {
        self.cpu
            .map_or(policy.bridges.cpu.is_none(), |cpu| cpu == CpuState::AsMade)
    }
}

/// What a decision about bridges is made of, besides the facts.
pub(super) struct Footing<'p> {
    pub(super) crowd: &'p Crowd<'p>,
    pub(super) sizing: Option<Sizing>,
    pub(super) trusted: &'p Trusted,
    pub(super) lookahead: TimeDelta,
    pub(super) desired: u32,
}

/// Load above which running replicas should get more CPU without waiting for the next tick, given
/// what one carries; `None` where no bridge is asked for, or all that may be raised is.
pub fn overload(observed: &Observed, policy: &Policy, carried: Option<Rate>) -> Option<Rate> {
    policy.bridges.cpu?;
    let ready = observed.workload.ready;
    let state = observed.bridges.cpu?;
    let may = state != CpuState::Raised && policy.mode == Mode::Enforce && ready > 0;
    // a learnt capacity has its margin in it
    let target = policy
        .per_replica
        .map_or(1.0, |_| policy.target_utilization);
    let carried = carried.filter(|_| may)?;
    Some(carried * (target * f64::from(ready)))
}

/// Whether a spike is more than [`overload`] says.
pub fn exceeds(demand: &BurstDemand, overload: Option<Rate>) -> bool {
    overload.is_some_and(|most| demand.to_carry().is_some_and(|load| load > most))
}

/// What [`overload`] is once a plan has answered a spike of which running replicas were to carry
/// `carried`. More CPU is asked for once; what became of it is told when it is known. Where it was
/// not asked for, only more load is a reason to think again.
pub fn overload_after(
    overload: Option<Rate>,
    carried: Option<Rate>,
    actions: &[Action],
) -> Option<Rate> {
    overload
        .filter(|_| !actions.contains(&Action::RaiseCpu))
        .map(|most| carried.map_or(most, |carried| most.max(carried)))
}

/// What is to be done, each with its reason.
pub(super) fn decide(
    observed: &Observed,
    policy: &Policy,
    footing: &Footing<'_>,
    now: Timestamp,
) -> Vec<(Action, String)> {
    let cpu = cpu(observed, policy, footing);
    cpu.into_iter()
        .chain(reserve(observed, policy, footing, now))
        .collect()
}

fn cpu(observed: &Observed, policy: &Policy, footing: &Footing<'_>) -> Option<(Action, String)> {
    let state = observed.bridges.cpu?;
    let Some(bridge) = policy.bridges.cpu.filter(|_| policy.mode == Mode::Enforce) else {
        let why = "restore CPU: the policy does not ask for more".to_owned();
        return (state != CpuState::AsMade).then_some((Action::RestoreCpu, why));
    };
    let sizing = footing.sizing?;
    // by whichever knows of more: the fast loop is seconds ahead of the metric
    // and knows where a spike is going: CPU must be there before the load is
    let spike = observed.burst.demand.as_ref();
    let spike = spike.and_then(BurstDemand::to_carry);
    let offered = [footing.trusted.offered, observed.burst.offered, spike];
    let offered = offered.into_iter().flatten().reduce(Rate::max)?;
    let ready = observed.workload.ready;
    let carries = sizing.per_replica * (sizing.target * f64::from(ready));
    let coming = footing.desired.saturating_sub(ready);
    if offered > carries && coming > 0 && ready > 0 && state != CpuState::Raised {
        let why = format!(
            "raise CPU {:.1}x: {offered} are offered or coming, {ready} ready replicas carry \
             {carries}, and {coming} more are on their way",
            bridge.factor
        );
        return Some((Action::RaiseCpu, why));
    }
    // what is missing gives nothing back
    footing.trusted.offered?;
    let enough = coming == 0 || offered <= carries * SPARE;
    let why = || {
        if coming == 0 {
            format!("restore CPU: all {ready} replicas are Ready")
        } else {
            format!("restore CPU: {ready} ready replicas carry {offered} with room to spare")
        }
    };
    (enough && state != CpuState::AsMade).then(|| (Action::RestoreCpu, why()))
}

fn reserve(
    observed: &Observed,
    policy: &Policy,
    footing: &Footing<'_>,
    now: Timestamp,
) -> Option<(Action, String)> {
    let held = observed.bridges.reserve?;
    let Some(bridge) = policy
        .bridges
        .nodes
        .as_ref()
        .filter(|_| policy.mode == Mode::Enforce)
    else {
        let why = "release the reserve: the policy does not ask for one".to_owned();
        return (held > 0).then_some((Action::Reserve { replicas: 0 }, why));
    };
    let forecast = observed
        .forecast
        .as_deref()
        .filter(|_| footing.trusted.forecast_usable)?;
    let running = observed.workload.replicas;
    let ahead = AHEAD.max(footing.lookahead);
    let peak = demand::from_forecast(
        forecast,
        running,
        footing.crowd,
        footing.sizing?,
        ahead,
        now,
    )?;
    let needed = if running == 0 {
        0
    } else {
        peak.replicas
            .clamp(policy.min_replicas, policy.max_replicas)
    };
    let there = running.max(footing.desired);
    let replicas = needed.saturating_sub(there).min(bridge.most);
    let lower = replicas < held
        && (replicas == 0 || f64::from(replicas) <= f64::from(held) * WORTH_LOWERING);
    let why = format!(
        "hold room for {replicas} more: {needed} are needed by {}, {there} are there or asked for",
        peak.at.format("%H:%M UTC")
    );
    (replicas > held || lower).then_some((Action::Reserve { replicas }, why))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::forecast::Forecast;
    use crate::plan::policy::LiveCover;
    use crate::plan::{BurstSight, Memory, Signal, Workload, plan};
    use crate::units::Rate;

    fn noon() -> Timestamp {
        "2026-09-13T12:00:00Z".parse().unwrap()
    }

    /// 100/s a replica, no cover, half of everything.
    fn policy() -> Policy {
        let mut policy = Policy::new(2, 100).unwrap();
        policy.mode = Mode::Enforce;
        policy.per_replica = Some(Rate::per_second(100.0));
        policy.target_utilization = 1.0;
        policy.spike_cover.quiet = 1.0;
        policy.spike_cover.live = LiveCover::Multiple(1.0);
        policy.lead = TimeDelta::minutes(5);
        policy.start_up.scale_up_time = Some(TimeDelta::minutes(1));
        policy.bridges = Bridges {
            cpu: Some(CpuBridge {
                factor: 2.0,
                most: None,
            }),
            nodes: Some(NodeBridge {
                image: PAUSE_IMAGE.to_owned(),
                most: 30,
            }),
        };
        policy
    }

    /// A load that is forecast to go on, and `later` from half an hour on.
    fn observed(replicas: u32, ready: u32, load: f64, later: f64) -> Observed {
        let path: Vec<f64> = (0..180)
            .map(|minute| if minute < 30 { load } else { later })
            .collect();
        Observed {
            workload: Workload { replicas, ready },
            load: Signal::Sample {
                rate: Rate::per_second(load),
                at: noon(),
            },
            shed: None,
            queued: None,
            burst: BurstSight::default(),
            forecast: Some(Arc::new(Forecast {
                origin: noon(),
                start: noon(),
                step: TimeDelta::minutes(1),
                paths: [path.clone(), path.clone(), path.clone(), path],
                model: "steps".into(),
                notes: vec![],
                peaks: vec![],
            })),
            forecast_note: None,
            calendar: Arc::default(),
            lists_note: None,
            manual: None,
            bridges: BridgesSeen {
                cpu: Some(CpuState::AsMade),
                reserve: Some(0),
            },
        }
    }

    fn bridging(observed: &Observed, policy: &Policy) -> Vec<Action> {
        let plan = plan(observed, policy, &Memory::default(), noon());
        let actions = plan.actions.into_iter();
        actions
            .filter(|action| !matches!(action, Action::Scale { .. }))
            .collect()
    }

    #[test]
    fn more_cpu_while_new_pods_start_and_back_when_they_are_ready() {
        let policy = policy();
        let mut seen = observed(4, 4, 800.0, 800.0);
        assert_eq!(bridging(&seen, &policy), [Action::RaiseCpu]);
        seen.bridges.cpu = Some(CpuState::PartlyRaised);
        assert_eq!(bridging(&seen, &policy), [Action::RaiseCpu]);
        seen.bridges.cpu = Some(CpuState::Raised);
        seen.workload.replicas = 8;
        assert_eq!(bridging(&seen, &policy), []);
        seen.workload.ready = 8;
        assert_eq!(bridging(&seen, &policy), [Action::RestoreCpu]);
        seen.bridges.cpu = Some(CpuState::AsMade);
        assert_eq!(bridging(&seen, &policy), []);
    }

    #[test]
    fn what_a_raised_replica_carries_is_not_learnt() {
        let mut policy = policy();
        policy.per_replica = None;
        let learnt = |policy: &Policy, cpu| {
            let mut memory = Memory::default();
            for minute in 0..5 {
                let now = noon() + TimeDelta::minutes(minute);
                let mut seen = observed(4, 4, 800.0, 800.0);
                seen.bridges.cpu = cpu;
                seen.load = Signal::Sample {
                    rate: Rate::per_second(800.0),
                    at: now,
                };
                memory = plan(&seen, policy, &memory, now).memory;
            }
            memory.capacity.at(noon() + TimeDelta::minutes(5))
        };
        let carried = Some(Rate::per_second(200.0));
        assert_eq!(learnt(&policy, Some(CpuState::AsMade)), carried);
        assert_eq!(learnt(&policy, Some(CpuState::Raised)), None);
        assert_eq!(learnt(&policy, None), None, "nobody looked");
        policy.bridges.cpu = None;
        assert_eq!(learnt(&policy, None), carried);
        assert_eq!(learnt(&policy, Some(CpuState::Raised)), None);
    }

    #[test]
    fn a_spike_that_will_be_more_than_is_carried_gets_cpu_before_it_is() {
        let mut seen = observed(4, 4, 200.0, 200.0);
        let spike = |reached: f64| BurstDemand {
            load: Rate::per_second(900.0),
            seen: None,
            reached: Rate::per_second(reached),
            since: noon(),
            confirmed: false,
            reason: "touchdown".into(),
        };
        seen.burst.demand = Some(spike(300.0));
        assert_eq!(bridging(&seen, &policy()), [Action::RaiseCpu]);
        // a hint alone raises the size, not the CPU of pods that carry what they did
        seen.burst.demand = Some(spike(0.0));
        assert_eq!(bridging(&seen, &policy()), []);
    }

    #[test]
    fn what_pods_carry_is_told_while_they_may_be_given_more() {
        let policy = policy();
        let mut seen = observed(4, 4, 200.0, 200.0);
        let carried = Some(Rate::per_second(100.0));
        let four = Some(Rate::per_second(400.0));
        assert_eq!(overload(&seen, &policy, carried), four);
        seen.bridges.cpu = Some(CpuState::PartlyRaised);
        assert_eq!(overload(&seen, &policy, carried), four, "the rest follows");
        assert_eq!(overload(&seen, &policy, None), None);
        for cpu in [Some(CpuState::Raised), None] {
            seen.bridges.cpu = cpu;
            assert_eq!(overload(&seen, &policy, carried), None);
        }
    }

    #[test]
    fn a_raise_ahead_of_the_crowd_needs_no_more_cpu() {
        let mut seen = observed(4, 4, 350.0, 350.0);
        seen.workload.replicas = 20;
        assert_eq!(bridging(&seen, &policy()), []);
    }

    #[test]
    fn a_load_that_went_again_gives_cpu_back_only_with_room_to_spare() {
        let mut seen = observed(9, 4, 390.0, 390.0);
        seen.bridges.cpu = Some(CpuState::Raised);
        assert_eq!(bridging(&seen, &policy()), []);
        let mut less = observed(9, 4, 310.0, 310.0);
        less.bridges.cpu = Some(CpuState::Raised);
        assert_eq!(bridging(&less, &policy()), [Action::RestoreCpu]);
    }

    #[test]
    fn nodes_are_asked_for_before_the_replicas_are() {
        let policy = policy();
        let mut seen = observed(4, 4, 400.0, 2000.0);
        assert_eq!(bridging(&seen, &policy), [Action::Reserve { replicas: 16 }]);
        seen.bridges.reserve = Some(16);
        assert_eq!(bridging(&seen, &policy), []);
        // within the limit
        let huge = observed(4, 4, 400.0, 9000.0);
        assert_eq!(bridging(&huge, &policy), [Action::Reserve { replicas: 30 }]);
        // replicas that run, or are asked for, need no reserve any more
        seen.workload = Workload {
            replicas: 20,
            ready: 20,
        };
        assert_eq!(bridging(&seen, &policy), [Action::Reserve { replicas: 0 }]);
        // nodes do not follow noise
        let mut noise = observed(4, 4, 400.0, 1950.0);
        noise.bridges.reserve = Some(16);
        assert_eq!(bridging(&noise, &policy), []);
    }

    #[test]
    fn a_container_is_raised_by_the_factor_and_never_lowered() {
        let bridge = CpuBridge {
            factor: 2.0,
            most: Some(Millicores(1500)),
        };
        assert_eq!(bridge.raised(Millicores(500)), Some(Millicores(1000)));
        assert_eq!(bridge.raised(Millicores(1000)), Some(Millicores(1500)));
        assert_eq!(bridge.raised(Millicores(2000)), None);
    }

    proptest! {
        #[test]
        fn what_is_unknown_or_not_wanted_is_left_alone(
            replicas in 1_u32..60,
            ready in 0_u32..60,
            load in 0.0..9000.0_f64,
            later in 0.0..9000.0_f64,
            lost in any::<bool>(),
            reserve in 0_u32..40,
        ) {
            let mut seen = observed(replicas, ready.min(replicas), load, later);
            seen.bridges = BridgesSeen { cpu: Some(CpuState::Raised), reserve: Some(reserve) };
            if lost {
                seen.load = Signal::Missing { reason: "lost".into() };
                seen.forecast = None;
                prop_assert_eq!(bridging(&seen, &policy()), []);
                // what the fast loop knows may raise, and gives nothing back
                seen.burst.offered = Some(Rate::per_second(later));
                prop_assert!(!bridging(&seen, &policy()).contains(&Action::RestoreCpu));
            }
            // not looked at
            seen.bridges = BridgesSeen::default();
            prop_assert_eq!(bridging(&seen, &policy()), []);
            // off, or only recommended: nothing is begun
            seen.bridges = BridgesSeen { cpu: Some(CpuState::AsMade), reserve: Some(0) };
            let off = Policy { bridges: Bridges::default(), ..policy() };
            prop_assert_eq!(bridging(&seen, &off), []);
            let recommended = Policy { mode: Mode::Recommend, ..policy() };
            prop_assert_eq!(bridging(&seen, &recommended), []);
            // and what was begun is taken back
            seen.bridges = BridgesSeen { cpu: Some(CpuState::Raised), reserve: Some(9) };
            let back = [Action::RestoreCpu, Action::Reserve { replicas: 0 }];
            prop_assert_eq!(bridging(&seen, &off), back);
            prop_assert_eq!(bridging(&seen, &recommended), back);
        }
    }
}
