//! What the history has seen of fixtures, and what of a coming one is new to it.
//!
//! A forecast beyond all precedent is still given, by the prior and by what kin have taught, but
//! it says so: whoever is on duty should know that nothing like it has been measured. Its bands say
//! the same: more fixtures at once than ever, more important ones, or those of a stage nobody has
//! played, are as much less sure than those seen as the first of a competition is than the tenth.
//! On the reference trace that covers .947 instead of .921 of the peaks a day ahead at the same
//! quantile loss, on generated opening weeks .915 instead of .874 of the moments around fixtures
//! with entries known (crowds' shock .4).
//! Nor does a second fixture have the whole of its kind behind it: with so few days known, margins
//! are wider by what their mean is unsure, which covers .942 there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::features::stages;
use super::lead;
use super::slots::Slot;
use crate::fixture::sport::is_consolation;

/// So many times as many fixtures as ever before are new.
const CROWDED: f64 = 1.5;

/// How much larger errors are believed to be without a precedent: .45 against .35, the standard
/// deviation of a peak known by the calendar alone against the scale of errors seen (FORECASTING
/// study, 1.3 and 1.1).
pub(crate) const UNPRECEDENTED: f64 = 0.45 / 0.35;

/// Share of a crowd that those who are there do not tell of: the level of the last hour is that of
/// half of them. On the first day of generated cups with nine times the usual load .25 and .5 give
/// quantile losses of .44 and .47 up to four hours ahead.
const UNTOLD: f64 = 0.25;

/// A peak of so many times the largest load ever seen is new.
const HIGHER: f64 = 1.25;

/// What the history holds of the kind of a coming slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precedent {
    /// Windows of its competition on so many days, with nearly as many fixtures and with as
    /// important ones.
    Known(u32),
    /// Windows of its competition, but with far fewer or with lesser fixtures, or of other stages.
    Lesser,
    /// No window of its competition.
    Missing,
}

impl Precedent {
    /// All that there is to know.
    pub(crate) const AMPLE: Self = Self::Known(u32::MAX);

    /// What of it matters where so much of the crowd is [`yet_to_come`]: once most of it is there
    /// it speaks for the rest.
    pub(crate) fn ahead(self, to_come: f64) -> Self {
        if to_come > UNTOLD { self } else { Self::AMPLE }
    }

    /// Factor on a path's margins that stand on windows of the competition, where so much of the
    /// crowd is [`yet_to_come`]. The next of a kind errs about the mean of `n` days with `1 + 1/n`
    /// of the variance, but no more than without a precedent.
    pub(crate) fn widening(self, to_come: f64) -> f64 {
        let full = match self {
            Self::Known(days) => (1.0 + 1.0 / f64::from(days)).sqrt().min(UNPRECEDENTED),
            Self::Lesser => UNPRECEDENTED,
            // margins of their own are used where nothing of the kind is known
            Self::Missing => 1.0,
        };
        1.0 + to_come * (full - 1.0)
    }

    /// Factor on the margins of a peak for what of a precedent is [`ahead`](Self::ahead). That
    /// windows are few is in their predictive already.
    pub(crate) fn widening_of_peaks(self) -> f64 {
        match self {
            Self::Lesser => UNPRECEDENTED,
            // margins of their own are used where nothing of the kind is known
            Self::Known(_) | Self::Missing => 1.0,
        }
    }
}

/// How much of a slot's crowd at one of its response minutes is yet to come at `origin` (seconds
/// since the epoch), nothing to one, as crowds of its sport are believed to gather. Of a moment
/// that is `far_off` ([`Lead::far_off`](lead::Lead::far_off)) what is there tells as little as if
/// all were to come.
pub(crate) fn yet_to_come(slot: &Slot, origin: i64, minute: f64, far_off: f64) -> f64 {
    let then = slot.prior.shape(minute);
    if then <= 0.0 {
        return far_off;
    }
    let now = slot.prior.shape(slot.anchors.minute(origin));
    far_off.max(1.0 - now / then)
}

/// The same of a peak at `at` (seconds since the epoch) whose margins are those of a lead bucket.
pub(crate) fn yet_to_come_at_peak(slot: &Slot, origin: i64, at: i64, bucket: usize) -> f64 {
    let far_off = f64::from(bucket >= lead::FAR_OFF);
    yet_to_come(slot, origin, slot.anchors.minute(at), far_off)
}

/// What past windows have held, by competition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen(BTreeMap<String, Kin>);

/// What past windows of one competition have held.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kin {
    /// Days of the audience with a window.
    days: u32,
    /// The last of them, days of the common era.
    last_date: i32,
    /// Most fixtures at once.
    most_fixtures: usize,
    /// The same with each counted by its importance relative to the largest.
    most_counted: f64,
    /// The same with each counted by its importance.
    most_drawn: f64,
    /// Importance of the greatest.
    most_importance: f64,
    /// Kinds of stage.
    stages: BTreeSet<String>,
}

impl Kin {
    /// One more window is over; windows come in order of their ends.
    pub(crate) fn add(&mut self, slot: &Slot) {
        // one that ended after another of a later day is not counted: rather too few than too many
        if self.days == 0 || slot.date > self.last_date {
            self.days += 1;
            self.last_date = slot.date;
        }
        self.most_fixtures = self.most_fixtures.max(slot.fixtures.len());
        self.most_counted = self.most_counted.max(slot.count);
        self.most_drawn = self.most_drawn.max(slot.count * slot.importance);
        self.most_importance = self.most_importance.max(slot.importance);
        self.stages.extend(slot.stage.as_deref().map(stages::kind));
    }

    /// Neither lesser fixtures beside one that draws most are new, nor as many as before of another
    /// weight.
    fn outnumbered_by(&self, slot: &Slot) -> bool {
        let more =
            self.fewer_than(slot) || slot.count * slot.importance > CROWDED * self.most_drawn;
        more && slot.count > CROWDED * self.most_counted
    }

    fn fewer_than(&self, slot: &Slot) -> bool {
        slot.fixtures.len() as f64 > CROWDED * self.most_fixtures as f64
    }

    fn outranked_by(&self, slot: &Slot) -> bool {
        slot.importance > self.most_importance
    }

    /// The stage of a slot, when it is the first of its kind.
    fn first_of_its_stage<'a>(&self, slot: &'a Slot) -> Option<&'a str> {
        let stage = slot.stage.as_deref()?;
        (!self.stages.contains(&stages::kind(stage))).then_some(stage)
    }

    /// What these windows are to a slot of the same competition.
    pub(crate) fn precedent(&self, slot: &Slot) -> Precedent {
        let first = self.first_of_its_stage(slot).is_some();
        if first || self.outnumbered_by(slot) || self.outranked_by(slot) {
            Precedent::Lesser
        } else {
            Precedent::Known(self.days)
        }
    }
}

impl Seen {
    /// From the slots whose windows are over, in order of their ends.
    pub(crate) fn new<'a>(slots: impl Iterator<Item = &'a Slot>) -> Self {
        let mut seen: BTreeMap<String, Kin> = BTreeMap::new();
        for slot in slots {
            seen.entry(slot.competition.clone()).or_default().add(slot);
        }
        Self(seen)
    }

    /// True when no window of any competition is over.
    pub(crate) fn nothing(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known of a slot's kind.
    pub(crate) fn precedent(&self, slot: &Slot) -> Precedent {
        let kin = self.0.get(&slot.competition);
        kin.map_or(Precedent::Missing, |kin| kin.precedent(slot))
    }

    /// What is new about a slot whose peak is expected at `peak` where `highest` is the largest
    /// load ever seen, both in units per second.
    pub(crate) fn novelty(&self, slot: &Slot, peak: f64, highest: f64) -> Option<String> {
        let higher = highest > 0.0 && peak > HIGHER * highest;
        let times = peak / highest;
        let Some(kin) = self.0.get(&slot.competition) else {
            let from = if self.nothing() {
                format!("what is believed of {}", slot.prior.sport.replace('_', " "))
            } else {
                "what other competitions have taught".to_owned()
            };
            let growth = if higher {
                format!(" and {times:.1} times the largest load ever seen")
            } else {
                String::new()
            };
            return Some(format!(
                "no precedent: the first of {} in the history{growth}; answered by {from}",
                slot.competition
            ));
        };
        if kin.outnumbered_by(slot) {
            return Some(if kin.fewer_than(slot) {
                format!(
                    "no precedent: {} fixtures at once, at most {} before",
                    slot.fixtures.len(),
                    kin.most_fixtures
                )
            } else {
                format!(
                    "no precedent: fixtures at once that count as {:.1} of the greatest of them, \
                     at most {:.1} before",
                    slot.count, kin.most_counted
                )
            });
        }
        if kin.outranked_by(slot) {
            return Some(format!(
                "no precedent: importance {}, at most {} before",
                slot.importance, kin.most_importance
            ));
        }
        if let Some(stage) = kin.first_of_its_stage(slot) {
            let kin = if is_consolation(stage) {
                "all before it"
            } else {
                "the stage before it"
            };
            return Some(format!(
                "no precedent: the first {stage} of {}; answered as {kin}",
                slot.competition
            ));
        }
        higher.then(|| {
            format!("no precedent: {times:.1} times the largest load ever seen, extrapolated")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture, Weight};
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    /// So many games of a competition at once, each of this importance.
    fn slot(competition: &str, games: usize, importance: f64) -> Slot {
        let at = Utc.with_ymd_and_hms(2024, 9, 8, 17, 0, 0).unwrap();
        let calendar: Calendar = (0..games)
            .map(|game| {
                let mut game = Fixture::game(format!("{game}"), competition, at);
                game.weight = Some(Weight {
                    value: importance,
                    expires: None,
                });
                game
            })
            .collect();
        let day = TimeDelta::days(1);
        slots(
            &calendar,
            at - day,
            chrono_tz::Tz::UTC,
            (at - day, at + day),
        )
        .remove(0)
    }

    #[test]
    fn more_fixtures_or_greater_ones_than_ever_have_a_lesser_precedent() {
        let seen = Seen::new([slot("nfl", 4, 1.0), slot("nfl", 1, 2.0)].iter());
        for (slot, precedent, said) in [
            (slot("nfl", 6, 1.0), Precedent::Known(1), None),
            (slot("nfl", 1, 2.0), Precedent::Known(1), None),
            (
                slot("nfl", 7, 1.0),
                Precedent::Lesser,
                Some("no precedent: 7 fixtures at once, at most 4 before"),
            ),
            (
                slot("nfl", 1, 3.0),
                Precedent::Lesser,
                Some("no precedent: importance 3, at most 2 before"),
            ),
            (
                slot("cup", 1, 1.0),
                Precedent::Missing,
                Some(
                    "no precedent: the first of cup in the history; answered by what other competitions have taught",
                ),
            ),
        ] {
            assert_eq!(seen.precedent(&slot), precedent, "{said:?}");
            assert_eq!(seen.novelty(&slot, 100.0, 100.0).as_deref(), said);
        }
    }

    #[test]
    fn near_the_crowd_speaks_and_margins_of_a_kind_hardly_seen_are_wider() {
        assert_eq!(Precedent::Lesser.ahead(0.6), Precedent::Lesser);
        assert_eq!(Precedent::Lesser.ahead(0.2), Precedent::AMPLE);
        assert_eq!(Precedent::Lesser.widening(1.0), UNPRECEDENTED);
        assert_eq!(Precedent::Lesser.widening(0.0), 1.0);
        assert_eq!(Precedent::Missing.widening(1.0), 1.0);
        assert!(Precedent::AMPLE.widening(1.0) < 1.0 + 1e-9);
        assert_eq!(Precedent::Known(1).widening(1.0), UNPRECEDENTED);
        let ten = Precedent::Known(10).widening(1.0);
        assert!((ten - 1.1_f64.sqrt()).abs() < 1e-12);
        assert!(Precedent::Known(2).widening(1.0) > ten);
        assert_eq!(Precedent::Known(1).widening(0.0), 1.0);
        assert_eq!(Precedent::Known(1).widening_of_peaks(), 1.0);
        assert_eq!(Precedent::Lesser.widening_of_peaks(), UNPRECEDENTED);
    }

    #[test]
    fn a_crowd_is_to_come_until_it_has_gathered_however_near_its_start() {
        let slot = slot("cup", 1, 1.0);
        let (start, play) = (slot.anchors.start, 60.0);
        let left = |minutes: i64, far_off| yet_to_come(&slot, start + minutes * 60, play, far_off);
        assert_eq!(left(-210, 0.0), 1.0);
        let mut last = 1.0;
        for minute in -180..100 {
            let now = left(minute, 0.0);
            assert!(now <= last, "{minute}");
            last = now;
        }
        assert_eq!(last, 0.0);
        // the next minutes are much like these, and hours ahead these say nothing
        assert!(yet_to_come(&slot, start - 1_800, -20.0, 0.0) < 0.3);
        assert_eq!(left(30, 1.0), 1.0);
        // a peak four hours ahead and more is far off
        let peak = |bucket| yet_to_come_at_peak(&slot, start + 1_800, start + 3_600, bucket);
        assert_eq!((peak(lead::FAR_OFF - 1), peak(lead::FAR_OFF)), (0.0, 1.0));
        // long after the end nobody is expected any more
        assert_eq!(yet_to_come(&slot, start, 900.0, 0.0), 0.0);
    }

    #[test]
    fn as_many_fixtures_of_another_weight_are_not_new() {
        // five before, one of them of five times the weight: counted 1.8
        let mut uneven = slot("nfl", 5, 5.0);
        uneven.count = 1.8;
        let seen = Seen::new(std::iter::once(&uneven));
        assert_eq!(seen.precedent(&slot("nfl", 5, 1.0)), Precedent::Known(1));
        assert_eq!(seen.precedent(&slot("nfl", 8, 1.0)), Precedent::Lesser);
        // one before, and now one with ten of no weight
        let seen = Seen::new(std::iter::once(&slot("nfl", 1, 1.0)));
        let mut with_lesser = slot("nfl", 11, 1.0);
        with_lesser.count = 1.4;
        assert_eq!(seen.precedent(&with_lesser), Precedent::Known(1));
        // and these are no precedent for ten that all draw
        let seen = Seen::new(std::iter::once(&with_lesser));
        let ten = slot("nfl", 10, 1.0);
        assert_eq!(seen.precedent(&ten), Precedent::Lesser);
        assert_eq!(
            seen.novelty(&ten, 1.0, 1.0).as_deref(),
            Some(
                "no precedent: fixtures at once that count as 10.0 of the greatest of them, at most 1.4 before"
            )
        );
    }

    #[test]
    fn fixtures_of_one_day_are_one_day() {
        let mut kin = Kin::default();
        let mut at = slot("nfl", 1, 1.0);
        for (date, days) in [(0, 1), (0, 1), (1, 2), (0, 2), (1, 2), (7, 3)] {
            let mut later = at.clone();
            later.date += date;
            kin.add(&later);
            assert_eq!(kin.days, days, "{date}");
        }
        at.importance = 2.0;
        assert_eq!(kin.precedent(&at), Precedent::Lesser);
    }
}
