//! Real load files: all must be read, or refused for a true reason.
//!
//! The files are not part of the project; without them these tests say so and pass.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail like the test"
)]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs::File;
use std::path::PathBuf;

use chrono::TimeDelta;
use tipoff::series::csv::{LoadFile, Per, read_load};

fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(name);
    if path.exists() {
        Some(path)
    } else {
        println!("skipped: {name} is not here");
        None
    }
}

fn read(name: &str, per: &str) -> Option<Result<LoadFile, String>> {
    let path = data(name)?;
    let file = File::open(path).unwrap();
    Some(read_load(file, name, per.parse().unwrap()).map_err(|error| error.to_string()))
}

#[test]
fn world_cup_counts_per_minute_become_rates() {
    let Some(file) = read("wc98/minute.csv.gz", "1m") else {
        return;
    };
    let file = file.unwrap();
    assert_eq!(file.column, "requests");
    assert_eq!(file.rows, 80_790);
    assert_eq!(file.series.step(), TimeDelta::minutes(1));
    assert_eq!(
        file.series.start().to_rfc3339(),
        "1998-04-30T21:30:00+00:00"
    );
    assert_eq!(file.series.end().to_rfc3339(), "1998-06-26T00:00:00+00:00");
    assert_eq!(file.series.gaps(), 0);
}

#[test]
fn a_month_of_minutes_has_one_bin_per_minute() {
    let Some(file) = read("series/nasa1995_july_minute.csv.gz", "1m") else {
        return;
    };
    let file = file.unwrap();
    assert_eq!(file.series.step(), TimeDelta::minutes(1));
    assert_eq!(file.series.len(), file.rows + file.series.gaps());
}

#[test]
fn naive_timestamps_are_refused_as_such() {
    for name in [
        "series/nab_elb_request_count_5min.csv",
        "series/nab_nyc_taxi_30min.csv.gz",
    ] {
        let Some(file) = read(name, "5m") else {
            return;
        };
        let error = file.unwrap_err();
        assert!(
            error.contains(":2: ") && error.contains("has no zone"),
            "{error}"
        );
    }
}

#[test]
fn tables_that_are_no_load_history_are_refused_by_their_header() {
    for name in [
        "entries/fpl_top20_transfer_rate_2025.csv",
        "spikes/rwc2019_events.csv",
        "wc98/fixtures.csv",
    ] {
        let Some(file) = read(name, "1s") else {
            return;
        };
        let error = file.unwrap_err();
        assert!(
            error.contains(":1: ") && error.contains("timestamp_utc,value"),
            "{error}"
        );
    }
    assert_eq!(Per::default(), Per::SECOND);
}
