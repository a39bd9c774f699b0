//! Peaks as they were forecast and as they came, and the worst misses with their causes.

use std::fmt::Write as _;

use super::super::misses::Miss;
use super::super::origin::Block;
use super::super::peaks::WindowPeak;
use super::super::report::{NAMED, Report, load};
use crate::plot::page::{figure, point_key};
use crate::plot::{Axis, Chart, Colour, Layer, Point, Shape, escape};
use crate::units::few;

/// How a peak under its bound and one above it are drawn.
const COVERED: (Colour, Shape) = (Colour::Median, Shape::Dot);
const ABOVE: (Colour, Shape) = (Colour::Short, Shape::Triangle);

/// The section; nothing without windows of fixtures.
pub(super) fn section(body: &mut String, report: &Report) {
    let Some(forecast) = report.forecast.as_ref().filter(|f| !f.windows.is_empty()) else {
        return;
    };
    body.push_str("<h2>Peaks: forecast and what came</h2>\n");
    point_key(
        body,
        [
            (
                COVERED.0,
                COVERED.1,
                "median of the peak, where none was published of its path's top; the stroke reaches up to \
                 the 95 % bound",
            ),
            (
                ABOVE.0,
                ABOVE.1,
                "the same, and what came lay above the bound",
            ),
        ],
    );
    body.push_str(
        "<p class=\"soft\">On the broken line a forecast is right, below it too low. Numbers are \
         those of the misses further down.</p>\n<div class=\"grid\">\n",
    );
    for block in [Block::D1, Block::D2, Block::H4] {
        let peaks = forecast
            .windows
            .iter()
            .filter(|peak| peak.protocol == block.name());
        let peaks: Vec<&WindowPeak> = peaks.collect();
        if peaks.is_empty() {
            continue;
        }
        let above = peaks.iter().filter(|peak| !peak.covered).count();
        let caption = format!(
            "{}: {} windows, {above} above the bound.",
            block.name(),
            peaks.len()
        );
        figure(body, &scatter(block, &peaks, &forecast.misses), &caption);
    }
    body.push_str("</div>\n");
    misses(body, &forecast.misses);
}

/// What came to the right, what was forecast upwards, both logarithmic.
fn scatter(block: Block, peaks: &[&WindowPeak], misses: &[Miss]) -> Chart {
    let values = peaks
        .iter()
        .flat_map(|peak| [peak.actual, peak.p50, peak.p95]);
    let axis = Axis::log_around(values, "");
    let mut layers = Vec::new();
    if let Axis::Log { from, to, .. } = axis {
        layers.push(Layer::Line {
            colour: Colour::Soft,
            width: 1.0,
            dashed: true,
            points: vec![(from, from), (to, to)],
        });
    }
    // those above their bound last, over the others; numbers give way within one layer
    let mut points = Vec::new();
    for covered in [true, false] {
        let (colour, shape) = if covered { COVERED } else { ABOVE };
        for peak in peaks.iter().filter(|peak| peak.covered == covered) {
            layers.push(Layer::Whisker {
                colour,
                at: peak.actual,
                from: peak.p50,
                to: peak.p95,
            });
            let same = |miss: &Miss| {
                miss.peak.kickoff == peak.kickoff && miss.peak.protocol == peak.protocol
            };
            let rank = misses.iter().position(same);
            points.push(Point {
                at: (peak.actual, peak.p50),
                colour,
                shape,
                name: format!(
                    "{} {}: came {}, median {}, 95 % bound {}",
                    peak.kickoff.format("%-d %b %H:%M"),
                    few(&peak.fixtures, NAMED),
                    load(peak.actual),
                    load(peak.p50),
                    load(peak.p95)
                ),
                tag: rank.map_or_else(String::new, |rank| (rank + 1).to_string()),
            });
        }
    }
    layers.push(Layer::Points(points));
    Chart {
        title: format!("Peaks {}", block.name()),
        description: "Forecast peak over the one that came, one mark for each window of fixtures; \
                      on the broken line both are the same."
            .to_owned(),
        width: 480,
        height: 440,
        x: axis.clone(),
        y: axis,
        x_name: "came, units per second".to_owned(),
        y_name: "forecast, units per second".to_owned(),
        spans: Vec::new(),
        layers,
    }
}

fn misses(body: &mut String, misses: &[Miss]) {
    if misses.is_empty() {
        return;
    }
    body.push_str(
        "<h2>Worst misses</h2>\n<p class=\"soft\">The windows whose peak was forecast too low by \
         most, a day or four hours ahead, each with what is known about it now. Units per second, \
         five-minute means; times are UTC.</p>\n<ol class=\"misses\">\n",
    );
    for miss in misses {
        let peak = &miss.peak;
        let _ = writeln!(
            body,
            "<li><b>{}</b>, {}, {}: came {}, forecast {} (95 % bound {}), {:.2} times the \
             median{}.<br><span class=\"soft\">{}.</span></li>",
            escape(&few(&peak.fixtures, NAMED)),
            peak.kickoff.format("%a %-d %b %H:%M"),
            escape(peak.protocol),
            load(peak.actual),
            load(peak.p50),
            load(peak.p95),
            miss.ratio,
            if peak.covered {
                ", under the bound"
            } else {
                ", above the bound"
            },
            escape(&first_upper(&miss.causes.join("; ")))
        );
    }
    body.push_str("</ol>\n");
}

/// A sentence begins with a capital.
fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
