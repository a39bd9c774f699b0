//! How high a fixture's peak may go: a predictive distribution with small-sample tails.
//!
//! The score of a past window is `ln(largest actual) - ln(largest predicted)`, what is peculiar to
//! its kick-off included in the latter. Scores are taken as normal with unknown mean and variance
//! under a normal-inverse-gamma prior, so the predictive is a Student t whose tails thin out as
//! windows mature: `m_n + t_nu(p) sqrt(S/nu (1 + 1/k_n))` with `nu = 4 + W` (FORECASTING study,
//! 1.1), and `m_n` no less than nothing. A path's quantile is not the quantile of its maximum,
//! which is why peaks have their own.
//!
//! Windows that nothing in the history resembled when they were forecast are judged apart: how
//! wrong the prior was about a first fixture says little about the tenth.

use serde::{Deserialize, Serialize};

use super::lead::{self, BUCKETS};
use super::novelty::UNPRECEDENTED;

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

/// After a second miss in a row margins widen by this factor, and again with every further one:
/// a step of adaptive conformal inference (Gibbs and Candes, 2021), which raises the bound when
/// the past no longer tells how wrong the present is (FORECASTING study, 1.4).
const WIDEN: f64 = 1.25;

/// Margins widen to this many times their size at most.
const WIDEST: f64 = 2.5;

/// Share of the widening that is left after a window under its bound.
const SETTLE: f64 = 0.7;

/// A score counts for so much at most, either way, log load: a factor of four, times the widening.
/// One window that was shed, or one burst of five minutes, is no measure of the next.
const EXTREME: f64 = 1.4;

/// Standard normal quantiles of .5, .9, .95 and .99.
const NORMAL: [f64; 4] = [
    0.0,
    1.281_551_565_544_6,
    1.644_853_626_951_47,
    2.326_347_874_040_84,
];

/// What a forecast of a peak stands on: errors of each kind are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Footing {
    /// No fixture of the kind is in the history: the prior alone.
    Cold,
    /// The calendar and past fixtures.
    Calendar,
    /// These and the entries for it.
    Entries,
}

/// Number of footings.
pub(crate) const FOOTINGS: usize = 3;

impl Footing {
    /// In the order of their declaration.
    const ALL: [Self; FOOTINGS] = [Self::Cold, Self::Calendar, Self::Entries];

    /// Scale of errors believed before any were seen, log load, when so many crowds have come.
    pub(crate) fn prior_scale(self, bucket: usize, crowds: f64) -> f64 {
        match self {
            // who has not come yet is no surer near than a day ahead
            Self::Cold => {
                UNPRECEDENTED * lead::PRIOR_SCALE[bucket].max(lead::PRIOR_SCALE[lead::DAY_AHEAD])
            }
            Self::Calendar => lead::PRIOR_SCALE[bucket],
            Self::Entries => lead::prior_scale_with_entries(bucket, crowds),
        }
    }
}

/// One past window: its score, how many days ago it ended, what it counts for, and how much wider
/// than others' its margins were for want of a precedent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PastWindow {
    pub(crate) score: f64,
    pub(crate) age: f64,
    pub(crate) weight: f64,
    pub(crate) widening: f64,
}

/// What each of `windows` on one day counts for: they err together, so that `k` of them know as
/// much as the square root of `k` apart.
pub(crate) fn weight_among(windows: usize) -> f64 {
    1.0 / (windows.max(1) as f64).sqrt()
}

/// Log margins above the largest predicted median and what is peculiar to the kick-off, per
/// footing and lead bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PeakMargins([[Judged; BUCKETS]; FOOTINGS]);

/// Margins for .5, .9, .95 and .99, and how the past windows fared under theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) margins: [f64; 4],
    /// Windows judged.
    pub(crate) windows: u32,
    /// Windows under the 95 % bound that was given for them.
    pub(crate) under_p95: u32,
    /// By how much margins are widened now; 1 when they are not.
    pub(crate) widened: f64,
}

impl Judged {
    /// The margins of a window that is so much less sure than those judged.
    pub(crate) fn widened_by(&self, widening: f64) -> [f64; 4] {
        let [median, ..] = self.margins;
        self.margins
            .map(|margin| median + (margin - median) * widening)
    }
}

impl PeakMargins {
    /// From past windows, oldest first, per footing and lead bucket.
    pub(crate) fn new(past: &[[Vec<PastWindow>; BUCKETS]; FOOTINGS]) -> Self {
        Self(Footing::ALL.map(|footing| {
            std::array::from_fn(|bucket| {
                let scale = |windows| {
                    PRIOR_SCALE * footing.prior_scale(bucket, windows)
                        / lead::PRIOR_SCALE[lead::DAY_AHEAD]
                };
                judge(&past[footing as usize][bucket], scale)
            })
        }))
    }

    /// Margins of one footing and bucket.
    pub(crate) fn at(&self, footing: Footing, bucket: usize) -> Judged {
        self.0[footing as usize][bucket]
    }

    /// By how much the margins that are widened most are.
    pub(crate) fn widest(&self) -> f64 {
        self.0
            .iter()
            .flatten()
            .map(|judged| judged.widened)
            .fold(1.0, f64::max)
    }

    /// True when every margin is a finite number and ascending.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.iter().flatten().all(|judged| {
            judged.margins.iter().all(|m| m.is_finite()) && judged.margins.is_sorted()
        })
    }
}

/// Decayed sums of past scores.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    windows: f64,
    /// The same, each by how sure it was.
    sure: f64,
    first: f64,
    second: f64,
}

impl Sums {
    fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days.max(0.0) / MEMORY);
        self.windows *= keep;
        self.sure *= keep;
        self.first *= keep;
        self.second *= keep;
    }

    /// Adds a score whose margins were so much wider than those of others: it scatters as much
    /// more, and says as much less of the mean.
    fn add(&mut self, score: f64, weight: f64, widening: f64) {
        self.windows += weight;
        let weight = weight / widening.powi(2);
        self.sure += weight;
        self.first += weight * score;
        self.second += weight * score * score;
    }

    fn margins(&self, prior_scale: impl Fn(f64) -> f64, widened: f64) -> [f64; 4] {
        let k = PRIOR_MEAN_WINDOWS + self.sure;
        let mean = (PRIOR_MEAN * PRIOR_MEAN_WINDOWS + self.first) / k;
        let scatter = self.second - 2.0 * mean * self.first + mean * mean * self.sure;
        let spread = scatter.max(0.0)
            + PRIOR_MEAN_WINDOWS * (PRIOR_MEAN - mean).powi(2)
            + PRIOR_WINDOWS * prior_scale(self.windows).powi(2);
        let nu = PRIOR_WINDOWS + self.windows;
        let scale = (spread / nu * (1.0 + 1.0 / k)).sqrt();
        // a model that has overshot is no reason to be ready for less than an unbiased one would
        // ask, and the median of the largest is no less than the largest of the medians
        let middle = mean.max(0.0);
        NORMAL.map(|z| middle + student_t(z, nu) * scale * widened)
    }
}

/// Walks through past windows as they ended, each judged by the margins of those before it.
/// `prior_scale` is what is believed of scores after windows that count for so many.
fn judge(past: &[PastWindow], prior_scale: impl Fn(f64) -> f64) -> Judged {
    let mut sums = Sums::default();
    let (mut windows, mut under_p95, mut misses, mut widened) = (0, 0, 0, 1.0_f64);
    let mut last_age = past.first().map_or(0.0, |window| window.age);
    for window in past.iter().filter(|window| window.score.is_finite()) {
        sums.age(last_age - window.age);
        last_age = window.age;
        windows += 1;
        if window.score <= sums.margins(&prior_scale, widened * window.widening)[2] {
            under_p95 += 1;
            misses = 0;
            widened = 1.0 + (widened - 1.0) * SETTLE;
        } else {
            misses += 1;
            if misses >= 2 {
                widened = (widened * WIDEN).min(WIDEST);
            }
        }
        let extreme = EXTREME * window.widening;
        let score = window.score.clamp(-extreme, extreme);
        sums.add(score, window.weight, window.widening);
    }
    sums.age(last_age);
    Judged {
        margins: sums.margins(&prior_scale, widened),
        windows,
        under_p95,
        widened,
    }
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
    fn one_burst_and_one_window_shed_are_no_measure_of_the_next() {
        let windows = |odd: f64| -> Vec<PastWindow> {
            let window = |place: usize| PastWindow {
                score: if place == 5 { odd } else { 0.1 },
                age: 20.0 - place as f64,
                weight: 1.0,
                widening: 1.0,
            };
            (0..10).map(window).collect()
        };
        let p95 = |odd| judge(&windows(odd), |_| 0.35).margins[2];
        for (odd, extreme) in [(3.0, EXTREME), (-3.9, -EXTREME)] {
            assert_eq!(p95(odd), p95(extreme));
            assert!(p95(odd) > p95(0.1));
        }
    }

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

    fn window(score: f64, age: f64) -> PastWindow {
        PastWindow {
            score,
            age,
            weight: 1.0,
            widening: 1.0,
        }
    }

    #[test]
    fn margins_ascend_and_narrow_as_windows_mature() {
        let cold = judge(&[], |_| 0.35).margins;
        assert!(cold.windows(2).all(|pair| pair[0] < pair[1]));
        let warm: Vec<_> = (0..40)
            .map(|i| window(if i % 2 == 0 { 0.1 } else { -0.1 }, 0.0))
            .collect();
        let warm = judge(&warm, |_| 0.35);
        assert!(warm.margins[3] < cold[3] / 2.0, "{warm:?} {cold:?}");
        assert!(warm.margins[2] > 0.1);
        assert_eq!((warm.windows, warm.under_p95), (40, 40));
    }

    #[test]
    fn overshooting_lowers_no_peak_below_the_top_of_its_path() {
        let past: Vec<_> = (0..20).map(|_| window(-0.3, 0.0)).collect();
        let margins = judge(&past, |_| 0.35).margins;
        assert_eq!(margins[0], 0.0);
        assert!(margins.is_sorted());
    }

    #[test]
    fn two_misses_in_a_row_widen_and_hits_settle_it() {
        let mut past: Vec<_> = (0..20).map(|i| window(0.0, 40.0 - f64::from(i))).collect();
        let calm = judge(&past, |_| 0.2);
        assert_eq!(calm.widened, 1.0);
        past.push(window(2.0, 19.0));
        assert_eq!(judge(&past, |_| 0.2).widened, 1.0);
        past.push(window(3.0, 18.0));
        let after_two = judge(&past, |_| 0.2);
        assert!((after_two.widened - WIDEN).abs() < 1e-12);
        assert_eq!(after_two.windows - after_two.under_p95, 2);
        past.extend((0..10).map(|i| window(0.0, 17.0 - f64::from(i))));
        let later = judge(&past, |_| 0.2);
        assert!(later.widened < 1.05 && later.margins[2] < after_two.margins[2]);
    }

    #[test]
    fn old_windows_fade() {
        let old = judge(&[window(1.5, 120.0)], |_| 0.2).margins;
        let none = judge(&[], |_| 0.2).margins;
        assert!((old[2] - none[2]).abs() < 0.02);
    }

    #[test]
    fn a_window_known_to_be_less_sure_is_judged_by_wider_margins_and_teaches_less() {
        let mut past: Vec<_> = (0..40).map(|i| window(0.0, 40.0 - f64::from(i))).collect();
        let calm = judge(&past, |_| 0.2);
        let [median, _, p95, _] = calm.margins;
        let wider = calm.widened_by(2.0);
        assert_eq!(wider[0], median);
        assert!((wider[2] - median - 2.0 * (p95 - median)).abs() < 1e-9);

        let surprise = |widening| PastWindow {
            widening,
            ..window(1.5 * p95, 0.0)
        };
        past.push(surprise(1.0));
        let alike = judge(&past, |_| 0.2);
        past.pop();
        past.push(surprise(2.0));
        let less_sure = judge(&past, |_| 0.2);
        assert_eq!((alike.under_p95, less_sure.under_p95), (40, 41));
        assert!(less_sure.margins[2] < alike.margins[2]);
    }
}
