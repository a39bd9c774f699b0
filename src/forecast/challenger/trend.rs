//! Carries the deseasonalised level on by exponential smoothing of hourly means.
//!
//! Two models compete by corrected AIC: a level alone, ETS(A,N,N), and a level with a damped
//! slope, ETS(A,Ad,N) (Hyndman et al., Forecasting with Exponential Smoothing, 2008). An undamped
//! slope is not offered: two days ahead it leaves the ground. Hours instead of bins of five
//! minutes, because the leads are hours, and smoothing chosen for the next five minutes only
//! repeats the last value.

use augurs::Predict as _;
use augurs::ets::model::{ErrorComponent, ModelType, SeasonalComponent, TrendComponent, Unfit};

/// Model bins per hour.
const HOUR: usize = 12;

/// Hours looked back: two weeks.
const HOURS: usize = 14 * 24;

/// Hours below which no model is chosen and the last level stays.
const LEAST_HOURS: usize = 48;

/// Spread in log load below which there is no movement to model.
const STILL: f64 = 1e-4;

/// Levels of the coming hours, log load.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trend(Vec<f64>);

impl Trend {
    /// The next `hours` after `adjusted`, five-minute bins of deseasonalised log load without
    /// gaps.
    pub(super) fn new(adjusted: &[f64], hours: usize) -> Self {
        let whole = (adjusted.len() / HOUR).min(HOURS);
        let levels: Vec<f64> = adjusted[adjusted.len() - whole * HOUR..]
            .chunks_exact(HOUR)
            .map(|hour| hour.iter().sum::<f64>() / HOUR as f64)
            .collect();
        let hours = hours.max(1);
        let last = levels
            .last()
            .or(adjusted.last())
            .copied()
            .unwrap_or_default();
        let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
        let high = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let moves = levels.len() >= LEAST_HOURS && high - low > STILL;
        let path = if moves { best(&levels, hours) } else { None };
        Self(path.unwrap_or_else(|| vec![last; hours]))
    }

    /// The level in the `ahead`-th bin (the first is 0); past the last hour it stays.
    pub(super) fn at(&self, ahead: usize) -> f64 {
        let hour = (ahead / HOUR).min(self.0.len() - 1);
        self.0[hour]
    }
}

/// The path of the better model. `None` when neither could be fitted.
fn best(levels: &[f64], hours: usize) -> Option<Vec<f64>> {
    [
        (TrendComponent::None, false),
        (TrendComponent::Additive, true),
    ]
    .into_iter()
    .filter_map(|(trend, damped)| {
        let kind = ModelType {
            error: ErrorComponent::Additive,
            trend,
            season: SeasonalComponent::None,
        };
        let model = Unfit::new(kind).damped(damped).fit(levels).ok()?;
        let path = model.predict(hours, None).ok()?.point;
        let sound = path.len() == hours && path.iter().all(|level| level.is_finite());
        sound.then(|| (model.aicc(), path))
    })
    .min_by(|(a, _), (b, _)| a.total_cmp(b))
    .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_level_stays_and_a_short_one_is_not_modelled() {
        assert_eq!(Trend::new(&[2.0; 1_000], 48), Trend(vec![2.0; 48]));
        assert_eq!(Trend::new(&[1.5; 7], 3).at(40), 1.5);
        assert_eq!(Trend::new(&[], 0).at(0), 0.0);
    }

    #[test]
    fn a_step_is_followed_and_a_slope_bends() {
        let noise = |bin: usize| ((bin / HOUR * 7_919) % 101) as f64 / 5_000.0;
        let mut step: Vec<f64> = (0..4_032).map(noise).collect();
        for y in &mut step[3_000..] {
            *y += 1.0;
        }
        let trend = Trend::new(&step, 48);
        assert!((trend.at(200) - 1.0).abs() < 0.1, "{}", trend.at(200));

        let slope: Vec<f64> = (0..4_032)
            .map(|bin| bin as f64 * 1e-3 + noise(bin))
            .collect();
        let trend = Trend::new(&slope, 48);
        let (soon, late) = (trend.at(0), trend.at(575));
        assert!(soon > 3.9, "{soon}");
        assert!(late - soon < 575.0 * 1e-3 + 0.05, "{late}");
    }

    #[test]
    fn the_same_history_gives_the_same_bits() {
        let levels: Vec<f64> = (0..4_032)
            .map(|bin| f64::from((bin * 31) % 97) / 50.0)
            .collect();
        assert_eq!(Trend::new(&levels, 48), Trend::new(&levels, 48));
    }
}
