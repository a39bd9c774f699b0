//! `tipoff completions`: completion scripts for shells.

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use super::{Cli, CliError, output};

/// Prints a completion script for a shell.
#[derive(Debug, Parser)]
pub struct Args {
    /// The shell to complete in.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output fails.
pub fn run(args: &Args) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tipoff", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
