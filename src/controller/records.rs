//! Everything a policy has seen: load served and shed, when it was too much, entries and places,
//! each read on its own.
//!
//! Only load served must be there. What fails beside it leaves what was read of it before, and a
//! sentence that says so; how old entries may be is the forecaster's to decide.

use chrono::TimeDelta;

use super::history::{History, Question};
use super::lesson::Lesson;
use super::offered::{Offered, full, offered};
use crate::api::policy::EntriesQueries;
use crate::entries::{Entries, SlateEntries};
use crate::series::Series;
use crate::series::faults::Faults;
use crate::serve::metrics::Metrics;
use crate::source::{GuardedPrometheus, SourceError};
use crate::units::Timestamp;

/// Entries older than this are not read: the forecaster learns from no longer a past.
const LONGEST_ENTRIES: TimeDelta = TimeDelta::days(120);

/// A slate not heard of for this long is over: its lock is past.
const CURRENT: TimeDelta = TimeDelta::hours(1);

/// What was read for one policy.
#[derive(Debug)]
pub(super) struct Records {
    step: TimeDelta,
    served: History,
    shed: History,
    saturated: History,
    entries: History,
    spots: History,
}

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Known {
    /// Load served, units per second.
    pub(super) served: Series,
    /// Load wanted, units per second.
    pub(super) load: Series,
    /// Where that is not what was wanted.
    pub(super) faults: Faults,
    /// Contest entries.
    pub(super) entries: Entries,
    /// Slates whose entries are known up to now; `None` when the policy has no entries.
    pub(super) slates: Option<usize>,
    /// Why entries are not as they should be.
    pub(super) entries_note: Option<String>,
    /// The same of shed load.
    pub(super) shed_note: Option<String>,
    /// The same of when no more could be carried.
    pub(super) saturated_note: Option<String>,
}

impl Records {
    /// Nothing read yet.
    pub(super) fn new(step: TimeDelta) -> Self {
        Self {
            step,
            served: History::new(step),
            shed: History::new(step),
            saturated: History::sparse(step),
            entries: History::new(step),
            spots: History::new(step),
        }
    }

    /// Forgets the entries, for they are asked for in another way.
    pub(super) fn forget_entries(&mut self) {
        self.entries = History::new(self.step);
        self.spots = History::new(self.step);
    }

    /// Forgets when no more could be carried, for it is asked in another way.
    pub(super) fn forget_saturated(&mut self) {
        self.saturated = History::sparse(self.step);
    }

    /// Reads what is new of all, at the same time.
    ///
    /// # Errors
    /// What Prometheus said about load served. The others only leave a note.
    pub(super) async fn refresh(
        &mut self,
        source: &GuardedPrometheus,
        lesson: &Lesson,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Result<Known, SourceError> {
        let Self {
            served,
            shed,
            saturated,
            entries,
            spots,
            ..
        } = self;
        let length = lesson.history;
        let sold = length.min(LONGEST_ENTRIES);
        let queries = lesson.entries.as_ref();
        let (served_read, shed_read, saturated_read, entries_read, spots_read) = tokio::join!(
            served.refresh(source, Question::One(&lesson.query), length, now),
            read(shed, source, one(lesson.shed.as_ref()), length, now),
            read(
                saturated,
                source,
                one(lesson.saturated.as_ref()),
                length,
                now
            ),
            read(entries, source, queries.map(rate), sold, now),
            read(spots, source, queries.and_then(places), sold, now),
        );
        let failed = |read: Result<(), SourceError>| {
            let error = read.err()?;
            metrics.source_error(error.kind());
            Some(error)
        };
        let (shed_failed, entries_failed) = (failed(shed_read), failed(entries_read));
        let (saturated_failed, spots_failed) = (failed(saturated_read), failed(spots_read));
        if let Some(error) = failed(served_read) {
            return Err(error);
        }
        let served = self.served.series();
        let Offered { load, faults, note } = match &lesson.shed {
            Some(_) => offered(&served, &self.shed.series()),
            None => Offered {
                load: served.clone(),
                faults: Faults::NONE,
                note: None,
            },
        };
        let shed_note = shed_failed.map(|error| format!("shed load was not read: {error}"));
        let (entries, slates) = self.sold(now);
        let full = full(&self.saturated.series());
        let faults = [faults, full, lesson.faults.before(now)];
        Ok(Known {
            served,
            load,
            faults: faults.iter().flat_map(Faults::iter).copied().collect(),
            entries_note: queries.and_then(|queries| {
                self.entries_note(queries, entries_failed.as_ref(), spots_failed.as_ref())
            }),
            slates: queries.map(|_| slates),
            entries,
            shed_note: shed_note.or(note),
            saturated_note: saturated_failed
                .map(|error| format!("when no more could be carried was not read: {error}")),
        })
    }

    /// Entries and places by slate, and how many slates are known up to now.
    fn sold(&self, now: Timestamp) -> (Entries, usize) {
        let mut entries = Entries::default();
        let mut current = 0;
        let mut places: Vec<(Option<&str>, Series)> = self.spots.slates(now, CURRENT).collect();
        for (slate, rate) in self.entries.slates(now, CURRENT) {
            if rate.end() + CURRENT > now {
                current += 1;
            }
            let place = places.iter().position(|(name, _)| *name == slate);
            let spots = place.map(|place| changes(&places.swap_remove(place).1));
            let sold = SlateEntries {
                rate,
                spots: spots.unwrap_or_default(),
            };
            entries.insert(slate.map(str::to_owned), sold);
        }
        (entries, current)
    }

    fn entries_note(
        &self,
        queries: &EntriesQueries,
        entries: Option<&SourceError>,
        spots: Option<&SourceError>,
    ) -> Option<String> {
        if let Some(error) = entries {
            return Some(format!(
                "entries were not read: those known speak until they are too old, then the \
                 calendar alone: {error}"
            ));
        }
        if self.entries.is_empty() {
            return Some(format!(
                "entries are unknown, so the calendar alone speaks: the query {:?} has given no \
                 number yet; check the metric name and labels",
                queries.rate
            ));
        }
        spots.map(|error| format!("places on offer were not read: {error}"))
    }
}

async fn read(
    history: &mut History,
    source: &GuardedPrometheus,
    question: Option<Question<'_>>,
    length: TimeDelta,
    now: Timestamp,
) -> Result<(), SourceError> {
    match question {
        Some(question) => history.refresh(source, question, length, now).await,
        None => Ok(()),
    }
}

fn one(query: Option<&String>) -> Option<Question<'_>> {
    query.map(|query| Question::One(query))
}

fn rate(queries: &EntriesQueries) -> Question<'_> {
    Question::PerSlate {
        query: &queries.rate,
        label: &queries.slate_label,
    }
}

fn places(queries: &EntriesQueries) -> Option<Question<'_>> {
    Some(Question::PerSlate {
        query: queries.spots.as_deref()?,
        label: &queries.slate_label,
    })
}

/// The moments at which places changed. A bin holds what the query gave at the bin's end.
fn changes(spots: &Series) -> Vec<(Timestamp, f64)> {
    let mut changes: Vec<(Timestamp, f64)> = Vec::new();
    for (at, places) in spots.iter() {
        let Some(places) = places else { continue };
        let places = places.as_per_second();
        if changes.last().is_none_or(|&(_, last)| last != places) {
            changes.push((at + spots.step(), places));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_from_the_moment_they_were_asked_for() {
        let start = Timestamp::UNIX_EPOCH;
        let values = vec![100.0, 100.0, f64::NAN, 250.0];
        let spots = Series::from_raw(start, TimeDelta::minutes(5), values);
        let minute = |m| start + TimeDelta::minutes(m);
        assert_eq!(changes(&spots), [(minute(5), 100.0), (minute(20), 250.0)]);
    }
}
