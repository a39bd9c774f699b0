//! Readers of single fields that are stricter than their types: each refusal names the remedy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::fixture::import::Format;
use crate::telemetry;
use crate::units::HumanDuration;

/// A duration above zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) TimeDelta);

impl Span {
    pub(super) fn std(self) -> Duration {
        self.0.to_std().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HumanDuration(span) = HumanDuration::deserialize(deserializer)?;
        if span <= TimeDelta::zero() {
            return Err(D::Error::custom(
                "must be longer than nothing: write for example 10s",
            ));
        }
        Ok(Self(span))
    }
}

/// An address of an HTTP service, as a base for paths.
#[derive(Debug, Clone)]
pub(super) struct BaseUrl(pub(super) reqwest::Url);

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = |why: &str| D::Error::custom(format!("{text:?} {why}"));
        let mut url = reqwest::Url::parse(&text).map_err(|error| {
            refuse(&format!(
                "is not an address ({error}): write for example http://prometheus.monitoring:9090"
            ))
        })?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refuse(
                "is not an HTTP address: begin with http:// or https://",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(D::Error::custom(
                "holds a user or password, which would end up in logs: use basicAuth with a \
                 passwordFile",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse(
                "has a query or fragment: give the base address alone",
            ));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.ends_with("/api/v1") {
            return Err(refuse(
                "ends in /api/v1, which is added to it: leave that out",
            ));
        }
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// A name that policies, paths and metrics can carry.
#[derive(Debug, Clone)]
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fine = name.len() <= 63
            && name.starts_with(inner)
            && name.ends_with(inner)
            && name.chars().all(|c| inner(c) || c == '-' || c == '.');
        if fine {
            return Ok(Self(name));
        }
        Err(D::Error::custom(format!(
            "{name:?} is not a name: use 1 to 63 of a-z, 0-9, - and ., beginning and ending with a \
             letter or digit"
        )))
    }
}

/// A path that is not empty.
#[derive(Debug, Clone)]
pub(super) struct FilePath(pub(super) PathBuf);

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(D::Error::custom("is empty: give the path of a file"));
        }
        if text.contains("://") {
            return Err(D::Error::custom(format!(
                "{text:?} is an address, and only files are read: mount the file, for example from \
                 a ConfigMap"
            )));
        }
        Ok(Self(PathBuf::from(text)))
    }
}

/// A format of fixture files by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormatName(pub(super) Format);

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// A time zone by its IANA name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone(pub(super) Tz);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not a time zone: use an IANA name such as Europe/London"
            ))
        })
    }
}

/// An address to listen on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listen(pub(super) SocketAddr);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not an address to listen on: write IP and port, for example \
                 0.0.0.0:8080 or '[::]:8080'"
            ))
        })
    }
}

/// A log filter.
#[derive(Debug, Clone)]
pub(super) struct LogFilter(pub(super) String);

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        telemetry::parse_filter(&text).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

/// A rate of writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct WritesPerSecond(pub(super) f64);

impl<'de> Deserialize<'de> for WritesPerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        rate(deserializer, "writes").map(Self)
    }
}

/// A rate of requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestsPerSecond(pub(super) f64);

impl<'de> Deserialize<'de> for RequestsPerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        rate(deserializer, "requests").map(Self)
    }
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D, of: &str) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    if rate.is_finite() && rate > 0.0 && rate <= 1000.0 {
        return Ok(rate);
    }
    Err(D::Error::custom(format!(
        "{rate} is not a rate of {of}: use a number above 0 and at most 1000"
    )))
}
