//! How much of the load at a moment is the crowd's, and what a larger crowd would add.

use std::ops::Range;

use super::super::experts::{Fits, STEADIEST};
use super::super::features::{Design, Rows};
use super::super::learn::Coefficients;
use super::super::slots::Slot;
use super::fits::crowds;

/// Least log load that a crowd is taken to add when entries are compared with it.
const LEAST_CROWD: f64 = 0.05;

/// Share of the shorter of two plays that both must be on for, to play together.
const TOGETHER: f64 = 0.5;

/// What entries add to the log load of one row: each slot's shift by its share of the crowd, as
/// far as the load there is the crowd's. `None` when no slot there has a shift.
pub(crate) fn shift_at(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
    shift: impl Fn(usize) -> Option<f64>,
) -> Option<f64> {
    let mut some = false;
    let mut joint = 0.0;
    for &(slot, share) in rows.crowd(index) {
        if let Some(shift) = shift(slot as usize) {
            some = true;
            joint += f64::from(share) * shift;
        }
    }
    some.then(|| lifted(joint, crowd_share(rows, index, coefficients, events)))
}

/// What a crowd larger by `shift` (log) adds to the log load when it makes up `share` of it.
pub(crate) fn lifted(shift: f64, share: f64) -> f64 {
    (share * shift.exp_m1()).ln_1p()
}

/// Share of the load at one row that is the crowd's, by the steadiest regression.
pub(super) fn crowd_share(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
) -> f64 {
    let crowd = rows.fit_from(index, events, |column| coefficients[column][STEADIEST]);
    1.0 - (-crowd.max(0.0)).exp()
}

/// A moment as it would be if only one slot's crowd came. Whom else the hour holds says nothing of who
/// enters for this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone {
    /// What that adds to the log load that every model says.
    pub(crate) change: Fits,
    /// Logarithm of the crowd's share of the load there.
    ln_share: f64,
}

impl Alone {
    /// From a row with `all` crowds and one with the slot's `own`. A shift of the level is left out
    /// too: who came to it, a new client or half of another region, need not enter.
    pub(crate) fn of(
        all: (&Rows, usize),
        own: (&Rows, usize),
        coefficients: &Coefficients,
        design: &Design,
    ) -> Self {
        let all = crowds(all, coefficients, design.first_shift());
        let own = crowds(own, coefficients, design.events());
        Self {
            change: std::array::from_fn(|model| own[model] - all[model]),
            ln_share: (-(-own[STEADIEST].max(LEAST_CROWD)).exp_m1()).ln(),
        }
    }

    /// Log of the crowd where the log load would be `load`.
    pub(crate) fn crowd(&self, load: f64) -> f64 {
        load + self.ln_share
    }

    /// The same where the log load with all crowds is `load`.
    pub(super) fn crowd_of_all(&self, load: f64) -> f64 {
        self.crowd(load + self.change[STEADIEST])
    }
}

/// Whether the crowd of a row is a slot's own: none draws more that does not play when it does. A
/// late slate's window is still open when people come for the evening's game; how large its own
/// crowd was cannot be seen then.
pub(crate) fn is_own(rows: &Rows, index: usize, slots: &[Slot], own: usize) -> bool {
    let crowd = rows.crowd(index);
    let share = crowd.iter().find(|&&(slot, _)| slot as usize == own);
    share.is_some_and(|&(_, share)| {
        crowd.iter().all(|&(slot, other)| {
            other <= share || play_together(&slots[slot as usize], &slots[own])
        })
    })
}

/// Those of some bins that are `own`; all of them where there is none.
pub(crate) fn own_or_all(bins: Range<usize>, own: impl Fn(usize) -> bool) -> Vec<usize> {
    let mine: Vec<usize> = bins.clone().filter(|&bin| own(bin)).collect();
    if mine.is_empty() {
        bins.collect()
    } else {
        mine
    }
}

/// Whether two slots play at the same time for half of the shorter play or more.
fn play_together(one: &Slot, other: &Slot) -> bool {
    let (one, other) = (one.anchors, other.anchors);
    let both = one.end.min(other.end) - one.start.max(other.start);
    let shorter = (one.end - one.start).min(other.end - other.start);
    both as f64 >= TOGETHER * shorter as f64
}

/// The largest of some log loads and its place.
pub(crate) fn top(logs: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    logs.enumerate()
        .filter(|(_, log)| log.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::experts::REGRESSIONS;
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};
    use chrono_tz::Tz;

    #[test]
    fn who_enters_for_one_game_is_no_matter_of_another_s_weight() {
        let noon = Utc.with_ymd_and_hms(2024, 5, 15, 12, 0, 0).unwrap();
        let of = |weights: [f64; 2]| {
            let games = ["first", "second"].into_iter().zip([0, 60]).zip(weights);
            let calendar: Calendar = games
                .map(|((id, minute), value)| {
                    let mut game = Fixture::game(id, id, noon + TimeDelta::minutes(minute));
                    game.weight = Some(crate::fixture::Weight {
                        value,
                        expires: None,
                    });
                    game
                })
                .collect();
            let slots = slots(&calendar, noon, Tz::UTC, (noon, noon + TimeDelta::days(1)));
            let shifts = vec![noon.timestamp() - 86_400];
            let mut design = Design::new(Tz::UTC, false, shifts, &slots, (0, 0));
            let shift = design.first_shift();
            design.prior[shift] = 0.9;
            let coefficients: Coefficients = (design.prior.iter())
                .map(|&prior| [prior; REGRESSIONS.len()])
                .collect();
            let at = || std::iter::once(noon.timestamp() + 90 * 60);
            let all = design.rows(&slots, at());
            // of the second, where the first is still on
            let own = design.rows(&slots[1..], at());
            let alone = Alone::of((&all, 0), (&own, 0), &coefficients, &design);
            let load = all.fit(0, &design.prior);
            let said = alone.crowd(load + alone.change[0]);
            assert!((said - alone.crowd_of_all(load)).abs() < 1e-12);
            (said, load)
        };
        let (crowd, load) = of([1.0, 1.0]);
        let (beside_a_greater, more) = of([4.0, 1.0]);
        assert!(more > load + 0.1, "{load} {more}");
        assert!((beside_a_greater - crowd).abs() < 1e-12);
        assert!(of([1.0, 4.0]).0 > crowd + 0.1);
        // what the level has shifted by brings nobody who enters
        assert!(crowd < 0.9 && load > 0.9, "{crowd} {load}");
    }

    #[test]
    fn who_comes_for_the_next_game_is_not_the_last_ones_crowd() {
        let noon = Utc.with_ymd_and_hms(2024, 5, 15, 12, 0, 0).unwrap();
        let game = |id: &str, minute: i64| {
            let mut game = Fixture::game(id, id, noon + TimeDelta::minutes(minute));
            game.home = Some(format!("{id} side"));
            game
        };
        // two that play at once, and one that begins an hour after they are over
        let games = [game("first", 0), game("beside", 20), game("evening", 180)];
        let calendar: Calendar = games.into_iter().collect();
        let slots = slots(&calendar, noon, Tz::UTC, (noon, noon + TimeDelta::days(1)));
        let design = Design::new(Tz::UTC, false, Vec::new(), &slots, (0, 0));
        let own = |minute: i64| {
            let at = noon.timestamp() + minute * 60;
            let rows = design.rows(&slots, std::iter::once(at));
            [0, 1, 2].map(|slot| is_own(&rows, 0, &slots, slot))
        };
        assert_eq!(own(60), [true, true, false]);
        assert_eq!(own(100), [true, true, false]);
        assert_eq!(own(190), [false, false, true]);
        assert_eq!(own(240), [false, false, true]);
    }
}
