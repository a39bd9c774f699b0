//! What is peculiar to fixtures that start at one time of the week.
//!
//! A game alone on Monday night is not one of eleven on Sunday afternoon: entries that are many
//! for the one are few for the other, and one response has its top above where the other's is.
//! What comes out the same way week after week is learnt by kick-off, shrunk towards what holds
//! for the hours beside it, and that towards what holds for all: a game that is half an hour late
//! is still the game of that afternoon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::slots::Slot;

/// Hours of a week.
const HOURS: u8 = 7 * 24;

/// Past fixtures that "like all others" is worth: the variance of one about its kick-off's mean
/// over that between kick-offs. In generated seasons it is 1 to 2 for entries; one to four are
/// alike.
const WORTH: f64 = 2.0;

/// Days in which a past fixture loses half its weight: most kick-offs come once a week.
const MEMORY: f64 = 40.0;

/// An hour of the audience's week, from Monday midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct KickOff(u8);

impl KickOff {
    /// The hour in which a slot starts.
    pub(crate) fn of(slot: &Slot) -> Self {
        let (day, hour) = slot.local;
        Self(24 * day + hour)
    }

    /// True when the week has such an hour.
    pub(crate) fn is_sound(self) -> bool {
        self.0 < HOURS
    }

    /// The hours before and after.
    fn beside(self) -> [Self; 2] {
        let before = self.0.checked_sub(1).unwrap_or(HOURS - 1);
        let after = if self.0 + 1 < HOURS { self.0 + 1 } else { 0 };
        [before, after].map(Self)
    }
}

/// The deviation to be expected of the next fixture with this kick-off, by how many there were with
/// one and the sum of their deviations.
pub(crate) fn expected(kick_off: KickOff, past: impl Fn(KickOff) -> Option<(f64, f64)>) -> f64 {
    let (beside, sum) = kick_off
        .beside()
        .into_iter()
        .filter_map(&past)
        .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
    let near = sum / (beside + WORTH);
    let (own, sum) = past(kick_off).unwrap_or_default();
    (sum + WORTH * near) / (own + WORTH)
}

/// Deviations by kick-off, fading.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deviations(BTreeMap<KickOff, (f64, f64)>);

impl Deviations {
    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for (weight, sum) in self.0.values_mut() {
            *weight *= keep;
            *sum *= keep;
        }
    }

    /// Adds that of one fixture; what is unknown is passed over.
    pub(crate) fn add(&mut self, kick_off: KickOff, deviation: f64) {
        if deviation.is_finite() {
            let (weight, sum) = self.0.entry(kick_off).or_default();
            *weight += 1.0;
            *sum += deviation;
        }
    }

    /// The deviation to be expected.
    pub(crate) fn at(&self, kick_off: KickOff) -> f64 {
        expected(kick_off, |kick_off| self.0.get(&kick_off).copied())
    }

    /// True when every deviation is a finite number.
    pub(crate) fn is_sound(&self) -> bool {
        let mut hours = self.0.keys();
        hours.all(|hour| hour.is_sound() && self.at(*hour).is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_expected_once_chance_is_not_and_old_weeks_fade() {
        let (monday, sunday) = (KickOff(20), KickOff(6 * 24 + 13));
        let mut tops = Deviations::default();
        assert_eq!(tops.at(monday), 0.0);
        tops.add(monday, 0.3);
        tops.add(sunday, f64::NAN);
        tops.add(sunday, f64::NEG_INFINITY);
        assert!((tops.at(monday) - 0.1).abs() < 1e-12);
        assert_eq!(tops.at(sunday), 0.0);
        for _ in 0..8 {
            tops.age(7.0);
            tops.add(monday, 0.3);
        }
        assert!((0.2..0.3).contains(&tops.at(monday)));
        assert!(tops.is_sound());
        tops.age(600.0);
        assert!(tops.at(monday) < 0.001);
    }

    #[test]
    fn a_late_game_is_still_the_game_of_that_afternoon() {
        let mut tops = Deviations::default();
        for _ in 0..6 {
            tops.add(KickOff(0), 0.4);
        }
        let own = tops.at(KickOff(0));
        assert!((own - 0.3).abs() < 1e-12);
        // an hour later, or before midnight on Sunday, nothing else is known
        assert_eq!(
            [KickOff(1), KickOff(167)].map(|hour| tops.at(hour)),
            [own; 2]
        );
        assert_eq!(tops.at(KickOff(2)), 0.0);
        // what has its own past is told by it
        for _ in 0..6 {
            tops.add(KickOff(1), -0.4);
        }
        assert!(tops.at(KickOff(1)) < -0.2 && tops.at(KickOff(0)) > 0.2);
    }

    #[test]
    fn a_kick_off_is_written_as_its_hour() {
        let mut tops = Deviations::default();
        tops.add(KickOff(20), 0.5);
        let text = serde_json::to_string(&tops).unwrap();
        assert_eq!(text, r#"{"20":[1.0,0.5]}"#);
        assert_eq!(serde_json::from_str::<Deviations>(&text).unwrap(), tops);
        let beyond: Deviations = serde_json::from_str(r#"{"168":[1.0,0.5]}"#).unwrap();
        assert!(!beyond.is_sound());
    }
}
