//! How long each row of a load file lasts, where not all of it has one step.
//!
//! A store that thins out what is old gives rows five minutes apart, and a minute apart where they
//! are young. Such a row tells of all the time to the next one. A hole does not: it is one distance
//! among others, while thinned out rows follow each other evenly for long.

use chrono::TimeDelta;

use crate::units::{HumanDuration, Timestamp};

/// So many equal distances in a row are no chance.
const EVEN: usize = 24;

/// Rows that last longer than the step of their series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coarser {
    /// How many there are.
    pub rows: usize,
    /// How long the longest of them lasts.
    pub longest: TimeDelta,
    /// Start of the first.
    pub from: Timestamp,
    /// End of the last.
    pub to: Timestamp,
    /// Step of the series.
    pub step: TimeDelta,
    /// Whether their values were counts of all the time they last.
    pub counted: bool,
}

impl Coarser {
    /// What a reader of the load must know.
    pub fn note(&self) -> String {
        let time = |at: Timestamp| at.format("%FT%TZ");
        format!(
            "{} rows from {} to {} are up to {} apart, the others {}: each is read as the {} the time \
             it covers, and shorter peaks are not seen there",
            self.rows,
            time(self.from),
            time(self.to),
            HumanDuration(self.longest),
            HumanDuration(self.step),
            if self.counted {
                "count over"
            } else {
                "mean of"
            }
        )
    }
}

/// Rows one after another that last equally long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Index of the first row.
    pub(super) first: usize,
    /// How long each row lasts, milliseconds; `None` where no even distances say so.
    pub(super) length: Option<i64>,
}

/// How long rows last, from their times and values.
pub(super) fn stretches(rows: &[(i64, f64)]) -> Vec<Stretch> {
    let distance = |row: usize| rows[row + 1].0 - rows[row].0;
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut length = None;
    // of the distances since the last known length
    let mut shortest = i64::MAX;
    let mut first = 0;
    while first + 1 < rows.len() {
        let apart = distance(first);
        let mut next = first + 1;
        while next + 1 < rows.len() && distance(next) == apart {
            next += 1;
        }
        shortest = shortest.min(apart);
        if next - first >= EVEN {
            length = Some(apart);
            // what led up to even rows is of their kind
            if let Some(last) = stretches.last_mut()
                && last.length.is_none()
                && apart <= shortest
            {
                last.length = length;
            }
        }
        // a longer distance is a hole; rows that follow sooner are of another kind
        length = length.filter(|&length| length <= apart);
        if length.is_some() {
            shortest = i64::MAX;
        }
        if stretches.last().is_none_or(|last| last.length != length) {
            stretches.push(Stretch { first, length });
        }
        first = next;
    }
    if stretches.is_empty() {
        // one row
        stretches.push(Stretch { first, length });
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows at such distances from each other.
    fn rows(distances: impl IntoIterator<Item = i64>) -> Vec<(i64, f64)> {
        let mut at = 0;
        let mut rows = vec![(at, 1.0)];
        for distance in distances {
            at += distance;
            rows.push((at, 1.0));
        }
        rows
    }

    fn told(distances: impl IntoIterator<Item = i64>) -> Vec<(usize, Option<i64>)> {
        let found = stretches(&rows(distances));
        found.iter().map(|s| (s.first, s.length)).collect()
    }

    #[test]
    fn even_rows_last_to_the_next_and_holes_are_no_rows() {
        let mut distances = [5; 40].to_vec();
        assert_eq!(told(distances.clone()), [(0, Some(5))]);
        // a hole, rows that are not many, another hole
        distances.extend([25, 5, 5, 300]);
        distances.extend([5; 30]);
        assert_eq!(told(distances.clone()), [(0, Some(5))]);
        distances.extend([1; 30]);
        let fine = [(0, Some(5)), (74, Some(1))];
        assert_eq!(told(distances.clone()), fine);
        // holes among fine rows, one of them as long as a coarse row
        distances.extend([5, 1, 1, 5, 5, 1]);
        assert_eq!(told(distances.clone()), fine);
        distances.extend([5; 30]);
        assert_eq!(told(distances)[2..], [(110, Some(5))]);
    }

    #[test]
    fn a_few_rows_or_uneven_ones_say_nothing() {
        for distances in [vec![], vec![5; 23], (1..90).collect()] {
            assert_eq!(told(distances), [(0, None)]);
        }
        let mut leading = vec![5, 5, 25, 10, 5];
        leading.extend([6; 30]);
        assert_eq!(told(leading.clone()), [(0, None), (5, Some(6))]);
        leading.splice(..2, [7, 7]);
        leading.splice(4..5, [12]);
        assert_eq!(told(leading), [(0, Some(6))]);
        let mut broken = vec![5; 40];
        broken.extend([3, 4, 6, 7]);
        assert_eq!(told(broken), [(0, Some(5)), (40, None)]);
    }
}
