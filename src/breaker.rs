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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        timeout: Duration::from_secs(1),
        failure_percentage: 50,
        minimum_volume: 4,
        windows: 3,
        window: Duration::from_secs(10),
        sleep_window: Duration::from_secs(5),
        max_concurrent: 3,
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failed() -> Outcome {
        Outcome::Failed(Failure {
            kind: "down",
            text: "it is down".to_owned(),
        })
    }

    /// One call after another.
    fn call(breaker: &mut Breaker, outcome: Outcome, now: Duration) {
        let permit = breaker.begin(&LIMITS, now).unwrap();
        breaker.end(permit, outcome, &LIMITS, now);
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for second in 0..4 {
            call(&mut breaker, failed(), s(second));
        }
        breaker
    }

    #[test]
    fn one_failure_of_one_says_nothing() {
        let mut breaker = Breaker::default();
        for second in 0..3 {
            call(&mut breaker, failed(), s(second));
            assert_eq!(breaker.position(), Position::Closed);
        }
        call(&mut breaker, failed(), s(3));
        assert_eq!(breaker.position(), Position::Open);
        let Err(Refused::Open(opening)) = breaker.begin(&LIMITS, s(7)) else {
            panic!("it is open");
        };
        assert_eq!((opening.since, opening.failed, opening.calls), (s(3), 4, 4));
        assert_eq!(opening.last.text, "it is down");
        assert_eq!(opening.probed_at(&LIMITS), s(8));
    }

    #[test]
    fn failures_are_a_share_of_the_last_windows() {
        let mut breaker = Breaker::default();
        for outcome in [Outcome::Ok, Outcome::Declined, Outcome::Ok, failed()] {
            call(&mut breaker, outcome, s(0));
        }
        call(&mut breaker, failed(), s(1));
        assert_eq!(breaker.tally(&LIMITS, s(1)), (5, 2));
        assert_eq!(breaker.position(), Position::Closed);
        // the good ones are forgotten with their window
        call(&mut breaker, failed(), s(12));
        call(&mut breaker, failed(), s(29));
        assert_eq!(breaker.position(), Position::Open, "4 of 7");
        let mut later = Breaker::default();
        for second in [0, 0, 31, 31] {
            call(&mut later, failed(), s(second));
        }
        assert_eq!(later.tally(&LIMITS, s(31)), (2, 2));
        assert_eq!(later.position(), Position::Closed);
    }

    #[test]
    fn one_probe_closes_it_or_puts_it_back_to_sleep() {
        let mut breaker = opened();
        let probe = breaker.begin(&LIMITS, s(8)).unwrap();
        assert!(probe.is_probe());
        assert!(matches!(
            breaker.begin(&LIMITS, s(8)),
            Err(Refused::Open(_))
        ));
        breaker.end(probe, failed(), &LIMITS, s(9));
        let Err(Refused::Open(opening)) = breaker.begin(&LIMITS, s(13)) else {
            panic!("it sleeps again");
        };
        assert_eq!(opening.since, s(3), "it never was closed");
        let probe = breaker.begin(&LIMITS, s(14)).unwrap();
        breaker.end(probe, Outcome::Declined, &LIMITS, s(14));
        assert_eq!(breaker.position(), Position::Closed);
        // and needs a whole volume to open again
        for _ in 0..3 {
            call(&mut breaker, failed(), s(15));
        }
        assert_eq!(breaker.position(), Position::Closed);
    }

    #[test]
    fn a_late_answer_to_an_old_question_changes_nothing() {
        let mut breaker = Breaker::default();
        let slow = breaker.begin(&LIMITS, s(0)).unwrap();
        for _ in 0..4 {
            call(&mut breaker, failed(), s(1));
        }
        let probe = breaker.begin(&LIMITS, s(6)).unwrap();
        breaker.end(slow, Outcome::Ok, &LIMITS, s(6));
        assert_eq!(breaker.position(), Position::HalfOpen);
        breaker.end(probe, Outcome::Ok, &LIMITS, s(7));
        assert_eq!(breaker.tally(&LIMITS, s(7)), (0, 0));
        assert_eq!(breaker.in_flight(), 0);
    }

    #[test]
    fn a_probe_that_was_given_up_is_followed_by_another() {
        let mut breaker = opened();
        let probe = breaker.begin(&LIMITS, s(8)).unwrap();
        breaker.end(probe, Outcome::Abandoned, &LIMITS, s(8));
        assert!(breaker.begin(&LIMITS, s(8)).unwrap().is_probe());
    }

    #[test]
    fn new_limits_hold_at_once() {
        let mut breaker = opened();
        let awake = Limits {
            sleep_window: s(1),
            ..LIMITS
        };
        assert!(breaker.begin(&LIMITS, s(4)).is_err());
        assert!(breaker.begin(&awake, s(4)).unwrap().is_probe());
    }

    #[test]
    fn a_clock_set_back_costs_one_sleep() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            call(&mut breaker, failed(), s(1_000_000));
        }
        assert!(breaker.begin(&LIMITS, s(10)).is_err());
        assert!(breaker.begin(&LIMITS, s(14)).is_err());
        assert!(breaker.begin(&LIMITS, s(15)).unwrap().is_probe());
    }

    /// What may happen next.
    #[derive(Debug, Clone)]
    enum Event {
        Begin,
        /// The call at this place among those under way ends.
        End(usize, Outcome),
        Pass(u64),
        /// The clock is set.
        Set(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let outcome = prop_oneof![
            3 => Just(failed()),
            1 => Just(Outcome::TimedOut(Failure { kind: "timeout", text: String::new() })),
            2 => Just(Outcome::Ok),
            1 => Just(Outcome::Declined),
            1 => Just(Outcome::Abandoned),
        ];
        prop_oneof![
            6 => Just(Event::Begin),
            6 => (0..4_usize, outcome).prop_map(|(which, outcome)| Event::End(which, outcome)),
            3 => (0..9_000_u64).prop_map(Event::Pass),
            1 => (0..100_000_u64).prop_map(Event::Set),
        ]
    }

    fn limits() -> impl Strategy<Value = Limits> {
        (1..=100_u32, 1..6_u32, 1..4_u32, 1..12_u64, 1..5_u32).prop_map(
            |(failure_percentage, minimum_volume, windows, window, max_concurrent)| Limits {
                failure_percentage,
                minimum_volume,
                windows,
                window: s(window),
                max_concurrent,
                ..LIMITS
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_happens(
            limits in limits(),
            events in proptest::collection::vec(event(), 0..120),
        ) {
            let mut breaker = Breaker::default();
            let mut now = s(50);
            let mut under_way: Vec<Permit> = Vec::new();
            // ended since it was last closed
            let (mut ended, mut failures) = (0_u32, 0_u32);
            for event in events {
                match event {
                    Event::Begin => under_way.extend(breaker.begin(&limits, now)),
                    Event::End(which, outcome) if which < under_way.len() => {
                        let permit = under_way.swap_remove(which);
                        let probe = permit.is_probe();
                        let before = breaker.position();
                        let fails = matches!(outcome, Outcome::Failed(_) | Outcome::TimedOut(_));
                        let good = matches!(outcome, Outcome::Ok | Outcome::Declined);
                        if before == Position::Closed && (fails || good) {
                            ended += 1;
                            failures += u32::from(fails);
                        }
                        breaker.end(permit, outcome, &limits, now);
                        let after = breaker.position();
                        if before == Position::Closed && after == Position::Open {
                            prop_assert!(fails && failures > 0);
                            prop_assert!(ended >= limits.minimum_volume);
                        }
                        if probe && good {
                            prop_assert_eq!(after, Position::Closed, "a good probe closes it");
                        }
                        if probe && !good {
                            prop_assert_eq!(after, Position::Open);
                        }
                        if after != Position::Closed || before != Position::Closed {
                            (ended, failures) = (0, 0);
                        }
                    }
                    Event::End(..) => {}
                    Event::Pass(millis) => now += Duration::from_millis(millis),
                    Event::Set(millis) => now = Duration::from_millis(millis),
                }
                let probes = under_way.iter().filter(|permit| permit.is_probe()).count();
                prop_assert!(probes <= 1, "one probe at a time");
                prop_assert!(under_way.len() <= limits.max_concurrent as usize);
                prop_assert_eq!(breaker.in_flight() as usize, under_way.len());
            }
            for permit in under_way {
                breaker.end(permit, Outcome::Abandoned, &limits, now);
            }
            // told the time once, it never sleeps longer than a sleep window from then
            let first = breaker.begin(&limits, now);
            let later = first.or_else(|_| breaker.begin(&limits, now + limits.sleep_window));
            prop_assert!(later.is_ok(), "it never sticks open");
        }
    }
}
