//! What people use today, each as faithful as its source allows: one file per baseline.

pub mod hpa;
pub mod keda_cron;
pub mod kpa;
pub mod oracle;
pub mod seasonal_naive;
pub mod static_peak;

pub use hpa::{HpaMetric, HpaPolicy, HpaSpec};
pub use keda_cron::KedaCron;
pub use kpa::{KpaPolicy, KpaSpec};
pub use oracle::Oracle;
pub use seasonal_naive::SeasonalNaive;
pub use static_peak::StaticPeak;

use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// Replicas that serve `rate`, rounded up.
fn replicas_for(rate: f64, per_replica: Rate) -> u32 {
    let exact = rate / per_replica.as_per_second();
    // the hair takes away what floating point adds to an exact multiple
    (exact - 1e-9).ceil().clamp(0.0, 1e6) as u32
}

/// The largest value of the bins that meet `[from, to)`; 0 when there is none.
fn largest(load: &Series, from: Timestamp, to: Timestamp) -> f64 {
    let step = load.step().num_milliseconds();
    let index = |at: Timestamp, round_up: i64| {
        let offset = (at - load.start()).num_milliseconds() + round_up;
        usize::try_from(offset.div_euclid(step).max(0)).unwrap_or(0)
    };
    let last = index(to, step - 1).min(load.len());
    let first = index(from, 0).min(last);
    load.raw()[first..last]
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max)
}
