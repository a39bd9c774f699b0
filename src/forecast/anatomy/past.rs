//! What past fixtures did to load, and which of them resemble one to come.

use std::ops::Range;

use chrono::{Datelike as _, Timelike as _};
use chrono_tz::Tz;

use super::super::Evidence;
use super::super::event_response::FittedEventResponse;
use super::super::features::WINDOW;
use super::super::grid::{DAY, Grid, STEP};
use super::super::order::median;
use super::super::replay::{is_own, own_or_all};
use super::super::slots::{Slot, slots};
use super::parts::settled_logs;
use super::{Analogue, FixtureIntensity};
use crate::fixture::Calendar;
use crate::units::Timestamp;

/// Longest history looked through, days.
const LONGEST: usize = 400;

/// Analogues shown.
const MOST: usize = 5;

/// Share of a window's bins that must hold load.
const KNOWN: f64 = 0.5;

/// Slots that start together and are over, with the load of their window.
pub(super) struct Past {
    pub(super) slot: Slot,
    /// Largest load, units per second.
    pub(super) peak: f64,
    /// That over what the model expects at that moment without them, at that day's level.
    pub(super) multiple: f64,
    /// What they multiply load by at that moment, as the model puts it.
    pub(super) fitted: f64,
}

/// Every slot whose window lies in the known load before `until`.
pub(super) fn past(
    model: &FittedEventResponse,
    known: Evidence<'_>,
    until: Timestamp,
) -> Vec<Past> {
    let grid = Grid::before(known.load, until, LONGEST * DAY).without(known.faults);
    let (Some(first), Some(_)) = (
        Timestamp::from_timestamp(grid.middle(0), 0),
        grid.values.first(),
    ) else {
        return Vec::new();
    };
    let all: Vec<Slot> = slots(known.calendar, until, model.zone, (first, until))
        .into_iter()
        .filter(|slot| slot.share >= 1.0)
        .collect();
    let moments = || (0..grid.len()).map(|bin| grid.middle(bin));
    let with = settled_logs(model, &all, moments());
    let rows = model.design.rows(&all, moments());
    let log: Vec<f64> = grid
        .values
        .iter()
        .map(|value| (value + model.offset).ln())
        .collect();
    let bin = |at: i64| grid.len() as i64 + (at - grid.end).div_euclid(STEP);
    let mut found = Vec::new();
    for (place, slot) in all.iter().enumerate() {
        let (Ok(from), Ok(to)) = (
            usize::try_from(bin(slot.anchors.lock - WINDOW.0)),
            usize::try_from(bin(slot.anchors.end + WINDOW.1)),
        ) else {
            continue;
        };
        if to > grid.len() || from >= to {
            continue;
        }
        let finite = |bin: &usize| log[*bin].is_finite();
        let seen = (from..to).filter(finite).count() as f64;
        // another's crowd in its window tells nothing of it
        let own = own_or_all(from..to, |bin| is_own(&rows, bin, &all, place));
        let Some(top) = (own.into_iter())
            .filter(finite)
            .max_by(|&a, &b| log[a].total_cmp(&log[b]))
            .filter(|_| seen >= KNOWN * (to - from) as f64)
        else {
            continue;
        };
        let mut others = all.clone();
        others.remove(place);
        let without = settled_logs(model, &others, (from..to).map(|bin| grid.middle(bin)));
        // how that day ran before the crowd came, or with it where that is not known
        let ran = |bins: Range<usize>| median(&mut bins.map(|bin| log[bin] - with[bin]).collect());
        let before = ran(from.saturating_sub(DAY)..from);
        let level = before.or_else(|| ran(from..to)).unwrap_or(0.0);
        let fitted = with[top] - without[top - from];
        let calm = model.rate(without[top - from] + level);
        found.push(Past {
            slot: slot.clone(),
            peak: grid.values[top],
            multiple: if calm > 0.0 {
                grid.values[top] / calm
            } else {
                1.0
            },
            fitted: fitted.exp(),
        });
    }
    found
}

impl FittedEventResponse {
    /// How big every past fixture was, in order of start: as the load shows and as the model has
    /// it. Looks at all the load given; only windows that lie wholly within it count.
    pub fn intensities(&self, known: Evidence<'_>) -> Vec<FixtureIntensity> {
        past(self, known, known.load.end())
            .into_iter()
            .filter_map(|past| {
                Some(FixtureIntensity {
                    start: Timestamp::from_timestamp(past.slot.anchors.start, 0)?,
                    fixtures: past.slot.fixtures,
                    competitions: vec![past.slot.competition],
                    multiple: past.multiple,
                    fitted: past.fitted,
                })
            })
            .collect()
    }
}

/// The past slots most like `slot`, nearest first.
pub(super) fn analogues(
    slot: &Slot,
    history: &[Past],
    calendar: &Calendar,
    zone: Tz,
) -> Vec<Analogue> {
    let wanted = Traits::of(slot, calendar, zone);
    let mut ranked: Vec<(f64, &Past, String)> = history
        .iter()
        .map(|past| {
            let (likeness, words) = wanted.likeness(&Traits::of(&past.slot, calendar, zone));
            (likeness, past, words)
        })
        .collect();
    ranked.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then(b.1.slot.anchors.start.cmp(&a.1.slot.anchors.start))
    });
    ranked
        .into_iter()
        .take(MOST)
        .filter_map(|(_, past, likeness)| {
            Some(Analogue {
                fixtures: past.slot.fixtures.clone(),
                start: Timestamp::from_timestamp(past.slot.anchors.start, 0)?,
                peak: past.peak,
                multiple: past.multiple,
                likeness,
            })
        })
        .collect()
}

/// What likeness is judged by.
struct Traits<'a> {
    competition: &'a str,
    teams: &'a [String],
    stages: Vec<String>,
    weekday: chrono::Weekday,
    /// Hour of the day, with minutes as a fraction.
    hour: f64,
    fixtures: usize,
}

impl<'a> Traits<'a> {
    fn of(slot: &'a Slot, calendar: &Calendar, zone: Tz) -> Self {
        let local = Timestamp::from_timestamp(slot.anchors.start, 0)
            .unwrap_or_default()
            .with_timezone(&zone);
        let mut stages: Vec<String> = slot
            .fixtures
            .iter()
            .filter_map(|id| calendar.get(id)?.stage.clone())
            .collect();
        stages.sort();
        stages.dedup();
        Self {
            competition: &slot.competition,
            teams: &slot.teams,
            stages,
            weekday: local.weekday(),
            hour: f64::from(local.hour()) + f64::from(local.minute()) / 60.0,
            fixtures: slot.fixtures.len(),
        }
    }

    /// How alike two are, and in what. The weights say which difference changes load more: the
    /// competition most, then stage, sides and number, then day and hour.
    fn likeness(&self, other: &Self) -> (f64, String) {
        let mut sum = 0.0;
        let mut words = Vec::new();
        let shares = |a: &[String], b: &[String]| a.iter().any(|name| b.contains(name));
        if self.competition == other.competition {
            sum += 3.0;
            words.push("same competition".to_owned());
        }
        if shares(&self.stages, &other.stages) {
            sum += 1.5;
            words.push("same stage".to_owned());
        }
        let common: Vec<&str> = self
            .teams
            .iter()
            .filter(|team| other.teams.contains(team))
            .map(|team| team.split_once('/').map_or(team.as_str(), |(_, name)| name))
            .collect();
        if !common.is_empty() {
            sum += 1.5 * common.len() as f64 / self.teams.len().max(1) as f64;
            words.push(match common.as_slice() {
                few if few.len() <= 2 => format!("{} too", few.join(" and ")),
                many => format!("{} of the same sides", many.len()),
            });
        }
        let (few, many) = (
            self.fixtures.min(other.fixtures),
            self.fixtures.max(other.fixtures),
        );
        sum += 1.5 * few as f64 / many.max(1) as f64;
        if other.fixtures > 1 || self.fixtures > 1 {
            words.push(match other.fixtures {
                1 => "1 fixture".to_owned(),
                several => format!("{several} fixtures"),
            });
        }
        let weekend =
            |day: chrono::Weekday| matches!(day, chrono::Weekday::Sat | chrono::Weekday::Sun);
        if self.weekday == other.weekday {
            sum += 1.0;
            words.push("same day of the week".to_owned());
        } else if weekend(self.weekday) == weekend(other.weekday) {
            sum += 0.5;
        }
        let apart = (self.hour - other.hour).abs();
        let apart = apart.min(24.0 - apart);
        sum += (1.0 - apart / 3.0).max(0.0);
        if apart < 0.75 {
            words.push("same hour".to_owned());
        }
        if words.is_empty() {
            words.push("nothing but being a fixture".to_owned());
        }
        (sum, words.join(", "))
    }
}
