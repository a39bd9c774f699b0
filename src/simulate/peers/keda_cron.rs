//! KEDA with one cron trigger per fixture window beside the load trigger.
//!
//! The cron scaler's metric is `desiredReplicas` (target 1) while `next(end) <= next(start)` and
//! 0 otherwise; both triggers go through one HPA, whose rate limits still apply
//! (`pkg/scalers/cron_scaler.go`).

use chrono::{Months, TimeDelta};

use super::super::policies::{ScalingPolicy, Sight};
use super::hpa::{HpaMetric, HpaPolicy, HpaSpec, Reading};
use super::{largest, replicas_for};
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// One trigger: a start and an end that recur every year, as five cron fields must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Start of the high size.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl Window {
    /// `next(end) <= next(start)`, where `next` is strictly after `now`.
    fn active(&self, now: Timestamp) -> bool {
        next(self.end, now) <= next(self.start, now)
    }
}

fn next(first: Timestamp, now: Timestamp) -> Timestamp {
    let mut at = first;
    while at <= now {
        match at.checked_add_months(Months::new(12)) {
            Some(later) => at = later,
            None => return at,
        }
    }
    at
}

/// Sizes that hindsight would type: the high one for the largest load within the windows, the
/// low one for all but a thousandth of the time outside.
pub fn hindsight(
    load: &Series,
    windows: &[Window],
    from: Timestamp,
    to: Timestamp,
    per_replica: Rate,
) -> (u32, u32) {
    let inside = |at: Timestamp| windows.iter().any(|w| at >= w.start && at < w.end);
    let high = windows
        .iter()
        .map(|w| largest(load, w.start.max(from), w.end.min(to)))
        .fold(0.0, f64::max);
    let mut outside: Vec<f64> = load
        .between(from, to)
        .iter()
        .filter(|(at, _)| !inside(*at))
        .filter_map(|(_, rate)| rate.map(Rate::as_per_second))
        .collect();
    outside.sort_unstable_by(f64::total_cmp);
    let low = match outside.len() {
        0 => 0.0,
        n => outside[((n as f64 * 0.999) as usize).min(n - 1)],
    };
    (
        replicas_for(high, per_replica).max(1),
        replicas_for(low, per_replica).max(1),
    )
}

/// KEDA with cron triggers.
#[derive(Debug, Clone)]
pub struct KedaCron {
    hpa: HpaPolicy,
    windows: Vec<Window>,
    replicas: u32,
}

impl KedaCron {
    /// `replicas` within the windows, and what `metrics` ask for at any time.
    pub fn new(
        name: impl Into<String>,
        spec: HpaSpec,
        metrics: Vec<HpaMetric>,
        windows: Vec<Window>,
        replicas: u32,
    ) -> Self {
        Self {
            hpa: HpaPolicy::new(name, spec, metrics),
            windows,
            replicas,
        }
    }

    /// Windows from `before` the start of each of `spans` to `after` its end.
    pub fn windows(
        spans: impl IntoIterator<Item = (Timestamp, Timestamp)>,
        before: TimeDelta,
        after: TimeDelta,
    ) -> Vec<Window> {
        spans
            .into_iter()
            .map(|(start, end)| Window {
                start: start - before,
                end: end + after,
            })
            .collect()
    }
}

impl ScalingPolicy for KedaCron {
    fn name(&self) -> &str {
        self.hpa.name()
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        let (windows, replicas) = (&self.windows, self.replicas);
        self.hpa.decide_with(sight, now, || {
            let active = windows.iter().any(|window| window.active(now));
            vec![Some(Reading::AverageValue {
                total: if active { f64::from(replicas) } else { 0.0 },
                target: 1.0,
            })]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::days(9000) + TimeDelta::minutes(i)
    }

    #[test]
    fn a_trigger_is_active_from_its_start_to_just_before_its_end() {
        let window = Window {
            start: minute(10),
            end: minute(20),
        };
        let active: Vec<i64> = (0..30).filter(|&i| window.active(minute(i))).collect();
        assert_eq!(active, (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn hindsight_types_the_peak_inside_and_nearly_the_peak_outside() {
        let mut values = vec![100.0; 2000];
        values[15] = 990.0;
        values[1000] = 5000.0;
        let load = Series::from_raw(minute(0), TimeDelta::minutes(1), values);
        let windows = [Window {
            start: minute(10),
            end: minute(20),
        }];
        let sizes = hindsight(
            &load,
            &windows,
            minute(0),
            minute(2000),
            Rate::per_second(50.0),
        );
        assert_eq!(sizes, (20, 2));
    }
}
