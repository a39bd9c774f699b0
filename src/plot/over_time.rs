//! Charts over a span of time: values of equal parts of it, and what is shaded in it.

use chrono_tz::Tz;

use super::{Axis, Chart, Colour, Layer, Span, bucket_points, seconds};
use crate::units::Timestamp;

/// A line through values of equal parts of a span.
pub fn line(
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
pub fn area(
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

/// A chart over a span, by a zone's clock and from zero up; what is shaded is cut to the span.
pub fn over_time(
    (title, description): (&str, &str),
    (from, to): (Timestamp, Timestamp),
    zone: Tz,
    height: u32,
    top: f64,
    shaded: impl IntoIterator<Item = (Timestamp, Timestamp)>,
    layers: Vec<Layer>,
) -> Chart {
    let spans = shaded
        .into_iter()
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
        x: Axis::Time { from, to, zone },
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
