//! The picture of a forecast: what came lately, the median and the bands ahead, the windows of
//! fixtures and how high their peaks may go.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::frame::CHARACTER;
use super::{Axis, Chart, Colour, Layer, Point, Shape, Span, seconds};
use crate::fixture::Calendar;
use crate::forecast::{Forecast, PeakForecast, Quantile};
use crate::series::Series;
use crate::units::{Rate, Timestamp, by_clock};

/// Shortest and longest stretch of the past that is shown.
const PAST: (TimeDelta, TimeDelta) = (TimeDelta::hours(24), TimeDelta::hours(48));

/// A fixture's window before its lock and after its expected end, as the forecast's peaks have it.
const WINDOW: (TimeDelta, TimeDelta) = (TimeDelta::minutes(60), TimeDelta::minutes(75));

/// Windows that have a letter and a line of text.
const NAMED: usize = 16;

/// Fixtures of one window that are named.
const NAMES: usize = 3;

/// Width of the picture.
const WIDTH: u32 = 1000;

/// Characters of a line of text that fit between its margins of 12.
const LINE: usize = ((WIDTH - 2 * 12) as f64 / CHARACTER) as usize;

/// How solid the bands to p90, p95 and p99 are.
const BANDS: [(Quantile, f64, &str); 3] = [
    (Quantile::P99, 0.3, "to p99"),
    (Quantile::P95, 0.6, "to p95"),
    (Quantile::P90, 1.0, "median to p90"),
];

/// The picture as an SVG file. `load` is what was known at the origin; times are those of `zone`.
pub fn picture(load: &Series, forecast: &Forecast, calendar: &Calendar, zone: Tz) -> String {
    let origin = forecast.origin;
    let past = (forecast.end() - origin).clamp(PAST.0, PAST.1);
    let from = (origin - past).max(load.start()).min(origin);
    let recent = means(load, from, origin, forecast.step);
    let chart = chart(&recent, forecast, calendar, zone, from);
    let mut key: Vec<(Colour, f64, &str)> = vec![
        (Colour::Actual, 1.0, "what came"),
        (Colour::Median, 1.0, "median"),
    ];
    key.extend(
        BANDS
            .iter()
            .rev()
            .map(|&(_, opacity, name)| (Colour::Band, opacity, name)),
    );
    if chart.spans.iter().any(|span| span.to > span.from) {
        key.push((
            Colour::Fixture,
            1.0,
            "fixtures: an hour before the lock to 75 min after the end",
        ));
    }
    if !forecast.peaks.is_empty() {
        key.push((Colour::Short, 1.0, "peak of a window: median to p95"));
    }
    let heading = format!(
        "Load from {}, {}",
        by_clock(origin, zone, "%A, %-d %B %Y %H:%M"),
        forecast.model
    );
    chart.file(&heading, &key, &below(forecast, calendar, zone))
}

fn chart(
    recent: &[(f64, f64)],
    forecast: &Forecast,
    calendar: &Calendar,
    zone: Tz,
    from: Timestamp,
) -> Chart {
    let origin = forecast.origin;
    let path = |quantile: Quantile| {
        let step = forecast.step.num_milliseconds() as f64 / 1e3;
        // a line needs two points: a step that is alone is drawn from its begin to its end
        let places: &[f64] = if forecast.len() == 1 {
            &[0.0, 1.0]
        } else {
            &[0.5]
        };
        let values = forecast.path(quantile).iter().enumerate();
        values.flat_map(move |(bin, &value)| {
            let begin = seconds(forecast.time(bin));
            places
                .iter()
                .map(move |place| (begin + place * step, value))
        })
    };
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|value| value.is_finite()).fold(0.0, f64::max)
    };
    let peaks = forecast
        .peaks
        .iter()
        .filter(|peak| peak.at < forecast.end());
    let sure = largest(
        &mut recent
            .iter()
            .map(|point| point.1)
            .chain(path(Quantile::P95).map(|point| point.1))
            .chain(
                peaks
                    .clone()
                    .map(|peak| peak.quantiles[Quantile::P95.index()]),
            ),
    );
    // a tail far above everything must not flatten the rest
    let tail = largest(&mut path(Quantile::P99).map(|point| point.1));
    let top = tail.max(sure).min(sure * 1.5);

    let mut layers: Vec<Layer> = BANDS
        .iter()
        .map(|&(quantile, opacity, _)| Layer::Area {
            colour: Colour::Band,
            opacity,
            band: path(Quantile::P50)
                .zip(path(quantile))
                .map(|((x, low), (_, high))| (x, low, high))
                .collect(),
        })
        .collect();
    layers.push(Layer::Line {
        colour: Colour::Soft,
        width: 1.0,
        dashed: true,
        points: vec![(seconds(origin), 0.0), (seconds(origin), top * 2.0)],
    });
    layers.push(Layer::Line {
        colour: Colour::Actual,
        width: 1.5,
        dashed: false,
        points: recent.to_vec(),
    });
    layers.push(Layer::Line {
        colour: Colour::Median,
        width: 2.0,
        dashed: false,
        points: path(Quantile::P50).collect(),
    });
    let middle = |at: Timestamp| seconds(at) + 150.0;
    let mut tops = Vec::new();
    for (place, peak) in peaks.enumerate() {
        let [p50, _, p95, _] = peak.quantiles;
        layers.push(Layer::Whisker {
            colour: Colour::Short,
            at: middle(peak.at),
            from: p50,
            to: p95,
        });
        let point = |value: f64, shape: Shape, tag: String| Point {
            at: (middle(peak.at), value),
            colour: Colour::Short,
            shape,
            name: calendar.few_titles(&peak.fixtures, NAMES),
            tag,
        };
        tops.push(point(p50, Shape::Diamond, String::new()));
        tops.push(point(p95, Shape::Dash, named(place)));
    }
    // two windows may peak at one moment: in one layer their letters give way to each other
    layers.push(Layer::Points(tops));
    Chart {
        title: "Forecast load".to_owned(),
        description: "Load of the last hours, and the median and upper quantiles of the load to \
                      come, with the windows of fixtures shaded."
            .to_owned(),
        width: WIDTH,
        height: 400,
        x: Axis::Time {
            from,
            to: forecast.end(),
            zone,
        },
        y: Axis::up_to([top]),
        x_name: format!("time in {zone}"),
        y_name: "units per second".to_owned(),
        spans: spans(forecast, calendar, from),
        layers,
    }
}

/// The origin, the windows that are over, then those ahead with their letters.
fn spans(forecast: &Forecast, calendar: &Calendar, from: Timestamp) -> Vec<Span> {
    let origin = forecast.origin;
    let mut spans = vec![Span {
        from: seconds(origin),
        to: seconds(origin),
        name: "origin".to_owned(),
    }];
    for fixture in calendar.starting_between(from - TimeDelta::days(1), origin) {
        let (begin, end) = (fixture.lock() - WINDOW.0, fixture.expected_end() + WINDOW.1);
        if !fixture.status.is_off() && fixture.start.is_timed() && end > from {
            spans.push(Span {
                from: seconds(begin.max(from)),
                to: seconds(end.min(origin)),
                name: String::new(),
            });
        }
    }
    let mut unnamed = Vec::new();
    for (place, peak) in forecast.peaks.iter().enumerate() {
        if peak.from < forecast.end() {
            if place >= NAMED {
                unnamed.push(spans.len());
            }
            spans.push(Span {
                from: seconds(peak.from),
                to: seconds(peak.to.min(forecast.end())),
                name: named(place),
            });
        }
    }
    if let Some(&middle) = unnamed.get(unnamed.len() / 2) {
        spans[middle].name = format!("+{} more", unnamed.len());
    }
    spans
}

/// The letter of a window; none where no line of text would say whose it is.
fn named(place: usize) -> String {
    if place < NAMED {
        letter(place)
    } else {
        String::new()
    }
}

/// `A` to `Z`, then `AA` and so on.
fn letter(place: usize) -> String {
    let last = char::from(b'A' + (place % 26) as u8);
    match place / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", letter(more - 1)),
    }
}

/// A text for each window ahead, then the notes, in lines that fit.
fn below(forecast: &Forecast, calendar: &Calendar, zone: Tz) -> Vec<String> {
    let line = |(place, peak): (usize, &PeakForecast)| {
        let rate = |index: usize| Rate::per_second(peak.quantiles[index]);
        format!(
            "{}  {}  {}: peak about {} at {} (p95 {}, p99 {}){}",
            letter(place),
            by_clock(peak.start, zone, "%a %-d %b %H:%M"),
            calendar.few_titles(&peak.fixtures, NAMES),
            rate(0),
            by_clock(peak.at, zone, "%H:%M"),
            rate(2),
            rate(3),
            crowd_of_others(&calendar.titles(&peak.drawn_by)),
        )
    };
    let peaks = forecast.peaks.iter().enumerate();
    let mut lines: Vec<String> = peaks
        .take(NAMED)
        .map(line)
        .flat_map(|line| broken(&line))
        .collect();
    if forecast.peaks.len() > NAMED {
        lines.push(format!("and {} more windows", forecast.peaks.len() - NAMED));
    }
    for note in &forecast.notes {
        lines.extend(broken(&format!("Note: {note}")));
    }
    lines
}

/// What is said behind a peak at which other fixtures, by their titles, draw more than its own.
pub fn crowd_of_others(titles: &[String]) -> String {
    match titles {
        [] => String::new(),
        [only] => format!("; the crowd of {only} is larger then"),
        [first, rest @ ..] => {
            let more = rest.len();
            format!("; the crowd of {first} and {more} more is larger then")
        }
    }
}

/// A text in lines that fit.
fn broken(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // what stands apart by two spaces does so in its line
    for word in text.trim_end().split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Means of the known load over steps of at least the series' own, each at the middle of its step.
fn means(load: &Series, from: Timestamp, to: Timestamp, step: TimeDelta) -> Vec<(f64, f64)> {
    let part = load.between(from, to);
    let bins = step.num_milliseconds() / part.step().num_milliseconds().max(1);
    let bins = usize::try_from(bins).unwrap_or(1).max(1);
    let width = part.step().num_milliseconds() as f64 / 1e3;
    part.raw()
        .chunks(bins)
        .enumerate()
        .map(|(index, values)| {
            let known = values.iter().filter(|value| value.is_finite());
            let (sum, count) = known.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
            let middle = index as f64 * bins as f64 + values.len() as f64 / 2.0;
            (seconds(part.start()) + middle * width, sum / count)
        })
        .collect()
}

#[cfg(test)]
mod tests;
