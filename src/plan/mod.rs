//! The one brain. [`plan`] is a pure function of what is observed, what is wanted, what is
//! remembered and the time; the controller, the backtest and the demo all call it.
//!
//! The wish (what each source asks for, in `demand`) is kept apart from the permission (`limits`,
//! `settle`, `safety`), and every step leaves its reason in the [`Plan`].

use std::cmp::Ordering;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::forecast::Forecast;
use crate::units::{Rate, Timestamp};

pub mod bridges;
pub mod briefing;
pub mod demand;
mod explain;
pub mod limits;
pub mod memory;
pub mod observed;
pub mod policy;
mod safety;
pub mod settle;
pub mod standing;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod stories;

pub use bridges::{Bridges, BridgesSeen};
pub use briefing::Briefing;
pub use demand::{DemandPart, Source};
pub use limits::{Limit, LimitCut};
pub use memory::Memory;
pub use observed::{BurstSight, ManualAction, ManualOverride, Observed, Signal, Workload};
pub use policy::{Mode, Policy, PolicyError};
pub use settle::Hold;
pub use standing::Cover;

use demand::{Crowd, Sizing};

/// Longest time between two decisions; the HPA's own sync period.
const TICK: TimeDelta = TimeDelta::seconds(15);

/// Which way the size goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// More replicas.
    Raise,
    /// The same.
    Hold,
    /// Fewer.
    Lower,
}

/// Something to be done to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Set the workload's size through `/scale`.
    Scale {
        /// Size the decision was made at; a write must not overtake another change.
        from: u32,
        /// Size to set.
        to: u32,
    },
    /// Give running pods more CPU, as the policy's bridge says.
    RaiseCpu,
    /// Give pods that were raised the CPU they had.
    RestoreCpu,
    /// Hold room on nodes for this many replicas more than there are.
    Reserve {
        /// How many; 0 holds none.
        replicas: u32,
    },
}

/// The largest peak the forecast sees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peak {
    /// When.
    pub at: Timestamp,
    /// Load at the policy's quantile, without cover.
    pub load: Rate,
    /// Replicas it takes with cover, within the policy's bounds.
    pub replicas: u32,
    /// When they must be asked for, to be ready by then.
    pub ready_by: Timestamp,
}

/// The answer, with every reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// When it was made.
    pub at: Timestamp,
    /// Which way.
    pub decision: Decision,
    /// The size it started from: the workload's own, or in `Recommend` the last recommendation.
    pub current: u32,
    /// The size it should have.
    pub desired: u32,
    /// What demand asked for, before limits and holds.
    pub wish: u32,
    /// Each source's demand.
    pub parts: Vec<DemandPart>,
    /// Limits that changed the answer.
    pub limits: Vec<LimitCut>,
    /// What kept the size up.
    pub holds: Vec<Hold>,
    /// What is missing, stale or not a number.
    pub problems: Vec<String>,
    /// Offered load now, when known.
    pub offered: Option<Rate>,
    /// Load one ready replica carries, typed or learnt.
    pub per_replica: Option<Rate>,
    /// Ready capacity over offered load: "you can take 4.2x now".
    pub headroom: Option<f64>,
    /// How far ahead the floor looked.
    #[serde(with = "milliseconds")]
    pub lookahead: TimeDelta,
    /// What stands ready for a spike now, and what that costs.
    pub cover: Option<Cover>,
    /// The largest need within the forecast.
    pub peak: Option<Peak>,
    /// Fixtures in play or about to be.
    pub covering: Vec<String>,
    /// What to do; empty when nothing. In `Recommend` only what a bridge left is taken back.
    pub actions: Vec<Action>,
    /// Why bridges are raised or taken back.
    #[serde(default)]
    pub bridges: Vec<String>,
    /// The sentence a person reads first.
    pub summary: String,
    /// What the next decision must be given.
    pub memory: Memory,
    /// Decide again at the latest then.
    pub wake_at: Timestamp,
}

/// Decides the size of a workload.
///
/// Pure: no clock, no I/O, no logging, no randomness. Guarantees, each held by a property test:
/// the size stays within the bounds; more load or a higher forecast never asks for fewer at the
/// same capacity per replica; the same facts at the same time give the same size again, carried out or not; missing data never
/// lowers.
pub fn plan(observed: &Observed, policy: &Policy, memory: &Memory, now: Timestamp) -> Plan {
    let mut memory = memory.clone();
    let workload = observed.workload;
    memory.scale_up = memory
        .scale_up
        .observe(now, workload.replicas, workload.ready);
    if let Signal::Sample { rate, at } = observed.load
        && observed.load.fresh(now, policy.freshness.load).is_ok()
        && observed.bridges.as_made(policy)
    {
        memory.capacity = memory
            .capacity
            .observe(at, rate, workload.replicas, workload.ready);
    }
    let per_replica = policy.per_replica.or_else(|| memory.capacity.at(now));
    let lookahead = policy.lead + until_ready(policy, &memory);
    let trusted = safety::judge(observed, policy, lookahead, now);

    let current = match policy.mode {
        Mode::Enforce => workload.replicas,
        // a recommendation follows its own trajectory, or it could never say how far down it
        // would have gone by now
        Mode::Recommend => memory.desired.unwrap_or(workload.replicas),
    };

    // a typed capacity is the edge of what a replica can do; a learnt one is what it did well,
    // and taking a utilisation off that again would count the same margin twice
    let target = if policy.per_replica.is_some() {
        policy.target_utilization
    } else {
        1.0
    };
    let sizing = per_replica
        .filter(|rate| *rate > Rate::ZERO)
        .map(|per_replica| Sizing {
            per_replica,
            target,
        });
    let forecast = observed.forecast.as_deref();
    let horizon = forecast.map_or(now, Forecast::end).max(now);
    let until_ready = until_ready(policy, &memory);
    let crowd = Crowd::new(
        &observed.calendar,
        policy,
        &observed.burst.spikes,
        until_ready,
        [now, horizon],
    );
    let mut parts = Vec::new();
    if let Some(sizing) = sizing {
        if trusted.forecast_may_raise
            && let Some(forecast) = forecast
        {
            let replicas = workload.replicas;
            parts.extend(demand::from_forecast(
                forecast, replicas, &crowd, sizing, lookahead, now,
            ));
        }
        let slow = trusted.offered;
        parts.extend(demand::from_live(
            slow,
            &observed.burst,
            &crowd,
            sizing,
            now,
        ));
        parts.extend(demand::from_burst(&observed.burst, sizing));
    }
    let order = demand::from_manual(observed, now);
    let manual = observed.manual.as_ref().filter(|_| order.is_some());
    parts.extend(order);

    let complete = trusted.problems.is_empty() && trusted.forecast_usable && sizing.is_some();
    memory.note_sight(now, complete, policy.release.window);

    // an order by hand is no demand, an alarm that nothing confirms was none, and a jump is a
    // guess: what is remembered is what the crowd needed
    let seen = observed
        .burst
        .demand
        .as_ref()
        .and_then(|demand| demand.seen);
    let needs = parts.iter().filter_map(|part| match part.source {
        Source::Manual => None,
        Source::Burst => seen.zip(sizing).map(|(seen, sizing)| sizing.replicas(seen)),
        Source::Forecast | Source::Live => Some(part.replicas),
    });
    // while a spike is under way, and as long as some of it may be left, the load is not the
    // crowd's alone; the window holds it meanwhile
    if observed.burst.demand.is_some() {
        memory.spiked_at = Some(now);
    }
    let spike = memory
        .spiked_at
        .is_some_and(|at| (now - at).abs() <= policy.release.window);
    let crowds = parts.iter().filter_map(|part| match part.source {
        Source::Forecast => Some(part.replicas),
        Source::Live if !spike => Some(part.replicas),
        Source::Live | Source::Burst | Source::Manual => None,
    });
    // whichever says more: in a spike the metric is up to minutes behind the samples
    let offered = [trusted.offered, observed.burst.offered];
    let offered = offered.into_iter().flatten().reduce(Rate::max);
    let bounded = |needed: u32| needed.clamp(policy.min_replicas, policy.max_replicas);
    memory.remember(
        now,
        (needs.max().map(bounded), crowds.max().map(bounded)),
        demand::LONGEST_PLAY.max(policy.release.window),
    );
    let wish = parts
        .iter()
        .map(|part| part.replicas)
        .max()
        .unwrap_or(current);
    let mut limits = Vec::new();
    let mut holds = Vec::new();

    let desired = if workload.replicas == 0 {
        holds.push(Hold::ScaledToZero);
        0
    } else {
        match manual.map(|manual| manual.action) {
            Some(ManualAction::Freeze) => {
                holds.extend(manual.map(Hold::frozen));
                current
            }
            Some(ManualAction::Pin(replicas)) => {
                limits::within_bounds(replicas, policy, &mut limits)
            }
            Some(ManualAction::Boost(_)) | None => {
                let bounded = limits::within_bounds(wish, policy, &mut limits);
                // what is missing comes first: it is why nothing could be learnt
                holds.extend(settle::blind(&trusted.problems, &parts, sizing.is_some()));
                if sizing.is_none() {
                    holds.push(Hold::CapacityUnknown);
                }
                match bounded.cmp(&current) {
                    Ordering::Greater => {
                        memory.rung = None;
                        let memory = &mut memory;
                        limits::within_raise_rate(
                            current,
                            bounded,
                            policy,
                            memory,
                            now,
                            &mut limits,
                        )
                    }
                    Ordering::Equal => current,
                    Ordering::Less => {
                        // above the maximum nothing is owed: the bound itself brings it back
                        let from = current.min(policy.max_replicas);
                        let problems = &trusted.problems;
                        let cut_off = sizing
                            .filter(|_| problems.is_empty())
                            .and_then(|s| settle::cut_off(workload, from, s.per_replica, offered));
                        if let Some(cut_off) = cut_off {
                            holds.push(cut_off);
                            from
                        } else {
                            let (settled, held) = settle::settle(
                                from,
                                bounded,
                                policy,
                                &crowd,
                                problems,
                                &mut memory,
                                now,
                            );
                            holds.extend(held);
                            settled
                        }
                    }
                }
            }
        }
    };
    memory.desired = Some(desired);

    let peak = forecast.zip(sizing).and_then(|(forecast, sizing)| {
        largest_peak(forecast, &crowd, policy, sizing, lookahead, now)
    });
    let cover = forecast.zip(sizing).and_then(|(forecast, sizing)| {
        let spikes = (&observed.burst.spikes, until_ready);
        standing::price(forecast, &crowd, sizing, spikes, now)
    });
    let headroom = match (per_replica, offered) {
        (Some(per_replica), Some(offered)) if offered > Rate::ZERO => {
            Some(per_replica * f64::from(workload.ready) / offered)
        }
        _ => None,
    };
    let decision = match desired.cmp(&current) {
        Ordering::Greater => Decision::Raise,
        Ordering::Equal => Decision::Hold,
        Ordering::Less => Decision::Lower,
    };
    let mut actions = if policy.mode == Mode::Enforce && desired != workload.replicas {
        vec![Action::Scale {
            from: workload.replicas,
            to: desired,
        }]
    } else {
        Vec::new()
    };
    let footing = bridges::Footing {
        crowd: &crowd,
        sizing,
        trusted: &trusted,
        lookahead,
        desired,
    };
    let mut bridges = Vec::new();
    for (action, why) in bridges::decide(observed, policy, &footing, now) {
        actions.push(action);
        bridges.push(why);
    }
    let covering = crowd
        .covering(now)
        .map(|(fixture, _)| fixture.title())
        .collect();
    let wake_at = wake_at(observed, policy, &memory, now);
    let mut plan = Plan {
        at: now,
        decision,
        current,
        desired,
        wish,
        parts,
        limits,
        holds,
        problems: trusted.problems,
        offered,
        per_replica,
        headroom,
        lookahead,
        cover,
        peak,
        covering,
        actions,
        bridges,
        summary: String::new(),
        memory,
        wake_at,
    };
    plan.summary = plan.sentence();
    plan
}

/// Decision to a replica Ready, a node's boot included. With the lead it is how far ahead the
/// floor must look.
pub fn until_ready(policy: &Policy, memory: &Memory) -> TimeDelta {
    let scale_up = policy
        .start_up
        .scale_up_time
        .unwrap_or_else(|| memory.scale_up.p95());
    scale_up + policy.start_up.node_time
}

/// The largest need the forecast holds from now on.
fn largest_peak(
    forecast: &Forecast,
    crowd: &Crowd<'_>,
    policy: &Policy,
    sizing: Sizing,
    lookahead: TimeDelta,
    now: Timestamp,
) -> Option<Peak> {
    let (at, load, _) = crowd.covered_peak(forecast, now, forecast.end())?;
    Some(Peak {
        at,
        load: forecast.at(policy.quantile, at)?,
        replicas: sizing
            .replicas(load)
            .clamp(policy.min_replicas, policy.max_replicas),
        ready_by: (at - lookahead).max(now),
    })
}

/// The next moment at which time alone could change the answer.
fn wake_at(observed: &Observed, policy: &Policy, memory: &Memory, now: Timestamp) -> Timestamp {
    let rung = memory.rung.map(|rung| rung.since + policy.release.every);
    let window = memory
        .sighted_since
        .map(|since| since + policy.release.window);
    let order = observed.manual.as_ref().map(|order| order.expires);
    [rung, window, order]
        .into_iter()
        .flatten()
        .filter(|&at| at > now)
        .fold(now + TICK, Timestamp::min)
}

mod milliseconds {
    use chrono::TimeDelta;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &TimeDelta, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(span.num_milliseconds())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<TimeDelta, D::Error> {
        let milliseconds = i64::deserialize(d)?;
        TimeDelta::try_milliseconds(milliseconds)
            .ok_or_else(|| serde::de::Error::custom("span is out of range"))
    }
}
