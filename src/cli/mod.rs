//! The command line: one file per subcommand, each with its `Args` and a `run`.
//!
//! Data goes to standard output, progress and logs to standard error; the exit code is 0 for
//! success, 1 for failure, 2 for bad usage or bad input.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::LogArgs;

pub mod apart;
pub mod backtest;
pub mod beside;
pub mod completions;
pub mod crds;
pub mod demo;
mod error;
pub mod evidence;
pub mod explain;
pub mod fixtures;
pub mod forecast;
pub mod inputs;
pub mod output;
pub mod replay;
pub mod run;
pub mod speed;
pub mod spikes;
pub mod synth;
pub mod train;
pub mod what_if;

pub use error::CliError;

/// Gives a Kubernetes workload the first before the second: scales before the game starts.
#[derive(Debug, Parser)]
#[command(name = "tipoff", version, about, max_term_width = 100)]
pub struct Cli {
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// How to log. The demo's screen is its own log, so there only what went wrong is kept.
    pub fn logs(&self) -> LogArgs {
        let mut logs = self.log.clone();
        if matches!(self.command, Command::Demo(_)) {
            logs.log_level.get_or_insert_with(|| "warn".to_owned());
        }
        logs
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the real controller through a generated NFL Sunday; nothing needs to be installed.
    Demo(demo::DemoArgs),
    /// Run the controller.
    Run(run::RunArgs),
    /// Forecast load from history and fixtures.
    Forecast(forecast::ForecastArgs),
    /// Train a model and write it to a file; or look into one, or compare two.
    Train(train::TrainArgs),
    /// Say why a forecast says what it says at one moment.
    Explain(explain::ExplainArgs),
    /// Forecast as if a fixture were larger, later, longer or off, or entries came faster.
    WhatIf(what_if::WhatIfArgs),
    /// Replay a span of history: forecast scores and policies side by side.
    Backtest(backtest::BacktestArgs),
    /// Replay game days second by second: both loops beside what people use today.
    Replay(replay::ReplayArgs),
    /// Generate a season: load, fixtures, contest entries, faults, and the truth behind them.
    Synth(synth::SynthArgs),
    /// Check, convert and list fixture files.
    Fixtures(fixtures::FixturesArgs),
    /// Measure what a fit and a forecast cost on this machine, and how that grows.
    Speed(speed::SpeedArgs),
    /// Show how soon a jump of load is seen, on declared loads or on yours.
    Spikes(spikes::SpikesArgs),
    /// Print the custom resource definition as YAML.
    Crds(crds::CrdsArgs),
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// Runs the chosen command. Offline commands are told the time; the others make their own clock.
///
/// # Errors
/// What the command ended with; [`CliError::exit_code`] says how to exit.
pub fn run(command: &Command) -> Result<ExitCode, CliError> {
    let now = SystemClock::new().now();
    match command {
        Command::Demo(args) => {
            let runtime = runtime()?;
            let ended = runtime.block_on(demo::run(args));
            // an interrupted demo does not wait for the comparison it will not show
            runtime.shutdown_background();
            ended
        }
        Command::Run(args) => runtime()?
            .block_on(run::run(args))
            .map(|()| ExitCode::SUCCESS),
        Command::Crds(args) => crds::run(args).map(|()| ExitCode::SUCCESS),
        Command::Forecast(args) => Ok(forecast::run(args)?),
        Command::Train(args) => train::run(args).map(|()| ExitCode::SUCCESS),
        Command::Explain(args) => explain::run(args).map(|()| ExitCode::SUCCESS),
        Command::WhatIf(args) => what_if::run(args).map(|()| ExitCode::SUCCESS),
        Command::Backtest(args) => Ok(backtest::run(args)?),
        Command::Replay(args) => replay::run(args).map(|()| ExitCode::SUCCESS),
        Command::Synth(args) => synth::run(args).map(|()| ExitCode::SUCCESS),
        Command::Spikes(args) => spikes::run(args).map(|()| ExitCode::SUCCESS),
        Command::Speed(args) => speed::run(args).map(|()| ExitCode::SUCCESS),
        Command::Fixtures(args) => Ok(fixtures::run(args, now)?),
        Command::Completions(args) => completions::run(args).map(|()| ExitCode::SUCCESS),
    }
}

/// A runtime for the commands that talk to the network.
///
/// # Errors
/// When the operating system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::failed)
}
