//! `tipoff spikes` as a person types it: a load of seconds with one burst, and files that are none.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::{Run, subcommand};

/// Ten minutes at about 200 a second, with four times that from the fifth on.
fn burst(folder: &Path) -> String {
    let mut text = "timestamp_utc,match,goals\n".to_owned();
    for second in 0..600 {
        let wobble = second * 7 % 23;
        let load = if second >= 300 { 800 } else { 200 } + wobble;
        let (minute, second) = (second / 60, second % 60);
        writeln!(text, "2026-09-13T17:{minute:02}:{second:02}Z,final,{load}").unwrap();
    }
    let file = folder.join("load.csv");
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn a_burst_of_a_recorded_load_is_told_with_how_soon_it_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let load = burst(folder.path());
    let arguments = ["--load", &load, "--value", "goals", "--by", "match"];
    let Run {
        code,
        stdout,
        stderr,
    } = subcommand("spikes", &arguments);
    assert_eq!(code, 0, "{stderr}");
    let ours = stdout
        .lines()
        .find(|line| line.contains("fast loop"))
        .unwrap();
    let words: Vec<&str> = ours.split_whitespace().collect();
    // load, seconds, bursts | watcher | seen, held, missed, median, p90, max, false, a day
    assert_eq!(words[..3], ["final", "600", "1"], "{ours}");
    assert_eq!(
        words[6..13],
        ["1", "0", "0", "1.00", "1.00", "1.00", "0"],
        "{ours}"
    );
    assert!(
        stdout.contains("below zero, the alarm came so long before it"),
        "{stdout}"
    );
    let panic = stdout.lines().find(|line| line.contains("KPA")).unwrap();
    assert!(panic.contains(" 3.00 "), "{panic}");
}

#[test]
fn what_is_no_load_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let load = burst(folder.path());
    let Run { code, stderr, .. } = subcommand("spikes", &["--load", &load]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains(
            "load.csv:1: there is no column \"value\"; there are timestamp_utc, match, goals"
        ),
        "{stderr}"
    );
    let bad = folder.path().join("bad.csv");
    std::fs::write(&bad, "timestamp_utc,value\n2026-09-13T17:00:00Z,-4\n").unwrap();
    let Run { code, stderr, .. } = subcommand("spikes", &["--load", &bad.display().to_string()]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("bad.csv:2: \"-4\" is not a count"),
        "{stderr}"
    );
    let Run { code, stderr, .. } = subcommand("spikes", &["--load", "nowhere.csv"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("nowhere.csv: cannot be read"), "{stderr}");

    let rows = |rows: &str| {
        std::fs::write(&bad, format!("timestamp_utc,value\n{rows}")).unwrap();
        let Run { code, stderr, .. } =
            subcommand("spikes", &["--load", &bad.display().to_string()]);
        assert_eq!(code, 2);
        stderr
    };
    let mut minutes = String::new();
    for minute in 0..60 {
        writeln!(minutes, "2026-09-13T17:{minute:02}:00Z,9").unwrap();
    }
    let told = rows(&minutes);
    assert!(
        told.contains("bad.csv: its rows are 1m apart, and spikes are over within seconds"),
        "{told}"
    );
    let told = rows(
        "1970-01-01T00:00:00Z,5\n2026-01-01T00:00:00Z,6\n2026-01-01T00:00:01Z,6\n\
         2026-01-01T00:00:02Z,6\n",
    );
    assert!(
        told.contains("bad.csv: spans 1767225602 seconds, more than 32000000: leave out rows"),
        "{told}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let load = burst(folder.path());
    let file = |name: &str, rows: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("timestamp_utc,value\n{rows}")).unwrap();
        path.display().to_string()
    };
    let empty = file("empty.csv", "");
    let row = "2026-09-13T17:00:00Z,4\n";
    let twice = file("twice.csv", &row.repeat(2));
    let goals = ["--load", &load, "--value", "goals"];
    for (arguments, said) in [
        (&["--days", "0"][..], "--days"),
        (
            &["--false-alarm-every", "0s"],
            "0s is out of range: write from 1s to 3650d",
        ),
        (
            &[&goals[..], &["--median", "inf"]].concat(),
            "is not a number above 0",
        ),
        (
            &[&goals[..], &["--median=-3"]].concat(),
            "is not a number above 0",
        ),
        (
            &[&goals[..], &["--days", "3"]].concat(),
            "cannot be used with",
        ),
        (
            &[&goals[..], &["--seed", "3"]].concat(),
            "cannot be used with",
        ),
        (&["--load", &empty], "empty.csv: has no rows"),
        (
            &["--load", &twice],
            "twice.csv:3: 2026-09-13T17:00:00Z is there twice; keep one row per time",
        ),
    ] {
        let Run { code, stderr, .. } = subcommand("spikes", arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}
