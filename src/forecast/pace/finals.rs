//! How many enter in the end, by the crowd that the calendar lets expect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BY_CALENDAR;
use crate::forecast::kick_off::{self, KickOff};

/// Past slots that the prior `b` = 1 (entries in proportion to the crowd) is worth, times the
/// usual variance of peaks.
const SLOPE_SLOTS: f64 = 4.0;

/// Decayed sums over past slots of `mu`, the logarithm of their crowds by the calendar, and of
/// `ln E`, that of their final entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    weight: f64,
    mu: f64,
    ln_final: f64,
}

impl Sums {
    fn means(self) -> Option<(f64, f64)> {
        (self.weight > 0.0).then(|| (self.mu / self.weight, self.ln_final / self.weight))
    }

    fn add(&mut self, mu: f64, ln_final: f64) {
        self.weight += 1.0;
        self.mu += mu;
        self.ln_final += ln_final;
    }

    fn fade(&mut self, keep: f64) {
        self.weight *= keep;
        self.mu *= keep;
        self.ln_final *= keep;
    }
}

/// The regression `ln E = a + b mu`, and what each kick-off differs from it: whoever plays the one
/// game of a Monday night enters other contests than on a Sunday afternoon.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finals {
    all: Sums,
    /// Decayed sums of `mu^2` and `mu ln E`.
    squares: f64,
    products: f64,
    by_kick_off: BTreeMap<KickOff, Sums>,
}

impl Finals {
    /// Everything keeps this share of its weight.
    pub(super) fn fade(&mut self, keep: f64) {
        self.all.fade(keep);
        self.squares *= keep;
        self.products *= keep;
        for sums in self.by_kick_off.values_mut() {
            sums.fade(keep);
        }
    }

    /// Learns from one past slot; what is unknown is passed over.
    pub(super) fn learn(&mut self, kick_off: KickOff, mu: f64, ln_final: f64) {
        if !(mu.is_finite() && ln_final.is_finite()) {
            return;
        }
        self.all.add(mu, ln_final);
        self.squares += mu * mu;
        self.products += mu * ln_final;
        self.by_kick_off
            .entry(kick_off)
            .or_default()
            .add(mu, ln_final);
    }

    /// True when it can be asked about every kick-off.
    pub(super) fn is_sound(&self) -> bool {
        let mut own = self.by_kick_off.keys();
        let bare = self.slots() <= 0.0 && self.by_kick_off.is_empty();
        let sums = self.by_kick_off.values();
        let counted = sums.clone().all(|sums| sums.weight >= 0.0);
        let answers = own.all(|&kick_off| {
            kick_off.is_sound() && self.expected(kick_off, 0.0).is_some_and(f64::is_finite)
        });
        bare || (counted && answers)
    }

    /// Past slots behind it, decayed.
    pub(super) fn slots(&self) -> f64 {
        self.all.weight
    }

    /// Sums of the squared deviations of `mu` and of their products with those of `ln E`, each from
    /// the mean of its kick-off: why one sells more than another than its crowd is the kick-off's own,
    /// and no measure of what a larger crowd would buy.
    fn within(&self) -> (f64, f64) {
        let sums =
            (self.by_kick_off.values()).filter_map(|sums| Some((sums.weight, sums.means()?)));
        let (squares, products) =
            sums.fold((0.0, 0.0), |(squares, products), (weight, (mu, ln))| {
                (squares + weight * mu * mu, products + weight * mu * ln)
            });
        ((self.squares - squares).max(0.0), self.products - products)
    }

    /// Logarithm of the final entries to be expected; `None` without any past slot.
    pub(super) fn expected(&self, kick_off: KickOff, mu: f64) -> Option<f64> {
        let (mean_mu, mean_final) = self.all.means()?;
        let (variance, covariance) = self.within();
        let prior = SLOPE_SLOTS * BY_CALENDAR * BY_CALENDAR;
        let slope = ((covariance + prior) / (variance + prior)).clamp(0.0, 2.0);
        let of_all = |mu: f64| mean_final + slope * (mu - mean_mu);
        let own = kick_off::expected(kick_off, |kick_off| {
            let sums = self.by_kick_off.get(&kick_off)?;
            let (own_mu, own_final) = sums.means()?;
            Some((sums.weight, sums.weight * (own_final - of_all(own_mu))))
        });
        Some(of_all(mu) + own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    use crate::fixture::Fixture;
    use crate::forecast::slots::slots;

    fn kick_off(day: i64) -> KickOff {
        let at = Utc.with_ymd_and_hms(2024, 9, 2, 20, 0, 0).unwrap() + TimeDelta::days(day);
        let around = (at - TimeDelta::days(1), at + TimeDelta::days(1));
        let calendar = [Fixture::game("g", "nfl", at)].into_iter().collect();
        KickOff::of(&slots(&calendar, at, chrono_tz::Tz::UTC, around)[0])
    }

    #[test]
    fn a_kick_off_that_sells_differently_is_not_news() {
        let mut finals = Finals::default();
        let (monday, sunday) = (kick_off(0), kick_off(6));
        assert_eq!(finals.expected(monday, 6.0), None);
        finals.learn(monday, f64::NAN, 9.0);
        assert_eq!(finals.slots(), 0.0);
        // for the same crowd Mondays sell half as many entries as Sundays
        for _ in 0..12 {
            finals.learn(monday, 6.0, 10.0);
            finals.learn(sunday, 6.0, 10.7);
        }
        let of = |kick_off| finals.expected(kick_off, 6.0).unwrap();
        assert!((of(monday) - 10.0).abs() < 0.06, "{}", of(monday));
        assert!((of(sunday) - 10.7).abs() < 0.06, "{}", of(sunday));
        // a new kick-off is like all
        assert!((of(kick_off(3)) - 10.35).abs() < 0.01);
        // larger crowds sell more
        assert!(finals.expected(sunday, 6.5).unwrap() > of(sunday) + 0.4);
    }
}
