//! Walks through the history day by day and keeps what was known at the end of each day.
//!
//! One pass: a day's rows become one block of normal equations; for every half-life the sum of
//! past blocks decays and the block joins, so the fit of any past origin costs one small Cholesky
//! and uses nothing later than that origin. Days end at the fit's own time of day, so the last
//! one ends at the origin.

use super::experts::HALF_LIVES;
use super::features::{Design, Rows};
use super::grid::DAY;
use super::ridge::Normal;

/// Effective independent observations per day: residuals five minutes apart repeat each other.
const OBSERVATIONS_PER_DAY: f64 = 24.0;

/// Rows in event windows are rarer and matter more.
const EVENT_WEIGHT: f64 = 2.0;

/// Residuals beyond this many robust standard deviations lose weight outside event windows
/// (inside them that would eat the peaks).
const HUBER: f64 = 2.0;

/// Days whose spread tells what is usual.
const SPREAD_DAYS: usize = 7;

/// Smallest robust standard deviation, log load: below it nothing is an outlier.
const LEAST_SPREAD: f64 = 0.02;

/// Days before outliers are looked for.
const TRUSTED_AFTER: usize = 3;

/// Coefficients of every half-life, by column.
pub(crate) type Coefficients = Vec<[f64; HALF_LIVES.len()]>;

/// The history on the model's grid, in log load, with its rows.
#[derive(Debug)]
pub(crate) struct History {
    /// Log load, NaN for gaps.
    pub(crate) log: Vec<f64>,
    /// One row per bin.
    pub(crate) rows: Rows,
}

impl History {
    /// Number of days, the first of which may be short.
    pub(crate) fn days(&self) -> usize {
        self.log.len().div_ceil(DAY)
    }

    /// First bin of a day; `days()` gives the origin.
    pub(crate) fn day_start(&self, day: usize) -> usize {
        (self.log.len() + day * DAY).saturating_sub(self.days() * DAY)
    }

    /// The day a bin belongs to.
    pub(crate) fn day_of(&self, bin: usize) -> usize {
        let short = self.days() * DAY - self.log.len();
        (bin + short) / DAY
    }
}

/// Coefficients known at the start of each of the last `keep` days and at the origin (the last
/// element belongs to day `days()`). `None` when some fit has no solution.
pub(crate) fn coefficients(
    history: &History,
    design: &Design,
    keep: usize,
) -> Option<Vec<Coefficients>> {
    let columns = design.columns();
    let mut sums = HALF_LIVES.map(|_| Normal::new(columns));
    let mut block = Normal::new(columns);
    let mut spreads: Vec<f64> = Vec::new();
    let mut slowest: Option<Vec<f64>> = None;
    let mut kept = Vec::new();
    for day in 0..history.days() {
        let bins = history.day_start(day)..history.day_start(day + 1);
        let trust = slowest.as_deref().filter(|_| day >= TRUSTED_AFTER);
        let limits = trust.and_then(|known| Limits::of(history, bins.clone(), known, &mut spreads));
        block.clear();
        for bin in bins {
            let y = history.log[bin];
            if !y.is_finite() {
                continue;
            }
            let mut weight = OBSERVATIONS_PER_DAY / DAY as f64;
            if history.rows.in_event[bin] {
                weight *= EVENT_WEIGHT;
            } else if let (Some(limits), Some(known)) = (&limits, trust) {
                weight *= limits.weight(y - history.rows.fit(bin, known));
            }
            let (columns, values) = history.rows.row(bin);
            block.add_row(columns, values, y, weight);
        }
        for (sum, half_life) in sums.iter_mut().zip(HALF_LIVES) {
            sum.decay_and_add(0.5_f64.powf(1.0 / half_life), &block);
        }
        let wanted = day + 1 + keep >= history.days();
        let solve = |sum: &Normal| sum.solve(&design.penalty, &design.prior);
        let slow = solve(&sums[HALF_LIVES.len() - 1])?;
        if wanted {
            let mut all: Coefficients = slow.iter().map(|&b| [b; HALF_LIVES.len()]).collect();
            for (model, sum) in sums[..HALF_LIVES.len() - 1].iter().enumerate() {
                for (line, b) in all.iter_mut().zip(solve(sum)?) {
                    line[model] = b;
                }
            }
            kept.push(all);
        }
        slowest = Some(slow);
    }
    Some(kept)
}

/// What counts as usual on one day.
struct Limits {
    middle: f64,
    reach: f64,
}

impl Limits {
    /// From the day's residuals against what was known before it, outside event windows. The
    /// day's own median is taken off first: a day that runs high as a whole is growth, not an
    /// outlier.
    fn of(
        history: &History,
        bins: std::ops::Range<usize>,
        known: &[f64],
        spreads: &mut Vec<f64>,
    ) -> Option<Self> {
        let mut residuals: Vec<f64> = bins
            .filter(|&bin| !history.rows.in_event[bin])
            .map(|bin| history.log[bin] - history.rows.fit(bin, known))
            .filter(|residual| residual.is_finite())
            .collect();
        let middle = median(&mut residuals)?;
        for residual in &mut residuals {
            *residual = (*residual - middle).abs();
        }
        spreads.push(1.4826 * median(&mut residuals)?);
        if spreads.len() > SPREAD_DAYS {
            spreads.remove(0);
        }
        let usual = median(&mut spreads.clone())?.max(LEAST_SPREAD);
        Some(Self {
            middle,
            reach: HUBER * usual,
        })
    }

    /// Huber's weight of one residual.
    fn weight(&self, residual: f64) -> f64 {
        let distance = (residual - self.middle).abs();
        if distance > self.reach {
            self.reach / distance
        } else {
            1.0
        }
    }
}

/// The middle value; reorders the slice.
fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
