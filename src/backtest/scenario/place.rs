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

/// Reads a whole document. The `spanned` fields keep their places, which their paths do not show;
/// of a list, written `field[]`, each item does.
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
        refuse(name, place, &field, &with_remedy(&field, reason(&error)))
    })
}

/// A message of a parser with what it expects there and an example, where it says neither.
fn with_remedy(field: &str, message: String) -> String {
    let name = field.rsplit('.').next().unwrap_or(field);
    let name = name.split('[').next().unwrap_or(name);
    match message.as_str() {
        "expected sequence start" => {
            let example = match name {
                "fixtures" => "fixtures.csv",
                "days" => "2015-09-19",
                "spans" => "{from: 2015-09-19T14:00:00Z, to: 2015-09-19T16:00:00Z}",
                "covers" => "auto",
                "peers" => "staticPeak",
                _ => return format!("is not a list: write `{name}: [...]`"),
            };
            format!("is not a list: write for example `{name}: [{example}]`")
        }
        "expected mapping start" => {
            format!("has fields of its own: write them as `{name}: {{field: value}}`")
        }
        "expected end of mapping after enum variant value" => {
            "stands beside another one of its kind: keep one of the two".to_owned()
        }
        "expected string key for externally tagged enum"
        | "externally tagged enum expected scalar or mapping" => match name {
            "load" => "does not say which load: write for example \
                       `load: {recorded: {file: load.csv}}` or `load: {generated: {}}`"
                .to_owned(),
            _ => format!("does not say of which kind it is: write `{name}: {{kind: {{...}}}}`"),
        },
        // what the only dates of a scenario are read with
        "input contains invalid characters"
        | "input is out of range"
        | "premature end of input"
        | "trailing input" => {
            "is not a day: write for example 2015-09-19 (year-month-day)".to_owned()
        }
        "invalid u64" | "invalid u32" => {
            "is not a whole number of 0 or more: write for example 1".to_owned()
        }
        _ if message.starts_with("missing field") => format!("{message}: add it"),
        _ => message,
    }
}

/// The path of a field without what the parser's place-keeping adds to it.
fn as_written(path: &str, spanned: &[&str]) -> String {
    let mut path = path.to_owned();
    for spanned in spanned {
        if let Some(list) = spanned.strip_suffix("[]") {
            // each item of the list keeps its own place
            let item = path.strip_prefix(list).filter(|rest| rest.starts_with('['));
            if let Some((index, rest)) = item.and_then(|rest| rest.split_once("].value")) {
                path = format!("{list}{index}]{rest}");
            }
            continue;
        }
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
