//! From what one pod has counted to how fast it counts. Pure: it is told the time of each reading.

use std::time::Duration;

/// Shortest time between two readings that gives a rate: over less, the network's jitter is most
/// of it.
const SHORTEST: Duration = Duration::from_millis(50);

/// Longest time: a mean over more hides a spike.
const LONGEST: Duration = Duration::from_secs(3);

/// What a pod's page said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// When, since any fixed moment, on a clock that never goes back.
    pub at: Duration,
    /// Units served since the pod began to count.
    pub served: f64,
    /// Units shed on purpose since then; 0 when its series does not exist yet.
    pub shed: f64,
    /// Units waiting now, when the pod counts them.
    pub queued: Option<f64>,
}

/// How much was demanded of one pod over a short time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodRate {
    /// Served plus shed, units per second.
    pub offered: f64,
    /// Units waiting at the end.
    pub queued: Option<f64>,
    /// Length of the time, seconds.
    pub seconds: f64,
    /// Its end, on the clock of the readings.
    pub at: Duration,
}

/// What a reading says beside the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard {
    /// A rate.
    Rate(PodRate),
    /// Nothing yet: there is no reading before it that is recent enough.
    First,
    /// Nothing: a counter fell, so the pod began to count anew. How much it counted in between is
    /// not known, and taking the new value for it would make a spike of a restart.
    Reset,
}

/// The last reading of one pod.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counter {
    last: Option<Reading>,
}

impl Counter {
    /// Takes a reading.
    pub fn hear(&mut self, reading: Reading) -> Heard {
        let Some(last) = self.last else {
            self.last = Some(reading);
            return Heard::First;
        };
        let passed = reading.at.saturating_sub(last.at);
        if passed < SHORTEST {
            return Heard::First;
        }
        self.last = Some(reading);
        if reading.served < last.served || reading.shed < last.shed {
            return Heard::Reset;
        }
        if passed > LONGEST {
            return Heard::First;
        }
        let seconds = passed.as_secs_f64();
        let counted = (reading.served - last.served) + (reading.shed - last.shed);
        Heard::Rate(PodRate {
            offered: counted / seconds,
            queued: reading.queued,
            seconds,
            at: reading.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: f64, served: f64, shed: f64) -> Reading {
        Reading {
            at: Duration::from_secs_f64(seconds),
            served,
            shed,
            queued: None,
        }
    }

    #[test]
    fn served_and_shed_are_demand_by_the_time_between_readings() {
        let mut counter = Counter::default();
        assert_eq!(counter.hear(reading(10.0, 1e6, 0.0)), Heard::First);
        let Heard::Rate(rate) = counter.hear(reading(11.25, 1e6 + 100.0, 25.0)) else {
            panic!("two readings are a rate");
        };
        assert_eq!((rate.offered, rate.seconds), (100.0, 1.25));
    }

    #[test]
    fn a_restart_is_no_spike() {
        let mut counter = Counter::default();
        counter.hear(reading(10.0, 500.0, 9.0));
        // 400 counted anew within a second would be a rate of 400
        assert_eq!(counter.hear(reading(11.0, 400.0, 9.0)), Heard::Reset);
        let Heard::Rate(rate) = counter.hear(reading(12.0, 420.0, 9.0)) else {
            panic!("it counts again");
        };
        assert_eq!(rate.offered, 20.0);
        assert_eq!(counter.hear(reading(13.0, 500.0, 0.0)), Heard::Reset);
    }

    #[test]
    fn readings_too_close_or_too_far_apart_give_no_rate() {
        let mut counter = Counter::default();
        counter.hear(reading(10.0, 0.0, 0.0));
        assert_eq!(counter.hear(reading(10.01, 5.0, 0.0)), Heard::First);
        // the earlier reading stays the one to count from
        let Heard::Rate(rate) = counter.hear(reading(10.5, 50.0, 0.0)) else {
            panic!("half a second is enough");
        };
        assert_eq!(rate.offered, 100.0);
        assert_eq!(counter.hear(reading(20.0, 90.0, 0.0)), Heard::First);
    }
}
