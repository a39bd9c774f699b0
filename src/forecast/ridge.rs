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
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    k: usize,
    /// Lower triangle of X'WX by rows.
    xtx: Vec<f64>,
    xty: Vec<f64>,
}

impl Normal {
    /// No rows yet.
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            xtx: vec![0.0; k * (k + 1) / 2],
            xty: vec![0.0; k],
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        self.xtx.fill(0.0);
        self.xty.fill(0.0);
    }

    /// Adds one row; `columns` ascend.
    pub(crate) fn add_row(&mut self, columns: &[u16], values: &[f64], y: f64, weight: f64) {
        // the terms of the clock come first and are hardly ever nothing: theirs are whole lines,
        // which go several at a time
        let dense = columns.iter().zip(0..).take_while(|&(&c, i)| c == i);
        let dense = dense.count();
        for (place, (&column, &value)) in columns.iter().zip(values).enumerate() {
            let row = usize::from(column);
            let scaled = weight * value;
            let base = row * (row + 1) / 2;
            let line = &mut self.xtx[base..=base + row];
            let whole = dense.min(place + 1);
            for (cell, factor) in line[..whole].iter_mut().zip(&values[..whole]) {
                *cell += scaled * factor;
            }
            for (&other, &factor) in columns[whole..=place].iter().zip(&values[whole..=place]) {
                line[usize::from(other)] += scaled * factor;
            }
            self.xty[row] += scaled * y;
        }
    }

    /// `self * factor + other`: older rows lose weight, newer ones join.
    pub(crate) fn decay_and_add(&mut self, factor: f64, other: &Self) {
        for (mine, theirs) in self.xtx.iter_mut().zip(&other.xtx) {
            *mine = *mine * factor + theirs;
        }
        for (mine, theirs) in self.xty.iter_mut().zip(&other.xty) {
            *mine = *mine * factor + theirs;
        }
    }

    /// The coefficients under `penalty` towards `prior`; `None` when the equations are not
    /// positive definite, which finite rows and positive penalties rule out.
    pub(crate) fn solve(&self, penalty: &[f64], prior: &[f64]) -> Option<Vec<f64>> {
        let k = self.k;
        let mut l = self.xtx.clone();
        let mut b = self.xty.clone();
        for j in 0..k {
            l[j * (j + 1) / 2 + j] += penalty[j];
            b[j] += penalty[j] * prior[j];
        }
        let solved = Arch::new().dispatch(Equations {
            l: &mut l,
            b: &mut b,
        });
        solved.then_some(b)
    }
}

/// A symmetric matrix by the rows of its lower triangle, and the right side. Solved with
/// AVX2 or NEON where there is one; the last digit of a sum may differ between two processors.
struct Equations<'e> {
    l: &'e mut [f64],
    b: &'e mut [f64],
}

impl WithSimd for Equations<'_> {
    /// Whether the matrix was positive definite: then `b` holds the solution.
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Self { l, b } = self;
        let k = b.len();
        let mut inverse = vec![0.0; k];
        let mut i = 0;
        while i < k {
            let (done, rest) = l.split_at_mut(i * (i + 1) / 2);
            let (first, rest) = rest.split_at_mut(i + 1);
            // two lines share the loads of four rows
            let mut j = 0;
            if i + 1 < k {
                let second = &mut rest[..i + 2];
                while j + 4 <= i {
                    let rows = four_rows(done, j);
                    let [upper, lower] = eight_dots(simd, [&first[..j], &second[..j]], rows);
                    settle(first, j, upper, rows, &inverse);
                    settle(second, j, lower, rows, &inverse);
                    j += 4;
                }
            }
            // the columns that are left over, and an odd last line, one by one
            for at in i..k.min(i + 2) {
                let (done, rest) = l.split_at_mut(at * (at + 1) / 2);
                let line = &mut rest[..=at];
                for j in j..at {
                    line[j] = (line[j] - dot(simd, &line[..j], row(done, j))) * inverse[j];
                }
                let pivot = line[at] - dot(simd, &line[..at], &line[..at]);
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return false;
                }
                line[at] = pivot.sqrt();
                inverse[at] = line[at].recip();
                // forward substitution rides along
                b[at] = (b[at] - dot(simd, &line[..at], &b[..at])) * inverse[at];
            }
            i += 2;
        }
        for i in (0..k).rev() {
            let base = i * (i + 1) / 2;
            b[i] *= inverse[i];
            let value = b[i];
            for (target, factor) in b[..i].iter_mut().zip(&l[base..base + i]) {
                *target -= factor * value;
            }
        }
        b.iter().all(|value| value.is_finite())
    }
}

/// The `j`-th row of a lower triangle by rows.
#[inline(always)]
fn row(triangle: &[f64], j: usize) -> &[f64] {
    &triangle[j * (j + 1) / 2..=j * (j + 3) / 2]
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

/// Inner products of two lines with as much of four rows: six loads serve eight sums.
#[inline(always)]
fn eight_dots<S: Simd>(simd: S, lines: [&[f64]; 2], rows: [&[f64]; 4]) -> [[f64; 4]; 2] {
    let length = lines[0].len();
    let (x, x_tail) = S::as_simd_f64s(lines[0]);
    let (y, y_tail) = S::as_simd_f64s(&lines[1][..length]);
    let (b0, t0) = S::as_simd_f64s(&rows[0][..length]);
    let (b1, t1) = S::as_simd_f64s(&rows[1][..length]);
    let (b2, t2) = S::as_simd_f64s(&rows[2][..length]);
    let (b3, t3) = S::as_simd_f64s(&rows[3][..length]);
    let (x_tail, y_tail) = (
        simd.partial_load_f64s(x_tail),
        simd.partial_load_f64s(y_tail),
    );
    let (t0, t1) = (simd.partial_load_f64s(t0), simd.partial_load_f64s(t1));
    let (t2, t3) = (simd.partial_load_f64s(t2), simd.partial_load_f64s(t3));
    let mut x0 = simd.mul_f64s(x_tail, t0);
    let mut x1 = simd.mul_f64s(x_tail, t1);
    let mut x2 = simd.mul_f64s(x_tail, t2);
    let mut x3 = simd.mul_f64s(x_tail, t3);
    let mut y0 = simd.mul_f64s(y_tail, t0);
    let mut y1 = simd.mul_f64s(y_tail, t1);
    let mut y2 = simd.mul_f64s(y_tail, t2);
    let mut y3 = simd.mul_f64s(y_tail, t3);
    for (((((x, y), b0), b1), b2), b3) in x.iter().zip(y).zip(b0).zip(b1).zip(b2).zip(b3) {
        x0 = simd.mul_add_e_f64s(*x, *b0, x0);
        y0 = simd.mul_add_e_f64s(*y, *b0, y0);
        x1 = simd.mul_add_e_f64s(*x, *b1, x1);
        y1 = simd.mul_add_e_f64s(*y, *b1, y1);
        x2 = simd.mul_add_e_f64s(*x, *b2, x2);
        y2 = simd.mul_add_e_f64s(*y, *b2, y2);
        x3 = simd.mul_add_e_f64s(*x, *b3, x3);
        y3 = simd.mul_add_e_f64s(*y, *b3, y3);
    }
    [
        [
            simd.reduce_sum_f64s(x0),
            simd.reduce_sum_f64s(x1),
            simd.reduce_sum_f64s(x2),
            simd.reduce_sum_f64s(x3),
        ],
        [
            simd.reduce_sum_f64s(y0),
            simd.reduce_sum_f64s(y1),
            simd.reduce_sum_f64s(y2),
            simd.reduce_sum_f64s(y3),
        ],
    ]
}

/// Rows `j` to `j + 3` of a lower triangle by rows.
#[inline(always)]
fn four_rows(triangle: &[f64], j: usize) -> [&[f64]; 4] {
    [
        row(triangle, j),
        row(triangle, j + 1),
        row(triangle, j + 2),
        row(triangle, j + 3),
    ]
}

/// Columns `j` to `j + 3` of a line, once what stands before them is known.
#[inline(always)]
fn settle(line: &mut [f64], j: usize, sums: [f64; 4], rows: [&[f64]; 4], inverse: &[f64]) {
    for (place, sum) in sums.into_iter().enumerate() {
        let mut left = line[j + place] - sum;
        for column in j..j + place {
            left -= line[column] * rows[place][column];
        }
        line[j + place] = left * inverse[j + place];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(rows: &[(f64, f64)], weight: f64) -> Normal {
        let mut normal = Normal::new(2);
        for &(x, y) in rows {
            normal.add_row(&[0, 1], &[1.0, x], y, weight);
        }
        normal
    }

    #[test]
    fn recovers_a_line_and_falls_back_to_the_prior() {
        let rows: Vec<_> = (0..10)
            .map(|i| (f64::from(i), 3.0 - 0.5 * f64::from(i)))
            .collect();
        let free = line(&rows, 1.0).solve(&[1e-9; 2], &[0.0; 2]).unwrap();
        assert!((free[0] - 3.0).abs() < 1e-6 && (free[1] + 0.5).abs() < 1e-6);
        let bound = line(&rows, 1.0).solve(&[1e9; 2], &[7.0, 8.0]).unwrap();
        assert!((bound[0] - 7.0).abs() < 1e-4 && (bound[1] - 8.0).abs() < 1e-4);
        let empty = Normal::new(2).solve(&[1.0; 2], &[7.0, 8.0]).unwrap();
        assert_eq!(empty, [7.0, 8.0]);
    }

    #[test]
    fn sums_of_decayed_blocks_equal_weighted_rows() {
        let old = [(1.0, 2.0), (2.0, 1.0)];
        let new = [(3.0, 5.0), (4.0, 2.5)];
        let mut sum = line(&old, 1.0);
        sum.decay_and_add(0.25, &line(&new, 1.0));
        let mut direct = line(&old, 0.25);
        direct.decay_and_add(1.0, &line(&new, 1.0));
        assert_eq!(sum.xtx, direct.xtx);
        assert_eq!(sum.xty, direct.xty);
    }

    proptest! {
        #[test]
        fn the_solution_satisfies_the_equations(
            rows in proptest::collection::vec(
                (proptest::collection::vec(-3.0..3.0f64, 23), -10.0..10.0f64), 1..30),
            penalty in proptest::collection::vec(0.01..5.0f64, 23),
            k in 1..=23_u16,
        ) {
            let columns: Vec<u16> = (0..k).collect();
            let k = usize::from(k);
            let penalty = &penalty[..k];
            let mut normal = Normal::new(k);
            for (x, y) in &rows {
                normal.add_row(&columns, &x[..k], *y, 1.0);
            }
            let prior = [0.5; 23];
            let b = normal.solve(penalty, &prior).unwrap();
            for i in 0..k {
                let mut left = penalty[i] * (b[i] - prior[i]);
                for (x, y) in &rows {
                    let fit: f64 = x.iter().zip(&b).map(|(x, b)| x * b).sum();
                    left += x[i] * (fit - y);
                }
                prop_assert!(left.abs() < 1e-7, "gradient {left}");
            }
            // and a processor without vectors finds the same
            let mut l = normal.xtx.clone();
            let mut plain = normal.xty.clone();
            for (j, penalty) in penalty.iter().enumerate() {
                l[j * (j + 1) / 2 + j] += penalty;
                plain[j] += penalty * prior[j];
            }
            let equations = Equations { l: &mut l, b: &mut plain };
            prop_assert!(equations.with_simd(pulp::Scalar::new()));
            for (one, other) in plain.iter().zip(&b) {
                prop_assert!((one - other).abs() < 1e-9, "{one} {other}");
            }
        }
    }
}
