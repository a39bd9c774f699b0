//! One more fixture, as it is written on the command line.

use crate::cli::forecast::InputError;
use crate::fixture::Fixture;
use crate::fixture::import::csv::{COLUMNS, column_like, is_column};
use crate::fixture::import::{Declared, ImportOptions, read};
use crate::units::Timestamp;

/// A fixture given as `column=value` of the fixture CSV.
pub(super) fn parse_fixture(
    fields: &str,
    at: Timestamp,
    number: usize,
) -> Result<Fixture, InputError> {
    let wrong = |reason: String| {
        InputError(format!(
            "--add {fields:?}: {reason}; write for example \
             start=2026-09-13T17:00:00Z,competition=NFL,home=KC,away=BUF"
        ))
    };
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for field in fields.split(',') {
        let (column, value) = field
            .split_once('=')
            .ok_or_else(|| wrong(format!("{field:?} is not column=value")))?;
        let column = column.trim();
        if !is_column(column) {
            let near = column_like(column).map_or_else(
                || format!("known columns are {}", COLUMNS.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            return Err(wrong(format!("{column:?} is no column: {near}")));
        }
        columns.push(column);
        values.push(value.trim());
    }
    if !columns.contains(&"id") {
        columns.push("id");
        values.push("");
    }
    let id = format!("what-if-{number}");
    let values: Vec<&str> = columns
        .iter()
        .zip(values)
        .map(|(&column, value)| {
            if column == "id" && value.is_empty() {
                id.as_str()
            } else {
                value
            }
        })
        .collect();
    let mut file = csv::Writer::from_writer(Vec::new());
    let written = file
        .write_record(&columns)
        .and_then(|()| file.write_record(&values));
    let bytes = written
        .map_err(|error| wrong(error.to_string()))
        .and_then(|()| file.into_inner().map_err(|error| wrong(error.to_string())))?;
    let options = ImportOptions {
        source: "--add".to_owned(),
        declared: Declared::Alone,
        ..ImportOptions::default()
    };
    let imported = read(&bytes, &options).map_err(|error| wrong(error.to_string()))?;
    if let Some(reject) = imported.rejects.first() {
        return Err(wrong(reject.to_string()));
    }
    let mut fixture = imported
        .fixtures
        .into_iter()
        .next()
        .ok_or_else(|| wrong("holds no fixture".to_owned()))?;
    fixture.known_at = Some(at);
    Ok(fixture)
}
