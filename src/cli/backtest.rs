//! `tipoff backtest`: forecast scores and policies side by side over a span of history.
//!
//! Opens the files a scenario names; what they mean is decided in `backtest`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use chrono::TimeDelta;
use clap::Args;

use super::apart::{self, Named};
use super::beside::Draft;
use super::inputs::told;
use super::output::{print, progress};
use super::{beside, evidence};
use crate::backtest::origin::{Protocol, TARGET};
use crate::backtest::scenario::{self, Scenario};
use crate::backtest::{self, Listener, Outcome, html};
use crate::entries::Entries;
use crate::fixture::Calendar;
use crate::fixture::import::Declared;
use crate::forecast::{Evidence, Forecast};
use crate::series::Series;
use crate::series::csv::{Per, read_load};
use crate::series::faults::Faults;
use crate::settings::calendar_file::{CalendarOptions, load_calendar};
use crate::units::{HumanDuration, Timestamp};

/// Bad input, as for bad usage.
const BAD_INPUT: u8 = 2;

/// Arguments of `tipoff backtest`.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Scenario file (YAML). Paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write a self-contained HTML report.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Score the forecasts and leave out the policies, also when the scenario has some.
    #[arg(long)]
    forecasts_only: bool,
    /// Also write every forecast of one protocol of which anything is scored: day, h4 or n15.
    #[arg(long, value_name = "PROTOCOL", value_parser = parse_protocol, requires = "forecasts")]
    protocol: Option<Protocol>,
    /// Where to write them (CSV: origin,target,q50,q90,q95,q99; five-minute means per second, times
    /// UTC). Those of day and h4 are written whole: targets outside of the evaluated span, and those
    /// too near or too far for the protocol, are there too and are not scored. The peaks of their
    /// fixtures go beside it, into FILE without .csv and with __peaks.csv
    /// (origin,kickoff,p50,p90,p95,p99).
    #[arg(long, value_name = "FILE", requires = "protocol")]
    forecasts: Option<PathBuf>,
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    [Protocol::Day, Protocol::H4, Protocol::N15]
        .into_iter()
        .find(|protocol| protocol.name() == text)
        .ok_or_else(|| format!("{text:?} is no protocol: write day, h4 or n15"))
}

/// Prints progress, and writes the forecasts that were asked for.
struct Progress {
    forecasts: Option<ForecastFiles>,
}

/// The forecasts of one protocol as files.
struct ForecastFiles {
    protocol: Protocol,
    paths: Sink,
    /// Peaks of fixtures; a nowcast looks too short ahead to have any.
    peaks: Option<Sink>,
}

/// A file, and the first error of writing it.
struct Sink {
    path: PathBuf,
    draft: Draft,
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Sink {
    fn create(path: PathBuf, header: &str) -> anyhow::Result<Self> {
        let (draft, file) =
            Draft::begin(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut sink = Self {
            path,
            draft,
            file: BufWriter::new(file),
            failed: None,
        };
        sink.line(format_args!("{header}"));
        Ok(sink)
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        if let Err(error) = writeln!(self.file, "{line}") {
            self.failed.get_or_insert(error);
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let written = self.failed.take().map_or_else(|| self.file.flush(), Err);
        let ended = written.and_then(|()| self.draft.finish());
        ended.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl ForecastFiles {
    fn create(protocol: Protocol, path: &Path) -> anyhow::Result<Self> {
        let peaks = match protocol {
            Protocol::Day | Protocol::H4 => Some(Sink::create(
                peaks_path(path),
                "origin,kickoff,p50,p90,p95,p99",
            )?),
            Protocol::N15 => None,
        };
        Ok(Self {
            protocol,
            paths: Sink::create(path.to_owned(), "origin,target,q50,q90,q95,q99")?,
            peaks,
        })
    }

    fn write(&mut self, forecast: &Forecast) {
        let time = |at: Timestamp| at.format("%Y-%m-%d %H:%M:%S");
        let origin = time(forecast.origin);
        // a nowcast counts for its last bin only
        let first = match self.protocol {
            Protocol::N15 => forecast.len().saturating_sub(1),
            Protocol::Day | Protocol::H4 => 0,
        };
        for bin in first..forecast.len() {
            let [p50, p90, p95, p99] = [0, 1, 2, 3].map(|q| forecast.paths[q][bin]);
            self.paths.line(format_args!(
                "{origin},{},{p50:.4},{p90:.4},{p95:.4},{p99:.4}",
                time(forecast.time(bin)),
            ));
        }
        if let Some(peaks) = &mut self.peaks {
            for (kickoff, [p50, p90, p95, p99]) in peaks_ahead(forecast) {
                peaks.line(format_args!(
                    "{origin},{},{p50:.4},{p90:.4},{p95:.4},{p99:.4}",
                    time(kickoff)
                ));
            }
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        self.paths.finish()?;
        self.peaks.map_or(Ok(()), Sink::finish)
    }
}

/// Where the peaks go: beside the forecasts.
fn peaks_path(forecasts: &Path) -> PathBuf {
    let name = forecasts.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".csv").unwrap_or(&name);
    forecasts.with_file_name(format!("{stem}__peaks.csv"))
}

/// The peaks of fixtures that start within the forecast. Groups with one start are one row, with
/// the higher of their quantiles.
fn peaks_ahead(forecast: &Forecast) -> BTreeMap<Timestamp, [f64; 4]> {
    let mut rows: BTreeMap<Timestamp, [f64; 4]> = BTreeMap::new();
    for peak in &forecast.peaks {
        if peak.start >= forecast.origin && peak.start < forecast.end() {
            let row = rows.entry(peak.start).or_insert(peak.quantiles);
            for (value, other) in row.iter_mut().zip(peak.quantiles) {
                *value = value.max(other);
            }
        }
    }
    rows
}

impl Listener for Progress {
    fn progress(&mut self, line: &str) {
        progress(line);
    }

    fn forecast(&mut self, protocol: Protocol, forecast: &Forecast) {
        if let Some(files) = &mut self.forecasts
            && files.protocol == protocol
        {
            files.write(forecast);
        }
    }
}

/// Runs `tipoff backtest`.
///
/// # Errors
/// When an output cannot be written. Bad input is not an error but exit code 2, after it has been
/// said on standard error.
pub fn run(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let written = [
        ("--html", args.html.clone()),
        ("--forecasts", args.forecasts.clone()),
        ("--forecasts", args.forecasts.as_deref().map(peaks_path)),
    ];
    let outputs = written.iter().cloned();
    let outputs: Vec<Named> = outputs
        .filter_map(|(option, path)| Some(Named::new(option, path?)))
        .collect();
    apart::check(&outputs, &[Named::new("--scenario", &args.scenario)])?;
    for (option, path) in &written {
        beside::check(option, path.as_deref())?;
    }
    let Inputs {
        mut scenario,
        load,
        calendar,
        entries,
        faults,
    } = match read(&args.scenario, &outputs) {
        Ok(inputs) => inputs,
        Err(error) => return Ok(bad_input(&error)),
    };
    if !scenario.unread.is_empty() {
        progress(&format!(
            "note: {}: nothing reads {} without cluster and policy: forecasts alone are scored; \
             write both to compare policies",
            args.scenario.display(),
            scenario.unread.join(", ")
        ));
    }
    if args.forecasts_only {
        scenario.arena = None;
    }
    if let Some(protocol) = args.protocol
        && !scenario.forecast.protocols.contains(&protocol)
    {
        scenario.forecast.protocols.push(protocol);
    }
    let files = args.protocol.zip(args.forecasts.as_deref());
    let mut listener = Progress {
        forecasts: files
            .map(|(protocol, path)| ForecastFiles::create(protocol, path))
            .transpose()?,
    };
    let known = Evidence::new(&load, &calendar)
        .with_entries(&entries)
        .with_faults(&faults);
    let outcome = match backtest::run(&scenario, known, &mut listener) {
        Ok(outcome) => outcome,
        Err(error) => {
            let error = anyhow::Error::new(error).context(args.scenario.display().to_string());
            return Ok(bad_input(&error));
        }
    };
    let forecasts = listener.forecasts.map_or(Ok(()), ForecastFiles::finish);
    let report = args.html.as_deref().map_or(Ok(()), |path| {
        beside::write("--html", path, "report", &html::page(&outcome))
    });
    let printed = print(&text(&outcome, args.json)?);
    forecasts?;
    report?;
    printed?;
    if let Some(usage) = usage() {
        progress(&usage);
    }
    Ok(ExitCode::SUCCESS)
}

fn bad_input(error: &anyhow::Error) -> ExitCode {
    progress(&format!("tipoff: {error:#}"));
    ExitCode::from(BAD_INPUT)
}

/// A scenario and what is in the files it names.
struct Inputs {
    scenario: Scenario,
    load: Series,
    calendar: Calendar,
    entries: Entries,
    faults: Faults,
}

/// The files a scenario names, where they lie.
fn files(scenario: &Scenario, beside: &dyn Fn(&Path) -> PathBuf) -> Vec<Named> {
    let field = |field: &'static str, file: &Path| {
        Named::new(format!("{field} of the scenario"), beside(file))
    };
    let mut files = vec![field("load.file", &scenario.load.file)];
    let fixtures = scenario.fixtures.iter();
    files.extend(fixtures.map(|file| field("fixtures", file)));
    let entries = scenario.entries.iter();
    files.extend(entries.map(|named| field("entries.file", &named.file)));
    files.extend(scenario.faults.iter().map(|file| field("faults", file)));
    files
}

fn read(path: &Path, outputs: &[Named]) -> anyhow::Result<Inputs> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the scenario {}", path.display()))?;
    let scenario = scenario::parse(&text, &path.display().to_string())?;
    let beside = |file: &Path| match path.parent() {
        Some(folder) => folder.join(file),
        None => file.to_owned(),
    };

    apart::check(outputs, &files(&scenario, &beside))?;

    let file = beside(&scenario.load.file);
    let name = file.display().to_string();
    let reader = File::open(&file).with_context(|| {
        format!(
            "{}: load.file: cannot read {name}; the path is relative to the scenario",
            path.display()
        )
    })?;
    let per = match scenario.load.per {
        None => Per::SECOND,
        Some(interval) => Per::every(interval.0)
            .with_context(|| format!("{}: load.per: {interval} is not positive", path.display()))?,
    };
    let load = read_load(reader, &name, per)?;
    told(&load, &name);
    if let Some(coarser) = load.coarser
        && coarser.longest > TARGET
        && scenario.evaluate.from < coarser.to
    {
        // the mean of an hour tells how the hour goes on
        return Err(anyhow!(
            "{}: evaluate.from: until {} rows of {name} are up to {} apart, and forecasts are \
             scored every {}: evaluate from there on, or give finer rows",
            path.display(),
            coarser.to.format("%FT%TZ"),
            HumanDuration(coarser.longest),
            HumanDuration(TARGET)
        ));
    }
    let load = load.series;

    let fixtures: Vec<PathBuf> = scenario.fixtures.iter().map(|file| beside(file)).collect();
    let options = CalendarOptions {
        // without one local times are nobody's
        zone: scenario.written_zone,
        declared: Declared::ZoneField,
        ..CalendarOptions::default()
    };
    let (calendar, warnings) = load_calendar(&fixtures, &options)?;
    for warning in warnings {
        progress(&format!("warning: {warning}"));
    }
    let field = |name: &str, error: String| anyhow!("{}: {name}: {error}", path.display());
    let entries = match &scenario.entries {
        Some(named) => {
            let per = named.per.map(|per| per.0);
            if per.is_some_and(|per| per <= TimeDelta::zero()) {
                return Err(field(
                    "entries.per",
                    "must be longer than nothing".to_owned(),
                ));
            }
            evidence::entries(&beside(&named.file), per, None)
                .map_err(|error| field("entries.file", error))?
        }
        None => Entries::NONE,
    };
    let faults = match &scenario.faults {
        Some(file) => {
            let file = beside(file);
            let faults = evidence::faults(&file).map_err(|error| field("faults", error))?;
            evidence::told(&file, &faults, (load.start(), load.end()));
            faults
        }
        None => Faults::NONE,
    };
    Ok(Inputs {
        scenario,
        load,
        calendar,
        entries,
        faults,
    })
}

fn text(outcome: &Outcome, json: bool) -> anyhow::Result<String> {
    if !json {
        return Ok(outcome.report.text());
    }
    Ok(serde_json::to_string_pretty(&outcome.report)? + "\n")
}

/// Time and peak memory of this process, where the system tells.
fn usage() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .trim()
        .strip_suffix(" kB")?
        .parse::<f64>()
        .ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    // field 22, after the name in brackets: start in ticks of a hundredth since boot
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    let started = started.parse::<f64>().ok()? / 100.0;
    Some(format!(
        "took {:.1} s, peak memory {:.0} MB",
        uptime - started,
        peak / 1024.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::FixtureId;
    use crate::forecast::PeakForecast;

    #[test]
    fn peaks_lie_beside_the_forecasts() {
        for (given, beside) in [
            ("out/own__day.csv", "out/own__day__peaks.csv"),
            ("h4", "h4__peaks.csv"),
            ("/tmp/a.b.csv", "/tmp/a.b__peaks.csv"),
        ] {
            assert_eq!(peaks_path(Path::new(given)), Path::new(beside));
        }
    }

    #[test]
    fn one_row_for_each_start_ahead() {
        let hour = |i: i64| Timestamp::UNIX_EPOCH + TimeDelta::hours(i);
        let peak = |start: i64, p99: f64| PeakForecast {
            fixtures: vec![FixtureId(start.to_string())],
            start: hour(start),
            from: hour(start),
            to: hour(start),
            at: hour(start),
            quantiles: [1.0, 2.0, 3.0, p99],
            drawn_by: Vec::new(),
            novelty: None,
        };
        let forecast = Forecast {
            origin: hour(4),
            start: hour(4),
            step: TimeDelta::hours(1),
            paths: std::array::from_fn(|_| vec![1.0; 4]),
            // under way; at the origin; twice; behind the end
            peaks: vec![
                peak(3, 4.0),
                peak(4, 5.0),
                peak(6, 6.0),
                peak(6, 9.0),
                peak(8, 4.0),
            ],
            model: String::new(),
            notes: Vec::new(),
        };
        let rows: Vec<_> = peaks_ahead(&forecast).into_iter().collect();
        assert_eq!(
            rows,
            [
                (hour(4), [1.0, 2.0, 3.0, 5.0]),
                (hour(6), [1.0, 2.0, 3.0, 9.0])
            ]
        );
    }
}
