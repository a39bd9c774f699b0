//! `tipoff speed`: what a fit and a forecast cost on this machine, and how that grows.
//!
//! Every row is measured in a process of its own, so that its peak memory is its own; what is
//! measured and how is in `measure`, how it is shown in `table`.

use std::process::{Command, Stdio};

use clap::Args;

use super::CliError;
use super::output;

mod live;
mod measure;
mod table;

use live::Live;
use measure::{Case, Fleet, Varies};
use table::{Row, Table};

/// Weeks of history that are tried.
const WEEKS: [u32; 4] = [1, 4, 8, 16];

/// Hours ahead that are tried.
const HOURS: [u32; 4] = [1, 24, 48, 168];

/// Numbers of fixtures that are tried.
const FIXTURES: [u32; 4] = [0, 60, 120, 500];

/// Fixtures a week where their number is not what varies: two on most days.
const FIXTURES_A_WEEK: u32 = 15;

/// Hours ahead where they are not what varies.
const AHEAD: u32 = 48;

/// Arguments of `tipoff speed`.
#[derive(Debug, Args)]
pub struct SpeedArgs {
    /// Weeks of history where they are not what varies.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=52))]
    weeks: u32,
    /// Workloads fitted and forecast in a row; 0 leaves that part out.
    #[arg(long, default_value_t = 1_000)]
    workloads: u32,
    /// Threads that do it.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Measure the fast loop with so many workloads instead, each with a sample a second.
    #[arg(
        long,
        value_name = "WORKLOADS",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with_all = ["weeks", "workloads", "threads"]
    )]
    live: Option<u32>,
    /// For so many seconds.
    #[arg(
        long,
        default_value_t = 30,
        requires = "live",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    seconds: u64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Measure this one and print it as a line of JSON.
    #[arg(long, hide = true, value_parser = Case::parse)]
    case: Option<Case>,
}

/// Measures and prints.
///
/// # Errors
/// When a measuring process cannot be started or fails, or standard output does.
pub fn run(args: &SpeedArgs) -> Result<(), CliError> {
    if let Some(case) = args.case {
        let figures = case.measured().map_err(CliError::failed)?;
        let line = serde_json::to_string(&figures).map_err(CliError::failed)?;
        return output::print(&format!("{line}\n"));
    }
    if let Some(workloads) = args.live {
        let live = Live::measured(workloads, args.seconds).map_err(CliError::failed)?;
        return output::print(&if args.json {
            let text = serde_json::to_string_pretty(&live).map_err(CliError::failed)?;
            format!("{text}\n")
        } else {
            live.text()
        });
    }
    if cfg!(debug_assertions) {
        output::progress(
            "tipoff was built without --release: everything takes several times as long",
        );
    }
    let mut rows = Vec::new();
    for (varies, case) in cases(args.weeks) {
        output::progress(&format!("measuring {case}"));
        let figures = measured_apart(case)?;
        rows.push(Row {
            varies,
            case,
            figures,
        });
    }
    let fleet = (args.workloads > 0).then(|| {
        output::progress(&format!("measuring {} workloads", args.workloads));
        let case = usual(args.weeks);
        Fleet::measured(case, args.workloads, args.threads)
    });
    let fleet = fleet.transpose().map_err(CliError::failed)?;
    let table = Table { rows, fleet };
    output::print(&if args.json {
        let text = serde_json::to_string_pretty(&table).map_err(CliError::failed)?;
        format!("{text}\n")
    } else {
        table.text()
    })
}

/// What stays the same while something else varies.
const fn usual(weeks: u32) -> Case {
    Case {
        weeks,
        hours: AHEAD,
        fixtures: FIXTURES_A_WEEK * weeks,
    }
}

/// All rows, in order.
fn cases(weeks: u32) -> Vec<(Varies, Case)> {
    let base = usual(weeks);
    let by_history = WEEKS.map(|weeks| (Varies::History, usual(weeks)));
    let by_horizon = HOURS.map(|hours| (Varies::Horizon, Case { hours, ..base }));
    let by_fixtures = FIXTURES.map(|fixtures| (Varies::Fixtures, Case { fixtures, ..base }));
    [by_history, by_horizon, by_fixtures].concat()
}

/// One case in a process of its own.
fn measured_apart(case: Case) -> Result<measure::Figures, CliError> {
    let program = std::env::current_exe().map_err(CliError::failed)?;
    let ended = Command::new(program)
        .args(["speed", "--case", &case.written()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(CliError::failed)?;
    if !ended.status.success() {
        let text = format!(
            "the process that measured {case} ended with {}",
            ended.status
        );
        return Err(CliError::failed(text));
    }
    serde_json::from_slice(&ended.stdout).map_err(CliError::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_varies_one_thing() {
        let base = usual(8);
        for (varies, case) in cases(8) {
            let same = Case {
                weeks: base.weeks,
                ..case
            };
            match varies {
                Varies::History => assert_eq!(case, usual(case.weeks)),
                Varies::Horizon => assert_eq!(
                    Case {
                        hours: AHEAD,
                        ..same
                    },
                    base
                ),
                Varies::Fixtures => assert_eq!(
                    Case {
                        fixtures: base.fixtures,
                        ..same
                    },
                    base
                ),
            }
        }
        assert_eq!(cases(8).len(), 12);
    }
}
