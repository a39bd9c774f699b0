//! The forecast band against what came, and the scores beside the baselines.

use std::fmt::Write as _;

use chrono_tz::Tz;

use super::super::Outcome;
use super::super::origin::{Block, TARGET};
use super::super::report::PEAKS_ARE;
use super::over_time::{POINTS, busiest_day, over_time, part};
use crate::plot::page::{figure, key, table};
use crate::plot::{Chart, Colour, area, escape, largest_per_bucket, line};
use crate::units::Timestamp;

/// The section; nothing when nothing was scored.
pub(super) fn section(body: &mut String, outcome: &Outcome) {
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
                Tz::UTC,
            ),
            "Five-minute means; the largest in each pixel. Times are UTC.",
        );
        if let Some(day) = busiest_day(outcome) {
            figure(
                body,
                &band_chart(
                    outcome,
                    block.name(),
                    &band.quantiles,
                    day.span,
                    outcome.zone,
                ),
                &format!(
                    "The same on {}. Times are those of {}.",
                    day.date.format("%A, %-d %B %Y"),
                    outcome.zone
                ),
            );
        }
    }
    body.push_str("<h2>Forecast scores</h2>\n");
    table(body, &scores, "Forecast scores by protocol and model", 0, 2);
    body.push_str(
        "<p class=\"soft\">WAPE, wQL95 and CRPS~: less is better. c90 to c99: share of what came \
         at or below the quantile, in all and in windows of fixtures (ev).</p>\n",
    );
    if let Some(peaks) = report.peak_table() {
        body.push_str("<h3>Of peaks</h3>\n");
        table(body, &peaks, "Scores of peaks by protocol and model", 0, 3);
        let _ = writeln!(body, "<p class=\"soft\">{}</p>", escape(PEAKS_ARE));
    }
}

fn band_chart(
    outcome: &Outcome,
    name: &str,
    quantiles: &[[f64; 4]],
    span: (Timestamp, Timestamp),
    zone: Tz,
) -> Chart {
    let targets = &outcome.targets;
    let range = part(targets.from, TARGET, targets.actual.len(), span);
    let path = |index: usize| -> Vec<f64> {
        let values: Vec<f64> = quantiles[range.clone()].iter().map(|q| q[index]).collect();
        largest_per_bucket(&values, POINTS)
    };
    let actual = largest_per_bucket(&targets.actual[range.clone()], POINTS);
    // one wild night must not flatten every other day
    let highest = |values: &[f64]| {
        let known = values.iter().copied().filter(|value| value.is_finite());
        known.fold(0.0, f64::max)
    };
    let (median, upper) = (path(0), path(2));
    let came = highest(&actual);
    let top = (came.max(highest(&upper)) * 1.05).min(came * 2.5);
    let mut chart = over_time(
        outcome,
        (
            &format!("Forecast {name} and what came"),
            "Load over time: the forecast band from median to 95 % quantile, and what came.",
        ),
        span,
        zone,
        300,
        top,
        vec![
            area(Colour::Band, &upper, Some(&median), span),
            line(Colour::Median, 1.2, &median, span),
            line(Colour::Actual, 1.8, &actual, span),
        ],
    );
    "units per second".clone_into(&mut chart.y_name);
    chart
}
