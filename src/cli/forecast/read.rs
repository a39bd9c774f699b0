//! Reads what `tipoff forecast` is given: a time, a load file, a fixture list.
//!
//! Refuses with file, line and remedy; never guesses a zone and never fills a gap.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use chrono::{DateTime, TimeDelta};

use super::InputError;
use crate::fixture::{Fixture, Provenance, Weight};
use crate::series::Series;
use crate::units::{HumanDuration, Timestamp};

/// An RFC 3339 time.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    DateTime::parse_from_rfc3339(text.trim())
        .map(|time| time.to_utc())
        .map_err(|_| {
            format!(
                "{text:?} is not a time with its offset: write for example 2024-09-08T17:00:00Z"
            )
        })
}

/// The rows of a load file before `at`; reading stops there.
pub(super) fn load(
    path: &Path,
    per: Option<HumanDuration>,
    at: Timestamp,
) -> Result<Series, InputError> {
    let name = path.display();
    let seconds = per.map_or(1.0, |per| per.0.num_milliseconds() as f64 / 1_000.0);
    if seconds <= 0.0 {
        return Err(InputError("--per: must be longer than nothing".to_owned()));
    }
    let mut rows: Vec<(Timestamp, f64)> = Vec::new();
    for (index, line) in open(path)?.lines().enumerate() {
        let wrong = |what: String| InputError(format!("{name}:{}: {what}", index + 1));
        let line = line.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if index == 0 {
            if !line
                .trim_start_matches('\u{feff}')
                .starts_with("timestamp_utc,")
            {
                return Err(wrong(
                    "the header must be `timestamp_utc,` and one value column".to_owned(),
                ));
            }
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let (when, value) = line
            .split_once(',')
            .ok_or_else(|| wrong("a row is `time,value`".to_owned()))?;
        let when = time(when).map_err(&wrong)?;
        if when >= at {
            break;
        }
        if let Some(&(last, _)) = rows.last()
            && when <= last
        {
            return Err(wrong(format!(
                "{when} does not come after {last}: sort the file and drop repeats"
            )));
        }
        let value: f64 = value
            .trim()
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| {
                wrong(format!(
                    "{value:?} is not a load: write a number of zero or more"
                ))
            })?;
        rows.push((when, value / seconds));
    }
    on_a_grid(&rows).ok_or_else(|| {
        InputError(format!(
            "{name}: fewer than two rows before {at}; give a longer history or a later --at"
        ))
    })
}

/// The smallest distance of two rows is the step; absent rows are gaps.
fn on_a_grid(rows: &[(Timestamp, f64)]) -> Option<Series> {
    let step = rows
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .min()
        .filter(|&step| step > TimeDelta::zero())?;
    let start = rows.first()?.0;
    let mut values = Vec::with_capacity(rows.len());
    for &(when, value) in rows {
        let place = (when - start).num_milliseconds() / step.num_milliseconds().max(1);
        let place = usize::try_from(place).ok()?;
        if place >= values.len() {
            values.resize(place, f64::NAN);
            values.push(value);
        }
    }
    Some(Series::from_raw(start, step, values))
}

/// The fixtures of a CSV with at least `start` and `competition`.
pub(super) fn fixtures(path: &Path) -> Result<Vec<Fixture>, InputError> {
    let name = path.display();
    let mut reader = csv::Reader::from_reader(open(path)?);
    let headers = reader
        .headers()
        .map_err(|error| InputError(format!("{name}: {error}")))?
        .clone();
    let place = |column: &str| headers.iter().position(|header| header.trim() == column);
    for needed in ["start", "competition"] {
        if place(needed).is_none() {
            return Err(InputError(format!(
                "{name}:1: the column {needed:?} is missing from the header"
            )));
        }
    }
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| InputError(format!("{name}: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |what: String| InputError(format!("{name}:{line}: {what}"));
        let field = |column: &str| -> Option<&str> {
            place(column)
                .and_then(|place| record.get(place))
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let start = time(field("start").unwrap_or_default()).map_err(&wrong)?;
        let competition =
            field("competition").ok_or_else(|| wrong("the competition is empty".to_owned()))?;
        let id = field("id").map_or_else(|| format!("{name}:{line}"), str::to_owned);
        let mut fixture = Fixture::game(id, competition, start);
        fixture.home = field("home").map(str::to_owned);
        fixture.away = field("away").map(str::to_owned);
        fixture.stage = field("stage").map(str::to_owned);
        fixture.slate = field("slate").map(str::to_owned);
        if let Some(text) = field("duration") {
            let minutes = text
                .parse::<u16>()
                .ok()
                .map(i64::from)
                .map(TimeDelta::minutes);
            let typical = minutes
                .or_else(|| text.parse::<HumanDuration>().ok().map(|d| d.0))
                .ok_or_else(|| wrong(format!("duration {text:?}: write minutes or 1h45m")))?;
            fixture.duration.typical = typical;
            fixture.duration.long = typical + TimeDelta::minutes(15);
        }
        if let Some(text) = field("weight") {
            let value = text
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite() && *value > 0.0)
                .ok_or_else(|| wrong(format!("weight {text:?}: write a number above zero")))?;
            fixture.weight = Some(Weight {
                value,
                expires: None,
            });
        }
        fixture.provenance = Provenance {
            source: name.to_string(),
            line: usize::try_from(line).ok(),
        };
        found.push(fixture);
    }
    Ok(found)
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, InputError> {
    let file = File::open(path)
        .map_err(|error| InputError(format!("{}: cannot be opened: {error}", path.display())))?;
    let mut reader = BufReader::new(file);
    let gzipped = reader
        .fill_buf()
        .is_ok_and(|start| start.starts_with(&[0x1f, 0x8b]));
    let plain: Box<dyn Read> = if gzipped {
        Box::new(flate2::bufread::GzDecoder::new(reader))
    } else {
        Box::new(reader)
    };
    Ok(Box::new(BufReader::new(plain)))
}
