//! Reads and writes contest entries as CSV, plain or gzipped.
//!
//! The contract is a header row and `timestamp_utc,entries`, with `slate` and `spots` behind them
//! where they are known. `entries` counts those made in the interval that starts at
//! `timestamp_utc`; a missing row or an empty count is a gap, 0 is nobody; `spots` is the number
//! of places then on offer in the whole slate. Rows are in order of time, whatever their slate, so
//! that what lies behind a moment need not be read. Opening files belongs to the caller.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use chrono::{DateTime, TimeDelta};

use super::{Entries, SlateEntries};
use crate::series::Series;
use crate::series::rows::{self, Rows, TimeFault, shown};
use crate::units::{HumanDuration, Timestamp};

/// The most rows one file may hold.
pub const MAX_ROWS: usize = 16_000_000;

/// The most slates one file may hold: a season has hundreds.
pub const MAX_SLATES: usize = 20_000;

/// The most bins all slates together may span.
const MAX_BINS: i64 = 32_000_000;

/// The longest name of a slate, bytes.
const MAX_NAME: usize = 256;

/// The most doubts that are told one by one.
const MAX_WARNINGS: usize = 20;

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

/// Why a file of entries is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntriesError {
    /// The bytes could not be read or unpacked.
    #[error("{name}: cannot be read: {reason}; give a CSV file, plain or gzipped")]
    Unreadable {
        /// File.
        name: String,
        /// Cause.
        reason: String,
    },
    /// There is no row at all.
    #[error("{name}: has no rows; give at least one row below a header timestamp_utc,entries")]
    Empty {
        /// File.
        name: String,
    },
    /// The first row is not the header.
    #[error(
        "{name}:1: {found:?} is not the header; begin with timestamp_utc,entries and, where known, slate and spots"
    )]
    Header {
        /// File.
        name: String,
        /// First row.
        found: String,
    },
    /// One row means nothing.
    #[error("{name}:{line}: {fault}")]
    Row {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// One row says nothing about the interval it counts over.
    #[error(
        "{name}: no slate has two rows, so the interval that entries are counted over is unknown; give it with --entries-per, for example 5m"
    )]
    NoInterval {
        /// File.
        name: String,
    },
    /// Larger than any season this is made for.
    #[error("{name}: {what}; split the file or count over longer intervals")]
    TooLarge {
        /// File.
        name: String,
        /// What is too large.
        what: String,
    },
}

/// Why a row means nothing, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// It has more or fewer columns than the header.
    #[error("{found} columns instead of {expected}; write one for each of the header{hint}")]
    Columns {
        /// Number found.
        found: usize,
        /// Number in the header.
        expected: usize,
        /// What may be the matter.
        hint: &'static str,
    },
    /// A time without a zone.
    #[error("{text:?} has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z")]
    Naive {
        /// What is written.
        text: String,
    },
    /// Not a time.
    #[error("{text:?} is not a time; write for example 2026-09-13T17:00:00Z")]
    Time {
        /// What is written.
        text: String,
    },
    /// Not a count.
    #[error("{text:?} is not a number of {column}: {reason}; leave it empty where it is not known")]
    Number {
        /// `entries` or `spots`.
        column: &'static str,
        /// What is written.
        text: String,
        /// Why not.
        reason: &'static str,
    },
    /// A name nobody reads.
    #[error(
        "the slate's name has {bytes} bytes; use the slate of the fixture file, at most {MAX_NAME}"
    )]
    Name {
        /// Its length.
        bytes: usize,
    },
    /// The same time twice in one slate.
    #[error("{at} is there twice for {slate}; keep one row per time and slate")]
    Duplicate {
        /// The time.
        at: String,
        /// The slate, in words.
        slate: String,
    },
    /// Times go back.
    #[error("{at} comes after {previous}; sort the file by time")]
    Unsorted {
        /// The time.
        at: String,
        /// The time before it.
        previous: String,
    },
    /// Between the intervals.
    #[error(
        "{at} is not a whole number of {step} after the first row of {slate} ({first}); give regular intervals, or their length with --entries-per"
    )]
    Irregular {
        /// The time.
        at: String,
        /// The interval.
        step: HumanDuration,
        /// The slate, in words.
        slate: String,
        /// Its first row.
        first: String,
    },
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

/// What is gathered of one slate.
#[derive(Default)]
struct Gathered {
    /// Start (milliseconds), entries (NaN when not known), line.
    counts: Vec<(i64, f64, u64)>,
    /// Start (milliseconds) and places, where they change.
    spots: Vec<(i64, f64)>,
    /// Entries so far.
    sum: f64,
    overfull: bool,
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
    let mut warnings = Warnings::default();
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
            found: cells.join(",").chars().take(200).collect(),
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
    warnings: &mut Warnings,
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

/// Puts every slate on its grid.
fn grids(
    slates: &BTreeMap<Option<String>, Gathered>,
    name: &str,
    per: Option<TimeDelta>,
    before: Option<Timestamp>,
    warnings: &mut Warnings,
) -> Result<Entries, EntriesError> {
    let mut distances = BTreeMap::new();
    let steps: Vec<Option<i64>> = slates
        .values()
        .map(|slate| {
            let mut own = BTreeMap::new();
            for pair in slate.counts.windows(2) {
                let distance = (pair[1].0 - pair[0].0).max(1);
                *own.entry(distance).or_insert(0_usize) += 1;
                *distances.entry(distance).or_insert(0_usize) += 1;
            }
            most_common(&own)
        })
        .collect();
    let usual = most_common(&distances);
    let mut entries = Entries::default();
    let mut bins = 0;
    for ((slate, gathered), own) in slates.iter().zip(steps) {
        let stated = per.map(|per| per.num_milliseconds().max(1));
        let Some(step) = stated.or(own).or(usual) else {
            if let Some(at) = before {
                // a season's first row: its interval shows with the second
                warnings.say(format!(
                    "{name}: one row before {} does not show the interval it counts over",
                    shown(at)
                ));
                continue;
            }
            return Err(EntriesError::NoInterval {
                name: name.to_owned(),
            });
        };
        let first = gathered.counts[0].0;
        let last = gathered.counts[gathered.counts.len() - 1].0;
        bins += (last - first) / step + 1;
        if bins > MAX_BINS {
            return Err(EntriesError::TooLarge {
                name: name.to_owned(),
                what: format!("spans {bins} intervals of {step} ms"),
            });
        }
        let rate = grid(gathered, slate.as_deref(), step, name)?;
        let (rate, known) = match before {
            Some(at) => (rate.before(at), rate.time(rate.before(at).len())),
            None => (rate.clone(), rate.end()),
        };
        if rate.is_empty() {
            continue;
        }
        let spots = gathered
            .spots
            .iter()
            .map(|&(at, places)| (moment(at), places))
            .filter(|&(at, _)| at < known)
            .collect();
        entries.insert(slate.clone(), SlateEntries { rate, spots });
    }
    Ok(entries)
}

fn grid(
    gathered: &Gathered,
    slate: Option<&str>,
    step: i64,
    name: &str,
) -> Result<Series, EntriesError> {
    let first = gathered.counts[0].0;
    let last = gathered.counts[gathered.counts.len() - 1].0;
    let mut values = vec![f64::NAN; ((last - first) / step + 1) as usize];
    let seconds = step as f64 / 1000.0;
    for &(at, entries, line) in &gathered.counts {
        if (at - first) % step != 0 {
            return Err(EntriesError::Row {
                name: name.to_owned(),
                line,
                fault: RowFault::Irregular {
                    at: shown(moment(at)),
                    step: HumanDuration(TimeDelta::milliseconds(step)),
                    slate: in_words(slate),
                    first: shown(moment(first)),
                },
            });
        }
        values[((at - first) / step) as usize] = entries / seconds;
    }
    Ok(Series::from_raw(
        moment(first),
        TimeDelta::milliseconds(step),
        values,
    ))
}

fn moment(milliseconds: i64) -> Timestamp {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// The most common distance, the shorter of two equally common ones.
fn most_common(distances: &BTreeMap<i64, usize>) -> Option<i64> {
    distances
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
        .map(|(&distance, _)| distance)
}

/// Doubts, of which only so many are told one by one.
#[derive(Default)]
struct Warnings {
    told: Vec<String>,
    more: usize,
}

impl Warnings {
    fn say(&mut self, warning: String) {
        if self.told.len() < MAX_WARNINGS {
            self.told.push(warning);
        } else {
            self.more += 1;
        }
    }

    fn told(mut self, name: &str) -> Vec<String> {
        if self.more > 0 {
            self.told
                .push(format!("{name}: and {} more of the kind", self.more));
        }
        self.told
    }
}

/// Writes entries in the form [`read_entries`] reads: counts per interval in order of time, a gap
/// as an empty count, `slate` and `spots` only where any are known.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_entries(writer: impl Write, entries: &Entries) -> io::Result<()> {
    let with_slates = entries.iter().any(|(slate, _)| slate.is_some());
    let with_spots = entries.iter().any(|(_, of)| !of.spots.is_empty());
    let mut csv = csv::Writer::from_writer(writer);
    let mut header = vec!["timestamp_utc", "entries"];
    header.extend(with_slates.then_some("slate"));
    header.extend(with_spots.then_some("spots"));
    csv.write_record(&header)?;
    let mut rows: Vec<(Timestamp, Option<&str>, String, String)> = entries
        .iter()
        .flat_map(|(slate, of)| {
            let seconds = of.rate.step().num_milliseconds() as f64 / 1000.0;
            of.rate.iter().map(move |(at, rate)| {
                let count = rate.map_or_else(String::new, |rate| {
                    counted(rate.as_per_second() * seconds).to_string()
                });
                let spots = of.spots_at(at).map_or_else(String::new, |n| n.to_string());
                (at, slate, count, spots)
            })
        })
        .collect();
    rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    for (at, slate, count, spots) in rows {
        let mut record = vec![shown(at), count];
        record.extend(with_slates.then(|| slate.unwrap_or_default().to_owned()));
        record.extend(with_spots.then_some(spots));
        csv.write_record(&record)?;
    }
    csv.flush()
}

/// A count that went through a rate: whole again when it was.
fn counted(count: f64) -> f64 {
    let whole = count.round();
    if (count - whole).abs() < 1e-6 * whole.max(1.0) {
        whole
    } else {
        count
    }
}

#[cfg(test)]
mod tests;
