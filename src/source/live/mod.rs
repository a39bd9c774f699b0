//! The inbox of the fast loop: live samples and hints of every workload, whoever brings them.
//!
//! Many write and one reads. A workload has a place here while it has a live source; what comes
//! for any other is refused, so the memory is bounded by the number of policies. Samples lie in
//! the order of their time however they came in, and what is late, doubled or from the future is
//! refused and counted by its reason. Taking a sample in costs the same whatever is there already.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::burst::{Hint, LiveSample};
use crate::serve::Metrics;
use crate::units::Timestamp;

mod place;
mod refused;
#[cfg(test)]
mod tests;

use place::Place;
pub use refused::{Late, Refused};

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
