//! One chart: two axes, shaded spans and layers over them, written as SVG.

use std::fmt::Write as _;

use super::{Axis, Colour, escape, seconds};
use crate::units::Timestamp;

/// Room right of the plot, where half of the last label stands.
const RIGHT: f64 = 24.0;

/// Room for the heading of a file.
const HEADING: f64 = 34.0;

/// Mean width of a character of a label.
const CHARACTER: f64 = 7.2;

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Name for people who cannot see it.
    pub title: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// Width in units, which are pixels where the page does not scale it.
    pub width: u32,
    /// Height in units.
    pub height: u32,
    /// Axis from left to right.
    pub x: Axis,
    /// Axis from the bottom up.
    pub y: Axis,
    /// What is on the axis below, with its unit; empty: said elsewhere.
    pub x_name: String,
    /// What is on the upright axis, with its unit; empty: said elsewhere.
    pub y_name: String,
    /// Shaded spans of the axis below.
    pub spans: Vec<Span>,
    /// What is drawn, in order.
    pub layers: Vec<Layer>,
}

/// A shaded span of the axis below.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Begin.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Short name, written at its top; empty: none.
    pub name: String,
}

/// Something drawn. A value that is not finite leaves a hole.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Filled between two edges.
    Area {
        /// Its colour.
        colour: Colour,
        /// How solid, 0 to 1.
        opacity: f64,
        /// Place, lower and upper edge.
        band: Vec<(f64, f64, f64)>,
    },
    /// A line.
    Line {
        /// Its colour.
        colour: Colour,
        /// Stroke width.
        width: f64,
        /// Broken, as for what is only said and not seen.
        dashed: bool,
        /// Places.
        points: Vec<(f64, f64)>,
    },
    /// From one point upright to another, with a cap at its end.
    Whisker {
        /// Its colour.
        colour: Colour,
        /// Place on the axis below.
        at: f64,
        /// Where it begins.
        from: f64,
        /// Where it ends, and the cap stands.
        to: f64,
    },
    /// From one point to another along a row.
    Range {
        /// Its colour.
        colour: Colour,
        /// Row.
        row: f64,
        /// Begin.
        from: f64,
        /// End.
        to: f64,
    },
    /// Points.
    Points(Vec<Point>),
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Place.
    pub at: (f64, f64),
    /// Its colour.
    pub colour: Colour,
    /// Its form.
    pub shape: Shape,
    /// Shown when pointed at; empty: nothing.
    pub name: String,
    /// A word or number beside it; empty: none.
    pub tag: String,
}

/// Form of a point: colour alone tells nobody enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Filled circle.
    Dot,
    /// Empty circle.
    Ring,
    /// Filled triangle.
    Triangle,
    /// Filled square on its corner.
    Diamond,
    /// Short level stroke.
    Dash,
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

/// Values of equal parts of a span of time, each at the middle of its part.
pub fn bucket_points(values: &[f64], from: Timestamp, to: Timestamp) -> Vec<(f64, f64)> {
    let (begin, length) = (seconds(from), seconds(to) - seconds(from));
    let part = length / values.len().max(1) as f64;
    values
        .iter()
        .enumerate()
        .map(|(index, &value)| (begin + (index as f64 + 0.5) * part, value))
        .collect()
}

/// The plot's place in the drawing.
struct Frame<'a> {
    chart: &'a Chart,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, value: f64) -> f64 {
        self.left + self.chart.x.place(value) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.chart.y.place(value) * (self.bottom - self.top)
    }
}

impl Chart {
    /// The chart as a file of its own: heading, chart, key, and lines of text, with a style sheet.
    pub fn file(&self, heading: &str, key: &[(Colour, f64, &str)], below: &[String]) -> String {
        const LINE: f64 = 20.0;
        let mut more = format!(
            "<text x=\"12\" y=\"22\" class=\"f-ink h\">{}</text>",
            escape(heading)
        );
        let (mut x, mut y) = (12.0, HEADING + f64::from(self.height) + LINE);
        for (colour, opacity, text) in key {
            let width = 34.0 + CHARACTER * text.chars().count() as f64;
            if x + width > f64::from(self.width) {
                (x, y) = (12.0, y + LINE);
            }
            let _ = write!(
                more,
                "<rect class=\"f-{}\" fill-opacity=\"{opacity:.2}\" x=\"{}\" y=\"{}\" width=\"16\" \
                 height=\"10\" rx=\"2\"/><text class=\"f-soft\" x=\"{}\" y=\"{}\">{}</text>",
                colour.name(),
                Short(x),
                Short(y - 9.0),
                Short(x + 22.0),
                Short(y),
                escape(text)
            );
            x += width;
        }
        y += LINE * 0.5;
        for line in below {
            y += LINE;
            let _ = write!(
                more,
                "<text x=\"12\" y=\"{}\" class=\"f-ink\">{}</text>",
                Short(y),
                escape(line)
            );
        }
        let height = y + 14.0;
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.open(&mut out, f64::from(self.width), height);
        let _ = write!(
            out,
            "<style>{}svg text.h{{font-size:17px;font-weight:600}}</style><rect width=\"{}\" height=\"{}\" \
             class=\"f-page\"/>{more}<g transform=\"translate(0,{HEADING})\">",
            super::style(),
            self.width,
            Short(height)
        );
        self.draw(&mut out);
        out.push_str("</g></svg>\n");
        out
    }

    /// The chart as SVG, to be set into a page that holds [`super::style`].
    pub fn svg(&self) -> String {
        let mut out = String::new();
        self.open(&mut out, f64::from(self.width), f64::from(self.height));
        self.draw(&mut out);
        out.push_str("</svg>");
        out
    }

    fn open(&self, out: &mut String, width: f64, height: f64) {
        let _ = write!(
            out,
            "<svg role=\"img\" viewBox=\"0 0 {} {}\" xmlns=\"http://www.w3.org/2000/svg\">\
             <title>{}</title><desc>{}</desc>",
            Short(width),
            Short(height),
            escape(&self.title),
            escape(&self.description)
        );
    }

    fn draw(&self, out: &mut String) {
        let marks = (f64::from(self.height) / 45.0).clamp(3.0, 8.0) as usize;
        let upright = self.y.ticks(marks);
        let longest = upright.iter().map(|tick| tick.label.chars().count()).max();
        let frame = Frame {
            chart: self,
            left: 12.0 + CHARACTER * longest.unwrap_or(0) as f64,
            right: f64::from(self.width) - RIGHT,
            top: if self.y_name.is_empty() { 10.0 } else { 26.0 },
            bottom: f64::from(self.height) - if self.x_name.is_empty() { 24.0 } else { 42.0 },
        };
        frame.spans(out);
        frame.grid(out, &upright);
        for layer in &self.layers {
            frame.layer(out, layer);
        }
        frame.labels(out, &upright);
        frame.names(out);
    }
}

impl Frame<'_> {
    fn spans(&self, out: &mut String) {
        for span in &self.chart.spans {
            let (from, to) = (self.x(span.from), self.x(span.to));
            if to > from {
                let _ = write!(
                    out,
                    "<rect class=\"f-fixture\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    Short(from),
                    Short(self.top),
                    Short(to - from),
                    Short(self.bottom - self.top)
                );
            }
        }
    }

    fn grid(&self, out: &mut String, upright: &[super::axis::Tick]) {
        let mut path = String::new();
        for tick in upright {
            let y = Short(self.y(tick.value));
            let _ = write!(path, "M{} {y}H{}", Short(self.left), Short(self.right));
        }
        let _ = write!(
            out,
            "<path class=\"s-grid\" d=\"{path}\"/><path class=\"s-soft\" d=\"M{} {}H{}\"/>",
            Short(self.left),
            Short(self.bottom),
            Short(self.right)
        );
    }

    fn labels(&self, out: &mut String, upright: &[super::axis::Tick]) {
        let soft = |out: &mut String, x: f64, y: f64, anchor: &str, text: &str| {
            let _ = write!(
                out,
                "<text class=\"f-soft\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                Short(x),
                Short(y),
                escape(text)
            );
        };
        for tick in upright {
            soft(
                out,
                self.left - 6.0,
                self.y(tick.value) + 4.5,
                "end",
                &tick.label,
            );
        }
        // a label that would touch another is left out, its tick stays
        let most = ((self.right - self.left) / 90.0).max(2.0) as usize;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut marks = String::new();
        let ticks = self.chart.x.ticks(most);
        let (first, then): (Vec<_>, Vec<_>) = ticks.iter().partition(|tick| tick.major);
        for tick in first.into_iter().chain(then) {
            let half = CHARACTER * tick.label.chars().count() as f64 / 2.0;
            let x = self.x(tick.value);
            let _ = write!(marks, "M{} {}v4", Short(x), Short(self.bottom));
            // half of the last label must not leave the drawing
            let middle = x.min(f64::from(self.chart.width) - half);
            if taken
                .iter()
                .all(|&(from, to)| middle - half > to || middle + half < from)
            {
                soft(out, middle, self.bottom + 18.0, "middle", &tick.label);
                taken.push((middle - half - 6.0, middle + half + 6.0));
            }
        }
        let _ = write!(out, "<path class=\"s-soft\" d=\"{marks}\"/>");
        if !self.chart.y_name.is_empty() {
            soft(out, self.left, 14.0, "start", &self.chart.y_name);
        }
        if !self.chart.x_name.is_empty() {
            let y = f64::from(self.chart.height) - 6.0;
            soft(out, self.right, y, "end", &self.chart.x_name);
        }
    }

    /// The names of spans, at the top; one that would touch another stands below it.
    fn names(&self, out: &mut String) {
        const LANES: usize = 4;
        let mut free = [0.0; LANES];
        for span in self.chart.spans.iter().filter(|span| !span.name.is_empty()) {
            let half = CHARACTER * span.name.chars().count() as f64 / 2.0;
            // a moment is named to its left, a span in its middle
            let middle = if span.to > span.from {
                f64::midpoint(self.x(span.from), self.x(span.to))
            } else {
                self.x(span.from) - half - 4.0
            };
            let lane = (0..LANES)
                .find(|&lane| middle - half >= free[lane])
                .unwrap_or(LANES - 1);
            free[lane] = middle + half + 4.0;
            let _ = write!(
                out,
                "<text class=\"f-ink b\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                Short(middle),
                Short(self.top + 14.0 + 15.0 * lane as f64),
                escape(&span.name)
            );
        }
    }

    fn layer(&self, out: &mut String, layer: &Layer) {
        match layer {
            Layer::Area {
                colour,
                opacity,
                band,
            } => self.area(out, *colour, *opacity, band),
            Layer::Line {
                colour,
                width,
                dashed,
                points,
            } => {
                let path = self.path(points);
                if !path.is_empty() {
                    let dash = if *dashed {
                        " stroke-dasharray=\"5 4\""
                    } else {
                        ""
                    };
                    let _ = write!(
                        out,
                        "<path class=\"s-{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"{dash} \
                         d=\"{path}\"/>",
                        colour.name(),
                        Short(*width)
                    );
                }
            }
            Layer::Whisker {
                colour,
                at,
                from,
                to,
            } => {
                let (x, from, to) = (self.x(*at), self.y(*from), self.y(*to));
                if x.is_finite() && from.is_finite() && to.is_finite() {
                    let _ = write!(
                        out,
                        "<path class=\"s-{}\" stroke-width=\"1.5\" d=\"M{} {}V{}m-4 0h8\"/>",
                        colour.name(),
                        Short(x),
                        Short(from),
                        Short(to)
                    );
                }
            }
            Layer::Range {
                colour,
                row,
                from,
                to,
            } => {
                let (y, from, to) = (self.y(*row), self.x(*from), self.x(*to));
                if y.is_finite() && from.is_finite() && to.is_finite() {
                    let _ = write!(
                        out,
                        "<path class=\"s-{}\" stroke-width=\"2\" d=\"M{} {}H{}\"/>",
                        colour.name(),
                        Short(from),
                        Short(y),
                        Short(to)
                    );
                }
            }
            Layer::Points(points) => {
                for point in points {
                    self.point(out, point);
                }
            }
        }
    }

    fn area(&self, out: &mut String, colour: Colour, opacity: f64, band: &[(f64, f64, f64)]) {
        let known =
            |(x, low, high): &(f64, f64, f64)| x.is_finite() && low.is_finite() && high.is_finite();
        for run in band
            .split(|edge| !known(edge))
            .filter(|run| !run.is_empty())
        {
            let mut path = String::new();
            for (index, (x, _, high)) in run.iter().enumerate() {
                let begin = if index == 0 { 'M' } else { 'L' };
                let _ = write!(
                    path,
                    "{begin}{} {}",
                    Short(self.x(*x)),
                    Short(self.y(*high))
                );
            }
            for (x, low, _) in run.iter().rev() {
                let _ = write!(path, "L{} {}", Short(self.x(*x)), Short(self.y(*low)));
            }
            let solid = if opacity < 1.0 {
                format!(" fill-opacity=\"{opacity:.2}\"")
            } else {
                String::new()
            };
            let _ = write!(
                out,
                "<path class=\"f-{}\"{solid} d=\"{path}Z\"/>",
                colour.name()
            );
        }
    }

    /// The runs without holes, as one path.
    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        let mut drawing = false;
        for &(x, y) in points {
            if x.is_finite() && y.is_finite() {
                let begin = if drawing { 'L' } else { 'M' };
                let _ = write!(path, "{begin}{} {}", Short(self.x(x)), Short(self.y(y)));
                drawing = true;
            } else {
                drawing = false;
            }
        }
        path
    }

    fn point(&self, out: &mut String, point: &Point) {
        let (x, y) = (self.x(point.at.0), self.y(point.at.1));
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        mark(out, point, (x, y));
        if !point.tag.is_empty() {
            let _ = write!(
                out,
                "<text class=\"f-{} m b\" x=\"{}\" y=\"{}\">{}</text>",
                point.colour.name(),
                Short(x + 8.0),
                Short(y + 4.0),
                escape(&point.tag)
            );
        }
    }
}

/// The form of a point, at a place of the drawing.
fn mark(out: &mut String, point: &Point, (x, y): (f64, f64)) {
    let name = if point.name.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escape(&point.name))
    };
    let colour = point.colour.name();
    let (x, y) = (Short(x), Short(y));
    let _ = match point.shape {
        Shape::Dot => write!(
            out,
            "<circle class=\"f-{colour}\" cx=\"{x}\" cy=\"{y}\" r=\"4\">{name}</circle>"
        ),
        Shape::Ring => write!(
            out,
            "<circle class=\"s-{colour}\" stroke-width=\"1.8\" cx=\"{x}\" cy=\"{y}\" \
             r=\"4\">{name}</circle>"
        ),
        Shape::Triangle => write!(
            out,
            "<path class=\"f-{colour}\" d=\"M{x} {y}m0 -6l5.5 9.5h-11z\">{name}</path>"
        ),
        Shape::Diamond => write!(
            out,
            "<path class=\"f-{colour}\" d=\"M{x} {y}m0 -5l5 5l-5 5l-5 -5z\">{name}</path>"
        ),
        Shape::Dash => write!(
            out,
            "<path class=\"s-{colour}\" stroke-width=\"2.4\" d=\"M{x} {y}m-6 0h12\">{name}\
             </path>"
        ),
    };
}

/// A point alone, to be set into a line of text.
pub fn symbol(colour: Colour, shape: Shape) -> String {
    let mut out = String::from(
        "<svg viewBox=\"-8 -8 16 16\" aria-hidden=\"true\" xmlns=\"http://www.w3.org/2000/svg\">",
    );
    let point = Point {
        at: (0.0, 0.0),
        colour,
        shape,
        name: String::new(),
        tag: String::new(),
    };
    mark(&mut out, &point, point.at);
    out.push_str("</svg>");
    out
}

/// A coordinate with one digit behind the point, none where it is a zero.
#[derive(Debug, Clone, Copy)]
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round();
        if tenths % 10.0 == 0.0 {
            write!(f, "{:.0}", tenths / 10.0)
        } else {
            write!(f, "{:.1}", tenths / 10.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "Load <of> & \"on\"".to_owned(),
            description: "What came.".to_owned(),
            width: 1000,
            height: 200,
            x: Axis::Linear {
                from: 0.0,
                to: 4.0,
                suffix: "",
            },
            y: Axis::up_to([6.0]),
            x_name: String::new(),
            y_name: "units".to_owned(),
            spans: vec![Span {
                from: 1.0,
                to: 2.0,
                name: "A".to_owned(),
            }],
            layers: vec![
                Layer::Area {
                    colour: Colour::Band,
                    opacity: 0.3,
                    band: vec![(0.0, 0.0, 3.0), (1.0, 0.0, f64::NAN), (2.0, 0.0, 5.0)],
                },
                Layer::Line {
                    colour: Colour::Actual,
                    width: 2.0,
                    dashed: false,
                    points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 99.0)],
                },
                Layer::Points(vec![Point {
                    at: (1.0, 1.0),
                    colour: Colour::Short,
                    shape: Shape::Triangle,
                    name: "a <b>".to_owned(),
                    tag: "1".to_owned(),
                }]),
            ],
        }
    }

    #[test]
    fn a_chart_names_itself_and_leaves_colour_to_the_page() {
        let svg = chart().svg();
        assert!(
            svg.starts_with("<svg role=\"img\" viewBox=\"0 0 1000 200\""),
            "{svg}"
        );
        for part in [
            "<title>Load &lt;of&gt; &amp; &quot;on&quot;</title>",
            "s-actual",
            "f-band",
            "<title>a &lt;b&gt;</title>",
            ">A</text>",
            ">units</text>",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(!svg.contains('#'), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn a_gap_breaks_lines_and_areas_and_nothing_leaves_the_plot() {
        let svg = chart().svg();
        let line = svg.split("s-actual").nth(1).unwrap();
        let path = line.split("d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        // the value far above the axis ends at its top
        assert!(path.ends_with(" 26"), "{path}");
        assert_eq!(svg.matches("f-band").count(), 2);
    }

    #[test]
    fn a_file_holds_its_own_style_its_key_and_the_lines_below_it() {
        let key = [(Colour::Band, 0.5, "the band & more")];
        let file = chart().file(
            "Load <now>",
            &key,
            &["A one".to_owned(), "B two & more".to_owned()],
        );
        assert!(file.starts_with("<?xml"));
        for part in [
            "viewBox=\"0 0 1000 318\"",
            "--actual:",
            "Load &lt;now&gt;",
            "fill-opacity=\"0.50\"",
            "B two &amp; more",
        ] {
            assert!(file.contains(part), "{part}: {file}");
        }
        assert_eq!(file.matches("<svg").count(), 1);
    }

    #[test]
    fn buckets_keep_the_largest_and_stand_in_the_middle() {
        assert_eq!(largest_per_bucket(&[1.0, 5.0, 2.0, 3.0], 2), [5.0, 3.0]);
        assert_eq!(largest_per_bucket(&[1.0, 5.0], 9), [1.0, 5.0]);
        assert!(largest_per_bucket(&[f64::NAN, f64::NAN], 1)[0].is_nan());
        let to = Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(40);
        let points = bucket_points(&[7.0, 8.0], Timestamp::UNIX_EPOCH, to);
        assert_eq!(points, [(10.0, 7.0), (30.0, 8.0)]);
    }
}
