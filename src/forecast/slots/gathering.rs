//! Which crowds a fixture brings: usually one at its lock and start, but who came for a time that
//! was changed too late is still there.

use chrono::TimeDelta;

use crate::fixture::phase::{MAX_DELAY, NEWS_HOLD};
use crate::fixture::{Calendar, Fixture, Status};
use crate::units::Timestamp;

/// A delayed fixture that has not begun is expected to begin after this.
const STILL_WAITING: TimeDelta = TimeDelta::minutes(20);

/// A change that becomes known this shortly before the start no longer turns the crowd away.
const TOO_LATE: TimeDelta = TimeDelta::hours(2);

/// From lock to start the crowd stays for so long at most, where both are as planned. Who enters a
/// slate of the early afternoon leaves again before the evening's game that belongs to it, and who
/// picks drivers before the qualifying comes back for the race.
const STAYS: TimeDelta = TimeDelta::hours(2);

/// One fixture and when its crowd comes: usually at its lock and start, but a crowd that came
/// for an earlier time is still there.
pub(super) struct Gathering<'a> {
    pub(super) fixture: &'a Fixture,
    pub(super) lock: Timestamp,
    /// What the crowd comes for: the lock, or the start where that is planned much later.
    pub(super) gathers: Timestamp,
    pub(super) start: Timestamp,
    pub(super) until: Option<Timestamp>,
    /// When it became known that it comes then; `None` when that was never news.
    pub(super) told: Option<Timestamp>,
}

impl<'a> Gathering<'a> {
    pub(super) fn of(fixture: &'a Fixture) -> Self {
        let (lock, start) = (fixture.lock(), fixture.start.at);
        Self {
            fixture,
            lock,
            gathers: if start - lock > STAYS { start } else { lock },
            start,
            until: None,
            told: None,
        }
    }
}

/// When the crowds of a fixture come, as it is known at `origin`.
pub(super) fn gatherings<'a>(
    calendar: &'a Calendar,
    fixture: &'a Fixture,
    origin: Timestamp,
) -> Vec<Gathering<'a>> {
    let told = told(calendar, fixture);
    let missed = broken_promise(calendar, fixture, told);
    if fixture.status.is_off() {
        // called off: nobody will come, but who had come wants to know and wants the money back
        // a feed may name its new day in the same breath: they came for the one before
        let before = missed.map_or(fixture, |(missed, _)| missed);
        return match (fixture.status, told) {
            (Status::Postponed | Status::Cancelled, Some(told))
                if told > before.start.at - TOO_LATE =>
            {
                let until = Some(told + NEWS_HOLD);
                vec![Gathering {
                    until,
                    ..Gathering::of(before)
                }]
            }
            _ => Vec::new(),
        };
    }
    let mut now = Gathering {
        told,
        ..Gathering::of(fixture)
    };
    if fixture.status == Status::Delayed && origin > now.start && origin < now.start + MAX_DELAY {
        now.start = origin + STILL_WAITING;
    }
    let Some((missed, told)) = missed else {
        return vec![now];
    };
    if now.start <= missed.start.at + MAX_DELAY {
        // the same crowd waits
        now.lock = missed.lock().min(now.lock);
        now.gathers = Gathering::of(missed).gathers.min(now.gathers);
        return vec![now];
    }
    let before = Gathering {
        until: Some(told + NEWS_HOLD),
        ..Gathering::of(missed)
    };
    vec![before, now]
}

/// When it became known that a fixture starts when it does, or that it does not take place; `None`
/// when that was never news. What was added since, a stage or a result, says nothing of when.
fn told(calendar: &Calendar, fixture: &Fixture) -> Option<Timestamp> {
    let alike = |version: &&Fixture| {
        version.start.at == fixture.start.at && version.status.is_off() == fixture.status.is_off()
    };
    let versions = calendar.versions(&fixture.id).iter().rev();
    let by_then = versions.skip_while(|version| version.known_at > fixture.known_at);
    let first = by_then.take_while(alike).last();
    first.map_or(fixture.known_at, |version| version.known_at)
}

/// The version of a fixture for which people came although it started later than it said, and when
/// that became known: too late. A game called off in time is nobody's promise, however late its new
/// day is named.
fn broken_promise<'a>(
    calendar: &'a Calendar,
    fixture: &'a Fixture,
    told_at: Option<Timestamp>,
) -> Option<(&'a Fixture, Timestamp)> {
    let told_at = told_at?;
    let before = || {
        said(calendar, fixture)
            .filter(move |version| version.known_at.is_none_or(|known| known < told_at))
    };
    let off = before()
        .max_by_key(|version| version.known_at)
        .filter(|last| last.status.is_off());
    let told_at = off.map_or(Some(told_at), |off| told(calendar, off))?;
    before()
        .filter(|version| version.start.is_timed() && version.start.at < fixture.start.at)
        .rfind(|version| told_at > version.start.at - TOO_LATE)
        .map(|missed| (missed, told_at))
}

/// All that was said of a fixture and of those it replaces, in the order they became known.
pub(super) fn said<'a>(
    calendar: &'a Calendar,
    fixture: &'a Fixture,
) -> impl DoubleEndedIterator<Item = &'a Fixture> {
    let replaced = fixture.supersedes.iter();
    (calendar.versions(&fixture.id).iter()).chain(replaced.flat_map(|id| calendar.versions(id)))
}
