//! From load served, and what is known of the load that was not, to what people wanted. Pure.
//!
//! A service that sheds looks idle, so what is learnt is served plus shed. Where shed load is
//! usually known but not for a while, what was served is the least that was wanted: a fault by
//! [`Cause::Shed`], not a lull. Before it was first measured, or where it is known less often
//! than not, nobody can say more than what was served, and that is learnt as it stands.

use chrono::TimeDelta;

use crate::series::Series;
use crate::series::faults::{Cause, Fault, Faults};
use crate::units::{Rate, Timestamp};

/// Shed load is usually known when it is for at least this share of the load, from when it was
/// first measured.
const USUALLY: f64 = 0.5;

/// What people wanted.
#[derive(Debug)]
pub(super) struct Offered {
    /// Served plus shed, units per second.
    pub(super) load: Series,
    /// Where more may have been wanted.
    pub(super) faults: Faults,
    /// What a person should know of it.
    pub(super) note: Option<String>,
}

/// Adds shed load to load served.
pub(super) fn offered(served: &Series, shed: &Series) -> Offered {
    let mut values = Vec::with_capacity(served.len());
    let mut unknown = Vec::new();
    let (mut first, mut known) = (None, 0_usize);
    for (bin, (at, load)) in served.iter().enumerate() {
        let more = load.and(shed.at(at)).map(Rate::as_per_second);
        let load = load.map_or(f64::NAN, Rate::as_per_second);
        values.push(load + more.unwrap_or(0.0));
        match (more, first) {
            (Some(_), _) => {
                first.get_or_insert(bin);
                known += 1;
            }
            (None, Some(_)) if load.is_finite() => unknown.push(bin),
            (None, _) => {}
        }
    }
    let usually = known as f64 >= USUALLY * (known + unknown.len()) as f64;
    let note = match (first, unknown.len()) {
        (None, _) => Some("shed load was never known: what was served is learnt".to_owned()),
        (Some(_), 0) => None,
        (Some(_), bins) if usually => Some(format!(
            "shed load is unknown for {:.1} h of the history: what was served then is learnt as \
             the least that was wanted",
            hours(served.step(), bins)
        )),
        (Some(_), bins) => Some(format!(
            "shed load is known for {:.1} h and unknown for {:.1} h: where it is unknown, what was \
             served is learnt; if there are no series while nothing is shed, end its query with \
             `or vector(0)`",
            hours(served.step(), known),
            hours(served.step(), bins)
        )),
    };
    let faults = if usually { unknown } else { Vec::new() };
    Offered {
        load: Series::from_raw(served.start(), served.step(), values),
        faults: spans(served, &faults, Cause::Shed),
        note,
    }
}

/// When no more could be carried: where the signal is above zero.
pub(super) fn full(signal: &Series) -> Faults {
    let above = |(_, value): &(Timestamp, Option<Rate>)| value.is_some_and(|v| v > Rate::ZERO);
    let bins: Vec<usize> = (signal.iter().enumerate())
        .filter_map(|(bin, value)| above(&value).then_some(bin))
        .collect();
    spans(signal, &bins, Cause::Saturated)
}

/// Ascending bins as faults, those side by side as one.
fn spans(series: &Series, bins: &[usize], cause: Cause) -> Faults {
    bins.chunk_by(|a, b| a + 1 == *b)
        .filter_map(|run| {
            Some(Fault {
                from: series.time(*run.first()?),
                to: series.time(run.last()? + 1),
                cause,
            })
        })
        .collect()
}

fn hours(step: TimeDelta, bins: usize) -> f64 {
    step.num_milliseconds() as f64 * bins as f64 / 3.6e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    fn series(first: i64, values: &[f64]) -> Series {
        let step = TimeDelta::minutes(5);
        let start = Timestamp::UNIX_EPOCH + TimeDelta::seconds(300 * first);
        Series::from_raw(start, step, values.to_vec())
    }

    fn of(served: &[f64], first: i64, shed: &[f64]) -> (Vec<Option<f64>>, Vec<(i64, i64)>, bool) {
        let Offered { load, faults, note } = offered(&series(0, served), &series(first, shed));
        let load = load.iter().map(|(_, v)| v.map(Rate::as_per_second));
        let bin = |at: Timestamp| at.timestamp() / 300;
        let spans = faults.iter().inspect(|f| assert_eq!(f.cause, Cause::Shed));
        let spans = spans.map(|f| (bin(f.from), bin(f.to))).collect();
        (load.collect(), spans, note.is_some())
    }

    #[test]
    fn shed_load_was_wanted() {
        let (load, faults, noted) = of(&[10.0, 5.0, GAP, 8.0], 0, &[0.0, 7.0, 3.0, 0.0]);
        assert_eq!(load, [Some(10.0), Some(12.0), None, Some(8.0)]);
        assert!(faults.is_empty() && !noted);
    }

    #[test]
    fn before_it_was_measured_load_stands_and_where_it_is_missing_it_is_a_least() {
        let served = [1.0, 2.0, 3.0, GAP, 4.0, 5.0, 6.0, 7.0, 8.0];
        let (load, faults, noted) = of(&served, 2, &[1.0, GAP, 1.0, 1.0, GAP, 1.0]);
        let known = [1.0, 2.0, 4.0, GAP, 5.0, 6.0, 6.0, 8.0, 8.0];
        let known: Vec<_> = known.iter().map(|v| v.is_finite().then_some(*v)).collect();
        assert_eq!(load, known);
        // 2 was before its time, 3 was a gap anyway
        assert_eq!(faults, [(6, 7), (8, 9)]);
        assert!(noted);
    }

    #[test]
    fn full_is_above_zero_and_no_series_is_not() {
        let signal = series(0, &[GAP, 1.0, 1.0, 0.0, GAP, 300.0]);
        let bin = |at: Timestamp| at.timestamp() / 300;
        let full = full(&signal);
        let spans: Vec<_> = full.iter().map(|f| (bin(f.from), bin(f.to))).collect();
        assert_eq!(spans, [(1, 3), (5, 6)]);
        assert!(full.iter().all(|fault| fault.cause == Cause::Saturated));
    }

    #[test]
    fn seldom_known_or_never_is_load_as_it_stands_and_said() {
        let served = [5.0; 8];
        let (load, faults, noted) = of(&served, 0, &[GAP, 2.0, GAP, GAP, GAP, 2.0, GAP, GAP]);
        assert_eq!(load[1], Some(7.0));
        assert_eq!(load[2], Some(5.0));
        assert!(faults.is_empty() && noted);
        let (load, faults, noted) = of(&served, 0, &[]);
        assert_eq!(load, [Some(5.0); 8]);
        assert!(faults.is_empty() && noted);
    }
}
