//! What the season generator assumes. Every parameter is declared here with where it comes from;
//! none is fitted to a private trace.

use chrono::{NaiveDate, TimeDelta, Weekday};
use serde::{Deserialize, Serialize};

use crate::simulate::GameDay;
use crate::simulate::traffic::{Entry, Payout, Play, Scoring};
use crate::units::HumanDuration;

/// Parameters of a generated season.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Season {
    /// Day of the first game, by the audience's clock. Weeks count from it.
    pub kick_off: NaiveDate,
    /// Weeks of load before it: an off-season without fixtures.
    pub quiet_weeks: u32,
    /// Weeks of games.
    pub weeks: u32,
    /// Width of a bin of load and of entries.
    pub step: HumanDuration,
    /// Share by which the audience grows a week, compounded; load and entries alike.
    pub growth_per_week: f64,
    /// What a day and a game look like. Its `intensitySd` is the part of a game's size that the
    /// other games of its slate do not share.
    pub game_day: GameDay,
    /// How big fixtures are.
    pub crowd: Crowd,
    /// Who plays. Left out of account when a calendar is given.
    pub leagues: Vec<League>,
    /// What moves after it was announced.
    pub changes: Changes,
    /// Contest entries.
    pub entries: Booking,
    /// Places in contests.
    pub supply: Supply,
    /// What goes wrong with the service and with its figures.
    pub faults: FaultRates,
    /// Which part of it a backtest is to score.
    pub evaluate: Evaluate,
}

impl Default for Season {
    /// The regular season of 2023 with a month before it. A game brings less than on the demo's
    /// Sunday, so that an ordinary main slate reaches about five times an ordinary evening and
    /// the opening one about eight times (DraftKings on NFL opening Sunday). Touchdown waves are
    /// those of contest pages, not of live scores: a doubling is their 95th percentile, so that a
    /// game alone does not peak by luck more than by its crowd.
    fn default() -> Self {
        Self {
            kick_off: NaiveDate::from_ymd_opt(2023, 9, 7).unwrap_or_default(),
            quiet_weeks: 4,
            weeks: 18,
            step: HumanDuration(TimeDelta::minutes(5)),
            growth_per_week: 0.01,
            game_day: GameDay {
                week: [0.95, 0.95, 0.97, 1.0, 1.05, 1.1, 1.1],
                hour_sd: 0.04,
                entry: Entry {
                    peak: 1.2,
                    ..Entry::default()
                },
                play: Play {
                    level: 0.5,
                    // eleven half-times at once are not to outdo the end of the games
                    half_time: 0.3,
                    overtime_chance: 0.058,
                    ..Play::default()
                },
                scoring: Scoring {
                    median: 1.25,
                    p95: 2.0,
                    most: 6.0,
                    ..Scoring::default()
                },
                payout: Payout {
                    peak: 1.0,
                    ..Payout::default()
                },
                ..GameDay::default()
            },
            crowd: Crowd::default(),
            leagues: vec![League::default()],
            changes: Changes::default(),
            entries: Booking::default(),
            supply: Supply::default(),
            faults: FaultRates::default(),
            evaluate: Evaluate::default(),
        }
    }
}

/// How big fixtures are: popularity of the teams (persistent) x kick-off slot x opener x a hidden
/// shock that a slate shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Crowd {
    /// Standard deviation of the logarithm of a team's popularity. A game takes the geometric
    /// mean of its two.
    pub popularity_sd: f64,
    /// Standard deviation of the logarithm of a slate's hidden shock: what no calendar knows, and
    /// entries do.
    pub shock_sd: f64,
    /// Factor on games of the first seven days of a competition.
    pub opener: f64,
}

impl Default for Crowd {
    /// With this shock the peaks of a day ahead, forecast by the calendar alone, have a mean absolute
    /// error of .30 in logarithm; this crate's have .31 on the 1998 World Cup trace, the methods of
    /// the forecasting study .36 to .47 (its section 5), and a shock of .6 gives .36. The opener is
    /// what lifts the first Sunday to eight times an ordinary evening.
    fn default() -> Self {
        Self {
            popularity_sd: 0.35,
            shock_sd: 0.5,
            opener: 1.8,
        }
    }
}

/// One competition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct League {
    /// Name, as in the fixture file.
    pub competition: String,
    /// Sport, for durations and pauses; `None` infers it from the name.
    pub sport: Option<String>,
    /// First week it is played, from 1.
    pub from_week: u32,
    /// Number of teams. Those of the NFL have their usual letters.
    pub teams: u32,
    /// How often a team can play.
    pub plays: Plays,
    /// Size of an ordinary game; 1 is the NFL's.
    pub scale: f64,
    /// Kick-offs of a week. Each takes its games from those that are left, in this order.
    pub kick_offs: Vec<KickOff>,
    /// Weeks in which some teams rest.
    pub byes: Option<Byes>,
    /// Rounds of knock-out games in the weeks after the season.
    pub playoffs: bool,
    /// How entries come in; `None` takes that of the season.
    pub pickup: Option<Vec<Pickup>>,
}

/// How often a team can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Plays {
    /// Once a week.
    Weekly,
    /// Once a day.
    Daily,
}

/// Games that start at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KickOff {
    /// Day of the week.
    pub day: Weekday,
    /// Time of day by the audience's clock, as a duration since midnight: `16h25m`.
    pub at: HumanDuration,
    /// Slate they belong to; kick-offs of one slate lock together, at the first.
    pub slate: String,
    /// Fewest and most games.
    pub games: [u32; 2],
    /// Size of a game here; 1 is a game among many on a Sunday afternoon.
    pub factor: f64,
}

/// Weeks in which some teams rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Byes {
    /// First and last of those weeks.
    pub weeks: [u32; 2],
    /// Teams that rest in each.
    pub teams: u32,
}

impl Default for League {
    /// The NFL: 32 teams, Thursday, Sunday 13:00 Eastern with 7 to 11 games, 16:05 and 16:25 with
    /// 2 to 4, Sunday and Monday night (schedules of 2013-2023). A game alone on television draws
    /// more than one of many.
    fn default() -> Self {
        let kick_off = |day, hour: i64, minute, slate: &str, games, factor| KickOff {
            day,
            at: HumanDuration(TimeDelta::minutes(60 * hour + minute)),
            slate: slate.to_owned(),
            games,
            factor,
        };
        Self {
            competition: "NFL".to_owned(),
            sport: Some("american_football".to_owned()),
            from_week: 1,
            teams: 32,
            plays: Plays::Weekly,
            scale: 1.0,
            kick_offs: vec![
                kick_off(Weekday::Sun, 20, 20, "night", [1, 1], 1.7),
                kick_off(Weekday::Mon, 20, 15, "monday", [1, 1], 1.6),
                kick_off(Weekday::Thu, 20, 15, "thursday", [1, 1], 1.4),
                kick_off(Weekday::Sun, 16, 5, "late", [1, 2], 1.0),
                kick_off(Weekday::Sun, 16, 25, "late", [1, 2], 1.2),
                kick_off(Weekday::Sun, 13, 0, "main", [11, 11], 1.0),
            ],
            byes: Some(Byes {
                weeks: [5, 14],
                teams: 4,
            }),
            playoffs: false,
            pickup: None,
        }
    }
}

/// What moves after it was announced. Chances are per game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Changes {
    /// Starts 45 to 120 minutes late; known 10 to 40 minutes before the announced start.
    pub delayed: f64,
    /// Moved by two days; known 20 to 50 hours before.
    pub postponed: f64,
    /// Moved to a later kick-off of its day; known 12 days before.
    pub flexed: f64,
}

impl Default for Changes {
    /// Of 2,993 NFL games in eleven seasons a handful a year were held up by weather, moved, or
    /// flexed into another window.
    fn default() -> Self {
        Self {
            delayed: 0.01,
            postponed: 0.005,
            flexed: 0.015,
        }
    }
}

/// Contest entries of a slate: `E_final = perIntensity · crowd · growth · exp(N(0, linkSd))`,
/// spread over the time to the lock by the pickup curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Booking {
    /// False: nobody records entries.
    pub recorded: bool,
    /// Final entries of a slate of intensity 1.
    pub per_intensity: f64,
    /// Standard deviation of `ln E_final - ln crowd`: how far entries are from the crowd.
    pub link_sd: f64,
    /// Contests open this long before the lock.
    pub opens: HumanDuration,
    /// Parts of the pickup curve `F(h) = Σ share · exp(-h / constant)`, the share of entries that
    /// are there `h` before the lock.
    pub pickup: Vec<Pickup>,
    /// Standard deviation of the logarithm of a slate's own time: with `a = exp(N(0, paceSd))` it
    /// follows `F(a h)`. Its error vanishes at the lock.
    pub pace_sd: f64,
    /// Share of entering that follows the audience's clock; the rest comes at any hour.
    pub rhythm: f64,
    /// Standard deviation of the logarithm of the half-hourly rate about its course.
    pub rate_sd: f64,
    /// Chance that a slate's counts have a hole of 20 to 90 minutes, which is a gap and not zero.
    pub hole_chance: f64,
}

/// One exponential of a pickup curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pickup {
    /// Its share of all entries.
    pub share: f64,
    /// Its time constant.
    pub constant: HumanDuration,
}

impl Default for Booking {
    /// DraftKings' magnitudes: 391 entries a minute on a quiet morning, 22,000 before the main
    /// lock of opening Sunday. The link's deviation of .2 and a curve error near .2 six hours
    /// before the lock are declared, for no series is public.
    fn default() -> Self {
        let pickup = |share, minutes| Pickup {
            share,
            constant: HumanDuration(TimeDelta::minutes(minutes)),
        };
        Self {
            recorded: true,
            per_intensity: 400_000.0,
            link_sd: 0.2,
            opens: HumanDuration(TimeDelta::days(5)),
            pickup: vec![pickup(0.55, 48 * 60), pickup(0.25, 6 * 60), pickup(0.2, 42)],
            pace_sd: 0.5,
            rhythm: 0.7,
            rate_sd: 0.12,
            hole_chance: 0.1,
        }
    }
}

/// Places in contests. The operator posts them by what the calendar lets expect, and may add more
/// when they run out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Supply {
    /// Places first posted, in multiples of the entries the calendar lets expect.
    pub margin: f64,
    /// Standard deviation of the logarithm of the operator's guess.
    pub guess_sd: f64,
    /// Chance that a slate is restocked, by a quarter, whenever 85 % of its places are taken.
    pub restock_chance: f64,
}

impl Default for Supply {
    /// Guaranteed contests are meant to fill, and the large ones are posted with room: declared.
    fn default() -> Self {
        Self {
            margin: 1.3,
            guess_sd: 0.2,
            restock_chance: 0.9,
        }
    }
}

/// What goes wrong. Rates are expected numbers a week; spans do not overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FaultRates {
    /// Figures missing for 10 to 120 minutes.
    pub logging: f64,
    /// Service down for 5 to 40 minutes: 2 % of the load comes through. Half of them strike while
    /// a fixture is on.
    pub outages: f64,
    /// Fixtures at whose peak the replicas were at their most: load clipped at 50 to 85 % of what
    /// was offered.
    pub saturated: f64,
    /// Deploys and tests of 15 to 60 minutes that halve the load or double it.
    pub deploys: f64,
    /// Chance that one is declared.
    pub declared: f64,
}

impl Default for FaultRates {
    /// The trace of the 1998 World Cup has three logging holes in eight weeks and days that look
    /// saturated; the rest is declared.
    fn default() -> Self {
        Self {
            logging: 0.4,
            outages: 0.15,
            saturated: 0.15,
            deploys: 0.3,
            declared: 0.7,
        }
    }
}

/// Which part a backtest is to score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Evaluate {
    /// First week of it, from 1; `None` counts back from the end.
    pub from_week: Option<u32>,
    /// Weeks.
    pub weeks: u32,
}

impl Default for Evaluate {
    /// The last two weeks: long enough for each kind of slate to come twice.
    fn default() -> Self {
        Self {
            from_week: None,
            weeks: 2,
        }
    }
}
