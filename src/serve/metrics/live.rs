//! Live samples as metrics: what came in, what was refused, and how old the newest is.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry};

use super::{Metrics, WORKLOAD, register, show};
use crate::source::LiveSource;
use crate::source::live::Refused;
use crate::source::scrape::ScrapeError;

/// Reasons of requests that were refused before their samples were looked at.
const REQUESTS: [&str; 5] = [
    "disabled",
    "unauthorized",
    "flood",
    "too_large",
    "malformed",
];

/// Kind of pods that told a rate which was not counted, as it was far from the others'.
const SET_ASIDE: &str = "set_aside";

/// Counters of live signals. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct LiveMetrics {
    /// In the order of [`LiveSource::ALL`]: ten thousand a second are not looked up by name.
    samples: [IntCounter; LiveSource::ALL.len()],
    refused: IntCounterVec,
    scrape_errors: IntCounterVec,
    age: GaugeVec,
}

impl LiveMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let count = |name: &str, help: &str, label: &str| {
            register(
                registry,
                IntCounterVec::new(Opts::new(name, help), &[label])?,
            )
        };
        let samples = count(
            "tipoff_live_samples_total",
            "Live samples taken in, by source.",
            "source",
        )?;
        let metrics = Self {
            samples: LiveSource::ALL.map(|source| samples.with_label_values(&[source.label()])),
            refused: count(
                "tipoff_live_refused_total",
                "Live samples, hints and requests with them that were not taken, by reason.",
                "reason",
            )?,
            scrape_errors: count(
                "tipoff_scrape_errors_total",
                "Pods not counted in a second, by kind of error.",
                "kind",
            )?,
            age: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "tipoff_workload_live_age_seconds",
                        "Age of the newest live sample at the last decision; absent without one.",
                    ),
                    &WORKLOAD,
                )?,
            )?,
        };
        for reason in Refused::REASONS.iter().chain(&REQUESTS) {
            metrics.refused.with_label_values(&[reason]);
        }
        for kind in ScrapeError::KINDS.iter().chain(&[SET_ASIDE]) {
            metrics.scrape_errors.with_label_values(&[kind]);
        }
        Ok(metrics)
    }

    pub(super) fn age(&self, labels: [&str; 2], seconds: Option<f64>) {
        show(&self.age, labels, seconds);
    }
}

impl Metrics {
    /// Counts a live sample that was taken in.
    pub fn live_sample(&self, source: LiveSource) {
        self.live.samples[source as usize].inc();
    }

    /// Counts a live sample, hint or request with them that was not taken; `reason` is
    /// [`Refused::reason`] or what was wrong with the request.
    pub fn live_refused(&self, reason: &'static str) {
        self.live.refused.with_label_values(&[reason]).inc();
    }

    /// Counts a pod that told no rate in a second; `kind` is [`ScrapeError::kind`].
    pub fn scrape_error(&self, kind: &'static str) {
        self.live.scrape_errors.with_label_values(&[kind]).inc();
    }

    /// Counts pods whose rates were set aside as far from the others'.
    pub fn pods_set_aside(&self, pods: usize) {
        let errors = &self.live.scrape_errors;
        errors.with_label_values(&[SET_ASIDE]).inc_by(pods as u64);
    }

    /// Shows how old a workload's newest live sample is; `None` when there is none.
    pub fn live_age(&self, namespace: &str, name: &str, seconds: Option<f64>) {
        self.live.age([namespace, name], seconds);
    }
}
