//! Realised coverage: how often load stayed under the bounds that were really given.

use serde::{Deserialize, Serialize};

use super::lead::{self, BUCKETS};
use super::quantile::{GROUPS, Group};

/// Coverage of the bounds given in the last four weeks, for moments of one kind and one distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// `calm`, `before event`, `event`, `end of event`, these three `with entries`, or `event
    /// without precedent`.
    pub kind: String,
    /// Longest lead, minutes; the last also stands for what lies beyond.
    pub up_to_minutes: u32,
    /// Forecasts whose target has come.
    pub points: u32,
    /// Share of them at or below p90, p95 and p99.
    pub covered: [f64; 3],
    /// Mean factor of p95 over p50.
    pub width: f64,
}

/// What the groups are called, in their order.
const KINDS: [&str; GROUPS] = [
    "calm",
    "before event",
    "before event with entries",
    "event",
    "event with entries",
    "end of event",
    "end of event with entries",
    "event without precedent",
];

impl Coverage {
    /// Whether the moments lie in the windows of fixtures.
    pub fn around_fixtures(&self) -> bool {
        self.kind != KINDS[Group::Calm as usize]
    }
}

/// Counts by group and lead bucket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration([[Tally; BUCKETS]; GROUPS]);

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    points: u32,
    covered: [u32; 3],
    width: f64,
}

impl Calibration {
    /// Counts a forecast whose target has come: its score and the margins given with it.
    pub(crate) fn count(&mut self, group: Group, bucket: usize, score: f64, margins: &[f64; 3]) {
        if !score.is_finite() {
            return;
        }
        let tally = &mut self.0[group as usize][bucket];
        tally.points += 1;
        for (covered, margin) in tally.covered.iter_mut().zip(margins) {
            *covered += u32::from(score <= *margin);
        }
        tally.width += margins[1].exp();
    }

    /// Rows with at least one point.
    pub(crate) fn rows(&self) -> Vec<Coverage> {
        let tallies = KINDS.iter().zip(&self.0);
        tallies
            .flat_map(|(kind, buckets)| {
                buckets
                    .iter()
                    .enumerate()
                    .map(move |(bucket, tally)| (kind, bucket, tally))
            })
            .filter(|(.., tally)| tally.points > 0)
            .map(|(kind, bucket, tally)| {
                let points = f64::from(tally.points);
                Coverage {
                    kind: (*kind).to_owned(),
                    up_to_minutes: lead::longest_minutes(bucket),
                    points: tally.points,
                    covered: tally.covered.map(|covered| f64::from(covered) / points),
                    width: tally.width / points,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_was_under_the_bounds_that_were_given() {
        let mut calibration = Calibration::default();
        calibration.count(Group::Event, 2, 0.05, &[0.1, 0.2, 0.3]);
        calibration.count(Group::Event, 2, 0.15, &[0.1, 0.2, 0.3]);
        calibration.count(Group::Event, 2, f64::NAN, &[0.1, 0.2, 0.3]);
        let rows = calibration.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].kind.as_str(), rows[0].points), ("event", 2));
        assert_eq!(rows[0].covered, [0.5, 1.0, 1.0]);
        assert_eq!(rows[0].up_to_minutes, 240);
        assert!((rows[0].width - 0.2_f64.exp()).abs() < 1e-12);
    }
}
