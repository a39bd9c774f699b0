//! Draws charts as SVG text: axes, areas, lines, points and shaded spans.
//!
//! Colours are classes of a style sheet, so that the same drawing is light or dark, in a page or
//! in a file of its own; [`page`] puts it there, with tables. What a chart means is decided by
//! whoever fills it; only [`forecast`] knows what a forecast looks like.

mod axis;
mod chart;
mod colour;
pub mod forecast;
mod frame;
mod names;
mod over_time;
pub mod page;
mod table;

pub use axis::{Axis, short};
pub use chart::{Chart, Layer, Point, Shape, Span, bucket_points, largest_per_bucket};
pub use colour::{Colour, style};
pub use frame::symbol;
pub use over_time::{area, line, over_time};
pub use table::Table;

use crate::units::Timestamp;

/// A moment as a place on a time axis: seconds since 1970.
pub fn seconds(at: Timestamp) -> f64 {
    at.timestamp_millis() as f64 / 1e3
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
            // no control character may stand in XML, not even escaped
            other if other.is_control() && !matches!(other, '\n' | '\t') => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_leave_its_place() {
        assert_eq!(
            escape("<a b=\"c\">&'\u{1}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39; "
        );
    }
}
