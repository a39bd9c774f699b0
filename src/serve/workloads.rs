//! The last plan of each workload and the facts it was made from, for people and for replays.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Serialize, Serializer};

use super::Standing;
use crate::forecast::Forecast;
use crate::plan::{
    BridgesSeen, BurstSight, ManualOverride, Mode, Observed, Plan, Signal, Workload,
};
use crate::units::Timestamp;

/// One decision, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub name: String,
    /// What is scaled, for example `Deployment/contest-entry`.
    pub target: String,
    /// Whether it may be.
    pub mode: Mode,
    /// The facts.
    pub observed: Facts,
    /// How far the forecast can be trusted.
    #[serde(serialize_with = "shared")]
    pub standing: Option<Arc<Standing>>,
    /// The answer, with its reasons and the memory it leaves.
    pub plan: Plan,
    /// Why it was not made by the policy as it is written, but as it last could be used; `None`
    /// when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What keeps the answer from being carried out; `None` when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<Unwritten>,
    /// Why it is an old answer; `None` while decisions are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<Undecided>,
}

/// Why a size that was decided is not the workload's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unwritten {
    /// True when it was tried; false when it was held back, as by a follower.
    pub failed: bool,
    /// In words.
    pub reason: String,
}

/// Why nothing is decided any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Undecided {
    /// The first moment at which nothing was.
    pub since: Timestamp,
    /// In words.
    pub reason: String,
}

/// [`Observed`] as it can be shown: the forecast whole, the calendar by what it covers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The workload.
    pub workload: Workload,
    /// Load served.
    pub load: Signal,
    /// Load shed.
    pub shed: Option<Signal>,
    /// Load queued.
    pub queued: Option<Signal>,
    /// What the fast loop sees.
    pub burst: BurstSight,
    /// The forecast.
    #[serde(serialize_with = "shared")]
    pub forecast: Option<Arc<Forecast>>,
    /// What is wrong with the forecast.
    pub forecast_note: Option<String>,
    /// The fixtures.
    pub calendar: CalendarFacts,
    /// Why fixtures are missing from it, or faults from what was learnt.
    pub lists_note: Option<String>,
    /// An order by a person.
    pub manual: Option<ManualOverride>,
    /// What stands of the bridges.
    pub bridges: BridgesSeen,
}

#[expect(clippy::ref_option, reason = "the signature serde calls")]
fn shared<T: Serialize, S: Serializer>(
    value: &Option<Arc<T>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}

/// A calendar in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CalendarFacts {
    /// How many fixtures it has.
    pub fixtures: usize,
    /// Those that cover the time of the decision.
    pub covering: Vec<FixtureFacts>,
}

/// A fixture in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FixtureFacts {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// When it starts.
    pub start: Timestamp,
}

impl Facts {
    /// The facts of a decision made at `now`.
    pub fn new(observed: &Observed, now: Timestamp) -> Self {
        let Observed {
            workload,
            load,
            shed,
            queued,
            burst,
            forecast,
            forecast_note,
            calendar,
            lists_note,
            manual,
            bridges,
        } = observed;
        let covering = calendar
            .covering(now)
            .into_iter()
            .map(|(fixture, _)| FixtureFacts {
                id: fixture.id.to_string(),
                title: fixture.title(),
                start: fixture.start.at,
            })
            .collect();
        Self {
            workload: *workload,
            load: load.clone(),
            shed: shed.clone(),
            queued: queued.clone(),
            burst: burst.clone(),
            forecast: forecast.clone(),
            forecast_note: forecast_note.clone(),
            calendar: CalendarFacts {
                fixtures: calendar.len(),
                covering,
            },
            lists_note: lists_note.clone(),
            manual: manual.clone(),
            bridges: *bridges,
        }
    }
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Namespace of the policy.
    pub namespace: String,
    /// Name of the policy.
    pub name: String,
    /// What is scaled. It and what follows is `None` while nothing has ever been decided.
    pub target: Option<String>,
    /// Whether it may be.
    pub mode: Option<Mode>,
    /// Replicas now.
    pub current: Option<u32>,
    /// Replicas Ready now.
    pub ready: Option<u32>,
    /// Replicas wanted.
    pub desired: Option<u32>,
    /// Ready capacity over offered load.
    pub headroom: Option<f64>,
    /// The sentence a person reads first.
    pub summary: String,
    /// How many signals are missing, stale or not a number, and one more each when the policy
    /// cannot be used as it is written, and when the answer could not be written or there is none.
    pub problems: usize,
    /// When it was decided.
    pub at: Option<Timestamp>,
}

impl Undecided {
    /// The sentence a person reads first.
    fn sentence(&self) -> String {
        let Self { since, reason } = self;
        let since = since.format("%Y-%m-%d %H:%M:%S UTC");
        format!("nothing decided since {since}: {reason}")
    }
}

impl Report {
    /// The sentence a person reads first.
    fn sentence(&self) -> String {
        let mut summary = self.plan.summary.clone();
        if let Some(refused) = &self.refused {
            summary.push_str("; the policy is not followed as it is written: ");
            summary.push_str(refused);
        }
        match (&self.undecided, &self.unwritten) {
            (Some(undecided), _) => undecided.sentence(),
            (None, Some(Unwritten { failed, reason })) => {
                let what = if *failed { "not written" } else { "held back" };
                format!("{summary}; {what}: {reason}")
            }
            (None, None) => summary,
        }
    }

    /// Facts that are missing, a policy that cannot be used as it is written, an answer that could
    /// not be carried out, or none at all.
    pub fn problems(&self) -> usize {
        let failed = self.unwritten.as_ref().is_some_and(|why| why.failed);
        let others = [failed, self.refused.is_some(), self.undecided.is_some()];
        self.plan.problems.len() + others.into_iter().filter(|there| *there).count()
    }
}

/// What can be shown of a workload.
#[derive(Debug)]
enum Known {
    /// The last decision.
    Decided(Arc<Report>),
    /// There never was one.
    Never(Undecided),
}

impl Known {
    fn summary(&self, (namespace, name): &Key) -> Summary {
        let (namespace, name) = (namespace.clone(), name.clone());
        match self {
            Self::Decided(report) => Summary {
                namespace,
                name,
                target: Some(report.target.clone()),
                mode: Some(report.mode),
                current: Some(report.observed.workload.replicas),
                ready: Some(report.observed.workload.ready),
                desired: Some(report.plan.desired),
                headroom: report.plan.headroom,
                summary: report.sentence(),
                problems: report.problems(),
                at: Some(report.plan.at),
            },
            Self::Never(undecided) => Summary {
                namespace,
                name,
                target: None,
                mode: None,
                current: None,
                ready: None,
                desired: None,
                headroom: None,
                summary: undecided.sentence(),
                problems: 1,
                at: None,
            },
        }
    }
}

type Key = (String, String);

/// What is known of each workload. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Workloads {
    known: Arc<RwLock<BTreeMap<Key, Known>>>,
}

impl Workloads {
    /// Shows a decision in place of the one before it.
    pub fn put(&self, report: Report) {
        let key = (report.namespace.clone(), report.name.clone());
        self.write().insert(key, Known::Decided(Arc::new(report)));
    }

    /// Says of a workload that at `now` nothing could be decided. Its last decision, if there ever
    /// was one, stays to be read.
    pub fn undecided(&self, namespace: &str, name: &str, now: Timestamp, reason: &str) {
        let mut undecided = Undecided {
            since: now,
            reason: reason.to_owned(),
        };
        match self.write().entry((namespace.to_owned(), name.to_owned())) {
            Entry::Occupied(mut known) => match known.get_mut() {
                Known::Decided(report) => {
                    let report = Arc::make_mut(report);
                    if let Some(last) = &report.undecided {
                        undecided.since = last.since;
                    }
                    report.undecided = Some(undecided);
                }
                Known::Never(last) => {
                    undecided.since = last.since;
                    *last = undecided;
                }
            },
            Entry::Vacant(place) => {
                place.insert(Known::Never(undecided));
            }
        }
    }

    /// Forgets a workload whose policy is gone.
    pub fn remove(&self, namespace: &str, name: &str) {
        self.write()
            .remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// The last decision about a workload.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Report>> {
        match self.read().get(&(namespace.to_owned(), name.to_owned()))? {
            Known::Decided(report) => Some(Arc::clone(report)),
            Known::Never(_) => None,
        }
    }

    /// A workload in short.
    pub fn summary(&self, namespace: &str, name: &str) -> Option<Summary> {
        let key = (namespace.to_owned(), name.to_owned());
        self.read().get(&key).map(|known| known.summary(&key))
    }

    /// All of them in short, by namespace and name.
    pub fn summaries(&self) -> Vec<Summary> {
        let known = self.read();
        known
            .iter()
            .map(|(key, known)| known.summary(key))
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Key, Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Key, Known>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
