//! How high a fixture's peak may go: a predictive distribution with small-sample tails.
//!
//! The score of a past window is `ln(largest actual) - ln(largest predicted)`. Scores are taken
//! as normal with unknown mean and variance under a normal-inverse-gamma prior, so the predictive
//! is a Student t whose tails thin out as windows mature: `m_n + t_nu(p) sqrt(S/nu (1 + 1/k_n))`
//! with `nu = 4 + W` (FORECASTING study, 1.1). A path's quantile is not the quantile of its
//! maximum, which is why peaks have their own.

use serde::{Deserialize, Serialize};

use super::lead::BUCKETS;

/// Prior mean of a score.
const PRIOR_MEAN: f64 = 0.05;

/// Prior scale of a score a day ahead.
const PRIOR_SCALE: f64 = 0.35;

/// Windows the prior scale is worth.
const PRIOR_WINDOWS: f64 = 4.0;

/// Windows the prior mean is worth.
const PRIOR_MEAN_WINDOWS: f64 = 1.0;

/// Days in which a window loses half its weight.
const MEMORY: f64 = 12.0;

/// Standard normal quantiles of .5, .9, .95 and .99.
const NORMAL: [f64; 4] = [
    0.0,
    1.281_551_565_544_6,
    1.644_853_626_951_47,
    2.326_347_874_040_84,
];

/// Log margins above the largest predicted median, per lead bucket, for .5, .9, .95 and .99.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PeakMargins(pub(super) [[f64; 4]; BUCKETS]);

impl PeakMargins {
    /// From `(score, age in days, windows it stands for)` per lead bucket.
    pub(crate) fn new(scores: &[Vec<(f64, f64, f64)>; BUCKETS]) -> Self {
        Self(std::array::from_fn(|bucket| {
            let scale =
                PRIOR_SCALE * super::lead::PRIOR_SCALE[bucket] / super::lead::PRIOR_SCALE[4];
            margins(&scores[bucket], scale)
        }))
    }

    /// Margins of one bucket.
    pub(crate) fn at(&self, bucket: usize) -> [f64; 4] {
        self.0[bucket]
    }
}

fn margins(scores: &[(f64, f64, f64)], prior_scale: f64) -> [f64; 4] {
    let weighted: Vec<(f64, f64)> = scores
        .iter()
        .filter(|(score, ..)| score.is_finite())
        .map(|&(score, age, windows)| (score, windows * 0.5_f64.powf(age / MEMORY)))
        .collect();
    let windows: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let k = PRIOR_MEAN_WINDOWS + windows;
    let sum: f64 = weighted.iter().map(|(score, weight)| score * weight).sum();
    let mean = (PRIOR_MEAN * PRIOR_MEAN_WINDOWS + sum) / k;
    let spread: f64 = weighted
        .iter()
        .map(|(score, weight)| weight * (score - mean).powi(2))
        .sum::<f64>()
        + PRIOR_MEAN_WINDOWS * (PRIOR_MEAN - mean).powi(2)
        + PRIOR_WINDOWS * prior_scale.powi(2);
    let nu = PRIOR_WINDOWS + windows;
    let scale = (spread / nu * (1.0 + 1.0 / k)).sqrt();
    NORMAL.map(|z| mean + student_t(z, nu) * scale)
}

/// Quantile of Student's t with `nu` >= 4 degrees of freedom from the normal quantile of the same
/// level (Cornish-Fisher expansion to the fourth order, Abramowitz and Stegun 26.7.5; within
/// 2e-3 of tables at .99 for nu = 4, closer elsewhere).
fn student_t(z: f64, nu: f64) -> f64 {
    let z2 = z * z;
    let g1 = z * (z2 + 1.0) / 4.0;
    let g2 = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let g3 = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    let g4 = z * ((((79.0 * z2 + 776.0) * z2 + 1_482.0) * z2 - 1_920.0) * z2 - 945.0) / 92_160.0;
    z + g1 / nu + g2 / nu.powi(2) + g3 / nu.powi(3) + g4 / nu.powi(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_agrees_with_tables() {
        for (nu, p95, p99) in [
            (4.0, 2.1318, 3.7469),
            (10.0, 1.8125, 2.7638),
            (60.0, 1.6706, 2.3901),
        ] {
            assert!((student_t(NORMAL[2], nu) - p95).abs() < 5e-3, "{nu}");
            assert!((student_t(NORMAL[3], nu) - p99).abs() < 1e-2, "{nu}");
        }
    }

    #[test]
    fn margins_ascend_and_narrow_as_windows_mature() {
        let cold = margins(&[], 0.35);
        assert!(cold.windows(2).all(|pair| pair[0] < pair[1]));
        let warm: Vec<_> = (0..40)
            .map(|i| (if i % 2 == 0 { 0.1 } else { -0.1 }, 0.0, 1.0))
            .collect();
        let warm = margins(&warm, 0.35);
        assert!(warm[3] < cold[3] / 2.0, "{warm:?} {cold:?}");
        assert!(warm[2] > 0.1);
    }
}
