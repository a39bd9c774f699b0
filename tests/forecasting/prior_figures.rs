//! The measured figures of `models/`, measured again: prints them and compares the files.
//!
//! The data are not part of the project; without them these tests say so and pass.
//! `cargo test --test forecasting prior_figures -- --nocapture` shows the figures.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use flate2::read::GzDecoder;
use tipoff::fixture::import::{ImportOptions, read};
use tipoff::forecast::SportPrior;
use tipoff::units::Timestamp;

fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(name);
    if path.exists() {
        Some(path)
    } else {
        println!("skipped: {name} is not here");
        None
    }
}

type Row = BTreeMap<String, String>;

fn rows(reader: impl Read) -> Vec<Row> {
    csv::Reader::from_reader(reader)
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

fn time(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

fn hours(span: TimeDelta) -> f64 {
    span.num_seconds() as f64 / 3_600.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn overtime_and_touchdowns_of_american_football() {
    let (Some(schedule), Some(scoring)) = (
        data("nfl/schedule_2013_2023.csv"),
        data("nfl/scoring_2013_2023.csv.gz"),
    ) else {
        return;
    };
    // minutes from the announced kick-off to the last play
    let mut lengths: BTreeMap<bool, Vec<f64>> = BTreeMap::new();
    let mut played = BTreeSet::new();
    for game in rows(File::open(schedule).unwrap()) {
        let over = match game["phase"].as_str() {
            "FINAL" => false,
            "FINAL_OVERTIME" => true,
            _ => continue,
        };
        let (Some(start), Some(end)) = (time(&game["kickoff_utc"]), time(&game["last_play_utc"]))
        else {
            continue;
        };
        played.insert(game["game_id"].clone());
        lengths
            .entry(over)
            .or_default()
            .push(hours(end - start) * 60.0);
    }
    let (regular, over) = (lengths[&false].clone(), lengths[&true].clone());
    let chance = over.len() as f64 / (over.len() + regular.len()) as f64;
    let total: f64 = regular.iter().chain(&over).sum::<f64>() / 60.0;
    let later = median(over.clone()) - median(regular.clone());
    println!(
        "NFL 2013-2023: {} of {} games went to overtime ({:.1} %), and ended {:.0} min after the \
         announced kick-off against {:.0} (medians): {later:.0} later",
        over.len(),
        over.len() + regular.len(),
        100.0 * chance,
        median(over),
        median(regular),
    );
    let scores: Vec<Row> = rows(GzDecoder::new(File::open(scoring).unwrap()))
        .into_iter()
        .filter(|score| played.contains(&score["game_id"]))
        .collect();
    let touchdowns = scores.iter().filter(|s| s["type"] == "TOUCHDOWN").count() as f64;
    println!(
        "an hour: {:.2} touchdowns, {:.2} scores of any kind",
        touchdowns / total,
        scores.len() as f64 / total
    );
    let prior = SportPrior::of(Some("american_football"));
    assert!((prior.overtime.chance - chance).abs() < 0.001);
    assert!((prior.overtime.minutes - later).abs() < 1.0, "{later}");
    assert!((prior.spike.per_hour - touchdowns / total).abs() < 0.05);
}

fn premier_league() -> Option<(Vec<u8>, tipoff::fixture::Calendar)> {
    let path = data("calendars/openfootball_2025-26_en.1.json")?;
    let bytes = std::fs::read(path).unwrap();
    let options = ImportOptions {
        source: "openfootball".to_owned(),
        zone: Some(Tz::Europe__London),
        ..ImportOptions::default()
    };
    let calendar = read(&bytes, &options).unwrap().fixtures;
    Some((bytes, calendar.into_iter().collect()))
}

#[test]
fn goals_of_football() {
    let Some((bytes, _)) = premier_league() else {
        return;
    };
    let season: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let goals: Vec<f64> = season["matches"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|game| game["score"]["ft"].as_array())
        .map(|score| score.iter().filter_map(serde_json::Value::as_f64).sum())
        .collect();
    let per_hour = mean(&goals) / (110.0 / 60.0);
    println!(
        "Premier League: {:.2} goals a match in {} matches, {per_hour:.2} an hour",
        mean(&goals),
        goals.len()
    );
    let prior = SportPrior::of(Some("football"));
    assert!((prior.spike.per_hour - per_hour).abs() < 0.05);
}

/// Longest hole in the polls of a deadline that is still used, hours.
const WORST_HOLE: f64 = 48.0;

/// A mark inside a hole longer than this is left out, hours.
const BLIND: f64 = 12.0;

/// Entries of the last so many hours count as all of them.
const ALL: f64 = 96.0;

#[test]
fn pickup_curve_of_fantasy_football() {
    let (Some((_, calendar)), Some(path)) = (
        premier_league(),
        data("entries/fpl_top20_transfer_rate_2025.csv"),
    ) else {
        return;
    };
    let polls: Vec<(Timestamp, f64)> = rows(File::open(path).unwrap())
        .iter()
        .filter(|row| row["is_gameweek_reset"] == "0")
        .map(|row| {
            let rate = row["top20_abs_net_transfers_per_hour"].parse().unwrap();
            (time(&row["timestamp_utc"]).unwrap(), rate)
        })
        .collect();
    // the deadline of a gameweek is ninety minutes before its first kick-off
    let mut firsts: BTreeMap<String, Timestamp> = BTreeMap::new();
    for fixture in calendar.iter() {
        let first = firsts
            .entry(fixture.stage.clone().unwrap_or_default())
            .or_insert(fixture.start.at);
        *first = fixture.start.at.min(*first);
    }
    let prior = &SportPrior::of(Some("football")).entries;
    let marks: Vec<f64> = prior.completed_at_hours.iter().map(|mark| mark.0).collect();
    let mut shares: Vec<Vec<f64>> = vec![Vec::new(); marks.len()];
    let mut used = 0;
    for deadline in firsts.values().map(|first| *first - TimeDelta::minutes(90)) {
        // hours before the deadline at which a rate begins and ends, oldest first
        let mut spans: Vec<(f64, f64, f64)> = Vec::new();
        let mut since = ALL;
        for &(at, rate) in &polls {
            let before = hours(deadline - at);
            if (0.0..ALL).contains(&before) {
                spans.push((since, before, rate));
                since = before;
            }
        }
        let Some(&(_, _, last)) = spans.last() else {
            continue;
        };
        let hole = spans.iter().map(|s| s.0 - s.1).fold(0.0, f64::max);
        if since > 1.0 || hole > WORST_HOLE {
            continue;
        }
        spans.push((since, 0.0, last));
        used += 1;
        let by = |mark: f64| -> f64 {
            spans
                .iter()
                .map(|&(from, to, rate)| rate * (from - to.max(mark)).max(0.0))
                .sum()
        };
        for (mark, shares) in marks.iter().zip(&mut shares) {
            let blind = spans
                .iter()
                .any(|s| s.0 > *mark && s.1 < *mark && s.0 - s.1 > BLIND);
            if !blind {
                shares.push(by(*mark) / by(0.0));
            }
        }
    }
    println!(
        "Fantasy Premier League, {used} deadlines: hours before, share made, spread of its ln"
    );
    for (mark, shares) in marks.iter().zip(&shares) {
        let logs: Vec<f64> = shares.iter().map(|share| share.ln()).collect();
        let variance = logs
            .iter()
            .map(|log| (log - mean(&logs)).powi(2))
            .sum::<f64>()
            / (logs.len() as f64 - 1.0);
        println!(
            "{mark:>5} {:.3} {:.3}  ({} deadlines)",
            mean(shares),
            variance.sqrt(),
            shares.len()
        );
        assert!((prior.completed(*mark) - mean(shares)).abs() < 0.01);
        assert!(variance.sqrt() <= prior.spread(*mark) + 1e-9);
    }
    assert_eq!(used, 4);
}
