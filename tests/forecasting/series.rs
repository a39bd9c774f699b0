//! The forecaster on ordinary series without fixtures: it must not lose to MSTL or
//! seasonal-naive by more than noise. Prints a table per series (`cargo test --test
//! forecasting series -- --nocapture`). Skips, with a line saying so, where the series are absent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tipoff::fixture::Calendar;
use tipoff::forecast::{
    Evidence, Fit, Forecast, Forecaster, Horizon, Mstl, Predict, Quantile, SeasonalNaive,
};
use tipoff::series::Series;
use tipoff::units::Timestamp;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/series");

/// One column of a CSV whose times are taken as UTC; repeats keep the last.
fn series(file: &str, column: usize, minutes: i64, seconds: f64) -> Option<Series> {
    let path = Path::new(FOLDER).join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let rows: BTreeMap<NaiveDateTime, f64> = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let at = fields[0].trim_end_matches('Z').parse().unwrap();
            Some((at, fields[column].parse::<f64>().ok()? / seconds))
        })
        .collect();
    let start = *rows.keys().next().unwrap();
    let mut values = Vec::new();
    for (at, value) in rows {
        let place = ((at - start).num_minutes() / minutes) as usize;
        if place >= values.len() {
            values.resize(place, f64::NAN);
            values.push(value);
        }
    }
    Some(Series::from_raw(
        start.and_utc(),
        TimeDelta::minutes(minutes),
        values,
    ))
}

/// A series to forecast.
struct Ordinary {
    name: &'static str,
    file: &'static str,
    column: usize,
    /// Minutes a bin lasts.
    minutes: i64,
    /// Last days forecast.
    days: i64,
}

const ORDINARY: [Ordinary; 6] = [
    Ordinary {
        name: "load balancer",
        file: "nab_elb_request_count_5min.csv",
        column: 1,
        minutes: 5,
        days: 7,
    },
    Ordinary {
        name: "taxi",
        file: "nab_nyc_taxi_30min.csv.gz",
        column: 1,
        minutes: 30,
        days: 28,
    },
    Ordinary {
        name: "tweets AAPL",
        file: "nab_twitter_volume_5min.csv.gz",
        column: 1,
        minutes: 5,
        days: 14,
    },
    Ordinary {
        name: "tweets AMZN",
        file: "nab_twitter_volume_5min.csv.gz",
        column: 2,
        minutes: 5,
        days: 14,
    },
    Ordinary {
        name: "tweets UPS",
        file: "nab_twitter_volume_5min.csv.gz",
        column: 10,
        minutes: 5,
        days: 14,
    },
    Ordinary {
        name: "NASA",
        file: "nasa1995_july_minute.csv.gz",
        column: 1,
        minutes: 1,
        days: 14,
    },
];

/// Sums over one day.
#[derive(Debug, Clone, Copy, Default)]
struct Day {
    load: f64,
    error: f64,
    /// Twice the pinball loss of the 95 % path.
    loss: f64,
    covered: f64,
    points: f64,
}

impl Day {
    fn of(forecast: &Forecast, series: &Series) -> Self {
        let mut day = Self::default();
        for bin in 0..forecast.len() {
            let Some(actual) = series.at(forecast.time(bin)) else {
                continue;
            };
            let actual = actual.as_per_second();
            let [p50, p95] = [Quantile::P50, Quantile::P95].map(|q| forecast.path(q)[bin]);
            day.load += actual;
            day.error += (p50 - actual).abs();
            day.loss += 2.0 * f64::max(0.95 * (actual - p95), 0.05 * (p95 - actual));
            day.covered += f64::from(u8::from(actual <= p95));
            day.points += 1.0;
        }
        day
    }
}

/// A measure of a day that is compared per unit of load.
type Measure = fn(&Day) -> f64;

const MEASURES: [(&str, Measure); 2] = [("WAPE", |day| day.error), ("wQL95", |day| day.loss)];

/// One forecaster's days.
struct Row {
    model: &'static str,
    days: Vec<Day>,
}

impl Row {
    fn sum(&self, of: Measure) -> f64 {
        self.days.iter().map(of).sum()
    }

    fn per_load(&self, of: Measure) -> f64 {
        self.sum(of) / self.sum(|day| day.load)
    }

    fn covered(&self) -> f64 {
        self.sum(|day| day.covered) / self.sum(|day| day.points)
    }

    /// How much worse than another per unit of load: the middle 95 % over days drawn again with
    /// replacement, both forecasters on the same days.
    fn worse_than(&self, other: &Self, of: Measure) -> (f64, f64) {
        const DRAWS: usize = 4_000;
        let mut random = StdRng::seed_from_u64(1);
        let mut differences: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let (mut difference, mut load) = (0.0, 0.0);
                for _ in &self.days {
                    let day = random.random_range(0..self.days.len());
                    difference += of(&self.days[day]) - of(&other.days[day]);
                    load += self.days[day].load;
                }
                difference / load
            })
            .collect();
        differences.sort_by(f64::total_cmp);
        (differences[DRAWS / 40], differences[DRAWS - 1 - DRAWS / 40])
    }
}

/// Every forecaster on the same daily origins, a day ahead; ours without and with its fallback
/// first.
fn rows(series: &Series, days: i64) -> Vec<Row> {
    let calendar = Calendar::default();
    let known = Evidence::new(series, &calendar);
    let mut rows: Vec<Row> = [
        "event-response",
        "with fallback",
        "mstl",
        "naive day",
        "naive week",
    ]
    .map(|model| Row {
        model,
        days: Vec::new(),
    })
    .into();
    for day in (1..=days).rev() {
        let origin: Timestamp = series.end() - TimeDelta::days(day);
        let horizon = Horizon {
            origin,
            length: TimeDelta::days(1),
            step: series.step(),
        };
        let ours = Forecaster::new(Tz::UTC).fit(known, origin).unwrap();
        let naive =
            |naive: SeasonalNaive| naive.fit(known, origin).unwrap().predict(known, horizon);
        let said = [
            ours.champion().predict(known, horizon),
            ours.predict(known, horizon),
            Mstl.fit(known, origin).unwrap().predict(known, horizon),
            naive(SeasonalNaive::DAY),
            naive(SeasonalNaive::WEEK),
        ];
        for (row, forecast) in rows.iter_mut().zip(&said) {
            row.days.push(Day::of(forecast, series));
        }
    }
    rows
}

/// The table of one series, and where ours is worse than the best rival by more than noise.
fn compared(name: &str, rows: &[Row]) -> (String, Vec<String>) {
    let mut table = format!("\n{name}, {} days\n", rows[0].days.len());
    table += "                   WAPE   wQL95     c95\n";
    for row in rows {
        let [wape, loss] = MEASURES.map(|(_, of)| row.per_load(of));
        let covered = row.covered();
        let _ = writeln!(
            table,
            "  {:<14} {wape:>6.3}  {loss:>6.3}  {covered:>6.3}",
            row.model
        );
    }
    let mut failures = Vec::new();
    let (ours, rivals) = (&rows[0], &rows[2..]);
    for (measure, of) in MEASURES {
        let best = rivals
            .iter()
            .min_by(|a, b| a.per_load(of).total_cmp(&b.per_load(of)))
            .unwrap();
        let (low, high) = ours.worse_than(best, of);
        let line = format!(
            "{measure} {:+.3} against {} (95 %: {low:+.3} to {high:+.3})",
            ours.per_load(of) - best.per_load(of),
            best.model
        );
        let _ = writeln!(table, "  {line}");
        if low > 0.0 {
            failures.push(format!("{name}: {line}"));
        }
    }
    (table, failures)
}

#[test]
fn ordinary_series_are_forecast_no_worse_than_by_those_who_need_no_fixtures() {
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = ORDINARY
            .iter()
            .map(|ordinary| {
                scope.spawn(move || {
                    let Ordinary {
                        name,
                        file,
                        column,
                        minutes,
                        days,
                    } = *ordinary;
                    let seconds = 60.0 * minutes as f64;
                    let series = series(file, column, minutes, seconds)?;
                    let rows = rows(&series, days);
                    Some((compared(name, &rows), name, rows[0].covered()))
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for ((table, _), ..) in results.iter().flatten() {
        print!("{table}");
    }
    for ((_, failures), name, covered) in results.iter().flatten() {
        assert!(failures.is_empty(), "{failures:#?}");
        assert!(*covered >= 0.90, "{name}: {covered:.3}");
    }
}

#[test]
fn a_forecaster_worse_every_day_is_found_and_an_equal_one_is_not() {
    let days = |errors: &[f64]| -> Vec<Day> {
        let day = |&error: &f64| Day {
            load: 1.0,
            error,
            ..Day::default()
        };
        errors.iter().map(day).collect()
    };
    let row = |errors: &[f64]| Row {
        model: "x",
        days: days(errors),
    };
    let best = row(&[0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1]);
    let worse = row(&[0.2, 0.3, 0.2, 0.4, 0.2, 0.3, 0.2]);
    let mixed = row(&[0.2, 0.1, 0.2, 0.1, 0.2, 0.1, 0.1]);
    let of = MEASURES[0].1;
    assert!(worse.worse_than(&best, of).0 > 0.0);
    assert!(mixed.worse_than(&best, of).0 < 0.0);
    assert_eq!(best.worse_than(&best, of), (0.0, 0.0));
}
