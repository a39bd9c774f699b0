//! Walks through the history in periods and keeps what was known at the end of each.
//!
//! One pass: a period's rows become one block of normal equations; for every half-life the sum of
//! past blocks decays and the block joins, so the fit of any past origin costs one small Cholesky
//! and uses nothing later than that origin. The last period ends at the origin.

use super::experts::{FREEST, GROWING, HALF_LIVES, REGRESSIONS, STEADIEST};
use super::features::{Design, GROWTH, Rows};
use super::foreseen::Foreseen;
use super::grid::{DAY, STEP};
use super::level_shifts::HELD;
use super::order::median;
use super::ridge::Normal;

/// Effective independent observations per day: residuals five minutes apart repeat each other.
const OBSERVATIONS_PER_DAY: f64 = 24.0;

/// Rows in event windows are rarer and matter more.
const EVENT_WEIGHT: f64 = 2.0;

/// Residuals beyond this many robust standard deviations lose weight outside event windows.
/// Inside them that would eat the peaks: there only what lies as far below the load of a day
/// without a fixture does, which a game shed or served in part looks like and a small one does not.
const HUBER: f64 = 2.0;

/// Model bins between two past fits. Half a day: staler than a fit gets in operation, so that
/// errors are not believed too small.
pub(crate) const PERIOD: usize = DAY / 2;

/// Periods whose spread tells what is usual: a week.
const SPREAD_PERIODS: usize = 7 * DAY / PERIOD;

/// Periods up to the origin that are gone through in full: ten days, after which the weight of an
/// error has more than halved.
pub(crate) const LATELY: usize = 10 * DAY / PERIOD;

/// Smallest robust standard deviation, log load: below it nothing is an outlier.
const LEAST_SPREAD: f64 = 0.02;

/// Periods before outliers are looked for: three days.
const TRUSTED_AFTER: usize = 3 * DAY / PERIOD;

/// Standard deviation of log load about the fit in a censored bin: a fifth, as it is of load in
/// event windows some hours ahead.
const CENSORED_SPREAD: f64 = 0.22;

/// Periods without a row after which a coefficient is held to what it was: three weeks, in which the
/// middle half-life forgets seven eighths.
const BREAK: usize = 21 * DAY / PERIOD;

/// Periods between two looks at what has rested: a week, for each costs a fit.
const LOOK: usize = 7 * DAY / PERIOD;

/// Penalty under which the growth line is nothing to seven digits of log load.
const NOT_AT_ALL: f64 = 1e12;

/// Coefficients of every regression, by column.
pub(crate) type Coefficients = Vec<[f64; REGRESSIONS.len()]>;

/// The history on the model's grid, in log load, with its rows.
#[derive(Debug)]
pub(crate) struct History {
    /// Log load, NaN for gaps.
    pub(crate) log: Vec<f64>,
    /// True where the load seen is only a lower bound of the load wanted.
    pub(crate) floor: Vec<bool>,
    /// End of the last bin, seconds since the epoch.
    pub(crate) end: i64,
    /// Bins that hold nothing in common are so far apart.
    pub(crate) apart: usize,
    /// One row per bin.
    pub(crate) rows: Rows,
    /// The rows that were others before the end or the start of a fixture was known.
    pub(crate) foreseen: Foreseen,
}

impl History {
    /// Log load of a bin in which it is fully known; NaN elsewhere.
    pub(crate) fn seen(&self, bin: usize) -> f64 {
        if self.floor[bin] {
            f64::NAN
        } else {
            self.log[bin]
        }
    }

    /// When a bin begins, seconds since the epoch.
    pub(crate) fn time(&self, bin: usize) -> i64 {
        self.end - (self.log.len() as i64 - bin as i64) * STEP
    }

    /// The row of a bin as it was seen at `origin`: its place in the rows returned.
    pub(crate) fn row_seen(&self, bin: usize, origin: usize) -> (&Rows, usize) {
        match self.foreseen.at(bin, origin) {
            Some(sight) => self.foreseen.row(sight),
            None => (&self.rows, bin),
        }
    }

    /// Number of periods, the first of which may be short.
    pub(crate) fn periods(&self) -> usize {
        self.log.len().div_ceil(PERIOD)
    }

    /// First bin of a period; `periods()` gives the origin.
    pub(crate) fn period_start(&self, period: usize) -> usize {
        (self.log.len() + period * PERIOD).saturating_sub(self.periods() * PERIOD)
    }

    /// The period a bin belongs to.
    pub(crate) fn period_of(&self, bin: usize) -> usize {
        let short = self.periods() * PERIOD - self.log.len();
        (bin + short) / PERIOD
    }
}

/// Coefficients known at the start of each of the last `keep` periods and at the origin (the last
/// element). `None` when some fit has no solution.
pub(crate) fn coefficients(
    history: &History,
    design: &Design,
    keep: usize,
) -> Option<Vec<Coefficients>> {
    let columns = design.columns();
    let mut sums = HALF_LIVES.map(|_| Normal::new(columns));
    let mut block = Normal::new(columns);
    let mut spreads: Vec<f64> = Vec::new();
    let mut said: Vec<f64> = Vec::new();
    let mut steadiest: Option<Vec<f64>> = None;
    let mut penalties = REGRESSIONS.map(|(_, stiffness)| -> Vec<f64> {
        design.penalty.iter().map(|p| p * stiffness).collect()
    });
    for (regression, penalties) in penalties.iter_mut().enumerate() {
        if regression != GROWING {
            penalties[GROWTH] = NOT_AT_ALL;
        }
    }
    let mut believed = Believed::new(design);
    let mut room = Normal::new(columns);
    let mut solve = |regression: usize, sums: &[Normal], believed: &Believed| {
        let sum = &sums[REGRESSIONS[regression].0];
        sum.solve(&penalties[regression], &believed.means, &mut room)
    };
    let mut kept = Vec::new();
    for period in 0..history.periods() {
        let bins = history.period_start(period)..history.period_start(period + 1);
        let known = steadiest.as_deref();
        said.clear();
        if let Some(known) = known {
            said.extend(bins.clone().map(|bin| history.rows.fit(bin, known)));
        }
        let trust = known.filter(|_| period >= TRUSTED_AFTER);
        let limits = trust.and_then(|_| Limits::of(history, bins.clone(), &said, &mut spreads));
        block.clear();
        block.add(bins.clone().enumerate().filter_map(|(place, bin)| {
            let mut y = history.log[bin];
            if !y.is_finite() {
                return None;
            }
            if history.floor[bin] {
                // at least this much was wanted: E[y | y > seen], one step of EM as time goes on
                y = above(y, *said.get(place)?, CENSORED_SPREAD);
            }
            let mut weight = OBSERVATIONS_PER_DAY / DAY as f64;
            let in_event = history.rows.in_event(bin);
            if in_event {
                weight *= EVENT_WEIGHT;
            }
            if let (Some(limits), Some(known)) = (&limits, trust) {
                let fit = said[place];
                weight *= if in_event {
                    let crowd = (history.rows).fit_from(bin, design.events(), |b| known[b]);
                    limits.weight_below(y - (fit - crowd))
                } else {
                    limits.weight(y - fit)
                };
            }
            let (columns, values) = history.rows.row(bin);
            Some((columns, values, y, weight))
        }));
        let learnt = |bin: &usize| {
            let bound = history.floor[*bin] && known.is_none();
            history.log[*bin].is_finite() && !bound && !history.rows.calm[*bin]
        };
        for bin in bins.filter(learnt) {
            believed.see(history.rows.row(bin).0, period);
        }
        for (sum, half_life) in sums.iter_mut().zip(HALF_LIVES) {
            let days = PERIOD as f64 / DAY as f64;
            sum.decay_and_add(0.5_f64.powf(days / half_life), &block);
        }
        if believed.rests(period) {
            let known = solve(FREEST, &sums, &believed)?;
            believed.hold(period, &known);
        }
        let wanted = period + 1 + keep >= history.periods();
        let lately = period + LATELY >= history.periods();
        // before the periods kept only the search for outliers needs a fit, and old errors count
        // little: there a daily fit is near enough
        if !lately && (history.periods() - period).is_multiple_of(2) {
            match kept.last() {
                Some(last) if wanted => {
                    let last = Coefficients::clone(last);
                    kept.push(last);
                    continue;
                }
                None if !wanted && steadiest.is_some() => continue,
                _ => {}
            }
        }
        let steady = solve(STEADIEST, &sums, &believed)?;
        if wanted {
            let mut all: Coefficients = steady.iter().map(|&b| [b; REGRESSIONS.len()]).collect();
            for regression in (0..REGRESSIONS.len()).filter(|&r| r != STEADIEST) {
                let one = solve(regression, &sums, &believed)?;
                for (line, b) in all.iter_mut().zip(one) {
                    line[regression] = b;
                }
            }
            // nobody knew of a shift before it had held
            let told = history.time(history.period_start(period + 1)) - HELD as i64 * 3_600;
            for (_, column) in design.shifts().filter(|&(at, _)| at > told) {
                all[column] = [0.0; REGRESSIONS.len()];
            }
            kept.push(all);
        }
        steadiest = Some(steady);
    }
    Some(kept)
}

/// What the coefficients are held to: the design's prior, and for what fixtures had taught before a
/// break what it was when last seen. Decayed normal equations forget it within weeks, and who comes
/// back for a season's first game is the audience that left, not the sport's average.
struct Believed {
    means: Vec<f64>,
    /// First column of the event part.
    events: usize,
    /// Per event column the last period in which it had a row.
    last: Vec<Option<usize>>,
}

impl Believed {
    fn new(design: &Design) -> Self {
        Self {
            means: design.prior.clone(),
            events: design.events(),
            last: vec![None; design.columns() - design.events()],
        }
    }

    /// The columns of one row have been learnt from in a period.
    fn see(&mut self, columns: &[u16], period: usize) {
        let first = columns.partition_point(|&column| usize::from(column) < self.events);
        for &column in &columns[first..] {
            self.last[usize::from(column) - self.events] = Some(period);
        }
    }

    /// Whether some column has rested for long enough since the last look, a week before.
    fn rests(&self, period: usize) -> bool {
        let rested = |last: &Option<usize>| last.is_some_and(|last| is_new_rest(last, period));
        period.is_multiple_of(LOOK) && self.last.iter().any(rested)
    }

    /// What has rested for so long is held to what it is known to be.
    fn hold(&mut self, period: usize, known: &[f64]) {
        let columns = self.means.iter_mut().zip(known).skip(self.events);
        for ((mean, known), last) in columns.zip(&self.last) {
            if last.is_some_and(|last| is_new_rest(last, period)) {
                *mean = *known;
            }
        }
    }
}

/// Whether what had its last row in one period has rested for long enough in another, and had not
/// a week before.
fn is_new_rest(last: usize, period: usize) -> bool {
    (last + BREAK..last + BREAK + LOOK).contains(&period)
}

/// What counts as usual in one period.
struct Limits {
    middle: f64,
    reach: f64,
}

impl Limits {
    /// From the period's residuals against what was `said` with what was known before it, outside
    /// event windows. Its own median is taken off first: half a day that runs high as a whole is
    /// growth, not an outlier.
    fn of(
        history: &History,
        bins: std::ops::Range<usize>,
        said: &[f64],
        spreads: &mut Vec<f64>,
    ) -> Option<Self> {
        let mut residuals: Vec<f64> = bins
            .zip(said)
            .filter(|&(bin, _)| !history.rows.in_event(bin))
            .map(|(bin, said)| history.seen(bin) - said)
            .filter(|residual| residual.is_finite())
            .collect();
        let middle = median(&mut residuals)?;
        for residual in &mut residuals {
            *residual = (*residual - middle).abs();
        }
        spreads.push(1.4826 * median(&mut residuals)?);
        if spreads.len() > SPREAD_PERIODS {
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

    /// The same where only what is too low is unusual.
    fn weight_below(&self, residual: f64) -> f64 {
        self.weight(residual.min(self.middle))
    }
}

/// Mean of a normal variable around `mean` that is known to lie above `seen` (Tobin, Estimation of
/// relationships for limited dependent variables, 1958): `mean + s phi(z) / (1 - Phi(z))`.
fn above(seen: f64, mean: f64, spread: f64) -> f64 {
    let z = (seen - mean) / spread;
    // Mills' ratio; beyond three deviations by the first terms of its continued fraction
    let mills = if z > 3.0 {
        z + 1.0 / (z + 2.0 / (z + 3.0 / z))
    } else {
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        density / upper_tail(z)
    };
    (mean + spread * mills).max(seen)
}

/// Probability that a standard normal variable exceeds `z` (Abramowitz and Stegun 26.2.17, error
/// below 1e-7).
fn upper_tail(z: f64) -> f64 {
    const B: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let sum = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let tail = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_break_fixtures_are_held_to_what_they_were() {
        let design = Design::new(chrono_tz::Tz::UTC, false, Vec::new(), &[], (0, 0));
        let first = design.events();
        let column = |at: usize| (first + at) as u16;
        let mut believed = Believed::new(&design);
        let prior = believed.means.clone();
        let known = vec![0.8; prior.len()];
        // of two columns one rests after the sixth period, the other never
        for period in 0..3 * BREAK {
            if period == 6 {
                believed.see(&[0, 3, column(0), column(1)], period);
            } else if period % 14 == 0 {
                believed.see(&[column(0)], period);
            }
            // three weeks later, at the next look
            assert_eq!(believed.rests(period), period == 4 * LOOK, "{period}");
            if believed.rests(period) {
                believed.hold(period, &known);
            }
            let held = period >= 4 * LOOK;
            let expected = if held { 0.8 } else { prior[first + 1] };
            assert_eq!(believed.means[first + 1], expected, "{period}");
        }
        assert_eq!(believed.means[first], prior[first]);
        // what has never been played is held to what is believed
        assert_eq!(believed.means[first + 2..], prior[first + 2..]);
        assert_eq!(believed.means[..first], prior[..first]);
    }

    #[test]
    fn below_a_day_without_fixtures_alone_a_game_is_unusual() {
        let limits = Limits {
            middle: 0.1,
            reach: 0.2,
        };
        assert_eq!(limits.weight(0.5), 0.5);
        assert_eq!(limits.weight_below(2.0), 1.0);
        assert_eq!(limits.weight_below(-0.05), 1.0);
        assert_eq!(limits.weight_below(-0.3), 0.5);
        assert!(limits.weight_below(-3.9) < 0.06);
    }

    #[test]
    fn a_lower_bound_is_learnt_as_what_lies_above_it() {
        // far below what is usual the bound says nothing; far above it is nearly the value
        assert!((above(-5.0, 1.0, 0.2) - 1.0).abs() < 1e-6);
        assert!((above(3.0, 1.0, 0.2) - 3.0).abs() < 0.03);
        // at the mean: 0.2 * sqrt(2 / pi)
        let half = 1.0 + 0.2 * (2.0 / std::f64::consts::PI).sqrt();
        assert!((above(1.0, 1.0, 0.2) - half).abs() < 1e-6);
        let mut last = 0.0;
        for step in 0..400 {
            let y = above(f64::from(step) * 0.01 - 1.0, 1.0, 0.2);
            assert!(y >= last, "{step}");
            last = y;
        }
    }
}
