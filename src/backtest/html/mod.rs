//! The report as one self-contained HTML file: no script, no font, nothing fetched.
//!
//! Readable on a phone (wide parts scroll), in print and in the dark; every chart has a name and
//! a description, and every text from outside is escaped.

use std::fmt::Write as _;

use super::Outcome;
use super::report::{Report, number, percent};
use crate::plot::{escape, style};

mod bands;
mod coverage;
mod learnt;
pub(crate) mod parts;
mod peaks;
mod policies;

pub(crate) const STYLE: &str = "\
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:66rem;background:var(--page);\
color:var(--ink);font:1rem/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;line-height:1.3;\
margin:2.4rem 0 .4rem}h3{font-size:1rem;margin:1.2rem 0 .2rem;font-weight:600}\
p{margin:.4rem 0;max-width:46rem}.soft,figcaption{color:var(--soft);font-size:.9rem}\
figcaption{max-width:46rem}.scroll{overflow-x:auto}figure{margin:.6rem 0}\
figure svg{display:block;width:100%;height:auto}figure.wide svg{min-width:46rem}\
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,25rem),1fr));\
gap:.4rem 2rem;align-items:start}\
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .5rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}\
th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600}\
table.two td:nth-child(2),table.two th:nth-child(2){text-align:left}\
table.dense{font-size:.8rem}table.dense th,table.dense td{padding:.3rem .35rem}\
table.dense th:first-child,table.dense td:first-child{padding-left:0}tr.own td{font-weight:600}.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;\
margin:.3rem 0;list-style:none;font-size:.9rem}.key i{display:inline-block;width:1.1rem;\
height:.7rem;margin-right:.4rem;border-radius:2px}.key svg{width:1rem;height:1rem;\
margin-right:.3rem;vertical-align:-.15rem}\
ol.misses{padding-left:1.6rem;max-width:52rem}ol.misses li{margin:.6rem 0}\
ol.misses b{font-weight:600}ol.misses li::marker{font-weight:600;color:var(--short)}\
@media print{body{max-width:none;padding:0;font-size:.85rem}h2,h3{break-after:avoid}\
figure,table,li{break-inside:avoid}figure.wide svg{min-width:0}.scroll{overflow:visible}\
table{font-size:.62rem}th,td{padding:.15rem .25rem}.grid{grid-template-columns:1fr 1fr}}";

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
    policies::section(&mut body, outcome);
    bands::section(&mut body, outcome);
    coverage::section(&mut body, report);
    peaks::section(&mut body, report);
    learnt::section(&mut body, outcome);
    if !report.notes.is_empty() {
        body.push_str("<h2>What to know about these figures</h2>\n");
        for note in &report.notes {
            let _ = writeln!(body, "<p>{}</p>", escape(note));
        }
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{} · Tipoff backtest</title>\n<style>{}{STYLE}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n</body>\n</html>\n",
        escape(&report.title),
        style()
    )
}

/// The finding in a sentence or two.
fn lead(report: &Report) -> String {
    format!("{}{}", cost(report), quality(report))
}

/// What the policies served and paid.
fn cost(report: &Report) -> String {
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

/// How good the forecast was.
fn quality(report: &Report) -> String {
    let Some(forecast) = &report.forecast else {
        return String::new();
    };
    let scores = &forecast.scores;
    let whole = |share: f64| format!("{:.0} %", share * 100.0);
    let mut text = format!(
        "Forecast {}: the median was off by {} of the load",
        forecast.protocol,
        whole(scores.wape)
    );
    let rival = forecast
        .protocols
        .iter()
        .filter(|row| row.protocol == forecast.protocol && row.model != forecast.model)
        .min_by(|a, b| a.scores.wape.total_cmp(&b.scores.wape));
    if let Some(rival) = rival {
        let _ = write!(text, ", {} by {}", rival.model, whole(rival.scores.wape));
    }
    let _ = write!(
        text,
        ". {} of what came lay under the 95 % quantile",
        whole(scores.coverage.p95)
    );
    if let Some(events) = scores.coverage_events {
        let _ = write!(text, ", {} around fixtures", whole(events.p95));
    }
    if let Some(peaks) = scores.peaks {
        let _ = write!(
            text,
            "; {} of {} peaks lay under their bound, which stood at {:.2} times what came",
            whole(peaks.coverage_p95),
            peaks.windows,
            peaks.margin_p95
        );
    }
    format!("<p>{}.</p>\n", escape(&text))
}
