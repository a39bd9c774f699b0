//! Knows the future over exactly the time a pod takes to start: the least anyone can pay to
//! serve everything that the allowed sizes can.
//!
//! A pod Ready at `s` must have existed since `s - start-up`; so at `t` exactly the largest need
//! of `[t, t + start-up]` must exist, and no policy that serves everything can do with fewer.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::TimeDelta;

use super::super::cluster::ClusterModel;
use super::super::policies::{ScalingPolicy, Sight};
use super::replicas_for;
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// Replicas that the load of `[t, t + reach]` will need, per bin of the load.
#[derive(Debug, Clone)]
pub struct Oracle {
    start: Timestamp,
    step: TimeDelta,
    needs: Arc<Vec<u32>>,
    sizes: RangeInclusive<u32>,
}

impl Oracle {
    /// An oracle for pods that arrive as `cluster` says. Start-up times drawn at random are
    /// covered to their 95th percentile; `simulation_step` is how coarsely time passes, `sizes` are
    /// the ones it may have, as everybody else.
    pub fn new(
        load: &Series,
        per_replica: Rate,
        cluster: &ClusterModel,
        simulation_step: TimeDelta,
        sizes: RangeInclusive<u32>,
    ) -> Self {
        let needs: Vec<u32> = load
            .raw()
            .iter()
            .map(|&rate| {
                if rate.is_finite() {
                    replicas_for(rate, per_replica).min(*sizes.end())
                } else {
                    0
                }
            })
            .collect();
        let largest = needs.iter().copied().max().unwrap_or(0);
        let creation =
            TimeDelta::milliseconds((f64::from(largest) * 1e3 / cluster.pods_per_second) as i64);
        let node = cluster
            .nodes
            .map_or(TimeDelta::zero(), |nodes| nodes.boot_time.0);
        let reach = cluster.start_up.p95() + node + creation + simulation_step;
        let step = load.step();
        let bins = reach.num_milliseconds().div_euclid(step.num_milliseconds()) + 1;
        Self {
            start: load.start(),
            step,
            needs: Arc::new(sliding_max(&needs, bins as usize)),
            sizes,
        }
    }
}

/// The largest of each value and the `ahead` that follow it.
fn sliding_max(values: &[u32], ahead: usize) -> Vec<u32> {
    let mut result = vec![0; values.len()];
    // indices of a falling sequence of values within reach
    let mut queue: VecDeque<usize> = VecDeque::new();
    for index in (0..values.len()).rev() {
        while queue
            .back()
            .is_some_and(|&later| values[later] <= values[index])
        {
            queue.pop_back();
        }
        queue.push_back(index);
        while queue.front().is_some_and(|&later| later > index + ahead) {
            queue.pop_front();
        }
        result[index] = queue.front().map_or(0, |&largest| values[largest]);
    }
    result
}

impl ScalingPolicy for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        let index = (now - self.start).num_milliseconds() / self.step.num_milliseconds();
        usize::try_from(index)
            .ok()
            .and_then(|index| self.needs.get(index).copied())
            .unwrap_or(sight.workload.replicas)
            .clamp(*self.sizes.start(), *self.sizes.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sliding_maximum_looks_ahead_only() {
        let values = [1, 5, 2, 0, 7, 3];
        assert_eq!(sliding_max(&values, 0), values);
        assert_eq!(sliding_max(&values, 2), [5, 5, 7, 7, 7, 3]);
    }
}
