//! The `HorizontalPodAutoscaler` v2: its loop, and how it plays with the simulator.
//!
//! The arithmetic is in `replicas` (one metric to a proposal) and `limits` (stabilisation and
//! rate). Source: `pkg/controller/podautoscaler/horizontal.go` of Kubernetes 1.27 to 1.35.

use chrono::TimeDelta;

use super::super::policies::{ScalingPolicy, Sight};
use crate::units::{Rate, Timestamp};

pub mod limits;
pub mod replicas;

pub use limits::{Behavior, RatePolicy, RateUnit, Rules, Select};
pub use replicas::{PodUsage, Reading, Tolerance};

use limits::Normalizer;
use replicas::Seen;

/// What one HPA object and its controller's flags say.
#[derive(Debug, Clone, PartialEq)]
pub struct HpaSpec {
    /// `minReplicas`.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
    /// `behavior`; `None`: the old defaults.
    pub behavior: Option<Behavior>,
    /// How far from the target nothing is done, 0.1 by default.
    pub tolerance: Tolerance,
    /// `--horizontal-pod-autoscaler-sync-period`.
    pub sync: TimeDelta,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, without `behavior`.
    pub downscale_stabilization: TimeDelta,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`.
    pub cpu_initialization: TimeDelta,
}

impl HpaSpec {
    /// The defaults of kube-controller-manager.
    pub fn new(min: u32, max: u32) -> Self {
        Self {
            min,
            max,
            behavior: None,
            tolerance: Tolerance { up: 0.1, down: 0.1 },
            sync: TimeDelta::seconds(15),
            downscale_stabilization: TimeDelta::minutes(5),
            cpu_initialization: TimeDelta::minutes(5),
        }
    }
}

/// One HPA's state.
#[derive(Debug, Clone)]
pub struct Hpa {
    spec: HpaSpec,
    normalizer: Normalizer,
}

impl Hpa {
    /// A controller that has not seen the object yet.
    pub fn new(spec: HpaSpec) -> Self {
        let normalizer = Normalizer::new(&spec);
        Self { spec, normalizer }
    }

    /// One sync: the size it would write to `/scale`.
    ///
    /// `current` is `spec.replicas`, `status` is `status.replicas`. A `None` reading is a metric
    /// that could not be had.
    pub fn sync(
        &mut self,
        current: u32,
        status: u32,
        readings: &[Option<Reading>],
        now: Timestamp,
    ) -> u32 {
        self.normalizer.first_sight(current, now);
        let spec = &self.spec;
        let desired = if current == 0 && spec.min != 0 {
            // somebody scaled to zero: autoscaling is off
            return 0;
        } else if current > spec.max {
            spec.max
        } else if current < spec.min {
            spec.min
        } else {
            let seen = Seen {
                current,
                status,
                tolerance: spec.tolerance,
            };
            let proposals: Vec<u32> = readings
                .iter()
                .flatten()
                .filter_map(|reading| reading.proposal(&seen))
                .collect();
            let Some(&largest) = proposals.iter().max() else {
                return current;
            };
            if proposals.len() < readings.len() && largest < current {
                // some metric is missing: never down
                return current;
            }
            self.normalizer.normalize(current, largest, spec, now)
        };
        if desired != current && self.spec.behavior.is_some() {
            self.normalizer.store_event(current, desired, now);
        }
        desired
    }
}

/// What an HPA in the simulator measures.
#[derive(Debug, Clone, PartialEq)]
pub enum HpaMetric {
    /// CPU utilisation, per cent of the request. A pod at its capacity uses 100 % of its request
    /// and cannot use more: overload is invisible beyond that.
    Cpu {
        /// `averageUtilization`.
        target_percent: u32,
        /// Age of a sample: kubelet (10 s) and metrics-server (15 s or more).
        lag: TimeDelta,
        /// Time a sample is taken over.
        window: TimeDelta,
    },
    /// Offered load as an External metric with `averageValue`: what KEDA makes of a PromQL query.
    External {
        /// `averageValue`, units per second and replica.
        average: Rate,
        /// Age of a sample: the Prometheus scrape.
        lag: TimeDelta,
        /// What `rate(...[window])` looks back over; zero: the latest bin of the load.
        window: TimeDelta,
    },
}

impl HpaMetric {
    /// What the metrics API answers at `now`.
    pub fn read(&self, sight: &Sight<'_>, spec: &HpaSpec, now: Timestamp) -> Option<Reading> {
        match self {
            Self::External {
                average,
                lag,
                window,
            } => Some(Reading::AverageValue {
                total: sight.mean(*window, *lag)?.rate.as_per_second(),
                target: average.as_per_second(),
            }),
            Self::Cpu {
                target_percent,
                lag,
                window,
            } => {
                let sample = sight.mean(*window, *lag)?;
                let share = sample.rate / (sight.per_replica * f64::from(sample.ready.max(1)));
                // requests of one core: a millicore is a tenth of a per cent
                let usage = (share.min(1.0) * 1000.0) as u64;
                let (mut sampled, mut unready) = (0, 0);
                for pod in sight.pods {
                    // a pod that has never been Ready, and for the first five minutes one whose
                    // sample is from before it was Ready, count as unready
                    let young = now < pod.created + spec.cpu_initialization;
                    let settled = sample.at >= pod.ready_at + *window;
                    if pod.ready_at > now || (young && !settled) {
                        unready += 1;
                    } else {
                        sampled += 1;
                    }
                }
                Some(Reading::Resource {
                    target_percent: *target_percent,
                    request: 1000,
                    pods: PodUsage {
                        usage,
                        sampled,
                        unready,
                        missing: 0,
                    },
                })
            }
        }
    }
}

/// An HPA as a policy.
#[derive(Debug, Clone)]
pub struct HpaPolicy {
    name: String,
    spec: HpaSpec,
    metrics: Vec<HpaMetric>,
    hpa: Hpa,
    next: Option<Timestamp>,
}

impl HpaPolicy {
    /// An HPA over the largest of `metrics`.
    pub fn new(name: impl Into<String>, spec: HpaSpec, metrics: Vec<HpaMetric>) -> Self {
        Self {
            name: name.into(),
            hpa: Hpa::new(spec.clone()),
            spec,
            metrics,
            next: None,
        }
    }

    /// True when a sync is due at `now`, which it then is not again for a period.
    fn due(&mut self, now: Timestamp) -> bool {
        let due = self.next.is_none_or(|next| now >= next);
        if due {
            self.next = Some(now + self.spec.sync);
        }
        due
    }

    /// Syncs, when one is due, over its own metrics and those given.
    pub(super) fn decide_with(
        &mut self,
        sight: &Sight<'_>,
        now: Timestamp,
        more: impl FnOnce() -> Vec<Option<Reading>>,
    ) -> u32 {
        if !self.due(now) {
            return sight.workload.replicas;
        }
        let mut readings: Vec<Option<Reading>> = self
            .metrics
            .iter()
            .map(|metric| metric.read(sight, &self.spec, now))
            .collect();
        readings.extend(more());
        let status = sight.pods.len() as u32;
        self.hpa
            .sync(sight.workload.replicas, status, &readings, now)
    }
}

impl ScalingPolicy for HpaPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        self.decide_with(sight, now, Vec::new)
    }
}

#[cfg(test)]
mod tests;
