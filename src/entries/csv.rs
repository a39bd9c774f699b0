//! Reads and writes contest entries as CSV, plain or gzipped.
//!
//! The contract is a header row and `timestamp_utc,entries`, with `slate` and `spots` behind them
//! where they are known. `entries` counts those made in the interval that starts at
//! `timestamp_utc`; a missing row or an empty count is a gap, 0 is nobody; `spots` is the number
//! of places then on offer in the whole slate. Rows are in order of time, whatever their slate, so
//! that what lies behind a moment need not be read. Opening files belongs to the caller.

use std::collections::BTreeMap;
use std::io::{self, Read};

use chrono::TimeDelta;

use super::Entries;
use crate::series::rows::{self, Rows, TimeFault, shown};
use crate::units::{Timestamp, quoted};

mod doubts;
mod grid;
mod refusal;
mod writing;

use doubts::Doubts;
use grid::{Gathered, grids};
pub use refusal::{EntriesError, RowFault};
pub use writing::write_entries;

/// The most rows one file may hold.
pub const MAX_ROWS: usize = 16_000_000;

/// The most slates one file may hold: a season has hundreds.
pub const MAX_SLATES: usize = 20_000;

/// The longest name of a slate, bytes.
const MAX_NAME: usize = 256;

/// Entries as read.
#[derive(Debug, Clone, PartialEq)]
pub struct EntriesFile {
    /// Entries per second and places, by slate.
    pub entries: Entries,
    /// Rows read.
    pub rows: usize,
    /// What is readable but may not be meant so, each with its place.
    pub warnings: Vec<String>,
}

/// Reads entries; gzip is recognised by its first bytes.
///
/// `per` is the interval over which `entries` counts; `None` takes it from each slate's rows, as
/// the most common distance between two of them, the shorter of two equally common ones. A slate
/// with one row has the interval that is most common among the others.
///
/// # Errors
/// [`EntriesError`] with file, line and remedy.
pub fn read_entries(
    reader: impl Read,
    name: &str,
    per: Option<TimeDelta>,
) -> Result<EntriesFile, EntriesError> {
    read(reader, name, per, None)
}

/// Reads what was known at `at`: whole intervals that end by then. The file is read no further
/// than the first row at or after `at`. Rows that cannot be read are refused when a row before
/// `at` follows them, else they count as later.
///
/// That nothing was known yet is no error: the entries are then empty, with a warning.
///
/// # Errors
/// As [`read_entries`].
pub fn read_entries_before(
    reader: impl Read,
    name: &str,
    per: Option<TimeDelta>,
    at: Timestamp,
) -> Result<EntriesFile, EntriesError> {
    read(reader, name, per, Some(at))
}

/// Where each column stands.
struct Columns {
    count: usize,
    entries: usize,
    slate: Option<usize>,
    spots: Option<usize>,
}

/// One row, its numbers not read yet.
struct Row<'r> {
    at: Timestamp,
    entries: &'r [u8],
    slate: &'r [u8],
    spots: &'r [u8],
}

fn read(
    reader: impl Read,
    name: &str,
    per: Option<TimeDelta>,
    before: Option<Timestamp>,
) -> Result<EntriesFile, EntriesError> {
    let unreadable = |error: io::Error| EntriesError::Unreadable {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let wrong = |line, fault| EntriesError::Row {
        name: name.to_owned(),
        line,
        fault,
    };
    let mut file = Rows::open(reader).map_err(unreadable)?;
    let Some((_, record)) = file.next().map_err(unreadable)? else {
        return Err(EntriesError::Empty {
            name: name.to_owned(),
        });
    };
    let columns = header(record, name)?;

    let mut slates: BTreeMap<Option<String>, Gathered> = BTreeMap::new();
    let mut warnings = Doubts::default();
    let mut count = 0;
    let mut previous: Option<Timestamp> = None;
    let mut later = false;
    // with a cut, what cannot be read may lie behind it: it counts only when a known row follows
    let mut unreadable_row = None;
    while let Some((line, record)) = file.next().map_err(unreadable)? {
        let row = match cells(record, &columns) {
            Ok(row) => row,
            Err(fault) if before.is_some() => {
                unreadable_row.get_or_insert(wrong(line, fault));
                continue;
            }
            Err(fault) => return Err(wrong(line, fault)),
        };
        if before.is_some_and(|before| row.at >= before) {
            later = true;
            break;
        }
        if let Some(error) = unreadable_row {
            return Err(error);
        }
        count += 1;
        if count > MAX_ROWS {
            return Err(EntriesError::TooLarge {
                name: name.to_owned(),
                what: format!("has more than {MAX_ROWS} rows"),
            });
        }
        take(&row, line, previous, &mut slates, &mut warnings, name)
            .map_err(|fault| wrong(line, fault))?;
        previous = Some(row.at);
        if slates.len() > MAX_SLATES {
            return Err(EntriesError::TooLarge {
                name: name.to_owned(),
                what: format!("has more than {MAX_SLATES} slates"),
            });
        }
    }
    match (slates.is_empty(), unreadable_row, before) {
        (true, Some(error), _) if !later => return Err(error),
        (true, _, Some(at)) if later => {
            warnings.say(format!("{name}: no row lies before {}", shown(at)));
        }
        (true, ..) => {
            return Err(EntriesError::Empty {
                name: name.to_owned(),
            });
        }
        (false, ..) => {}
    }
    let entries = grids(&slates, name, per, before, &mut warnings)?;
    Ok(EntriesFile {
        entries,
        rows: count,
        warnings: warnings.told(name),
    })
}

fn header(record: &csv::ByteRecord, name: &str) -> Result<Columns, EntriesError> {
    let cells = rows::texts(record);
    let place = |column: &str| {
        cells
            .iter()
            .position(|cell| cell.eq_ignore_ascii_case(column))
    };
    let (entries, slate, spots) = (place("entries"), place("slate"), place("spots"));
    let known = 2 + usize::from(slate.is_some()) + usize::from(spots.is_some());
    match entries {
        Some(entries) if entries > 0 && cells.len() == known && rows::is_time_column(&cells[0]) => {
            Ok(Columns {
                count: cells.len(),
                entries,
                slate,
                spots,
            })
        }
        _ => Err(EntriesError::Header {
            name: name.to_owned(),
            found: quoted(&cells.join(",")),
            hint: rows::separator_hint(record),
        }),
    }
}

fn cells<'r>(record: &'r csv::ByteRecord, columns: &Columns) -> Result<Row<'r>, RowFault> {
    if record.len() != columns.count {
        return Err(RowFault::Columns {
            found: record.len(),
            expected: columns.count,
            hint: rows::separator_hint(record),
        });
    }
    let cell = |place: Option<usize>| {
        place
            .and_then(|place| record.get(place))
            .unwrap_or_default()
    };
    let at = rows::read_time(cell(Some(0))).map_err(|fault| match fault {
        TimeFault::Naive(text) => RowFault::Naive { text },
        TimeFault::NotATime(text) => RowFault::Time { text },
    })?;
    Ok(Row {
        at,
        entries: cell(Some(columns.entries)),
        slate: cell(columns.slate),
        spots: cell(columns.spots),
    })
}

/// Adds one row to its slate.
fn take(
    row: &Row<'_>,
    line: u64,
    previous: Option<Timestamp>,
    slates: &mut BTreeMap<Option<String>, Gathered>,
    warnings: &mut Doubts,
    name: &str,
) -> Result<(), RowFault> {
    if let Some(previous) = previous
        && row.at < previous
    {
        return Err(RowFault::Unsorted {
            at: shown(row.at),
            previous: shown(previous),
        });
    }
    if row.slate.len() > MAX_NAME {
        return Err(RowFault::Name {
            bytes: row.slate.len(),
        });
    }
    let entries = number(row.entries, "entries")?;
    let spots = number(row.spots, "spots")?;
    let slate = (!row.slate.is_empty()).then(|| String::from_utf8_lossy(row.slate).into_owned());
    let words = in_words(slate.as_deref());
    let of = slates.entry(slate).or_default();
    let at = row.at.timestamp_millis();
    if of.counts.last().is_some_and(|&(last, ..)| last == at) {
        return Err(RowFault::Duplicate {
            at: shown(row.at),
            slate: words,
        });
    }
    of.counts.push((at, entries.unwrap_or(f64::NAN), line));
    of.sum += entries.unwrap_or(0.0);
    if let Some(spots) = spots
        && of.spots.last().is_none_or(|&(_, last)| last != spots)
    {
        of.spots.push((at, spots));
    }
    let places = of.spots.last().map(|&(_, places)| places);
    if let Some(places) = places
        && of.sum > places
        && !of.overfull
    {
        of.overfull = true;
        warnings.say(format!(
            "{name}:{line}: {words} has {} entries for {places} places; spots must be all places \
             of the slate, those taken included",
            of.sum
        ));
    }
    Ok(())
}

/// `None` for an empty cell.
fn number(cell: &[u8], column: &'static str) -> Result<Option<f64>, RowFault> {
    if cell.is_empty() {
        return Ok(None);
    }
    rows::read_number(cell)
        .map(Some)
        .map_err(|(text, reason)| RowFault::Number {
            column,
            text,
            reason,
        })
}

fn in_words(slate: Option<&str>) -> String {
    slate.map_or_else(
        || "rows without a slate".to_owned(),
        |slate| format!("slate {slate:?}"),
    )
}

#[cfg(test)]
mod tests;
