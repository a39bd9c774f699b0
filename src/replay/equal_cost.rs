//! What peers would have served at Tipoff's price: each is tuned, by hindsight, until it pays the
//! same replica-hours over all days.

use serde::Serialize;

use super::{Contest, Day, Peer, Report, Scenario, contest, each, has_knob, simulate};
use crate::backtest::report::{number, percent};
use crate::burst::LearntSpikes;

/// Smallest and largest factor tried, and halvings between them in the logarithm.
const SMALLEST: f64 = 0.1;
const LARGEST: f64 = 20.0;
const HALVINGS: usize = 10;

/// One peer at Tipoff's price.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtEqualCost {
    /// Peer.
    pub name: String,
    /// Factor on every need of its.
    pub factor: f64,
    /// What it then pays.
    pub replica_hours: f64,
    /// Units then not served.
    pub unserved_requests: f64,
    /// Share of the demand then not served.
    pub unserved_ratio: f64,
    /// Seconds in which anything was not served.
    pub seconds_short: f64,
    /// Its share over Tipoff's; absent when Tipoff served everything.
    pub over_tipoff: Option<f64>,
}

/// Tunes every peer that has a knob.
pub(super) fn all(
    scenario: &Scenario,
    days: &[Day],
    report: &Report,
    workers: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Vec<AtEqualCost> {
    let Some(own) = report.policies.first() else {
        return Vec::new();
    };
    // peers learn nothing
    let contests = days
        .iter()
        .map(|day| contest(scenario, day, LearntSpikes::default()));
    let contests: Vec<Contest<'_>> = contests.collect();
    let peers: Vec<&Peer> = scenario
        .peers
        .iter()
        .filter(|peer| has_knob(peer))
        .collect();
    each(workers, &peers, |peer| {
        let attempt = |factor: f64| -> AtEqualCost {
            let mut found = AtEqualCost {
                name: String::new(),
                factor,
                replica_hours: 0.0,
                unserved_requests: 0.0,
                unserved_ratio: 0.0,
                seconds_short: 0.0,
                over_tipoff: None,
            };
            let mut offered = 0.0;
            for contest in &contests {
                let mut policy = contest.peer(peer, factor);
                policy.name().clone_into(&mut found.name);
                let totals = simulate(&contest.world(), policy.as_mut()).totals();
                offered += totals.offered;
                found.replica_hours += totals.replica_hours;
                found.unserved_requests += totals.unserved;
                found.seconds_short += totals.under_provisioned.num_milliseconds() as f64 / 1e3;
            }
            if offered > 0.0 {
                found.unserved_ratio = found.unserved_requests / offered;
            }
            found.over_tipoff =
                (own.unserved_ratio > 0.0).then(|| found.unserved_ratio / own.unserved_ratio);
            found
        };
        let (mut low, mut high) = (SMALLEST, LARGEST);
        let mut best: Option<AtEqualCost> = None;
        for _ in 0..HALVINGS {
            let tried = attempt((low * high).sqrt());
            if tried.replica_hours > own.replica_hours {
                high = tried.factor;
            } else {
                low = tried.factor;
            }
            let off = |found: &AtEqualCost| (found.replica_hours - own.replica_hours).abs();
            if best.as_ref().is_none_or(|best| off(&tried) < off(best)) {
                best = Some(tried);
            }
        }
        if let Some(best) = &best {
            progress(&format!(
                "{} at {} replica-hours: {} not served",
                best.name,
                number(best.replica_hours),
                percent(best.unserved_ratio)
            ));
        }
        best
    })
    .into_iter()
    .flatten()
    .collect()
}
