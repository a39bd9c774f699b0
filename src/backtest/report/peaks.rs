//! Scores of the peaks of windows of fixtures, and what they are of.

use super::super::score::PeakScores;
use super::{ProtocolReport, Report, ratio};
use crate::plot::Table;

/// What stands for the predicted peak of a window.
fn judged_by(peaks: PeakScores) -> String {
    match peaks.windows - peaks.published {
        0 => "published".to_owned(),
        of_path if of_path == peaks.windows => "path's top".to_owned(),
        of_path => format!("{} published, {of_path} path's top", peaks.published),
    }
}

/// What the figures of peaks are of, for whoever reads them.
pub(crate) const PEAKS_ARE: &str = "\
Figures of peaks: a peak is the largest five minutes of a window of fixtures. \"published\": the \
forecast's own peak of the window, from the last forecast of its distance, four hours or more \
before the start under D1 (just after midnight UTC the one that D2 has too) and an hour or more \
under H4; all figures are of it. \"path's top\": none \
was published in time (never by the baselines, nor by nowcasts), and the highest value of each \
quantile's path within the window stands for it. bias: the geometric mean of the median over what \
came; |ln|: the mean size of that ratio's logarithm; lowest: the smallest ratio; time: the median \
distance of the expected moment; margin: the 95 % bound over what came.";

impl Report {
    /// The scores of the peaks as a table; `None` when no window was scored.
    pub(in crate::backtest) fn peak_table(&self) -> Option<Table> {
        let head = [
            "protocol", "model", "peak is", "windows", "|ln|", "bias", "lowest", "time", "c95",
            "c99", "margin",
        ];
        let row = |entry: &ProtocolReport| {
            let peaks = entry.scores.peaks?;
            let share = |value: f64| ratio(Some(value));
            Some(vec![
                entry.protocol.to_owned(),
                entry.model.clone(),
                judged_by(peaks),
                peaks.windows.to_string(),
                share(peaks.abs_ln),
                share(peaks.bias),
                share(peaks.worst_under),
                format!("{:.0}m", peaks.time_error_minutes),
                share(peaks.coverage_p95),
                share(peaks.coverage_p99),
                share(peaks.margin_p95),
            ])
        };
        let protocols = &self.forecast.as_ref()?.protocols;
        let rows: Vec<_> = protocols.iter().filter_map(row).collect();
        (!rows.is_empty()).then(|| Table {
            head: head.map(str::to_owned).to_vec(),
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_stands_for_a_peak() {
        let of = |published| PeakScores {
            windows: 4,
            published,
            abs_ln: 0.1,
            bias: 1.0,
            worst_under: 0.5,
            time_error_minutes: 5.0,
            coverage_p95: 1.0,
            coverage_p99: 1.0,
            margin_p95: 1.5,
        };
        assert_eq!(
            [4, 0, 3].map(|published| judged_by(of(published))),
            ["published", "path's top", "3 published, 1 path's top"]
        );
    }
}
