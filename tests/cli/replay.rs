//! `tipoff replay` as it is called: its contract, its table, and what it says of bad input.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::{Run, bad_scenario, subcommand};

fn tipoff(arguments: &[&str]) -> Run {
    subcommand("replay", arguments)
}

fn sample(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/replay");
    path.join(name)
}

/// The shipped sample, cut down to two hours of play.
fn small(folder: &Path) -> String {
    let text = fs::read_to_string(sample("game-day.yaml")).unwrap();
    let text = text
        .replace(
            "days: [2031-10-05] ",
            "spans: [{from: 2031-10-05T16:30:00Z, to: 2031-10-05T18:30:00Z}] ",
        )
        .replace("reissue: 5m", "reissue: 30m")
        .replace("warmUp: 1h", "warmUp: 10m")
        .replace("equalCost: true", "equalCost: false");
    for file in ["game-day-games.csv", "game-day-plays.csv"] {
        fs::copy(sample(file), folder.join(file)).unwrap();
    }
    let path = folder.join("small.yaml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn the_table_of_a_small_sample() {
    let folder = tempfile::tempdir().unwrap();
    let output = tipoff(&["--scenario", &small(folder.path())]);
    let progress = &output.stderr;
    assert_eq!(output.code, 0, "{progress}");
    assert!(progress.contains("2031-10-05: 2 fixtures"), "{progress}");
    assert!(!progress.contains("warning"), "{progress}");
    insta::assert_snapshot!(output.stdout);
}

#[test]
fn json_holds_what_scripts_read_and_the_report_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let html = folder.path().join("replay.html");
    let output = tipoff(&[
        "--scenario",
        &small(folder.path()),
        "--json",
        "--ready-after",
        "60s",
        "--html",
        html.to_str().unwrap(),
    ]);
    assert_eq!(output.code, 0);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let policies = report["policies"].as_array().unwrap();
    assert_eq!(policies[0]["name"], "tipoff");
    assert_eq!(policies.len(), 8);
    for policy in policies {
        for field in ["seconds_short", "unserved_requests", "replica_hours"] {
            assert!(policy[field].is_number(), "{field} of {policy}");
        }
        // medians that may not exist are null, never left out
        for field in ["first_reaction_seconds", "seconds_to_desired"] {
            let value = policy.get(field).unwrap();
            assert!(value.is_number() || value.is_null(), "{field} of {policy}");
        }
    }
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("pods ready 1m after the decision"),
        "{notes}"
    );
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("<svg") && !page.contains("NaN"));
}

#[test]
fn bad_input_is_refused_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(small(folder.path())).unwrap();
    let refused = |text: &str, expected: &[&str]| {
        bad_scenario("replay", folder.path(), text).assert_refused(expected);
    };
    refused(
        &good.replace("liveLag:", "livelag:"),
        &["bad.yaml:", "livelag"],
    );
    refused(
        &good.replace("plays: game-day-plays.csv", "plays: absent.csv"),
        &["absent.csv", "relative to the scenario"],
    );
    refused(
        &good.replace("fixtures: [game-day-games.csv]", "fixtures: [absent.csv]"),
        &["absent.csv", "check the path"],
    );
    // the games file is no table of plays
    refused(
        &good.replace("plays: game-day-plays.csv", "plays: game-day-games.csv"),
        &["game-day-games.csv:1: column type is missing"],
    );
    refused(
        &good.replace("history: 3w", "history: 1h"),
        &["load.generated.history", "write 3d to 520w"],
    );
    let load = |load: &str| {
        let (before, rest) = good.split_once("load:").unwrap();
        let (_, after) = rest.split_once("\nspans:").unwrap();
        format!("{before}load: {load}\nspans:{after}")
    };
    refused(
        &load("{recorded: {file: a.csv}, generated: {}}"),
        &["load.recorded: stands beside another one of its kind: keep one of the two"],
    );
    for nothing in ["{}", "[]"] {
        let example = "write for example `load: {recorded: {file: load.csv}}`";
        refused(
            &load(nothing),
            &["load: does not say which load: ", example],
        );
    }
    refused(
        &good.replace("spans: [{from", "days: [19/09/2015]\nspans: [{from"),
        &["days[0]: \"19/09/2015\" is no date of the calendar: write for example 2023-11-05"],
    );
    refused(
        &good.replace("fixtures: [game-day-games.csv]", "fixtures: games.csv"),
        &["fixtures: is not a list: write for example `fixtures: [fixtures.csv]`"],
    );
    let local = "start,competition\n2031-10-05T13:00:00,NFL\n";
    fs::write(folder.path().join("local.csv"), local).unwrap();
    let local = good.replace("fixtures: [game-day-games.csv]", "fixtures: [local.csv]");
    refused(
        &local.replace("zone: America/New_York", "#"),
        &["local.csv:2: ", "for example zone: Europe/London"],
    );
    let recorded = "recorded: {file: game-day-plays.csv}\n  ignored:";
    refused(
        &good.replace("generated:", recorded),
        &["bad.yaml:", "load"],
    );
    let coarse = "timestamp_utc,value\n2031-10-05T16:30:00Z,1\n2031-10-05T16:31:00Z,1\n";
    fs::write(folder.path().join("coarse.csv"), coarse).unwrap();
    refused(
        &load("{recorded: {file: coarse.csv}}"),
        &[
            "load.recorded: file: the rows of coarse.csv are 1m apart",
            "give a row a second",
        ],
    );
    // an hour by the minute before an hour by the second
    let minutes = (0..60).map(|minute| format!("2031-10-05T16:{minute:02}:00Z,1\n"));
    let seconds = (0..3600).map(|second| {
        let (minute, second) = (second / 60, second % 60);
        format!("2031-10-05T17:{minute:02}:{second:02}Z,1\n")
    });
    let rows: String = minutes.chain(seconds).collect();
    let mixed = format!("timestamp_utc,value\n{rows}");
    fs::write(folder.path().join("mixed.csv"), mixed).unwrap();
    refused(
        &load("{recorded: {file: mixed.csv}}"),
        &[
            "load.recorded: file: the rows of mixed.csv are 1m apart",
            "give a row a second",
        ],
    );
    refused("", &["bad.yaml"]);
    let output = tipoff(&["--scenario", "/nowhere/absent.yaml"]);
    assert_eq!(output.code, 2);
    // before anything is read
    let output = tipoff(&["--scenario", "absent.yaml", "--html", "/nowhere/x.html"]);
    output.assert_refused(&["--html /nowhere/x.html: there is no folder /nowhere; make it"]);
}

#[test]
fn utc_is_the_zone_of_local_times_once_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut seconds = "timestamp_utc,value\n".to_owned();
    for second in 0..600 {
        let (minute, second) = (second / 60, second % 60);
        writeln!(seconds, "2031-10-05T13:{minute:02}:{second:02}Z,100").unwrap();
    }
    fs::write(folder.path().join("seconds.csv"), seconds).unwrap();
    let local = "start,competition\n2031-10-05T13:00:00,NFL\n";
    fs::write(folder.path().join("local.csv"), local).unwrap();
    let scenario = folder.path().join("utc.yaml");
    let text = "\
load: {recorded: {file: seconds.csv}}
fixtures: [local.csv]
zone: UTC
spans: [{from: 2031-10-05T13:00:00Z, to: 2031-10-05T13:09:00Z}]
cluster: {perReplica: 50, startUp: {constant: 15s}}
policy: {minReplicas: 2, maxReplicas: 9, capacity: {perReplica: 50}}
peers: [staticPeak]
";
    fs::write(&scenario, text).unwrap();
    let output = tipoff(&["--scenario", &scenario.display().to_string()]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("1 fixtures"), "{}", output.stdout);
}

#[test]
fn the_shipped_scenarios_are_read() {
    for name in ["game-day.yaml", "nfl-sundays.yaml"] {
        let text = fs::read_to_string(sample(name)).unwrap();
        tipoff::replay::scenario::parse(&text, name).unwrap();
    }
}
