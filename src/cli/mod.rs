//! The command line: one file per subcommand. Reads files, writes streams, decides nothing.

pub mod backtest;
pub mod fixtures;
pub mod forecast;
