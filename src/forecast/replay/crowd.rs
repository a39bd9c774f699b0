//! How much of the load at a moment is the crowd's, and what a larger crowd would add.

use super::super::experts::STEADIEST;
use super::super::features::Rows;
use super::super::learn::Coefficients;

/// Least share of a peak that is taken for the crowd's when entries are compared with it.
pub(crate) const LEAST_CROWD: f64 = 0.05;

/// What entries add to the log load of one row: each slot's shift by its share of the crowd, as
/// far as the load there is the crowd's. `None` when no slot there has a shift.
pub(crate) fn shift_at(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
    shift: impl Fn(usize) -> Option<f64>,
) -> Option<f64> {
    let mut some = false;
    let mut joint = 0.0;
    for &(slot, share) in rows.crowd(index) {
        if let Some(shift) = shift(slot as usize) {
            some = true;
            joint += f64::from(share) * shift;
        }
    }
    some.then(|| lifted(joint, crowd_share(rows, index, coefficients, events)))
}

/// What a crowd larger by `shift` (log) adds to the log load when it makes up `share` of it.
pub(crate) fn lifted(shift: f64, share: f64) -> f64 {
    (share * shift.exp_m1()).ln_1p()
}

/// Share of the load at one row that is the crowd's, by the steadiest regression.
pub(crate) fn crowd_share(
    rows: &Rows,
    index: usize,
    coefficients: &Coefficients,
    events: usize,
) -> f64 {
    let crowd = rows.fit_from(index, events, |column| coefficients[column][STEADIEST]);
    1.0 - (-crowd.max(0.0)).exp()
}

/// The largest of some log loads and its place.
pub(crate) fn top(logs: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    logs.enumerate()
        .filter(|(_, log)| log.is_finite())
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
