//! Draws one time chart as an SVG text whose colours are CSS variables of the page around it.
//!
//! Knows nothing of forecasts or policies: lines, areas, marks and shaded spans over hours.

use std::fmt::Write as _;

use chrono::{DurationRound as _, TimeDelta};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

use crate::units::Timestamp;

/// Width of a chart in its own units; the page scales it.
const WIDTH: u32 = 1000;

/// Colours a chart may use, as names of CSS variables `--ink`, `--grid`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text and axes.
    Ink,
    /// Grid lines.
    Grid,
    /// What really came.
    Actual,
    /// Replicas the load needs.
    Need,
    /// Forecast median.
    Median,
    /// Forecast band.
    Band,
    /// Spans of fixtures.
    Fixture,
    /// Demand not served.
    Short,
    /// Policy number so and so, from 0; they repeat after eight.
    Policy(usize),
}

impl Colour {
    const FIXED: [(Self, &'static str); 8] = [
        (Self::Ink, "ink"),
        (Self::Grid, "grid"),
        (Self::Actual, "actual"),
        (Self::Need, "need"),
        (Self::Median, "median"),
        (Self::Band, "band"),
        (Self::Fixture, "fixture"),
        (Self::Short, "short"),
    ];

    /// The CSS variable.
    pub fn variable(self) -> String {
        let fixed = Self::FIXED.iter().find(|(colour, _)| *colour == self);
        match (fixed, self) {
            (Some((_, name)), _) => format!("--{name}"),
            (None, Self::Policy(index)) => format!("--policy-{}", index % 8),
            (None, _) => "--ink".to_owned(),
        }
    }

    /// A colour that stands for the variable until the drawing is done.
    fn stand_in(self) -> RGBColor {
        let fixed = Self::FIXED.iter().position(|(colour, _)| *colour == self);
        match (fixed, self) {
            (None, Self::Policy(index)) => RGBColor(1, 2, 100 + (index % 8) as u8),
            (place, _) => RGBColor(1, 2, place.unwrap_or(0) as u8),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::FIXED
            .iter()
            .map(|(colour, _)| *colour)
            .chain((0..8).map(Self::Policy))
    }
}

/// One value per bucket of equal width; NaN leaves a hole.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its colour.
    pub colour: Colour,
    /// Values.
    pub values: Vec<f64>,
    /// Stroke width.
    pub width: u32,
}

/// A chart over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Name for people who cannot see it.
    pub title: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// Start of the time axis.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Height in units; the width is 1,000.
    pub height: u32,
    /// Top of the value axis; `None`: the largest value and a little.
    pub top: Option<f64>,
    /// Shaded spans.
    pub spans: Vec<(Timestamp, Timestamp)>,
    /// Areas down to zero, or from one line to another, drawn in order.
    pub areas: Vec<Area>,
    /// Lines over them, drawn in order.
    pub lines: Vec<Line>,
}

/// A filled area.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// Its colour.
    pub colour: Colour,
    /// How solid, 0 to 1.
    pub opacity: f64,
    /// Upper edge.
    pub upper: Vec<f64>,
    /// Lower edge; `None`: zero.
    pub lower: Option<Vec<f64>>,
}

/// The largest value of each of `buckets` equal parts; NaN where a part holds none.
pub fn largest_per_bucket(values: &[f64], buckets: usize) -> Vec<f64> {
    let buckets = buckets.min(values.len()).max(1);
    (0..buckets)
        .map(|bucket| {
            let from = bucket * values.len() / buckets;
            let to = (bucket + 1) * values.len() / buckets;
            values[from..to].iter().copied().fold(f64::NAN, f64::max)
        })
        .collect()
}

/// Hours since the start, labelled where the calendar is, not where decimals are round.
#[derive(Debug, Clone)]
struct TimeAxis {
    hours: f64,
    ticks: Vec<f64>,
}

impl Ranged for TimeAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = value / self.hours;
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        0.0..self.hours
    }
}

impl Chart {
    /// The chart as SVG, to be set into a page.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        // drawing into a string cannot fail but for a chart without extent
        let drawn = self.draw(&mut svg);
        if drawn.is_err() || self.to <= self.from {
            return "<p>There is nothing to draw.</p>".to_owned();
        }
        self.finish(&svg)
    }

    fn hours(&self) -> f64 {
        (self.to - self.from).num_milliseconds() as f64 / 3.6e6
    }

    fn place(&self, at: Timestamp) -> f64 {
        (at - self.from).num_milliseconds() as f64 / 3.6e6
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let values = self
            .lines
            .iter()
            .map(|line| &line.values)
            .chain(self.areas.iter().map(|area| &area.upper));
        let largest = values
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let top = self.top.unwrap_or(largest * 1.05).max(1e-3);
        let hours = self.hours();
        let (every, format) = self.ticks();
        let ticks = self.tick_times(every);

        let root = SVGBackend::with_string(svg, (WIDTH, self.height)).into_drawing_area();
        let axis = TimeAxis {
            hours,
            ticks: ticks.iter().map(|&at| self.place(at)).collect(),
        };
        let mut chart = ChartBuilder::on(&root)
            .margin_top(8)
            .margin_right(22)
            .x_label_area_size(26)
            .y_label_area_size(58)
            .build_cartesian_2d(axis, 0.0..top)?;
        let ink = Colour::Ink.stand_in();
        let label = ("sans-serif", 15).into_font().color(&ink);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Colour::Grid.stand_in())
            .axis_style(ink)
            .label_style(label)
            .y_labels(if self.height < 160 { 3 } else { 6 })
            .x_label_formatter(&|hour| {
                let at = self.from + TimeDelta::milliseconds((hour * 3.6e6).round() as i64);
                at.format(format).to_string()
            })
            .y_label_formatter(&|value| short(*value))
            .draw()?;
        let fixture = Colour::Fixture.stand_in();
        chart.draw_series(self.spans.iter().map(|&(from, to)| {
            let (from, to) = (self.place(from).max(0.0), self.place(to).min(hours));
            Rectangle::new([(from, 0.0), (to, top)], fixture.filled())
        }))?;
        for area in &self.areas {
            let style = area.colour.stand_in().mix(area.opacity).filled();
            for polygon in area.polygons(hours, top) {
                chart.draw_series(std::iter::once(Polygon::new(polygon, style)))?;
            }
        }
        for line in &self.lines {
            let style = line.colour.stand_in().stroke_width(line.width);
            for piece in pieces(&line.values, hours, top) {
                chart.draw_series(LineSeries::new(piece, style))?;
            }
        }
        root.present()?;
        Ok(())
    }

    /// Distance of the labels of the time axis, and how they are written.
    fn ticks(&self) -> (TimeDelta, &'static str) {
        match self.hours() {
            h if h <= 3.0 => (TimeDelta::minutes(15), "%H:%M"),
            h if h <= 12.0 => (TimeDelta::hours(1), "%H:%M"),
            h if h <= 49.0 => (TimeDelta::hours(3), "%H:%M"),
            h if h <= 24.0 * 12.0 => (TimeDelta::days(1), "%-d %b"),
            h if h <= 24.0 * 32.0 => (TimeDelta::days(2), "%-d %b"),
            h if h <= 24.0 * 100.0 => (TimeDelta::days(7), "%-d %b"),
            _ => (TimeDelta::days(30), "%-d %b"),
        }
    }

    fn tick_times(&self, every: TimeDelta) -> Vec<Timestamp> {
        let mut at = self.from.duration_trunc(every).unwrap_or(self.from);
        let mut times = Vec::new();
        while at <= self.to {
            if at >= self.from {
                times.push(at);
            }
            at += every;
        }
        times
    }

    /// Names the drawing, hands its colours to the page and lets it scale.
    fn finish(&self, svg: &str) -> String {
        let mut svg = svg.to_owned();
        for colour in Colour::all() {
            let RGBColor(r, g, b) = colour.stand_in();
            for attribute in ["fill", "stroke"] {
                svg = svg.replace(
                    &format!("{attribute}=\"#{r:02X}{g:02X}{b:02X}\""),
                    &format!("style=\"{attribute}:var({})\"", colour.variable()),
                );
            }
        }
        let (Some(open), body) = (svg.find("<svg"), &svg) else {
            return svg;
        };
        let Some(close) = body[open..].find('>').map(|end| open + end + 1) else {
            return svg;
        };
        let mut out = format!(
            "<svg role=\"img\" viewBox=\"0 0 {WIDTH} {}\" xmlns=\"http://www.w3.org/2000/svg\">",
            self.height
        );
        let _ = write!(
            out,
            "<title>{}</title><desc>{}</desc>",
            escape(&self.title),
            escape(&self.description)
        );
        out.push_str(&body[close..]);
        out
    }
}

impl Area {
    /// Closed outlines of the runs without holes.
    fn polygons(&self, hours: f64, top: f64) -> Vec<Vec<(f64, f64)>> {
        let n = self.upper.len();
        let zero = vec![0.0; n];
        let lower = self.lower.as_ref().unwrap_or(&zero);
        let mut polygons = Vec::new();
        let mut start = 0;
        while start < n {
            let known = |i: usize| self.upper[i].is_finite() && lower[i].is_finite();
            if !known(start) {
                start += 1;
                continue;
            }
            let end = (start..n).find(|&i| !known(i)).unwrap_or(n);
            let at = |i: usize| (i as f64 + 0.5) / n as f64 * hours;
            let upper = (start..end).map(|i| (at(i), self.upper[i].min(top)));
            let back = (start..end).rev().map(|i| (at(i), lower[i].min(top)));
            polygons.push(upper.chain(back).collect());
            start = end;
        }
        polygons
    }
}

/// The runs of a line without holes.
fn pieces(values: &[f64], hours: f64, top: f64) -> Vec<Vec<(f64, f64)>> {
    let n = values.len() as f64;
    let mut pieces = vec![Vec::new()];
    for (index, &value) in values.iter().enumerate() {
        if value.is_finite() {
            if let Some(piece) = pieces.last_mut() {
                piece.push(((index as f64 + 0.5) / n * hours, value.min(top)));
            }
        } else if pieces.last().is_some_and(|piece| !piece.is_empty()) {
            pieces.push(Vec::new());
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A number for an axis: `1,200` becomes `1.2k`.
fn short(value: f64) -> String {
    let scaled = |divisor: f64, unit: &str| {
        let text = format!("{:.1}", value / divisor);
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match value.abs() {
        x if x >= 1e6 => scaled(1e6, "M"),
        x if x >= 1e3 => scaled(1e3, "k"),
        x if x >= 10.0 || x == 0.0 => format!("{value:.0}"),
        _ => {
            let text = format!("{value:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// Text for HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "Load <of> & \"on\"".to_owned(),
            description: "What came.".to_owned(),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH + TimeDelta::hours(24),
            height: 200,
            top: None,
            spans: vec![(
                Timestamp::UNIX_EPOCH + TimeDelta::hours(3),
                Timestamp::UNIX_EPOCH + TimeDelta::hours(5),
            )],
            areas: vec![Area {
                colour: Colour::Band,
                opacity: 0.3,
                upper: vec![3.0, f64::NAN, 5.0, 6.0],
                lower: None,
            }],
            lines: vec![Line {
                colour: Colour::Actual,
                values: vec![1.0, f64::NAN, 3.0, 4.0],
                width: 2,
            }],
        }
    }

    #[test]
    fn a_chart_names_itself_and_leaves_colour_to_the_page() {
        let svg = chart().svg();
        assert!(
            svg.starts_with("<svg role=\"img\" viewBox=\"0 0 1000 200\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title>Load &lt;of&gt; &amp; &quot;on&quot;</title>"),
            "{svg}"
        );
        assert!(svg.contains("stroke:var(--actual)"), "{svg}");
        assert!(svg.contains("fill:var(--band)"), "{svg}");
        assert!(svg.contains("fill:var(--ink)"), "{svg}");
        assert!(!svg.contains("#0102"), "{svg}");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn a_gap_breaks_a_line() {
        assert_eq!(pieces(&[1.0, f64::NAN, 3.0, 4.0], 4.0, 9.0).len(), 2);
    }

    #[test]
    fn buckets_keep_the_largest() {
        assert_eq!(largest_per_bucket(&[1.0, 5.0, 2.0, 3.0], 2), [5.0, 3.0]);
        assert_eq!(largest_per_bucket(&[1.0, 5.0], 9), [1.0, 5.0]);
        assert!(largest_per_bucket(&[f64::NAN, f64::NAN], 1)[0].is_nan());
    }

    #[test]
    fn axis_numbers_are_short() {
        assert_eq!(
            [0.0, 0.25, 5.0, 40.0, 1200.0, 2e6].map(short),
            ["0", "0.25", "5", "40", "1.2k", "2M"]
        );
    }
}
