//! What is kept of a run for its picture: the largest values of equal parts of the day, and every
//! second around the day's largest surge.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::Day;
use super::day::Mark;
use super::surges::Surge;
use crate::backtest::scenario::Span;
use crate::plot::largest_per_bucket;
use crate::simulate::{Run, SeenSpike};
use crate::units::{Rate, Timestamp};

/// Points of a line over a day.
pub const POINTS: usize = 900;

/// Time shown before and after the beginning of the largest surge.
const ZOOM_BEFORE: TimeDelta = TimeDelta::minutes(1);
const ZOOM_AFTER: TimeDelta = TimeDelta::minutes(4);

/// One day as it looked.
#[derive(Debug, Clone, PartialEq)]
pub struct DayPicture {
    /// Zone whose day it is.
    pub zone: Tz,
    /// First moment.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Largest load of each part, units per second.
    pub load: Vec<f64>,
    /// Begin and end of play of each fixture.
    pub play: Vec<(Timestamp, Timestamp)>,
    /// Scoring plays.
    pub marks: Vec<Mark>,
    /// Load one ready replica serves.
    pub per_replica: Rate,
    /// Around the largest surge; `None` without any.
    pub zoom: Option<Zoom>,
    /// Every policy.
    pub strips: Vec<Strip>,
    surges: Vec<Surge>,
}

/// The part of a day around its largest surge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zoom {
    /// Begin.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// Beginning of the surge.
    pub surge: Surge,
}

impl Zoom {
    /// Around the surge that rose furthest, within the span of which there are values.
    pub fn of_largest(surges: &[Surge], span: Span) -> Option<Self> {
        let rise = |surge: &Surge| (surge.top - surge.before).as_per_second();
        let surge = surges
            .iter()
            .copied()
            .max_by(|a, b| rise(a).total_cmp(&rise(b)))?;
        Some(Self {
            from: (surge.at - ZOOM_BEFORE).max(span.from),
            to: (surge.at + ZOOM_AFTER).min(span.to),
            surge,
        })
    }
}

/// One policy over one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// Policy.
    pub name: String,
    /// Replicas Ready, the most of each part.
    pub ready: Vec<f64>,
    /// Replicas needed where some load was not served, NaN elsewhere.
    pub short: Vec<f64>,
    /// Alarms of the fast loop.
    pub alarms: Vec<SeenSpike>,
    /// Every second of the zoom: replicas needed, Ready, asked for.
    pub close: Vec<(f64, f64, f64)>,
}

impl DayPicture {
    /// A day without policies yet.
    pub fn new(day: &Day, per_replica: Rate, zone: Tz) -> Self {
        let (from, to) = (day.span.from, day.span.to);
        let load = day.load.between(from, to);
        let play = day.calendar.starting_between(from, to);
        let play = play.into_iter().map(|fixture| {
            let end = fixture.start.at + fixture.duration.typical;
            (fixture.start.at, fixture.ended_at.unwrap_or(end))
        });
        Self {
            zone,
            from,
            to,
            load: largest_per_bucket(load.raw(), POINTS),
            play: play.collect(),
            marks: day.marks.clone(),
            per_replica,
            zoom: Zoom::of_largest(&day.surges, day.span),
            strips: Vec::new(),
            surges: day.surges.clone(),
        }
    }

    /// Keeps what is shown of a run.
    pub fn add(&mut self, run: &Run, alarms: &[SeenSpike]) {
        let per_replica = self.per_replica.as_per_second();
        let ready: Vec<f64> = run.ready.iter().map(|&n| f64::from(n)).collect();
        let short = run.unserved.iter().zip(&run.offered);
        let short: Vec<f64> = short
            .map(|(&unserved, &offered)| {
                if unserved > 0.0 {
                    offered / per_replica
                } else {
                    f64::NAN
                }
            })
            .collect();
        let close = self.zoom.map_or_else(Vec::new, |zoom| {
            let index = |at: Timestamp| {
                let steps = (at - run.from).num_milliseconds() / run.step.num_milliseconds().max(1);
                (steps.max(0) as usize).min(run.ready.len())
            };
            (index(zoom.from)..index(zoom.to))
                .map(|step| {
                    (
                        run.offered[step] / per_replica,
                        ready[step],
                        f64::from(run.desired[step]),
                    )
                })
                .collect()
        });
        self.strips.push(Strip {
            name: run.name.clone(),
            ready: largest_per_bucket(&ready, POINTS),
            short: largest_per_bucket(&short, POINTS),
            alarms: alarms.to_vec(),
            close,
        });
    }

    /// Surges of the day.
    pub fn surges(&self) -> &[Surge] {
        &self.surges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_close_up_of_a_surge_at_an_edge_ends_with_the_span() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let span = Span {
            from: at(0),
            to: at(3_600),
        };
        let shown = |second: i64| {
            let surge = Surge {
                at: at(second),
                before: Rate::per_second(10.0),
                top: Rate::per_second(50.0),
            };
            let zoom = Zoom::of_largest(&[surge], span).unwrap();
            (zoom.from, zoom.to)
        };
        assert_eq!(shown(20), (at(0), at(260)));
        assert_eq!(shown(1_800), (at(1_740), at(2_040)));
        assert_eq!(shown(3_500), (at(3_440), at(3_600)));
    }
}
