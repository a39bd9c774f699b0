//! The answers of Prometheus's HTTP API, as load or as the reason there is none.
//!
//! Text in, numbers out; the calls are made in `prometheus`.

use std::collections::BTreeMap;
use std::fmt;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::SourceError;
use crate::units::{Rate, Timestamp};

/// How annotations begin that find fault with the wording of a query, not with its data. Before
/// they had a field of their own (prometheus/prometheus#14327) they came among the warnings:
/// `rate()` of a counter not named `_total` always brings one.
const ADVICE: &str = "PromQL info:";

/// A value at a time, as Prometheus writes both: Unix seconds and the number as text.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Point(f64, String);

impl Point {
    pub(super) fn at(&self) -> Option<Timestamp> {
        DateTime::from_timestamp_millis((self.0 * 1e3).round() as i64)
    }

    /// The number, which may be NaN or infinite; `None` when it is no number at all.
    pub(super) fn number(&self) -> Option<f64> {
        match self.1.as_str() {
            "+Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        }
    }

    /// The number as a load.
    pub(super) fn rate(&self, query: &str) -> Result<Rate, SourceError> {
        let query = query.to_owned();
        let value = self.1.clone();
        match self.number() {
            None => Err(SourceError::ResultType {
                query,
                result_type: format!("value {value:?}"),
            }),
            Some(number) if number.is_nan() => Err(SourceError::NotANumber { query }),
            Some(number) if number.is_infinite() => Err(SourceError::Infinite { query, value }),
            Some(number) if number < 0.0 => Err(SourceError::Negative { query, value }),
            Some(number) => Ok(Rate::per_second(number)),
        }
    }
}

type Labels = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Value,
}

#[derive(Debug, Deserialize)]
struct VectorEntry {
    metric: Labels,
    value: Option<Point>,
}

#[derive(Debug, Deserialize)]
struct MatrixEntry {
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
    histograms: Option<Value>,
}

/// What the reader of an answer knows about the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) url: &'c str,
    pub(super) query: &'c str,
}

impl Call<'_> {
    fn malformed(&self, reason: impl fmt::Display) -> SourceError {
        SourceError::Malformed {
            url: self.url.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn empty(&self) -> SourceError {
        SourceError::Empty {
            query: self.query.to_owned(),
        }
    }

    fn result_type(&self, result_type: &str) -> SourceError {
        SourceError::ResultType {
            query: self.query.to_owned(),
            result_type: result_type.to_owned(),
        }
    }

    fn open(&self, body: &[u8]) -> Result<Data, SourceError> {
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|error| self.malformed(error))?;
        if envelope.status == "error" {
            return Err(SourceError::Query {
                query: self.query.to_owned(),
                error_type: envelope.error_type.unwrap_or_else(|| "unknown".to_owned()),
                message: envelope
                    .error
                    .unwrap_or_else(|| "no reason given".to_owned()),
            });
        }
        if envelope.status != "success" {
            let status = envelope.status;
            return Err(self.malformed(format!("status {status:?} is neither success nor error")));
        }
        let warnings: Vec<String> = (envelope.warnings.into_iter())
            .filter(|warning| !warning.starts_with(ADVICE))
            .collect();
        if !warnings.is_empty() {
            return Err(SourceError::Partial {
                query: self.query.to_owned(),
                warnings: warnings.join("; "),
            });
        }
        envelope
            .data
            .ok_or_else(|| self.malformed("success without data"))
    }

    /// The explanation in a body that came with an HTTP error, if it has one.
    pub(super) fn explanation(&self, body: &[u8]) -> Option<SourceError> {
        match self.open(body) {
            Err(error @ SourceError::Query { .. }) => Some(error),
            _ => None,
        }
    }

    /// The one value of an instant query.
    pub(super) fn instant(&self, body: &[u8]) -> Result<Point, SourceError> {
        let data = self.open(body)?;
        match data.result_type.as_str() {
            "vector" => {
                let entries: Vec<VectorEntry> =
                    serde_json::from_value(data.result).map_err(|error| self.malformed(error))?;
                let entry = self.one(entries, |entry| &entry.metric)?;
                entry.value.ok_or_else(|| self.result_type("histogram"))
            }
            "scalar" => serde_json::from_value(data.result).map_err(|error| self.malformed(error)),
            other => Err(self.result_type(other)),
        }
    }

    /// The points of the one series of a range query; none at all is for the caller to judge.
    pub(super) fn range(&self, body: &[u8]) -> Result<Vec<Point>, SourceError> {
        let entries = self.matrix(body)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let entry = self.one(entries, |entry| &entry.metric)?;
        self.points(entry)
    }

    /// The points of every series of a range query by the value of a label, `None` where a series
    /// does not have it. A label set to nothing is a label that is not there, as in Prometheus.
    pub(super) fn range_by(
        &self,
        body: &[u8],
        label: &str,
    ) -> Result<BTreeMap<Option<String>, Vec<Point>>, SourceError> {
        let mut found: BTreeMap<Option<String>, (String, Vec<Point>)> = BTreeMap::new();
        for mut entry in self.matrix(body)? {
            let shown = show(&entry.metric);
            let value = entry.metric.remove(label).filter(|value| !value.is_empty());
            let points = self.points(entry)?;
            if let Some((other, _)) = found.get(&value) {
                return Err(SourceError::Ambiguous {
                    query: self.query.to_owned(),
                    label: label.to_owned(),
                    examples: format!("{other} and {shown}"),
                    value: value.unwrap_or_default(),
                });
            }
            found.insert(value, (shown, points));
        }
        Ok(found
            .into_iter()
            .map(|(value, (_, points))| (value, points))
            .collect())
    }

    fn matrix(&self, body: &[u8]) -> Result<Vec<MatrixEntry>, SourceError> {
        let data = self.open(body)?;
        if data.result_type != "matrix" {
            return Err(self.result_type(&data.result_type));
        }
        serde_json::from_value(data.result).map_err(|error| self.malformed(error))
    }

    fn points(&self, entry: MatrixEntry) -> Result<Vec<Point>, SourceError> {
        if entry.values.is_empty() && entry.histograms.is_some() {
            return Err(self.result_type("histogram"));
        }
        Ok(entry.values)
    }

    fn one<E>(
        &self,
        mut entries: Vec<E>,
        labels: impl Fn(&E) -> &Labels,
    ) -> Result<E, SourceError> {
        if entries.len() > 1 {
            let examples: Vec<_> = entries.iter().take(2).map(|e| show(labels(e))).collect();
            return Err(SourceError::ManySeries {
                query: self.query.to_owned(),
                count: entries.len(),
                examples: examples.join(" and "),
            });
        }
        entries.pop().ok_or_else(|| self.empty())
    }
}

/// Labels as `PromQL` writes them.
fn show(labels: &Labels) -> String {
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_on_a_query_is_not_partial_data() {
        let call = Call {
            url: "http://127.0.0.1:9090",
            query: "sum(rate(requests[1m]))",
        };
        let answer = |warnings: &str| {
            let body = format!(
                r#"{{"status":"success","warnings":[{warnings}],"data":{{"resultType":"vector",
                "result":[{{"metric":{{}},"value":[1000,"5"]}}]}}}}"#
            );
            call.instant(body.as_bytes())
        };
        let advice = r#""PromQL info: metric might not be a counter, name does not end in _total""#;
        assert_eq!(answer(advice).unwrap().number(), Some(5.0));
        let partial = format!(r#"{advice}, "store gateway: timeout""#);
        let error = answer(&partial).unwrap_err();
        assert!(matches!(error, SourceError::Partial { .. }), "{error}");
        assert!(!error.to_string().contains("PromQL info"), "{error}");
    }
}
