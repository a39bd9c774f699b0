//! Runs autoscalers against recorded or generated load on a simulated cluster.
//!
//! Tipoff is run by the same [`crate::plan::plan`] that the controller calls; beside it stand
//! faithful versions of what people use today. One number pair per policy comes out: demand not
//! served, and replica-hours paid.

use chrono::TimeDelta;

use crate::plan::Workload;
use crate::series::Series;
use crate::units::{Rate, Timestamp};

pub mod bounds;
mod chance;
pub mod cluster;
pub mod drill;
mod fast_loop;
pub mod hindsight;
mod loan;
pub mod peers;
pub mod policies;
pub mod season;
pub mod tipoff;
pub mod traffic;
pub mod yardstick;

pub use cluster::{Cluster, ClusterModel, Nodes, StartUpTime};
pub use fast_loop::SeenSpike;
pub use loan::{CpuOrder, ResizeModel};
pub use policies::{Sample, ScalingPolicy, Sight};
pub use tipoff::{Outlook, TipoffPolicy};
pub use traffic::{GameDay, Results, Traffic};

/// The part of the world that is the same for every policy.
#[derive(Debug, Clone)]
pub struct World<'a> {
    /// Offered load. A gap counts as nothing offered and as a missing metric.
    pub load: &'a Series,
    /// Load one ready replica serves; more is not served.
    pub per_replica: Rate,
    /// How pods arrive.
    pub cluster: ClusterModel,
    /// First moment simulated; replicas are already Ready then.
    pub from: Timestamp,
    /// First moment recorded and scored, not before `from`: policies settle in until then.
    pub scored_from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Simulation step. Counts are constant within one.
    pub step: TimeDelta,
    /// Replicas Ready at `from`.
    pub initial: u32,
    /// Seed of the start-up times.
    pub seed: u64,
}

/// What happened under one policy, per step from `from`.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Policy.
    pub name: String,
    /// Start of the first recorded step.
    pub from: Timestamp,
    /// Width of a step.
    pub step: TimeDelta,
    /// Size asked for.
    pub desired: Vec<u32>,
    /// Replicas Ready.
    pub ready: Vec<u32>,
    /// Pods that occupy a place: starting, Ready, leaving.
    pub paid: Vec<u32>,
    /// CPU lent to running pods, in replicas' worth.
    pub lent: Vec<f64>,
    /// Load offered, units per second.
    pub offered: Vec<f64>,
    /// Load not served, units per second.
    pub unserved: Vec<f64>,
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Units (requests) offered.
    pub offered: f64,
    /// Units not served.
    pub unserved: f64,
    /// Time during which anything was not served.
    pub under_provisioned: TimeDelta,
    /// Pods paid for, from their creation, times hours, and what was lent to them.
    pub replica_hours: f64,
    /// The part of it that was lent to running pods.
    pub lent_hours: f64,
    /// Ready pods times hours.
    pub ready_hours: f64,
    /// Largest size asked for.
    pub peak_replicas: u32,
    /// How often the size asked for changed.
    pub scale_events: usize,
}

impl Totals {
    /// Share of the demand that was not served.
    pub fn unserved_ratio(&self) -> f64 {
        if self.offered > 0.0 {
            self.unserved / self.offered
        } else {
            0.0
        }
    }
}

impl Run {
    /// Sums it up.
    pub fn totals(&self) -> Totals {
        let seconds = self.step.num_milliseconds() as f64 / 1e3;
        let hours = seconds / 3600.0;
        let pods = |counts: &[u32]| counts.iter().map(|&n| f64::from(n)).sum::<f64>() * hours;
        let short = self.unserved.iter().filter(|&&rate| rate > 0.0).count();
        let lent = self.lent.iter().sum::<f64>() * hours;
        Totals {
            offered: self.offered.iter().sum::<f64>() * seconds,
            unserved: self.unserved.iter().sum::<f64>() * seconds,
            under_provisioned: self.step * i32::try_from(short).unwrap_or(i32::MAX),
            replica_hours: pods(&self.paid) + lent,
            lent_hours: lent,
            ready_hours: pods(&self.ready),
            peak_replicas: self.desired.iter().copied().max().unwrap_or(0),
            scale_events: self.desired.windows(2).filter(|w| w[0] != w[1]).count(),
        }
    }

    /// Start of step `index`.
    pub fn time(&self, index: usize) -> Timestamp {
        self.from + self.step * i32::try_from(index).unwrap_or(i32::MAX)
    }
}

/// Runs one policy through the world.
pub fn run(world: &World<'_>, policy: &mut dyn ScalingPolicy) -> Run {
    let step = world.step.max(TimeDelta::milliseconds(1));
    let steps = ((world.to - world.from).num_milliseconds() / step.num_milliseconds()).max(0);
    let steps = steps as usize;
    let mut cluster = Cluster::new(world.cluster.clone(), world.initial, world.from, world.seed);
    let mut record = Run {
        name: policy.name().to_owned(),
        from: world.from,
        step,
        desired: Vec::with_capacity(steps),
        ready: Vec::with_capacity(steps),
        paid: Vec::with_capacity(steps),
        lent: Vec::with_capacity(steps),
        offered: Vec::with_capacity(steps),
        unserved: Vec::with_capacity(steps),
    };
    for index in 0..steps {
        let now = record.time(index);
        let sight = Sight {
            workload: Workload {
                replicas: cluster.replicas(),
                ready: cluster.ready(now),
            },
            pods: cluster.pods(),
            cpu: cluster.cpu(),
            per_replica: world.per_replica,
            load: world.load,
            now,
            began: world.from,
            step,
            ready_before: &record.ready,
        };
        let desired = policy.decide(&sight, now);
        cluster.set_replicas(desired, now);
        if let Some(order) = policy.cpu() {
            cluster.order_cpu(order, now);
        }
        let ready = cluster.ready(now);
        let offered = world.load.at(now).map_or(0.0, Rate::as_per_second);
        let capacity = world.per_replica.as_per_second() * cluster.strength(now);
        // a hair of floating point is not a lost request
        let short = offered - capacity;
        let unserved = if short > 1e-9 * offered { short } else { 0.0 };
        record.desired.push(desired);
        record.ready.push(ready);
        record.paid.push(cluster.occupying(now));
        record.lent.push(cluster.lent());
        record.offered.push(offered);
        record.unserved.push(unserved);
    }
    let settling = (world.scored_from - world.from).num_milliseconds() / step.num_milliseconds();
    let settling = (settling.max(0) as usize).min(steps);
    for counts in [&mut record.desired, &mut record.ready, &mut record.paid] {
        counts.drain(..settling);
    }
    for rates in [&mut record.lent, &mut record.offered, &mut record.unserved] {
        rates.drain(..settling);
    }
    record.from = world.from + step * i32::try_from(settling).unwrap_or(i32::MAX);
    record
}
