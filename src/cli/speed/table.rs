//! How the measurements are shown.

use std::fmt::Write as _;

use serde::Serialize;

use super::measure::{Case, Figures, Fleet, Varies};

/// Everything measured.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) fleet: Option<Fleet>,
}

/// One case.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) varies: Varies,
    #[serde(flatten)]
    pub(super) case: Case,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

impl Table {
    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(
            "One workload on one thread: CPU time of a fit and of a forecast in steps of five\n\
             minutes, and by how much memory grew at its peak.\n\n\
             history   ahead  fixtures    fit ms  forecast ms  together ms  peak MB\n",
        );
        let mut last = None;
        for row in &self.rows {
            if last.is_some_and(|last| last != row.varies) {
                text.push('\n');
            }
            last = Some(row.varies);
            let Figures {
                fit_ms,
                predict_ms,
                peak_mb,
            } = row.figures;
            let _ = writeln!(
                text,
                "{:>5} w {:>5} h {:>9} {fit_ms:>9.1} {predict_ms:>12.2} {:>12.1} {:>8}",
                row.case.weeks,
                row.case.hours,
                row.case.fixtures,
                fit_ms + predict_ms,
                megabytes(peak_mb)
            );
        }
        if let Some(fleet) = &self.fleet {
            let each = 1e3 * fleet.cpu_seconds / f64::from(fleet.workloads);
            let _ = writeln!(
                text,
                "\n{} workloads, each {}, on {} threads:\n{:.1} s of wall time, {:.1} s of CPU \
                 time ({each:.1} ms each), peak MB {}",
                fleet.workloads,
                fleet.case,
                fleet.threads,
                fleet.seconds,
                fleet.cpu_seconds,
                megabytes(fleet.peak_mb)
            );
        }
        text
    }
}

/// `?` where the system does not tell.
fn megabytes(figure: Option<f64>) -> String {
    figure.map_or_else(|| "?".to_owned(), |mb| format!("{mb:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_well() {
        let case = Case {
            weeks: 8,
            hours: 48,
            fixtures: 120,
        };
        let row = |varies, case, peak_mb| Row {
            varies,
            case,
            figures: Figures {
                fit_ms: 18.34,
                predict_ms: 1.256,
                peak_mb,
            },
        };
        let table = Table {
            rows: vec![
                row(Varies::History, Case { weeks: 16, ..case }, Some(23.45)),
                row(Varies::Horizon, Case { hours: 168, ..case }, None),
            ],
            fleet: Some(Fleet {
                case,
                workloads: 1_000,
                threads: 2,
                seconds: 12.345,
                cpu_seconds: 20.5,
                peak_mb: Some(40.0),
            }),
        };
        insta::assert_snapshot!(table.text(), @r"
        One workload on one thread: CPU time of a fit and of a forecast in steps of five
        minutes, and by how much memory grew at its peak.

        history   ahead  fixtures    fit ms  forecast ms  together ms  peak MB
           16 w    48 h       120      18.3         1.26         19.6     23.4

            8 w   168 h       120      18.3         1.26         19.6        ?

        1000 workloads, each 8 weeks of history, 48 h ahead, 120 fixtures, on 2 threads:
        12.3 s of wall time, 20.5 s of CPU time (20.5 ms each), peak MB 40.0
        ");
    }
}
