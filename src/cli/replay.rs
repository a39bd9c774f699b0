//! `tipoff replay`: game days second by second, both loops beside what people use today.
//!
//! Opens the files a scenario names; what they mean is decided in `replay`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use clap::Args;

use super::apart::{self, Named};
use super::inputs::told;
use super::output::{print, progress};
use super::{CliError, beside};
use crate::backtest::scenario::{LoadFile, Span};
use crate::fixture::import::Declared;
use crate::replay::scenario::{self, LoadSource, Recorded, Scenario};
use crate::replay::{self, Materials, Outcome, Source, html};
use crate::series::csv::{self, Per, read_load};
use crate::settings::calendar_file::{CalendarOptions, load_calendar};
use crate::simulate::bounds::within;
use crate::simulate::traffic::played;
use crate::simulate::{Results, StartUpTime};
use crate::units::HumanDuration;

/// Rows of a recording further apart than this say nothing about what happens in seconds.
pub(super) const WIDEST: TimeDelta = TimeDelta::seconds(5);

/// Arguments of `tipoff replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Scenario file (YAML). Paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write a self-contained HTML report.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Pods are ready this long after the decision, instead of what the scenario says of the
    /// cluster and of its scale-up time.
    #[arg(long, value_name = "DURATION", value_parser = ready_after)]
    ready_after: Option<HumanDuration>,
    /// Table of games as they were played, instead of the scenario's: it is also the list of
    /// fixtures then.
    #[arg(long, value_name = "FILE")]
    played: Option<PathBuf>,
    /// Table of scoring plays, instead of the scenario's.
    #[arg(long, value_name = "FILE")]
    plays: Option<PathBuf>,
}

fn ready_after(text: &str) -> Result<HumanDuration, String> {
    let written: HumanDuration = text
        .parse()
        .map_err(|error: crate::units::DurationError| error.to_string())?;
    within(written)
}

/// Runs `tipoff replay`.
///
/// # Errors
/// Bad input, or an output that cannot be written.
pub fn run(args: &ReplayArgs) -> Result<(), CliError> {
    let outputs: Vec<Named> = args
        .html
        .iter()
        .map(|path| Named::new("--html", path))
        .collect();
    let played = args.played.iter().map(|path| Named::new("--played", path));
    let plays = args.plays.iter().map(|path| Named::new("--plays", path));
    let mut inputs = vec![Named::new("--scenario", &args.scenario)];
    inputs.extend(played.chain(plays));
    apart::check(&outputs, &inputs)?;
    beside::check("--html", args.html.as_deref())?;
    let (scenario, materials) = read(args, &outputs).map_err(CliError::input)?;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let outcome = replay::run(&scenario, &materials, workers, &|line| progress(line))
        .map_err(|error| CliError::input(format!("{}: {error}", args.scenario.display())))?;
    let written = args.html.as_deref().map_or(Ok(()), |path| {
        beside::write("--html", path, "report", &html::page(&outcome))
    });
    let printed = print(&text(&outcome, args.json)?);
    written?;
    printed
}

fn text(outcome: &Outcome, json: bool) -> Result<String, CliError> {
    if !json {
        return Ok(outcome.report.text());
    }
    let text = serde_json::to_string_pretty(&outcome.report).map_err(CliError::failed)?;
    Ok(text + "\n")
}

/// The files a scenario names, where they lie.
fn files(scenario: &Scenario, beside: &dyn Fn(&Path) -> PathBuf) -> Vec<Named> {
    let field = |field: &'static str, file: &Path| {
        Named::new(format!("{field} of the scenario"), beside(file))
    };
    let fixtures = scenario.fixtures.iter();
    let mut files: Vec<Named> = fixtures.map(|file| field("fixtures", file)).collect();
    match &scenario.load {
        LoadSource::Generated(generated) => {
            let played = generated.played.iter();
            files.extend(played.map(|file| field("load.generated.played", file)));
            let plays = generated.plays.iter();
            files.extend(plays.map(|file| field("load.generated.plays", file)));
        }
        LoadSource::Recorded(recorded) => {
            files.push(field("load.recorded.file", &recorded.file));
            let history = recorded.history.iter();
            files.extend(history.map(|load| field("load.recorded.history", &load.file)));
        }
    }
    files
}

fn read(args: &ReplayArgs, outputs: &[Named]) -> anyhow::Result<(Scenario, Materials)> {
    let path = &args.scenario;
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the scenario {}", path.display()))?;
    let mut scenario = scenario::parse(&text, &path.display().to_string())?;
    if let Some(ready_after) = args.ready_after {
        scenario.arena.cluster.model.start_up = StartUpTime::Constant(ready_after);
        scenario.arena.policy.start_up.scale_up_time = Some(ready_after.0);
    }
    let beside = |file: &Path| match path.parent() {
        Some(folder) => folder.join(file),
        None => file.to_owned(),
    };
    apart::check(outputs, &files(&scenario, &beside))?;
    let mut fixtures: Vec<PathBuf> = scenario.fixtures.iter().map(|file| beside(file)).collect();
    let mut played = args.played.clone();
    let source = match &scenario.load {
        LoadSource::Generated(generated) => {
            if let Some(played) = &args.played {
                fixtures = vec![played.clone()];
            }
            played = played.or(generated.played.as_deref().map(beside));
            let plays = args.plays.clone();
            let plays = plays.or(generated.plays.as_deref().map(beside));
            Source::Generated(results(played.as_deref(), plays.as_deref())?)
        }
        LoadSource::Recorded(recorded) => {
            if args.played.is_some() || args.plays.is_some() {
                return Err(anyhow!(
                    "{}: the load is recorded: --played and --plays are for generated load",
                    path.display()
                ));
            }
            recorded_load(recorded, &scenario.spans, &beside)
                .with_context(|| format!("{}: load.recorded", path.display()))?
        }
    };
    let options = CalendarOptions {
        // without one local times are nobody's
        zone: scenario.written_zone,
        competition: scenario.competition.clone(),
        declared: Declared::Fields,
        ..CalendarOptions::default()
    };
    let (calendar, warnings) = load_calendar(&fixtures, &options)?;
    for warning in warnings {
        // a table of games as they were played has more columns than a list of fixtures uses
        let is_played = played.as_deref() == Some(Path::new(&warning.place.source));
        if is_played && warning.reason.contains("columns are not used") {
            continue;
        }
        progress(&format!("warning: {warning}"));
    }
    Ok((scenario, Materials { calendar, source }))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| {
        format!(
            "cannot read {}; paths are relative to the scenario",
            path.display()
        )
    })
}

fn results(games: Option<&Path>, plays: Option<&Path>) -> anyhow::Result<Results> {
    let Some(games) = games else {
        return Ok(Results::default());
    };
    let names = (
        games.display().to_string(),
        plays.map(|p| p.display().to_string()),
    );
    let plays_file = plays.map(open).transpose()?;
    let reading = played::csv::read((open(games)?, &names.0), plays_file.zip(names.1.as_deref()))?;
    for (count, what) in [
        (
            reading.unplayed,
            "games have no kick-off or end: their course is drawn",
        ),
        (
            reading.untimed,
            "scoring plays have no time and are left out",
        ),
    ] {
        if count > 0 {
            progress(&format!("note: {count} {what}"));
        }
    }
    Ok(reading.results)
}

fn recorded_load(
    recorded: &Recorded,
    spans: &[Span],
    beside: &dyn Fn(&Path) -> PathBuf,
) -> anyhow::Result<Source> {
    let load = |file: &Path, per: Option<HumanDuration>| -> anyhow::Result<csv::LoadFile> {
        let file = beside(file);
        let name = file.display().to_string();
        let per = match per {
            None => Per::SECOND,
            Some(interval) => Per::every(interval.0)
                .with_context(|| format!("per: {interval} is not positive"))?,
        };
        let load = read_load(open(&file)?, &name, per)?;
        told(&load, &name);
        Ok(load)
    };
    let csv::LoadFile {
        series: seconds,
        coarser,
        ..
    } = load(&recorded.file, recorded.per)?;
    // rows that are far apart at another time do no harm
    let coarser = coarser.filter(|coarser| {
        let mut spans = spans.iter();
        spans.any(|span| span.from < coarser.to && coarser.from < span.to)
    });
    let distance = coarser.map_or(seconds.step(), |coarser| coarser.longest);
    if distance > WIDEST {
        return Err(anyhow!(
            "file: the rows of {} are {} apart, and spikes are over within seconds: give a row a \
             second (a file with coarser rows can be load.recorded.history)",
            recorded.file.display(),
            HumanDuration(distance)
        ));
    }
    if distance > TimeDelta::seconds(1) {
        progress(&format!(
            "warning: the rows of {} are {} apart: what happens between them is not seen; give a \
             row a second",
            recorded.file.display(),
            HumanDuration(distance)
        ));
    }
    let history = recorded
        .history
        .as_ref()
        .map(|LoadFile { file, per }| load(file, *per))
        .transpose()?
        .map(|history| history.series);
    Ok(Source::Recorded { seconds, history })
}
