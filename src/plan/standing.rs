//! What stands ready only because a spike may come, and its price.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::demand::{Crowd, Sizing, need};
use crate::burst::SpikeSizes;
use crate::burst::headroom::{Bridge, covered};
use crate::forecast::{Forecast, Quantile};
use crate::units::{Rate, Timestamp};

/// Spike to decision: a sample's own second, and a tick.
const UNTIL_DECIDED: TimeDelta = TimeDelta::seconds(2);

/// Standing headroom and its price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cover {
    /// Multiple of the expected load that should stand ready.
    pub multiple: f64,
    /// Fixtures in play.
    pub in_play: u32,
    /// Share of spikes that find their capacity standing; `None` while nothing is in play.
    pub spikes_covered: Option<f64>,
    /// Spikes in an hour that are larger than that; `None` while nothing is in play.
    #[serde(default)]
    pub larger_per_hour: Option<f64>,
    /// Replicas that should stand now for no other reason.
    pub replicas: u32,
    /// Replica-hours that come to over the rest of the forecast.
    pub replica_hours: f64,
}

/// What a spike meets: how large it may be, and how long help takes.
pub(super) fn bridge(spikes: &SpikeSizes, until_ready: TimeDelta) -> Bridge {
    Bridge {
        until_ready: until_ready + UNTIL_DECIDED,
        rise: spikes.rise(),
        queueing: TimeDelta::zero(),
    }
}

/// The cover in force at `now`, and what it costs until the forecast ends.
pub(super) fn price(
    forecast: &Forecast,
    crowd: &Crowd<'_>,
    sizing: Sizing,
    (spikes, until_ready): (&SpikeSizes, TimeDelta),
    now: Timestamp,
) -> Option<Cover> {
    let policy = crowd.policy();
    let extra = |bin: usize, cover: f64| {
        let median = forecast.path(Quantile::P50)[bin];
        let quantile = forecast.path(policy.quantile)[bin];
        let replicas = |cover| {
            let load = Rate::per_second(need(median, quantile, cover));
            let needed = if load.is_valid() {
                sizing.replicas(load)
            } else {
                0
            };
            needed.clamp(policy.min_replicas, policy.max_replicas)
        };
        replicas(cover).saturating_sub(replicas(1.0))
    };
    let present = (0..forecast.len())
        .find(|&bin| forecast.time(bin) + forecast.step > now)
        .filter(|&bin| forecast.time(bin) <= now)?;
    let multiple = crowd.cover_at(now);
    let in_play = crowd.in_play(now) as u32;
    let spikes_covered =
        (in_play > 0).then(|| covered(spikes, in_play, &bridge(spikes, until_ready), multiple));
    let hours = forecast.step.num_milliseconds() as f64 / 3.6e6;
    let pods: u32 = (present..forecast.len())
        .map(|bin| extra(bin, crowd.cover_at(forecast.time(bin).max(now))))
        .sum();
    Some(Cover {
        multiple,
        in_play,
        spikes_covered,
        larger_per_hour: spikes_covered.map(|share| spikes.per_hour(in_play) * (1.0 - share)),
        replicas: extra(present, multiple),
        replica_hours: f64::from(pods) * hours,
    })
}
