//! `tipoff what-if`: a forecast before and after a change of what is known.
//!
//! Reads files and prints; the changes are made in `crate::fixture::edit` and
//! `crate::forecast::what_if`.

use std::fmt::Write as _;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::CliError;
use super::forecast::{DAY_AND_TIME, InputError, column, time};
use super::inputs::{InputArgs, Inputs, check_horizon};
use super::output::print;
use crate::fixture::edit::{Aim, Edit};
use crate::fixture::{Calendar, Fixture, FixtureId};
use crate::forecast::what_if::{extrapolation, larger, larger_crowd, paced};
use crate::forecast::{FittedEventResponse, Forecast, Horizon, Predict, Quantile};
use crate::units::{DurationError, HumanDuration, Rate, Timestamp, by_clock};

mod add;
mod odds;

use add::{parse_fixture, starts};

/// Forecast twice: as things stand, and as they would with one or more changes.
#[derive(Debug, Clone, Args)]
pub struct WhatIfArgs {
    /// Load, fixtures and what else is known.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// The moment of the forecast; nothing from it on is learnt. Default: the end of the load.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Timestamp>,
    /// How far ahead.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub horizon: HumanDuration,
    /// The fixture that is changed. Default: all that are on or begin within the horizon.
    #[arg(long, value_name = "ID")]
    pub fixture: Option<String>,
    /// So many times the load, for example `8x`; with `--fixture`, so many times what that fixture
    /// brings.
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub multiplier: Option<f64>,
    /// Play runs over by this.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "30m",
        value_parser = longer)]
    pub extra_time: Option<HumanDuration>,
    /// The start is later by this.
    #[arg(long, value_name = "DURATION", value_parser = later)]
    pub delay: Option<HumanDuration>,
    /// This fixture is off; may be given more than once.
    #[arg(long, value_name = "ID")]
    pub cancel: Vec<String>,
    /// One more fixture, in columns of the fixture CSV:
    /// `start=2026-09-13T17:00:00Z,competition=NFL,home=KC,away=BUF`. May be given more than once.
    #[arg(long, value_name = "FIELDS")]
    pub add: Vec<String>,
    /// Entries of slates not yet locked so many times as fast so far, for example `1.6x`.
    #[arg(long, value_name = "FACTOR", value_parser = factor, requires = "entries")]
    pub entries_pace: Option<f64>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// How both forecasts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `timestamp_utc,before_p50,before_p95,after_p50,after_p95`, units per second.
    Csv,
    /// Both forecasts whole, with what was changed and what lies beyond all history.
    Json,
    /// For people: peaks of fixtures and hours, before and after.
    Table,
}

/// `8x`, `1.6x` or `0.5`.
fn factor(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches(['x', 'X']);
    number
        .parse()
        .ok()
        .filter(|factor: &f64| factor.is_finite() && (0.0..=1_000.0).contains(factor))
        .ok_or_else(|| {
            format!("{text:?} is not a factor: write for example 8x or 1.6x, at most 1000x")
        })
}

/// The most a start is moved: into the next season.
const LATEST: TimeDelta = TimeDelta::days(366);

/// The most play runs over, as no fixture is longer.
const MOST_EXTRA: TimeDelta = TimeDelta::days(14);

fn later(text: &str) -> Result<HumanDuration, String> {
    at_most(text, LATEST)
}

fn longer(text: &str) -> Result<HumanDuration, String> {
    at_most(text, MOST_EXTRA)
}

fn at_most(text: &str, most: TimeDelta) -> Result<HumanDuration, String> {
    let written: HumanDuration = text
        .parse()
        .map_err(|error: DurationError| error.to_string())?;
    if written.0 > most {
        return Err(format!(
            "{written} is out of range: write at most {}",
            HumanDuration(most)
        ));
    }
    Ok(written)
}

/// Both forecasts, and what was changed between them.
#[derive(Debug, Serialize)]
struct Answer {
    /// The changes, in words.
    changes: Vec<String>,
    /// As things stand.
    before: Forecast,
    /// As they would.
    after: Forecast,
    /// What of it lies beyond all history.
    extrapolation: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Bad input, with file and line and what to do.
pub fn run(args: &WhatIfArgs) -> Result<(), CliError> {
    print(&text(args).map_err(CliError::input)?)
}

/// What the command prints.
///
/// # Errors
/// As [`run`].
pub fn text(args: &WhatIfArgs) -> Result<String, InputError> {
    check_horizon(args.horizon.0)?;
    odds::check(args)?;
    let inputs = args.inputs.read(args.at)?;
    let fitted = inputs
        .fit()
        .map_err(|error| InputError(format!("{}: {error}", args.inputs.load.display())))?;
    let horizon = Horizon {
        origin: inputs.at,
        length: args.horizon.0,
        step: TimeDelta::minutes(5),
    };
    let before = fitted.predict(inputs.evidence(), horizon);
    let Changed {
        inputs: changed,
        added,
        mut changes,
    } = change(args, &inputs)?;
    let mut after = fitted.predict(changed.evidence(), horizon);
    after.notes.extend(inputs.fallback(&fitted));
    after.notes.extend(inputs.peaks_unseen());
    if let Some(factor) = args.multiplier {
        match &args.fixture {
            None => after = larger(&after, factor),
            Some(id) => {
                let without = without(&fitted, &changed, id, horizon)?;
                after = larger_crowd(&after, &without, factor);
            }
        }
        changes.push(match &args.fixture {
            None => format!("{factor}x the load"),
            Some(id) => format!("{factor}x what {id} brings"),
        });
    }
    if changes.is_empty() {
        return Err(InputError(
            "nothing is changed; give --multiplier, --extra-time, --delay, --cancel, --add or \
             --entries-pace"
                .to_owned(),
        ));
    }
    after
        .notes
        .extend(nothing_changed(args, &changed, &before, &after));
    let seen = |fixture: &Fixture| {
        let past = inputs
            .calendar
            .starting_between(inputs.load.start(), inputs.at);
        let kin = past
            .iter()
            .filter(|past| past.league() == fixture.league() && !past.status.is_off());
        kin.count()
    };
    let added: Vec<(&Fixture, usize)> = added
        .iter()
        .map(|fixture| (fixture, seen(fixture)))
        .collect();
    let answer = Answer {
        extrapolation: extrapolation(&after, &inputs.load, &added),
        changes,
        before,
        after,
    };
    Ok(match args.format {
        Format::Csv => csv(&answer),
        Format::Json => {
            serde_json::to_string_pretty(&answer)
                .map_err(|error| InputError(format!("cannot be written as JSON: {error}")))?
                + "\n"
        }
        Format::Table => table(&answer, &changed, &inputs),
    })
}

struct Changed {
    inputs: Inputs,
    added: Vec<Fixture>,
    changes: Vec<String>,
}

/// Everything but the multiplier.
fn change(args: &WhatIfArgs, inputs: &Inputs) -> Result<Changed, InputError> {
    let at = inputs.at;
    let mut inputs = inputs.clone();
    let mut changes = Vec::new();
    let mut added = Vec::new();
    let refuse = |error: crate::fixture::edit::EditError| InputError(error.to_string());
    for fields in &args.add {
        let fixture = parse_fixture(fields, at, added.len() + 1)?;
        if !inputs.calendar.versions(&fixture.id).is_empty() {
            return Err(InputError(format!(
                "--add {fields:?}: id {:?} is taken, by {}; leave id out or give another, with \
                 --cancel if the new fixture stands for that one",
                fixture.id.0,
                inputs.titles(std::slice::from_ref(&fixture.id)),
            )));
        }
        odds::check_added(args, fields, &fixture)?;
        changes.push(format!("{} added {}", fixture.title(), starts(&fixture)));
        inputs.calendar.insert(fixture.clone());
        added.push(fixture);
    }
    let aim = match &args.fixture {
        Some(id) => Aim::One(FixtureId(id.clone())),
        None => Aim::AllBefore(at + args.horizon.0),
    };
    let edits = [
        args.delay
            .map(|by| (Edit::Delay(by.0), format!("{by} later"))),
        args.extra_time
            .map(|by| (Edit::ExtraTime(by.0), format!("runs over by {by}"))),
    ];
    for (edit, words) in edits.into_iter().flatten() {
        let (calendar, ids) = inputs.calendar.edited(edit, &aim, at).map_err(refuse)?;
        inputs.calendar = calendar;
        changes.push(format!("{}: {words}", inputs.titles(&ids)));
    }
    for id in &args.cancel {
        let aim = Aim::One(FixtureId(id.clone()));
        let (calendar, ids) = inputs
            .calendar
            .edited(Edit::Cancel, &aim, at)
            .map_err(refuse)?;
        changes.push(format!("{}: off", inputs.titles(&ids)));
        inputs.calendar = calendar;
    }
    if let Some(factor) = args.entries_pace {
        inputs.entries = paced(&inputs.entries, &inputs.calendar, at, factor);
        changes.push(format!("entries {factor}x as fast so far"));
    }
    Ok(Changed {
        inputs,
        added,
        changes,
    })
}

/// What to say when both forecasts are the same.
fn nothing_changed(
    args: &WhatIfArgs,
    changed: &Inputs,
    before: &Forecast,
    after: &Forecast,
) -> Option<String> {
    if before.paths != after.paths || before.peaks != after.peaks {
        return None;
    }
    let mut named = args
        .fixture
        .iter()
        .chain(&args.cancel)
        .filter_map(|id| changed.calendar.get(&FixtureId(id.clone())));
    let why = named.find_map(|fixture| {
        if fixture.start.at >= before.end() {
            return Some(format!(
                ": {} begins {}, after it; give a longer --horizon",
                fixture.title(),
                starts(fixture)
            ));
        }
        (args.delay.is_some() && !fixture.start.is_timed()).then(|| {
            format!(
                ": {} begins {}; a delay to another day would",
                fixture.title(),
                starts(fixture)
            )
        })
    });
    Some(format!(
        "what is changed alters nothing within the horizon, which ends at {}{}",
        before.end().format("%FT%TZ"),
        why.unwrap_or_default()
    ))
}

/// The forecast as if there were no such fixture. What was learnt from its past stays learnt.
fn without(
    fitted: &FittedEventResponse,
    inputs: &Inputs,
    id: &str,
    horizon: Horizon,
) -> Result<Forecast, InputError> {
    let id = FixtureId(id.to_owned());
    // the midnight that stands for a day is nobody's lock
    if let Some(fixture) = inputs.calendar.get(&id)
        && (fixture.start.is_timed() || !fixture.locks.is_empty())
        && fixture.lock() <= inputs.at
    {
        return Err(InputError(format!(
            "--fixture {id}: its crowd has begun to come and is in the load already; \
             ask from before its lock, {}",
            fixture.lock().format("%FT%TZ")
        )));
    }
    let calendar = inputs
        .calendar
        .without(&id, inputs.at)
        .map_err(|error| InputError(error.to_string()))?;
    let known = Inputs {
        calendar,
        ..inputs.clone()
    };
    Ok(fitted.predict(known.evidence(), horizon))
}

fn csv(answer: &Answer) -> String {
    let (before, after) = (&answer.before, &answer.after);
    let mut out = String::from("timestamp_utc,before_p50,before_p95,after_p50,after_p95\n");
    for bin in 0..before.len().min(after.len()) {
        let _ = write!(out, "{}", before.time(bin).format("%FT%TZ"));
        for forecast in [before, after] {
            for quantile in [Quantile::P50, Quantile::P95] {
                let _ = write!(out, ",{:.6}", forecast.path(quantile)[bin]);
            }
        }
        out.push('\n');
    }
    out
}

/// Peaks, then hours, before and after.
fn table(answer: &Answer, changed: &Inputs, inputs: &Inputs) -> String {
    let (before, after) = (&answer.before, &answer.after);
    let zone = inputs.zone;
    let show = |value: f64| Rate::per_second(value).to_string();
    let clock = |at: Timestamp| by_clock(at, zone, DAY_AND_TIME);
    let mut out = format!("What if, seen from {} ({zone}):\n", clock(before.origin));
    for change in &answer.changes {
        let _ = writeln!(out, "  {change}");
    }
    let both = [before, after].into_iter();
    let width = column(both.flat_map(|forecast| {
        let peaks = forecast.peaks.iter().flat_map(|peak| peak.quantiles);
        forecast.paths.iter().flatten().copied().chain(peaks)
    }));
    let next = |from: &Timestamp| Some(*from + TimeDelta::hours(1)).filter(|&to| to < before.end());
    let hours = std::iter::successors(Some(before.start), next);
    let peaks = [before, after]
        .into_iter()
        .flat_map(|forecast| &forecast.peaks);
    let named = hours.clone().chain(peaks.map(|peak| peak.at));
    // not less than the longer of the heads
    let first = named.map(|at| clock(at).len()).max().unwrap_or(0).max(21);
    let head = |what: &str| {
        format!(
            "\n{what:<first$} {:>width$} {:>width$}   {:>width$} {:>width$}{:>9}\n",
            "p50 now", "p95 now", "p50 then", "p95 then", "p95"
        )
    };
    let change = |one: f64, other: f64| {
        if one > 0.0 {
            format!("x{:.2}", other / one)
        } else {
            String::new()
        }
    };
    let row = |name: &str, one: Option<[f64; 4]>, other: Option<[f64; 4]>, rest: &str| {
        let cell = |values: Option<[f64; 4]>, q: Quantile| {
            values.map_or_else(|| "-".to_owned(), |values| show(values[q.index()]))
        };
        let ratio = match (one, other) {
            (Some(one), Some(other)) => change(one[2], other[2]),
            _ => String::new(),
        };
        let line = format!(
            "{name:<first$} {:>width$} {:>width$}   {:>width$} {:>width$}{ratio:>9}  {rest}",
            cell(one, Quantile::P50),
            cell(one, Quantile::P95),
            cell(other, Quantile::P50),
            cell(other, Quantile::P95),
        );
        line.trim_end().to_owned() + "\n"
    };
    if !(before.peaks.is_empty() && after.peaks.is_empty()) {
        out.push_str(&head("peak of fixtures"));
    }
    for peak in &after.peaks {
        let same = before
            .peaks
            .iter()
            .find(|other| other.fixtures.iter().any(|id| peak.fixtures.contains(id)));
        out.push_str(&row(
            &clock(peak.at),
            same.map(|same| same.quantiles),
            Some(peak.quantiles),
            &names(&changed.calendar, &peak.fixtures),
        ));
    }
    for peak in &before.peaks {
        let gone = !after
            .peaks
            .iter()
            .any(|other| other.fixtures.iter().any(|id| peak.fixtures.contains(id)));
        if gone {
            out.push_str(&row(
                &clock(peak.at),
                Some(peak.quantiles),
                None,
                &names(&inputs.calendar, &peak.fixtures),
            ));
        }
    }
    out.push_str(&head("largest of each hour"));
    for from in hours {
        let to = (from + TimeDelta::hours(1)).min(before.end());
        let top = |forecast: &Forecast| -> Option<[f64; 4]> {
            let mut values = [0.0; 4];
            for quantile in Quantile::ALL {
                let (_, rate) = forecast.max_over(quantile, from, to - TimeDelta::seconds(1))?;
                values[quantile.index()] = rate.as_per_second();
            }
            Some(values)
        };
        out.push_str(&row(&clock(from), top(before), top(after), ""));
    }
    for flag in &answer.extrapolation {
        let _ = writeln!(out, "\nextrapolation: {flag}");
    }
    for note in &answer.after.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    out
}

fn names(calendar: &Calendar, ids: &[FixtureId]) -> String {
    let names: Vec<String> = ids
        .iter()
        .map(|id| {
            calendar
                .get(id)
                .map_or_else(|| id.to_string(), Fixture::title)
        })
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_calendar_holds_is_no_delay() {
        assert!(later("30d").is_ok() && longer("45m").is_ok());
        let told = later("99999999d").unwrap_err();
        assert_eq!(told, "99999999d is out of range: write at most 366d");
        let told = longer("99999999d").unwrap_err();
        assert_eq!(told, "99999999d is out of range: write at most 14d");
        assert!(later("soon").unwrap_err().contains("not a duration"));
    }
}
