//! Looks up what is known about a missed peak: before the forecast, around it, and since.

use std::collections::BTreeSet;

use chrono::{Datelike as _, TimeDelta, Timelike as _, Weekday};
use chrono_tz::Tz;

use super::super::coverage::{Activity, activities};
use super::super::forecasts::{BlockScores, Targets, has_window};
use super::super::origin::TARGET;
use super::super::peaks::{WindowPeak, fixtures_at};
use super::super::score::largest;
use super::{Facts, LATE, Listed};
use crate::entries::SlateEntries;
use crate::fixture::{Calendar, Fixture};
use crate::forecast::Evidence;
use crate::units::Timestamp;

/// Calm hours are looked for so long before a window and after it.
const AROUND: (TimeDelta, TimeDelta) = (TimeDelta::hours(12), TimeDelta::hours(3));

/// Calm targets without which nothing is said of the level: an hour of them.
const CALM: usize = 12;

/// Starts this close on the clock are at the same hour.
const ALIKE: TimeDelta = TimeDelta::minutes(90);

/// Crowds gather so long before a lock.
const EARLY: TimeDelta = TimeDelta::hours(1);

/// Past slates without which nothing is said of the pace of entries.
const SLATES: usize = 3;

/// All that is known by now, and the windows of the whole history.
pub(super) struct Archive<'a> {
    known: Evidence<'a>,
    zone: Tz,
    targets: &'a Targets,
    doing: Vec<Activity>,
    history: Targets,
}

impl<'a> Archive<'a> {
    pub(super) fn new(known: Evidence<'a>, zone: Tz, targets: &'a Targets) -> Self {
        Self {
            known,
            zone,
            targets,
            doing: activities(targets, known.calendar),
            history: Targets::new(known, known.load.start(), targets.end()),
        }
    }

    /// The facts about a peak of a block.
    pub(super) fn facts(&self, peak: &WindowPeak, band: &BlockScores) -> Facts {
        let origin = peak.origin.unwrap_or(peak.kickoff);
        let fixtures = fixtures_at(self.known.calendar, peak.kickoff);
        let scheduled = fixtures
            .iter()
            .map(|f| f.start.at + f.duration.typical)
            .max();
        let expected_end = scheduled.unwrap_or(peak.kickoff);
        let ended = fixtures.iter().filter_map(|fixture| fixture.ended_at).max();
        let precedents = self.precedents(&fixtures, origin);
        Facts {
            log_error: peak.log_error(),
            actual: peak.actual,
            listed: listed(&self.known.calendar.as_of(origin), &fixtures),
            precedents: precedents.len(),
            alike: precedents
                .iter()
                .filter(|start| self.alike(**start, peak.kickoff))
                .count(),
            largest_before: self.largest_before(origin),
            calm_error: self.calm_error(peak, band),
            after_end: peak.actual_at - expected_end,
            overran: ended.map(|end| end - expected_end),
            shift: peak.actual_at - peak.expected_at,
            timing: self.timing(peak, band),
            others: self.others(&fixtures, peak.actual_at),
            pace: self.pace(&fixtures, origin),
            gaps: self.gaps(origin),
        }
    }

    /// Starts of the same competitions between the begin of the history and the origin.
    fn precedents(&self, fixtures: &[&Fixture], origin: Timestamp) -> BTreeSet<Timestamp> {
        let competitions: BTreeSet<&str> =
            fixtures.iter().map(|f| f.competition.as_str()).collect();
        let past = self
            .known
            .calendar
            .starting_between(self.known.load.start(), origin);
        past.into_iter()
            .filter(|fixture| !fixture.status.is_off() && fixture.start.is_timed())
            .filter(|fixture| competitions.contains(fixture.competition.as_str()))
            .map(|fixture| fixture.start.at)
            .collect()
    }

    /// Whether two starts fall on the same kind of day and about the same hour of the audience.
    fn alike(&self, one: Timestamp, other: Timestamp) -> bool {
        let local = |at: Timestamp| at.with_timezone(&self.zone);
        let weekend = |at| matches!(local(at).weekday(), Weekday::Sat | Weekday::Sun);
        let minute = |at| i64::from(local(at).num_seconds_from_midnight() / 60);
        let apart = (minute(one) - minute(other)).abs();
        weekend(one) == weekend(other) && apart.min(1_440 - apart) <= ALIKE.num_minutes()
    }

    /// ln of the path's highest median in the window over the one when the peak came.
    fn timing(&self, peak: &WindowPeak, band: &BlockScores) -> f64 {
        let mut windows = self.targets.windows.iter();
        let window = windows.find(|window| window.kickoff == peak.kickoff);
        let top = window.and_then(|window| {
            let path = band.quantiles.get(window.first..window.end)?;
            Some(largest(path, |quantiles| quantiles[0])?.1)
        });
        let there = self.targets.index(peak.actual_at);
        let there = there.and_then(|index| Some(band.quantiles.get(index)?[0]));
        let both = top.zip(there);
        both.map(|(highest, there)| (highest / there).ln())
            .filter(|timing| timing.is_finite())
            .unwrap_or(0.0)
    }

    /// Where a moment is so long after `own` were over that who came was not theirs: the fixtures
    /// that were on then, or began within the hour.
    fn others(&self, own: &[&Fixture], at: Timestamp) -> Vec<String> {
        let end = |fixture: &Fixture| {
            let typical = fixture.start.at + fixture.duration.typical;
            fixture.ended_at.unwrap_or(typical)
        };
        if own.iter().any(|fixture| at < end(fixture) + LATE) {
            return Vec::new();
        }
        let on = |fixture: &Fixture| {
            has_window(fixture) && (fixture.lock() - EARLY..end(fixture) + LATE).contains(&at)
        };
        let all = self.known.calendar.iter();
        let mut found: Vec<&Fixture> = all.filter(|fixture| on(fixture)).collect();
        found.sort_by_key(|fixture| fixture.start.at);
        found.into_iter().map(Fixture::title).collect()
    }

    fn largest_before(&self, origin: Timestamp) -> Option<f64> {
        let bins = (origin - self.history.from).num_milliseconds() / TARGET.num_milliseconds();
        let over = self.history.windows.iter().filter(|window| {
            window.whole && i64::try_from(window.end).is_ok_and(|end| end <= bins)
        });
        over.filter_map(|window| {
            Some(
                largest(&self.history.actual[window.first..window.end], |&value| {
                    value
                })?
                .1,
            )
        })
        .max_by(f64::total_cmp)
    }

    fn calm_error(&self, peak: &WindowPeak, band: &BlockScores) -> Option<f64> {
        let window = self
            .targets
            .windows
            .iter()
            .find(|w| w.kickoff == peak.kickoff)?;
        let bins = |span: TimeDelta| (span.num_minutes() / TARGET.num_minutes()) as usize;
        let from = window.first.saturating_sub(bins(AROUND.0));
        let to = (window.end + bins(AROUND.1)).min(self.doing.len());
        let errors = (from..to)
            .filter(|&index| self.doing[index] == Activity::Calm)
            .map(|index| (self.targets.actual[index] / band.quantiles[index][0]).ln())
            .filter(|error| error.is_finite())
            .collect();
        median(errors, CALM)
    }

    /// Entries of the fixtures' slates by the origin over the median of past slates of the same
    /// competition so long before their lock, of those that lock on such a day at such an hour and
    /// hold half to twice as many fixtures: the eleven games of a Sunday afternoon are no measure
    /// of a Monday night.
    fn pace(&self, fixtures: &[&Fixture], origin: Timestamp) -> Option<f64> {
        let entries = self.known.entries;
        let slates: BTreeSet<&str> = fixtures.iter().filter_map(|f| f.slate.as_deref()).collect();
        let competition = &fixtures.first()?.competition;
        let slate = |name: &str| {
            let all = self.known.calendar.iter();
            let own = all.filter(|f| f.slate.as_deref() == Some(name));
            let own = own.filter(|f| f.competition == *competition);
            let locks: Vec<Timestamp> = own.map(Fixture::lock).collect();
            Some((locks.iter().copied().min()?, locks.len()))
        };
        let (lock, size) = slates
            .iter()
            .filter_map(|name| slate(name))
            .reduce(|(one, many), (other, more)| (one.min(other), many + more))?;
        let so_far: f64 = slates
            .iter()
            .filter_map(|name| Some(entered(entries.get(Some(name))?, origin)))
            .sum();
        let past: Vec<f64> = entries
            .iter()
            .filter_map(|(name, entries)| {
                let name = name.filter(|name| !slates.contains(name))?;
                let (then, games) = slate(name)?;
                let of_the_size = games * 2 >= size && games <= size * 2;
                let counts = then < origin && of_the_size && self.alike(then, lock);
                counts.then(|| entered(entries, then - (lock - origin)))
            })
            .filter(|entered| *entered > 0.0)
            .collect();
        let usual = median(past, SLATES)?;
        (so_far > 0.0).then(|| so_far / usual)
    }

    fn gaps(&self, origin: Timestamp) -> f64 {
        let day = self.known.load.between(origin - TimeDelta::days(1), origin);
        if day.is_empty() {
            return 1.0;
        }
        day.gaps() as f64 / day.len() as f64
    }
}

/// What a calendar says of fixtures as they were played.
fn listed(then: &Calendar, fixtures: &[&Fixture]) -> Listed {
    for fixture in fixtures {
        match then.get(&fixture.id) {
            None => return Listed::NotYet,
            Some(known) if !known.start.is_timed() => return Listed::NotYet,
            Some(known) if known.start.at != fixture.start.at => {
                return Listed::Elsewhen(known.start.at);
            }
            Some(_) => {}
        }
    }
    Listed::Rightly
}

/// Entries made before a moment, as far as they are known.
fn entered(entries: &SlateEntries, at: Timestamp) -> f64 {
    let seconds = entries.rate.step().num_milliseconds() as f64 / 1e3;
    let rates = entries.rate.before(at);
    let known = rates.raw().iter().filter(|rate| rate.is_finite());
    known.sum::<f64>() * seconds
}

/// The middle value, when there are at least so many.
fn median(mut values: Vec<f64>, least: usize) -> Option<f64> {
    if values.len() < least.max(1) {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::origin::Block;
    use crate::backtest::score::{PeakBound, PerQuantile, Scores};
    use crate::entries::Entries;
    use crate::series::Series;

    fn hour(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::hours(i)
    }

    fn game(id: &str, start: Timestamp, slate: &str) -> Fixture {
        let mut game = Fixture::game(id, "cup", start);
        game.slate = Some(slate.to_owned());
        game
    }

    /// Ten days of 10/s; games at noon of days 2 to 8, each with a peak of 40/s at its end; on
    /// day 8 the peak is 90/s, and everything else that day 20/s.
    fn load() -> Series {
        let mut values = vec![10.0; 10 * 288];
        for day in 2..=8 {
            values[day * 288 + 13 * 12 + 10] = 40.0;
        }
        for value in &mut values[8 * 288..9 * 288] {
            *value = 20.0;
        }
        values[8 * 288 + 13 * 12 + 10] = 90.0;
        values[7 * 288..7 * 288 + 144].fill(f64::NAN);
        Series::from_raw(hour(0), TARGET, values)
    }

    fn calendar() -> Calendar {
        (2..=8)
            .map(|day| game(&format!("g{day}"), hour(24 * day + 12), &format!("s{day}")))
            .collect()
    }

    fn band(targets: &Targets, kickoff: Timestamp, origin: Timestamp) -> BlockScores {
        let zero = PerQuantile::default();
        BlockScores {
            model: "m".into(),
            block: Block::D1,
            scores: Scores {
                points: 1,
                wape: 0.0,
                wape_events: None,
                bias: 0.0,
                pinball: zero,
                crps: 0.0,
                coverage: zero,
                coverage_events: None,
                peaks: None,
            },
            quantiles: vec![[10.0, 11.0, 12.0, 13.0]; targets.actual.len()],
            bounds: vec![PeakBound {
                kickoff,
                origin,
                at: kickoff,
                p50: 45.0,
                p95: 60.0,
                p99: 70.0,
            }],
        }
    }

    fn entries(last: f64) -> Entries {
        let mut entries = Entries::default();
        for day in 2..=8_i64 {
            let rate = if day == 8 { last } else { 1.0 };
            // entered at a constant rate over the day before the lock
            entries.insert(
                Some(format!("s{day}")),
                SlateEntries {
                    rate: Series::from_raw(hour(24 * day - 12), TARGET, vec![rate; 288]),
                    spots: Vec::new(),
                },
            );
        }
        entries
    }

    #[test]
    fn facts_are_those_of_the_history_laid_out_by_hand() {
        let (load, calendar, entries) = (load(), calendar(), entries(1.5));
        let known = Evidence::new(&load, &calendar).with_entries(&entries);
        let targets = Targets::new(Evidence::new(&load, &calendar), hour(7 * 24), hour(10 * 24));
        let (kickoff, origin) = (hour(8 * 24 + 12), hour(8 * 24));
        let band = band(&targets, kickoff, origin);
        let misses = super::super::worst(known, Tz::UTC, &targets, std::slice::from_ref(&band));
        let missed: Vec<Timestamp> = misses.iter().map(|miss| miss.peak.kickoff).collect();
        // the day before has no bound: its path of 10/s is judged
        assert_eq!(missed, [hour(7 * 24 + 12), kickoff]);
        assert_eq!(misses[1].ratio, 2.0);

        let facts = Archive::new(known, Tz::UTC, &targets).facts(&misses[1].peak, &band);
        assert_eq!(facts.listed, Listed::Rightly);
        assert_eq!(facts.precedents, 6);
        // 9 January 1970 was a Friday; 3 and 4 January were a weekend
        assert_eq!(facts.alike, 4);
        assert_eq!(facts.timing, 0.0);
        assert_eq!(facts.largest_before, Some(40.0));
        assert!((facts.calm_error.unwrap() - 2.0_f64.ln()).abs() < 1e-12);
        assert_eq!(facts.after_end, TimeDelta::zero());
        assert_eq!(facts.overran, None);
        assert!((facts.pace.unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(facts.gaps, 0.5);
    }

    #[test]
    fn an_evening_is_compared_with_evenings_and_a_slate_with_those_of_its_size() {
        let load = load();
        let mut entries = Entries::default();
        let mut games = Vec::new();
        let mut slate = |day: i64, hours: i64, count: i64, rate: f64| {
            let (lock, name) = (hour(24 * day + hours), format!("s{day}-{hours}-{count}"));
            games.extend((0..count).map(|game_of| game(&format!("{name}-{game_of}"), lock, &name)));
            entries.insert(
                Some(name),
                SlateEntries {
                    rate: Series::from_raw(lock - TimeDelta::days(1), TARGET, vec![rate; 288]),
                    spots: Vec::new(),
                },
            );
        };
        for day in 2..=7 {
            slate(day, 12, 1, 4.0);
            slate(day, 20, 1, 1.0);
            slate(day, 20, 8, 9.0);
        }
        slate(8, 20, 1, 1.5);
        let kickoff = hour(8 * 24 + 20);
        let calendar: Calendar = games.into_iter().collect();
        let known = Evidence::new(&load, &calendar).with_entries(&entries);
        let targets = Targets::new(known, hour(8 * 24), hour(9 * 24));
        let archive = Archive::new(known, Tz::UTC, &targets);
        let own = fixtures_at(&calendar, kickoff);
        let pace = archive.pace(&own, kickoff - TimeDelta::hours(4)).unwrap();
        assert!((pace - 1.5).abs() < 1e-9, "{pace}");
    }

    #[test]
    fn the_crowd_of_another_game_is_told_from_its_own() {
        let load = load();
        let noon = hour(8 * 24 + 12);
        let evening = noon + TimeDelta::hours(4);
        let named = |id: &str, at: Timestamp| Fixture {
            home: Some(id.to_owned()),
            ..game(id, at, id)
        };
        let calendar: Calendar = [named("noon", noon), named("evening", evening)]
            .into_iter()
            .collect();
        let known = Evidence::new(&load, &calendar);
        let targets = Targets::new(known, hour(8 * 24), hour(9 * 24));
        let archive = Archive::new(known, Tz::UTC, &targets);
        let own = fixtures_at(&calendar, noon);
        let others = |minutes: i64| archive.others(&own, noon + TimeDelta::minutes(minutes));
        let end = own[0].duration.typical.num_minutes();
        // its own until it has left, and nobody's until people come for the next
        for minutes in [-20, 0, end, end + 20, end + 30] {
            assert!(others(minutes).is_empty(), "{minutes}");
        }
        assert!(end + 30 < 3 * 60);
        assert_eq!(others(3 * 60 + 10), ["evening (cup)"]);
        assert_eq!(others(4 * 60 + 10), ["evening (cup)"]);
        // who is early for a game comes for it, whatever has just ended
        let late = fixtures_at(&calendar, evening);
        assert!(
            archive
                .others(&late, noon + TimeDelta::minutes(end + 10))
                .is_empty()
        );
        assert!(archive.others(&late, evening).is_empty());
    }

    #[test]
    fn a_list_that_said_otherwise_is_found_out() {
        let load = load();
        let mut late = game("late", hour(8 * 24 + 12), "s8");
        late.known_at = Some(hour(8 * 24 + 6));
        let before = Fixture {
            start: crate::fixture::Start::exact(hour(8 * 24 + 10)),
            known_at: None,
            ..late.clone()
        };
        let (kickoff, origin) = (late.start.at, hour(8 * 24));
        let fresh: Calendar = [late.clone()].into_iter().collect();
        let mut moved: Calendar = [before].into_iter().collect();
        moved.insert(late);
        for (calendar, said) in [
            (fresh, Listed::NotYet),
            (moved, Listed::Elsewhen(hour(202))),
        ] {
            let known = Evidence::new(&load, &calendar);
            let targets = Targets::new(Evidence::new(&load, &calendar), hour(8 * 24), hour(9 * 24));
            let band = band(&targets, kickoff, origin);
            let peak = super::super::window_peaks(&targets, &band, &calendar).remove(0);
            let facts = Archive::new(known, Tz::UTC, &targets).facts(&peak, &band);
            assert_eq!(facts.listed, said);
            assert_eq!(facts.precedents, 0);
            assert_eq!(facts.pace, None);
        }
    }
}
