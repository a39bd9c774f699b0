//! Fields that check themselves while they are read, so that the place of a fault is known.

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize};

use crate::plan::policy::LiveCover;
use crate::units::{HumanDuration, Timestamp, quoted};

pub(crate) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    chrono::DateTime::parse_from_rfc3339(&text)
        .map(|at| at.to_utc())
        .map_err(|_| {
            serde::de::Error::custom(format!(
                "{:?} is not a time with an offset: write for example 1998-06-10T00:00:00Z",
                quoted(&text)
            ))
        })
}

/// A zone that may be left out.
pub(crate) fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tz>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| {
        serde::de::Error::custom(format!(
            "{:?} is not a time zone: write an IANA name such as Europe/Paris",
            quoted(&text)
        ))
    })
}

fn within<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: TimeDelta,
    most: TimeDelta,
) -> Result<TimeDelta, D::Error> {
    let span = HumanDuration::deserialize(deserializer)?;
    if span.0 < least || span.0 > most {
        return Err(serde::de::Error::custom(format!(
            "{span} is out of range: write between {} and {}",
            HumanDuration(least),
            HumanDuration(most)
        )));
    }
    Ok(span.0)
}

pub(crate) fn cadence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeDelta, D::Error> {
    within(deserializer, TimeDelta::minutes(1), TimeDelta::days(7))
}

pub(crate) fn simulation_step<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<TimeDelta, D::Error> {
    within(
        deserializer,
        TimeDelta::milliseconds(100),
        TimeDelta::minutes(5),
    )
}

pub(crate) fn any_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeDelta, D::Error> {
    within(deserializer, TimeDelta::zero(), TimeDelta::days(7))
}

fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: &str,
    holds: impl Fn(f64) -> bool,
) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if holds(value) {
        Ok(value)
    } else {
        Err(serde::de::Error::custom(format!(
            "{value} is out of range: write {range}"
        )))
    }
}

pub(crate) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "a positive number", |x| {
        x.is_finite() && x > 0.0
    })
}

pub(crate) fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer, "above 0 and at most 1", |x| {
        x > 0.0 && x <= 1.0
    })
}

/// A number of replicas. Of none the policy says itself what is wrong with it.
pub(crate) fn replicas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    number(
        deserializer,
        "a whole number of replicas, from 1 to 4294967295",
        |x| x.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&x),
    )
    // whole and within the type
    .map(|x| x as u32)
}

/// The same, when it may be left out.
pub(crate) fn some_replicas<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    replicas(deserializer).map(Some)
}

pub(crate) fn shares<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<f64>::deserialize(deserializer)?;
    if let Some(value) = values.iter().find(|&&x| !(x > 0.0 && x < 1.0)) {
        return Err(serde::de::Error::custom(format!(
            "{value} is out of range: write shares of the demand such as 0.001"
        )));
    }
    match repeated(&values) {
        None => Ok(values),
        Some(place) => Err(serde::de::Error::custom(twice(values[place]))),
    }
}

/// A list in which nothing stands twice.
pub(crate) fn once<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de> + Serialize + PartialEq,
{
    let values = Vec::<T>::deserialize(deserializer)?;
    match repeated(&values) {
        None => Ok(values),
        Some(place) => {
            let name = serde_json::to_value(&values[place]).unwrap_or_default();
            let name = name.as_str().unwrap_or("an item");
            Err(serde::de::Error::custom(twice(name)))
        }
    }
}

/// Place of the first item of a list that stands there before: it would be worked out, and shown,
/// as often as it is written.
pub(crate) fn repeated<T: PartialEq>(items: &[T]) -> Option<usize> {
    (1..items.len()).find(|&place| items[..place].contains(&items[place]))
}

/// What to say of one.
pub(crate) fn twice(item: impl std::fmt::Display) -> String {
    format!("{item} is there twice: keep one of the two")
}

/// `auto` or `2x`.
pub(crate) fn live_cover<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LiveCover>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// `2x`.
pub(crate) fn multiple<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.strip_suffix('x')
        .and_then(|number| number.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not a multiple: write for example 2x or 1.3x"
            ))
        })
}
