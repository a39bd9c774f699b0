//! `tipoff fixtures`: check, convert and list fixture files.
//!
//! `check` prints every fixture in UTC and in local time, then everything that was left out or is
//! doubtful. Data goes to standard output, what is wrong to standard error.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};

use super::apart::{self, Named};
use super::inputs::zone;
use super::output::{self, copy, legible};
use super::{CliError, beside};
use crate::fixture::import::{Declared, Format, Imported, time};
use crate::fixture::validate::{Warning, validate};
use crate::fixture::{Calendar, Fixture, Start, export};
use crate::settings::calendar_file::{
    CalendarFileError, CalendarOptions, add, load_calendar, read_calendar_file, source_name,
};
use crate::units::{HumanDuration, Timestamp};

use table::table;

mod table;

/// Bad input, as for bad usage.
const BAD_INPUT: u8 = 2;

/// What stands for standard input or output.
const STANDARD: &str = "-";

/// Arguments of `tipoff fixtures`.
#[derive(Debug, Args)]
pub struct FixturesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every fixture in UTC and local time, with every reject and doubt.
    Check {
        #[command(flatten)]
        input: Input,
        /// Show local times in this zone instead of each fixture's own.
        #[arg(long, value_name = "ZONE", value_parser = zone)]
        local: Option<Tz>,
    },
    /// Convert files of any known format to ours.
    Import {
        #[command(flatten)]
        input: Input,
        /// Where to write; `-` is standard output. A file that is there stays as it was when an
        /// entry is rejected.
        #[arg(long, short, value_name = "FILE", default_value = STANDARD)]
        output: PathBuf,
        /// Which of our formats to write; by default from the output's name, else YAML.
        #[arg(long, value_name = "FORMAT")]
        to: Option<Target>,
    },
    /// Print the fixtures that hold capacity at a time or are next, with their phase.
    List {
        #[command(flatten)]
        input: Input,
        /// The moment; now by default. Only what was known by then is used.
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        at: Option<Timestamp>,
        /// How far ahead to look.
        #[arg(long, value_name = "DURATION", default_value = "48h")]
        ahead: HumanDuration,
        /// Show local times in this zone instead of each fixture's own.
        #[arg(long, value_name = "ZONE", value_parser = zone)]
        local: Option<Tz>,
    },
}

#[derive(Debug, Args)]
struct Input {
    /// Fixture files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Zone of local times that name none, for example Europe/London.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    zone: Option<Tz>,
    /// Format of the files, instead of finding it out: csv, yaml, ics, openfootball, espn,
    /// fixturedownload, fpl, nfl.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// The competition, for files that do not say.
    #[arg(long, value_name = "NAME")]
    competition: Option<String>,
}

impl Input {
    fn options(&self) -> CalendarOptions {
        CalendarOptions {
            zone: self.zone,
            format: self.format,
            competition: self.competition.clone(),
            window: None,
            declared: Declared::Options,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Yaml,
    Csv,
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    time::read_instant(text, None).map_err(|error| error.to_string())
}

/// Runs `tipoff fixtures`; `now` is the moment it is run at.
///
/// # Errors
/// When standard output or the output file cannot be written. Bad input is not an error but exit
/// code 2, after everything wrong with it has been said.
pub fn run(args: &FixturesArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Check { input, local } => check(input, *local, now),
        Command::Import { input, output, to } => convert(input, output, *to),
        Command::List {
            input,
            at,
            ahead,
            local,
        } => list(input, at.unwrap_or(now), *ahead, *local),
    }
}

/// What a set of files gave, and what is wrong with them.
#[derive(Default)]
struct Findings {
    refused: Vec<CalendarFileError>,
    rejects: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn is_bad(&self) -> bool {
        !self.refused.is_empty() || !self.rejects.is_empty()
    }

    /// Everything wrong, a line each.
    fn text(&self) -> String {
        let mut text = String::new();
        for error in &self.refused {
            let _ = writeln!(text, "refused  {error}");
        }
        for reject in &self.rejects {
            let _ = writeln!(text, "reject   {reject}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "warning  {warning}");
        }
        text
    }

    fn exit(&self) -> ExitCode {
        if self.is_bad() {
            ExitCode::from(BAD_INPUT)
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn gather(input: &Input) -> (Vec<(&Path, Imported)>, Findings) {
    let options = input.options();
    let mut findings = Findings::default();
    let mut files = Vec::new();
    for path in &input.files {
        match read_calendar_file(path, &options) {
            Ok(imported) => {
                findings
                    .rejects
                    .extend(imported.rejects.iter().map(ToString::to_string));
                findings
                    .warnings
                    .extend(imported.warnings.iter().map(ToString::to_string));
                files.push((path.as_path(), imported));
            }
            Err(error) => findings.refused.push(error),
        }
    }
    (files, findings)
}

fn check(input: &Input, local: Option<Tz>, now: Timestamp) -> anyhow::Result<ExitCode> {
    let (files, mut findings) = gather(input);
    let mut calendar = Calendar::default();
    let mut read = Vec::new();
    let mut later: Vec<Warning> = Vec::new();
    for (path, imported) in files {
        let warnings = imported.warnings.len();
        let line = (
            path,
            imported.format,
            in_versions(imported.fixtures.iter()),
            [imported.rejects.len(), warnings],
        );
        let mut merging = Vec::new();
        if let Err(clash) = add(&mut calendar, imported, &mut merging) {
            findings.refused.push(clash);
            continue;
        }
        read.push(line);
        later.extend(merging.into_iter().skip(warnings));
    }
    later.extend(validate(calendar.iter(), Some(now)));
    let mut summary = String::new();
    for (path, format, fixtures, [rejects, warnings]) in read {
        // what is doubtful about all of them together counts where its place is
        let more = later.iter().filter(|warning| is_in(warning, path)).count();
        let _ = writeln!(
            summary,
            "{}: {} as {format}, {}, {}",
            path.display(),
            fixtures,
            counted(rejects, "reject"),
            counted(warnings + more, "warning"),
        );
    }
    findings
        .warnings
        .extend(later.iter().map(ToString::to_string));
    let mut text = String::new();
    let mut fixtures: Vec<&Fixture> = calendar.iter().collect();
    fixtures.sort_by(|a, b| (a.start.at, &a.id).cmp(&(b.start.at, &b.id)));
    if !fixtures.is_empty() {
        text.push_str(&table(&fixtures, local.or(input.zone), None));
    }
    print(&text)?;
    complain(&findings.text())?;
    complain(&summary)?;
    Ok(findings.exit())
}

/// Whether a doubt is about a file or something in it.
fn is_in(warning: &Warning, path: &Path) -> bool {
    warning.place.source == source_name(path)
}

/// How many fixtures these are, and in how many versions where one is announced more than once.
fn in_versions<'a>(announced: impl ExactSizeIterator<Item = &'a Fixture>) -> String {
    let versions = announced.len();
    let fixtures = announced.map(|f| &f.id).collect::<BTreeSet<_>>().len();
    let mut text = counted(fixtures, "fixture");
    if versions > fixtures {
        let _ = write!(text, " in {}", counted(versions, "version"));
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn convert(input: &Input, output: &Path, to: Option<Target>) -> anyhow::Result<ExitCode> {
    if output != Path::new(STANDARD) {
        let files = input
            .files
            .iter()
            .filter(|file| *file != Path::new(STANDARD));
        let inputs: Vec<Named> = files.map(|file| Named::new("FILE", file)).collect();
        apart::check(&[Named::new("--output", output)], &inputs)?;
        beside::check("--output", Some(output))?;
    }
    let (files, findings) = gather(input);
    complain(&findings.text())?;
    if !findings.refused.is_empty() {
        return Ok(findings.exit());
    }
    let target = to.unwrap_or_else(|| {
        let csv = output
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        if csv { Target::Csv } else { Target::Yaml }
    });
    let removed: Vec<_> = files
        .iter()
        .flat_map(|(_, file)| file.removed.iter().cloned())
        .collect();
    let mut calendar = Calendar::default();
    let mut merging = Vec::new();
    for (_, imported) in files {
        let said = imported.warnings.len();
        let mut all = Vec::new();
        if let Err(clash) = add(&mut calendar, imported, &mut all) {
            complain(&format!("refused  {clash}\n"))?;
            return Ok(ExitCode::from(BAD_INPUT));
        }
        merging.extend(all.into_iter().skip(said).map(|w| w.to_string()));
    }
    for warning in merging {
        complain(&format!("warning  {warning}\n"))?;
    }
    // everything that was said, so that what was known when survives the conversion
    let mut fixtures = calendar.statements();
    if target == Target::Csv {
        let before = fixtures.len();
        fixtures.retain(|fixture| !calendar.is_removed(&fixture.id));
        if fixtures.len() < before {
            complain(
                "warning  a table cannot say what was removed: removed fixtures are left out; \
                 write YAML to keep what was known of them\n",
            )?;
        }
        let before = fixtures.len();
        fixtures.retain(|fixture| calendar.replaced_by(&fixture.id).is_none());
        // nor has it a column for the feed's own number of a version
        let numbers =
            |one: &Fixture, next: &Fixture| one.id == next.id && one.known_at == next.known_at;
        fixtures.reverse();
        fixtures.dedup_by(|earlier, later| numbers(earlier, later));
        fixtures.reverse();
        if fixtures.len() < before {
            complain(
                "warning  a table cannot say what replaces what: games that were replaced are \
                 left out; write YAML to keep what was known of them\n",
            )?;
        }
    }
    let text = match target {
        Target::Yaml => export::to_yaml(fixtures.iter().copied(), &removed)?,
        Target::Csv => export::to_csv(fixtures.iter().copied())?,
    };
    if target == Target::Csv {
        for loss in export::losses(&fixtures, &text) {
            complain(&format!("warning  {loss}\n"))?;
        }
    }
    if output == Path::new(STANDARD) {
        heard(copy(&text))?;
    } else {
        if !findings.rejects.is_empty() && output.is_file() {
            complain(&format!(
                "kept     {}: stays as it was, because of what was rejected: correct that, or name \
                 another file for the rest\n",
                output.display()
            ))?;
            return Ok(findings.exit());
        }
        beside::whole(output, |file| file.write_all(text.as_bytes()))
            .map_err(|error| beside::failed("--output", output, &error))?;
        complain(&format!(
            "{}: {} written\n",
            output.display(),
            in_versions(fixtures.iter().copied())
        ))?;
    }
    Ok(findings.exit())
}

fn list(
    input: &Input,
    at: Timestamp,
    ahead: HumanDuration,
    local: Option<Tz>,
) -> anyhow::Result<ExitCode> {
    let (calendar, warnings) = match load_calendar(&input.files, &input.options()) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&format!("{error}\n"))?;
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    for warning in warnings {
        complain(&format!("warning  {warning}\n"))?;
    }
    let known = calendar.as_of(at);
    let end = at.checked_add_signed(ahead.0).unwrap_or(Start::UNSCHEDULED);
    let mut fixtures: Vec<&Fixture> = known
        .iter()
        .filter(|f| {
            f.phase_at(at).is_covering()
                || (f.start.at >= at && f.start.at < end)
                || (!f.start.is_timed()
                    && f.start
                        .window
                        .is_some_and(|(from, to)| from < end && to >= at))
        })
        .collect();
    fixtures.sort_by(|a, b| (a.start.at, &a.id).cmp(&(b.start.at, &b.id)));
    if fixtures.is_empty() {
        complain(&format!(
            "no fixture holds capacity at {} or starts within {ahead}\n",
            at.format("%Y-%m-%dT%H:%M:%SZ")
        ))?;
    } else {
        print(&table(&fixtures, local.or(input.zone), Some(at)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a table to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    heard(output::print(text))
}

/// That a reader has gone away is no reason not to say what is wrong.
fn heard(written: Result<(), CliError>) -> anyhow::Result<()> {
    match written {
        Err(CliError::ClosedPipe) => Ok(()),
        other => Ok(other?),
    }
}

/// Writes to standard error.
fn complain(text: &str) -> anyhow::Result<()> {
    match io::stderr().lock().write_all(legible(text).as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard error cannot be written")
        }
        _ => Ok(()),
    }
}
