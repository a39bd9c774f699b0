//! What no public trace can show, on generated seasons: what contest entries are worth, first-ever
//! competitions, slates of many games, overtime, censored history, an opening Sunday.
//!
//! The small tests run always. The whole table over twenty seeds:
//! `cargo test --release --test forecasting seasons -- --ignored --nocapture`, with `ROWS=opener`
//! in the environment only the rows whose name contains that, with `SEEDS=3` over three.

use chrono::TimeDelta;
use tipoff::entries::Entries;
use tipoff::forecast::{EventResponse, Evidence, Fit, Forecast, Horizon, Predict, Quantile};
use tipoff::simulate::season::params::Booking;
use tipoff::simulate::season::{self, Generated, Group, Preset};

const ZONE: chrono_tz::Tz = chrono_tz::Tz::America__New_York;

/// One group of fixtures, forecast so many hours before its lock, with entries and without.
struct Played {
    group: Group,
    with: Forecast,
    without: Forecast,
    offered: Vec<(bool, f64, [f64; 4], [f64; 4])>,
}

/// Forecasts every group that locks `from_week` weeks or more after the load begins.
fn play(made: &Generated, lead: TimeDelta, from_week: i64, every: usize) -> Vec<Played> {
    let first = made.load.start() + TimeDelta::weeks(from_week);
    let groups = made
        .truth
        .iter()
        .filter(|group| !group.moved && group.lock - lead > first);
    groups
        .step_by(every)
        .map(|group| {
            let origin = group.lock - lead;
            let load = made.load.before(origin);
            let calendar = made.calendar.as_of(origin);
            let entries = made.entries.before(origin);
            let silent = Evidence::new(&load, &calendar).with_faults(&made.declared);
            let known = silent.with_entries(&entries);
            let fitted = EventResponse::new(ZONE).fit(known, origin).unwrap();
            let horizon = Horizon {
                origin,
                length: lead + TimeDelta::hours(8),
                step: TimeDelta::minutes(5),
            };
            let with = fitted.predict(known, horizon);
            // entries that are not there leave the calendar alone, with its own margins
            let none = Entries::default();
            let without = fitted.predict(silent.with_entries(&none), horizon);
            let window = (
                group.lock - TimeDelta::minutes(60),
                group.end + TimeDelta::minutes(75),
            );
            let offered = (0..with.len())
                .filter_map(|bin| {
                    let at = with.time(bin);
                    let actual = made.offered.at(at)?.as_per_second();
                    let paths = |f: &Forecast| Quantile::ALL.map(|q| f.path(q)[bin]);
                    let inside = at >= window.0 && at < window.1;
                    Some((inside, actual, paths(&with), paths(&without)))
                })
                .collect();
            Played {
                group: group.clone(),
                with,
                without,
                offered,
            }
        })
        .collect()
}

/// Figures of one way to forecast.
#[derive(Debug, Default)]
struct Figures {
    /// `ln(predicted / actual)` of the median peak, and whether its 95 % bound held, and the
    /// bound over the actual peak in logs.
    peaks: Vec<(f64, bool, f64)>,
    /// Actual peaks with their medians.
    loads: Vec<(f64, f64)>,
    event: (usize, usize),
    all: (usize, usize),
    width: f64,
}

impl Figures {
    fn add(&mut self, played: &Played, forecast: &Forecast, with: bool) {
        let starts = forecast.peaks.iter();
        let Some(peak) = starts.clone().find(|peak| peak.start == played.group.start) else {
            return;
        };
        let [p50, _, p95, _] = peak.quantiles;
        let actual = played.group.peak;
        self.peaks
            .push(((p50 / actual).ln(), actual <= p95, (p95 / actual).ln()));
        self.loads.push((actual, p50));
        for (inside, actual, by_entries, by_calendar) in &played.offered {
            let [p50, _, p95, _] = if with { by_entries } else { by_calendar };
            let covered = usize::from(actual <= p95);
            self.all.0 += covered;
            self.all.1 += 1;
            if *inside {
                self.event.0 += covered;
                self.event.1 += 1;
                self.width += p95 / p50;
            }
        }
    }

    fn error(&self) -> f64 {
        mean(self.peaks.iter().map(|peak| peak.0.abs()))
    }

    /// Capacity reserved over the load that came, when every median peak is multiplied by the one
    /// factor that covers 95 % of the peaks.
    fn reserved(&self) -> f64 {
        let mut factors: Vec<f64> = self
            .loads
            .iter()
            .map(|(actual, p50)| actual / p50)
            .collect();
        factors.sort_by(f64::total_cmp);
        let place = (0.95 * factors.len() as f64).ceil() as usize;
        let factor = factors[place.clamp(1, factors.len()) - 1];
        let (came, said): (f64, f64) = self
            .loads
            .iter()
            .fold((0.0, 0.0), |sums, load| (sums.0 + load.0, sums.1 + load.1));
        factor * said / came
    }

    fn row(&self, name: &str) -> String {
        let share = |counts: (usize, usize)| counts.0 as f64 / counts.1.max(1) as f64;
        let held = self.peaks.iter().filter(|peak| peak.1).count();
        format!(
            "{name:<26} {:>5} {:>9.3} {:>9.3} {:>9.2} {:>9.3} {:>9.3} {:>9.3} {:>9.2}",
            self.peaks.len(),
            self.error(),
            held as f64 / self.peaks.len().max(1) as f64,
            mean(self.peaks.iter().map(|peak| peak.2)).exp(),
            self.reserved(),
            share(self.event),
            share(self.all),
            self.width / self.event.1.max(1) as f64,
        )
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { f64::NAN }
}

fn figures(played: &[Played]) -> (Figures, Figures) {
    let (mut with, mut without) = (Figures::default(), Figures::default());
    for one in played {
        with.add(one, &one.with, true);
        without.add(one, &one.without, false);
    }
    (with, without)
}

#[test]
fn six_hours_before_the_lock_entries_make_peaks_surer_and_silence_is_said() {
    let made = season::generate(&Preset::Season.season(), None, 7).unwrap();
    // what reserves for 95 of 100 peaks is of sixteen windows the largest, and chance
    let played = play(&made, TimeDelta::hours(6), 8, 1);
    assert!(played.len() >= 60, "{}", played.len());
    let (with, without) = figures(&played);
    assert!(
        with.error() < without.error(),
        "{} {}",
        with.error(),
        without.error()
    );
    assert!(with.reserved() < without.reserved());
    for one in &played {
        let silent = |forecast: &Forecast| {
            let notes = forecast.notes.iter();
            notes
                .clone()
                .any(|note| note.contains("no entries are known"))
        };
        assert!(silent(&one.without), "{:?}", one.without.notes);
        assert!(!silent(&one.with), "{:?}", one.with.notes);
    }
}

#[test]
fn once_the_crowd_is_there_what_entries_said_of_it_does_not_count_twice() {
    let made = season::generate(&Preset::Season.season(), None, 7).unwrap();
    // an hour into the games
    let played = play(&made, TimeDelta::minutes(-60), 14, 2);
    assert!(played.len() >= 12, "{}", played.len());
    // WAPE with entries over that without, of so many bins
    let ratio = |bins: usize| {
        let rows = played.iter().flat_map(|one| one.offered.iter().take(bins));
        let errors = rows.fold((0.0, 0.0), |sums, (_, actual, with, without)| {
            let error = |said: &[f64; 4]| (actual - said[0]).abs();
            (sums.0 + error(with), sums.1 + error(without))
        });
        errors.0 / errors.1
    };
    assert!(ratio(3) < 1.2, "{}", ratio(3));
    assert!(ratio(36) < 0.9, "{}", ratio(36));
}

#[test]
fn an_opening_week_without_precedent_says_so_and_is_ready_for_more() {
    let made = season::generate(&Preset::Opener.season(), None, 3).unwrap();
    let opening = play(&made, TimeDelta::hours(24), 4, 1);
    let first = &opening[0];
    let of_first = |forecast: &Forecast| {
        let mut peaks = forecast.peaks.iter();
        peaks
            .find(|peak| peak.start == first.group.start)
            .cloned()
            .unwrap()
    };
    let peak = of_first(&first.without);
    let novelty = peak.novelty.unwrap();
    assert!(novelty.starts_with("no precedent"), "{novelty}");
    // the prior's band is wide: half as much again as any seasoned one, and some
    assert!(
        peak.quantiles[2] > 2.5 * peak.quantiles[0],
        "{:?}",
        peak.quantiles
    );
    let main = opening
        .iter()
        .find(|one| one.group.fixtures.len() > 5)
        .unwrap();
    let said = main
        .without
        .peaks
        .iter()
        .find(|peak| peak.start == main.group.start);
    assert!(said.unwrap().novelty.is_some());
}

#[test]
#[ignore = "minutes of work: prints the table of the whole"]
fn table_over_seeds() {
    let seeds: u64 = std::env::var("SEEDS").map_or(20, |text| text.parse().unwrap());
    let rows = std::env::var("ROWS").unwrap_or_default();
    println!(
        "{:<26} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "peaks", "|ln|", "under p95", "margin", "reserved", "c95 event", "c95 all", "width"
    );
    let quarter = seeds.div_ceil(4);
    // as unsure as the forecasting study takes the calendar to be: a deviation of .45
    let mut unsure = Preset::Season.season();
    unsure.crowd.shock_sd = 0.6;
    // what entries could be worth at most: they follow the crowd and their course exactly
    let mut telling = Preset::Season.season();
    telling.entries = Booking {
        link_sd: 0.0,
        pace_sd: 0.0,
        rate_sd: 0.0,
        hole_chance: 0.0,
        ..telling.entries
    };
    let preset = |preset: Preset| (preset.name(), preset.season());
    for ((name, season), hours, from_week, seeds) in [
        (preset(Preset::Season), 24, 12, seeds),
        (preset(Preset::Season), 6, 12, seeds),
        (preset(Preset::Season), 1, 12, seeds),
        (("unsure", unsure), 6, 12, seeds.div_ceil(2)),
        (("telling", telling), 6, 12, quarter),
        (preset(Preset::NewLeague), 6, 10, quarter),
        (preset(Preset::BigSlates), 6, 12, quarter),
        (preset(Preset::Overtime), 6, 12, quarter),
        (preset(Preset::Censored), 6, 12, quarter),
        (preset(Preset::Opener), 24, 4, seeds),
    ] {
        let row = format!("{name} {hours} h");
        if !row.contains(&rows) {
            continue;
        }
        let mut all = Vec::new();
        for seed in 1..=seeds {
            let made = season::generate(&season, None, seed).unwrap();
            all.extend(play(&made, TimeDelta::hours(hours), from_week, 1));
        }
        let (with, without) = figures(&all);
        println!("{}", without.row(&format!("{row} calendar")));
        println!("{}", with.row(&format!("{row} entries")));
        println!(
            "{:<26} reserved {:+.1} %, peak error {:+.1} %",
            "",
            100.0 * (with.reserved() / without.reserved() - 1.0),
            100.0 * (with.error() / without.error() - 1.0)
        );
    }
}
