//! Where load comes from, and why there is none.
//!
//! A source turns a query into load or into a [`SourceError`]; it never guesses a number. What a
//! missing load means for a size is decided by the plan.

mod guarded;
pub mod prometheus;
mod range;
mod response;

pub use guarded::GuardedPrometheus;
pub use prometheus::{Prometheus, Sample};

use crate::guard::Refusal;

/// Why a source gave no load.
///
/// [`SourceError::kind`] is the fixed label for metrics, the message is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The client could not be made.
    #[error("failed to set up the client for {url}: {reason}")]
    Setup {
        /// Address of the source.
        url: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A secret could not be read.
    #[error(
        "failed to read the credentials {file}: {reason}; mount the secret, or correct the path in the settings"
    )]
    Credentials {
        /// File.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// No connection.
    #[error(
        "{url} cannot be reached: {reason}; check prometheus.url in the settings and the network policy"
    )]
    Unreachable {
        /// Address.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// No complete answer in time.
    #[error(
        "{url} gave no complete answer within {millis} ms; make the query cheaper, for example by a recording rule, or raise prometheus.timeout"
    )]
    Timeout {
        /// Address.
        url: String,
        /// The limit, milliseconds.
        millis: u64,
    },
    /// The connection broke while the answer came.
    #[error("the answer of {url} broke off: {reason}")]
    BrokeOff {
        /// Address.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// An HTTP status that is not success, without an explanation in Prometheus's form.
    #[error("{url} answered HTTP {status}{hint}")]
    Http {
        /// Address.
        url: String,
        /// Status.
        status: u16,
        /// What that usually means, beginning with a separator; may be empty.
        hint: String,
        /// It was shed on purpose: 429, or a 503 that says when to come back.
        shed: bool,
    },
    /// Not JSON.
    #[error(
        "{url} answered {content_type:?} instead of JSON: prometheus.url may lead to a login page or another service"
    )]
    ContentType {
        /// Address.
        url: String,
        /// What it said it was.
        content_type: String,
    },
    /// Too long an answer.
    #[error(
        "the answer of {url} is longer than {limit} bytes: aggregate the series, for example with sum(...), or raise prometheus.maxBodyBytes"
    )]
    TooLarge {
        /// Address.
        url: String,
        /// The limit, bytes.
        limit: usize,
    },
    /// JSON, but not what Prometheus's HTTP API answers.
    #[error("{url} answered something that is not the Prometheus HTTP API: {reason}")]
    Malformed {
        /// Address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Prometheus refused or failed the query.
    #[error("the query {query:?} failed ({error_type}): {message}")]
    Query {
        /// Query.
        query: String,
        /// Prometheus's own class, such as `bad_data` or `execution`.
        error_type: String,
        /// Prometheus's own words.
        message: String,
    },
    /// An answer made without all of the data.
    #[error(
        "the query {query:?} was answered from part of the data, which may be too low: {warnings}"
    )]
    Partial {
        /// Query.
        query: String,
        /// Prometheus's own words.
        warnings: String,
    },
    /// No series.
    #[error(
        "the query {query:?} gave no data: no series matches, or none has recent samples; check the metric name and labels, and that the workload is scraped"
    )]
    Empty {
        /// Query.
        query: String,
    },
    /// More than one series.
    #[error(
        "the query {query:?} gave {count} series, for example {examples}, and load is one number: aggregate them, for example sum({query})"
    )]
    ManySeries {
        /// Query.
        query: String,
        /// How many.
        count: usize,
        /// Labels of the first.
        examples: String,
    },
    /// More series than are kept apart.
    #[error(
        "the query {query:?} gave {count} series, and at most {limit} are kept apart: aggregate them, for example sum by ({label}) ({query}), or select fewer"
    )]
    TooManySeries {
        /// Query.
        query: String,
        /// How many.
        count: usize,
        /// How many may be.
        limit: usize,
        /// Label that tells them apart.
        label: String,
    },
    /// Several series where one label value should have one.
    #[error(
        "the query {query:?} gave several series with {label}={value:?}, for example {examples}: aggregate them, for example sum by ({label}) ({query})"
    )]
    Ambiguous {
        /// Query.
        query: String,
        /// Label that should tell them apart.
        label: String,
        /// Its value; empty when they do not have it.
        value: String,
        /// Labels of the first.
        examples: String,
    },
    /// A result that cannot be a load by its type.
    #[error(
        "the query {query:?} gave a {result_type}, and load is a number: use an expression such as sum(rate(...[1m]))"
    )]
    ResultType {
        /// Query.
        query: String,
        /// What it gave.
        result_type: String,
    },
    /// Not a number.
    #[error(
        "the query {query:?} gave NaN, which usually is a division by zero: guard the divisor, for example with `> 0`"
    )]
    NotANumber {
        /// Query.
        query: String,
    },
    /// Infinite.
    #[error(
        "the query {query:?} gave {value}, which usually is a division by zero: guard the divisor, for example with `> 0`"
    )]
    Infinite {
        /// Query.
        query: String,
        /// As it was written.
        value: String,
    },
    /// Below zero.
    #[error(
        "the query {query:?} gave {value}, and load is never below zero: use rate() rather than deriv() or a difference"
    )]
    Negative {
        /// Query.
        query: String,
        /// As it was written.
        value: String,
    },
    /// A range that cannot be asked for.
    #[error("the range cannot be asked for: {reason}")]
    Range {
        /// What is wrong with it.
        reason: String,
    },
    /// The call was not made.
    #[error(transparent)]
    Refused(Refusal),
}

impl SourceError {
    /// Every value of [`SourceError::kind`].
    pub const KINDS: [&'static str; 23] = [
        "setup",
        "credentials",
        "unreachable",
        "timeout",
        "broke_off",
        "http_3xx",
        "http_4xx",
        "http_5xx",
        "content_type",
        "too_large",
        "malformed",
        "query",
        "partial",
        "empty",
        "many_series",
        "too_many_series",
        "ambiguous",
        "result_type",
        "not_a_number",
        "infinite",
        "negative",
        "range",
        "busy",
    ];

    /// A fixed label of low cardinality.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "setup",
            Self::Credentials { .. } => "credentials",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::BrokeOff { .. } => "broke_off",
            Self::Http { status, .. } if *status < 400 => "http_3xx",
            Self::Http { status, .. } if *status < 500 => "http_4xx",
            Self::Http { .. } => "http_5xx",
            Self::ContentType { .. } => "content_type",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
            Self::Query { .. } => "query",
            Self::Partial { .. } => "partial",
            Self::Empty { .. } => "empty",
            Self::ManySeries { .. } => "many_series",
            Self::TooManySeries { .. } => "too_many_series",
            Self::Ambiguous { .. } => "ambiguous",
            Self::ResultType { .. } => "result_type",
            Self::NotANumber { .. } => "not_a_number",
            Self::Infinite { .. } => "infinite",
            Self::Negative { .. } => "negative",
            Self::Range { .. } => "range",
            // of an open breaker the kind of its last failure, which is one of the others
            Self::Refused(refusal) => refusal.kind(),
        }
    }
}
