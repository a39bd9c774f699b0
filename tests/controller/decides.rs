//! The whole controller on the embedded cluster: what it decides, writes and says.

use chrono::TimeDelta;
use serde_json::json;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::units::Timestamp;

use crate::support::at;
use crate::support::rig::Rig;

/// A Sunday.
const KICK_OFF: &str = "2026-09-13T17:00:00Z";

/// Games of the last five Sundays and of this one.
fn season() -> Calendar {
    (0..6)
        .map(|week| {
            let start = at(KICK_OFF) - TimeDelta::weeks(week);
            Fixture::game(format!("week-{week}"), "NFL", start)
        })
        .collect()
}

/// 300/s, and six times that from a game's start for two hours.
fn game_day(now: Timestamp) -> f64 {
    let playing = season()
        .iter()
        .any(|game| now >= game.start.at && now < game.start.at + TimeDelta::hours(2));
    if playing { 1800.0 } else { 300.0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn raises_before_a_fixture_and_not_after() {
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(3), 600.0, game_day).await;
    rig.calendar("nfl", season());
    rig.deployment(3).await;
    rig.policy(json!({"calendars": ["nfl"]})).await;
    let controller = rig.controller("tipoff");

    rig.until_condition("ForecastAvailable", "True", "Fresh")
        .await;
    rig.until_condition("Ready", "True", "Complete").await;
    let peak = rig.status().await.peak.unwrap();
    assert!(
        peak.sentence.contains("your peak will be"),
        "{}",
        peak.sentence
    );

    let mut raised_at = None;
    rig.until("the workload has three times its size", async || {
        let raised = rig.replicas().await >= 9;
        if raised {
            raised_at.get_or_insert(rig.clock.now());
        }
        raised
    })
    .await;
    assert!(raised_at.unwrap() < at(KICK_OFF), "raised at {raised_at:?}");
    let scaled = rig.status().await.last_scale.unwrap();
    assert!(
        scaled.at < at(KICK_OFF) && scaled.reason.contains("forecast")
            || scaled.reason.contains("expected"),
        "{scaled:?}"
    );
    assert!(rig.until_event("ScaledUp").await.contains("from 3 to"));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recommend_never_writes_to_a_workload() {
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(1), 600.0, game_day).await;
    rig.calendar("nfl", season());
    rig.deployment(3).await;
    rig.policy(json!({"mode": "Recommend", "calendars": ["nfl"]}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until("it recommends more", async || {
        rig.status()
            .await
            .desired_replicas
            .is_some_and(|desired| desired > 10)
    })
    .await;
    rig.until_condition("Enforcing", "False", "Recommend").await;
    rig.pass(TimeDelta::hours(1)).await;
    assert_eq!(rig.replicas().await, 3);
    assert_eq!(rig.scale_writes("tipoff"), 0);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_go_after_the_window_and_in_rungs() {
    let rig = Rig::new(at("2026-09-09T03:00:00Z"), 600.0, |_| 290.0).await;
    rig.deployment(20).await;
    rig.policy(json!({"release": {"window": "5m", "rung": 0.25, "every": "2m"}}))
        .await;
    let began = rig.clock.now();
    let controller = rig.controller("tipoff");
    rig.until("it lowers", async || rig.replicas().await < 20)
        .await;
    assert!(
        rig.clock.now() - began >= TimeDelta::minutes(5),
        "before the window was full"
    );
    assert!(rig.replicas().await >= 15, "more than one rung at once");
    rig.until("it has what it needs", async || rig.replicas().await == 3)
        .await;
    rig.until_event("ScaledDown").await;
    controller.stop().await;
}

/// Waits until 2000/s have the 20 replicas that they need, and says so. On a busy machine the
/// forecast may have seen them before we look, and ask for more on top.
async fn needs_twenty(rig: &Rig) {
    rig.until("live load raises it", async || rig.replicas().await >= 20)
        .await;
    rig.until("live load is given as the reason", async || {
        let reasons = rig.status().await.reasons;
        let live = "live: 2000/s offered now needs 20 at 1.0x cover";
        reasons.iter().any(|reason| reason == live)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_through_a_live_game_and_follows_live_load() {
    let rig = Rig::new(at(KICK_OFF) + TimeDelta::minutes(5), 600.0, |_| 290.0).await;
    rig.calendar("nfl", season());
    rig.deployment(12).await;
    rig.policy(json!({"calendars": ["nfl"]})).await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    assert_eq!(rig.status().await.covering, ["NFL"]);
    assert_eq!(rig.lowest_over(TimeDelta::hours(1)).await, 12);
    let reasons = rig.status().await.reasons.join("\n");
    assert!(reasons.contains("while NFL is live"), "{reasons}");
    rig.prometheus.gives("load", |_| 2_000.0);
    needs_twenty(&rig).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shed_and_queued_work_is_demand() {
    let rig = Rig::new(at("2026-09-09T03:00:00Z"), 600.0, |_| 290.0).await;
    rig.prometheus.gives("shed", |_| 400.0);
    rig.prometheus.gives("queue", |_| 6_000.0);
    rig.deployment(3).await;
    rig.policy(json!({"load": {
        "shed": {"prometheus": {"query": "shed"}},
        "queue": {"prometheus": {"query": "queue"}},
        "drainWithin": "20s",
    }}))
    .await;
    let controller = rig.controller("tipoff");
    // 290 served + 400 shed + 6000 queued in 20 s = 990/s
    rig.until("all of it is served", async || rig.replicas().await == 10)
        .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_by_hand_stand_until_they_expire() {
    let rig = Rig::new(at("2026-09-09T03:00:00Z"), 600.0, |_| 290.0).await;
    rig.deployment(3).await;
    let order = |action: &str, replicas: Option<u32>, minutes: i64| {
        let expires = rig.clock.now() + TimeDelta::minutes(minutes);
        json!({"override": {
            "action": action, "replicas": replicas, "expires": expires.to_rfc3339(), "reason": "drill",
        }})
    };
    rig.policy(order("Boost", Some(12), 60)).await;
    let controller = rig.controller("tipoff");
    rig.until("it is boosted", async || rig.replicas().await == 12)
        .await;
    let reasons = rig.status().await.reasons.join("\n");
    assert!(
        reasons.contains("boosted to at least 12 by hand") && reasons.contains("drill"),
        "{reasons}"
    );

    rig.policy(order("Pin", Some(5), 60)).await;
    rig.until("it is pinned", async || rig.replicas().await == 5)
        .await;

    rig.prometheus.gives("load", |_| 2_000.0);
    rig.policy(json!({"override": {
        "action": "Freeze",
        "expires": (rig.clock.now() + TimeDelta::minutes(40)).to_rfc3339(),
        "reason": "drill",
    }}))
    .await;
    rig.until("it is frozen", async || {
        rig.status()
            .await
            .summary
            .is_some_and(|summary| summary.contains("frozen"))
    })
    .await;
    assert_eq!(rig.replicas().await, 5);
    needs_twenty(&rig).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_status_is_not_written_again_and_again() {
    let rig = Rig::new(at("2026-09-09T03:00:00Z"), 600.0, |_| 290.0).await;
    rig.deployment(3).await;
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    rig.pass(TimeDelta::minutes(10)).await;
    rig.cluster.requests().clear();
    rig.pass(TimeDelta::hours(1)).await;
    let requests = rig.cluster.requests();
    let statuses = requests
        .select(|r| r.wrote() && r.resource == "predictiveautoscalers/status")
        .len();
    let looks = requests.select(|r| r.resource == "deployments/scale").len();
    // a sign of life every five minutes makes twelve; the ticks between were silent
    assert!((8..=20).contains(&statuses), "{statuses} writes in an hour");
    assert!(looks > 100, "only {looks} ticks in an hour");
    controller.stop().await;
}
