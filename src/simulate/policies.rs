//! What every simulated autoscaler is: something that sees a little and asks for a size.
//!
//! A policy is never shown the cluster or the future, only a [`Sight`]: the workload's counts and
//! a metric that is as late as metrics are. (`oracle` and `static-peak` cheat on purpose and are
//! given the future when they are built.)

use chrono::TimeDelta;

use super::cluster::Pod;
use super::loan::CpuOrder;
use crate::plan::Workload;
use crate::plan::bridges::CpuState;
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// An autoscaler under simulation.
pub trait ScalingPolicy {
    /// As it stands in tables.
    fn name(&self) -> &str;

    /// The size it wants at `now`. It is asked at every step and keeps its own period: between
    /// its decisions it returns `sight.workload.replicas`.
    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32;

    /// What its last decision wants of the CPU of running pods; nothing, unless it knows how.
    fn cpu(&mut self) -> Option<CpuOrder> {
        None
    }
}

/// A metric sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Offered load, mean over its bin.
    pub rate: Rate,
    /// End of the bin: when the value became known to the metrics system.
    pub at: Timestamp,
    /// Replicas that were Ready then and shared the load.
    pub ready: u32,
}

/// What an autoscaler really sees.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// Counts, as fresh as the API server's.
    pub workload: Workload,
    /// Pods not deleted, in order of the time they become Ready.
    pub pods: &'a [Pod],
    /// The CPU of running pods.
    pub cpu: CpuState,
    /// Load one replica carries at 100 % of its request.
    pub per_replica: Rate,
    pub(super) load: &'a Series,
    pub(super) now: Timestamp,
    pub(super) began: Timestamp,
    pub(super) step: TimeDelta,
    pub(super) ready_before: &'a [u32],
}

impl Sight<'_> {
    /// The latest whole bin of the load that had ended `lag` ago; `None` in a gap and before the
    /// first bin.
    pub fn sample(&self, lag: TimeDelta) -> Option<Sample> {
        self.mean(TimeDelta::zero(), lag)
    }

    /// The mean over the whole bins that end within `window` before the latest one that had ended
    /// `lag` ago, that one included: a scrape's rate over its window. `None` when that one is a
    /// gap; other gaps are left out.
    pub fn mean(&self, window: TimeDelta, lag: TimeDelta) -> Option<Sample> {
        let bin = self.load.step().num_milliseconds();
        let seen_until = (self.now - lag - self.load.start()).num_milliseconds();
        let index = usize::try_from(seen_until.div_euclid(bin) - 1).ok()?;
        let latest = self.load.get(index)?;
        let bins = usize::try_from(window.num_milliseconds() / bin).unwrap_or(0);
        let rate = if bins > 1 {
            let first = (index + 1).saturating_sub(bins);
            let known = (first..=index).filter_map(|bin| self.load.get(bin));
            let (sum, count) =
                known.fold((Rate::ZERO, 0.0), |(sum, n), rate| (sum + rate, n + 1.0));
            sum / count
        } else {
            latest
        };
        let at = self.load.time(index + 1);
        let step = (at - self.began).num_milliseconds() / self.step.num_milliseconds().max(1);
        let ready = usize::try_from(step)
            .ok()
            .and_then(|step| self.ready_before.get(step).copied())
            .unwrap_or(self.workload.ready);
        Some(Sample { rate, at, ready })
    }
}
