//! What each source asks for, apart from what it may have: the forecast's floor and live demand.
//!
//! `floor(t) = ceil( max over τ in [0, lookahead] of q(t+τ) · cover(t+τ) / (capacity · target) )`
//! (DESIGN.md section 4, "Headroom"). Live demand is the offered load under the same cover: it
//! speaks when the crowd is larger than any forecast said.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::observed::{ManualAction, Observed};
use super::policy::Policy;
use crate::fixture::{Calendar, Fixture};
use crate::forecast::Forecast;
use crate::units::{Rate, Timestamp};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The forecast over the time capacity needs to arrive.
    Forecast,
    /// Load offered now.
    Live,
    /// A person.
    Manual,
}

impl Source {
    /// As it stands in status and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Live => "live",
            Self::Manual => "manual",
        }
    }
}

/// What one source asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemandPart {
    /// Who asks.
    pub source: Source,
    /// How many replicas.
    pub replicas: u32,
    /// Load they are for, cover included.
    pub load: Option<Rate>,
    /// When that load is expected.
    pub at: Timestamp,
    /// In words.
    pub reason: String,
}

/// How load turns into replicas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sizing {
    /// Load one replica carries.
    pub(super) per_replica: Rate,
    /// Share of it to plan for.
    pub(super) target: f64,
}

impl Sizing {
    /// Replicas for a load, rounded up; capped so that an absurd forecast cannot overflow.
    pub(super) fn replicas(self, load: Rate) -> u32 {
        let exact = load / (self.per_replica * self.target);
        if !exact.is_finite() {
            return 0;
        }
        // the hair takes away what floating point adds to an exact multiple
        (exact - 1e-9).ceil().clamp(0.0, 1e6) as u32
    }
}

/// Fixtures that may be in play between two times.
pub(super) fn near(calendar: &Calendar, from: Timestamp, to: Timestamp) -> Vec<&Fixture> {
    calendar.starting_between(from - TimeDelta::days(1), to + TimeDelta::minutes(1))
}

/// Cover at a time: the live multiple while any fixture is in play.
fn cover_at(policy: &Policy, fixtures: &[&Fixture], at: Timestamp) -> f64 {
    let live = fixtures
        .iter()
        .any(|fixture| fixture.phase_at(at).is_live());
    if live {
        policy.spike_cover.live.max(policy.spike_cover.quiet)
    } else {
        policy.spike_cover.quiet
    }
}

/// The largest covered load in `[from, to]` at the policy's quantile, and when.
fn covered_peak(
    forecast: &Forecast,
    policy: &Policy,
    fixtures: &[&Fixture],
    from: Timestamp,
    to: Timestamp,
) -> Option<(Timestamp, Rate, f64)> {
    (0..forecast.len())
        .map(|index| (forecast.time(index), forecast.path(policy.quantile)[index]))
        .filter(|&(at, _)| at <= to && at + forecast.step > from)
        .map(|(at, load)| {
            // a kick-off inside the bin covers the bin
            let last = (at + forecast.step - TimeDelta::milliseconds(1)).min(to);
            let at = at.max(from);
            let cover =
                cover_at(policy, fixtures, at).max(cover_at(policy, fixtures, last.max(at)));
            (at, Rate::per_second(load * cover), cover)
        })
        .filter(|(_, load, _)| load.is_valid())
        .max_by(|(_, a, _), (_, b, _)| a.as_per_second().total_cmp(&b.as_per_second()))
}

/// What the forecast asks for over `[now, now + lookahead]`; the time larger sizes take to be
/// created lengthens the look-ahead once.
pub(super) fn from_forecast(
    forecast: &Forecast,
    observed: &Observed,
    policy: &Policy,
    sizing: Sizing,
    lookahead: TimeDelta,
    now: Timestamp,
) -> Option<DemandPart> {
    let horizon = now + lookahead;
    let fixtures = near(&observed.calendar, now, horizon + TimeDelta::hours(1));
    let (_, first, _) = covered_peak(forecast, policy, &fixtures, now, horizon)?;
    let missing = sizing
        .replicas(first)
        .saturating_sub(observed.workload.replicas);
    let creation = f64::from(missing) / policy.start_up.pods_per_second;
    let creation = TimeDelta::milliseconds((creation.min(3600.0) * 1e3) as i64);
    let (at, load, cover) = covered_peak(forecast, policy, &fixtures, now, horizon + creation)?;
    let replicas = sizing.replicas(load);
    Some(DemandPart {
        source: Source::Forecast,
        replicas,
        load: Some(load),
        at,
        reason: format!(
            "{} of {} expected at {} needs {replicas} at {cover:.1}x cover ({} per replica at {:.0} %)",
            policy.quantile.name(),
            load / cover,
            at.format("%H:%M"),
            sizing.per_replica,
            sizing.target * 100.0,
        ),
    })
}

/// What the load offered now asks for.
pub(super) fn from_live(
    offered: Rate,
    observed: &Observed,
    policy: &Policy,
    sizing: Sizing,
    now: Timestamp,
) -> DemandPart {
    let cover = cover_at(policy, &near(&observed.calendar, now, now), now);
    let load = offered * cover;
    let replicas = sizing.replicas(load);
    DemandPart {
        source: Source::Live,
        replicas,
        load: Some(load),
        at: now,
        reason: format!("{offered} offered now needs {replicas} at {cover:.1}x cover"),
    }
}

/// What a person asks for, while the order stands.
pub(super) fn from_manual(observed: &Observed, now: Timestamp) -> Option<DemandPart> {
    let order = observed
        .manual
        .as_ref()
        .filter(|order| now < order.expires)?;
    let (replicas, verb) = match order.action {
        ManualAction::Pin(replicas) => (replicas, "pinned to"),
        ManualAction::Boost(replicas) => (replicas, "boosted to at least"),
        ManualAction::Freeze => (observed.workload.replicas, "frozen at"),
    };
    Some(DemandPart {
        source: Source::Manual,
        replicas,
        load: None,
        at: now,
        reason: format!(
            "{verb} {replicas} by hand until {} ({})",
            order.expires.format("%Y-%m-%d %H:%M UTC"),
            order.reason
        ),
    })
}
