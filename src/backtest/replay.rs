//! Issues forecasts at past origins from what was known then, and nothing else.
//!
//! The model is fitted again at fixed times, as a controller's background task would, and
//! predicts from the latest fit. Load, entries, faults and calendar are cut at the origin before a
//! model sees them; that a model also ignores what lies after it is its own promise.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DurationRound as _, TimeDelta};

use super::as_of;
use crate::fixture::Calendar;
use crate::forecast::{Evidence, Fit, FitError, Forecast, Horizon, Predict as _};
use crate::series::Series;
use crate::units::Timestamp;

/// Load given to a prediction: more than a day for the level, more than a week for the naive.
const RECENT: TimeDelta = TimeDelta::days(9);

/// A model with its fits at past times.
#[derive(Debug)]
pub struct Replay<'a, F: Fit> {
    model: &'a F,
    known: Evidence<'a>,
    refit: TimeDelta,
    fits: BTreeMap<Timestamp, F::Fitted>,
    /// The latest calendar cut, and the versions it was taken from.
    versions: Vec<(Timestamp, Arc<Calendar>)>,
}

impl<'a, F: Fit> Replay<'a, F> {
    /// Replays `model` over `[from, to)`, fitted again every `refit`, on times that are multiples
    /// of it.
    pub fn new(
        model: &'a F,
        known: Evidence<'a>,
        refit: TimeDelta,
        (from, to): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            model,
            known,
            refit,
            fits: BTreeMap::new(),
            // fits happen up to one refit before the first origin
            versions: as_of::versions(known.calendar, from - refit, to),
        }
    }

    fn calendar_at(&self, at: Timestamp) -> Arc<Calendar> {
        let known = self.versions.partition_point(|(from, _)| *from <= at);
        match known.checked_sub(1) {
            Some(index) => Arc::clone(&self.versions[index].1),
            None => Arc::new(self.known.calendar.as_of(at)),
        }
    }

    /// Forecasts from `origin` with the latest fit at or before it.
    ///
    /// # Errors
    /// When there is too little history to fit.
    pub fn forecast(
        &mut self,
        origin: Timestamp,
        length: TimeDelta,
        step: TimeDelta,
    ) -> Result<Forecast, FitError> {
        let fitted_at = origin.duration_trunc(self.refit).unwrap_or(origin);
        if !self.fits.contains_key(&fitted_at) {
            let known = Evidence {
                load: &self.known.load.before(fitted_at),
                calendar: &self.calendar_at(fitted_at),
                entries: &self.known.entries.before(fitted_at),
                faults: &self.known.faults.before(fitted_at),
            };
            let fitted = self.model.fit(known, fitted_at)?;
            self.fits.insert(fitted_at, fitted);
        }
        let recent = Evidence {
            load: &self.recent(origin),
            calendar: &self.calendar_at(origin),
            entries: &self.known.entries.before(origin),
            faults: &self.known.faults.before(origin),
        };
        let horizon = Horizon {
            origin,
            length,
            step,
        };
        Ok(self.fits[&fitted_at].predict(recent, horizon))
    }

    /// The whole bins known at `origin`, no older than [`RECENT`].
    fn recent(&self, origin: Timestamp) -> Series {
        let step = self.known.load.step().num_milliseconds();
        let bins = |span: TimeDelta| {
            usize::try_from(span.num_milliseconds().max(0) / step).unwrap_or(usize::MAX)
        };
        let last = bins(origin - self.known.load.start()).min(self.known.load.len());
        let first = last.saturating_sub(bins(RECENT));
        Series::from_raw(
            self.known.load.time(first),
            self.known.load.step(),
            self.known.load.raw()[first..last].to_vec(),
        )
    }

    /// Number of fits made.
    pub fn fits(&self) -> usize {
        self.fits.len()
    }
}
