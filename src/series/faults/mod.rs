//! Spans of history that must not be learnt as they stand: outages, shed load, full replicas,
//! logging holes, deploys, bots.
//!
//! A fault is declared by whoever knows of it, or detected elsewhere. What it means for learning
//! follows from its cause: some spans say nothing, others say "at least this much".

use crate::units::Timestamp;

pub mod csv;

/// Why a span of load is not what people wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The service was down: people wanted more than came through.
    Outage,
    /// Load was shed on purpose, and what was shed is not in the figures.
    Shed,
    /// Replicas were at their most: people wanted at least what was served.
    Saturated,
    /// The figures are missing or wrong, not the load.
    Logging,
    /// A deploy, a test, a migration: load or lack of it that will not come again.
    Deploy,
    /// Bots, scrapers, load tests.
    Bots,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Outage,
        Self::Shed,
        Self::Saturated,
        Self::Logging,
        Self::Deploy,
        Self::Bots,
    ];

    /// As it is written in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Shed => "shed",
            Self::Saturated => "saturated",
            Self::Logging => "logging",
            Self::Deploy => "deploy",
            Self::Bots => "bots",
        }
    }

    /// The cause a word names.
    pub fn from_name(word: &str) -> Option<Self> {
        let word = word.trim();
        Self::ALL
            .into_iter()
            .find(|cause| cause.name().eq_ignore_ascii_case(word))
    }

    /// True when the load seen is a lower bound of the load wanted (right-censored), false when
    /// it says nothing at all.
    pub const fn is_lower_bound(self) -> bool {
        matches!(self, Self::Shed | Self::Saturated)
    }

    /// True when at least the load seen was offered, whoever sent it: replicas had to serve it.
    pub const fn was_offered(self) -> bool {
        self.is_lower_bound() || matches!(self, Self::Bots)
    }
}

/// One span, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// First moment.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Why.
    pub cause: Cause,
}

/// All known spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// In order of their start.
    spans: Vec<Fault>,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self { spans: Vec::new() };

    /// In any order; spans that end before they begin are left out.
    pub fn new(mut spans: Vec<Fault>) -> Self {
        spans.retain(|span| span.from < span.to);
        spans.sort_by_key(|span| (span.from, span.to));
        Self { spans }
    }

    /// What lies before `at`; a span that reaches beyond it ends there.
    #[must_use]
    pub fn before(&self, at: Timestamp) -> Self {
        self.spans
            .iter()
            .map(|span| Fault {
                to: span.to.min(at),
                ..*span
            })
            .collect()
    }

    /// In order of their start.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.spans.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(spans: I) -> Self {
        Self::new(spans.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn causes_have_names_and_spans_are_ordered() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_name(cause.name()), Some(cause));
        }
        assert_eq!(Cause::from_name(" Outage"), Some(Cause::Outage));
        assert_eq!(Cause::from_name("rain"), None);
        let at = |hour| Timestamp::UNIX_EPOCH + TimeDelta::hours(hour);
        let fault = |from, to| Fault {
            from: at(from),
            to: at(to),
            cause: Cause::Deploy,
        };
        let faults: Faults = [fault(5, 6), fault(3, 2), fault(1, 2)]
            .into_iter()
            .collect();
        let starts: Vec<_> = faults.iter().map(|fault| fault.from).collect();
        assert_eq!(starts, [at(1), at(5)]);
        let known = faults.before(at(5) + TimeDelta::minutes(1));
        let ends: Vec<_> = known.iter().map(|fault| fault.to).collect();
        assert_eq!(ends, [at(2), at(5) + TimeDelta::minutes(1)]);
        assert_eq!(faults.before(at(5)).iter().count(), 1);
    }
}
