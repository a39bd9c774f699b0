//! Mixes experts by their own past errors.
//!
//! An expert is a model (a regression with its half-life and stiffness, or the steadiest with what
//! it leaves over by the clock) with a form of the level correction. Its weight in
//! a lead bucket is `exp(-12 (L/Lmin - 1))`, where `L` is its decayed absolute error in forecasts
//! that were really issued and have matured: no tuning set is needed and growth is followed
//! (FORECASTING study, 1.1). Experts are averaged in log load.

use super::grid::DAY;
use super::lead::{BUCKETS, Lead};
use super::level::{FORMS, Level};

/// Half-lives of the regression, days.
pub(crate) const HALF_LIVES: [f64; 3] = [3.0, 7.0, 20.0];

/// The regressions: a half-life (its place in [`HALF_LIVES`]) and how stiffly the prior holds,
/// relative to the design's penalties. The reference method has the first three, of which the middle
/// one follows growth here ([`GROWING`]); the loose ones let amplitudes far from the prior be learnt
/// from few fixtures, if that proves right.
pub(crate) const REGRESSIONS: [(usize, f64); 5] =
    [(0, 1.0), (1, 1.0), (2, 1.0), (1, 0.2), (2, 0.2)];

/// Place of the one regression in which the growth line is free.
pub(crate) const GROWING: usize = 1;

/// Place of the slowest stiff regression, the steadiest.
pub(crate) const STEADIEST: usize = 2;

/// Place of the slowest loose regression: over a season it knows best how large crowds are.
pub(crate) const FREEST: usize = 4;

/// Number of models: the regressions, and the steadiest with its remainder by the clock.
pub(crate) const MODELS: usize = REGRESSIONS.len() + 1;

/// Number of experts.
pub(crate) const EXPERTS: usize = MODELS * FORMS;

/// How sharply a worse expert is punished. Twice the study's 6: with four times as many experts
/// the mediocre ones would outvote the good. Chosen on ordinary series without fixtures.
const SHARPNESS: f64 = 12.0;

/// Half-life of an expert's past error, days.
const MEMORY: f64 = 5.0;

/// Decayed absolute errors of all experts, per lead bucket, units per second.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Losses([[f64; EXPERTS]; BUCKETS]);

impl Losses {
    pub(crate) const NONE: Self = Self([[0.0; EXPERTS]; BUCKETS]);

    /// So many model bins pass.
    pub(crate) fn age(&mut self, bins: usize) {
        let keep = 0.5_f64.powf(bins as f64 / DAY as f64 / MEMORY);
        for loss in self.0.iter_mut().flatten() {
            *loss *= keep;
        }
    }

    /// Counts one matured forecast of every expert: `predicted` and `actual` in shifted load.
    pub(crate) fn add(&mut self, bucket: usize, predicted: &[f64; EXPERTS], actual: f64) {
        for (loss, predicted) in self.0[bucket].iter_mut().zip(predicted) {
            *loss += (predicted - actual).abs();
        }
    }

    /// Adds another's errors to these.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// Weights per bucket, summing to one. Equal ones where nothing has matured.
    pub(crate) fn weights(&self) -> Weights {
        Weights(self.0.map(|losses| {
            let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
            // an error of nothing at all cannot be a yardstick
            let yard = least
                .max(1e-9 * losses.iter().sum::<f64>())
                .max(f64::MIN_POSITIVE);
            let raw = losses.map(|loss| {
                if loss.is_finite() {
                    (-SHARPNESS * (loss - least) / yard).exp()
                } else {
                    0.0
                }
            });
            let sum: f64 = raw.iter().sum();
            if sum > 0.0 {
                raw.iter().map(|weight| weight / sum).collect()
            } else {
                vec![1.0 / EXPERTS as f64; EXPERTS]
            }
        }))
    }
}

/// Weight of each expert in each lead bucket.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Weights(pub(super) [Vec<f64>; BUCKETS]);

/// One log prediction per model.
pub(crate) type Fits = [f64; MODELS];

/// Lasting and fading correction of each expert at these levels.
fn corrections(levels: &[Level; MODELS]) -> [(f64, f64); EXPERTS] {
    std::array::from_fn(|expert| levels[expert / FORMS].parts(expert % FORMS))
}

/// What every expert says from one origin.
#[derive(Debug)]
pub(crate) struct Voices {
    /// Lasting and fading correction of each expert.
    parts: [(f64, f64); EXPERTS],
    /// Factor of each expert once short deviations are gone.
    settled: [f64; EXPERTS],
}

impl Voices {
    pub(crate) fn new(levels: &[Level; MODELS]) -> Self {
        let parts = corrections(levels);
        Self {
            parts,
            settled: parts.map(|(lasting, _)| lasting.exp()),
        }
    }

    /// Shifted load (units per second plus the log's offset) at a lead with so much `fade` left.
    pub(crate) fn say(&self, fits: &Fits, fade: f64) -> [f64; EXPERTS] {
        let rates = fits.map(f64::exp);
        std::array::from_fn(|expert| {
            let rate = rates[expert / FORMS];
            if fade > 0.0 {
                let (lasting, fading) = self.parts[expert];
                rate * (lasting + fading * fade).exp()
            } else {
                rate * self.settled[expert]
            }
        })
    }
}

/// The mixture seen from one origin: linear in the fits, so a bin costs a few multiplications.
#[derive(Debug, Clone)]
pub(crate) struct Mixture {
    /// Per bucket: weight of each model, lasting and fading correction.
    parts: [(Fits, f64, f64); BUCKETS],
}

impl Mixture {
    pub(crate) fn new(weights: &Weights, levels: &[Level; MODELS]) -> Self {
        let corrections = corrections(levels);
        let parts = std::array::from_fn(|bucket| {
            let mut fits = [0.0; MODELS];
            let (mut lasting, mut fading) = (0.0, 0.0);
            for (expert, weight) in weights.0[bucket].iter().enumerate() {
                let (stays, fades) = corrections[expert];
                fits[expert / FORMS] += weight;
                lasting += weight * stays;
                fading += weight * fades;
            }
            (fits, lasting, fading)
        });
        Self { parts }
    }

    /// Log load at a lead, given the fits there.
    pub(crate) fn at(&self, lead: &Lead, fits: &Fits) -> f64 {
        lead.mean(|bucket| {
            let (weights, lasting, fading) = &self.parts[bucket];
            let fit: f64 = weights.iter().zip(fits).map(|(w, f)| w * f).sum();
            fit + lasting + fading * lead.fade()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_expert_leads_and_ignorance_is_even() {
        let mut losses = Losses::NONE;
        let even = losses.weights();
        let equal = 1.0 / EXPERTS as f64;
        assert!(even.0[0].iter().all(|w| (w - equal).abs() < 1e-12));
        let mut predicted = [1.0; EXPERTS];
        predicted[4] = 0.1;
        losses.add(2, &predicted, 0.0);
        let weights = losses.weights();
        assert!(weights.0[2][4] > 0.999);
        assert_eq!(weights.0[0], even.0[0]);
    }

    #[test]
    fn perfect_and_absurd_experts_do_not_break_the_weights() {
        let mut losses = Losses::NONE;
        let mut predicted = [0.0; EXPERTS];
        predicted[0] = f64::INFINITY; // an exponential overflowed
        losses.add(0, &predicted, 0.0);
        let weights = losses.weights();
        assert_eq!(weights.0[0][0], 0.0);
        assert!((weights.0[0].iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_mixture_is_the_weighted_mean_of_the_experts() {
        let mut losses = Losses::NONE;
        let predicted: [f64; EXPERTS] = std::array::from_fn(|e| 0.05 * e as f64 + 0.2);
        losses.add(1, &predicted, 0.0);
        let weights = losses.weights();
        let residuals: Vec<f64> = (0..288).map(|i| f64::from(i) * 0.001).collect();
        let level = Level::new(&residuals, None, &mut Vec::new());
        let levels = [level; MODELS];
        let fits: Fits = std::array::from_fn(|model| 1.0 + 0.1 * model as f64);
        let lead = Lead::of(7.0);
        let said = Voices::new(&levels).say(&fits, lead.fade());
        let mean: f64 = said
            .iter()
            .zip(&weights.0[1])
            .map(|(p, w)| p.ln() * w)
            .sum();
        assert!((Mixture::new(&weights, &levels).at(&lead, &fits) - mean).abs() < 1e-12);
    }
}
