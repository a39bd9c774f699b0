//! Load and fixtures of a given size, to measure speed and memory on.
//!
//! Days, weekends, a crowd around every fixture and some noise: the work a forecaster has to do,
//! with nothing to be learnt about forecasting from it. The same size gives the same bits.

use chrono::{TimeDelta, Timelike as _};

use crate::fixture::{Calendar, Fixture};
use crate::series::Series;
use crate::units::Timestamp;

/// Competitors that fixtures are drawn from.
const TEAMS: u64 = 32;

/// Hour of the day (UTC) at which the day's first fixture starts, and hours between two.
const FIRST_HOUR: i64 = 12;
const HOURS_BETWEEN: i64 = 2;

/// Starts on one day before fixtures begin to share them.
const STARTS: i64 = 6;

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Weeks of history.
    pub weeks: u32,
    /// Hours that will be forecast: fixtures go on that long.
    pub hours_ahead: u32,
    /// Fixtures, spread evenly over both.
    pub fixtures: u32,
    /// Which one of many.
    pub seed: u64,
}

/// Five-minute load and the fixtures that move it; the history ends where the series does.
pub fn yardstick(size: Size) -> (Series, Calendar) {
    let start = Timestamp::UNIX_EPOCH + TimeDelta::days(19_968);
    let step = TimeDelta::minutes(5);
    let bins = size.weeks as usize * 2_016;
    let days = i64::from(size.weeks) * 7 + i64::from(size.hours_ahead) / 24;
    let starts: Vec<Timestamp> = (0..i64::from(size.fixtures))
        .map(|number| {
            let day = number * days / i64::from(size.fixtures);
            let hour = FIRST_HOUR + HOURS_BETWEEN * (number % STARTS);
            start + TimeDelta::days(day) + TimeDelta::hours(hour)
        })
        .collect();
    let calendar = starts
        .iter()
        .enumerate()
        .map(|(number, &at)| {
            let place = mixed(size.seed ^ number as u64);
            let mut fixture = Fixture::game(format!("{number}"), "league", at);
            fixture.home = Some(format!("team {}", place % TEAMS));
            fixture.away = Some(format!("team {}", (place / TEAMS + 1) % TEAMS));
            // nobody knew it before: what was foreseen differs from what came
            let end = at + fixture.duration.typical + TimeDelta::minutes((place % 36) as i64 - 10);
            fixture.ended_at = (end <= start + step * bins as i32).then_some(end);
            fixture
        })
        .collect();
    let mut crowd = vec![0.0; bins];
    for (number, &at) in starts.iter().enumerate() {
        let kick_off = (at - start).num_minutes() / 5;
        let size = 1.0 + share(mixed(size.seed ^ number as u64 ^ 0x5eed));
        for offset in -18..48_i64 {
            let bin = usize::try_from(kick_off + offset).ok();
            if let Some(crowd) = bin.and_then(|bin| crowd.get_mut(bin)) {
                // rises to the end of play, two hours after the start, and leaves
                let rise = (offset + 18) as f64 / 42.0;
                *crowd += size * rise.min((48 - offset) as f64 / 24.0);
            }
        }
    }
    let values = crowd
        .into_iter()
        .enumerate()
        .map(|(bin, crowd)| {
            let at = start + step * bin as i32;
            let day = f64::from(at.num_seconds_from_midnight()) / 86_400.0;
            let weekend = if bin / 288 % 7 >= 5 { 0.2 } else { 0.0 };
            let noise = 0.1 * share(mixed(size.seed ^ bin as u64 ^ 0xa0));
            let quiet = 0.5 * (std::f64::consts::TAU * (day - 0.4)).sin() + weekend + noise;
            100.0 * quiet.exp() * (1.0 + crowd)
        })
        .collect();
    (Series::from_raw(start, step, values), calendar)
}

/// A number that looks random (the finaliser of `SplitMix64`: Steele, Lea, Flood, 2014).
const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// In `[0, 1)`.
fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        weeks: 2,
        hours_ahead: 48,
        fixtures: 32,
        seed: 7,
    };

    #[test]
    fn there_is_as_much_as_was_asked_for() {
        let (load, calendar) = yardstick(SIZE);
        assert_eq!(load.len(), 2 * 2_016);
        assert_eq!(load.gaps(), 0);
        let all = calendar.starting_between(load.start(), load.end() + TimeDelta::days(2));
        assert_eq!(all.len(), 32);
        let ahead = calendar.starting_between(load.end(), load.end() + TimeDelta::days(2));
        assert_eq!(ahead.len(), 4);
        let (quiet, none) = yardstick(Size {
            fixtures: 0,
            ..SIZE
        });
        assert!(none.starting_between(quiet.start(), quiet.end()).is_empty());
        assert!(quiet.peak().unwrap().1.as_per_second() < 250.0);
        assert!(load.peak().unwrap().1.as_per_second() > 250.0);
    }

    #[test]
    fn the_same_size_gives_the_same_bits_and_another_seed_others() {
        assert_eq!(yardstick(SIZE), yardstick(SIZE));
        assert_ne!(yardstick(SIZE).0, yardstick(Size { seed: 8, ..SIZE }).0);
    }
}
