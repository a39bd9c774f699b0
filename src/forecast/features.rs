//! Turns a moment and the fixtures around it into one sparse row of the regression.
//!
//! The model of log load is, with `u` the response time of a slot (FORECASTING study, 1.1):
//!
//! ```text
//! a + Fourier_day(6) + weekend + weekend x Fourier(2) + matchday
//!   + f(t) sum_slots n^g [B(u) + weekend W(u) + (importance-1)/2 W(u)
//!                         + competition h(u) + teams h(u)]
//! ```
//!
//! Days and weekends are those of the audience's own clock. Fixtures that start together form one
//! slot with weight `n^g`, `g` < 1. Slots that overlap would multiply in log space, so
//! `f(t) = (sum (n^g h)^(1/g))^g / sum n^g h` with the prior shape `h` makes them sub-additive:
//! two identical slots count exactly like one slot of twice the fixtures, and slots that do not
//! meet are left alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::audience::{LocalClock, is_weekend};
use super::response::{self, HATS, PHASES};
use super::slots::Slot;
use super::weekly::week_bin;

/// Harmonics of the day.
pub(super) const HARMONICS: usize = 6;

/// Harmonics that differ on weekends.
pub(super) const WEEKEND_HARMONICS: usize = 2;

/// Most teams with an amplitude of their own; the others answer as their competition does.
const MOST_TEAMS: usize = 48;

/// Most competitions with an amplitude of their own.
const MOST_COMPETITIONS: usize = 16;

/// Exponent of the number of simultaneous fixtures (`g` above). Between .3 and .8 it changes the
/// error by less than a hundredth on the reference trace.
const CROWDING: f64 = 0.5;

/// Overall strength of the penalties below.
const STRENGTH: f64 = 5.0;

/// Floor of the shape in `f(t)`, so that far ends of two responses share too.
const SHAPE_FLOOR: f64 = 0.005;

/// Seconds before the lock and after the end that belong to the event window.
pub(crate) const WINDOW: (i64, i64) = (60 * 60, 75 * 60);

/// Which columns there are, how strongly each is held, and to what.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Design {
    zone: Tz,
    pub(super) weekly: bool,
    pub(super) competitions: BTreeMap<String, usize>,
    pub(super) teams: BTreeMap<String, usize>,
    /// First column of the event part.
    pub(super) events: usize,
    /// Ridge penalty of each column.
    pub(crate) penalty: Vec<f64>,
    /// Prior mean of each column.
    pub(crate) prior: Vec<f64>,
}

/// Sparse rows, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    ends: Vec<u32>,
    columns: Vec<u16>,
    values: Vec<f64>,
    /// True for moments in a slot's event window.
    pub(crate) in_event: Vec<bool>,
    /// True for moments that no slot's response reaches.
    pub(crate) calm: Vec<bool>,
    /// Five minutes of the audience's week.
    pub(crate) week_bin: Vec<u16>,
}

impl Rows {
    /// Columns (ascending) and values of one row.
    pub(crate) fn row(&self, index: usize) -> (&[u16], &[f64]) {
        let from = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        let to = self.ends[index] as usize;
        (&self.columns[from..to], &self.values[from..to])
    }

    /// What `coefficients` say about one row.
    pub(crate) fn fit(&self, index: usize, coefficients: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns
            .iter()
            .zip(values)
            .map(|(&column, value)| coefficients[usize::from(column)] * value)
            .sum()
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

impl Design {
    /// Columns for the slots of the past: only a team or competition that has played before
    /// `origin` can have an amplitude of its own. `weekly` asks for weekend terms.
    pub(crate) fn new(zone: Tz, weekly: bool, slots: &[Slot], from: i64, origin: i64) -> Self {
        let past = || {
            slots
                .iter()
                .filter(|slot| slot.anchors.start < origin && slot.anchors.end > from)
        };
        let competitions = most_frequent(
            past().flat_map(|slot| &slot.competitions),
            MOST_COMPETITIONS,
        );
        let teams = most_frequent(past().flat_map(|slot| &slot.teams), MOST_TEAMS);

        let mut penalty = Vec::new();
        let mut prior = Vec::new();
        let mut block = |means: &[f64], strength: f64| {
            penalty.extend(means.iter().map(|_| STRENGTH * strength));
            prior.extend_from_slice(means);
        };
        block(&[0.0], 1e-4); // level: the data alone
        block(&[0.0; 2 * HARMONICS], 0.3);
        if weekly {
            block(&[0.0; 1 + 2 * WEEKEND_HARMONICS], 0.5);
        }
        block(&[0.0], 0.5); // matchday
        block(&response::prior(), 1.0);
        if weekly {
            block(&[0.0; PHASES], 2.0);
        }
        block(&response::IMPORTANCE_PRIOR, 4.0);
        // a single competition is the common response itself
        let competitions = if competitions.len() > 1 {
            competitions
        } else {
            Vec::new()
        };
        block(&vec![0.0; competitions.len()], 2.0);
        block(&vec![0.0; teams.len()], 4.0);

        let events = 1 + 2 * HARMONICS + 1 + if weekly { 1 + 2 * WEEKEND_HARMONICS } else { 0 };
        let first = events + HATS + PHASES + if weekly { PHASES } else { 0 };
        let place = |names: Vec<String>, first: usize| -> BTreeMap<String, usize> {
            names.into_iter().zip(first..).collect()
        };
        let after = first + competitions.len();
        Self {
            zone,
            weekly,
            competitions: place(competitions, first),
            teams: place(teams, after),
            events,
            penalty,
            prior,
        }
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.penalty.len()
    }

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
        let matchdays: BTreeSet<i64> = slots
            .iter()
            .filter(|slot| slot.share >= 1.0)
            .map(|slot| self.local(slot.anchors.start).0)
            .collect();

        let mut rows = Rows::default();
        let mut scratch = vec![0.0; self.columns()];
        let mut clock = LocalClock::new(self.zone);
        for at in moments {
            while let Some(slot) = waiting.next_if(|&slot| known[slot].span.0 <= at) {
                active.push(slot);
            }
            active.retain(|&slot| known[slot].span.1 > at);
            let (day, second) = clock.read(at);
            self.calm_part(&mut scratch, day, second, matchdays.contains(&day));
            let weekend = self.weekly && is_weekend(day);
            let in_event = if tallest {
                let chosen = one_of_each(known, &active, at);
                self.event_part(&mut scratch, known, &chosen, at, weekend)
            } else {
                self.event_part(&mut scratch, known, &active, at, weekend)
            };
            let used = if active.is_empty() {
                self.events
            } else {
                scratch.len()
            };
            for (column, value) in scratch[..used].iter_mut().enumerate() {
                if *value != 0.0 {
                    rows.columns.push(column as u16);
                    rows.values.push(*value);
                    *value = 0.0;
                }
            }
            rows.ends.push(rows.columns.len() as u32);
            rows.in_event.push(in_event);
            rows.calm.push(active.is_empty());
            rows.week_bin.push(week_bin(day, second));
        }
        rows
    }

    /// Level, daily and weekly terms.
    fn calm_part(&self, row: &mut [f64], day: i64, second: i64, matchday: bool) {
        row[0] = 1.0;
        let (s1, c1) = (std::f64::consts::TAU * second as f64 / 86_400.0).sin_cos();
        let (mut s, mut c) = (s1, c1);
        for harmonic in 0..HARMONICS {
            row[1 + 2 * harmonic] = s;
            row[2 + 2 * harmonic] = c;
            (s, c) = (s * c1 + c * s1, c * c1 - s * s1);
        }
        let mut next = 1 + 2 * HARMONICS;
        if self.weekly {
            if is_weekend(day) {
                row[next] = 1.0;
                let (low, high) = row.split_at_mut(next + 1);
                high[..2 * WEEKEND_HARMONICS].copy_from_slice(&low[1..=2 * WEEKEND_HARMONICS]);
            }
            next += 1 + 2 * WEEKEND_HARMONICS;
        }
        row[next] = f64::from(matchday);
    }

    /// Responses of the active slots; says whether the moment lies in an event window.
    fn event_part(
        &self,
        row: &mut [f64],
        known: &[KnownSlot<'_>],
        active: &[usize],
        at: i64,
        weekend: bool,
    ) -> bool {
        let factor = overlap_factor(known, active, at);
        let kernel = self.events;
        let weekend_phases = kernel + HATS;
        let importance = weekend_phases + if self.weekly { PHASES } else { 0 };
        let mut in_event = false;
        for &index in active {
            let KnownSlot { slot, weight, .. } = &known[index];
            in_event |= slot.in_window(at);
            let minute = slot.anchors.minute(at);
            let weight = weight * factor;
            for (hat, value) in response::hats(minute) {
                row[kernel + hat] += weight * value;
            }
            if let Some(phase) = response::phase(minute) {
                if weekend {
                    row[weekend_phases + phase] += weight;
                }
                row[importance + phase] += weight * (slot.importance - 1.0) / 2.0;
            }
            let shape = response::shape(minute);
            if shape > 0.0 {
                for &(column, share) in &known[index].amplitudes {
                    row[column] += weight * shape * share;
                }
            }
        }
        in_event
    }

    fn known<'a>(&self, slot: &'a Slot, share: f64) -> KnownSlot<'a> {
        let shares = |names: &[String], columns: &BTreeMap<String, usize>| -> Vec<(usize, f64)> {
            let share = 1.0 / names.len().max(1) as f64;
            names
                .iter()
                .filter_map(|name| Some((*columns.get(name)?, share)))
                .collect()
        };
        // the two sides of one fixture each bring their own crowd
        let fixtures = slot.fixtures.len().max(1) as f64;
        let sides = slot.teams.len() as f64 / fixtures;
        let mut amplitudes = shares(&slot.competitions, &self.competitions);
        amplitudes.extend(
            shares(&slot.teams, &self.teams)
                .into_iter()
                .map(|(column, share)| (column, share * sides)),
        );
        KnownSlot {
            slot,
            weight: share * slot.count.powf(CROWDING),
            span: slot.anchors.span(),
            amplitudes,
        }
    }

    fn local(&self, at: i64) -> (i64, i64) {
        LocalClock::new(self.zone).read(at)
    }
}

impl Slot {
    /// True from an hour before the lock until the crowd has gone.
    pub(crate) fn in_window(&self, at: i64) -> bool {
        at >= self.anchors.lock - WINDOW.0 && at < self.anchors.end + WINDOW.1
    }
}

struct KnownSlot<'a> {
    slot: &'a Slot,
    weight: f64,
    span: (i64, i64),
    amplitudes: Vec<(usize, f64)>,
}

/// Of every group of active slots the one whose shape is highest at the moment.
fn one_of_each(known: &[KnownSlot<'_>], active: &[usize], at: i64) -> Vec<usize> {
    let height = |index: usize| response::shape(known[index].slot.anchors.minute(at));
    let mut chosen: Vec<usize> = Vec::with_capacity(active.len());
    for &index in active {
        let group = known[index].slot.group;
        match chosen.iter_mut().find(|c| known[**c].slot.group == group) {
            Some(best) if height(index) > height(*best) => *best = index,
            Some(_) => {}
            None => chosen.push(index),
        }
    }
    chosen
}

/// `f(t)` of the module's formula. Slots that exclude each other are one term of the sums.
fn overlap_factor(known: &[KnownSlot<'_>], active: &[usize], at: i64) -> f64 {
    if active.len() < 2 {
        return 1.0;
    }
    let mut groups: Vec<(usize, f64)> = Vec::with_capacity(active.len());
    for &index in active {
        let KnownSlot { slot, weight, .. } = &known[index];
        let height = response::shape(slot.anchors.minute(at)).max(SHAPE_FLOOR) * weight;
        match groups.iter_mut().find(|(group, _)| *group == slot.group) {
            Some((_, sum)) => *sum += height,
            None => groups.push((slot.group, height)),
        }
    }
    let sum: f64 = groups.iter().map(|(_, height)| height).sum();
    let joint: f64 = groups
        .iter()
        .map(|(_, height)| height.powf(1.0 / CROWDING))
        .sum::<f64>()
        .powf(CROWDING);
    if sum > 0.0 { joint / sum } else { 1.0 }
}

/// The most frequent names, then sorted; ties by name.
fn most_frequent<'a>(names: impl Iterator<Item = &'a String>, most: usize) -> Vec<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    ranked.truncate(most);
    let mut kept: Vec<String> = ranked.into_iter().map(|(name, _)| name.clone()).collect();
    kept.sort();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};

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
        let design = Design::new(Tz::UTC, true, &slots, 0, 0);
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
        let design = Design::new(Tz::UTC, true, &slots, 0, 0);
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
        let design = Design::new(Tz::UTC, true, &slots, 0, origin);
        assert_eq!(design.teams.keys().collect::<Vec<_>>(), ["cup/old"]);
        assert!(design.competitions.is_empty());
        assert_eq!(design.columns(), design.prior.len());
        assert_eq!(design.teams["cup/old"] + 1, design.columns());
    }
}
