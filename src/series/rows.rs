//! Rows of a CSV of times, plain or gzipped, with their lines, within bounds of memory.
//!
//! What the cells mean is decided by the reader of each file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use flate2::bufread::MultiGzDecoder;

use crate::units::{Timestamp, quoted};

/// The most bytes between the ends of two rows: a file without line ends, or with a quote that
/// nobody closes, must not fill the memory.
const MAX_ROW_BYTES: usize = 1 << 20;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Rows one after another.
pub(crate) struct Rows<'r> {
    csv: csv::Reader<PlainLines<Box<dyn BufRead + 'r>>>,
    record: csv::ByteRecord,
    /// Bytes that may still be read before the next row ends.
    allowance: Rc<Cell<usize>>,
}

impl<'r> Rows<'r> {
    /// Rows of a file; gzip is recognised by its first bytes.
    pub(crate) fn open(reader: impl Read + 'r) -> io::Result<Self> {
        let mut buffered = BufReader::with_capacity(1 << 16, reader);
        let mut plain: Box<dyn BufRead + 'r> = if buffered.fill_buf()?.starts_with(&GZIP) {
            let unpacked = MultiGzDecoder::new(buffered);
            Box::new(BufReader::with_capacity(1 << 16, unpacked))
        } else {
            Box::new(buffered)
        };
        let start = plain.fill_buf()?;
        if is_utf16(start) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is UTF-16; save it as UTF-8",
            ));
        }
        let returns = ends_in_returns(start);
        let allowance = Rc::new(Cell::new(MAX_ROW_BYTES));
        let csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(PlainLines {
                inner: plain,
                returns,
                last: b'\n',
                allowance: Rc::clone(&allowance),
            });
        Ok(Self {
            csv,
            record: csv::ByteRecord::new(),
            allowance,
        })
    }

    /// The next row and the line it ends on, from 1; blank lines are passed over.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &csv::ByteRecord)>> {
        self.allowance.set(MAX_ROW_BYTES);
        if !self.csv.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        // every line ends in one line feed here
        let line = self.csv.position().line().saturating_sub(1);
        Ok(Some((line, &self.record)))
    }
}

/// Drops carriage returns, or makes line feeds of them where they alone end the lines, and ends the
/// last line, so that lines can be counted by line feeds.
struct PlainLines<R> {
    inner: R,
    /// Lines end in carriage returns alone.
    returns: bool,
    last: u8,
    allowance: Rc<Cell<usize>>,
}

impl<R: Read> Read for PlainLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let filled = self.inner.read(buffer)?;
            let Some(left) = self.allowance.get().checked_sub(filled) else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a row is longer than {MAX_ROW_BYTES} bytes"),
                ));
            };
            self.allowance.set(left);
            if filled == 0 {
                if self.last == b'\n' || buffer.is_empty() {
                    return Ok(0);
                }
                self.last = b'\n';
                buffer[0] = b'\n';
                return Ok(1);
            }
            let mut kept = 0;
            for index in 0..filled {
                let byte = match buffer[index] {
                    b'\r' if self.returns => b'\n',
                    byte => byte,
                };
                if byte != b'\r' {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            if kept > 0 {
                self.last = buffer[kept - 1];
                return Ok(kept);
            }
        }
    }
}

/// True for text whose first line ends in a carriage return alone, as old Macs and what still
/// writes for them end all lines.
pub(crate) fn ends_in_returns(start: &[u8]) -> bool {
    let end = start.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let Some(end) = end.filter(|&end| start[end] == b'\r') else {
        return false;
    };
    // two returns and a feed are one line end, written by who took the first for a part of the line
    let next = start[end..].iter().find(|&&byte| byte != b'\r');
    next.is_some_and(|&next| next != b'\n')
}

/// True for text of which every character has two bytes, as some spreadsheets write it: by its mark,
/// or by the zero beside its first letter.
fn is_utf16(start: &[u8]) -> bool {
    match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, letter, ..] | [letter, 0, ..] => letter.is_ascii_alphabetic(),
        _ => false,
    }
}

/// The cells of a row as text.
pub(crate) fn texts(record: &csv::ByteRecord) -> Vec<String> {
    record
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).into_owned())
        .collect()
}

/// True for the names of a column of times. A byte order mark before it is passed over.
pub(crate) fn is_time_column(name: &str) -> bool {
    let name = name.trim_start_matches('\u{feff}').to_ascii_lowercase();
    matches!(name.as_str(), "timestamp_utc" | "timestamp" | "time")
}

/// What separates the columns when it is not a comma.
pub(crate) fn separator_hint(record: &csv::ByteRecord) -> &'static str {
    let first = record.get(0);
    if first.is_some_and(|cell| cell.contains(&b';') || cell.contains(&b'\t')) {
        ", separated by a comma"
    } else {
        ""
    }
}

/// Why a cell is not a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimeFault {
    /// It is a time without a zone.
    Naive(String),
    /// It is no time.
    NotATime(String),
}

/// A time in RFC 3339.
pub(crate) fn read_time(cell: &[u8]) -> Result<Timestamp, TimeFault> {
    let text = String::from_utf8_lossy(cell);
    if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
        return Ok(at.with_timezone(&Utc));
    }
    let naive = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .any(|format| NaiveDateTime::parse_from_str(&text, format).is_ok());
    let text = quoted(&text);
    Err(if naive {
        TimeFault::Naive(text)
    } else {
        TimeFault::NotATime(text)
    })
}

/// A finite number of 0 or more; the reason when it is none.
pub(crate) fn read_number(cell: &[u8]) -> Result<f64, (String, &'static str)> {
    let text = String::from_utf8_lossy(cell);
    let reason = match text.parse::<f64>() {
        Err(_) => "not a number",
        Ok(value) if !value.is_finite() => "not finite",
        Ok(value) if value < 0.0 => "negative",
        Ok(value) => return Ok(value),
    };
    Err((quoted(&text), reason))
}

/// The distance between rows that occurs most often, of distances and how often each does; the
/// shorter of two equally common ones.
pub(crate) fn commonest(distances: &BTreeMap<i64, usize>) -> Option<i64> {
    distances
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
        .map(|(&distance, _)| distance)
}

/// A moment as our files write it.
pub(crate) fn shown(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_told_from_what_is_no_text() {
        for text in ["\u{feff}timestamp_utc,v\n", "timestamp_utc,v\n"] {
            for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let file: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
                let error = Rows::open(&file[..]).err().unwrap();
                assert_eq!(error.to_string(), "it is UTF-16; save it as UTF-8");
            }
            assert!(Rows::open(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn lines_that_end_in_returns_alone_are_read_and_counted() {
        let text = "timestamp_utc,v\r2026-01-01T00:00:00Z,1\r\r2026-01-01T00:01:00Z,2\r";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        for file in [text.as_bytes(), &packed.finish().unwrap()] {
            let mut rows = Rows::open(file).unwrap();
            let mut seen = Vec::new();
            while let Some((line, record)) = rows.next().unwrap() {
                seen.push((line, record.len()));
            }
            assert_eq!(seen, [(1, 2), (2, 2), (4, 2)]);
        }
        for other in ["a\r\nb\r\n", "a\r\r\nb\r\r\n", "a\nb\rc\n", "a\r", "a", ""] {
            assert!(!ends_in_returns(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn a_row_without_end_is_refused_and_long_files_of_short_rows_are_not() {
        let endless = io::repeat(b'x').take(1 << 30);
        let error = Rows::open(endless).unwrap().next().unwrap_err();
        assert!(error.to_string().contains("a row is longer"), "{error}");
        let quoted = "\"".bytes().chain(std::iter::repeat_n(b'\n', 4 << 20));
        let quoted: Vec<u8> = quoted.collect();
        assert!(Rows::open(&quoted[..]).unwrap().next().is_err());

        let many = "a,b\n".repeat(1 << 20);
        let mut rows = Rows::open(many.as_bytes()).unwrap();
        let mut last = 0;
        while let Some((line, record)) = rows.next().unwrap() {
            assert_eq!(record.len(), 2);
            last = line;
        }
        assert_eq!(last, 1 << 20);
    }
}
