//! Fits when it is time and forecasts. Pure, and too slow for a thread that others wait for.

use std::sync::Arc;

use chrono::TimeDelta;

use super::lesson::Lesson;
use super::records::Known;
use crate::forecast::{
    Drift, Evidence, Fit as _, FittedForecaster, Forecast, Forecaster, Horizon, Predict as _,
};
use crate::units::Timestamp;

/// What one round is made of.
pub(super) struct Study {
    pub(super) known: Arc<Known>,
    pub(super) lesson: Arc<Lesson>,
    /// What was fitted last.
    pub(super) last: Option<Arc<FittedForecaster>>,
    /// Whether to fit anew.
    pub(super) due: bool,
    pub(super) now: Timestamp,
    /// Width of the forecast's bins.
    pub(super) step: TimeDelta,
}

/// What comes of it.
pub(super) struct Learnt {
    /// What the forecast was made with.
    pub(super) fitted: Arc<FittedForecaster>,
    /// Whether that is new.
    pub(super) anew: bool,
    pub(super) forecast: Forecast,
    /// Why the last fit had to serve again.
    pub(super) note: Option<String>,
}

impl Study {
    /// Does it.
    ///
    /// # Errors
    /// Why nothing could be fitted, when nothing was before.
    pub(super) fn run(self) -> Result<Learnt, String> {
        let Self {
            known,
            lesson,
            last,
            due,
            now,
            step,
        } = self;
        let Known {
            load,
            faults,
            entries,
            ..
        } = known.as_ref();
        let evidence = Evidence::new(load, &lesson.calendar)
            .with_entries(entries)
            .with_faults(faults);
        let fit = |drift: Drift| {
            let forecaster = Forecaster {
                zone: lesson.zone,
                drift,
            };
            forecaster.fit(evidence, now).map(Arc::new)
        };
        let (fitted, anew, note) = match last {
            Some(last) if !due => (last, false, None),
            // trust goes on from one fit to the next, so that no day is judged twice
            Some(last) => match fit(last.drift().clone()) {
                Ok(new) => (new, true, None),
                // an older model on today's load is better than yesterday's forecast
                Err(error) => (
                    last,
                    false,
                    Some(format!("the last fit serves again: {error}")),
                ),
            },
            None => {
                let new = fit(Drift::default()).map_err(|error| error.to_string())?;
                (new, true, None)
            }
        };
        let horizon = Horizon {
            origin: now,
            length: lesson.horizon,
            step,
        };
        Ok(Learnt {
            forecast: fitted.predict(evidence, horizon),
            fitted,
            anew,
            note,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use serde_json::json;

    use super::*;
    use crate::entries::Entries;
    use crate::fixture::Calendar;
    use crate::forecast::Verdict;
    use crate::series::Series;
    use crate::series::faults::Faults;

    const STEP: TimeDelta = TimeDelta::minutes(5);

    /// Ten days that repeat themselves, up to a midnight.
    fn study(last: Option<Arc<FittedForecaster>>, due: bool) -> Study {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let shape = |bin: i32| (f64::from(bin) * std::f64::consts::TAU / 288.0).sin();
        let values = (0..2_880).map(|bin| 100.0 + 40.0 * shape(bin)).collect();
        let load = Series::from_raw(now - TimeDelta::days(10), STEP, values);
        Study {
            known: Arc::new(Known {
                served: load.clone(),
                load,
                faults: Faults::NONE,
                entries: Entries::NONE,
                slates: None,
                entries_note: None,
                shed_note: None,
                saturated_note: None,
            }),
            lesson: Arc::new(Lesson {
                query: "load".into(),
                shed: None,
                saturated: None,
                faults: Arc::default(),
                entries: None,
                calendar: Arc::new(Calendar::default()),
                zone: Tz::UTC,
                history: TimeDelta::days(10),
                horizon: TimeDelta::hours(24),
            }),
            last,
            due,
            now,
            step: STEP,
        }
    }

    #[test]
    fn trust_goes_on_from_one_fit_to_the_next() {
        let first = study(None, true);
        let streak = |days: u32| json!({"days": days, "champion": 0.9, "rival": 0.3});
        let drift: Drift = serde_json::from_value(json!({
            "judged": first.now,
            "fallen": ["naive-day", streak(3)],
            "against": [streak(0), streak(0)],
            "redeemed": 0,
        }))
        .unwrap();
        let evidence = Evidence::new(&first.known.load, &first.lesson.calendar);
        let forecaster = Forecaster {
            zone: Tz::UTC,
            drift,
        };
        let fallen = Arc::new(forecaster.fit(evidence, first.now).unwrap());
        assert!(matches!(fallen.verdict(), Verdict::Fallback { .. }));

        let again = study(Some(fallen), true).run().unwrap();
        assert!(again.anew);
        assert!(matches!(again.fitted.verdict(), Verdict::Fallback { .. }));
        assert!(again.forecast.model.ends_with("(fallback)"));
        // nobody remembers: the same history gives no cause for doubt
        let fresh = first.run().unwrap();
        assert_eq!(fresh.fitted.verdict(), Verdict::Trusted);
    }

    #[test]
    fn a_fit_serves_until_it_is_due_and_when_the_next_one_fails() {
        let first = study(None, true).run().unwrap();
        let served = study(Some(Arc::clone(&first.fitted)), false).run().unwrap();
        assert!(!served.anew && served.note.is_none());

        let mut empty = study(Some(first.fitted), true);
        empty.now -= TimeDelta::days(10);
        let served = empty.run().unwrap();
        let note = served.note.unwrap();
        assert!(!served.anew);
        assert!(
            note.starts_with("the last fit serves again: too little"),
            "{note}"
        );

        let mut nothing = study(None, true);
        nothing.now -= TimeDelta::days(10);
        assert!(nothing.run().is_err());
    }
}
