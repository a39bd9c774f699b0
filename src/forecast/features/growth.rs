//! Growth: how load drifts over weeks, and for how long a drift is believed to go on.
//!
//! One regression has a straight line of log load against time beside its other terms (FORECASTING
//! study, 1.4). Without it growth is put down to whatever is new: after a week in which load has
//! doubled, weekends look small because the last one was, and this Monday is taken for last Monday.
//! From the end of the load learnt from the line fades, as a damped trend (Gardner, Exponential
//! smoothing: the state of the art II, 2006): what has grown for weeks stops one day.

/// Seconds in a day.
const DAY: f64 = 86_400.0;

/// Days of the line's unit: its coefficient is log load a week.
const WEEK: f64 = 7.0;

/// Days after which half of the slope is left; a week ahead load is a day and a half of growth above
/// the present. WAPE of the second day ahead of a generated load that is half as large again every
/// week, and in the week after that has ended: .106 and .071 when growth stops at once, .062 and .096
/// with one day, .053 and .107 with three, .049 and .111 when it goes on. One day has most of the gain.
const HALF_LIFE: f64 = 1.0;

/// The line at a moment so many seconds after the end of the load learnt from, or before it.
pub(super) fn line(after: f64) -> f64 {
    let days = after / DAY;
    if days > 0.0 { faded(days) } else { days / WEEK }
}

/// What fading adds to the line, nothing or less, so many seconds after the moment that was the end
/// of load then: by now it has become a part of the past, where the line is straight.
pub(crate) fn lost(after: f64) -> f64 {
    let days = (after / DAY).max(0.0);
    faded(days) - days / WEEK
}

/// The line after so many days of fading: the integral of `0.5^(t / half-life)`.
fn faded(days: f64) -> f64 {
    -(-days * std::f64::consts::LN_2 / HALF_LIFE).exp_m1() * HALF_LIFE
        / std::f64::consts::LN_2
        / WEEK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_goes_on_for_a_while() {
        let day = |days: f64| WEEK * line(days * DAY);
        // straight in the past, and at first
        assert_eq!((day(-14.0), day(0.0)), (-14.0, 0.0));
        assert!((day(0.01) - 0.01).abs() < 1e-4);
        // a day of it is worth less, and there is an end
        assert!((day(1.0) - 0.5 / std::f64::consts::LN_2).abs() < 1e-12);
        assert!((day(1e6) - 1.0 / std::f64::consts::LN_2).abs() < 1e-12);
        let far: Vec<f64> = (0..100).map(|hour| day(f64::from(hour) / 24.0)).collect();
        assert!(far.is_sorted());
    }

    #[test]
    fn what_is_straight_by_now_had_faded_then() {
        assert_eq!((lost(-DAY), lost(0.0)), (0.0, 0.0));
        for days in [0.1, 1.0, 2.0] {
            assert!((days / WEEK + lost(days * DAY) - line(days * DAY)).abs() < 1e-12);
        }
    }
}
