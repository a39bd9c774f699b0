//! Contest entries and shed load in the whole controller: what they do to a forecast, and what
//! becomes of it when they fail.

use std::sync::{Arc, LazyLock};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::{Forecast, Quantile};
use tipoff::units::Timestamp;

use crate::support::at;
use crate::support::prometheus::{Loads, Mood};
use crate::support::rig::{NAME, NAMESPACE, Rig, Running};

/// A Sunday.
const KICK_OFF: &str = "2026-09-13T17:00:00Z";

/// How long a slate is on sale before it locks.
const SALE: TimeDelta = TimeDelta::days(3);

/// Entries per second of an ordinary slate.
const PACE: f64 = 0.1;

/// Games of the last five Sundays and of this one, early and late, each its own slate.
static SEASON: LazyLock<Calendar> = LazyLock::new(|| {
    (0..6)
        .flat_map(|week| {
            ["early", "late"]
                .into_iter()
                .enumerate()
                .map(move |(place, time)| {
                    let start = at(KICK_OFF) - TimeDelta::weeks(week);
                    let start = start + TimeDelta::minutes(225) * place as i32;
                    let mut game = Fixture::game(format!("{time}-{week}"), "NFL", start);
                    game.slate = Some(game.id.to_string());
                    game
                })
        })
        .collect()
});

/// How large the crowds of past weeks were, early and late, the latest week first.
const CROWDS: [(f64, f64); 6] = [
    (1.0, 1.0),
    (0.6, 1.4),
    (1.6, 0.7),
    (0.8, 1.6),
    (1.4, 0.6),
    (1.0, 1.1),
];

/// How large the crowd of a game is, as its entries tell.
fn crowd(game: &Fixture) -> f64 {
    let week = (at(KICK_OFF) + TimeDelta::days(1) - game.start.at).num_weeks();
    let (early, late) = CROWDS[week as usize];
    let is_early = game.id.0.starts_with("early");
    if is_early { early } else { late }
}

/// 300/s, and a crowd of about 1500/s more from a game's start for two hours.
fn game_day(now: Timestamp) -> f64 {
    let playing = SEASON
        .iter()
        .filter(|game| now >= game.start.at && now < game.start.at + TimeDelta::hours(2));
    300.0 + playing.map(|game| 1500.0 * crowd(game)).sum::<f64>()
}

/// Entries of every slate; the early one of this Sunday sells `times` as fast as usual.
fn entries(label: &'static str, times: f64) -> Loads {
    SEASON
        .iter()
        .map(|game| {
            let lock = game.start.at;
            let this = lock == at(KICK_OFF);
            let pace = PACE * if this { times } else { crowd(game) };
            let rate = move |now: Timestamp| {
                let on_sale = now > lock - SALE && now <= lock;
                if on_sale { pace } else { f64::NAN }
            };
            (json!({label: game.id, "job": "contests"}), load(rate))
        })
        .collect()
}

fn load(of: impl Fn(Timestamp) -> f64 + Send + Sync + 'static) -> crate::support::prometheus::Load {
    Arc::new(of)
}

/// A policy for the season with these entries.
async fn teach(rig: &Rig, entries: Value) {
    rig.policy(json!({"calendars": ["nfl"], "entries": entries}))
        .await;
}

fn query(query: &str) -> Value {
    json!({"prometheus": {"query": query}})
}

async fn rig(factor: f64) -> Rig {
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(12), factor, game_day).await;
    rig.calendar("nfl", SEASON.clone());
    rig.deployment(3).await;
    rig
}

fn forecast(controller: &Running) -> Option<Arc<Forecast>> {
    let report = controller.workloads.get(NAMESPACE, NAME)?;
    report.observed.forecast.clone()
}

/// Medians of the largest load of this Sunday's two windows.
fn peaks(controller: &Running) -> Option<(f64, f64)> {
    let forecast = forecast(controller)?;
    let of = |id: &str| {
        let mut peaks = forecast.peaks.iter();
        let peak = peaks.find(|peak| peak.fixtures.iter().any(|f| f.0 == id))?;
        Some(peak.quantiles[Quantile::P50.index()])
    };
    Some((of("early-0")?, of("late-0")?))
}

/// Waits until the early peak over the late one is as expected.
async fn until_ratio(rig: &Rig, controller: &Running, what: &str, so: impl Fn(f64) -> bool) {
    rig.until(what, async || {
        peaks(controller).is_some_and(|(early, late)| so(early / late))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_move_the_forecast_of_their_own_slate() {
    let rig = rig(60.0).await;
    rig.prometheus.gives_series("fast", entries("slate", 6.0));
    rig.prometheus
        .gives_series("slow", entries("contest_slate", 0.15));
    // sold out at a tenth of what an ordinary slate takes
    let places = |_: Timestamp| PACE * SALE.num_seconds() as f64 * 0.1;
    rig.prometheus.gives_series(
        "places",
        vec![(json!({"contest_slate": "early-0"}), load(places))],
    );
    teach(&rig, Value::Null).await;
    let controller = rig.controller("tipoff");
    let labels = format!("{{name=\"{NAME}\",namespace=\"{NAMESPACE}\"}}");
    let shown = |line: &str| controller.metrics.render().unwrap().contains(line);
    let alike = |ratio: f64| (0.9..1.1).contains(&ratio);
    until_ratio(&rig, &controller, "the calendar speaks", alike).await;
    let (early, late) = peaks(&controller).unwrap();
    let by_calendar = early / late;
    assert!(
        !shown("tipoff_forecast_entries_slates{"),
        "no entries are asked for"
    );
    assert!(shown(&format!("tipoff_forecast_trusted{labels} 1")));

    teach(&rig, query("fast")).await;
    until_ratio(
        &rig,
        &controller,
        "a fast slate is expected to be larger",
        |r| r > 1.25,
    )
    .await;
    rig.until_condition("ForecastAvailable", "True", "Fresh")
        .await;
    rig.until("two slates are on sale", async || {
        shown(&format!("tipoff_forecast_entries_slates{labels} 2"))
    })
    .await;

    let mut slow = query("slow");
    slow["slateLabel"] = json!("contest_slate");
    teach(&rig, slow.clone()).await;
    until_ratio(
        &rig,
        &controller,
        "a slow slate is expected to be smaller",
        |r| r < 0.8,
    )
    .await;

    slow["spots"] = query("places");
    teach(&rig, slow).await;
    until_ratio(&rig, &controller, "a full slate is not a slow one", |r| {
        r > 0.95 * by_calendar
    })
    .await;

    let status = rig.status().await.forecast.unwrap();
    assert_eq!(status.model, "event-response");
    let coverage = status.coverage.unwrap();
    assert!(coverage.starts_with("p95 held "), "{coverage}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_fail_leave_the_calendar_and_the_load_alone() {
    let rig = rig(300.0).await;
    rig.prometheus.gives_series("fast", entries("slate", 6.0));
    teach(&rig, query("fast")).await;
    let controller = rig.controller("tipoff");
    until_ratio(&rig, &controller, "entries speak", |r| r > 1.25).await;

    rig.prometheus.answers("fast", Mood::Broken);
    rig.until_condition("ForecastAvailable", "True", "EntriesMissing")
        .await;
    let (_, _, message) = rig.condition("ForecastAvailable").await.unwrap();
    assert!(
        message.contains("entries were not read") && message.contains("HTTP 500"),
        "{message}"
    );
    let metrics = controller.metrics.render().unwrap();
    assert!(
        metrics.contains("tipoff_source_errors_total{kind=\"http_5xx\"}"),
        "{metrics}"
    );
    // the last minutes of what is known still count, but not for long
    let alike = |ratio: f64| (0.9..1.1).contains(&ratio);
    until_ratio(&rig, &controller, "the calendar alone speaks", alike).await;
    rig.until("the status says so", async || {
        let notes = rig.status().await.forecast.unwrap().notes.join("\n");
        notes.contains("entries were not read") && notes.contains("calendar alone does")
    })
    .await;
    rig.until_condition("LoadAvailable", "True", "Fresh").await;
    rig.until_condition("Ready", "True", "Complete").await;
    let age = rig.clock.now() - forecast(&controller).unwrap().origin;
    assert!(age < TimeDelta::minutes(30), "forecasts go on: {age}");

    rig.prometheus.answers("fast", Mood::Well);
    until_ratio(&rig, &controller, "entries speak again", |r| r > 1.25).await;
    rig.until_condition("ForecastAvailable", "True", "Fresh")
        .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_cannot_be_read_are_told_with_the_remedy() {
    let rig = rig(60.0).await;
    // since the night only, so that an answer of so many series is made in time
    let since = at(KICK_OFF) - TimeDelta::hours(15);
    let rate = move |now: Timestamp| if now > since { PACE } else { f64::NAN };
    let slate = |labels: Value| (labels, load(rate));
    let many = (0..201).map(|n| slate(json!({"slate": n.to_string()})));
    rig.prometheus.gives_series("many", many.collect());
    let pods = ["a", "b"].map(|pod| slate(json!({"slate": "early-0", "pod": pod})));
    rig.prometheus.gives_series("twice", pods.into());
    rig.prometheus.gives_series("nan", entries("slate", 1.0));
    rig.prometheus.answers("nan", Mood::NotANumber);
    rig.prometheus.gives_series("bad", entries("slate", 1.0));
    rig.prometheus.answers("bad", Mood::BadQuery);
    teach(&rig, query("many")).await;
    let controller = rig.controller("tipoff");
    for (name, remedy) in [
        ("many", "at most 200 are kept apart: aggregate them"),
        ("twice", "several series with slate=\"early-0\""),
        ("nan", "\"nan\" has given no number yet"),
        ("nothing", "\"nothing\" has given no number yet"),
        ("bad", "parse error"),
    ] {
        teach(&rig, query(name)).await;
        rig.until(&format!("{name} is told"), async || {
            let condition = rig.condition("ForecastAvailable").await;
            condition.is_some_and(|(status, reason, message)| {
                status == "True" && reason == "EntriesMissing" && message.contains(remedy)
            })
        })
        .await;
        rig.until_condition("Ready", "True", "Complete").await;
    }
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shed_is_learnt_as_wanted() {
    // a thousand a second is all that is served
    let served = |now: Timestamp| game_day(now).min(1_000.0);
    let rig = Rig::new(at(KICK_OFF) - TimeDelta::hours(12), 300.0, served).await;
    rig.calendar("nfl", SEASON.clone());
    rig.prometheus
        .gives("shed", move |now| game_day(now) - served(now));
    rig.deployment(3).await;
    let policy = |shed: Value| json!({"calendars": ["nfl"], "load": {"shed": shed}});
    rig.policy(policy(Value::Null)).await;
    let controller = rig.controller("tipoff");
    rig.until("what is served is forecast", async || {
        peaks(&controller).is_some_and(|(early, _)| (800.0..1_200.0).contains(&early))
    })
    .await;
    rig.policy(policy(query("shed"))).await;
    rig.until("what is wanted is forecast", async || {
        peaks(&controller).is_some_and(|(early, _)| early > 1_500.0)
    })
    .await;

    // it is missing from the decision, but forecasts go on
    rig.prometheus.answers("shed", Mood::Broken);
    rig.until_condition("LoadAvailable", "False", "Http5xx")
        .await;
    rig.until("the forecast says what it lacks", async || {
        let notes = rig.status().await.forecast.unwrap().notes.join("\n");
        notes.contains("shed load was not read")
    })
    .await;
    let told = rig.clock.now();
    rig.until("it is made again", async || {
        forecast(&controller).is_some_and(|forecast| forecast.origin > told)
    })
    .await;
    assert!(peaks(&controller).unwrap().0 > 1_500.0);
    rig.until_condition("ForecastAvailable", "True", "Fresh")
        .await;
    controller.stop().await;
}
