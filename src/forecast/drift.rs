//! Whether the event-response model is still right, judged by forecasts really issued.
//!
//! Compares its past errors, day by day, with those of repeating yesterday and repeating last
//! week. It loses trust only when one of them was clearly better for days on end, and wins it
//! back when it is no longer worse: patience on the way out and a lower bar on the way back, so
//! that equal errors never make it flap. Decides nothing about the forecast itself.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// Days a rival must be clearly better, one after the other.
const PATIENCE: u32 = 3;

/// Hours with scored targets that make a day count: three of them give the 24 hours of targets
/// below which no verdict is passed.
const LEAST_HOURS: u32 = 8;

/// Clearly better: an error smaller by this factor.
const CLEARLY: f64 = 1.25;

/// And by this share of load: less is lost in the headroom that any size has, whatever the ratio.
const NOISE: f64 = 0.05;

/// Days the model must not be worse than the rival, one after the other, to be trusted again.
const RETURN: u32 = 2;

/// Days of errors kept.
pub(crate) const DAYS: usize = 14;

/// What may stand in for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// Yesterday at the same time.
    NaiveDay,
    /// A week ago at the same time.
    NaiveWeek,
}

impl Rival {
    /// All of them, in the order of [`Tally::rivals`].
    pub const ALL: [Self; 2] = [Self::NaiveDay, Self::NaiveWeek];

    /// As a reason speaks of it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NaiveDay => "the day before",
            Self::NaiveWeek => "a week ago",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::NaiveDay => 0,
            Self::NaiveWeek => 1,
        }
    }
}

/// Errors at one lead, over the targets of one day that every forecaster was scored on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Number of targets.
    pub points: u32,
    /// Sum of their load, units per second.
    pub load: f64,
    /// Sum of the absolute errors of the event-response model, units per second.
    pub champion: f64,
    /// The same of each rival, in the order of [`Rival::ALL`]; absent when it had nothing to
    /// repeat for some target.
    pub rivals: [Option<f64>; 2],
}

impl Tally {
    /// Absolute error over load.
    fn error(&self, sum: f64) -> Option<f64> {
        (self.points > 0 && self.load > 0.0 && sum.is_finite()).then(|| sum / self.load)
    }
}

/// Errors of the forecasts whose targets lie in one day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DayErrors {
    /// Start of the day.
    pub day: Timestamp,
    /// Hours of the day in which a target was scored.
    pub hours: u32,
    /// Issued one to four hours before.
    pub four_hours: Tally,
    /// Issued twelve to twenty-four hours before.
    pub day_ahead: Tally,
}

impl DayErrors {
    /// Relative errors of the model and of a rival, the mean over both leads: a rival that knows
    /// tomorrow but not the next hours is no better.
    fn against(&self, rival: Rival) -> Option<(f64, f64)> {
        let leads = [&self.four_hours, &self.day_ahead];
        let mean = |sum: &dyn Fn(&Tally) -> Option<f64>| -> Option<f64> {
            let [near, far] = leads.map(|tally| sum(tally).and_then(|sum| tally.error(sum)));
            Some(f64::midpoint(near?, far?))
        };
        Some((
            mean(&|tally| Some(tally.champion))?,
            mean(&|tally| tally.rivals[rival.index()])?,
        ))
    }
}

/// The last days of errors, oldest first; the last day may not be over.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Track {
    /// At most fourteen.
    pub days: Vec<DayErrors>,
    /// Nothing at or after this moment was scored.
    pub until: Timestamp,
}

/// Days on which something held, one after the other, with what the errors were.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Streak {
    days: u32,
    /// Sums over the days.
    champion: f64,
    rival: f64,
}

impl Streak {
    fn add(&mut self, (champion, rival): (f64, f64)) {
        self.days += 1;
        self.champion += champion;
        self.rival += rival;
    }

    fn mean(self) -> (f64, f64) {
        let days = f64::from(self.days.max(1));
        (self.champion / days, self.rival / days)
    }
}

/// Trust so far: carry it from one judgement to the next and no day counts twice. A fresh one
/// judges all days of the track.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Drift {
    /// End of the last day judged.
    judged: Option<Timestamp>,
    /// Who stands in, and the days on which it was better since it was found to be.
    fallen: Option<(Rival, Streak)>,
    /// Days on which each rival was clearly better.
    against: [Streak; 2],
    /// Days since the fall on which the model was not worse.
    redeemed: u32,
}

/// Whom to forecast by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The event-response model.
    Trusted,
    /// A rival, for now.
    Fallback {
        /// Which.
        to: Rival,
        /// Why, in words.
        reason: String,
    },
}

impl Drift {
    /// Judges the days of the track that are over and were not judged before.
    #[must_use]
    pub fn judged(mut self, track: &Track) -> Self {
        for errors in &track.days {
            let end = errors.day + TimeDelta::days(1);
            if end > track.until || self.judged.is_some_and(|judged| end <= judged) {
                continue;
            }
            self.judged = Some(end);
            // a day that says too little neither counts nor breaks a run
            if errors.hours >= LEAST_HOURS {
                self.day(errors);
            }
        }
        self
    }

    fn day(&mut self, errors: &DayErrors) {
        if let Some((to, streak)) = &mut self.fallen {
            let Some(compared) = errors.against(*to) else {
                return;
            };
            // half of what is noise: two that are equal but for noise must not stay parted
            if compared.0 <= compared.1 + NOISE / 2.0 {
                self.redeemed += 1;
            } else {
                self.redeemed = 0;
                streak.add(compared);
            }
            if self.redeemed >= RETURN {
                *self = Self {
                    judged: self.judged,
                    ..Self::default()
                };
            }
            return;
        }
        for rival in Rival::ALL {
            let Some((champion, other)) = errors.against(rival) else {
                continue;
            };
            let streak = &mut self.against[rival.index()];
            if champion > CLEARLY * other && champion > other + NOISE {
                streak.add((champion, other));
            } else {
                *streak = Streak::default();
            }
        }
        self.fallen = Rival::ALL
            .into_iter()
            .map(|rival| (rival, self.against[rival.index()]))
            .filter(|(_, streak)| streak.days >= PATIENCE)
            .min_by(|(_, a), (_, b)| a.mean().1.total_cmp(&b.mean().1));
    }

    /// What follows from the days judged so far.
    pub fn verdict(&self) -> Verdict {
        let Some((to, streak)) = self.fallen else {
            return Verdict::Trusted;
        };
        let (champion, rival) = streak.mean();
        Verdict::Fallback {
            to,
            reason: format!(
                "for {} days {} predicted better (error {:.0} % against {:.0} %): forecasting by \
                 it until it no longer does",
                streak.days,
                to.words(),
                100.0 * rival,
                100.0 * champion
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::days(20_000 + day)
    }

    /// A day on which model, yesterday and last week erred by these shares of load.
    fn errors(day: i64, champion: f64, naive_day: f64, naive_week: f64) -> DayErrors {
        let tally = |points: u32| {
            let load = 100.0 * f64::from(points);
            Tally {
                points,
                load,
                champion: champion * load,
                rivals: [Some(naive_day * load), Some(naive_week * load)],
            }
        };
        DayErrors {
            day: at(day),
            hours: 24,
            four_hours: tally(72),
            day_ahead: tally(192),
        }
    }

    fn track(days: Vec<DayErrors>) -> Track {
        let until = days.last().map_or(at(0), |last| last.day) + TimeDelta::days(1);
        Track { days, until }
    }

    /// One value of each day for the model, yesterday and last week.
    fn days(all: &[(f64, f64, f64)]) -> Vec<DayErrors> {
        all.iter()
            .enumerate()
            .map(|(day, &(c, d, w))| errors(day as i64, c, d, w))
            .collect()
    }

    fn judged(all: &[(f64, f64, f64)]) -> Drift {
        Drift::default().judged(&track(days(all)))
    }

    const GOOD: (f64, f64, f64) = (0.10, 0.30, 0.20);
    const BAD: (f64, f64, f64) = (0.31, 0.40, 0.12);

    #[test]
    fn three_clearly_worse_days_make_it_step_back_and_say_why() {
        assert_eq!(judged(&[GOOD, BAD, BAD]).verdict(), Verdict::Trusted);
        assert_eq!(
            judged(&[GOOD, BAD, BAD, GOOD, BAD, BAD]).verdict(),
            Verdict::Trusted
        );
        assert_eq!(
            judged(&[GOOD, BAD, BAD, BAD]).verdict(),
            Verdict::Fallback {
                to: Rival::NaiveWeek,
                reason: "for 3 days a week ago predicted better (error 12 % against 31 %): \
                         forecasting by it until it no longer does"
                    .to_owned()
            }
        );
    }

    #[test]
    fn the_better_of_two_rivals_stands_in() {
        let day = (0.5, 0.1, 0.2);
        let fallen = judged(&[day; 3]).verdict();
        assert!(matches!(fallen, Verdict::Fallback { to, .. } if to == Rival::NaiveDay));
    }

    #[test]
    fn it_returns_after_two_days_that_are_not_worse() {
        let fallen = [BAD, BAD, BAD];
        let once = [fallen.as_slice(), &[GOOD, BAD, GOOD]].concat();
        assert!(matches!(
            judged(&once).verdict(),
            Verdict::Fallback { reason, .. } if reason.starts_with("for 4 days")
        ));
        let back = [fallen.as_slice(), &[GOOD, GOOD]].concat();
        assert_eq!(judged(&back).verdict(), Verdict::Trusted);
        let alike = [fallen.as_slice(), &[(0.14, 0.40, 0.12); 2]].concat();
        assert_eq!(judged(&alike).verdict(), Verdict::Trusted);
        let still_worse = [fallen.as_slice(), &[(0.16, 0.40, 0.12); 2]].concat();
        assert!(matches!(
            judged(&still_worse).verdict(),
            Verdict::Fallback { .. }
        ));
        // and it takes the whole patience again
        let again = [back.as_slice(), &[BAD, BAD]].concat();
        assert_eq!(judged(&again).verdict(), Verdict::Trusted);
    }

    #[test]
    fn a_day_with_few_targets_neither_counts_nor_breaks_a_run() {
        let mut all = days(&[BAD, BAD, GOOD, BAD]);
        all[2].hours = 7;
        let fallen = Drift::default().judged(&track(all.clone())).verdict();
        assert!(matches!(fallen, Verdict::Fallback { .. }));
        all[3].hours = 7;
        let trusted = Drift::default().judged(&track(all)).verdict();
        assert_eq!(trusted, Verdict::Trusted);
    }

    #[test]
    fn a_rival_without_history_and_a_tiny_difference_do_not_count() {
        let mut all = days(&[BAD; 5]);
        for day in &mut all {
            day.day_ahead.rivals[1] = None;
        }
        assert_eq!(
            Drift::default().judged(&track(all)).verdict(),
            Verdict::Trusted
        );
        let tiny = (0.06, 0.02, 0.02);
        assert_eq!(judged(&[tiny; 9]).verdict(), Verdict::Trusted);
    }

    #[test]
    fn a_day_that_is_not_over_waits() {
        let mut unfinished = track(days(&[BAD, BAD, BAD]));
        unfinished.until -= TimeDelta::hours(1);
        let drift = Drift::default().judged(&unfinished);
        assert_eq!(drift.verdict(), Verdict::Trusted);
        unfinished.until += TimeDelta::hours(1);
        assert!(matches!(
            drift.judged(&unfinished).verdict(),
            Verdict::Fallback { .. }
        ));
    }

    #[test]
    fn trust_survives_writing_down() {
        let drift = judged(&[BAD, BAD, BAD, GOOD]);
        let text = serde_json::to_string(&drift).unwrap();
        assert_eq!(serde_json::from_str::<Drift>(&text).unwrap(), drift);
    }

    proptest! {
        #[test]
        fn equal_errors_never_change_anything(
            errors in proptest::collection::vec(0.0..2.0_f64, 1..40)
        ) {
            let equal: Vec<_> = errors.iter().map(|&e| (e, e, e)).collect();
            prop_assert_eq!(judged(&equal).verdict(), Verdict::Trusted);
        }

        #[test]
        fn a_break_is_answered_in_three_days_and_a_recovery_in_two(
            before in proptest::collection::vec(0.02..0.2_f64, 0..8),
            broken in 0.3..3.0_f64,
            rival in 0.02..0.2_f64,
            after in 0.0..1.0_f64,
        ) {
            let mut all: Vec<_> = before.iter().map(|&e| (e, 2.0 * e, 2.0 * e)).collect();
            all.extend([(broken, 5.0, rival); 3]);
            let fallen = judged(&all).verdict();
            let by_week = matches!(fallen, Verdict::Fallback { to: Rival::NaiveWeek, .. });
            prop_assert!(by_week, "{:?}", fallen);
            all.extend([(after * rival, 5.0, rival); 2]);
            prop_assert_eq!(judged(&all).verdict(), Verdict::Trusted);
        }

        #[test]
        fn judging_day_by_day_is_judging_at_once(
            all in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 1..30)
        ) {
            let all = days(&all);
            let mut drift = Drift::default();
            for end in 1..=all.len() {
                let from = end.saturating_sub(DAYS);
                drift = drift.judged(&track(all[from..end].to_vec()));
            }
            prop_assert_eq!(drift, Drift::default().judged(&track(all)));
        }

        #[test]
        fn between_two_changes_of_mind_lie_at_least_two_days(
            all in proptest::collection::vec((0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64), 1..40)
        ) {
            let all = days(&all);
            let mut drift = Drift::default();
            let mut changes = Vec::new();
            for (day, errors) in all.iter().enumerate() {
                let before = drift.fallen.is_some();
                drift = drift.judged(&track(vec![*errors]));
                if before != drift.fallen.is_some() {
                    changes.push(day);
                }
            }
            for pair in changes.windows(2) {
                prop_assert!(pair[1] - pair[0] >= RETURN as usize);
            }
        }
    }
}
