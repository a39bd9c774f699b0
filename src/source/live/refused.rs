//! Why a sample or hint was not taken, in words for its sender and as one of few labels.

use super::LiveSource;
use crate::burst::SampleError;

/// Why a sample or hint was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No policy of this name has live signals.
    #[error(
        "no policy {workload:?} with load.live is known here: write namespace/name of the policy, \
         and set its load.live"
    )]
    Unknown {
        /// What was named.
        workload: String,
    },
    /// Another source brings this workload's samples; two would count demand twice.
    #[error(
        "the policy's live source is {expected}, so no {got} sample is taken: set load.live to \
         {got}, or stop sending"
    )]
    Source {
        /// The policy's source.
        expected: LiveSource,
        /// Where the sample is from.
        got: LiveSource,
    },
    /// It is no sample.
    #[error("{0}")]
    Sample(#[from] SampleError),
    /// Newer evidence was decided on already, or it is too old to matter.
    #[error("it is late: {0}")]
    Late(Late),
    /// It was there already.
    #[error("a sample or hint of the same time is there already")]
    Duplicate,
    /// It is from the future.
    #[error(
        "it is {seconds} s ahead of the controller's clock, and at most 2 s are taken: set the clock there"
    )]
    Future {
        /// How far.
        seconds: i64,
    },
    /// It is no hint.
    #[error("{0}")]
    Hint(&'static str),
    /// Too many hints are in force.
    #[error("32 hints are in force for this workload, and no more are kept")]
    TooMany,
}

/// What a late sample is late for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// The reader has gone on.
    #[error("a sample of the same time or a later one has been used")]
    Overtaken,
    /// It is too old by itself.
    #[error("it ended more than 60 s ago")]
    Old,
    /// What it tells of is over.
    #[error("what it tells of is over by now")]
    Over,
}

impl Refused {
    /// Every value of [`Refused::reason`].
    pub const REASONS: [&'static str; 8] = [
        "unknown",
        "source",
        "invalid",
        "late",
        "duplicate",
        "future",
        "hint",
        "too_many",
    ];

    /// A fixed label of low cardinality.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Source { .. } => "source",
            Self::Sample(_) => "invalid",
            Self::Late(_) => "late",
            Self::Duplicate => "duplicate",
            Self::Future { .. } => "future",
            Self::Hint(_) => "hint",
            Self::TooMany => "too_many",
        }
    }
}
