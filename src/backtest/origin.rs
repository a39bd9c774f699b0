//! When forecasts are issued and which of their bins are scored.
//!
//! Three protocols, each what some decision needs: daily for nodes and people, four-hourly for
//! the day, and a nowcast for pods. Targets are five-minute means over the evaluated span.

use chrono::{DurationRound as _, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Width of a target.
pub const TARGET: TimeDelta = TimeDelta::minutes(5);

/// The peak of a window is forecast a day ahead by the last daily origin so long before its start:
/// nodes and people need as long.
const DAY_AHEAD: TimeDelta = TimeDelta::hours(4);

/// How forecasts are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Daily at 00:00 UTC, 48 hours ahead.
    Day,
    /// Every four hours, four hours ahead.
    H4,
    /// Every five minutes; the last data bin ends ten minutes before the target begins.
    N15,
}

/// The part of a protocol's forecasts that is scored together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Block {
    /// 0 to 24 hours ahead of a daily origin; peaks, of windows that start 4 to 28 hours ahead.
    D1,
    /// 24 to 48 hours ahead of a daily origin.
    D2,
    /// 0 to 4 hours ahead of a four-hourly origin.
    H4,
    /// 10 to 15 minutes ahead.
    N15,
}

impl Protocol {
    /// As it is written in a scenario and in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::H4 => "h4",
            Self::N15 => "n15",
        }
    }

    /// The blocks it is scored in.
    pub const fn blocks(self) -> &'static [Block] {
        match self {
            Self::Day => &[Block::D1, Block::D2],
            Self::H4 => &[Block::H4],
            Self::N15 => &[Block::N15],
        }
    }

    /// How far ahead each forecast reaches.
    pub const fn length(self) -> TimeDelta {
        match self {
            Self::Day => TimeDelta::hours(48),
            Self::H4 => TimeDelta::hours(4),
            Self::N15 => TimeDelta::minutes(15),
        }
    }

    /// Origins whose forecasts have targets in `[from, to)`.
    pub fn origins(self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let (every, earliest) = match self {
            // the day before, so that the first day is forecast two days ahead as well
            Self::Day => (TimeDelta::days(1), from - TimeDelta::days(1)),
            Self::H4 => (TimeDelta::hours(4), from),
            Self::N15 => (TARGET, from - Block::N15.nearest()),
        };
        let latest = to - Block::nearest(self.blocks()[0]);
        let first = earliest.duration_trunc(every).unwrap_or(earliest);
        let mut origins = Vec::new();
        let mut at = first;
        while at < latest {
            origins.push(at);
            at += every;
        }
        origins
    }
}

impl Block {
    /// As it stands in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::D1 => "D1 0-24h",
            Self::D2 => "D2 24-48h",
            Self::H4 => "H4 0-4h",
            Self::N15 => "N15 10-15min",
        }
    }

    /// The smallest time from origin to the start of a target in the block.
    pub const fn nearest(self) -> TimeDelta {
        match self {
            Self::D1 | Self::H4 => TimeDelta::zero(),
            Self::D2 => TimeDelta::hours(24),
            Self::N15 => TimeDelta::minutes(10),
        }
    }

    /// Whether a target that starts `lead` after the origin belongs to the block.
    pub fn holds(self, lead: TimeDelta) -> bool {
        let end = match self {
            Self::D1 => TimeDelta::hours(24),
            Self::D2 => TimeDelta::hours(48),
            Self::H4 => TimeDelta::hours(4),
            Self::N15 => TimeDelta::minutes(15),
        };
        lead >= self.nearest() && lead < end
    }

    /// Whether a peak bound given `lead` before its fixtures start counts for the block: a bound
    /// is taken from the last origin of this distance. A game in an American evening starts minutes
    /// after midnight UTC: its peak a day ahead is the midnight's before.
    pub fn holds_peak(self, lead: TimeDelta) -> bool {
        match self {
            Self::D1 => lead >= DAY_AHEAD && lead < DAY_AHEAD + TimeDelta::hours(24),
            Self::D2 => self.holds(lead),
            Self::H4 | Self::N15 => lead >= TimeDelta::hours(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::hours(i)
    }

    #[test]
    fn origins_cover_the_span_once_per_block() {
        let (from, to) = (hour(240), hour(288));
        for protocol in [Protocol::Day, Protocol::H4, Protocol::N15] {
            let origins = protocol.origins(from, to);
            for &block in protocol.blocks() {
                let mut targets: Vec<Timestamp> = origins
                    .iter()
                    .flat_map(|&origin| {
                        (0..protocol.length().num_minutes() / 5)
                            .map(move |bin| (origin, origin + TARGET * bin as i32))
                    })
                    .filter(|(origin, target)| block.holds(*target - *origin))
                    .map(|(_, target)| target)
                    .filter(|target| (from..to).contains(target))
                    .collect();
                targets.sort();
                let expected: Vec<Timestamp> = (0..576).map(|bin| from + TARGET * bin).collect();
                assert_eq!(targets, expected, "{protocol:?} {block:?}");
            }
        }
        assert_eq!(Protocol::Day.origins(from, to).len(), 3);
        assert_eq!(Protocol::H4.origins(from, to).len(), 12);
    }

    #[test]
    fn a_peak_a_day_ahead_is_never_told_minutes_before() {
        let origins = Protocol::Day.origins(hour(240), hour(288));
        let told = |block: Block, kickoff: Timestamp| {
            let leads = origins.iter().map(|&origin| kickoff - origin);
            let held: Vec<i64> = (leads.filter(|&lead| block.holds_peak(lead)))
                .map(|lead| lead.num_hours())
                .collect();
            held
        };
        for (start, expected) in [
            (240, 24),
            (243, 27),
            (244, 4),
            (263, 23),
            (264, 24),
            (287, 23),
        ] {
            assert_eq!(told(Block::D1, hour(start)), [expected], "{start}");
        }
        assert_eq!(told(Block::D2, hour(264)), [24]);
    }
}
