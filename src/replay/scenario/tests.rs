//! Scenarios read as written, and every fault names its place.

use super::*;
use crate::plan::policy::AUTO_COVER;

const MINIMAL: &str = "\
load: {generated: {played: games.csv}}
fixtures: [games.csv]
zone: America/New_York
days: [2023-11-05]
cluster:
  perReplica: 50
  startUp: {constant: 15s}
policy:
  minReplicas: 2
  maxReplicas: 200
  capacity: {perReplica: 50}
";

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = parse(MINIMAL, "replay.yaml").unwrap();
    assert_eq!(scenario.title, "replay.yaml");
    assert_eq!(scenario.simulation.step, TimeDelta::seconds(1));
    assert_eq!(scenario.view.live_lag, Some(TimeDelta::zero()));
    assert_eq!(scenario.view.metric_window, TimeDelta::seconds(15));
    assert_eq!(scenario.forecast, Forecasting::default());
    assert_eq!(scenario.peers.len(), 6);
    assert!(!scenario.equal_cost && scenario.covers.is_empty());
    let LoadSource::Generated(generated) = &scenario.load else {
        panic!("{:?}", scenario.load);
    };
    assert_eq!(generated.dispersion, 4.0);
    assert_eq!(generated.traffic, GameDay::default());
}

#[test]
fn a_day_begins_by_the_audiences_clock_also_when_that_changes() {
    let scenario = parse(MINIMAL, "replay.yaml").unwrap();
    // winter time began at two that night
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(scenario.spans[0].from, time("2023-11-05T11:00:00Z"));
    assert_eq!(scenario.spans[0].to, time("2023-11-06T11:00:00Z"));
    let night = MINIMAL.replace("days:", "dayStarts: \"00:30\"\ndays:");
    let span = parse(&night, "replay.yaml").unwrap().spans[0];
    assert_eq!((span.to - span.from).num_hours(), 25);
    let gone = night
        .replace("00:30", "02:30")
        .replace("2023-11-05", "2023-03-12");
    let error = parse(&gone, "replay.yaml").unwrap_err().to_string();
    assert!(error.contains("2023-03-12 has no 02:30:00"), "{error}");
}

#[test]
fn recorded_load_and_spans_are_read() {
    let text = MINIMAL
        .replace(
            "{generated: {played: games.csv}}",
            "{recorded: {file: s.csv, history: {file: h.csv, per: 1m}}}",
        )
        .replace(
            "days: [2023-11-05]",
            "spans: [{from: 2023-11-05T12:00:00Z, to: 2023-11-05T14:00:00Z}]",
        )
        + "covers: [1x, auto]\n";
    let scenario = parse(&text, "replay.yaml").unwrap();
    assert_eq!(
        scenario.spans[0].to - scenario.spans[0].from,
        TimeDelta::hours(2)
    );
    let auto = LiveCover::Share(AUTO_COVER);
    assert_eq!(scenario.covers, [LiveCover::Multiple(1.0), auto]);
    assert!(matches!(scenario.load, LoadSource::Recorded(_)));
}

#[test]
fn every_fault_names_its_place_and_what_to_write() {
    let told = |from: &str, to: &str| {
        let text = MINIMAL.replace(from, to);
        assert_ne!(text, MINIMAL, "{from} is not in the scenario");
        parse(&text, "r.yaml").unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        [
            told("played:", "plaid:"),
            told("days: [2023-11-05]\n", ""),
            told("days: [2023-11-05]", "days: []"),
            told("days: [2023-11-05]", "days: [2023-11-31]"),
            told("2023-11-05]", "2023-11-05]\nspans: []"),
            told("played: games.csv", "plays: plays.csv"),
            told("played: games.csv", "dispersion: 0.5"),
            told("played: games.csv", "history: 1h"),
            told(
                "played: games.csv",
                "traffic: {scoring: {median: 4, p95: 2}}"
            ),
            told("fixtures: [games.csv]\n", ""),
            told("perReplica: 50\n  startUp", "perReplicas: 50\n  startUp"),
            told(
                "cluster:",
                "cluster:\n  resize: {takes: 1s, podsPerSecond: 0}"
            ),
            told("cluster:", "cluster:\n  resize: {takes: -2s}"),
            told(
                "minReplicas: 2",
                "bridges: {resize: {enabled: true, factor: 20x}}\n  minReplicas: 2"
            ),
            told(
                "minReplicas: 2",
                "bridges: {resize: {max: 2}}\n  minReplicas: 2"
            ),
            told("minReplicas: 2", "minReplicas: 300"),
            told("zone: America/New_York", "zone: New York"),
            told("zone:", "covers: [0.5x]\nzone:"),
            told("zone:", "covers: [2x, auto, 2x]\nzone:"),
            told("2023-11-05]", "2023-11-05, 2023-11-12, 2023-11-05]"),
            told(
                "days: [2023-11-05]",
                "spans:\n  - &day {from: 2023-11-05T12:00:00Z, to: 2023-11-05T14:00:00Z}\n  - *day"
            ),
            told("zone:", "dayStarts: early\nzone:"),
            told("  capacity: {perReplica: 50}\n", "equalCost: true\n"),
        ]
        .join("\n")
    );
}
