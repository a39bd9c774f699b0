//! Why a file of entries is refused, with the place and what to do.

use super::MAX_NAME;
use crate::units::HumanDuration;

/// Why a file of entries is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntriesError {
    /// The bytes could not be read or unpacked.
    #[error("{name}: cannot be read: {reason}; give a CSV file, plain or gzipped")]
    Unreadable {
        /// File.
        name: String,
        /// Cause.
        reason: String,
    },
    /// There is no row at all.
    #[error("{name}: has no rows; give at least one row below a header timestamp_utc,entries")]
    Empty {
        /// File.
        name: String,
    },
    /// The first row is not the header.
    #[error(
        "{name}:1: {found:?} is not the header; begin with timestamp_utc,entries and, where known, slate and spots{hint}"
    )]
    Header {
        /// File.
        name: String,
        /// First row.
        found: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// One row means nothing.
    #[error("{name}:{line}: {fault}")]
    Row {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// One row says nothing about the interval it counts over.
    #[error(
        "{name}: no slate has two rows, so the interval that entries are counted over is unknown; give it with --entries-per, for example 5m"
    )]
    NoInterval {
        /// File.
        name: String,
    },
    /// Larger than any season this is made for.
    #[error("{name}: {what}; split the file or count over longer intervals")]
    TooLarge {
        /// File.
        name: String,
        /// What is too large.
        what: String,
    },
}

/// Why a row means nothing, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// It has more or fewer columns than the header.
    #[error("{found} columns instead of {expected}; write one for each of the header{hint}")]
    Columns {
        /// Number found.
        found: usize,
        /// Number in the header.
        expected: usize,
        /// What may be the matter.
        hint: &'static str,
    },
    /// A time without a zone.
    #[error("{text:?} has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z")]
    Naive {
        /// What is written.
        text: String,
    },
    /// Not a time.
    #[error("{text:?} is not a time; write for example 2026-09-13T17:00:00Z")]
    Time {
        /// What is written.
        text: String,
    },
    /// Not a count.
    #[error("{text:?} is not a number of {column}: {reason}; leave it empty where it is not known")]
    Number {
        /// `entries` or `spots`.
        column: &'static str,
        /// What is written.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// A name nobody reads.
    #[error(
        "the slate's name has {bytes} bytes; use the slate of the fixture file, at most {MAX_NAME}"
    )]
    Name {
        /// Its length.
        bytes: usize,
    },
    /// The same time twice in one slate.
    #[error("{at} is there twice for {slate}; keep one row per time and slate")]
    Duplicate {
        /// The time.
        at: String,
        /// The slate, in words.
        slate: String,
    },
    /// Times go back.
    #[error("{at} comes after {previous}; sort the file by time")]
    Unsorted {
        /// The time.
        at: String,
        /// The time before it.
        previous: String,
    },
    /// Between the intervals.
    #[error(
        "{at} is not a whole number of {step} after the first row of {slate} ({first}); give regular intervals, or their length with --entries-per"
    )]
    Irregular {
        /// The time.
        at: String,
        /// The interval.
        step: HumanDuration,
        /// The slate, in words.
        slate: String,
        /// Its first row.
        first: String,
    },
}
