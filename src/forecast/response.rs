//! The shape of load around a fixture: where it may bend. What is believed of it before any data
//! is in `prior`.
//!
//! Response time runs in minutes from the start, stretched so that play always lasts 110 (the
//! sport in which the knots were placed) and the crowd's peak after the final whistle falls in
//! the same place whatever the sport. Source of knots and boxes: the event-kernel ridge of
//! the project's forecasting study, measured on the 1998 World Cup trace.

/// Response minutes that play lasts.
pub(super) const PLAY: f64 = 110.0;

/// Where the response may bend, response minutes. Dense around the end, where load peaks.
const KNOTS: [f64; 21] = [
    -480.0, -300.0, -180.0, -105.0, -60.0, -30.0, -10.0, 10.0, 30.0, 50.0, 65.0, 85.0, 100.0,
    110.0, 120.0, 130.0, 150.0, 180.0, 225.0, 300.0, 450.0,
];

/// Hat functions: one per inner knot, so the response is zero at both ends.
pub(crate) const HATS: usize = KNOTS.len() - 2;

/// First and last response minute at which a fixture moves load.
pub(crate) const REACH: (f64, f64) = (KNOTS[0], KNOTS[KNOTS.len() - 1]);

/// Edges of the coarse phases: before, play, around the end, after.
const BOXES: [(f64, f64); 4] = [(-60.0, 0.0), (0.0, 90.0), (90.0, 150.0), (150.0, 225.0)];

/// The coarse phase before the lock.
pub(crate) const BEFORE: usize = 0;

/// The coarse phase that begins at full time: a fixture without additions may be over.
pub(crate) const FULL_TIME: usize = 2;

/// Number of coarse phases.
pub(crate) const PHASES: usize = BOXES.len();

/// Response minutes before the lock in which the rush term rises; it ends at the lock itself,
/// when entering is no longer possible.
const RUSH: f64 = 10.0;

/// Times of a fixture that anchor its response, seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Anchors {
    /// Entries close.
    pub(crate) lock: i64,
    /// The crowd comes to be in time for this: the lock, or the start where that is much later.
    pub(crate) gathers: i64,
    /// Play begins.
    pub(crate) start: i64,
    /// Play ends, as far as is known.
    pub(crate) end: i64,
}

impl Anchors {
    /// Response minute of a moment.
    pub(crate) fn minute(self, at: i64) -> f64 {
        if at < self.gathers {
            (at - self.gathers) as f64 / 60.0
        } else if at < self.start {
            0.0
        } else if at < self.end {
            PLAY * (at - self.start) as f64 / (self.end - self.start) as f64
        } else {
            PLAY + (at - self.end) as f64 / 60.0
        }
    }

    /// First and last moment at which the fixture may move load.
    pub(crate) fn span(self) -> (i64, i64) {
        (
            self.gathers + (REACH.0 * 60.0) as i64,
            self.end + ((REACH.1 - PLAY) * 60.0) as i64,
        )
    }
}

/// The one or two hat functions that are not zero at `minute`, with their values.
pub(crate) fn hats(minute: f64) -> [(usize, f64); 2] {
    if minute <= REACH.0 || minute >= REACH.1 {
        return [(0, 0.0); 2];
    }
    let right = KNOTS.partition_point(|&knot| knot <= minute);
    let share = (minute - KNOTS[right - 1]) / (KNOTS[right] - KNOTS[right - 1]);
    // hat j stands on knot j + 1
    let rising = if right - 1 < HATS {
        (right - 1, share)
    } else {
        (0, 0.0)
    };
    let falling = if right >= 2 {
        (right - 2, 1.0 - share)
    } else {
        (0, 0.0)
    };
    [falling, rising]
}

/// The coarse phase at `minute`, if any.
pub(crate) fn phase(minute: f64) -> Option<usize> {
    BOXES
        .iter()
        .position(|&(from, to)| minute >= from && minute < to)
}

/// The rush of the last minutes before the lock: rises to one and is over at the lock, a cliff
/// that no hat can follow. `to_lock` is in minutes, negative before the lock.
pub(crate) fn rush(to_lock: f64) -> f64 {
    if (-RUSH..0.0).contains(&to_lock) {
        1.0 + to_lock / RUSH
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hats_sum_to_one_between_the_inner_knots() {
        for minute in [-299.0, -12.0, 0.0, 64.9, 110.0, 299.0] {
            let sum: f64 = hats(minute).iter().map(|hat| hat.1).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{minute}: {sum}");
        }
        assert_eq!(hats(110.0)[1], (13, 0.0));
        assert_eq!(hats(110.0)[0], (12, 1.0));
    }

    #[test]
    fn hats_vanish_at_both_ends() {
        for minute in [-481.0, -480.0, 450.0, 1e6] {
            assert!(hats(minute).iter().all(|hat| hat.1 == 0.0), "{minute}");
        }
        let near: f64 = hats(-479.0).iter().map(|hat| hat.1).sum();
        assert!(near > 0.0 && near < 0.01);
    }

    #[test]
    fn response_time_is_stretched_to_the_sport_and_pauses_between_lock_and_start() {
        let anchors = Anchors {
            lock: -600,
            gathers: -600,
            start: 0,
            end: 190 * 60,
        };
        assert_eq!(anchors.minute(-600 - 60), -1.0);
        assert_eq!(anchors.minute(-60), 0.0);
        assert_eq!(anchors.minute(95 * 60), 55.0);
        assert_eq!(anchors.minute(200 * 60), 120.0);
    }

    #[test]
    fn a_lock_hours_before_the_start_leaves_the_crowd_to_the_start() {
        let anchors = Anchors {
            lock: -4 * 3600,
            gathers: 0,
            start: 0,
            end: 190 * 60,
        };
        assert_eq!(anchors.minute(-60), -1.0);
        assert_eq!(anchors.minute(-4 * 3600), -240.0);
        assert_eq!(anchors.minute(95 * 60), 55.0);
        assert_eq!(anchors.span().0, -8 * 3600);
    }
}
