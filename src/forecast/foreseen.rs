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

/// Share of play before which a response that is stretched a little hardly differs.
const LATE: f64 = 90.0 / response::PLAY;

/// Stretched by more than this share it differs all along.
const LITTLE: f64 = 0.25;

/// Rows of the bins that an unexpected end moved.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    /// By bin of the grid: first bin at which everything about it is known, zero when nothing was
    /// unexpected, and the place of its row. Empty when there is no such bin at all.
    moved: Vec<(u32, u32)>,
    /// Rows of the moved bins, in their order.
    pub(crate) rows: Rows,
}

impl Foreseen {
    /// From the slots that the rows of `grid` are made for.
    pub(crate) fn of(slots: &[Slot], design: &Design, grid: &Grid) -> Self {
        let place = |at: i64| grid.len() as i64 + (at - grid.end).div_euclid(STEP);
        let mut moved: Vec<(u32, u32)> = Vec::new();
        for slot in slots {
            let (end, expected) = (slot.anchors.end, slot.expected_end);
            if (end - expected).abs() < SAME {
                continue;
            }
            moved.resize(grid.len(), (0, 0));
            let start = slot.anchors.start;
            let play = (end.min(expected) - start) as f64;
            let little = (end - expected).abs() as f64 <= LITTLE * play;
            let from = start + if little { (LATE * play) as i64 } else { 0 };
            let to = slot.last_end.max(expected) + WINDOW.1;
            // only when all have ended is the middle of their ends known
            let known_at = place(slot.last_end + STEP - 1).max(0) as u32;
            let (from, to) = (place(from).max(0), place(to).min(grid.len() as i64));
            for bin in from..to {
                let (known, _) = &mut moved[bin as usize];
                *known = (*known).max(known_at);
            }
        }
        let mut bins = Vec::new();
        for (bin, (known, place)) in moved.iter_mut().enumerate() {
            if *known > 0 {
                *place = bins.len() as u32;
                bins.push(bin);
            }
        }
        if bins.is_empty() {
            return Self::default();
        }
        let expected: Vec<Slot> = slots.iter().map(Slot::as_expected).collect();
        let rows = design.rows(&expected, bins.into_iter().map(|bin| grid.middle(bin)));
        Self { moved, rows }
    }

    /// Place of the row of `bin` as it was seen at `origin`; `None` when it is as it came.
    pub(crate) fn at(&self, bin: usize, origin: usize) -> Option<usize> {
        let &(known, place) = self.moved.get(bin)?;
        (origin < known as usize).then_some(place as usize)
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
        let (slots, design, grid, end) = played(60);
        let foreseen = Foreseen::of(&slots, &design, &grid);
        let rows = design.rows(&slots, (0..grid.len()).map(|bin| grid.middle(bin)));
        // just after the usual end the crowd was thought to be leaving
        let bin = end - 3;
        let place = foreseen.at(bin, end - 20).unwrap();
        assert_ne!(foreseen.rows.row(place), rows.row(bin));
        assert_eq!(foreseen.at(bin, end), None);
        // the whole of play was thought to be shorter, the next day has nothing to do with it
        assert!(foreseen.at(288, 280).is_some() && foreseen.at(560, 280).is_none());
    }

    #[test]
    fn a_little_late_moves_the_end_alone_and_is_known_when_it_is_over() {
        let (slots, design, grid, end) = played(13);
        let foreseen = Foreseen::of(&slots, &design, &grid);
        assert!(foreseen.at(288, 280).is_none());
        // the end lies within the bin, and who forecasts at its beginning does not know of it
        assert_ne!(slots[0].last_end % STEP, 0);
        assert!(foreseen.at(end + 2, end).is_some());
        assert!(foreseen.at(end + 2, end + 1).is_none());
    }

    #[test]
    fn an_end_on_time_makes_no_difference() {
        let (slots, design, grid, _) = played(2);
        let foreseen = Foreseen::of(&slots, &design, &grid);
        assert!((0..grid.len()).all(|bin| foreseen.at(bin, 0).is_none()));
    }
}
