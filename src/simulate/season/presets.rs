//! Named seasons, each made to show one thing.

use std::str::FromStr;

use chrono::{TimeDelta, Weekday};

use super::params::{Evaluate, FaultRates, KickOff, League, Pickup, Plays, Season, Supply};
use crate::units::HumanDuration;

/// A named season.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// A regular season with everything that happens in one.
    #[default]
    Season,
    /// A month and a half without fixtures, then the opening week: no precedent.
    Opener,
    /// A competition nobody has seen before starts in mid-season.
    NewLeague,
    /// Slates of 12 to 16 games that start together.
    BigSlates,
    /// More than a third of the games go to overtime.
    Overtime,
    /// Contests that fill up, and more saturated and missing spans.
    Censored,
    /// No fixtures at all.
    Quiet,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Season,
        Self::Opener,
        Self::NewLeague,
        Self::BigSlates,
        Self::Overtime,
        Self::Censored,
        Self::Quiet,
    ];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Season => "season",
            Self::Opener => "opener",
            Self::NewLeague => "new-league",
            Self::BigSlates => "big-slates",
            Self::Overtime => "overtime",
            Self::Censored => "censored",
            Self::Quiet => "quiet",
        }
    }

    /// Its parameters.
    pub fn season(self) -> Season {
        let base = Season::default();
        match self {
            Self::Season => base,
            Self::Opener => Season {
                quiet_weeks: 6,
                weeks: 1,
                evaluate: Evaluate {
                    from_week: None,
                    weeks: 1,
                },
                ..base
            },
            Self::NewLeague => Season {
                weeks: 12,
                leagues: vec![League::default(), hoops(7)],
                evaluate: Evaluate {
                    from_week: Some(7),
                    weeks: 2,
                },
                ..base
            },
            Self::BigSlates => {
                let mut league = League {
                    byes: None,
                    ..League::default()
                };
                // the early kick-off takes its games first, the rest is what is left
                for kick_off in &mut league.kick_offs {
                    if kick_off.slate == "main" {
                        kick_off.games = [12, 16];
                    }
                }
                league.kick_offs.rotate_right(1);
                Season {
                    leagues: vec![league],
                    ..base
                }
            }
            Self::Overtime => {
                let mut season = base;
                season.game_day.play.overtime_chance = 0.35;
                season
            }
            Self::Censored => Season {
                supply: Supply {
                    margin: 0.85,
                    restock_chance: 0.2,
                    ..base.supply
                },
                faults: FaultRates {
                    logging: 1.0,
                    outages: 0.5,
                    saturated: 0.8,
                    ..base.faults
                },
                ..base
            },
            Self::Quiet => Season {
                quiet_weeks: 8,
                weeks: 0,
                leagues: Vec::new(),
                ..base
            },
        }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("{text:?} is no preset: write one of {names}")
            })
    }
}

/// A second competition of another rhythm: several evenings a week, smaller, entered later. Its
/// entries grow about 15-fold from 59 hours before the lock to the last hour, as transfers of the
/// Fantasy Premier League do.
fn hoops(from_week: u32) -> League {
    let kick_off = |day, hour, slate: &str, games| KickOff {
        day,
        at: HumanDuration(TimeDelta::hours(hour)),
        slate: slate.to_owned(),
        games,
        factor: 1.0,
    };
    let pickup = |share, hours| Pickup {
        share,
        constant: HumanDuration(TimeDelta::hours(hours)),
    };
    League {
        competition: "Hoops League".to_owned(),
        sport: Some("basketball".to_owned()),
        from_week,
        teams: 20,
        plays: Plays::Daily,
        scale: 0.5,
        kick_offs: vec![
            kick_off(Weekday::Tue, 19, "tuesday", [4, 6]),
            kick_off(Weekday::Tue, 22, "tuesday-late", [1, 3]),
            kick_off(Weekday::Wed, 19, "wednesday", [4, 7]),
            kick_off(Weekday::Fri, 19, "friday", [4, 7]),
            kick_off(Weekday::Fri, 22, "friday-late", [1, 3]),
            kick_off(Weekday::Sat, 17, "saturday", [3, 6]),
        ],
        byes: None,
        playoffs: false,
        pickup: Some(vec![pickup(0.68, 48), pickup(0.24, 12), pickup(0.08, 2)]),
    }
}
