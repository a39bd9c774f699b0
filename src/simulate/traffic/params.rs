//! What the game-day generator assumes. Every parameter is declared here with where it comes
//! from; none is fitted to a private trace.

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::units::HumanDuration;

/// Parameters of generated traffic. Sizes are multiples of `base` for one fixture of intensity 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GameDay {
    /// Zone by whose clock the audience lives.
    pub zone: Tz,
    /// Load at the top of an ordinary evening without fixtures, units per second.
    pub base: f64,
    /// Share of it left at the quietest hour.
    pub night: f64,
    /// Level of each day of the week without fixtures, Monday first.
    pub week: [f64; 7],
    /// `n` equal fixtures at once weigh `n^simultaneous`: less than the sum, for their crowds are
    /// partly the same people.
    pub simultaneous: f64,
    /// Standard deviation of the logarithm of a fixture's intensity: what no calendar says.
    pub intensity_sd: f64,
    /// The same of a day's level.
    pub day_sd: f64,
    /// The same of an hour's level: what moves a day's course without a reason.
    pub hour_sd: f64,
    /// Standard deviation of the minute-to-minute noise, relative.
    pub noise: f64,
    /// The rush before entries close.
    pub entry: Entry,
    /// The crowd during play.
    pub play: Play,
    /// Scoring plays.
    pub scoring: Scoring,
    /// The rush after the final whistle.
    pub payout: Payout,
}

impl Default for GameDay {
    /// An ordinary day of 400 per second whose Sunday reaches about eight times that at the main
    /// lock, as DraftKings told of NFL opening Sunday. Noise is that of the 1998 World Cup trace
    /// (4.2 % about its quarter-hour mean).
    fn default() -> Self {
        Self {
            zone: Tz::America__New_York,
            base: 400.0,
            night: 0.15,
            week: [1.0; 7],
            simultaneous: 0.6,
            intensity_sd: 0.2,
            day_sd: 0.08,
            hour_sd: 0.0,
            noise: 0.04,
            entry: Entry::default(),
            play: Play::default(),
            scoring: Scoring::default(),
            payout: Payout::default(),
        }
    }
}

/// The rush before a lock: two exponentials, the fast one making the last ten minutes the
/// steepest. It ends at the lock, when entering is no longer possible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Entry {
    /// Load just before the lock.
    pub peak: f64,
    /// Share of it that comes with the fast exponential.
    pub last_minute_share: f64,
    /// Time constant of the slow one.
    pub slow: HumanDuration,
    /// Time constant of the fast one.
    pub fast: HumanDuration,
    /// How fast it vanishes after the lock (time constant).
    pub gone: HumanDuration,
}

impl Default for Entry {
    /// A ramp of 30 to 60 minutes, steepest in the last five to ten, and a cliff (fantasy
    /// operators' own accounts).
    fn default() -> Self {
        Self {
            peak: 2.0,
            last_minute_share: 0.6,
            slow: HumanDuration(TimeDelta::minutes(25)),
            fast: HumanDuration(TimeDelta::minutes(4)),
            gone: HumanDuration(TimeDelta::seconds(20)),
        }
    }
}

/// The crowd during play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Play {
    /// Share of `level` that is there at the kick-off at once.
    pub step: f64,
    /// Load once the crowd has joined.
    pub level: f64,
    /// Time constant of joining.
    pub join: HumanDuration,
    /// Relative growth from kick-off to the end.
    pub growth: f64,
    /// Relative bump at half-time, when people look.
    pub half_time: f64,
    /// Half width of the bump.
    pub half_time_width: HumanDuration,
    /// Standard deviation of the actual end about the expected one.
    pub end_spread: HumanDuration,
    /// Chance of extra play where the rules allow it.
    pub overtime_chance: f64,
}

impl Default for Play {
    /// Joining takes 5 to 15 minutes; half-time is the second-highest moment of a match (1998
    /// World Cup trace); one NFL game in sixteen goes to overtime.
    fn default() -> Self {
        Self {
            step: 0.4,
            level: 0.8,
            join: HumanDuration(TimeDelta::minutes(8)),
            growth: 0.35,
            half_time: 0.5,
            half_time_width: HumanDuration(TimeDelta::minutes(6)),
            end_spread: HumanDuration(TimeDelta::minutes(8)),
            overtime_chance: 1.0 / 16.0,
        }
    }
}

/// Scoring plays: a Poisson process during play, each multiplying its own game's crowd.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scoring {
    /// Touchdowns per game and hour.
    pub per_hour: f64,
    /// Median multiple of the game's own crowd.
    pub median: f64,
    /// 95th percentile of the multiple.
    pub p95: f64,
    /// Largest multiple.
    pub most: f64,
    /// Shortest and longest time from the play to the top.
    pub rise: [HumanDuration; 2],
    /// Half-life of what is above the crowd.
    pub half_life: HumanDuration,
    /// Field goals and the like, where a record of plays tells them apart.
    pub lesser: LesserPlay,
}

/// Waves of plays that excite less than a touchdown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LesserPlay {
    /// Median multiple of the game's own crowd.
    pub median: f64,
    /// 95th percentile of the multiple.
    pub p95: f64,
}

impl Default for LesserPlay {
    /// Assumed, nothing is published: a field goal is worth about half of a touchdown, and its
    /// wave about a third above the crowd.
    fn default() -> Self {
        Self {
            median: 1.35,
            p95: 2.5,
        }
    }
}

impl Default for Scoring {
    /// About five touchdowns in three hours. Sizes are told as "often doubling" up to 6-8x
    /// (DraftKings) and 7.7x (Cartola), within seconds; for the decay nothing is published, and
    /// 90 s is assumed.
    fn default() -> Self {
        Self {
            per_hour: 1.6,
            median: 2.0,
            p95: 8.0,
            most: 12.0,
            rise: [
                HumanDuration(TimeDelta::seconds(2)),
                HumanDuration(TimeDelta::seconds(10)),
            ],
            half_life: HumanDuration(TimeDelta::seconds(90)),
            lesser: LesserPlay::default(),
        }
    }
}

/// The rush after the final whistle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Payout {
    /// Load at its top.
    pub peak: f64,
    /// Time from the whistle to the top.
    pub rise: HumanDuration,
    /// Half-life after it.
    pub half_life: HumanDuration,
}

impl Default for Payout {
    /// The largest wave of a match, falling with a half-life near twenty minutes (1998 World Cup
    /// trace).
    fn default() -> Self {
        Self {
            peak: 1.6,
            rise: HumanDuration(TimeDelta::minutes(2)),
            half_life: HumanDuration(TimeDelta::minutes(20)),
        }
    }
}
