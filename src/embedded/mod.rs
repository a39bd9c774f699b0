//! An in-process Kubernetes API with a simulated cluster behind it.
//!
//! Lets the whole controller run, unmodified, with no cluster: `kube::Client` talks to a tower
//! service instead of a socket, and the same service can be served over HTTP for `kubectl`.
//! Deployments get pods after a start-up delay, on the time of the clock that is passed in.
//!
//! Decides nothing about scaling. Nothing outside this module may depend on it but tests, the
//! demo, and `run --embedded`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use tipoff::clock::ScaledClock;
//! # use tipoff::embedded::{Delay, EmbeddedCluster, Fault, Matcher, PodBehaviour, Verb};
//! # async fn demo(deployment: k8s_openapi::api::apps::v1::Deployment) -> anyhow::Result<()> {
//! let clock = Arc::new(ScaledClock::new("2026-09-13T16:00:00Z".parse()?, 600.0)?);
//! let cluster = EmbeddedCluster::builder()
//!     .clock(clock)
//!     .pods(PodBehaviour { start_up: Delay::seconds(40), ..PodBehaviour::default() })
//!     .namespace("dfs")
//!     .build();
//! let client = cluster.client_as("tipoff/0.1");
//! let api: kube::Api<k8s_openapi::api::apps::v1::Deployment> = kube::Api::namespaced(client, "dfs");
//! api.create(&Default::default(), &deployment).await?;
//! let scaling = Matcher::any().verb(Verb::Patch).resource("deployments/scale");
//! cluster.faults().next(2, scaling, Fault::too_many_requests(1));
//! assert!(cluster.requests().writers("deployments/scale").is_empty());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! println!("{}", EmbeddedCluster::kubeconfig(listener.local_addr()?));
//! cluster.serve(listener, Default::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Limits against a real API server
//!
//! - No authentication, no access rules, no admission webhooks, no quotas, no TLS, no protobuf.
//! - Custom resources are validated by their `OpenAPI` schema; CEL rules are not evaluated. Built-in
//!   objects are decoded into their types and meet the rules in `builtin`, not all of the real ones.
//! - Versions of a custom kind differ in name only (conversion `None`).
//! - Server-side apply compares values as JSON; keyed lists of built-in kinds are known by name.
//!   Writes of the simulation itself leave no `managedFields`.
//! - Strategic merge knows `$patch` and `$deleteFromPrimitiveList`; the order of keyed lists is that
//!   of their making.
//! - No logs, exec, eviction or metrics of pods; a ready pod stays ready until it is deleted.
//! - Deletions cascade within the request; a real garbage collector follows later.
//! - A Deployment keeps one `ReplicaSet`: no rollouts. `HorizontalPodAutoscaler` objects are stored,
//!   no controller acts on them.
//! - Later pages of a list are cut from the present state, not from a snapshot.
//! - Watch timeouts, bookmarks and injected delays run on real time, because they belong to the
//!   connection; everything stored runs on the clock.

mod admit;
mod apply;
mod builtin;
mod collection;
mod definitions;
mod discovery;
mod error;
mod faults;
mod fields;
mod patch;
pub mod prometheus;
mod remove;
mod requests;
mod resources;
mod router;
mod scale;
mod schema;
mod selector;
mod server;
mod service;
mod shared;
mod store;
mod table;
mod view;
mod watch;
mod workloads;
mod write;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use kube::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::error::{ApiError, Cause};
pub use self::faults::{Fault, Faults, Matcher};
pub use self::requests::{RequestLog, RequestRecord};
pub use self::router::Verb;
pub use self::server::ResponseBody;
pub use self::service::ApiService;
pub use self::workloads::{Delay, NodeBehaviour, PodBehaviour, START_UP_ANNOTATION};

use self::shared::Shared;
use self::store::Store;
use self::workloads::Simulation;
use self::write::{Target, WriteContext};
use crate::clock::{SharedClock, SystemClock};

/// The namespace that is always there and that [`EmbeddedCluster::client`] defaults to.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What to build a cluster from.
#[derive(Debug)]
pub struct Builder {
    clock: SharedClock,
    pods: PodBehaviour,
    nodes: Option<NodeBehaviour>,
    namespaces: Vec<String>,
    simulated: Vec<(String, String)>,
    pod_addresses: Vec<SocketAddr>,
    history: usize,
    bookmark_every: Duration,
}

impl Builder {
    /// The clock that objects and pods live by. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// How pods come and go.
    #[must_use]
    pub fn pods(mut self, pods: PodBehaviour) -> Self {
        self.pods = pods;
        self
    }

    /// Nodes with limited room. Default: one node without limit.
    #[must_use]
    pub fn nodes(mut self, nodes: NodeBehaviour) -> Self {
        self.nodes = Some(nodes);
        self
    }

    /// A namespace to begin with, besides `default` and `kube-system`.
    #[must_use]
    pub fn namespace(mut self, name: &str) -> Self {
        self.namespaces.push(name.to_owned());
        self
    }

    /// Simulates pods for a custom kind with `spec.replicas`, `spec.selector`, `spec.template`, as
    /// a controller of that kind would.
    #[must_use]
    pub fn simulate(mut self, group: &str, plural: &str) -> Self {
        self.simulated.push((group.to_owned(), plural.to_owned()));
        self
    }

    /// Addresses of real servers that stand for pods: each pod that starts has the next free one,
    /// as its IP and as the port in its annotation `prometheus.io/port`, until it is gone. When
    /// all are in use, and by default, pods have addresses that lead nowhere.
    #[must_use]
    pub fn pod_addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.pod_addresses.extend(addresses);
        self
    }

    /// Changes per resource that are kept for watches before they get 410. Default: 4096.
    #[must_use]
    pub fn history(mut self, changes: usize) -> Self {
        self.history = changes;
        self
    }

    /// Real time between bookmarks. Default: one minute, as a real server.
    #[must_use]
    pub fn bookmark_every(mut self, pause: Duration) -> Self {
        self.bookmark_every = pause;
        self
    }

    /// Starts the cluster on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn build(self) -> EmbeddedCluster {
        let now = self.clock.now();
        let mut store = Store::new(self.history, self.pods.seed);
        for name in [DEFAULT_NAMESPACE, "kube-system"]
            .into_iter()
            .chain(self.namespaces.iter().map(String::as_str))
        {
            make_namespace(&mut store, name, now);
        }
        let mut simulation = Simulation::new(self.pods, self.nodes, self.simulated, now);
        simulation.lend(self.pod_addresses);
        simulation.make_nodes(&mut store);
        let shared = Arc::new(Shared::new(
            self.clock,
            store,
            simulation,
            self.bookmark_every,
        ));
        tokio::spawn(Shared::run(Arc::downgrade(&shared)));
        EmbeddedCluster { shared }
    }
}

fn make_namespace(store: &mut Store, name: &str, now: crate::units::Timestamp) {
    let Some(resource) = store.registry.get("", "namespaces") else {
        return;
    };
    let target = Target {
        resource,
        version: "v1".to_owned(),
        key: (String::new(), String::new()),
    };
    let body = json!({"metadata": {"name": name}});
    let mut context = WriteContext::internal(now, "embedded");
    if let Err(error) = store.create(&target, body, &mut context) {
        tracing::warn!(%error, namespace = name, "namespace not made");
    }
}

/// A running cluster; clones are handles to the same one.
///
/// It stops when [`Self::stop`] is called or the last handle, client and connection are gone.
#[derive(Debug, Clone)]
pub struct EmbeddedCluster {
    shared: Arc<Shared>,
}

impl EmbeddedCluster {
    /// Begins to describe a cluster.
    pub fn builder() -> Builder {
        Builder {
            clock: SystemClock::shared(),
            pods: PodBehaviour::default(),
            nodes: None,
            namespaces: Vec::new(),
            simulated: Vec::new(),
            pod_addresses: Vec::new(),
            history: 4096,
            bookmark_every: Duration::from_secs(60),
        }
    }

    /// The API as a tower service.
    pub fn service(&self) -> ApiService {
        ApiService::new(Arc::clone(&self.shared), None)
    }

    /// A client of this cluster. It does not retry: a refusal reaches the caller.
    pub fn client(&self) -> Client {
        Client::new(self.service(), DEFAULT_NAMESPACE)
    }

    /// A client with a user agent, so that the request log and `managedFields` tell clients apart.
    ///
    /// Characters that a header cannot carry make the agent `unknown`.
    pub fn client_as(&self, agent: &str) -> Client {
        let agent =
            HeaderValue::from_str(agent).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        let service = ApiService::new(Arc::clone(&self.shared), Some(agent));
        Client::new(service, DEFAULT_NAMESPACE)
    }

    /// Serves the API over plain HTTP until `stop` or [`Self::stop`]. There are no access rules:
    /// listen on a loopback address only.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        service::serve(Arc::clone(&self.shared), listener, stop).await
    }

    /// A kubeconfig file, as YAML, for a server started with [`Self::serve`] on `address`.
    pub fn kubeconfig(address: SocketAddr) -> String {
        const NAME: &str = "tipoff-embedded";
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             current-context: {NAME}\n\
             clusters:\n\
             - name: {NAME}\n  cluster: {{server: 'http://{address}'}}\n\
             contexts:\n\
             - name: {NAME}\n  context: {{cluster: {NAME}, user: {NAME}, namespace: {DEFAULT_NAMESPACE}}}\n\
             users:\n\
             - name: {NAME}\n  user: {{}}\n"
        )
    }

    /// Faults on demand.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The log of requests.
    pub fn requests(&self) -> &RequestLog {
        &self.shared.requests
    }

    /// The clock objects live by.
    pub fn clock(&self) -> &SharedClock {
        &self.shared.clock
    }

    /// Forgets the history of changes: open watches that are behind, and watches from an earlier
    /// resource version, get 410.
    pub fn compact(&self) {
        self.shared.with_store(|store, _| store.compact());
    }

    /// Number of ready pods that `selector` (as of `kubectl -l`) picks in `namespace`.
    ///
    /// For dashboards and load models beside the cluster; it is not a request and is not logged.
    pub fn ready_pods(&self, namespace: &str, selector: &str) -> Result<usize, ApiError> {
        let selector = selector::LabelSelector::parse(selector)?;
        let pods = (String::new(), "pods".to_owned());
        Ok(self.shared.with_store(|store, _| {
            store
                .list(&pods, Some(namespace))
                .filter(|(_, pod)| selector.matches(pod) && is_ready(pod))
                .count()
        }))
    }

    /// Ends all watches, connections and the simulation. Requests fail from then on.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }
}

fn is_ready(pod: &Value) -> bool {
    let ready = table::json_path(pod, ".status.conditions[?(@.type==\"Ready\")].status");
    ready == "True" && !pod["metadata"]["deletionTimestamp"].is_string()
}
