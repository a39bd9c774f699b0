//! What really happened in games: kick-off, half-time, end and scoring plays by the wall clock.
//!
//! Where it is known the generator takes these times instead of drawing its own. How large a
//! play's wave is stays declared and drawn: no public record says that.

use std::collections::BTreeMap;

use crate::fixture::{Calendar, Fixture, FixtureId, Status};
use crate::units::Timestamp;

pub mod csv;

pub use csv::PlayedError;

/// How much a play excites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlayKind {
    /// A touchdown, or what decides as much in another sport.
    Touchdown,
    /// A field goal, a safety, anything smaller.
    Lesser,
}

/// A play that scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScoringPlay {
    /// When.
    pub at: Timestamp,
    /// How much it excites.
    pub kind: PlayKind,
}

/// One game as it was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The real kick-off.
    pub kick_off: Timestamp,
    /// Last play before half-time and first one after it.
    pub half_time: Option<(Timestamp, Timestamp)>,
    /// The last play.
    pub end: Timestamp,
    /// Scoring plays in order of time.
    pub plays: Vec<ScoringPlay>,
}

/// Games as they were played, by fixture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    games: BTreeMap<FixtureId, Played>,
}

impl Results {
    /// What is known of one fixture.
    pub fn get(&self, id: &FixtureId) -> Option<&Played> {
        self.games.get(id)
    }

    /// Number of games.
    pub fn len(&self) -> usize {
        self.games.len()
    }

    /// True without a single game.
    pub fn is_empty(&self) -> bool {
        self.games.is_empty()
    }

    /// The calendar with the ends of these games as results, so that whoever reads it as of a
    /// moment sees them from their real end on, as from a live feed, and before it what was
    /// announced by then.
    pub fn told_to(&self, calendar: &Calendar) -> Calendar {
        let mut told = calendar.clone();
        told.extend(self.games.iter().flat_map(|(id, played)| {
            let over = |version: &Fixture| Fixture {
                status: Status::Final,
                ended_at: Some(played.end),
                ..version.clone()
            };
            let versions = calendar.versions(id);
            // a version with a date is shown as it is: the result needs one of its own
            let dated = versions
                .iter()
                .rfind(|version| version.known_at.is_some_and(|known| known < played.end))
                .map(|version| Fixture {
                    known_at: Some(played.end),
                    ..over(version)
                });
            let others = versions
                .iter()
                .filter(|version| version.known_at.is_none_or(|known| known >= played.end))
                .map(over);
            dated.into_iter().chain(others).collect::<Vec<_>>()
        }));
        told
    }
}

impl FromIterator<(FixtureId, Played)> for Results {
    fn from_iter<I: IntoIterator<Item = (FixtureId, Played)>>(games: I) -> Self {
        let mut results = Self {
            games: games.into_iter().collect(),
        };
        for game in results.games.values_mut() {
            game.plays.sort_unstable();
        }
        results
    }
}
