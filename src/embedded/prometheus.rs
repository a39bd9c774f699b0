//! A Prometheus-compatible source over loopback: answers the two query calls the controller makes
//! from a function of time, so that the demo and the tests need no Prometheus.
//!
//! It speaks the HTTP API, not the query language: a query is looked up by its exact text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::units::{Rate, Timestamp};

/// Prometheus refuses more points than this in one range query.
const MAX_POINTS: i64 = 11_000;

/// What a query is answered from: the value at a time, or nothing.
pub type Answer = Arc<dyn Fn(Timestamp) -> Option<Rate> + Send + Sync>;

/// The source. Nothing later than its clock's present is ever answered.
#[derive(Clone)]
pub struct EmbeddedPrometheus {
    clock: SharedClock,
    answers: Arc<BTreeMap<String, Answer>>,
}

impl fmt::Debug for EmbeddedPrometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPrometheus")
            .field("queries", &self.answers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl EmbeddedPrometheus {
    /// A source that knows these queries.
    pub fn new(clock: SharedClock, answers: impl IntoIterator<Item = (String, Answer)>) -> Self {
        Self {
            clock,
            answers: Arc::new(answers.into_iter().collect()),
        }
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/api/v1/query", get(instant_by_url).post(instant_by_form))
            .route("/api/v1/query_range", get(range_by_url).post(range_by_form))
            .with_state(self);
        axum::serve(listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }

    fn value(&self, query: &str, at: Timestamp) -> Result<Option<Rate>, Refusal> {
        let answer = self.answers.get(query).ok_or_else(|| {
            Refusal(format!(
                "unknown query {query:?}: this source knows {:?}",
                self.answers.keys()
            ))
        })?;
        Ok(if at > self.clock.now() {
            None
        } else {
            answer(at)
        })
    }

    fn instant(&self, call: &InstantCall) -> Result<Value, Refusal> {
        let at = call
            .time
            .as_deref()
            .map_or_else(|| Ok(self.clock.now()), time)?;
        let result: Vec<Value> = self
            .value(&call.query, at)?
            .map(|rate| json!({"metric": {}, "value": point(at, rate)}))
            .into_iter()
            .collect();
        Ok(json!({"resultType": "vector", "result": result}))
    }

    fn range(&self, call: &RangeCall) -> Result<Value, Refusal> {
        let (start, end) = (time(&call.start)?, time(&call.end)?);
        let step = span(&call.step)?;
        if end < start {
            return Err(Refusal("end is before start".to_owned()));
        }
        let points = (end - start).num_milliseconds() / step.num_milliseconds() + 1;
        if points > MAX_POINTS {
            return Err(Refusal(format!(
                "{points} points exceed the maximum of {MAX_POINTS}"
            )));
        }
        let mut values = Vec::new();
        for i in 0..points {
            let at = start + step * i32::try_from(i).unwrap_or(i32::MAX);
            values.extend(self.value(&call.query, at)?.map(|rate| point(at, rate)));
        }
        let result = if values.is_empty() {
            Vec::new()
        } else {
            vec![json!({"metric": {}, "values": values})]
        };
        Ok(json!({"resultType": "matrix", "result": result}))
    }
}

/// What a caller got wrong.
#[derive(Debug)]
struct Refusal(String);

#[derive(Debug, Deserialize)]
struct InstantCall {
    query: String,
    time: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RangeCall {
    query: String,
    start: String,
    end: String,
    step: String,
}

async fn instant_by_url(
    State(source): State<EmbeddedPrometheus>,
    Query(call): Query<InstantCall>,
) -> Response {
    answer(source.instant(&call))
}

async fn instant_by_form(
    State(source): State<EmbeddedPrometheus>,
    Form(call): Form<InstantCall>,
) -> Response {
    answer(source.instant(&call))
}

async fn range_by_url(
    State(source): State<EmbeddedPrometheus>,
    Query(call): Query<RangeCall>,
) -> Response {
    answer(source.range(&call))
}

async fn range_by_form(
    State(source): State<EmbeddedPrometheus>,
    Form(call): Form<RangeCall>,
) -> Response {
    answer(source.range(&call))
}

fn answer(result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(data) => Json(json!({"status": "success", "data": data})).into_response(),
        Err(Refusal(error)) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}

/// A sample as Prometheus writes it: Unix seconds and the value as text.
fn point(at: Timestamp, rate: Rate) -> Value {
    json!([
        at.timestamp_millis() as f64 / 1e3,
        rate.as_per_second().to_string()
    ])
}

/// A time as Prometheus reads it: Unix seconds or RFC 3339.
fn time(text: &str) -> Result<Timestamp, Refusal> {
    if let Ok(seconds) = text.parse::<f64>() {
        return DateTime::from_timestamp_millis((seconds * 1e3).round() as i64)
            .ok_or_else(|| Refusal(format!("time {text} is out of range")));
    }
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| Refusal(format!("{text:?} is neither Unix seconds nor RFC 3339")))
}

/// A step as Prometheus reads it: seconds or a duration.
fn span(text: &str) -> Result<TimeDelta, Refusal> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .map(|s| TimeDelta::milliseconds((s * 1e3) as i64));
    seconds
        .or_else(|| {
            text.parse::<crate::units::HumanDuration>()
                .ok()
                .map(TimeDelta::from)
        })
        .filter(|step| *step > TimeDelta::zero())
        .ok_or_else(|| Refusal(format!("step {text:?} is not a positive duration")))
}
