//! The whole way: a controller on the embedded cluster whose pods are real servers, policies with
//! each kind of live signal, and the samples that lie ready for the fast loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::pods::{FakePod, Mood};
use crate::support::prometheus::{FakePrometheus, Mood as PrometheusMood};
use crate::support::rig::{NAMESPACE, deployment};
use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tipoff::api::PredictiveAutoscaler;
use tipoff::burst::LiveSample;
use tipoff::cli::run::install;
use tipoff::clock::{SharedClock, SystemClock};
use tipoff::controller::leader::Leadership;
use tipoff::controller::{self, ControllerConfig, Pace};
use tipoff::embedded::{Delay, EmbeddedCluster, PodBehaviour};
use tipoff::guard::Breakers;
use tipoff::serve::{Metrics, Readiness, Workloads};
use tipoff::settings::{Live, Settings};
use tipoff::source::{Inbox, LiveSource};
use tipoff::units::{Rate, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest real time a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stage {
    client: Client,
    clock: SharedClock,
    inbox: Inbox,
    metrics: Metrics,
    prometheus: FakePrometheus,
    _stop: DropGuard,
}

impl Stage {
    /// A cluster whose pods are these servers, and a controller on it.
    async fn new(servers: &[FakePod]) -> Self {
        crate::support::install_tls();
        let clock = SystemClock::shared();
        let quick = Delay::Constant(TimeDelta::milliseconds(50));
        let cluster = EmbeddedCluster::builder()
            .clock(clock.clone())
            .namespace(NAMESPACE)
            .pods(PodBehaviour {
                start_up: quick,
                terminate: quick,
                ..PodBehaviour::default()
            })
            .pod_addresses(servers.iter().map(|server| server.address))
            .build();
        let client = cluster.client_as("test");
        install(&client).await.unwrap();
        let prometheus = FakePrometheus::start(|_| 100.0).await;
        let mut settings = Settings::new(prometheus.settings());
        settings.tick = TimeDelta::milliseconds(200);
        let (_, live) = watch::channel(Arc::new(Live::fixed(settings, BTreeMap::new())));
        let metrics = Metrics::new().unwrap();
        let inbox = Inbox::new(metrics.clone());
        let config = ControllerConfig {
            client: cluster.client_as("tipoff"),
            clock: clock.clone(),
            breakers: Breakers::new(&clock, &live, &metrics),
            live,
            leadership: Leadership::always(clock.clone()),
            metrics: metrics.clone(),
            workloads: Workloads::default(),
            readiness: Readiness::default(),
            namespace: Some(NAMESPACE.to_owned()),
            identity: "tipoff".to_owned(),
            pace: Pace::default(),
            inbox: inbox.clone(),
            fast_loop: false,
        };
        let stop = CancellationToken::new();
        tokio::spawn(controller::run(config, stop.clone()));
        Self {
            client,
            clock,
            inbox,
            metrics,
            prometheus,
            _stop: stop.drop_guard(),
        }
    }

    /// A workload, Ready.
    async fn workload(&self, name: &str, replicas: u32) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let object = deployment(name, replicas);
        api.create(&PostParams::default(), &object).await.unwrap();
        until("the pods are ready", async || {
            let status = api.get(name).await.unwrap().status;
            status.and_then(|status| status.ready_replicas) == i32::try_from(replicas).ok()
        })
        .await;
    }

    async fn scale(&self, name: &str, replicas: u32) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = json!({"spec": {"replicas": replicas}});
        api.patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    /// A policy of the workload's name that only recommends.
    async fn policy(&self, name: &str, live: Value) {
        let object = json!({
            "apiVersion": "tipoff.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": 1,
                "maxReplicas": 100,
                "load": {"prometheus": {"query": "load"}, "live": live},
            },
        });
        let params = PatchParams::apply("test").force();
        let patch = Patch::Apply(&object);
        self.policies().patch(name, &params, &patch).await.unwrap();
    }

    fn policies(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn take(&self, name: &str) -> Vec<LiveSample> {
        let name = format!("{NAMESPACE}/{name}");
        self.inbox.take(&name, Timestamp::UNIX_EPOCH)
    }

    /// Waits until so many samples of a workload have come.
    async fn samples(&self, name: &str, count: usize) -> Vec<LiveSample> {
        let mut samples = Vec::new();
        until(&format!("{count} samples of {name}"), async || {
            samples.extend(self.take(name));
            samples.len() >= count
        })
        .await;
        samples
    }

    /// Whether a sample may be pushed for a workload.
    fn push(&self, name: &str) -> Result<(), tipoff::source::live::Refused> {
        let now = self.clock.now();
        let sample = LiveSample {
            from: now - TimeDelta::seconds(1),
            to: now,
            offered: Rate::per_second(1.0),
            queued: None,
            error: 0.0,
        };
        let name = format!("{NAMESPACE}/{name}");
        self.inbox.offer(&name, LiveSource::Push, sample, now)
    }

    fn counted(&self, beginning: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("{beginning} is not in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

fn scrape() -> Value {
    json!({"scrape": {"served": {"metric": "http_requests_total"}}})
}

/// Serves a steady load from now on.
fn busy(pod: &FakePod, per_second: f64) -> tokio::task::JoinHandle<()> {
    let counter = pod.counter();
    tokio::spawn(async move {
        let clock = SystemClock::new();
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let passed = tipoff::clock::Clock::monotonic(&clock).as_secs_f64();
            counter(passed * per_second);
        }
    })
}

#[tokio::test]
async fn what_hangs_costs_nobody_else_their_second() {
    let servers = FakePod::fleet(6).await;
    let stage = Stage::new(&servers).await;
    let load: Vec<_> = servers.iter().map(|server| busy(server, 200.0)).collect();
    stage.workload("well", 3).await;
    stage.workload("hanging", 3).await;
    for hanging in &servers[3..] {
        hanging.is(Mood::Hang);
    }
    stage
        .prometheus
        .gives("fine", |at| 50.0 + (at.timestamp() % 10) as f64);
    stage.prometheus.gives("stuck", |_| 1.0);
    stage.prometheus.answers("stuck", PrometheusMood::Slow);
    stage.policy("hanging", scrape()).await;
    stage.policy("well", scrape()).await;
    stage.workload("asked", 1).await;
    stage.workload("stuck", 1).await;
    stage
        .policy("asked", json!({"prometheus": {"query": "fine"}}))
        .await;
    stage
        .policy("stuck", json!({"prometheus": {"query": "stuck"}}))
        .await;

    let well = stage.samples("well", 5).await;
    for sample in &well[1..] {
        let offered = sample.offered.as_per_second();
        assert!((540.0..660.0).contains(&offered), "{offered}");
        assert_eq!(sample.error, 0.0);
    }
    for pair in well.windows(2) {
        let apart = (pair[1].to - pair[0].to).num_milliseconds();
        assert!(
            (700..1_300).contains(&apart),
            "{apart} ms between two samples"
        );
        assert!(pair[1].from >= pair[0].to, "no moment is counted twice");
    }
    let asked = stage.samples("asked", 4).await;
    assert!(
        asked
            .iter()
            .all(|sample| sample.offered.as_per_second() >= 50.0)
    );
    // those that hang gave nothing, least of all zero
    assert_eq!(stage.take("hanging"), []);
    assert_eq!(stage.take("stuck"), []);
    assert!(stage.counted(r#"tipoff_scrape_errors_total{kind="timeout"}"#) >= 3.0);
    assert!(stage.counted(r#"tipoff_source_errors_total{kind="timeout"}"#) >= 1.0);
    assert!(stage.counted(r#"tipoff_live_samples_total{source="prometheus"}"#) >= 4.0);
    let age = stage.counted(r#"tipoff_workload_live_age_seconds{name="well""#);
    assert!((0.0..10.0).contains(&age), "{age}");

    // and once they answer again, they count again
    for hanging in &servers[3..] {
        hanging.is(Mood::Well);
    }
    let back = stage.samples("hanging", 2).await;
    let offered = back[1].offered.as_per_second();
    assert!((540.0..660.0).contains(&offered), "{offered}");
    for load in load {
        load.abort();
    }
}

#[tokio::test]
async fn samples_follow_policies_and_pods_as_they_come_and_go() {
    let servers = FakePod::fleet(4).await;
    let stage = Stage::new(&servers).await;
    let load: Vec<_> = servers.iter().map(|server| busy(server, 100.0)).collect();
    stage.workload("web", 2).await;
    assert_eq!(stage.push("web").unwrap_err().reason(), "unknown");
    stage.policy("web", scrape()).await;
    stage.samples("web", 2).await;
    assert_eq!(stage.push("web").unwrap_err().reason(), "source");

    stage.scale("web", 4).await;
    until("four pods are counted", async || {
        let samples = stage.take("web");
        samples
            .iter()
            .any(|sample| (360.0..440.0).contains(&sample.offered.as_per_second()))
    })
    .await;
    stage.scale("web", 1).await;
    until("one pod is counted", async || {
        let samples = stage.take("web");
        samples
            .iter()
            .any(|sample| (80.0..120.0).contains(&sample.offered.as_per_second()))
    })
    .await;

    // another source, then none, then no policy
    stage.policy("web", json!({"push": {}})).await;
    until("pushed samples are taken", async || {
        stage.push("web").is_ok()
    })
    .await;
    assert!(
        stage
            .take("web")
            .iter()
            .all(|sample| sample.offered == Rate::per_second(1.0))
    );
    stage.policy("web", scrape()).await;
    stage.samples("web", 1).await;
    let policies = stage.policies();
    policies
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    until("the workload is forgotten", async || {
        stage
            .push("web")
            .is_err_and(|refused| refused.reason() == "unknown")
    })
    .await;
    for load in load {
        load.abort();
    }
}

#[tokio::test]
async fn pods_of_the_embedded_cluster_are_servers_while_they_are_there() {
    let servers = FakePod::fleet(2).await;
    let stage = Stage::new(&servers).await;
    stage.workload("web", 3).await;
    let api: Api<Pod> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let addresses = async || {
        let pods = api.list(&ListParams::default()).await.unwrap();
        let address = |pod: Pod| {
            let ip = pod.status?.pod_ip?;
            let port = pod.metadata.annotations?.remove("prometheus.io/port")?;
            format!("{ip}:{port}").parse().ok()
        };
        let mut found: Vec<std::net::SocketAddr> = pods.into_iter().filter_map(address).collect();
        found.sort_unstable();
        found
    };
    let mut lent: Vec<_> = servers.iter().map(|server| server.address).collect();
    lent.sort_unstable();
    assert_eq!(addresses().await, lent, "the third leads nowhere");
    stage.scale("web", 0).await;
    until("nobody has them", async || addresses().await.is_empty()).await;
    stage.scale("web", 2).await;
    until("others have them", async || addresses().await == lent).await;
}
