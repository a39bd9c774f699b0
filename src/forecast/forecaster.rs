//! The forecaster to use: the event-response model while it is trusted, a naive one while not.
//!
//! Fits the model, judges its past errors (`drift`), and where a naive rival has been clearly
//! better lets that one speak, as far as it may (`fallback`).

use chrono_tz::Tz;

use super::drift::{Drift, Verdict};
use super::event_response::{EventResponse, FittedEventResponse};
use super::fallback::Fallback;
use super::{Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::units::Timestamp;

/// The event-response model with its fallback.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecaster {
    /// Zone by whose clock the audience lives.
    pub zone: Tz,
    /// Trust so far. A fresh one judges the last two weeks; carried on from
    /// [`FittedForecaster::drift`], it also knows what came before.
    pub drift: Drift,
}

impl Forecaster {
    /// For an audience that lives by the clock of `zone`, with trust judged afresh.
    pub fn new(zone: Tz) -> Self {
        Self {
            zone,
            drift: Drift::default(),
        }
    }
}

/// A fitted model, and who stands in for it.
#[derive(Debug, Clone)]
pub struct FittedForecaster {
    champion: FittedEventResponse,
    drift: Drift,
    /// Set while the model is not trusted.
    fallback: Option<Fallback>,
}

impl FittedForecaster {
    /// The event-response model, trusted or not.
    pub const fn champion(&self) -> &FittedEventResponse {
        &self.champion
    }

    /// Trust after this fit: give it to the next [`Forecaster`].
    pub const fn drift(&self) -> &Drift {
        &self.drift
    }

    /// Whether the model is trusted.
    pub fn verdict(&self) -> Verdict {
        self.drift.verdict()
    }
}

impl Fit for Forecaster {
    type Fitted = FittedForecaster;

    fn fit(&self, known: Evidence<'_>, at: Timestamp) -> Result<FittedForecaster, FitError> {
        let champion = EventResponse::new(self.zone).fit(known, at)?;
        let drift = self.drift.clone().judged(champion.track());
        let fallback = match drift.verdict() {
            Verdict::Trusted => None,
            Verdict::Fallback { to, reason } => {
                Some(Fallback::fit(to, reason, known, at, self.zone)?)
            }
        };
        Ok(FittedForecaster {
            champion,
            drift,
            fallback,
        })
    }
}

impl Predict for FittedForecaster {
    fn predict(&self, recent: Evidence<'_>, horizon: Horizon) -> Forecast {
        let champion = self.champion.predict(recent, horizon);
        match &self.fallback {
            None => champion,
            Some(fallback) => fallback.over(champion, recent, horizon),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Calendar, Fixture};
    use crate::forecast::Quantile;
    use crate::forecast::SeasonalNaive;
    use crate::forecast::drift::Rival;
    use crate::series::Series;
    use chrono::{TimeDelta, TimeZone as _};

    const DAY: usize = 288;

    fn start() -> Timestamp {
        chrono::Utc.with_ymd_and_hms(2024, 1, 3, 0, 0, 0).unwrap()
    }

    /// A fixture every day at six in the evening.
    fn calendar(days: i64) -> Calendar {
        (0..days)
            .map(|day| {
                let at = start() + TimeDelta::days(day) + TimeDelta::hours(18);
                Fixture::game(format!("game {day}"), "league", at)
            })
            .collect()
    }

    fn series(days: usize, load: impl Fn(usize) -> f64) -> Series {
        let values = (0..days * DAY).map(load).collect();
        Series::from_raw(start(), TimeDelta::minutes(5), values)
    }

    /// A quiet day with a crowd from six to nine in the evening.
    fn usual(bin: usize) -> f64 {
        let noise = ((bin * 7_919) % 101) as f64 / 2_000.0;
        let crowd = if (210..255).contains(&(bin % DAY)) {
            4.0
        } else {
            1.0
        };
        50.0 * crowd * (1.0 + noise)
    }

    /// From `broken` days on load jumps about from hour to hour as no smooth model can say, the
    /// same way every day.
    fn restless(bin: usize, broken: usize) -> f64 {
        if bin < broken * DAY {
            return usual(bin);
        }
        let place = bin % DAY / 4;
        40.0 * 1.5_f64.powi((place * 37 % 11) as i32)
    }

    fn day_ahead(origin: Timestamp) -> Horizon {
        Horizon {
            origin,
            length: TimeDelta::hours(24),
            step: TimeDelta::minutes(5),
        }
    }

    #[test]
    fn while_it_is_trusted_the_model_speaks_unchanged() {
        let (load, calendar) = (series(21, usual), calendar(23));
        let known = Evidence::new(&load, &calendar);
        let fitted = Forecaster::new(Tz::UTC).fit(known, load.end()).unwrap();
        assert_eq!(fitted.verdict(), Verdict::Trusted);
        assert_eq!(fitted.champion().track().days.len(), 14);
        let alone = EventResponse::new(Tz::UTC).fit(known, load.end()).unwrap();
        let horizon = day_ahead(load.end());
        assert_eq!(
            fitted.predict(known, horizon),
            alone.predict(known, horizon)
        );
    }

    #[test]
    fn a_broken_pattern_is_followed_by_the_naive_and_fixtures_are_not_forgotten() {
        let load = series(28, |bin| restless(bin, 20));
        let calendar = calendar(30);
        let known = Evidence::new(&load, &calendar);
        let origin = load.end();
        let fitted = Forecaster::new(Tz::UTC).fit(known, origin).unwrap();
        let Verdict::Fallback { to, reason } = fitted.verdict() else {
            panic!("{:#?}", fitted.champion().track());
        };
        assert_eq!(to, Rival::NaiveDay);
        let forecast = fitted.predict(known, day_ahead(origin));
        assert_eq!(forecast.model, "seasonal-naive-1d (fallback)");
        assert_eq!(forecast.notes[0], reason);
        assert!(
            reason.contains("the day before predicted better"),
            "{reason}"
        );

        let champion = fitted.champion().predict(known, day_ahead(origin));
        let rival = SeasonalNaive::DAY.fit(known, origin).unwrap();
        let rival = rival.predict(known, day_ahead(origin));
        // the next hour nobody has judged; the window of the game at six: five to a quarter past nine
        for quantile in Quantile::ALL {
            let [said, ours] = [&forecast, &champion].map(|f| &f.path(quantile)[..12]);
            assert_eq!(said, ours);
        }
        for bin in 12..forecast.len() {
            let inside = (204..=DAY).contains(&bin);
            for quantile in Quantile::ALL {
                let [said, theirs, ours] =
                    [&forecast, &rival, &champion].map(|f| f.path(quantile)[bin]);
                if inside && ours > theirs && bin < 240 {
                    assert_eq!(said, ours, "{bin}");
                } else if !inside {
                    assert_eq!(said, theirs, "{bin}");
                }
                assert!(said >= theirs);
            }
        }
        for (peak, before) in forecast.peaks.iter().zip(&champion.peaks) {
            for (now, then) in peak.quantiles.iter().zip(before.quantiles) {
                assert!(*now >= then);
            }
            assert!(peak.quantiles.is_sorted());
        }
    }

    #[test]
    fn a_working_day_and_a_game_are_no_forecast_of_what_is_none() {
        // games until the last day of the load alone
        let load = series(28, |bin| restless(bin, 20));
        let known = calendar(28);
        // at midnight before a Wednesday, a Monday, a Sunday and a Saturday
        for (days, repeats) in [(28, true), (26, false), (25, true), (24, false)] {
            let origin = load.time(days * DAY);
            let forecaster = Forecaster::new(Tz::UTC);
            let evidence = Evidence::new(&load, &known);
            let mut fitted = forecaster.fit(evidence, origin).unwrap();
            let rival = SeasonalNaive::DAY.fit(evidence, origin).unwrap();
            fitted.fallback = Some(Fallback {
                to: Rival::NaiveDay,
                rival,
                reason: String::new(),
            });
            let horizon = day_ahead(origin);
            let said = fitted.predict(evidence, horizon);
            let ours = fitted.champion().predict(evidence, horizon);
            let same = |bins: std::ops::Range<usize>| {
                said.path(Quantile::P50)[bins.clone()] == ours.path(Quantile::P50)[bins]
            };
            assert_eq!(same(24..144), !repeats, "{days} {:?}", origin.to_rfc2822());
            // on the first evening without a game nothing repeats the game before
            assert!(days != 28 || same(210..250));
        }
    }

    #[test]
    fn trust_is_carried_from_fit_to_fit() {
        let load = series(28, |bin| restless(bin, 20));
        let calendar = Calendar::default();
        let known = Evidence::new(&load, &calendar);
        let mut forecaster = Forecaster::new(Tz::UTC);
        for day in 19..=28 {
            let fitted = forecaster.fit(known, load.time(day * DAY)).unwrap();
            forecaster.drift = fitted.drift().clone();
        }
        let afresh = Forecaster::new(Tz::UTC).fit(known, load.end()).unwrap();
        let verdicts = [forecaster.drift.verdict(), afresh.verdict()];
        assert!(
            verdicts
                .iter()
                .all(|verdict| matches!(verdict, Verdict::Fallback { .. })),
            "{verdicts:?}"
        );
    }
}
