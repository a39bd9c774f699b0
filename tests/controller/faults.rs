//! Spans in which load served was not what people wanted, in the whole controller: declared in a
//! list, or told by a query.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::Quantile;
use tipoff::series::faults::{Cause, Fault, Faults};
use tipoff::units::Timestamp;

use crate::support::at;
use crate::support::prometheus::Mood;
use crate::support::rig::{NAME, NAMESPACE, Rig, Running};

/// A Sunday.
const KICK_OFF: &str = "2026-09-13T17:00:00Z";

/// What could be served on the last two Sundays, per second.
const MOST: f64 = 700.0;

/// A game on each of six Sundays.
fn season() -> Calendar {
    (0..6)
        .map(|week| {
            let start = at(KICK_OFF) - TimeDelta::weeks(week);
            Fixture::game(format!("game-{week}"), "NFL", start)
        })
        .collect()
}

/// 300/s, and 1800/s for two hours from a game's start.
fn wanted(now: Timestamp) -> f64 {
    let since = (now - at(KICK_OFF)).num_minutes().rem_euclid(7 * 24 * 60);
    if since < 120 { 1_800.0 } else { 300.0 }
}

/// Whether more was wanted than could be served.
fn full(now: Timestamp) -> bool {
    wanted(now) > MOST && now > at(KICK_OFF) - TimeDelta::days(15)
}

fn served(now: Timestamp) -> f64 {
    if full(now) { MOST } else { wanted(now) }
}

async fn rig() -> Rig {
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(12), 300.0, served).await;
    rig.calendar("nfl", season());
    rig.deployment(3).await;
    rig
}

async fn teach(rig: &Rig, load: Value) {
    rig.policy(json!({"calendars": ["nfl"], "load": load, "forecast": {"history": "42d"}}))
        .await;
}

/// Median of the largest load of this Sunday's game.
fn peak(controller: &Running) -> Option<f64> {
    let report = controller.workloads.get(NAMESPACE, NAME)?;
    let forecast = report.observed.forecast.as_ref()?;
    let mut peaks = forecast.peaks.iter();
    let peak = peaks.find(|peak| peak.fixtures.iter().any(|f| f.0 == "game-0"))?;
    Some(peak.quantiles[Quantile::P50.index()])
}

/// The peak forecast while what was served is learnt as it stands.
async fn is_low(rig: &Rig, controller: &Running) -> f64 {
    rig.until("there is a forecast", async || peak(controller).is_some())
        .await;
    peak(controller).unwrap()
}

/// A peak is forecast that is clearly above what it was.
async fn is_higher(rig: &Rig, controller: &Running, low: f64) {
    rig.until("what was wanted is forecast", async || {
        peak(controller).is_some_and(|peak| peak > 1.25 * low)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_span_is_not_learnt_as_it_stands() {
    let rig = rig().await;
    teach(&rig, json!({"faults": ["incidents"]})).await;
    let controller = rig.controller("tipoff");
    let low = is_low(&rig, &controller).await;
    // the forecast is there, and says what it lacks
    rig.until_condition("ForecastAvailable", "True", "FaultsMissing")
        .await;

    let lost = [1, 2].map(|week| {
        let from = at(KICK_OFF) - TimeDelta::weeks(week);
        Fault {
            from,
            to: from + TimeDelta::minutes(120),
            cause: Cause::Outage,
        }
    });
    rig.fault_list("incidents", Faults::new(lost.to_vec()));
    is_higher(&rig, &controller, low).await;
    rig.until_condition("ForecastAvailable", "True", "Fresh")
        .await;

    // a list that is gone has taught what it had to
    rig.no_fault_list("incidents");
    rig.until_condition("ForecastAvailable", "True", "FaultsMissing")
        .await;
    let told = rig.clock.now() + TimeDelta::minutes(15);
    rig.until("forecasts go on", async || rig.clock.now() > told)
        .await;
    assert!(peak(&controller).unwrap() > 1.25 * low);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_at_the_most_is_the_least_that_was_wanted() {
    let rig = rig().await;
    rig.prometheus
        .gives("full", |now| if full(now) { 1.0 } else { f64::NAN });
    teach(&rig, json!({})).await;
    let controller = rig.controller("tipoff");
    let low = is_low(&rig, &controller).await;
    let saturated = json!({"saturated": {"prometheus": {"query": "full"}}});
    teach(&rig, saturated).await;
    is_higher(&rig, &controller, low).await;

    // what was read stays known, and nothing is decided on less
    rig.prometheus.answers("full", Mood::Broken);
    rig.until("the forecast says what it lacks", async || {
        let notes = rig.status().await.forecast.unwrap().notes.join("\n");
        notes.contains("when no more could be carried was not read")
    })
    .await;
    assert!(peak(&controller).unwrap() > 1.25 * low);
    rig.until_condition("LoadAvailable", "True", "Fresh").await;
    controller.stop().await;
}
