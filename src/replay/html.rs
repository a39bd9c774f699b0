//! The report as one self-contained HTML file: what the policies paid and served, and every day.

use std::fmt::Write as _;

use chrono_tz::Tz;

use super::report::PolicyReport;
use super::strip::{DayPicture, Strip, Zoom};
use super::{Outcome, Report};
use crate::backtest::contest::{NO_RESIZE, TIPOFF};
use crate::backtest::report::{number, percent};
use crate::plot::page::{self, figure, key, point_key, table};
use crate::plot::{
    self, Axis, Chart, Colour, Layer, Point, Shape, Span, area, escape, line, seconds,
};
use crate::units::Timestamp;

/// The page of an outcome.
pub fn page(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let mut body = String::new();
    let _ = write!(
        body,
        "<h1>{}</h1>\n<p class=\"soft\">{}</p>\n<p>{}</p>\n",
        escape(&report.title),
        escape(&report.what()),
        escape(&finding(report))
    );
    table(
        &mut body,
        &report.policy_table(),
        "Policies side by side",
        1,
        1,
    );
    if let Some(equal) = report.equal_cost_table() {
        body.push_str("<h2>What the others serve at the same price</h2>\n");
        table(&mut body, &equal, "Peers at Tipoff's price", 0, 1);
    }
    price(&mut body, report);
    if let Some((picture, zoom)) = largest_surge(outcome) {
        close_up(&mut body, picture, zoom);
    }
    if let Some(days) = report.day_table() {
        body.push_str("<h2>Day by day</h2>\n");
        table(&mut body, &days, "Share not served per day", 0, 1);
    }
    for (index, picture) in outcome.pictures.iter().enumerate() {
        day(&mut body, picture, index == 0);
    }
    page::notes(&mut body, &report.notes);
    page::whole(&format!("{} · Tipoff replay", report.title), &body)
}

/// The finding in a sentence or two.
fn finding(report: &Report) -> String {
    let Some((own, others)) = report.policies.split_first() else {
        return String::new();
    };
    let told = |policy: &PolicyReport| {
        format!(
            "{} left {} of the demand unserved at {} replica-hours{}",
            policy.name,
            percent(policy.unserved_ratio),
            number(policy.replica_hours),
            policy
                .over_static_peak
                .map(|share| format!(" ({:.0} % of a static peak's)", share * 100.0))
                .unwrap_or_default()
        )
    };
    let mut text = told(own);
    for start in ["hpa", "kpa"] {
        if let Some(other) = others.iter().find(|policy| policy.name.starts_with(start)) {
            let _ = write!(text, "; {}", told(other));
        }
    }
    text.push('.');
    text
}

/// Demand not served over price, one point a policy, and Tipoff's curve over its covers.
fn price(body: &mut String, report: &Report) {
    let policies = &report.policies;
    let left = || {
        let tuned = report.equal_cost.iter().map(|peer| peer.unserved_ratio);
        policies.iter().map(|p| p.unserved_ratio).chain(tuned)
    };
    if policies.len() < 2 || left().all(|share| share <= 0.0) {
        return;
    }
    let place = |hours: f64, share: f64| (hours, share * 1e6);
    let mut curve: Vec<(f64, f64)> = policies
        .iter()
        // another cover is another point of the curve; another lever is another curve
        .filter(|policy| policy.name.starts_with(TIPOFF) && policy.name != NO_RESIZE)
        .map(|policy| place(policy.replica_hours, policy.unserved_ratio))
        .collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    let named = |name: &str, share: f64, hours: f64| {
        format!(
            "{name}: {} not served at {} replica-hours",
            percent(share),
            number(hours)
        )
    };
    let as_set = policies.iter().enumerate().map(|(index, policy)| Point {
        at: place(policy.replica_hours, policy.unserved_ratio),
        colour: colour(report, index),
        shape: if policy.name.starts_with(TIPOFF) {
            Shape::Diamond
        } else {
            Shape::Dot
        },
        name: named(&policy.name, policy.unserved_ratio, policy.replica_hours),
        tag: policy.name.clone(),
    });
    let tuned = report.equal_cost.iter().map(|peer| Point {
        at: place(peer.replica_hours, peer.unserved_ratio),
        colour: Colour::Soft,
        shape: Shape::Ring,
        name: named(
            &format!("{} at Tipoff's price", peer.name),
            peer.unserved_ratio,
            peer.replica_hours,
        ),
        tag: peer.name.clone(),
    });
    let points: Vec<Point> = as_set.chain(tuned).collect();
    let chart = Chart {
        title: "Demand not served and its price".to_owned(),
        description: "Share of the demand not served over replica-hours paid, one point a \
                      policy; low and left is good."
            .to_owned(),
        width: 1000,
        height: 380,
        x: Axis::log_around(points.iter().map(|point| point.at.0), ""),
        y: above_an_edge(Axis::log_around(points.iter().map(|point| point.at.1), "")),
        x_name: "replica-hours".to_owned(),
        y_name: "not served, per million".to_owned(),
        spans: Vec::new(),
        layers: vec![
            Layer::Line {
                colour: Colour::Policy(0),
                width: 1.5,
                dashed: true,
                points: curve,
            },
            Layer::Points(points),
        ],
    };
    body.push_str("<h2>What each unserved request less costs</h2>\n");
    let tuned = (
        Colour::Soft,
        Shape::Ring,
        "peer tuned by hindsight to Tipoff's price",
    );
    let kinds = [
        (
            Colour::Policy(0),
            Shape::Diamond,
            "Tipoff, over its spike covers",
        ),
        (Colour::Ink, Shape::Dot, "another policy as it is set"),
    ];
    let some_tuned = (!report.equal_cost.is_empty()).then_some(tuned);
    point_key(body, kinds.into_iter().chain(some_tuned));
    let mut caption = "Low and left is good; both scales are logarithmic.".to_owned();
    if left().any(|share| share <= 0.0) {
        caption.push_str(
            " On the lower edge stand those that left nothing unserved, for which the scale has \
             no place.",
        );
    }
    figure(body, &chart, &caption);
}

/// A logarithmic axis with room below its least value: its edge stands for nothing at all.
fn above_an_edge(axis: Axis) -> Axis {
    match axis {
        Axis::Log { from, to, suffix } => Axis::Log {
            from: from / 2.0,
            to,
            suffix,
        },
        other => other,
    }
}

/// Tipoff and its covers are one colour, the others each have their own.
fn colour(report: &Report, index: usize) -> Colour {
    let own = |name: &str| name.starts_with(TIPOFF);
    if own(&report.policies[index].name) {
        return Colour::Policy(0);
    }
    let before = report.policies[..index].iter();
    Colour::Policy(1 + before.filter(|policy| !own(&policy.name)).count())
}

fn largest_surge(outcome: &Outcome) -> Option<(&DayPicture, Zoom)> {
    let rise = |zoom: &Zoom| (zoom.surge.top - zoom.surge.before).as_per_second();
    outcome
        .pictures
        .iter()
        .filter_map(|picture| Some((picture, picture.zoom?)))
        .max_by(|(_, a), (_, b)| rise(a).total_cmp(&rise(b)))
}

/// The largest surge second by second.
fn close_up(body: &mut String, picture: &DayPicture, zoom: Zoom) {
    let shown: Vec<(usize, &Strip)> = picture
        .strips
        .iter()
        .enumerate()
        .filter(|(index, strip)| *index == 0 || !strip.name.starts_with(TIPOFF))
        .collect();
    let _ = writeln!(
        body,
        "<h2>The largest surge, {}: {} to {}</h2>",
        zoom.surge
            .at
            .with_timezone(&picture.zone)
            .format("%-d %B %Y %H:%M:%S"),
        zoom.surge.before,
        zoom.surge.top
    );
    let colours = |place: usize| Colour::Policy(place);
    let names = shown
        .iter()
        .enumerate()
        .map(|(place, (_, strip))| (colours(place), strip.name.as_str()));
    key(
        body,
        std::iter::once((Colour::Need, "replicas the load needs")).chain(names),
    );
    let span = (zoom.from, zoom.to);
    let need: Vec<f64> = picture
        .strips
        .first()
        .map(|strip| strip.close.iter().map(|(need, ..)| *need).collect())
        .unwrap_or_default();
    let most = need.iter().copied().fold(1.0, f64::max);
    let ready = shown.iter().enumerate().rev().map(|(place, (_, strip))| {
        let ready: Vec<f64> = strip.close.iter().map(|(_, ready, _)| *ready).collect();
        let width = if place == 0 { 3.0 } else { 2.0 };
        line(colours(place), width, &ready, span)
    });
    let layers = std::iter::once(area(Colour::Need, &need, None, span))
        .chain(ready)
        .collect();
    let chart = over_time(
        (
            "The largest surge",
            "Replicas Ready of each policy over those the load needs.",
        ),
        picture,
        span,
        320,
        most * 1.6,
        layers,
    );
    figure(
        body,
        &chart,
        &format!(
            "Replicas Ready, second by second; CPU lent to running pods is not among them. What \
             lies above the frame has more than enough. {}",
            clock(picture.zone)
        ),
    );
}

/// One day: load, plays and alarms, and the replicas of Tipoff, or of everybody.
fn day(body: &mut String, picture: &DayPicture, everybody: bool) {
    let span = (picture.from, picture.to);
    let local = |at: Timestamp| at.with_timezone(&picture.zone);
    let _ = writeln!(
        body,
        "<h2>{}</h2>",
        local(picture.from).format("%A, %-d %B %Y")
    );
    point_key(
        body,
        [
            (Colour::Prior, Shape::Triangle, "touchdown"),
            (Colour::Soft, Shape::Dash, "lesser scoring play"),
            (Colour::Short, Shape::Diamond, "alarm of the fast loop"),
        ],
    );
    let top = picture.load.iter().copied().fold(1.0, f64::max);
    let mark = |at: Timestamp, height: f64, colour, shape, name: String| Point {
        at: (seconds(at), height),
        colour,
        shape,
        name,
        tag: String::new(),
    };
    let plays = picture.marks.iter().map(|play| {
        let (colour, shape) = if play.touchdown {
            (Colour::Prior, Shape::Triangle)
        } else {
            (Colour::Soft, Shape::Dash)
        };
        mark(play.at, top * 1.12, colour, shape, play.name.clone())
    });
    let alarms = picture
        .strips
        .first()
        .into_iter()
        .flat_map(|strip| &strip.alarms);
    let alarms = alarms.map(|alarm| {
        let asked = if alarm.confirmed {
            ""
        } else {
            ", not confirmed"
        };
        let at = local(alarm.at).format("%H:%M:%S");
        let name = format!("{at}: {}{asked}", alarm.wanted);
        mark(alarm.at, top * 1.04, Colour::Short, Shape::Diamond, name)
    });
    let points = Layer::Points(plays.chain(alarms).collect());
    let mut chart = over_time(
        (
            "Load",
            "Offered load over the day with scoring plays and alarms.",
        ),
        picture,
        span,
        260,
        top * 1.18,
        vec![area(Colour::Need, &picture.load, None, span), points],
    );
    "units per second".clone_into(&mut chart.y_name);
    figure(
        body,
        &chart,
        &format!(
            "Offered load, the largest second of each part of the day. Shaded: play. {}",
            clock(picture.zone)
        ),
    );
    key(
        body,
        [
            (Colour::Need, "replicas the load needs"),
            (Colour::Short, "short: some demand is not served"),
        ],
    );
    let need: Vec<f64> = picture
        .load
        .iter()
        .map(|rate| rate / picture.per_replica.as_per_second())
        .collect();
    for (index, strip) in picture.strips.iter().enumerate() {
        if index > 0 && !everybody {
            break;
        }
        let highest = strip.ready.iter().chain(&need).copied().fold(1.0, f64::max);
        let _ = writeln!(body, "<h3>{}</h3>", escape(&strip.name));
        let chart = over_time(
            (
                &format!("Replicas of {}", strip.name),
                "Replicas Ready over those the load needs.",
            ),
            picture,
            span,
            150,
            highest * 1.05,
            vec![
                area(Colour::Need, &need, None, span),
                area(Colour::Short, &widened(&strip.short), None, span),
                line(Colour::Policy(0), 2.0, &strip.ready, span),
            ],
        );
        figure(body, &chart, "");
    }
}

/// Whose clock the times of a picture are read from.
fn clock(zone: Tz) -> String {
    format!("Times are those of {zone}.")
}

/// A single short pixel must still be seen: it reaches to its neighbour.
fn widened(short: &[f64]) -> Vec<f64> {
    (0..short.len())
        .map(|place| {
            let before = place
                .checked_sub(1)
                .map_or(f64::NAN, |before| short[before]);
            if short[place].is_nan() {
                before
            } else {
                short[place]
            }
        })
        .collect()
}

/// A chart over a part of a day with its play shaded.
fn over_time(
    named: (&str, &str),
    picture: &DayPicture,
    span: (Timestamp, Timestamp),
    height: u32,
    top: f64,
    layers: Vec<Layer>,
) -> Chart {
    let play = picture.play.iter().copied();
    let mut chart = plot::over_time(named, span, picture.zone, height, top, play, layers);
    chart.spans = merged(chart.spans);
    chart
}

/// Spans that overlap become one, or the shade of many would hide the chart.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut kept: Vec<Span> = Vec::new();
    for span in spans {
        match kept.last_mut() {
            Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
            _ => kept.push(span),
        }
    }
    kept
}
