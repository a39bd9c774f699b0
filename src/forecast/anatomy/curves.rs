//! The learnt response of each competition as a curve, beside what was believed before.

use chrono::TimeDelta;

use super::super::event_response::FittedEventResponse;
use super::super::response::PLAY;
use super::super::slots::{Slot, slots};
use super::ResponseCurve;
use super::parts::settled_logs;
use crate::fixture::{Calendar, Fixture};
use crate::units::Timestamp;

/// Response minutes of the first and last point.
const SPAN: (i64, i64) = (-240, 300);

/// Response minutes between two points.
const EVERY: usize = 5;

impl FittedEventResponse {
    /// What one ordinary fixture of each competition learnt from does to load, on the weekday
    /// after the fit, between sides without an amplitude of their own; by name.
    pub fn response_curves(&self) -> Vec<ResponseCurve> {
        self.fixtures_seen
            .iter()
            .filter_map(|(competition, &fixtures)| {
                let slot = self.ordinary(competition)?;
                let moments: Vec<i64> = (SPAN.0..=SPAN.1)
                    .step_by(EVERY)
                    .map(|minute| moment(&slot, minute as f64))
                    .collect();
                // one that weighs nothing shares the day and its terms, but brings nobody
                let nobody = Slot {
                    count: 0.0,
                    ..slot.clone()
                };
                let points = |log: &dyn Fn(&Slot) -> Vec<f64>| -> Vec<(f64, f64)> {
                    let (with, without) = (log(&slot), log(&nobody));
                    moments
                        .iter()
                        .zip(with.iter().zip(without))
                        .map(|(&at, (with, without))| {
                            let minute = (at - slot.anchors.start) as f64 / 60.0;
                            (minute, (with - without).exp())
                        })
                        .collect()
                };
                let learnt = |slot: &Slot| {
                    settled_logs(self, std::slice::from_ref(slot), moments.iter().copied())
                };
                let believed = |slot: &Slot| {
                    let rows = self
                        .design
                        .rows(std::slice::from_ref(slot), moments.iter().copied());
                    (0..rows.len())
                        .map(|index| rows.fit(index, &self.design.prior))
                        .collect()
                };
                Some(ResponseCurve {
                    competition: competition.clone(),
                    fixtures,
                    points: points(&learnt),
                    prior: points(&believed),
                })
            })
            .collect()
    }

    /// A fixture of a competition that is like any other, as long as its sport usually lasts.
    fn ordinary(&self, competition: &str) -> Option<Slot> {
        // a Wednesday, 18:00 on the audience's clock or near it
        let start = Timestamp::from_timestamp(1_704_304_800, 0)?;
        let mut fixture = Fixture::game("ordinary", competition, start);
        fixture.assume_sport();
        let calendar: Calendar = [fixture].into_iter().collect();
        let around = (start - TimeDelta::hours(1), start + TimeDelta::hours(1));
        slots(&calendar, start - TimeDelta::days(1), self.zone, around).pop()
    }
}

/// The moment of a response minute: the inverse of `Anchors::minute`.
fn moment(slot: &Slot, minute: f64) -> i64 {
    let anchors = slot.anchors;
    if minute < 0.0 {
        anchors.gathers + (minute * 60.0) as i64
    } else if minute < PLAY {
        anchors.start + (minute / PLAY * (anchors.end - anchors.start) as f64) as i64
    } else {
        anchors.end + ((minute - PLAY) * 60.0) as i64
    }
}
