//! How today's load runs against the model: the level correction at an origin.
//!
//! `correction(lead) = rho * day + (short - rho * day) * 0.5^(lead / 90 min)`, where `day` is the
//! median residual of the last 24 hours and `short` the mean residual of the last hour or of the
//! last bins: what is off right now fades, what has been off all day persists in part
//! (FORECASTING study, 1.1; the last-bins form is its nowcast: model growth times present level).
//! One form believes the last hour only as far as it is more than noise, and for one half of it stays:
//! load that no clock rules goes on as it is. Every other form keeps a load that has stood higher for
//! hours and hardly moved: that is no crowd, which goes home.

use pulp::Arch;

use super::noise::beyond_noise;

/// Share of the day's deviation that persists, per form.
const PERSISTENCE: [f64; 3] = [0.2, 0.6, 1.0];

/// Half-life of the short deviation, model bins (90 minutes).
const FADE: f64 = 18.0;

/// Bins of the last hour.
const HOUR: usize = 12;

/// Bins that tell the present level.
const NOW: usize = 2;

/// Residuals needed before a day's median counts in full; with fewer it shrinks in proportion.
const FULL_DAY: f64 = 24.0;

/// Bins for which a higher level must have held to be tomorrow's as well, six hours: longer than
/// the crowd of one fixture stays.
const HELD: usize = 72;

/// Of which so many must be known.
const KNOWN: f64 = 60.0;

/// How many times its own mean deviation such a level must be: it counts from the first on, in full
/// from the second. Chosen on the WC98 trace before 10 June and on ordinary series, where crowds
/// and days of the week move more than this.
const STEADY: (f64, f64) = (10.0, 14.0);

/// Less than this is no smaller spread, log load: a small lift that is smooth may be growth.
const LEAST_SPREAD: f64 = 0.03;

/// Number of forms: each persistence with the last hour and with the last bins, the doubter, and the
/// one for which part of the last hour stays.
pub(crate) const FORMS: usize = 2 * PERSISTENCE.len() + 2;

/// Place of the doubter among the forms; behind it the one for which part of the last hour stays.
const DOUBTING: usize = 2 * PERSISTENCE.len();

/// Share of the last hour's deviation that stays, in the form for which it does. Were it all, the
/// Sunday night of a load that shrinks would speak for Monday.
const STAYS: f64 = 0.5;

/// Persistence of the form that doubts the last hour.
const DOUBTER: f64 = 0.6;

/// How far below the last hour, or the last bins where they are higher, the day's median may lie and
/// still be what today is like, log load: hours of one day differ by less. Beyond it what lowered
/// the day has passed.
const PASSED: f64 = 0.5;

/// Residuals of one model at an origin, in log load.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Level {
    /// Median of the last day.
    day: f64,
    /// Mean of the last hour.
    hour: f64,
    /// Mean of the last bins.
    now: f64,
    /// Variance of the hour's mean, were its bins independent.
    noise: f64,
    /// Mean of the last hours.
    held: f64,
    /// How far it is believed to be tomorrow's, 0 to 1.
    steady: f64,
}

impl Level {
    /// From the residuals of the last day, oldest first, NaN where unknown, less what is
    /// `explained` of them. Without any residual the level is the model's own.
    pub(crate) fn new(
        residuals: &[f64],
        explained: Option<&[f64]>,
        scratch: &mut Vec<i64>,
    ) -> Self {
        let left = |bin: usize| residuals[bin] - explained.map_or(0.0, |explained| explained[bin]);
        scratch.clear();
        Arch::new().dispatch(|| match explained {
            None => scratch.extend(residuals.iter().map(|&residual| place(residual))),
            Some(explained) => {
                let both = residuals.iter().zip(explained);
                scratch.extend(both.map(|(residual, explained)| place(residual - explained)));
            }
        });
        let known = scratch.iter().filter(|&&place| place != UNKNOWN).count();
        if known == 0 {
            return Self::default();
        }
        let shrink = (known as f64 / FULL_DAY).min(1.0);
        let (_, median, _) = scratch.select_nth_unstable(known / 2);
        let day = f64::from_bits(in_order(*median).cast_unsigned()) * shrink;
        let last = residuals.len().saturating_sub(HOUR)..residuals.len();
        let mean = |values: &mut dyn Iterator<Item = f64>| -> Option<f64> {
            let (count, sum) = values.fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + v));
            (count > 0.0).then_some(sum / count)
        };
        let known = || last.clone().rev().map(left).filter(|r| r.is_finite());
        let hour = mean(&mut known()).unwrap_or(day);
        let now = mean(&mut known().take(NOW)).unwrap_or(hour);
        let day = day.max((hour.max(now) - PASSED).min(0.0));
        let (count, squares) =
            known().fold((0.0, 0.0), |(n, s), r| (n + 1.0, s + (r - hour).powi(2)));
        let noise = squares / f64::max(count * (count - 1.0), 1.0);
        let held = residuals.len().saturating_sub(HELD)..residuals.len();
        // what holds has held in the last hour too: a level that hardly moves is not half gone
        let (held, steady) = if hour < 0.5 * STEADY.0 * LEAST_SPREAD {
            (0.0, 0.0)
        } else {
            steadiness(|| held.clone().map(left).filter(|r| r.is_finite()))
        };
        Self {
            day,
            hour,
            now,
            noise,
            held,
            steady,
        }
    }

    /// What a form with this persistence plans to last.
    fn lasting(self, persistence: f64) -> f64 {
        let lasting = persistence * self.day;
        lasting + self.steady * (self.held - lasting).max(0.0)
    }

    /// Lasting and fading part of one form: the correction is
    /// `lasting + fading * fade(lead)`.
    pub(crate) fn parts(self, form: usize) -> (f64, f64) {
        let forms = PERSISTENCE.len();
        let short = match form {
            DOUBTING => {
                let lasting = self.lasting(DOUBTER);
                return (lasting, beyond_noise(self.hour - lasting, self.noise));
            }
            form if form > DOUBTING => {
                let stays = STAYS * self.hour;
                return (stays, self.hour - stays);
            }
            form if form < forms => self.hour,
            _ => self.now,
        };
        let lasting = self.lasting(PERSISTENCE[form % forms]);
        (lasting, short - lasting)
    }
}

/// Mean of the known residuals of the last hours, and how far it is a level that stays: only a higher
/// one that hardly moves.
fn steadiness<I: Iterator<Item = f64>>(known: impl Fn() -> I) -> (f64, f64) {
    let (count, sum) = known().fold((0.0, 0.0), |(n, s), r| (n + 1.0, s + r));
    if count < KNOWN || sum <= 0.0 {
        return (0.0, 0.0);
    }
    let mean = sum / count;
    let (from, full) = STEADY;
    if mean <= from * LEAST_SPREAD {
        return (mean, 0.0);
    }
    let spread = known().map(|r| (r - mean).abs()).sum::<f64>() / count;
    let times = mean / spread.max(LEAST_SPREAD);
    (mean, ((times - from) / (full - from)).clamp(0.0, 1.0))
}

/// The place of what is not known: after all that is.
const UNKNOWN: i64 = i64::MAX;

/// The place of a residual among others.
fn place(residual: f64) -> i64 {
    if residual.is_finite() {
        in_order(residual.to_bits().cast_signed())
    } else {
        UNKNOWN
    }
}

/// The bits of a number as an integer in the order of [`f64::total_cmp`], and back: whole numbers
/// are sorted twice as fast, and the median of a day is what most origins cost.
fn in_order(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The residual of a bin; where more may have been wanted than was seen, only as far as that was
/// more than expected.
pub(crate) fn at_least(residual: f64, floor: bool) -> f64 {
    if floor && residual < 0.0 {
        f64::NAN
    } else {
        residual
    }
}

/// Half-lives after which a short deviation is gone for good.
const GONE: f64 = 6.0;

/// How much of the short deviation is left after `lead` model bins.
pub(crate) fn fade(lead: f64) -> f64 {
    if lead < GONE * FADE {
        0.5_f64.powf(lead / FADE)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_deviation_is_followed_and_a_fresh_one_fades() {
        let steady = Level::new(&[0.3; 288], None, &mut Vec::new());
        let (lasting, fading) = steady.parts(2);
        assert!((lasting - 0.3).abs() < 1e-12 && fading.abs() < 1e-12);

        let mut residuals = vec![0.0; 288];
        residuals[286..].fill(1.0);
        let fresh = Level::new(&residuals, None, &mut Vec::new());
        let (lasting, fading) = fresh.parts(5);
        assert_eq!((lasting, fading), (0.0, 1.0));
        assert!((fade(18.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_low_day_that_has_passed_is_not_planned_for_tomorrow() {
        let lasting = |residuals: &[f64]| Level::new(residuals, None, &mut Vec::new()).parts(2).0;
        // an outage from morning to evening, and load is back
        let mut residuals = vec![-1.2; 288];
        residuals[240..].fill(0.0);
        assert!((lasting(&residuals) + PASSED).abs() < 1e-12);
        // for a quarter of an hour
        let mut just_back = vec![-1.2; 288];
        just_back[285..].fill(0.0);
        assert!((lasting(&just_back) + PASSED).abs() < 1e-12);
        // it lasts
        assert!((lasting(&[-1.2; 288]) + 1.2).abs() < 1e-12);
        // who was high all day is not believed to be back after one ordinary hour
        let high: Vec<f64> = residuals.iter().map(|r| -r).collect();
        assert!((lasting(&high) - 1.2).abs() < 1e-12);
        // a low hour does not lower an ordinary day
        let mut ordinary = vec![0.0; 288];
        ordinary[276..].fill(-1.0);
        assert_eq!(lasting(&ordinary), 0.0);
    }

    #[test]
    fn a_higher_level_that_has_held_for_hours_is_tomorrows_as_well() {
        let lasting = |level: f64, wobble: f64, bins: usize| {
            let mut residuals = vec![0.0; 288];
            for (bin, residual) in residuals.iter_mut().enumerate().skip(288 - bins) {
                *residual = level + if bin % 2 == 0 { wobble } else { -wobble };
            }
            let level = Level::new(&residuals, None, &mut Vec::new());
            std::array::from_fn::<f64, DOUBTING, _>(|form| level.parts(form).0)
        };
        let close = |said: [f64; DOUBTING], to: f64| said.iter().all(|s| (s - to).abs() < 1e-12);
        // twice the load since breakfast
        assert!(close(lasting(0.7, 0.05, 80), 0.7));
        assert!(close(lasting(0.7, 0.0, 72), 0.7));
        // a tenth more, however smooth
        assert!(close(lasting(0.1, 0.0, 72), 0.0));
        // a crowd comes and goes; an evening is not yet a level; less may be an outage
        assert!(close(lasting(0.7, 0.08, 80), 0.0));
        assert!(close(lasting(0.7, 0.05, 48), 0.0));
        assert!(close(lasting(-0.7, 0.05, 80), 0.0));
        // half believed between the two
        assert!(close(lasting(0.72, 0.06, 72), 0.36));
    }

    #[test]
    fn one_form_believes_an_hour_as_far_as_it_is_more_than_noise() {
        let doubted = |hour: &[f64; 12]| {
            let mut residuals = vec![0.0; 288];
            residuals[276..].copy_from_slice(hour);
            let level = Level::new(&residuals, None, &mut Vec::new());
            // and for one half of it stays
            let mean = hour.iter().sum::<f64>() / 12.0;
            let (lasting, short) = level.parts(FORMS - 1);
            assert!((lasting + short - mean).abs() < 1e-12 && lasting == STAYS * mean);
            level.parts(DOUBTING)
        };
        let (lasting, short) = doubted(&[0.7; 12]);
        assert!(lasting == 0.0 && (short - 0.7).abs() < 1e-12, "{short}");
        // one bin of twelve
        let mut hour = [0.0; 12];
        hour[4] = 3.0;
        assert_eq!(doubted(&hour), (0.0, 0.0));
        let unsteady = [0.9, 0.5, 0.8, 0.6, 0.9, 0.5, 0.8, 0.6, 0.9, 0.5, 0.8, 0.6];
        let (_, short) = doubted(&unsteady);
        assert!((0.66..0.7).contains(&short), "{short}");
    }

    #[test]
    fn what_is_explained_is_no_deviation() {
        let mut residuals = vec![0.1; 288];
        residuals[280..].fill(0.8);
        residuals[100] = f64::NAN;
        let mut explained = vec![0.0; 288];
        explained[280..].fill(0.7);
        let level = Level::new(&residuals, Some(&explained), &mut Vec::new());
        for told in [level.day, level.hour, level.now] {
            assert!((told - 0.1).abs() < 1e-12, "{level:?}");
        }
    }

    #[test]
    fn a_lower_bound_speaks_when_it_is_above_what_was_expected() {
        assert_eq!(at_least(0.4, true), 0.4);
        assert!(at_least(-0.4, true).is_nan());
        assert_eq!(at_least(-0.4, false), -0.4);
    }

    #[test]
    fn gaps_do_not_count_and_nothing_known_means_no_correction() {
        assert_eq!(
            Level::new(&[f64::NAN; 288], None, &mut Vec::new()),
            Level::default()
        );
        let mut residuals = vec![0.2; 288];
        residuals[270..].fill(f64::NAN);
        let level = Level::new(&residuals, None, &mut Vec::new());
        assert!((level.hour - 0.2).abs() < 1e-12);
    }
}
