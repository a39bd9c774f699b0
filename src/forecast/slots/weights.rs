//! What the fixtures of a slot count for by the weights that the calendar gives them.
//!
//! A weight of 1 is an ordinary fixture. One of less counts as that part of a fixture; one of more
//! counts as a fixture, and how far it is above an ordinary one is its importance, of which the
//! regression learns what it brings. A slot's log load is `sqrt(n)` times that of one fixture, so the
//! importance of a slot is the root of the mean of squares: what one great game adds to a slate is
//! what it adds alone, and to raise a weight lowers nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::fixture::{Calendar, Fixture};
use crate::units::Timestamp;

/// A fixture that may not be needed counts this share of one that is certain.
const IF_NECESSARY: f64 = 0.5;

/// Least and largest probability that a fixture is reckoned to take place with.
const PROBABILITY: (f64, f64) = (0.05, 1.0);

/// The weight of an ordinary fixture, by competition: 1, or the greatest where all are below it, for
/// a list may be on a scale of its own.
#[derive(Debug, Default)]
pub(super) struct Ordinary<'a>(BTreeMap<Cow<'a, str>, f64>);

impl<'a> Ordinary<'a> {
    /// By the fixtures known at `origin`.
    pub(super) fn of(calendar: &'a Calendar, origin: Timestamp) -> Self {
        let mut greatest: BTreeMap<Cow<'a, str>, f64> = BTreeMap::new();
        let known = |fixture: &&Fixture| fixture.known_at.is_none_or(|known| known <= origin);
        for fixture in calendar.iter().filter(known) {
            let greatest = greatest.entry(fixture.league()).or_default();
            *greatest = greatest.max(weight(fixture, origin));
        }
        Self(greatest)
    }

    fn weight(&self, league: &str) -> f64 {
        self.0.get(league).map_or(1.0, |greatest| greatest.min(1.0))
    }

    /// What fixtures of one slot count for, as it is known at `origin`.
    pub(super) fn count<'f>(
        &self,
        fixtures: impl Iterator<Item = &'f Fixture>,
        origin: Timestamp,
    ) -> Counted {
        let mut counted = Counted::default();
        let mut squares = 0.0;
        for fixture in fixtures {
            let weight = weight(fixture, origin);
            let relative = weight / self.weight(&fixture.league());
            let part = relative.min(1.0) * probability(fixture);
            counted.count += part;
            squares += part * steps(relative).powi(2);
            counted.importance = counted.importance.max(weight);
        }
        if counted.count > 0.0 {
            counted.steps = (squares / counted.count).sqrt();
        }
        counted
    }
}

/// What the fixtures of a slot count for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Counted {
    /// How many ordinary fixtures they are.
    pub(super) count: f64,
    /// How far they are above ordinary ones.
    pub(super) steps: f64,
    /// Weight of the greatest.
    pub(super) importance: f64,
}

fn weight(fixture: &Fixture, origin: Timestamp) -> f64 {
    let value = fixture.weight_at(origin.min(fixture.start.at));
    if value.is_finite() && value > 0.0 {
        value
    } else {
        1.0
    }
}

/// Probability that a fixture takes place.
fn probability(fixture: &Fixture) -> f64 {
    let believed = if fixture.if_necessary {
        IF_NECESSARY
    } else {
        1.0
    };
    let (least, largest) = PROBABILITY;
    let stated = fixture.probability.unwrap_or(believed);
    stated.clamp(least, largest)
}

/// Steps of importance of a weight: `(weight - 1) / 2` as far as the study's scale of stages has
/// evidence (group 1, quarter-final 3), and from 3 on its logarithm. Load is in logarithms already,
/// and the study found the final, 5, over-rated; a list whose weights are another scale, up to 100,
/// must not multiply load by a million.
fn steps(weight: f64) -> f64 {
    if weight <= 3.0 {
        (weight - 1.0).max(0.0) / 2.0
    } else {
        1.0 + (weight / 3.0).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Weight;
    use chrono::{TimeZone as _, Utc};
    use proptest::prelude::*;

    fn counted(weights: &[f64]) -> Counted {
        let at = Utc.with_ymd_and_hms(2024, 3, 2, 15, 0, 0).unwrap();
        let fixtures: Vec<Fixture> = weights
            .iter()
            .enumerate()
            .map(|(place, &value)| {
                let mut game = Fixture::game(format!("{place}"), "cup", at);
                game.weight = Some(Weight {
                    value,
                    expires: None,
                });
                game
            })
            .collect();
        let calendar: Calendar = fixtures.iter().cloned().collect();
        Ordinary::of(&calendar, at).count(fixtures.iter(), at)
    }

    /// Log load of a slot where an ordinary fixture adds 1 and a step of importance `step`.
    fn log(weights: &[f64], step: f64) -> f64 {
        let Counted { count, steps, .. } = counted(weights);
        count.sqrt() * (1.0 + step * steps)
    }

    #[test]
    fn a_great_game_adds_to_a_slate_what_it_adds_alone() {
        let [one, great] = [&[1.0][..], &[3.0]].map(|weights| log(weights, 0.4));
        let ordinary = log(&[1.0; 10], 0.4);
        let mut slate = [1.0; 10];
        slate[3] = 3.0;
        assert!((log(&slate, 0.4) - ordinary - (great - one)).abs() < 1e-12);
        // lesser ones are their parts of one
        let with_lesser = counted(&[1.0, 0.1, 0.1]);
        assert!((with_lesser.count - 1.2).abs() < 1e-12);
        assert_eq!((with_lesser.steps, with_lesser.importance), (0.0, 1.0));
    }

    #[test]
    fn weights_on_another_scale_are_no_multiple_of_the_scale() {
        assert_eq!([0.5, 1.0, 2.0, 3.0].map(steps), [0.0, 0.0, 0.5, 1.0]);
        assert!(steps(5.0) > steps(4.0) && steps(5.0) < 2.0);
        assert!(steps(100.0) < 5.0);
        // a list of tenths is one of ordinary fixtures
        assert_eq!(counted(&[0.1; 3]).count, 3.0);
    }

    #[test]
    fn a_weight_of_nothing_or_no_number_is_an_ordinary_one() {
        for value in [0.0, -2.0, f64::NAN, f64::INFINITY] {
            let said = counted(&[value]);
            assert_eq!((said.count, said.importance), (1.0, 1.0), "{value}");
        }
    }

    proptest! {
        #[test]
        fn to_raise_a_weight_lowers_nothing(
            mut weights in proptest::collection::vec(0.05..20.0f64, 1..12),
            place in any::<prop::sample::Index>(),
            by in 1.0..20.0f64,
            step in 0.0..2.0f64,
        ) {
            // an ordinary one beside them, or all would be measured by the one that is raised
            weights.push(1.0);
            let before = log(&weights, step);
            let place = place.index(weights.len() - 1);
            weights[place] *= by;
            prop_assert!(log(&weights, step) >= before - 1e-12);
        }
    }
}
