//! Draws a chart's parts as SVG: where the plot lies, its axes, spans and layers.

use std::fmt::Write as _;

use super::axis::Tick;
use super::names::{self, Placed, half};
use super::{Chart, Colour, Layer, Point, Shape, escape};

/// Room right of the plot, where half of the last label stands.
const RIGHT: f64 = 24.0;

/// Mean width of a character of a label.
pub(super) const CHARACTER: f64 = 7.2;

/// The plot's place in the drawing.
pub(super) struct Frame<'a> {
    chart: &'a Chart,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    upright: Vec<Tick>,
}

impl<'a> Frame<'a> {
    /// Finds room for the labels around the plot.
    pub(super) fn new(chart: &'a Chart) -> Self {
        let height = f64::from(chart.height);
        let marks = (height / 45.0).clamp(3.0, 8.0) as usize;
        let upright = chart.y.ticks(marks);
        let longest = upright.iter().map(|tick| tick.label.chars().count()).max();
        Self {
            chart,
            left: 12.0 + CHARACTER * longest.unwrap_or(0) as f64,
            right: f64::from(chart.width) - RIGHT,
            top: if chart.y_name.is_empty() { 10.0 } else { 26.0 },
            bottom: height - if chart.x_name.is_empty() { 24.0 } else { 42.0 },
            upright,
        }
    }

    /// Draws everything, the labels last.
    pub(super) fn draw(&self, out: &mut String) {
        self.spans(out);
        self.grid(out);
        for layer in &self.chart.layers {
            self.layer(out, layer);
        }
        self.labels(out);
        self.names(out);
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.chart.x.place(value) * (self.right - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.chart.y.place(value) * (self.bottom - self.top)
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

    fn grid(&self, out: &mut String) {
        let mut path = String::new();
        for tick in &self.upright {
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

    fn labels(&self, out: &mut String) {
        let soft = |out: &mut String, x: f64, y: f64, anchor: &str, text: &str| {
            let _ = write!(
                out,
                "<text class=\"f-soft\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                Short(x),
                Short(y),
                escape(text)
            );
        };
        for tick in &self.upright {
            soft(
                out,
                self.left - 6.0,
                self.y(tick.value) + 4.5,
                "end",
                &tick.label,
            );
        }
        // a label that would touch another is left out, its tick stays
        let most = ((self.right - self.left) / 70.0).max(2.0) as usize;
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut marks = String::new();
        let ticks = self.chart.x.ticks(most);
        let (first, then): (Vec<_>, Vec<_>) = ticks.iter().partition(|tick| tick.major);
        for tick in first.into_iter().chain(then) {
            let half = CHARACTER * tick.label.chars().count() as f64 / 2.0;
            let x = self.x(tick.value);
            let _ = write!(marks, "M{} {}v4", Short(x), Short(self.bottom));
            // no half of a label at an edge may leave the drawing
            let middle = x
                .min(f64::from(self.chart.width) - half - 2.0)
                .max(half + 2.0);
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

    /// The names of spans, at the top.
    fn named(&self) -> Vec<Placed> {
        let named = self.chart.spans.iter().filter(|span| !span.name.is_empty());
        let names = named.map(|span| {
            // a moment is named to its left, a span in its middle
            let middle = if span.to > span.from {
                f64::midpoint(self.x(span.from), self.x(span.to))
            } else {
                self.x(span.from) - half(&span.name) - 4.0
            };
            (middle, span.name.as_str())
        });
        names::placed(names.collect())
    }

    /// The line a name of a lane stands on.
    fn lane(&self, lane: usize) -> f64 {
        self.top + 14.0 + 15.0 * lane as f64
    }

    fn names(&self, out: &mut String) {
        for name in self.named() {
            let _ = write!(
                out,
                "<text class=\"f-ink b\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                Short(name.middle),
                Short(self.lane(name.lane)),
                escape(&name.text)
            );
        }
    }

    /// What the names of spans and the whiskers take up.
    fn taken(&self) -> Vec<Room> {
        let names = self.named().into_iter().map(|name| {
            let (half, base) = (half(&name.text), self.lane(name.lane));
            Room {
                from: (name.middle - half, base - 10.0),
                to: (name.middle + half, base + 2.0),
            }
        });
        let whiskers = self.chart.layers.iter().filter_map(|layer| {
            let Layer::Whisker { at, from, to, .. } = layer else {
                return None;
            };
            let (x, from, to) = (self.x(*at), self.y(*from), self.y(*to));
            Some(Room {
                from: (x - 1.0, from.min(to)),
                to: (x + 1.0, from.max(to)),
            })
        });
        names.chain(whiskers).collect()
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
            Layer::Points(points) => self.points(out, points),
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

    /// The points, then their tags: none over another or over a point, where there is room.
    fn points(&self, out: &mut String, points: &[Point]) {
        let seen = points.iter().filter_map(|point| {
            let (x, y) = (self.x(point.at.0), self.y(point.at.1));
            (x.is_finite() && y.is_finite()).then_some((point, x, y))
        });
        let seen: Vec<(&Point, f64, f64)> = seen.collect();
        let mut taken = self.taken();
        for &(point, x, y) in &seen {
            mark(out, point, (x, y));
            taken.push(Room {
                from: (x - 6.0, y - 5.0),
                to: (x + 6.0, y + 5.0),
            });
        }
        for (point, x, y) in seen.into_iter().filter(|seen| !seen.0.tag.is_empty()) {
            // what nobody could read says nothing; the point has its name still
            let Some(tag) = self.tag(point, (x, y), &taken) else {
                continue;
            };
            let anchor = if tag.leftwards {
                " text-anchor=\"end\""
            } else {
                ""
            };
            let _ = write!(
                out,
                "<text class=\"f-{} m b\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
                point.colour.name(),
                Short(tag.at.0),
                Short(tag.at.1),
                escape(&point.tag)
            );
            taken.push(tag.room);
        }
    }

    /// Where the tag of a point stands: to its right, else to its left, else a little higher or
    /// lower; `None` where nothing is free.
    fn tag(&self, point: &Point, (x, y): (f64, f64), taken: &[Room]) -> Option<Tag> {
        const LINE: f64 = 14.0;
        let length = 2.0 * half(&point.tag);
        let width = f64::from(self.chart.width);
        let place = |leftwards: bool, lines: f64| {
            let at = if leftwards { x - 8.0 } else { x + 8.0 };
            let begin = if leftwards { at - length } else { at };
            let base = y + 4.0 + LINE * lines;
            Tag {
                at: (at, base),
                leftwards,
                room: Room {
                    from: (begin, base - 10.0),
                    to: (begin + length, base + 2.0),
                },
            }
        };
        let sides = [(false, 0.0), (true, 0.0)].into_iter();
        let higher = [-1.0, 1.0, -2.0, 2.0]
            .into_iter()
            .flat_map(|lines| [(false, lines), (true, lines)]);
        let within = |tag: &Tag| {
            let (from, to) = (tag.room.from, tag.room.to);
            from.0 >= 0.0 && to.0 <= width && from.1 >= 0.0 && to.1 <= self.bottom
        };
        let mut places = sides.chain(higher).map(|(side, lines)| place(side, lines));
        places.find(|tag| within(tag) && !taken.iter().any(|room| room.meets(tag.room)))
    }
}

/// A part of the drawing that is taken, from its upper left to its lower right.
#[derive(Clone, Copy)]
struct Room {
    from: (f64, f64),
    to: (f64, f64),
}

impl Room {
    fn meets(self, other: Self) -> bool {
        self.from.0 < other.to.0
            && other.from.0 < self.to.0
            && self.from.1 < other.to.1
            && other.from.1 < self.to.1
    }
}

/// Where a tag stands.
struct Tag {
    at: (f64, f64),
    leftwards: bool,
    room: Room,
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
pub(super) struct Short(pub(super) f64);

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
