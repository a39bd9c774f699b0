//! Why a load history is refused, with the place and what to do.

/// Why a load history is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes could not be read or unpacked.
    #[error("{name}: cannot be read: {reason}; give a CSV file, plain or gzipped")]
    Unreadable {
        /// File.
        name: String,
        /// Cause.
        reason: String,
    },
    /// There is no row at all.
    #[error("{name}: has no rows; give at least one row below a header timestamp_utc,value")]
    Empty {
        /// File.
        name: String,
    },
    /// The first row is not the header.
    #[error("{name}:1: {found:?} is not the header; begin with timestamp_utc,value{hint}")]
    Header {
        /// File.
        name: String,
        /// First row.
        found: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// A row has not two columns.
    #[error("{name}:{line}: {found} columns instead of 2; write timestamp_utc,value{hint}")]
    Columns {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// Number found.
        found: usize,
        /// What may be the matter.
        hint: &'static str,
    },
    /// A time without a zone.
    #[error(
        "{name}:{line}: {text:?} has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z"
    )]
    Naive {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is written.
        text: String,
    },
    /// Not a time.
    #[error("{name}:{line}: {text:?} is not a time; write for example 2026-09-13T17:00:00Z")]
    Time {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is written.
        text: String,
    },
    /// Not a load.
    #[error("{name}:{line}: {text:?} is not a load: {reason}; leave the value empty for a gap")]
    Value {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is written.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// The same time twice.
    #[error("{name}:{line}: {at} is there twice; keep one row per time")]
    Duplicate {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The time.
        at: String,
    },
    /// Times go back.
    #[error("{name}:{line}: {at} comes after {previous}; sort the file by time")]
    Unsorted {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The time.
        at: String,
        /// The time before it.
        previous: String,
    },
    /// All rows that were read are later than asked for, because the newest come first.
    #[error(
        "{name}:{line}: {at} comes after {previous}: the rows descend in time; sort the file by \
         time, oldest first"
    )]
    Descending {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The time.
        at: String,
        /// The time before it.
        previous: String,
    },
    /// All rows are later than asked for.
    #[error("{name}: no row lies before {at}; give a longer history or a later time")]
    NothingBefore {
        /// File.
        name: String,
        /// The time.
        at: String,
    },
    /// Larger than any history this is made for.
    #[error("{name}: {what}; split the file or use a coarser step")]
    TooLarge {
        /// File.
        name: String,
        /// What is too large.
        what: String,
    },
}
