//! The declared, seeded game-day generator: offered load as a pure function of parameters,
//! fixtures, seed and time.
//!
//! `rate(t) = (base · clock(t) · day + base · (Σ_i f_i(t)^(1/g))^g + spikes(t)) · noise(t)`, where
//! `f_i` is what fixture `i` brings: the rush before its lock, its crowd during play with a bump
//! at half-time, and the rush after its end. `g < 1` makes simultaneous fixtures weigh less than
//! their sum. Each fixture draws its own fate (intensity, actual end, touchdowns) from the seed
//! and its id alone, so adding a fixture changes nothing about the others. Where it is known how a
//! game was played, its times are taken and only the sizes of its waves are drawn.
//!
//! Generated traffic proves that machinery works; it proves nothing about anybody's real crowd.

use std::f64::consts::PI;

use chrono::{DateTime, Datelike as _, TimeDelta, Timelike as _};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Exp, StandardNormal};

use super::chance::{gaussian, mix, stream};
use crate::fixture::{Calendar, Fixture, FixtureId};
use crate::series::Series;
use crate::units::{HumanDuration, Rate, Timestamp};

mod counting;
pub mod params;
pub mod played;
pub mod sunday;

pub use params::{Entry, GameDay, LesserPlay, Payout, Play, Scoring};
pub use played::{PlayKind, Played, Results, ScoringPlay};

/// Standard normal deviate of the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_2;

/// Fixtures further away than this bring nothing.
const REACH: TimeDelta = TimeDelta::hours(12);

/// Means are taken over samples at most this far apart, milliseconds.
const FINE: i64 = 10_000;

/// Time between two independent values of the noise, milliseconds.
const NOISE_EVERY: i64 = 60_000;

/// The same of the hour's level.
const HOUR_EVERY: i64 = 3_600_000;

/// A scoring play's wave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// The play.
    pub at: Timestamp,
    /// What it was.
    pub kind: PlayKind,
    /// Multiple of the game's own crowd at the top.
    pub multiple: f64,
    /// Time from the play to the top.
    pub rise: TimeDelta,
}

/// What really happens around one fixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Game {
    /// Which fixture.
    pub id: FixtureId,
    /// Relative size, typed weight included.
    pub intensity: f64,
    /// When entries close.
    pub lock: Timestamp,
    /// Kick-off.
    pub start: Timestamp,
    /// Middle of half-time.
    pub half_time: Timestamp,
    /// Final whistle.
    pub end: Timestamp,
    /// Whether extra play was needed.
    pub overtime: bool,
    /// Scoring plays in order; without a record all are touchdowns.
    pub spikes: Vec<Spike>,
}

/// Generated traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    params: GameDay,
    seed: u64,
    /// In order of their starts.
    games: Vec<Game>,
}

impl Traffic {
    /// Traffic of these fixtures. Those that will not be played bring nothing.
    pub fn new(params: GameDay, fixtures: &Calendar, seed: u64) -> Self {
        Self::played(params, fixtures, &Results::default(), seed)
    }

    /// The same, with the games that are known to have been played so as they were: kick-off,
    /// half-time, end and the moments of scoring plays. Sizes are drawn all the same.
    pub fn played(params: GameDay, fixtures: &Calendar, results: &Results, seed: u64) -> Self {
        let mut games: Vec<Game> = fixtures
            .iter()
            .filter(|fixture| !fixture.status.is_off())
            .map(|fixture| {
                let drawn = game(&params, fixture, seed);
                match results.get(&fixture.id) {
                    Some(played) => as_played(&params, drawn, played, seed),
                    None => drawn,
                }
            })
            .collect();
        games.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        Self {
            params,
            seed,
            games,
        }
    }

    /// What really happens, in order of starts: the truth a forecaster is not told.
    pub fn games(&self) -> &[Game] {
        &self.games
    }

    /// The offered load at a moment.
    pub fn rate(&self, at: Timestamp) -> Rate {
        let p = &self.params;
        let first = self.games.partition_point(|g| g.start < at - REACH);
        let last = self.games.partition_point(|g| g.start <= at + REACH);
        let (mut powers, mut spikes) = (0.0, 0.0);
        for game in &self.games[first..last] {
            let crowd = game.crowd(p, at);
            let brings = game.entry(p, at) + crowd + game.payout(p, at);
            powers += brings.powf(1.0 / p.simultaneous);
            spikes += game.spikes(p, at) * crowd;
        }
        let fixtures = powers.powf(p.simultaneous) + spikes;
        let quiet = clock(p, at) * self.day(at);
        Rate::per_second(p.base * (quiet + fixtures) * self.noise(at) * self.hour(at))
    }

    /// Mean load per bin over `[from, to)`.
    pub fn series(&self, from: Timestamp, to: Timestamp, step: TimeDelta) -> Series {
        let width = step.num_milliseconds().max(1);
        let samples = (width + FINE - 1) / FINE;
        let bins = ((to - from).num_milliseconds() / width).max(0);
        let values = (0..bins)
            .map(|bin| {
                let sum: f64 = (0..samples)
                    .map(|sample| {
                        let middle = (2 * sample + 1) * width / (2 * samples);
                        let at = from + TimeDelta::milliseconds(bin * width + middle);
                        self.rate(at).as_per_second()
                    })
                    .sum();
                sum / samples as f64
            })
            .collect();
        Series::from_raw(from, step, values)
    }

    /// Level of the audience's day.
    fn day(&self, at: Timestamp) -> f64 {
        let local = at.with_timezone(&self.params.zone);
        let day = i64::from(local.num_days_from_ce());
        (self.params.day_sd * gaussian(mix(self.seed ^ 0xDA1, day))).exp()
    }

    /// Share of `base` that the audience's clock and day of the week bring, 0 to about 1.
    pub fn audience(&self, at: Timestamp) -> f64 {
        clock(&self.params, at)
    }

    /// Minute-to-minute noise.
    fn noise(&self, at: Timestamp) -> f64 {
        let wave = self.wave(0x0153, at, NOISE_EVERY);
        (1.0 + self.params.noise * wave).max(0.2)
    }

    /// Level of the hour.
    fn hour(&self, at: Timestamp) -> f64 {
        if self.params.hour_sd > 0.0 {
            (self.params.hour_sd * self.wave(0x40_0E, at, HOUR_EVERY)).exp()
        } else {
            1.0
        }
    }

    /// Independent values `every` so many milliseconds, joined by straight lines.
    fn wave(&self, salt: u64, at: Timestamp, every: i64) -> f64 {
        let now = at.timestamp_millis();
        let place = now.div_euclid(every);
        let part = now.rem_euclid(every) as f64 / every as f64;
        let value = |place| gaussian(mix(self.seed ^ salt, place));
        value(place) * (1.0 - part) + value(place + 1) * part
    }
}

impl Game {
    /// The rush before the lock.
    fn entry(&self, p: &GameDay, at: Timestamp) -> f64 {
        let entry = &p.entry;
        let before = (self.lock - at).num_milliseconds() as f64;
        let shape = if before >= 0.0 {
            entry.last_minute_share * (-before / milliseconds(entry.fast)).exp()
                + (1.0 - entry.last_minute_share) * (-before / milliseconds(entry.slow)).exp()
        } else {
            (before / milliseconds(entry.gone)).exp()
        };
        self.intensity * entry.peak * shape
    }

    /// The crowd during play, without spikes.
    fn crowd(&self, p: &GameDay, at: Timestamp) -> f64 {
        if at < self.start || at >= self.end {
            return 0.0;
        }
        let play = &p.play;
        let since = (at - self.start).num_milliseconds() as f64;
        let whole = ((self.end - self.start).num_milliseconds() as f64).max(1.0);
        let joined = 1.0 - (1.0 - play.step) * (-since / milliseconds(play.join)).exp();
        let grown = 1.0 + play.growth * since / whole;
        let from_half = (at - self.half_time).num_milliseconds() as f64;
        let width = milliseconds(play.half_time_width);
        let bump = 1.0 + play.half_time * (-0.5 * (from_half / width).powi(2)).exp();
        self.intensity * play.level * joined * grown * bump
    }

    /// The rush after the end.
    fn payout(&self, p: &GameDay, at: Timestamp) -> f64 {
        if at < self.end {
            return 0.0;
        }
        let payout = &p.payout;
        let since = (at - self.end).num_milliseconds() as f64;
        let rise = milliseconds(payout.rise);
        // the crowd is still there and turns to its results
        let floor = p.play.level / payout.peak;
        let shape = if since < rise {
            floor + (1.0 - floor) * since / rise
        } else {
            0.5_f64.powf((since - rise) / milliseconds(payout.half_life))
        };
        self.intensity * payout.peak * shape
    }

    /// What spikes add, in multiples of the crowd.
    fn spikes(&self, p: &GameDay, at: Timestamp) -> f64 {
        let half_life = milliseconds(p.scoring.half_life);
        self.spikes
            .iter()
            .take_while(|spike| spike.at <= at)
            .map(|spike| {
                let since = (at - spike.at).num_milliseconds() as f64;
                let rise = spike.rise.num_milliseconds().max(1) as f64;
                let shape = if since < rise {
                    since / rise
                } else {
                    0.5_f64.powf((since - rise) / half_life)
                };
                (spike.multiple - 1.0) * shape
            })
            .sum()
    }
}

/// Draws the fate of one fixture.
fn game(p: &GameDay, fixture: &Fixture, seed: u64) -> Game {
    let mut rng = stream(seed, &fixture.id.0);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let start = fixture.start.at;
    let intensity = fixture.weight_at(start) * (p.intensity_sd * normal()).exp();
    let spread = (milliseconds(p.play.end_spread) * normal()) as i64;
    let drift = (120_000.0 * normal()) as i64;
    let overtime = fixture.may_extend.is_some() && rng.random_bool(p.play.overtime_chance);
    let extra = match &fixture.may_extend {
        Some(extension) if overtime => extension.at_most / 2,
        _ => TimeDelta::zero(),
    };
    let typical = fixture.duration.typical;
    let end = start + (typical + TimeDelta::milliseconds(spread)).max(typical / 2) + extra;
    let half_time = fixture
        .breaks
        .first()
        .map_or(typical / 2, |pause| pause.after + pause.length / 2);
    let mut spikes = Vec::new();
    if let Ok(waiting) = Exp::new(p.scoring.per_hour / 3.6e6) {
        let mut at = start;
        loop {
            at += TimeDelta::milliseconds(waiting.sample(&mut rng).min(1e9) as i64);
            if at >= end {
                break;
            }
            spikes.push(spike(p, at, PlayKind::Touchdown, &mut rng));
        }
    }
    Game {
        id: fixture.id.clone(),
        intensity,
        lock: fixture.lock(),
        start,
        half_time: start + half_time + TimeDelta::milliseconds(drift),
        end,
        overtime,
        spikes,
    }
}

/// Draws the size of one play's wave.
fn spike(p: &GameDay, at: Timestamp, kind: PlayKind, rng: &mut StdRng) -> Spike {
    let (median, p95) = match kind {
        PlayKind::Touchdown => (p.scoring.median, p.scoring.p95),
        PlayKind::Lesser => (p.scoring.lesser.median, p.scoring.lesser.p95),
    };
    let sigma = (p95 / median).ln() / Z95;
    let deviate: f64 = StandardNormal.sample(rng);
    let multiple = median * (sigma * deviate).exp();
    let [shortest, longest] = p.scoring.rise.map(|rise| rise.0.num_milliseconds());
    let rise = rng.random_range(shortest..=longest.max(shortest));
    Spike {
        at,
        kind,
        multiple: multiple.clamp(1.0, p.scoring.most),
        rise: TimeDelta::milliseconds(rise),
    }
}

/// The same game at the times it really had.
fn as_played(p: &GameDay, drawn: Game, played: &Played, seed: u64) -> Game {
    let middle = |(from, to): (Timestamp, Timestamp)| from + (to - from) / 2;
    let spikes = played.plays.iter().enumerate().map(|(number, play)| {
        // each play has a stream of its own: correcting one changes no other
        let mut rng = stream(seed, &format!("{} play {number}", drawn.id));
        spike(p, play.at, play.kind, &mut rng)
    });
    Game {
        start: played.kick_off,
        half_time: middle(played.half_time.unwrap_or((played.kick_off, played.end))),
        end: played.end,
        // what overtime there was is in the end
        overtime: false,
        spikes: spikes.collect(),
        ..drawn
    }
}

/// Share of `base` on an ordinary day: quietest at half past four, busiest at half past eight in
/// the evening, by the audience's clock; times the level of the day of the week.
fn clock(p: &GameDay, at: Timestamp) -> f64 {
    let local: DateTime<_> = at.with_timezone(&p.zone);
    let hour = f64::from(local.num_seconds_from_midnight()) / 3600.0;
    let since_quiet = (hour - 4.5).rem_euclid(24.0);
    let rise = if since_quiet < 16.0 {
        0.5 - 0.5 * (PI * since_quiet / 16.0).cos()
    } else {
        0.5 + 0.5 * (PI * (since_quiet - 16.0) / 8.0).cos()
    };
    let weekday = p.week[local.weekday().num_days_from_monday() as usize];
    (p.night + (1.0 - p.night) * rise) * weekday
}

fn milliseconds(duration: HumanDuration) -> f64 {
    (duration.0.num_milliseconds() as f64).max(1.0)
}

#[cfg(test)]
mod tests;
