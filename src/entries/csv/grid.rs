//! From the rows of each slate to counts on a regular grid.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};

use super::doubts::Doubts;
use super::in_words;
use super::refusal::{EntriesError, RowFault};
use crate::entries::{Entries, SlateEntries};
use crate::series::Series;
use crate::series::rows::{commonest, shown};
use crate::units::{HumanDuration, Timestamp};

/// The most bins all slates together may span.
const MAX_BINS: i64 = 32_000_000;

/// What is gathered of one slate.
#[derive(Default)]
pub(super) struct Gathered {
    /// Start (milliseconds), entries (NaN when not known), line.
    pub(super) counts: Vec<(i64, f64, u64)>,
    /// Start (milliseconds) and places, where they change.
    pub(super) spots: Vec<(i64, f64)>,
    /// Entries so far.
    pub(super) sum: f64,
    /// Whether it was said that there are more entries than places.
    pub(super) overfull: bool,
}

/// Puts every slate on its grid.
pub(super) fn grids(
    slates: &BTreeMap<Option<String>, Gathered>,
    name: &str,
    per: Option<TimeDelta>,
    before: Option<Timestamp>,
    warnings: &mut Doubts,
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
            commonest(&own)
        })
        .collect();
    let usual = commonest(&distances);
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
