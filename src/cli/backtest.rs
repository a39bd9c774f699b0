//! `tipoff backtest`: forecast scores and policies side by side over a span of history.
//!
//! Opens the files a scenario names; what they mean is decided in `backtest`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::backtest::origin::Protocol;
use crate::backtest::scenario::{self, Scenario};
use crate::backtest::{self, Listener, Outcome, html};
use crate::fixture::Calendar;
use crate::forecast::{Evidence, Forecast};
use crate::series::Series;
use crate::series::csv::{Per, read_load};
use crate::settings::calendar_file::{CalendarOptions, load_calendar};

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
    /// Also write every scored forecast of one protocol: day, h4 or n15.
    #[arg(long, value_name = "PROTOCOL", value_parser = parse_protocol, requires = "forecasts")]
    protocol: Option<Protocol>,
    /// Where to write them (CSV: origin,target,q50,q90,q95,q99).
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
struct Progress<'a> {
    protocol: Option<Protocol>,
    out: Option<&'a mut dyn Write>,
    failed: Option<io::Error>,
}

impl Listener for Progress<'_> {
    fn progress(&mut self, line: &str) {
        // progress that nobody reads is no reason to stop
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn forecast(&mut self, protocol: Protocol, forecast: &Forecast) {
        if self.protocol != Some(protocol) {
            return;
        }
        let Some(out) = self.out.as_deref_mut() else {
            return;
        };
        // a nowcast counts for its last bin only
        let first = match protocol {
            Protocol::N15 => forecast.len().saturating_sub(1),
            Protocol::Day | Protocol::H4 => 0,
        };
        for bin in first..forecast.len() {
            let [p50, p90, p95, p99] = [0, 1, 2, 3].map(|q| forecast.paths[q][bin]);
            let written = writeln!(
                out,
                "{},{},{p50:.4},{p90:.4},{p95:.4},{p99:.4}",
                forecast.origin.format("%Y-%m-%d %H:%M:%S"),
                forecast.time(bin).format("%Y-%m-%d %H:%M:%S"),
            );
            if let Err(error) = written {
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// Runs `tipoff backtest`.
///
/// # Errors
/// When an output cannot be written. Bad input is not an error but exit code 2, after it has been
/// said on standard error.
pub fn run(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let (scenario, load, calendar) = match read(&args.scenario) {
        Ok(inputs) => inputs,
        Err(error) => return Ok(bad_input(&error)),
    };
    let mut forecasts = args
        .forecasts
        .as_deref()
        .map(|path| create(path).map(|file| (path, file)))
        .transpose()?;
    if let Some((path, file)) = &mut forecasts {
        writeln!(file, "origin,target,q50,q90,q95,q99")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut listener = Progress {
        protocol: args.protocol,
        out: forecasts.as_mut().map(|(_, file)| file as &mut dyn Write),
        failed: None,
    };
    let outcome = match backtest::run(&scenario, Evidence::new(&load, &calendar), &mut listener) {
        Ok(outcome) => outcome,
        Err(error) => {
            let error = anyhow::Error::new(error).context(args.scenario.display().to_string());
            return Ok(bad_input(&error));
        }
    };
    let failed = listener.failed.take();
    if let Some((path, mut file)) = forecasts {
        failed
            .map_or_else(|| file.flush(), Err)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.html {
        fs::write(path, html::page(&outcome))
            .with_context(|| format!("cannot write {}", path.display()))?;
        listener_line(&format!("report written to {}", path.display()));
    }
    print(&outcome, args.json)?;
    if let Some(usage) = usage() {
        listener_line(&usage);
    }
    Ok(ExitCode::SUCCESS)
}

fn listener_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn bad_input(error: &anyhow::Error) -> ExitCode {
    listener_line(&format!("tipoff: {error:#}"));
    ExitCode::from(BAD_INPUT)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// A scenario and the files it names.
fn read(path: &Path) -> anyhow::Result<(Scenario, Series, Calendar)> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the scenario {}", path.display()))?;
    let scenario = scenario::parse(&text, &path.display().to_string())?;
    let beside = |file: &Path| match path.parent() {
        Some(folder) => folder.join(file),
        None => file.to_owned(),
    };

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
    let load = read_load(reader, &name, per)?.series;

    let fixtures: Vec<PathBuf> = scenario.fixtures.iter().map(|file| beside(file)).collect();
    let options = CalendarOptions {
        // UTC is what stands there when nothing was said: local times are then nobody's
        zone: Some(scenario.zone).filter(|zone| *zone != chrono_tz::Tz::UTC),
        ..CalendarOptions::default()
    };
    let (calendar, warnings) = load_calendar(&fixtures, &options)?;
    for warning in warnings {
        listener_line(&format!("warning: {warning}"));
    }
    Ok((scenario, load, calendar))
}

/// Prints the report; a reader who stops reading is no failure.
fn print(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(&outcome.report)?;
        text.push('\n');
        text
    } else {
        outcome.report.text()
    };
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
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
