//! Replays game days second by second: through both loops of Tipoff, and through what people use
//! today, on the same simulated cluster.
//!
//! The same `plan` and the same watch over live samples decide that decide in the controller.
//! Reads no files: the caller gives load and fixtures.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backtest::contest::{Contest, TIPOFF, has_knob};
use crate::backtest::report::{number, percent};
use crate::backtest::scenario::Peer;
use crate::burst::LearntSpikes;
use crate::fixture::Calendar;
use crate::forecast::FitError;
use crate::plan::policy::LiveCover;
use crate::series::Series;
use crate::series::resample::ResampleError;
use crate::simulate::{Results, Run, SeenSpike, run as simulate};
use crate::units::Timestamp;

pub mod day;
pub mod equal_cost;
pub mod html;
pub mod report;
pub mod scenario;
pub mod strip;
pub mod surges;

pub use day::Day;
pub use report::Report;
pub use scenario::Scenario;

use report::{DayReport, PolicyDay, date};
use strip::DayPicture;

/// What a scenario's files hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Materials {
    /// Fixtures.
    pub calendar: Calendar,
    /// Where the load comes from.
    pub source: Source,
}

/// Where the load comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The generator, with games as they were played, where that is known.
    Generated(Results),
    /// A recording.
    Recorded {
        /// By the second.
        seconds: Series,
        /// The weeks before, coarser.
        history: Option<Series>,
    },
}

/// Why a replay could not be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The load does not cover a span.
    #[error(
        "the load covers {first} to {last}, but {from} to {to} is asked for: give a longer load \
         file or a span within it"
    )]
    SpanNotCovered {
        /// Start of the load.
        first: Timestamp,
        /// End of the load.
        last: Timestamp,
        /// Start asked for.
        from: Timestamp,
        /// End asked for.
        to: Timestamp,
    },
    /// The scenario names a recording and none was given.
    #[error("load.recorded: no load was read; give the file")]
    NoLoad,
    /// The forecaster could not be fitted.
    #[error("the forecaster cannot forecast: {0}")]
    Fit(FitError),
    /// A load whose step does not divide five minutes.
    #[error("the load cannot be brought to steps of 5 minutes: {0}")]
    Step(ResampleError),
    /// History and load lie on different grids.
    #[error("history and load begin at different fractions of 5 minutes: begin both on whole ones")]
    Grid,
}

/// A replay and all that a picture of it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The figures.
    pub report: Report,
    /// What each day looked like.
    pub pictures: Vec<DayPicture>,
}

/// Runs a scenario on `workers` threads; `progress` is told a line now and then.
///
/// # Errors
/// When the load does not cover a span, or the history before it is too short to learn from.
pub fn run(
    scenario: &Scenario,
    materials: &Materials,
    workers: usize,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Outcome, ReplayError> {
    let prepared = each(workers, &scenario.spans, |&span| {
        let day = Day::prepare(scenario, materials, span)?;
        progress(&format!(
            "{}: {} fixtures, {} scoring plays, {} surges, {} forecasts",
            date(day.span.from, scenario.zone),
            day.calendar.starting_between(span.from, span.to).len(),
            day.marks.len(),
            day.surges.len(),
            day.outlook.forecasts().len(),
        ));
        Ok(day)
    });
    let days = prepared.into_iter().collect::<Result<Vec<Day>, _>>()?;
    let learnt = learnt_before(scenario, &days);
    let learnt_on: Vec<_> = days.iter().zip(learnt).collect();
    let replayed = each(workers, &learnt_on, |&(day, learnt)| {
        replay_day(scenario, day, learnt, progress)
    });
    let (reports, pictures) = replayed.into_iter().unzip();
    let mut report = Report::new(scenario, reports);
    if scenario.equal_cost {
        report.equal_cost = equal_cost::all(scenario, &days, &report, workers, progress);
        let own = report.policies.first();
        let own = own.filter(|_| !report.equal_cost.is_empty());
        let told = own.and_then(equal_cost::without_ratios);
        report.notes.extend(told);
    }
    Ok(Outcome { report, pictures })
}

/// The contest of one day.
pub(crate) fn contest<'a>(
    scenario: &'a Scenario,
    day: &'a Day,
    learnt: LearntSpikes,
) -> Contest<'a> {
    Contest {
        span: day.span,
        simulation: scenario.simulation,
        view: scenario.view,
        seed: scenario.seed,
        peers: &scenario.peers,
        arena: &scenario.arena,
        load: &day.load,
        calendar: &day.calendar,
        outlook: std::sync::Arc::clone(&day.outlook),
        learnt,
    }
}

/// What the fast loop had learnt of spikes before each day, from the days that were over by then: a
/// controller keeps it in the status from one Sunday to the next. What is seen does not depend on
/// the size of the workload, so one pass serves every cover.
fn learnt_before(scenario: &Scenario, days: &[Day]) -> Vec<LearntSpikes> {
    let mut before = vec![LearntSpikes::default(); days.len()];
    if scenario.view.live_lag.is_none() {
        return before;
    }
    let mut order: Vec<usize> = (0..days.len()).collect();
    order.sort_by_key(|&day| days[day].span.from);
    let mut over: Vec<(Timestamp, LearntSpikes)> = Vec::new();
    for day in order {
        let begin = days[day].load.start();
        let known = over.iter().rev().find(|(end, _)| *end <= begin);
        before[day] = known.map_or_else(LearntSpikes::default, |(_, learnt)| *learnt);
        let contest = contest(scenario, &days[day], before[day]);
        let mut tipoff = contest.tipoff(1.0);
        simulate(&contest.world(), &mut tipoff);
        over.push((days[day].span.to, tipoff.learnt_spikes()));
    }
    before
}

/// Runs every policy through one day.
fn replay_day(
    scenario: &Scenario,
    day: &Day,
    learnt: LearntSpikes,
    progress: &(dyn Fn(&str) + Sync),
) -> (DayReport, DayPicture) {
    let contest = contest(scenario, day, learnt);
    let world = contest.world();
    let mut policies = Vec::new();
    let mut picture = DayPicture::new(day, scenario.arena.cluster.per_replica, scenario.zone);
    let mut keep = |record: &Run, seen: &[SeenSpike]| {
        let seen: Vec<SeenSpike> = seen
            .iter()
            .copied()
            .filter(|spike| spike.at >= day.span.from)
            .collect();
        let row = PolicyDay::new(record, &day.surges, world.per_replica, &seen);
        picture.add(record, &seen);
        policies.push(row);
    };
    let covers = scenario.covers.iter();
    let tipoffs = std::iter::once(contest.tipoff(1.0)).chain(covers.map(|&cover| {
        let name = match cover {
            LiveCover::Multiple(multiple) => format!("{TIPOFF}-{multiple}x"),
            LiveCover::Share(_) => format!("{TIPOFF}-auto"),
        };
        contest.tipoff_covering(&name, cover)
    }));
    // what the bridge is worth
    let bridged = scenario.arena.policy.bridges.cpu.is_some();
    let plain = bridged.then(|| contest.tipoff_without_resize());
    let tipoffs = tipoffs.chain(plain);
    for mut policy in tipoffs {
        let record = simulate(&world, &mut policy);
        keep(&record, policy.seen_spikes());
    }
    for peer in &scenario.peers {
        let record = simulate(&world, contest.peer(peer, 1.0).as_mut());
        keep(&record, &[]);
    }
    let told: Vec<String> = policies
        .iter()
        .map(|policy| {
            format!(
                "{} {} at {}",
                policy.name,
                percent(policy.totals.unserved_ratio()),
                number(policy.totals.replica_hours)
            )
        })
        .collect();
    progress(&format!(
        "{}: not served, replica-hours: {}",
        date(day.span.from, scenario.zone),
        told.join("; ")
    ));
    let report = DayReport::new(day, policies);
    (report, picture)
}

/// Applies `work` to every item on so many threads; results are in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(
    workers: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    if let Ok(mut slot) = results[index].lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    // a worker that panicked has already brought the scope down
    results
        .into_iter()
        .filter_map(|slot| slot.into_inner().ok().flatten())
        .collect()
}

#[cfg(test)]
mod tests;
