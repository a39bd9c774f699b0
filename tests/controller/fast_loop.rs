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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tipoff::embedded::{Fault, Matcher};

use crate::stage::{Stage, scrape, until};
use crate::support::pods::{FakePod, Mood};
use crate::support::prometheus::Mood as PrometheusMood;
use crate::support::rig::{NAMESPACE, deployment};

const NAME: &str = "contest-entry";

/// A tick of the slow loop so long that what happens before it is the fast loop's.
const TICK: TimeDelta = TimeDelta::seconds(20);

/// One workload of 50/s a replica with the fast loop on.
struct Spiking(Stage);

impl Spiking {
    async fn new(servers: &[FakePod], tick: TimeDelta, replicas: u32) -> Self {
        let stage = Stage::new(servers, 140.0, tick, true).await;
        stage.workload(NAME, replicas).await;
        Self(stage)
    }

    async fn policy(&self, live: Value) {
        self.policy_with(live, json!({})).await;
    }

    async fn policy_with(&self, live: Value, more: Value) {
        let mut spec = json!({
            "mode": "Enforce",
            "minReplicas": 1,
            "maxReplicas": 1000,
            "capacity": {"perReplica": 50.0},
        });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        self.0.policy(NAME, live, spec).await;
        until("a decision was made", async || {
            self.0.workloads.get(NAMESPACE, NAME).is_some()
        })
        .await;
    }

    fn push(&self, per_second: f64, ago: TimeDelta) {
        self.0.push(NAME, per_second, ago).unwrap();
    }

    /// Pods that have more CPU than they were made with.
    async fn raised_pods(&self) -> usize {
        let api: Api<Pod> = Api::namespaced(self.0.client.clone(), NAMESPACE);
        let pods = api.list(&ListParams::default()).await.unwrap().items;
        let labels = pods.iter().map(ResourceExt::labels);
        labels
            .filter(|labels| labels.contains_key("tipoff.dev/cpu-raised"))
            .count()
    }

    /// Forty quiet seconds at once.
    fn quiet(&self, per_second: f64) {
        for ago in (2..42).rev() {
            self.push(per_second, TimeDelta::seconds(ago));
        }
    }

    async fn replicas(&self) -> u32 {
        let scale = self.0.deployments().get_scale(NAME).await.unwrap();
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
    let stage = Spiking::new(&servers, TICK, 7).await;
    let crowd = Crowd::on(&servers, 20.0);
    stage.policy(scrape()).await;
    // the detector knows the level after a quarter of a minute
    tokio::time::sleep(Duration::from_secs(18)).await;
    let before = stage.replicas().await;
    stage.0.prometheus.answers("load", PrometheusMood::Slow);
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
    let stage = Spiking::new(&[], TICK, 4).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    stage.push(1_120.0, TimeDelta::zero());
    let raised = stage.raised_above(4).await;
    assert!(raised >= 24, "{raised}");
    let events: Api<Event> = Api::namespaced(stage.0.client.clone(), NAMESPACE);
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
async fn a_spike_that_grows_waits_for_no_event() {
    let stage = Spiking::new(&[], TICK, 4).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    let events = Matcher::any().resource("events");
    let slow = Fault::Delay(Duration::from_secs(20));
    stage.0.cluster.faults().always(events, slow);
    stage.push(600.0, TimeDelta::zero());
    let raised = stage.raised_above(4).await;
    let grown = Instant::now();
    stage.push(3_000.0, TimeDelta::zero());
    stage.raised_above(raised).await;
    assert!(
        grown.elapsed() < Duration::from_secs(3),
        "that was the Event's timeout"
    );
}

/// Six replicas, enough for what is quiet, whose policy was edited into one that cannot be used, and
/// then a spike.
async fn spiking_after(edit: Value) -> Spiking {
    let stage = Spiking::new(&[], TICK, 6).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    let mut edit = edit;
    edit["lead"] = json!("9d");
    stage.policy_with(json!({"push": {}}), edit).await;
    until("the spec is refused", async || {
        let report = stage.0.workloads.get(NAMESPACE, NAME);
        report.is_some_and(|report| report.refused.is_some())
    })
    .await;
    stage.push(1_120.0, TimeDelta::zero());
    stage
}

#[tokio::test]
async fn a_refused_spec_stops_no_raise_and_its_maximum_binds_it() {
    let stage = spiking_after(json!({"maxReplicas": 8})).await;
    assert_eq!(stage.raised_above(6).await, 8);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.replicas().await, 8);
    // and a tick by the version before tells what was done
    let refused = json!({"maxReplicas": 8, "lead": "8d"});
    stage.policy_with(json!({"push": {}}), refused).await;
    until("the size is told", async || {
        let policy = stage.0.policies().get(NAME).await.unwrap();
        let scaled = policy.status.and_then(|status| status.last_scale);
        scaled.is_some_and(|scaled| (scaled.from, scaled.to) == (6, 8))
    })
    .await;
}

#[tokio::test]
async fn a_refused_spec_that_freezes_is_obeyed() {
    let expires = chrono::Utc::now() + TimeDelta::hours(1);
    let order = json!({"action": "Freeze", "expires": expires, "reason": "no more pods"});
    let stage = spiking_after(json!({"override": order})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stage.replicas().await, 6);
}

#[tokio::test]
async fn a_workload_that_is_not_the_policys_any_more_is_left_alone() {
    let stage = Spiking::new(&[], TICK, 6).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    let other = json!({"spec": {"scaleTargetRef": {"name": "not-there-yet"}}});
    let policies = stage.0.policies();
    policies
        .patch(NAME, &PatchParams::default(), &Patch::Merge(&other))
        .await
        .unwrap();
    until("the other workload is missed", async || {
        let report = stage.0.workloads.get(NAMESPACE, NAME);
        report.is_some_and(|report| report.undecided.is_some())
    })
    .await;
    stage.push(1_120.0, TimeDelta::zero());
    let dropped = "tipoff_writes_total{outcome=\"dropped\"}";
    until("the raise is dropped", async || {
        stage.0.counted(dropped) > 0.0
    })
    .await;
    assert_eq!(stage.replicas().await, 6);
}

#[tokio::test]
async fn steady_samples_raise_nothing() {
    let stage = Spiking::new(&[], TimeDelta::milliseconds(200), 4).await;
    stage.policy(json!({"push": {}})).await;
    stage.quiet(140.0);
    for _ in 0..10 {
        stage.push(140.0, TimeDelta::zero());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let steady = stage.replicas().await;
    assert!(steady <= 5, "{steady}");
}

/// Four pods that take six seconds to start and have a CPU limit, under a policy with the bridge,
/// that have just been raised because of a spike.
async fn raised_between_two_ticks() -> Spiking {
    let stage = Stage::new(&[], 140.0, TICK, true).await;
    let mut limited = serde_json::to_value(deployment(NAME, 4)).unwrap();
    let template = &mut limited["spec"]["template"];
    template["metadata"]["annotations"] = json!({"embedded.tipoff.dev/start-up": "6s"});
    template["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "500m"}});
    stage
        .deploy(&serde_json::from_value(limited).unwrap())
        .await;
    let stage = Spiking(stage);
    let bridge = json!({"bridges": {"resize": {"enabled": true, "factor": "2x"}}});
    stage.policy_with(json!({"push": {}}), bridge).await;
    stage.quiet(140.0);
    assert_eq!(stage.raised_pods().await, 0);
    let spiked = Instant::now();
    stage.push(1_120.0, TimeDelta::zero());
    until("the four that run have more CPU", async || {
        stage.raised_pods().await == 4
    })
    .await;
    assert!(
        spiked.elapsed() < Duration::from_secs(5),
        "that was a tick of the slow loop"
    );
    stage
}

#[tokio::test]
async fn running_pods_get_more_cpu_between_two_ticks_and_give_it_back() {
    let stage = raised_between_two_ticks().await;
    until("the new ones are ready and nobody has more", async || {
        stage.raised_pods().await == 0
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_goes_before_the_next_tick_gives_the_cpu_back() {
    let stage = raised_between_two_ticks().await;
    let policies = stage.0.policies();
    policies
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    let gone = Instant::now();
    until("nobody has more", async || stage.raised_pods().await == 0).await;
    assert!(
        gone.elapsed() < Duration::from_secs(10),
        "nothing but the deletion gave it back"
    );
}

/// Controllers that measure side by side, each with its own cluster and 50 servers.
const LANES: usize = 5;

/// From the jump to the answer of the API server, over real sockets.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for four minutes"]
async fn from_the_jump_to_the_write() {
    let trials: usize = std::env::var("TRIALS").map_or(50, |text| text.parse().unwrap());
    let lanes = (0..LANES).map(|lane| jumps((lane..trials).step_by(LANES)));
    let (mut delays, mut writes) = (Vec::new(), Vec::new());
    for lane in futures::future::join_all(lanes).await {
        for (delay, write) in lane {
            delays.push(delay);
            writes.push(write);
        }
    }
    println!(
        "{} jumps of 8x over 50 pods, {LANES} controllers side by side, real sockets:",
        delays.len()
    );
    for (what, mut seconds) in [
        ("from the jump to the answered write", delays),
        ("of which from the look at the sample", writes),
    ] {
        seconds.sort_by(f64::total_cmp);
        let at = |share: f64| seconds[((seconds.len() as f64 * share).ceil() as usize).max(1) - 1];
        let [p50, p90, p99, worst] = [0.5, 0.9, 0.99, 1.0].map(at);
        println!("{what}: p50 {p50:.3} s, p90 {p90:.3} s, p99 {p99:.3} s, worst {worst:.3} s");
        assert!(worst.is_finite());
    }
}

/// Seconds from each jump to the write, and what of them passed since the look.
async fn jumps(trials: impl Iterator<Item = usize>) -> Vec<(f64, f64)> {
    let servers = FakePod::fleet(50).await;
    let stage = Spiking::new(&servers, TimeDelta::seconds(5), 50).await;
    let crowd = Crowd::on(&servers, 20.0);
    let written = || stage.0.counted("tipoff_spike_write_seconds_sum");
    let mut found = Vec::new();
    for trial in trials {
        stage.policy(scrape()).await;
        // phases of the jump within the second differ from trial to trial
        let phase = (trial as u64 * 618_033_988) % 1_000_000_000;
        tokio::time::sleep(Duration::from_secs(18) + Duration::from_nanos(phase)).await;
        let (before, already) = (stage.replicas().await, written());
        let spiked = Instant::now();
        crowd.becomes(160.0);
        stage.raised_above(before).await;
        let delay = spiked.elapsed().as_secs_f64();
        until("the write is counted", async || written() > already).await;
        found.push((delay, written() - already));
        crowd.becomes(20.0);
        let policies = stage.0.policies();
        policies
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
        until("the policy is forgotten", async || {
            stage.0.workloads.get(NAMESPACE, NAME).is_none()
        })
        .await;
        stage.0.scale(NAME, 50).await;
    }
    found
}
