//! What a backtest found: the JSON contract and the table for a terminal.

use std::fmt::Write as _;

use serde::Serialize;

use super::contest::EqualService;
use super::coverage::{Coverage, LeadCoverage, PhaseCoverage};
use super::misses::Miss;
use super::origin::Block;
use super::peaks::WindowPeak;
use super::score::{PerQuantile, Scores};
use crate::plot::Table;
use crate::simulate::Totals;
use crate::units::{Timestamp, decimals, few};

mod peaks;

pub(crate) use peaks::PEAKS_ARE;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Title of the scenario.
    pub title: String,
    /// First moment evaluated.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Fixtures that start within.
    pub fixtures: usize,
    /// Forecast scores of the model that decides; absent when no protocol was asked for.
    pub forecast: Option<ForecastReport>,
    /// Policies, Tipoff first; empty when only forecasts were asked for.
    pub policies: Vec<PolicyReport>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// Forecast scores: those of the first block, then all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForecastReport {
    /// Block of the scores on this level.
    pub protocol: &'static str,
    /// Forecaster.
    pub model: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
    /// Every forecaster under every block.
    pub protocols: Vec<ProtocolReport>,
    /// Coverage of the model that decides, by how far ahead.
    pub coverage_by_lead: Vec<LeadCoverage>,
    /// The same by block and by what fixtures were doing.
    pub coverage_by_phase: Vec<PhaseCoverage>,
    /// Peaks of the windows of fixtures, as forecast and as they came.
    pub windows: Vec<WindowPeak>,
    /// The largest under-forecasts of such peaks, and why.
    pub misses: Vec<Miss>,
}

/// One forecaster under one block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProtocolReport {
    /// Block, for example `D1 0-24h`.
    pub protocol: &'static str,
    /// Forecaster.
    pub model: String,
    /// Scores.
    #[serde(flatten)]
    pub scores: Scores,
}

impl ProtocolReport {
    /// A row.
    pub fn new(block: Block, model: &str, scores: Scores) -> Self {
        Self {
            protocol: block.name(),
            model: model.to_owned(),
            scores,
        }
    }
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyReport {
    /// Name.
    pub name: String,
    /// Units not served.
    pub unserved_requests: f64,
    /// Share of the demand not served.
    pub unserved_ratio: f64,
    /// Seconds in which anything was not served.
    pub under_provisioned_seconds: f64,
    /// Pods paid for, from their creation to their end, times hours.
    pub replica_hours: f64,
    /// Ready pods times hours.
    pub ready_replica_hours: f64,
    /// Largest size asked for.
    pub peak_replicas: u32,
    /// How often the size asked for changed.
    pub scale_events: usize,
    /// Units offered.
    pub offered_requests: f64,
    /// What it costs when tuned, by hindsight, to a level of service.
    pub cost_at_unserved: Vec<CostReport>,
}

/// What one level of service costs a policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostReport {
    /// Share of the demand not served, at most.
    pub unserved_ratio: f64,
    /// Factor on every need that reaches it; absent when none does.
    pub factor: Option<f64>,
    /// Replica-hours then paid.
    pub replica_hours: Option<f64>,
    /// The same over the oracle's, when there is one.
    pub over_oracle: Option<f64>,
}

impl PolicyReport {
    /// From a run's totals.
    pub fn new(name: &str, totals: &Totals) -> Self {
        Self {
            name: name.to_owned(),
            unserved_requests: totals.unserved,
            unserved_ratio: totals.unserved_ratio(),
            under_provisioned_seconds: totals.under_provisioned.num_milliseconds() as f64 / 1e3,
            replica_hours: totals.replica_hours,
            ready_replica_hours: totals.ready_hours,
            peak_replicas: totals.peak_replicas,
            scale_events: totals.scale_events,
            offered_requests: totals.offered,
            cost_at_unserved: Vec::new(),
        }
    }

    /// Adds what a level of service costs it.
    pub fn add_cost(&mut self, unserved: f64, found: Option<EqualService>, oracle: Option<f64>) {
        self.cost_at_unserved.push(CostReport {
            unserved_ratio: unserved,
            factor: found.map(|found| found.factor),
            replica_hours: found.map(|found| found.replica_hours),
            over_oracle: found
                .zip(oracle)
                .map(|(found, oracle)| found.replica_hours / oracle),
        });
    }
}

/// A whole number, its thousands set apart.
pub(crate) fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 && grouped != "0" {
        grouped.insert(0, '-');
    }
    grouped
}

/// A load in units per second: a whole number from a hundred on, and of less what tells one from
/// another.
pub(crate) fn load(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 || x == 0.0 => number(value),
        x if x >= 10.0 => format!("{value:.1}"),
        x => format!("{value:.*}", decimals(x)),
    }
}

/// A share as per cent.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        x if x < 0.001 => "<0.001 %".to_owned(),
        x if x < 1.0 => format!("{x:.3} %"),
        x => format!("{x:.2} %"),
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Seconds as a length people read.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn coverage_head(names: &[&str]) -> Vec<String> {
    let figures = ["points", "p50", "p90", "p95", "p99", "p95/p50"];
    names
        .iter()
        .chain(&figures)
        .map(ToString::to_string)
        .collect()
}

fn coverage_row(mut row: Vec<String>, found: &Coverage) -> Vec<String> {
    let PerQuantile { p50, p90, p95, p99 } = found.coverage;
    row.push(number(found.points as f64));
    row.extend([p50, p90, p95, p99].map(|share| format!("{share:.3}")));
    row.push(format!("{:.2}x", found.width_p95));
    row
}

fn miss_text(miss: &Miss) -> String {
    let peak = &miss.peak;
    format!(
        "{} {:<8}  {:.2}x of {} forecast (p95 {}){}  {}\n{:20}{}\n",
        peak.kickoff.format("%Y-%m-%d %H:%M"),
        peak.protocol.split(' ').next().unwrap_or_default(),
        miss.ratio,
        load(peak.p50),
        load(peak.p95),
        if peak.covered {
            ""
        } else {
            ", above the bound"
        },
        few(&peak.fixtures, NAMED),
        "",
        miss.causes.join("; ")
    )
}

/// Fixtures of a window that are named.
pub(super) const NAMED: usize = 3;

impl Report {
    /// The forecast scores as a table; `None` when there are none.
    pub(super) fn forecast_table(&self) -> Option<Table> {
        let forecast = self.forecast.as_ref()?;
        let head = [
            "protocol",
            "model",
            "WAPE",
            "in events",
            "bias",
            "wQL95",
            "CRPS~",
            "c90",
            "c95",
            "c95 ev",
            "c99",
        ];
        let row = |entry: &ProtocolReport| {
            let Scores {
                wape,
                wape_events,
                bias,
                pinball,
                crps,
                coverage,
                coverage_events,
                ..
            } = entry.scores;
            vec![
                entry.protocol.to_owned(),
                entry.model.clone(),
                ratio(Some(wape)),
                ratio(wape_events),
                format!("{bias:+.3}"),
                ratio(Some(pinball.p95)),
                ratio(Some(crps)),
                ratio(Some(coverage.p90)),
                ratio(Some(coverage.p95)),
                ratio(coverage_events.map(|c: PerQuantile| c.p95)),
                ratio(Some(coverage.p99)),
            ]
        };
        Some(Table {
            head: head.map(str::to_owned).to_vec(),
            rows: forecast.protocols.iter().map(row).collect(),
        })
    }

    /// Coverage by lead as a table; `None` when nothing was scored.
    pub(super) fn lead_table(&self) -> Option<Table> {
        let rows = &self.forecast.as_ref()?.coverage_by_lead;
        (!rows.is_empty()).then(|| Table {
            head: coverage_head(&["ahead"]),
            rows: rows
                .iter()
                .map(|row| coverage_row(vec![row.lead.to_owned()], &row.found))
                .collect(),
        })
    }

    /// Coverage by block and phase as a table; `None` when nothing was scored.
    pub(super) fn phase_table(&self) -> Option<Table> {
        let rows = &self.forecast.as_ref()?.coverage_by_phase;
        (!rows.is_empty()).then(|| Table {
            head: coverage_head(&["protocol", "phase"]),
            rows: rows
                .iter()
                .map(|row| {
                    let names = vec![row.protocol.to_owned(), row.phase.name().to_owned()];
                    coverage_row(names, &row.found)
                })
                .collect(),
        })
    }

    /// The policies as a table.
    pub(super) fn policy_table(&self) -> Table {
        let mut head: Vec<String> = [
            "policy",
            "unserved",
            "share",
            "short for",
            "replica-h",
            "ready-h",
            "peak",
            "changes",
        ]
        .map(str::to_owned)
        .to_vec();
        let levels: Vec<f64> = self
            .policies
            .iter()
            .map(|policy| &policy.cost_at_unserved)
            .max_by_key(|costs| costs.len())
            .map(|costs| costs.iter().map(|cost| cost.unserved_ratio).collect())
            .unwrap_or_default();
        for level in &levels {
            head.push(format!("at {}", percent(*level)));
        }
        let row = |policy: &PolicyReport| {
            let mut row = vec![
                policy.name.clone(),
                number(policy.unserved_requests),
                percent(policy.unserved_ratio),
                span(policy.under_provisioned_seconds),
                number(policy.replica_hours),
                number(policy.ready_replica_hours),
                policy.peak_replicas.to_string(),
                policy.scale_events.to_string(),
            ];
            for place in 0..levels.len() {
                let cost = policy.cost_at_unserved.get(place);
                row.push(
                    match cost.map(|cost| (cost.replica_hours, cost.over_oracle)) {
                        Some((Some(hours), Some(over))) => {
                            format!("{} ({over:.2}x)", number(hours))
                        }
                        Some((Some(hours), None)) => number(hours),
                        _ => "-".to_owned(),
                    },
                );
            }
            row
        };
        Table {
            head,
            rows: self.policies.iter().map(row).collect(),
        }
    }

    /// The table of policies for a terminal.
    pub fn policy_text(&self) -> String {
        let table = self.policy_table().text();
        format!("Policies (replica-hours are paid from a pod's creation)\n{table}")
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}\n{} to {} UTC, {} fixtures\n",
            self.title,
            self.from.format("%Y-%m-%d %H:%M"),
            self.to.format("%Y-%m-%d %H:%M"),
            self.fixtures
        );
        if let Some(table) = self.forecast_table() {
            text.push_str("\nForecasts (WAPE to CRPS~: less is better; c90 to c99: share below)\n");
            text.push_str(&table.text());
        }
        if let Some(table) = self.peak_table() {
            let _ = write!(text, "\nPeaks of windows of fixtures\n{}", table.text());
        }
        for (table, by) in [
            (self.lead_table(), "how far ahead"),
            (self.phase_table(), "phase"),
        ] {
            if let Some(table) = table {
                let _ = write!(
                    text,
                    "\nShare of what came at or below each quantile, by {by}\n{}",
                    table.text()
                );
            }
        }
        if let Some(forecast) = &self.forecast
            && !forecast.misses.is_empty()
        {
            text.push_str("\nPeaks forecast too low, worst first\n");
            for miss in &forecast.misses {
                text.push_str(&miss_text(miss));
            }
        }
        if !self.policies.is_empty() {
            text.push('\n');
            text.push_str(&self.policy_text());
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_service_heads_its_column_without_the_noise_of_floating_point() {
        let mut policy = PolicyReport {
            name: "tipoff".to_owned(),
            unserved_requests: 0.0,
            unserved_ratio: 0.0,
            under_provisioned_seconds: 0.0,
            replica_hours: 1.0,
            ready_replica_hours: 1.0,
            peak_replicas: 1,
            scale_events: 0,
            offered_requests: 0.0,
            cost_at_unserved: Vec::new(),
        };
        policy.add_cost(0.0007, None, None);
        let report = Report {
            title: String::new(),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            fixtures: 0,
            forecast: None,
            policies: vec![policy],
            notes: Vec::new(),
        };
        let head = report.policy_table().head;
        assert_eq!(head.last().map(String::as_str), Some("at 0.070 %"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(number(999.0), "999");
        assert_eq!(number(-0.2), "0");
        assert_eq!(load(1_234.6), "1,235");
        assert_eq!(load(99.96), "100.0");
        assert_eq!(load(12.34), "12.3");
        assert_eq!(load(0.1684), "0.17");
        assert_eq!(load(0.0), "0");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.000_001), "<0.001 %");
        assert_eq!(percent(0.0123), "1.23 %");
        assert_eq!(span(59.0), "59 s");
        assert_eq!(span(8000.0), "2.2 h");
    }
}
