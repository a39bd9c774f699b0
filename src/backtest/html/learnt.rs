//! What was learnt: the response of load to each competition's fixtures, and how big they were.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::super::Outcome;
use super::super::report::NAMED;
use crate::forecast::{FixtureIntensity, ResponseCurve};
use crate::plot::page::{figure, key, point_key};
use crate::plot::{Axis, Chart, Colour, Layer, Point, Shape, seconds};
use crate::units::few;

/// Competitions whose curve is shown: those with the most fixtures.
const CURVES: usize = 8;

/// Competitions told apart by colour.
const COLOURED: usize = 6;

/// The section; nothing when nothing is available.
pub(super) fn section(body: &mut String, outcome: &Outcome) {
    responses(body, &outcome.curves);
    intensities(body, &outcome.intensities);
}

fn responses(body: &mut String, curves: &[ResponseCurve]) {
    if curves.is_empty() {
        return;
    }
    let mut curves: Vec<&ResponseCurve> = curves.iter().collect();
    curves.sort_by(|a, b| (b.fixtures, &a.competition).cmp(&(a.fixtures, &b.competition)));
    curves.truncate(CURVES);
    body.push_str("<h2>What a fixture does to the load</h2>\n");
    key(
        body,
        [
            (Colour::Median, "learnt by the end of the span"),
            (Colour::Prior, "believed before any data (broken)"),
        ],
    );
    // one scale, so that competitions can be compared
    let multiples = curves
        .iter()
        .flat_map(|curve| curve.points.iter().chain(&curve.prior));
    let top = Axis::up_to(multiples.clone().map(|point| point.1));
    let y = match top {
        Axis::Linear { from, to, .. } => Axis::Linear {
            from,
            to,
            suffix: "x",
        },
        other => other,
    };
    let (from, to) = multiples.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
        (low.min(point.0), high.max(point.0))
    });
    body.push_str("<div class=\"grid\">\n");
    for curve in curves {
        let caption = format!("{}, {} fixtures.", curve.competition, curve.fixtures);
        figure(body, &response(curve, (from, to), y.clone()), &caption);
    }
    body.push_str("</div>\n");
}

fn response(curve: &ResponseCurve, (from, to): (f64, f64), y: Axis) -> Chart {
    let hours = |points: &[(f64, f64)]| points.iter().map(|(x, y)| (x / 60.0, *y)).collect();
    let rule = |points: Vec<(f64, f64)>| Layer::Line {
        colour: Colour::Soft,
        width: 1.0,
        dashed: true,
        points,
    };
    Chart {
        title: format!("Response of load to {}", curve.competition),
        description: "Load around one ordinary fixture, as a multiple of the load without it."
            .to_owned(),
        width: 480,
        height: 260,
        x: Axis::Linear {
            from: from / 60.0,
            to: to / 60.0,
            suffix: " h",
        },
        y,
        x_name: "from the start of the fixture".to_owned(),
        y_name: "times the load without it".to_owned(),
        spans: Vec::new(),
        layers: vec![
            rule(vec![(0.0, 0.0), (0.0, f64::MAX)]),
            rule(vec![(from / 60.0, 1.0), (to / 60.0, 1.0)]),
            Layer::Line {
                colour: Colour::Prior,
                width: 1.6,
                dashed: true,
                points: hours(&curve.prior),
            },
            Layer::Line {
                colour: Colour::Median,
                width: 2.4,
                dashed: false,
                points: hours(&curve.points),
            },
        ],
    }
}

fn intensities(body: &mut String, intensities: &[FixtureIntensity]) {
    let starts = intensities.iter().map(|fixture| fixture.start);
    let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else {
        return;
    };
    body.push_str("<h2>How big each fixture was</h2>\n");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for fixture in intensities {
        if let Some(competition) = fixture.competitions.first() {
            *counts.entry(competition).or_default() += 1;
        }
    }
    let mut competitions: Vec<(&str, usize)> = counts.into_iter().collect();
    competitions.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    let colour = |fixture: &FixtureIntensity| {
        let competition = fixture.competitions.first().map(String::as_str);
        let place = competitions
            .iter()
            .position(|(name, _)| Some(*name) == competition);
        place
            .filter(|place| *place < COLOURED)
            .map_or(Colour::Soft, Colour::Policy)
    };
    let named = competitions.iter().take(COLOURED).enumerate();
    point_key(
        body,
        named
            .map(|(place, (name, _))| (Colour::Policy(place), Shape::Dot, *name))
            .chain([(
                Colour::Ink,
                Shape::Dash,
                "as the model, fitted on everything, puts it",
            )]),
    );
    let multiples = intensities
        .iter()
        .flat_map(|fixture| [fixture.multiple, fixture.fitted]);
    let mut layers = vec![Layer::Line {
        colour: Colour::Soft,
        width: 1.0,
        dashed: true,
        points: vec![(seconds(first) - 1e9, 1.0), (seconds(last) + 1e9, 1.0)],
    }];
    for fixture in intensities {
        let at = seconds(fixture.start);
        let colour = colour(fixture);
        let names: Vec<String> = fixture.fixtures.iter().map(ToString::to_string).collect();
        let point = |value: f64, shape| Point {
            at: (at, value),
            colour,
            shape,
            name: format!(
                "{} {}: {:.1}x, fitted {:.1}x",
                fixture.start.format("%-d %b %H:%M"),
                few(&names, NAMED),
                fixture.multiple,
                fixture.fitted
            ),
            tag: String::new(),
        };
        layers.push(Layer::Line {
            colour: Colour::Grid,
            width: 1.5,
            dashed: false,
            points: vec![(at, fixture.fitted), (at, fixture.multiple)],
        });
        layers.push(Layer::Points(vec![
            point(fixture.fitted, Shape::Dash),
            point(fixture.multiple, Shape::Dot),
        ]));
    }
    let chart = Chart {
        title: "Intensity of each fixture".to_owned(),
        description: "Largest load around each group of fixtures over what is expected without \
                      them, in order of time."
            .to_owned(),
        width: 1000,
        height: 320,
        x: Axis::Time {
            from: first - TimeDelta::hours(12),
            to: last + TimeDelta::hours(12),
            zone: Tz::UTC,
        },
        y: Axis::log_around(multiples.chain([1.0]), "x"),
        x_name: String::new(),
        y_name: "largest load over that without fixtures".to_owned(),
        spans: Vec::new(),
        layers,
    };
    figure(
        body,
        &chart,
        "Fixtures that start together are one mark. Times are UTC.",
    );
}
