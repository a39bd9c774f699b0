//! How well a model does: trained at earlier times, each time on what was known then.
//!
//! The figures go with a saved model, so that two of them can be compared. Earlier trainings are
//! 17 hours apart, so that every hour of the day meets every lead.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::super::grid::{Grid, STEP};
use super::super::{Evidence, Fit, Forecast, Horizon, Predict, Quantile};
use crate::units::Timestamp;

/// Trainings that are looked for.
const ORIGINS: i32 = 10;

/// Between two of them.
const APART: TimeDelta = TimeDelta::hours(17);

/// How far each forecast reaches.
const AHEAD: TimeDelta = TimeDelta::hours(48);

/// Ends of the leads that are scored together, hours.
const LEADS: [i64; 5] = [1, 4, 12, 24, 48];

/// How well forecasts did that were really issued before their targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scores {
    /// Number of trainings.
    pub origins: usize,
    /// First and last of them.
    pub span: (Timestamp, Timestamp),
    /// By lead, nearest first.
    pub leads: Vec<LeadScore>,
    /// Largest load of fixtures' windows; absent when none was forecast.
    pub peaks: Option<PeakScore>,
}

/// Scores of forecasts of one range of leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeadScore {
    /// Leads up to so many hours, from where the one before ends.
    pub up_to_hours: i64,
    /// Five-minute means scored.
    pub points: usize,
    /// Sum of absolute errors of the median over the sum of load.
    pub error: f64,
    /// Share of points at or below p90, p95 and p99.
    pub coverage: [f64; 3],
}

/// Scores of forecast peaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeakScore {
    /// Windows scored; one counts each time it was forecast.
    pub windows: usize,
    /// Mean absolute logarithm of the largest load over its median forecast.
    pub error: f64,
    /// Share of windows at or below p90, p95 and p99.
    pub coverage: [f64; 3],
}

/// Trains `model` at ten earlier times and scores what it then said of the load up to `at`.
/// `None` when there is too little history to train on even once.
pub fn score<M: Fit>(model: &M, known: Evidence<'_>, at: Timestamp) -> Option<Scores> {
    let bins = (APART * ORIGINS).num_seconds() / STEP;
    let actual = Grid::before(known.load, at, bins as usize);
    let value = |time: i64| -> Option<f64> {
        let back = usize::try_from((actual.end - time) / STEP).ok()?;
        let place = actual.len().checked_sub(back)?;
        let told = known
            .faults
            .iter()
            .any(|fault| fault.from.timestamp() < time + STEP && fault.to.timestamp() > time);
        actual
            .values
            .get(place)
            .copied()
            .filter(|value| value.is_finite() && !told)
    };
    let mut leads = LEADS.map(Sums::new);
    let mut peaks = Sums::new(0);
    let mut origins = Vec::new();
    for back in (1..=ORIGINS).rev() {
        let origin = at - APART * back;
        let calendar = known.calendar.as_of(origin);
        let entries = known.entries.before(origin);
        let faults = known.faults.before(origin);
        let then = Evidence::new(known.load, &calendar)
            .with_entries(&entries)
            .with_faults(&faults);
        let Ok(fitted) = model.fit(then, origin) else {
            continue;
        };
        let forecast = fitted.predict(
            then,
            Horizon {
                origin,
                length: AHEAD.min(at - origin),
                step: TimeDelta::seconds(STEP),
            },
        );
        origins.push(origin);
        points(&forecast, &mut leads, value);
        windows(&forecast, at, &mut peaks, value);
    }
    Some(Scores {
        origins: origins.len(),
        span: (*origins.first()?, *origins.last()?),
        leads: leads
            .into_iter()
            .filter(|sums| sums.points > 0)
            .map(|sums| LeadScore {
                up_to_hours: sums.up_to_hours,
                points: sums.points,
                error: if sums.load > 0.0 {
                    sums.error / sums.load
                } else {
                    0.0
                },
                coverage: sums.coverage(),
            })
            .collect(),
        peaks: (peaks.points > 0).then(|| PeakScore {
            windows: peaks.points,
            error: peaks.error / peaks.points as f64,
            coverage: peaks.coverage(),
        }),
    })
}

fn points(forecast: &Forecast, leads: &mut [Sums], value: impl Fn(i64) -> Option<f64>) {
    for bin in 0..forecast.len() {
        let time = forecast.time(bin);
        let Some(actual) = value(time.timestamp()) else {
            continue;
        };
        let ahead = time - forecast.origin;
        if let Some(sums) = leads
            .iter_mut()
            .find(|sums| ahead < TimeDelta::hours(sums.up_to_hours))
        {
            sums.error += (actual - forecast.paths[0][bin]).abs();
            sums.load += actual;
            sums.count(actual, Quantile::ALL.map(|q| forecast.path(q)[bin]));
        }
    }
}

fn windows(
    forecast: &Forecast,
    at: Timestamp,
    sums: &mut Sums,
    value: impl Fn(i64) -> Option<f64>,
) {
    for peak in &forecast.peaks {
        if peak.to > at || peak.start < forecast.origin {
            continue;
        }
        let known: Vec<f64> = (peak.from.timestamp()..peak.to.timestamp())
            .step_by(STEP as usize)
            .filter_map(&value)
            .collect();
        let Some(top) = known.into_iter().reduce(f64::max) else {
            continue;
        };
        if top > 0.0 && peak.quantiles[0] > 0.0 {
            sums.error += (top / peak.quantiles[0]).ln().abs();
            sums.count(top, peak.quantiles);
        }
    }
}

struct Sums {
    up_to_hours: i64,
    points: usize,
    error: f64,
    load: f64,
    covered: [usize; 3],
}

impl Sums {
    const fn new(up_to_hours: i64) -> Self {
        Self {
            up_to_hours,
            points: 0,
            error: 0.0,
            load: 0.0,
            covered: [0; 3],
        }
    }

    fn count(&mut self, actual: f64, quantiles: [f64; 4]) {
        self.points += 1;
        for (covered, quantile) in self.covered.iter_mut().zip(&quantiles[1..]) {
            *covered += usize::from(actual <= *quantile);
        }
    }

    fn coverage(&self) -> [f64; 3] {
        self.covered
            .map(|covered| covered as f64 / self.points.max(1) as f64)
    }
}
