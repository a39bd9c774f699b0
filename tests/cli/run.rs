//! Starts the binary, and keeps how it ended and what it said.

use std::path::Path;

use assert_cmd::Command;

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Waits for the end of a command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that the input was bad, and that each of these parts says so.
    pub(crate) fn assert_refused(&self, expected: &[&str]) {
        let message = &self.stderr;
        assert_eq!(self.code, 2, "{message}");
        assert!(self.stdout.is_empty());
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
}

/// The binary, to be told more before it runs.
pub(crate) fn binary() -> Command {
    Command::cargo_bin("tipoff").unwrap()
}

/// `tipoff` with a subcommand and its arguments.
pub(crate) fn subcommand(name: &str, arguments: &[&str]) -> Run {
    Run::of(binary().arg(name).args(arguments))
}

/// `tipoff` with a subcommand and a scenario of this text, in a file `bad.yaml`.
pub(crate) fn bad_scenario(name: &str, folder: &Path, text: &str) -> Run {
    let path = folder.join("bad.yaml");
    std::fs::write(&path, text).unwrap();
    subcommand(name, &["--scenario", path.to_str().unwrap()])
}
