//! An NFL Sunday: the real kick-offs of 10 September 2023, and Sundays like it before.

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;

use crate::fixture::{
    Calendar, ExpectedDuration, Extension, Fixture, FixtureId, PlannedBreak, Start,
};
use crate::units::Timestamp;

/// Eastern kick-off (hour, minute), slate, away and home.
const GAMES: [((u32, u32), &str, &str, &str); 14] = [
    ((13, 0), "early", "ARI", "WAS"),
    ((13, 0), "early", "CAR", "ATL"),
    ((13, 0), "early", "CIN", "CLE"),
    ((13, 0), "early", "HOU", "BAL"),
    ((13, 0), "early", "JAX", "IND"),
    ((13, 0), "early", "SF", "PIT"),
    ((13, 0), "early", "TB", "MIN"),
    ((13, 0), "early", "TEN", "NO"),
    ((16, 25), "late", "GB", "CHI"),
    ((16, 25), "late", "LA", "SEA"),
    ((16, 25), "late", "LV", "DEN"),
    ((16, 25), "late", "MIA", "LAC"),
    ((16, 25), "late", "PHI", "NE"),
    ((20, 20), "night", "DAL", "NYG"),
];

/// The fourteen games of the first Sunday of the 2023 season, at their real kick-off times.
pub fn week_one_2023() -> Calendar {
    let midnight = NaiveDate::from_ymd_opt(2023, 9, 10)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .unwrap_or_default()
        .and_utc();
    GAMES
        .iter()
        .map(|&((hour, minute), slate, away, home)| {
            // eastern daylight time is four hours behind UTC
            let at = midnight + TimeDelta::minutes(i64::from((hour + 4) * 60 + minute));
            nfl_game("2023-w01", slate, away, home, at)
        })
        .collect()
}

fn nfl_game(week: &str, slate: &str, away: &str, home: &str, at: Timestamp) -> Fixture {
    let mut fixture = Fixture::game(
        format!("nfl-{week}-{away}-{home}").to_lowercase(),
        "NFL",
        at,
    );
    fixture.sport = Some("american_football".to_owned());
    fixture.stage = Some(week.to_owned());
    fixture.home = Some(home.to_owned());
    fixture.away = Some(away.to_owned());
    fixture.start = Start {
        zone: Some(Tz::America__New_York),
        ..Start::exact(at)
    };
    fixture.slate = Some(format!("nfl-{week}-{slate}"));
    fixture.duration = ExpectedDuration {
        typical: TimeDelta::minutes(190),
        long: TimeDelta::minutes(230),
    };
    fixture.breaks = vec![PlannedBreak {
        after: TimeDelta::minutes(90),
        length: TimeDelta::minutes(13),
    }];
    fixture.may_extend = Some(Extension {
        name: "overtime".to_owned(),
        at_most: TimeDelta::minutes(25),
    });
    fixture
}

/// The same fixtures on each of the `weeks` weeks before: made up, so that there is something to
/// learn from. Their ids differ, and with them their fates.
pub fn earlier_weeks(fixtures: &Calendar, weeks: u32) -> Calendar {
    let shift = |fixture: &Fixture, week: u32| {
        let back = TimeDelta::weeks(i64::from(week));
        let mut copy = fixture.clone();
        copy.id = FixtureId(format!("{}-minus-{week}", fixture.id));
        copy.start.at -= back;
        for lock in &mut copy.locks {
            lock.at -= back;
        }
        copy.slate = fixture
            .slate
            .as_ref()
            .map(|slate| format!("{slate}-minus-{week}"));
        copy.stage = fixture
            .stage
            .as_ref()
            .map(|stage| format!("{stage} minus {week}"));
        copy
    };
    (1..=weeks)
        .flat_map(|week| fixtures.iter().map(move |fixture| shift(fixture, week)))
        .collect()
}
