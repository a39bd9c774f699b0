//! Sparse rows of the regression, and which slots they speak of.

use crate::forecast::response;

/// What a moment is to the fixtures around it; the later, the less is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// In no fixture's window.
    Calm,
    /// In the window of a fixture that has not locked.
    Gathering,
    /// In the window of a fixture that is not near its end.
    Play,
    /// In the window of a fixture that may be over, or is.
    Closing,
}

impl Moment {
    /// A moment of a fixture's window, in this coarse phase of the response.
    pub(super) fn in_phase(phase: Option<usize>) -> Self {
        match phase {
            Some(phase) if phase >= response::FULL_TIME => Self::Closing,
            Some(response::BEFORE) => Self::Gathering,
            _ => Self::Play,
        }
    }
}

/// Sparse rows, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(super) ends: Vec<u32>,
    pub(super) columns: Vec<u16>,
    pub(super) values: Vec<f64>,
    /// What the moments are to the fixtures around them.
    pub(crate) moment: Vec<Moment>,
    /// Response minute of the fixture that draws most among those whose window a moment lies in;
    /// NaN outside every window.
    pub(crate) minute: Vec<f32>,
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
    /// Room for so many rows of so many columns.
    pub(super) fn with_room(rows: usize, columns: usize) -> Self {
        Self {
            ends: Vec::with_capacity(rows),
            columns: Vec::with_capacity(rows * columns),
            values: Vec::with_capacity(rows * columns),
            moment: Vec::with_capacity(rows),
            minute: Vec::with_capacity(rows),
            calm: Vec::with_capacity(rows),
            week_bin: Vec::with_capacity(rows),
            crowd_ends: Vec::with_capacity(rows),
            crowd: Vec::new(),
        }
    }

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

    /// Gives the slots that reach moments other numbers, by those they have.
    pub(crate) fn number_slots(&mut self, numbers: &[u32]) {
        for (slot, _) in &mut self.crowd {
            *slot = numbers[*slot as usize];
        }
    }

    /// Whether a moment lies in an event window.
    pub(crate) fn in_event(&self, index: usize) -> bool {
        self.moment[index] != Moment::Calm
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_full_time_on_a_fixture_may_be_over() {
        let moment = |minute| Moment::in_phase(response::phase(minute));
        for minute in [-59.0, -1.0] {
            assert_eq!(moment(minute), Moment::Gathering, "{minute}");
        }
        for minute in [0.0, 89.0] {
            assert_eq!(moment(minute), Moment::Play, "{minute}");
        }
        for minute in [90.0, 110.0, 160.0, 224.0] {
            assert_eq!(moment(minute), Moment::Closing, "{minute}");
        }
        // of two fixtures the one of which less is known speaks
        assert!(Moment::Closing > Moment::Play && Moment::Play > Moment::Gathering);
        assert!(Moment::Gathering > Moment::Calm);
    }
}
