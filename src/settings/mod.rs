//! The controller's configuration: one YAML file, refused as a whole when one thing in it is
//! wrong, and reloaded while the controller runs.
//!
//! It decides what a configuration file may say and which version of it is in force. It must not
//! act on what it says: clients, listeners and leases are made by those who are handed [`Live`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::breaker::Limits;
use crate::fixture::import::Format;

mod breakers;
pub mod calendar_file;
mod calendars;
mod error;
mod fault_lists;
mod fields;
mod file;
mod in_force;
mod push;
pub mod reload;
mod watched;

pub use error::SettingsError;
pub use file::{parse, read};
pub use in_force::{InForce, Live};
pub use reload::Reloader;

/// Where the settings file is looked for when nobody says.
pub const DEFAULT_PATH: &str = "/etc/tipoff/tipoff.yaml";

/// Everything a settings file says, with the defaults for what it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where load is read from.
    pub prometheus: PrometheusSettings,
    /// The fixture lists policies may name.
    pub calendars: Vec<CalendarSettings>,
    /// The lists of faults policies may name.
    pub faults: Vec<FaultListSettings>,
    /// How fast the cluster may be written to.
    pub budget: BudgetSettings,
    /// When outside calls are not made for a while.
    pub breakers: BreakerSettings,
    /// Where `/healthz`, `/readyz`, `/metrics` and `/api` are served.
    pub listen: SocketAddr,
    /// How one of several controllers is chosen.
    pub leader_election: LeaderElectionSettings,
    /// Time between two decisions about a workload.
    pub tick: TimeDelta,
    /// Live signals that are sent here.
    pub push: PushSettings,
    /// What is logged.
    pub log: LogSettings,
}

impl Settings {
    /// The defaults around one Prometheus: for a controller without a settings file.
    pub fn new(prometheus: PrometheusSettings) -> Self {
        Self {
            breakers: BreakerSettings::new(prometheus.timeout),
            prometheus,
            calendars: Vec::new(),
            faults: Vec::new(),
            budget: BudgetSettings::default(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            leader_election: LeaderElectionSettings::default(),
            tick: TimeDelta::seconds(5),
            push: PushSettings::default(),
            log: LogSettings::default(),
        }
    }
}

/// A Prometheus, or anything that speaks its HTTP API.
#[derive(Clone, PartialEq)]
pub struct PrometheusSettings {
    /// Base address, without `/api/v1`.
    pub url: reqwest::Url,
    /// Longest time one call may take, the body included.
    pub timeout: Duration,
    /// Largest answer that is read, bytes after decompression.
    pub max_body_bytes: usize,
    /// Who asks.
    pub auth: Auth,
    /// Headers sent with each call, for example `X-Scope-OrgID`.
    pub headers: BTreeMap<String, String>,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Headers may hold secrets, so their values stay out of logs and of the API.
impl std::fmt::Debug for PrometheusSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            url,
            timeout,
            max_body_bytes,
            auth,
            headers,
            ca_file,
        } = self;
        f.debug_struct("PrometheusSettings")
            .field("url", &url.as_str())
            .field("timeout", timeout)
            .field("max_body_bytes", max_body_bytes)
            .field("auth", auth)
            .field("headers", &headers.keys().collect::<Vec<_>>())
            .field("ca_file", ca_file)
            .finish()
    }
}

impl PrometheusSettings {
    /// The defaults for one address: 10 s per call, 64 MiB per answer, nobody in particular asks.
    pub fn new(url: reqwest::Url) -> Self {
        Self {
            url,
            timeout: Duration::from_secs(10),
            max_body_bytes: 64 << 20,
            auth: Auth::None,
            headers: BTreeMap::new(),
            ca_file: None,
        }
    }
}

/// How a caller proves who it is. Secrets are read from files at each call, so that they can be
/// rotated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Bearer`, with the token in a file.
    Bearer {
        /// File of the token.
        token_file: PathBuf,
    },
    /// `Authorization: Basic`, with the password in a file.
    Basic {
        /// User.
        username: String,
        /// File of the password.
        password_file: PathBuf,
    },
}

/// A fixture list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarSettings {
    /// Name policies use.
    pub name: String,
    /// The file; a relative one lies beside the settings file.
    pub source: PathBuf,
    /// Its format; `None` finds it out from the content.
    pub format: Option<Format>,
    /// Zone of local times in it that name none.
    pub zone: Option<Tz>,
}

/// A list of spans of the past that are not to be learnt as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultListSettings {
    /// Name policies use.
    pub name: String,
    /// The file; a relative one lies beside the settings file.
    pub source: PathBuf,
}

/// The token bucket in front of every write to the cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetSettings {
    /// Writes per second in the long run.
    pub writes_per_second: f64,
    /// Writes that may follow each other at once.
    pub burst: u32,
}

/// kube-controller-manager gives its own clients 20 and 30 (`--kube-api-qps`, `--kube-api-burst`);
/// an autoscaler beside it takes half.
impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            writes_per_second: 10.0,
            burst: 20,
        }
    }
}

/// The limits of the circuit breakers around outside calls, by what is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Of Prometheus. The timeout is that of queries a decision waits for; reading history takes
    /// as long as [`PrometheusSettings::timeout`] lets it.
    pub prometheus: Limits,
    /// Of the API server.
    pub kubernetes: Limits,
}

/// Longest a query may take that a decision waits for, unless the settings say otherwise: an order
/// by hand waits with it, and has to be carried out within five seconds of a Prometheus that hangs.
const LONGEST_LIVE: Duration = Duration::from_secs(4);

impl BreakerSettings {
    /// The defaults beside a Prometheus whose calls may take `timeout`.
    ///
    /// Prometheus works on 20 queries at a time (`--query.max-concurrency`); three times as many
    /// keep it busy without a long queue. An API server takes 400 requests at a time
    /// (`--max-requests-inflight`), of which an autoscaler may have an eighth.
    pub fn new(timeout: Duration) -> Self {
        Self {
            prometheus: Limits {
                timeout: timeout.min(LONGEST_LIVE),
                max_concurrent: 60,
                ..Limits::default()
            },
            kubernetes: Limits::default(),
        }
    }
}

/// Leader election by a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderElectionSettings {
    /// Off for a controller that is certainly alone.
    pub enabled: bool,
    /// Namespace of the Lease; `None` for the controller's own.
    pub namespace: Option<String>,
    /// Name of the Lease; `None` for one by what is watched, see [`Self::lease_name`].
    pub name: Option<String>,
    /// How long a candidate waits on a Lease that nobody renews before it takes it.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew still counts itself as one.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

impl LeaderElectionSettings {
    /// The Lease that controllers of the same workloads compete for: of all namespaces `tipoff`, of
    /// `watched` one of their own, or those of two namespaces would wait for each other.
    pub fn lease_name(&self, watched: Option<&str>) -> String {
        match (&self.name, watched) {
            (Some(name), _) => name.clone(),
            (None, Some(namespace)) => format!("tipoff-{namespace}"),
            (None, None) => "tipoff".to_owned(),
        }
    }

    /// The namespace of the Lease, which is the controller's `own` unless another is set.
    pub fn lease_namespace<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }
}

/// The durations of kube-scheduler and kube-controller-manager.
impl Default for LeaderElectionSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: None,
            name: None,
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Who may send live signals, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct PushSettings {
    /// File of the tokens senders show, one a line; `None` while nothing is taken.
    pub token_file: Option<PathBuf>,
    /// Longest body that is read, bytes.
    pub max_body_bytes: usize,
    /// Most samples or hints in one request.
    pub max_items: usize,
    /// Requests per second from one address in the long run.
    pub requests_per_second: f64,
    /// Requests that may follow each other at once.
    pub burst: u32,
}

/// A gateway that sends each second for ten thousand workloads is well within it.
impl Default for PushSettings {
    fn default() -> Self {
        Self {
            token_file: None,
            max_body_bytes: 1 << 20,
            max_items: 10_000,
            requests_per_second: 20.0,
            burst: 40,
        }
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// A level or filter; the command line overrides it.
    pub level: Option<String>,
}
