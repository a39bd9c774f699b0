//! How soon policies and pods are watched again when the watch has broken off.
//!
//! The runtime's default waits up to half a minute, and for as long a person's order given after an
//! outage of the API server is not seen, nor are pods that came meanwhile asked for their load. The
//! delays here end at what a person waits for anyway.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// Delay after the first failure.
const FIRST: Duration = Duration::from_millis(500);

/// Longest delay: a few controllers that ask this often are no load for an API server.
const LONGEST: Duration = Duration::from_secs(4);

/// Delays that double, from [`FIRST`] to [`LONGEST`].
#[derive(Debug)]
pub(crate) struct Rewatch {
    next: Duration,
}

impl Rewatch {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }
}

impl Iterator for Rewatch {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.next;
        self.next = (now * 2).min(LONGEST);
        Some(now)
    }
}

impl Backoff for Rewatch {
    fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_asked_after_every_few_seconds_however_long_it_lasts() {
        let mut delays = Rewatch::new();
        let millis: Vec<u128> = delays.by_ref().take(6).map(|d| d.as_millis()).collect();
        assert_eq!(millis, [500, 1_000, 2_000, 4_000, 4_000, 4_000]);
        delays.reset();
        assert_eq!(delays.next(), Some(FIRST));
    }
}
