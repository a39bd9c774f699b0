//! What share of a slate's final entries is usually in so long before its lock.

/// Hours before the lock at which curves are kept.
pub(super) const HOURS: [f64; 14] = [
    72.0, 48.0, 36.0, 24.0, 18.0, 12.0, 9.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0,
];

/// Number of points of a curve.
pub(super) const POINTS: usize = HOURS.len();

/// Usual share of the final entries at each of [`HOURS`], in logs, and its standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Curve {
    pub(super) ln_share: [f64; POINTS],
    pub(super) spread: [f64; POINTS],
}

impl Curve {
    /// From `(hours before the lock, share)` and `(hours, standard deviation of its logarithm)`,
    /// both in descending order of hours, joined by straight lines in the logarithm of hours.
    pub(crate) fn declared(shares: &[(f64, f64)], spreads: &[(f64, f64)]) -> Self {
        Self {
            ln_share: HOURS.map(|hours| along(shares, hours).clamp(1e-4, 1.0).ln()),
            spread: HOURS.map(|hours| along(spreads, hours).max(0.0)),
        }
    }
}

/// The value at `hours` on a line through points in descending order of hours.
fn along(points: &[(f64, f64)], hours: f64) -> f64 {
    let x = |hours: f64| (hours + 0.25).ln();
    let after = points.iter().position(|&(at, _)| at <= hours);
    match after {
        None => points.last().map_or(0.0, |point| point.1),
        Some(0) => points[0].1,
        Some(right) => {
            let ((h0, y0), (h1, y1)) = (points[right - 1], points[right]);
            y0 + (y1 - y0) * (x(h0) - x(hours)) / (x(h0) - x(h1))
        }
    }
}
