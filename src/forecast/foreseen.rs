//! Past fixtures as they looked before anybody knew when they would end.
//!
//! A fit learns from ends as they were; a forecast issued before an end had only the expected one.
//! Whoever measures the errors of past forecasts must issue them as they could have been, or the
//! doubt about the end is missing from the margins just where load peaks.

use super::features::{Design, Rows, WINDOW};
use super::grid::{Grid, STEP};
use super::response;
use super::slots::Slot;

/// Ends closer than this to what was expected make no difference on the grid, seconds.
const SAME: i64 = STEP / 2;

/// Share of play before which a stretched response hardly differs.
const LATE: f64 = 90.0 / response::PLAY;

/// Rows of the bins that an unexpected end moved.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    /// Ascending.
    bins: Vec<Moved>,
    /// One per element of `bins`.
    pub(crate) rows: Rows,
}

/// A bin whose row was another before an end was known.
#[derive(Debug, Clone, Copy)]
struct Moved {
    bin: usize,
    /// First bin at which everything about it is known.
    known: usize,
}

impl Foreseen {
    /// From the slots that the rows of `grid` are made for.
    pub(crate) fn of(slots: &[Slot], design: &Design, grid: &Grid) -> Self {
        let place = |at: i64| grid.len() as i64 + (at - grid.end).div_euclid(STEP);
        let mut known: Vec<usize> = vec![0; grid.len()];
        let mut some = false;
        for slot in slots {
            let (end, expected) = (slot.anchors.end, slot.expected_end);
            if (end - expected).abs() < SAME {
                continue;
            }
            some = true;
            let start = slot.anchors.start;
            let from = start + (LATE * (end.min(expected) - start) as f64) as i64;
            let to = end.max(expected) + WINDOW.1;
            let (from, to) = (place(from).max(0), place(to).min(grid.len() as i64));
            for bin in from..to {
                let known = &mut known[bin as usize];
                *known = (*known).max(place(end).max(0) as usize);
            }
        }
        if !some {
            return Self::default();
        }
        let bins: Vec<Moved> = (known.iter().enumerate())
            .filter(|(_, known)| **known > 0)
            .map(|(bin, &known)| Moved { bin, known })
            .collect();
        let expected: Vec<Slot> = slots.iter().map(Slot::as_expected).collect();
        let rows = design.rows(&expected, bins.iter().map(|moved| grid.middle(moved.bin)));
        Self { bins, rows }
    }

    /// Bins of `[from, to)` that have another row, with its place.
    pub(crate) fn between(
        &self,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        let first = self.bins.partition_point(|moved| moved.bin < from);
        let rest = self.bins[first..].iter().enumerate();
        rest.take_while(move |(_, moved)| moved.bin < to)
            .map(move |(place, moved)| (moved.bin, first + place))
    }

    /// Place of the row of `bin` as it was seen at `origin`; `None` when it is as it came.
    pub(crate) fn at(&self, bin: usize, origin: usize) -> Option<usize> {
        let place = self.bins.partition_point(|moved| moved.bin < bin);
        let moved = self.bins.get(place)?;
        (moved.bin == bin && origin < moved.known).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use crate::series::Series;
    use crate::units::Timestamp;
    use chrono::{TimeDelta, TimeZone as _, Utc};
    use chrono_tz::Tz;

    fn start() -> Timestamp {
        Utc.with_ymd_and_hms(2024, 5, 15, 18, 0, 0).unwrap()
    }

    /// A fixture that ended `late` minutes after the time it usually takes, as it is known a day
    /// later: slots, design, the grid of two days and the bin of the end.
    fn played(late: i64) -> (Vec<Slot>, Design, Grid, usize) {
        let mut game = Fixture::game("a", "cup", start());
        let end = start() + game.duration.typical + TimeDelta::minutes(late);
        game.ended_at = Some(end);
        let calendar: Calendar = [game].into_iter().collect();
        let now = start() + TimeDelta::days(1);
        let slots = slots(&calendar, now, Tz::UTC, (start() - TimeDelta::days(1), now));
        let design = Design::new(Tz::UTC, false, &slots, 0, now.timestamp());
        let load = Series::from_raw(
            start() - TimeDelta::days(1),
            TimeDelta::minutes(5),
            vec![1.0; 576],
        );
        let bin = (288 + (end - start()).num_minutes() / 5) as usize;
        (slots, design, Grid::before(&load, now, 576), bin)
    }

    #[test]
    fn until_it_has_ended_a_late_end_is_not_known() {
        let (slots, design, grid, end) = played(30);
        let foreseen = Foreseen::of(&slots, &design, &grid);
        let rows = design.rows(&slots, (0..grid.len()).map(|bin| grid.middle(bin)));
        // just after the usual end the crowd was thought to be leaving
        let bin = end - 3;
        let place = foreseen.at(bin, end - 20).unwrap();
        assert_ne!(foreseen.rows.row(place), rows.row(bin));
        assert_eq!(foreseen.at(bin, end), None);
        let moved: Vec<usize> = foreseen
            .between(end - 2, end + 2)
            .map(|(bin, _)| bin)
            .collect();
        assert_eq!(moved, [end - 2, end - 1, end, end + 1]);
        // neither the first half nor the next day
        assert!(foreseen.at(288, 280).is_none() && foreseen.at(560, 280).is_none());
    }

    #[test]
    fn an_end_on_time_makes_no_difference() {
        let (slots, design, grid, _) = played(2);
        let foreseen = Foreseen::of(&slots, &design, &grid);
        assert_eq!(foreseen.between(0, grid.len()).count(), 0);
    }
}
