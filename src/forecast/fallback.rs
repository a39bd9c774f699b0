//! Who speaks while the event-response model is not trusted, bin by bin.
//!
//! The rival repeats what was a period ago, by the audience's clock. It knows no fixtures, so in
//! the windows of fixtures no quantile falls below the model's: doubt about the model is no
//! evidence that nobody comes. The median is held too, because whoever sizes by it multiplies it
//! by the spike that may come. The rival speaks only where it has been judged, from an hour ahead
//! on and at the level of load at which it was better, and only where it repeats something of the
//! kind: neither a weekend by a working day nor an evening without a game by one with a game, nor
//! what happened once.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::audience::{LocalClock, is_weekend};
use super::drift::Rival;
use super::features::WINDOW;
use super::grid::{DAY, Grid, known_bins};
use super::order::median;
use super::repetition::{MOST_PERIODS, Repetition};
use super::seasonal_naive::{FittedSeasonalNaive, SeasonalNaive, pieces, score};
use super::slots::slots;
use super::{Evidence, FitError, Forecast, Horizon};
use crate::units::Timestamp;

/// The next hour: no trust is lost by errors there (the track begins an hour ahead), and who
/// repeats what was does not look at the present level.
const UNJUDGED: TimeDelta = TimeDelta::hours(1);

/// What is this many times what it repeats itself, or this part of it, happened once: an outage, a
/// promotion. A day of one pattern differs from the one before by a tenth to a third.
const ONCE: f64 = 2.0;

/// A level this many times that of a period ago, or this part of it, is another one. A rival that
/// is better than the model errs by a tenth at most days; half as much again is no error of its
/// kind.
const ANOTHER_LEVEL: f64 = 1.5;

/// Bins of the last day below which they tell no level: a night alone is none.
const LEAST_JUDGED: usize = DAY / 2;

/// A naive rival in place of the model.
#[derive(Debug, Clone)]
pub(super) struct Fallback {
    pub(super) to: Rival,
    pub(super) rival: FittedSeasonalNaive,
    /// Why the model is not trusted, in words.
    pub(super) reason: String,
}

/// What stands behind one bin of the rival's forecast.
struct Repeated {
    /// Its start.
    at: Timestamp,
    /// False when it was unlike what it repeats itself.
    usual: bool,
}

impl Fallback {
    pub(super) fn fit(
        to: Rival,
        reason: String,
        known: Evidence<'_>,
        at: Timestamp,
        zone: Tz,
    ) -> Result<Self, FitError> {
        let rival = match to {
            Rival::NaiveDay => SeasonalNaive::DAY,
            Rival::NaiveWeek => SeasonalNaive::WEEK,
        };
        let rival = rival.fit_by_clock(known, at, zone)?;
        Ok(Self { to, rival, reason })
    }

    /// The rival's forecast, and the model's where the rival must not speak.
    pub(super) fn over(
        &self,
        mut champion: Forecast,
        recent: Evidence<'_>,
        horizon: Horizon,
    ) -> Forecast {
        let grid = self.rival.past(recent, horizon.origin);
        let zone = self.rival.zone();
        let mut past = Repetition::new(&grid, self.rival.days(), zone);
        if let Some(level) = level(&grid, &mut past)
            && level.abs() > ANOTHER_LEVEL.ln()
        {
            let because = format!(
                "it is not followed now: over the last day load was {:.2} times that of {}, and \
                 nobody has compared the two at this level; the {} model speaks",
                level.exp(),
                self.to.words(),
                champion.model
            );
            champion.notes.splice(0..0, [self.reason.clone(), because]);
            return champion;
        }
        let mut forecast = self.rival.forecast(&grid, horizon);
        let windows = self.windows(recent, horizon);
        let in_play = |from: Timestamp, to: Timestamp| {
            let mut windows = windows.iter();
            windows.any(|&(open, close)| from < close && to > open)
        };
        let mut clock = LocalClock::new(zone);
        let mut weekend = |at: Timestamp| is_weekend(clock.read(at.timestamp()).0);
        let mut unusual = TimeDelta::zero();
        for bin in 0..forecast.len() {
            let (from, to) = (forecast.time(bin), forecast.time(bin + 1));
            let playing = in_play(from, to);
            let judged = from >= horizon.origin + UNJUDGED;
            let repeated = repeated(&grid, &mut past, horizon, bin);
            let speaks = judged
                && repeated.is_some_and(|repeated| {
                    let played = in_play(repeated.at, repeated.at + (to - from));
                    let alike = weekend(from) == weekend(repeated.at) && (playing || !played);
                    if alike && !repeated.usual {
                        unusual += to - from;
                    }
                    alike && repeated.usual
                });
            for (path, theirs) in forecast.paths.iter_mut().zip(&champion.paths) {
                if !speaks {
                    path[bin] = theirs[bin];
                } else if playing {
                    path[bin] = higher(path[bin], theirs[bin]);
                }
            }
        }
        forecast.peaks = champion.peaks;
        forecast.hold_peaks_over_paths();
        forecast.model = format!("{} (fallback)", forecast.model);
        forecast.notes = vec![self.reason.clone()];
        if unusual > TimeDelta::zero() {
            forecast.notes.push(format!(
                "for {:.1} h of what lies ahead {} was itself not what it had been before: there \
                 the {} model speaks",
                unusual.num_seconds() as f64 / 3_600.0,
                self.to.words(),
                champion.model
            ));
        }
        forecast.notes.extend(champion.notes);
        forecast
    }

    /// The windows of fixtures that may come, also at times nobody knows yet, and of those that
    /// may be repeated.
    fn windows(&self, recent: Evidence<'_>, horizon: Horizon) -> Vec<(Timestamp, Timestamp)> {
        let reach = TimeDelta::days((MOST_PERIODS * self.rival.days()) as i64 + 1);
        let span = (horizon.origin - reach, horizon.origin + horizon.length);
        slots(recent.calendar, horizon.origin, self.rival.zone(), span)
            .iter()
            .filter_map(|slot| {
                let time = |at: i64| Timestamp::from_timestamp(at, 0);
                Some((
                    time(slot.anchors.lock - WINDOW.0)?,
                    time(slot.last_end + WINDOW.1)?,
                ))
            })
            .collect()
    }
}

/// What the rival repeats in a bin of the forecast. `None` where it has nothing to repeat.
fn repeated(
    grid: &Grid,
    past: &mut Repetition<'_>,
    horizon: Horizon,
    bin: usize,
) -> Option<Repeated> {
    let (mut at, mut pairs) = (None, 0.0);
    let (mut now, mut before) = (0.0, 0.0);
    for target in pieces(grid, horizon, bin) {
        let source = past.source(target, grid.len())?;
        at.get_or_insert(past.start(source));
        if let Some(earlier) = past.earlier(source) {
            pairs += 1.0;
            now += grid.values[source];
            before += grid.values[earlier];
        }
    }
    let usual = pairs == 0.0 || score(now / pairs, before / pairs).abs() <= ONCE.ln();
    let at = Timestamp::from_timestamp(at?, 0)?;
    Some(Repeated { at, usual })
}

/// By how much load of the last known day was above what would have been repeated of days of the
/// kind: the median, log load. `None` where too little of it can be compared.
fn level(grid: &Grid, past: &mut Repetition<'_>) -> Option<f64> {
    let end = known_bins(&grid.values);
    let mut scores: Vec<f64> = (end.saturating_sub(DAY)..end)
        .filter_map(|bin| {
            let source = past.source(bin as i64, bin)?;
            let comparable = grid.values[bin].is_finite() && past.alike(bin, source);
            comparable.then(|| score(grid.values[bin], grid.values[source]))
        })
        .collect();
    (scores.len() >= LEAST_JUDGED)
        .then(|| median(&mut scores))
        .flatten()
}

/// The larger; what is not a number does not win over what is.
fn higher(a: f64, b: f64) -> f64 {
    a.max(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Calendar;
    use crate::series::Series;
    use chrono::{TimeZone as _, Utc};

    /// Bins of an hour.
    const HOUR: usize = DAY / 24;

    /// A Monday at midnight, when London's clock had just changed.
    fn origin() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 3, 30, 0, 0, 0).unwrap()
    }

    /// Load of some days up to the origin; told the day and the second of it by London's clock.
    fn london(days: i64, load: impl Fn(i64, i64) -> f64) -> Series {
        let mut clock = LocalClock::new(Tz::Europe__London);
        let start = origin() - TimeDelta::days(days);
        let values = (0..days * DAY as i64).map(|bin| {
            let (day, second) = clock.read(start.timestamp() + bin * 300);
            load(day, second)
        });
        Series::from_raw(start, TimeDelta::minutes(5), values.collect())
    }

    /// Jobs at one and at seven in the morning by the clock.
    fn jobs(second: i64) -> f64 {
        match second / 3_600 {
            1 | 7 => 400.0,
            8..22 => 100.0,
            _ => 20.0,
        }
    }

    /// What is said of the day from the origin on by a week ago, over a model that says one.
    fn said(load: &Series) -> Forecast {
        let none = Calendar::default();
        let known = Evidence::new(load, &none);
        let horizon = Horizon {
            origin: origin(),
            length: TimeDelta::hours(24),
            step: TimeDelta::minutes(5),
        };
        let champion = Forecast {
            origin: origin(),
            start: origin(),
            step: horizon.step,
            paths: [1.0, 2.0, 3.0, 4.0].map(|value| vec![value; DAY]),
            peaks: Vec::new(),
            model: "model".to_owned(),
            notes: vec!["of the model".to_owned()],
        };
        let reason = "a week ago was better".to_owned();
        let zone = Tz::Europe__London;
        let fallback = Fallback::fit(Rival::NaiveWeek, reason, known, origin(), zone).unwrap();
        let said = fallback.over(champion, known, horizon);
        for bin in 0..DAY {
            assert!(said.paths.each_ref().map(|path| path[bin]).is_sorted());
        }
        assert_eq!(said.notes[0], "a week ago was better");
        assert_eq!(said.notes.last().unwrap(), "of the model");
        said
    }

    #[test]
    fn the_same_time_on_the_audience_s_clock_is_repeated() {
        let truth = |bin: usize| jobs((bin as i64 + HOUR as i64) * 300 % 86_400);
        // also when nothing is known of the week before that
        for days in [35, 8] {
            let said = said(&london(days, |_, second| jobs(second)));
            assert_eq!(said.model, "seasonal-naive-7d (fallback)");
            assert_eq!(said.notes.len(), 2);
            for bin in HOUR..DAY {
                assert_eq!(said.paths[0][bin], truth(bin), "{days} {bin}");
            }
            // certain of it, though clocks changed the day before
            assert!(days == 8 || said.paths[3][HOUR] < 1.02 * said.paths[0][HOUR]);
        }
    }

    #[test]
    fn what_happened_once_is_not_repeated() {
        let last_monday = origin().timestamp() / 86_400 - 7;
        for factor in [0.02, 6.0] {
            let load = london(35, |day, second| {
                let once = day == last_monday && (3..13).contains(&(second / 3_600));
                jobs(second) * if once { factor } else { 1.0 }
            });
            let said = said(&load);
            for bin in HOUR..DAY {
                // from three to one by the clock, an hour ahead of UTC
                let once = (2 * HOUR..12 * HOUR).contains(&bin);
                assert_eq!(said.paths[0][bin] == 1.0, once, "{factor} {bin}");
                assert_eq!(said.paths[3][bin] == 4.0, once, "{factor} {bin}");
            }
            assert!(said.notes[1].starts_with("for 10.0 h"), "{}", said.notes[1]);
        }
    }

    #[test]
    fn a_level_at_which_nobody_was_judged_is_the_model_s() {
        let today = origin().timestamp() / 86_400;
        for (factor, follows) in [(2.5, false), (0.4, false), (1.2, true)] {
            let load = london(35, |day, second| {
                jobs(second) * if day >= today - 1 { factor } else { 1.0 }
            });
            let said = said(&load);
            assert_eq!(said.paths[0][DAY / 2] == 1.0, !follows, "{factor}");
            assert_eq!(said.model == "model", !follows, "{factor}");
            if !follows {
                assert!(said.paths[0].iter().all(|&value| value == 1.0));
                assert!(said.notes[1].contains("nobody"), "{}", said.notes[1]);
            }
        }
    }
}
