//! A forecast taken apart: what each fixture, the entries, the level and the band contribute, and
//! which past fixtures it resembles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fixture::{Calendar, FixtureId};
use crate::units::Timestamp;

mod curves;
mod entries;
mod explain;
mod parts;
mod past;

/// Why a forecast says what it says at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Nothing at or after this moment was known.
    pub origin: Timestamp,
    /// The moment explained.
    pub at: Timestamp,
    /// Units per second in the order of [`super::Quantile::ALL`].
    pub quantiles: [f64; 4],
    /// Units per second expected at this time of the week without any fixture, at the model's own
    /// level with its growth.
    pub calm: f64,
    /// Factor by which the present runs above (or below) the model, as far as it still counts at
    /// this lead.
    pub level: f64,
    /// Units per second that the day brings because fixtures are played on it, whether or not one
    /// of them bears on this moment.
    pub match_day: f64,
    /// What each group of fixtures that start together adds, largest first.
    pub fixtures: Vec<FixtureShare>,
    /// What entries say; absent when none are known or none matter at this moment.
    pub entries: Option<EntriesShare>,
    /// Factors of p90, p95 and p99 over p50.
    pub band: [f64; 3],
    /// Where the band comes from, in words: which errors of which lead, how many of them.
    pub band_source: String,
    /// Past fixtures most like the largest one here, nearest first.
    pub analogues: Vec<Analogue>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// What fixtures that start together add to the load at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixtureShare {
    /// The fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Their start; the first that is plausible where only the day is known.
    pub start: Timestamp,
    /// Minutes from their start, negative before it; `None` where only the day is known.
    pub minute: Option<f64>,
    /// Units per second of the median that they bring, entries included; the shares, what the
    /// match day brings, the calm load times the level and nothing else sum to the median.
    pub load: f64,
    /// The median load over what it would be without this share of it.
    pub multiple: f64,
    /// Why nothing like it is in the history, when that is so.
    pub novelty: Option<String>,
}

/// What contest entries say, those of all slates together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntriesShare {
    /// What the entries of each slot whose crowd is there say, largest share first.
    pub slots: Vec<SlotEntries>,
    /// Units per second by which the level of the present differs because entries explain some of
    /// the last day's load.
    pub level: f64,
    /// Factor that all of it puts on the median here.
    pub factor: f64,
    /// Units per second that all of it adds to the median here: the slots' and the level's.
    pub load: f64,
}

/// What the entries of fixtures that start together say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotEntries {
    /// The fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Entries so far.
    pub so_far: f64,
    /// Entries usual so long before the lock for what the calendar says.
    pub usual: f64,
    /// `so_far / usual`: "this slate sells 1.6x its normal pace".
    pub pace: f64,
    /// Units per second that they add to the median here.
    pub load: f64,
}

/// A past fixture that resembles one to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analogue {
    /// The fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Their start.
    pub start: Timestamp,
    /// Largest load of their window, units per second.
    pub peak: f64,
    /// That over the calm load at the same time.
    pub multiple: f64,
    /// What they share, for example `same competition, same day of the week, 9 fixtures`.
    pub likeness: String,
}

/// The learnt response of load to the fixtures of one competition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseCurve {
    /// Competition.
    pub competition: String,
    /// Fixtures learnt from.
    pub fixtures: usize,
    /// Minutes from the start and the multiple of the load without the fixture, for one ordinary
    /// fixture that lasts as long as is usual.
    pub points: Vec<(f64, f64)>,
    /// The same as it was believed before any data.
    pub prior: Vec<(f64, f64)>,
}

/// How big fixtures that started together were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixtureIntensity {
    /// The fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Competitions, without repeats.
    pub competitions: Vec<String>,
    /// Their start.
    pub start: Timestamp,
    /// Largest load of their window over what the model expects there without them.
    pub multiple: f64,
    /// The same as the model, fitted on everything, puts it.
    pub fitted: f64,
}

/// How many fixtures of each competition were known at `at` and started in `[from, at)`.
pub(super) fn fixtures_seen(
    calendar: &Calendar,
    from: Timestamp,
    at: Timestamp,
) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for fixture in calendar.starting_between(from, at) {
        let known = fixture.known_at.is_none_or(|known| known <= at);
        if known && !fixture.status.is_off() && fixture.start.is_timed() {
            *seen.entry(fixture.league().into_owned()).or_default() += 1;
        }
    }
    seen
}
