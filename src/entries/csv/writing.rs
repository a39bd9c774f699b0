//! Entries as the file they are read from.

use std::io::{self, Write};

use crate::entries::Entries;
use crate::series::rows::shown;
use crate::units::Timestamp;

/// Writes entries in the form [`read_entries`](super::read_entries) reads: counts per interval in order of time, a gap
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
