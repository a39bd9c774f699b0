//! Ridge regression towards a prior mean: accumulates normal equations, solves them by Cholesky.
//!
//! Minimises `sum w (y - x'b)^2 + sum p_j (b_j - b0_j)^2`, so `(X'WX + P) b = X'Wy + P b0`
//! (Tikhonov). Why not linfa-linear or linfa-elasticnet: neither takes row weights, a penalty per
//! column or a prior mean; stacking rows onto ordinary least squares would, but refactors the
//! whole history for every half-life and every past origin, where sums of these small equations
//! only decay. Rows are sparse, so a row costs the square of what it holds, not of all columns.

#![expect(
    clippy::inline_always,
    reason = "what is dispatched must be compiled with it for each kind of processor"
)]

use pulp::{Arch, Simd, WithSimd};

/// Normal equations of a weighted regression with `k` columns.
#[derive(Debug)]
pub(crate) struct Normal {
    /// X'WX.
    xtx: Triangle,
    /// X'Wy.
    xty: Vec<f64>,
}

/// One row of a regression: its columns, ascending, and their values, the target and the weight.
pub(crate) type Row<'r> = (&'r [u16], &'r [f64], f64, f64);

impl Normal {
    /// No rows yet.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            xtx: Triangle::new(k),
            xty: vec![0.0; k],
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.xtx.rows_mut().fill(0.0);
        self.xty.fill(0.0);
    }

    /// Adds rows.
    pub(crate) fn add<'r>(&mut self, rows: impl Iterator<Item = Row<'r>>) {
        Arch::new().dispatch(Addition { sum: self, rows });
    }

    /// `self * factor + other`: older rows lose weight, newer ones join.
    pub(crate) fn decay_and_add(&mut self, factor: f64, other: &Self) {
        let add = |mine: &mut [f64], theirs: &[f64]| {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine = *mine * factor + theirs;
            }
        };
        Arch::new().dispatch(|| add(self.xtx.rows_mut(), other.xtx.rows()));
        add(&mut self.xty, &other.xty);
    }

    /// The coefficients under `penalty` towards `prior`; `None` when the equations are not
    /// positive definite, which finite rows and positive penalties rule out. A column that no row
    /// has keeps its prior, and costs nothing. What `room` held is lost.
    pub(crate) fn solve(
        &self,
        penalty: &[f64],
        prior: &[f64],
        room: &mut Self,
    ) -> Option<Vec<f64>> {
        let from = self.xtx.rows();
        let met: Vec<usize> = (0..self.xty.len())
            .filter(|&column| from[begin_of(column) + column] != 0.0)
            .collect();
        let cells = room.xtx.rows_mut();
        // columns side by side are copied together
        let mut runs: Vec<(usize, &[usize])> = Vec::new();
        let mut row = 0;
        for run in met.chunk_by(|one, next| one + 1 == *next) {
            runs.push((row, run));
            for &column in run {
                let (to, from) = (&mut cells[begin_of(row)..], &from[begin_of(column)..]);
                for &(place, run) in &runs {
                    let count = run.len().min(row + 1 - place);
                    to[place..][..count].copy_from_slice(&from[run[0]..][..count]);
                }
                to[row] += penalty[column];
                row += 1;
            }
        }
        let side = |&column: &usize| self.xty[column] + penalty[column] * prior[column];
        let mut b: Vec<f64> = met.iter().map(side).collect();
        let solved = Arch::new().dispatch(Equations {
            triangle: cells,
            b: &mut b,
        });
        let mut all = prior.to_vec();
        for (column, b) in met.into_iter().zip(b) {
            all[column] = b;
        }
        solved.then_some(all)
    }
}

/// Columns that are taken out of all others at once, and numbers that rows are filled up to a
/// multiple of: the width of the widest vector.
const BLOCK: usize = 4;

/// A lower triangle by rows, each filled up to whole vectors. What the cells beyond the diagonal hold
/// is never looked at.
#[derive(Debug)]
struct Triangle {
    cells: Vec<f64>,
    /// Where the first row begins: at the width of a vector.
    first: usize,
}

impl Triangle {
    /// Of so many rows, all nothing.
    fn new(rows: usize) -> Self {
        let blocks = rows.next_multiple_of(BLOCK);
        let cells = vec![0.0_f64; begin_of(blocks) + BLOCK];
        let first = cells.as_ptr().align_offset(BLOCK * size_of::<f64>());
        Self {
            first: first.min(BLOCK),
            cells,
        }
    }

    fn rows(&self) -> &[f64] {
        let length = self.cells.len() - BLOCK;
        &self.cells[self.first..][..length]
    }

    fn rows_mut(&mut self) -> &mut [f64] {
        let length = self.cells.len() - BLOCK;
        &mut self.cells[self.first..][..length]
    }
}

/// Where a row begins, counted from the first: the rows of a block are of one length.
const fn begin_of(row: usize) -> usize {
    let (blocks, beyond) = (row / BLOCK, row % BLOCK);
    (BLOCK * blocks / 2 + beyond) * length_of(row)
}

/// So many cells a row has.
const fn length_of(row: usize) -> usize {
    (row / BLOCK + 1) * BLOCK
}

/// Columns that come first and are hardly ever nothing, those of the clock: most that are looked for.
const DENSE: usize = 32;

/// Rows to be added to a sum.
struct Addition<'n, I> {
    sum: &'n mut Normal,
    rows: I,
}

impl<'r, I: Iterator<Item = Row<'r>>> WithSimd for Addition<'_, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Normal { xtx, xty } = self.sum;
        let cells = xtx.rows_mut();
        for (columns, values, y, weight) in self.rows {
            // the first columns without a gap go in whole vectors
            let dense = columns.iter().zip(0..).take_while(|&(&c, i)| c == i);
            let dense = dense.take(DENSE).count();
            let mut first = [0.0; DENSE];
            first[..dense].copy_from_slice(&values[..dense]);
            let whole = dense.next_multiple_of(BLOCK);
            for (place, (&column, &value)) in columns.iter().zip(values).enumerate() {
                let row = usize::from(column);
                let scaled = weight * value;
                let line = &mut cells[begin_of(row)..][..length_of(row)];
                let whole = whole.min(line.len());
                add_times(simd, &mut line[..whole], scaled, &first[..whole]);
                if place >= dense {
                    let others = columns[dense..=place].iter().zip(&values[dense..=place]);
                    for (&other, factor) in others {
                        line[usize::from(other)] += scaled * factor;
                    }
                }
                xty[row] += scaled * y;
            }
        }
    }
}

/// A symmetric matrix by its lower triangle, and the right side. Solved with AVX2 or NEON where
/// there is one; the last digit of a sum may differ between two processors.
struct Equations<'e> {
    triangle: &'e mut [f64],
    b: &'e mut [f64],
}

impl WithSimd for Equations<'_> {
    /// Whether the matrix was positive definite: then `b` holds the solution.
    type Output = bool;

    /// Factors into `R'R` with a lower triangular `R`, the last column first: so all that is gone
    /// through lies side by side in rows of the triangle, and nothing is summed across a vector.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        const { assert!(BLOCK.is_multiple_of(S::F64_LANES)) };
        let Self { triangle: cells, b } = self;
        let k = b.len();
        let mut end = k;
        while end > 0 {
            let from = (end - 1) / BLOCK * BLOCK;
            let (above, block) = cells.split_at_mut(begin_of(from));
            let length = length_of(from);
            for pivot in (from..end).rev() {
                let (before, row) = block.split_at_mut((pivot - from) * length);
                let row = &mut row[..length];
                if !(row[pivot] > 0.0 && row[pivot].is_finite()) {
                    return false;
                }
                let scale = row[pivot].sqrt().recip();
                for cell in row.iter_mut() {
                    *cell *= scale;
                }
                for (other, line) in (from..).zip(before.chunks_exact_mut(length)) {
                    add_times(simd, line, -row[other], row);
                }
                // the right side rides along
                b[pivot] *= scale;
                let value = b[pivot];
                for (b, factor) in b[..pivot].iter_mut().zip(&*row) {
                    *b -= value * factor;
                }
            }
            take_out(simd, above, from, block);
            end = from;
        }
        for row in 0..k {
            let line = &cells[begin_of(row)..][..=row];
            let (before, own) = (&line[..row], line[row]);
            b[row] = (b[row] - dot(simd, before, &b[..row])) / own;
        }
        b.iter().all(|value| value.is_finite())
    }
}

/// Adds `factor` times as much of a row to a line.
#[inline(always)]
fn add_times<S: Simd>(simd: S, line: &mut [f64], factor: f64, row: &[f64]) {
    let (line, row) = (S::as_mut_simd_f64s(line).0, S::as_simd_f64s(row).0);
    let factor = simd.splat_f64s(factor);
    for (cells, row) in line.iter_mut().zip(row) {
        *cells = simd.mul_add_e_f64s(factor, *row, *cells);
    }
}

/// Takes the columns of a factored block out of the `count` rows above it. Rows that the last block
/// lacks are nothing.
#[inline(always)]
fn take_out<S: Simd>(simd: S, above: &mut [f64], count: usize, block: &[f64]) {
    let length = length_of(count);
    let factored: [&[f64]; BLOCK] = std::array::from_fn(|place| &block[place * length..][..length]);
    for first in (0..count).step_by(2) {
        let length = length_of(first);
        let (line, next) = above[begin_of(first)..].split_at_mut(length);
        let lines = [line, &mut next[..length]];
        subtract_block(simd, lines, first, factored);
    }
}

/// Takes four factored rows, each as often as it has in the lines' own columns, from two lines, the
/// first of which is number `first`: six loads serve eight products.
#[inline(always)]
fn subtract_block<S: Simd>(
    simd: S,
    [line, next]: [&mut [f64]; 2],
    first: usize,
    rows: [&[f64]; BLOCK],
) {
    let length = line.len();
    let factor = |row: usize, column: usize| simd.splat_f64s(-rows[row][column]);
    let (x0, x1, x2, x3) = (
        factor(0, first),
        factor(1, first),
        factor(2, first),
        factor(3, first),
    );
    let second = first + 1;
    let (y0, y1, y2, y3) = (
        factor(0, second),
        factor(1, second),
        factor(2, second),
        factor(3, second),
    );
    let vectors = |row: usize| S::as_simd_f64s(&rows[row][..length]).0;
    let (r0, r1, r2, r3) = (vectors(0), vectors(1), vectors(2), vectors(3));
    let (x, y) = (S::as_mut_simd_f64s(line).0, S::as_mut_simd_f64s(next).0);
    for (((((x, y), r0), r1), r2), r3) in x.iter_mut().zip(y).zip(r0).zip(r1).zip(r2).zip(r3) {
        let one = simd.mul_add_e_f64s(x0, *r0, *x);
        let one = simd.mul_add_e_f64s(x1, *r1, one);
        let other = simd.mul_add_e_f64s(y0, *r0, *y);
        let other = simd.mul_add_e_f64s(y1, *r1, other);
        let one = simd.mul_add_e_f64s(x2, *r2, one);
        *x = simd.mul_add_e_f64s(x3, *r3, one);
        let other = simd.mul_add_e_f64s(y2, *r2, other);
        *y = simd.mul_add_e_f64s(y3, *r3, other);
    }
}

/// Inner product of `a` with as much of `b`.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> f64 {
    let (a, a_tail) = S::as_simd_f64s(a);
    let (b, b_tail) = S::as_simd_f64s(&b[..a.len() * S::F64_LANES + a_tail.len()]);
    let (a_tail, b_tail) = (
        simd.partial_load_f64s(a_tail),
        simd.partial_load_f64s(b_tail),
    );
    let mut sum = simd.mul_f64s(a_tail, b_tail);
    for (x, y) in a.iter().zip(b) {
        sum = simd.mul_add_e_f64s(*x, *y, sum);
    }
    simd.reduce_sum_f64s(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(rows: &[(f64, f64)], weight: f64) -> Normal {
        let mut normal = Normal::new(2);
        for &(x, y) in rows {
            normal.add(std::iter::once((&[0, 1][..], &[1.0, x][..], y, weight)));
        }
        normal
    }

    #[test]
    fn recovers_a_line_and_falls_back_to_the_prior() {
        let rows: Vec<_> = (0..10)
            .map(|i| (f64::from(i), 3.0 - 0.5 * f64::from(i)))
            .collect();
        let mut room = Normal::new(2);
        let free = line(&rows, 1.0).solve(&[1e-9; 2], &[0.0; 2], &mut room);
        let free = free.unwrap();
        assert!((free[0] - 3.0).abs() < 1e-6 && (free[1] + 0.5).abs() < 1e-6);
        let bound = line(&rows, 1.0).solve(&[1e9; 2], &[7.0, 8.0], &mut room);
        let bound = bound.unwrap();
        assert!((bound[0] - 7.0).abs() < 1e-4 && (bound[1] - 8.0).abs() < 1e-4);
        let empty = Normal::new(2).solve(&[1.0; 2], &[7.0, 8.0], &mut room);
        assert_eq!(empty.unwrap(), [7.0, 8.0]);
    }

    #[test]
    fn sums_of_decayed_blocks_equal_weighted_rows() {
        let old = [(1.0, 2.0), (2.0, 1.0)];
        let new = [(3.0, 5.0), (4.0, 2.5)];
        let mut sum = line(&old, 1.0);
        sum.decay_and_add(0.25, &line(&new, 1.0));
        let mut direct = line(&old, 0.25);
        direct.decay_and_add(1.0, &line(&new, 1.0));
        assert_eq!(sum.xtx.rows(), direct.xtx.rows());
        assert_eq!(sum.xty, direct.xty);
    }

    proptest! {
        #[test]
        fn the_solution_satisfies_the_equations(
            rows in proptest::collection::vec(
                (proptest::collection::vec(-3.0..3.0f64, 23), -10.0..10.0f64), 1..30),
            penalty in proptest::collection::vec(0.01..5.0f64, 23),
            k in 1..=23_u16,
            never in 0..8_u16,
        ) {
            // some columns no row has
            let columns: Vec<u16> = (0..k).filter(|column| column % 8 != never).collect();
            let k = usize::from(k);
            let penalty = &penalty[..k];
            let met = |x: &[f64]| -> Vec<f64> {
                (0..k).map(|c| if c % 8 == usize::from(never) { 0.0 } else { x[c] }).collect()
            };
            let rows: Vec<_> = rows.iter().map(|(x, y)| (met(x), *y)).collect();
            let mut normal = Normal::new(k);
            for (x, y) in &rows {
                let held: Vec<f64> = columns.iter().map(|&c| x[usize::from(c)]).collect();
                normal.add(std::iter::once((columns.as_slice(), held.as_slice(), *y, 1.0)));
            }
            let prior = &[0.5; 23][..k];
            let mut room = Normal::new(k);
            let b = normal.solve(penalty, prior, &mut room).unwrap();
            for i in 0..k {
                let mut left = penalty[i] * (b[i] - prior[i]);
                for (x, y) in &rows {
                    let fit: f64 = x.iter().zip(&b).map(|(x, b)| x * b).sum();
                    left += x[i] * (fit - y);
                }
                prop_assert!(left.abs() < 1e-7, "gradient {left}");
            }
            // and a processor without vectors finds the same
            let mut plain = normal.xty.clone();
            for (j, penalty) in penalty.iter().enumerate() {
                normal.xtx.rows_mut()[begin_of(j) + j] += penalty;
                plain[j] += penalty * prior[j];
            }
            let equations = Equations { triangle: normal.xtx.rows_mut(), b: &mut plain };
            prop_assert!(equations.with_simd(pulp::Scalar::new()));
            for (one, other) in plain.iter().zip(&b) {
                prop_assert!((one - other).abs() < 1e-9, "{one} {other}");
            }
        }
    }
}
