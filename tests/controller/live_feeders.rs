//! The whole way: a controller on the embedded cluster whose pods are real servers, policies with
//! each kind of live signal, and the samples that lie ready for the fast loop.

use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};
use tipoff::burst::LiveSample;
use tipoff::clock::SystemClock;
use tipoff::source::live::Refused;
use tipoff::units::{Rate, Timestamp};

use crate::stage::{Stage, scrape, until};
use crate::support::pods::{FakePod, Mood};
use crate::support::prometheus::Mood as PrometheusMood;
use crate::support::rig::NAMESPACE;

/// A controller that only recommends, its fast loop off: samples lie ready and nobody takes them.
struct Fed(Stage);

impl Fed {
    async fn new(servers: &[FakePod]) -> Self {
        Self(Stage::new(servers, 100.0, TimeDelta::milliseconds(200), false).await)
    }

    async fn policy(&self, name: &str, live: Value) {
        let spec = json!({"minReplicas": 1, "maxReplicas": 100});
        self.0.policy(name, live, spec).await;
    }

    fn take(&self, name: &str) -> Vec<LiveSample> {
        let name = format!("{NAMESPACE}/{name}");
        self.0.inbox.take(&name, Timestamp::UNIX_EPOCH)
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
    fn push(&self, name: &str) -> Result<(), Refused> {
        self.0.push(name, 1.0, TimeDelta::zero())
    }
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
    let stage = Fed::new(&servers).await;
    let load: Vec<_> = servers.iter().map(|server| busy(server, 200.0)).collect();
    stage.0.workload("well", 3).await;
    stage.0.workload("hanging", 3).await;
    for hanging in &servers[3..] {
        hanging.is(Mood::Hang);
    }
    stage
        .0
        .prometheus
        .gives("fine", |at| 50.0 + (at.timestamp() % 10) as f64);
    stage.0.prometheus.gives("stuck", |_| 1.0);
    stage.0.prometheus.answers("stuck", PrometheusMood::Slow);
    stage.policy("hanging", scrape()).await;
    stage.policy("well", scrape()).await;
    stage.0.workload("asked", 1).await;
    stage.0.workload("stuck", 1).await;
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
    assert!(
        stage
            .0
            .counted(r#"tipoff_scrape_errors_total{kind="timeout"}"#)
            >= 3.0
    );
    assert!(
        stage
            .0
            .counted(r#"tipoff_source_errors_total{kind="timeout"}"#)
            >= 1.0
    );
    assert!(
        stage
            .0
            .counted(r#"tipoff_live_samples_total{source="prometheus"}"#)
            >= 4.0
    );
    let age = stage
        .0
        .counted(r#"tipoff_workload_live_age_seconds{name="well""#);
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
    let stage = Fed::new(&servers).await;
    let load: Vec<_> = servers.iter().map(|server| busy(server, 100.0)).collect();
    stage.0.workload("web", 2).await;
    assert_eq!(stage.push("web").unwrap_err().reason(), "unknown");
    stage.policy("web", scrape()).await;
    stage.samples("web", 2).await;
    assert_eq!(stage.push("web").unwrap_err().reason(), "source");

    stage.0.scale("web", 4).await;
    until("four pods are counted", async || {
        let samples = stage.take("web");
        samples
            .iter()
            .any(|sample| (360.0..440.0).contains(&sample.offered.as_per_second()))
    })
    .await;
    stage.0.scale("web", 1).await;
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
    let policies = stage.0.policies();
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
    let stage = Fed::new(&servers).await;
    stage.0.workload("web", 3).await;
    let api: Api<Pod> = Api::namespaced(stage.0.client.clone(), NAMESPACE);
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
    stage.0.scale("web", 0).await;
    until("nobody has them", async || addresses().await.is_empty()).await;
    stage.0.scale("web", 2).await;
    until("others have them", async || addresses().await == lent).await;
}
