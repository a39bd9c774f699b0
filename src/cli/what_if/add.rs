//! One more fixture, as it is written on the command line.

use chrono_tz::Tz;

use crate::cli::forecast::InputError;
use crate::cli::output::progress;
use crate::fixture::import::csv::{COLUMNS, column_like, is_column};
use crate::fixture::import::{Declared, ImportOptions, read};
use crate::fixture::validate::validate;
use crate::fixture::{Fixture, Precision};
use crate::units::Timestamp;

/// A fixture given as `column=value` of the fixture CSV. Doubts go to standard error, as those about
/// a file.
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
        return Err(wrong(reject.reason.clone()));
    }
    let mut fixture = imported
        .fixtures
        .into_iter()
        .next()
        .ok_or_else(|| wrong("holds no fixture".to_owned()))?;
    fixture.known_at = Some(at);
    // a line of what was never a file says nothing
    fixture.provenance.line = None;
    let mut doubts = imported.warnings;
    doubts.extend(validate([&fixture], Some(at)));
    for mut doubt in doubts {
        doubt.place.line = None;
        progress(&format!("warning: {doubt}"));
    }
    Ok(fixture)
}

/// When a fixture starts, as far as that is known.
pub(super) fn starts(fixture: &Fixture) -> String {
    let start = &fixture.start;
    match start.precision {
        Precision::Exact => format!("at {}", start.at.format("%FT%TZ")),
        Precision::Approximate => format!("at about {}", start.at.format("%FT%TZ")),
        Precision::Date => {
            let day = start.at.with_timezone(&start.zone.unwrap_or(Tz::UTC));
            format!("on {} at a time that is not known", day.format("%F"))
        }
        Precision::Tbd => "on a day that is not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_midnight_that_stands_for_a_day_is_told_as_a_day() {
        let at = Timestamp::from_timestamp(1_726_185_600, 0).unwrap();
        let mut fixture = Fixture::game("g", "cup", at);
        assert_eq!(starts(&fixture), "at 2024-09-13T00:00:00Z");
        fixture.start.precision = Precision::Date;
        assert_eq!(
            starts(&fixture),
            "on 2024-09-13 at a time that is not known"
        );
    }
}
