//! Live signals sent to the controller: `POST /api/v1/signals` and `POST /api/v1/hints`.
//!
//! Both take a batch as JSON under a bearer token, within bounds of length, number and frequency,
//! and answer for each item that was not taken with its place and the reason; the others are
//! taken. It moves no size itself: what is taken lies in the inbox for the fast loop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use tokio::sync::watch;

use super::{Metrics, as_json, refuse};
use crate::clock::SharedClock;
use crate::settings::{Live, PushSettings};
use crate::source::Inbox;
use crate::units::Timestamp;

mod batch;
mod flood;
mod token;

use batch::{Answer, Batch};
use flood::Flood;
use token::TokenError;

/// Longest a body may take to come in.
const PATIENCE: Duration = Duration::from_secs(5);

/// What takes signals. Clones share everything.
#[derive(Debug, Clone)]
pub struct Push {
    inbox: Inbox,
    live: watch::Receiver<Arc<Live>>,
    clock: SharedClock,
    metrics: Metrics,
    flood: Arc<Flood>,
}

impl Push {
    /// Puts what is sent into an inbox, as the settings in force allow.
    pub fn new(
        inbox: Inbox,
        live: watch::Receiver<Arc<Live>>,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Self {
        Self {
            inbox,
            live,
            clock,
            metrics,
            flood: Arc::default(),
        }
    }

    fn refuse(&self, reason: &'static str, status: StatusCode, message: &str) -> Response {
        self.metrics.live_refused(reason);
        refuse(status, message)
    }

    /// The body of a request that may send, or the refusal.
    async fn admitted(&self, request: Request) -> Result<(Bytes, PushSettings), Response> {
        let settings = self.live.borrow().settings.push.clone();
        let client = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        // before anything that costs, a guess at the token included
        if let Err(wait) = self.flood.admit(client, &settings, self.clock.monotonic()) {
            let message = format!(
                "more than {} requests a second from {client}: send batches, each second one, or \
                 raise push.requestsPerSecond",
                settings.requests_per_second
            );
            let mut response = self.refuse("flood", StatusCode::TOO_MANY_REQUESTS, &message);
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
            return Err(response);
        }
        self.authorized(&settings, request.headers()).await?;
        let body = self.body(&settings, request).await?;
        Ok((body, settings))
    }

    async fn authorized(
        &self,
        settings: &PushSettings,
        headers: &HeaderMap,
    ) -> Result<(), Response> {
        let Some(file) = &settings.token_file else {
            return Err(self.refuse(
                "disabled",
                StatusCode::FORBIDDEN,
                "nothing is taken without a token: put one into a file, for example from a \
                 Secret, and name it as push.tokenFile in the controller's settings",
            ));
        };
        match token::check(file, headers).await {
            Ok(()) => Ok(()),
            Err(TokenError::Unusable(reason)) => {
                tracing::error!(file = %file.display(), reason, "push.tokenFile is not usable");
                Err(self.refuse(
                    "disabled",
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the controller cannot read its push.tokenFile; its log says why",
                ))
            }
            Err(error @ (TokenError::Absent | TokenError::Wrong)) => {
                let mut response =
                    self.refuse("unauthorized", StatusCode::UNAUTHORIZED, &error.to_string());
                response
                    .headers_mut()
                    .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                Err(response)
            }
        }
    }

    async fn body(&self, settings: &PushSettings, request: Request) -> Result<Bytes, Response> {
        let (parts, body) = request.into_parts();
        let header = |name| {
            let value = parts.headers.get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let kind = header(CONTENT_TYPE).and_then(|kind| kind.split(';').next());
        if kind.map(str::trim) != Some("application/json") {
            return Err(self.refuse(
                "malformed",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let limit = settings.max_body_bytes;
        let too_large = || {
            let message = format!(
                "the body is longer than {limit} bytes: send smaller batches, or raise \
                 push.maxBodyBytes"
            );
            self.refuse("too_large", StatusCode::PAYLOAD_TOO_LARGE, &message)
        };
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let body = Limited::new(body, limit).collect();
        match tokio::time::timeout(PATIENCE, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                let message = format!("the body broke off: {error}");
                Err(self.refuse("malformed", StatusCode::BAD_REQUEST, &message))
            }
            Err(_) => Err(self.refuse(
                "malformed",
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come in within 5 s",
            )),
        }
    }

    /// Takes every item of a batch that can be taken.
    async fn take<'b, B: Batch<'b>>(&self, body: &'b [u8], settings: &PushSettings) -> Response {
        let items = match batch::items::<B>(body) {
            Ok(items) => items,
            Err(message) => {
                return self.refuse("malformed", StatusCode::BAD_REQUEST, &message);
            }
        };
        let limit = settings.max_items;
        if items.len() > limit {
            let message = format!(
                "{} items in one request, and at most {limit} are taken: send smaller batches, or \
                 raise push.maxItems",
                items.len()
            );
            return self.refuse("too_large", StatusCode::PAYLOAD_TOO_LARGE, &message);
        }
        let now: Timestamp = self.clock.now();
        let mut answer = Answer::default();
        for (index, item) in items.into_iter().enumerate() {
            match batch::item::<B>(item) {
                Ok(item) => match item.put(&self.inbox, now) {
                    Ok(()) => answer.taken += 1,
                    Err(refused) => answer.refuse(index, refused.reason(), refused.to_string()),
                },
                Err(message) => {
                    self.metrics.live_refused("malformed");
                    answer.refuse(index, "malformed", message);
                }
            }
            // the largest batches take milliseconds, which others' seconds must not feel
            if index % 1_000 == 999 {
                tokio::task::yield_now().await;
            }
        }
        let status = if answer.taken == 0 && answer.refused > 0 {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        };
        as_json(status, &json!(answer))
    }
}

/// The routes of what is sent.
pub fn routes(push: Push) -> Router {
    Router::new()
        .route("/api/v1/signals", post(signals))
        .route("/api/v1/hints", post(hints))
        .with_state(push)
}

async fn signals(State(push): State<Push>, request: Request<Body>) -> Response {
    match push.admitted(request).await {
        Ok((body, settings)) => push.take::<batch::PushedSample<'_>>(&body, &settings).await,
        Err(refusal) => refusal,
    }
}

async fn hints(State(push): State<Push>, request: Request<Body>) -> Response {
    match push.admitted(request).await {
        Ok((body, settings)) => push.take::<batch::PushedHint<'_>>(&body, &settings).await,
        Err(refusal) => refusal,
    }
}
