//! CPU lent to running pods of the simulated cluster: what `pods/resize` does for a workload.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::bounds::{SLOWEST, span};
use crate::plan::bridges::CpuState;
use crate::units::{HumanDuration, Timestamp};

/// How running pods come to more CPU.
///
/// They are taken to serve in proportion to it, and nodes to have it to spare: what has room for
/// a pod more within seconds has the CPU of one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ResizeModel {
    /// From the order to the pod having it.
    #[serde(deserialize_with = "span")]
    pub takes: HumanDuration,
    /// Pods changed per second.
    pub pods_per_second: f64,
}

impl Default for ResizeModel {
    /// Two seconds: resizing a pod took 1.78 s on average until its status said so, and 0.16 s
    /// since kubernetes#137362 (1,000 runs each, told there). A hundred pods a second: what the
    /// controller changes in one round.
    fn default() -> Self {
        Self {
            takes: HumanDuration(TimeDelta::seconds(2)),
            pods_per_second: 100.0,
        }
    }
}

impl ResizeModel {
    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        if self.takes.0 < TimeDelta::zero() {
            return Some("takes cannot be less than nothing: write for example 2s");
        }
        let rate = self.pods_per_second;
        (!(rate.is_finite() && rate >= SLOWEST))
            .then_some("podsPerSecond must be 0.001 or more: write for example 100")
    }
}

/// What a policy wants of the CPU of running pods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CpuOrder {
    /// So many times what they were made with.
    Raise(f64),
    /// What they were made with.
    Restore,
}

/// More CPU for those pods that were Ready when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Loan {
    factor: f64,
    asked: Timestamp,
    pods: usize,
}

/// The CPU of a workload's running pods.
#[derive(Debug, Clone, Default)]
pub(super) struct Loans {
    model: ResizeModel,
    running: Option<Loan>,
}

impl Loans {
    pub(super) fn new(model: ResizeModel) -> Self {
        Self {
            model,
            running: None,
        }
    }

    /// Carries out an order for `ready` pods. Raised pods are not raised again; giving back takes
    /// no time.
    pub(super) fn order(&mut self, order: CpuOrder, ready: u32, now: Timestamp) {
        match order {
            CpuOrder::Restore => self.running = None,
            CpuOrder::Raise(factor) => {
                self.running.get_or_insert(Loan {
                    factor,
                    asked: now,
                    pods: ready as usize,
                });
            }
        }
    }

    pub(super) fn state(&self) -> CpuState {
        self.running.map_or(CpuState::AsMade, |_| CpuState::Raised)
    }

    /// Only so many pods are left. The oldest are the last to go, and were the first to be raised;
    /// what those that went had is gone with them, also when others come in their place.
    pub(super) fn left(&mut self, pods: usize) {
        if let Some(loan) = &mut self.running {
            loan.pods = loan.pods.min(pods);
        }
    }

    /// What is lent, in replicas' worth of CPU: paid from the order on.
    pub(super) fn lent(&self) -> f64 {
        self.running
            .map_or(0.0, |loan| (loan.factor - 1.0) * loan.pods as f64)
    }

    /// The part of it that pods have by `now`.
    pub(super) fn at_work(&self, now: Timestamp) -> f64 {
        let Some(loan) = self.running else {
            return 0.0;
        };
        let since = (now - loan.asked - self.model.takes.0).num_milliseconds();
        if since < 0 {
            return 0.0;
        }
        // the first is changed at once
        let changed = 1 + (since as f64 / 1e3 * self.model.pods_per_second) as usize;
        (loan.factor - 1.0) * loan.pods.min(changed) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
    }

    #[test]
    fn pods_have_it_after_a_while_and_pay_at_once() {
        let mut loans = Loans::new(ResizeModel::default());
        assert_eq!(loans.state(), CpuState::AsMade);
        loans.order(CpuOrder::Raise(3.0), 150, second(10));
        assert_eq!(loans.state(), CpuState::Raised);
        assert_eq!(loans.lent(), 300.0);
        assert_eq!(loans.at_work(second(11)), 0.0);
        assert_eq!(loans.at_work(second(12)), 2.0);
        assert_eq!(loans.at_work(second(13)), 202.0, "a hundred a second");
        assert_eq!(loans.at_work(second(14)), 300.0);
        // a second order while the first stands changes nothing
        loans.order(CpuOrder::Raise(3.0), 400, second(15));
        assert_eq!(loans.lent(), 300.0);
        // pods that went take theirs with them, for good
        loans.left(40);
        loans.left(400);
        assert_eq!((loans.lent(), loans.at_work(second(15))), (80.0, 80.0));
        loans.order(CpuOrder::Restore, 400, second(16));
        assert_eq!((loans.lent(), loans.at_work(second(20))), (0.0, 0.0));
        assert_eq!(loans.state(), CpuState::AsMade);
    }

    #[test]
    fn a_model_that_means_nothing_is_told() {
        let model = |takes, pods_per_second| ResizeModel {
            takes: HumanDuration(TimeDelta::seconds(takes)),
            pods_per_second,
        };
        assert_eq!(model(0, 1.0).problem(), None);
        assert!(model(-1, 1.0).problem().is_some());
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(model(1, rate).problem().is_some(), "{rate}");
        }
    }
}
