//! The sample scenario that is shipped: made by our own generator, and still the same.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use tipoff::fixture::{Calendar, Fixture, export};
use tipoff::series::Series;
use tipoff::series::csv::{Per, read_load, write_load};
use tipoff::simulate::traffic::sunday::{earlier_weeks, week_one_2023};
use tipoff::simulate::{GameDay, Traffic};
use tipoff::units::Timestamp;

const SEED: u64 = 2023;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/backtest")
}

fn fixtures() -> Calendar {
    let sunday = week_one_2023();
    sunday
        .iter()
        .chain(earlier_weeks(&sunday, 4).iter())
        .cloned()
        .collect()
}

/// Five Sundays and the days between, a value a minute, rounded to whole units.
fn generated() -> Series {
    let traffic = Traffic::new(GameDay::default(), &fixtures(), SEED);
    let to: Timestamp = "2023-09-11T06:00:00Z".parse().unwrap();
    let exact = traffic.series(to - TimeDelta::days(30), to, TimeDelta::minutes(1));
    let rounded = exact.raw().iter().map(|rate| rate.round()).collect();
    Series::from_raw(exact.start(), exact.step(), rounded)
}

#[test]
fn the_shipped_sample_is_what_the_generator_makes() {
    let load = folder().join("nfl-sunday-load.csv.gz");
    let table = folder().join("nfl-sunday-fixtures.csv");
    let calendar = fixtures();
    let in_order: Vec<&Fixture> = calendar.starting_between(
        "2023-01-01T00:00:00Z".parse().unwrap(),
        "2024-01-01T00:00:00Z".parse().unwrap(),
    );
    let text = export::to_csv(in_order).unwrap();
    let series = generated();
    if std::env::var_os("UPDATE_SAMPLES").is_some() {
        let file = fs::File::create(&load).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::best());
        write_load(&mut packed, &series, "requests_per_second").unwrap();
        packed.finish().unwrap();
        fs::write(&table, &text).unwrap();
        println!("written: {} and {}", load.display(), table.display());
    }
    let shipped = read_load(fs::File::open(&load).unwrap(), "sample", Per::SECOND).unwrap();
    assert!(
        shipped.series == series,
        "the generator has changed: run again with UPDATE_SAMPLES=1 and commit both files"
    );
    assert!(
        fs::read_to_string(&table).unwrap() == text,
        "run again with UPDATE_SAMPLES=1"
    );
}
