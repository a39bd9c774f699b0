//! Standard output for data: locked, buffered, and at peace with a reader that left early.
//!
//! It decides nothing about what it is given, but that names in it, which come from feeds and
//! files, do not command the terminal. Progress and logs belong on standard error.

use std::borrow::Cow;
use std::fmt::Write as _;
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

/// Writes a whole text to standard output: tables, or JSON, which is the same when it is
/// [`legible`].
///
/// # Errors
/// As [`Output::finish`].
pub fn print(text: &str) -> Result<(), CliError> {
    copy(&legible(text))
}

/// Writes a whole file to standard output, to the byte.
///
/// # Errors
/// As [`Output::finish`].
pub fn copy(text: &str) -> Result<(), CliError> {
    let mut output = Output::lock();
    output.write_all(text.as_bytes())?;
    output.finish()
}

/// A text in which nothing but line ends and tabs moves a terminal: other control characters are
/// written as JSON would write them, `\u001b`.
pub fn legible(text: &str) -> Cow<'_, str> {
    let commands = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if commands(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Writes one line to standard error: progress, never data.
///
/// A standard error that is gone is nobody's failure.
pub fn progress(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", legible(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_command_a_terminal() {
        let plain = "Köln v Bayern\tlive\n";
        assert!(matches!(legible(plain), Cow::Borrowed(text) if text == plain));
        let shown = legible("\u{1b}[2JReds\u{7}\rBlues\u{9b}31m\n");
        assert_eq!(shown, "\\u001b[2JReds\\u0007\\u000dBlues\\u009b31m\n");
        // what stands in JSON means the same
        let name = "a\u{7f}\u{9b}b\u{1b}";
        let json = serde_json::to_string(name).unwrap();
        assert_eq!(
            serde_json::from_str::<String>(&legible(&json)).unwrap(),
            name
        );
    }
}
