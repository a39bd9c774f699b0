//! One chart: two axes, shaded spans and layers over them, written as SVG.

use std::fmt::Write as _;

use super::frame::{CHARACTER, Frame, Short};
use super::{Axis, Colour, escape, seconds};
use crate::units::Timestamp;

/// Room for the heading of a file.
const HEADING: f64 = 34.0;

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
        Frame::new(self).draw(out);
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
