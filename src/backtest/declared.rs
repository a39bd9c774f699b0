//! What declared faults leave of a recording: of what people wanted, and of what was offered.
//!
//! A recording of an outage is no demand: a forecast that expected the crowd was not wrong, and an
//! autoscaler that served two per cent of it served nobody.

use crate::series::Series;
use crate::series::faults::{Cause, Faults};

/// The bins in which the recording is what people wanted: those that no fault touches. A lower
/// bound of it judges no forecast either.
pub(super) fn wanted(load: &Series, faults: &Faults) -> Series {
    without(load, faults, |_| true)
}

/// The bins in which at least what was recorded was offered.
pub(super) fn offered(load: &Series, faults: &Faults) -> Series {
    without(load, faults, |cause| !cause.was_offered())
}

/// Every bin that a fault of some causes touches becomes a gap.
fn without(load: &Series, faults: &Faults, left_out: impl Fn(Cause) -> bool) -> Series {
    let step = load.step().num_milliseconds();
    let mut values = load.raw().to_vec();
    for fault in faults.iter().filter(|fault| left_out(fault.cause)) {
        let place = |offset: i64| {
            let bin = usize::try_from(offset.div_euclid(step)).unwrap_or(0);
            bin.min(values.len())
        };
        let from = place((fault.from - load.start()).num_milliseconds());
        let to = place((fault.to - load.start()).num_milliseconds() + step - 1);
        values[from..to.max(from)].fill(f64::NAN);
    }
    Series::from_raw(load.start(), load.step(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::faults::Fault;
    use crate::units::Timestamp;
    use chrono::TimeDelta;

    fn gaps(series: &Series) -> Vec<usize> {
        let bins = 0..series.len();
        bins.filter(|bin| series.get(*bin).is_none()).collect()
    }

    #[test]
    fn every_bin_that_a_fault_touches_is_left_out_and_what_was_offered_stays_offered() {
        let at = |seconds: i64| Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![5.0; 20]);
        let declared = |from, to, cause| Fault {
            from: at(from),
            to: at(to),
            cause,
        };
        let faults = Faults::new(vec![
            declared(-300, 60, Cause::Outage),
            declared(130, 241, Cause::Deploy),
            declared(360, 420, Cause::Logging),
            declared(480, 540, Cause::Saturated),
            declared(600, 660, Cause::Shed),
            declared(720, 780, Cause::Bots),
            declared(1_150, 9_000, Cause::Outage),
            declared(9_000, 9_060, Cause::Outage),
        ]);
        assert_eq!(
            gaps(&wanted(&load, &faults)),
            [0, 2, 3, 4, 6, 8, 10, 12, 19]
        );
        assert_eq!(gaps(&offered(&load, &faults)), [0, 2, 3, 4, 6, 19]);
        assert_eq!(offered(&load, &Faults::NONE), load);
    }
}
