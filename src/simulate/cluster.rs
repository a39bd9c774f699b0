//! A simulated cluster for one workload: pods that take time to be created, placed and started.
//!
//! Deterministic for a seed. It models what an autoscaler cannot choose (the pod-creation rate,
//! node boots, start-up times) and nothing of what it can.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, LogNormal};
use serde::{Deserialize, Serialize};

use super::bounds::{LONGEST, pods, span, spans};
use super::loan::{CpuOrder, Loans, ResizeModel};
use crate::plan::bridges::CpuState;
use crate::units::{HumanDuration, Timestamp};

/// Standard normal deviate of the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_2;

/// Time from a pod's placement to Ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum StartUpTime {
    /// Always the same.
    Constant(#[serde(deserialize_with = "span")] HumanDuration),
    /// Log-normal, given by its median and 95th percentile.
    #[serde(rename = "lognormal")]
    LogNormal {
        /// Half of the pods are faster.
        #[serde(deserialize_with = "span")]
        median: HumanDuration,
        /// One in twenty is slower.
        #[serde(deserialize_with = "span")]
        p95: HumanDuration,
    },
    /// Drawn at random from measured times.
    Empirical(#[serde(deserialize_with = "spans")] Vec<HumanDuration>),
}

impl StartUpTime {
    /// A time that nineteen in twenty pods do not exceed.
    pub fn p95(&self) -> TimeDelta {
        match self {
            Self::Constant(time) => time.0,
            Self::LogNormal { p95, .. } => p95.0,
            Self::Empirical(times) => {
                let mut sorted = times.clone();
                sorted.sort_unstable();
                let rank = (sorted.len() as f64 * 0.95).ceil() as usize;
                sorted
                    .get(rank.max(1) - 1)
                    .map_or(TimeDelta::zero(), |time| time.0)
            }
        }
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Constant(_) => None,
            Self::LogNormal { median, p95 } => (median.0 <= TimeDelta::zero() || p95 < median)
                .then_some("lognormal needs 0s < median <= p95"),
            Self::Empirical(times) => times
                .is_empty()
                .then_some("empirical needs at least one time"),
        }
    }

    fn draw(&self, rng: &mut StdRng) -> TimeDelta {
        match self {
            Self::Constant(time) => time.0,
            Self::LogNormal { median, p95 } => {
                let median = median.0.num_milliseconds() as f64;
                let sigma = (p95.0.num_milliseconds() as f64 / median).ln() / Z95;
                let milliseconds = LogNormal::new(median.ln(), sigma.max(0.0))
                    .map_or(median, |distribution| distribution.sample(rng));
                // a wide one has a tail of years
                let most = LONGEST.num_milliseconds() as f64;
                TimeDelta::milliseconds(milliseconds.min(most) as i64)
            }
            Self::Empirical(times) => match times.len() {
                0 => TimeDelta::zero(),
                n => times[rng.random_range(0..n)].0,
            },
        }
    }
}

/// Nodes, when room on them is part of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nodes {
    /// Pods of this workload one node holds.
    #[serde(deserialize_with = "pods")]
    pub pods_per_node: u32,
    /// Nodes that are always there.
    pub standing: u32,
    /// Time from an unplaceable pod to its new node being Ready.
    #[serde(deserialize_with = "span")]
    pub boot_time: HumanDuration,
    /// How long an empty node stays before it is taken away.
    #[serde(default = "ten_minutes", deserialize_with = "span")]
    pub linger: HumanDuration,
}

fn ten_minutes() -> HumanDuration {
    // the cluster autoscaler's scale-down-unneeded-time
    HumanDuration(TimeDelta::minutes(10))
}

/// What a cluster does with a size it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterModel {
    /// Placement to Ready.
    pub start_up: StartUpTime,
    /// Pods created per second, cluster-wide: kube-controller-manager's default client (20).
    pub pods_per_second: f64,
    /// Nodes; `None`: there is always room.
    pub nodes: Option<Nodes>,
    /// How long a deleted pod still occupies, and costs, its place. It serves nothing meanwhile.
    pub termination: TimeDelta,
    /// How running pods come to more CPU.
    pub resize: ResizeModel,
}

impl ClusterModel {
    /// Pods that are Ready a constant time after the decision, with room for all.
    pub fn constant(start_up: TimeDelta) -> Self {
        Self {
            start_up: StartUpTime::Constant(HumanDuration(start_up)),
            pods_per_second: 20.0,
            nodes: None,
            termination: TimeDelta::zero(),
            resize: ResizeModel::default(),
        }
    }
}

/// One pod that has not been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// When it becomes Ready.
    pub ready_at: Timestamp,
    /// When it was asked for.
    pub created: Timestamp,
}

/// A workload's pods over simulated time.
#[derive(Debug, Clone)]
pub struct Cluster {
    model: ClusterModel,
    rng: StdRng,
    /// Size asked for.
    replicas: u32,
    /// In order of `ready_at`.
    pods: Vec<Pod>,
    /// Deleted pods that still occupy their place, until when.
    leaving: BinaryHeap<Reverse<Timestamp>>,
    /// The pod-creation client is free again then.
    create_from: Timestamp,
    /// Nodes beyond the standing ones: Ready from.
    extra_nodes: Vec<Timestamp>,
    /// Since when fewer nodes would do.
    spare_since: Option<Timestamp>,
    /// The CPU of the pods.
    loans: Loans,
}

impl Cluster {
    /// A cluster in which `replicas` pods are already Ready at `now`.
    pub fn new(model: ClusterModel, replicas: u32, now: Timestamp, seed: u64) -> Self {
        let pod = Pod {
            ready_at: now,
            created: now - TimeDelta::hours(1),
        };
        let mut cluster = Self {
            loans: Loans::new(model.resize),
            model,
            rng: StdRng::seed_from_u64(seed),
            replicas,
            pods: vec![pod; replicas as usize],
            leaving: BinaryHeap::new(),
            create_from: now,
            extra_nodes: Vec::new(),
            spare_since: None,
        };
        if let Some(nodes) = cluster.model.nodes {
            let needed = replicas.div_ceil(nodes.pods_per_node.max(1));
            let extra = needed.saturating_sub(nodes.standing);
            cluster.extra_nodes = vec![now; extra as usize];
        }
        cluster
    }

    /// The size asked for.
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Pods not deleted, in order of the time they become Ready.
    pub fn pods(&self) -> &[Pod] {
        &self.pods
    }

    /// Pods Ready at `now`.
    pub fn ready(&self, now: Timestamp) -> u32 {
        self.pods.partition_point(|pod| pod.ready_at <= now) as u32
    }

    /// Pods that occupy a place, and are paid for, at `now`: starting, Ready or leaving.
    pub fn occupying(&mut self, now: Timestamp) -> u32 {
        while self
            .leaving
            .peek()
            .is_some_and(|Reverse(until)| *until <= now)
        {
            self.leaving.pop();
        }
        (self.pods.len() + self.leaving.len()) as u32
    }

    /// Asks for more CPU for the pods that are Ready, or gives it back.
    pub fn order_cpu(&mut self, order: CpuOrder, now: Timestamp) {
        self.loans.order(order, self.ready(now), now);
    }

    /// The CPU of running pods.
    pub fn cpu(&self) -> CpuState {
        self.loans.state()
    }

    /// CPU lent to running pods, in replicas' worth: what is paid for beside them.
    pub fn lent(&self) -> f64 {
        self.loans.lent()
    }

    /// What Ready pods serve at `now`, in replicas as they were made.
    pub fn strength(&self, now: Timestamp) -> f64 {
        f64::from(self.ready(now)) + self.loans.at_work(now)
    }

    /// Asks for `replicas` pods. Deleting takes effect at once, those not Ready first, then the
    /// youngest, as the `ReplicaSet` controller ranks them.
    pub fn set_replicas(&mut self, replicas: u32, now: Timestamp) {
        self.replicas = replicas;
        let have = self.pods.len();
        let want = replicas as usize;
        if want < have {
            for _ in want..have {
                self.pods.pop();
                if self.model.termination > TimeDelta::zero() {
                    self.leaving.push(Reverse(now + self.model.termination));
                }
            }
        }
        self.loans.left(self.pods.len());
        self.release_nodes(now);
        for _ in have..want {
            self.create(now);
        }
    }

    fn create(&mut self, now: Timestamp) {
        let created = self.create_from.max(now);
        let pause = 1e9 / self.model.pods_per_second.max(1e-3);
        self.create_from = created + TimeDelta::nanoseconds(pause as i64);
        let placed = self.place(created);
        let ready_at = placed + self.model.start_up.draw(&mut self.rng);
        let pod = Pod { ready_at, created };
        let at = self
            .pods
            .partition_point(|other| other.ready_at <= ready_at);
        self.pods.insert(at, pod);
    }

    /// When a node has room for one more pod, counting those already there.
    fn place(&mut self, created: Timestamp) -> Timestamp {
        let Some(nodes) = self.model.nodes else {
            return created;
        };
        let per_node = nodes.pods_per_node.max(1) as usize;
        let taken = self.pods.len() + self.leaving.len();
        let index = taken / per_node;
        let standing = nodes.standing as usize;
        if index < standing {
            return created;
        }
        let extra = index - standing;
        while self.extra_nodes.len() <= extra {
            self.extra_nodes.push(created + nodes.boot_time.0);
        }
        self.extra_nodes[extra].max(created)
    }

    /// Takes away nodes that have been spare for long enough.
    fn release_nodes(&mut self, now: Timestamp) {
        let Some(nodes) = self.model.nodes else {
            return;
        };
        let per_node = nodes.pods_per_node.max(1) as usize;
        let needed = (self.pods.len() + self.leaving.len()).div_ceil(per_node);
        let needed = needed.saturating_sub(nodes.standing as usize);
        if needed >= self.extra_nodes.len() {
            self.spare_since = None;
            return;
        }
        let since = *self.spare_since.get_or_insert(now);
        if now - since >= nodes.linger.0 {
            self.extra_nodes.truncate(needed);
            self.spare_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
    }

    #[test]
    fn pods_are_ready_after_their_start_up_time() {
        let mut cluster = Cluster::new(
            ClusterModel::constant(TimeDelta::seconds(30)),
            2,
            second(0),
            1,
        );
        cluster.set_replicas(4, second(10));
        assert_eq!(cluster.ready(second(39)), 2);
        // the second of the two is created a twentieth of a second later
        assert_eq!(cluster.ready(second(40)), 3);
        assert_eq!(cluster.ready(second(41)), 4);
    }

    #[test]
    fn creation_is_rationed_cluster_wide() {
        let mut cluster = Cluster::new(ClusterModel::constant(TimeDelta::zero()), 0, second(0), 1);
        cluster.set_replicas(1000, second(0));
        assert_eq!(cluster.ready(second(10)), 201);
        assert_eq!(cluster.ready(second(50)), 1000);
    }

    #[test]
    fn those_not_ready_go_first() {
        let mut cluster = Cluster::new(
            ClusterModel::constant(TimeDelta::seconds(30)),
            5,
            second(0),
            1,
        );
        cluster.set_replicas(9, second(10));
        cluster.set_replicas(5, second(20));
        assert_eq!(cluster.ready(second(20)), 5);
        assert_eq!(cluster.ready(second(90)), 5);
    }

    #[test]
    fn a_full_cluster_waits_for_a_node_and_keeps_it_for_a_while() {
        let mut model = ClusterModel::constant(TimeDelta::seconds(10));
        model.nodes = Some(Nodes {
            pods_per_node: 10,
            standing: 1,
            boot_time: HumanDuration(TimeDelta::seconds(120)),
            linger: HumanDuration(TimeDelta::minutes(10)),
        });
        let mut cluster = Cluster::new(model, 8, second(0), 1);
        cluster.set_replicas(12, second(0));
        assert_eq!(cluster.ready(second(20)), 10);
        assert_eq!(cluster.ready(second(129)), 10);
        assert_eq!(cluster.ready(second(131)), 12);
        cluster.set_replicas(8, second(200));
        cluster.set_replicas(12, second(300));
        assert_eq!(cluster.ready(second(311)), 12, "the node lingered");
        cluster.set_replicas(8, second(400));
        cluster.set_replicas(8, second(1001));
        cluster.set_replicas(12, second(1002));
        assert_eq!(cluster.ready(second(1020)), 10, "the node had gone");
    }

    #[test]
    fn more_cpu_is_at_work_before_new_pods_are_ready_and_stays_with_the_old_ones() {
        let mut cluster = Cluster::new(
            ClusterModel::constant(TimeDelta::seconds(30)),
            4,
            second(0),
            1,
        );
        cluster.set_replicas(8, second(10));
        cluster.order_cpu(CpuOrder::Raise(2.0), second(10));
        assert_eq!((cluster.strength(second(11)), cluster.lent()), (4.0, 4.0));
        assert_eq!(cluster.strength(second(13)), 8.0);
        assert_eq!(cluster.strength(second(41)), 12.0, "the new ones as made");
        // the youngest go first
        cluster.set_replicas(3, second(50));
        assert_eq!((cluster.strength(second(50)), cluster.lent()), (6.0, 3.0));
        cluster.set_replicas(8, second(50));
        assert_eq!(cluster.lent(), 3.0, "those that came since are as made");
        cluster.set_replicas(3, second(50));
        cluster.order_cpu(CpuOrder::Restore, second(51));
        assert_eq!((cluster.strength(second(51)), cluster.lent()), (3.0, 0.0));
    }

    #[test]
    fn a_leaving_pod_costs_and_serves_nothing() {
        let mut model = ClusterModel::constant(TimeDelta::seconds(10));
        model.termination = TimeDelta::seconds(30);
        let mut cluster = Cluster::new(model, 5, second(0), 1);
        cluster.set_replicas(2, second(10));
        assert_eq!(cluster.ready(second(10)), 2);
        assert_eq!(cluster.occupying(second(39)), 5);
        assert_eq!(cluster.occupying(second(40)), 2);
    }

    #[test]
    fn the_same_seed_gives_the_same_start_up_times() {
        let model = ClusterModel {
            start_up: StartUpTime::LogNormal {
                median: HumanDuration(TimeDelta::seconds(20)),
                p95: HumanDuration(TimeDelta::seconds(60)),
            },
            ..ClusterModel::constant(TimeDelta::zero())
        };
        let run = |seed| {
            let mut cluster = Cluster::new(model.clone(), 0, second(0), seed);
            cluster.set_replicas(2000, second(0));
            cluster.pods().to_vec()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        // 2,000 pods take 100 s to create; count their own start-up times
        let mut times: Vec<_> = run(7)
            .iter()
            .map(|pod| (pod.ready_at - pod.created).num_milliseconds())
            .collect();
        times.sort_unstable();
        assert!((17_000..23_000).contains(&times[1000]), "{}", times[1000]);
        assert!((50_000..72_000).contains(&times[1900]), "{}", times[1900]);
    }
}
