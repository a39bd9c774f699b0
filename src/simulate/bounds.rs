//! Spans and rates of a simulated cluster as a scenario writes them, checked while they are read:
//! what is simulated lasts a few days, and a span longer than a calendar can hold ends the program.

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, de};

use crate::units::HumanDuration;

/// The longest span that means something in a simulation.
pub const LONGEST: TimeDelta = TimeDelta::days(7);

/// The slowest rate: a pod in a quarter of an hour.
pub(crate) const SLOWEST: f64 = 0.001;

/// A span, when it is not longer than [`LONGEST`].
///
/// # Errors
/// With what may be written.
pub fn within(span: HumanDuration) -> Result<HumanDuration, String> {
    if span.0 > LONGEST {
        return Err(format!(
            "{span} is out of range: write between 0s and {}",
            HumanDuration(LONGEST)
        ));
    }
    Ok(span)
}

pub(crate) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    within(HumanDuration::deserialize(deserializer)?).map_err(de::Error::custom)
}

pub(crate) fn spans<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<HumanDuration>, D::Error> {
    let written = Vec::<HumanDuration>::deserialize(deserializer)?;
    let checked = written.into_iter().map(within).collect::<Result<_, _>>();
    checked.map_err(de::Error::custom)
}

/// Pods that a node has room for: one of none would never be enough.
pub(crate) fn pods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(de::Error::custom(
            "0 pods fit on no number of nodes: write 1 or more, or leave nodes out if there is always \
             room",
        )),
        pods => Ok(pods),
    }
}

/// Pods per second.
pub(crate) fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(deserializer)?;
    if rate.is_finite() && rate >= SLOWEST {
        Ok(rate)
    } else {
        Err(de::Error::custom(format!(
            "{rate} is out of range: write {SLOWEST} or more, for example 20"
        )))
    }
}
