//! A replay's scenario: whose load, which days, against whom. Written in YAML; unknown fields are
//! refused, and every error names file, line and field.
//!
//! Reading files is the caller's: paths stay as they are written, relative to the scenario file.

use std::path::PathBuf;

use chrono::{LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use crate::backtest::contest::View;
use crate::backtest::scenario::arena::{RawCluster, RawPolicy, arena};
use crate::backtest::scenario::fields::{
    any_span, cadence, live_cover, repeated, simulation_step, twice, zone,
};
use crate::backtest::scenario::peers::{told_apart, unwritten};
use crate::backtest::scenario::place::{self, refuse};
use crate::backtest::scenario::{
    Arena, CronPeer, HpaPeer, HpaSource, KpaPeer, LoadFile, Peer, ScenarioError, Simulation, Span,
};
use crate::forecast::{REFIT, REISSUE};
use crate::plan::policy::LiveCover;
use crate::simulate::bounds::span;
use crate::simulate::season::{Season, SeasonError};
use crate::simulate::traffic::GameDay;
use crate::units::{HumanDuration, Timestamp};

/// A scenario, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Title of the report.
    pub title: String,
    /// Where the load of each second comes from.
    pub load: LoadSource,
    /// Fixture files.
    pub fixtures: Vec<PathBuf>,
    /// Their competition, where they do not say.
    pub competition: Option<String>,
    /// Zone by whose clock the audience lives, and in which days begin.
    pub zone: Tz,
    /// The zone that was written, if one was: that of local fixture times.
    pub written_zone: Option<Tz>,
    /// Spans that are replayed, each on its own.
    pub spans: Vec<Span>,
    /// How forecasts are made.
    pub forecast: Forecasting,
    /// What policies are compared on.
    pub arena: Arena,
    /// Spike covers Tipoff is run with besides its policy's own.
    pub covers: Vec<LiveCover>,
    /// Who runs beside Tipoff.
    pub peers: Vec<Peer>,
    /// What policies see of the load.
    pub view: View,
    /// How the simulation runs.
    pub simulation: Simulation,
    /// Whether peers are also tuned, by hindsight, to what Tipoff paid.
    pub equal_cost: bool,
    /// Seed of everything random.
    pub seed: u64,
}

/// Where the load of each second comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoadSource {
    /// Made from fixtures and, where there are records, from how they were played.
    Generated(Box<Generated>),
    /// A recording.
    Recorded(Recorded),
}

/// Generated load.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generated {
    /// CSV of games as they were played; without it their course is drawn.
    #[serde(default)]
    pub played: Option<PathBuf>,
    /// CSV of scoring plays.
    #[serde(default)]
    pub plays: Option<PathBuf>,
    /// The generator's parameters.
    #[serde(default)]
    pub traffic: GameDay,
    /// Variance over mean of the count of a second; 1 is Poisson.
    #[serde(default = "four")]
    pub dispersion: f64,
    /// Time before each span that is generated too, for the forecaster to learn from.
    #[serde(default = "eight_weeks")]
    pub history: HumanDuration,
}

/// Recorded load.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recorded {
    /// CSV with `timestamp_utc` and one value column, a row a second; gzip is accepted.
    pub file: PathBuf,
    /// When values are counts: the interval they count over. Left out, they are per second.
    #[serde(default)]
    pub per: Option<HumanDuration>,
    /// Load of the weeks before, in steps of up to five minutes, for the forecaster to learn
    /// from. Left out, Tipoff has no forecast.
    #[serde(default)]
    pub history: Option<LoadFile>,
}

const fn four() -> f64 {
    // one of the two dispersions the fast loop's arithmetic was worked out for
    4.0
}

const fn eight_weeks() -> HumanDuration {
    HumanDuration(TimeDelta::weeks(8))
}

/// How forecasts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Forecasting {
    /// Time between fits.
    #[serde(deserialize_with = "cadence")]
    pub refit: TimeDelta,
    /// Time between forecasts given to the policy.
    #[serde(deserialize_with = "cadence")]
    pub reissue: TimeDelta,
}

impl Default for Forecasting {
    /// As often as the controller's.
    fn default() -> Self {
        Self {
            refit: REFIT,
            reissue: REISSUE,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    title: Option<String>,
    load: Spanned<LoadSource>,
    #[serde(default)]
    fixtures: Vec<PathBuf>,
    #[serde(default)]
    competition: Option<String>,
    #[serde(default, deserialize_with = "zone")]
    zone: Option<Tz>,
    #[serde(default)]
    days: Option<Spanned<Vec<Day>>>,
    #[serde(default = "six", deserialize_with = "time_of_day")]
    day_starts: NaiveTime,
    #[serde(default)]
    spans: Option<Spanned<Vec<Span>>>,
    #[serde(default)]
    forecast: Forecasting,
    cluster: Spanned<RawCluster>,
    policy: Spanned<RawPolicy>,
    #[serde(default)]
    covers: Vec<Spanned<Cover>>,
    #[serde(default = "default_peers")]
    peers: Vec<Spanned<Peer>>,
    #[serde(default = "fifteen_seconds", deserialize_with = "span")]
    metric_lag: HumanDuration,
    #[serde(default = "fifteen_seconds", deserialize_with = "span")]
    metric_window: HumanDuration,
    #[serde(default = "at_once", deserialize_with = "span")]
    live_lag: HumanDuration,
    #[serde(default)]
    simulation: RawSimulation,
    #[serde(default)]
    equal_cost: bool,
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RawSimulation {
    #[serde(deserialize_with = "simulation_step")]
    step: TimeDelta,
    #[serde(deserialize_with = "any_span")]
    warm_up: TimeDelta,
}

impl Default for RawSimulation {
    /// A second, and an hour.
    fn default() -> Self {
        Self {
            step: TimeDelta::seconds(1),
            warm_up: TimeDelta::hours(1),
        }
    }
}

/// A date that the calendar has.
#[derive(Debug, Clone, Copy)]
struct Day(NaiveDate);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            de::Error::custom(format!(
                "{text:?} is no date of the calendar: write for example 2023-11-05"
            ))
        })
    }
}

#[derive(Debug, Deserialize)]
struct Cover(#[serde(deserialize_with = "live_cover")] Option<LiveCover>);

const fn fifteen_seconds() -> HumanDuration {
    // a usual scrape interval
    HumanDuration(TimeDelta::seconds(15))
}

const fn at_once() -> HumanDuration {
    // a counter that is read directly counts up to the moment it is answered
    HumanDuration(TimeDelta::zero())
}

fn six() -> NaiveTime {
    NaiveTime::from_hms_opt(6, 0, 0).unwrap_or_default()
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    NaiveTime::parse_from_str(&text, "%H:%M").map_err(|_| {
        de::Error::custom(format!(
            "{text:?} is not a time of day: write for example \"06:00\""
        ))
    })
}

/// Those the fast loop is held against: two HPAs, KEDA cron with an HPA, Knative, and the bounds.
fn default_peers() -> Vec<Spanned<Peer>> {
    let hpa = |target| {
        Peer::Hpa(HpaPeer {
            name: None,
            metric: HpaSource::External,
            target,
            behavior: None,
        })
    };
    unwritten(vec![
        hpa(0.7),
        hpa(0.5),
        Peer::KedaCron(CronPeer {
            name: None,
            replicas: None,
            before: HumanDuration(TimeDelta::hours(1)),
            after: HumanDuration(TimeDelta::minutes(75)),
            target: 0.7,
        }),
        Peer::Kpa(KpaPeer {
            name: None,
            target: 0.7,
        }),
        Peer::StaticPeak,
        Peer::Oracle,
    ])
}

/// Reads a scenario from the text of the file `name`.
///
/// # Errors
/// [`ScenarioError`] with the place of the first fault.
pub fn parse(text: &str, name: &str) -> Result<Scenario, ScenarioError> {
    let spanned = [
        "load",
        "days",
        "spans",
        "policy",
        "cluster",
        "cluster.startUp",
        "cluster.resize",
        "peers[]",
        "covers[]",
    ];
    let raw: Raw = place::read(text, name, &spanned)?;
    let spans = spans(&raw, name)?;
    check_load(&raw, name)?;
    let mut covers = Vec::new();
    for (index, cover) in raw.covers.iter().enumerate() {
        let refuse = |reason: &str| {
            let field = format!("covers[{index}]");
            Err(refuse(name, cover.referenced, &field, reason))
        };
        match cover.value.0 {
            Some(LiveCover::Multiple(multiple)) if !(1.0..=100.0).contains(&multiple) => {
                return refuse("is out of range: write from 1x to 100x");
            }
            Some(cover) if covers.contains(&cover) => {
                return refuse("is there twice: keep one of the two");
            }
            cover => covers.extend(cover),
        }
    }
    let needs_capacity = raw.equal_cost.then_some("equalCost");
    Ok(Scenario {
        title: raw.title.unwrap_or_else(|| name.to_owned()),
        load: raw.load.value,
        fixtures: raw.fixtures,
        competition: raw.competition,
        zone: raw.zone.unwrap_or_default(),
        written_zone: raw.zone,
        spans,
        forecast: raw.forecast,
        arena: arena(raw.cluster.value, &raw.policy, needs_capacity, name)?,
        covers,
        peers: told_apart(raw.peers, name)?,
        view: View {
            metric_lag: raw.metric_lag.0,
            metric_window: raw.metric_window.0,
            live_lag: Some(raw.live_lag.0),
        },
        simulation: Simulation {
            step: raw.simulation.step,
            warm_up: raw.simulation.warm_up,
        },
        equal_cost: raw.equal_cost,
        seed: raw.seed,
    })
}

/// Longest span: the load of every second is held in memory.
const LONGEST: TimeDelta = TimeDelta::days(7);

fn spans(raw: &Raw, name: &str) -> Result<Vec<Span>, ScenarioError> {
    let (spans, referenced, field) = match (&raw.days, &raw.spans) {
        (Some(days), None) => {
            let place = days.referenced;
            let spans = days.value.iter().map(|&Day(day)| {
                local_day(day, raw.day_starts, raw.zone.unwrap_or_default())
                    .map_err(|reason| refuse(name, place, "days", &reason))
            });
            (spans.collect::<Result<Vec<_>, _>>()?, place, "days")
        }
        (None, Some(spans)) => (spans.value.clone(), spans.referenced, "spans"),
        (Some(_), Some(spans)) => {
            let reason = "days are there too: write one of both";
            return Err(refuse(name, spans.referenced, "spans", reason));
        }
        (None, None) => {
            let reason = "is missing, and so is spans: write the days to replay, for example \
                          [2023-09-10]";
            return Err(refuse(name, raw.policy.referenced, "days", reason));
        }
    };
    if spans.is_empty() {
        let reason = "is empty: write at least one";
        return Err(refuse(name, referenced, field, reason));
    }
    if let Some(place) = repeated(&spans) {
        let written = match &raw.days {
            Some(days) => days.value.get(place).map(|Day(day)| day.to_string()),
            None => Some(format!("the span from {}", spans[place].from.to_rfc3339())),
        };
        let reason = twice(written.unwrap_or_default());
        return Err(refuse(name, referenced, field, &reason));
    }
    for span in &spans {
        let length = span.to - span.from;
        if length <= TimeDelta::zero() || length > LONGEST {
            let reason = format!(
                "{} to {} is not longer than nothing and at most {}: correct it",
                span.from.to_rfc3339(),
                span.to.to_rfc3339(),
                HumanDuration(LONGEST)
            );
            return Err(refuse(name, referenced, field, &reason));
        }
    }
    Ok(spans)
}

/// From a time of day to the same one day later, by the audience's clock.
fn local_day(day: NaiveDate, starts: NaiveTime, zone: Tz) -> Result<Span, String> {
    let at = |day: Option<NaiveDate>| -> Option<Timestamp> {
        match zone.from_local_datetime(&day?.and_time(starts)) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
            LocalResult::None => None,
        }
    };
    at(Some(day))
        .zip(at(day.succ_opt()))
        .map(|(from, to)| Span { from, to })
        .ok_or_else(|| format!("{day} has no {starts} in {zone}: choose another dayStarts"))
}

fn check_load(raw: &Raw, name: &str) -> Result<(), ScenarioError> {
    let refuse = |field: &str, reason: &str| Err(refuse(name, raw.load.referenced, field, reason));
    let LoadSource::Generated(generated) = &raw.load.value else {
        return Ok(());
    };
    if raw.fixtures.is_empty() {
        return refuse("fixtures", "is empty: generated load needs fixtures");
    }
    if generated.plays.is_some() && generated.played.is_none() {
        return refuse(
            "load.generated.plays",
            "plays need the games they were made in: write played as well",
        );
    }
    let (dispersion, history) = (generated.dispersion, generated.history);
    if !(1.0..=1e4).contains(&dispersion) {
        let reason = format!("{dispersion} is out of range: write 1 to 10000");
        return refuse("load.generated.dispersion", &reason);
    }
    if history.0 < TimeDelta::days(3) || history.0 > TimeDelta::weeks(520) {
        let reason = format!("{history} is out of range: write 3d to 520w");
        return refuse("load.generated.history", &reason);
    }
    let season = Season {
        game_day: generated.traffic.clone(),
        ..Season::default()
    };
    match season.check() {
        Err(SeasonError::Value { field, reason }) => {
            refuse(&field.replace("gameDay", "load.generated.traffic"), &reason)
        }
        Err(other) => refuse("load.generated.traffic", &other.to_string()),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
