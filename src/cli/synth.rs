//! `tipoff synth`: a generated season as the files every other command reads.
//!
//! Writes files and lists them; what is in them is decided in `simulate::season`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::apart::{self, Named};
use super::output::{print, progress};
use super::{CliError, beside};
use crate::entries::csv::write_entries;
use crate::fixture::{Calendar, export};
use crate::series::Series;
use crate::series::csv::write_load;
use crate::series::faults::csv::write_faults;
use crate::settings::calendar_file::{CalendarOptions, load_calendar};
use crate::simulate::season::{self, Generated, Preset, Season, write_truth};
use crate::units::{HumanDuration, Timestamp};

/// All files a season may have.
const FILES: [&str; 8] = [
    LOAD, ENTRIES, FIXTURES, FAULTS, ALL_FAULTS, TRUTH, PARAMS, SCENARIO,
];
const LOAD: &str = "load.csv.gz";
const ENTRIES: &str = "entries.csv.gz";
const FIXTURES: &str = "fixtures.csv";
const FAULTS: &str = "faults.csv";
const ALL_FAULTS: &str = "faults-all.csv";
const TRUTH: &str = "truth.csv";
const PARAMS: &str = "params.yaml";
const SCENARIO: &str = "scenario.yaml";

/// Generate a season into a folder: load, fixtures, contest entries, faults, what was hidden, and
/// a backtest scenario. The same parameters and seed give the same bytes.
#[derive(Debug, Clone, Args)]
pub struct SynthArgs {
    /// Folder for the files; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What it is to show: season, opener, new-league, big-slates, overtime, censored, quiet.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "season",
        conflicts_with = "params"
    )]
    pub preset: Preset,
    /// Seed of everything random.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Weeks of games, instead of those of the preset or file.
    #[arg(long, value_name = "N")]
    pub weeks: Option<u32>,
    /// Parameters (YAML); what is left out has the default of the preset season. A params.yaml
    /// of an earlier run makes it again.
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Fixture list to take the games from, instead of made-up ones; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub fixtures: Vec<PathBuf>,
    /// The competition, for fixture lists that do not say.
    #[arg(long, value_name = "NAME", requires = "fixtures")]
    pub competition: Option<String>,
    /// Day of the first game, for example 2023-09-07. Of a fixture list, what starts earlier is
    /// left out; without it, the list begins with its first game.
    #[arg(long, value_name = "DAY", value_parser = kick_off_day)]
    pub kick_off: Option<NaiveDate>,
    /// Width of a bin, 1m to 1h.
    #[arg(long, value_name = "DURATION")]
    pub step: Option<HumanDuration>,
    /// Write over files of an earlier run.
    #[arg(long)]
    pub force: bool,
}

fn kick_off_day(text: &str) -> Result<NaiveDate, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is not a day: write year-month-day, for example 2023-09-07"))
}

/// Runs `tipoff synth`.
///
/// # Errors
/// Bad input, files that are in the way, or a folder that cannot be written.
pub fn run(args: &SynthArgs) -> Result<(), CliError> {
    refuse_own_inputs(args)?;
    let (season, given) = parameters(args)?;
    refuse_to_overwrite(args)?;
    let weeks = season.quiet_weeks + season.weeks;
    progress(&format!(
        "generating {weeks} weeks at {} (seed {})",
        season.step, args.seed
    ));
    check_room(&args.out)?;
    let made = season::generate(&season, given.as_ref(), args.seed).map_err(CliError::input)?;
    let listing = write(args, &season, &made)?;
    print(&listing)
}

/// The parameters, with what the command line changes, and the calendar.
fn parameters(args: &SynthArgs) -> Result<(Season, Option<Calendar>), CliError> {
    let mut season = match &args.params {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                CliError::input(format!(
                    "--params {}: {error}; check the path",
                    path.display()
                ))
            })?;
            Season::from_yaml(&text, &path.display().to_string()).map_err(|error| match error {
                season::SeasonError::Text { .. } => CliError::input(error),
                other => CliError::input(format!("{}: {other}", path.display())),
            })?
        }
        None => args.preset.season(),
    };
    season.weeks = args.weeks.unwrap_or(season.weeks);
    season.step = args.step.unwrap_or(season.step);
    season.kick_off = args.kick_off.unwrap_or(season.kick_off);
    season.check().map_err(CliError::input)?;
    if args.fixtures.is_empty() {
        return Ok((season, None));
    }
    let options = CalendarOptions {
        zone: Some(season.game_day.zone),
        competition: args.competition.clone(),
        ..CalendarOptions::default()
    };
    let (calendar, warnings) = load_calendar(&args.fixtures, &options).map_err(CliError::input)?;
    for warning in warnings {
        progress(&format!("warning: {warning}"));
    }
    let first = calendar
        .iter()
        .filter(|fixture| fixture.start.is_timed())
        .map(|fixture| fixture.start.at)
        .min();
    if let (None, None, Some(first)) = (args.kick_off, &args.params, first) {
        season.kick_off = first.with_timezone(&season.game_day.zone).date_naive();
    }
    Ok((season, Some(calendar)))
}

/// What is generated is no place for what it is generated from, also not with `--force`.
fn refuse_own_inputs(args: &SynthArgs) -> Result<(), CliError> {
    let params = args.params.iter().map(|path| Named::new("--params", path));
    let fixtures = args.fixtures.iter();
    let fixtures = fixtures.map(|path| Named::new("--fixtures", path));
    let inputs: Vec<Named> = params.chain(fixtures).collect();
    let outputs = FILES.map(|name| Named::new("--out", args.out.join(name)));
    apart::check(&outputs, &inputs)
}

fn refuse_to_overwrite(args: &SynthArgs) -> Result<(), CliError> {
    let there = FILES.iter().find(|name| args.out.join(name).exists());
    match there {
        Some(name) if !args.force => Err(CliError::input(format!(
            "{} is already there; give another folder, or --force to write over it",
            args.out.join(name).display()
        ))),
        _ => Ok(()),
    }
}

/// Refuses a folder that could not be made, or in which the files could not be written. None is
/// made yet: bad input leaves nothing behind.
fn check_room(out: &Path) -> Result<(), CliError> {
    if out.is_dir() {
        return FILES
            .iter()
            .try_for_each(|name| beside::check("--out", Some(&out.join(name))));
    }
    let missing = out.ancestors().take_while(|path| !path.exists());
    let missing = missing.filter(|path| *path != Path::new("")).last();
    let parent = missing.map(|first| first.parent().unwrap_or(Path::new("")));
    match (missing, parent) {
        (Some(first), Some(parent)) if parent == Path::new("") || parent.is_dir() => {
            // where no file can be made, no folder can
            beside::check("--out", Some(first))
        }
        (_, parent) => Err(CliError::input(format!(
            "--out {}: {} is no folder; name another folder",
            out.display(),
            parent.unwrap_or(out).display()
        ))),
    }
}

/// Writes all files and says what is in each.
fn write(args: &SynthArgs, season: &Season, made: &Generated) -> Result<String, CliError> {
    fs::create_dir_all(&args.out).map_err(|error| {
        CliError::failed(format!("{} cannot be made: {error}", args.out.display()))
    })?;
    let mut listing = String::new();
    let mut list = |name: &str, what: String| {
        let _ = writeln!(listing, "{name:<15} {what}");
    };
    let folder = Folder(&args.out);

    folder.packed(LOAD, |file| {
        write_load(file, &made.load, "requests_per_second")
    })?;
    list(LOAD, load_in_words(&made.load));
    if made.entries.is_empty() {
        folder.remove(ENTRIES)?;
    } else {
        folder.packed(ENTRIES, |file| write_entries(file, &made.entries))?;
        let what = entries_in_words(made);
        list(ENTRIES, what);
    }
    let table = export::to_csv(made.versions()).map_err(CliError::failed)?;
    folder.plain(FIXTURES, |file| file.write_all(table.as_bytes()))?;
    let moved = made.truth.iter().filter(|group| group.moved).count();
    list(
        FIXTURES,
        format!(
            "{} fixtures, {moved} kick-offs with one that was moved",
            made.calendar.len()
        ),
    );
    folder.plain(FAULTS, |file| write_faults(file, &made.declared))?;
    list(
        FAULTS,
        format!("{} declared faults", made.declared.iter().count()),
    );
    folder.plain(ALL_FAULTS, |file| write_faults(file, &made.faults))?;
    list(
        ALL_FAULTS,
        format!(
            "{} faults, the undeclared ones included (truth)",
            made.faults.iter().count()
        ),
    );
    folder.plain(TRUTH, |file| write_truth(file, &made.truth))?;
    list(TRUTH, truth_in_words(made));
    let parameters = season.to_yaml().map_err(CliError::failed)?;
    folder.plain(PARAMS, |file| {
        writeln!(file, "# {}", again(args))?;
        file.write_all(parameters.as_bytes())
    })?;
    list(PARAMS, "what it was made from".to_owned());
    let title = format!("A generated season ({}, seed {})", named(args), args.seed);
    let scenario = season::scenario(season, made, &title, args.seed);
    folder.plain(SCENARIO, |file| file.write_all(scenario.as_bytes()))?;
    let (from, to) = made.evaluate;
    list(SCENARIO, format!("scores {} to {}", day(from), day(to)));
    Ok(listing)
}

fn named(args: &SynthArgs) -> &str {
    if args.params.is_some() {
        "own parameters"
    } else {
        args.preset.name()
    }
}

/// The command that makes the same season again.
fn again(args: &SynthArgs) -> String {
    let mut command = format!("tipoff synth --params {PARAMS} --seed {}", args.seed);
    for file in &args.fixtures {
        let _ = write!(command, " --fixtures {}", file.display());
    }
    if let Some(competition) = &args.competition {
        let _ = write!(command, " --competition {competition:?}");
    }
    command + " --out DIR"
}

fn day(at: Timestamp) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%MZ")
}

fn load_in_words(load: &Series) -> String {
    let peak = load.peak().map_or_else(
        || "nothing".to_owned(),
        |(at, rate)| format!("{rate} at {}", day(at)),
    );
    format!(
        "{} bins of {} from {} to {}, {} of them gaps, most {peak}",
        load.len(),
        HumanDuration(load.step()),
        day(load.start()),
        day(load.start() + load.step() * i32::try_from(load.len()).unwrap_or(i32::MAX)),
        load.gaps(),
    )
}

fn entries_in_words(made: &Generated) -> String {
    let slates = made.entries.iter().count();
    let total: f64 = made
        .entries
        .iter()
        .map(|(_, of)| {
            let seconds = of.rate.step().num_milliseconds() as f64 / 1000.0;
            let known = of.rate.raw().iter().filter(|rate| rate.is_finite());
            known.sum::<f64>() * seconds
        })
        .sum();
    // kick-offs of one slate fill up together
    let full: BTreeSet<&String> = made
        .truth
        .iter()
        .filter(|group| group.full_at.is_some())
        .flat_map(|group| &group.slates)
        .collect();
    let full = full.len();
    format!(
        "{slates} slates, {:.1} M entries, {full} slates full",
        total / 1e6
    )
}

fn truth_in_words(made: &Generated) -> String {
    let largest = made.truth.iter().map(|group| group.fixtures.len()).max();
    let overtime = made.truth.iter().filter(|group| group.overtime).count();
    format!(
        "{} kick-offs of up to {} games, {overtime} with overtime (truth)",
        made.truth.len(),
        largest.unwrap_or(0),
    )
}

/// Where the files go.
struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn plain(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CliError> {
        let path = self.0.join(name);
        beside::whole(&path, fill).map_err(|error| beside::failed("--out", &path, &error))
    }

    fn packed(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), CliError> {
        self.plain(name, |file| {
            // no name and no time inside: the same season is the same bytes
            let mut packed = GzEncoder::new(file, Compression::default());
            fill(&mut packed)?;
            packed.finish().map(drop)
        })
    }

    /// A file of an earlier run that this one does not have.
    fn remove(&self, name: &str) -> Result<(), CliError> {
        let path = self.0.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CliError::failed(
                format!("{} cannot be removed: {error}", path.display()),
            )),
            _ => Ok(()),
        }
    }
}
