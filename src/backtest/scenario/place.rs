//! Reading YAML so that every fault has a place: file, line, column and field.

use serde::Deserialize;
use serde_path_to_error::Track;
use serde_saphyr::Location;

/// Why a scenario is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {field}: {reason}")]
pub struct ScenarioError {
    /// File.
    pub name: String,
    /// Line, from 1; 0 when the parser knows none.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Path of the field.
    pub field: String,
    /// What is wrong and what to write.
    pub reason: String,
}

/// Reads a whole document. The `spanned` fields keep their places, which their paths do not show.
///
/// # Errors
/// [`ScenarioError`] with the place of the first fault.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(
    text: &str,
    name: &str,
    spanned: &[&str],
) -> Result<T, ScenarioError> {
    let mut track = Track::new();
    serde_saphyr::with_deserializer_from_str(text, |yaml| {
        T::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track))
    })
    .map_err(|error| {
        let field = match track.path().to_string().as_str() {
            "." => "the scenario".to_owned(),
            field => as_written(field, spanned),
        };
        let place = error.location().unwrap_or(Location::UNKNOWN);
        refuse(name, place, &field, &reason(&error))
    })
}

/// The path of a field without what the parser's place-keeping adds to it.
fn as_written(path: &str, spanned: &[&str]) -> String {
    let mut path = path.to_owned();
    for spanned in spanned {
        let rest = path.strip_prefix(spanned);
        if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(".value")) {
            path = format!("{spanned}{rest}");
        }
    }
    path
}

/// A fault at a place.
pub(crate) fn refuse(name: &str, place: Location, field: &str, reason: &str) -> ScenarioError {
    ScenarioError {
        name: name.to_owned(),
        line: place.line(),
        column: place.column(),
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The parser's message without its own idea of the place.
fn reason(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::Message { msg, .. } => msg.clone(),
        other => {
            let text = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            match text.rsplit_once(" at line ") {
                Some((message, _)) => message.to_owned(),
                None => text,
            }
        }
    }
}
