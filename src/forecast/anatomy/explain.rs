//! Takes a forecast apart at one moment.
//!
//! The calm load at the model's own level, times the level of the present, plus what fixtures and
//! entries bring, is the median: by construction, whatever the model is made of inside. Fixtures
//! that overlap share what they bring together in proportion to what each would do alone.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::super::event_response::FittedEventResponse;
use super::super::grid::{DAY, STEP};
use super::super::learn::PERIOD;
use super::super::quantile::UNSEEN;
use super::super::replay::PERIODS;
use super::super::slots::Slot;
use super::super::{Evidence, Horizon, Predict};
use super::entries::entries_share;
use super::parts::Parts;
use super::past::{Past, analogues, past};
use super::{Explanation, FixtureShare};
use crate::units::{HumanDuration, Timestamp};

/// Log effect below which fixtures do not bear on a moment.
const NOTHING: f64 = 1e-9;

impl FittedEventResponse {
    /// Why the forecast with this horizon says what it says at `at`; `None` outside the horizon.
    ///
    /// `known` is what [`Predict::predict`] is given, with as much of the history as there is: past
    /// fixtures are looked up in it. The moment explained is the five minutes that hold `at`.
    pub fn explain(
        &self,
        known: Evidence<'_>,
        horizon: Horizon,
        at: Timestamp,
    ) -> Option<Explanation> {
        let five = Horizon {
            step: TimeDelta::seconds(STEP),
            ..horizon
        };
        let forecast = self.predict(known, five);
        let bin = forecast.index(at)?;
        let at = forecast.time(bin);
        let middle = at.timestamp() + STEP / 2;
        let quantiles = std::array::from_fn(|q: usize| forecast.paths[q][bin]);
        let median = quantiles[0];

        let parts = Parts::new(self, known, five);
        let calm = parts.calm(middle);
        let present = parts.median(&[], middle);
        let level = if calm > 0.0 { present / calm } else { 1.0 };
        let history = past(self, known, horizon.origin);
        let told = !known.entries.is_empty();
        let without = told.then(|| {
            let silent = Evidence::new(known.load, known.calendar).with_faults(known.faults);
            self.predict(silent, five).paths[0][bin]
        });
        let by_group = groups(parts.slots());
        let empty = parts.median(&weightless(parts.slots()), middle);
        let brought = median - empty;
        let fixtures = shares(&parts, &by_group, &history, middle, median, brought);
        let main = fixtures.first().and_then(|share| {
            by_group
                .values()
                .find(|slots| slots[0].fixtures == share.fixtures)
        });
        let entries = without.and_then(|without| entries_share(&parts, middle, median, without));
        Some(Explanation {
            origin: horizon.origin,
            at,
            quantiles,
            calm,
            level,
            // what no fixture brings is the day's
            match_day: if fixtures.is_empty() { median } else { empty } - calm * level,
            analogues: main.map_or_else(Vec::new, |slots| {
                analogues(&slots[0], &history, known.calendar, self.zone)
            }),
            fixtures,
            entries,
            band: std::array::from_fn(|q| {
                if median > 0.0 {
                    quantiles[q + 1] / median
                } else {
                    1.0
                }
            }),
            band_source: band_source(&parts, middle, &history),
            notes: forecast.notes,
        })
    }
}

/// Slots by group: alternatives of one fixture belong together.
fn groups(slots: &[Slot]) -> BTreeMap<usize, Vec<Slot>> {
    let mut groups: BTreeMap<usize, Vec<Slot>> = BTreeMap::new();
    for slot in slots {
        groups.entry(slot.group).or_default().push(slot.clone());
    }
    groups
}

/// What each group brings, largest first; together `brought`, what the median is above the load of
/// a match day on which nobody plays.
fn shares(
    parts: &Parts<'_>,
    groups: &BTreeMap<usize, Vec<Slot>>,
    history: &[Past],
    at: i64,
    median: f64,
    brought: f64,
) -> Vec<FixtureShare> {
    let effect =
        |slots: &Vec<Slot>| (parts.log(slots, at) - parts.log(&weightless(slots), at)).abs();
    let effects: Vec<(&Vec<Slot>, f64)> = groups
        .values()
        .map(|slots| (slots, effect(slots)))
        .filter(|(_, effect)| *effect > NOTHING)
        .collect();
    let sum: f64 = effects.iter().map(|(_, effect)| effect).sum();
    let mut found: Vec<FixtureShare> = effects
        .iter()
        .filter_map(|(slots, effect)| {
            let slot = &slots[0];
            let load = brought * effect / sum;
            let without = median - load;
            Some(FixtureShare {
                fixtures: slot.fixtures.clone(),
                start: Timestamp::from_timestamp(slot.anchors.start, 0)?,
                minute: (slots.len() == 1).then(|| (at - slot.anchors.start) as f64 / 60.0),
                load,
                multiple: if without > 0.0 { median / without } else { 1.0 },
                novelty: novelty(parts.view.model, slots, median, history),
            })
        })
        .collect();
    found.sort_by(|a, b| {
        b.load
            .abs()
            .total_cmp(&a.load.abs())
            .then(a.start.cmp(&b.start))
    });
    found
}

/// The same slots if nobody came.
fn weightless(slots: &[Slot]) -> Vec<Slot> {
    slots.iter().map(Slot::without_crowd).collect()
}

/// Why nothing like a slot, or the one of these that comes true, is in the history, when that is
/// so.
fn novelty(
    model: &FittedEventResponse,
    alternatives: &[Slot],
    peak: f64,
    history: &[Past],
) -> Option<String> {
    let [slot] = alternatives else {
        let starts = || alternatives.iter().map(|slot| slot.anchors.start);
        let hours = (starts().max()? - starts().min()?) / 3_600 + 1;
        return Some(format!("its start is not known: spread over {hours} hours"));
    };
    if let Some(novelty) = model.seen.novelty(slot, peak, model.highest) {
        return Some(novelty);
    }
    let seen: Vec<&Slot> = history.iter().map(|past| &past.slot).collect();
    let known = slot
        .teams
        .iter()
        .any(|team| seen.iter().any(|other| other.teams.contains(team)));
    if !slot.teams.is_empty() && !known {
        return Some("none of its sides has played in the history".to_owned());
    }
    None
}

/// Where the band comes from.
fn band_source(parts: &Parts<'_>, at: i64, history: &[Past]) -> String {
    let ahead = TimeDelta::seconds((parts.lead(at) * STEP as f64) as i64);
    let ahead = TimeDelta::minutes(ahead.num_minutes() / 5 * 5);
    let errors = format!(
        "errors of forecasts issued again over {} weeks, {} ahead",
        PERIODS * PERIOD / (7 * DAY),
        HumanDuration(ahead)
    );
    if !parts.slots().iter().any(|slot| slot.in_window(at)) {
        return format!("{errors}, away from fixtures");
    }
    let until = parts.view.model.at.timestamp();
    let since = until - (PERIODS * PERIOD) as i64 * STEP;
    let ends = history.iter().map(|past| past.slot.last_end);
    match ends.filter(|end| (since..until).contains(end)).count() {
        0 => "what is believed of crowds: no window was over in the past weeks".to_owned(),
        windows => format!("{errors}, in {windows} windows and {UNSEEN} as believed"),
    }
}
