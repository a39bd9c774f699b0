//! How much more small loads scatter than large ones.
//!
//! Of a service that is asked ten times in five minutes one bin differs from the next by a third,
//! of one that is asked a thousand times by a thirtieth (Poisson). One bound in log load for all
//! hours is then too low at night and too high by day. Scores are divided by how much they spread
//! at the level that was forecast before they become margins, and the margins are multiplied by it
//! again: conformal prediction with normalised scores (Papadopoulos, Gammerman and Vovk,
//! Normalized nonconformity measures for regression conformal prediction, 2008). What spreads is
//! the scatter of bins about their neighbours, which depends on the level and is measured there,
//! and all else that a forecast does not know, which grows with its lead. Where the latter is much
//! the larger, as of heavy traffic a day ahead, every level is like every other.

use serde::{Deserialize, Serialize};

use super::lead::{BUCKETS, Lead, PRIOR_SCALE};
use super::quantile::UNSEEN;

/// Levels at which scatter is measured: each is the mean of an eighth of the bins, and of those that
/// are like its highest.
const LEVELS: usize = 8;

/// Fewest differences per level.
const LEAST: usize = 48;

/// A larger multiple of the median difference, or of the mean score, counts as this: a jump is no
/// scatter.
const JUMP: f64 = 4.0;

/// Variance of the difference between a bin and the mean of two others, over that of one bin.
const OF_DIFFERENCE: f64 = 1.5;

/// Standard deviation over mean distance, of a normal distribution.
const OF_DISTANCE: f64 = 1.253_314_137_315_500_1;

/// Days in which a score loses half its weight, as for margins.
const MEMORY: f64 = 8.0;

/// Smallest and largest factor.
const BOUNDS: (f64, f64) = (1.0 / 3.0, 4.0);

/// Moments whose scores spread for reasons of their own: away from fixtures, and around them.
const KINDS: usize = 2;

/// Variance of the scatter of bins, by level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Noise(Vec<(f64, f64)>);

impl Noise {
    /// Measured in log load, NaN for gaps, between bins so far `apart` that they hold nothing in
    /// common. Nothing of too few bins.
    pub(crate) fn of(log: &[f64], apart: usize) -> Self {
        let reach = 2 * apart;
        let middles = reach..log.len().saturating_sub(reach);
        let mut bins: Vec<(f64, f64)> = middles
            .filter_map(|bin| {
                let around = |far: usize| f64::midpoint(log[bin - far], log[bin + far]);
                // by others than those compared, or what these hold would choose where it counts
                let level = f64::midpoint(around(reach - 1), around(reach));
                let difference = (log[bin] - around(apart)).abs();
                (level.is_finite() && difference.is_finite()).then_some((level, difference))
            })
            .collect();
        let size = bins.len() / LEVELS;
        if size < LEAST {
            return Self::default();
        }
        bins.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut levels = Vec::with_capacity(LEVELS);
        let mut left = bins.as_mut_slice();
        while !left.is_empty() {
            let last = left[size.min(left.len()) - 1].0;
            let alike = left.partition_point(|(level, _)| *level <= last);
            let few = left.len() - alike < size;
            let (level, rest) = left.split_at_mut(if few { left.len() } else { alike });
            levels.push(noise_of(level));
            left = rest;
        }
        Self(levels).with_quiet_bottom()
    }

    /// Where next to nothing comes, what little comes is not surer: below the level that scatters
    /// most nothing scatters less than the mean of what lies above.
    fn with_quiet_bottom(mut self) -> Self {
        let most = (self.0.iter().enumerate()).max_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let most = most.map_or(0, |(place, _)| place);
        let mean = mean(&self.0[most..]);
        for (_, noise) in &mut self.0[..most] {
            *noise = noise.max(mean);
        }
        self
    }

    /// The mean over all levels.
    fn mean(&self) -> f64 {
        mean(&self.0)
    }

    /// At a level, log load: on the line between those measured.
    pub(crate) fn at(&self, log: f64) -> f64 {
        let place = self.0.partition_point(|(level, _)| *level < log);
        let below = place.checked_sub(1).map(|below| self.0[below]);
        match (below, self.0.get(place).copied()) {
            (Some((low, here)), Some((high, there))) => {
                here + (there - here) * (log - low) / (high - low)
            }
            (Some((_, only)), None) | (None, Some((_, only))) => only,
            (None, None) => 0.0,
        }
    }
}

/// Mean noise of some levels, nothing of none.
fn mean(levels: &[(f64, f64)]) -> f64 {
    let sum: f64 = levels.iter().map(|(_, noise)| noise).sum();
    sum / levels.len().max(1) as f64
}

/// Mean level, and variance by the distances from others.
fn noise_of(level: &mut [(f64, f64)]) -> (f64, f64) {
    let middle = level.len() / 2;
    let (_, &mut (_, median), _) = level.select_nth_unstable_by(middle, |a, b| a.1.total_cmp(&b.1));
    // where most bins hold nothing at all, those that do are the scatter
    let most = if median > 0.0 {
        JUMP * median
    } else {
        f64::INFINITY
    };
    let count = level.len() as f64;
    let mean = level.iter().map(|(at, _)| at).sum::<f64>() / count;
    let distance = level.iter().map(|(_, far)| far.min(most)).sum::<f64>() / count;
    (mean, (OF_DISTANCE * distance).powi(2) / OF_DIFFERENCE)
}

/// Squares of matured scores, and the noise that is part of them, fading.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    scores: f64,
    turns: f64,
    distance: f64,
    squares: f64,
    noise: f64,
}

impl Sum {
    fn add(&mut self, score: f64, noise: f64) {
        let most = if self.scores > 0.0 {
            JUMP * self.distance / self.scores
        } else {
            f64::INFINITY
        };
        self.scores += 1.0;
        self.distance += score.abs();
        self.squares += score.abs().min(most).powi(2);
        self.noise += noise;
    }

    /// Variance of scores for other reasons than noise, of which `believed` is worth so many scores.
    fn other(&self, believed: f64, worth: f64) -> f64 {
        // noise that is not in the scores is no noise: the model knows it
        let seen = (self.squares - self.noise).abs();
        (seen + worth * believed) / (self.scores + worth)
    }
}

/// How far scores spread, by kind and lead bucket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spreads([[Sum; BUCKETS]; KINDS]);

impl Spreads {
    /// Keeps the scores of one turn, which are new: whether away from fixtures, their bucket, and
    /// the noise of the level forecast.
    pub(crate) fn mature(&mut self, turn: impl Iterator<Item = (bool, usize, f64, f64)>) {
        let mut some = [[false; BUCKETS]; KINDS];
        for (calm, bucket, score, noise) in turn {
            if score.is_finite() {
                self.0[usize::from(!calm)][bucket].add(score, noise);
                some[usize::from(!calm)][bucket] = true;
            }
        }
        for (sum, some) in (self.0.iter_mut().flatten()).zip(some.iter().flatten()) {
            sum.turns += f64::from(u8::from(*some));
        }
    }

    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for sum in self.0.iter_mut().flatten() {
            sum.scores *= keep;
            sum.turns *= keep;
            sum.distance *= keep;
            sum.squares *= keep;
            sum.noise *= keep;
        }
    }

    /// The factors these spreads and this noise make. `pseudo` is what is believed of a bucket worth
    /// at least, in scores; around fixtures as much as the scores of [`UNSEEN`] turns, which are
    /// mostly of one crowd.
    pub(crate) fn scatter(&self, noise: &Noise, pseudo: &[f64; BUCKETS]) -> Scatter {
        let other = std::array::from_fn(|kind| {
            std::array::from_fn(|bucket| {
                let sum = &self.0[kind][bucket];
                let crowds = if kind > 0 && sum.turns > 0.0 {
                    UNSEEN * sum.scores / sum.turns
                } else {
                    0.0
                };
                sum.other(PRIOR_SCALE[bucket].powi(2), pseudo[bucket].max(crowds))
            })
        });
        Scatter {
            usual: noise.mean(),
            noise: noise.clone(),
            other,
        }
    }
}

/// Factors on margins by the level that is forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scatter {
    noise: Noise,
    /// The noise at which the factor is one, whatever the level of the day: scores are kept longer.
    usual: f64,
    /// Variance for other reasons than noise, by kind and lead bucket.
    other: [[f64; BUCKETS]; KINDS],
}

impl Scatter {
    /// The factor at a lead where bins scatter with this [`noise`](Self::noise).
    pub(crate) fn at(&self, calm: bool, lead: &Lead, noise: f64) -> f64 {
        let factor = |bucket: usize| {
            let other = self.other[usize::from(!calm)][bucket];
            if other + self.usual > 0.0 {
                let ratio = (other + noise) / (other + self.usual);
                ratio.sqrt().clamp(BOUNDS.0, BOUNDS.1)
            } else {
                1.0
            }
        };
        lead.mean(factor)
    }

    /// Variance of the scatter of bins at a level, log load.
    pub(crate) fn noise(&self, log: f64) -> f64 {
        self.noise.at(log)
    }

    /// True when it could have been learnt.
    pub(crate) fn is_sound(&self) -> bool {
        let levels = &self.noise.0;
        let known = |value: f64| value.is_finite() && value >= 0.0;
        levels.is_sorted_by(|a, b| a.0 <= b.0)
            && (levels.iter()).all(|&(level, noise)| level.is_finite() && known(noise))
            && known(self.usual)
            && self.other.iter().flatten().copied().all(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    /// Twelve uniform numbers are nearly normal (Irwin and Hall).
    fn normal(random: &mut StdRng) -> f64 {
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    /// Days that go up and down between two levels, log load, with noise of this variance there.
    fn days(days: usize, low: (f64, f64), high: (f64, f64)) -> Vec<f64> {
        let mut random = StdRng::seed_from_u64(1);
        (0..days * 288)
            .map(|bin| {
                let wave = 0.5 - 0.5 * (bin as f64 / 288.0 * std::f64::consts::TAU).cos();
                let share = wave.powi(2);
                let level = low.0 + share * (high.0 - low.0);
                let variance = low.1 + share * (high.1 - low.1);
                level + variance.sqrt() * normal(&mut random)
            })
            .collect()
    }

    #[test]
    fn noise_is_measured_where_it_is() {
        let mut log = days(28, (1.0, 0.25), (4.0, 0.01));
        log[500..900].fill(f64::NAN);
        // jumps
        for bin in (10..log.len()).step_by(50) {
            log[bin] += 3.0;
        }
        let noise = Noise::of(&log, 2);
        // the mean of an eighth of the day, in which it is up to twice that of noon
        assert!((0.01..0.03).contains(&noise.at(4.5)), "{noise:?}");
        assert!((0.2..0.45).contains(&noise.at(0.9)), "{noise:?}");
        assert!(noise.at(2.5) > noise.at(3.5) && noise.at(2.5) < noise.at(1.2));
        // beyond what was seen it is what was seen last
        assert_eq!(noise.at(40.0), noise.at(400.0));
        assert_eq!(noise.at(-40.0), noise.at(-400.0));
        // of a smooth day there is next to none, of an hour nothing is known
        assert!(Noise::of(&days(28, (1.0, 0.0), (4.0, 0.0)), 2).at(2.0) < 1e-3);
        assert_eq!(Noise::of(&log[..12], 2).at(3.0), 0.0);
        assert_eq!(Noise::of(&[], 2), Noise::default());
    }

    #[test]
    fn noise_is_the_same_on_a_grid_between_the_bins_and_of_wider_ones() {
        let fine = days(56, (3.0, 0.09), (3.5, 0.09));
        let between: Vec<f64> = fine
            .windows(2)
            .map(|two| f64::midpoint(two[0], two[1]))
            .collect();
        let halved = Noise::of(&between, 2);
        for level in [3.0, 3.2, 3.5] {
            assert!((halved.at(level) / 0.045 - 1.0).abs() < 0.2, "{halved:?}");
        }
        // bins of half an hour, each over six of the grid
        let wide: Vec<f64> = fine.iter().flat_map(|&y| [y; 6]).collect();
        let same = Noise::of(&wide[..56 * 288], 7);
        for level in [3.0, 3.2, 3.5] {
            assert!((same.at(level) / 0.09 - 1.0).abs() < 0.3, "{same:?}");
        }
    }

    #[test]
    fn where_mostly_nothing_comes_what_comes_is_the_scatter() {
        let log: Vec<f64> = (0..20 * 288)
            .map(|bin| if bin % 37 == 0 { 1.0 } else { -3.0 })
            .collect();
        let noise = Noise::of(&log, 2);
        assert!(noise.at(-3.0) > 0.005, "{noise:?}");
        // nights without anything are no surer than the rest
        let nights: Vec<f64> = (days(28, (1.0, 0.25), (4.0, 0.01)).iter().enumerate())
            .map(|(bin, &log)| if bin % 288 < 90 { -3.0 } else { log })
            .collect();
        let noise = Noise::of(&nights, 2);
        assert!(noise.at(-3.0) > 0.9 * noise.mean(), "{noise:?}");
        assert!(noise.at(4.0) < 0.5 * noise.mean(), "{noise:?}");
    }

    fn scatter(noise: &Noise, other: f64) -> Scatter {
        let mut random = StdRng::seed_from_u64(2);
        let mut spreads = Spreads::default();
        for _ in 0..40 {
            let turn: Vec<_> = (0..100 * BUCKETS)
                .map(|place| {
                    let level = [1.0, 2.0, 3.0, 4.0][place % 4];
                    let spread = (other + noise.at(level)).sqrt();
                    let score = spread * normal(&mut random);
                    (true, place % BUCKETS, score, noise.at(level))
                })
                .chain([(false, 3, f64::NAN, 1.0)])
                .collect();
            spreads.mature(turn.into_iter());
        }
        spreads.scatter(noise, &[1.0; BUCKETS])
    }

    #[test]
    fn margins_follow_the_noise_as_far_as_it_is_what_is_not_known() {
        let noise = Noise::of(&days(28, (1.0, 0.25), (4.0, 0.01)), 2);
        for other in [0.0, 0.03, 0.3, 4.0] {
            let scatter = scatter(&noise, other);
            assert!(scatter.is_sound());
            let ratio = scatter.at(true, &Lead::of(200.0), scatter.noise(1.0))
                / scatter.at(true, &Lead::of(200.0), scatter.noise(4.0));
            let right = ((other + noise.at(1.0)) / (other + noise.at(4.0))).sqrt();
            assert!(
                (ratio / right - 1.0).abs() < 0.15,
                "{other}: {ratio} {right}"
            );
        }
        // nothing has matured around fixtures: what is believed of crowds stands beside the noise
        let crowds = scatter(&noise, 0.0);
        let ratio = crowds.at(false, &Lead::of(200.0), crowds.noise(1.0))
            / crowds.at(false, &Lead::of(200.0), crowds.noise(4.0));
        let believed = PRIOR_SCALE[4].powi(2);
        let right = ((believed + noise.at(1.0)) / (believed + noise.at(4.0))).sqrt();
        assert!((ratio / right - 1.0).abs() < 1e-9, "{ratio} {right}");
        // without noise every level is like every other
        assert_eq!(
            scatter(&Noise::default(), 1.0).at(true, &Lead::of(2.0), 0.0),
            1.0
        );
    }

    #[test]
    fn one_crowd_does_not_tell_how_crowds_differ() {
        let noise = Noise::of(&days(28, (1.0, 0.25), (4.0, 0.01)), 2);
        let mut spreads = Spreads::default();
        // it came exactly as forecast, but for the noise
        let turn = (0..500).map(|place| {
            let distance = noise.at(4.0).sqrt();
            let score = if place % 2 == 0 { distance } else { -distance };
            (false, 4, score, noise.at(4.0))
        });
        spreads.mature(turn);
        let scatter = spreads.scatter(&noise, &[64.0; BUCKETS]);
        assert!(
            scatter.at(false, &Lead::of(200.0), scatter.noise(4.0)) > 0.6,
            "{scatter:?}"
        );
    }

    #[test]
    fn what_cannot_have_been_learnt_is_not_sound() {
        let noise = Noise::of(&days(28, (1.0, 0.25), (4.0, 0.01)), 2);
        let sound = scatter(&noise, 0.1);
        assert!(sound.is_sound());
        let mut scatter = sound.clone();
        scatter.noise.0[3].1 = -1.0;
        assert!(!scatter.is_sound());
        scatter.noise.0[3] = (99.0, 1.0);
        assert!(!scatter.is_sound());
        scatter = sound;
        scatter.other[1][2] = f64::NAN;
        assert!(!scatter.is_sound());
    }
}
