//! What the fast loop sees, as metrics.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use super::register;
use crate::burst::News;

/// Bounds of the age of samples when they are looked at, seconds.
const AGES: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Counters of spikes. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct SpikeMetrics {
    news: IntCounterVec,
    age: Histogram,
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
        Ok(Self { news, age })
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
    }
}
