//! The command line: one file per subcommand. Reads files, writes streams, decides nothing.

pub mod fixtures;
pub mod forecast;
