//! What is shown, asked for as a client would.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use http_body_util::BodyExt as _;
use pretty_assertions::assert_eq;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::metrics::{Reloaded, WorkloadSample, WriteOutcome};
use super::*;
use crate::breaker::{Failure, Outcome};
use crate::clock::{ManualClock, SharedClock, SystemClock};
use crate::fixture::Fixture;
use crate::forecast::{Coverage, Forecast};
use crate::guard::{Guarded, Refusal};
use crate::plan::{
    BridgesSeen, BurstSight, Memory, Mode, Observed, Plan, Policy, Signal, Workload, plan,
};
use crate::settings::{Live, PrometheusSettings, Settings};
use crate::source::Inbox;
use crate::units::{Rate, Timestamp};

fn noon() -> Timestamp {
    "2026-09-13T12:00:00Z".parse().unwrap()
}

/// A workload at 300/s with four replicas of 100/s, an hour before a game.
fn decided() -> (Observed, Plan) {
    let path: Vec<f64> = (0..120)
        .map(|i| if i < 60 { 300.0 } else { 900.0 })
        .collect();
    let start = noon() + TimeDelta::hours(1);
    let observed = Observed {
        workload: Workload {
            replicas: 4,
            ready: 4,
        },
        load: Signal::Sample {
            rate: Rate::per_second(300.0),
            at: noon(),
        },
        shed: None,
        queued: None,
        burst: BurstSight::default(),
        forecast: Some(Arc::new(Forecast {
            origin: noon(),
            start: noon(),
            step: TimeDelta::minutes(1),
            paths: [path.clone(), path.clone(), path.clone(), path],
            model: "flat".into(),
            notes: vec![],
            peaks: Vec::new(),
        })),
        forecast_note: None,
        calendar: Arc::new(
            [Fixture::game("opener", "NFL", start)]
                .into_iter()
                .collect(),
        ),
        lists_note: None,
        manual: None,
        bridges: BridgesSeen::default(),
    };
    let mut policy = Policy::new(2, 40).unwrap();
    policy.per_replica = Some(Rate::per_second(100.0));
    let plan = plan(&observed, &policy, &Memory::default(), noon());
    (observed, plan)
}

fn shown() -> Shown {
    let metrics = Metrics::new().unwrap();
    let clock: SharedClock = ManualClock::new(noon());
    let settings = Settings::new(PrometheusSettings::new("http://p".parse().unwrap()));
    let (_, live) = watch::channel(Arc::new(Live::fixed(settings)));
    Shown {
        breakers: Breakers::new(&clock, &live, &metrics),
        metrics,
        readiness: Readiness::default(),
        workloads: Workloads::default(),
    }
}

/// Takes nothing, for no settings say that it may.
fn push() -> Push {
    let metrics = Metrics::new().unwrap();
    let prometheus = PrometheusSettings::new("http://prometheus".parse().unwrap());
    let live = Live::fixed(Settings::new(prometheus));
    let (_, live) = watch::channel(Arc::new(live));
    let inbox = Inbox::new(metrics.clone());
    Push::new(inbox, live, SystemClock::shared(), metrics)
}

fn with_workload() -> Shown {
    let shown = shown();
    let (observed, plan) = decided();
    shown.metrics.workload(WorkloadSample {
        standing: Some(&standing()),
        ..sample(&plan)
    });
    shown.metrics.live_age("dfs", "contest-entry", Some(1.5));
    shown.workloads.put(Report {
        namespace: "dfs".into(),
        name: "contest-entry".into(),
        target: "Deployment/contest-entry".into(),
        mode: Mode::Recommend,
        observed: Facts::new(&observed, noon()),
        standing: Some(Arc::new(standing())),
        plan,
        refused: None,
        unwritten: None,
        undecided: None,
    });
    shown
}

fn sample(plan: &Plan) -> WorkloadSample<'_> {
    WorkloadSample {
        namespace: "dfs",
        name: "contest-entry",
        plan,
        replicas: 4,
        ready: 4,
        standing: None,
        problems: plan.problems.len(),
    }
}

/// A forecaster of which four weeks are known, with entries of three slates.
fn standing() -> Standing {
    let row = |kind: &str, up_to_minutes: u32, p95: f64| Coverage {
        kind: kind.to_owned(),
        up_to_minutes,
        points: 200,
        covered: [0.9, p95, 0.99],
        width: 1.4,
    };
    Standing {
        coverage: vec![row("calm", 60, 0.96), row("event", 240, 0.945)],
        entries_slates: Some(3),
        ..Standing::default()
    }
}

async fn ask(shown: &Shown, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = routes(shown.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask_json(shown: &Shown, path: &str) -> (StatusCode, Value) {
    let (status, body) = ask(shown, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn healthy_is_not_ready() {
    let shown = Shown {
        readiness: Readiness::waiting_for(["crd", "cache"]),
        ..shown()
    };
    assert_eq!(ask(&shown, "/healthz").await.0, StatusCode::OK);
    shown.readiness.wait(
        "crd",
        "PredictiveAutoscaler is not installed: run tipoff crds",
    );
    let (status, body) = ask(&shown, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    insta::assert_snapshot!(body, @r"
    cache: not there yet
    crd: PredictiveAutoscaler is not installed: run tipoff crds
    ");
    shown.readiness.done("cache");
    shown.readiness.done("crd");
    assert_eq!(
        ask(&shown, "/readyz").await,
        (StatusCode::OK, "ok\n".to_owned())
    );
    shown.readiness.wait("crd", "gone");
    assert_eq!(
        ask(&shown, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn what_is_not_decided_any_more_says_since_when_and_leaves_the_gauges() {
    let shown = with_workload();
    let gone = "Deployment/contest-entry was not found";
    for seconds in [0, 15] {
        let now = noon() + TimeDelta::seconds(seconds);
        shown.workloads.undecided("dfs", "contest-entry", now, gone);
    }
    shown.metrics.undecided("dfs", "contest-entry");
    let (_, list) = ask_json(&shown, "/api/v1/workloads").await;
    let summary = list["items"][0]["summary"].as_str().unwrap();
    assert!(
        summary.ends_with(gone) && summary.contains("12:00:00 UTC"),
        "{summary}"
    );
    assert_eq!(list["items"][0]["problems"], 1);
    let (_, report) = ask_json(&shown, "/api/v1/workloads/dfs/contest-entry").await;
    assert_eq!(report["undecided"]["reason"], gone);
    let (_, metrics) = ask(&shown, "/metrics").await;
    let of_it = |metric: &str| {
        let line = metrics.lines().find(|line| line.starts_with(metric));
        line.map(str::to_owned)
    };
    assert_eq!(of_it("tipoff_workload_headroom_ratio{"), None);
    let problems = of_it("tipoff_workload_problems{").unwrap();
    assert!(problems.ends_with(" 1"), "{problems}");
}

#[tokio::test]
async fn what_was_never_decided_is_listed_with_its_problem() {
    let shown = with_workload();
    let refused = "spec.maxReplicas must not be below spec.minReplicas";
    for seconds in [0, 15] {
        let now = noon() + TimeDelta::seconds(seconds);
        shown.workloads.undecided("dfs", "lobby", now, refused);
    }
    let (_, list) = ask_json(&shown, "/api/v1/workloads").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let item = &list["items"][1];
    assert_eq!(
        (&item["name"], &item["problems"]),
        (&json!("lobby"), &json!(1))
    );
    assert_eq!(
        (&item["desired"], &item["at"]),
        (&Value::Null, &Value::Null)
    );
    let why = format!("nothing decided since 2026-09-13 12:00:00 UTC: {refused}");
    assert_eq!(item["summary"], why);

    let (status, answer) = ask(&shown, "/api/v1/workloads/dfs/lobby").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(answer.contains(refused), "{answer}");
    shown.workloads.remove("dfs", "lobby");
    let (_, list) = ask_json(&shown, "/api/v1/workloads").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_list_has_the_sentence_and_the_detail_has_everything() {
    let shown = with_workload();
    let (status, list) = ask_json(&shown, "/api/v1/workloads").await;
    assert_eq!(status, StatusCode::OK);
    let item = &list["items"][0];
    assert_eq!(item["name"], "contest-entry");
    assert_eq!(item["current"], 4);
    assert!(
        item["summary"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );

    let (status, report) = ask_json(&shown, "/api/v1/workloads/dfs/contest-entry").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(report["mode"], "Recommend");
    assert_eq!(report["observed"]["workload"]["ready"], 4);
    assert_eq!(report["observed"]["load"]["sample"]["rate"], 300.0);
    assert_eq!(report["observed"]["forecast"]["model"], "flat");
    assert_eq!(report["observed"]["calendar"]["fixtures"], 1);
    assert_eq!(report["standing"]["entriesSlates"], 3);
    assert_eq!(report["standing"]["coverage"][1]["kind"], "event");
    // what is shown is enough to make the decision again
    let plan: Plan = serde_json::from_value(report["plan"].clone()).unwrap();
    assert_eq!(plan, decided().1);
}

/// A call that fails.
#[derive(Debug)]
struct Down;

impl From<Refusal> for Down {
    fn from(_: Refusal) -> Self {
        Self
    }
}

impl Guarded for Down {
    fn outcome(&self) -> Outcome {
        Outcome::Failed(Failure {
            kind: "down",
            text: "it is down".to_owned(),
        })
    }
}

#[tokio::test]
async fn an_open_breaker_is_shown_with_its_reason_and_its_limits() {
    let shown = shown();
    for _ in 0..5 {
        let call = async { Err::<(), _>(Down) };
        shown
            .breakers
            .live
            .call("http://p/", call)
            .await
            .unwrap_err();
    }
    let (status, body) = ask_json(&shown, "/api/v1/breakers").await;
    assert_eq!(status, StatusCode::OK);
    let commands: Vec<_> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["command"].as_str().unwrap())
        .collect();
    assert_eq!(
        commands,
        [
            "live",
            "history",
            "read",
            "write",
            "report",
            "live_query",
            "history_query"
        ]
    );
    insta::assert_json_snapshot!(body["items"][0], @r#"
    {
      "breakers": [
        {
          "calls": 3,
          "failed": 3,
          "inFlight": 0,
          "key": "http://p/",
          "lastError": "it is down",
          "openSince": "2026-09-13T12:00:00Z",
          "state": "open",
          "triesAgainAt": "2026-09-13T12:00:05Z"
        }
      ],
      "command": "live",
      "limits": {
        "failurePercentage": 50,
        "maxConcurrent": 60,
        "minimumVolume": 3,
        "sleepWindow": 5.0,
        "timeout": 4.0,
        "window": 10.0,
        "windows": 3
      },
      "resource": "prometheus"
    }
    "#);
    let (_, text) = ask(&shown, "/metrics").await;
    for line in [
        r#"tipoff_breaker_state{command="live",resource="prometheus"} 2"#,
        r#"tipoff_breaker_state{command="write",resource="kubernetes"} 0"#,
        r#"tipoff_breaker_calls_total{command="live",outcome="failed",resource="prometheus"} 3"#,
        r#"tipoff_breaker_refused_total{command="live",reason="open",resource="prometheus"} 2"#,
        r#"tipoff_breaker_refused_total{command="live",reason="busy",resource="prometheus"} 0"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_with_the_way_to_what_is() {
    let shown = with_workload();
    for path in ["/api/v1/workloads/dfs/nobody", "/nowhere"] {
        let (status, body) = ask_json(&shown, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(body["error"].is_string());
    }
    shown.workloads.remove("dfs", "contest-entry");
    let (_, list) = ask_json(&shown, "/api/v1/workloads").await;
    assert_eq!(list["items"], serde_json::json!([]));
}

#[tokio::test]
async fn metrics_show_the_workload_and_forget_it_when_it_is_gone() {
    let shown = with_workload();
    let (_, text) = ask(&shown, "/metrics").await;
    let labels = r#"{name="contest-entry",namespace="dfs"}"#;
    for line in [
        format!("tipoff_workload_load{labels} 300"),
        format!("tipoff_workload_ready_replicas{labels} 4"),
        format!("tipoff_workload_live_age_seconds{labels} 1.5"),
        r#"tipoff_live_samples_total{source="scrape"} 0"#.to_owned(),
        r#"tipoff_live_refused_total{reason="unauthorized"} 0"#.to_owned(),
        r#"tipoff_scrape_errors_total{kind="reset"} 0"#.to_owned(),
        r#"tipoff_decisions_total{decision="hold"} 0"#.to_owned(),
        r#"tipoff_writes_total{outcome="dropped"} 0"#.to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    shown.metrics.forget_workload("dfs", "contest-entry");
    let (_, text) = ask(&shown, "/metrics").await;
    assert!(!text.contains("contest-entry"), "{text}");
}

#[test]
fn how_good_the_forecasts_were_is_shown_and_forgotten_cell_by_cell() {
    let metrics = Metrics::new().unwrap();
    let (_, plan) = decided();
    let mut standing = standing();
    let show = |standing: Option<&Standing>| {
        metrics.workload(WorkloadSample {
            standing,
            ..sample(&plan)
        });
        let text = metrics.render().unwrap();
        let lines = text.lines().filter(|l| l.starts_with("tipoff_forecast_"));
        lines.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(show(Some(&standing)), @r#"
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p90",up_to_minutes="60"} 0.9
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p95",up_to_minutes="60"} 0.96
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p99",up_to_minutes="60"} 0.99
    tipoff_forecast_coverage{kind="event",name="contest-entry",namespace="dfs",quantile="p90",up_to_minutes="240"} 0.9
    tipoff_forecast_coverage{kind="event",name="contest-entry",namespace="dfs",quantile="p95",up_to_minutes="240"} 0.945
    tipoff_forecast_coverage{kind="event",name="contest-entry",namespace="dfs",quantile="p99",up_to_minutes="240"} 0.99
    tipoff_forecast_entries_slates{name="contest-entry",namespace="dfs"} 3
    tipoff_forecast_trusted{name="contest-entry",namespace="dfs"} 1
    "#);
    // four weeks later nothing is left of the event, the model has failed, entries are gone
    standing.coverage.pop();
    standing.fallback = Some("a week ago predicted better".to_owned());
    standing.entries_slates = None;
    insta::assert_snapshot!(show(Some(&standing)), @r#"
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p90",up_to_minutes="60"} 0.9
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p95",up_to_minutes="60"} 0.96
    tipoff_forecast_coverage{kind="calm",name="contest-entry",namespace="dfs",quantile="p99",up_to_minutes="60"} 0.99
    tipoff_forecast_trusted{name="contest-entry",namespace="dfs"} 0
    "#);
    assert_eq!(show(None), "");
}

#[test]
fn a_load_that_is_not_known_is_not_shown_as_a_number() {
    let metrics = Metrics::new().unwrap();
    let (_, mut plan) = decided();
    metrics.workload(sample(&plan));
    assert!(metrics.render().unwrap().contains("tipoff_workload_load{"));
    plan.offered = None;
    plan.headroom = None;
    plan.peak = None;
    metrics.workload(sample(&plan));
    let text = metrics.render().unwrap();
    for gauge in [
        "load{",
        "headroom_ratio{",
        "forecast_peak_load{",
        "forecast_peak_replicas{",
    ] {
        assert!(
            !text.contains(&format!("tipoff_workload_{gauge}")),
            "{gauge}\n{text}"
        );
    }
}

#[test]
fn every_counter_counts() {
    let metrics = Metrics::new().unwrap();
    metrics.write(WriteOutcome::Failed);
    metrics.reload(Reloaded::Calendar, false);
    metrics.source_error("timeout");
    metrics.fit(0.5);
    metrics.fit_failed();
    metrics.leader("tipoff-system/tipoff", true);
    metrics.settings_problems(3);
    metrics.tick_late(2.5);
    let text = metrics.render().unwrap();
    for line in [
        r#"tipoff_writes_total{outcome="failed"} 1"#,
        r#"tipoff_reloads_total{outcome="refused",what="calendar"} 1"#,
        r#"tipoff_source_errors_total{kind="timeout"} 1"#,
        "tipoff_fit_duration_seconds_count 1",
        "tipoff_fit_failures_total 1",
        r#"tipoff_leader{lease="tipoff-system/tipoff"} 1"#,
        "tipoff_settings_problems 3",
        "tipoff_ticks_late_total 1",
        "tipoff_tick_lateness_seconds 2.5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_alerting_rules_name_metrics_that_exist() {
    let shown = with_workload();
    shown.metrics.source_error("timeout");
    shown.metrics.leader("tipoff-system/tipoff", true);
    let text = shown.metrics.render().unwrap();
    let known: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus/rules.yaml");
    let rules = std::fs::read_to_string(path).unwrap();
    let named: BTreeSet<&str> = rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("tipoff_"))
        .collect();
    assert!(named.len() >= 6, "{named:?}");
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "{unknown:?} are in the rules and not in {known:?}"
    );
}

#[tokio::test]
async fn it_serves_until_it_is_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(run(listener, shown(), push(), stop.clone()));
    // a plain client: no TLS provider is needed to speak HTTP
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}
