//! What if the crowd were larger, or entries came faster: changes to a forecast and to what it is
//! made from. Changes to fixtures are in `fixture::edit`.

use std::collections::BTreeMap;

use super::Forecast;
use crate::entries::{Entries, SlateEntries};
use crate::fixture::slate::ANOTHER_ROUND;
use crate::fixture::{Calendar, Fixture};
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// The forecast of `factor` times the load, everywhere.
#[must_use]
pub fn larger(forecast: &Forecast, factor: f64) -> Forecast {
    let mut larger = forecast.clone();
    for value in larger.paths.iter_mut().flatten() {
        *value *= factor;
    }
    for peak in &mut larger.peaks {
        peak.quantiles = peak.quantiles.map(|value| value * factor);
    }
    larger
}

/// The forecast when what a fixture brings is `factor` times as much: `with` it as forecast and
/// `without` it, on the same grid. Peaks grow as the paths within their windows do. Where load is
/// lower because of it, it stays what is forecast: a larger crowd lowers nothing.
#[must_use]
pub fn larger_crowd(with: &Forecast, without: &Forecast, factor: f64) -> Forecast {
    let mut larger = with.clone();
    for (path, less) in larger.paths.iter_mut().zip(&without.paths) {
        for (value, less) in path.iter_mut().zip(less) {
            let changed = (less + factor * (*value - less)).max(0.0);
            *value = if factor > 1.0 {
                value.max(changed)
            } else {
                changed
            };
        }
    }
    for bin in 0..larger.len() {
        // a factor below one can turn quantiles over where a fixture lowers load
        let mut floor = 0.0_f64;
        for path in &mut larger.paths {
            floor = floor.max(path[bin]);
            path[bin] = floor;
        }
    }
    for place in 0..larger.peaks.len() {
        let (from, to) = (larger.peaks[place].from, larger.peaks[place].to);
        let top = |forecast: &Forecast| {
            let found = forecast.max_over(super::Quantile::P50, from, to);
            found.map_or((from, 0.0), |(at, rate)| (at, rate.as_per_second()))
        };
        let ((at, after), (_, before)) = (top(&larger), top(with));
        let peak = &mut larger.peaks[place];
        if before > 0.0 {
            peak.quantiles = peak.quantiles.map(|value| value * after / before);
            peak.at = at;
            // whose crowd it is then was not asked
            peak.drawn_by.clear();
        }
    }
    larger
}

/// The entries if every slate that has not locked at `at` had sold `factor` times as fast. Entries
/// of a slate whose name was used before, and those without a slate, count from the last lock on.
#[must_use]
pub fn paced(entries: &Entries, calendar: &Calendar, at: Timestamp, factor: f64) -> Entries {
    let mut locks: BTreeMap<Option<&str>, Locks> = BTreeMap::new();
    for fixture in calendar.iter() {
        let lock = fixture.lock();
        locks.entry(None).or_default().add(lock, at);
        if let Some(slate) = &fixture.slate {
            locks.entry(Some(slate)).or_default().add(lock, at);
        }
    }
    let mut paced = Entries::default();
    for (slate, known) in entries.iter() {
        let locks = locks.get(&slate).copied().unwrap_or_default();
        let open = slate.is_none() || locks.sells();
        let from = locks.last;
        let values = known
            .rate
            .iter()
            .map(|(time, rate)| {
                let counts = open && from.is_none_or(|from| time >= from);
                let rate = rate.map_or(f64::NAN, Rate::as_per_second);
                if counts { rate * factor } else { rate }
            })
            .collect();
        paced.insert(
            slate.map(str::to_owned),
            SlateEntries {
                rate: Series::from_raw(known.rate.start(), known.rate.step(), values),
                spots: known.spots.clone(),
            },
        );
    }
    paced
}

/// The locks of one slate around a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Locks {
    last: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Locks {
    fn add(&mut self, lock: Timestamp, at: Timestamp) {
        if lock <= at {
            self.last = self.last.max(Some(lock));
        } else {
            self.next = Some(self.next.map_or(lock, |next| next.min(lock)));
        }
    }

    /// True while a round is to come of which no game has locked, or none is known at all.
    fn sells(self) -> bool {
        match (self.last, self.next) {
            (Some(last), Some(next)) => next - last > ANOTHER_ROUND,
            (last, next) => next.is_some() || last.is_none(),
        }
    }
}

/// What of a forecast lies beyond everything in the history, and so beyond what its band was
/// measured on. `load` is the history, at any step; of the competition of each added fixture so
/// many are in it.
pub fn extrapolation(
    forecast: &Forecast,
    load: &Series,
    added: &[(&Fixture, usize)],
) -> Vec<String> {
    let mut said = Vec::new();
    let top = |path: &[f64]| path.iter().copied().fold(0.0, f64::max);
    let seen = load.before(forecast.origin).peak();
    if let Some((at, most)) = seen.filter(|(_, most)| most.as_per_second() > 0.0) {
        let median = top(&forecast.paths[0]) / most.as_per_second();
        // what is not told apart in a digit after the point is no larger
        if median >= 1.05 {
            said.push(format!(
                "its median reaches {median:.1} times the largest load so far ({most} on {}): \
                 nothing as large was seen, and the band was not measured there",
                at.format("%F")
            ));
        }
    }
    for (fixture, kin) in added {
        let (title, competition) = (fixture.title(), &fixture.competition);
        said.push(if *kin == 0 {
            format!(
                "{title} is of your making, and no fixture of {competition} is in the history: \
                 its answer is believed, not learnt"
            )
        } else {
            format!("{title} is of your making: it answers as fixtures of {competition} did")
        });
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::FixtureId;
    use crate::forecast::PeakForecast;
    use chrono::TimeDelta;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn forecast(median: &[f64]) -> Forecast {
        let path = |factor: f64| median.iter().map(|value| value * factor).collect();
        let top = median.iter().copied().fold(0.0, f64::max);
        Forecast {
            origin: at(0),
            start: at(0),
            step: TimeDelta::minutes(5),
            paths: [path(1.0), path(1.5), path(2.0), path(3.0)],
            peaks: vec![PeakForecast {
                fixtures: vec![FixtureId("a".into())],
                start: at(5),
                from: at(0),
                to: at(20),
                at: at(10),
                quantiles: [top, 1.4 * top, 1.9 * top, 2.8 * top],
                drawn_by: Vec::new(),
                novelty: None,
            }],
            model: "test".into(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn all_load_grows_by_the_factor() {
        let before = forecast(&[1.0, 2.0, 4.0, 1.0]);
        let after = larger(&before, 8.0);
        assert_eq!(after.paths[0], [8.0, 16.0, 32.0, 8.0]);
        assert_eq!(after.peaks[0].quantiles[0], 32.0);
        assert_eq!(larger(&before, 1.0), before);
    }

    #[test]
    fn a_larger_crowd_grows_what_the_fixture_brings_and_nothing_else() {
        let (with, without) = (forecast(&[1.0, 2.0, 4.0, 1.0]), forecast(&[1.0; 4]));
        let after = larger_crowd(&with, &without, 3.0);
        assert_eq!(after.paths[0], [1.0, 4.0, 10.0, 1.0]);
        assert!((after.peaks[0].quantiles[0] - 10.0).abs() < 1e-12);
        assert!((after.peaks[0].quantiles[2] / after.peaks[0].quantiles[0] - 1.9).abs() < 1e-12);
        assert_eq!(larger_crowd(&with, &without, 0.0).paths, without.paths);
        // a fixture that others make way for
        assert_eq!(larger_crowd(&without, &with, 5.0).paths, without.paths);
        let lowers = larger_crowd(&without, &with, 0.5);
        for bin in 0..4 {
            let column: Vec<f64> = lowers.paths.iter().map(|path| path[bin]).collect();
            assert!(column.is_sorted() && column[0] >= 0.0);
        }
    }

    #[test]
    fn only_open_slates_sell_faster() {
        let slate = |id: &str, minute: i64| {
            let mut fixture = Fixture::game(id, "cup", at(minute));
            fixture.slate = Some(id.into());
            fixture
        };
        let calendar: Calendar = [slate("gone", 10), slate("open", 60)].into_iter().collect();
        let mut entries = Entries::default();
        for name in [Some("gone"), Some("open"), None] {
            let rate =
                Series::from_raw(at(0), TimeDelta::minutes(5), vec![1.0, f64::NAN, 2.0, 2.0]);
            let spots = vec![(at(0), 9.0)];
            entries.insert(name.map(str::to_owned), SlateEntries { rate, spots });
        }
        let faster = paced(&entries, &calendar, at(20), 1.5);
        let values = |name: Option<&str>| -> Vec<Option<f64>> {
            let rate = &faster.get(name).unwrap().rate;
            rate.iter()
                .map(|(_, rate)| rate.map(Rate::as_per_second))
                .collect()
        };
        assert_eq!(
            values(Some("gone")),
            [Some(1.0), None, Some(2.0), Some(2.0)]
        );
        assert_eq!(
            values(Some("open")),
            [Some(1.5), None, Some(3.0), Some(3.0)]
        );
        assert_eq!(values(None), [Some(1.0), None, Some(3.0), Some(3.0)]);
        assert_eq!(faster.get(None).unwrap().spots, [(at(0), 9.0)]);
    }

    #[test]
    fn a_slate_named_as_one_that_has_locked_sells_faster_since_then() {
        let games = [("first", 10), ("second", 3_000)].map(|(id, minute)| {
            let mut fixture = Fixture::game(id, "cup", at(minute));
            fixture.slate = Some("main".into());
            fixture
        });
        let calendar: Calendar = games.into_iter().collect();
        let mut entries = Entries::default();
        let rate = Series::from_raw(at(0), TimeDelta::minutes(5), vec![1.0; 4]);
        let spots = Vec::new();
        entries.insert(Some("main".into()), SlateEntries { rate, spots });
        let faster = paced(&entries, &calendar, at(20), 3.0);
        assert_eq!(
            faster.get(Some("main")).unwrap().rate.raw(),
            [1.0, 1.0, 3.0, 3.0]
        );
    }

    #[test]
    fn what_was_never_seen_is_said() {
        let load = Series::from_raw(
            at(-20),
            TimeDelta::minutes(5),
            vec![1.0, 3.0, 2.0, 1.0, 99.0],
        );
        let calm = forecast(&[1.0, 2.0]);
        assert!(extrapolation(&calm, &load, &[]).is_empty());
        let game = Fixture::game("x", "kabaddi", at(9));
        assert!(extrapolation(&calm, &load, &[(&game, 3)])[0].ends_with("fixtures of kabaddi did"));
        let first = extrapolation(&calm, &load, &[(&game, 0)]);
        assert!(
            first[0].contains("no fixture of kabaddi is in the history"),
            "{first:?}"
        );
        let said = extrapolation(&larger(&calm, 8.0), &load, &[]);
        assert!(
            said[0].contains("5.3 times the largest load so far (3.00/s on 1969-12-31)"),
            "{said:?}"
        );
    }
}
