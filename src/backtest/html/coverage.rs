//! Whether the quantiles mean what they say: by how far ahead, and by what fixtures were doing.

use super::super::coverage::Coverage;
use super::super::report::Report;
use crate::forecast::Quantile;
use crate::plot::page::{figure, point_key, table};
use crate::plot::{Axis, Chart, Colour, Layer, Point, Shape};

/// How each quantile is drawn.
const QUANTILES: [(Quantile, Colour, Shape, &str); 4] = [
    (Quantile::P50, Colour::Policy(5), Shape::Ring, "median"),
    (Quantile::P90, Colour::Policy(4), Shape::Diamond, "90 %"),
    (Quantile::P95, Colour::Policy(0), Shape::Dot, "95 %"),
    (Quantile::P99, Colour::Policy(1), Shape::Triangle, "99 %"),
];

/// The section; nothing when nothing was scored.
pub(super) fn section(body: &mut String, report: &Report) {
    let Some(forecast) = &report.forecast else {
        return;
    };
    let (Some(by_lead), Some(by_phase)) = (report.lead_table(), report.phase_table()) else {
        return;
    };
    body.push_str("<h2>Do the quantiles mean what they say?</h2>\n");
    body.push_str(
        "<p class=\"soft\">Share of what came at or below each quantile. A mark on its broken line \
         is as promised; left of it too little was covered, right of it too much was reserved. \
         p95/p50 is the width that bought it. Neighbouring points are alike, so a few hundred of \
         them are worth a few dozen.</p>\n",
    );
    point_key(
        body,
        QUANTILES.map(|(_, colour, shape, name)| (colour, shape, name)),
    );
    body.push_str("<h3>By how far ahead</h3>\n<div class=\"grid\">\n");
    let rows = forecast.coverage_by_lead.iter();
    let rows: Vec<_> = rows.map(|row| (row.lead.to_owned(), row.found)).collect();
    figure(body, &chart("Coverage by how far ahead", &rows), "");
    table(body, &by_lead, "Coverage by how far ahead", 0, 1);
    body.push_str("</div>\n<h3>By what fixtures were doing</h3>\n<div class=\"grid\">\n");
    let rows = forecast.coverage_by_phase.iter().map(|row| {
        let block = row.protocol.split(' ').next().unwrap_or_default();
        (format!("{block} {}", row.phase.name()), row.found)
    });
    figure(
        body,
        &chart("Coverage by protocol and phase", &rows.collect::<Vec<_>>()),
        "Pre-lock: from an hour before the lock to the start; settling: 75 minutes from the end.",
    );
    table(body, &by_phase, "Coverage by protocol and phase", 0, 2);
    body.push_str("</div>\n");
}

/// One row for each set of targets, one mark for each quantile.
fn chart(title: &str, rows: &[(String, Coverage)]) -> Chart {
    let shares = |found: &Coverage| {
        let found = found.coverage;
        [found.p50, found.p90, found.p95, found.p99].map(|share| share * 100.0)
    };
    let least = rows.iter().flat_map(|(_, found)| shares(found));
    let least = least.fold(45.0, f64::min);
    let mut layers = Vec::new();
    for (quantile, colour, ..) in QUANTILES {
        let promised = quantile.probability() * 100.0;
        layers.push(Layer::Line {
            colour,
            width: 1.0,
            dashed: true,
            points: vec![(promised, -0.5), (promised, rows.len() as f64 - 0.5)],
        });
    }
    for (row, (name, found)) in rows.iter().enumerate() {
        let row = row as f64;
        for ((quantile, colour, shape, words), share) in QUANTILES.into_iter().zip(shares(found)) {
            layers.push(Layer::Range {
                colour,
                row,
                from: quantile.probability() * 100.0,
                to: share,
            });
            layers.push(Layer::Points(vec![Point {
                at: (share, row),
                colour,
                shape,
                name: format!("{name}, {words}: {share:.1} % of {} points", found.points),
                tag: String::new(),
            }]));
        }
    }
    Chart {
        title: title.to_owned(),
        description: "Share of what came at or below each quantile, one row for each set of \
                      targets."
            .to_owned(),
        width: 480,
        height: 24 + 30 * u32::try_from(rows.len()).unwrap_or(0) + 12,
        x: Axis::Linear {
            from: (least / 10.0).floor() * 10.0,
            to: 100.5,
            suffix: " %",
        },
        y: Axis::Rows(rows.iter().map(|(name, _)| name.clone()).collect()),
        x_name: String::new(),
        y_name: String::new(),
        spans: Vec::new(),
        layers,
    }
}
