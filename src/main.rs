//! The `tipoff` binary: hands the command line to the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tipoff::cli::backtest::BacktestArgs;
use tipoff::cli::fixtures::FixturesArgs;

/// Scales workloads before the crowd arrives.
#[derive(Debug, Parser)]
#[command(name = "tipoff", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a span of history: forecast scores and policies side by side.
    Backtest(BacktestArgs),
    /// Check, convert and list fixture files.
    Fixtures(FixturesArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock of this entry point"
    )]
    let now = chrono::Utc::now();
    let outcome = match cli.command {
        Command::Backtest(args) => tipoff::cli::backtest::run(&args),
        Command::Fixtures(args) => tipoff::cli::fixtures::run(&args, now),
    };
    outcome.unwrap_or_else(|error| {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "tipoff: {error:#}");
        ExitCode::FAILURE
    })
}
