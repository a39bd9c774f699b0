//! Logs: text or JSON on standard error, filtered by level.
//!
//! It decides how log lines look and which are kept; it writes nothing to standard output, which
//! belongs to data.

use std::io;
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// What is logged when nobody says otherwise.
const DEFAULT_LEVEL: &str = "info";

static FILTER: OnceLock<Filter> = OnceLock::new();

/// The filter in force, and whether the command line chose it.
#[derive(Debug)]
struct Filter {
    handle: reload::Handle<EnvFilter, Registry>,
    by_command_line: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log stores.
    Json,
}

/// The options every command takes about logs.
#[derive(Debug, Clone, Default, Args)]
pub struct LogArgs {
    /// How log lines look.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "TIPOFF_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// Which log lines are kept: error, warn, info, debug, trace, or a filter such as
    /// `info,tipoff::source=debug`. Overrides the settings file [default: info].
    #[arg(long, global = true, value_name = "FILTER", env = "TIPOFF_LOG_LEVEL")]
    pub log_level: Option<String>,
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter makes no sense.
    #[error(
        "{filter:?} is not a log filter ({reason}): write error, warn, info, debug, trace, or \
         for example info,tipoff::source=debug"
    )]
    Filter {
        /// What was written.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody installed a subscriber before.
    #[error("logging was set up twice: call telemetry::init once, from main")]
    Twice,
}

/// Reads a log filter, such as `info` or `warn,tipoff=debug`.
///
/// # Errors
/// When the text is not one.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let refuse = |reason: String| TelemetryError::Filter {
        filter: filter.to_owned(),
        reason,
    };
    if filter.trim().is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    for part in filter.split(',').map(str::trim) {
        // what is no level is read as the name of a target, which switches all others off
        let bare = !part.contains(['=', '[']);
        let ours = part == "tipoff" || part.starts_with("tipoff::");
        if bare && !ours && part.parse::<LevelFilter>().is_err() {
            return Err(refuse(format!("{part:?} is no level")));
        }
    }
    EnvFilter::try_new(filter).map_err(|error| refuse(error.to_string()))
}

/// Sets up logging for the process.
///
/// # Errors
/// When the filter is not one, or logging is set up already.
pub fn init(arguments: &LogArgs) -> Result<(), TelemetryError> {
    let filter = parse_filter(arguments.log_level.as_deref().unwrap_or(DEFAULT_LEVEL))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match arguments.log_format {
        LogFormat::Text => registry
            .with(lines.with_ansi(false).with_target(false))
            .try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(|_| TelemetryError::Twice)?;
    FILTER
        .set(Filter {
            handle,
            by_command_line: arguments.log_level.is_some(),
        })
        .map_err(|_| TelemetryError::Twice)
}

/// Takes over the filter of the settings file, unless the command line chose one.
///
/// # Errors
/// When the text is not a filter. Without [`init`] nothing happens.
pub fn follow_settings(level: Option<&str>) -> Result<(), TelemetryError> {
    let wanted = parse_filter(level.unwrap_or(DEFAULT_LEVEL))?;
    if let Some(filter) = FILTER.get()
        && !filter.by_command_line
    {
        // It can only fail when the subscriber is gone, and then there is nothing to filter.
        let _ = filter.handle.reload(wanted);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_refused_with_the_remedy() {
        for good in [
            "info",
            "WARN",
            "warn,tipoff::source=debug",
            "off",
            "info,tipoff",
        ] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "tipoff=loud",
            "=,=",
            "warning",
            "info,foo",
            "tipoff:debug",
        ] {
            let error = parse_filter(bad).unwrap_err().to_string();
            assert!(error.contains("info,tipoff::source=debug"), "{error}");
        }
    }
}
