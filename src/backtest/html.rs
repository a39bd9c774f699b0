//! The report as one self-contained HTML file: no script, no font, nothing fetched.
//!
//! Readable on a phone (wide parts scroll), in print and in the dark; every chart has a name and
//! a description, and every text from outside is escaped.

use std::fmt::Write as _;

use chrono::TimeDelta;

use super::Outcome;
use super::origin::Block;
use super::plot::{Area, Chart, Colour, Line, escape, largest_per_bucket};
use super::report::{Report, Table, number, percent};
use crate::simulate::Run;
use crate::units::Timestamp;

/// Points of a line in a chart.
const POINTS: usize = 900;

const STYLE: &str = "\
:root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#57606a;--grid:#e3e6ea;\
--actual:#1b1f24;--need:#c3c8ce;--median:#0072b2;--band:#a9cfe6;--fixture:#fff3d6;--short:#d1242f;\
--policy-0:#0072b2;--policy-1:#d55e00;--policy-2:#c98500;--policy-3:#a8517f;--policy-4:#00795a;\
--policy-5:#7a4fd1;--policy-6:#6e7781;--policy-7:#1b1f24}\
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--ink:#e6edf3;--soft:#9aa4af;\
--grid:#2b323b;--actual:#e6edf3;--need:#4b535d;--median:#58b4e8;--band:#20506d;--fixture:#2d2714;\
--short:#ff7b72;--policy-0:#58b4e8;--policy-1:#ff9a57;--policy-2:#f0b429;--policy-3:#e090bd;\
--policy-4:#3fd0a4;--policy-5:#b79cf7;--policy-6:#9aa4af;--policy-7:#e6edf3}}\
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:66rem;background:var(--page);\
color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}\
h3{font-size:1rem;margin:1.2rem 0 .2rem;font-weight:600}p{margin:.4rem 0;max-width:46rem}\
.soft,figcaption{color:var(--soft);font-size:.9rem}.scroll{overflow-x:auto}\
figure{margin:.6rem 0}figure svg{display:block;width:100%;min-width:40rem;height:auto}\
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .5rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}\
th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600}\
tr.own td{font-weight:600}.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;\
margin:.3rem 0;list-style:none;font-size:.9rem}.key i{display:inline-block;width:1.1rem;\
height:.7rem;margin-right:.4rem;border-radius:2px}\
@media print{body{max-width:none;padding:0;font-size:.85rem}figure,table{break-inside:avoid}\
figure svg{min-width:0}.scroll{overflow:visible}table{font-size:.62rem}th,td{padding:.15rem .25rem}}";

/// The page of an outcome.
pub fn page(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let mut body = String::new();
    let _ = write!(
        body,
        "<h1>{}</h1>\n<p class=\"soft\">{} to {} UTC · {} fixtures</p>\n{}",
        escape(&report.title),
        report.from.format("%-d %B %Y %H:%M"),
        report.to.format("%-d %B %Y %H:%M"),
        report.fixtures,
        lead(report)
    );
    policies(&mut body, outcome);
    forecasts(&mut body, outcome);
    if !report.notes.is_empty() {
        body.push_str("<h2>What to know about these figures</h2>\n");
        for note in &report.notes {
            let _ = writeln!(body, "<p>{}</p>", escape(note));
        }
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{} · Tipoff backtest</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n</body>\n</html>\n",
        escape(&report.title)
    )
}

/// The finding in a sentence or two.
fn lead(report: &Report) -> String {
    let Some((own, peers)) = report.policies.split_first() else {
        return String::new();
    };
    let mut text = format!(
        "Tipoff left {} of the demand unserved at {} replica-hours",
        percent(own.unserved_ratio),
        number(own.replica_hours)
    );
    if let Some(hpa) = peers.iter().find(|peer| peer.name.starts_with("hpa")) {
        let _ = write!(
            text,
            "; {} left {} at {}",
            hpa.name,
            percent(hpa.unserved_ratio),
            number(hpa.replica_hours)
        );
        let both = own.cost_at_unserved.iter().zip(&hpa.cost_at_unserved);
        for (mine, theirs) in both {
            if let (Some(mine_hours), Some(their_hours)) =
                (mine.replica_hours, theirs.replica_hours)
            {
                let saved = 1.0 - mine_hours / their_hours;
                let _ = write!(
                    text,
                    ". At {} unserved Tipoff pays {:.0} % {} than it",
                    percent(mine.unserved_ratio),
                    saved.abs() * 100.0,
                    if saved >= 0.0 { "less" } else { "more" }
                );
            }
        }
    }
    format!("<p>{}.</p>\n", escape(&text))
}

fn policies(body: &mut String, outcome: &Outcome) {
    let report = &outcome.report;
    body.push_str("<h2>Policies</h2>\n");
    table(body, &report.policy_table(), "Policies side by side", 1);

    body.push_str("<h2>Demand not served</h2>\n");
    let names = outcome.runs.iter().enumerate();
    key(
        body,
        names
            .clone()
            .map(|(index, run)| (Colour::Policy(index), run.name.as_str())),
    );
    let lines: Vec<Line> = names
        .clone()
        .map(|(index, run)| Line {
            colour: Colour::Policy(index),
            values: running_sum(run),
            width: if index == 0 { 3 } else { 2 },
        })
        .collect();
    figure(
        body,
        &chart(
            outcome,
            "Demand not served so far",
            "Units not served since the start, one line per policy; flat is good.",
            (report.from, report.to),
            300,
            Vec::new(),
            lines,
        ),
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
        let whole = (report.from, report.to);
        figure(
            body,
            &strip(outcome, index, run, whole, f64::from(most)),
            "",
        );
    }
    if let Some(day) = busiest_day(outcome) {
        let _ = writeln!(
            body,
            "<h2>The busiest day: {}</h2>",
            day.0.format("%A, %-d %B %Y")
        );
        for (index, run) in outcome.runs.iter().enumerate() {
            let _ = writeln!(body, "<h3>{}</h3>", escape(&run.name));
            figure(body, &strip(outcome, index, run, day, f64::from(most)), "");
        }
    }
}

fn forecasts(body: &mut String, outcome: &Outcome) {
    let report = &outcome.report;
    let Some(scores) = report.forecast_table() else {
        return;
    };
    body.push_str("<h2>Forecast against what came</h2>\n");
    key(
        body,
        [
            (Colour::Actual, "what came"),
            (Colour::Median, "median forecast"),
            (Colour::Band, "median to 95 % quantile"),
            (
                Colour::Fixture,
                "fixtures, from an hour before to 75 minutes after",
            ),
        ],
    );
    for block in [Block::D1, Block::H4, Block::N15] {
        let Some(band) = outcome.bands.iter().find(|band| band.block == block) else {
            continue;
        };
        let _ = writeln!(body, "<h3>{}</h3>", escape(block.name()));
        figure(
            body,
            &band_chart(
                outcome,
                block.name(),
                &band.quantiles,
                (report.from, report.to),
            ),
            "Units per second, five-minute means; the largest in each pixel. Times are UTC.",
        );
        if let Some(day) = busiest_day(outcome) {
            figure(
                body,
                &band_chart(outcome, block.name(), &band.quantiles, day),
                &format!("The same on {}.", day.0.format("%A, %-d %B %Y")),
            );
        }
    }
    body.push_str("<h2>Forecast scores</h2>\n");
    table(body, &scores, "Forecast scores by protocol and model", 0);
    body.push_str(
        "<p class=\"soft\">WAPE, wQL95 and CRPS~: less is better. c90 to c99: share of what came \
         at or below the quantile, in all and in windows of fixtures (ev). peak: the largest \
         value of each window; margin: its 95 % bound over what came.</p>\n",
    );
}

/// Indices of `count` equal steps from `start` that lie in a span.
fn part(
    start: Timestamp,
    step: TimeDelta,
    count: usize,
    (from, to): (Timestamp, Timestamp),
) -> std::ops::Range<usize> {
    let index = |at: Timestamp| {
        let steps = (at - start).num_milliseconds() / step.num_milliseconds().max(1);
        (steps.max(0) as usize).min(count)
    };
    index(from)..index(to).max(index(from))
}

fn band_chart(
    outcome: &Outcome,
    name: &str,
    quantiles: &[[f64; 4]],
    span: (Timestamp, Timestamp),
) -> Chart {
    let targets = &outcome.targets;
    let range = part(
        targets.from,
        super::origin::TARGET,
        targets.actual.len(),
        span,
    );
    let path = |index: usize| -> Vec<f64> {
        let values: Vec<f64> = quantiles[range.clone()].iter().map(|q| q[index]).collect();
        largest_per_bucket(&values, POINTS)
    };
    let actual = largest_per_bucket(&targets.actual[range.clone()], POINTS);
    let mut chart = chart(
        outcome,
        &format!("Forecast {name} and what came"),
        "Load over time: the forecast band from median to 95 % quantile, and what came.",
        span,
        300,
        vec![Area {
            colour: Colour::Band,
            opacity: 1.0,
            upper: path(2),
            lower: Some(path(0)),
        }],
        vec![
            Line {
                colour: Colour::Median,
                values: path(0),
                width: 1,
            },
            Line {
                colour: Colour::Actual,
                values: actual.clone(),
                width: 2,
            },
        ],
    );
    // one wild night must not flatten every other day
    let came = actual.iter().copied().filter(|v| v.is_finite());
    let came = came.fold(0.0, f64::max);
    let said = path(2).into_iter().filter(|v| v.is_finite());
    chart.top = Some((said.fold(came, f64::max) * 1.05).min(came * 2.5));
    chart
}

/// One policy: replicas Ready over the replicas the load needs, and where they fell short.
fn strip(
    outcome: &Outcome,
    index: usize,
    run: &Run,
    span: (Timestamp, Timestamp),
    most: f64,
) -> Chart {
    let range = part(run.from, run.step, run.ready.len(), span);
    let ready: Vec<f64> = run.ready[range.clone()]
        .iter()
        .map(|&n| f64::from(n))
        .collect();
    let per_replica = outcome.per_replica.as_per_second();
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
    let mut chart = chart(
        outcome,
        &format!("Replicas of {}", run.name),
        "Replicas Ready over time, over the replicas the load needs.",
        span,
        150,
        vec![
            Area {
                colour: Colour::Need,
                opacity: 1.0,
                upper: largest_per_bucket(&needed, POINTS),
                lower: None,
            },
            Area {
                colour: Colour::Short,
                opacity: 1.0,
                upper: short,
                lower: None,
            },
        ],
        vec![Line {
            colour: Colour::Policy(index),
            values: ready,
            width: 2,
        }],
    );
    chart.top = Some(most * 1.05);
    chart
}

fn chart(
    outcome: &Outcome,
    title: &str,
    description: &str,
    (from, to): (Timestamp, Timestamp),
    height: u32,
    areas: Vec<Area>,
    lines: Vec<Line>,
) -> Chart {
    let target = |index: usize| {
        outcome.targets.from + super::origin::TARGET * i32::try_from(index).unwrap_or(i32::MAX)
    };
    let spans = outcome
        .targets
        .windows
        .iter()
        .map(|window| (target(window.first), target(window.end)))
        .filter(|&(begin, end)| end > from && begin < to)
        .collect();
    Chart {
        title: title.to_owned(),
        description: description.to_owned(),
        from,
        to,
        height,
        top: None,
        spans,
        areas,
        lines,
    }
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

/// The UTC day with the largest load, when the span is longer than two.
fn busiest_day(outcome: &Outcome) -> Option<(Timestamp, Timestamp)> {
    let report = &outcome.report;
    if report.to - report.from <= TimeDelta::days(2) {
        return None;
    }
    let targets = &outcome.targets;
    let (place, _) = targets
        .actual
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let at = targets.from + super::origin::TARGET * i32::try_from(place).ok()?;
    let day = at.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
    let from = day.max(report.from);
    Some((from, (day + TimeDelta::days(1)).min(report.to)))
}

fn figure(body: &mut String, chart: &Chart, caption: &str) {
    let _ = write!(body, "<figure><div class=\"scroll\">{}</div>", chart.svg());
    if !caption.is_empty() {
        let _ = write!(body, "<figcaption>{}</figcaption>", escape(caption));
    }
    body.push_str("</figure>\n");
}

fn key<'a>(body: &mut String, entries: impl IntoIterator<Item = (Colour, &'a str)>) {
    body.push_str("<ul class=\"key\">");
    for (colour, text) in entries {
        let _ = write!(
            body,
            "<li><i style=\"background:var({})\"></i>{}</li>",
            colour.variable(),
            escape(text)
        );
    }
    body.push_str("</ul>\n");
}

fn table(body: &mut String, table: &Table, caption: &str, own_rows: usize) {
    let _ = write!(
        body,
        "<div class=\"scroll\"><table aria-label=\"{}\"><thead><tr>",
        escape(caption)
    );
    for cell in &table.head {
        let _ = write!(body, "<th scope=\"col\">{}</th>", escape(cell));
    }
    body.push_str("</tr></thead><tbody>\n");
    for (index, row) in table.rows.iter().enumerate() {
        body.push_str(if index < own_rows {
            "<tr class=\"own\">"
        } else {
            "<tr>"
        });
        for cell in row {
            let _ = write!(body, "<td>{}</td>", escape(cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}
