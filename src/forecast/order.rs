//! Order statistics of the finite values of small samples.

/// The middle value, of an even number the upper of the two; reorders the sample. `None` of
/// nothing.
pub(crate) fn median(values: &mut Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    let middle = values.len() / 2;
    at(values, middle)
}

/// The largest value that at most a share of the sample lies below; reorders the sample. `None`
/// of nothing.
pub(crate) fn quantile(values: &mut Vec<f64>, share: f64) -> Option<f64> {
    values.retain(|value| value.is_finite());
    let place = values.len().checked_sub(1)? as f64 * share.clamp(0.0, 1.0);
    at(values, place as usize)
}

fn at(values: &mut [f64], place: usize) -> Option<f64> {
    (place < values.len()).then(|| *values.select_nth_unstable_by(place, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_does_not_count() {
        let sample = || vec![3.0, f64::NAN, 1.0, f64::INFINITY, 2.0, 4.0];
        assert_eq!(median(&mut sample()), Some(3.0));
        assert_eq!(quantile(&mut sample(), 0.0), Some(1.0));
        assert_eq!(quantile(&mut sample(), 0.5), Some(2.0));
        assert_eq!(quantile(&mut sample(), 1.0), Some(4.0));
        assert_eq!(median(&mut vec![f64::NAN]), None);
        assert_eq!(quantile(&mut Vec::new(), 0.5), None);
    }
}
