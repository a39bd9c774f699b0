//! The replica calculator: one metric reading to a proposed size.
//!
//! Source: `pkg/controller/podautoscaler/replica_calculator.go`, with its integer truncations.

/// Relative distance from the target within which nothing is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Above the target.
    pub up: f64,
    /// Below it.
    pub down: f64,
}

impl Tolerance {
    fn holds(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// The scale subresource as the HPA reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) current: u32,
    pub(super) status: u32,
    pub(super) tolerance: Tolerance,
}

/// Usage of the pods of one workload, which share its load evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodUsage {
    /// Usage of each pod that counts, in thousandths.
    pub usage: u64,
    /// Pods that are ready and have a sample.
    pub sampled: u32,
    /// Pods that are not ready.
    pub unready: u32,
    /// Pods without a sample.
    pub missing: u32,
}

/// What one metric reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading {
    /// `Resource` with `averageUtilization`.
    Resource {
        /// Target, per cent of the request.
        target_percent: u32,
        /// Request of one pod, in thousandths.
        request: u64,
        /// Usage.
        pods: PodUsage,
    },
    /// `External` or `Object` with `averageValue`.
    AverageValue {
        /// Sum over the workload.
        total: f64,
        /// Target per replica.
        target: f64,
    },
    /// `External` or `Object` with `value`.
    Value {
        /// Reading.
        usage: f64,
        /// Target.
        target: f64,
        /// Pods that are ready.
        ready: u32,
    },
}

impl Reading {
    /// The size this metric proposes; `None` when it can say nothing.
    pub(super) fn proposal(&self, seen: &Seen) -> Option<u32> {
        match *self {
            Self::Resource {
                target_percent,
                request,
                pods,
            } => resource(target_percent, request, pods, seen),
            Self::AverageValue { total, target } => {
                let ratio = total / (target * f64::from(seen.status));
                Some(if seen.tolerance.holds(ratio) {
                    seen.status
                } else {
                    ceil(total / target)
                })
            }
            Self::Value {
                usage,
                target,
                ready,
            } => {
                let ratio = usage / target;
                Some(if seen.current == 0 {
                    ceil(ratio)
                } else if seen.tolerance.holds(ratio) {
                    seen.current
                } else {
                    ceil(ratio * f64::from(ready))
                })
            }
        }
    }
}

fn resource(target: u32, request: u64, pods: PodUsage, seen: &Seen) -> Option<u32> {
    if pods.sampled == 0 || request == 0 {
        return None;
    }
    let target = u64::from(target.max(1));
    let ratio = |used: u64, count: u32| {
        // whole per cent: the utilisation is an integer in the source
        let percent = used * 100 / (request * u64::from(count));
        percent as f64 / target as f64
    };
    let used = pods.usage * u64::from(pods.sampled);
    let first = ratio(used, pods.sampled);
    let starting = pods.unready > 0 && first > 1.0;
    if !starting && pods.missing == 0 {
        return Some(if seen.tolerance.holds(first) {
            seen.current
        } else {
            ceil(first * f64::from(pods.sampled))
        });
    }
    let mut counted = pods.sampled;
    let mut used = used;
    if pods.missing > 0 && first != 1.0 {
        counted += pods.missing;
        if first < 1.0 {
            // on the way down an absent pod is taken to be full, or at the target if that is more
            used += request * target.max(100) / 100 * u64::from(pods.missing);
        }
    }
    if starting {
        // on the way up a pod that is not ready is taken to be idle
        counted += pods.unready;
    }
    let second = ratio(used, counted);
    let turned = (first < 1.0 && second > 1.0) || (first > 1.0 && second < 1.0);
    if seen.tolerance.holds(second) || turned {
        return Some(seen.current);
    }
    let proposed = ceil(second * f64::from(counted));
    let backwards =
        (second < 1.0 && proposed > seen.current) || (second > 1.0 && proposed < seen.current);
    Some(if backwards { seen.current } else { proposed })
}

fn ceil(replicas: f64) -> u32 {
    if replicas.is_finite() {
        replicas.ceil().clamp(0.0, f64::from(i32::MAX)) as u32
    } else {
        0
    }
}
