//! Turns past errors into upper quantiles: decayed, grouped, one-sided conformal scores.
//!
//! A score is `ln actual - ln median` of a forecast as it was issued. Groups are {event window,
//! other} by lead bucket; a score's weight halves every eight days. Forty pseudo-scores from a
//! Student t with four degrees of freedom stand in before enough has matured, so that every
//! quantile is finite from the first day (FORECASTING study, 1.1). Weighted conformal bounds miss
//! their level by at most the drift between the weighted scores and the present (Barber et al.,
//! Conformal prediction beyond exchangeability, 2023).

use serde::{Deserialize, Serialize};

use super::lead::{self, BUCKETS, PRIOR_SCALE};

/// Upper quantiles kept.
pub(crate) const UPPER: [f64; 3] = [0.90, 0.95, 0.99];

/// Days in which a score loses half its weight.
const MEMORY: f64 = 8.0;

/// Number of pseudo-scores.
const PSEUDO: usize = 40;

/// Log margins above the median for each of [`UPPER`], ascending and never negative.
pub(crate) type Margins = [f64; 3];

/// Scores of matured forecasts by group and bucket.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    /// `(score, age in days)`; other first, event window second.
    groups: [[Vec<(f64, f64)>; BUCKETS]; 2],
}

impl Scores {
    pub(crate) fn new() -> Self {
        Self {
            groups: std::array::from_fn(|_| std::array::from_fn(|_| Vec::new())),
        }
    }

    /// Keeps one score.
    pub(crate) fn add(&mut self, in_event: bool, bucket: usize, score: f64, age_days: f64) {
        if score.is_finite() {
            self.groups[usize::from(in_event)][bucket].push((score, age_days));
        }
    }

    /// The margins of every group and bucket. `pseudo` is the weight of all pseudo-scores of a
    /// bucket, in scores.
    pub(crate) fn margins(&self, pseudo: &[f64; BUCKETS]) -> MarginTable {
        MarginTable(std::array::from_fn(|group| {
            std::array::from_fn(|bucket| {
                let mut weighted: Vec<(f64, f64)> = self.groups[group][bucket]
                    .iter()
                    .map(|&(score, age)| (score, 0.5_f64.powf(age / MEMORY)))
                    .collect();
                let share = pseudo[bucket] / PSEUDO as f64;
                weighted.extend((0..PSEUDO).map(|place| {
                    let level = (place as f64 + 0.5) / PSEUDO as f64;
                    (PRIOR_SCALE[bucket] * student_t4(level), share)
                }));
                weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut floor = 0.0;
                UPPER.map(|level| {
                    floor = weighted_quantile(&weighted, level).max(floor);
                    floor
                })
            })
        }))
    }
}

/// Margins by group and lead bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct MarginTable(pub(super) [[Margins; BUCKETS]; 2]);

impl MarginTable {
    /// Log margins at a lead of `lead` model bins.
    pub(crate) fn at(&self, in_event: bool, lead: f64) -> Margins {
        let table = &self.0[usize::from(in_event)];
        let [(a, wa), (b, wb)] = lead::blend(lead);
        std::array::from_fn(|level| wa * table[a][level] + wb * table[b][level])
    }
}

/// Smallest value with at least `level` of the weight at or below it; values ascend.
fn weighted_quantile(sorted: &[(f64, f64)], level: f64) -> f64 {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut seen = 0.0;
    for &(value, weight) in sorted {
        seen += weight;
        if seen >= level * total {
            return value;
        }
    }
    sorted.last().map_or(0.0, |&(value, _)| value)
}

/// Quantile of Student's t with four degrees of freedom (closed form: Shaw, Sampling Student's t
/// distribution, 2006).
fn student_t4(level: f64) -> f64 {
    let alpha = (4.0 * level * (1.0 - level)).sqrt();
    let q = (alpha.acos() / 3.0).cos() / alpha;
    (2.0 * (q - 1.0).max(0.0).sqrt()).copysign(level - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_agrees_with_tables() {
        for (level, value) in [(0.5, 0.0), (0.9, 1.5332), (0.95, 2.1318), (0.99, 3.7469)] {
            assert!((student_t4(level) - value).abs() < 1e-4, "{level}");
            assert!((student_t4(1.0 - level) + value).abs() < 1e-4, "{level}");
        }
    }

    #[test]
    fn margins_start_at_the_prior_and_follow_the_scores() {
        let empty = Scores::new().margins(&[30.0; BUCKETS]);
        let [p90, p95, p99] = empty.at(true, 200.0);
        assert!(p90 > 0.4 && p95 > p90 && p99 > p95 && p99 < 2.0);

        let mut scores = Scores::new();
        for place in 0..10_000 {
            let score = f64::from(place) / 10_000.0 - 0.5;
            scores.add(true, 4, score, 1.0);
        }
        let margins = scores.margins(&[30.0; BUCKETS]).at(true, 200.0);
        assert!((margins[0] - 0.40).abs() < 0.01, "{margins:?}");
        assert!((margins[1] - 0.45).abs() < 0.01, "{margins:?}");
    }

    #[test]
    fn old_scores_fade() {
        let mut scores = Scores::new();
        for _ in 0..1_000 {
            scores.add(false, 0, 1.0, 80.0);
            scores.add(false, 0, 0.1, 0.0);
        }
        assert!((scores.margins(&[0.0; BUCKETS]).at(false, 1.0)[1] - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_model_that_always_overshoots_gets_no_negative_margin() {
        let mut scores = Scores::new();
        for _ in 0..1_000 {
            scores.add(false, 0, -1.0, 0.0);
        }
        assert_eq!(scores.margins(&[0.0; BUCKETS]).at(false, 1.0), [0.0; 3]);
    }
}
