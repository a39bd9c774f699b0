//! The declared, seeded generator of seasons: fixtures, load, contest entries, faults, and the
//! truth behind them.
//!
//! Public traces have no contest entries and hardly any overtime, first-ever competitions or
//! full contests. A season has them, from parameters that are all declared in [`params`]:
//!
//! - **Fixtures** come from leagues (NFL-like by default) or from a given calendar. Some are
//!   delayed, postponed or moved to a later kick-off, each version with the moment it became known.
//! - **Load** is [`crate::simulate::Traffic`] on these fixtures: the size of a game is the
//!   popularity of its teams (lasting) x its kick-off x opener x a hidden shock its slate shares x
//!   one of its own; the audience grows from week to week.
//! - **Entries** of a slate follow its crowd: `ln E = ln crowd + N(0, linkSd)`, spread by a pickup
//!   curve that each slate runs through at its own pace, capped by the places on offer.
//! - **Faults** spoil the record, and only some are declared.
//!
//! Everything is a pure function of parameters, calendar and seed; each team, game, slate and
//! fault has its own stream, so that one more changes nothing about the others. A generated
//! season proves that machinery works; it proves nothing about anybody's real crowd.

use std::collections::BTreeMap;

use chrono::{SubsecRound as _, TimeDelta};
use rand_distr::{Distribution as _, StandardNormal};

use self::booking::{Booked, Slate};
use self::changes::Announced;
use crate::entries::Entries;
use crate::fixture::{Calendar, Fixture, FixtureId, Status, Weight};
use crate::series::Series;
use crate::series::faults::Faults;
use crate::simulate::Traffic;
use crate::simulate::chance::stream;
use crate::simulate::traffic::Game;
use crate::units::Timestamp;

mod booking;
mod changes;
mod check;
mod disorder;
pub mod params;
mod presets;
mod scenario;
mod schedule;
mod truth;

pub use check::SeasonError;
pub use params::Season;
pub use presets::Preset;
pub use scenario::scenario;
pub use truth::{Group, write_truth};

/// A season as its records show it, and the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Load as recorded: with gaps, outages and all.
    pub load: Series,
    /// Fixtures in all their versions, with the results.
    pub calendar: Calendar,
    /// Entries as recorded.
    pub entries: Entries,
    /// Faults that somebody declared.
    pub declared: Faults,
    /// All faults (truth).
    pub faults: Faults,
    /// Load that was offered, faults aside (truth).
    pub offered: Series,
    /// Groups of fixtures that started together (truth).
    pub truth: Vec<Group>,
    /// The span a backtest is to score.
    pub evaluate: (Timestamp, Timestamp),
}

impl Generated {
    /// Every version of every fixture, in order of start and of becoming known.
    pub fn versions(&self) -> Vec<&Fixture> {
        let mut versions: Vec<&Fixture> = self.calendar.all_versions().collect();
        let last = |fixture: &Fixture| {
            self.calendar
                .get(&fixture.id)
                .map_or(fixture.start.at, |last| last.start.at)
        };
        // versions of one fixture stay in their order
        versions.sort_by_key(|fixture| (last(fixture), fixture.id.clone()));
        versions
    }
}

/// Generates a season. A given calendar takes the place of the leagues; only what starts within
/// the season counts.
///
/// # Errors
/// [`SeasonError`] when the parameters make no season, or the calendar has nothing in it.
pub fn generate(
    season: &Season,
    given: Option<&Calendar>,
    seed: u64,
) -> Result<Generated, SeasonError> {
    season.check()?;
    let zone = season.game_day.zone;
    let planned = match given {
        Some(calendar) => {
            let planned = schedule::of_calendar(season, calendar, seed);
            if planned.is_empty() {
                return Err(SeasonError::NoFixtures {
                    from: season.kick_off.to_string(),
                    weeks: season.weeks,
                });
            }
            planned
        }
        None => schedule::of_leagues(season, seed),
    };
    let announced = changes::announce(season, planned, seed);
    let by_id: BTreeMap<&FixtureId, &Announced> = announced
        .iter()
        .map(|one| (&one.last.fixture.id, one))
        .collect();

    let week = |number: i64| schedule::midnight(zone, season.kick_off + TimeDelta::weeks(number));
    let (from, to) = (
        week(-i64::from(season.quiet_weeks)),
        week(i64::from(season.weeks)),
    );
    let level = |at: Timestamp| {
        let weeks = (at - from).num_minutes() as f64 / (7.0 * 24.0 * 60.0);
        (1.0 + season.growth_per_week).powf(weeks)
    };
    let traffic = Traffic::new(
        season.game_day.clone(),
        &sized(season, &announced, seed),
        seed,
    );
    let steady = traffic.series(from, to, season.step.0);
    let grown = steady
        .iter()
        .map(|(at, rate)| rate.map_or(f64::NAN, |rate| rate.as_per_second() * level(at)))
        .collect();
    let offered = Series::from_raw(from, season.step.0, grown);

    let simultaneous = season.game_day.simultaneous;
    let mut truth = truth::groups(traffic.games(), &by_id, simultaneous, level, &offered);
    let mut entries = Entries::default();
    if season.entries.recorded {
        let booked: BTreeMap<String, Booked> = slates(&traffic, &by_id, simultaneous, level)
            .iter()
            .filter_map(|slate| {
                let booked = booking::book(season, &traffic, slate, from, seed)?;
                Some((slate.name.clone(), booked))
            })
            .collect();
        truth::add_entries(&mut truth, &booked);
        for (slate, booked) in booked {
            entries.insert(Some(slate), booked.entries);
        }
    }
    let recorded = disorder::record(season, &offered, &truth, seed);
    let calendar = published(traffic.games(), &by_id);
    let scored = season.evaluate.weeks.min(season.quiet_weeks + season.weeks);
    let evaluate = match season.evaluate.from_week {
        Some(first) if first <= season.weeks => {
            let first = i64::from(first.max(1)) - 1;
            (week(first), week(first + i64::from(scored)).min(to))
        }
        _ => (week(i64::from(season.weeks) - i64::from(scored)), to),
    };
    Ok(Generated {
        load: recorded.load,
        calendar,
        entries,
        declared: recorded.declared,
        faults: recorded.all,
        offered,
        truth,
        evaluate,
    })
}

/// The fixtures as they were played, with their hidden sizes as weights.
fn sized(season: &Season, announced: &[Announced], seed: u64) -> Calendar {
    announced
        .iter()
        .map(|one| {
            let mut fixture = one.last.fixture.clone();
            let shared = fixture.slate.as_deref().unwrap_or(&fixture.id.0);
            let mut rng = stream(seed, &format!("crowd {shared}"));
            let deviate: f64 = StandardNormal.sample(&mut rng);
            fixture.weight = Some(Weight {
                value: one.last.known * (season.crowd.shock_sd * deviate).exp(),
                expires: None,
            });
            fixture
        })
        .collect()
}

/// Slates with their crowds, in order of their names.
fn slates(
    traffic: &Traffic,
    announced: &BTreeMap<&FixtureId, &Announced>,
    simultaneous: f64,
    level: impl Fn(Timestamp) -> f64,
) -> Vec<Slate> {
    let mut members: BTreeMap<&str, Vec<(&Game, &Announced)>> = BTreeMap::new();
    for game in traffic.games() {
        if let Some(of) = announced.get(&game.id)
            && let Some(slate) = &of.last.fixture.slate
        {
            members.entry(slate).or_default().push((game, of));
        }
    }
    members
        .into_iter()
        .filter_map(|(name, members)| {
            let lock = members.iter().map(|(game, _)| game.lock).min()?;
            let crowd =
                truth::together(members.iter().map(|(game, _)| game.intensity), simultaneous);
            let expected =
                truth::together(members.iter().map(|(_, of)| of.last.known), simultaneous);
            Some(Slate {
                name: name.to_owned(),
                lock,
                crowd: crowd * level(lock),
                expected: expected * level(lock),
                pickup: members[0].1.last.pickup.clone(),
            })
        })
        .collect()
}

/// What the fixture list said over time, with results once they were there.
fn published(games: &[Game], announced: &BTreeMap<&FixtureId, &Announced>) -> Calendar {
    let mut versions = Vec::new();
    for game in games {
        let Some(of) = announced.get(&game.id) else {
            continue;
        };
        let mut played = of.last.fixture.clone();
        let moved = played.known_at.is_some();
        if moved {
            versions.extend(of.earlier.iter().cloned());
            versions.push(played.clone());
        }
        played.status = Status::Final;
        // whole seconds, as feeds have them
        let ended = game.end.trunc_subsecs(0);
        played.ended_at = Some(ended);
        // a fixture that never moved needs no date: nothing of its result shows before its end
        played.known_at = moved.then_some(ended);
        versions.push(played);
    }
    versions.into_iter().collect()
}

#[cfg(test)]
mod tests;
