//! Circuit breakers around the whole controller: what is down is left alone and said to be, nothing
//! shrinks meanwhile, and what is back is used again after one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kube::api::PostParams;
use serde_json::json;
use tipoff::embedded::{Fault, Matcher, Verb};
use tipoff::plan::Mode;
use tipoff::settings::BreakerSettings;

use crate::support::at;
use crate::support::prometheus::Mood;
use crate::support::rig::{NAME, Rig, Running};

const NIGHT: &str = "2026-09-09T03:00:00Z";

/// A workload of five on a load that takes four, until `load` is changed.
async fn busy() -> (Rig, Arc<AtomicU64>) {
    let load = Arc::new(AtomicU64::new(400));
    let now = Arc::clone(&load);
    let rig = Rig::new(at(NIGHT), 60.0, move |t| {
        if t > at(NIGHT) {
            now.load(Ordering::Relaxed) as f64
        } else {
            200.0
        }
    })
    .await;
    rig.deployment(5).await;
    rig.policy(json!({"release": {"window": "1m", "rung": 1}}))
        .await;
    (rig, load)
}

/// Changes the limits as a changed settings file would.
fn set_breakers(rig: &Rig, change: impl Fn(&mut BreakerSettings)) {
    rig.live.send_modify(|live| {
        let mut changed = live.as_ref().clone();
        change(&mut changed.settings.breakers);
        *live = Arc::new(changed);
    });
}

/// The value of a metric, its labels included in the name.
fn counted(controller: &Running, metric: &str) -> u64 {
    let text = controller.metrics.render().unwrap();
    let value = text.lines().find_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        (name == metric).then(|| value.parse().unwrap())
    });
    value.unwrap_or_else(|| panic!("{metric} is not in\n{text}"))
}

fn live_calls(controller: &Running) -> u64 {
    let outcomes = ["ok", "declined", "failed", "timed_out", "abandoned"];
    let calls = outcomes.map(|outcome| {
        counted(
            controller,
            &format!(
                r#"tipoff_breaker_calls_total{{command="live",outcome="{outcome}",resource="prometheus"}}"#
            ),
        )
    });
    calls.iter().sum()
}

fn decisions(controller: &Running) -> u64 {
    ["raise", "hold", "lower"]
        .map(|d| {
            counted(
                controller,
                &format!(r#"tipoff_decisions_total{{decision="{d}"}}"#),
            )
        })
        .iter()
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_query_of_one_policy_keeps_no_other_from_its_load() {
    let state = |command: &str| {
        format!(r#"tipoff_breaker_state{{command="{command}",resource="prometheus"}}"#)
    };
    let (rig, load) = busy().await;
    rig.prometheus.gives("heavy", |_| 100.0);
    rig.prometheus.answers("heavy", Mood::Slow);
    let mut tenant = rig.policies().get(NAME).await.unwrap();
    tenant.metadata = kube::api::ObjectMeta {
        name: Some("tenant".to_owned()),
        ..Default::default()
    };
    tenant.spec.mode = Mode::Recommend;
    tenant.spec.load.prometheus.query = "heavy".to_owned();
    let (policies, params) = (rig.policies(), PostParams::default());
    policies.create(&params, &tenant).await.unwrap();
    let controller = rig.controller("tipoff");
    rig.until("the slow query is known as such", async || {
        counted(&controller, &state("live_query")) == 2 && counted(&controller, &state("live")) == 0
    })
    .await;
    load.store(3200, Ordering::Relaxed);
    let before = decisions(&controller);
    rig.until("many more decisions", async || {
        assert_eq!(counted(&controller, &state("live")), 0, "shut for all");
        decisions(&controller) >= before + 80
    })
    .await;
    let (available, _, message) = rig.condition("LoadAvailable").await.unwrap();
    assert_eq!(available, "True", "{message}");
    // 32 carry the load; a fit that has come by then may ask for one more, for its 95th percentile
    let replicas = rig.replicas().await;
    assert!((32..=33).contains(&replicas), "{replicas}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_hangs_at_the_moment_of_a_spike() {
    const OPEN: &str = r#"tipoff_breaker_state{command="live",resource="prometheus"}"#;
    let (rig, load) = busy().await;
    set_breakers(&rig, |breakers| {
        breakers.prometheus.sleep_window = Duration::from_secs(60);
    });
    let controller = rig.controller("tipoff");
    rig.until("it lowers what is too much", async || {
        rig.replicas().await == 4
    })
    .await;

    rig.prometheus.is(Mood::Slow);
    load.store(3200, Ordering::Relaxed);
    rig.until("the breaker opens", async || {
        counted(&controller, OPEN) == 2
    })
    .await;
    let (calls, before) = (live_calls(&controller), decisions(&controller));
    let began = rig.clock.monotonic();
    rig.until("it goes on deciding", async || {
        decisions(&controller) >= before + 20
    })
    .await;
    let ticks = rig.clock.monotonic().saturating_sub(began);
    assert_eq!(
        live_calls(&controller),
        calls,
        "twenty ticks, and none waited for a call"
    );
    assert_eq!(rig.replicas().await, 4, "nothing shrinks");
    rig.until("the status says so", async || {
        rig.condition("LoadAvailable")
            .await
            .is_some_and(|(status, _, message)| {
                status == "False" && message.contains("circuit breaker")
            })
    })
    .await;
    let (_, reason, message) = rig.condition("LoadAvailable").await.unwrap();
    assert_eq!(reason, "Timeout", "what is wrong stays the same");
    for part in [
        "load: the circuit breaker of prometheus live (http://127.0.0.1:",
        "is open since",
        "no complete answer within 400 ms",
        "one call tries again every 1m",
    ] {
        assert!(message.contains(part), "{part} is not in {message}");
    }

    // it is back; a shorter sleep takes effect without a restart
    rig.prometheus.is(Mood::Well);
    set_breakers(&rig, |breakers| {
        breakers.prometheus.sleep_window = Duration::from_millis(100);
    });
    let began = rig.clock.monotonic();
    rig.until("the spike is covered", async || rig.replicas().await >= 32)
        .await;
    println!(
        "breaker open: 20 ticks of 250 ms in {ticks:?}, none of them with a call (timeout 400 ms); \
         back: the spike covered after {:?} (sleep window 100 ms, tick 250 ms)",
        rig.clock.monotonic().saturating_sub(began)
    );
    assert_eq!(counted(&controller, OPEN), 0);
    let shown = controller.breakers.shown();
    assert_eq!(shown[0].breakers[0].open_since, None);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_is_tried_again_after_each_sleep_and_conflicts_are_no_failures() {
    const OPEN: &str =
        r#"tipoff_breaker_refused_total{command="write",reason="open",resource="kubernetes"}"#;
    let (rig, load) = busy().await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    let patches = Matcher::any()
        .verb(Verb::Patch)
        .resource("deployments/scale")
        .agent("tipoff");
    // a conflict whose size has not changed is written again at once, four times a tick
    rig.cluster
        .faults()
        .next(16, patches.clone(), Fault::status(409));
    load.store(800, Ordering::Relaxed);
    rig.until("it raises in the end", async || rig.replicas().await == 8)
        .await;
    assert_eq!(counted(&controller, OPEN), 0);

    set_breakers(&rig, |breakers| {
        breakers.kubernetes.sleep_window = Duration::from_secs(2);
    });
    rig.cluster.faults().always(patches, Fault::status(500));
    load.store(1600, Ordering::Relaxed);
    rig.until("its writes are held back", async || {
        counted(&controller, OPEN) > 0
    })
    .await;
    rig.until("the status says so", async || {
        rig.condition("Ready")
            .await
            .is_some_and(|(_, reason, message)| {
                reason == "WriteFailed" && message.contains("circuit breaker")
            })
    })
    .await;
    rig.cluster.faults().clear();
    rig.until("it raises after a sleep", async || {
        rig.replicas().await == 16
    })
    .await;
    // the answer to the write comes after the write
    rig.until("the breaker is closed", async || {
        let shown = controller.breakers.shown();
        assert_eq!(shown[3].command, "write");
        shown[3].breakers.iter().all(|b| b.open_since.is_none())
    })
    .await;
    controller.stop().await;
}
