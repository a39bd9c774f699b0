//! The whole controller on the embedded cluster: what it decides, writes and says.

mod support;

use chrono::TimeDelta;
use serde_json::json;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::units::Timestamp;

use support::at;
use support::rig::Rig;

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
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(3), 300.0, game_day).await;
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
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(1), 300.0, game_day).await;
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
    rig.pass(TimeDelta::hours(4)).await;
    assert_eq!(rig.replicas().await, 3);
    assert_eq!(rig.scale_writes("tipoff"), 0);
    controller.stop().await;
}
