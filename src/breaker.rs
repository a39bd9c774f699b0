//! A circuit breaker: when one side of a call mostly fails, it is left alone for a while and asked
//! again by a single call.
//!
//! The shape is the one `DraftKings` gave its "Ground Fault" breakers (Datadog Summit 2018): the
//! percentage of failures over a few rotating windows, a minimum volume below which a percentage
//! says nothing, a sleep window, one single probe after it, and a limit of calls at the same time.
//! Pure: the caller tells the time, on a monotonic clock, makes the call and enforces its timeout.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Serialize, Serializer};

#[cfg(test)]
mod tests;

/// When a breaker opens, for how long, and how much passes at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Longest time one call may take. Enforced by whoever makes the call.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// Share of failed calls at which it opens, percent, from 1 to 100.
    pub failure_percentage: u32,
    /// Fewest calls within the windows that a percentage is made of.
    pub minimum_volume: u32,
    /// How many windows are counted, the present one included.
    pub windows: u32,
    /// Length of one window.
    #[serde(serialize_with = "seconds")]
    pub window: Duration,
    /// How long it stays open before a probe.
    #[serde(serialize_with = "seconds")]
    pub sleep_window: Duration,
    /// Most calls at the same time.
    pub max_concurrent: u32,
}

/// Half of the calls and five seconds of sleep are Hystrix's defaults
/// (`errorThresholdPercentage`, `sleepWindowInMilliseconds`); three windows of ten seconds are
/// Ground Fault's. Hystrix's volume of 20 would never be reached by one workload whose calls hang
/// until a ten-second timeout: it makes three in thirty seconds.
impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            failure_percentage: 50,
            minimum_volume: 3,
            windows: 3,
            window: Duration::from_secs(10),
            sleep_window: Duration::from_secs(5),
            max_concurrent: 50,
        }
    }
}

fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One of few words, for metrics and conditions.
    pub kind: &'static str,
    /// What a person should read.
    pub text: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Ok,
    /// With a refusal that is no sign of trouble: work shed on purpose, or a call that was our own
    /// mistake. The other side is there and in its senses, so this is no failure.
    Declined,
    /// With a failure of the other side, or of the way to it.
    Failed(Failure),
    /// With no answer in time.
    TimedOut(Failure),
    /// Not at all: the caller gave up for a reason of its own, which says nothing.
    Abandoned,
}

/// Leave to make one call; to be given back with [`Breaker::end`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is not given back takes up a place for ever"]
pub struct Permit {
    /// The state the call was begun in: an answer to an older one changes nothing.
    era: u64,
    probe: bool,
}

impl Permit {
    /// Whether this is the call that finds out whether the other side is back.
    pub const fn is_probe(&self) -> bool {
        self.probe
    }
}

/// Why a breaker is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Since when, on the caller's monotonic clock. A failed probe does not change it.
    pub since: Duration,
    /// Failed calls within the windows when it opened.
    pub failed: u32,
    /// All calls within the windows then.
    pub calls: u32,
    /// The last failure, probes included.
    pub last: Failure,
    /// When the sleep that is on began.
    slept_from: Duration,
}

impl Opening {
    /// When a probe is let through.
    pub fn probed_at(&self, limits: &Limits) -> Duration {
        self.slept_from.saturating_add(limits.sleep_window)
    }
}

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Too many of the last calls failed.
    Open(Opening),
    /// As many calls as may be are under way.
    Busy,
}

/// What a breaker does with the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Position {
    /// Lets it through.
    Closed,
    /// Waits for its one probe, and refuses it.
    HalfOpen,
    /// Refuses it, or makes it the probe when the sleep is over.
    Open,
}

#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    Closed,
    Open(Opening),
    HalfOpen(Opening),
}

/// Calls counted over one window.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Duration,
    calls: u32,
    failed: u32,
}

/// The breaker of one resource and command.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    /// Oldest first.
    windows: VecDeque<Window>,
    in_flight: u32,
    era: u64,
    /// The last time it was told.
    told: Duration,
}

impl Breaker {
    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// [`Refused`], when it may not be made now.
    pub fn begin(&mut self, limits: &Limits, now: Duration) -> Result<Permit, Refused> {
        self.keep_time(now);
        let probe = match &self.state {
            State::Closed => None,
            State::Open(opening) if now >= opening.probed_at(limits) => Some(opening.clone()),
            State::Open(opening) | State::HalfOpen(opening) => {
                return Err(Refused::Open(opening.clone()));
            }
        };
        if self.in_flight >= limits.max_concurrent {
            return Err(Refused::Busy);
        }
        self.in_flight += 1;
        let is_probe = probe.is_some();
        if let Some(opening) = probe {
            self.turn(State::HalfOpen(opening));
        }
        Ok(Permit {
            era: self.era,
            probe: is_probe,
        })
    }

    /// Gives leave back and tells how the call ended.
    #[expect(clippy::needless_pass_by_value, reason = "leave is given back once")]
    pub fn end(&mut self, permit: Permit, outcome: Outcome, limits: &Limits, now: Duration) {
        let Permit { era, probe: _ } = permit;
        self.keep_time(now);
        self.in_flight = self.in_flight.saturating_sub(1);
        if era != self.era {
            return;
        }
        match (&self.state, outcome) {
            (State::Closed, Outcome::Abandoned) | (State::Open(_), _) => {}
            (State::Closed, Outcome::Ok | Outcome::Declined) => self.count(false, limits, now),
            (State::Closed, Outcome::Failed(last) | Outcome::TimedOut(last)) => {
                self.count(true, limits, now);
                self.open_if_due(last, limits, now);
            }
            (State::HalfOpen(_), Outcome::Ok | Outcome::Declined) => {
                // what came before is over: it takes a whole volume of new failures to open again
                self.windows.clear();
                self.turn(State::Closed);
            }
            (State::HalfOpen(opening), Outcome::Failed(last) | Outcome::TimedOut(last)) => {
                let opening = Opening {
                    last,
                    slept_from: now,
                    ..opening.clone()
                };
                self.turn(State::Open(opening));
            }
            // nothing was found out, and the sleep is over: the next call is the probe
            (State::HalfOpen(opening), Outcome::Abandoned) => {
                let opening = opening.clone();
                self.turn(State::Open(opening));
            }
        }
    }

    /// What it does with calls.
    pub fn position(&self) -> Position {
        match self.state {
            State::Closed => Position::Closed,
            State::HalfOpen(_) => Position::HalfOpen,
            State::Open(_) => Position::Open,
        }
    }

    /// Why it is not closed.
    pub fn opening(&self) -> Option<&Opening> {
        match &self.state {
            State::Closed => None,
            State::Open(opening) | State::HalfOpen(opening) => Some(opening),
        }
    }

    /// Calls under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Calls that ended within the windows, and how many of them failed.
    pub fn tally(&self, limits: &Limits, now: Duration) -> (u32, u32) {
        self.windows
            .iter()
            .filter(|window| counts(window, limits, now))
            .fold((0, 0), |(calls, failed), window| {
                (calls + window.calls, failed + window.failed)
            })
    }

    /// True when it remembers nothing: one made anew would do the same.
    pub fn is_fresh(&self, limits: &Limits, now: Duration) -> bool {
        matches!(self.state, State::Closed)
            && self.in_flight == 0
            && self.tally(limits, now) == (0, 0)
    }

    fn count(&mut self, failed: bool, limits: &Limits, now: Duration) {
        while self
            .windows
            .front()
            .is_some_and(|window| !counts(window, limits, now))
        {
            self.windows.pop_front();
        }
        let current = self
            .windows
            .back()
            .is_some_and(|window| now.saturating_sub(window.since) < limits.window);
        if !current {
            self.windows.push_back(Window {
                since: now,
                calls: 0,
                failed: 0,
            });
        }
        let Some(current) = self.windows.back_mut() else {
            return;
        };
        current.calls = current.calls.saturating_add(1);
        current.failed = current.failed.saturating_add(u32::from(failed));
    }

    fn open_if_due(&mut self, last: Failure, limits: &Limits, now: Duration) {
        let (calls, failed) = self.tally(limits, now);
        let share = u64::from(failed) * 100;
        let due = share >= u64::from(limits.failure_percentage) * u64::from(calls);
        if calls >= limits.minimum_volume && due {
            self.turn(State::Open(Opening {
                since: now,
                failed,
                calls,
                last,
                slept_from: now,
            }));
        }
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }

    /// A clock that went back must not keep it open until it has caught up: what was counted is
    /// forgotten, and a sleep begins anew.
    fn keep_time(&mut self, now: Duration) {
        if now < self.told {
            self.windows.clear();
            if let State::Open(opening) | State::HalfOpen(opening) = &mut self.state {
                opening.since = opening.since.min(now);
                opening.slept_from = opening.slept_from.min(now);
            }
        }
        self.told = now;
    }
}

/// Whether a window is among those that count.
fn counts(window: &Window, limits: &Limits, now: Duration) -> bool {
    now.saturating_sub(window.since) < limits.window.saturating_mul(limits.windows)
}
