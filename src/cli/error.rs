//! How a command ends when it does not end well, and with which exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

type Cause = Box<dyn Error + Send + Sync + 'static>;

/// Why a command stopped.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What the caller handed in is wrong: exit code 2.
    #[error("{0}")]
    Input(Cause),
    /// The work failed although the input was fine: exit code 1.
    #[error("{0}")]
    Failed(Cause),
    /// Nobody reads standard output any more, which is the reader's right: exit code 0.
    #[error("standard output was closed")]
    ClosedPipe,
}

impl CliError {
    /// Marks an error as the caller's: a bad file, a bad value, a bad combination.
    pub fn input(cause: impl Into<Cause>) -> Self {
        Self::Input(cause.into())
    }

    /// Marks an error as ours, or the world's.
    pub fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(cause.into())
    }

    /// The exit code this ends in: 0 for a closed pipe, 2 for bad input, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Failed(_) => 1,
            Self::Input(_) => 2,
        }
    }

    /// The error and each of its causes that adds something, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let first = match self {
            Self::Input(cause) | Self::Failed(cause) => cause.source(),
            Self::ClosedPipe => None,
        };
        let mut next = first;
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }
}

/// Only for errors of writing standard output: what has a file to name says so there.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ClosedPipe
        } else {
            Self::failed(format!("standard output: cannot be written: {error}"))
        }
    }
}

/// For commands that gather their errors with `anyhow`: what is marked within stays what it is.
impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(marked) => return marked,
            Err(error) => error,
        };
        let broken_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
        let closed = error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(broken_pipe);
        if closed {
            Self::ClosedPipe
        } else {
            Self::failed(error)
        }
    }
}

impl From<&CliError> for ExitCode {
    fn from(error: &CliError) -> Self {
        Self::from(error.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        assert_eq!(CliError::input("bad").exit_code(), 2);
        assert_eq!(CliError::failed("broken").exit_code(), 1);
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(CliError::from(pipe).exit_code(), 0);
        let disk = io::Error::from(io::ErrorKind::StorageFull);
        let disk = CliError::from(disk);
        assert_eq!(disk.exit_code(), 1);
        assert!(disk.to_string().starts_with("standard output: "), "{disk}");
    }

    #[test]
    fn errors_gathered_with_anyhow_keep_their_kind() {
        use anyhow::Context as _;
        let pipe: Result<(), io::Error> = Err(io::Error::from(io::ErrorKind::BrokenPipe));
        let error = pipe.context("failed to write the table").unwrap_err();
        assert_eq!(CliError::from(error).exit_code(), 0);
        let marked = anyhow::Error::new(CliError::input("bad")).context("in line 3");
        assert_eq!(CliError::from(marked).exit_code(), 2);
        assert_eq!(CliError::from(anyhow::anyhow!("x")).exit_code(), 1);
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to load the calendar")]
        struct Outer(#[source] io::Error);
        let error = CliError::failed(Outer(io::Error::other("disk on fire")));
        assert_eq!(error.chain(), "failed to load the calendar: disk on fire");
    }
}
