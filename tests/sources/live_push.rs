//! Live signals sent over real sockets: who may send, how much, and what becomes of each item.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use pretty_assertions::assert_eq;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tipoff::clock::{Clock as _, ManualClock, SharedClock};
use tipoff::guard::Breakers;
use tipoff::serve::{self, Metrics, Push, Readiness, Shown, Workloads};
use tipoff::settings::{Live, PrometheusSettings, PushSettings, Settings};
use tipoff::source::{Inbox, LiveSource};
use tipoff::units::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "a-token-of-some-length";
const NAME: &str = "dfs/checkout";

/// A controller's HTTP server alone, with one policy that takes pushed samples.
struct Stage {
    clock: Arc<ManualClock>,
    inbox: Inbox,
    metrics: Metrics,
    live: watch::Sender<Arc<Live>>,
    client: Client,
    base: String,
    token_file: PathBuf,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Stage {
    async fn new(change: impl FnOnce(&mut PushSettings)) -> Self {
        crate::support::install_tls();
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let mut settings = Settings::new(PrometheusSettings::new("http://p".parse().unwrap()));
        settings.push.token_file = Some(token_file.clone());
        // the flood has a test of its own
        settings.push.burst = 1_000;
        change(&mut settings.push);
        let (live, watched) = watch::channel(Arc::new(Live::fixed(settings)));
        let clock = ManualClock::new(crate::support::at("2026-09-13T17:00:00Z"));
        let metrics = Metrics::new().unwrap();
        let inbox = Inbox::new(metrics.clone());
        inbox.open(NAME, LiveSource::Push);
        let shared: SharedClock = clock.clone();
        let shown = Shown {
            breakers: Breakers::new(&shared, &watched, &metrics),
            metrics: metrics.clone(),
            readiness: Readiness::default(),
            workloads: Workloads::default(),
        };
        let push = Push::new(inbox.clone(), watched, clock.clone(), metrics.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(serve::run(listener, shown, push, stop.clone()));
        Self {
            clock,
            inbox,
            metrics,
            live,
            client: Client::new(),
            base,
            token_file,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}/api/v1/{path}", self.base))
    }

    async fn send(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.post(path).bearer_auth(TOKEN).json(body);
        answer(request.send().await.unwrap()).await
    }

    async fn samples(&self, samples: Value) -> (StatusCode, Value) {
        self.send("signals", &json!({"samples": samples})).await
    }

    /// End, as seconds after the start, and load of each sample that lies in the inbox.
    fn taken(&self) -> Vec<(f64, f64)> {
        let start = crate::support::at("2026-09-13T17:00:00Z");
        let samples = self.inbox.take(NAME, Timestamp::UNIX_EPOCH);
        let seconds = |at: Timestamp| (at - start).num_milliseconds() as f64 / 1e3;
        samples
            .iter()
            .map(|sample| (seconds(sample.to), sample.offered.as_per_second()))
            .collect()
    }

    fn counted(&self, line: &str) {
        let text = self.metrics.render().unwrap();
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

fn reasons(answer: &Value) -> Vec<(u64, &str)> {
    let errors = answer["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| {
            let reason = error["reason"].as_str().unwrap();
            (error["index"].as_u64().unwrap(), reason)
        })
        .collect()
}

#[tokio::test]
async fn counts_become_demand() {
    let stage = Stage::new(|_| {}).await;
    stage.clock.advance(TimeDelta::seconds(10));
    let (status, answer) = stage
        .samples(json!([
            {"workload": NAME, "served": 480, "shed": 20, "queued": 3},
            {"workload": NAME, "at": "2026-09-13T13:00:09-04:00", "seconds": 0.5, "served": 100},
        ]))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer, json!({"taken": 2, "refused": 0, "errors": []}));
    let samples = stage.inbox.take(NAME, Timestamp::UNIX_EPOCH);
    assert_eq!(samples[0].offered.as_per_second(), 200.0);
    assert_eq!(
        samples[0].to - samples[0].from,
        TimeDelta::milliseconds(500)
    );
    assert_eq!(samples[1].offered.as_per_second(), 500.0);
    assert_eq!(samples[1].queued, Some(3.0));
    assert_eq!(samples[1].to, stage.clock.now());
    stage.counted(r#"tipoff_live_samples_total{source="push"} 2"#);
}

#[tokio::test]
async fn what_no_load_can_be_is_not_taken() {
    let stage = Stage::new(|_| {}).await;
    stage.clock.advance(TimeDelta::seconds(10));
    let (status, answer) = stage
        .samples(json!([
            {"workload": NAME, "served": 1e300},
            {"workload": NAME, "served": 1e15, "seconds": 0.5},
            {"workload": NAME, "served": 1, "queued": 1e300},
        ]))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer["errors"].as_array().unwrap().iter();
    let messages: Vec<_> = errors
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    let offered = "offered load must be a number from 0 to 1e15 per second";
    let queued = "queued must be a number from 0 to 1e15";
    assert_eq!(messages, [offered, offered, queued]);
    assert!(stage.taken().is_empty());
}

#[tokio::test]
async fn a_wrong_item_costs_itself_only_and_says_why() {
    let stage = Stage::new(|_| {}).await;
    stage.inbox.open("dfs/scraped", LiveSource::Scrape);
    let at = |second: u32| format!("2026-09-13T17:00:{second:02}Z");
    stage.clock.advance(TimeDelta::seconds(30));
    let (status, answer) = stage
        .samples(json!([
            {"workload": NAME, "at": at(28), "served": 28},
            {"workload": NAME, "at": at(26), "served": 26},
            {"workload": NAME, "at": at(26), "served": 99},
            {"workload": NAME, "at": at(33), "served": 1},
            {"workload": NAME, "at": "2026-09-13T16:59:00Z", "served": 1},
            {"workload": NAME, "served": -1},
            {"workload": NAME, "served": -1, "shed": 5},
            {"workload": NAME, "served": 1, "seconds": 0},
            {"workload": NAME, "served": 1, "seconds": 3600},
            {"workload": NAME, "served": 1, "at": "soon"},
            {"workload": NAME, "served": "many"},
            {"workload": NAME},
            {"workload": NAME, "served": 1, "load": 2},
            {"workload": NAME, "served": 1, "at": "2026-09-13T17:00:30"},
            {"workload": "dfs/nobody", "served": 1},
            {"workload": "dfs/scraped", "served": 1},
            17,
            {"workload": NAME, "at": at(27), "served": 27},
        ]))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&answer["taken"], &answer["refused"]),
        (&json!(3), &json!(15))
    );
    assert_eq!(
        reasons(&answer),
        [
            (2, "duplicate"),
            (3, "future"),
            (4, "late"),
            (5, "invalid"),
            (6, "invalid"),
            (7, "invalid"),
            (8, "invalid"),
            (9, "malformed"),
            (10, "malformed"),
            (11, "malformed"),
            (12, "malformed"),
            (13, "malformed"),
            (14, "unknown"),
            (15, "source"),
            (16, "malformed"),
        ]
    );
    let message = |place: usize| answer["errors"][place]["message"].as_str().unwrap();
    assert!(
        message(8).starts_with("served: invalid type"),
        "{}",
        message(8)
    );
    assert!(message(11).contains("with an offset"), "{}", message(11));
    assert!(message(12).contains("set its load.live"), "{}", message(12));
    // in the order of their time, however they were sent
    assert_eq!(stage.taken(), [(26.0, 26.0), (27.0, 27.0), (28.0, 28.0)]);
    // what was decided on is not taken back
    let late = json!([{"workload": NAME, "at": at(28), "served": 28}]);
    let (status, answer) = stage.samples(late).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reasons(&answer), [(0, "late")]);
    stage.counted(r#"tipoff_live_refused_total{reason="late"} 2"#);
    stage.counted(r#"tipoff_live_refused_total{reason="malformed"} 6"#);
}

#[tokio::test]
async fn only_who_shows_the_token_may_send() {
    let stage = Stage::new(|_| {}).await;
    let body = json!({"samples": [{"workload": NAME, "served": 1}]});
    for path in ["signals", "hints"] {
        let bare = stage.post(path).json(&body).send().await.unwrap();
        assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(bare.headers()["www-authenticate"], "Bearer");
        let wrong = stage
            .post(path)
            .bearer_auth("another-token-of-length")
            .json(&body);
        assert_eq!(
            wrong.send().await.unwrap().status(),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(stage.taken(), []);
    stage.counted(r#"tipoff_live_refused_total{reason="unauthorized"} 4"#);

    // rotated: for a while both are right, then the new one only
    let with = async |token: &str| {
        let request = stage.post("signals").bearer_auth(token).json(&body);
        request.send().await.unwrap().status()
    };
    let new = "a-new-token-of-some-length";
    std::fs::write(&stage.token_file, format!("{TOKEN}\n{new}\n")).unwrap();
    assert_eq!(with(TOKEN).await, StatusCode::OK);
    stage.clock.advance(TimeDelta::seconds(1));
    assert_eq!(with(new).await, StatusCode::OK);
    std::fs::write(&stage.token_file, new).unwrap();
    assert_eq!(with(TOKEN).await, StatusCode::UNAUTHORIZED);
    // a secret that went away lets nobody in
    std::fs::remove_file(&stage.token_file).unwrap();
    assert_eq!(with(new).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn without_a_token_file_nothing_is_taken_and_the_remedy_is_said() {
    let stage = Stage::new(|push| push.token_file = None).await;
    let (status, answer) = stage
        .samples(json!([{"workload": NAME, "served": 1}]))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let message = answer["error"].as_str().unwrap();
    assert!(message.contains("push.tokenFile"), "{message}");
    // switched on while it runs, as a changed settings file does
    stage.live.send_modify(|live| {
        let mut changed = live.as_ref().clone();
        changed.settings.push.token_file = Some(stage.token_file.clone());
        *live = Arc::new(changed);
    });
    let (status, _) = stage
        .samples(json!([{"workload": NAME, "served": 1}]))
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_flood_is_held_off_and_told_when_to_come_back() {
    let stage = Stage::new(|push| {
        push.burst = 5;
        push.requests_per_second = 0.5;
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        stage.clock.advance(TimeDelta::milliseconds(10));
        let (status, _) = stage
            .samples(json!([{"workload": NAME, "served": 1}]))
            .await;
        statuses.push(status);
    }
    assert_eq!(statuses[..5], [StatusCode::OK; 5]);
    assert_eq!(statuses[5..], [StatusCode::TOO_MANY_REQUESTS; 15]);
    let bare = stage.post("hints").send().await.unwrap();
    assert_eq!(
        bare.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "guesses are held off too"
    );
    assert_eq!(bare.headers()["retry-after"], "2");
    assert_eq!(stage.taken().len(), 5);
    // what is shown is not held off, and later all is well
    let health = stage.client.get(format!("{}/healthz", stage.base)).send();
    assert_eq!(health.await.unwrap().status(), StatusCode::OK);
    stage.clock.advance(TimeDelta::seconds(2));
    let (status, _) = stage
        .samples(json!([{"workload": NAME, "served": 1}]))
        .await;
    assert_eq!(status, StatusCode::OK);
    stage.counted(r#"tipoff_live_refused_total{reason="flood"} 16"#);
}

#[tokio::test]
async fn a_flood_of_samples_stays_within_bounds() {
    let stage = Stage::new(|_| {}).await;
    let mut accepted = 0;
    for round in 0..10 {
        let samples: Vec<Value> = (0..1_000)
            .map(|n| {
                let at = stage.clock.now() - TimeDelta::milliseconds(n * 10 + round);
                json!({"workload": NAME, "served": 1, "at": at.to_rfc3339()})
            })
            .collect();
        let (status, answer) = stage.samples(json!(samples)).await;
        assert_eq!(status, StatusCode::OK);
        accepted += answer["taken"].as_u64().unwrap();
    }
    assert_eq!(accepted, 10_000);
    assert_eq!(stage.taken().len(), tipoff::source::live::MOST_SAMPLES);
}

#[tokio::test]
async fn bodies_have_bounds() {
    let stage = Stage::new(|push| {
        push.max_body_bytes = 2_000;
        push.max_items = 10;
    })
    .await;
    let many = |n: usize| vec![json!({"workload": NAME, "served": 1}); n];
    let (status, answer) = stage.samples(json!(many(11))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer["error"].as_str().unwrap().contains("push.maxItems"));
    let (status, answer) = stage.samples(json!(many(100))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("push.maxBodyBytes")
    );
    assert_eq!(stage.taken(), []);

    for (body, kind, status) in [
        ("samples", "application/json", StatusCode::BAD_REQUEST),
        (
            "{\"samples\": 1}",
            "application/json",
            StatusCode::BAD_REQUEST,
        ),
        (
            "{\"signals\": []}",
            "application/json",
            StatusCode::BAD_REQUEST,
        ),
        (
            "{\"samples\": [], \"x\": []}",
            "application/json",
            StatusCode::BAD_REQUEST,
        ),
        (
            "{\"samples\": []}",
            "text/plain",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "{\"samples\": []}",
            "application/json; charset=utf-8",
            StatusCode::OK,
        ),
    ] {
        let request = stage.post("signals").bearer_auth(TOKEN);
        let request = request.header("content-type", kind).body(body);
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "{body} {kind}"
        );
    }
    let get = stage.client.get(format!("{}/api/v1/signals", stage.base));
    assert_eq!(
        get.send().await.unwrap().status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn hints_tell_of_spikes_to_come() {
    let stage = Stage::new(|_| {}).await;
    stage.inbox.open("dfs/scraped", LiveSource::Scrape);
    let (status, answer) = stage
        .send(
            "hints",
            &json!({"hints": [
                {"workload": NAME, "kind": "touchdown"},
                {"workload": "dfs/scraped", "kind": "push", "multiple": 4, "seconds": 30,
                 "at": "2026-09-13T16:59:58Z"},
                {"workload": NAME, "kind": "touchdown"},
                {"workload": NAME, "kind": "field goal", "multiple": 0.1},
                {"workload": NAME, "kind": "old", "seconds": 10, "at": "2026-09-13T16:59:00Z"},
                {"workload": "dfs/nobody", "kind": "touchdown"},
                {"workload": NAME},
            ]}),
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        reasons(&answer),
        [
            (2, "duplicate"),
            (3, "hint"),
            (4, "late"),
            (5, "unknown"),
            (6, "malformed")
        ]
    );
    let now = stage.clock.now();
    let hints = stage.inbox.hints(NAME, now);
    assert_eq!(hints.len(), 1);
    assert_eq!(
        (hints[0].multiple, hints[0].until - hints[0].at),
        (None, TimeDelta::minutes(2))
    );
    let hints = stage.inbox.hints("dfs/scraped", now);
    assert_eq!(hints[0].multiple, Some(4.0));
    assert_eq!(hints[0].until, now + TimeDelta::seconds(28));
}
