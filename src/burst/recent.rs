//! The latest live samples of one workload, and the present load they speak of.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::sample::LiveSample;
use crate::units::{Rate, Timestamp};

/// Samples kept.
const KEPT: usize = 8;

/// Counts on which the present load stands, dispersion left aside: 5 % standard error.
const STEADY_COUNT: f64 = 400.0;

/// The latest samples, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Recent(VecDeque<LiveSample>);

impl Recent {
    /// Adds the next sample.
    pub(super) fn push(&mut self, sample: LiveSample) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Forgets them all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The latest sample.
    pub(super) fn last(&self) -> Option<&LiveSample> {
        self.0.back()
    }

    /// Samples that began at `since` or later.
    pub(super) fn since(&self, since: Timestamp) -> impl Iterator<Item = &LiveSample> {
        self.0.iter().filter(move |sample| sample.from >= since)
    }

    /// The median load, so that one odd sample says nothing.
    pub(super) fn median(&self) -> Option<Rate> {
        let mut loads: Vec<f64> = self
            .0
            .iter()
            .map(|sample| sample.offered.as_per_second())
            .collect();
        loads.sort_by(f64::total_cmp);
        loads.get(loads.len() / 2).copied().map(Rate::per_second)
    }

    /// Mean load of the samples that ended by `until`; `None` where none is kept any more.
    pub(super) fn load_until(&self, until: Timestamp) -> Option<Rate> {
        let (mut count, mut seconds) = (0.0, 0.0);
        for sample in self.0.iter().take_while(|sample| sample.to <= until) {
            count += sample.count();
            seconds += sample.seconds();
        }
        (seconds > 0.0).then(|| Rate::per_second(count / seconds))
    }

    /// The present load, over as few samples that began at `since` or later as count enough.
    pub(super) fn load_since(&self, since: Timestamp) -> Option<Rate> {
        let (mut count, mut seconds) = (0.0, 0.0);
        for sample in self.0.iter().rev() {
            if sample.from < since {
                break;
            }
            count += sample.count();
            seconds += sample.seconds();
            if count >= STEADY_COUNT {
                break;
            }
        }
        (seconds > 0.0).then(|| Rate::per_second(count / seconds))
    }
}
