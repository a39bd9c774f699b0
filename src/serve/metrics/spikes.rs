//! What the fast loop sees, as metrics.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use super::register;
use crate::burst::News;

/// Bounds of the age of samples when they are looked at, seconds.
const AGES: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Bounds of the time from a look to the answered write, seconds.
const WRITES: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A sample that was older than a second when it was looked at came after the next was due.
const OVERRUN: f64 = 1.0;

/// Counters of spikes. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct SpikeMetrics {
    news: IntCounterVec,
    age: Histogram,
    overruns: IntCounter,
    write: Histogram,
}

impl SpikeMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let news = register(
            registry,
            IntCounterVec::new(
                Opts::new(
                    "tipoff_spikes_total",
                    "What became of spikes: alarm, confirmed, false_alarm, faded, new_level.",
                ),
                &["what"],
            )?,
        )?;
        for what in ["alarm", "confirmed", "false_alarm", "faded", "new_level"] {
            news.with_label_values(&[what]);
        }
        let age = register(
            registry,
            Histogram::with_opts(
                HistogramOpts::new(
                    "tipoff_live_sample_age_seconds",
                    "Age of the newest live sample when the fast loop looked at it.",
                )
                .buckets(AGES.to_vec()),
            )?,
        )?;
        let overruns = register(
            registry,
            IntCounter::new(
                "tipoff_live_overruns_total",
                "Looks of the fast loop at a newest live sample that was over a second old.",
            )?,
        )?;
        let write = register(
            registry,
            Histogram::with_opts(
                HistogramOpts::new(
                    "tipoff_spike_write_seconds",
                    "From the look at the sample that decided to the API server's answer.",
                )
                .buckets(WRITES.to_vec()),
            )?,
        )?;
        Ok(Self {
            news,
            age,
            overruns,
            write,
        })
    }

    /// Counts what happened.
    pub(super) fn count(&self, news: &News) {
        let what = match news {
            News::Alarm { .. } | News::Again { .. } => "alarm",
            News::Confirmed => "confirmed",
            News::FalseAlarm => "false_alarm",
            News::Faded(_) => "faded",
            News::NewLevel => "new_level",
        };
        self.news.with_label_values(&[what]).inc();
    }

    /// Notes the age of a sample, seconds.
    pub(super) fn looked_at(&self, age: f64) {
        self.age.observe(age.max(0.0));
        if age > OVERRUN {
            self.overruns.inc();
        }
    }

    /// Notes how long a write took since the look that decided on it, seconds.
    pub(super) fn written(&self, seconds: f64) {
        self.write.observe(seconds);
    }
}
