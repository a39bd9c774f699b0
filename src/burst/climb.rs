//! How high a spike under way will climb, given its first samples.
//!
//! Bayes on a grid. Before any sample the top is as the sizes known of the phase say, the rise is
//! log-normal about its typical time, and the spike began somewhere around the first second that
//! stood out. Load climbs in a straight line and stays at the top; a sample is normal about the
//! line's mean over its interval, as uneven as counts are and somewhat more, for no crowd climbs in
//! a straight line. The slope that two samples show is thereby in the likelihood. One may be a
//! step as well: until a second came, nothing larger than the usual spike is believed in.

use super::spike::SpikeSizes;

/// Tops on the grid, equally likely beforehand: the highest is exceeded by one spike in a hundred.
const TOPS: usize = 48;

/// Standard deviation of the logarithm of the rise: nineteen in twenty lie within a factor of 2.7
/// of the typical one, as 2 to 10 s do about 5.
const RISE_SPREAD: f64 = 0.6;

/// Standard normal deviates in the middle of five equally likely rises.
const RISES: [f64; 5] = [-1.282, -0.524, 0.0, 0.524, 1.282];

/// Beginnings, in lengths of the first sample after its own.
const BEGINNINGS: [f64; 4] = [-0.5, 0.0, 0.35, 0.7];

/// Lines from the bottom to a top.
const LINES: usize = RISES.len() * BEGINNINGS.len();

/// Relative error of the straight line.
const CROOKED: f64 = 0.15;

/// One sample of a climb.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Climbed {
    /// Its interval, seconds from the spike's likeliest beginning.
    pub(super) from: f64,
    /// End of the interval.
    pub(super) to: f64,
    /// Load above what there was before, in multiples of the load a spike multiplies.
    pub(super) excess: f64,
    /// Standard deviation of that by the scatter of counts.
    pub(super) deviation: f64,
}

/// The excess that the share `level` of spikes which began like this do not exceed, in multiples
/// of the load a spike multiplies, with `simultaneous` fixtures in play.
pub(super) fn top(sizes: &SpikeSizes, simultaneous: u32, climb: &[Climbed], level: f64) -> f64 {
    let rises = RISES.map(|deviate| {
        let typical = sizes.rise().num_milliseconds() as f64 / 1e3;
        (typical * (RISE_SPREAD * deviate).exp()).max(0.1)
    });
    let first = climb.first().map_or(1.0, |first| first.to - first.from);
    let beginnings = BEGINNINGS.map(|part| part * first);
    // the line's mean over each sample, for a top of one
    let lines = rises.into_iter().flat_map(|rise| {
        let mean = move |began| climb.iter().map(move |sample| mean(sample, began, rise));
        beginnings.into_iter().flat_map(mean)
    });
    let lines: Vec<f64> = lines.collect();
    let tops: [f64; TOPS] = std::array::from_fn(|place| {
        sizes.quantile((place as f64 + 0.5) / TOPS as f64, simultaneous) - 1.0
    });
    let mut logs = Vec::with_capacity(TOPS * LINES);
    for top in tops {
        if climb.is_empty() {
            logs.extend([0.0; LINES]);
        }
        for line in lines.chunks_exact(climb.len().max(1)) {
            // one logarithm for all: variances are between 1e-6 and what a top squared makes
            let (mut misses, mut variances) = (0.0, 1.0);
            for (sample, part) in climb.iter().zip(line) {
                let expected = top * part;
                let crooked = CROOKED * expected;
                let variance = (sample.deviation.powi(2) + crooked.powi(2)).clamp(1e-6, 1e12);
                misses += (sample.excess - expected).powi(2) / variance;
                variances *= variance;
            }
            logs.push(-0.5 * (misses + f64::ln(variances)));
        }
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs
        .chunks(LINES)
        .map(|logs| logs.iter().map(|log| (log - most).exp()).sum())
        .collect();
    let wanted = level * weights.iter().sum::<f64>();
    let mut sum = 0.0;
    for (top, weight) in tops.iter().zip(&weights) {
        sum += weight;
        if sum >= wanted {
            return if climb.len() < 2 {
                top.min(sizes.quantile(level, simultaneous) - 1.0)
            } else {
                *top
            };
        }
    }
    tops[TOPS - 1]
}

/// Mean over a sample of a line from 0 at `began` to 1 a `rise` later, and 1 from there.
fn mean(sample: &Climbed, began: f64, rise: f64) -> f64 {
    let area = |at: f64| {
        let since = at - began;
        if since <= 0.0 {
            0.0
        } else if since <= rise {
            since * since / (2.0 * rise)
        } else {
            since - rise / 2.0
        }
    };
    let length = (sample.to - sample.from).max(1e-3);
    (area(sample.to) - area(sample.from)) / length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first seconds of a climb to `top` within `rise` seconds.
    fn climb(top: f64, rise: f64, seconds: usize) -> Vec<Climbed> {
        let second = |second: usize| {
            let mut sample = Climbed {
                from: second as f64,
                to: second as f64 + 1.0,
                excess: 0.0,
                deviation: 0.05,
            };
            sample.excess = top * mean(&sample, 0.3, rise);
            sample
        };
        (0..seconds).map(second).collect()
    }

    fn likely(climb: &[Climbed], simultaneous: u32) -> f64 {
        top(&SpikeSizes::default(), simultaneous, climb, 0.9)
    }

    #[test]
    fn before_anything_was_seen_it_is_the_usual_spike() {
        let usual = SpikeSizes::default().quantile(0.9, 1) - 1.0;
        assert!((likely(&[], 1) / usual - 1.0).abs() < 0.1);
    }

    #[test]
    fn a_small_spike_is_known_to_be_small_before_it_has_risen() {
        let [one, three, ten] = [1, 3, 10].map(|seconds| likely(&climb(0.6, 5.0, seconds), 1));
        assert!(one > three && three > ten, "{one} {three} {ten}");
        assert!((0.5..1.0).contains(&ten), "{ten}");
    }

    #[test]
    fn one_sample_may_be_a_step() {
        let usual = SpikeSizes::default().quantile(0.9, 1) - 1.0;
        assert!(likely(&climb(6.0, 2.0, 1), 1) <= usual);
    }

    #[test]
    fn a_large_one_is_met_while_it_climbs() {
        for rise in [2.0, 5.0, 9.0] {
            let after = likely(&climb(6.0, rise, 2), 1);
            assert!(after >= 5.0, "{rise}: {after}");
        }
    }

    proptest! {
        #[test]
        fn it_lies_among_the_sizes_and_grows_with_the_share(
            height in 0.0..1e4_f64,
            rise in 0.5..30.0_f64,
            seconds in 0..9_usize,
            games in 1..16_u32,
            level in 0.05..0.9_f64,
        ) {
            let climb = climb(height, rise, seconds);
            let sizes = SpikeSizes::default();
            let low = top(&sizes, games, &climb, level);
            let high = top(&sizes, games, &climb, level + 0.09);
            prop_assert!(low <= high && low > 0.0);
            prop_assert!(high <= sizes.quantile(0.99, games) - 1.0);
        }
    }
}
