//! Turns a moment and the fixtures around it into one sparse row of the regression.
//!
//! The model of log load is, with `u` the response time of a slot (FORECASTING study, 1.1):
//!
//! ```text
//! a + shifts + growth + Fourier_day(6) + weekend + weekend x Fourier(2) + matchday
//!   + sum_slots f(t) w(n) [c P(u) + B(u) + rush(l) + weekend W(u) + i W(u)
//!                          + h(u) (sum of amplitudes) + ln n h(u)]
//! ```
//!
//! with `l` the time to its lock, which is `u` unless it locks hours before it starts.
//!
//! `shifts` are steps of the level that last ([`super::level_shifts`]). `growth` is a straight
//! line of time ([`growth`]), free in one of the regressions only. `i` is how far its fixtures
//! are above ordinary ones ([`Slot::steps`]). `P` is the sport's prior response with its shape
//! `h`; the coefficients of `B`, the dense hats, say how this audience differs from it.
//! Amplitudes form a hierarchy, each level shrunk towards the one above: competition (with its
//! phases), stage, day of the week, hour of the start, team, pairing. A level that has not been
//! seen has no column, so a first-ever fixture inherits what its kin have taught; a new stage
//! answers as the stage before it ([`stages`]). Days and weekends are those of the audience's
//! own clock. Weekends begin and end over the hours around midnight, for who goes out on a
//! Friday has weekend already; match days over the hours in which the audience goes to bed
//! ([`super::night`]), and a day of rest between them is part of one ([`match_days`]).
//!
//! Fixtures of one competition that start together form one slot whose weight `w(n)` grows with
//! their number less than they do ([`crowding`]); the column `ln n h` learns how far from it this
//! audience is. Slots that overlap would multiply in log space, so `f(t)` makes them sub-additive
//! in the same way: two identical slots of one fixture count exactly like one slot of two, and slots
//! that do not meet are left alone.

use std::collections::BTreeSet;

use super::audience::{LocalClock, is_weekend};
use super::grid::{DAY, STEP};
use super::night::Night;
use super::response;
use super::slots::Slot;
use super::weekly::week_bin;

mod batch;
mod crowd;
mod crowding;
mod design;
pub(crate) mod growth;
mod lifts;
mod match_days;
mod rows;
mod scratch;
pub(crate) mod stages;

pub(crate) use batch::Lines;
use crowd::{Crowd, one_of_each, overlap};
pub(crate) use design::Design;
pub(crate) use design::GROWTH;
use design::{HARMONICS, WEEKEND_HARMONICS, place};
pub(crate) use lifts::Lifts;
use match_days::{KEPT, MatchDays};
pub(crate) use rows::{Moment, Rows};
use scratch::Scratch;

/// Columns of the event part that a moment touches where a fixture or two reach it: what rows have
/// room for to begin with.
const EVENT_COLUMNS: usize = 16;

/// Seconds before the lock and after the end that belong to the event window.
pub(crate) const WINDOW: (i64, i64) = (60 * 60, 75 * 60);

impl Design {
    /// Rows for ascending moments, seconds since the epoch. A fixture whose start is not known
    /// counts by the probability of each start.
    pub(crate) fn rows(&self, slots: &[Slot], moments: impl Iterator<Item = i64>) -> Rows {
        let known: Vec<_> = slots
            .iter()
            .map(|slot| self.known(slot, slot.share))
            .collect();
        self.build(slots, &known, moments, false)
    }

    /// As [`Self::rows`], but at every moment a fixture whose start is not known counts as if it
    /// began when it would weigh most then: what an upper quantile must be ready for.
    pub(crate) fn tallest(&self, slots: &[Slot], moments: impl Iterator<Item = i64>) -> Rows {
        let known: Vec<_> = slots.iter().map(|slot| self.known(slot, 1.0)).collect();
        self.build(slots, &known, moments, true)
    }

    fn build(
        &self,
        slots: &[Slot],
        known: &[KnownSlot<'_>],
        moments: impl Iterator<Item = i64>,
        tallest: bool,
    ) -> Rows {
        let mut ends: Vec<usize> = (0..known.len()).collect();
        ends.sort_by_key(|&slot| known[slot].span.0);
        let mut waiting = ends.into_iter().peekable();
        let mut active: Vec<usize> = Vec::new();
        let mut played: BTreeSet<i64> = self.played.iter().copied().collect();
        played.extend(self.match_days(slots.iter()));
        let match_days = MatchDays::of(&played);

        let mut rows = Rows::with_room(moments.size_hint().0, self.events + EVENT_COLUMNS);
        let mut scratch = Scratch::new(self.columns(), self.events);
        let mut crowds: Vec<Crowd<'_>> = Vec::new();
        let mut groups = Vec::new();
        let mut clock = LocalClock::new(self.zone);
        let mut harmonics = Harmonics::new();
        for at in moments {
            while let Some(slot) = waiting.next_if(|&slot| known[slot].span.0 <= at) {
                active.push(slot);
            }
            active.retain(|&slot| known[slot].span.1 > at);
            let (day, second) = clock.read(at);
            let matchday = self.night.share(day, second, |day| match_days.share(day));
            let weekend = if self.weekly {
                Night::MIDNIGHT.share(day, second, |day| f64::from(is_weekend(day)))
            } else {
                0.0
            };
            let after = at as f64 - self.learnt_until as f64;
            let daily = harmonics.at(second);
            self.calm_part(scratch.calm(), after, daily, weekend, matchday);
            for (shift, column) in self.shifts() {
                scratch.calm()[column] = f64::from(at >= shift);
            }
            crowds.clear();
            crowds.extend(active.iter().map(|&slot| Crowd::of(known, slot, at)));
            if tallest {
                one_of_each(&mut crowds);
            }
            let total = overlap(&mut crowds, &mut groups);
            let (moment, minute) =
                self.event_part(&mut scratch, &crowds, total, at, weekend, &mut rows.crowd);
            rows.crowd_ends.push(rows.crowd.len() as u32);
            scratch.hand_over(&mut rows);
            rows.ends.push(rows.columns.len() as u32);
            rows.moment.push(moment);
            rows.minute.push(minute as f32);
            rows.calm.push(active.is_empty());
            rows.week_bin.push(week_bin(day, second));
        }
        rows
    }

    /// Level, growth, daily and weekly terms of a moment so many seconds `after` the end of load.
    fn calm_part(
        &self,
        row: &mut [f64],
        after: f64,
        daily: &[f64; 2 * HARMONICS],
        weekend: f64,
        matchday: f64,
    ) {
        row[0] = 1.0;
        row[1..GROWTH].copy_from_slice(daily);
        row[GROWTH] = growth::line(after);
        let mut next = GROWTH + 1;
        if self.weekly {
            if weekend > 0.0 {
                row[next] = weekend;
                let daily = &daily[..2 * WEEKEND_HARMONICS];
                for (cell, value) in row[next + 1..].iter_mut().zip(daily) {
                    *cell = weekend * value;
                }
            }
            next += 1 + 2 * WEEKEND_HARMONICS;
        }
        row[next] = matchday;
    }

    /// Responses of the active slots; says what the moment is to them, and which minute to the one
    /// that draws most.
    fn event_part(
        &self,
        event: &mut Scratch,
        crowds: &[Crowd<'_>],
        total: f64,
        at: i64,
        weekend: f64,
        shares: &mut Vec<(u32, f32)>,
    ) -> (Moment, f64) {
        let mut moment = Moment::Calm;
        let (mut most, mut leading) = (0.0, f64::NAN);
        for crowd in crowds {
            let &Crowd { minute, shape, .. } = crowd;
            let known = crowd.known;
            let phase = response::phase(minute);
            let share = crowd.height * crowd.factor / total;
            if known.slot.in_window(at) {
                moment = moment.max(Moment::in_phase(phase));
                if share > most {
                    (most, leading) = (share, minute);
                }
            }
            shares.push((crowd.place as u32, share as f32));
            let weight = known.weight * crowd.factor;
            event.add(place::PRIOR, weight * known.top * shape);
            for (hat, value) in response::hats(minute) {
                event.add(place::HAT + hat, weight * value);
            }
            let to_lock = (at - known.slot.anchors.lock) as f64 / 60.0;
            event.add(place::RUSH, weight * response::rush(to_lock));
            if let Some(phase) = phase {
                if weekend > 0.0 {
                    event.add(place::WEEKEND + phase, weight * weekend);
                }
                event.add(place::IMPORTANCE + phase, weight * known.importance);
                if let Some(first) = known.phases {
                    event.add(usize::from(first) - self.events + phase, weight);
                }
            }
            if shape > 0.0 {
                for &(column, share) in &known.amplitudes {
                    event.add(usize::from(column) - self.events, weight * shape * share);
                }
            }
        }
        (moment, leading)
    }

    fn known<'a>(&self, slot: &'a Slot, share: f64) -> KnownSlot<'a> {
        let mut amplitudes = Vec::new();
        let mut add = |level: &str, name: &str, share: f64| {
            let column = self.amplitude(level, name);
            amplitudes.extend(column.map(|column| (column, share)));
        };
        add("competition", &slot.competition, 1.0);
        if let Some(stage) = &slot.stage {
            add("stage", stage, 1.0);
        }
        add("day", &slot.day(), 1.0);
        add("hour", &slot.hour(), 1.0);
        // of a slate every fixture brings its part; the two sides of one each their own crowd
        let part = 1.0 / slot.fixtures.len().max(1) as f64;
        for team in &slot.teams {
            add("team", team, part);
        }
        for pairing in &slot.pairings {
            add("pairing", pairing, part);
        }
        let latest = self.stages.get(&slot.competition);
        let latest = latest.filter(|latest| latest.precedes(slot));
        let column = latest.and_then(|latest| latest.column);
        amplitudes.extend(column.map(|column| (column, 1.0)));
        if let Some(column) = self.crowding {
            amplitudes.push((column, slot.count.max(1.0).ln()));
        }
        let unit = self.lifts.unit(slot);
        KnownSlot {
            slot,
            weight: share * crowding::weight(slot.count, unit),
            unit,
            top: slot.prior.response.multiple.ln(),
            importance: slot.steps,
            span: slot.span(),
            phases: self.phases.get(&slot.competition).copied(),
            amplitudes,
        }
    }

    /// The days on which something is played for certain.
    fn match_days<'s>(&self, slots: impl Iterator<Item = &'s Slot>) -> impl Iterator<Item = i64> {
        slots
            .filter(|slot| slot.share >= 1.0)
            .map(|slot| self.day(slot.anchors.start))
    }

    /// Keeps the match days of the past that days to come are forecast by.
    pub(crate) fn keep_match_days(&mut self, slots: &[Slot]) {
        let first = self.day(self.learnt_until) - KEPT;
        let over = slots
            .iter()
            .filter(|slot| slot.anchors.start < self.learnt_until);
        let played: BTreeSet<i64> = self.match_days(over).filter(|&day| day >= first).collect();
        self.played = played.into_iter().collect();
    }

    /// The audience's day at a moment.
    fn day(&self, at: i64) -> i64 {
        let (date, second) = LocalClock::new(self.zone).read(at);
        self.night.day(date, second).0
    }
}

impl Slot {
    /// True from an hour before the lock until the crowd has gone.
    pub(crate) fn in_window(&self, at: i64) -> bool {
        at >= self.anchors.lock - WINDOW.0 && at < self.last_end + WINDOW.1
    }
}

/// The terms of the day, by five minutes of it with the second they are of. Moments that follow each
/// other in equal steps are at the same times of every day.
struct Harmonics(Vec<(i64, [f64; 2 * HARMONICS])>);

impl Harmonics {
    /// None yet.
    fn new() -> Self {
        Self(vec![(i64::MIN, [0.0; 2 * HARMONICS]); DAY])
    }

    /// Sine and cosine of each harmonic at a second of the audience's day.
    fn at(&mut self, second: i64) -> &[f64; 2 * HARMONICS] {
        let place = second.div_euclid(STEP).clamp(0, DAY as i64 - 1) as usize;
        let (of, terms) = &mut self.0[place];
        if *of != second {
            (*of, *terms) = (second, harmonics(second));
        }
        terms
    }
}

fn harmonics(second: i64) -> [f64; 2 * HARMONICS] {
    let (s1, c1) = (std::f64::consts::TAU * second as f64 / 86_400.0).sin_cos();
    let (mut s, mut c) = (s1, c1);
    let mut terms = [0.0; 2 * HARMONICS];
    for pair in terms.chunks_exact_mut(2) {
        pair.copy_from_slice(&[s, c]);
        (s, c) = (s * c1 + c * s1, c * c1 - s * s1);
    }
    terms
}

struct KnownSlot<'a> {
    slot: &'a Slot,
    weight: f64,
    /// Log load of weight 1.
    unit: f64,
    /// Top of the sport's prior response, log load.
    top: f64,
    /// What its importance counts.
    importance: f64,
    span: (i64, i64),
    /// First column of its competition's phases.
    phases: Option<u16>,
    amplitudes: Vec<(u16, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};
    use chrono_tz::Tz;

    fn start() -> crate::units::Timestamp {
        // a Wednesday
        Utc.with_ymd_and_hms(2024, 5, 15, 18, 0, 0).unwrap()
    }

    fn week() -> (crate::units::Timestamp, crate::units::Timestamp) {
        (start(), start() + TimeDelta::days(7))
    }

    /// Prior response at a moment, in units of the prior's top.
    fn height(fixtures: Vec<Fixture>, minute: i64) -> f64 {
        let calendar: Calendar = fixtures.into_iter().collect();
        let slots = slots(&calendar, start(), Tz::UTC, week());
        let design = Design::new(Tz::UTC, true, Vec::new(), &slots, (0, 0));
        let at = start().timestamp() + minute * 60;
        let rows = design.rows(&slots, std::iter::once(at));
        rows.fit(0, &design.prior) / 2.0_f64.ln()
    }

    fn game(id: &str, minute: i64) -> Fixture {
        Fixture::game(id, "cup", start() + TimeDelta::minutes(minute))
    }

    #[test]
    fn simultaneous_and_overlapping_slots_are_sub_additive() {
        let one = height(vec![game("a", 0)], 60);
        let two = height(vec![game("a", 0), game("b", 0)], 60);
        assert!((one - 1.0).abs() < 1e-12);
        assert!((two - 2.0_f64.sqrt()).abs() < 1e-12);
        // twenty-five minutes apart is nearly the same crowd, and continuous with it
        let near = height(vec![game("a", 0), game("b", 25)], 60);
        assert!((near - two).abs() < 0.01, "{near}");
        let apart = height(vec![game("a", 0), game("b", 210)], 60);
        assert!(apart > one && apart < 1.25, "{apart}");
    }

    #[test]
    fn a_match_day_lasts_until_its_audience_has_gone_to_bed() {
        let calendar: Calendar = [game("a", 0)].into_iter().collect();
        let slots = slots(&calendar, start(), Tz::UTC, week());
        let mut design = Design::new(Tz::UTC, false, Vec::new(), &slots, (0, 0));
        let matchday = |design: &Design, hour: i64| {
            let midnight = start().timestamp() - 18 * 3_600;
            let rows = design.rows(&slots, std::iter::once(midnight + hour * 3_600));
            let (columns, values) = rows.row(0);
            let place = columns
                .iter()
                .position(|&c| usize::from(c) == design.events - 1);
            place.map_or(0.0, |place| values[place])
        };
        let hours = [0, 4, 12, 23, 24, 26, 28, 30];
        let by_calendar = hours.map(|hour| matchday(&design, hour));
        // the day after is a day of rest
        let rest = MatchDays::of(&BTreeSet::from([0])).share(1);
        let passing = [1.0 / 3.0, 0.5, 5.0 / 6.0].map(|part: f64| 1.0 - part + part * rest);
        let expected = [
            0.5, 1.0, 1.0, passing[0], passing[1], passing[2], rest, rest,
        ];
        for (share, expected) in by_calendar.into_iter().zip(expected) {
            assert!((share - expected).abs() < 1e-12, "{by_calendar:?}");
        }
        // quietest between four and five in the morning
        let second = |bin: usize| bin as i64 * 300 % 86_400;
        let hour = |bin: usize| second(bin) as f64 / 3_600.0 - 4.5;
        let log: Vec<f64> = (0..576)
            .map(|bin| -(std::f64::consts::TAU * hour(bin) / 24.0).cos())
            .collect();
        design.night = Night::of(&log, second);
        let by_sleep = hours.map(|hour| matchday(&design, hour));
        assert_eq!(by_sleep[2..5], [1.0; 3]);
        assert!(
            (0.7..1.0).contains(&by_sleep[5]) && by_sleep[0] == 0.0,
            "{by_sleep:?}"
        );
        assert!(
            (0.4..0.7).contains(&by_sleep[6]) && by_sleep[1] < 0.5,
            "{by_sleep:?}"
        );
    }

    #[test]
    fn eleven_at_once_do_not_multiply() {
        let slate: Vec<_> = (0..11).map(|i| game(&format!("g{i}"), 0)).collect();
        assert!((height(slate, 60) - 11.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn alternatives_of_one_fixture_count_once() {
        let mut someday = game("a", 0);
        someday.start.precision = crate::fixture::Precision::Date;
        let most = (-600..600)
            .step_by(30)
            .map(|minute| height(vec![someday.clone()], minute))
            .fold(0.0, f64::max);
        // in its tallest hour about a third of the possible starts are in play
        assert!(most > 0.25 && most < 0.5, "{most}");

        // but whoever must be ready is told of one that is
        let calendar: Calendar = [someday].into_iter().collect();
        let slots = slots(&calendar, start(), Tz::UTC, week());
        let design = Design::new(Tz::UTC, true, Vec::new(), &slots, (0, 0));
        let evening = start().timestamp() + 3_600;
        let rows = design.tallest(&slots, std::iter::once(evening));
        assert!((rows.fit(0, &design.prior) / 2.0_f64.ln() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn only_who_has_played_has_an_amplitude() {
        let mut past = game("a", 0);
        past.home = Some("old".into());
        let mut next = game("b", 60 * 24 * 7);
        next.home = Some("new".into());
        let calendar: Calendar = [past, next].into_iter().collect();
        let slots = slots(&calendar, start(), Tz::UTC, week());
        let origin = start().timestamp() + 86_400;
        let design = Design::new(Tz::UTC, true, Vec::new(), &slots, (0, origin));
        let names: Vec<_> = design.amplitudes().map(|(name, _)| name).collect();
        assert_eq!(names, ["day:Wed", "team:cup/old"]);
        assert_eq!(design.columns(), design.prior.len());
        assert!(design.crowding.is_none());
    }
}
