//! A controller on the embedded cluster whose pods are real servers, on the real clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
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
use tipoff::source::live::Refused;
use tipoff::source::{Inbox, LiveSource};
use tipoff::units::Rate;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::pods::FakePod;
use crate::support::prometheus::FakePrometheus;
use crate::support::rig::{NAMESPACE, deployment};

/// Longest real time a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) clock: SharedClock,
    pub(crate) inbox: Inbox,
    pub(crate) metrics: Metrics,
    pub(crate) workloads: Workloads,
    pub(crate) prometheus: FakePrometheus,
    pub(crate) cluster: EmbeddedCluster,
    _stop: DropGuard,
}

impl Stage {
    /// A cluster whose pods are these servers and a Prometheus that always says `load`; the slow
    /// loop decides every `tick`.
    pub(crate) async fn new(
        servers: &[FakePod],
        load: f64,
        tick: TimeDelta,
        fast_loop: bool,
    ) -> Self {
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
        let prometheus = FakePrometheus::start(move |_| load).await;
        let mut settings = Settings::new(prometheus.settings());
        settings.tick = tick;
        let (_, live) = watch::channel(Arc::new(Live::fixed(settings)));
        let metrics = Metrics::new().unwrap();
        let inbox = Inbox::new(metrics.clone());
        let workloads = Workloads::default();
        let config = ControllerConfig {
            client: cluster.client_as("tipoff"),
            clock: clock.clone(),
            breakers: Breakers::new(&clock, &live, &metrics),
            live,
            leadership: Leadership::always(clock.clone()),
            metrics: metrics.clone(),
            workloads: workloads.clone(),
            readiness: Readiness::default(),
            namespace: Some(NAMESPACE.to_owned()),
            identity: "tipoff".to_owned(),
            pace: Pace::default(),
            inbox: inbox.clone(),
            fast_loop,
        };
        let stop = CancellationToken::new();
        tokio::spawn(controller::run(config, stop.clone()));
        Self {
            client,
            clock,
            inbox,
            metrics,
            workloads,
            prometheus,
            cluster,
            _stop: stop.drop_guard(),
        }
    }

    /// A workload, Ready.
    pub(crate) async fn workload(&self, name: &str, replicas: u32) {
        self.deploy(&deployment(name, replicas)).await;
    }

    /// Makes a Deployment and waits until it is Ready.
    pub(crate) async fn deploy(&self, object: &Deployment) {
        let api = self.deployments();
        let name = object.metadata.name.as_deref().unwrap();
        api.create(&PostParams::default(), object).await.unwrap();
        until("the pods are ready", async || {
            let found = api.get(name).await.unwrap();
            let wanted = found.spec.unwrap().replicas;
            found.status.and_then(|status| status.ready_replicas) == wanted
        })
        .await;
    }

    pub(crate) async fn scale(&self, name: &str, replicas: u32) {
        let patch = json!({"spec": {"replicas": replicas}});
        self.deployments()
            .patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    /// A policy of the workload's name, with what `spec` says besides its target and its load.
    pub(crate) async fn policy(&self, name: &str, live: Value, spec: Value) {
        let mut object = json!({
            "apiVersion": "tipoff.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        });
        object["spec"]["scaleTargetRef"] =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
        object["spec"]["load"] = json!({"prometheus": {"query": "load"}, "live": live});
        let params = PatchParams::apply("test").force();
        let patch = Patch::Apply(&object);
        self.policies().patch(name, &params, &patch).await.unwrap();
    }

    /// A second of load pushed for a workload, as if it ended `ago`.
    pub(crate) fn push(&self, name: &str, per_second: f64, ago: TimeDelta) -> Result<(), Refused> {
        let now = self.clock.now();
        let sample = LiveSample {
            from: now - ago - TimeDelta::seconds(1),
            to: now - ago,
            offered: Rate::per_second(per_second),
            queued: None,
            error: 0.0,
        };
        let name = format!("{NAMESPACE}/{name}");
        self.inbox.offer(&name, LiveSource::Push, sample, now)
    }

    /// What the metrics say on the first line that begins so.
    pub(crate) fn counted(&self, beginning: &str) -> f64 {
        let text = self.metrics.render().unwrap();
        let line = text.lines().find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("{beginning} is not in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) fn policies(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

/// Pods are scraped.
pub(crate) fn scrape() -> Value {
    json!({"scrape": {"served": {"metric": "http_requests_total"}}})
}
