//! The command line: one file per subcommand, each with its `Args` and a `run`.
//!
//! Data goes to standard output, progress and logs to standard error; the exit code is 0 for
//! success, 1 for failure, 2 for bad usage or bad input.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::LogArgs;

pub mod completions;
pub mod crds;
mod error;
pub mod fixtures;
pub mod forecast;
pub mod output;
pub mod run;

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

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller.
    Run(run::RunArgs),
    /// Forecast a load from its history and fixtures.
    Forecast(forecast::ForecastArgs),
    /// Check, convert and list fixture files.
    Fixtures(fixtures::FixturesArgs),
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
        Command::Run(args) => runtime()?
            .block_on(run::run(args))
            .map(|()| ExitCode::SUCCESS),
        Command::Forecast(args) => forecast::run(args).map_err(CliError::failed),
        Command::Crds(args) => crds::run(args).map(|()| ExitCode::SUCCESS),
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
