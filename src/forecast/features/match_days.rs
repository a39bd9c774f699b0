//! Which days are match days, and how far a day of rest between them is one.
//!
//! A cup of three weeks begins once, so what a match day brings cannot be told from what the cup
//! brings: load is higher from the first game on. Who took the first day without a game for a day
//! before the cup would expect none of its audience there. So a day of rest counts as part of a
//! match day, by how many of the days before it were. In a league the days between its rounds all
//! count about alike, and nothing changes but the level.

use std::collections::{BTreeMap, BTreeSet};

/// Days in which a match day is half forgotten.
const HALF_LIFE: f64 = 7.0;

/// What a day of rest counts for after nothing but match days. Nobody has measured it (no trace at
/// hand has a day of rest): half way between what is known of the days before and of match days.
const REST: f64 = 0.5;

/// Days after which a match day is forgotten.
const FORGOTTEN: i64 = 35;

/// Days before the end of load whose match days are kept with a fit: those that matter to the four
/// weeks whose forecasts are issued again, and to days ahead.
pub(super) const KEPT: i64 = 28 + FORGOTTEN;

/// How far days are match days, nothing to one; days without an entry are none at all.
pub(super) struct MatchDays(BTreeMap<i64, f64>);

impl MatchDays {
    /// From the days on which something is played.
    pub(super) fn of(played: &BTreeSet<i64>) -> Self {
        let keep = 0.5_f64.powf(1.0 / HALF_LIFE);
        let mut days = BTreeMap::new();
        let mut recently = 0.0;
        let mut played = played.iter().copied().peekable();
        while let Some(day) = played.next() {
            days.insert(day, 1.0);
            recently = recently * keep + 1.0 - keep;
            let next = played.peek().copied().unwrap_or(i64::MAX);
            for rest in day.saturating_add(1)..next.min(day.saturating_add(FORGOTTEN)) {
                days.insert(rest, REST * recently);
                recently *= keep;
            }
            if next.saturating_sub(day) >= FORGOTTEN {
                recently = 0.0;
            }
        }
        Self(days)
    }

    /// How far a day is one.
    pub(super) fn share(&self, day: i64) -> f64 {
        self.0.get(&day).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(played: impl IntoIterator<Item = i64>) -> MatchDays {
        MatchDays::of(&played.into_iter().collect())
    }

    #[test]
    fn a_day_of_rest_after_many_match_days_is_nearly_half_of_one() {
        let cup = of(0..16);
        assert_eq!([-1, 0, 15].map(|day| cup.share(day)), [0.0, 1.0, 1.0]);
        assert!((0.38..0.42).contains(&cup.share(16)), "{}", cup.share(16));
        // less on the second, and in the end it is forgotten
        assert!(cup.share(17) < cup.share(16) && cup.share(17) > 0.34);
        assert_eq!(cup.share(15 + FORGOTTEN), 0.0);
        // after a first day hardly
        assert!(of([0]).share(1) < 0.05);
        assert_eq!(of([]).share(3), 0.0);
    }

    #[test]
    fn between_the_rounds_of_a_league_days_are_alike() {
        let league = of((0..20).flat_map(|week| [7 * week, 7 * week + 1]));
        let between: Vec<f64> = (2..7).map(|day| league.share(7 * 15 + day)).collect();
        let (least, most) = (between[4], between[0]);
        assert!(least > 0.1 && most < 0.2, "{between:?}");
        // a list that ends does not fail
        assert!(of([i64::MAX - 1]).share(i64::MAX) <= REST);
    }
}
