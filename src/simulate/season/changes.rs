//! Fixtures that move after they were announced, with the moment each version became known.

use chrono::TimeDelta;
use rand::Rng as _;

use super::params::Season;
use super::schedule::{Planned, local};
use crate::fixture::{Fixture, Lock, Status};
use crate::simulate::chance::stream;

/// A fixture of the season through its versions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Announced {
    /// As it was really played, its result aside.
    pub(super) last: Planned,
    /// What was said before, in order; the first has no `known_at`.
    pub(super) earlier: Vec<Fixture>,
}

/// Moves some of the fixtures.
pub(super) fn announce(season: &Season, planned: Vec<Planned>, seed: u64) -> Vec<Announced> {
    let all = planned.clone();
    planned
        .into_iter()
        .map(|one| {
            let first = one.fixture.clone();
            match moved(season, &one, &all, seed) {
                Some(fixture) => Announced {
                    last: Planned { fixture, ..one },
                    earlier: vec![first],
                },
                None => Announced {
                    last: one,
                    earlier: Vec::new(),
                },
            }
        })
        .collect()
}

/// The fixture as it was finally played, when that is not as announced.
fn moved(season: &Season, one: &Planned, all: &[Planned], seed: u64) -> Option<Fixture> {
    let chances = &season.changes;
    let mut rng = stream(seed, &format!("change {}", one.fixture.id));
    let mut minutes = |from: i64, to: i64| TimeDelta::minutes(rng.random_range(from..=to));
    // each chance has its own draw, so that a changed one leaves the others alone
    let (late, ahead) = (minutes(45, 120), minutes(10, 40));
    let notice = minutes(20 * 60, 50 * 60);
    let [delayed, postponed, flexed] = [chances.delayed, chances.postponed, chances.flexed]
        .map(|chance| rng.random_bool(chance.clamp(0.0, 1.0)));
    let announced = one.fixture.start.at;
    let mut fixture = one.fixture.clone();
    if postponed {
        let zone = season.game_day.zone;
        let day = announced.with_timezone(&zone).date_naive() + TimeDelta::days(2);
        let at = local(zone, day, TimeDelta::hours(19));
        let slate = format!("{}-moved", fixture.id);
        fixture.start.at = at;
        fixture.known_at = Some(announced - notice);
        fixture.locks = vec![Lock {
            name: slate.clone(),
            at,
        }];
        fixture.slate = Some(slate);
        return Some(fixture);
    }
    if flexed {
        let later = all.iter().map(|other| &other.fixture).find(|other| {
            let gap = other.start.at - announced;
            other.competition == fixture.competition
                && gap > TimeDelta::hours(2)
                && gap < TimeDelta::hours(5)
        })?;
        fixture.start.at = later.start.at;
        fixture.slate.clone_from(&later.slate);
        fixture.locks.clone_from(&later.locks);
        fixture.known_at = Some(announced - TimeDelta::days(12));
        return Some(fixture);
    }
    if delayed {
        // whole minutes of five, as such news are; the slate has locked all the same
        let late = TimeDelta::minutes(late.num_minutes() / 5 * 5);
        fixture.start.at = announced + late;
        fixture.known_at = Some(announced - ahead);
        fixture.status = Status::Delayed;
        return Some(fixture);
    }
    None
}
