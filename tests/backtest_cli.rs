//! `tipoff backtest` as it is called: its contract, and what it says of bad input.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

fn tipoff(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("tipoff")
        .unwrap()
        .arg("backtest")
        .args(arguments)
        .output()
        .unwrap()
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
    let progress = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{progress}");
    assert!(progress.contains("tipoff: "), "{progress}");

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
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
    assert!(page.contains("<svg") && page.contains("<title>"));
    for reference in ["http://", "https://", "src=", "href=", "<script"] {
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains(reference), "{reference}");
    }

    let written = fs::read_to_string(forecasts).unwrap();
    let mut lines = written.lines();
    assert_eq!(lines.next(), Some("origin,target,q50,q90,q95,q99"));
    // twelve origins of 48 bins, and the one before that reaches into the span
    assert_eq!(lines.count() % 48, 0);
}

#[test]
fn bad_input_is_refused_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(small(folder.path())).unwrap();
    let refused = |text: &str, expected: &[&str]| {
        let path = folder.path().join("bad.yaml");
        fs::write(&path, text).unwrap();
        let output = tipoff(&["--scenario", path.to_str().unwrap()]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(output.stdout.is_empty());
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
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
    refused(
        &good.replace("nfl-sunday-load.csv.gz", "absent.csv.gz"),
        &["load.file", "absent.csv.gz", "relative to the scenario"],
    );
    refused(
        &good.replace("nfl-sunday-fixtures.csv", "absent.csv"),
        &["absent.csv", "check the path"],
    );
    refused("", &["bad.yaml"]);
    let output = tipoff(&["--scenario", "/nowhere/absent.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let output = tipoff(&["--scenario", "x.yaml", "--protocol", "weekly"]);
    assert_eq!(output.status.code(), Some(2));
}
