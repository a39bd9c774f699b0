//! The season's fixtures: drawn from the leagues, or taken from a given calendar.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand_distr::{Distribution as _, StandardNormal};

use super::params::{KickOff, League, Pickup, Plays, Season};
use crate::fixture::{Calendar, Fixture, Lock, Start, Status};
use crate::simulate::chance::stream;
use crate::units::Timestamp;

/// The usual letters of the NFL's teams.
const NFL_TEAMS: [&str; 32] = [
    "ARI", "ATL", "BAL", "BUF", "CAR", "CHI", "CIN", "CLE", "DAL", "DEN", "DET", "GB", "HOU",
    "IND", "JAX", "KC", "LA", "LAC", "LV", "MIA", "MIN", "NE", "NO", "NYG", "NYJ", "PHI", "PIT",
    "SEA", "SF", "TB", "TEN", "WAS",
];

/// A knock-out round.
struct Round {
    /// Weeks after the end of the season.
    week: u32,
    stage: &'static str,
    /// Size of a game.
    size: f64,
    /// Day of the week from Monday, minute of the day.
    kick_offs: &'static [(u32, i64)],
}

/// Knock-out rounds after an American football season (schedules of 2021-2023).
const PLAYOFFS: [Round; 4] = [
    Round {
        week: 0,
        stage: "wild card",
        size: 2.0,
        kick_offs: &[
            (5, 990),
            (5, 1215),
            (6, 785),
            (6, 1000),
            (6, 1215),
            (0, 1215),
        ],
    },
    Round {
        week: 1,
        stage: "divisional round",
        size: 2.4,
        kick_offs: &[(5, 990), (5, 1215), (6, 900), (6, 1110)],
    },
    Round {
        week: 2,
        stage: "conference final",
        size: 3.0,
        kick_offs: &[(6, 900), (6, 1110)],
    },
    Round {
        week: 4,
        stage: "final",
        size: 5.0,
        kick_offs: &[(6, 1110)],
    },
];

/// Kick-offs of a given calendar at most this far apart lock together.
const SAME_SLATE: TimeDelta = TimeDelta::minutes(45);

/// A fixture as first announced, and what is known of its size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) fixture: Fixture,
    /// Relative size that follows from teams, kick-off and opener: what a calendar could know.
    pub(super) known: f64,
    /// How its entries come in.
    pub(super) pickup: Vec<Pickup>,
}

/// Local midnight of a day, as UTC.
pub(super) fn midnight(zone: Tz, day: NaiveDate) -> Timestamp {
    local(zone, day, TimeDelta::zero())
}

/// A time of day on a local day; the first of two, and the one an hour on where it is left out.
pub(super) fn local(zone: Tz, day: NaiveDate, time: TimeDelta) -> Timestamp {
    let naive = day.and_hms_opt(0, 0, 0).unwrap_or_default() + time;
    zone.from_local_datetime(&naive)
        .earliest()
        .or_else(|| {
            zone.from_local_datetime(&(naive + TimeDelta::hours(1)))
                .earliest()
        })
        .map_or_else(|| naive.and_utc(), |at| at.to_utc())
}

/// A team's lasting popularity.
pub(super) fn popularity(season: &Season, seed: u64, competition: &str, team: &str) -> f64 {
    let mut rng = stream(seed, &format!("team {competition} {team}"));
    let deviate: f64 = StandardNormal.sample(&mut rng);
    (season.crowd.popularity_sd * deviate).exp()
}

/// All fixtures of the leagues, in order of their start.
pub(super) fn of_leagues(season: &Season, seed: u64) -> Vec<Planned> {
    let mut planned: Vec<Planned> = season
        .leagues
        .iter()
        .flat_map(|league| of_league(season, league, seed))
        .collect();
    finish(season, seed, &mut planned);
    planned
}

/// The fixtures of a given calendar that start within the season.
pub(super) fn of_calendar(season: &Season, calendar: &Calendar, seed: u64) -> Vec<Planned> {
    let zone = season.game_day.zone;
    let from = midnight(zone, season.kick_off);
    let to = midnight(
        zone,
        season.kick_off + TimeDelta::weeks(i64::from(season.weeks)),
    );
    let mut planned: Vec<Planned> = calendar
        .starting_between(from, to)
        .into_iter()
        .filter(|fixture| fixture.start.is_timed() && !fixture.status.is_off())
        .map(|given| {
            let mut fixture = given.clone();
            // the season has its own ends and its own sizes
            fixture.weight = None;
            fixture.ended_at = None;
            fixture.known_at = None;
            fixture.revision = None;
            fixture.supersedes.clear();
            fixture.status = Status::Scheduled;
            Planned {
                fixture,
                known: 1.0,
                pickup: season.entries.pickup.clone(),
            }
        })
        .collect();
    name_slates(zone, &mut planned);
    finish(season, seed, &mut planned);
    planned
}

/// Names the slates of fixtures that have none: those of a competition that start close together.
fn name_slates(zone: Tz, planned: &mut [Planned]) {
    planned.sort_by(|a, b| {
        let key = |p: &Planned| (p.fixture.competition.clone(), p.fixture.start.at);
        key(a).cmp(&key(b))
    });
    let mut last: Option<(String, Timestamp, String)> = None;
    for one in planned {
        let fixture = &mut one.fixture;
        if fixture.slate.is_some() {
            continue;
        }
        let slate = match &last {
            Some((competition, at, slate))
                if *competition == fixture.competition && fixture.start.at - *at <= SAME_SLATE =>
            {
                slate.clone()
            }
            _ => {
                let local = fixture.start.at.with_timezone(&zone);
                let name = fixture.competition.to_lowercase().replace(' ', "-");
                format!("{name}-{}", local.format("%Y-%m-%d-%H%M"))
            }
        };
        last = Some((fixture.competition.clone(), fixture.start.at, slate.clone()));
        fixture.slate = Some(slate);
    }
}

/// Sizes, locks and order.
fn finish(season: &Season, seed: u64, planned: &mut [Planned]) {
    planned.sort_by(|a, b| {
        (a.fixture.start.at, &a.fixture.id).cmp(&(b.fixture.start.at, &b.fixture.id))
    });
    let mut first: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut locks: BTreeMap<String, Timestamp> = BTreeMap::new();
    for Planned { fixture, .. } in planned.iter() {
        let at = fixture.start.at;
        first.entry(fixture.competition.clone()).or_insert(at);
        if let Some(slate) = &fixture.slate {
            let lock = fixture.lock().min(at);
            locks
                .entry(slate.clone())
                .and_modify(|known| *known = lock.min(*known))
                .or_insert(lock);
        }
    }
    for one in planned {
        let fixture = &mut one.fixture;
        let teams: Vec<f64> = [&fixture.home, &fixture.away]
            .into_iter()
            .flatten()
            .map(|team| popularity(season, seed, &fixture.competition, team))
            .collect();
        if !teams.is_empty() {
            let logs: f64 = teams.iter().map(|p| p.ln()).sum();
            one.known *= (logs / teams.len() as f64).exp();
        }
        if fixture.start.at - first[&fixture.competition] < TimeDelta::days(7) {
            one.known *= season.crowd.opener;
        }
        if let Some(slate) = &fixture.slate
            && fixture.locks.is_empty()
        {
            fixture.locks = vec![Lock {
                name: slate.clone(),
                at: locks[slate],
            }];
        }
    }
}

fn of_league(season: &Season, league: &League, seed: u64) -> Vec<Planned> {
    let teams: Vec<String> = (0..league.teams as usize)
        .map(|index| match NFL_TEAMS.get(index) {
            Some(name) if league.competition == "NFL" => (*name).to_owned(),
            _ => format!("Team {:02}", index + 1),
        })
        .collect();
    let mut rng = stream(seed, &format!("schedule {}", league.competition));
    let mut planned = Vec::new();
    let last = season.weeks
        - if league.playoffs {
            season.weeks.min(5)
        } else {
            0
        };
    for week in league.from_week..=last {
        planned.extend(of_week(season, league, week, &teams, seed, &mut rng));
    }
    if league.playoffs {
        planned.extend(knock_out(season, league, last + 1, &teams, &mut rng));
    }
    planned
}

/// Days of the week `week` (from 1), which begins on the weekday of the first game.
fn day_of(season: &Season, week: u32, from_monday: u32) -> NaiveDate {
    let begin = season.kick_off + TimeDelta::weeks(i64::from(week) - 1);
    let ahead = (7 + from_monday - begin.weekday().num_days_from_monday()) % 7;
    begin + TimeDelta::days(i64::from(ahead))
}

fn of_week(
    season: &Season,
    league: &League,
    week: u32,
    teams: &[String],
    seed: u64,
    rng: &mut StdRng,
) -> Vec<Planned> {
    let resting = match league.byes {
        Some(byes) if (byes.weeks[0]..=byes.weeks[1]).contains(&week) => byes.teams as usize,
        _ => 0,
    };
    let mut planned = Vec::new();
    let days: BTreeSet<u32> = league
        .kick_offs
        .iter()
        .map(|kick_off| kick_off.day.num_days_from_monday())
        .collect();
    let rounds: Vec<Vec<&KickOff>> = match league.plays {
        Plays::Weekly => vec![league.kick_offs.iter().collect()],
        Plays::Daily => days
            .iter()
            .map(|&day| {
                let on = |kick: &&KickOff| kick.day.num_days_from_monday() == day;
                league.kick_offs.iter().filter(on).collect()
            })
            .collect(),
    };
    for round in rounds {
        let mut free = teams.to_vec();
        free.shuffle(rng);
        free.truncate(free.len().saturating_sub(resting));
        let mut pairs: Vec<(String, String)> = free
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect();
        for kick_off in round {
            let [fewest, most] = kick_off.games;
            let games = rng.random_range(fewest..=most) as usize;
            for _ in 0..games.min(pairs.len()) {
                let pick = if most == 1 {
                    most_popular(season, league, seed, &pairs)
                } else {
                    pairs.len() - 1
                };
                let (away, home) = pairs.swap_remove(pick);
                let day = day_of(season, week, kick_off.day.num_days_from_monday());
                let at = local(season.game_day.zone, day, kick_off.at.0);
                let label = format!("{}-w{week:02}", season.kick_off.year());
                let mut one = game(season, league, &label, (&away, &home), at);
                one.fixture.slate = Some(slate(league, &label, &kick_off.slate));
                one.known = league.scale * kick_off.factor;
                planned.push(one);
            }
        }
    }
    planned
}

/// Slates of the first competition carry week and name, others their competition too.
fn slate(league: &League, week: &str, name: &str) -> String {
    if league.competition == "NFL" {
        format!("{week}-{name}")
    } else {
        format!("{}-{week}-{name}", slug(&league.competition))
    }
}

/// A name in words of letters and digits: how it stands in ids.
pub(super) fn slug(text: &str) -> String {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// A game shown alone is a good one: the most popular of three.
fn most_popular(season: &Season, league: &League, seed: u64, pairs: &[(String, String)]) -> usize {
    let size = |(a, b): &(String, String)| {
        popularity(season, seed, &league.competition, a)
            * popularity(season, seed, &league.competition, b)
    };
    let from = pairs.len().saturating_sub(3);
    (from..pairs.len())
        .max_by(|&a, &b| size(&pairs[a]).total_cmp(&size(&pairs[b])))
        .unwrap_or_default()
}

fn game(
    season: &Season,
    league: &League,
    week: &str,
    (away, home): (&str, &str),
    at: Timestamp,
) -> Planned {
    let id = slug(&format!("{} {week} {away} {home}", league.competition));
    let mut fixture = Fixture::game(id, league.competition.clone(), at);
    fixture.sport.clone_from(&league.sport);
    fixture.stage = Some(week.to_owned());
    fixture.season = Some(season.kick_off.year().to_string());
    fixture.home = Some(home.to_owned());
    fixture.away = Some(away.to_owned());
    fixture.start = Start {
        zone: Some(season.game_day.zone),
        ..Start::exact(at)
    };
    fixture.assume_sport();
    Planned {
        fixture,
        known: league.scale,
        pickup: league
            .pickup
            .clone()
            .unwrap_or_else(|| season.entries.pickup.clone()),
    }
}

/// Knock-out games among the survivors, who are drawn.
fn knock_out(
    season: &Season,
    league: &League,
    first_week: u32,
    teams: &[String],
    rng: &mut StdRng,
) -> Vec<Planned> {
    let mut left = teams.to_vec();
    left.shuffle(rng);
    left.truncate(14);
    let mut planned = Vec::new();
    for round in PLAYOFFS {
        let (stage, kick_offs) = (round.stage, round.kick_offs);
        let week = first_week + round.week;
        if week > season.weeks {
            break;
        }
        for (index, &(day, minute)) in kick_offs.iter().enumerate() {
            let [Some(away), Some(home)] = [2 * index, 2 * index + 1].map(|at| left.get(at)) else {
                break;
            };
            let day = day_of(season, week, day);
            let at = local(season.game_day.zone, day, TimeDelta::minutes(minute));
            let label = format!("{}-{}", season.kick_off.year(), slug(stage));
            let mut one = game(season, league, &label, (away, home), at);
            one.fixture.stage = Some(stage.to_owned());
            one.fixture.assume_sport();
            one.fixture.slate = Some(slate(league, &label, &format!("{}", index + 1)));
            one.known = league.scale * round.size;
            planned.push(one);
        }
        // one of each pair goes on, and those who had no game
        let (played, rested) = left.split_at((2 * kick_offs.len()).min(left.len()));
        let winners = played
            .chunks(2)
            .map(|pair| pair[rng.random_range(0..pair.len())].clone());
        left = winners.chain(rested.iter().cloned()).collect();
        left.shuffle(rng);
    }
    planned
}
