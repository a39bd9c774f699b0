//! Models kept in files, forecasts taken apart, and forecasts of what is not so: as values and as
//! the commands print them.

use std::fmt::Write as _;
use std::path::Path;

use crate::synthetic::{Season, horizon, load, start};
use chrono::TimeDelta;
use clap::{Args, Command, FromArgMatches};
use tipoff::cli::explain::ExplainArgs;
use tipoff::cli::forecast::ForecastArgs;
use tipoff::cli::train::TrainArgs;
use tipoff::cli::what_if::WhatIfArgs;
use tipoff::cli::{explain, forecast, train, what_if};
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::{
    Artefact, EventResponse, Evidence, Fit as _, FittedEventResponse, Forecast, Predict as _, score,
};
use tipoff::series::Series;
use tipoff::units::Timestamp;

/// Three weeks in; a fixture starts 18 hours later.
fn origin() -> Timestamp {
    start() + TimeDelta::days(21)
}

/// A season with a second competition that overlaps the first on some days, and one to come that
/// was never played.
fn season() -> Season {
    let mut calendar = Season::new(24).calendar;
    for day in (0..24).step_by(4) {
        let at = start() + TimeDelta::days(day) + TimeDelta::hours(19);
        let mut fixture = Fixture::game(format!("cup-{day}"), "cup", at);
        fixture.stage = Some("final".into());
        calendar.insert(fixture);
    }
    let series = load(24, &calendar, 0.05, 3);
    let new = Fixture::game("new", "super league", origin() + TimeDelta::hours(36));
    calendar.insert(new);
    Season { series, calendar }
}

fn fitted(season: &Season) -> FittedEventResponse {
    let known = Evidence::new(&season.series, &season.calendar);
    EventResponse::new(chrono_tz::Tz::UTC)
        .fit(known, origin())
        .unwrap()
}

fn bits(forecast: &Forecast) -> Vec<u64> {
    let paths = forecast.paths.iter().flatten();
    let peaks = forecast.peaks.iter().flat_map(|peak| &peak.quantiles);
    paths.chain(peaks).map(|value| value.to_bits()).collect()
}

/// What somebody did to a model's file.
type Change = fn(&mut serde_json::Value);

#[test]
fn a_model_saved_and_loaded_forecasts_the_same_to_the_bit() {
    let season = season();
    let known = Evidence::new(&season.series, &season.calendar);
    let model = fitted(&season);
    let before = model.predict(known, horizon(origin()));
    let text = Artefact::new(model, known, None)
        .unwrap()
        .to_json()
        .unwrap();
    let loaded = Artefact::parse(&text, "m.json").unwrap();
    let after = loaded.state().predict(known, horizon(origin()));
    assert_eq!(bits(&before), bits(&after));
    assert_eq!(before, after);
    assert_eq!(loaded.to_json().unwrap(), text);
    assert_eq!(loaded.trained.first, start());
    assert_eq!(loaded.trained.last, origin());
    assert!(
        loaded
            .terms
            .iter()
            .any(|term| term.name == "competition cup")
    );
    assert!(loaded.terms.iter().all(|t| !t.name.starts_with("column")));
}

#[test]
fn a_file_that_is_no_sound_model_is_refused_with_the_place() {
    let season = season();
    let known = Evidence::new(&season.series, &season.calendar);
    let good = Artefact::new(fitted(&season), known, None)
        .unwrap()
        .to_json()
        .unwrap();
    let refused = |text: &str| Artefact::parse(text, "m.json").unwrap_err().to_string();
    for (text, said) in [
        (String::new(), "m.json: document: is not JSON"),
        (good[..good.len() / 2].to_owned(), "is not JSON"),
        (
            "{}".to_owned(),
            "format: is missing; give a file written by tipoff train",
        ),
    ] {
        assert!(refused(&text).contains(said), "{}", refused(&text));
    }
    let changes: [(Change, &str); 18] = [
        (
            |v| v["format"] = 1.into(),
            "format 1 is not known to this version, which reads 13",
        ),
        (|v| v["model"] = "oracle".into(), "is a model \"oracle\""),
        (|v| v["more"] = 1.into(), "unknown field `more`"),
        (
            |v| drop(v["state"]["coefficients"].as_array_mut().unwrap().pop()),
            "state.coefficients: ",
        ),
        (
            |v| v["state"]["coefficients"][0][0] = serde_json::Value::Null,
            "state.coefficients[0][0]: invalid type: null",
        ),
        (
            |v| v["state"]["coefficients"][3][1] = 1e300.into(),
            "state.coefficients.3.1: is beyond 1e15",
        ),
        (
            |v| {
                let weekly = &mut v["state"]["remainder"]["weekly"];
                drop(weekly.as_array_mut().unwrap().pop());
            },
            "state.remainder.weekly: 2015 bins",
        ),
        (
            |v| {
                let weekends = &mut v["state"]["remainder"]["daily"][1];
                drop(weekends.as_array_mut().unwrap().pop());
            },
            "state.remainder.daily: 287 bins",
        ),
        (
            |v| v["state"]["remainder"]["daily"][0][7][0] = (-1).into(),
            "state.remainder.daily: a weight is below 0",
        ),
        (
            |v| v["state"]["design"]["learntUntil"] = 4_000_000_000_u32.into(),
            "state.design.learntUntil: is after",
        ),
        (
            |v| v["state"]["leash"] = serde_json::json!([5.0, 4.0]),
            "state.leash: ",
        ),
        (|v| v["state"]["offset"] = 0.into(), "state.offset: "),
        (
            |v| v["state"]["tops"]["168"] = serde_json::json!([1.0, 0.1]),
            "state.tops: must be finite numbers by hour of the week",
        ),
        (
            |v| v["state"]["scatter"]["usual"] = (-1).into(),
            "state.scatter: must be variances",
        ),
        (
            |v| {
                v["state"]["design"]["stages"] = serde_json::json!({
                    "NFL": {"column": 1, "kinds": ["week"], "importance": 1.0}
                });
            },
            "its columns are not where they should be",
        ),
        (
            |v| v["state"]["weights"][0][0] = (-1).into(),
            "state.weights: ",
        ),
        (
            |v| drop(v["state"]["weights"][1].as_array_mut().unwrap().pop()),
            "state.weights: ",
        ),
        (
            |v| v["terms"][4]["value"] = 3.into(),
            "differs from the state",
        ),
    ];
    for (change, said) in changes {
        let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
        change(&mut value);
        let told = refused(&value.to_string());
        assert!(
            told.starts_with("m.json: ") && told.contains(said),
            "{told}"
        );
    }
}

#[test]
fn a_model_tells_how_well_it_did_when_trained_earlier() {
    let season = season();
    let known = Evidence::new(&season.series, &season.calendar);
    let model = EventResponse::new(chrono_tz::Tz::UTC);
    let scores = score(&model, known, origin()).unwrap();
    assert_eq!(scores.origins, 10);
    assert_eq!(scores.span.1, origin() - TimeDelta::hours(17));
    assert_eq!(scores.leads.len(), 5);
    for lead in &scores.leads {
        assert!(lead.error > 0.0 && lead.error < 0.3, "{lead:?}");
        assert!(
            lead.coverage.is_sorted() && lead.coverage[2] > 0.8,
            "{lead:?}"
        );
    }
    assert!(scores.peaks.unwrap().windows > 3);
    // what comes after is no part of it
    let spoilt = garbage_from(&season.series, origin());
    let known = Evidence::new(&spoilt, &season.calendar);
    let again = score(&model, known, origin()).unwrap();
    assert_eq!(again.leads, scores.leads);
    let early = start() + TimeDelta::hours(30);
    assert!(score(&model, known, early).is_none());
}

fn garbage_from(series: &Series, at: Timestamp) -> Series {
    let values = series
        .iter()
        .map(|(time, rate)| {
            if time >= at {
                1e15
            } else {
                rate.unwrap().as_per_second()
            }
        })
        .collect();
    Series::from_raw(series.start(), series.step(), values)
}

#[test]
fn the_parts_of_a_forecast_sum_to_its_median() {
    let season = season();
    let known = Evidence::new(&season.series, &season.calendar);
    let model = fitted(&season);
    let forecast = model.predict(known, horizon(origin()));
    let mut overlapping = 0;
    for minutes in (0..48 * 60).step_by(47) {
        let at = origin() + TimeDelta::minutes(minutes);
        let found = model.explain(known, horizon(origin()), at).unwrap();
        let bin = forecast.index(at).unwrap();
        assert_eq!(found.at, forecast.time(bin));
        for (quantile, path) in found.quantiles.iter().zip(&forecast.paths) {
            assert_eq!(quantile.to_bits(), path[bin].to_bits());
        }
        let parts: f64 = found.fixtures.iter().map(|share| share.load).sum();
        let sum = found.calm * found.level + found.match_day + parts;
        assert!((sum - found.quantiles[0]).abs() < 1e-9 * sum, "{found:?}");
        assert!(found.band.is_sorted() && found.band[0] >= 1.0);
        assert!(found.entries.is_none());
        overlapping += usize::from(found.fixtures.len() > 1);
    }
    assert!(overlapping > 5);
    let end = origin() + TimeDelta::hours(48);
    assert!(model.explain(known, horizon(origin()), end).is_none());
}

#[test]
fn an_explanation_names_the_fixture_its_kin_and_what_is_new() {
    let season = season();
    let model = fitted(&season);
    let late = origin() + TimeDelta::minutes(18 * 60 + 112);
    let known = Evidence::new(&season.series, &season.calendar);
    let found = model.explain(known, horizon(origin()), late).unwrap();
    let main = &found.fixtures[0];
    assert_eq!(main.fixtures[0].0, "day-21");
    assert!(main.multiple > 2.0 && main.novelty.is_none(), "{main:?}");
    assert!((main.minute.unwrap() - 112.0).abs() < 5.0);
    assert_eq!(found.analogues.len(), 5);
    let nearest = &found.analogues[0];
    assert!(
        nearest.likeness.starts_with("same competition"),
        "{nearest:?}"
    );
    assert!(
        nearest.multiple > 3.0 && nearest.multiple < 7.0,
        "{nearest:?}"
    );
    assert!(found.analogues.iter().all(|like| like.start < origin()));

    let first = origin() + TimeDelta::hours(37);
    let found = model.explain(known, horizon(origin()), first).unwrap();
    let novelty = found.fixtures[0].novelty.as_deref().unwrap();
    assert!(novelty.contains("first of super league"), "{novelty}");

    let spoilt = garbage_from(&season.series, origin());
    let known = Evidence::new(&spoilt, &season.calendar);
    let again = model.explain(known, horizon(origin()), first).unwrap();
    assert_eq!(again, found);
}

#[test]
fn responses_and_intensities_are_what_the_season_was_made_with() {
    let season = season();
    let model = fitted(&season);
    let curves = model.response_curves();
    let names: Vec<&str> = curves.iter().map(|c| c.competition.as_str()).collect();
    assert_eq!(names, ["cup", "league"]);
    for curve in &curves {
        let top = |points: &[(f64, f64)]| {
            points.iter().copied().fold(
                (0.0, 0.0),
                |best, point| if point.1 > best.1 { point } else { best },
            )
        };
        let (minute, multiple) = top(&curve.points);
        assert!(
            (95.0..135.0).contains(&minute),
            "{} {minute}",
            curve.competition
        );
        assert!(
            (2.5..7.0).contains(&multiple),
            "{} {multiple}",
            curve.competition
        );
        assert!((top(&curve.prior).1 - 2.0).abs() < 1e-9);
        for end in [curve.points[0], *curve.points.last().unwrap()] {
            assert!((end.1 - 1.0).abs() < 0.25, "{end:?}");
        }
    }
    assert_eq!(curves[1].fixtures, 14);

    let known = season.series.before(origin());
    let known = Evidence::new(&known, &season.calendar);
    let intensities = model.intensities(known);
    assert_eq!(intensities.len(), 14 + 6);
    let mean = |of: fn(&tipoff::forecast::FixtureIntensity) -> f64| {
        intensities.iter().map(of).sum::<f64>() / intensities.len() as f64
    };
    assert!(
        (3.5..6.5).contains(&mean(|i| i.multiple)),
        "{}",
        mean(|i| i.multiple)
    );
    assert!(
        (2.0..6.5).contains(&mean(|i| i.fitted)),
        "{}",
        mean(|i| i.fitted)
    );
    assert!(intensities.is_sorted_by_key(|intensity| intensity.start));
}

// ---- the commands ----

fn folder(season: &Season) -> tempfile::TempDir {
    let mut loads = String::from("timestamp_utc,requests\n");
    for (at, rate) in season.series.iter() {
        let count = (rate.unwrap().as_per_second() * 60.0).round();
        let _ = writeln!(loads, "{},{count}", at.format("%FT%TZ"));
    }
    let mut fixtures = String::from("id,start,competition,stage,home\n");
    for fixture in season.calendar.iter() {
        let _ = writeln!(
            fixtures,
            "{},{},{},{},{}",
            fixture.id,
            fixture.start.at.format("%FT%TZ"),
            fixture.competition,
            fixture.stage.as_deref().unwrap_or_default(),
            fixture.home.as_deref().unwrap_or_default(),
        );
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("load.csv"), loads).unwrap();
    std::fs::write(folder.path().join("fixtures.csv"), fixtures).unwrap();
    folder
}

fn parse<A: Args + FromArgMatches>(words: &[&str]) -> A {
    let command = A::augment_args(Command::new("tipoff"));
    let line = std::iter::once("tipoff").chain(words.iter().copied());
    A::from_arg_matches(&command.try_get_matches_from(line).unwrap()).unwrap()
}

/// The usual files, then `more`.
fn files<A: Args + FromArgMatches>(folder: &Path, more: &[&str]) -> A {
    let file = |name: &str| folder.join(name).display().to_string();
    let (load, fixtures) = (file("load.csv"), file("fixtures.csv"));
    let mut line = vec!["--load", &load, "--fixtures", &fixtures, "--per", "1m"];
    line.extend(more);
    parse(&line)
}

/// Numbers and widths taken out: what is printed, not how much.
fn form(text: &str) -> String {
    let mut out = String::new();
    let mut in_number = false;
    for c in text.chars() {
        let number = c.is_ascii_digit() || (in_number && matches!(c, '.' | ','));
        match (number, in_number) {
            (true, false) => out.push('#'),
            (true, true) => {}
            _ if c == ' ' && out.ends_with(' ') => {}
            _ => out.push(c),
        }
        in_number = number;
    }
    out
}

const AT: &str = "2024-04-22T00:00:00Z";

#[test]
fn train_writes_a_model_that_forecast_predicts_with() {
    let folder = folder(&season());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let model = file("model.json");
    let trained: TrainArgs = files(folder.path(), &["--at", AT, "--out", &model]);
    let summary = train::text(&trained).unwrap();
    insta::assert_snapshot!("train", form(&summary));
    let inspected: TrainArgs = parse(&["--inspect", &model]);
    assert_eq!(train::text(&inspected).unwrap(), summary);

    let csv = |more: &[&str]| {
        let mut line = vec!["--at", AT, "--format", "csv", "--horizon", "30h"];
        line.extend(more);
        let args: ForecastArgs = files(folder.path(), &line);
        forecast::text(&args).unwrap()
    };
    assert_eq!(csv(&["--model", &model]), csv(&[]));

    // a pipe or a device is written to and stays what it is; this link to one is the test's own
    let null = folder.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    let gone: TrainArgs = files(
        folder.path(),
        &["--at", AT, "--out", null.to_str().unwrap()],
    );
    assert_eq!(train::text(&gone).unwrap(), summary);
    assert!(null.is_symlink());

    let early: ForecastArgs = files(
        folder.path(),
        &["--at", "2024-04-21T23:59:00Z", "--model", &model],
    );
    let told = forecast::text(&early).unwrap_err().to_string();
    assert!(told.contains("knows what came after"), "{told}");

    let other = file("other.json");
    let earlier: TrainArgs = files(
        folder.path(),
        &["--at", "2024-04-20T00:00:00Z", "--out", &other],
    );
    train::text(&earlier).unwrap();
    let diff = |a: &str, b: &str| train::text(&parse(&["--diff", a, b])).unwrap();
    assert_eq!(diff(&model, &model), "no difference\n");
    let told = diff(&model, &other);
    assert!(
        told.contains("2024-04-22 00:00") && told.contains("smaller changes"),
        "{told}"
    );
    // the regression's own numbers are logarithms
    let coefficients = told
        .lines()
        .skip_while(|line| !line.starts_with("coefficients"));
    let (heads, values): (Vec<_>, Vec<_>) = coefficients
        .filter(|line| !line.starts_with("and "))
        .partition(|line| line.contains("factor of load"));
    assert_eq!((heads.len(), values.is_empty()), (1, false), "{told}");
    for row in values {
        let value = row.split_whitespace().next_back().unwrap();
        assert!(value.starts_with('x') || value == "absent", "{row}");
    }
    // names are told from values, however long they are
    let column = told.find("first").unwrap();
    let rows = told.lines().filter(|line| !line.starts_with("and "));
    for row in rows {
        assert_eq!(row.chars().nth(column - 1), Some(' '), "{row}");
    }

    let missing = file("missing.json");
    let missing: TrainArgs = parse(&["--inspect", &missing]);
    let told = train::text(&missing).unwrap_err();
    assert_eq!(told.exit_code(), 2);
    assert!(told.to_string().contains("cannot be read"), "{told}");
}

#[test]
fn explain_fits_one_screen() {
    let folder = folder(&season());
    let args = |more: &[&str]| -> ExplainArgs {
        let mut line = vec!["--origin", AT];
        line.extend(more);
        files(folder.path(), &line)
    };
    let text = explain::text(&args(&["--at", "2024-04-22T19:52:00Z"])).unwrap();
    assert!(text.lines().count() <= 30, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    insta::assert_snapshot!("explain", form(&text));
    let json = explain::text(&args(&["--at", "2024-04-22T19:52:00Z", "--json"])).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["fixtures"][0]["fixtures"][0], "day-21");
    // what several bring together is said: their factors do not multiply to it
    assert!(!text.contains("all of these together"), "{text}");
    let both = ["--at", "2024-04-23T13:30:00Z"];
    let text = explain::text(&args(&both)).unwrap();
    let json = explain::text(&args(&[&both[..], &["--json"]].concat())).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let shares = json["fixtures"].as_array().unwrap();
    assert!(shares.len() > 1, "{json}");
    let load = |share: &serde_json::Value| share["load"].as_f64().unwrap();
    let (all, median) = (
        shares.iter().map(load).sum::<f64>(),
        json["quantiles"][0].as_f64().unwrap(),
    );
    let line = text.lines().find(|line| line.contains("all of these"));
    let factor = format!("x{:.2}", median / (median - all));
    assert!(line.unwrap().ends_with(&factor), "{text}");
    let told = explain::text(&args(&["--at", "2024-04-21T19:52:00Z"])).unwrap_err();
    assert!(told.to_string().contains("see --origin"), "{told}");
    // without an origin it is the end of the load
    let last: ExplainArgs = files(folder.path(), &["--at", "2024-04-25T06:00:00Z"]);
    let text = explain::text(&last).unwrap();
    assert!(text.contains("seen from Thu 2024-04-25 00:00"), "{text}");
}

#[test]
fn what_if_shows_before_and_after() {
    let folder = folder(&season());
    let run = |more: &[&str]| {
        let mut line = vec!["--at", AT, "--horizon", "30h"];
        line.extend(more);
        let args: WhatIfArgs = files(folder.path(), &line);
        what_if::text(&args).map_err(|error| error.to_string())
    };
    let json = |more: &[&str]| -> serde_json::Value {
        let mut line = more.to_vec();
        line.extend(["--format", "json"]);
        serde_json::from_str(&run(&line).unwrap()).unwrap()
    };
    let peak = |answer: &serde_json::Value, which: &str, fixture: &str| {
        let peaks = answer[which]["peaks"].as_array().unwrap();
        let found = peaks
            .iter()
            .find(|peak| peak["fixtures"][0] == fixture)
            .cloned()?;
        let at: Timestamp = serde_json::from_value(found["at"].clone()).unwrap();
        Some((at, found["quantiles"][0].as_f64().unwrap()))
    };

    let text = run(&["--fixture", "day-21", "--delay", "60m"]).unwrap();
    insta::assert_snapshot!("what-if", form(&text));
    let later = json(&["--fixture", "day-21", "--delay", "60m"]);
    let (then, now) = (
        peak(&later, "after", "day-21"),
        peak(&later, "before", "day-21"),
    );
    let moved = then.unwrap().0 - now.unwrap().0;
    assert!(
        (moved - TimeDelta::hours(1)).abs() <= TimeDelta::minutes(10),
        "{moved}"
    );

    let longer = json(&["--fixture", "day-21", "--extra-time"]);
    let moved = peak(&longer, "after", "day-21").unwrap().0 - now.unwrap().0;
    assert!(
        (moved - TimeDelta::minutes(30)).abs() <= TimeDelta::minutes(10),
        "{moved}"
    );

    let off = json(&["--cancel", "day-21"]);
    assert!(peak(&off, "after", "day-21").is_none());
    assert!(peak(&off, "before", "day-21").is_some());

    let all = json(&["--multiplier", "8x"]);
    let (before, after) = (&all["before"]["paths"], &all["after"]["paths"]);
    let ratio = after[2][100].as_f64().unwrap() / before[2][100].as_f64().unwrap();
    assert!((ratio - 8.0).abs() < 1e-9);
    let flag = all["extrapolation"][0].as_str().unwrap();
    assert!(flag.contains("times the largest load so far"), "{flag}");

    let one = json(&["--fixture", "day-21", "--multiplier", "3"]);
    let night = |which: &str| one[which]["paths"][0][0].as_f64().unwrap();
    // at midnight only what makes the whole day differ can grow
    assert!((night("after") / night("before") - 1.0).abs() < 0.02);
    let (then, now) = (
        peak(&one, "after", "day-21"),
        peak(&one, "before", "day-21"),
    );
    let ratio = then.unwrap().1 / now.unwrap().1;
    assert!((1.5..3.0).contains(&ratio), "{ratio}");

    let more = json(&[
        "--add",
        "start=2024-04-22T12:00:00Z,competition=league,home=x",
    ]);
    assert!(peak(&more, "before", "what-if-1").is_none());
    assert!(peak(&more, "after", "what-if-1").unwrap().1 > 0.0);
    assert!(
        run(&["--multiplier", "1", "--format", "csv"])
            .unwrap()
            .lines()
            .count()
            == 361
    );

    for (line, said) in [
        (&[][..], "nothing is changed"),
        (
            &["--cancel", "day-20"],
            "no fixture day-20; around that time there are day-21",
        ),
        (&["--cancel", "day-0"], "has ended"),
        (&["--add", "start=noon"], "--add \"start=noon\""),
        (
            &["--add", "start=2024-04-22T12:00:00Z"],
            "column competition is missing among start, id; add it, for example competition=NFL",
        ),
        (
            &["--add", "start=2024-04-22T12:00:00,competition=x"],
            "declare the zone they are in, for example zone=Europe/London",
        ),
        (&["--add", "noon"], "is not column=value"),
        (
            &[
                "--add",
                "start=2024-04-22T12:00:00Z,competition=league,id=day-21",
            ],
            "id \"day-21\" is taken, by ",
        ),
        (
            &["--add", "start=2024-04-22T12:00:00Z,competition=x,wieght=3"],
            "\"wieght\" is no column: did you mean weight?",
        ),
        (
            &["--fixture", "new", "--cancel", "day-21"],
            "--fixture new and --cancel: --fixture says whose --multiplier, --extra-time or --delay \
             it is, and none is given",
        ),
        (
            &["--fixture", "day-21", "--cancel", "day-21"],
            "--fixture day-21 and --cancel day-21: --cancel says alone that it is off",
        ),
        (
            &[
                "--fixture",
                "day-21",
                "--cancel",
                "day-21",
                "--multiplier",
                "2x",
            ],
            "--multiplier and --cancel are both for day-21: what is off is no larger",
        ),
        (
            &["--cancel", "day-21", "--cancel", "day-21"],
            "--cancel day-21 is given twice",
        ),
        (
            &[
                "--add",
                "start=2024-04-22T12:00:00Z,competition=league,id=mine",
                "--cancel",
                "mine",
            ],
            "id=mine\" and --cancel mine: what is added is not off",
        ),
    ] {
        let told = run(line).unwrap_err();
        assert!(told.contains(said), "{line:?}: {told}");
    }
}

#[test]
fn what_if_says_when_nothing_within_the_horizon_changes() {
    let folder = folder(&season());
    let run = |more: &[&str]| {
        let mut line = vec!["--at", AT, "--horizon", "2h"];
        line.extend(more);
        what_if::text(&files::<WhatIfArgs>(folder.path(), &line)).unwrap()
    };
    let beyond = run(&["--fixture", "new", "--delay", "60m"]);
    let said = "note: what is changed alters nothing within the horizon, which ends at \
                2024-04-22T02:00:00Z: super league begins at 2024-04-23T13:00:00Z, after it; give a longer \
                --horizon";
    assert!(beyond.contains(said), "{beyond}");
    let same = run(&["--multiplier", "1x"]);
    assert!(same.contains("ends at 2024-04-22T02:00:00Z\n"), "{same}");
    // two changes of two games are no contradiction
    let both = run(&["--fixture", "new", "--delay", "60m", "--cancel", "day-21"]);
    assert!(both.contains("off"), "{both}");
    let larger = run(&["--multiplier", "2x"]);
    assert!(!larger.contains("alters nothing"), "{larger}");
}

#[test]
fn a_calendar_without_fixtures_explains_too() {
    let season = Season::new(10);
    let none = Calendar::default();
    let known = Evidence::new(&season.series, &none);
    let at = start() + TimeDelta::days(10);
    let model = EventResponse::new(chrono_tz::Tz::UTC)
        .fit(known, at)
        .unwrap();
    let found = model
        .explain(known, horizon(at), at + TimeDelta::hours(3))
        .unwrap();
    assert!(found.fixtures.is_empty() && found.analogues.is_empty());
    assert_eq!(found.match_day, 0.0);
    let sum = found.calm * found.level;
    assert!((sum - found.quantiles[0]).abs() < 1e-9 * sum);
    assert!(model.response_curves().is_empty());
    assert!(model.intensities(known).is_empty());
}

#[test]
fn explain_says_when_the_forecast_in_force_is_another() {
    // from the twentieth day on load jumps from hour to hour as no smooth model can say, the same
    // way every day
    let restless = |bin: usize| {
        let day = 288;
        if bin < 20 * day {
            100.0 + 50.0 * (std::f64::consts::TAU * (bin % day) as f64 / day as f64).sin()
        } else {
            40.0 * 1.5_f64.powi((bin % day / 4 * 37 % 11) as i32)
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let start: Timestamp = "2024-04-01T00:00:00Z".parse().unwrap();
    let mut text = "timestamp_utc,value\n".to_owned();
    for bin in 0..28 * 288 {
        let at = start + TimeDelta::minutes(5 * bin as i64);
        writeln!(text, "{},{}", at.format("%FT%TZ"), restless(bin)).unwrap();
    }
    let load = folder.path().join("load.csv");
    std::fs::write(&load, text).unwrap();
    let load = load.display().to_string();
    let explained = |origin: &str, at: &str| {
        let args: ExplainArgs = parse(&["--load", &load, "--origin", origin, "--at", at]);
        explain::text(&args).unwrap()
    };
    let told = explained("2024-04-29T00:00:00Z", "2024-04-29T18:00:00Z");
    let what = "what is shown here is the event-response model all the same";
    assert!(told.contains(what), "{told}");
    let trusted = explained("2024-04-20T00:00:00Z", "2024-04-20T18:00:00Z");
    assert!(!trusted.contains(what), "{trusted}");
}

#[test]
fn what_if_doubts_what_is_added_as_it_doubts_a_file() {
    let folder = folder(&season());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let fields = "start=2024-04-22T12:00:00Z,competition=league,home=x,duration=5,status=wibble";
    let arguments = ["--load", &file("load.csv"), "--at", AT, "--add", fields];
    let ended = crate::run::subcommand("what-if", &arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for said in [
        "warning: --add: what-if-1: lasts 5m, which no game does",
        "warning: --add: what-if-1: status \"wibble\" is not known",
    ] {
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_model_that_knows_fixtures_says_when_none_are_given() {
    let folder = folder(&season());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let trained: TrainArgs = files(folder.path(), &["--at", AT, "--out", &file("m.json")]);
    train::text(&trained).unwrap();
    let (load, model) = (file("load.csv"), file("m.json"));
    let mut line = vec!["--load", &load, "--at", AT, "--model", &model];
    let note = "note: the model has learnt from fixtures and none are given";
    let ended = crate::run::subcommand("forecast", &line);
    assert!(ended.stdout.contains(note), "{}", ended.stdout);
    let fixtures = file("fixtures.csv");
    line.extend(["--fixtures", &fixtures]);
    let ended = crate::run::subcommand("forecast", &line);
    assert!(
        ended.code == 0 && !ended.stdout.contains(note),
        "{}",
        ended.stdout
    );
}
