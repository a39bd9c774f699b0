//! How far back a fit must look to have seen play.
//!
//! What is old has faded, so four months of history are enough, but for competitions that rest
//! longer than that: leagues pause for half a year and more, and the audience that comes to the
//! first game is the one that came to the last.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::fixture::Calendar;
use crate::units::Timestamp;

/// Longest history of a competition that plays on, days: six times the slowest half-life.
pub(crate) const LONGEST: i64 = 120;

/// Longest history of one that has rested, days: a year, and its last month of play.
const WITH_A_BREAK: i64 = 400;

/// Days of play that are looked for: three of the slowest half-lives.
const PLAY: i64 = 60;

/// Days without a fixture that are no part of play.
const REST: i64 = 21;

/// Days ahead in which a competition is about to play.
const SOON: i64 = 21;

/// Days before `at` whose load is to be learnt from: those of every competition's last two months
/// of play, when it plays at present or soon. The calendar is as known at `at`.
pub(crate) fn days_to_learn(calendar: &Calendar, at: Timestamp) -> usize {
    let mut starts: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    let (first, last) = (
        at - TimeDelta::days(WITH_A_BREAK),
        at + TimeDelta::days(SOON),
    );
    for fixture in calendar.starting_between(first, last) {
        let starts = starts.entry(&fixture.competition).or_default();
        starts.push(fixture.start.at);
    }
    let needed = starts
        .values()
        .filter_map(|starts| begin_of_play(starts, at));
    let days = needed.map(|begin| (at - begin).num_days() + 1).max();
    days.unwrap_or(LONGEST).clamp(LONGEST, WITH_A_BREAK) as usize
}

/// From when on a competition's ascending starts hold two months of play by `at`; `None` when it
/// has not played or rests.
fn begin_of_play(starts: &[Timestamp], at: Timestamp) -> Option<Timestamp> {
    let present = at - TimeDelta::days(REST);
    starts.last().filter(|&&last| last >= present)?;
    let played = &starts[..starts.partition_point(|&start| start < at)];
    let mut begin = *played.last()?;
    let mut play = TimeDelta::zero();
    for &start in played.iter().rev() {
        let gap = begin - start;
        if gap < TimeDelta::days(REST) {
            play += gap;
        }
        begin = start;
        if play >= TimeDelta::days(PLAY) {
            break;
        }
    }
    Some(begin - TimeDelta::days(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use chrono::TimeZone as _;

    /// Weekly fixtures of a competition over spans of days before a moment.
    fn weekly(competition: &str, spans: &[(i64, i64)]) -> (Calendar, Timestamp) {
        let at = chrono::Utc.with_ymd_and_hms(2026, 9, 10, 0, 0, 0).unwrap();
        let days = spans
            .iter()
            .flat_map(|&(from, to)| (to..=from).rev().step_by(7));
        let calendar = days
            .map(|day| {
                let start = at - TimeDelta::days(day);
                Fixture::game(format!("{competition} {day}"), competition, start)
            })
            .collect();
        (calendar, at)
    }

    #[test]
    fn last_seasons_play_is_looked_for_and_no_more() {
        for (spans, days) in [
            (&[(300, 1)][..], LONGEST),
            (&[][..], LONGEST),
            // an opener tomorrow, and the season before ended 240 days ago
            (&[(345, 240), (-1, -1)][..], 240 + 63 + 2),
            // four weeks into a season: five weeks of the one before are wanted
            (&[(345, 240), (28, 0)][..], 240 + 42 + 2),
            // it has not begun, and does not soon
            (&[(345, 240), (-40, -40)][..], LONGEST),
            (&[(345, 240)][..], LONGEST),
            // too long ago
            (&[(900, 700), (-1, -1)][..], LONGEST),
        ] {
            let (calendar, at) = weekly("NFL", spans);
            let found = days_to_learn(&calendar, at) as i64;
            assert!((found - days).abs() <= 8, "{spans:?} {found}");
        }
    }

    #[test]
    fn one_competition_that_plays_on_does_not_hide_another() {
        let (mut calendar, at) = weekly("MLB", &[(300, 0)]);
        let (nfl, _) = weekly("NFL", &[(345, 240), (-1, -1)]);
        for fixture in nfl.iter() {
            calendar.insert(fixture.clone());
        }
        assert!(days_to_learn(&calendar, at) > 290);
        // events that are months apart are never two months of play
        let (rare, at) = weekly("boxing", &[(90, 90), (180, 180), (270, 270), (-2, -2)]);
        assert_eq!(days_to_learn(&rare, at), 272);
    }
}
