//! The only reader of the wall clock.
//!
//! Decides what "now" is for the whole program: the system's time, a time that runs faster (the
//! demo), or a time that a test moves by hand. Everything else is handed a [`SharedClock`] or a
//! [`Timestamp`]. It must not decide anything from the time it tells.
#![allow(
    clippy::disallowed_methods,
    reason = "the one file that may ask the system for the time"
)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::units::Timestamp;

/// A clock that tells the time and waits on it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present time on this clock.
    fn now(&self) -> Timestamp;

    /// Completes once `span` has passed on this clock; at once when `span` is not positive.
    fn sleep(&self, span: TimeDelta) -> BoxFuture<'static, ()>;

    /// Completes once this clock shows `instant`; at once when it already does.
    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'static, ()> {
        self.sleep(instant - self.now())
    }

    /// Time since the clock was made, for measuring how long work takes. It never goes back.
    ///
    /// [`SystemClock`] and [`ScaledClock`] answer in real time, whatever speed `now` runs at;
    /// [`ManualClock`] answers with what it was advanced by.
    fn monotonic(&self) -> Duration;

    /// Seconds of this clock that pass in one real second.
    ///
    /// One for every clock but [`ScaledClock`].
    fn factor(&self) -> f64 {
        1.0
    }
}

/// A clock shared between tasks.
pub type SharedClock = Arc<dyn Clock>;

/// The system's own time.
#[derive(Debug, Clone)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts the monotonic reading at zero.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The system clock behind the shared handle most callers want.
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now()
    }

    fn sleep(&self, span: TimeDelta) -> BoxFuture<'static, ()> {
        tokio::time::sleep(span.to_std().unwrap_or_default()).boxed()
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that starts anywhere and runs `factor` times as fast as the real one.
#[derive(Debug, Clone)]
pub struct ScaledClock {
    real_origin: Instant,
    simulated_origin: Timestamp,
    factor: f64,
}

/// Why a [`ScaledClock`] was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("clock factor {factor} is not usable: give a finite number above zero, for example 600")]
pub struct FactorError {
    /// What was asked for.
    pub factor: f64,
}

impl ScaledClock {
    /// A clock that shows `simulated_origin` now and gains `factor` seconds per real second.
    pub fn new(simulated_origin: Timestamp, factor: f64) -> Result<Self, FactorError> {
        if !factor.is_finite() || factor <= 0.0 {
            return Err(FactorError { factor });
        }
        Ok(Self {
            real_origin: Instant::now(),
            simulated_origin,
            factor,
        })
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let simulated = self.real_origin.elapsed().as_secs_f64() * self.factor;
        // A span too long for the type is centuries away: the clock then stands still.
        let span = TimeDelta::try_milliseconds((simulated * 1e3) as i64).unwrap_or(TimeDelta::MAX);
        self.simulated_origin
            .checked_add_signed(span)
            .unwrap_or(Timestamp::MAX_UTC)
    }

    fn sleep(&self, span: TimeDelta) -> BoxFuture<'static, ()> {
        let real = span.to_std().unwrap_or_default().as_secs_f64() / self.factor;
        let real = Duration::try_from_secs_f64(real).unwrap_or(Duration::MAX);
        tokio::time::sleep(real).boxed()
    }

    fn monotonic(&self) -> Duration {
        self.real_origin.elapsed()
    }

    fn factor(&self) -> f64 {
        self.factor
    }
}

/// A clock that stands still until a test advances it.
#[derive(Debug)]
pub struct ManualClock {
    origin: Timestamp,
    state: Mutex<Manual>,
}

#[derive(Debug)]
struct Manual {
    now: Timestamp,
    sleepers: Vec<(Timestamp, oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock that shows `origin`.
    pub fn new(origin: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            origin,
            state: Mutex::new(Manual {
                now: origin,
                sleepers: Vec::new(),
            }),
        })
    }

    /// Moves the time on by `span` and wakes every sleeper whose time has come, earliest first.
    ///
    /// A negative span is ignored: this clock does not go back.
    pub fn advance(&self, span: TimeDelta) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if span <= TimeDelta::zero() {
            return;
        }
        state.now += span;
        let now = state.now;
        let (mut due, waiting): (Vec<_>, Vec<_>) =
            state.sleepers.drain(..).partition(|(at, _)| *at <= now);
        state.sleepers = waiting;
        due.sort_by_key(|(at, _)| *at);
        for (_, sleeper) in due {
            // A sleeper that gave up has dropped its end; that is its right.
            let _ = sleeper.send(());
        }
    }

    /// Moves the time on to `instant`; a time already past changes nothing.
    pub fn advance_to(&self, instant: Timestamp) {
        self.advance(instant - self.now());
    }

    /// The earliest time somebody sleeps for, so that a test can step from one to the next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        state.sleepers.iter().map(|(at, _)| *at).min()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now
    }

    fn sleep(&self, span: TimeDelta) -> BoxFuture<'static, ()> {
        let now = self.now();
        let end = now.checked_add_signed(span);
        self.sleep_until(end.unwrap_or(Timestamp::MAX_UTC))
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'static, ()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if instant <= state.now {
            return std::future::ready(()).boxed();
        }
        // Sleepers that gave up would pile up while nobody advances.
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        let (wake, woken) = oneshot::channel();
        state.sleepers.push((instant, wake));
        async move {
            if woken.await.is_err() {
                // The clock is gone, so its time never comes.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn monotonic(&self) -> Duration {
        (self.now() - self.origin).to_std().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kick_off() -> Timestamp {
        "2026-09-13T17:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn manual_time_stands_still_until_advanced() {
        let clock = ManualClock::new(kick_off());
        let mut sleeper = clock.sleep(TimeDelta::seconds(30));
        clock.advance(TimeDelta::seconds(29));
        assert!((&mut sleeper).now_or_never().is_none());
        assert_eq!(clock.next_wake(), Some(kick_off() + TimeDelta::seconds(30)));
        clock.advance(TimeDelta::seconds(1));
        assert!(sleeper.now_or_never().is_some());
        assert_eq!(clock.next_wake(), None);
        assert_eq!(clock.monotonic(), Duration::from_secs(30));
    }

    #[tokio::test]
    async fn manual_time_never_goes_back() {
        let clock = ManualClock::new(kick_off());
        clock.advance(TimeDelta::seconds(-5));
        clock.advance_to(kick_off() - TimeDelta::hours(1));
        assert_eq!(clock.now(), kick_off());
        assert!(clock.sleep(TimeDelta::zero()).now_or_never().is_some());
    }

    #[tokio::test]
    async fn scaled_time_runs_ahead_of_real_time() {
        let clock = ScaledClock::new(kick_off(), 3600.0).unwrap();
        clock.sleep(TimeDelta::minutes(1)).await;
        let passed = clock.now() - kick_off();
        assert!(passed >= TimeDelta::minutes(1), "{passed}");
        assert!(clock.monotonic() < Duration::from_secs(30));
        assert!(clock.factor() > 3599.0);
    }

    #[test]
    fn a_clock_that_cannot_run_is_refused() {
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ScaledClock::new(kick_off(), factor).is_err());
        }
    }
}
