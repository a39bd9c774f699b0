//! What each source asks for, apart from what it may have: the forecast's floor and live demand.
//!
//! `floor(t) = ceil( max over τ in [0, lookahead] of need(t+τ) / (capacity · target) )` with
//! `need = p50 · exp( sqrt( ln²(q/p50) + ln²(cover) ) )`: the error of the forecast and the spike
//! are independent, so their logarithms join in quadrature. The need lies between the larger of
//! `q` and `p50 · cover` and their product, and grows with each of the three. Live demand is the
//! offered load under the quiet cover: it speaks when the crowd is larger than any forecast said.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::observed::{BurstSight, ManualAction, Observed};
use super::policy::{LiveCover, Policy, SpikeCover};
use super::standing;
use crate::burst::SpikeSizes;
use crate::burst::headroom;
use crate::fixture::phase::{MAX_DELAY, PRE_LOCK};
use crate::fixture::{Calendar, Fixture, Phase};
use crate::forecast::{Forecast, Quantile};
use crate::units::{Rate, Timestamp};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The forecast over the time capacity needs to arrive.
    Forecast,
    /// Load offered now.
    Live,
    /// A spike under way, held, or announced.
    Burst,
    /// A person.
    Manual,
}

impl Source {
    /// As it stands in status and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Live => "live",
            Self::Burst => "burst",
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
        if exact.is_nan() {
            return 0;
        }
        // the hair takes away what floating point adds to an exact multiple
        (exact - 1e-9).ceil().clamp(0.0, 1e6) as u32
    }
}

/// Fixtures start at most this long before they may still be in play: the longest match days,
/// extra time and delays included.
pub(super) const LONGEST_PLAY: TimeDelta = TimeDelta::hours(24);

/// The fixtures around a stretch of time, and the cover they call for.
#[derive(Debug)]
pub(super) struct Crowd<'a> {
    policy: &'a Policy,
    /// Each with the widest time it could be in play.
    fixtures: Vec<(Timestamp, Timestamp, &'a Fixture)>,
    /// The cover by the number of fixtures in play.
    covers: [f64; MOST_IN_PLAY + 1],
}

/// More fixtures at once change the cover no further.
const MOST_IN_PLAY: usize = 16;

/// The multiple that stands ready with so many fixtures in play.
fn cover_with(policy: &Policy, spikes: &SpikeSizes, until_ready: TimeDelta, in_play: usize) -> f64 {
    let SpikeCover { quiet, live } = policy.spike_cover;
    if in_play == 0 {
        return quiet;
    }
    let live = match live {
        LiveCover::Multiple(multiple) => multiple,
        LiveCover::Share(share) => {
            let bridge = standing::bridge(spikes, until_ready);
            headroom::cover(spikes, in_play as u32, &bridge, share)
        }
    };
    live.max(quiet)
}

impl<'a> Crowd<'a> {
    /// The fixtures that could be in play at some time in `[from, to]`, when capacity takes
    /// `until_ready` to arrive.
    pub(super) fn new(
        calendar: &'a Calendar,
        policy: &'a Policy,
        spikes: &SpikeSizes,
        until_ready: TimeDelta,
        [from, to]: [Timestamp; 2],
    ) -> Self {
        let fixtures: Vec<_> = calendar
            .starting_between(from - LONGEST_PLAY, to + MAX_DELAY)
            .into_iter()
            .map(|fixture| {
                let latest = fixture.latest_end() + MAX_DELAY + fixture.settle;
                (
                    fixture.lock().min(fixture.start.at) - MAX_DELAY - PRE_LOCK,
                    latest,
                    fixture,
                )
            })
            .filter(|(first, last, _)| *first <= to && *last >= from)
            .collect();
        let most = fixtures.len().min(MOST_IN_PLAY);
        let mut covers = [policy.spike_cover.quiet; MOST_IN_PLAY + 1];
        for (in_play, cover) in covers.iter_mut().enumerate().take(most + 1) {
            *cover = cover_with(policy, spikes, until_ready, in_play);
        }
        Self {
            policy,
            fixtures,
            covers,
        }
    }

    /// The policy it stands for.
    pub(super) fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The fixtures and their phases at a time, those that are upcoming or over left out.
    pub(super) fn covering(&self, at: Timestamp) -> impl Iterator<Item = (&'a Fixture, Phase)> {
        self.fixtures
            .iter()
            .filter(move |(first, last, _)| *first <= at && at <= *last)
            .map(move |(_, _, fixture)| (*fixture, fixture.phase_at(at)))
            .filter(|(_, phase)| phase.is_covering())
    }

    /// Fixtures in play at a time.
    pub(super) fn in_play(&self, at: Timestamp) -> usize {
        self.covering(at)
            .filter(|(_, phase)| phase.is_live())
            .count()
    }

    /// The live multiple while any fixture is in play, else the quiet one.
    pub(super) fn cover_at(&self, at: Timestamp) -> f64 {
        self.covers[self.in_play(at).min(MOST_IN_PLAY)]
    }

    /// The largest covered load in `[from, to]` at the policy's quantile, when, and its cover.
    pub(super) fn covered_peak(
        &self,
        forecast: &Forecast,
        from: Timestamp,
        to: Timestamp,
    ) -> Option<(Timestamp, Rate, f64)> {
        let most = self.covers.iter().copied().fold(1.0, f64::max);
        let mut best: Option<(Timestamp, Rate, f64)> = None;
        for index in 0..forecast.len() {
            let at = forecast.time(index);
            if at > to || at + forecast.step <= from {
                continue;
            }
            let median = forecast.path(Quantile::P50)[index];
            let load = forecast.path(self.policy.quantile)[index];
            // who is in play takes longest to find out, and matters to few bins
            let at_most = Rate::per_second(need(median, load, most));
            if at_most.is_valid() && best.is_some_and(|(_, best, _)| at_most <= best) {
                continue;
            }
            // a kick-off inside the bin covers the bin
            let last = (at + forecast.step - TimeDelta::milliseconds(1)).min(to);
            let at = at.max(from);
            let cover = self.cover_at(at).max(self.cover_at(last.max(at)));
            let load = Rate::per_second(need(median, load, cover));
            // the first of equal peaks: that is when it must be ready
            if load.is_valid() && best.is_none_or(|(_, best, _)| load > best) {
                best = Some((at, load, cover));
            }
        }
        best
    }
}

/// Load to be ready for, from the median, the quantile and the cover.
pub(super) fn need(median: f64, quantile: f64, cover: f64) -> f64 {
    if median <= 0.0 {
        return quantile;
    }
    let doubt = (quantile / median).max(1.0);
    median * doubt.ln().hypot(cover.ln()).exp()
}

/// What the forecast asks for over `[now, now + lookahead]`; the time larger sizes take to be
/// created lengthens the look-ahead once.
pub(super) fn from_forecast(
    forecast: &Forecast,
    replicas: u32,
    crowd: &Crowd<'_>,
    sizing: Sizing,
    lookahead: TimeDelta,
    now: Timestamp,
) -> Option<DemandPart> {
    let policy = crowd.policy;
    let horizon = now + lookahead;
    let (_, first, _) = crowd.covered_peak(forecast, now, horizon)?;
    let missing = sizing.replicas(first).saturating_sub(replicas);
    let creation = f64::from(missing) / policy.start_up.pods_per_second;
    let creation = TimeDelta::milliseconds((creation.min(3600.0) * 1e3) as i64);
    let (at, load, cover) = crowd.covered_peak(forecast, now, horizon + creation)?;
    let replicas = sizing.replicas(load);
    Some(DemandPart {
        source: Source::Forecast,
        replicas,
        load: Some(load),
        at,
        reason: format!(
            "{} of {} expected at {} needs {replicas} with a spike cover of {cover:.1}x ({} per \
             replica at {:.0} %)",
            policy.quantile.name(),
            forecast.at(policy.quantile, at).unwrap_or(load),
            at.format("%H:%M UTC"),
            sizing.per_replica,
            sizing.target * 100.0,
        ),
    })
}

/// What the load offered now asks for, by either measure of it: the metric's, and the live
/// samples'. The larger counts.
pub(super) fn from_live(
    slow: Option<Rate>,
    burst: &BurstSight,
    crowd: &Crowd<'_>,
    sizing: Sizing,
    now: Timestamp,
) -> Option<DemandPart> {
    // a spike under way is the load the live cover stood ready for, not a level to cover again
    let quiet = crowd.policy.spike_cover.quiet;
    let live_cover = if burst.demand.is_some() { 1.0 } else { quiet };
    let slow = slow.map(|offered| (offered, quiet));
    let live = burst.offered.map(|offered| (offered, live_cover));
    let (offered, cover) = [slow, live].into_iter().flatten().reduce(|best, next| {
        if next.0 * next.1 > best.0 * best.1 {
            next
        } else {
            best
        }
    })?;
    let load = offered * cover;
    let replicas = sizing.replicas(load);
    Some(DemandPart {
        source: Source::Live,
        replicas,
        load: Some(load),
        at: now,
        reason: format!("{offered} offered now needs {replicas} at {cover:.1}x cover"),
    })
}

/// What a spike asks for. It is the load itself that is expected, its scatter included: no cover
/// is put on top.
pub(super) fn from_burst(sight: &BurstSight, sizing: Sizing) -> Option<DemandPart> {
    let demand = sight.demand.as_ref()?;
    let replicas = sizing.replicas(demand.load);
    let doubt = if demand.confirmed {
        ""
    } else {
        ", not confirmed yet"
    };
    Some(DemandPart {
        source: Source::Burst,
        replicas,
        load: Some(demand.load),
        at: demand.since,
        reason: format!(
            "{}: ready for {} takes {replicas}{doubt}",
            demand.reason, demand.load
        ),
    })
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
