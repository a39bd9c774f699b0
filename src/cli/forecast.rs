//! `tipoff forecast`: projects load from a history, a fixture list and contest entries as they
//! stood at a time.
//!
//! Reads files, prints and draws; what is forecast is decided in `crate::forecast`. Rows of the
//! load and entries files from `--at` on are not even read.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use clap::{Args, ValueEnum};

use super::apart::{self, Named};
use super::inputs::InputArgs;
use super::output::{print, progress};
use super::train::load_model;
use super::{CliError, beside};
use crate::fixture::Calendar;
use crate::forecast::{Artefact, Fit, Forecast, Forecaster, Horizon, Predict, Quantile};
use crate::plot;
use crate::units::{HumanDuration, Rate, Timestamp, by_clock};

/// How tables name a moment.
pub(super) const DAY_AND_TIME: &str = "%a %F %R";

/// Fixtures of a window that its line names.
const NAMED: usize = 3;

/// Most bins one call may ask for.
const MOST_BINS: i64 = 1_000_000;

/// Forecast load from a history and a fixture list, learning only from what is known before a
/// time.
#[derive(Debug, Clone, Args)]
pub struct ForecastArgs {
    /// What is known.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// The moment of the forecast, for example 1998-06-10T00:00:00Z. Nothing from it on is learnt.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Timestamp,
    /// How far ahead.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub horizon: HumanDuration,
    /// Width of a row, 1m to 1h.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub step: HumanDuration,
    /// Predict with this model, written by `tipoff train`, instead of training one. The audience's
    /// zone is then the model's.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Also draw it: recent load, median and bands, fixtures and their peaks, as a self-contained
    /// SVG file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// How a forecast is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `timestamp_utc,p50,p90,p95,p99`, units per second.
    Csv,
    /// The whole forecast with peaks and notes.
    Json,
    /// For people: hours and peaks.
    Table,
}

/// Runs the command on standard output and standard error.
///
/// # Errors
/// When standard output cannot be written (a closed pipe is no error).
pub fn run(args: &ForecastArgs) -> anyhow::Result<ExitCode> {
    let mut inputs = args.inputs.files();
    inputs.extend(args.model.iter().map(|path| Named::new("--model", path)));
    let outputs: Vec<Named> = args
        .svg
        .iter()
        .map(|path| Named::new("--svg", path))
        .collect();
    apart::check(&outputs, &inputs)?;
    beside::check("--svg", args.svg.as_deref())?;
    match answer(args) {
        Ok((text, drawn)) => {
            let printed = print(&text);
            // a reader that has gone away does not make a picture that failed a success
            drawn?;
            printed?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            progress(&format!("tipoff: {error}"));
            Ok(ExitCode::from(2))
        }
    }
}

/// What the command prints, once it has drawn what it was told to.
///
/// # Errors
/// Bad input, with file and line and what to do.
pub fn text(args: &ForecastArgs) -> Result<String, InputError> {
    let (text, drawn) = answer(args)?;
    drawn.map_err(|error| InputError(error.to_string()))?;
    Ok(text)
}

/// What is to be printed, and what came of drawing it.
fn answer(args: &ForecastArgs) -> Result<(String, Result<(), CliError>), InputError> {
    let (step, length) = (args.step.0, args.horizon.0);
    if step < TimeDelta::minutes(1) || step > TimeDelta::hours(1) {
        return Err(InputError(format!(
            "--step {}: must be from 1m to 1h",
            args.step
        )));
    }
    if step.subsec_nanos() != 0 {
        return Err(InputError(format!(
            "--step {}: must be whole seconds",
            args.step
        )));
    }
    if length < step || length.num_seconds() / step.num_seconds() > MOST_BINS {
        return Err(InputError(format!(
            "--horizon {}: must be from one step to {MOST_BINS} steps of {}",
            args.horizon, args.step
        )));
    }
    let beyond = TimeDelta::milliseconds(length.num_milliseconds() % step.num_milliseconds());
    if !beyond.is_zero() {
        return Err(InputError(format!(
            "--horizon {}: is not a whole number of steps of {}; write {} or {}, or another --step",
            args.horizon,
            args.step,
            HumanDuration(length - beyond),
            HumanDuration(length - beyond + step)
        )));
    }
    let model = args.model.as_deref().map(load_model).transpose()?;
    let inputs = args.inputs.read(Some(args.at))?;
    let zone = match &model {
        Some(model) => model.trained.zone,
        None => inputs.zone,
    };
    let known = inputs.evidence();
    let horizon = Horizon {
        origin: args.at,
        length,
        step,
    };
    let mut forecast = match &model {
        Some(model) => {
            if model.trained.at > args.at {
                return Err(InputError(format!(
                    "--at {}: the model was trained at {} and knows what came after; give a later \
                     time, or leave out --model",
                    args.at.format("%FT%TZ"),
                    model.trained.at.format("%FT%TZ")
                )));
            }
            model.state().predict(known, horizon)
        }
        None => Forecaster::new(zone)
            .fit(known, args.at)
            .map_err(|error| InputError(format!("{}: {error}", args.inputs.load.display())))?
            .predict(known, horizon),
    };
    forecast.notes.extend(inputs.peaks_unseen());
    forecast
        .notes
        .extend(no_fixture_given(args, model.as_ref()));
    let drawn = args.svg.as_deref().map_or(Ok(()), |path| {
        let picture = plot::forecast::picture(&inputs.load, &forecast, &inputs.calendar, zone);
        beside::write("--svg", path, "picture", &picture)
    });
    let text = match args.format {
        Format::Csv => {
            // its columns have no room for what a reader must know
            for note in &forecast.notes {
                progress(&format!("note: {note}"));
            }
            csv(&forecast)
        }
        Format::Json => json(&forecast)?,
        Format::Table => table(&forecast, &inputs.calendar, zone),
    };
    Ok((text, drawn))
}

/// What to say of a model that knows fixtures and is told of none.
fn no_fixture_given(args: &ForecastArgs, model: Option<&Artefact>) -> Option<String> {
    let learnt = model.is_some_and(|model| !model.response_curves.is_empty());
    (learnt && args.inputs.known.fixtures.is_empty()).then(|| {
        "the model has learnt from fixtures and none are given: what they bring is not in this \
         forecast; give --fixtures"
            .to_owned()
    })
}

/// Bad usage or bad input: what, where, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InputError(pub String);

/// An RFC 3339 time.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    DateTime::parse_from_rfc3339(text.trim())
        .map(|time| time.to_utc())
        .map_err(|_| {
            format!(
                "{text:?} is not a time with its offset: write for example 2024-09-08T17:00:00Z"
            )
        })
}

fn csv(forecast: &Forecast) -> String {
    let mut out = String::from("timestamp_utc,p50,p90,p95,p99\n");
    for bin in 0..forecast.len() {
        let _ = write!(out, "{}", forecast.time(bin).format("%FT%TZ"));
        for path in &forecast.paths {
            let _ = write!(out, ",{:.6}", path[bin]);
        }
        out.push('\n');
    }
    out
}

fn json(forecast: &Forecast) -> Result<String, InputError> {
    serde_json::to_string_pretty(forecast)
        .map(|mut text| {
            text.push('\n');
            text
        })
        .map_err(|error| InputError(format!("the forecast cannot be written as JSON: {error}")))
}

/// Width of a column of rates, without the space before it.
pub(super) fn column(rates: impl Iterator<Item = f64>) -> usize {
    let widths = rates.map(|rate| Rate::per_second(rate).to_string().len());
    widths.max().unwrap_or(0).max(9)
}

/// One line an hour (the largest of its bins), then the peaks of the fixtures.
fn table(forecast: &Forecast, calendar: &Calendar, zone: Tz) -> String {
    let show = |value: f64| Rate::per_second(value).to_string();
    let width = column(forecast.paths.iter().flatten().copied());
    let mut hours = Vec::new();
    let mut from = forecast.start;
    while from < forecast.end() {
        let to = (from + TimeDelta::hours(1)).min(forecast.end());
        hours.push((by_clock(from, zone, DAY_AND_TIME), from, to));
        from = to;
    }
    let name = hours.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let mut out = format!(
        "Load from {} ({zone}), {} model, largest of each hour:\n\n{:<name$}",
        by_clock(forecast.origin, zone, "%F %R"),
        forecast.model,
        "hour",
    );
    for name in ["p50", "p90", "p95", "p99"] {
        let _ = write!(out, " {name:>width$}");
    }
    out.push('\n');
    for (hour, from, to) in hours {
        let _ = write!(out, "{hour:<name$}");
        for quantile in Quantile::ALL {
            let last = to - TimeDelta::seconds(1);
            if let Some((_, rate)) = forecast.max_over(quantile, from, last) {
                let _ = write!(out, " {:>width$}", rate.to_string());
            }
        }
        out.push('\n');
    }
    if !forecast.peaks.is_empty() {
        out.push_str("\nPeaks of fixtures:\n\n");
    }
    for peak in &forecast.peaks {
        let _ = writeln!(
            out,
            "{}  about {}: {} (p95 {}, p99 {})  {}{}",
            by_clock(peak.start, zone, DAY_AND_TIME),
            by_clock(peak.at, zone, "%R"),
            show(peak.quantiles[0]),
            show(peak.quantiles[2]),
            show(peak.quantiles[3]),
            calendar.few_titles(&peak.fixtures, NAMED),
            plot::forecast::crowd_of_others(&calendar.titles(&peak.drawn_by)),
        );
    }
    for note in &forecast.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    out
}
