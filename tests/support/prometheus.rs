//! A Prometheus over real HTTP whose loads are functions of time, and which can be told to fail
//! in each way a real one does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tipoff::settings::PrometheusSettings;
use tipoff::units::Timestamp;
use tokio::net::TcpListener;

/// Load at a time, units per second.
pub type Load = Arc<dyn Fn(Timestamp) -> f64 + Send + Sync>;

/// Loads by the labels of their series. A load that is NaN at a time has no sample there.
pub type Loads = Vec<(Value, Load)>;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// Not at all: the connection is closed.
    Down,
    /// After half a minute.
    Slow,
    /// With no series.
    Empty,
    /// With NaN.
    NotANumber,
    /// With HTTP 500.
    Broken,
    /// With an error of the query.
    BadQuery,
}

#[derive(Clone)]
struct Shared {
    mood: Arc<Mutex<Mood>>,
    /// Moods of single queries.
    moods: Arc<Mutex<HashMap<String, Mood>>>,
    loads: Arc<Mutex<HashMap<String, Loads>>>,
}

/// A running one; it ends with the test's runtime.
pub struct FakePrometheus {
    shared: Shared,
    url: String,
}

impl FakePrometheus {
    /// Starts one on a free port. The query `load` gives `load`.
    pub async fn start(load: impl Fn(Timestamp) -> f64 + Send + Sync + 'static) -> Self {
        let shared = Shared {
            mood: Arc::new(Mutex::new(Mood::Well)),
            moods: Arc::default(),
            loads: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/api/v1/query", post(instant))
            .route("/api/v1/query_range", post(range))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let prometheus = Self { shared, url };
        prometheus.gives("load", load);
        prometheus
    }

    /// What a query gives from now on.
    pub fn gives(&self, query: &str, load: impl Fn(Timestamp) -> f64 + Send + Sync + 'static) {
        self.gives_series(query, vec![(json!({}), Arc::new(load))]);
    }

    /// The same of several series.
    pub fn gives_series(&self, query: &str, series: Loads) {
        let mut loads = self.shared.loads.lock().unwrap();
        loads.insert(query.to_owned(), series);
    }

    /// How it answers one query from now on.
    pub fn answers(&self, query: &str, mood: Mood) {
        let mut moods = self.shared.moods.lock().unwrap();
        moods.insert(query.to_owned(), mood);
    }

    /// How it answers from now on.
    pub fn is(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Settings that lead here, with a timeout short enough for tests.
    pub fn settings(&self) -> PrometheusSettings {
        PrometheusSettings {
            timeout: Duration::from_millis(400),
            ..PrometheusSettings::new(self.url.parse().unwrap())
        }
    }
}

impl Shared {
    fn loads(&self, query: &str) -> Loads {
        let loads = self.loads.lock().unwrap();
        loads.get(query).cloned().unwrap_or_default()
    }

    fn mood(&self, query: &str) -> Mood {
        let own = self.moods.lock().unwrap().get(query).copied();
        own.unwrap_or(*self.mood.lock().unwrap())
    }

    /// The answer that the mood gives whatever was asked, if it does.
    async fn moody(&self, query: &str, empty: &str) -> Option<Response> {
        match self.mood(query) {
            Mood::Well | Mood::NotANumber => None,
            Mood::Down => Some(StatusCode::BAD_GATEWAY.into_response()),
            Mood::Slow => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some(StatusCode::OK.into_response())
            }
            Mood::Empty => Some(success(empty, &json!([]))),
            Mood::Broken => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Mood::BadQuery => Some(
                (
                    StatusCode::BAD_REQUEST,
                    axum::Json(json!({
                        "status": "error", "errorType": "bad_data", "error": "parse error",
                    })),
                )
                    .into_response(),
            ),
        }
    }
}

/// A sample, if there is one.
fn point(mood: Mood, load: &Load, at: Timestamp) -> Option<Value> {
    if mood == Mood::NotANumber {
        return Some(json!([seconds(at), "NaN"]));
    }
    let load = load(at);
    (!load.is_nan()).then(|| json!([seconds(at), load.to_string()]))
}

async fn instant(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = form(&body);
    let query = &form["query"];
    if let Some(answer) = shared.moody(query, "vector").await {
        return answer;
    }
    let (at, mood) = (time(&form["time"]), shared.mood(query));
    let series: Vec<Value> = shared
        .loads(query)
        .iter()
        .filter_map(|(labels, load)| {
            let point = point(mood, load, at)?;
            Some(json!({"metric": labels, "value": point}))
        })
        .collect();
    success("vector", &json!(series))
}

async fn range(State(shared): State<Shared>, body: Bytes) -> Response {
    let form = form(&body);
    let query = &form["query"];
    if let Some(answer) = shared.moody(query, "matrix").await {
        return answer;
    }
    let (start, end) = (time(&form["start"]), time(&form["end"]));
    let step: f64 = form["step"].parse().unwrap();
    let step = chrono::TimeDelta::milliseconds((step * 1e3) as i64);
    let mood = shared.mood(query);
    let mut series = Vec::new();
    for (labels, load) in shared.loads(query) {
        let mut values = Vec::new();
        let mut at = start;
        while at <= end {
            values.extend(point(mood, &load, at));
            at += step;
        }
        if !values.is_empty() {
            series.push(json!({"metric": labels, "values": values}));
        }
    }
    success("matrix", &json!(series))
}

fn success(result_type: &str, result: &Value) -> Response {
    axum::Json(json!({
        "status": "success", "data": {"resultType": result_type, "result": result},
    }))
    .into_response()
}

fn form(body: &[u8]) -> HashMap<String, String> {
    let text = std::str::from_utf8(body).unwrap();
    let url = reqwest::Url::parse(&format!("http://form/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}

fn time(text: &str) -> Timestamp {
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_timestamp_millis((seconds * 1e3).round() as i64).unwrap();
    }
    text.parse().unwrap()
}

fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1e3
}
