//! How much load fixtures have brought, as far as it matters to how many at once add up.
//!
//! The regression learns the size of a response itself; here it is only read off the peaks, to know
//! how much the crowds of many at once can add up to ([`super::crowding`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::crowding;
use crate::forecast::grid::DAY;
use crate::forecast::order::median;
use crate::forecast::replay::{Window, top};
use crate::forecast::slots::Slot;

/// Windows that what is believed of a sport counts for. The regression is as quick to leave what is
/// believed; would crowds be thought to add up as small ones do when it has seen that they are large,
/// a first slate after single games would be the power of them. On generated opening weeks one, two
/// and eight windows give peak errors of .49, .55 and .64 a day ahead.
const BELIEVED: f64 = 1.0;

/// Hours of a day.
const HOURS: usize = 24;

/// Log load that one fixture adds at its top, by sport and by what windows have held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Lifts(BTreeMap<String, Lift>);

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Lift {
    windows: f64,
    median: f64,
}

impl Lift {
    fn of(mut lifts: Vec<f64>) -> Self {
        Self {
            windows: lifts.len() as f64,
            median: median(&mut lifts).unwrap_or_default(),
        }
    }

    fn shrunk(self, believed: f64) -> f64 {
        (BELIEVED * believed + self.windows * self.median) / (BELIEVED + self.windows)
    }
}

impl Lifts {
    /// From the windows of slots over a history of log load with an hour of the day for each bin.
    pub(crate) fn seen(
        log: &[f64],
        hour: impl Fn(usize) -> usize,
        slots: &[Slot],
        windows: &[Window],
    ) -> Self {
        let mut calm = vec![true; log.len()];
        for window in windows {
            calm[window.from..window.to].fill(false);
        }
        let usual = Usual::of(log, &calm, &hour);
        let mut by_sport: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for window in windows {
            let above = (window.from..window.to).map(|bin| log[bin] - usual.at(bin, hour(bin)));
            if let Some((_, lift)) = top(above) {
                let slot = &slots[window.slot];
                let lifts = by_sport.entry(&slot.prior.sport).or_default();
                lifts.push(crowding::of_one(lift, slot.count));
            }
        }
        let lifts = by_sport.into_iter();
        Self(
            lifts
                .map(|(sport, lifts)| (sport.to_owned(), Lift::of(lifts)))
                .collect(),
        )
    }

    /// The unit of a slot's weights and heights.
    pub(super) fn unit(&self, slot: &Slot) -> f64 {
        let believed = slot.prior.response.multiple.ln();
        let seen = self.0.get(&slot.prior.sport);
        crowding::unit(seen.map_or(believed, |lift| lift.shrunk(believed)))
    }

    /// Why no rows can be made with it; nothing when they can.
    pub(super) fn fault(&self) -> Option<String> {
        let mut lifts = self.0.iter();
        let (sport, lift) =
            lifts.find(|(_, lift)| !(lift.windows >= 0.0 && lift.median.is_finite()))?;
        let Lift { windows, median } = lift;
        Some(format!(
            "lifts.{sport}: {windows} windows with a median of {median}, which nothing can teach"
        ))
    }
}

/// Log load without fixtures: an hour's of the day and a day's level, by one step of median polish
/// (Tukey, Exploratory data analysis, 1977). Where fixtures fill the same hours day after day, the
/// hours they leave tell how far the days have grown.
struct Usual {
    hours: [f64; HOURS],
    days: Vec<f64>,
}

impl Usual {
    fn of(log: &[f64], calm: &[bool], hour: impl Fn(usize) -> usize) -> Self {
        let calm = || (0..log.len()).filter(|&bin| calm[bin]);
        let hours = |days: &[f64]| {
            let mut logs: [Vec<f64>; HOURS] = Default::default();
            for bin in calm() {
                let level = days.get(bin / DAY).copied().unwrap_or_default();
                logs[hour(bin) % HOURS].push(log[bin] - level);
            }
            logs.map(|mut logs| median(&mut logs).unwrap_or(f64::NAN))
        };
        let raw = hours(&[]);
        let mut logs = vec![Vec::new(); log.len().div_ceil(DAY)];
        for bin in calm() {
            logs[bin / DAY].push(log[bin] - raw[hour(bin) % HOURS]);
        }
        let mut days = Vec::with_capacity(logs.len());
        for mut day in logs {
            let before = days.last().copied().unwrap_or_default();
            days.push(median(&mut day).unwrap_or(before));
        }
        Self {
            hours: hours(&days),
            days,
        }
    }

    fn at(&self, bin: usize, hour: usize) -> f64 {
        self.hours[hour % HOURS] + self.days[bin / DAY]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::slots::slots;
    use chrono::{TimeDelta, TimeZone as _, Utc};
    use chrono_tz::Tz;

    /// Days of load that grows and has a wave, each with so many games in the same four hours that
    /// make it `multiple` times as high: their slots, windows and log load.
    fn season(days: usize, games: usize, multiple: f64) -> (Vec<Slot>, Vec<Window>, Vec<f64>) {
        let begin = Utc.with_ymd_and_hms(2024, 5, 15, 0, 0, 0).unwrap();
        let kick_off = |day: usize| begin + TimeDelta::days(day as i64) + TimeDelta::hours(15);
        let fixtures = (0..days).flat_map(|day| {
            (0..games).map(move |game| Fixture::game(format!("{day}-{game}"), "cup", kick_off(day)))
        });
        let calendar: Calendar = fixtures.collect();
        let end = begin + TimeDelta::days(days as i64);
        let slots = slots(&calendar, end, Tz::UTC, (begin, end));
        let windows: Vec<Window> = (0..slots.len())
            .map(|slot| Window {
                slot,
                start: slot * DAY + 180,
                from: slot * DAY + 168,
                to: slot * DAY + 216,
                known: 0,
            })
            .collect();
        let mut log: Vec<f64> = (0..days * DAY)
            .map(|bin| {
                let wave = (std::f64::consts::TAU * (bin % DAY) as f64 / DAY as f64).sin();
                5.0 + 0.1 * (bin / DAY) as f64 + 0.4 * wave
            })
            .collect();
        // before the season nothing was played
        for window in &windows[4..] {
            log[window.from + 20] += multiple.ln();
        }
        (slots, windows[4..].to_vec(), log)
    }

    fn hour(bin: usize) -> usize {
        bin % DAY / 12
    }

    #[test]
    fn what_a_fixture_brought_is_told_from_growth_and_from_the_hour() {
        let (slots, windows, log) = season(28, 1, 6.0);
        let lifts = Lifts::seen(&log, hour, &slots, &windows);
        let lift = lifts.0[&slots[0].prior.sport];
        assert_eq!(lift.windows, 24.0);
        assert!((lift.median - 6.0_f64.ln()).abs() < 0.15, "{lift:?}");
        // between that and what is believed
        let believed = slots[0].prior.response.multiple.ln();
        let unit = lifts.unit(&slots[0]);
        assert!(unit > believed && unit < lift.median, "{unit}");
        assert_eq!(Lifts::default().unit(&slots[0]), believed);
    }

    #[test]
    fn of_a_slate_one_game_is_a_part() {
        let (slots, windows, log) = season(28, 10, 31.0);
        let lift = Lifts::seen(&log, hour, &slots, &windows).0[&slots[0].prior.sport];
        // thirty times the usual load on top is no less than three a game
        assert!((lift.median - 4.0_f64.ln()).abs() < 0.05, "{lift:?}");
    }

    #[test]
    fn gaps_say_nothing() {
        let (slots, windows, log) = season(28, 1, 6.0);
        let lifts = Lifts::seen(&vec![f64::NAN; log.len()], hour, &slots, &windows);
        assert_eq!(lifts, Lifts::default());
        assert!(lifts.fault().is_none());
    }

    #[test]
    fn what_nothing_can_teach_is_a_fault_with_its_place() {
        let lift = Lift {
            windows: -1.0,
            median: 0.7,
        };
        let lifts = Lifts(BTreeMap::from([("cricket".to_owned(), lift)]));
        let fault = lifts.fault().unwrap();
        assert!(fault.starts_with("lifts.cricket: -1 windows"), "{fault}");
    }
}
