//! `tipoff forecast` as people and scripts meet it: columns, garbage after the origin, refusals.

use std::fmt::Write as _;
use std::path::Path;

use crate::synthetic::{Season, start};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args as _, Command, FromArgMatches as _};
use tipoff::cli::forecast::{ForecastArgs, text};

use crate::run::subcommand;

/// Counts per minute; from `garbage_from` on every row holds an absurd value.
fn load_csv(season: &Season, garbage_from: Option<i64>) -> String {
    let mut out = String::from("timestamp_utc,requests\n");
    for (minute, (at, rate)) in season.series.iter().enumerate() {
        let value = match garbage_from {
            Some(from) if minute as i64 >= from => 1e15,
            _ => (rate.unwrap().as_per_second() * 60.0).round(),
        };
        let _ = writeln!(out, "{},{value}", at.format("%FT%TZ"));
    }
    out
}

fn fixtures_csv(season: &Season) -> String {
    let mut out = String::from("id,start,competition,home\n");
    for fixture in season.calendar.iter() {
        let home = fixture.home.as_deref().unwrap_or_default();
        let start = fixture.start.at.format("%FT%TZ");
        let _ = writeln!(out, "{},{start},league,{home}", fixture.id);
    }
    out
}

fn args(folder: &Path, more: &[&str]) -> ForecastArgs {
    let file = |name: &str| folder.join(name).display().to_string();
    let (load, fixtures) = (file("load.csv"), file("fixtures.csv"));
    let mut line = vec![
        "forecast",
        "--load",
        &load,
        "--fixtures",
        &fixtures,
        "--per",
        "1m",
    ];
    line.extend(more);
    let command = ForecastArgs::augment_args(Command::new("forecast"));
    ForecastArgs::from_arg_matches(&command.try_get_matches_from(line).unwrap()).unwrap()
}

fn folder(load: &str, fixtures: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("load.csv"), load).unwrap();
    std::fs::write(folder.path().join("fixtures.csv"), fixtures).unwrap();
    folder
}

#[test]
fn garbage_from_the_origin_on_prints_the_same() {
    let season = Season::new(21);
    let at = (start() + TimeDelta::days(20)).format("%FT%TZ").to_string();
    let clean = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let spoilt = folder(&load_csv(&season, Some(20 * 1_440)), &fixtures_csv(&season));
    let mut junk: String = load_csv(&season, None)
        .lines()
        .take(1 + 20 * 1_440)
        .flat_map(|line| [line, "\n"])
        .collect();
    junk.push_str("not a row\n,,\n\u{0}\u{1},\"x\n2024-13-45T99:00:00Z,1\n");
    let junk = folder(&junk, &fixtures_csv(&season));
    for format in ["csv", "json", "table"] {
        let more = ["--at", &at, "--horizon", "26h", "--format", format];
        let first = text(&args(clean.path(), &more)).unwrap();
        assert_eq!(first, text(&args(junk.path(), &more)).unwrap(), "{format}");
        assert_eq!(
            first,
            text(&args(spoilt.path(), &more)).unwrap(),
            "{format}"
        );
    }
}

#[test]
fn the_csv_has_the_promised_columns_and_rows() {
    let season = Season::new(10);
    let folder = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let more = [
        "--at",
        "2024-04-10T00:00:00Z",
        "--format",
        "csv",
        "--step",
        "15m",
    ];
    let out = text(&args(folder.path(), &more)).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "timestamp_utc,p50,p90,p95,p99");
    assert_eq!(lines.len(), 1 + 96);
    assert!(lines[1].starts_with("2024-04-10T00:00:00Z,"));
    assert!(lines[96].starts_with("2024-04-10T23:45:00Z,"));
    for line in &lines[1..] {
        let values: Vec<f64> = line
            .split(',')
            .skip(1)
            .map(|v| v.parse().unwrap())
            .collect();
        assert!(values.len() == 4 && values.is_sorted(), "{line}");
    }
}

#[test]
fn a_peak_that_is_the_crowd_of_another_game_says_so() {
    let season = Season::new(21);
    // a side competition in the afternoons, whose last minutes are the first of the evening's rush
    let mut fixtures = fixtures_csv(&season);
    for day in (0..24).filter(|day| day % 2 == 0) {
        let at = start() + TimeDelta::days(day) + TimeDelta::hours(15);
        let at = at.format("%FT%TZ");
        // many games of little weight
        for game in 0..6 {
            let _ = writeln!(fixtures, "{day}-{game},{at},reserves,side {day}-{game}");
        }
    }
    let folder = folder(&load_csv(&season, None), &fixtures);
    let svg = folder.path().join("forecast.svg");
    let drawn = ["--at", "2024-04-22T00:00:00Z", "--horizon", "48h", "--svg"];
    let more = [&drawn[..], &[svg.to_str().unwrap()]].concat();
    let printed = text(&args(folder.path(), &more)).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let peaks = printed.lines().filter(|line| line.contains("  about "));
        peaks.filter(|line| line.contains(name)).collect()
    };
    let said = "; the crowd of team 2 (league) is larger then";
    assert!(
        of("side 22").iter().any(|line| line.ends_with(said)),
        "{printed}"
    );
    assert!(
        of("  team").iter().all(|line| !line.contains("larger")),
        "{printed}"
    );
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(
        drawn.matches("larger").count(),
        printed.matches("larger").count()
    );
    let json = text(&args(
        folder.path(),
        &[&more[..], &["--format", "json"]].concat(),
    ))
    .unwrap();
    assert!(
        json.contains("\"drawn_by\": [\n        \"day-22\""),
        "{json}"
    );
}

#[test]
fn what_makes_a_forecast_doubtful_is_said_beside_it() {
    let season = Season::new(21);
    let mut fixtures = fixtures_csv(&season);
    fixtures.push_str("cup,2024-04-22,league,team 9\n");
    let timed = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let untimed = folder(&load_csv(&season, None), &fixtures);
    let said = |folder: &Path, horizon: &str| {
        let more = ["--at", "2024-04-21T00:00:00Z", "--horizon", horizon];
        text(&args(folder, &more)).unwrap()
    };
    let note =
        "note: the time of day of a fixture ahead is not known: bounds are those of it at any";
    assert!(said(untimed.path(), "48h").contains(note));
    assert!(!said(timed.path(), "48h").contains("time of day"));

    // a counter instead of a rate
    let mut total = 0.0;
    let mut counter = String::from("timestamp_utc,requests\n");
    for (at, rate) in season.series.iter() {
        total += rate.unwrap().as_per_second() * 60.0;
        let _ = writeln!(counter, "{},{total:.0}", at.format("%FT%TZ"));
    }
    let counted = folder(&counter, &fixtures_csv(&season));
    let printed = said(counted.path(), "6h");
    assert!(printed.contains("a counter? give its rate"), "{printed}");
    assert!(!said(timed.path(), "6h").contains("counter"));
}

#[test]
fn the_picture_names_fixtures_and_shows_times_of_the_audience() {
    let season = Season::new(10);
    let folder = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let svg = folder.path().join("forecast.svg");
    let more = [
        "--at",
        "2024-04-10T00:00:00Z",
        "--horizon",
        "48h",
        "--zone",
        "Europe/Paris",
        "--svg",
        svg.to_str().unwrap(),
    ];
    let printed = text(&args(folder.path(), &more)).unwrap();
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(drawn.starts_with("<?xml") && drawn.ends_with("</svg>\n"));
    assert!(
        drawn.contains("Load from Wednesday, 10 April 2024 02:00"),
        "{drawn}"
    );
    assert!(drawn.contains("time in Europe/Paris"));
    // as many windows with a letter as the table has peaks
    let peaks = printed
        .lines()
        .filter(|line| line.contains("  about "))
        .count();
    assert!(peaks > 0);
    assert_eq!(drawn.matches(": peak about ").count(), peaks);
    assert!(drawn.contains(">A</text>"));
    assert!(!drawn.contains("NaN") && !drawn.contains("href"));
}

#[test]
fn entries_and_faults_are_read_as_known_at_the_origin() {
    let season = Season::new(10);
    let folder = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let entries = folder.path().join("entries.csv");
    let faults = folder.path().join("faults.csv");
    let known = "timestamp_utc,entries,slate\n\
                 2024-04-09T10:00:00Z,5,a\n2024-04-09T10:05:00Z,6,a\n";
    std::fs::write(
        &faults,
        "from,to,cause\n2024-04-05T00:00:00Z,2024-04-05T02:00:00Z,bots\n",
    )
    .unwrap();
    let run = |text_of_entries: &str| {
        std::fs::write(&entries, text_of_entries).unwrap();
        let more = [
            "--at",
            "2024-04-10T00:00:00Z",
            "--entries",
            entries.to_str().unwrap(),
            "--faults",
            faults.to_str().unwrap(),
            "--format",
            "csv",
        ];
        text(&args(folder.path(), &more)).map_err(|error| error.to_string())
    };
    let first = run(known).unwrap();
    // what is written from the origin on is not read
    let junk = format!("{known}2024-04-10T00:00:00Z,900000000,a\nnot a row\n");
    assert_eq!(run(&junk).unwrap(), first);
    let message = run("timestamp_utc,entries\n2024-04-09T10:00:00,5\n").unwrap_err();
    assert!(
        message.contains("entries.csv:2: \"2024-04-09T10:00:00\" has no zone"),
        "{message}"
    );
    std::fs::write(
        &faults,
        "from,to,cause\n2024-04-05T00:00:00Z,2024-04-05T02:00:00Z,rain\n",
    )
    .unwrap();
    let message = run(known).unwrap_err();
    assert!(
        message.contains("faults.csv:2:") && message.contains("rain"),
        "{message}"
    );
    std::fs::remove_file(&faults).unwrap();
    let message = run(known).unwrap_err();
    assert!(
        message.contains("faults.csv: cannot be opened"),
        "{message}"
    );
}

#[test]
fn bad_input_names_the_place_and_the_remedy() {
    let season = Season::new(3);
    let good = (load_csv(&season, None), fixtures_csv(&season));
    let refused = |load: &str, fixtures: &str, more: &[&str]| {
        let folder = folder(load, fixtures);
        let mut line = vec!["--at", "2024-04-03T00:00:00Z"];
        line.extend(more);
        text(&args(folder.path(), &line)).unwrap_err().to_string()
    };
    let header = "timestamp_utc,requests\n";
    for (load, fixtures, said) in [
        ("when,requests\n", good.1.as_str(), "load.csv:1:"),
        (
            &format!("{header}2024-04-01T00:00:00,1\n"),
            &good.1,
            "load.csv:2: \"2024-04-01T00:00:00\" has no zone",
        ),
        (
            &format!("{header}2024-04-01T00:01:00Z,1\n2024-04-01T00:00:00Z,1\n"),
            &good.1,
            "load.csv:3: 2024-04-01T00:00:00Z comes after 2024-04-01T00:01:00Z",
        ),
        (
            &format!("{header}2024-04-01T00:00:00Z,-1\n"),
            &good.1,
            "load.csv:2: \"-1\" is not a load",
        ),
        (header, &good.1, "load.csv: has no rows"),
        (
            &format!("{header}2024-06-01T00:00:00Z,1\n"),
            &good.1,
            "load.csv: no row lies before 2024-04-03T00:00:00Z",
        ),
        (
            &good.0,
            "start,home\n",
            "fixtures.csv:1: not readable as csv: column competition is missing",
        ),
        (
            &good.0,
            "start,competition\n2024-04-01 18:00,x\n",
            "fixtures.csv:2:",
        ),
    ] {
        let message = refused(load, fixtures, &[]);
        assert!(message.contains(said), "{message}");
    }
    let message = refused(&good.0, &good.1, &["--step", "10s"]);
    assert!(
        message.contains("--step 10s: must be from 1m to 1h"),
        "{message}"
    );
    let message = refused(&good.0, &good.1, &["--step", "1h", "--horizon", "90m"]);
    assert_eq!(
        message,
        "--horizon 1h30m: is not a whole number of steps of 1h; write 1h or 2h, or another --step"
    );
    let folder = folder(&good.0, &good.1);
    let early = args(folder.path(), &["--at", "2024-04-01T12:00:00Z"]);
    let message = text(&early).unwrap_err().to_string();
    assert!(message.contains("too little history"), "{message}");
}

#[test]
fn a_zone_that_is_none_is_named_with_one_that_is() {
    for (zone, example) in [
        ("Paris", "Europe/Paris"),
        ("new york", "America/New_York"),
        ("Middle Earth", "America/New_York"),
    ] {
        let line = [
            "--load",
            "x",
            "--at",
            "2024-04-01T00:00:00Z",
            "--zone",
            zone,
        ];
        let said = format!("{zone:?} is no zone we know; write for example {example}");
        subcommand("forecast", &line).assert_refused(&[&said]);
    }
}

/// What is written beside is refused at once where it cannot be, and takes nothing with it when it
/// fails in the end.
#[test]
fn a_picture_that_cannot_be_written_costs_no_forecast() {
    let season = Season::new(3);
    let folder = folder(&load_csv(&season, None), &fixtures_csv(&season));
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (load, at) = (file("load.csv"), "2024-04-03T00:00:00Z");
    let run = |svg: &str, load: &str| {
        subcommand(
            "forecast",
            &[
                "--load", load, "--per", "1m", "--at", at, "--format", "csv", "--svg", svg,
            ],
        )
    };
    run(&file("absent/x.svg"), "not even read").assert_refused(&["--svg ", "there is no folder"]);
    if !Path::new("/dev/full").exists() {
        return;
    }
    let full = run("/dev/full", &load);
    assert_eq!(full.code, 1, "{}", full.stderr);
    assert_eq!(full.stdout.lines().count(), 1 + 288);
    assert!(
        full.stderr.contains("--svg /dev/full: cannot be written: "),
        "{}",
        full.stderr
    );
}

/// A load of every so many minutes of a month, so many units a second at noon.
fn wave(apart: i64, top: f64) -> String {
    let mut out = String::from("timestamp_utc,value\n");
    for minute in (0..30 * 1_440).step_by(usize::try_from(apart).unwrap()) {
        let at = start() + TimeDelta::minutes(minute);
        let day = (minute % 1_440) as f64 / 1_440.0;
        let value = top * (1.2 - (day * std::f64::consts::TAU).cos()) / 2.2;
        let _ = writeln!(out, "{},{value}", at.format("%FT%TZ"));
    }
    out
}

fn of_load(load: &str, more: &[&str]) -> crate::run::Run {
    let folder = folder(load, "");
    let file = folder.path().join("load.csv").display().to_string();
    let at = (start() + TimeDelta::days(30)).format("%FT%TZ").to_string();
    subcommand(
        "forecast",
        &[&["--load", &file, "--at", &at], more].concat(),
    )
}

#[test]
fn columns_stay_apart_and_small_loads_are_no_zeros() {
    for (top, digits) in [(4e12, "/s"), (7e-5, "0.0000")] {
        let table = of_load(&wave(60, top), &["--step", "1h"]).stdout;
        let rows: Vec<&str> = table.lines().skip(2).take(25).collect();
        assert!(rows[0].starts_with("hour"), "{table}");
        for row in &rows {
            assert_eq!(row.chars().count(), rows[0].chars().count(), "{table}");
        }
        for row in &rows[1..] {
            let words: Vec<&str> = row.split_whitespace().collect();
            assert_eq!(words.len(), 3 + 4, "{row}");
            assert!(words[3].contains(digits) && words[3] != "0.00/s", "{row}");
        }
    }
}

#[test]
fn a_load_of_days_says_that_its_peaks_are_not_seen() {
    let said = "note: the rows of the load are 1d apart: this is a forecast of means over 1d";
    let daily = of_load(&wave(1_440, 9.0), &[]);
    assert_eq!(daily.code, 0, "{}", daily.stderr);
    assert!(daily.stdout.contains(said), "{}", daily.stdout);
    let hourly = of_load(&wave(60, 9.0), &[]).stdout;
    assert!(!hourly.contains("means over"), "{hourly}");
}

#[test]
fn what_cannot_be_read_is_told_in_few_words_and_by_the_name_of_the_program() {
    let wide: Vec<u8> = wave(60, 9.0)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let load = folder.path().join("load.csv").display().to_string();
    let line = ["--load", &load, "--at", "2024-04-10T00:00:00Z"];
    std::fs::write(&load, wide).unwrap();
    let said = "load.csv: cannot be read: it is UTF-16; save it as UTF-8";
    let ended = subcommand("forecast", &line);
    ended.assert_refused(&[said]);
    assert!(ended.stderr.starts_with("tipoff: "), "{}", ended.stderr);
    std::fs::write(&load, wave(60, 9.0).replace('\n', " ")).unwrap();
    let ended = subcommand("forecast", &line);
    ended.assert_refused(&["is not the header"]);
    assert!(ended.stderr.len() < 400, "{}", ended.stderr.len());
}

#[test]
fn faults_of_another_time_than_the_load_are_spoken_of() {
    let at = start() + TimeDelta::days(30);
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.csv");
    let told = |from: TimeDelta| {
        let (from, to) = (at + from, at + from + TimeDelta::hours(1));
        let row = format!("{},{},outage", from.format("%FT%TZ"), to.format("%FT%TZ"));
        std::fs::write(&faults, format!("from,to,cause\n{row}\n")).unwrap();
        let ended = of_load(&wave(60, 9.0), &["--faults", faults.to_str().unwrap()]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stderr
    };
    let said = "faults.csv: no span of it lies in the load that is known, 2024-04-01T00:00:00Z to \
                2024-05-01T00:00:00Z, so it changes nothing: they lie between ";
    for idle in [
        TimeDelta::zero(),
        TimeDelta::days(365),
        TimeDelta::days(-365),
    ] {
        let told = told(idle);
        assert!(told.contains(said), "{told}");
    }
    let of_use = told(TimeDelta::days(-1));
    assert!(!of_use.contains("note: "), "{of_use}");
}

#[test]
fn hours_of_the_night_in_which_clocks_go_back_are_told_apart() {
    let table = of_load(
        &wave(60, 9.0),
        &["--zone", "Europe/Paris", "--horizon", "4h"],
    );
    assert!(!table.stdout.contains("CE"), "{}", table.stdout);
    let mut load = String::from("timestamp_utc,value\n");
    let origin: DateTime<Utc> = "2024-10-26T23:00:00Z".parse().unwrap();
    for hour in (1..=24 * 14).rev() {
        let at = origin - TimeDelta::hours(hour);
        let _ = writeln!(load, "{},{}", at.format("%FT%TZ"), 5 + hour % 24);
    }
    let folder = folder(&load, "");
    let file = folder.path().join("load.csv").display().to_string();
    let at = origin.format("%FT%TZ").to_string();
    let line = [
        "--load",
        &file,
        "--at",
        &at,
        "--zone",
        "Europe/Paris",
        "--horizon",
        "4h",
    ];
    for (command, more, head) in [
        ("forecast", &["--step", "1h"][..], "hour"),
        ("what-if", &["--multiplier", "2x"], "largest of each hour"),
    ] {
        let ended = subcommand(command, &[&line[..], more].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let rows: Vec<&str> = ended.stdout.lines().collect();
        let begin = rows.iter().position(|row| row.starts_with(head)).unwrap();
        let rows = &rows[begin..begin + 5];
        for (row, hour) in rows[1..].iter().zip([
            "Sun 2024-10-27 01:00    ",
            "Sun 2024-10-27 02:00 CEST",
            "Sun 2024-10-27 02:00 CET",
            "Sun 2024-10-27 03:00    ",
        ]) {
            assert!(row.starts_with(hour), "{}", ended.stdout);
            assert_eq!(
                row.chars().count(),
                rows[0].chars().count(),
                "{}",
                ended.stdout
            );
        }
    }
}

#[test]
fn lines_that_end_in_carriage_returns_alone_are_read() {
    let feeds = of_load(&wave(60, 9.0), &["--format", "csv"]);
    let returns = of_load(&wave(60, 9.0).replace('\n', "\r"), &["--format", "csv"]);
    assert_eq!(feeds.code, 0, "{}", feeds.stderr);
    assert_eq!(returns.stdout, feeds.stdout);
}
