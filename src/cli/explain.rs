//! `tipoff explain`: why a forecast says what it says at one moment, on one screen.

use std::fmt::Write as _;

use chrono::TimeDelta;
use chrono_tz::Tz;
use clap::Args;

use super::CliError;
use super::forecast::{DAY_AND_TIME, InputError, time};
use super::inputs::{InputArgs, Inputs, LONGEST};
use super::output::print;
use crate::forecast::{Explanation, Horizon};
use crate::units::{HumanDuration, Rate, Timestamp, by_clock};

/// Fixtures shown one by one.
const SHOWN: usize = 6;

/// Width of the first column.
const WIDE: usize = 46;

/// Say why a forecast says what it says at one moment: what each fixture, the entries and the level
/// bring, how wide the band is and why, and which past fixtures it resembles.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Load, fixtures and what else is known.
    #[command(flatten)]
    pub inputs: InputArgs,
    /// The moment to explain, for example 1998-06-10T17:15:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub at: Timestamp,
    /// When the forecast is made; nothing from then on is learnt. Default: the end of the load.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub origin: Option<Timestamp>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// Bad input, with file and line and what to do.
pub fn run(args: &ExplainArgs) -> Result<(), CliError> {
    print(&text(args).map_err(CliError::input)?)
}

/// What the command prints.
///
/// # Errors
/// As [`run`].
pub fn text(args: &ExplainArgs) -> Result<String, InputError> {
    let inputs = args.inputs.read(args.origin)?;
    let ahead = args.at - inputs.at;
    if ahead < TimeDelta::zero() || ahead >= LONGEST {
        return Err(InputError(format!(
            "--at {}: must lie within {} days after {}, when the forecast is made; see --origin",
            args.at.format("%FT%TZ"),
            LONGEST.num_days(),
            inputs.at.format("%FT%TZ"),
        )));
    }
    let fitted = inputs
        .fit()
        .map_err(|error| InputError(format!("{}: {error}", args.inputs.load.display())))?;
    let horizon = Horizon {
        origin: inputs.at,
        // whole fixtures around the moment, and no note about long leads where there is none
        length: (ahead + TimeDelta::hours(1)).max(TimeDelta::hours(24)),
        step: TimeDelta::minutes(5),
    };
    let Some(mut found) = fitted.explain(inputs.evidence(), horizon, args.at) else {
        return Err(InputError(format!(
            "--at {}: lies outside the forecast",
            args.at.format("%FT%TZ")
        )));
    };
    found.notes.extend(inputs.fallback(&fitted));
    found.notes.extend(inputs.peaks_unseen());
    if args.json {
        return serde_json::to_string_pretty(&found)
            .map(|text| text + "\n")
            .map_err(|error| InputError(format!("cannot be written as JSON: {error}")));
    }
    Ok(screen(&found, &inputs))
}

fn show(value: f64) -> String {
    Rate::per_second(value).to_string()
}

fn clock(at: Timestamp, zone: Tz) -> String {
    by_clock(at, zone, DAY_AND_TIME)
}

fn screen(found: &Explanation, inputs: &Inputs) -> String {
    let zone = inputs.zone;
    let [p50, p90, p95, p99] = found.quantiles.map(show);
    let mut out = format!(
        "{} ({zone}), seen from {}:\n{p50}, p90 {p90}, p95 {p95}, p99 {p99}\n\n",
        clock(found.at, zone),
        clock(found.origin, zone),
    );
    let mut line = |what: &str, value: String, rest: String| {
        let text = format!("  {what:<WIDE$}{value:>10}  {rest}");
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(
        "usual at this time of the week, no fixtures",
        show(found.calm),
        String::new(),
    );
    line(
        "level of the present against the model",
        format!("x{:.2}", found.level),
        format!("makes {}", show(found.calm * found.level)),
    );
    // what is nothing beside the load is not worth a line
    let counts = |load: f64| load.abs() > 0.005 * found.quantiles[0].min(1.0);
    if counts(found.match_day) {
        let what = "a day on which fixtures are played";
        line(what, signed(found.match_day), String::new());
    }
    for share in found.fixtures.iter().take(SHOWN) {
        let name = inputs.titles(&share.fixtures);
        line(
            &cut(&name),
            signed(share.load),
            match share.minute {
                Some(from_start) => format!("x{:.2}, {}", share.multiple, minute(from_start)),
                None => format!("x{:.2}", share.multiple),
            },
        );
        if let Some(novelty) = &share.novelty {
            line(&format!("  {novelty}"), String::new(), String::new());
        }
    }
    let rest = found.fixtures.len().saturating_sub(SHOWN);
    if rest > 0 {
        let sum: f64 = found.fixtures[SHOWN..].iter().map(|share| share.load).sum();
        line(&format!("{rest} more"), signed(sum), String::new());
    }
    if found.fixtures.len() > 1 {
        // one's factor is the median over what is left without its share, so they do not multiply
        let all: f64 = found.fixtures.iter().map(|share| share.load).sum();
        let left = found.quantiles[0] - all;
        let factor = if left > 0.0 {
            format!("x{:.2}", found.quantiles[0] / left)
        } else {
            String::new()
        };
        line("all of these together", signed(all), factor);
    }
    if let Some(entries) = &found.entries {
        line(
            "of which entries, all together",
            signed(entries.load),
            format!("x{:.2}", entries.factor),
        );
        for slot in entries.slots.iter().take(SHOWN) {
            line(
                &cut(&format!("  {}", inputs.titles(&slot.fixtures))),
                signed(slot.load),
                format!(
                    "{:.0} so far, {:.0} usual for this crowd: {:.2}x that pace",
                    slot.so_far, slot.usual, slot.pace
                ),
            );
        }
        let rest = entries.slots.len().saturating_sub(SHOWN);
        if rest > 0 {
            let sum: f64 = entries.slots[SHOWN..].iter().map(|slot| slot.load).sum();
            line(&format!("  {rest} more"), signed(sum), String::new());
        }
        if counts(entries.level) {
            line(
                "  the level of the present",
                signed(entries.level),
                "without the load of the last day that they explain".to_owned(),
            );
        }
    }
    line("median", show(found.quantiles[0]), String::new());
    let [b90, b95, b99] = found.band;
    let _ = writeln!(
        out,
        "\nband: p90 x{b90:.2}, p95 x{b95:.2}, p99 x{b99:.2}\n  from {}",
        found.band_source
    );
    if !found.analogues.is_empty() {
        out.push_str("\nmost like it:\n");
    }
    for like in &found.analogues {
        let _ = writeln!(
            out,
            "  {}  peak {:>8} (x{:.2})  {}\n      {}",
            clock(like.start, zone),
            show(like.peak),
            like.multiple,
            inputs.titles(&like.fixtures),
            like.likeness
        );
    }
    for note in &found.notes {
        let _ = writeln!(out, "\nnote: {note}");
    }
    out
}

/// A load that is added or taken away.
fn signed(load: f64) -> String {
    let sign = if load < 0.0 { "" } else { "+" };
    format!("{sign}{}", show(load))
}

/// A name that fits its column.
fn cut(name: &str) -> String {
    if name.chars().count() < WIDE {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(WIDE - 2).collect();
    short.push('…');
    short
}

fn minute(minute: f64) -> String {
    let span = HumanDuration(TimeDelta::minutes(minute.abs().round() as i64));
    if minute < 0.0 {
        format!("{span} before its start")
    } else {
        format!("{span} after its start")
    }
}
