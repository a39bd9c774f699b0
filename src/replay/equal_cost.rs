//! What peers would have served at Tipoff's price: each is tuned, by hindsight, until it pays the
//! same replica-hours over all days.

use serde::Serialize;

use super::report::PolicyReport;
use super::{Contest, Day, Peer, Report, Scenario, contest, each, has_knob, simulate};
use crate::backtest::report::{number, percent};
use crate::burst::LearntSpikes;

/// Smallest and largest factor tried, and halvings between them in the logarithm.
const SMALLEST: f64 = 0.1;
const LARGEST: f64 = 20.0;
const HALVINGS: usize = 10;

/// A share of the demand below which it is no base for a ratio: a handful of requests, more or
/// fewer by chance.
const NEXT_TO_NOTHING: f64 = 1e-6;

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
    /// Its share over Tipoff's; absent when Tipoff left next to nothing, or nothing.
    pub over_tipoff: Option<f64>,
}

/// A share over Tipoff's, where that is enough to compare with.
fn over(share: f64, own: &PolicyReport) -> Option<f64> {
    (own.unserved_ratio >= NEXT_TO_NOTHING).then(|| share / own.unserved_ratio)
}

/// Why there are no ratios, where there are none.
pub(super) fn without_ratios(own: &PolicyReport) -> Option<String> {
    let told = over(0.0, own).is_none().then(|| {
        format!(
            "Tipoff left next to nothing: {} of {} requests, fewer than one in a million. How many \
             times as much the others left at its price would say nothing.",
            number(own.unserved_requests),
            number(own.offered_requests)
        )
    });
    told.filter(|_| own.offered_requests > 0.0)
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
            found.over_tipoff = over(found.unserved_ratio, own);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_needs_a_base() {
        let own = |unserved: f64| PolicyReport {
            unserved_requests: unserved,
            unserved_ratio: unserved / 5e6,
            offered_requests: 5e6,
            ..PolicyReport::default()
        };
        assert_eq!(over(0.01, &own(0.0)), None);
        assert_eq!(over(0.01, &own(2.0)), None);
        assert_eq!(over(0.01, &own(50_000.0)), Some(1.0));
        let told = without_ratios(&own(2.0)).unwrap();
        assert!(
            told.starts_with("Tipoff left next to nothing: 2 of 5,000,000 requests"),
            "{told}"
        );
        assert_eq!(without_ratios(&own(50_000.0)), None);
    }
}
