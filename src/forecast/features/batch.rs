//! What several regressions say about many rows, in vectors: issuing the past's forecasts again is
//! mostly this.

#![expect(
    clippy::inline_always,
    reason = "what is dispatched must be compiled with it for each kind of processor"
)]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::rows::Rows;

/// Numbers that the coefficients of one column are filled up to: whole vectors.
const WIDTH: usize = 8;

/// Coefficients of `N` regressions, by column.
#[derive(Debug)]
pub(crate) struct Lines<const N: usize>(Vec<[f64; WIDTH]>);

impl<const N: usize> Lines<N> {
    /// Of the coefficients of each column.
    pub(crate) fn new(coefficients: &[[f64; N]]) -> Self {
        const { assert!(N <= WIDTH) };
        let filled = |column: &[f64; N]| {
            let mut line = [0.0; WIDTH];
            line[..N].copy_from_slice(column);
            line
        };
        Self(coefficients.iter().map(filled).collect())
    }

    /// What every regression says about some rows, in their order.
    pub(crate) fn about(&self, rows: &Rows, places: Range<usize>, said: &mut Vec<[f64; N]>) {
        said.reserve(places.len());
        Arch::new().dispatch(Batch {
            lines: &self.0,
            rows,
            places,
            said,
        });
    }
}

struct Batch<'b, const N: usize> {
    lines: &'b [[f64; WIDTH]],
    rows: &'b Rows,
    places: Range<usize>,
    said: &'b mut Vec<[f64; N]>,
}

impl<const N: usize> WithSimd for Batch<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            lines,
            rows,
            places,
            said,
        } = self;
        for place in places {
            let (columns, values) = rows.row(place);
            // two sums, for a sum waits for itself
            let mut sums = [[0.0; WIDTH]; 2];
            let mut add = |sum: usize, column: u16, value: f64| {
                for (sum, b) in sums[sum].iter_mut().zip(&lines[usize::from(column)]) {
                    *sum += b * value;
                }
            };
            let (columns, last) = columns.as_chunks::<2>();
            let (values, last_value) = values.as_chunks::<2>();
            for (columns, values) in columns.iter().zip(values) {
                add(0, columns[0], values[0]);
                add(1, columns[1], values[1]);
            }
            for (&column, &value) in last.iter().zip(last_value) {
                add(0, column, value);
            }
            said.push(std::array::from_fn(|regression| {
                sums[0][regression] + sums[1][regression]
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_regression_says_of_a_row_what_it_says_of_it_alone(
            rows in proptest::collection::vec(
                proptest::collection::btree_map(0..30_u16, -2.0..2.0f64, 0..12), 1..6),
            coefficients in proptest::collection::vec(proptest::array::uniform5(-3.0..3.0f64), 30),
        ) {
            let mut made = Rows::default();
            for row in &rows {
                made.columns.extend(row.keys());
                made.values.extend(row.values());
                made.ends.push(made.columns.len() as u32);
            }
            let mut said = Vec::new();
            Lines::new(&coefficients).about(&made, 0..rows.len(), &mut said);
            prop_assert_eq!(said.len(), rows.len());
            for (place, said) in said.iter().enumerate() {
                for (regression, said) in said.iter().enumerate() {
                    let own: Vec<f64> = coefficients.iter().map(|b| b[regression]).collect();
                    prop_assert!((said - made.fit(place, &own)).abs() < 1e-9);
                }
            }
        }
    }
}
