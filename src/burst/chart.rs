//! One CUSUM: evidence for a jump, added up since it last was none.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Units or lumps above the expected ones that an alarm takes at least: fewer are a person or two.
const LEAST_EXCESS: f64 = 8.0;

/// A statistic for one jump.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chart {
    /// `S`.
    statistic: f64,
    /// Where its present excursion from zero began.
    excursion: Option<Excursion>,
}

impl Chart {
    /// Takes in a sample that began at `from`, and what it is evidence of.
    pub(super) fn take_in(
        &mut self,
        evidence: f64,
        [counted, expected]: [f64; 2],
        from: Timestamp,
    ) {
        self.statistic = (self.statistic + evidence).max(0.0);
        if self.statistic > 0.0 {
            let excursion = self.excursion.get_or_insert(Excursion {
                since: from,
                counted: 0.0,
                expected: 0.0,
            });
            excursion.counted += counted;
            excursion.expected += expected;
        } else {
            self.excursion = None;
        }
    }

    /// Whether the excursion is none of chance; `lump` units come at once.
    pub(super) fn alarms(&self, threshold: f64, lump: f64) -> bool {
        self.excursion.is_some_and(|excursion| {
            let excess = excursion.counted - excursion.expected;
            self.statistic > threshold && excess >= LEAST_EXCESS * lump
        })
    }

    /// `S`.
    pub(super) fn statistic(&self) -> f64 {
        self.statistic
    }

    /// Where it left zero, and what came since.
    pub(super) fn excursion(&self) -> Option<Excursion> {
        self.excursion
    }
}

/// An excursion of a statistic from zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Excursion {
    /// Start of its first sample.
    pub(super) since: Timestamp,
    /// Units counted since.
    pub(super) counted: f64,
    /// Units expected since.
    pub(super) expected: f64,
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    #[test]
    fn evidence_adds_up_and_what_speaks_against_it_empties_it() {
        let mut chart = Chart::default();
        chart.take_in(3.0, [30.0, 10.0], second(1));
        chart.take_in(4.0, [40.0, 10.0], second(2));
        let excursion = chart.excursion().unwrap();
        assert_eq!((excursion.since, chart.statistic()), (second(1), 7.0));
        assert_eq!((excursion.counted, excursion.expected), (70.0, 20.0));
        assert!(chart.alarms(6.0, 1.0) && !chart.alarms(7.0, 1.0));
        assert!(!chart.alarms(6.0, 10.0), "five lumps are a person or two");
        chart.take_in(-9.0, [0.0, 10.0], second(3));
        assert_eq!(chart, Chart::default());
    }
}
