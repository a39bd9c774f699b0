//! The forecaster on real traffic: the 1998 World Cup site, scored against seasonal-naive in the
//! same run, by the protocols of the forecasting study (daily and four-hourly origins, and every
//! five minutes with ten minutes of data delay).
//!
//! Skips, with a line saying so, where the trace is absent. With `FORECASTS_OUT` naming a
//! directory the forecasts are written there as `NAME__PROTOCOL.csv` for an outside scorer.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use tipoff::fixture::{Calendar, Fixture, Weight};
use tipoff::forecast::{
    EventResponse, Evidence, Fit, Forecast, Horizon, Predict, Quantile, SeasonalNaive,
};
use tipoff::series::Series;
use tipoff::units::Timestamp;

const STEP: TimeDelta = TimeDelta::minutes(5);

fn data() -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/wc98")).to_owned();
    if path.join("minute.csv.gz").exists() {
        Some(path)
    } else {
        println!("skipped: {} is absent", path.display());
        None
    }
}

fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn load(path: &Path) -> Series {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path.join("minute.csv.gz")).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut lines = text
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(at, value)| (time(at), value.parse::<f64>().unwrap() / 60.0))
        .peekable();
    let start = lines.peek().unwrap().0;
    let mut values = Vec::new();
    for (at, value) in lines {
        let place = (at - start).num_minutes() as usize;
        values.resize(place, f64::NAN);
        values.push(value);
    }
    Series::from_raw(start, TimeDelta::minutes(1), values)
}

fn calendar(path: &Path) -> Calendar {
    csv::Reader::from_path(path.join("fixtures.csv"))
        .unwrap()
        .records()
        .map(|record| {
            // id,start,competition,home,away,stage,duration,weight
            let record = record.unwrap();
            let mut fixture = Fixture::game(&record[0], &record[2], time(&record[1]));
            fixture.home = Some(record[3].to_owned());
            fixture.away = Some(record[4].to_owned());
            fixture.stage = Some(record[5].to_owned());
            fixture.weight = Some(Weight {
                value: record[7].parse().unwrap(),
                expires: None,
            });
            fixture
        })
        .collect()
}

fn june(day: u32) -> Timestamp {
    Utc.with_ymd_and_hms(1998, 6, day, 0, 0, 0).unwrap()
}

/// Errors of one contender: absolute error of the median, pinball at .95, load, coverage.
#[derive(Default)]
struct Score {
    error: f64,
    pinball: f64,
    load: f64,
    covered: usize,
    points: usize,
    csv: String,
}

impl Score {
    fn add(&mut self, forecast: &Forecast, bin: usize, actual: Option<f64>) {
        let at = forecast.time(bin);
        let q: Vec<f64> = Quantile::ALL
            .iter()
            .map(|&q| forecast.path(q)[bin])
            .collect();
        assert!(
            q.iter().all(|v| v.is_finite()) && q.is_sorted(),
            "{at}: {q:?}"
        );
        let _ = writeln!(
            self.csv,
            "{},{},{:.4},{:.4},{:.4},{:.4}",
            forecast.origin.format("%F %T"),
            at.format("%F %T"),
            q[0],
            q[1],
            q[2],
            q[3]
        );
        if let Some(actual) = actual {
            self.error += (actual - q[0]).abs();
            self.pinball += (0.95 * (actual - q[2])).max(0.05 * (q[2] - actual));
            self.load += actual;
            self.covered += usize::from(actual <= q[2]);
            self.points += 1;
        }
    }

    fn wape(&self) -> f64 {
        self.error / self.load
    }

    fn wql95(&self) -> f64 {
        2.0 * self.pinball / self.load
    }

    fn report(&self, name: &str, protocol: &str) {
        println!(
            "{protocol:<4}{name:<20} WAPE {:.3}  wQL95 {:.3}  c95 {:.3}  n {}",
            self.wape(),
            self.wql95(),
            self.covered as f64 / self.points as f64,
            self.points
        );
    }

    /// Writes the forecasts for an outside scorer, where one wants them.
    fn write(&self, name: &str, protocol: &str) {
        if let Ok(out) = std::env::var("FORECASTS_OUT") {
            let header = "origin,target,q50,q90,q95,q99\n";
            let file = Path::new(&out).join(format!("{name}__{protocol}.csv"));
            std::fs::write(file, format!("{header}{}", self.csv)).unwrap();
        }
    }
}

struct Bench {
    series: Series,
    five: Vec<Option<f64>>,
    calendar: Calendar,
}

impl Bench {
    fn open() -> Option<Self> {
        let path = data()?;
        let series = load(&path);
        let five = (0..16 * 288)
            .map(|bin| {
                let from = june(10) + STEP * bin;
                let known: Vec<f64> = (0..5)
                    .filter_map(|minute| series.at(from + TimeDelta::minutes(minute)))
                    .map(tipoff::units::Rate::as_per_second)
                    .collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
            })
            .collect();
        Some(Self {
            series,
            five,
            calendar: calendar(&path),
        })
    }

    fn actual(&self, at: Timestamp) -> Option<f64> {
        let bin = usize::try_from((at - june(10)).num_minutes() / 5).ok()?;
        self.five.get(bin).copied().flatten()
    }

    /// Fits at every origin and scores the bins whose lead lies in `[from, to)` hours.
    fn roll<M: Fit>(
        &self,
        model: &M,
        first: Timestamp,
        every: TimeDelta,
        length: TimeDelta,
        peaks: &mut String,
    ) -> Vec<Forecast> {
        let mut origin = first;
        let mut all = Vec::new();
        while origin < june(26) {
            let known = self.series.before(origin);
            let fitted = model
                .fit(Evidence::new(&known, &self.calendar), origin)
                .unwrap();
            let horizon = Horizon {
                origin,
                length,
                step: STEP,
            };
            let forecast = fitted.predict(Evidence::new(&known, &self.calendar), horizon);
            for peak in &forecast.peaks {
                if peak.start >= origin {
                    let q = peak.quantiles;
                    let _ = writeln!(
                        peaks,
                        "{},{},{:.3},{:.3},{:.3},{:.3}",
                        origin.format("%F %T"),
                        peak.start.format("%F %T"),
                        q[0],
                        q[1],
                        q[2],
                        q[3]
                    );
                }
            }
            all.push(forecast);
            origin += every;
        }
        all
    }

    /// Prints how the peaks around kick-offs fared, each as it was forecast last, so long before
    /// it or longer.
    fn report_peaks(&self, forecasts: &[Forecast], protocol: &str, least: TimeDelta) {
        let mut said = std::collections::BTreeMap::new();
        for forecast in forecasts {
            let ahead = |start: Timestamp| start - forecast.origin >= least;
            for peak in forecast.peaks.iter().filter(|peak| ahead(peak.start)) {
                said.insert(peak.start, peak.quantiles);
            }
        }
        let (mut windows, mut error, mut under, mut margin) = (0_u32, 0.0, 0_u32, 0.0);
        for (start, [p50, _, p95, _]) in said.range(june(10)..june(26)) {
            let from = *start - TimeDelta::hours(1);
            let bins = (0..).map(|bin| from + STEP * bin);
            let actual = bins
                .take_while(|at| *at < from + AROUND)
                .filter_map(|at| self.actual(at))
                .fold(0.0, f64::max);
            windows += 1;
            error += (p50 / actual).ln().abs();
            under += u32::from(actual <= *p95);
            margin += p95 / actual;
        }
        let windows_f = f64::from(windows);
        println!(
            "{protocol:<4}peaks error {:.3}  under {:.3}  margin {:.2}  n {windows}",
            error / windows_f,
            f64::from(under) / windows_f,
            margin / windows_f
        );
    }

    fn score(&self, forecasts: &[Forecast], from: TimeDelta, to: TimeDelta) -> Score {
        let mut score = Score::default();
        for forecast in forecasts {
            for bin in 0..forecast.len() {
                let at = forecast.time(bin);
                let lead = at - forecast.origin;
                if at >= june(10) && at < june(26) && lead >= from && lead < to {
                    score.add(forecast, bin, self.actual(at));
                }
            }
        }
        score
    }
}

/// Length of a window around a kick-off, from an hour before it on.
const AROUND: TimeDelta = TimeDelta::minutes(60 + 185);

fn write_peaks(name: &str, protocol: &str, peaks: &str) {
    if let Ok(out) = std::env::var("FORECASTS_OUT") {
        let file = Path::new(&out).join(format!("{name}__{protocol}__peaks.csv"));
        std::fs::write(file, format!("origin,kickoff,p50,p90,p95,p99\n{peaks}")).unwrap();
    }
}

#[test]
fn a_day_and_two_ahead_it_beats_seasonal_naive() {
    let Some(bench) = Bench::open() else { return };
    let (first, day, two) = (june(9), TimeDelta::days(1), TimeDelta::days(2));
    let mut peaks = String::new();
    let ours = bench.roll(&EventResponse::new(Tz::UTC), first, day, two, &mut peaks);
    write_peaks("tipoff", "day", &peaks);
    let yesterday = bench.roll(&SeasonalNaive::DAY, first, day, two, &mut String::new());
    let last_week = bench.roll(&SeasonalNaive::WEEK, first, day, two, &mut String::new());
    let zero = TimeDelta::zero();
    for (name, forecasts) in [
        ("tipoff", &ours),
        ("naive-day", &yesterday),
        ("naive-week", &last_week),
    ] {
        bench.score(forecasts, zero, two).write(name, "day");
    }
    for (protocol, from, to) in [("D1", zero, day), ("D2", day, two)] {
        let mine = bench.score(&ours, from, to);
        mine.report("tipoff", protocol);
        for (name, naive) in [("naive-day", &yesterday), ("naive-week", &last_week)] {
            let naive = bench.score(naive, from, to);
            naive.report(name, protocol);
            assert!(mine.wape() < naive.wape(), "{protocol} {name}");
            assert!(mine.wql95() < naive.wql95(), "{protocol} {name}");
        }
    }
    bench.report_peaks(&ours, "D1", zero);
}

#[test]
fn four_hours_ahead_it_beats_seasonal_naive() {
    let Some(bench) = Bench::open() else { return };
    let four = TimeDelta::hours(4);
    let mut peaks = String::new();
    let ours = bench.roll(
        &EventResponse::new(Tz::UTC),
        june(10),
        four,
        four,
        &mut peaks,
    );
    write_peaks("tipoff", "h4", &peaks);
    let mine = bench.score(&ours, TimeDelta::zero(), four);
    mine.report("tipoff", "h4");
    mine.write("tipoff", "h4");
    bench.report_peaks(&ours, "h4", TimeDelta::hours(1));
    for (name, model) in [
        ("naive-day", SeasonalNaive::DAY),
        ("naive-week", SeasonalNaive::WEEK),
    ] {
        let naive = bench.roll(&model, june(10), four, four, &mut String::new());
        let naive = bench.score(&naive, TimeDelta::zero(), four);
        naive.report(name, "h4");
        naive.write(name, "h4");
        assert!(mine.wape() < naive.wape(), "{name}");
        assert!(mine.wql95() < naive.wql95(), "{name}");
    }
}

#[test]
fn minutes_ahead_it_beats_persistence() {
    let Some(bench) = Bench::open() else { return };
    let (delay, length) = (TimeDelta::minutes(10), TimeDelta::minutes(15));
    let model = EventResponse::new(Tz::UTC);
    let (mut mine, mut persistence) = (Score::default(), 0.0);
    let mut target = june(10);
    let mut fitted = None;
    while target < june(26) {
        let origin = target - delay;
        let known = bench.series.before(origin);
        if fitted.is_none() || (target - june(10)).num_minutes() % 240 == 0 {
            fitted = Some(
                model
                    .fit(Evidence::new(&known, &bench.calendar), origin)
                    .unwrap(),
            );
        }
        let recent = known.between(origin - TimeDelta::hours(25), origin);
        let horizon = Horizon {
            origin,
            length,
            step: STEP,
        };
        let forecast = fitted
            .as_ref()
            .unwrap()
            .predict(Evidence::new(&recent, &bench.calendar), horizon);
        let actual = bench.actual(target);
        mine.add(&forecast, 2, actual);
        if let (Some(actual), Some(last)) = (actual, bench.actual(origin - STEP)) {
            persistence += (actual - last).abs();
        }
        target += STEP;
    }
    mine.report("tipoff", "n15");
    mine.write("tipoff", "n15");
    println!("n15 persistence WAPE {:.3}", persistence / mine.load);
    assert!(mine.error < persistence);
}
