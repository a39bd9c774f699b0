//! Replays a span of history: how good the forecasts were, and what each autoscaler would have
//! served and paid.
//!
//! Forecasts are issued at rolling origins from what was known then; the policies run on a
//! simulated cluster. Reads no files: the caller gives load and fixtures.

use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;

use crate::forecast::{
    EventResponse, Evidence, Fit as _, FitError, FixtureIntensity, Forecast, Forecaster,
    ResponseCurve,
};
use crate::series::Series;
use crate::series::faults::Faults;
use crate::simulate::{Outlook, Run};
use crate::units::{HumanDuration, Rate, Timestamp};

pub mod as_of;
pub mod challengers;
pub mod contest;
pub mod coverage;
mod declared;
pub mod forecasts;
pub mod html;
pub mod misses;
pub mod origin;
pub mod peaks;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod score;

pub use report::Report;
pub use scenario::{Scenario, ScenarioError};

use contest::{Contest, at_all_levels, has_knob, hindsight, issue_times, policy_horizon, run_all};
use coverage::Tally;
use forecasts::{BlockScores, Targets, score};
use origin::{Protocol, TARGET};
use replay::Replay;
use report::{ForecastReport, PolicyReport, ProtocolReport};
use scenario::Arena;
use scenario::peers::ORACLE;

/// Name of the forecaster that decides.
const DECIDES: &str = "event-response";

/// Why a backtest could not be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BacktestError {
    /// The load does not cover the evaluated span.
    #[error(
        "the load covers {first} to {last}, but evaluate asks for {from} to {to}: give a longer \
         load file or a span within it"
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
    /// A forecaster could not be fitted.
    #[error("evaluate.from: {model} cannot forecast from {} on", .from.format("%FT%TZ"))]
    Fit {
        /// Which.
        model: &'static str,
        /// Start of what is evaluated.
        from: Timestamp,
        /// Why.
        source: FitError,
    },
}

/// A backtest and all that a plot of it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The figures.
    pub report: Report,
    /// The audience's clock.
    pub zone: Tz,
    /// Five-minute targets and the windows of fixtures.
    pub targets: Targets,
    /// Quantiles per target of the deciding forecaster, by block.
    pub bands: Vec<BlockScores>,
    /// What the deciding forecaster, fitted on everything, has learnt of each competition's
    /// fixtures; empty when not available.
    pub curves: Vec<ResponseCurve>,
    /// How big the fixtures of the span were; empty when not available.
    pub intensities: Vec<FixtureIntensity>,
    /// Every policy's run, Tipoff first; empty when only forecasts were asked for.
    pub runs: Vec<Run>,
    /// Load one ready replica served; absent without runs.
    pub per_replica: Option<Rate>,
}

/// What a backtest says and gives while it runs.
pub trait Listener {
    /// One line of progress.
    fn progress(&mut self, line: &str);

    /// A scored forecast of the deciding model.
    fn forecast(&mut self, _: Protocol, _: &Forecast) {}
}

/// Runs a scenario on what is known of its workload.
///
/// # Errors
/// When the span is not covered by the load or the history before it is too short to learn from.
pub fn run(
    scenario: &Scenario,
    known: Evidence<'_>,
    listener: &mut dyn Listener,
) -> Result<Outcome, BacktestError> {
    let Evidence {
        load,
        calendar,
        faults,
        ..
    } = known;
    let (from, to) = (scenario.evaluate.from, scenario.evaluate.to);
    if load.start() > from || load.end() < to {
        return Err(BacktestError::SpanNotCovered {
            first: load.start(),
            last: load.end(),
            from,
            to,
        });
    }
    let targets = Targets::new(known, from, to);
    let (forecast, bands) = judge(scenario, known, &targets, listener)?;
    let mut report = Report {
        title: scenario.title.clone(),
        from,
        to,
        fixtures: calendar.starting_between(from, to).len(),
        forecast,
        policies: Vec::new(),
        notes: notes(scenario, load, faults),
    };
    if report.peak_table().is_some() {
        report.notes.insert(0, report::PEAKS_ARE.to_owned());
    }
    // what nobody asked to be scored needs no explanation either
    let (curves, intensities) = match report.forecast {
        Some(_) => learnt(scenario, known)?,
        None => (Vec::new(), Vec::new()),
    };
    let mut runs = Vec::new();
    if let Some(arena) = &scenario.arena {
        let outlook = Arc::new(issue(scenario, arena, known, listener)?);
        let offered = declared::offered(load, faults);
        let contest = Contest::new(scenario, arena, (&offered, calendar), outlook);
        runs = run_all(&contest, |run| {
            let totals = run.totals();
            listener.progress(&format!(
                "{}: {} not served, {} replica-hours",
                run.name,
                report::percent(totals.unserved_ratio()),
                report::number(totals.replica_hours)
            ));
        });
        let rows = runs
            .iter()
            .map(|run| PolicyReport::new(&run.name, &run.totals()));
        report.policies = rows.collect();
        let levels = &scenario.equal_service;
        equal_service(&contest, levels, &mut report.policies, listener);
    }
    Ok(Outcome {
        report,
        zone: scenario.zone,
        targets,
        bands,
        curves,
        intensities,
        runs,
        per_replica: scenario
            .arena
            .as_ref()
            .map(|arena| arena.cluster.per_replica),
    })
}

/// What the deciding forecaster has learnt by the end of the span: the response of load to each
/// competition, and how big the fixtures of the span were.
fn learnt(
    scenario: &Scenario,
    known: Evidence<'_>,
) -> Result<(Vec<ResponseCurve>, Vec<FixtureIntensity>), BacktestError> {
    let (from, to) = (scenario.evaluate.from, scenario.evaluate.to);
    let known = Evidence {
        load: &known.load.before(to),
        calendar: &known.calendar.as_of(to),
        entries: &known.entries.before(to),
        faults: &known.faults.before(to),
    };
    let fitted = EventResponse::new(scenario.zone).fit(known, to);
    let fitted = fitted.map_err(|source| BacktestError::Fit {
        model: DECIDES,
        from: scenario.evaluate.from,
        source,
    })?;
    let mut intensities = fitted.intensities(known);
    intensities.retain(|fixture| fixture.start >= from);
    Ok((fitted.response_curves(), intensities))
}

/// Scores all forecasters, and looks closer at the one that decides. Gives its report and bands.
fn judge(
    scenario: &Scenario,
    known: Evidence<'_>,
    targets: &Targets,
    listener: &mut dyn Listener,
) -> Result<(Option<ForecastReport>, Vec<BlockScores>), BacktestError> {
    let doing = coverage::activities(targets, known.calendar);
    let mut tally = Tally::new(targets, &doing);
    let bands = score_models(scenario, known, targets, &mut tally, listener)?;
    let protocols: Vec<ProtocolReport> = sorted_rows(&bands);
    let Some(decides) = bands.first().map(|first| first.model.clone()) else {
        return Ok((None, Vec::new()));
    };
    let own: Vec<BlockScores> = bands.into_iter().filter(|b| b.model == decides).collect();
    let peaks = own
        .iter()
        .flat_map(|band| peaks::window_peaks(targets, band, known.calendar));
    let report = ForecastReport {
        protocol: own[0].block.name(),
        model: decides,
        scores: own[0].scores,
        protocols,
        coverage_by_lead: tally.by_lead(),
        coverage_by_phase: tally.by_phase(),
        windows: peaks.collect(),
        misses: misses::worst(known, scenario.zone, targets, &own),
    };
    Ok((Some(report), own))
}

/// Scores the deciding forecaster, and beside it those that know no fixtures.
fn score_models(
    scenario: &Scenario,
    known: Evidence<'_>,
    targets: &Targets,
    tally: &mut Tally<'_>,
    listener: &mut dyn Listener,
) -> Result<Vec<BlockScores>, BacktestError> {
    let protocols = &scenario.forecast.protocols;
    let refit = scenario.forecast.refit;
    let span = (
        scenario.evaluate.from - TimeDelta::days(2),
        scenario.evaluate.to,
    );
    // the challengers have a core of their own: together they take about as long as the first
    let (own, others) = std::thread::scope(|scope| {
        let others = scope.spawn(|| -> Result<Vec<BlockScores>, BacktestError> {
            let challengers = scenario.forecast.challengers.iter();
            let scored = challengers
                .map(|challenger| challenger.scored(known, targets, protocols, refit, span));
            Ok(scored.collect::<Result<Vec<_>, _>>()?.concat())
        });
        let model = Forecaster::new(scenario.zone);
        let mut replay = Replay::new(&model, known, refit, span);
        let own = score(&mut replay, targets, protocols, |protocol, forecast| {
            tally.add(protocol, forecast);
            listener.forecast(protocol, forecast);
        });
        (own, others.join())
    });
    let mut bands = own.map_err(|source| BacktestError::Fit {
        model: DECIDES,
        from: scenario.evaluate.from,
        source,
    })?;
    for band in &mut bands {
        // whoever stood in for it at the last origin
        DECIDES.clone_into(&mut band.model);
    }
    match others {
        Ok(others) => bands.extend(others?),
        Err(panic) => std::panic::resume_unwind(panic),
    }
    for band in &bands {
        listener.progress(&format!(
            "{} {}: WAPE {:.3}",
            band.model,
            band.block.name(),
            band.scores.wape
        ));
    }
    Ok(bands)
}

/// Rows by block, within a block in the order of the models.
fn sorted_rows(bands: &[BlockScores]) -> Vec<ProtocolReport> {
    let mut sorted: Vec<&BlockScores> = bands.iter().collect();
    sorted.sort_by_key(|band| band.block);
    sorted
        .into_iter()
        .map(|band| ProtocolReport::new(band.block, &band.model, band.scores))
        .collect()
}

/// Issues the forecasts the policy decides by.
fn issue(
    scenario: &Scenario,
    arena: &Arena,
    known: Evidence<'_>,
    listener: &mut dyn Listener,
) -> Result<Outlook, BacktestError> {
    let to = scenario.evaluate.to;
    let from = (scenario.evaluate.from - scenario.simulation.warm_up).max(known.load.start());
    let model = Forecaster::new(scenario.zone);
    let mut replay = Replay::new(&model, known, scenario.forecast.refit, (from, to));
    let horizon = policy_horizon(arena, scenario.forecast.reissue);
    let mut issued = Vec::new();
    for origin in issue_times(scenario, from) {
        let forecast = replay.forecast(origin, horizon, TARGET);
        issued.push(Arc::new(forecast.map_err(|source| BacktestError::Fit {
            model: DECIDES,
            from: scenario.evaluate.from,
            source,
        })?));
    }
    listener.progress(&format!(
        "{} forecasts issued every {} from {} fits",
        issued.len(),
        HumanDuration(scenario.forecast.reissue),
        replay.fits()
    ));
    let versions = as_of::versions(known.calendar, from, to);
    // a decision asks for fixtures from a day back to the end of its forecast
    let after = TimeDelta::days(2) + horizon;
    let versions = as_of::cut_to_days(&versions, to, TimeDelta::days(2), after);
    Ok(Outlook::new(issued, versions))
}

/// Finds what each level of service costs each policy that has a knob.
fn equal_service(
    contest: &Contest<'_>,
    levels: &[f64],
    policies: &mut [PolicyReport],
    listener: &mut dyn Listener,
) {
    if levels.is_empty() {
        return;
    }
    let oracle = policies
        .iter()
        .find(|policy| policy.name == ORACLE)
        .map(|oracle| oracle.replica_hours);
    // one search takes tens of runs: each policy's goes its own way
    std::thread::scope(|scope| {
        let searches: Vec<_> = policies
            .iter_mut()
            .enumerate()
            .filter_map(|(place, policy)| {
                // Tipoff comes first, then the peers in their order
                let peer = place.checked_sub(1).map(|peer| &contest.peers[peer]);
                let search = move || at_all_levels(contest, peer, levels);
                peer.is_none_or(has_knob)
                    .then(|| (policy, scope.spawn(search)))
            })
            .collect();
        for (policy, search) in searches {
            let Ok(found) = search.join() else {
                continue;
            };
            for (&level, found) in levels.iter().zip(found) {
                policy.add_cost(level, found, oracle);
            }
            listener.progress(&format!("{}: cost at equal service found", policy.name));
        }
    });
}

/// What a reader of the figures must know.
fn notes(scenario: &Scenario, load: &Series, faults: &Faults) -> Vec<String> {
    let (from, to) = (scenario.evaluate.from, scenario.evaluate.to);
    let mut notes = Vec::new();
    if let Some(arena) = &scenario.arena {
        notes.push(format!(
            "Simulated in steps of {}; pods ready {} after the decision at p95; the load metric is \
             a {} mean, {} late.",
            HumanDuration(scenario.simulation.step),
            HumanDuration(arena.cluster.model.start_up.p95()),
            HumanDuration(load.step()),
            HumanDuration(scenario.metric_lag)
        ));
        notes.extend(hindsight(&scenario.peers));
        if !scenario.equal_service.is_empty() {
            notes.push(
                "Cost at equal service: every need of a policy is multiplied by the smallest \
                 factor, found by hindsight, that leaves no more than this share unserved. In \
                 brackets: over the oracle's."
                    .to_owned(),
            );
        }
    }
    let gaps = load.between(from, to).gaps();
    if gaps > 0 {
        notes.push(format!(
            "{gaps} bins of the load are missing in this span: nothing is offered in them and no \
             forecast is scored."
        ));
    }
    let faulty = declared::wanted(load, faults).between(from, to).gaps() - gaps;
    if faulty > 0 {
        let offered = match scenario.arena {
            Some(_) => {
                ", and nothing is offered but what came in spans of saturated, shed and bots"
            }
            None => "",
        };
        notes.push(format!(
            "{faulty} bins of the load lie in declared faults: no forecast is scored in them, nor \
             the peak of a window that has any of them{offered}."
        ));
    }
    notes
}
