//! Demand straight from the pods: their `/metrics` each second, without Prometheus in between.
//!
//! A scraper asks one workload's pods at the same time, each over its own kept connection and with
//! its own timeout, so that a pod that hangs or lies costs itself its second and nobody else. What
//! they counted becomes rates (`counter`), the rates of those who answered the demand on all of
//! them (`fleet`), of whom large fleets are asked only some (`panel`).

mod connection;
pub mod counter;
pub mod fleet;
pub mod panel;
mod round;

use std::time::Duration;

pub use round::{FleetScraper, Round};

use super::exposition::{ExpositionError, Selector};

/// Longest one pod may take, connecting included: the second has to leave time for the decision.
pub const TIMEOUT: Duration = Duration::from_millis(800);

/// Largest page that is read, bytes.
pub const LARGEST_PAGE: usize = 4 << 20;

/// What is read from a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Counter of units served.
    pub served: Selector,
    /// Counter of units shed on purpose. A series that both take is shed.
    pub shed: Option<Selector>,
    /// Gauge of units waiting.
    pub queued: Option<Selector>,
}

/// Why a pod gave no rate in a second.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// Nobody says on which port its metrics are.
    #[error(
        "it has no port to ask: set load.live.scrape.port, or annotate the pods with \
         prometheus.io/port"
    )]
    NoPort,
    /// It wants TLS.
    #[error("its annotation prometheus.io/scheme is {scheme:?}, and only http is scraped")]
    Scheme {
        /// What the annotation says.
        scheme: String,
    },
    /// No connection.
    #[error("it cannot be reached: {reason}; check the port and the network policy")]
    Unreachable {
        /// What the system said.
        reason: String,
    },
    /// No complete page in time.
    #[error("it gave no complete page within {} ms", TIMEOUT.as_millis())]
    Timeout,
    /// The connection broke, or what came was not HTTP.
    #[error("its answer broke off: {reason}")]
    BrokeOff {
        /// What the system said.
        reason: String,
    },
    /// Not 200.
    #[error("it answered HTTP {status}; check load.live.scrape.path")]
    Http {
        /// Status.
        status: u16,
    },
    /// Not a page of metrics.
    #[error(
        "it answered {content_type:?} instead of text/plain or application/openmetrics-text: check \
         port and path"
    )]
    ContentType {
        /// What it said it was.
        content_type: String,
    },
    /// Too long a page.
    #[error("its page is longer than {LARGEST_PAGE} bytes: serve the metric at a path of its own")]
    TooLarge,
    /// A page that is none, or a value that is no count.
    #[error(transparent)]
    Page(#[from] ExpositionError),
    /// The metric is not on the page.
    #[error(
        "its page has no series of {metric} with the labels asked for: check \
         load.live.scrape.served"
    )]
    NoMetric {
        /// Name of the metric.
        metric: String,
    },
    /// A counter fell.
    #[error("its counters began anew, so what it served in this second is not known")]
    Reset,
    /// It failed several times in a row and is asked less often.
    #[error("it failed before and is asked again in {rounds} s")]
    Resting {
        /// Rounds until then.
        rounds: u32,
    },
}

impl ScrapeError {
    /// Every value of [`ScrapeError::kind`].
    pub const KINDS: [&'static str; 13] = [
        "no_port",
        "scheme",
        "unreachable",
        "timeout",
        "broke_off",
        "http",
        "content_type",
        "too_large",
        "malformed",
        "not_a_number",
        "no_metric",
        "reset",
        "resting",
    ];

    /// A fixed label of low cardinality.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPort => "no_port",
            Self::Scheme { .. } => "scheme",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout => "timeout",
            Self::BrokeOff { .. } => "broke_off",
            Self::Http { .. } => "http",
            Self::ContentType { .. } => "content_type",
            Self::TooLarge => "too_large",
            Self::Page(ExpositionError::Value { .. }) => "not_a_number",
            Self::Page(_) => "malformed",
            Self::NoMetric { .. } => "no_metric",
            Self::Reset => "reset",
            Self::Resting { .. } => "resting",
        }
    }
}
