//! What really happened during the demo, step by step, in the form a simulated run has, so that
//! both stand in one table.

use chrono::TimeDelta;

use super::stage::{PER_REPLICA, STEP, Sunday};
use crate::plan::Workload;
use crate::simulate::Run;
use crate::units::{Rate, Timestamp};

/// The record.
#[derive(Debug)]
pub(super) struct Ledger {
    run: Run,
    to: Timestamp,
    last: Option<Workload>,
}

impl Ledger {
    pub(super) fn new(sunday: &Sunday) -> Self {
        Self {
            run: Run {
                name: "tipoff (this run)".to_owned(),
                from: sunday.from,
                step: STEP,
                desired: Vec::new(),
                ready: Vec::new(),
                paid: Vec::new(),
                lent: Vec::new(),
                offered: Vec::new(),
                unserved: Vec::new(),
            },
            to: sunday.to,
            last: None,
        }
    }

    /// Notes what is seen at `now`. Steps that began since the last look are given the fewer of
    /// the replicas ready then and now: a late look flatters nobody.
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        seen: Workload,
        load: impl Fn(Timestamp) -> Rate,
    ) {
        let before = self.last.unwrap_or(seen);
        let ready = before.ready.min(seen.ready);
        loop {
            let at = self.run.time(self.run.desired.len());
            if at > now || at >= self.to {
                break;
            }
            let offered = load(at + STEP / 2).as_per_second();
            let served = f64::from(ready) * PER_REPLICA;
            self.run.desired.push(seen.replicas);
            self.run.ready.push(ready);
            // a pod that starts or leaves is paid for too
            self.run.paid.push(seen.replicas.max(seen.ready));
            // the demo's policy asks for no bridge
            self.run.lent.push(0.0);
            self.run.offered.push(offered);
            self.run.unserved.push((offered - served).max(0.0));
        }
        self.last = Some(seen);
    }

    /// The record so far.
    pub(super) fn run(self) -> Run {
        self.run
    }
}

/// When a run had ready, and kept, what the load at `at` takes; `None` when it never did.
pub(super) fn ready_for(run: &Run, at: Timestamp) -> Option<Timestamp> {
    let place = (0..run.ready.len()).find(|&i| run.time(i) + run.step > at)?;
    let enough = |i: usize| f64::from(run.ready[i]) * PER_REPLICA >= run.offered[place];
    if enough(place) {
        // back to where it last was not enough
        let first = (0..place).rev().find(|&i| !enough(i)).map_or(0, |i| i + 1);
        Some(run.time(first))
    } else {
        (place..run.ready.len())
            .find(|&i| enough(i))
            .map(|i| run.time(i))
    }
}

/// The largest load a run met within ten minutes of `at`, and when.
pub(super) fn crest(run: &Run, at: Timestamp) -> Option<(Timestamp, Rate)> {
    let reach = TimeDelta::minutes(10);
    (0..run.offered.len())
        .filter(|&i| (run.time(i) - at).abs() <= reach)
        .max_by(|&a, &b| run.offered[a].total_cmp(&run.offered[b]))
        .map(|i| (run.time(i), Rate::per_second(run.offered[i])))
}
