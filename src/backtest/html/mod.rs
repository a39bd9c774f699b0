//! The report as one self-contained HTML file, a section a room.

use std::fmt::Write as _;

use super::Outcome;
use super::report::{PEAKS_ARE, Report, number, percent};
use crate::plot::{escape, page};

mod bands;
mod coverage;
mod learnt;
mod over_time;
mod peaks;
mod policies;

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
    // what the figures of peaks are of stands under their table
    let notes = report.notes.iter().filter(|note| *note != PEAKS_ARE);
    let notes: Vec<String> = notes.cloned().collect();
    if !notes.is_empty() {
        page::notes(&mut body, &notes);
    }
    page::whole(&format!("{} · Tipoff backtest", report.title), &body)
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
