//! What each policy served and paid, and how many replicas it had when.

use std::fmt::Write as _;

use chrono_tz::Tz;

use super::super::Outcome;
use super::over_time::{POINTS, busiest_day, over_time, part};
use crate::plot::page::{figure, key, table};
use crate::plot::{Chart, Colour, area, escape, largest_per_bucket, line};
use crate::simulate::Run;
use crate::units::{Rate, Timestamp};

/// The section; nothing without runs.
pub(super) fn section(body: &mut String, outcome: &Outcome) {
    let report = &outcome.report;
    if outcome.runs.is_empty() {
        return;
    }
    body.push_str("<h2>Policies</h2>\n");
    table(body, &report.policy_table(), "Policies side by side", 1, 1);

    body.push_str("<h2>Demand not served</h2>\n");
    let names = outcome.runs.iter().enumerate();
    key(
        body,
        names.map(|(index, run)| (Colour::Policy(index), run.name.as_str())),
    );
    let whole = (report.from, report.to);
    let sums: Vec<Vec<f64>> = outcome.runs.iter().map(running_sum).collect();
    let most = sums.iter().flatten().copied().fold(0.0, f64::max);
    let lines = sums.iter().enumerate().map(|(index, sums)| {
        let width = if index == 0 { 3.0 } else { 2.0 };
        line(Colour::Policy(index), width, sums, whole)
    });
    let mut chart = over_time(
        outcome,
        (
            "Demand not served so far",
            "Units not served since the start, one line per policy; flat is good.",
        ),
        whole,
        Tz::UTC,
        300,
        most * 1.05,
        lines.collect(),
    );
    "units".clone_into(&mut chart.y_name);
    figure(
        body,
        &chart,
        "Units not served, summed from the start. Shaded: fixtures. Times are UTC.",
    );

    body.push_str("<h2>Replicas of each policy</h2>\n");
    key(
        body,
        [
            (Colour::Need, "replicas the load needs"),
            (Colour::Short, "short: some demand is not served"),
            (
                Colour::Fixture,
                "fixtures, from an hour before to 75 minutes after",
            ),
        ],
    );
    let most = outcome
        .runs
        .iter()
        .flat_map(|run| &run.ready)
        .copied()
        .max()
        .unwrap_or(1);
    for (index, run) in outcome.runs.iter().enumerate() {
        let _ = writeln!(body, "<h3>{}</h3>", escape(&run.name));
        figure(
            body,
            &strip(outcome, index, run, whole, Tz::UTC, f64::from(most)),
            "",
        );
    }
    if let Some(day) = busiest_day(outcome) {
        let _ = writeln!(
            body,
            "<h2>The busiest day: {}</h2>\n<p class=\"soft\">Times are those of {}.</p>",
            day.date.format("%A, %-d %B %Y"),
            outcome.zone
        );
        for (index, run) in outcome.runs.iter().enumerate() {
            let _ = writeln!(body, "<h3>{}</h3>", escape(&run.name));
            let chart = strip(outcome, index, run, day.span, outcome.zone, f64::from(most));
            figure(body, &chart, "");
        }
    }
}

/// One policy: replicas Ready over the replicas the load needs, and where they fell short.
fn strip(
    outcome: &Outcome,
    index: usize,
    run: &Run,
    span: (Timestamp, Timestamp),
    zone: Tz,
    most: f64,
) -> Chart {
    let range = part(run.from, run.step, run.ready.len(), span);
    let ready: Vec<f64> = run.ready[range.clone()]
        .iter()
        .map(|&n| f64::from(n))
        .collect();
    let per_replica = outcome.per_replica.map_or(f64::NAN, Rate::as_per_second);
    let needed: Vec<f64> = run.offered[range.clone()]
        .iter()
        .map(|rate| rate / per_replica)
        .collect();
    let short: Vec<f64> = run.unserved[range.clone()]
        .iter()
        .zip(&needed)
        .map(|(&unserved, &needed)| if unserved > 0.0 { needed } else { f64::NAN })
        .collect();
    let ready = largest_per_bucket(&ready, POINTS);
    // a single short pixel must still be seen: it reaches to its neighbours
    let mut short = largest_per_bucket(&short, POINTS);
    for place in 1..short.len() {
        if short[place - 1].is_finite() && short[place].is_nan() {
            let alone = place < 2 || short[place - 2].is_nan();
            if alone {
                short[place] = short[place - 1];
            }
        }
    }
    over_time(
        outcome,
        (
            &format!("Replicas of {}", run.name),
            "Replicas Ready over time, over the replicas the load needs.",
        ),
        span,
        zone,
        150,
        most * 1.05,
        vec![
            area(
                Colour::Need,
                &largest_per_bucket(&needed, POINTS),
                None,
                span,
            ),
            area(Colour::Short, &short, None, span),
            line(Colour::Policy(index), 2.0, &ready, span),
        ],
    )
}

/// Units not served since the start.
fn running_sum(run: &Run) -> Vec<f64> {
    let seconds = run.step.num_milliseconds() as f64 / 1e3;
    let mut sum = 0.0;
    let sums: Vec<f64> = run
        .unserved
        .iter()
        .map(|rate| {
            sum += rate * seconds;
            sum
        })
        .collect();
    largest_per_bucket(&sums, POINTS)
}
