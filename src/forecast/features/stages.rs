//! What a stage answers as that has not been played yet.
//!
//! A cup grows towards its final. A stage without a past has no amplitude of its own, and the
//! average of all before it is mostly group games: on a generated cup whose crowd grows by half
//! from stage to stage the first quarter-final was forecast at .57 of what came. It answers as the
//! stage before it does, unless weights say how much greater it is. A game for the third place is
//! none of those that grow: it answers as all before it. Weeks and matchdays are numbered stages of
//! one kind: there a new number says nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::slots::Slot;
use crate::fixture::sport::is_consolation;

/// Slots from which a stage is one to go by: a game for the third place is no semi-final.
const PLAYED: usize = 2;

/// The kind of a stage: its first word, so that "Week 5" is of the kind of "Week 4" and a
/// quarter-final of no group game's.
pub(crate) fn kind(stage: &str) -> String {
    let words = stage.split(|c: char| !c.is_alphabetic());
    let first = words.into_iter().find(|word| !word.is_empty());
    first.unwrap_or(stage).to_lowercase()
}

/// The stage a competition is in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Latest {
    /// Column of its amplitude; `None` when no stage has one.
    pub(super) column: Option<u16>,
    /// Kinds of stage that have been played.
    kinds: BTreeSet<String>,
    /// Importance of the greatest slot so far.
    importance: f64,
}

impl Latest {
    /// By competition. Slots come in order of their starts.
    pub(super) fn of(
        past: &[&Slot],
        column: impl Fn(&str) -> Option<u16>,
    ) -> BTreeMap<String, Self> {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut latest: BTreeMap<String, Self> = BTreeMap::new();
        for slot in past {
            let Some(stage) = &slot.stage else { continue };
            let count = counts.entry((&slot.competition, stage)).or_default();
            *count += 1;
            let so_far = (latest.entry(slot.competition.clone())).or_insert_with(|| Self {
                column: None,
                kinds: BTreeSet::new(),
                importance: slot.importance,
            });
            if *count >= PLAYED || so_far.column.is_none() {
                so_far.column = column(stage).or(so_far.column);
            }
            so_far.kinds.insert(kind(stage));
            so_far.importance = so_far.importance.max(slot.importance);
        }
        latest
    }

    /// Whether a slot is of a stage of a new kind, and nothing else says how it differs.
    pub(super) fn precedes(&self, slot: &Slot) -> bool {
        let new = |stage: &String| !self.kinds.contains(&kind(stage)) && !is_consolation(stage);
        slot.importance <= self.importance && slot.stage.as_ref().is_some_and(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    fn cup(stages: &[&str]) -> Vec<Slot> {
        let begin = Utc.with_ymd_and_hms(2026, 6, 11, 19, 0, 0).unwrap();
        let calendar: Calendar = (0..)
            .zip(stages)
            .map(|(day, &stage)| {
                let mut game = Fixture::game(format!("{day}"), "cup", begin + TimeDelta::days(day));
                game.stage = (!stage.is_empty()).then(|| stage.to_owned());
                game
            })
            .collect();
        let day = TimeDelta::days(1);
        let until = begin + day * stages.len() as i32;
        slots(
            &calendar,
            begin - day,
            chrono_tz::Tz::UTC,
            (begin - day, until),
        )
    }

    #[test]
    fn a_new_stage_answers_as_the_last_that_was_played_more_than_once() {
        let stages = [
            "group",
            "group",
            "semi final",
            "semi final",
            "third place",
            "final",
        ];
        let slots = cup(&stages);
        let column = |stage: &str| stages.iter().position(|s| *s == stage).map(|s| s as u16);
        let before = |last: usize| {
            let past: Vec<&Slot> = slots[..last].iter().collect();
            let latest = Latest::of(&past, column);
            let latest = latest.get("cup")?;
            latest.column.filter(|_| latest.precedes(&slots[last]))
        };
        assert_eq!(
            [1, 2, 3, 4, 5].map(before),
            [None, Some(0), None, None, Some(2)]
        );
        // a weight says more
        let mut greater = slots[5].clone();
        greater.importance = 2.0;
        let past: Vec<&Slot> = slots[..5].iter().collect();
        assert!(!Latest::of(&past, column)["cup"].precedes(&greater));
    }

    #[test]
    fn numbered_stages_are_of_one_kind_and_no_stage_is_no_news() {
        assert_eq!(kind("Round of 32"), kind("round of 16"));
        assert_eq!(kind("Gameweek 3"), kind("Gameweek 38"));
        assert_ne!(kind("Quarter-final"), kind("Semi-final"));
        assert_eq!(kind("3"), "3");
        let slots = cup(&["Week 1", "Week 2", ""]);
        let past: Vec<&Slot> = slots[..1].iter().collect();
        let latest = &Latest::of(&past, |_| Some(7))["cup"];
        assert!(!latest.precedes(&slots[1]) && !latest.precedes(&slots[2]));
        // without a column of its own a stage has been played all the same
        let slots = cup(&["group", "play-in", "play-in"]);
        let past: Vec<&Slot> = slots[..2].iter().collect();
        let latest = &Latest::of(&past, |stage| (stage == "group").then_some(7))["cup"];
        assert_eq!(latest.column, Some(7));
        assert!(!latest.precedes(&slots[2]));
    }
}
