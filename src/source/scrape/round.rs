//! One second of one workload's pods: ask, count, estimate.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::connection::{self, Connection};
use super::counter::{Counter, Heard, PodRate, Reading};
use super::fleet::{self, Estimate};
use super::panel::Panel;
use super::{ScrapeError, TIMEOUT, Wanted};
use crate::burst::LiveSample;
use crate::clock::SharedClock;
use crate::source::exposition::Selector;
use crate::source::pods::ReadyPod;
use crate::units::{Rate, Timestamp};

/// After this time a round is closed as soon as three quarters have answered: what a few slow pods
/// would add is not worth a later decision.
const PATIENCE: Duration = Duration::from_millis(300);

/// Path of metrics where nobody says another.
const PATH: &str = "/metrics";

/// Failures in a row after which a pod is asked less often.
const FAILURES: u32 = 3;

/// Most rounds such a pod is left alone: after a recovery it must soon count again.
const LONGEST_REST: u32 = 4;

/// Scrapes the pods of one workload.
#[derive(Debug)]
pub struct FleetScraper {
    clock: SharedClock,
    wanted: Wanted,
    /// Shed (if any) before served, for a series counts once; then the queue (if any).
    selectors: Vec<Selector>,
    port: Option<u16>,
    path: Option<String>,
    panel: Panel,
    targets: HashMap<String, Target>,
    /// Ready in the last round already: a pod that just became so has served next to nothing.
    known: HashSet<String>,
    /// End of the last sample.
    sampled_to: Option<Timestamp>,
}

/// What is kept of a pod between two rounds.
#[derive(Debug, Default)]
struct Target {
    connection: Option<Connection>,
    counter: Counter,
    failures: u32,
    rest: u32,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Round {
    /// The demand, when enough pods told theirs.
    pub sample: Option<LiveSample>,
    /// Pods asked that should have told a rate.
    pub asked: usize,
    /// Those that did.
    pub told: usize,
    /// Pods set aside as sick.
    pub sick: usize,
    /// Why pods told none, with the pod's name.
    pub errors: Vec<(String, ScrapeError)>,
}

/// What came of asking one pod.
struct Asked<'p> {
    pod: &'p ReadyPod,
    connection: Option<Connection>,
    outcome: Result<Reading, ScrapeError>,
}

impl FleetScraper {
    /// A scraper that has asked nobody yet. `port` and `path` overrule what pods say.
    pub fn new(
        clock: SharedClock,
        wanted: Wanted,
        port: Option<u16>,
        path: Option<String>,
    ) -> Self {
        let Wanted {
            served,
            shed,
            queued,
        } = wanted.clone();
        let selectors = shed.into_iter().chain([served]).chain(queued).collect();
        Self {
            clock,
            wanted,
            selectors,
            port,
            path,
            panel: Panel::default(),
            targets: HashMap::new(),
            known: HashSet::new(),
            sampled_to: None,
        }
    }

    /// Asks the pods, or a panel of them, once. It takes at most [`TIMEOUT`].
    pub async fn round(&mut self, pods: &[ReadyPod]) -> Round {
        let chosen = self.panel.choose(pods.iter().map(|pod| pod.id.as_str()));
        let chosen: Vec<&ReadyPod> = chosen.into_iter().map(|place| &pods[place]).collect();
        let ids: HashSet<&str> = chosen.iter().map(|pod| pod.id.as_str()).collect();
        self.targets.retain(|id, _| ids.contains(id.as_str()));

        let mut round = Round::default();
        let mut waiting: HashSet<&str> = HashSet::new();
        let mut asking = FuturesUnordered::new();
        for pod in chosen {
            let target = self.targets.entry(pod.id.clone()).or_default();
            if target.rest > 0 {
                let rounds = target.rest;
                target.rest -= 1;
                round.asked += usize::from(self.known.contains(&pod.id));
                round.note(pod, ScrapeError::Resting { rounds });
                continue;
            }
            waiting.insert(&pod.id);
            let connection = target.connection.take();
            asking.push(ask(&self.clock, &self.wanted, &self.selectors, {
                let path = self.path.as_deref().or(pod.path.as_deref());
                Question {
                    pod,
                    port: self.port.or(pod.port),
                    path: path.unwrap_or(PATH),
                    connection,
                }
            }));
        }
        let (total, patience) = (waiting.len(), tokio::time::sleep(PATIENCE));
        tokio::pin!(patience);
        let mut rates = Vec::with_capacity(total);
        let mut impatient = false;
        loop {
            let enough = impatient && waiting.len() * 4 <= total;
            if enough || waiting.is_empty() {
                break;
            }
            tokio::select! {
                asked = asking.next() => {
                    let Some(asked) = asked else { break };
                    waiting.remove(asked.pod.id.as_str());
                    let known = self.known.contains(&asked.pod.id);
                    if let Some(target) = self.targets.get_mut(&asked.pod.id) {
                        rates.extend(target.hear(asked, known, &mut round));
                    }
                }
                () = &mut patience, if !impatient => impatient = true,
            }
        }
        drop(asking);
        for pod in pods.iter().filter(|pod| waiting.contains(pod.id.as_str())) {
            round.asked += usize::from(self.known.contains(&pod.id));
            if let Some(target) = self.targets.get_mut(&pod.id) {
                target.failed();
            }
            round.note(pod, ScrapeError::Timeout);
        }
        round.told = rates.len();
        let there = pods.iter().filter(|pod| self.known.contains(&pod.id));
        if let Some(estimate) = fleet::estimate(there.count(), round.asked, &rates) {
            round.sick = estimate.sick;
            round.sample = self.sample(&estimate, &rates);
        }
        self.known = pods.iter().map(|pod| pod.id.clone()).collect();
        round
    }

    /// The estimate as a sample of the time over which the pods counted, as far as no sample has
    /// covered it.
    fn sample(&mut self, estimate: &Estimate, rates: &[PodRate]) -> Option<LiveSample> {
        let count = rates.len() as f64;
        let counted_at = rates.iter().map(|rate| rate.at.as_secs_f64()).sum::<f64>() / count;
        let counted_for = rates.iter().map(|rate| rate.seconds).sum::<f64>() / count;
        let age = self.clock.monotonic().as_secs_f64() - counted_at;
        let to = self.clock.now() - span(age.max(0.0));
        let mut from = to - span(counted_for);
        // a clock that was set back begins anew
        if let Some(last) = self.sampled_to.filter(|last| *last < to) {
            from = from.max(last);
        }
        let sample = LiveSample {
            from,
            to,
            offered: Rate::per_second(estimate.offered),
            queued: estimate.queued,
            error: estimate.error,
        };
        let sample = sample.validated().ok()?;
        self.sampled_to = Some(to);
        Some(sample)
    }
}

fn span(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1e3).round() as i64)
}

impl Round {
    fn note(&mut self, pod: &ReadyPod, error: ScrapeError) {
        let name = pod.id.split('/').next().unwrap_or_default();
        self.errors.push((name.to_owned(), error));
    }
}

impl Target {
    /// Takes what came of asking; a pod that has no rate to tell yet was not asked for one.
    fn hear(&mut self, asked: Asked<'_>, known: bool, round: &mut Round) -> Option<PodRate> {
        let Asked {
            pod,
            connection,
            outcome,
        } = asked;
        self.connection = connection;
        match outcome.map(|reading| self.counter.hear(reading)) {
            Ok(heard) => {
                self.failures = 0;
                match heard {
                    Heard::Rate(rate) if known => {
                        round.asked += 1;
                        return Some(rate);
                    }
                    Heard::First | Heard::Rate(_) => return None,
                    Heard::Reset => round.note(pod, ScrapeError::Reset),
                }
            }
            Err(error) => {
                self.failed();
                round.note(pod, error);
            }
        }
        round.asked += usize::from(known);
        None
    }

    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.rest = (self.failures - FAILURES + 1).min(LONGEST_REST);
        }
    }
}

/// What one pod is asked.
struct Question<'p> {
    pod: &'p ReadyPod,
    port: Option<u16>,
    path: &'p str,
    connection: Option<Connection>,
}

async fn ask<'p>(
    clock: &SharedClock,
    wanted: &Wanted,
    selectors: &[Selector],
    question: Question<'p>,
) -> Asked<'p> {
    let Question {
        pod,
        port,
        path,
        mut connection,
    } = question;
    let outcome = async {
        if let Some(scheme) = pod.scheme.as_ref().filter(|scheme| *scheme != "http") {
            return Err(ScrapeError::Scheme {
                scheme: scheme.clone(),
            });
        }
        let address = SocketAddr::new(pod.address, port.ok_or(ScrapeError::NoPort)?);
        let scrape = connection::scrape(&mut connection, address, path, selectors);
        let sums = tokio::time::timeout(TIMEOUT, scrape)
            .await
            .map_err(|_| ScrapeError::Timeout)??;
        reading(clock.monotonic(), wanted, &sums)
    };
    let outcome = outcome.await;
    Asked {
        pod,
        connection,
        outcome,
    }
}

/// The sums of a page by what they are. A series of shed units that does not exist yet has shed
/// nothing; one of served units that does not exist may be another name, so it is not zero.
fn reading(at: Duration, wanted: &Wanted, sums: &[Option<f64>]) -> Result<Reading, ScrapeError> {
    let mut sums = sums.iter().copied();
    let shed = wanted.shed.as_ref().and_then(|_| sums.next().flatten());
    let served = sums.next().flatten();
    let queued = wanted.queued.as_ref().and_then(|_| sums.next().flatten());
    let served = served.ok_or_else(|| ScrapeError::NoMetric {
        metric: wanted.served.metric().to_owned(),
    })?;
    Ok(Reading {
        at,
        served,
        shed: shed.unwrap_or(0.0),
        queued,
    })
}
