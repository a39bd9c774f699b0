//! `load.live`: where demand second by second comes from, as written and as validated.
#![allow(
    unreachable_pub,
    reason = "the schema derive emits private copies of public types"
)]

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::SpecError;
use super::schema;
use crate::burst::sample::LONGEST_INTERVAL;
use crate::source::exposition::Selector;
use crate::source::live::LiveSource;
use crate::source::scrape::Wanted;
use crate::units::HumanDuration;

/// Default of `load.live.prometheus.window`.
pub const WINDOW: TimeDelta = TimeDelta::seconds(5);

/// Labels by which servers usually tell the status of an answer.
const STATUS_LABELS: [&str; 6] = [
    "code",
    "status",
    "status_code",
    "http_status",
    "http_response_status_code",
    "response_code",
];

/// An answer that a server out of order gives as well as one that sheds on purpose.
const UNAVAILABLE: &str = "503";

/// Demand second by second: exactly one source.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.scrape) ? 1 : 0) + (has(self.prometheus) ? 1 : 0) + (has(self.push) ? 1 : 0) == 1")
        .message("load.live has exactly one source: set one of scrape, prometheus and push")
)]
pub struct LiveSpec {
    /// The target's Ready pods are asked for their metrics each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrape: Option<ScrapeSpec>,
    /// The controller's Prometheus is asked each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<LivePrometheusSpec>,
    /// Samples are sent to `POST /api/v1/signals` of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushSpec>,
}

/// What is read of the pods, in Prometheus's text format over plain HTTP.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeSpec {
    /// Port of the metrics. Default: the pod's annotation `prometheus.io/port`, else the only
    /// port it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_port")]
    pub port: Option<u16>,
    /// Path of the metrics. Default: the pod's annotation `prometheus.io/path`, else `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_path")]
    pub path: Option<String>,
    /// Counter of units served. Series whose status label (`code`, `status`, `status_code`,
    /// `http_status`, `http_response_status_code`, `response_code`) is 503 are left out, unless
    /// that label is named here: a server out of order is no demand.
    pub served: SeriesSpec,
    /// Counter of units shed on purpose, which are demand: a metric of its own, or the label that
    /// marks an answer as shed. Series that `served` takes too count here only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<SeriesSpec>,
    /// Gauge of units waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<SeriesSpec>,
}

/// Series of a page of metrics, which are summed.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeriesSpec {
    /// Name of the metric, for example `http_requests_total`.
    #[schemars(schema_with = "schema::metric")]
    pub metric: String,
    /// Labels that a series must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Labels that a series must not have with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub except: BTreeMap<String, String>,
}

/// A question to the Prometheus of the controller's configuration.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LivePrometheusSpec {
    /// PromQL that yields exactly one series or a scalar: load offered, served plus shed on
    /// purpose, in units per second. It should look back no further than `window`.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// Time over which the query takes its mean, `1s` to `60s`. Default `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
}

/// Samples are sent.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushSpec {}

/// Where demand second by second comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveFeed {
    /// From the pods.
    Scrape(Box<ScrapeFeed>),
    /// From Prometheus.
    Prometheus {
        /// PromQL.
        query: String,
        /// Time over which it takes its mean.
        window: TimeDelta,
    },
    /// From those who send it.
    Push,
}

/// What is asked of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeFeed {
    /// What is read.
    pub wanted: Wanted,
    /// Port, when the policy names one.
    pub port: Option<u16>,
    /// Path, when the policy names one.
    pub path: Option<String>,
}

impl LiveFeed {
    /// Its kind.
    pub fn source(&self) -> LiveSource {
        match self {
            Self::Scrape(_) => LiveSource::Scrape,
            Self::Prometheus { .. } => LiveSource::Prometheus,
            Self::Push => LiveSource::Push,
        }
    }
}

impl LiveSpec {
    /// The source, checked.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<LiveFeed, SpecError> {
        let Self {
            scrape,
            prometheus,
            push,
        } = self;
        match (scrape, prometheus, push) {
            (Some(scrape), None, None) => scrape.validate(),
            (None, Some(prometheus), None) => prometheus.validate(),
            (None, None, Some(PushSpec {})) => Ok(LiveFeed::Push),
            (None, None, None) => Err(SpecError::Missing {
                field: "load.live",
                remedy: "set one of scrape, prometheus and push, or leave load.live out",
            }),
            _ => Err(SpecError::Field {
                field: "load.live",
                value: "more than one source".to_owned(),
                remedy: "keep one of scrape, prometheus and push: two would count demand twice",
            }),
        }
    }
}

impl ScrapeSpec {
    fn validate(&self) -> Result<LiveFeed, SpecError> {
        let Self {
            port,
            path,
            served,
            shed,
            queued,
        } = self;
        if *port == Some(0) {
            return Err(SpecError::Field {
                field: "load.live.scrape.port",
                value: "0".to_owned(),
                remedy: "write a port from 1 to 65535, or leave it to the pods' annotation",
            });
        }
        let fine = |path: &String| {
            path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(path) = path.as_ref().filter(|path| !fine(path)) {
            return Err(SpecError::Field {
                field: "load.live.scrape.path",
                value: path.clone(),
                remedy: "write a path that begins with a slash, for example /metrics",
            });
        }
        let mut wanted = Wanted {
            served: served.selector([
                "load.live.scrape.served.metric",
                "load.live.scrape.served.labels",
                "load.live.scrape.served.except",
            ])?,
            shed: None,
            queued: None,
        };
        for label in STATUS_LABELS {
            if !served.labels.contains_key(label) {
                wanted.served = wanted.served.without(label, UNAVAILABLE);
            }
        }
        if let Some(shed) = shed {
            wanted.shed = Some(shed.selector([
                "load.live.scrape.shed.metric",
                "load.live.scrape.shed.labels",
                "load.live.scrape.shed.except",
            ])?);
            shed.on_purpose(served)?;
        }
        if let Some(queued) = queued {
            wanted.queued = Some(queued.selector([
                "load.live.scrape.queued.metric",
                "load.live.scrape.queued.labels",
                "load.live.scrape.queued.except",
            ])?);
        }
        Ok(LiveFeed::Scrape(Box::new(ScrapeFeed {
            wanted,
            port: *port,
            path: path.clone(),
        })))
    }
}

impl SeriesSpec {
    /// The series as a selector; `fields` are the paths of its three fields.
    fn selector(&self, fields: [&'static str; 3]) -> Result<Selector, SpecError> {
        let Self {
            metric,
            labels,
            except,
        } = self;
        let [metric_field, labels_field, except_field] = fields;
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = |name: &str, more: &dyn Fn(char) -> bool| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| letter(c) || more(c))
        };
        if !named(metric, &|c| c == ':') {
            return Err(SpecError::Field {
                field: metric_field,
                value: metric.clone(),
                remedy: "write the name of a metric, for example http_requests_total",
            });
        }
        for (field, pairs) in [(labels_field, labels), (except_field, except)] {
            if let Some(label) = pairs.keys().find(|label| !named(label, &|_| false)) {
                return Err(SpecError::Field {
                    field,
                    value: label.clone(),
                    remedy: "write label: value, for example code: \"200\"",
                });
            }
        }
        let mut selector = Selector::new(metric.clone());
        for (label, value) in labels {
            selector = selector.with(label.clone(), value.clone());
        }
        for (label, value) in except {
            selector = selector.without(label.clone(), value.clone());
        }
        Ok(selector)
    }

    /// Refuses what would take a failing server for one that sheds.
    fn on_purpose(&self, served: &Self) -> Result<(), SpecError> {
        let field = "load.live.scrape.shed";
        let bare =
            |label: &str, value: &str| STATUS_LABELS.contains(&label) && value == UNAVAILABLE;
        let mut marks = self.labels.iter().peekable();
        let same_metric = self.metric == served.metric;
        if same_metric && marks.peek().is_none() {
            return Err(SpecError::Field {
                field,
                value: self.metric.clone(),
                remedy: "it counts the same series as served: add the label that marks what was \
                         shed, or name a metric of its own",
            });
        }
        if same_metric && marks.all(|(label, value)| bare(label, value)) {
            return Err(SpecError::Field {
                field,
                value: "a bare 503".to_owned(),
                remedy: "a server out of order answers so too, and that is no demand: add the \
                         label that marks what was shed on purpose, or name a metric of its own",
            });
        }
        Ok(())
    }
}

impl LivePrometheusSpec {
    fn validate(&self) -> Result<LiveFeed, SpecError> {
        let Self { query, window } = self;
        if query.trim().is_empty() {
            return Err(SpecError::Missing {
                field: "load.live.prometheus.query",
                remedy: "write PromQL that yields one series in units per second",
            });
        }
        let window = window.map_or(WINDOW, TimeDelta::from);
        if window < TimeDelta::seconds(1) || window > LONGEST_INTERVAL {
            return Err(SpecError::Field {
                field: "load.live.prometheus.window",
                value: HumanDuration(window).to_string(),
                remedy: "write a duration from 1s to 60s: a mean over more hides a spike",
            });
        }
        Ok(LiveFeed::Prometheus {
            query: query.clone(),
            window,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PredictiveAutoscaler;

    fn with(live: &str) -> PredictiveAutoscaler {
        serde_saphyr::from_str(&format!(
            "
apiVersion: tipoff.dev/v1alpha1
kind: PredictiveAutoscaler
metadata: {{name: checkout, namespace: dfs}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: checkout}}
  minReplicas: 4
  maxReplicas: 400
  load:
    prometheus: {{query: q}}
    live: {live}
"
        ))
        .unwrap()
    }

    fn feed(live: &str) -> Result<LiveFeed, SpecError> {
        with(live).spec.validate().map(|valid| valid.live.unwrap())
    }

    #[test]
    fn each_source_can_be_written() {
        for live in [
            "{push: {}}",
            "{prometheus: {query: q}}",
            "{scrape: {served: {metric: requests_total}}}",
        ] {
            with(live).validate_cel().unwrap();
        }
        assert_eq!(feed("{push: {}}"), Ok(LiveFeed::Push));
        assert_eq!(
            feed("{prometheus: {query: q}}"),
            Ok(LiveFeed::Prometheus {
                query: "q".into(),
                window: WINDOW
            })
        );
        insta::assert_debug_snapshot!(feed(
            "{scrape: {port: 9100, path: /m, served: {metric: req, labels: {path: /a}, except: {code: '500'}}, \
             shed: {metric: req, labels: {code: '503', shed: 'true'}}, queued: {metric: depth}}}"
        ));
    }

    #[test]
    fn the_api_server_wants_exactly_one_source() {
        for live in ["{}", "{push: {}, prometheus: {query: q}}"] {
            let refused = with(live).validate_cel().unwrap_err().to_string();
            assert!(refused.contains("exactly one source"), "{refused}");
            assert!(feed(live).is_err());
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_the_remedy() {
        let refused = [
            "{}",
            "{push: {}, prometheus: {query: q}}",
            "{prometheus: {query: ' '}}",
            "{prometheus: {query: q, window: 5m}}",
            "{scrape: {served: {metric: 'a b'}}}",
            "{scrape: {served: {metric: a, labels: {'b-c': d}}}}",
            "{scrape: {port: 0, served: {metric: a}}}",
            "{scrape: {path: metrics, served: {metric: a}}}",
            "{scrape: {served: {metric: a}, shed: {metric: a}}}",
            "{scrape: {served: {metric: a}, shed: {metric: a, labels: {code: '503'}}}}",
        ]
        .map(|live| feed(live).unwrap_err().to_string())
        .join("\n");
        insta::assert_snapshot!(refused);
    }

    #[test]
    fn a_metric_of_its_own_or_a_mark_is_shed_on_purpose() {
        for shed in [
            "{metric: shed_total}",
            "{metric: a, labels: {code: '503', reason: overload}}",
            "{metric: a, labels: {code: '429'}}",
        ] {
            feed(&format!(
                "{{scrape: {{served: {{metric: a}}, shed: {shed}}}}}"
            ))
            .unwrap();
        }
    }
}
