//! What is missing never lowers: Prometheus in every bad mood, calendars that did not load,
//! controllers that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use serde_json::json;
use tipoff::settings::PrometheusSettings;

use crate::support::at;
use crate::support::prometheus::Mood;
use crate::support::rig::{NAME, Rig};

/// A quiet night, with no game near.
const NIGHT: &str = "2026-09-09T03:00:00Z";

/// A workload of ten on a load that takes three, seen clearly but not for a whole window yet.
async fn oversized() -> Rig {
    let rig = Rig::new(at(NIGHT), 600.0, |_| 290.0).await;
    rig.deployment(10).await;
    rig.policy(json!({"release": {"window": "30m", "rung": 1}}))
        .await;
    rig
}

/// Breaks the source, sees that the status says so and nothing is lowered, mends it, and sees that
/// all is well by itself: load and forecast are back and what is too much is let go.
async fn never_lowers_while(reason: &str, break_it: impl Fn(&Rig), mend_it: impl Fn(&Rig)) {
    let rig = oversized().await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    break_it(&rig);
    rig.until_condition("LoadAvailable", "False", reason).await;
    rig.until_condition("Ready", "False", "DataMissing").await;
    rig.until_event("LoadMissing").await;
    assert_eq!(rig.lowest_over(TimeDelta::hours(1)).await, 10);
    let (_, _, message) = rig.condition("Ready").await.unwrap();
    assert!(
        message.contains("nothing is lowered while data is missing: load:"),
        "{message}"
    );
    mend_it(&rig);
    rig.until_condition("LoadAvailable", "True", "Fresh").await;
    rig.until_event("LoadRecovered").await;
    rig.until_condition("Ready", "True", "Complete").await;
    rig.until("what is too much is let go", async || {
        rig.replicas().await == 3
    })
    .await;
    controller.stop().await;
}

async fn never_lowers_in_mood(mood: Mood, reason: &str) {
    never_lowers_while(
        reason,
        |rig| rig.prometheus.is(mood),
        |rig| rig.prometheus.is(Mood::Well),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_prometheus_is_down() {
    never_lowers_while(
        "Unreachable",
        |rig| {
            rig.prometheus_at(PrometheusSettings {
                url: "http://127.0.0.1:1".parse().unwrap(),
                ..rig.prometheus.settings()
            });
        },
        |rig| rig.prometheus_at(rig.prometheus.settings()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_prometheus_takes_half_a_minute() {
    never_lowers_in_mood(Mood::Slow, "Timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_prometheus_returns_nothing() {
    never_lowers_in_mood(Mood::Empty, "Empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_prometheus_returns_nan() {
    never_lowers_in_mood(Mood::NotANumber, "NotANumber").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_prometheus_fails() {
    never_lowers_in_mood(Mood::Broken, "Http5xx").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_the_query_is_refused() {
    never_lowers_in_mood(Mood::BadQuery, "Query").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_before_there_is_a_forecast() {
    let rig = oversized().await;
    rig.prometheus.is(Mood::Broken);
    let controller = rig.controller("tipoff");
    rig.until_condition("ForecastAvailable", "False", "NoForecast")
        .await;
    assert_eq!(rig.lowest_over(TimeDelta::hours(1)).await, 10);
    rig.prometheus.is(Mood::Well);
    rig.until_event("ForecastRecovered").await;
    rig.until("what is too much is let go", async || {
        rig.replicas().await == 3
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_lowers_while_a_calendar_is_not_loaded() {
    let rig = oversized().await;
    rig.policy(json!({"calendars": ["nfl"], "release": {"window": "30m", "rung": 1}}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until_condition("CalendarAvailable", "False", "NotConfigured")
        .await;
    let note = rig.until_event("CalendarMissing").await;
    assert!(note.contains("\"nfl\""), "{note}");
    assert_eq!(rig.lowest_over(TimeDelta::hours(1)).await, 10);
    rig.calendar("nfl", tipoff::fixture::Calendar::default());
    rig.until_event("CalendarRecovered").await;
    rig.until("what is too much is let go", async || {
        rig.replicas().await == 3
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_lowers_nothing_until_the_window_is_full_again() {
    let rig = oversized().await;
    let first = rig.controller("first");
    rig.until_condition("Ready", "True", "Complete").await;
    rig.pass(TimeDelta::minutes(15)).await;
    assert_eq!(rig.replicas().await, 10);
    first.stop().await;
    let restarted = rig.clock.now();
    let second = rig.controller("second");
    rig.until("the second lowers", async || rig.replicas().await == 3)
        .await;
    let after = rig.clock.now() - restarted;
    assert!(
        after >= TimeDelta::minutes(30),
        "lowered {after} after the restart"
    );
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lowered_on_the_way_out() {
    let rig = oversized().await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    controller.stop().await;
    let writes = rig.scale_writes("tipoff");
    assert_eq!(rig.lowest_over(TimeDelta::hours(1)).await, 10);
    assert_eq!(
        writes,
        rig.scale_writes("tipoff"),
        "it wrote after it had stopped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controllers_one_writes_and_the_other_takes_over() {
    let load = Arc::new(AtomicU64::new(1000));
    let now = Arc::clone(&load);
    // 60 times real time: a lease of 1.5 s is a minute and a half, well within the window
    let rig = Rig::new(at(NIGHT), 60.0, move |t| {
        // history is small, so that only what is offered now asks for much
        if t > at(NIGHT) {
            now.load(Ordering::Relaxed) as f64
        } else {
            200.0
        }
    })
    .await;
    rig.deployment(4).await;
    rig.policy(json!({})).await;
    let first = rig.candidate("first");
    rig.until("the first leads", async || {
        rig.cluster.requests().writers("leases").contains("first")
    })
    .await;
    let second = rig.candidate("second");
    rig.until("the first raises", async || rig.replicas().await == 10)
        .await;
    rig.until_condition("Ready", "True", "Complete").await;
    rig.until("the second decides too", async || {
        second.workloads.get("dfs", "contest-entry").is_some()
    })
    .await;
    assert_eq!(rig.scale_writes("second"), 0, "only the leader writes");
    let statuses = |agent: &str| {
        let agent = agent.to_owned();
        rig.cluster
            .requests()
            .select(move |r| r.agent == agent && r.wrote() && !r.resource.starts_with("leases"))
            .len()
    };
    assert!(statuses("first") > 0);
    assert_eq!(statuses("second"), 0, "nor does it write anything else");

    load.store(300, Ordering::Relaxed);
    first.kill().await;
    let killed = rig.clock.now();
    rig.until("the second takes over", async || statuses("second") > 0)
        .await;
    assert_eq!(rig.replicas().await, 10, "nothing shrinks meanwhile");
    let blind = rig.clock.now() - killed;
    assert!(blind < TimeDelta::minutes(5), "took over after {blind}");

    load.store(1600, Ordering::Relaxed);
    rig.until("the second raises", async || rig.replicas().await == 16)
        .await;
    // a request is on record once it is answered, a moment after what it wrote is there
    rig.until("the write is on record", async || {
        rig.scale_writes("second") > 0
    })
    .await;
    second.stop().await;
    rig.until("the lease is handed back", async || {
        use k8s_openapi::api::coordination::v1::Lease;
        let leases: kube::Api<Lease> = kube::Api::namespaced(rig.client.clone(), "dfs");
        let lease = leases.get("tipoff").await.unwrap();
        lease
            .spec
            .unwrap()
            .holder_identity
            .unwrap_or_default()
            .is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_controller_knows_what_a_replica_carries() {
    // a history whose peak a fleet of the largest size would hardly have felt
    let rig = Rig::new(at(NIGHT), 600.0, |_| 500.0).await;
    rig.deployment(12).await;
    rig.policy(json!({"maxReplicas": 400, "capacity": {"perReplica": null}}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until("it has seen what twelve replicas carry", async || {
        let capacity = rig.status().await.capacity;
        capacity.is_some_and(|capacity| capacity.proven.is_some())
    })
    .await;
    controller.stop().await;
    let before = rig.status().await.capacity.unwrap().proven.unwrap();
    assert_eq!(before.target, format!("Deployment/{NAME}"));
    assert!((40.0..42.0).contains(&before.per_replica), "{before:?}");
    let size = rig.replicas().await;
    assert!(size < 20, "{size}");

    let controller = rig.controller("tipoff");
    rig.pass(TimeDelta::minutes(30)).await;
    let after = rig.status().await;
    assert_eq!(after.capacity.unwrap().proven.unwrap(), before);
    assert!(rig.replicas().await < 20, "{}", rig.replicas().await);
    controller.stop().await;
}
