//! Load from Prometheus, or from whatever speaks its HTTP API (Thanos, Mimir, `VictoriaMetrics`).
//!
//! Every call has a deadline in real time that covers connecting, waiting and reading, and a cap
//! on the answer's length. Calls are `POST` forms, so that a long query fits.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};

use super::SourceError;
use super::range::{Range, seconds};
use super::response::{Call, Point};
use crate::series::Series;
use crate::settings::{Auth, PrometheusSettings};
use crate::units::{Rate, Timestamp};

/// A load and the time it was true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The time the query was evaluated for.
    pub at: Timestamp,
    /// The load; a valid one.
    pub rate: Rate,
}

/// A client of one Prometheus. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Prometheus {
    client: Client,
    settings: PrometheusSettings,
    instant: Url,
    range: Url,
}

impl Prometheus {
    /// A client; nothing is called yet. The process must have a TLS provider installed.
    ///
    /// # Errors
    /// [`SourceError::Setup`] when the authority file is not one.
    pub fn new(settings: &PrometheusSettings) -> Result<Self, SourceError> {
        let setup = |reason: String| SourceError::Setup {
            url: settings.url.to_string(),
            reason,
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &settings.headers {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|error| setup(format!("header {name:?}: {error}")))?;
            let mut value = HeaderValue::try_from(value.as_str())
                .map_err(|error| setup(format!("value of header {name}: {error}")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // a redirected POST turns into a GET without its form; better to be told
        let mut client = Client::builder()
            .user_agent(concat!("tipoff/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(Policy::none())
            .connect_timeout(settings.timeout);
        if let Some(file) = &settings.ca_file {
            let refuse = |reason: String| {
                setup(format!(
                    "{}: {reason}; give a PEM file of certificates as prometheus.caFile",
                    file.display()
                ))
            };
            let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
            let authorities =
                Certificate::from_pem_bundle(&pem).map_err(|error| refuse(innermost(&error)))?;
            if authorities.is_empty() {
                return Err(refuse("holds no certificate".to_owned()));
            }
            client = client.tls_certs_only(authorities);
        }
        let client = client.build().map_err(|error| setup(innermost(&error)))?;
        Ok(Self {
            client,
            instant: endpoint(&settings.url, "query"),
            range: endpoint(&settings.url, "query_range"),
            settings: settings.clone(),
        })
    }

    /// The one value of a query at a time.
    ///
    /// # Errors
    /// [`SourceError`] for everything that is not exactly one load.
    pub async fn instant(&self, query: &str, at: Timestamp) -> Result<Sample, SourceError> {
        let form = [("query", query.to_owned()), ("time", seconds(at))];
        let body = self.call(&self.instant, query, &form).await?;
        let point = Self::answer(&self.instant, query).instant(&body)?;
        let rate = point.rate(query)?;
        Ok(Sample {
            at: point.at().unwrap_or(at),
            rate,
        })
    }

    /// The history of a query in bins of `step` over `[from, to)`.
    ///
    /// The value of a bin is the query evaluated at the bin's end, because a `rate(...[w])` looks
    /// back: so no bin knows anything of what came after it. Points that are missing, not a
    /// number, infinite or negative are gaps. The range is asked for in as many calls as
    /// Prometheus's point limit takes, each with its own deadline.
    ///
    /// # Errors
    /// [`SourceError`]; a history without a single point is [`SourceError::Empty`].
    pub async fn range(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        step: TimeDelta,
    ) -> Result<Series, SourceError> {
        let range = Range::new(from, to, step)?;
        let mut values = range.gaps();
        let mut points = 0_usize;
        for form in range.forms(query) {
            let body = self.call(&self.range, query, &form).await?;
            let read = Self::answer(&self.range, query).range(&body)?;
            self.put(range, &mut values, &read)?;
            points += read.len();
        }
        if points == 0 {
            return Err(SourceError::Empty {
                query: query.to_owned(),
            });
        }
        Ok(Series::from_raw(from, step, values))
    }

    /// The histories of a query that gives several series, by the value of `label`; `None` stands
    /// for the series without it. Otherwise as [`Prometheus::range`], but that no series at all is
    /// an answer: there may be nothing to count.
    ///
    /// # Errors
    /// [`SourceError`]; also for more than `most` series, or several with one value of the label.
    pub async fn range_by(
        &self,
        query: &str,
        label: &str,
        most: usize,
        (from, to): (Timestamp, Timestamp),
        step: TimeDelta,
    ) -> Result<BTreeMap<Option<String>, Series>, SourceError> {
        let range = Range::new(from, to, step)?;
        let mut found: BTreeMap<Option<String>, Vec<f64>> = BTreeMap::new();
        for form in range.forms(query) {
            let body = self.call(&self.range, query, &form).await?;
            let read = Self::answer(&self.range, query).range_by(&body, label)?;
            // before there is room made for any of them
            let new = read.keys().filter(|value| !found.contains_key(value));
            let count = found.len() + new.count();
            if count > most {
                return Err(SourceError::TooManySeries {
                    query: query.to_owned(),
                    count,
                    limit: most,
                    label: label.to_owned(),
                });
            }
            for (value, points) in read {
                let values = found.entry(value).or_insert_with(|| range.gaps());
                self.put(range, values, &points)?;
            }
        }
        Ok(found
            .into_iter()
            .map(|(value, values)| (value, Series::from_raw(from, step, values)))
            .collect())
    }

    fn put(&self, range: Range, values: &mut [f64], points: &[Point]) -> Result<(), SourceError> {
        range
            .put(values, points)
            .map_err(|point| SourceError::Malformed {
                url: self.range.to_string(),
                reason: format!("point {point:?} is not on the grid that was asked for"),
            })
    }

    /// Its address, as it is shown.
    pub(super) fn address(&self) -> &str {
        self.settings.url.as_str()
    }

    /// A live query took longer than it may.
    pub(super) fn timed_out(&self, after: Duration) -> SourceError {
        timed_out(&self.instant, after)
    }

    fn answer<'c>(url: &'c Url, query: &'c str) -> Call<'c> {
        Call {
            url: url.as_str(),
            query,
        }
    }

    /// One call within its deadline; the body of a success.
    async fn call(
        &self,
        url: &Url,
        query: &str,
        form: &[(&str, String)],
    ) -> Result<Vec<u8>, SourceError> {
        let timeout = self.settings.timeout;
        match tokio::time::timeout(timeout, self.exchange(url, query, form)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(url, timeout)),
        }
    }

    async fn exchange(
        &self,
        url: &Url,
        query: &str,
        form: &[(&str, String)],
    ) -> Result<Vec<u8>, SourceError> {
        let request = self.authorized(self.client.post(url.clone())).await?;
        let response = request.form(form).send().await.map_err(|error| {
            if error.is_timeout() {
                timed_out(url, self.settings.timeout)
            } else {
                let (url, reason) = (url.to_string(), innermost(&error));
                SourceError::Unreachable { url, reason }
            }
        })?;
        let status = response.status();
        let comes_back = response.headers().contains_key(RETRY_AFTER);
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let json = content_type.split(';').next().unwrap_or_default().trim() == "application/json";
        if status.is_success() && !json {
            return Err(SourceError::ContentType {
                url: url.to_string(),
                content_type,
            });
        }
        let body = self.body(url, response).await;
        if status.is_success() {
            return body;
        }
        // Prometheus explains its refusals in the body; a proxy in front of it does not
        let explained = body
            .ok()
            .and_then(|body| Self::answer(url, query).explanation(&body));
        Err(explained.unwrap_or_else(|| SourceError::Http {
            url: url.to_string(),
            status: status.as_u16(),
            hint: hint(status.as_u16()).to_owned(),
            shed: status.as_u16() == 429 || (status.as_u16() == 503 && comes_back),
        }))
    }

    async fn body(&self, url: &Url, mut response: Response) -> Result<Vec<u8>, SourceError> {
        let limit = self.settings.max_body_bytes;
        let too_large = || SourceError::TooLarge {
            url: url.to_string(),
            limit,
        };
        if response
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| SourceError::BrokeOff {
                    url: url.to_string(),
                    reason: innermost(&error),
                })?;
            let Some(chunk) = chunk else {
                return Ok(body);
            };
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Secrets are read at each call: mounted ones are rotated under a running process.
    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, SourceError> {
        Ok(match &self.settings.auth {
            Auth::None => request,
            Auth::Bearer { token_file } => {
                let value = format!("Bearer {}", secret(token_file).await?);
                let mut value =
                    HeaderValue::try_from(value).map_err(|_| SourceError::Credentials {
                        file: token_file.display().to_string(),
                        reason: "holds characters that no HTTP header may have".to_owned(),
                    })?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            Auth::Basic {
                username,
                password_file,
            } => request.basic_auth(username, Some(secret(password_file).await?)),
        })
    }
}

fn timed_out(url: &Url, after: Duration) -> SourceError {
    SourceError::Timeout {
        url: url.to_string(),
        millis: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
    }
}

async fn secret(file: &Path) -> Result<String, SourceError> {
    let refuse = |reason: String| SourceError::Credentials {
        file: file.display().to_string(),
        reason,
    };
    let text = tokio::fs::read_to_string(file)
        .await
        .map_err(|error| refuse(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(refuse("is empty".to_owned()));
    }
    Ok(text.to_owned())
}

fn endpoint(base: &Url, call: &str) -> Url {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    url.set_path(&format!("{path}/api/v1/{call}"));
    url
}

/// The cause at the bottom: "connection refused" rather than "error sending request".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ": it redirects; set prometheus.url to where it leads",
        401 => ": it wants to know who asks; set prometheus.bearerTokenFile or basicAuth",
        403 => ": the credentials may not query; check their rights",
        404 => ": there is no Prometheus API below this address; check the path in prometheus.url",
        429 => ": too many queries; raise the tick, or the limit there",
        502..=504 => ": what stands before Prometheus does not reach it",
        _ => "",
    }
}
