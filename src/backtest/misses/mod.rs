//! The worst under-forecasts of a window's peak, and why they happened, in words.
//!
//! The causes follow from facts by rules that are written down here; looking for the facts is in
//! `facts`. Both look back with all that is known by now, as whoever reads the report does: nothing
//! of it reaches a forecast.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::Serialize;

use super::forecasts::{BlockScores, Targets};
use super::origin::Block;
use super::peaks::{WindowPeak, window_peaks};
use crate::forecast::Evidence;
use crate::units::Timestamp;

mod cause;
mod facts;

pub use cause::Cause;
use facts::Archive;

/// Misses that are told.
const TOLD: usize = 10;

/// An under-forecast smaller than this (log) is no miss worth a word: a tenth.
const SMALLEST: f64 = 0.1;

/// Calm hours that are off by this (log) count as a moved level.
const LEVEL: f64 = 0.15;

/// And by at least this share of the error of the peak.
const LEVEL_SHARE: f64 = 0.4;

/// A peak this far above the largest before is one that nobody could have learnt.
const BIGGER: f64 = 1.05;

/// A peak this long after the expected end came late.
const LATE: TimeDelta = TimeDelta::minutes(25);

/// A peak this far from the expected time came at another time.
const ELSEWHEN: TimeDelta = TimeDelta::minutes(45);

/// And the forecast was lower there than at its own peak by this share of the error, log.
const TIMING_SHARE: f64 = 0.5;

/// Entries that run this many times the usual pace said something.
const PACE: f64 = 1.2;

/// This share of the last day missing is a gap.
const GAP: f64 = 0.1;

/// Fixtures of a competition below which there is no precedent.
const PRECEDENTS: usize = 3;

/// What the fixture list said when the forecast was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// The fixtures at their time.
    Rightly,
    /// At least one of them at another time.
    Elsewhen(Timestamp),
    /// Not all of them yet.
    NotYet,
}

/// What is known about a missed peak.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// ln of what came over the median: positive.
    pub log_error: f64,
    /// What came, units per second.
    pub actual: f64,
    /// What the fixture list said at the origin.
    pub listed: Listed,
    /// Starts of the same competitions before the origin, within the history.
    pub precedents: usize,
    /// Those of them on the same kind of day (working day or weekend) at about the same hour.
    pub alike: usize,
    /// Largest five-minute mean of any window that was over at the origin.
    pub largest_before: Option<f64>,
    /// Median of ln(actual / median forecast) in the calm hours around the window.
    pub calm_error: Option<f64>,
    /// From the expected end of the fixtures to the peak; negative before it.
    pub after_end: TimeDelta,
    /// How much later than expected they ended, where the end is known.
    pub overran: Option<TimeDelta>,
    /// From the expected time of the peak to the real one.
    pub shift: TimeDelta,
    /// ln of the highest median of the window over the median at the time of the peak.
    pub timing: f64,
    /// What people call the fixtures whose crowd was there at the time of the peak, where the
    /// window's own were over.
    pub others: Vec<String>,
    /// Entries by the origin over those usual so long before the lock.
    pub pace: Option<f64>,
    /// Share of the last 24 h before the origin without data.
    pub gaps: f64,
}

/// The causes, the one that explains most first; never none.
pub fn causes(facts: &Facts) -> Vec<Cause> {
    let mut found = Vec::new();
    match facts.listed {
        Listed::NotYet => found.push(Cause::NotListed),
        Listed::Elsewhen(then) => found.push(Cause::Moved(then)),
        Listed::Rightly => {}
    }
    if facts.precedents < PRECEDENTS {
        found.push(Cause::NoPrecedent(facts.precedents));
    } else if facts.alike == 0 {
        found.push(Cause::NoneAlike(facts.precedents));
    }
    if facts.gaps > GAP {
        found.push(Cause::Gap(facts.gaps));
    }
    if let Some(calm) = facts.calm_error
        && calm > LEVEL
        && calm > LEVEL_SHARE * facts.log_error
    {
        found.push(Cause::Level(calm.exp()));
    }
    if let Some(largest) = facts.largest_before
        && facts.actual > BIGGER * largest
    {
        found.push(Cause::BiggerThanAny(facts.actual / largest));
    }
    let overran = facts
        .overran
        .filter(|overran| *overran >= TimeDelta::minutes(10));
    if !facts.others.is_empty() {
        found.push(Cause::Others(facts.others.clone()));
    } else if facts.after_end >= LATE {
        found.push(Cause::Late(facts.after_end, overran));
    } else if facts.shift.abs() >= ELSEWHEN && facts.timing > TIMING_SHARE * facts.log_error {
        found.push(Cause::Elsewhen(facts.shift));
    }
    if let Some(pace) = facts.pace
        && !(1.0 / PACE..=PACE).contains(&pace)
    {
        found.push(Cause::Entries(pace));
    }
    if found.is_empty() {
        found.push(Cause::Crowd);
    }
    found
}

/// A missed peak with its causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Miss {
    /// What was forecast and what came.
    #[serde(flatten)]
    pub peak: WindowPeak,
    /// What came over the median.
    pub ratio: f64,
    /// Why, the cause that explains most first.
    pub causes: Vec<String>,
}

/// The windows whose peak was forecast too low by most, a day or four hours ahead, worst first;
/// each by its worse forecast. `zone` is that of the audience.
pub fn worst(known: Evidence<'_>, zone: Tz, targets: &Targets, bands: &[BlockScores]) -> Vec<Miss> {
    let mut missed: Vec<(&BlockScores, WindowPeak)> = bands
        .iter()
        .filter(|band| matches!(band.block, Block::D1 | Block::H4))
        .flat_map(|band| {
            let peaks = window_peaks(targets, band, known.calendar);
            peaks.into_iter().map(move |peak| (band, peak))
        })
        .filter(|(_, peak)| peak.log_error() > SMALLEST)
        .collect();
    missed.sort_by(|(_, a), (_, b)| b.log_error().total_cmp(&a.log_error()));
    let mut told = BTreeSet::new();
    missed.retain(|(_, peak)| told.insert(peak.kickoff));
    missed.truncate(TOLD);
    if missed.is_empty() {
        return Vec::new();
    }
    let archive = Archive::new(known, zone, targets);
    missed
        .into_iter()
        .map(|(band, peak)| Miss {
            ratio: peak.actual / peak.p50.max(1e-9),
            causes: causes(&archive.facts(&peak, band))
                .iter()
                .map(ToString::to_string)
                .collect(),
            peak,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordinary() -> Facts {
        Facts {
            log_error: 0.5,
            actual: 100.0,
            listed: Listed::Rightly,
            precedents: 20,
            alike: 5,
            largest_before: Some(200.0),
            calm_error: Some(0.02),
            after_end: TimeDelta::minutes(5),
            overran: None,
            shift: TimeDelta::minutes(5),
            timing: 0.0,
            others: Vec::new(),
            pace: Some(1.05),
            gaps: 0.0,
        }
    }

    fn said(facts: &Facts) -> Vec<String> {
        causes(facts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_unusual_leaves_the_crowd() {
        assert_eq!(causes(&ordinary()), [Cause::Crowd]);
        let unknown = Facts {
            largest_before: None,
            calm_error: None,
            pace: None,
            ..ordinary()
        };
        assert_eq!(causes(&unknown), [Cause::Crowd]);
    }

    #[test]
    fn each_cause_follows_from_its_fact_alone() {
        let then = Timestamp::UNIX_EPOCH + TimeDelta::hours(20);
        let usual = ordinary();
        for (facts, words) in [
            (
                Facts {
                    listed: Listed::NotYet,
                    ..usual.clone()
                },
                "not on the fixture list when forecast",
            ),
            (
                Facts {
                    listed: Listed::Elsewhen(then),
                    ..usual.clone()
                },
                "wrong time: the fixture list then said 1 Jan 20:00 UTC",
            ),
            (
                Facts {
                    precedents: 0,
                    ..usual.clone()
                },
                "no precedent: the first of its competition",
            ),
            (
                Facts {
                    precedents: 1,
                    ..usual.clone()
                },
                "hardly a precedent: 1 start of its competition before",
            ),
            (
                Facts {
                    alike: 0,
                    ..usual.clone()
                },
                "hardly a precedent: none of 20 earlier starts fell on such a day at such an hour",
            ),
            (
                Facts {
                    gaps: 0.3,
                    ..usual.clone()
                },
                "data gap: 30 % of the day before the forecast is missing",
            ),
            (
                Facts {
                    calm_error: Some(0.4),
                    ..usual.clone()
                },
                "the level moved: calm hours ran at 1.49 times the forecast as well",
            ),
            (
                Facts {
                    largest_before: Some(50.0),
                    ..usual.clone()
                },
                "bigger than any before: 2.00 times the largest window seen",
            ),
            (
                Facts {
                    after_end: TimeDelta::minutes(45),
                    ..usual.clone()
                },
                "late peak: 45m after the expected end (extra time, or a long aftermath)",
            ),
            (
                Facts {
                    after_end: TimeDelta::minutes(45),
                    overran: Some(TimeDelta::minutes(31)),
                    ..usual.clone()
                },
                "late peak: 45m after the expected end, play went on 31m longer",
            ),
            (
                Facts {
                    shift: TimeDelta::minutes(-80),
                    timing: 0.4,
                    ..usual.clone()
                },
                "wrong time: the peak came 1h20m earlier than forecast",
            ),
            (
                Facts {
                    pace: Some(1.6),
                    ..usual.clone()
                },
                "entries said more: they ran, when forecast, at 1.6 times the pace usual for such a kick-off",
            ),
            (
                Facts {
                    pace: Some(0.6),
                    ..usual.clone()
                },
                "entries said otherwise: they ran, when forecast, at 0.6 times the pace usual for such a kick-off",
            ),
        ] {
            assert_eq!(said(&facts), [words]);
        }
    }

    #[test]
    fn whose_crowd_came_is_said_and_not_that_it_came_late() {
        let facts = Facts {
            others: vec![
                "A at B".to_owned(),
                "C at D".to_owned(),
                "E at F".to_owned(),
            ],
            after_end: TimeDelta::minutes(70),
            ..ordinary()
        };
        assert_eq!(
            said(&facts),
            ["the crowd of A at B, C at D and 1 more, who came when these were over"]
        );
    }

    #[test]
    fn a_small_move_of_the_level_does_not_explain_a_large_miss() {
        let facts = Facts {
            log_error: 1.2,
            calm_error: Some(0.2),
            ..ordinary()
        };
        assert_eq!(causes(&facts), [Cause::Crowd]);
    }

    #[test]
    fn another_time_explains_only_what_was_lower_there() {
        let facts = Facts {
            shift: TimeDelta::minutes(80),
            timing: 0.1,
            ..ordinary()
        };
        assert_eq!(causes(&facts), [Cause::Crowd]);
    }

    #[test]
    fn several_causes_are_told_in_order() {
        let facts = Facts {
            precedents: 0,
            largest_before: Some(25.0),
            gaps: 0.5,
            ..ordinary()
        };
        assert!(matches!(
            causes(&facts)[..],
            [
                Cause::NoPrecedent(0),
                Cause::Gap(_),
                Cause::BiggerThanAny(_)
            ]
        ));
    }
}
