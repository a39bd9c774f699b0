//! The calendar as it was before changes that came too late for some past forecasts.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::bin_after;
use crate::fixture::Calendar;
use crate::forecast::event_response::REACH;
use crate::forecast::grid::Grid;
use crate::forecast::slots::{Slot, slots};
use crate::units::Timestamp;

/// News that come in the same hour are heard together, seconds: past forecasts are issued again
/// about an hour apart.
const TOGETHER: i64 = 3_600;

/// How much of the calendar about some news is looked at: whatever may move load by then.
const AROUND: TimeDelta = TimeDelta::days(4);

/// What was expected before some news.
#[derive(Debug)]
pub(crate) struct Before {
    /// First bin of the grid at which the news are known.
    pub(super) known: usize,
    /// The slots about that time, none of which has ended.
    pub(super) slots: Vec<Slot>,
    /// Where they differ from what was expected afterwards, seconds since the epoch.
    pub(super) spans: Vec<(i64, i64)>,
}

/// What was expected before each news that forecasts reaching `ahead` had to do without, of those
/// that became known after the time `since`, seconds since the epoch. In order of time.
pub(crate) fn before_news(
    calendar: &Calendar,
    zone: Tz,
    grid: &Grid,
    (since, ahead): (i64, TimeDelta),
) -> Vec<Before> {
    let news = calendar.late_news(ahead);
    let heard = news
        .iter()
        .filter(|at| at.timestamp() > since && at.timestamp() < grid.end);
    let mut found: Vec<Before> = Vec::new();
    let mut heard = heard.peekable();
    while let Some(&first) = heard.next() {
        let hour = |at: &Timestamp| at.timestamp().div_euclid(TOGETHER);
        let mut last = first;
        while let Some(&next) = heard.next_if(|at| hour(at) == hour(&first)) {
            last = next;
        }
        let part = calendar.played_between(first - AROUND, last + ahead + AROUND);
        let seen = |at: Timestamp| -> Vec<Slot> {
            let known = slots(&part.as_of(at), at, zone, (at, last + ahead));
            known.iter().map(expected).collect()
        };
        // a second before: what is known to the second is known at it
        let (before, after) = (seen(first - TimeDelta::seconds(1)), seen(last));
        let spans = differences(&before, &after, (last + ahead).timestamp());
        if !spans.is_empty() {
            found.push(Before {
                known: bin_after(grid, last.timestamp()),
                slots: before,
                spans,
            });
        }
    }
    found
}

/// A slot by what moves load alone.
fn expected(slot: &Slot) -> Slot {
    Slot {
        told: None,
        ..slot.as_expected()
    }
}

/// Where load is expected otherwise by some slots than by others, as far as it begins before `to`.
/// Where a day becomes a match day, or is none any more, the whole of it is another.
fn differences(before: &[Slot], after: &[Slot], to: i64) -> Vec<(i64, i64)> {
    // which slots exclude each other is numbered anew by each calendar
    let alike = |one: &Slot, other: &Slot| {
        let numbered = Slot {
            group: other.group,
            ..one.clone()
        };
        numbered == *other
    };
    let only = |one: &'_ [Slot], other: &'_ [Slot]| -> Vec<(i64, i64)> {
        one.iter()
            .filter(|slot| !other.iter().any(|other| alike(slot, other)))
            .map(|slot| {
                let (first, last) = slot.span();
                let day = other.iter().any(|other| other.date == slot.date);
                let reach = if day { 0 } else { REACH };
                (first - reach, last + reach)
            })
            .collect()
    };
    let mut spans = only(before, after);
    spans.extend(only(after, before));
    spans.retain(|span| span.0 < to);
    spans
}
