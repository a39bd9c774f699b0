//! What may not be believed, and what follows: missing may hold or raise, never lower.

use chrono::TimeDelta;

use super::observed::{Observed, Signal};
use super::policy::Policy;
use crate::forecast::Forecast;
use crate::units::{Rate, Timestamp};

/// The facts that passed, and what is wrong with those that did not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trusted {
    /// Served + shed + queued, when the load signal is fresh.
    pub(super) offered: Option<Rate>,
    /// Whether the forecast is recent and reaches over the look-ahead.
    pub(super) forecast_usable: bool,
    /// Whether the forecast exists and covers at least the present, fresh or not: an old one may
    /// still raise.
    pub(super) forecast_may_raise: bool,
    /// What is missing, stale or not a number; while there is anything here nothing is lowered.
    pub(super) problems: Vec<String>,
}

/// Clocks and moments of one tick may differ by this much.
const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Whether a bin of the quantile within `[from, to]` is not a load.
fn has_holes(forecast: &Forecast, policy: &Policy, from: Timestamp, to: Timestamp) -> bool {
    (0..forecast.len())
        .filter(|&bin| forecast.time(bin) <= to && forecast.time(bin) + forecast.step > from)
        .any(|bin| !Rate::per_second(forecast.path(policy.quantile)[bin]).is_valid())
}

/// Judges the facts of one tick.
pub(super) fn judge(
    observed: &Observed,
    policy: &Policy,
    lookahead: TimeDelta,
    now: Timestamp,
) -> Trusted {
    let mut problems = Vec::new();
    let mut fresh = |name: &str, signal: &Signal| match signal.fresh(now, policy.freshness.load) {
        Ok(rate) => Some(rate),
        Err(reason) => {
            problems.push(format!("{name}: {reason}"));
            None
        }
    };
    let load = fresh("load", &observed.load);
    let shed = observed
        .shed
        .as_ref()
        .map(|signal| fresh("shed load", signal));
    let queued = observed
        .queued
        .as_ref()
        .map(|signal| fresh("queue", signal));
    // parts that are known still count: half the demand is a better floor than none
    let offered = load.map(|load| {
        load + shed.flatten().unwrap_or(Rate::ZERO) + queued.flatten().unwrap_or(Rate::ZERO)
    });

    let (forecast_may_raise, forecast_usable) = match &observed.forecast {
        None => {
            let why = observed.forecast_note.clone();
            problems.push(format!(
                "forecast: {}",
                why.unwrap_or_else(|| "none yet".to_owned())
            ));
            (false, false)
        }
        Some(forecast) => {
            // a forecast made while the facts were gathered may begin a moment later than they
            let covers_now = forecast.start <= now + SKEW && now < forecast.end();
            if now - forecast.origin > policy.freshness.forecast {
                problems.push(format!(
                    "forecast: its origin {} is more than {} old",
                    forecast.origin.format("%Y-%m-%d %H:%M UTC"),
                    crate::units::HumanDuration(policy.freshness.forecast)
                ));
                (covers_now, false)
            } else if !covers_now || forecast.end() < now + lookahead {
                problems.push(format!(
                    "forecast: it covers {} to {}, not the next {}",
                    forecast.start.format("%Y-%m-%d %H:%M"),
                    forecast.end().format("%Y-%m-%d %H:%M UTC"),
                    crate::units::HumanDuration(lookahead)
                ));
                (covers_now, false)
            } else if has_holes(forecast, policy, now, now + lookahead) {
                problems.push("forecast: it holds values that are not loads".to_owned());
                (covers_now, false)
            } else {
                (true, true)
            }
        }
    };
    if let Some(note) = &observed.burst.note {
        problems.push(format!("live load: {note}"));
    }
    if let Some(note) = &observed.lists_note {
        problems.push(note.clone());
    }
    if observed.workload.ready == 0 && observed.workload.replicas > 0 {
        problems.push("no replica is Ready: ratios and rates mean nothing now".to_owned());
    }
    Trusted {
        offered,
        forecast_usable,
        forecast_may_raise,
        problems,
    }
}
