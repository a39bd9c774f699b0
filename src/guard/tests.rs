//! Guards on a clock that stands still: what they refuse, in which words, and what they forget.

use super::*;
use crate::clock::ManualClock;
use crate::settings::{PrometheusSettings, Settings};

#[derive(Debug, PartialEq)]
enum TestError {
    Down,
    Refused(Refusal),
}

impl From<Refusal> for TestError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Guarded for TestError {
    fn outcome(&self) -> Outcome {
        Outcome::Failed(Failure {
            kind: "down",
            text: "it is down".to_owned(),
        })
    }
}

fn breakers(limits: Limits) -> (Arc<ManualClock>, watch::Sender<Arc<Live>>, Breakers) {
    let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
    let mut settings = Settings::new(PrometheusSettings::new("http://p".parse().unwrap()));
    settings.breakers.kubernetes = limits;
    let (live, seen) = watch::channel(Arc::new(Live::fixed(settings)));
    let shared: SharedClock = clock.clone();
    let breakers = Breakers::new(&shared, &seen, &Metrics::new().unwrap());
    (clock, live, breakers)
}

async fn fail(guard: &Guard, key: &str) -> TestError {
    guard
        .call(key, async { Err::<(), _>(TestError::Down) })
        .await
        .unwrap_err()
}

#[tokio::test]
async fn it_says_since_when_why_and_when_again() {
    let (clock, _live, breakers) = breakers(Limits::default());
    clock.advance(TimeDelta::seconds(7));
    for _ in 0..3 {
        assert_eq!(fail(&breakers.write, "dfs/a").await, TestError::Down);
    }
    clock.advance(TimeDelta::seconds(2));
    let TestError::Refused(refusal) = fail(&breakers.write, "dfs/a").await else {
        panic!("it is open");
    };
    assert_eq!(
        refusal.to_string(),
        "the circuit breaker of kubernetes write (dfs/a) is open since 17:00:07 UTC: 3 of 3 \
         calls failed, the last: it is down; one call tries again every 5s"
    );
    assert_eq!(refusal.kind(), "down");
    // another workload's write is not held up
    assert_eq!(fail(&breakers.write, "dfs/b").await, TestError::Down);

    clock.advance(TimeDelta::seconds(3));
    let good = breakers
        .write
        .call("dfs/a", async { Ok::<_, TestError>(1) });
    assert_eq!(good.await, Ok(1));
    let report = &breakers.shown()[3];
    assert_eq!((report.resource, report.command), ("kubernetes", "write"));
    assert_eq!(report.breakers[0].state, Position::Closed);
    assert_eq!(report.breakers[0].open_since, None);
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one_and_not_for_ever() {
    let one = Limits {
        max_concurrent: 1,
        timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let (_clock, _live, breakers) = breakers(one);
    let (release, held) = tokio::sync::oneshot::channel::<()>();
    let first = breakers.read.call("a", async {
        drop(held.await);
        Ok::<_, TestError>(1)
    });
    let second = async {
        let refused = breakers.read.call("a", async { Ok::<_, TestError>(2) });
        let Err(TestError::Refused(refusal)) = refused.await else {
            panic!("there is no place");
        };
        assert_eq!(refusal.kind(), "busy");
        let other = breakers.read.call("b", async { Ok::<_, TestError>(3) });
        assert_eq!(other.await, Ok(3));
        let third = breakers.read.call("a", async { Ok::<_, TestError>(4) });
        release.send(()).unwrap();
        assert_eq!(third.await, Ok(4));
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first, Ok(1));
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let one = Limits {
        max_concurrent: 1,
        ..Limits::default()
    };
    let (_clock, _live, breakers) = breakers(one);
    let hanging = breakers
        .read
        .call("a", std::future::pending::<Result<(), TestError>>());
    assert!(
        tokio::time::timeout(Duration::from_millis(10), hanging)
            .await
            .is_err()
    );
    assert_eq!(breakers.shown()[2].breakers[0].in_flight, 0);
    assert_eq!(fail(&breakers.read, "a").await, TestError::Down);
}

#[tokio::test]
async fn new_limits_hold_at_once_and_nothing_is_forgotten() {
    let (_clock, live, breakers) = breakers(Limits::default());
    fail(&breakers.read, "a").await;
    fail(&breakers.read, "a").await;
    live.send_modify(|live| {
        let mut changed = live.as_ref().clone();
        changed.settings.breakers.kubernetes.failure_percentage = 100;
        changed.settings.breakers.kubernetes.minimum_volume = 2;
        *live = Arc::new(changed);
    });
    assert_eq!(breakers.shown()[2].breakers[0].failed, 2);
    assert_eq!(fail(&breakers.read, "a").await, TestError::Down);
    assert_eq!(breakers.shown()[2].breakers[0].state, Position::Open);
}

#[tokio::test]
async fn what_nobody_asks_for_any_more_is_forgotten() {
    let (clock, _live, breakers) = breakers(Limits::default());
    for _ in 0..3 {
        fail(&breakers.write, "gone").await;
    }
    fail(&breakers.write, "well").await;
    clock.advance(TimeDelta::seconds(31));
    breakers.forget_idle();
    let keys = || -> Vec<String> {
        let shown = breakers.shown();
        shown[3].breakers.iter().map(|b| b.key.clone()).collect()
    };
    assert_eq!(keys(), ["gone"], "it is open still");
    clock.advance(TimeDelta::seconds(600));
    breakers.forget_idle();
    assert!(keys().is_empty());
}

#[tokio::test]
async fn who_does_not_write_any_more_shows_no_breaker_of_writes() {
    let (_clock, _live, breakers) = breakers(Limits::default());
    for guard in [&breakers.write, &breakers.report, &breakers.read] {
        for _ in 0..3 {
            fail(guard, "a").await;
        }
    }
    breakers.forget_writes();
    let open: Vec<_> = breakers
        .shown()
        .into_iter()
        .filter(|guard| !guard.breakers.is_empty())
        .map(|guard| guard.command)
        .collect();
    assert_eq!(open, ["read"], "reads are asked on");
}
