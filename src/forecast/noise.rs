//! How much of a deviation is more than noise.

/// Standard errors below which a deviation is noise.
const SURE: f64 = 2.0;

/// What is left of a deviation whose variance is `noise`: nothing within [`SURE`] standard errors,
/// nearly all of it far beyond them (the positive part of James and Stein's factor).
pub(crate) fn beyond_noise(deviation: f64, noise: f64) -> f64 {
    let (square, noise) = (deviation * deviation, SURE * SURE * noise);
    if square > noise {
        deviation * (1.0 - noise / square)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_counts_as_far_as_it_is_sure() {
        assert_eq!(beyond_noise(0.0, 0.0), 0.0);
        assert_eq!(beyond_noise(-0.7, 0.0), -0.7);
        assert_eq!(beyond_noise(0.39, 0.04), 0.0);
        let mut last = 0.0;
        for step in 0..100 {
            let deviation = f64::from(step) * 0.1;
            let left = beyond_noise(deviation, 0.04);
            assert!(left >= last && left <= deviation);
            assert_eq!(beyond_noise(-deviation, 0.04), -left);
            last = left;
        }
        assert!(last > 9.8);
    }
}
