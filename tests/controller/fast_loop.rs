//! The fast loop over real sockets: real HTTP servers as pods, a controller on the embedded
//! cluster, and a load that jumps between two ticks of the slow loop.
//!
//! `cargo test --release --test controller fast_loop -- --ignored --nocapture` measures how long it takes
//! from the jump to the API server's answer to the write; `TRIALS` says how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop, and measures real time"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::pods::{FakePod, Mood};
use crate::support::prometheus::{FakePrometheus, Mood as PrometheusMood};
use crate::support::rig::{NAMESPACE, deployment};
use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
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
use tipoff::units::Rate;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const NAME: &str = "contest-entry";

/// Longest real time a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tick of the slow loop so long that what happens before it is the fast loop's.
const TICK: TimeDelta = TimeDelta::seconds(20);

struct Stage {
    client: Client,
    clock: SharedClock,
    inbox: Inbox,
    workloads: Workloads,
    prometheus: FakePrometheus,
    _stop: DropGuard,
}

impl Stage {
    async fn new(servers: &[FakePod], tick: TimeDelta) -> Self {
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
        let prometheus = FakePrometheus::start(|_| 140.0).await;
        let mut settings = Settings::new(prometheus.settings());
        settings.tick = tick;
        let live = Arc::new(Live::fixed(settings, BTreeMap::new()));
        let (_, live) = watch::channel(live);
        let metrics = Metrics::new().unwrap();
        let inbox = Inbox::new(metrics.clone());
        let workloads = Workloads::default();
        let config = ControllerConfig {
            client: cluster.client_as("tipoff"),
            clock: clock.clone(),
            breakers: Breakers::new(&clock, &live, &metrics),
            live,
            leadership: Leadership::always(clock.clone()),
            metrics,
            workloads: workloads.clone(),
            readiness: Readiness::default(),
            namespace: Some(NAMESPACE.to_owned()),
            identity: "tipoff".to_owned(),
            pace: Pace::default(),
            inbox: inbox.clone(),
            fast_loop: true,
        };
        let stop = CancellationToken::new();
        tokio::spawn(controller::run(config, stop.clone()));
        Self {
            client,
            clock,
            inbox,
            workloads,
            prometheus,
            _stop: stop.drop_guard(),
        }
    }

    async fn workload(&self, replicas: u32) {
        let object = deployment(NAME, replicas);
        self.deployments()
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        until("the pods are ready", async || {
            let status = self.deployments().get(NAME).await.unwrap().status;
            status.and_then(|status| status.ready_replicas) == i32::try_from(replicas).ok()
        })
        .await;
    }

    async fn policy(&self, live: Value) {
        let object = json!({
            "apiVersion": "tipoff.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "mode": "Enforce",
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
                "minReplicas": 1,
                "maxReplicas": 1000,
                "capacity": {"perReplica": 50.0},
                "load": {"prometheus": {"query": "load"}, "live": live},
            },
        });
        let params = PatchParams::apply("test").force();
        let patch = Patch::Apply(&object);
        self.policies().patch(NAME, &params, &patch).await.unwrap();
        until("a decision was made", async || {
            self.workloads.get(NAMESPACE, NAME).is_some()
        })
        .await;
    }

    /// A second of load, pushed as if it ended `ago`.
    fn push(&self, per_second: f64, ago: TimeDelta) {
        let now = self.clock.now();
        let sample = LiveSample {
            from: now - ago - TimeDelta::seconds(1),
            to: now - ago,
            offered: Rate::per_second(per_second),
            queued: None,
            error: 0.0,
        };
        let name = format!("{NAMESPACE}/{NAME}");
        self.inbox
            .offer(&name, LiveSource::Push, sample, now)
            .unwrap();
    }

    /// Forty quiet seconds at once.
    fn quiet(&self, per_second: f64) {
        for ago in (2..42).rev() {
            self.push(per_second, TimeDelta::seconds(ago));
        }
    }

    async fn replicas(&self) -> u32 {
        let scale = self.deployments().get_scale(NAME).await.unwrap();
        scale.spec.and_then(|spec| spec.replicas).unwrap_or(0) as u32
    }

    /// Waits until more than so many replicas are asked for; how many.
    async fn raised_above(&self, replicas: u32) -> u32 {
        let mut found = 0;
        until("the size is raised", async || {
            found = self.replicas().await;
            found > replicas
        })
        .await;
        found
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn policies(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(waited.is_ok(), "waited in vain until {what}");
}

fn scrape() -> Value {
    json!({"scrape": {"served": {"metric": "http_requests_total"}}})
}

/// A load spread evenly over servers, whose rate can be changed at any moment.
struct Crowd {
    /// Bits of a float, per second and server.
    rate: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Crowd {
    fn on(servers: &[FakePod], per_second: f64) -> Self {
        let rate = Arc::new(AtomicU64::new(per_second.to_bits()));
        let counters: Vec<_> = servers.iter().map(FakePod::counter).collect();
        let read = Arc::clone(&rate);
        let task = tokio::spawn(async move {
            let (mut served, mut last) = (1_000.0, Instant::now());
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let now = Instant::now();
                served += f64::from_bits(read.load(Ordering::Relaxed))
                    * now.duration_since(last).as_secs_f64();
                last = now;
                for counter in &counters {
                    counter(served.floor());
                }
            }
        });
        Self { rate, task }
    }

    fn becomes(&self, per_second: f64) {
        self.rate.store(per_second.to_bits(), Ordering::Relaxed);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_spike_is_met_between_two_ticks_with_prometheus_down_and_a_pod_that_hangs() {
    let servers = FakePod::fleet(7).await;
    let stage = Stage::new(&servers, TICK).await;
    let crowd = Crowd::on(&servers, 20.0);
    stage.workload(7).await;
    stage.policy(scrape()).await;
    // the detector knows the level after a quarter of a minute
    tokio::time::sleep(Duration::from_secs(18)).await;
    let before = stage.replicas().await;
    stage.prometheus.answers("load", PrometheusMood::Slow);
    servers[3].is(Mood::Hang);
    let spiked = Instant::now();
    crowd.becomes(160.0);
    let raised = stage.raised_above(before).await;
    // 7 x 160/s over 50/s and 90 %
    assert!(raised >= 24, "{raised}");
    assert!(
        spiked.elapsed() < Duration::from_secs(15),
        "that was a tick of the slow loop"
    );
    // and nothing shrinks while Prometheus stays down
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(stage.replicas().await >= raised);
}

#[tokio::test]
async fn pushed_samples_raise_and_say_why() {
    let stage = Stage::new(&[], TICK).await;
    stage.workload(4).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    stage.push(1_120.0, TimeDelta::zero());
    let raised = stage.raised_above(4).await;
    assert!(raised >= 24, "{raised}");
    let events: Api<Event> = Api::namespaced(stage.client.clone(), NAMESPACE);
    until("an Event says why", async || {
        let events = events.list(&ListParams::default()).await.unwrap();
        events.items.iter().any(|event| {
            event.reason.as_deref() == Some("ScaledUp")
                && event
                    .note
                    .as_ref()
                    .is_some_and(|note| note.contains("load went from"))
        })
    })
    .await;
}

#[tokio::test]
async fn steady_samples_raise_nothing() {
    let stage = Stage::new(&[], TimeDelta::milliseconds(200)).await;
    stage.workload(4).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    for _ in 0..10 {
        stage.push(140.0, TimeDelta::zero());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let steady = stage.replicas().await;
    assert!(steady <= 5, "{steady}");
}

/// From the jump to the answer of the API server, over real sockets.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; takes 25 s a trial"]
async fn from_the_jump_to_the_write() {
    let trials: usize = std::env::var("TRIALS").map_or(50, |text| text.parse().unwrap());
    let servers = FakePod::fleet(50).await;
    let stage = Stage::new(&servers, TimeDelta::seconds(5)).await;
    let crowd = Crowd::on(&servers, 20.0);
    stage.workload(50).await;
    let mut delays = Vec::new();
    for trial in 0..trials {
        stage.policy(scrape()).await;
        // phases of the jump within the second differ from trial to trial
        let phase = (trial as u64 * 618_033_988) % 1_000_000_000;
        tokio::time::sleep(Duration::from_secs(18) + Duration::from_nanos(phase)).await;
        let before = stage.replicas().await;
        let spiked = Instant::now();
        crowd.becomes(160.0);
        stage.raised_above(before).await;
        delays.push(spiked.elapsed().as_secs_f64());
        crowd.becomes(20.0);
        let policies = stage.policies();
        policies
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
        until("the policy is forgotten", async || {
            stage.workloads.get(NAMESPACE, NAME).is_none()
        })
        .await;
        let patch = json!({"spec": {"replicas": 50}});
        let patch = Patch::Merge(&patch);
        let deployments = stage.deployments();
        deployments
            .patch_scale(NAME, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays[((delays.len() as f64 * share).ceil() as usize).max(1) - 1];
    println!(
        "{trials} jumps of 8x over 50 pods: to the answered write p50 {:.2} s, p90 {:.2} s, p99 \
         {:.2} s, worst {:.2} s",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    assert!(delays.iter().all(|delay| delay.is_finite()));
}
