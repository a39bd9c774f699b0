//! Reads and writes load history as CSV, plain or gzipped.
//!
//! The contract is a header row and two columns, `timestamp_utc` (RFC 3339 with a zone) and one
//! value. What cannot be trusted is refused with its line; what is absent stays absent: a missing
//! row or an empty value is a gap, never zero. Opening files belongs to the caller.

use std::io::{self, Read, Write};
use std::str::FromStr;

use chrono::TimeDelta;

use super::Series;
use super::rows::{self, Rows, TimeFault, shown};
use crate::units::{HumanDuration, Rate, Timestamp, quoted};

mod grid;
mod refusal;
mod spans;

pub use refusal::LoadError;
pub use spans::Coarser;

use grid::grid;

/// The most rows one file may hold: a year of seconds.
pub const MAX_ROWS: usize = 32_000_000;

/// What a value in the file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Per(TimeDelta);

impl Per {
    /// Values are units per second.
    pub const SECOND: Self = Self(TimeDelta::seconds(1));

    /// Values are counts per `interval`; `None` when it is not positive.
    pub fn every(interval: TimeDelta) -> Option<Self> {
        (interval > TimeDelta::zero()).then_some(Self(interval))
    }

    /// The interval over which a value counts.
    pub const fn interval(self) -> TimeDelta {
        self.0
    }

    fn rate(self, value: f64) -> f64 {
        value / (self.0.num_milliseconds().max(1) as f64 / 1000.0)
    }
}

impl Default for Per {
    fn default() -> Self {
        Self::SECOND
    }
}

impl FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let interval: HumanDuration = text
            .parse()
            .map_err(|error: crate::units::DurationError| error.to_string())?;
        Self::every(interval.0).ok_or_else(|| format!("{text:?} is not a positive interval"))
    }
}

/// A load history as read.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadFile {
    /// Units per second.
    pub series: Series,
    /// Name of the value column.
    pub column: String,
    /// Rows read.
    pub rows: usize,
    /// Rows that last longer than the step of the series, when there are such.
    pub coarser: Option<Coarser>,
}

/// Reads a load history; gzip is recognised by its first bytes.
///
/// The step is the most common difference between rows, the shorter of two equally common ones, or
/// that of the last rows when they are closer and no small part. Bins start at the first row;
/// several rows in one bin are averaged; a bin without a row, or with empty values only, is a gap.
///
/// Where many rows in a row are further apart than the step, as in a history whose older part was
/// thinned out, each fills the time it covers. When values count over an interval and
/// rows are as far apart as that, each row counts over the time it lasts.
///
/// # Errors
/// [`LoadError`] with file, line and remedy.
pub fn read_load(reader: impl Read, name: &str, per: Per) -> Result<LoadFile, LoadError> {
    read(reader, name, per, None)
}

/// Reads the rows of a load history that lie before `at`, and stops there: what comes later is
/// not known, whatever it is. Rows that cannot be read are refused when a row before `at` follows
/// them, else they count as later.
///
/// # Errors
/// As [`read_load`], and when no row lies before `at`.
pub fn read_load_before(
    reader: impl Read,
    name: &str,
    per: Per,
    at: Timestamp,
) -> Result<LoadFile, LoadError> {
    read(reader, name, per, Some(at))
}

fn read(
    reader: impl Read,
    name: &str,
    per: Per,
    before: Option<Timestamp>,
) -> Result<LoadFile, LoadError> {
    let unreadable = |error: io::Error| LoadError::Unreadable {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let mut file = Rows::open(reader).map_err(unreadable)?;
    let Some((_, record)) = file.next().map_err(unreadable)? else {
        return Err(LoadError::Empty {
            name: name.to_owned(),
        });
    };
    let column = header(record, name)?;

    let mut rows: Vec<(i64, f64)> = Vec::new();
    let mut previous: Option<Timestamp> = None;
    let mut later = None;
    // with a cut, what cannot be read may lie behind it: it counts only when a known row follows
    let mut unreadable_row = None;
    while let Some((line, record)) = file.next().map_err(unreadable)? {
        let row = two(record, name, line)
            .and_then(|[time, value]| Ok((time_of(time, name, line)?, value)));
        let (at, value) = match row {
            Ok(row) => row,
            Err(error) if before.is_some() => {
                unreadable_row.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        if before.is_some_and(|before| at >= before) {
            later = Some(at);
            break;
        }
        if let Some(error) = unreadable_row {
            return Err(error);
        }
        if let Some(previous) = previous {
            if at == previous {
                return Err(LoadError::Duplicate {
                    name: name.to_owned(),
                    line,
                    at: shown(at),
                });
            }
            if at < previous {
                return Err(LoadError::Unsorted {
                    name: name.to_owned(),
                    line,
                    at: shown(at),
                    previous: shown(previous),
                });
            }
        }
        previous = Some(at);
        rows.push((
            at.timestamp_millis(),
            per.rate(value_of(value, per, name, line)?),
        ));
        if rows.len() > MAX_ROWS {
            return Err(LoadError::TooLarge {
                name: name.to_owned(),
                what: format!("has more than {MAX_ROWS} rows"),
            });
        }
    }
    if let (true, Some(error)) = (rows.is_empty(), unreadable_row) {
        return Err(error);
    }
    if let (true, Some(first), Some(at)) = (rows.is_empty(), later, before) {
        // with the newest row first, the rows asked for lie further down
        if let Some((line, record)) = file.next().map_err(unreadable)?
            && let Ok(second) =
                two(record, name, line).and_then(|[time, _]| time_of(time, name, line))
            && second < first
        {
            return Err(LoadError::Descending {
                name: name.to_owned(),
                line,
                at: shown(second),
                previous: shown(first),
            });
        }
        return Err(LoadError::NothingBefore {
            name: name.to_owned(),
            at: shown(at),
        });
    }
    if rows.is_empty() {
        return Err(LoadError::Empty {
            name: name.to_owned(),
        });
    }
    let count = rows.len();
    let (series, coarser) = grid(&rows, per, before, name)?;
    Ok(LoadFile {
        series,
        column,
        rows: count,
        coarser,
    })
}

fn header(record: &csv::ByteRecord, name: &str) -> Result<String, LoadError> {
    let cells = rows::texts(record);
    match cells.as_slice() {
        [first, second] if rows::is_time_column(first) => Ok(second.clone()),
        _ => Err(LoadError::Header {
            name: name.to_owned(),
            found: quoted(&cells.join(",")),
            hint: rows::separator_hint(record),
        }),
    }
}

fn two<'r>(record: &'r csv::ByteRecord, name: &str, line: u64) -> Result<[&'r [u8]; 2], LoadError> {
    match (record.get(0), record.get(1), record.len()) {
        (Some(time), Some(value), 2) => Ok([time, value]),
        (_, _, found) => Err(LoadError::Columns {
            name: name.to_owned(),
            line,
            found,
            hint: rows::separator_hint(record),
        }),
    }
}

fn time_of(cell: &[u8], name: &str, line: u64) -> Result<Timestamp, LoadError> {
    let name = || name.to_owned();
    rows::read_time(cell).map_err(|fault| match fault {
        TimeFault::Naive(text) => LoadError::Naive {
            name: name(),
            line,
            text,
        },
        TimeFault::NotATime(text) => LoadError::Time {
            name: name(),
            line,
            text,
        },
    })
}

/// Units per interval, NaN for an empty cell.
fn value_of(cell: &[u8], per: Per, name: &str, line: u64) -> Result<f64, LoadError> {
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    let value = rows::read_number(cell).and_then(|value| {
        if Rate::per_second(per.rate(value)).is_valid() {
            return Ok(value);
        }
        let text = String::from_utf8_lossy(cell);
        Err((quoted(&text), "more than 1e15 per second"))
    });
    value.map_err(|(text, reason)| LoadError::Value {
        name: name.to_owned(),
        line,
        text,
        reason,
    })
}

/// Writes a series in the form [`read_load`] reads with [`Per::SECOND`]; a gap is an empty value.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_load(writer: impl Write, series: &Series, column: &str) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(writer);
    csv.write_record(["timestamp_utc", column])?;
    for (at, value) in series.iter() {
        let value = value.map_or_else(String::new, |rate: Rate| rate.as_per_second().to_string());
        csv.write_record([shown(at), value])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<LoadFile, LoadError> {
        read_load(text.as_bytes(), "load.csv", Per::SECOND)
    }

    fn refusal(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn counts_per_interval_become_rates() {
        let text = "timestamp_utc,requests\n2026-01-01T00:00:00Z,120\n2026-01-01T00:01:00Z,60\n";
        let file = read_load(text.as_bytes(), "x", "1m".parse().unwrap()).unwrap();
        assert_eq!(file.column, "requests");
        assert_eq!(file.series.raw(), [2.0, 1.0]);
        assert_eq!(file.series.step(), TimeDelta::minutes(1));
    }

    #[test]
    fn missing_rows_and_empty_values_are_gaps_not_zero() {
        let file = read(
            "timestamp_utc,v\n2026-01-01T00:00:00Z,1\n2026-01-01T00:01:00Z,2\n\
             2026-01-01T00:02:00Z,\n2026-01-01T00:05:00+00:00,4\n",
        )
        .unwrap();
        let values: Vec<_> = file
            .series
            .iter()
            .map(|(_, v)| v.map(Rate::as_per_second))
            .collect();
        assert_eq!(values, [Some(1.0), Some(2.0), None, None, None, Some(4.0)]);
    }

    #[test]
    fn rows_within_one_step_are_averaged() {
        let file = read(
            "timestamp_utc,v\n2026-01-01T00:00:00Z,1\n2026-01-01T00:01:00Z,2\n\
             2026-01-01T00:01:30Z,4\n2026-01-01T00:02:00Z,5\n2026-01-01T00:03:00Z,5\n\
             2026-01-01T00:04:00Z,5\n",
        )
        .unwrap();
        assert_eq!(file.series.raw(), [1.0, 3.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn offsets_bom_and_crlf_are_read() {
        let file = read(
            "\u{feff}timestamp_utc,v\r\n2026-01-01T01:00:00+01:00,1\r\n2026-01-01T00:01:00Z,2\r\n",
        )
        .unwrap();
        assert_eq!(shown(file.series.start()), "2026-01-01T00:00:00Z");
        assert_eq!(file.rows, 2);
    }

    #[test]
    fn lines_are_counted_through_crlf_and_blank_lines() {
        let text = "timestamp_utc,v\r\n2026-01-01T00:00:00Z,1\r\n\r\nlater,2";
        assert!(
            refusal(text).starts_with("load.csv:4: "),
            "{}",
            refusal(text)
        );
    }

    #[test]
    fn rows_that_descend_are_to_be_sorted_and_not_to_be_more() {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let told = |rows: &str| {
            let text = format!("timestamp_utc,v\n{rows}");
            let error = read_load_before(text.as_bytes(), "load.csv", Per::SECOND, at);
            error.unwrap_err().to_string()
        };
        assert_snapshot!(told("2026-01-02T00:00:00Z,1\n2025-12-01T00:00:00Z,1\n"), @"load.csv:3: 2025-12-01T00:00:00Z comes after 2026-01-02T00:00:00Z: the rows descend in time; sort the file by time, oldest first");
        let later = "load.csv: no row lies before 2026-01-01T00:00:00Z; give a longer history or a later time";
        assert_eq!(
            told("2026-01-02T00:00:00Z,1\n2026-01-03T00:00:00Z,1\n"),
            later
        );
        assert_eq!(told("2026-01-02T00:00:00Z,1\nwhatever\n"), later);
        assert_eq!(told("2026-01-02T00:00:00Z,1\n"), later);
    }

    #[test]
    fn gzip_is_seen_by_its_first_bytes() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed
            .write_all(b"timestamp_utc,v\n2026-01-01T00:00:00Z,7\n")
            .unwrap();
        let bytes = packed.finish().unwrap();
        assert_eq!(
            read_load(&bytes[..], "x", Per::SECOND)
                .unwrap()
                .series
                .raw(),
            [7.0]
        );
        let cut = read_load(&bytes[..bytes.len() - 12], "x.gz", Per::SECOND).unwrap_err();
        assert!(cut.to_string().starts_with("x.gz: cannot be read"), "{cut}");
    }

    #[test]
    fn every_refusal_names_place_and_remedy() {
        let head = "timestamp_utc,v\n2026-01-01T00:01:00Z,1\n";
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:00:00Z,1\n")), @"load.csv:3: 2026-01-01T00:00:00Z comes after 2026-01-01T00:01:00Z; sort the file by time");
        assert_snapshot!(refusal(&format!("{head}2026-01-01T01:01:00+01:00,1\n")), @"load.csv:3: 2026-01-01T00:01:00Z is there twice; keep one row per time");
        assert_snapshot!(refusal(&format!("{head}2026-01-01 00:02:00,1\n")), @r#"load.csv:3: "2026-01-01 00:02:00" has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z"#);
        assert_snapshot!(refusal(&format!("{head}yesterday,1\n")), @r#"load.csv:3: "yesterday" is not a time; write for example 2026-09-13T17:00:00Z"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,-1\n")), @r#"load.csv:3: "-1" is not a load: negative; leave the value empty for a gap"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,NaN\n")), @r#"load.csv:3: "NaN" is not a load: not finite; leave the value empty for a gap"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,inf\n")), @r#"load.csv:3: "inf" is not a load: not finite; leave the value empty for a gap"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,1e300\n")), @r#"load.csv:3: "1e300" is not a load: more than 1e15 per second; leave the value empty for a gap"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,many\n")), @r#"load.csv:3: "many" is not a load: not a number; leave the value empty for a gap"#);
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z,1,2\n")), @"load.csv:3: 3 columns instead of 2; write timestamp_utc,value");
        assert_snapshot!(refusal(&format!("{head}2026-01-01T00:02:00Z;1\n")), @"load.csv:3: 1 columns instead of 2; write timestamp_utc,value, separated by a comma");
        assert_snapshot!(refusal("2026-01-01T00:02:00Z,1\n"), @r#"load.csv:1: "2026-01-01T00:02:00Z,1" is not the header; begin with timestamp_utc,value"#);
        assert_snapshot!(refusal("timestamp_utc;value\n"), @r#"load.csv:1: "timestamp_utc;value" is not the header; begin with timestamp_utc,value, separated by a comma"#);
        assert_snapshot!(refusal("timestamp_utc,v\n"), @"load.csv: has no rows; give at least one row below a header timestamp_utc,value");
        assert_snapshot!(refusal(""), @"load.csv: has no rows; give at least one row below a header timestamp_utc,value");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut values in prop::collection::vec(prop::option::weighted(0.8, 0.0..1e9), 2..80),
            start in 0_i64..2_000_000_000, step in 1_i64..90_000
        ) {
            // the last bins must be rows for the end to be the same; gaps are rows too
            values.push(Some(1.0));
            let series = Series::new(
                Timestamp::from_timestamp(start, 0).unwrap(),
                TimeDelta::seconds(step),
                values.into_iter().map(|v| v.map(Rate::per_second)).collect(),
            );
            let mut text = Vec::new();
            write_load(&mut text, &series, "v").unwrap();
            let back = read_load(&text[..], "x", Per::SECOND).unwrap().series;
            prop_assert_eq!(back.start(), series.start());
            prop_assert_eq!(back.step(), series.step());
            prop_assert!(back.iter().eq(series.iter()));
        }
    }
}
