//! `tipoff synth` as people run it.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::run::{Run, binary};

fn tipoff(folder: &Path, arguments: &[&str]) -> Run {
    Run::of(binary().current_dir(folder).args(arguments))
}

const SHORT: [&str; 7] = ["synth", "--weeks", "2", "--seed", "3", "--step", "15m"];

fn synth(folder: &Path, more: &[&str]) -> Run {
    tipoff(folder, &[&SHORT[..], more].concat())
}

#[test]
fn a_season_is_listed_made_again_to_the_byte_and_not_written_over() {
    let folder = TempDir::new().unwrap();
    let first = synth(folder.path(), &["--out", "a"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_snapshot!(first.stdout, @r"
    load.csv.gz     4032 bins of 15m from 2023-08-10T04:00Z to 2023-09-21T04:00Z, 19 of them gaps, most 2580/s at 2023-09-17T20:00Z
    entries.csv.gz  10 slates, 14.4 M entries, 1 slates full
    fixtures.csv    32 fixtures, 1 kick-offs with one that was moved
    faults.csv      5 declared faults
    faults-all.csv  8 faults, the undeclared ones included (truth)
    truth.csv       13 kick-offs of up to 9 games, 0 with overtime (truth)
    params.yaml     what it was made from
    scenario.yaml   scores 2023-09-07T04:00Z to 2023-09-21T04:00Z
    ");
    assert_snapshot!(first.stderr, @"generating 6 weeks at 15m (seed 3)");

    let again = synth(folder.path(), &["--out", "a"]);
    assert_eq!(again.code, 2);
    assert!(again.stdout.is_empty());
    assert!(
        again.stderr.contains("a/load.csv.gz is already there"),
        "{}",
        again.stderr
    );

    // from its own parameters, over another season
    let opener = ["synth", "--preset", "opener", "--out", "b"];
    assert_eq!(tipoff(folder.path(), &opener).code, 0);
    let same = [
        "synth",
        "--params",
        "a/params.yaml",
        "--seed",
        "3",
        "--out",
        "b",
        "--force",
    ];
    assert_eq!(tipoff(folder.path(), &same).code, 0);
    let bytes = |folder_name: &str, file: &str| {
        fs::read(folder.path().join(folder_name).join(file)).unwrap()
    };
    let names: Vec<String> = fs::read_dir(folder.path().join("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 8);
    for name in names.iter().filter(|name| *name != "scenario.yaml") {
        assert!(bytes("a", name) == bytes("b", name), "{name}");
    }
}

#[test]
fn other_commands_read_the_files() {
    let folder = TempDir::new().unwrap();
    assert_eq!(synth(folder.path(), &["--out", "a"]).code, 0);
    let check = tipoff(folder.path(), &["fixtures", "check", "a/fixtures.csv"]);
    assert_eq!(check.code, 0, "{}{}", check.stdout, check.stderr);
    let forecast = [
        "forecast",
        "--load",
        "a/load.csv.gz",
        "--fixtures",
        "a/fixtures.csv",
        "--at",
        "2023-09-17T12:00:00Z",
        "--zone",
        "America/New_York",
        "--step",
        "15m",
        "--format",
        "csv",
    ];
    let forecast = tipoff(folder.path(), &forecast);
    assert_eq!(forecast.code, 0, "{}", forecast.stderr);
    assert_eq!(forecast.stdout.lines().count(), 97);
}

#[test]
fn an_off_season_has_no_entries() {
    let folder = TempDir::new().unwrap();
    let quiet = ["synth", "--preset", "quiet", "--step", "1h", "--out", "q"];
    let run = tipoff(folder.path(), &quiet);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!folder.path().join("q/entries.csv.gz").exists());
    let scenario = fs::read_to_string(folder.path().join("q/scenario.yaml")).unwrap();
    assert!(!scenario.contains("entries"), "{scenario}");
}

#[test]
fn bad_input_is_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("p.yaml"),
        "weeks: 2\nentries: {linkSd: wide}\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("f.csv"),
        "start,competition,id\n2024-01-01T18:00:00Z,Cup,a\n",
    )
    .unwrap();
    let run = |more: &[&str]| {
        let run = tipoff(folder.path(), &[&["synth", "--out", "o"], more].concat());
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stdout.is_empty());
        run.stderr
    };
    let text = run(&["--params", "p.yaml"]);
    assert!(text.contains("p.yaml:2: "), "{text}");
    let text = run(&["--preset", "spring"]);
    assert!(
        text.contains("is no preset: write one of season, opener"),
        "{text}"
    );
    let text = run(&["--kick-off", "yesterday"]);
    assert!(
        text.contains("\"yesterday\" is not a day: write year-month-day, for example 2023-09-07"),
        "{text}"
    );
    let text = run(&["--step", "7m"]);
    assert!(text.contains("step: 7m does not divide a day"), "{text}");
    let text = run(&["--weeks", "4294967295"]);
    assert!(
        text.contains("weeks: 4294967295 with the quiet ones; write 1 to 522 in all"),
        "{text}"
    );
    let text = run(&["--fixtures", "f.csv", "--kick-off", "2020-01-01"]);
    assert!(
        text.contains("no fixture with a known time starts"),
        "{text}"
    );
    assert!(!folder.path().join("o").exists());
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_before_the_work() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    for out in ["taken", "taken/season"] {
        let run = synth(folder.path(), &["--out", out]);
        assert_eq!(run.code, 2);
        assert!(
            run.stderr.ends_with(&format!(
                "--out {out}: taken is no folder; name another folder\n"
            )),
            "{}",
            run.stderr
        );
    }
}
