//! A row in the making: every column has a cell, and those that fixtures touched are known.

use super::rows::Rows;

/// Columns per mark.
const MARK: usize = u64::BITS as usize;

/// One cell per column.
#[derive(Debug)]
pub(super) struct Scratch {
    cells: Vec<f64>,
    /// First column that speaks of fixtures.
    events: usize,
    /// A bit for every column from there on that was added to.
    marks: Vec<u64>,
    /// Room for a column and its value more than there are.
    row: Vec<(u16, f64)>,
}

impl Scratch {
    /// Of so many columns, from `events` on those that speak of fixtures.
    pub(super) fn new(columns: usize, events: usize) -> Self {
        Self {
            cells: vec![0.0; columns],
            events,
            marks: vec![0; (columns - events).div_ceil(MARK)],
            row: vec![(0, 0.0); columns + 1],
        }
    }

    /// The columns before those that speak of fixtures.
    pub(super) fn calm(&mut self) -> &mut [f64] {
        &mut self.cells[..self.events]
    }

    /// Adds to a column by its place among those that speak of fixtures.
    pub(super) fn add(&mut self, place: usize, value: f64) {
        self.cells[self.events + place] += value;
        self.marks[place / MARK] |= 1 << (place % MARK);
    }

    /// Appends what is not nothing to the columns and values of `rows`, and begins anew.
    pub(super) fn hand_over(&mut self, rows: &mut Rows) {
        let (calm, events) = self.cells.split_at_mut(self.events);
        let mut count = 0;
        let mut keep = |column: usize, value: f64| {
            // written in any case, for hardly any is nothing
            self.row[count] = (column as u16, value);
            count += usize::from(value != 0.0);
        };
        for (column, value) in calm.iter_mut().enumerate() {
            keep(column, std::mem::take(value));
        }
        for (word, marks) in self.marks.iter_mut().enumerate() {
            let mut left = std::mem::take(marks);
            while left != 0 {
                let place = word * MARK + left.trailing_zeros() as usize;
                keep(self.events + place, std::mem::take(&mut events[place]));
                left &= left - 1;
            }
        }
        let row = &self.row[..count];
        rows.columns.extend(row.iter().map(|&(column, _)| column));
        rows.values.extend(row.iter().map(|&(_, value)| value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_handed_over_in_order_and_only_once() {
        let mut scratch = Scratch::new(200, 3);
        let mut rows = Rows::default();
        let mut handed = |scratch: &mut Scratch| {
            rows.columns.clear();
            rows.values.clear();
            scratch.hand_over(&mut rows);
            (rows.columns.clone(), rows.values.clone())
        };
        scratch.calm().copy_from_slice(&[1.0, 0.0, 0.5]);
        for (place, value) in [(196, 2.0), (0, 0.25), (63, 1.0), (64, 3.0), (63, 1.5)] {
            scratch.add(place, value);
        }
        scratch.add(100, 0.0);
        let expected = (
            vec![0, 2, 3, 66, 67, 199],
            vec![1.0, 0.5, 0.25, 2.5, 3.0, 2.0],
        );
        assert_eq!(handed(&mut scratch), expected);
        assert_eq!(handed(&mut scratch), (vec![], vec![]));
    }
}
