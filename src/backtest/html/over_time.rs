//! What every section of the report is made of: figures, keys, tables, charts over time.

use std::fmt::Write as _;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::super::Outcome;
use super::super::origin::TARGET;
use super::super::report::Table;
use crate::plot::{
    Axis, Chart, Colour, Layer, Shape, Span, bucket_points, escape, seconds, symbol,
};
use crate::units::Timestamp;

/// Points of a line in a chart over time.
pub(crate) const POINTS: usize = 900;

/// Indices of `count` equal steps from `start` that lie in a span.
pub(crate) fn part(
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

/// A line through values of equal parts of a span.
pub(crate) fn line(
    colour: Colour,
    width: f64,
    values: &[f64],
    (from, to): (Timestamp, Timestamp),
) -> Layer {
    Layer::Line {
        colour,
        width,
        dashed: false,
        points: bucket_points(values, from, to),
    }
}

/// An area under values of equal parts of a span, down to others or to zero.
pub(crate) fn area(
    colour: Colour,
    upper: &[f64],
    lower: Option<&[f64]>,
    (from, to): (Timestamp, Timestamp),
) -> Layer {
    let edges = bucket_points(upper, from, to).into_iter().enumerate();
    Layer::Area {
        colour,
        opacity: 1.0,
        band: edges
            .map(|(index, (x, high))| (x, lower.map_or(0.0, |lower| lower[index]), high))
            .collect(),
    }
}

/// A chart over time with the windows of fixtures shaded.
pub(super) fn over_time(
    outcome: &Outcome,
    (title, description): (&str, &str),
    (from, to): (Timestamp, Timestamp),
    height: u32,
    top: f64,
    layers: Vec<Layer>,
) -> Chart {
    let target =
        |index: usize| outcome.targets.from + TARGET * i32::try_from(index).unwrap_or(i32::MAX);
    let windows = outcome.targets.windows.iter();
    let spans = windows
        .map(|window| (target(window.first), target(window.end)))
        .filter(|&(begin, end)| end > from && begin < to)
        .map(|(begin, end)| Span {
            from: seconds(begin.max(from)),
            to: seconds(end.min(to)),
            name: String::new(),
        })
        .collect();
    Chart {
        title: title.to_owned(),
        description: description.to_owned(),
        width: 1000,
        height,
        x: Axis::Time {
            from,
            to,
            zone: Tz::UTC,
        },
        y: Axis::Linear {
            from: 0.0,
            to: top.max(1e-3),
            suffix: "",
        },
        x_name: String::new(),
        y_name: String::new(),
        spans,
        layers,
    }
}

/// The UTC day with the largest load, when the span is longer than two.
pub(super) fn busiest_day(outcome: &Outcome) -> Option<(Timestamp, Timestamp)> {
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
    let at = targets.from + TARGET * i32::try_from(place).ok()?;
    let day = at.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
    let from = day.max(report.from);
    Some((from, (day + TimeDelta::days(1)).min(report.to)))
}

/// A chart in the page. A wide one scrolls on a narrow screen.
pub(crate) fn figure(body: &mut String, chart: &Chart, caption: &str) {
    let class = if chart.width >= 900 {
        " class=\"wide\""
    } else {
        ""
    };
    let _ = write!(
        body,
        "<figure{class}><div class=\"scroll\">{}</div>",
        chart.svg()
    );
    if !caption.is_empty() {
        let _ = write!(body, "<figcaption>{}</figcaption>", escape(caption));
    }
    body.push_str("</figure>\n");
}

/// What the colours of a chart stand for.
pub(crate) fn key<'a>(body: &mut String, entries: impl IntoIterator<Item = (Colour, &'a str)>) {
    body.push_str("<ul class=\"key\">");
    for (colour, text) in entries {
        let _ = write!(
            body,
            "<li><i style=\"background:var(--{})\"></i>{}</li>",
            colour.name(),
            escape(text)
        );
    }
    body.push_str("</ul>\n");
}

/// What the points of a chart stand for.
pub(crate) fn point_key<'a>(
    body: &mut String,
    entries: impl IntoIterator<Item = (Colour, Shape, &'a str)>,
) {
    body.push_str("<ul class=\"key\">");
    for (colour, shape, text) in entries {
        let _ = write!(body, "<li>{}{}</li>", symbol(colour, shape), escape(text));
    }
    body.push_str("</ul>\n");
}

/// A table; the first `own_rows` stand out, the first `names` columns are words.
pub(crate) fn table(
    body: &mut String,
    table: &Table,
    caption: &str,
    own_rows: usize,
    names: usize,
) {
    let mut class = String::new();
    if names > 1 {
        class.push_str("two ");
    }
    // many columns stand closer, so that a screen holds them
    if table.head.len() > 7 {
        class.push_str("dense");
    }
    let _ = write!(
        body,
        "<div class=\"scroll\"><table class=\"{class}\" aria-label=\"{}\"><thead><tr>",
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
