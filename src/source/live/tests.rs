//! What the inbox takes, keeps and refuses.

use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::units::Rate;

const NAME: &str = "dfs/checkout";

fn at(second: f64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::milliseconds((second * 1e3) as i64)
}

fn sample(second: f64) -> LiveSample {
    LiveSample {
        from: at(second - 1.0),
        to: at(second),
        offered: Rate::per_second(second),
        queued: None,
        error: 0.0,
    }
}

fn hint(second: f64, kind: &str) -> Hint {
    Hint {
        at: at(second),
        until: at(second + 60.0),
        multiple: Some(2.0),
        kind: kind.into(),
    }
}

fn inbox() -> Inbox {
    let inbox = Inbox::new(Metrics::new().unwrap());
    inbox.open(NAME, LiveSource::Push);
    inbox
}

fn push(inbox: &Inbox, second: f64, now: f64) -> Result<(), Refused> {
    inbox.offer(NAME, LiveSource::Push, sample(second), at(now))
}

fn ends(samples: &[LiveSample]) -> Vec<f64> {
    samples
        .iter()
        .map(|sample| sample.offered.as_per_second())
        .collect()
}

#[test]
fn samples_come_out_in_order_and_once() {
    let inbox = inbox();
    for second in [3.0, 1.0, 2.0] {
        push(&inbox, second, 3.0).unwrap();
    }
    assert_eq!(ends(&inbox.take(NAME, at(1.0))), [2.0, 3.0]);
    assert_eq!(ends(&inbox.take(NAME, at(1.0))), [0.0; 0]);
    assert_eq!(inbox.newest(NAME), Some(at(3.0)));
}

#[test]
fn what_is_late_doubled_or_from_the_future_is_refused_and_counted() {
    let inbox = inbox();
    push(&inbox, 5.0, 5.0).unwrap();
    assert_eq!(push(&inbox, 5.0, 5.0), Err(Refused::Duplicate));
    assert_eq!(push(&inbox, 8.0, 5.0), Err(Refused::Future { seconds: 3 }));
    push(&inbox, 6.9, 5.0).unwrap();
    inbox.take(NAME, at(0.0));
    assert_eq!(push(&inbox, 6.0, 7.0), Err(Refused::Late(Late::Overtaken)));
    assert_eq!(push(&inbox, 9.0, 70.0), Err(Refused::Late(Late::Old)));
    let text = inbox.shared.metrics.render().unwrap();
    for line in [
        r#"tipoff_live_samples_total{source="push"} 2"#,
        r#"tipoff_live_refused_total{reason="late"} 2"#,
        r#"tipoff_live_refused_total{reason="duplicate"} 1"#,
        r#"tipoff_live_refused_total{reason="future"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn only_the_policys_own_source_is_taken() {
    let inbox = inbox();
    let scraped = inbox.offer(NAME, LiveSource::Scrape, sample(1.0), at(1.0));
    assert_eq!(scraped.unwrap_err().reason(), "source");
    let nobody = inbox.offer("dfs/other", LiveSource::Push, sample(1.0), at(1.0));
    assert_eq!(nobody.unwrap_err().reason(), "unknown");
    let mut wrong = sample(1.0);
    wrong.error = f64::NAN;
    let invalid = inbox.offer(NAME, LiveSource::Push, wrong, at(1.0));
    assert_eq!(invalid.unwrap_err().reason(), "invalid");

    push(&inbox, 1.0, 1.0).unwrap();
    inbox.open(NAME, LiveSource::Push);
    assert_eq!(
        ends(&inbox.take(NAME, at(0.0))),
        [1.0],
        "nothing new, nothing lost"
    );
    push(&inbox, 2.0, 2.0).unwrap();
    inbox.open(NAME, LiveSource::Scrape);
    assert_eq!(ends(&inbox.take(NAME, at(0.0))), [0.0; 0]);
    inbox.close(NAME);
    assert_eq!(push(&inbox, 3.0, 3.0).unwrap_err().reason(), "unknown");
}

#[test]
fn a_clock_that_is_set_back_does_not_blind_it() {
    let inbox = inbox();
    push(&inbox, 3_600.0, 3_600.0).unwrap();
    inbox.take(NAME, at(0.0));
    // an hour back: what comes now is not late for ever
    push(&inbox, 10.0, 10.0).unwrap();
    assert_eq!(ends(&inbox.take(NAME, at(0.0))), [10.0]);
}

#[test]
fn hints_are_in_force_until_they_expire() {
    let inbox = inbox();
    let tell = |hint: Hint, now: f64| inbox.hint(NAME, hint, at(now));
    tell(hint(1.0, "touchdown"), 1.0).unwrap();
    assert_eq!(tell(hint(1.0, "touchdown"), 2.0), Err(Refused::Duplicate));
    tell(hint(30.0, "push"), 30.0).unwrap();
    assert_eq!(inbox.hints(NAME, at(40.0)).len(), 2);
    assert_eq!(inbox.hints(NAME, at(61.0)).len(), 1);
    assert_eq!(tell(hint(0.0, "push"), 90.0).unwrap_err().reason(), "late");
    assert_eq!(
        tell(hint(99.0, "push"), 90.0).unwrap_err().reason(),
        "future"
    );
    for wrong in [
        Hint {
            multiple: Some(f64::NAN),
            ..hint(40.0, "push")
        },
        Hint {
            multiple: Some(0.5),
            ..hint(40.0, "push")
        },
        Hint {
            until: at(4_000.0),
            ..hint(40.0, "push")
        },
        hint(40.0, ""),
        hint(40.0, "a\nb"),
    ] {
        assert_eq!(tell(wrong, 40.0).unwrap_err().reason(), "hint");
    }
    let refused = (0..100).filter(|n| tell(hint(40.0, &format!("n{n}")), 40.0).is_err());
    // the push of 30 is still in force
    assert_eq!(refused.count(), 100 + 1 - MOST_HINTS);
}

#[test]
fn the_reader_is_told_once_per_workload() {
    let inbox = inbox();
    assert!(inbox.arrivals().now_or_never().is_none());
    push(&inbox, 1.0, 2.0).unwrap();
    push(&inbox, 2.0, 2.0).unwrap();
    let news = inbox.arrivals().now_or_never().unwrap();
    assert_eq!(
        news.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
        [NAME]
    );
    assert!(inbox.arrivals().now_or_never().is_none());
    inbox.take(NAME, at(0.0));
    inbox.hint(NAME, hint(2.0, "push"), at(2.0)).unwrap();
    assert_eq!(inbox.arrivals().now_or_never().unwrap().len(), 1);
}

proptest! {
    /// However samples come in, what lies here is sorted, of distinct times, and bounded; and
    /// no sample taken later ends before one taken earlier.
    #[test]
    fn order_and_bounds_hold(
        steps in prop::collection::vec((0_u32..4_000, any::<bool>()), 1..400),
    ) {
        let inbox = inbox();
        let mut last = f64::MIN;
        for (tenth, take) in steps {
            let _ = push(&inbox, f64::from(tenth) / 100.0, 40.0);
            if take && tenth % 7 == 0 {
                for end in ends(&inbox.take(NAME, at(0.0))) {
                    prop_assert!(end > last);
                    last = end;
                }
            }
            let (_, place) = inbox.place(NAME).unwrap();
            prop_assert!(lock(&place).samples.len() <= MOST_SAMPLES);
        }
    }
}
