//! Runs the policies of a scenario side by side, and makes them comparable at equal service.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::TimeDelta;

use super::forecasts::has_window;
use super::scenario::peers;
use super::scenario::{
    Arena, CronPeer, HpaPeer, HpaSource, KpaPeer, NaivePeer, Peer, Scenario, Simulation, Span,
};
use crate::burst::LearntSpikes;
use crate::fixture::Calendar;
use crate::plan::Policy;
use crate::plan::policy::LiveCover;
use crate::series::Series;
use crate::simulate::peers::{
    HpaMetric, HpaPolicy, HpaSpec, KedaCron, KpaPolicy, KpaSpec, Oracle, SeasonalNaive, StaticPeak,
    keda_cron,
};
use crate::simulate::{Outlook, Run, ScalingPolicy, TipoffPolicy, World, run};
use crate::units::{Rate, Timestamp};

/// Name of Tipoff's own row.
pub const TIPOFF: &str = peers::TIPOFF;

/// Name of its row without more CPU for running pods.
pub const NO_RESIZE: &str = "tipoff-no-resize";

/// Smallest and largest factor tried to reach a level of service.
const SMALLEST: f64 = 0.05;
const LARGEST: f64 = 50.0;

/// Factor between two tries on the way to a pair around the level.
const STRIDE: f64 = 1.25;

/// Halvings between them: the factor is found to a third of a per cent.
const HALVINGS: usize = 6;

/// How old the kubelet's and metrics-server's figures are, as measured in kubernetes#110317.
const CPU_LAG: TimeDelta = TimeDelta::seconds(30);

/// What all policies share.
#[derive(Debug)]
pub struct Contest<'a> {
    /// Span that is simulated and scored.
    pub span: Span,
    /// How the simulation runs.
    pub simulation: Simulation,
    /// What policies see of the load.
    pub view: View,
    /// Seed of the start-up times.
    pub seed: u64,
    /// Who runs beside Tipoff.
    pub peers: &'a [Peer],
    /// What policies are compared on.
    pub arena: &'a Arena,
    /// Offered load.
    pub load: &'a Series,
    /// Fixtures.
    pub calendar: &'a Calendar,
    /// Forecasts and calendars as they were known.
    pub outlook: Arc<Outlook>,
    /// What Tipoff had learnt of spikes before.
    pub learnt: LearntSpikes,
}

/// What policies see of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Age of the load metric when an autoscaler reads it.
    pub metric_lag: TimeDelta,
    /// What the metric is a mean over; zero: the latest bin of the load.
    pub metric_window: TimeDelta,
    /// Age of a bin of the load for those that look every second or two: Knative's autoscaler
    /// and Tipoff's fast loop. `None`: there is no live signal, the fast loop is off.
    pub live_lag: Option<TimeDelta>,
}

/// A level of service and what it costs one policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EqualService {
    /// Share of the demand not served, at most.
    pub unserved: f64,
    /// Factor on every need that reaches it.
    pub factor: f64,
    /// Replica-hours then paid.
    pub replica_hours: f64,
}

/// Replicas that are Ready when a contest begins: a workload ran before anybody scaled it, busy
/// enough with the `first` load.
pub fn opening_size(first: Rate, per_replica: Rate, sizes: RangeInclusive<u32>) -> u32 {
    let busy = (first / per_replica / 0.7).ceil() as u32;
    busy.clamp(*sizes.start(), *sizes.end())
}

impl<'a> Contest<'a> {
    /// The contest of a backtest: nobody sees the load by the second.
    pub fn new(
        scenario: &'a Scenario,
        arena: &'a Arena,
        (load, calendar): (&'a Series, &'a Calendar),
        outlook: Arc<Outlook>,
    ) -> Self {
        Self {
            span: scenario.evaluate,
            simulation: scenario.simulation,
            view: View {
                metric_lag: scenario.metric_lag,
                metric_window: TimeDelta::zero(),
                live_lag: None,
            },
            seed: scenario.seed,
            peers: &scenario.peers,
            arena,
            load,
            calendar,
            outlook,
            learnt: LearntSpikes::default(),
        }
    }
}

impl Contest<'_> {
    /// The world of the simulation.
    pub fn world(&self) -> World<'_> {
        let from = self.span.from - self.simulation.warm_up;
        let from = from.max(self.load.start());
        let per_replica = self.arena.cluster.per_replica;
        let first = self.load.at(from).unwrap_or(Rate::ZERO);
        World {
            load: self.load,
            per_replica,
            cluster: self.arena.cluster.model.clone(),
            from,
            scored_from: self.span.from,
            to: self.span.to,
            step: self.simulation.step,
            initial: opening_size(first, per_replica, self.sizes()),
            seed: self.seed,
        }
    }

    /// Tipoff's policy as an operator would set it for this metric: a sample may be as old as
    /// its bin and its lag make it.
    fn policy(&self) -> Policy {
        let mut policy = self.arena.policy.clone();
        let oldest = self.load.step() * 2 + self.view.metric_lag;
        policy.freshness.load = policy.freshness.load.max(oldest);
        policy
    }

    /// Tipoff with every need `factor` times as large.
    pub fn tipoff(&self, factor: f64) -> TipoffPolicy {
        self.tipoff_under(TIPOFF, &self.policy()).scaled(factor)
    }

    /// Tipoff with another spike cover while fixtures are in play.
    pub fn tipoff_covering(&self, name: &str, cover: LiveCover) -> TipoffPolicy {
        let mut policy = self.policy();
        policy.spike_cover.live = cover;
        self.tipoff_under(name, &policy)
    }

    /// Tipoff without more CPU for running pods.
    pub fn tipoff_without_resize(&self) -> TipoffPolicy {
        let mut policy = self.policy();
        policy.bridges.cpu = None;
        self.tipoff_under(NO_RESIZE, &policy)
    }

    fn tipoff_under(&self, name: &str, policy: &Policy) -> TipoffPolicy {
        let tipoff = TipoffPolicy::new(
            name,
            policy,
            Arc::clone(&self.outlook),
            self.view.metric_lag,
            // the HPA's period: neither is favoured by looking more often
            TimeDelta::seconds(15),
        )
        .on_means_over(self.view.metric_window);
        match self.view.live_lag {
            Some(lag) => tipoff.with_fast_loop(lag, self.learnt),
            None => tipoff,
        }
    }

    /// The sizes that the policy allows, to everybody.
    fn sizes(&self) -> RangeInclusive<u32> {
        self.arena.policy.min_replicas..=self.arena.policy.max_replicas
    }

    fn hpa_spec(&self) -> HpaSpec {
        HpaSpec::new(
            self.arena.policy.min_replicas,
            self.arena.policy.max_replicas,
        )
    }

    fn external(&self, target: f64) -> HpaMetric {
        HpaMetric::External {
            average: self.arena.cluster.per_replica * target,
            lag: self.view.metric_lag,
            window: self.view.metric_window,
        }
    }

    /// A peer with every need `factor` times as large.
    pub fn peer(&self, peer: &Peer, factor: f64) -> Box<dyn ScalingPolicy> {
        let Span { from, to } = self.span;
        let per_replica = self.arena.cluster.per_replica / factor;
        match peer {
            Peer::StaticPeak => {
                Box::new(StaticPeak::new(self.load, from, to, per_replica).within(&self.sizes()))
            }
            Peer::Oracle => Box::new(Oracle::new(
                self.load,
                per_replica,
                &self.arena.cluster.model,
                self.simulation.step,
                self.sizes(),
            )),
            Peer::Hpa(hpa) => Box::new(self.hpa(peer.name(), hpa, factor)),
            Peer::Kpa(KpaPeer { target, .. }) => Box::new(KpaPolicy::new(
                peer.name(),
                KpaSpec::new(
                    self.arena.policy.min_replicas,
                    self.arena.policy.max_replicas,
                    per_replica * *target,
                    self.view.live_lag.unwrap_or(TimeDelta::zero()),
                ),
            )),
            Peer::KedaCron(cron) => Box::new(self.cron(peer.name(), cron, factor)),
            Peer::SeasonalNaive(NaivePeer { target, .. }) => {
                let target = target / factor;
                Box::new(SeasonalNaive::new(
                    peer.name(),
                    self.hpa_spec(),
                    vec![self.external(target)],
                    self.load.clone(),
                    self.arena.cluster.per_replica * target,
                ))
            }
        }
    }

    fn hpa(&self, name: String, peer: &HpaPeer, factor: f64) -> HpaPolicy {
        let metric = match peer.metric {
            HpaSource::External => self.external(peer.target / factor),
            HpaSource::Cpu => HpaMetric::Cpu {
                target_percent: ((peer.target * 100.0 / factor).round() as u32).max(1),
                lag: CPU_LAG,
                window: CPU_LAG,
            },
        };
        HpaPolicy::new(
            name,
            HpaSpec {
                behavior: peer.behavior.clone(),
                ..self.hpa_spec()
            },
            vec![metric],
        )
    }

    fn cron(&self, name: String, peer: &CronPeer, factor: f64) -> KedaCron {
        let Span { from, to } = self.span;
        let windows = self.cron_windows(peer);
        if let Some(replicas) = peer.replicas {
            return KedaCron::new(
                name,
                self.hpa_spec(),
                vec![self.external(peer.target / factor)],
                windows,
                (f64::from(replicas) * factor).ceil() as u32,
            );
        }
        let per_replica = self.arena.cluster.per_replica / factor;
        let (high, low) = keda_cron::hindsight(self.load, &windows, from, to, per_replica);
        let spec = self.hpa_spec();
        KedaCron::new(
            name,
            HpaSpec {
                min: low.clamp(spec.min, spec.max),
                ..spec
            },
            Vec::new(),
            windows,
            high,
        )
    }

    /// The windows of a cron peer that are open at some time of the simulation, the warm-up
    /// included; their fixtures may start after it, and may have started long before.
    fn cron_windows(&self, peer: &CronPeer) -> Vec<keda_cron::Window> {
        let (before, after) = (peer.before.0, peer.after.0);
        let begin = self.span.from - self.simulation.warm_up;
        let longest = self.calendar.iter().map(|fixture| fixture.duration.typical);
        let longest = longest.max().unwrap_or_default();
        let spans = self
            .calendar
            .starting_between(begin - after - longest, self.span.to + before)
            .into_iter()
            .filter(|fixture| has_window(fixture))
            .map(|fixture| {
                (
                    fixture.start.at,
                    fixture.start.at + fixture.duration.typical,
                )
            });
        let mut windows = KedaCron::windows(spans, before, after);
        windows.retain(|window| window.end > begin && window.start < self.span.to);
        windows
    }

    /// For each level of service: the smallest factor at which `build` leaves at most that share
    /// of the demand unserved, and what it then costs. `None` when no factor in range does.
    pub fn at_equal_service(
        &self,
        levels: &[f64],
        build: impl Fn(f64) -> Box<dyn ScalingPolicy>,
    ) -> Vec<Option<EqualService>> {
        let world = self.world();
        // the searches of all levels begin with the same factors
        let mut known: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        let mut attempt = |factor: f64| {
            *known.entry(factor.to_bits()).or_insert_with(|| {
                let totals = run(&world, build(factor).as_mut()).totals();
                (totals.unserved_ratio(), totals.replica_hours)
            })
        };
        let mut search = |unserved: f64| {
            // from the policy as it is outwards to a pair of factors around the level
            let (mut low, mut high) = (1.0, 1.0);
            while attempt(high).0 > unserved {
                low = high;
                high *= STRIDE;
                if high > LARGEST {
                    return None;
                }
            }
            while low == high && attempt(low / STRIDE).0 <= unserved {
                low /= STRIDE;
                high = low;
                if low < SMALLEST {
                    break;
                }
            }
            if low == high {
                low /= STRIDE;
            }
            for _ in 0..HALVINGS {
                let middle = (low * high).sqrt();
                if attempt(middle).0 <= unserved {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            Some(EqualService {
                unserved,
                factor: high,
                replica_hours: attempt(high).1,
            })
        };
        levels.iter().map(|&unserved| search(unserved)).collect()
    }
}

/// What each level costs one policy: a peer, or Tipoff when `peer` is `None`.
pub fn at_all_levels(
    contest: &Contest<'_>,
    peer: Option<&Peer>,
    levels: &[f64],
) -> Vec<Option<EqualService>> {
    contest.at_equal_service(levels, |factor| match peer {
        Some(peer) => contest.peer(peer, factor),
        None => Box::new(contest.tipoff(factor)),
    })
}

/// Whether a factor means anything to a peer.
pub fn has_knob(peer: &Peer) -> bool {
    !matches!(peer, Peer::Oracle)
}

/// Which of some peers know the load that came, for a reader of the figures; `None` when none does.
pub fn hindsight(peers: &[Peer]) -> Option<String> {
    let names: Vec<String> = peers
        .iter()
        .filter(|peer| match peer {
            Peer::StaticPeak | Peer::Oracle => true,
            Peer::KedaCron(cron) => cron.replicas.is_none(),
            Peer::Hpa(_) | Peer::Kpa(_) | Peer::SeasonalNaive(_) => false,
        })
        .map(Peer::name)
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "Sized by hindsight, to the load that came: {}.",
            names.join(", ")
        )
    })
}

/// Runs Tipoff and every peer.
pub fn run_all(contest: &Contest<'_>, mut tell: impl FnMut(&Run)) -> Vec<Run> {
    let world = contest.world();
    let mut runs = vec![run(&world, &mut contest.tipoff(1.0))];
    tell(&runs[0]);
    for peer in contest.peers {
        let record = run(&world, contest.peer(peer, 1.0).as_mut());
        tell(&record);
        runs.push(record);
    }
    runs
}

/// Forecast horizon a policy needs: twice its look-ahead, and two hours.
pub fn policy_horizon(arena: &Arena, reissue: TimeDelta) -> TimeDelta {
    let policy = &arena.policy;
    let scale_up = policy
        .start_up
        .scale_up_time
        .unwrap_or_else(|| arena.cluster.model.start_up.p95());
    let node = arena
        .cluster
        .model
        .nodes
        .map_or(TimeDelta::zero(), |nodes| nodes.boot_time.0);
    (policy.lead + scale_up + policy.start_up.node_time + node) * 2 + TimeDelta::hours(2) + reissue
}

/// Times at which forecasts are issued for the policy.
pub fn issue_times(scenario: &Scenario, from: Timestamp) -> Vec<Timestamp> {
    let mut times = Vec::new();
    let mut at = from;
    while at < scenario.evaluate.to {
        times.push(at);
        at += scenario.forecast.reissue;
    }
    times
}
