//! The inbox of the fast loop: live samples and hints of every workload, whoever brings them.
//!
//! Many write and one reads. A workload has a place here while it has a live source; what comes
//! for any other is refused, so the memory is bounded by the number of policies. Samples lie in
//! the order of their time however they came in, and what is late, doubled or from the future is
//! refused and counted by its reason. Taking a sample in costs the same whatever is there already.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::burst::{Hint, LiveSample, SampleError};
use crate::serve::Metrics;
use crate::units::Timestamp;

/// Most samples kept per workload while nobody takes them; the oldest make room.
pub const MOST_SAMPLES: usize = 120;

/// Most hints in force per workload.
pub const MOST_HINTS: usize = 32;

/// How far a sample may be ahead of this clock.
pub const TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// How old a sample may be: what happened before is no news to a loop of seconds.
pub const OLDEST: TimeDelta = TimeDelta::seconds(60);

/// Longest time a hint may be worth anything.
pub const LONGEST_HINT: TimeDelta = TimeDelta::minutes(30);

/// Largest multiple a hint may claim: the largest cover a policy may choose.
const LARGEST_MULTIPLE: f64 = 100.0;

/// Longest name of what a hint is about, bytes.
const LONGEST_KIND: usize = 64;

/// Who brings the samples of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LiveSource {
    /// The pods are asked.
    Scrape,
    /// Prometheus is asked.
    Prometheus,
    /// They are sent here.
    Push,
}

impl LiveSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Scrape, Self::Prometheus, Self::Push];

    /// As policies and metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Scrape => "scrape",
            Self::Prometheus => "prometheus",
            Self::Push => "push",
        }
    }
}

impl fmt::Display for LiveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a sample or hint was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No policy of this name has live signals.
    #[error(
        "no policy {workload:?} with load.live is known here: write namespace/name of the policy, \
         and set its load.live"
    )]
    Unknown {
        /// What was named.
        workload: String,
    },
    /// Another source brings this workload's samples; two would count demand twice.
    #[error(
        "the policy's live source is {expected}, so no {got} sample is taken: set load.live to \
         {got}, or stop sending"
    )]
    Source {
        /// The policy's source.
        expected: LiveSource,
        /// Where the sample is from.
        got: LiveSource,
    },
    /// It is no sample.
    #[error("{0}")]
    Sample(#[from] SampleError),
    /// Newer evidence was decided on already, or it is too old to matter.
    #[error("it is late: {0}")]
    Late(Late),
    /// It was there already.
    #[error("a sample or hint of the same time is there already")]
    Duplicate,
    /// It is from the future.
    #[error(
        "it is {seconds} s ahead of the controller's clock, and at most 2 s are taken: set the clock there"
    )]
    Future {
        /// How far.
        seconds: i64,
    },
    /// It is no hint.
    #[error("{0}")]
    Hint(&'static str),
    /// Too many hints are in force.
    #[error("32 hints are in force for this workload, and no more are kept")]
    TooMany,
}

/// What a late sample is late for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// The reader has gone on.
    #[error("a sample of the same time or a later one has been used")]
    Overtaken,
    /// It is too old by itself.
    #[error("it ended more than 60 s ago")]
    Old,
    /// What it tells of is over.
    #[error("what it tells of is over by now")]
    Over,
}

impl Refused {
    /// Every value of [`Refused::reason`].
    pub const REASONS: [&'static str; 8] = [
        "unknown",
        "source",
        "invalid",
        "late",
        "duplicate",
        "future",
        "hint",
        "too_many",
    ];

    /// A fixed label of low cardinality.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Source { .. } => "source",
            Self::Sample(_) => "invalid",
            Self::Late(_) => "late",
            Self::Duplicate => "duplicate",
            Self::Future { .. } => "future",
            Self::Hint(_) => "hint",
            Self::TooMany => "too_many",
        }
    }
}

/// The inbox. Clones share it.
#[derive(Debug, Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    metrics: Metrics,
    places: RwLock<HashMap<Arc<str>, Arc<Mutex<Place>>>>,
    /// Workloads with something new, each once.
    news: Mutex<Vec<Arc<str>>>,
    arrived: Notify,
}

/// What lies here for one workload.
#[derive(Debug)]
struct Place {
    source: LiveSource,
    /// By their end; ends differ.
    samples: VecDeque<LiveSample>,
    hints: Vec<Hint>,
    /// End of the newest sample that was ever taken out.
    taken_to: Option<Timestamp>,
    /// End of the newest sample that ever came in.
    newest: Option<Timestamp>,
    /// It stands in the list of news.
    told: bool,
}

impl Inbox {
    /// An empty one that counts into these metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                metrics,
                places: RwLock::default(),
                news: Mutex::default(),
                arrived: Notify::new(),
            }),
        }
    }

    /// Takes in what comes for a workload (`namespace/name` of its policy) from now on. Another
    /// source than before starts with nothing.
    pub fn open(&self, workload: &str, source: LiveSource) {
        let mut places = self
            .shared
            .places
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(workload) {
            let mut place = lock(place);
            if place.source != source {
                *place = Place {
                    hints: std::mem::take(&mut place.hints),
                    told: place.told,
                    ..Place::new(source)
                };
            }
            return;
        }
        let place = Arc::new(Mutex::new(Place::new(source)));
        places.insert(workload.into(), place);
    }

    /// Forgets a workload.
    pub fn close(&self, workload: &str) {
        let mut places = self
            .shared
            .places
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        places.remove(workload);
    }

    /// Takes a sample in.
    ///
    /// # Errors
    /// Why it was not, which is counted as well.
    pub fn offer(
        &self,
        workload: &str,
        source: LiveSource,
        sample: LiveSample,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let taken = self.place(workload).and_then(|(name, place)| {
            let mut place = lock(&place);
            place.offer(source, sample, now)?;
            self.tell(name, &mut place);
            Ok(())
        });
        match &taken {
            Ok(()) => self.shared.metrics.live_sample(source),
            Err(refused) => self.shared.metrics.live_refused(refused.reason()),
        }
        taken
    }

    /// Takes a hint in, whatever the workload's live source.
    ///
    /// # Errors
    /// Why it was not, which is counted as well.
    pub fn hint(&self, workload: &str, hint: Hint, now: Timestamp) -> Result<(), Refused> {
        let taken = self.place(workload).and_then(|(name, place)| {
            let mut place = lock(&place);
            place.hint(hint, now)?;
            self.tell(name, &mut place);
            Ok(())
        });
        if let Err(refused) = &taken {
            self.shared.metrics.live_refused(refused.reason());
        }
        taken
    }

    /// Takes out the samples that lie here and ended after `since`, oldest first. Older ones are
    /// dropped, and none that ended before the newest taken one comes later: a decision is not
    /// taken back.
    pub fn take(&self, workload: &str, since: Timestamp) -> Vec<LiveSample> {
        let Ok((_, place)) = self.place(workload) else {
            return Vec::new();
        };
        let mut place = lock(&place);
        place.told = false;
        let samples: Vec<LiveSample> = place
            .samples
            .drain(..)
            .filter(|sample| sample.to > since)
            .collect();
        if let Some(last) = samples.last() {
            place.taken_to = Some(last.to);
        }
        samples
    }

    /// The hints in force for a workload, in the order in which they came in.
    pub fn hints(&self, workload: &str, now: Timestamp) -> Vec<Hint> {
        let Ok((_, place)) = self.place(workload) else {
            return Vec::new();
        };
        let mut place = lock(&place);
        place.hints.retain(|hint| hint.until > now);
        place.hints.clone()
    }

    /// End of the newest sample that ever came in for a workload.
    pub fn newest(&self, workload: &str) -> Option<Timestamp> {
        let (_, place) = self.place(workload).ok()?;
        lock(&place).newest
    }

    /// Waits until something new lies here, and answers with the workloads it is for, each once
    /// until it is taken out. For one reader.
    pub async fn arrivals(&self) -> Vec<Arc<str>> {
        loop {
            let news = std::mem::take(&mut *lock(&self.shared.news));
            if !news.is_empty() {
                return news;
            }
            self.shared.arrived.notified().await;
        }
    }

    fn place(&self, workload: &str) -> Result<(Arc<str>, Arc<Mutex<Place>>), Refused> {
        let places = self
            .shared
            .places
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let found = places.get_key_value(workload);
        found
            .map(|(name, place)| (Arc::clone(name), Arc::clone(place)))
            .ok_or_else(|| Refused::Unknown {
                workload: workload.chars().take(200).collect(),
            })
    }

    fn tell(&self, name: Arc<str>, place: &mut Place) {
        if place.told {
            return;
        }
        place.told = true;
        lock(&self.shared.news).push(name);
        self.shared.arrived.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn new(source: LiveSource) -> Self {
        Self {
            source,
            samples: VecDeque::new(),
            hints: Vec::new(),
            taken_to: None,
            newest: None,
            told: false,
        }
    }

    fn offer(
        &mut self,
        source: LiveSource,
        sample: LiveSample,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if source != self.source {
            return Err(Refused::Source {
                expected: self.source,
                got: source,
            });
        }
        let sample = sample.validated()?;
        self.forget_another_time(now);
        not_ahead(sample.to, now)?;
        if sample.to < now - OLDEST {
            return Err(Refused::Late(Late::Old));
        }
        if self.taken_to.is_some_and(|taken| sample.to <= taken) {
            return Err(Refused::Late(Late::Overtaken));
        }
        // nearly always the last place
        let place = self.samples.partition_point(|other| other.to < sample.to);
        if self
            .samples
            .get(place)
            .is_some_and(|other| other.to == sample.to)
        {
            return Err(Refused::Duplicate);
        }
        self.samples.insert(place, sample);
        if self.samples.len() > MOST_SAMPLES {
            self.samples.pop_front();
        }
        self.newest = self.newest.max(Some(sample.to));
        Ok(())
    }

    /// A clock that was set back leaves evidence from the future behind, beside which everything
    /// new would be late.
    fn forget_another_time(&mut self, now: Timestamp) {
        let ahead = |at: Option<Timestamp>| at.is_some_and(|at| at > now + TOLERANCE);
        if ahead(self.newest) || ahead(self.taken_to) {
            *self = Self {
                hints: std::mem::take(&mut self.hints),
                told: self.told,
                ..Self::new(self.source)
            };
        }
    }

    fn hint(&mut self, hint: Hint, now: Timestamp) -> Result<(), Refused> {
        let Hint {
            at,
            until,
            multiple,
            kind,
        } = &hint;
        not_ahead(*at, now)?;
        if *until <= now {
            return Err(Refused::Late(Late::Over));
        }
        if *until - *at > LONGEST_HINT {
            return Err(Refused::Hint(
                "it must not last longer than 30 min: say it again",
            ));
        }
        if !multiple.is_none_or(|multiple| (1.0..=LARGEST_MULTIPLE).contains(&multiple)) {
            return Err(Refused::Hint("its multiple must be from 1 to 100"));
        }
        if kind.is_empty() || kind.len() > LONGEST_KIND || kind.chars().any(char::is_control) {
            return Err(Refused::Hint(
                "its kind must be 1 to 64 characters, for example touchdown",
            ));
        }
        self.hints.retain(|hint| hint.until > now);
        let same = |other: &Hint| other.at == hint.at && other.kind == hint.kind;
        if self.hints.iter().any(same) {
            return Err(Refused::Duplicate);
        }
        if self.hints.len() >= MOST_HINTS {
            return Err(Refused::TooMany);
        }
        self.hints.push(hint);
        Ok(())
    }
}

fn not_ahead(at: Timestamp, now: Timestamp) -> Result<(), Refused> {
    let ahead = at - now;
    if ahead > TOLERANCE {
        return Err(Refused::Future {
            seconds: ahead.num_seconds(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;
    use crate::units::Rate;

    const NAME: &str = "dfs/checkout";

    fn at(second: f64) -> Timestamp {
        Timestamp::UNIX_EPOCH
            + TimeDelta::days(20_000)
            + TimeDelta::milliseconds((second * 1e3) as i64)
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
}
