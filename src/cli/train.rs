//! `tipoff train`: trains a model and keeps it in a file, looks into one, compares two.
//!
//! Reads and writes files and prints; what is in a model is decided in `crate::forecast`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::apart::{self, Named};
use super::forecast::{InputError, time};
use super::inputs::{InputArgs, KnownArgs};
use super::output::print;
use super::{CliError, beside};
use crate::forecast::{Artefact, EventResponse, ResponseCurve, Scores, score};
use crate::units::Timestamp;

/// Terms listed by a summary or a comparison.
const LISTED: usize = 12;

/// Largest model read, bytes: a hundred times the usual.
const MAX_BYTES: u64 = 64 << 20;

/// Train a model on a history and a fixture list and write it to a file; or look into one, or
/// compare two.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    /// Load history: CSV with `timestamp_utc` and one value column, plain or gzipped.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["inspect", "diff"])]
    pub load: Option<PathBuf>,
    /// What is known beside it.
    #[command(flatten)]
    pub known: KnownArgs,
    /// Learn nothing from this moment on. Default: the end of the load.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Option<Timestamp>,
    /// Where to write the model.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["inspect", "diff"])]
    pub out: Option<PathBuf>,
    /// Summarise a model instead of training one.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["load", "out", "diff"])]
    pub inspect: Option<PathBuf>,
    /// Say in what two models differ instead of training one.
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = ["load", "out"])]
    pub diff: Option<Vec<PathBuf>>,
}

/// Runs the command.
///
/// # Errors
/// Bad input, or a file that cannot be written.
pub fn run(args: &TrainArgs) -> Result<(), CliError> {
    let (text, written) = answer(args)?;
    let printed = print(&text);
    written?;
    printed
}

/// What the command prints, once it has written what it was told to.
///
/// # Errors
/// As [`run`].
pub fn text(args: &TrainArgs) -> Result<String, CliError> {
    let (text, written) = answer(args)?;
    written?;
    Ok(text)
}

/// What is to be printed, and what came of writing the model.
fn answer(args: &TrainArgs) -> Result<(String, Result<(), CliError>), CliError> {
    if let Some(path) = &args.inspect {
        let model = load_model(path).map_err(CliError::input)?;
        return Ok((summary(&model), Ok(())));
    }
    if let Some([a, b]) = args.diff.as_deref() {
        let one = load_model(a).map_err(CliError::input)?;
        let other = load_model(b).map_err(CliError::input)?;
        return Ok((difference(&one, &other), Ok(())));
    }
    let (Some(load), Some(out)) = (&args.load, &args.out) else {
        return Err(CliError::input("--load and --out are needed to train"));
    };
    let inputs = InputArgs {
        load: load.clone(),
        known: args.known.clone(),
    };
    apart::check(&[Named::new("--out", out)], &inputs.files())?;
    beside::check("--out", Some(out))?;
    let inputs = inputs.read(args.at).map_err(CliError::input)?;
    let fitted = inputs
        .fit()
        .map_err(|error| CliError::input(format!("{}: {error}", load.display())))?;
    let scores = score(
        &EventResponse::new(inputs.zone),
        inputs.evidence(),
        inputs.at,
    );
    let model = Artefact::new(fitted, inputs.evidence(), scores).map_err(CliError::input)?;
    let text = model.to_json().map_err(CliError::failed)?;
    let written = beside::write("--out", out, "model", &text);
    Ok((summary(&model), written))
}

/// Reads a model.
///
/// # Errors
/// What is wrong with the file and what to do.
pub fn load_model(path: &Path) -> Result<Artefact, InputError> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        InputError(format!("{name}: cannot be read: {error}; check the path"))
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(InputError(format!(
            "{name}: has {size} bytes, a model has at most {MAX_BYTES}; is it a model?"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Artefact::parse(&text, &name).map_err(|error| InputError(error.to_string()))
}

fn day(at: Timestamp) -> String {
    at.format("%F %R").to_string()
}

fn summary(model: &Artefact) -> String {
    let trained = &model.trained;
    let mut out = format!(
        "{} model, format {}, of tipoff {}, trained at {} UTC\n\n",
        model.model,
        model.format,
        model.tipoff,
        day(trained.at)
    );
    let _ = writeln!(
        out,
        "load       {} to {}, {} bins of {} s, {} of them gaps",
        day(trained.first),
        day(trained.last),
        trained.bins,
        trained.step_seconds,
        trained.gaps
    );
    let _ = writeln!(out, "zone       {}", trained.zone);
    let learnt: Vec<String> = model
        .response_curves
        .iter()
        .map(|curve| format!("{} of {}", curve.fixtures, curve.competition))
        .collect();
    let _ = writeln!(
        out,
        "fixtures   {} known; learnt from {}",
        trained.fixtures,
        if learnt.is_empty() {
            "none".to_owned()
        } else {
            learnt.join(", ")
        }
    );
    let _ = writeln!(
        out,
        "entries    {} slates; faults: {} spans",
        trained.slates, trained.faults
    );
    let _ = writeln!(
        out,
        "growth     x{:.2} a week of late, carried on for a day or two where that has proved right",
        model.growth_a_week()
    );
    out.push('\n');
    match &model.scores {
        Some(scores) => score_table(&mut out, scores),
        None => out.push_str("scores     none: the history is too short to train on earlier\n"),
    }
    if !model.response_curves.is_empty() {
        out.push_str("\nresponse of load to one ordinary fixture:\n");
        for curve in &model.response_curves {
            let (minute, top) = crest(&curve.points);
            let (before, prior) = crest(&curve.prior);
            let _ = writeln!(
                out,
                "  {:<28} x{top:.2} at {minute:+.0} min (believed before: x{prior:.2} at {before:+.0})",
                curve.competition
            );
        }
    }
    let mut named: Vec<_> = model
        .terms
        .iter()
        .filter(|term| is_about_fixtures(&term.name))
        .collect();
    named.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    if !named.is_empty() {
        out.push_str("\nlargest terms, as factors of load:\n");
    }
    for term in named.iter().take(LISTED) {
        let _ = writeln!(out, "  {:<40} x{:.2}", term.name, term.value.exp());
    }
    out
}

/// Terms a person can read one by one.
fn is_about_fixtures(name: &str) -> bool {
    [
        "team ",
        "competition ",
        "importance ",
        "weekend ",
        "matchday",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        && !name.contains("sine")
}

fn score_table(out: &mut String, scores: &Scores) {
    let _ = writeln!(
        out,
        "scores     trained {} times from {} to {}, each time on what was known then:\n",
        scores.origins,
        day(scores.span.0),
        day(scores.span.1)
    );
    let _ = writeln!(
        out,
        "  {:<12}{:>8}{:>9}{:>10}{:>7}{:>7}",
        "lead", "points", "error", "below p90", "p95", "p99"
    );
    for lead in &scores.leads {
        let _ = writeln!(
            out,
            "  {:<12}{:>8}{:>8.1}%{:>9.1}%{:>6.1}%{:>6.1}%",
            format!("up to {} h", lead.up_to_hours),
            lead.points,
            100.0 * lead.error,
            100.0 * lead.coverage[0],
            100.0 * lead.coverage[1],
            100.0 * lead.coverage[2],
        );
    }
    if let Some(peaks) = &scores.peaks {
        let _ = writeln!(
            out,
            "  {:<12}{:>8}{:>9}{:>9.1}%{:>6.1}%{:>6.1}%",
            "peaks",
            peaks.windows,
            format!("x{:.2}", peaks.error.exp()),
            100.0 * peaks.coverage[0],
            100.0 * peaks.coverage[1],
            100.0 * peaks.coverage[2],
        );
    }
}

/// The highest point of a curve.
fn crest(points: &[(f64, f64)]) -> (f64, f64) {
    points
        .iter()
        .copied()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0.0, 1.0))
}

fn difference(a: &Artefact, b: &Artefact) -> String {
    let mut lines: Vec<[String; 3]> = Vec::new();
    let mut line = |what: &str, one: String, other: String| {
        if one != other {
            lines.push([what.to_owned(), one, other]);
        }
    };
    line("tipoff", a.tipoff.clone(), b.tipoff.clone());
    line("trained at", day(a.trained.at), day(b.trained.at));
    line("load from", day(a.trained.first), day(b.trained.first));
    line("load to", day(a.trained.last), day(b.trained.last));
    for (what, one, other) in [
        ("gaps", a.trained.gaps, b.trained.gaps),
        ("fixtures known", a.trained.fixtures, b.trained.fixtures),
        ("slates", a.trained.slates, b.trained.slates),
        ("faults", a.trained.faults, b.trained.faults),
    ] {
        line(what, one.to_string(), other.to_string());
    }
    line(
        "zone",
        a.trained.zone.to_string(),
        b.trained.zone.to_string(),
    );
    if let (Some(one), Some(other)) = (&a.scores, &b.scores) {
        for lead in &one.leads {
            let same = |s: &&crate::forecast::LeadScore| s.up_to_hours == lead.up_to_hours;
            if let Some(next) = other.leads.iter().find(same) {
                line(
                    &format!("error up to {} h", lead.up_to_hours),
                    format!(
                        "{:.1}%, p95 holds {:.1}%",
                        100.0 * lead.error,
                        100.0 * lead.coverage[1]
                    ),
                    format!(
                        "{:.1}%, p95 holds {:.1}%",
                        100.0 * next.error,
                        100.0 * next.coverage[1]
                    ),
                );
            }
        }
    }
    let curve = |model: &Artefact, name: &str| -> Option<String> {
        let found: Option<&ResponseCurve> = model
            .response_curves
            .iter()
            .find(|curve| curve.competition == name);
        found.map(|curve| {
            let (minute, top) = crest(&curve.points);
            format!("x{top:.2} at {minute:+.0} min of {}", curve.fixtures)
        })
    };
    let mut names: Vec<&str> = a
        .response_curves
        .iter()
        .chain(&b.response_curves)
        .map(|curve| curve.competition.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let none = || "not learnt".to_owned();
    for name in names {
        line(
            name,
            curve(a, name).unwrap_or_else(none),
            curve(b, name).unwrap_or_else(none),
        );
    }
    let value = |model: &Artefact, name: &str| {
        let term = model.terms.iter().find(|term| term.name == name);
        term.map(|term| term.value)
    };
    let mut terms: Vec<&str> = a
        .terms
        .iter()
        .chain(&b.terms)
        .map(|term| term.name.as_str())
        .collect();
    terms.sort_unstable();
    terms.dedup();
    let mut changes: Vec<(f64, &str, Option<f64>, Option<f64>)> = terms
        .into_iter()
        .map(|name| {
            let (one, other) = (value(a, name), value(b, name));
            let change = (other.unwrap_or(0.0) - one.unwrap_or(0.0)).abs();
            (change, name, one, other)
        })
        .filter(|(_, _, one, other)| one != other)
        .collect();
    changes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let more = changes.len().saturating_sub(LISTED);
    let show = |value: Option<f64>| {
        value.map_or_else(|| "absent".to_owned(), |v| format!("x{:.4}", v.exp()))
    };
    if !changes.is_empty() {
        // the regression is in the log of load; what a term does is a factor
        let what = || "factor of load".to_owned();
        lines.push(["coefficients".to_owned(), what(), what()]);
    }
    for (_, name, one, other) in changes.into_iter().take(LISTED) {
        lines.push([name.to_owned(), show(one), show(other)]);
    }
    if lines.is_empty() {
        return "no difference\n".to_owned();
    }
    // names of terms hold those of teams, which may be of any length
    let names = lines.iter().map(|[what, ..]| what.chars().count() + 1);
    let width = names.max().unwrap_or(0).max(20);
    let mut out = format!("{:<width$}{:<34} {}\n", "", "first", "second");
    for [what, one, other] in &lines {
        let _ = writeln!(out, "{what:<width$}{one:<34} {other}");
    }
    if more > 0 {
        let _ = writeln!(out, "and {more} smaller changes of coefficients");
    }
    out
}
