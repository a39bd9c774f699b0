//! The night between two of the audience's days: when it is, and how one passes into the other.
//!
//! A match day does not end at midnight: it ends when its people have gone to bed. Where load is
//! least tells when that is, also of an audience that sits in other zones than the one declared.
//! Cut at midnight, the hours after a late game would belong to the day after it. (Weekends do
//! change at midnight, [`Night::MIDNIGHT`]: traffic beside a ballpark is forecast better so.)

use serde::{Deserialize, Serialize};

use super::order::median;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Seconds before and after the middle of the night in which one day passes into the next: an
/// audience goes to bed over hours, and lives in more than one zone.
pub(crate) const DUSK: i64 = 3 * 3_600;

/// Parts of a day that are compared: half hours.
const PARTS: usize = 48;

/// Parts on either side that are quiet together with the middle one, three and a half hours in all.
const QUIET: usize = 3;

/// Least log load between the quietest and the busiest such hours of a day for its night to be
/// told: a factor of 1.5. Where day and night are alike the calendar's days are as good as any.
const TOLD: f64 = 0.4;

/// The latest that a day begins by the clock of the declared zone, seconds after midnight; what is
/// later is before the midnight to come. A day from here on is mostly of the date it began on.
const LATEST: i64 = 14 * 3_600;

/// The middle of the night, by the audience's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Night {
    /// Seconds after midnight at which a day of that date begins; before it when negative.
    begins: i64,
}

impl Night {
    /// Days as the calendar has them.
    pub(crate) const MIDNIGHT: Self = Self { begins: 0 };

    /// The middle of the quietest hours, by log load with the local second of the day for each bin.
    pub(crate) fn of(log: &[f64], mut second: impl FnMut(usize) -> i64) -> Self {
        let mut parts: [Vec<f64>; PARTS] = std::array::from_fn(|_| Vec::new());
        for (bin, &load) in log.iter().enumerate() {
            let part = second(bin) * PARTS as i64 / DAY;
            parts[part.clamp(0, PARTS as i64 - 1) as usize].push(load);
        }
        let usual = parts.map(|mut loads| median(&mut loads));
        let around = |part: usize| -> Option<f64> {
            let near = (0..=2 * QUIET).map(|step| usual[(part + PARTS + step - QUIET) % PARTS]);
            let sum: Option<f64> = near.sum();
            sum.map(|sum| sum / (2 * QUIET + 1) as f64)
        };
        let Some(smooth) = (0..PARTS).map(around).collect::<Option<Vec<f64>>>() else {
            return Self::MIDNIGHT;
        };
        let busiest = smooth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let quietest = (0..PARTS).min_by(|&a, &b| smooth[a].total_cmp(&smooth[b]));
        quietest
            .filter(|&part| busiest - smooth[part] >= TOLD)
            .map_or(Self::MIDNIGHT, |part| {
                let middle = (2 * part as i64 + 1) * DAY / (2 * PARTS as i64);
                let begins = if middle < LATEST {
                    middle
                } else {
                    middle - DAY
                };
                Self { begins }
            })
    }

    /// The day that a local date and second belong to, and how long ago it began, seconds.
    pub(crate) fn day(self, date: i64, second: i64) -> (i64, i64) {
        let since = second - self.begins;
        (date + since.div_euclid(DAY), since.rem_euclid(DAY))
    }

    /// How much of a moment, a local date and second, belongs to days of a kind, nothing to one, where
    /// so much `of` each day does; straight from one day to the next around the middle of the night.
    pub(crate) fn share(self, date: i64, second: i64, of: impl Fn(i64) -> f64) -> f64 {
        let (day, since) = self.day(date, second);
        let to_night = since.min(DAY - since);
        let of_day = of(day);
        if to_night >= DUSK {
            return of_day;
        }
        let other = if since < DAY / 2 { day - 1 } else { day + 1 };
        let own = 0.5 + 0.5 * to_night as f64 / DUSK as f64;
        own * of_day + (1.0 - own) * of(other)
    }

    /// Whether it can be one.
    pub(crate) fn is_sound(self) -> bool {
        (LATEST - DAY..LATEST).contains(&self.begins)
    }
}

impl std::fmt::Display for Night {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s after midnight", self.begins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Log load of two weeks in bins of five minutes, quietest at this hour of the day.
    fn log(quietest: f64, depth: f64) -> Vec<f64> {
        let bins = 0..14 * 288;
        bins.map(|bin| {
            let hour = f64::from(bin) / 12.0 - quietest;
            let noise = f64::from(bin * 7_919 % 201) / 1_000.0 - 0.1;
            5.0 - depth * (std::f64::consts::TAU * hour / 24.0).cos() + noise
        })
        .collect()
    }

    /// A clock that is so many hours ahead of that of the bins.
    fn ahead(hours: i64) -> impl Fn(usize) -> i64 {
        move |bin| (bin as i64 * 300 + hours * 3_600).rem_euclid(DAY)
    }

    #[test]
    fn the_night_is_where_load_is_least_whatever_the_zone() {
        for hours in [-8, -5, 0, 2, 5] {
            let night = Night::of(&log(4.5, 1.0), ahead(hours));
            let begins = night.begins as f64 / 3_600.0;
            assert!(
                (begins - 4.5 - hours as f64).abs() <= 0.75,
                "{hours}: {begins}"
            );
        }
        // half an hour before midnight is before the day that comes
        let late = Night::of(&log(23.5, 1.0), ahead(0));
        assert!((-5_000..0).contains(&late.begins), "{late:?}");
        assert_eq!(late.day(100, 86_399).0, 101);
        assert_eq!(late.day(100, 43_200).0, 100);
    }

    #[test]
    fn without_a_night_days_are_the_calendars() {
        assert_eq!(Night::of(&log(4.5, 0.1), ahead(0)), Night::MIDNIGHT);
        assert_eq!(Night::of(&log(4.5, 1.0)[..200], ahead(0)), Night::MIDNIGHT);
        assert_eq!(Night::of(&[f64::NAN; 576], ahead(0)), Night::MIDNIGHT);
        // one bad night is no habit
        let mut loads = log(4.5, 1.0);
        loads[150..200].fill(-3.0);
        assert_eq!(
            Night::of(&loads, ahead(0)),
            Night::of(&log(4.5, 1.0), ahead(0))
        );
    }

    #[test]
    fn days_pass_into_each_other_over_the_night() {
        let saturday = 2; // 1 January 1970 was a Thursday
        let is_saturday = |day| f64::from(day == saturday);
        for hours in [-2, 0, 4] {
            let begins = hours * 3_600;
            let night = Night { begins };
            let share = |hour: i64| {
                let at = saturday * DAY + hour * 3_600;
                night.share(at.div_euclid(DAY), at.rem_euclid(DAY), is_saturday)
            };
            let seen = [-3, 0, 3, 12, 21, 24, 27].map(|hour| share(hours + hour));
            assert_eq!(seen, [0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0], "{hours}");
        }
    }

    proptest! {
        #[test]
        fn shares_of_all_days_sum_to_one_and_do_not_jump(
            begins in LATEST - DAY..LATEST, date in -3_i64..3, second in 0..DAY,
        ) {
            let night = Night { begins };
            prop_assert!(night.is_sound());
            let share = |second: i64, day: i64| {
                let at = date * DAY + second;
                night.share(at.div_euclid(DAY), at.rem_euclid(DAY), |d| f64::from(d == day))
            };
            let sum: f64 = (date - 2..=date + 2).map(|day| share(second, day)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-12);
            let moved = share(second + 60, date) - share(second, date);
            prop_assert!(moved.abs() < 0.003, "{}", moved);
        }

        #[test]
        fn any_load_has_a_sound_night(loads in proptest::collection::vec(-9.0..9.0f64, 0..600)) {
            prop_assert!(Night::of(&loads, ahead(3)).is_sound());
        }
    }
}
