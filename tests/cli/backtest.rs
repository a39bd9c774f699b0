//! `tipoff backtest` as it is called: its contract, and what it says of bad input.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use crate::run::{Run, bad_scenario, subcommand};

fn tipoff(arguments: &[&str]) -> Run {
    subcommand("backtest", arguments)
}

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/backtest");
    path.join(name).display().to_string()
}

/// The shipped sample, cut down to what a test needs.
fn small(folder: &Path) -> String {
    let text = fs::read_to_string(sample("nfl-sunday.yaml")).unwrap();
    let text = text
        .replace("nfl-sunday-load.csv.gz", &sample("nfl-sunday-load.csv.gz"))
        .replace(
            "nfl-sunday-fixtures.csv",
            &sample("nfl-sunday-fixtures.csv"),
        )
        .replace("[day, h4, n15]", "[h4]")
        .replace("equalService: [0.001]", "equalService: []")
        .replace("reissue: 5m", "reissue: 30m");
    let path = folder.join("small.yaml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn json_holds_what_scripts_read_and_the_report_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = small(folder.path());
    let html = folder.path().join("report.html");
    let forecasts = folder.path().join("h4.csv");
    let output = tipoff(&[
        "--scenario",
        &scenario,
        "--json",
        "--html",
        html.to_str().unwrap(),
        "--protocol",
        "h4",
        "--forecasts",
        forecasts.to_str().unwrap(),
    ]);
    let progress = &output.stderr;
    assert_eq!(output.code, 0, "{progress}");
    assert!(progress.contains("tipoff: "), "{progress}");

    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    let forecast = &report["forecast"];
    assert!(forecast["wape"].is_f64());
    assert!(forecast["pinball"]["p95"].is_f64());
    assert!(forecast["coverage"]["p95"].is_f64());
    let rows = forecast["protocols"].as_array().unwrap();
    let models: Vec<_> = rows
        .iter()
        .map(|row| row["model"].as_str().unwrap())
        .collect();
    assert_eq!(
        models,
        [
            "event-response",
            "seasonal-naive-1d",
            "seasonal-naive-7d",
            "mstl"
        ]
    );
    let points = |rows: &Value| -> u64 {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["points"].as_u64().unwrap()).sum()
    };
    // every scored point of the one protocol lies in one stretch of lead and in one phase
    let scored = forecast["points"].as_u64().unwrap();
    assert_eq!(points(&forecast["coverage_by_lead"]), scored);
    assert_eq!(points(&forecast["coverage_by_phase"]), scored);
    for row in ["coverage_by_lead", "coverage_by_phase"].map(|by| &forecast[by][0]) {
        assert!(row["coverage"]["p95"].is_f64() && row["width_p95"].as_f64().unwrap() >= 1.0);
    }
    let windows = forecast["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 3, "games start at three times");
    // scores of peaks are of the peaks that stand there, published ones where there are any
    let number = |row: &Value, field: &str| row[field].as_f64().unwrap();
    let off = windows
        .iter()
        .map(|peak| (number(peak, "p50") / number(peak, "actual")).ln().abs());
    let off = off.sum::<f64>() / windows.len() as f64;
    assert!((number(&forecast["peaks"], "abs_ln") - off).abs() < 1e-9);
    let published = windows.iter().filter(|peak| !peak["origin"].is_null());
    assert_eq!(forecast["peaks"]["published"], published.count());
    assert_eq!(rows[1]["peaks"]["published"], 0);
    for miss in forecast["misses"].as_array().unwrap() {
        assert!(miss["ratio"].as_f64().unwrap() > 1.0, "{miss}");
        assert!(!miss["causes"].as_array().unwrap().is_empty(), "{miss}");
    }
    let policies = report["policies"].as_array().unwrap();
    assert_eq!(policies[0]["name"], "tipoff");
    assert_eq!(policies.len(), 8);
    for policy in policies {
        for field in [
            "unserved_requests",
            "unserved_ratio",
            "under_provisioned_seconds",
            "replica_hours",
            "peak_replicas",
            "scale_events",
        ] {
            assert!(policy[field].is_number(), "{field} of {policy}");
        }
    }

    let page = fs::read_to_string(html).unwrap();
    for part in [
        "<svg",
        "<title>",
        "Do the quantiles mean what they say?",
        "Peaks: forecast and what came",
        "Scores of peaks by protocol and model",
        "Figures of peaks: ",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN"));
    for reference in ["http://", "https://", "src=", "href=", "<script"] {
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains(reference), "{reference}");
    }

    let written = fs::read_to_string(forecasts).unwrap();
    let mut lines = written.lines();
    assert_eq!(lines.next(), Some("origin,target,q50,q90,q95,q99"));
    // twelve origins of 48 bins, and the one before that reaches into the span
    assert_eq!(lines.count() % 48, 0);
    let peaks = fs::read_to_string(folder.path().join("h4__peaks.csv")).unwrap();
    assert_peaks(&peaks, 4);
}

/// One row for each origin and start within so many hours, quantiles ascending.
fn assert_peaks(text: &str, hours: i64) {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("origin,kickoff,p50,p90,p95,p99"));
    let mut seen = std::collections::BTreeSet::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let time =
            |cell: &str| chrono::NaiveDateTime::parse_from_str(cell, "%Y-%m-%d %H:%M:%S").unwrap();
        let ahead = time(cells[1]) - time(cells[0]);
        assert!((0..hours).contains(&ahead.num_hours()), "{line}");
        let quantiles: Vec<f64> = cells[2..]
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect();
        assert!(quantiles.len() == 4 && quantiles.is_sorted(), "{line}");
        assert!(
            seen.insert((cells[0].to_owned(), cells[1].to_owned())),
            "{line}"
        );
    }
    assert!(!seen.is_empty());
}

#[test]
fn forecasts_alone_need_no_cluster_and_any_protocol_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(small(folder.path())).unwrap();
    let (before, rest) = text.split_once("cluster:").unwrap();
    let (_, after) = rest.split_once("peers:").unwrap();
    let entries = "timestamp_utc,entries\n2023-09-10T10:00:00Z,5\n2023-09-10T10:05:00Z,6\n";
    fs::write(folder.path().join("entries.csv"), entries).unwrap();
    let faults = "from,to,cause\n2023-09-05T10:00:00Z,2023-09-05T11:00:00Z,outage\n";
    fs::write(folder.path().join("faults.csv"), faults).unwrap();
    let more = "entries: {file: entries.csv, per: 5m}\nfaults: faults.csv\n";
    let path = folder.path().join("alone.yaml");
    fs::write(&path, format!("{before}{more}peers:{after}")).unwrap();
    let day = folder.path().join("own__day.csv");
    let output = tipoff(&[
        "--scenario",
        path.to_str().unwrap(),
        "--json",
        "--protocol",
        "day",
        "--forecasts",
        day.to_str().unwrap(),
    ]);
    let progress = &output.stderr;
    assert_eq!(output.code, 0, "{progress}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["policies"], Value::Array(Vec::new()));
    // the scenario names h4 only: the protocol that was asked for is scored beside it
    let blocks = report["forecast"]["protocols"].as_array().unwrap();
    assert!(blocks.iter().any(|row| row["protocol"] == "D1 0-24h"));
    assert!(fs::read_to_string(&day).unwrap().lines().count() > 576);
    assert_peaks(
        &fs::read_to_string(folder.path().join("own__day__peaks.csv")).unwrap(),
        48,
    );

    // with a cluster in the scenario they can still be left out
    let output = tipoff(&[
        "--scenario",
        &small(folder.path()),
        "--json",
        "--forecasts-only",
    ]);
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["policies"], Value::Array(Vec::new()));
    assert!(report["forecast"]["wape"].is_f64());
}

#[test]
fn bad_input_is_refused_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(small(folder.path())).unwrap();
    let refused = |text: &str, expected: &[&str]| {
        bad_scenario("backtest", folder.path(), text).assert_refused(expected);
    };
    refused(
        &good.replace("minReplicas: 4", "minReplicas: four"),
        &["bad.yaml:", "policy.minReplicas"],
    );
    refused(
        &good.replace("minReplicas: 4", "minReplica: 4"),
        &["bad.yaml:", "minReplica"],
    );
    refused(
        &good.replace("2023-09-11T06:00:00Z", "2023-10-11T06:00:00Z"),
        &["the load covers", "give a longer load file"],
    );
    refused(
        &good.replace("2023-09-09T06:00:00Z", "2023-08-12T12:00:00Z"),
        &["too little history"],
    );
    let early = bad_scenario(
        "backtest",
        folder.path(),
        &good.replace("2023-09-09T06:00:00Z", "2023-08-12T12:00:00Z"),
    );
    early.assert_refused(&[
        "bad.yaml: evaluate.from: event-response cannot forecast from 2023-08-12T12:00:00Z on: ",
    ]);
    assert_eq!(early.stderr.matches("too little history").count(), 1);
    refused(
        &good.replace("nfl-sunday-load.csv.gz", "absent.csv.gz"),
        &["load.file", "absent.csv.gz", "relative to the scenario"],
    );
    refused(
        &good.replace("nfl-sunday-fixtures.csv", "absent.csv"),
        &["absent.csv", "check the path"],
    );
    refused(
        &format!("{good}\nentries: {{file: absent-entries.csv}}\n"),
        &["entries.file", "absent-entries.csv", "check the path"],
    );
    refused(
        &format!("{good}\nfaults: absent-faults.csv\n"),
        &["faults: ", "absent-faults.csv", "check the path"],
    );
    refused("", &["bad.yaml"]);
    let output = tipoff(&["--scenario", "/nowhere/absent.yaml"]);
    assert_eq!(output.code, 2);
    for option in ["--html", "--forecasts"] {
        let line = [
            "--scenario",
            "x.yaml",
            "--protocol",
            "day",
            option,
            "/nowhere/x",
        ];
        let beside = format!("{option} /nowhere/x: there is no folder /nowhere");
        let also = ["--forecasts", "x.csv"];
        let also = if option == "--html" { &also[..] } else { &[] };
        tipoff(&[&line[..], also].concat()).assert_refused(&[&beside]);
    }
    let output = tipoff(&["--scenario", "x.yaml", "--protocol", "weekly"]);
    assert_eq!(output.code, 2);
}

#[test]
fn work_that_is_given_up_leaves_the_files_of_the_last_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(small(folder.path())).unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(
        at("bad.yaml"),
        good.replace("2023-09-11T06:00:00Z", "2023-10-11T06:00:00Z"),
    )
    .unwrap();
    for file in ["old.csv", "old__peaks.csv"] {
        fs::write(at(file), "what was measured before").unwrap();
    }
    let mut line = vec!["--scenario".to_owned(), at("bad.yaml")];
    line.extend(["--protocol", "h4", "--forecasts"].map(str::to_owned));
    line.push(at("old.csv"));
    let arguments: Vec<&str> = line.iter().map(String::as_str).collect();
    tipoff(&arguments).assert_refused(&["the load covers"]);
    for file in ["old.csv", "old__peaks.csv"] {
        let kept = fs::read_to_string(at(file)).unwrap();
        assert_eq!(kept, "what was measured before");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);

    for page in ["old.csv", "old__peaks.csv"] {
        let page = at(page);
        let twice = [&arguments[..], &["--html", &page]].concat();
        tipoff(&twice).assert_refused(&["is written by --forecasts too"]);
    }
}

/// Rows from one hour to another, so many minutes apart.
fn rows(hours: std::ops::Range<i64>, apart: usize) -> String {
    let minutes = (hours.start * 60..hours.end * 60).step_by(apart);
    let mut rows = String::new();
    for minute in minutes {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let load = 100 + minute % 1440 / 60;
        writeln!(rows, "{},{load}", at.format("%FT%TZ")).unwrap();
    }
    rows
}

#[test]
fn an_older_part_that_was_thinned_out_is_learnt_from_and_not_scored_beyond_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = "\
load: {file: load.csv}
evaluate: {from: 1970-01-25T00:00:00Z, to: 1970-01-27T00:00:00Z}
forecast: {protocols: [day], challengers: []}
";
    let run = |apart: usize| {
        let (old, young) = (rows(0..24 * 26, apart), rows(24 * 26..24 * 34, 1));
        let load = format!("timestamp_utc,value\n{old}{young}");
        fs::write(folder.path().join("load.csv"), load).unwrap();
        bad_scenario("backtest", folder.path(), scenario)
    };
    let read = run(5);
    assert_eq!(read.code, 0, "{}", read.stderr);
    let told = "load.csv: 7488 rows from 1970-01-01T00:00:00Z to 1970-01-27T00:00:00Z are up to 5m \
                apart, the others 1m: ";
    assert!(read.stderr.contains(told), "{}", read.stderr);
    assert!(!read.stdout.contains("missing"), "{}", read.stdout);
    run(60).assert_refused(&[
        "bad.yaml: evaluate.from: until 1970-01-27T00:00:00Z rows of ",
        "load.csv are up to 1h apart, and forecasts are scored every 5m: evaluate from there on",
    ]);
}

#[test]
fn what_only_policies_would_read_is_told_where_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let load = format!("timestamp_utc,value\n{}", rows(0..24 * 26, 5));
    fs::write(folder.path().join("load.csv"), load).unwrap();
    let scenario = "\
load: {file: load.csv}
evaluate: {from: 1970-01-25T00:00:00Z, to: 1970-01-26T00:00:00Z}
forecast: {protocols: [day], challengers: []}
";
    let quiet = bad_scenario("backtest", folder.path(), scenario);
    assert!(!quiet.stderr.contains("note: "), "{}", quiet.stderr);
    let more = format!("{scenario}peers: [oracle]\nsimulation: {{step: 1s}}\n");
    let told = bad_scenario("backtest", folder.path(), &more);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let note = "bad.yaml: nothing reads peers, simulation without cluster and policy: forecasts \
                alone are scored; write both to compare policies";
    assert!(told.stderr.contains(note), "{}", told.stderr);
    assert_eq!(
        told.stdout.replace("bad.yaml", ""),
        quiet.stdout.replace("bad.yaml", "")
    );
}
