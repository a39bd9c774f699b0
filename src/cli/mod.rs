//! The command line: one file per subcommand.

pub mod backtest;
pub mod fixtures;
