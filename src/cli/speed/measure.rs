//! Measures one case, or many workloads side by side.
//!
//! CPU time is that of the measuring thread as the kernel counts it; where it does not tell, wall
//! time stands in. Memory is the growth of the process's peak over what it held before, generated
//! data included; where the kernel does not tell, there is none.

use std::fmt;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock as _, SystemClock};
use crate::fixture::Calendar;
use crate::forecast::{EventResponse, Evidence, Fit, FitError, Forecast, Horizon, Predict};
use crate::series::Series;
use crate::simulate::yardstick::{Size, yardstick};

/// Runs of which the median counts.
const RUNS: usize = 5;

/// Different loads a fleet cycles through.
const LOADS: u64 = 16;

/// What a group of rows varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Varies {
    History,
    Horizon,
    Fixtures,
}

/// How much is fitted and forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Case {
    /// Weeks of history at five minutes.
    pub(super) weeks: u32,
    /// Hours ahead, in steps of five minutes.
    pub(super) hours: u32,
    /// Fixtures over both.
    pub(super) fixtures: u32,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} weeks of history, {} h ahead, {} fixtures",
            self.weeks, self.hours, self.fixtures
        )
    }
}

impl Case {
    /// As an argument.
    pub(super) fn written(self) -> String {
        format!("{},{},{}", self.weeks, self.hours, self.fixtures)
    }

    /// From an argument.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = text.split(',').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[weeks @ 1..=104, hours @ 0..=1_000, fixtures]) => Ok(Self {
                weeks,
                hours,
                fixtures,
            }),
            _ => Err(format!(
                "{text:?} is no case: write weeks,hours,fixtures such as 8,48,120"
            )),
        }
    }

    fn data(self, seed: u64) -> (Series, Calendar) {
        yardstick(Size {
            weeks: self.weeks,
            hours_ahead: self.hours,
            fixtures: self.fixtures,
            seed,
        })
    }

    /// Measures it here.
    pub(super) fn measured(self) -> Result<Figures, FitError> {
        let (load, calendar) = self.data(0);
        let clock = SystemClock::new();
        forget_peak();
        let before = memory("VmRSS:");
        forecast(&load, &calendar, self.hours, || {})?;
        let peak = memory("VmHWM:");
        let (mut fits, mut predictions) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let begun = cpu_time(&clock);
            let mut fitted = begun;
            forecast(&load, &calendar, self.hours, || fitted = cpu_time(&clock))?;
            let ended = cpu_time(&clock);
            fits.push(milliseconds(fitted - begun));
            predictions.push(milliseconds(ended - fitted));
        }
        Ok(Figures {
            fit_ms: median(fits),
            predict_ms: median(predictions),
            peak_mb: before
                .zip(peak)
                .map(|(before, peak)| (peak - before).max(0.0)),
        })
    }
}

/// One fit and one forecast; `fitted` is told in between.
fn forecast(
    load: &Series,
    calendar: &Calendar,
    hours: u32,
    fitted: impl FnOnce(),
) -> Result<Forecast, FitError> {
    let known = Evidence::new(load, calendar);
    let model = EventResponse::new(chrono_tz::Tz::America__New_York).fit(known, load.end())?;
    fitted();
    let horizon = Horizon {
        origin: load.end(),
        length: TimeDelta::hours(i64::from(hours)),
        step: TimeDelta::minutes(5),
    };
    Ok(model.predict(known, horizon))
}

/// What one case costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// CPU time of the fit, milliseconds.
    pub(super) fit_ms: f64,
    /// CPU time of the forecast, milliseconds.
    pub(super) predict_ms: f64,
    /// Growth of peak memory in both, megabytes.
    pub(super) peak_mb: Option<f64>,
}

/// Many workloads, each fitted and forecast once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Fleet {
    /// Of each workload.
    #[serde(flatten)]
    pub(super) case: Case,
    /// How many.
    pub(super) workloads: u32,
    /// On so many threads.
    pub(super) threads: u32,
    /// Wall time, seconds.
    pub(super) seconds: f64,
    /// Growth of peak memory, megabytes.
    pub(super) peak_mb: Option<f64>,
}

impl Fleet {
    /// Measures it here. The loads are made beforehand.
    pub(super) fn measured(case: Case, workloads: u32, threads: u32) -> Result<Self, FitError> {
        let loads: Vec<_> = (0..LOADS.min(u64::from(workloads)))
            .map(|seed| case.data(seed))
            .collect();
        let next = AtomicU32::new(0);
        let failed = Mutex::new(None);
        let clock = SystemClock::new();
        forget_peak();
        let before = memory("VmRSS:");
        let begun = clock.monotonic();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let workload = next.fetch_add(1, Ordering::Relaxed);
                        if workload >= workloads {
                            return;
                        }
                        let (load, calendar) = &loads[workload as usize % loads.len()];
                        if let Err(error) = forecast(load, calendar, case.hours, || {})
                            && let Ok(mut failed) = failed.lock()
                        {
                            failed.get_or_insert(error);
                        }
                    }
                });
            }
        });
        let seconds = (clock.monotonic() - begun).as_secs_f64();
        let peak = memory("VmHWM:");
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(Self {
                case,
                workloads,
                threads,
                seconds,
                peak_mb: before
                    .zip(peak)
                    .map(|(before, peak)| (peak - before).max(0.0)),
            }),
        }
    }
}

/// Time this thread has spent on a core; wall time where the kernel does not tell.
fn cpu_time(clock: &SystemClock) -> Duration {
    // first field: nanoseconds on the CPU
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or_else(|| clock.monotonic(), Duration::from_nanos)
}

/// Lets the peak begin again at what is held now; without effect where that is not allowed.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A line of this process's status, megabytes.
fn memory(line: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|text| text.strip_prefix(line))?;
    let kilobytes: f64 = kilobytes.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1_024.0)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_written() {
        let case = Case {
            weeks: 8,
            hours: 48,
            fixtures: 120,
        };
        assert_eq!(Case::parse(&case.written()), Ok(case));
        for bad in ["", "8", "8,48", "0,48,1", "8,48,120,1", "8,x,1"] {
            let message = Case::parse(bad).unwrap_err();
            assert!(message.contains("write weeks,hours,fixtures"), "{message}");
        }
    }

    #[test]
    fn every_workload_of_a_fleet_is_counted() {
        let case = Case {
            weeks: 1,
            hours: 1,
            fixtures: 2,
        };
        let fleet = Fleet::measured(case, 3, 2).unwrap();
        assert_eq!((fleet.workloads, fleet.threads), (3, 2));
        assert!(fleet.seconds > 0.0);
    }
}
