//! Why settings were refused: always with the file, the line, the field and what to do.

use std::path::PathBuf;

/// Why a settings file is not in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error(
        "{}: failed to read the settings: {reason}; give the path with --config, or mount the file",
        path.display()
    )]
    Unreadable {
        /// File.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file says something that is not allowed.
    #[error("{}:{line}:{column}: {field}: {reason}", path.display())]
    Invalid {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// Dotted path of the field.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
}
