//! Reads and writes declared faults as CSV, plain or gzipped.
//!
//! The contract is a header row and `from,to,cause`: RFC 3339 times, `to` exclusive, in any order.
//! Opening files belongs to the caller.

use std::io::{self, Read, Write};

use super::{Cause, Fault, Faults};
use crate::series::rows::{self, Rows, TimeFault, shown};
use crate::units::{Timestamp, quoted};

/// The most spans one file may hold.
pub const MAX_FAULTS: usize = 1_000_000;

/// Why a file of faults is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// The bytes could not be read or unpacked.
    #[error("{name}: cannot be read: {reason}; give a CSV file, plain or gzipped")]
    Unreadable {
        /// File.
        name: String,
        /// Cause.
        reason: String,
    },
    /// There is not even a header.
    #[error("{name}: is empty; begin with the header from,to,cause")]
    Empty {
        /// File.
        name: String,
    },
    /// The first row is not the header.
    #[error("{name}:1: {found:?} is not the header; begin with from,to,cause{hint}")]
    Header {
        /// File.
        name: String,
        /// First row.
        found: String,
        /// What may be the matter.
        hint: &'static str,
    },
    /// A row means nothing.
    #[error("{name}:{line}: {reason}")]
    Row {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Larger than any list this is made for.
    #[error("{name}: has more than {MAX_FAULTS} rows; leave out what lies before the load")]
    TooLarge {
        /// File.
        name: String,
    },
}

/// Reads faults; gzip is recognised by its first bytes. A file with a header only holds none.
///
/// # Errors
/// [`FaultsError`] with file, line and remedy.
pub fn read_faults(reader: impl Read, name: &str) -> Result<Faults, FaultsError> {
    let unreadable = |error: io::Error| FaultsError::Unreadable {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let mut file = Rows::open(reader).map_err(unreadable)?;
    let Some((_, record)) = file.next().map_err(unreadable)? else {
        return Err(FaultsError::Empty {
            name: name.to_owned(),
        });
    };
    let header = rows::texts(record);
    let names: Vec<String> = header
        .iter()
        .map(|cell| cell.trim_start_matches('\u{feff}').to_ascii_lowercase())
        .collect();
    if names != ["from", "to", "cause"] {
        return Err(FaultsError::Header {
            name: name.to_owned(),
            found: quoted(&header.join(",")),
            hint: rows::separator_hint(record),
        });
    }
    let mut spans = Vec::new();
    while let Some((line, record)) = file.next().map_err(unreadable)? {
        let span = fault(record).map_err(|reason| FaultsError::Row {
            name: name.to_owned(),
            line,
            reason,
        })?;
        spans.push(span);
        if spans.len() > MAX_FAULTS {
            return Err(FaultsError::TooLarge {
                name: name.to_owned(),
            });
        }
    }
    Ok(Faults::new(spans))
}

fn fault(record: &csv::ByteRecord) -> Result<Fault, String> {
    let (Some(from), Some(to), Some(cause), 3) =
        (record.get(0), record.get(1), record.get(2), record.len())
    else {
        return Err(format!(
            "{} columns instead of 3; write from,to,cause{}",
            record.len(),
            rows::separator_hint(record)
        ));
    };
    let (from, to) = (moment(from, "from")?, moment(to, "to")?);
    if to <= from {
        return Err(format!(
            "to ({}) is not after from ({}); swap them, or give the span a length",
            shown(to),
            shown(from)
        ));
    }
    let word = String::from_utf8_lossy(cause);
    let cause = Cause::from_name(&word).ok_or_else(|| {
        let word = quoted(&word);
        let names = Cause::ALL.map(Cause::name).join(", ");
        format!("{word:?} is no cause; write one of {names}")
    })?;
    Ok(Fault { from, to, cause })
}

fn moment(cell: &[u8], field: &str) -> Result<Timestamp, String> {
    rows::read_time(cell).map_err(|fault| match fault {
        TimeFault::Naive(text) => format!(
            "{field}: {text:?} has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z"
        ),
        TimeFault::NotATime(text) => {
            format!("{field}: {text:?} is not a time; write for example 2026-09-13T17:00:00Z")
        }
    })
}

/// Writes faults in the form [`read_faults`] reads.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_faults(writer: impl Write, faults: &Faults) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(writer);
    csv.write_record(["from", "to", "cause"])?;
    for fault in faults.iter() {
        csv.write_record([&shown(fault.from), &shown(fault.to), fault.cause.name()])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        read_faults(text.as_bytes(), "faults.csv")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn spans_are_read_in_any_order_with_any_offset() {
        let text = "\u{feff}from,to,cause\r\n2026-09-14T01:00:00+01:00,2026-09-14T00:30:00Z,Outage\r\n\
                    2026-09-13T00:00:00Z,2026-09-13T00:10:00Z, logging\r\n";
        let faults = read_faults(text.as_bytes(), "x").unwrap();
        let read: Vec<_> = faults.iter().map(|f| (shown(f.from), f.cause)).collect();
        assert_eq!(
            read,
            [
                ("2026-09-13T00:00:00Z".to_owned(), Cause::Logging),
                ("2026-09-14T00:00:00Z".to_owned(), Cause::Outage)
            ]
        );
        assert!(
            read_faults("from,to,cause\n".as_bytes(), "x")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn every_refusal_names_place_and_remedy() {
        let with = |row: &str| refusal(&format!("from,to,cause\n{row}\n"));
        assert_snapshot!(with("2026-09-13 00:00,2026-09-13T01:00:00Z,outage"), @r#"faults.csv:2: from: "2026-09-13 00:00" has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z"#);
        assert_snapshot!(with("2026-09-13T00:00:00Z,later,outage"), @r#"faults.csv:2: to: "later" is not a time; write for example 2026-09-13T17:00:00Z"#);
        assert_snapshot!(with("2026-09-13T01:00:00Z,2026-09-13T01:00:00Z,outage"), @"faults.csv:2: to (2026-09-13T01:00:00Z) is not after from (2026-09-13T01:00:00Z); swap them, or give the span a length");
        assert_snapshot!(with("2026-09-13T00:00:00Z,2026-09-13T01:00:00Z,rain"), @r#"faults.csv:2: "rain" is no cause; write one of outage, shed, saturated, logging, deploy, bots"#);
        assert_snapshot!(with("2026-09-13T00:00:00Z,2026-09-13T01:00:00Z"), @"faults.csv:2: 2 columns instead of 3; write from,to,cause");
        assert_snapshot!(with("2026-09-13T00:00:00Z;2026-09-13T01:00:00Z;outage"), @"faults.csv:2: 1 columns instead of 3; write from,to,cause, separated by a comma");
        assert_snapshot!(refusal("start,end,cause\n"), @r#"faults.csv:1: "start,end,cause" is not the header; begin with from,to,cause"#);
        assert_snapshot!(refusal("from;to;cause\n"), @r#"faults.csv:1: "from;to;cause" is not the header; begin with from,to,cause, separated by a comma"#);
        assert_snapshot!(refusal(""), @"faults.csv: is empty; begin with the header from,to,cause");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            spans in prop::collection::vec((0_i64..4_000_000_000, 1_i64..1_000_000, 0_usize..6), 0..20)
        ) {
            let faults: Faults = spans.into_iter().map(|(from, length, cause)| {
                let from = Timestamp::from_timestamp(from, 0).unwrap();
                Fault { from, to: from + TimeDelta::seconds(length), cause: Cause::ALL[cause] }
            }).collect();
            let mut text = Vec::new();
            write_faults(&mut text, &faults).unwrap();
            prop_assert_eq!(read_faults(&text[..], "x").unwrap(), faults);
        }
    }
}
