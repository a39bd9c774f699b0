//! How much must stand ready, because a spike is over before a pod has started.
//!
//! Load `r` goes to `m r` in a straight line over the rise `T`; new capacity arrives `G` after
//! the spike began (detection, decision and start-up together); `D` seconds' worth of capacity may wait in queues
//! meanwhile. The standing capacity `k r` must carry what arrives until then:
//! the area of load above `k` over `[0, G]` is at most `D k`. Without queues that is
//! `k ≥ 1 + (m−1) min(1, G/T)`.

use chrono::TimeDelta;

use super::spike::SpikeSizes;

/// What standing headroom has to bridge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bridge {
    /// Beginning of a spike to the first replica asked for because of it being Ready.
    pub until_ready: TimeDelta,
    /// Time the top takes to be reached.
    pub rise: TimeDelta,
    /// Longest that work may wait.
    pub queueing: TimeDelta,
}

impl Bridge {
    /// The least multiple of the present load that must stand ready for a spike of `multiple`.
    pub fn standing(&self, multiple: f64) -> f64 {
        if multiple <= 1.0 {
            return 1.0;
        }
        let (mut low, mut high) = (1.0, multiple);
        // the backlog falls and what may wait grows with `k`: one crossing
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if self.backlog(multiple, middle) <= seconds(self.queueing) * middle {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }

    /// Load above `k` until capacity arrives, in seconds of the load before the spike.
    fn backlog(&self, multiple: f64, k: f64) -> f64 {
        let (until, rise) = (seconds(self.until_ready), seconds(self.rise));
        if k >= multiple {
            return 0.0;
        }
        let crossed = rise * (k - 1.0) / (multiple - 1.0);
        let rising = until.min(rise) - crossed;
        let slope = if rise > 0.0 {
            (multiple - 1.0) / rise
        } else {
            0.0
        };
        let on_the_way = if rising > 0.0 {
            slope * rising * rising / 2.0
        } else {
            0.0
        };
        on_the_way + (multiple - k) * (until - rise).max(0.0)
    }
}

/// The multiple of the expected load to keep standing so that the share `covered` of spikes finds
/// its capacity there, with `simultaneous` fixtures in play.
pub fn cover(sizes: &SpikeSizes, simultaneous: u32, bridge: &Bridge, covered: f64) -> f64 {
    bridge.standing(sizes.quantile(covered, simultaneous))
}

/// Share of spikes that a standing multiple takes, with `simultaneous` fixtures in play.
pub fn covered(sizes: &SpikeSizes, simultaneous: u32, bridge: &Bridge, standing: f64) -> f64 {
    // the largest spike whose standing need this still is
    let (mut low, mut high) = (1.0, 1e3);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if bridge.standing(middle) <= standing {
            low = middle;
        } else {
            high = middle;
        }
    }
    sizes.share_within(low, simultaneous)
}

fn seconds(span: TimeDelta) -> f64 {
    (span.num_milliseconds() as f64 / 1e3).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::burst::spike::{Declared, Learnt};

    fn bridge(until_ready: i64, rise: i64, queueing: i64) -> Bridge {
        Bridge {
            until_ready: TimeDelta::seconds(until_ready),
            rise: TimeDelta::seconds(rise),
            queueing: TimeDelta::seconds(queueing),
        }
    }

    #[test]
    fn a_start_slower_than_the_rise_makes_the_whole_spike_stand() {
        assert!((bridge(30, 10, 0).standing(8.0) - 8.0).abs() < 1e-9);
        assert!((bridge(30, 60, 0).standing(7.0) - 4.0).abs() < 1e-9);
        assert_eq!(bridge(30, 10, 0).standing(1.0), 1.0);
    }

    #[test]
    fn a_second_of_queueing_gives_the_published_figures() {
        // multiple, until ready, rise, k
        let table = [
            (3.0, 10, 10, 2.09),
            (3.0, 30, 10, 2.86),
            (3.0, 90, 10, 2.96),
            (3.0, 30, 60, 1.67),
            (3.0, 180, 300, 2.04),
            (7.0, 10, 10, 4.64),
            (7.0, 30, 10, 6.67),
            (7.0, 30, 60, 3.20),
            (7.0, 180, 300, 4.19),
        ];
        for (multiple, until_ready, rise, expected) in table {
            let k = bridge(until_ready, rise, 1).standing(multiple);
            assert!(
                (k - expected).abs() < 0.011,
                "{multiple} {until_ready} {rise}: {k}"
            );
        }
    }

    #[test]
    fn cover_and_covered_are_each_other() {
        let sizes = SpikeSizes::new(&Declared::LIVE, &Learnt::default(), &Learnt::default());
        let bridge = bridge(20, 6, 0);
        for games in [1, 4, 9] {
            let standing = cover(&sizes, games, &bridge, 0.9);
            let share = covered(&sizes, games, &bridge, standing);
            assert!((share - 0.9).abs() < 0.01, "{games}: {share}");
        }
    }

    proptest! {
        #[test]
        fn standing_grows_with_the_spike_and_the_wait_and_stays_between(
            multiple in 1.0..20.0_f64,
            more in 0.0..5.0_f64,
            until in 0..300_i64,
            longer in 0..60_i64,
            rise in 0..300_i64,
            queueing in 0..5_i64,
        ) {
            let k = bridge(until, rise, queueing).standing(multiple);
            prop_assert!((1.0..=multiple + 1e-9).contains(&k));
            prop_assert!(bridge(until, rise, queueing).standing(multiple + more) >= k - 1e-6);
            prop_assert!(bridge(until + longer, rise, queueing).standing(multiple) >= k - 1e-6);
        }
    }
}
