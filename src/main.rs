//! The `tipoff` binary: installs the TLS provider, parses, dispatches, chooses the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tipoff::cli::{self, Cli, CliError};

fn main() -> ExitCode {
    // Two HTTP clients share one TLS library; whoever asks first must find a provider.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        cli::output::progress("tipoff: a TLS provider was installed before main began");
        return ExitCode::FAILURE;
    }
    let arguments = match Cli::try_parse() {
        Ok(arguments) => arguments,
        // clap knows which of its "errors" are help and version (0) and which are bad usage (2)
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Err(error) = tipoff::telemetry::init(&arguments.logs()) {
        cli::output::progress(&format!("tipoff: {error}"));
        return ExitCode::from(2);
    }
    match cli::run(&arguments.command) {
        Ok(code) => code,
        Err(error) => {
            if !matches!(error, CliError::ClosedPipe) {
                cli::output::progress(&format!("tipoff: {}", error.chain()));
            }
            ExitCode::from(&error)
        }
    }
}
