//! A week ago, half an hour early, as a second trigger of an HPA: what Grafana Mimir's chart calls
//! predictive scaling, `max_over_time(metric[30m] offset 6d23h30m)`.

use chrono::TimeDelta;

use super::super::policies::{ScalingPolicy, Sight};
use super::hpa::{HpaMetric, HpaPolicy, HpaSpec, Reading};
use super::largest;
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// Window of the maximum, and how early it looks.
const AHEAD: TimeDelta = TimeDelta::minutes(30);

/// Seasonal-naive floor over an HPA.
#[derive(Debug, Clone)]
pub struct SeasonalNaive {
    hpa: HpaPolicy,
    history: Series,
    average: Rate,
}

impl SeasonalNaive {
    /// The floor is `history` a week ago over `average` per replica. Only bins at least six days
    /// and 23 hours old are ever read.
    pub fn new(
        name: impl Into<String>,
        spec: HpaSpec,
        metrics: Vec<HpaMetric>,
        history: Series,
        average: Rate,
    ) -> Self {
        Self {
            hpa: HpaPolicy::new(name, spec, metrics),
            history,
            average,
        }
    }
}

impl ScalingPolicy for SeasonalNaive {
    fn name(&self) -> &str {
        self.hpa.name()
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        let (history, average) = (&self.history, self.average);
        self.hpa.decide_with(sight, now, || {
            let from = now - TimeDelta::weeks(1);
            vec![Some(Reading::AverageValue {
                total: largest(history, from, from + AHEAD),
                target: average.as_per_second(),
            })]
        })
    }
}
