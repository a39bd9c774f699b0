//! Why a peak was forecast too low, and how that is said.

use std::fmt;

use chrono::TimeDelta;

use crate::units::{HumanDuration, Timestamp, few};

/// Other fixtures that are named.
const NAMED: usize = 2;

/// Why a peak was forecast too low.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// The fixture list was wrong at the origin.
    NotListed,
    /// The list had them at another time.
    Moved(Timestamp),
    /// Too few of their kind had been seen.
    NoPrecedent(usize),
    /// None of so many starts of their kind fell on such a day at such an hour.
    NoneAlike(usize),
    /// Data were missing just before the origin.
    Gap(f64),
    /// Calm hours were off as well, by this factor.
    Level(f64),
    /// Above every window before, by this factor.
    BiggerThanAny(f64),
    /// What came when its own were over was the crowd of these other fixtures.
    Others(Vec<String>),
    /// The peak came late after the expected end; overran by, where that is known.
    Late(TimeDelta, Option<TimeDelta>),
    /// The peak came this much later (or earlier) than expected, within its window.
    Elsewhen(TimeDelta),
    /// Entries ran, when it was forecast, at so many times the pace usual for such a kick-off.
    Entries(f64),
    /// None of these.
    Crowd,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |span: TimeDelta| HumanDuration(TimeDelta::minutes(span.num_minutes().abs()));
        match self {
            Self::NotListed => write!(f, "not on the fixture list when forecast"),
            Self::Moved(then) => write!(
                f,
                "wrong time: the fixture list then said {} UTC",
                then.format("%-d %b %H:%M")
            ),
            Self::NoPrecedent(0) => write!(f, "no precedent: the first of its competition"),
            Self::NoPrecedent(seen) => {
                let starts = if *seen == 1 { "start" } else { "starts" };
                write!(
                    f,
                    "hardly a precedent: {seen} {starts} of its competition before"
                )
            }
            Self::NoneAlike(starts) => write!(
                f,
                "hardly a precedent: none of {starts} earlier starts fell on such a day at such an hour"
            ),
            Self::Gap(share) => write!(
                f,
                "data gap: {:.0} % of the day before the forecast is missing",
                share * 100.0
            ),
            Self::Level(factor) => write!(
                f,
                "the level moved: calm hours ran at {factor:.2} times the forecast as well"
            ),
            Self::BiggerThanAny(factor) => {
                write!(
                    f,
                    "bigger than any before: {factor:.2} times the largest window seen"
                )
            }
            Self::Late(after, Some(overran)) => write!(
                f,
                "late peak: {} after the expected end, play went on {} longer",
                minutes(*after),
                minutes(*overran)
            ),
            Self::Late(after, None) => write!(
                f,
                "late peak: {} after the expected end (extra time, or a long aftermath)",
                minutes(*after)
            ),
            Self::Elsewhen(shift) => write!(
                f,
                "wrong time: the peak came {} {} than forecast",
                minutes(*shift),
                if *shift > TimeDelta::zero() {
                    "later"
                } else {
                    "earlier"
                }
            ),
            Self::Others(titles) => {
                let named = few(titles, NAMED);
                write!(f, "the crowd of {named}, who came when these were over")
            }
            Self::Entries(pace) if *pace > 1.0 => write!(
                f,
                "entries said more: they ran, when forecast, at {pace:.1} times the pace usual for such a kick-off"
            ),
            Self::Entries(pace) => write!(
                f,
                "entries said otherwise: they ran, when forecast, at {pace:.1} times the pace usual for such a kick-off"
            ),
            Self::Crowd => write!(f, "a larger crowd than fixtures like it had drawn"),
        }
    }
}
