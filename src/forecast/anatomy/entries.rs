//! What entries add to the median at one moment: those of each slot whose crowd is there, and the
//! level of the day that they leave to explain.

use std::collections::BTreeMap;

use super::super::event_response::reaching;
use super::parts::Parts;
use super::{EntriesShare, SlotEntries};

/// Load per second below which entries say nothing about a moment.
const NOTHING: f64 = 1e-9;

/// The share of all entries in a `median` that would be `without` them, slot by slot; `None` when
/// they say nothing about the moment.
pub(super) fn entries_share(
    parts: &Parts<'_>,
    at: i64,
    median: f64,
    without: f64,
) -> Option<EntriesShare> {
    let view = &parts.view;
    let model = view.model;
    let near = reaching(&view.slots, at, at + 1);
    let rows = model.design.rows(&near, std::iter::once(at));
    let told = rows.crowd(0).iter().filter_map(|&(slot, share)| {
        let slot = &near[slot as usize];
        let verdict = view.verdict(slot)?;
        Some((slot, f64::from(share) * verdict.shift, verdict))
    });
    let told: Vec<_> = told.collect();
    let shift = view.shift(&near, &rows, 0).unwrap_or(0.0);
    let by_slots = median - model.rate((median + model.offset).ln() - shift);
    // as they join in the log, so they share what they add together
    let joint: f64 = told.iter().map(|(_, part, _)| part).sum();
    let each = if joint == 0.0 { 0.0 } else { by_slots / joint };
    // the possible starts of one fixture are one fixture: the likeliest to be there speaks for it
    let mut by_group: BTreeMap<usize, (f64, SlotEntries)> = BTreeMap::new();
    for (slot, part, verdict) in &told {
        let said = SlotEntries {
            fixtures: slot.fixtures.clone(),
            so_far: verdict.so_far,
            usual: verdict.usual,
            pace: verdict.innovation.exp(),
            load: 0.0,
        };
        let (largest, kept) = by_group
            .entry(slot.group)
            .or_insert_with(|| (part.abs(), said.clone()));
        let load = kept.load + each * part;
        if part.abs() > *largest {
            *largest = part.abs();
            *kept = said;
        }
        kept.load = load;
    }
    let mut slots: Vec<SlotEntries> = by_group.into_values().map(|(_, slot)| slot).collect();
    slots.sort_by(|a, b| b.load.abs().total_cmp(&a.load.abs()));
    let load = median - without;
    let level = load - slots.iter().map(|slot| slot.load).sum::<f64>();
    (!slots.is_empty() || load.abs() > NOTHING).then(|| EntriesShare {
        slots,
        level,
        factor: if without > 0.0 { median / without } else { 1.0 },
        load,
    })
}

#[cfg(test)]
mod tests {
    use crate::entries::{Entries, SlateEntries};
    use crate::fixture::{Calendar, Fixture, Precision};
    use crate::forecast::{EventResponse, Evidence, Fit as _, Horizon};
    use crate::series::Series;
    use crate::units::Timestamp;
    use chrono::TimeDelta;

    const DAYS: i64 = 24;

    fn at(bin: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(5 * bin)
    }

    /// Places of the two games of a day, bins from its start: at five and at half past six.
    const GAMES: [(&str, i64); 2] = [("early", 204), ("late", 222)];

    /// Load and entries of two games a day. On the last one the early one sells three times as
    /// fast as usual, the late one a third as fast.
    fn season() -> (Series, Calendar, Entries) {
        played(3.0, 1.0)
    }

    /// The same with another pace on the last day, and load a multiple of what it was for its last
    /// four days.
    fn played(pace: f64, multiple: f64) -> (Series, Calendar, Entries) {
        let mut calendar = Calendar::default();
        let mut entries = Entries::default();
        let size = |day: i64, game: usize| {
            1.0 + 0.2 * (((2 * day + game as i64) * 37 % 11) as f64 - 5.0) / 5.0
        };
        for day in 0..DAYS {
            for (place, (name, bin)) in GAMES.into_iter().enumerate() {
                let mut game = Fixture::game(format!("{name}-{day}"), name, at(day * 288 + bin));
                game.slate = Some(game.id.0.clone());
                let odd = if day + 1 == DAYS {
                    [pace, 1.0 / pace][place]
                } else {
                    1.0
                };
                let sells = |bin: i64| (odd * size(day, place) * (bin as f64 / 40.0).exp()).round();
                let rate = Series::from_raw(
                    at(day * 288),
                    TimeDelta::minutes(5),
                    (0..bin).map(sells).collect(),
                );
                let spots = Vec::new();
                entries.insert(game.slate.clone(), SlateEntries { rate, spots });
                calendar.insert(game);
            }
        }
        let load = (0..DAYS * 288).map(|bin| {
            let (day, bin) = (bin / 288, bin % 288);
            let crowd = GAMES.iter().enumerate().map(|(place, &(_, start))| {
                let there = (-6..24).contains(&(bin - start));
                if there { 150.0 * size(day, place) } else { 0.0 }
            });
            let load = 100.0 + crowd.sum::<f64>() + ((bin * 7_919) % 101) as f64 / 20.0;
            if day + 4 < DAYS {
                load
            } else {
                multiple * load
            }
        });
        let load = Series::from_raw(at(0), TimeDelta::minutes(5), load.collect());
        (load, calendar, entries)
    }

    #[test]
    fn each_slot_s_entries_have_their_own_share_and_all_sum_to_what_entries_add() {
        let (load, calendar, entries) = season();
        let origin = at((DAYS - 1) * 288 + 190);
        let known = Evidence::new(&load, &calendar).with_entries(&entries);
        let fitted = EventResponse::new(chrono_tz::Tz::UTC)
            .fit(known, origin)
            .unwrap();
        let horizon = Horizon {
            origin,
            length: TimeDelta::hours(6),
            step: TimeDelta::minutes(5),
        };
        // both crowds are there
        let moment = at((DAYS - 1) * 288 + 224);
        let found = fitted.explain(known, horizon, moment).unwrap();
        let share = found.entries.unwrap();
        assert_eq!(share.slots.len(), 2, "{share:?}");
        for slot in &share.slots {
            let early = slot.fixtures[0].0.starts_with("early");
            assert_eq!(slot.pace > 1.0, early, "{slot:?}");
            assert_eq!(slot.load > 0.0, early, "{slot:?}");
        }
        let silent = Evidence::new(&load, &calendar);
        let without = fitted.explain(silent, horizon, moment).unwrap();
        assert_eq!(without.entries, None);
        let added = found.quantiles[0] - without.quantiles[0];
        let sum = share.level + share.slots.iter().map(|slot| slot.load).sum::<f64>();
        assert!(
            (share.load - added).abs() < 1e-9 && (sum - added).abs() < 1e-9,
            "{share:?}"
        );
    }

    #[test]
    fn who_came_with_a_new_client_need_not_enter() {
        let origin = at((DAYS - 1) * 288 + 190);
        let horizon = Horizon {
            origin,
            length: TimeDelta::hours(6),
            step: TimeDelta::minutes(5),
        };
        let said = |multiple: f64| {
            let (load, calendar, entries) = played(1.0, multiple);
            let known = Evidence::new(&load, &calendar).with_entries(&entries);
            let fitted = EventResponse::new(chrono_tz::Tz::UTC)
                .fit(known, origin)
                .unwrap();
            let moment = at((DAYS - 1) * 288 + 224);
            let found = fitted.explain(known, horizon, moment).unwrap();
            let paces = found
                .entries
                .unwrap()
                .slots
                .into_iter()
                .map(|slot| slot.pace);
            (paces.collect::<Vec<_>>(), found.quantiles[0], found.notes)
        };
        let (_, before, notes) = said(1.0);
        assert!(!notes.iter().any(|note| note.contains("former level since")));
        let (paces, after, notes) = said(2.0);
        assert_eq!(paces.len(), 2);
        for pace in paces {
            assert!((0.85..1.18).contains(&pace), "{pace}");
        }
        let ratio = after / before;
        assert!((1.85..2.15).contains(&ratio), "{before} {after}");
        let told = "times its former level since 1970-01-21 00:";
        assert!(notes.iter().any(|note| note.contains(told)), "{notes:?}");
    }

    #[test]
    fn a_fixture_of_which_only_the_day_is_known_locks_once_and_has_no_minute() {
        let (load, mut calendar, entries) = season();
        let day = (DAYS - 1) * 288;
        let mut someday = Fixture::game("someday", "late", at(day));
        someday.start.precision = Precision::Date;
        calendar.insert(someday);
        let origin = at(day + 190);
        let known = Evidence::new(&load, &calendar).with_entries(&entries);
        let fitted = EventResponse::new(chrono_tz::Tz::UTC)
            .fit(known, origin)
            .unwrap();
        let horizon = Horizon {
            origin,
            length: TimeDelta::hours(6),
            step: TimeDelta::minutes(5),
        };
        let found = fitted.explain(known, horizon, at(day + 224)).unwrap();
        let said = "entries speak for 2 of the 3 locks of the next 24 h";
        assert!(
            found.notes.iter().any(|note| note.starts_with(said)),
            "{:?}",
            found.notes
        );
        for share in &found.fixtures {
            let timed = share.fixtures[0].0 != "someday";
            assert_eq!(share.minute.is_some(), timed, "{share:?}");
        }
        assert!(
            found.fixtures.iter().any(|share| share.minute.is_none()),
            "{:?}",
            found.fixtures
        );
    }
}
