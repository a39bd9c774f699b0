//! Sparse rows of the regression, and which slots they speak of.

/// Sparse rows, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(super) ends: Vec<u32>,
    pub(super) columns: Vec<u16>,
    pub(super) values: Vec<f64>,
    /// True for moments in a slot's event window.
    pub(crate) in_event: Vec<bool>,
    /// True for moments that no slot's response reaches.
    pub(crate) calm: Vec<bool>,
    /// Five minutes of the audience's week.
    pub(crate) week_bin: Vec<u16>,
    pub(super) crowd_ends: Vec<u32>,
    /// Slots that reach a moment, by their place in the list the rows were made for, with their
    /// shares of the crowd there.
    pub(super) crowd: Vec<(u32, f32)>,
}

impl Rows {
    /// Columns (ascending) and values of one row.
    pub(crate) fn row(&self, index: usize) -> (&[u16], &[f64]) {
        let from = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        let to = self.ends[index] as usize;
        (&self.columns[from..to], &self.values[from..to])
    }

    /// What `coefficients` say about one row.
    pub(crate) fn fit(&self, index: usize, coefficients: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns
            .iter()
            .zip(values)
            .map(|(&column, value)| coefficients[usize::from(column)] * value)
            .sum()
    }

    /// Slots that reach a moment, with their shares of its crowd; the shares sum to one.
    pub(crate) fn crowd(&self, index: usize) -> &[(u32, f32)] {
        let from = match index.checked_sub(1) {
            Some(before) => self.crowd_ends[before] as usize,
            None => 0,
        };
        &self.crowd[from..self.crowd_ends[index] as usize]
    }

    /// The slot that draws most of the crowd at a moment.
    pub(crate) fn leading(&self, index: usize) -> Option<usize> {
        let shares = self.crowd(index).iter();
        shares
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|&(slot, _)| slot as usize)
    }

    /// What the columns from `first` on contribute to one row.
    pub(crate) fn fit_from(&self, index: usize, first: usize, b: impl Fn(usize) -> f64) -> f64 {
        let (columns, values) = self.row(index);
        let start = columns.partition_point(|&column| usize::from(column) < first);
        columns[start..]
            .iter()
            .zip(&values[start..])
            .map(|(&column, value)| b(usize::from(column)) * value)
            .sum()
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}
