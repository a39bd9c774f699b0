//! `tipoff demo`: the main job with nothing installed.
//!
//! The real controller runs on an embedded cluster through a generated NFL Sunday, on a clock
//! that is several hundred times faster than life. Puts the parts together, shows what they do
//! and compares it; decides nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::output::{self, progress};
use super::{CliError, beside};
use crate::backtest::html;
use crate::clock::{Clock as _, ScaledClock};

mod comparison;
mod ledger;
mod screen;
mod stage;

use ledger::Ledger;
use screen::Screen;
use stage::{Sunday, Theatre};

/// Fastest speed: beyond it a tick of the controller lasts longer than its own period.
const FASTEST: f64 = 1500.0;

/// Time between two looks: of the controller's decisions, 15 s apart, none is to be missed.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(5);

/// Watch the real controller through a generated NFL Sunday, in about a minute and a half.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Simulated seconds per real second, 60 to 1500. The Sunday lasts 16.75 hours.
    #[arg(long, value_name = "FACTOR", default_value_t = 780.0, value_parser = speed)]
    pub speed: f64,
    /// Seed of the generated traffic.
    #[arg(long, value_name = "NUMBER", default_value_t = 2023)]
    pub seed: u64,
    /// Where to write the HTML report. Default: `tipoff-demo.html` in the temporary folder.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed| (60.0..=FASTEST).contains(speed))
        .ok_or_else(|| format!("{text:?} is not a number from 60 to {FASTEST}"))
}

/// Runs the demo.
///
/// # Errors
/// When a loopback port or the report cannot be had.
pub async fn run(args: &DemoArgs) -> Result<ExitCode, CliError> {
    let path = args
        .report
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join("tipoff-demo.html"));
    beside::check("--report", Some(&path))?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_interrupt(stop.clone()));

    let sunday = Arc::new(Sunday::new(args.seed));
    let rivals = {
        // beside the show, so that the comparison is there when it ends
        let sunday = Arc::clone(&sunday);
        tokio::task::spawn_blocking(move || comparison::backtest(&sunday))
    };
    let mut screen = Screen::new(&sunday);
    print(&screen.opening(args.speed))?;

    let clock = ScaledClock::new(sunday.doors(), args.speed).map_err(CliError::input)?;
    let clock = Arc::new(clock);
    let theatre = Theatre::open(Arc::clone(&sunday), clock.clone(), &stop).await?;
    let mut ledger = Ledger::new(&sunday);
    let mut at = sunday.from;
    while at < sunday.to && !stop.is_cancelled() {
        tokio::select! {
            () = clock.sleep_until(at) => {}
            () = stop.cancelled() => break,
        }
        let sight = theatre.look().await?;
        ledger.enter(clock.now(), sight.workload, |at| sunday.traffic.rate(at));
        print(&screen.tick(clock.now(), &sight))?;
        at = clock.now() + LOOK_EVERY;
    }
    let interrupted = stop.is_cancelled();
    stop.cancel();
    theatre.close().await;
    if interrupted {
        progress("stopped: the controller finished what was under way and lowered nothing");
        return Ok(ExitCode::from(130));
    }

    let outcome = rivals
        .await
        .map_err(CliError::failed)?
        .map_err(CliError::failed)?;
    let outcome = comparison::with_measured(outcome, ledger.run());
    let page = html::page(&outcome);
    // what was seen is to be told whatever came of the report
    let written = beside::whole(&path, |file| file.write_all(page.as_bytes()));
    let printed = print(&screen.closing(&outcome, &path));
    written.map_err(|error| beside::failed("--report", &path, &error))?;
    printed?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), CliError> {
    if text.is_empty() {
        return Ok(());
    }
    output::print(text)
}

async fn stop_on_interrupt(stop: CancellationToken) {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => stop.cancel(),
        () = stop.cancelled() => {}
    }
}
