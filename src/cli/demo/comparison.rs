//! The same Sunday through the simulator: Tipoff by the same brain, and the autoscalers people
//! use today.

use chrono::TimeDelta;

use super::stage::{PER_REPLICA, REPLICAS, START_UP, STEP, Sunday};
use crate::backtest::report::PolicyReport;
use crate::backtest::scenario::{self, ScenarioError};
use crate::backtest::{self, BacktestError, Listener, Outcome};
use crate::forecast::Evidence;
use crate::simulate::Run;

/// Why the comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComparisonError {
    /// The demo's own scenario is faulty.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// It did not run.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
}

struct Silent;

impl Listener for Silent {
    fn progress(&mut self, line: &str) {
        tracing::debug!(line, "comparison");
    }
}

/// Runs the Sunday through the simulator.
pub(super) fn backtest(sunday: &Sunday) -> Result<Outcome, ComparisonError> {
    let scenario = scenario::parse(&scenario_text(sunday), "demo")?;
    let load = sunday.traffic.series(
        sunday.history_from(),
        sunday.to + TimeDelta::minutes(1),
        STEP,
    );
    Ok(backtest::run(
        &scenario,
        Evidence::new(&load, &sunday.calendar),
        &mut Silent,
    )?)
}

/// The demo's world in the words of a scenario. Nobody has a warm-up, for the controller of the
/// demo has none: all begin at nine with the same replicas Ready.
fn scenario_text(sunday: &Sunday) -> String {
    let (min, max) = REPLICAS;
    let (median, p95) = START_UP;
    let time = |at: crate::units::Timestamp| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    format!(
        "title: A generated NFL Sunday at the real kick-off times of 10 September 2023\n\
         load: {{file: generated}}\n\
         zone: America/New_York\n\
         evaluate: {{from: {from}, to: {to}}}\n\
         forecast: {{protocols: [h4]}}\n\
         cluster:\n  perReplica: {PER_REPLICA}\n  startUp: {{lognormal: {{median: {median}s, p95: {p95}s}}}}\n\
         policy: {{minReplicas: {min}, maxReplicas: {max}, capacity: {{perReplica: {PER_REPLICA}}}}}\n\
         peers:\n  - hpa: {{target: 0.7}}\n  - hpa: {{target: 0.5}}\n  - hpa: {{target: 0.7, metric: cpu}}\n  \
         - kedaCron: {{}}\n  - staticPeak\n  - oracle\n\
         simulation: {{step: {step}s, warmUp: 0s}}\nseed: 1\n",
        step = STEP.num_seconds(),
        from = time(sunday.from),
        to = time(sunday.to),
    )
}

/// The comparison with what the demo's own controller did in front.
pub(super) fn with_measured(mut outcome: Outcome, measured: Run) -> Outcome {
    let row = PolicyReport::new(&measured.name, &measured.totals());
    for policy in &mut outcome.report.policies {
        if policy.name == "tipoff" {
            "tipoff (simulated)".clone_into(&mut policy.name);
        }
    }
    for run in &mut outcome.runs {
        if run.name == "tipoff" {
            "tipoff (simulated)".clone_into(&mut run.name);
        }
    }
    outcome.report.policies.insert(0, row);
    outcome.runs.insert(0, measured);
    outcome.report.notes.push(
        "The first row is what the controller did on the embedded cluster just now; the others are \
         simulated on the same load. Generated traffic proves that the machinery works, not how \
         large your crowd is."
            .to_owned(),
    );
    outcome
}
