//! The breaker as a story and as properties that hold whatever happens.

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
