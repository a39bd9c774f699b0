//! Measures one case, or many workloads side by side.
//!
//! CPU time is that of the measuring thread as the kernel counts it; where it does not tell, wall
//! time stands in. Memory is the growth of the process's peak over what it held before, which is the
//! generated data; where the kernel does not tell, there is none.

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock as _, SystemClock};
use crate::fixture::Calendar;
use crate::forecast::{
    EventResponse, Evidence, Fit as _, FitError, FittedEventResponse, Forecast, Horizon,
    Predict as _,
};
use crate::series::Series;
use crate::simulate::yardstick::{Size, yardstick};
use crate::units::Timestamp;

/// The kernel counts CPU time in ticks of some milliseconds: work is repeated until its sum is
/// long against them.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// Times that work is repeated at least, and at most.
const LEAST_RUNS: u32 = 3;
const MOST_RUNS: u32 = 100_000;

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
        black_box(forecast(&load, &calendar, self.hours)?);
        let peak = memory("VmHWM:");
        let known = Evidence::new(&load, &calendar);
        let model = fit(known, load.end())?;
        Ok(Figures {
            fit_ms: each(&clock, || fit(known, load.end()))?,
            predict_ms: each(&clock, || {
                Ok(predict(&model, known, load.end(), self.hours))
            })?,
            peak_mb: growth(before, peak),
        })
    }
}

/// The model measured.
fn fit(known: Evidence<'_>, at: Timestamp) -> Result<FittedEventResponse, FitError> {
    EventResponse::new(chrono_tz::Tz::America__New_York).fit(known, at)
}

fn predict(
    model: &FittedEventResponse,
    known: Evidence<'_>,
    origin: Timestamp,
    hours: u32,
) -> Forecast {
    let horizon = Horizon {
        origin,
        length: TimeDelta::hours(i64::from(hours)),
        step: TimeDelta::minutes(5),
    };
    model.predict(known, horizon)
}

/// Mean CPU time of some work, milliseconds.
fn each<T>(
    clock: &SystemClock,
    mut work: impl FnMut() -> Result<T, FitError>,
) -> Result<f64, FitError> {
    let begun = cpu_time(clock);
    let mut runs = 0;
    loop {
        black_box(work()?);
        runs += 1;
        let spent = cpu_time(clock).saturating_sub(begun);
        if (runs >= LEAST_RUNS && spent >= LEAST_TIME) || runs >= MOST_RUNS {
            return Ok(1e3 * spent.as_secs_f64() / f64::from(runs));
        }
    }
}

/// One fit and one forecast.
fn forecast(load: &Series, calendar: &Calendar, hours: u32) -> Result<Forecast, FitError> {
    let known = Evidence::new(load, calendar);
    let model = fit(known, load.end())?;
    Ok(predict(&model, known, load.end(), hours))
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
    /// CPU time of all threads, seconds.
    pub(super) cpu_seconds: f64,
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
        let spent_all = AtomicU64::new(0);
        let failed = Mutex::new(None);
        let clock = SystemClock::new();
        forget_peak();
        let before = memory("VmRSS:");
        let begun = clock.monotonic();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let begun = cpu_time(&clock);
                    loop {
                        let workload = next.fetch_add(1, Ordering::Relaxed);
                        if workload >= workloads {
                            let spent = cpu_time(&clock).saturating_sub(begun);
                            spent_all.fetch_add(spent.as_micros() as u64, Ordering::Relaxed);
                            return;
                        }
                        let (load, calendar) = &loads[workload as usize % loads.len()];
                        match forecast(load, calendar, case.hours) {
                            Ok(forecast) => drop(black_box(forecast)),
                            Err(error) => {
                                if let Ok(mut failed) = failed.lock() {
                                    failed.get_or_insert(error);
                                }
                            }
                        }
                    }
                });
            }
        });
        let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
        let peak = memory("VmHWM:");
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            _ => Ok(Self {
                case,
                workloads,
                threads,
                seconds,
                cpu_seconds: spent_all.into_inner() as f64 / 1e6,
                peak_mb: growth(before, peak),
            }),
        }
    }
}

/// Time this thread has spent on a core; wall time where the kernel does not tell.
pub(super) fn cpu_time(clock: &SystemClock) -> Duration {
    // first field: nanoseconds on the CPU
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or_else(|| clock.monotonic(), Duration::from_nanos)
}

/// Lets the peak begin again at what is held now; without effect where that is not allowed.
pub(super) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// A line of this process's status, megabytes.
pub(super) fn memory(line: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|text| text.strip_prefix(line))?;
    let kilobytes: f64 = kilobytes.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / 1_024.0)
}

/// How far the peak lay above what was held before.
fn growth(before: Option<f64>, peak: Option<f64>) -> Option<f64> {
    Some((peak? - before?).max(0.0))
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
        assert!(fleet.seconds > 0.0 && fleet.cpu_seconds >= 0.0);
    }
}
