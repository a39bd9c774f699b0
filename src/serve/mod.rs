//! What the controller shows over HTTP: health, readiness, metrics, the last plan of each workload
//! with everything it was made from, and the circuit breakers of its outside calls; and, in
//! `push`, where live signals are sent to it.
//!
//! What is shown changes nothing, so it needs no authentication of its own; secrets are not in it.
//! What is sent is evidence of demand and moves sizes: it needs a token.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::guard::Breakers;

pub mod metrics;
pub mod push;
pub mod readiness;
pub mod standing;
pub mod workloads;

#[cfg(test)]
mod tests;

pub use metrics::Metrics;
pub use push::Push;
pub use readiness::Readiness;
pub use standing::Standing;
pub use workloads::{Facts, Report, Unwritten, Workloads};

/// The content type of Prometheus's text format.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is shown. Clones show the same.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Counters and gauges.
    pub metrics: Metrics,
    /// What the controller still waits for.
    pub readiness: Readiness,
    /// The last plan of each workload.
    pub workloads: Workloads,
    /// The circuit breakers of its outside calls.
    pub breakers: Breakers,
}

/// Serves until `stop`, and lets running answers end.
///
/// # Errors
/// When the listener fails.
pub async fn run(
    listener: TcpListener,
    shown: Shown,
    push: Push,
    stop: CancellationToken,
) -> io::Result<()> {
    let routes = routes(shown).merge(push::routes(push));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The routes of what is shown alone, to be served or mounted elsewhere.
pub fn routes(shown: Shown) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/api/v1/workloads", get(list))
        .route("/api/v1/workloads/{namespace}/{name}", get(detail))
        .route("/api/v1/breakers", get(breakers))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .with_state(shown)
}

async fn ready(State(shown): State<Shown>) -> Response {
    let missing = shown.readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let lines: Vec<_> = missing
        .iter()
        .map(|(what, why)| format!("{what}: {why}\n"))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
}

async fn metrics_text(State(shown): State<Shown>) -> Response {
    match shown.metrics.render() {
        Ok(text) => (typed(METRICS_TEXT), text).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn list(State(shown): State<Shown>) -> Response {
    as_json(
        StatusCode::OK,
        &json!({"items": shown.workloads.summaries()}),
    )
}

async fn breakers(State(shown): State<Shown>) -> Response {
    as_json(StatusCode::OK, &json!({"items": shown.breakers.shown()}))
}

async fn detail(
    State(shown): State<Shown>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let Some(report) = shown.workloads.get(&namespace, &name) else {
        let never = shown.workloads.summary(&namespace, &name);
        let why = never.map_or_else(
            || "/api/v1/workloads lists what is known".to_owned(),
            |never| never.summary,
        );
        let why = format!("no decision about {namespace}/{name} was made here yet; {why}");
        return refuse(StatusCode::NOT_FOUND, &why);
    };
    match serde_json::to_value(&*report) {
        Ok(report) => as_json(StatusCode::OK, &report),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    as_json(status, &json!({"error": reason}))
}

fn as_json(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, typed("application/json"), format!("{value}\n")).into_response()
}

fn typed(content_type: &'static str) -> [(HeaderName, &'static str); 1] {
    [(CONTENT_TYPE, content_type)]
}
