//! Past fixtures as they looked when forecasts of them were issued.
//!
//! A fit learns from starts and ends as they were. A forecast issued before an end had only the
//! expected one, and one issued before a change of the calendar had another start, or no fixture
//! at all. Whoever measures the errors of past forecasts must issue them as they could have been,
//! or the doubt about them is missing from the margins just where load peaks.

use std::ops::Range;

use super::features::{Design, Rows, WINDOW};
use super::grid::{Grid, STEP};
use super::response;
use super::slots::Slot;

mod news;

pub(crate) use news::{Before, before_news};

/// Ends closer than this to what was expected make no difference on the grid, seconds.
const SAME: i64 = STEP / 2;

/// Share of play before which a response that is stretched a little hardly differs.
const LATE: f64 = 90.0 / response::PLAY;

/// Stretched by more than this share it differs all along.
const LITTLE: f64 = 0.25;

/// Rows of the bins that an unexpected end or late news moved.
#[derive(Debug, Default)]
pub(crate) struct Foreseen {
    /// By bin of the grid: where its sights end in the list. Empty when there is no sight at all.
    ends: Vec<u32>,
    /// In order of bins, and for each bin of time.
    sights: Vec<Sight>,
    /// As they were seen before ends were known, and before each news.
    rows: Vec<Rows>,
}

/// How one bin was seen for some time.
#[derive(Debug, Clone, Copy)]
struct Sight {
    /// First bin at which it was seen so no more.
    until: u32,
    /// Which rows, and the place among them.
    row: (u32, u32),
}

impl Foreseen {
    /// From the slots that the rows of `grid` are made for, and what was expected before late
    /// news. Also returns the slots that were expected then and are none of `slots`: in the rows
    /// their places follow those of `slots`.
    pub(crate) fn of(
        slots: &[Slot],
        before: &[Before],
        design: &Design,
        grid: &Grid,
    ) -> (Self, Vec<Slot>) {
        let mut strangers = Vec::new();
        let mut sights: Vec<(u32, Sight)> = Vec::new();
        let mut rows = Vec::new();
        let mut add = |bins: Vec<(usize, u32)>, seen: Rows| {
            let of = rows.len() as u32;
            for (place, (bin, until)) in (0..).zip(bins) {
                let row = (of, place);
                sights.push((bin as u32, Sight { until, row }));
            }
            rows.push(seen);
        };
        let middles = |bins: &[(usize, u32)]| -> Vec<i64> {
            bins.iter().map(|&(bin, _)| grid.middle(bin)).collect()
        };
        let bins = moved_by_ends(slots, grid);
        if !bins.is_empty() {
            let expected: Vec<Slot> = slots.iter().map(Slot::as_expected).collect();
            let seen = design.rows(&expected, middles(&bins).into_iter());
            add(bins, seen);
        }
        for Before {
            known,
            slots: expected,
            spans,
        } in before
        {
            let bins: Vec<(usize, u32)> = bins_of(spans, grid)
                .into_iter()
                .map(|bin| (bin, *known as u32))
                .collect();
            if bins.is_empty() {
                continue;
            }
            let mut seen = design.rows(expected, middles(&bins).into_iter());
            let places: Vec<u32> = expected
                .iter()
                .map(|slot| place_of(slot, slots, &mut strangers))
                .collect();
            seen.number_slots(&places);
            add(bins, seen);
        }
        sights.sort_by_key(|&(bin, sight)| (bin, sight.until));
        if sights.is_empty() {
            return (Self::default(), strangers);
        }
        let mut left = sights.iter().peekable();
        let mut passed = 0;
        let ends = (0..grid.len() as u32)
            .map(|bin| {
                while left.next_if(|&&(other, _)| other <= bin).is_some() {
                    passed += 1;
                }
                passed
            })
            .collect();
        let sights = sights.into_iter().map(|(_, sight)| sight).collect();
        (Self { ends, sights, rows }, strangers)
    }

    /// The sights of a bin, by their places in the list of all.
    pub(crate) fn of_bin(&self, bin: usize) -> Range<usize> {
        let end = |bin: usize| self.ends.get(bin).map_or(0, |&end| end as usize);
        let from = bin.checked_sub(1).map_or(0, end);
        from..end(bin)
    }

    /// How `bin` was seen at `origin`, by its place in the list of all sights; `None` when it was
    /// seen as it came.
    pub(crate) fn at(&self, bin: usize, origin: usize) -> Option<usize> {
        self.of_bin(bin).find(|&sight| self.lasts(sight, origin))
    }

    /// True when a bin was still seen so at `origin`.
    pub(crate) fn lasts(&self, sight: usize, origin: usize) -> bool {
        origin < self.sights[sight].until as usize
    }

    /// The row of a sight: its place in the rows returned.
    pub(crate) fn row(&self, sight: usize) -> (&Rows, usize) {
        let (of, place) = self.sights[sight].row;
        (&self.rows[of as usize], place as usize)
    }
}

/// First bin of the grid at whose beginning something that became known at `at` is known.
pub(crate) fn bin_after(grid: &Grid, at: i64) -> usize {
    place(grid, at + STEP - 1).max(0) as usize
}

/// The bin of the grid in which `at` lies; negative before it, its length or more after.
fn place(grid: &Grid, at: i64) -> i64 {
    grid.len() as i64 + (at - grid.end).div_euclid(STEP)
}

/// The bins that unexpected ends moved, and the first bin at which everything about each is known.
fn moved_by_ends(slots: &[Slot], grid: &Grid) -> Vec<(usize, u32)> {
    let mut moved: Vec<u32> = Vec::new();
    for slot in slots {
        let (end, expected) = (slot.anchors.end, slot.expected_end);
        if (end - expected).abs() < SAME {
            continue;
        }
        moved.resize(grid.len(), 0);
        let start = slot.anchors.start;
        let play = (end.min(expected) - start) as f64;
        let little = (end - expected).abs() as f64 <= LITTLE * play;
        let from = start + if little { (LATE * play) as i64 } else { 0 };
        let to = slot.last_end.max(expected) + WINDOW.1;
        // only when all have ended is the middle of their ends known
        let known_at = bin_after(grid, slot.last_end) as u32;
        for bin in bins_of(&[(from, to)], grid) {
            moved[bin] = moved[bin].max(known_at);
        }
    }
    let known = moved.into_iter().enumerate();
    known.filter(|&(_, known)| known > 0).collect()
}

/// The bins of the grid in some spans of time, each once.
fn bins_of(spans: &[(i64, i64)], grid: &Grid) -> Vec<usize> {
    let mut bins: Vec<usize> = spans
        .iter()
        .flat_map(|&(from, to)| {
            let (from, to) = (place(grid, from).max(0), place(grid, to));
            from as usize..to.clamp(0, grid.len() as i64) as usize
        })
        .collect();
    bins.sort_unstable();
    bins.dedup();
    bins
}

/// The place of a slot among `slots`, which are in order of their starts, or behind them among the
/// `strangers`.
fn place_of(slot: &Slot, slots: &[Slot], strangers: &mut Vec<Slot>) -> u32 {
    let key = |slot: &Slot| (slot.anchors.start, slot.fixtures.clone());
    let wanted = key(slot);
    let known = slots.partition_point(|other| other.anchors.start < slot.anchors.start);
    let same = slots[known..]
        .iter()
        .take_while(|other| other.anchors.start == slot.anchors.start)
        .position(|other| other.fixtures == slot.fixtures);
    let place = same.map_or_else(
        || {
            let met = strangers.iter().position(|other| key(other) == wanted);
            slots.len()
                + met.unwrap_or_else(|| {
                    strangers.push(slot.clone());
                    strangers.len() - 1
                })
        },
        |same| known + same,
    );
    place as u32
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
        let design = Design::new(Tz::UTC, false, Vec::new(), &slots, (0, now.timestamp()));
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
        let (foreseen, _) = Foreseen::of(&slots, &[], &design, &grid);
        let rows = design.rows(&slots, (0..grid.len()).map(|bin| grid.middle(bin)));
        // just after the usual end the crowd was thought to be leaving
        let bin = end - 3;
        let (seen, place) = foreseen.row(foreseen.at(bin, end - 20).unwrap());
        assert_ne!(seen.row(place), rows.row(bin));
        assert_eq!(foreseen.at(bin, end), None);
        // the whole of play was thought to be shorter, the next day has nothing to do with it
        assert!(foreseen.at(288, 280).is_some() && foreseen.at(560, 280).is_none());
    }

    #[test]
    fn a_little_late_moves_the_end_alone_and_is_known_when_it_is_over() {
        let (slots, design, grid, end) = played(13);
        let (foreseen, _) = Foreseen::of(&slots, &[], &design, &grid);
        assert!(foreseen.at(288, 280).is_none());
        // the end lies within the bin, and who forecasts at its beginning does not know of it
        assert_ne!(slots[0].last_end % STEP, 0);
        assert!(foreseen.at(end + 2, end).is_some());
        assert!(foreseen.at(end + 2, end + 1).is_none());
    }

    #[test]
    fn an_end_on_time_makes_no_difference() {
        let (slots, design, grid, _) = played(2);
        let (foreseen, _) = Foreseen::of(&slots, &[], &design, &grid);
        assert!((0..grid.len()).all(|bin| foreseen.at(bin, 0).is_none()));
    }
}
