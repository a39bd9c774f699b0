//! Standard output for data: locked, buffered, and at peace with a reader that left early.
//!
//! It writes what it is given and decides nothing. Progress and logs belong on standard error.

use std::io::{self, BufWriter, StdoutLock, Write};

use super::CliError;

/// A locked, buffered standard output.
///
/// It is a plain [`Write`]; [`CliError`] turns the error of a closed pipe into success, so `?` is
/// all a command needs. Call [`Output::finish`] at the end, or what is still buffered may fail
/// unseen.
#[derive(Debug)]
pub struct Output {
    buffer: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// Locks standard output.
    pub fn lock() -> Self {
        Self {
            buffer: BufWriter::new(io::stdout().lock()),
        }
    }

    /// Writes out what is still buffered.
    ///
    /// # Errors
    /// When standard output fails; a closed pipe is told apart by [`CliError`].
    pub fn finish(mut self) -> Result<(), CliError> {
        self.buffer.flush()?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.flush()
    }
}

/// Writes a whole text to standard output.
///
/// # Errors
/// As [`Output::finish`].
pub fn print(text: &str) -> Result<(), CliError> {
    let mut output = Output::lock();
    output.write_all(text.as_bytes())?;
    output.finish()
}

/// Writes one line to standard error: progress, never data.
///
/// A standard error that is gone is nobody's failure.
pub fn progress(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
