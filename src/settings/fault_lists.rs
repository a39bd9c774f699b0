//! How a fault list of the settings is read: spans of the past not to be learnt as they stand.

use std::fs::File;
use std::path::Path;

use tracing::{info, warn};

use super::FaultListSettings;
use super::watched::Source;
use crate::series::faults::csv::read_faults;
use crate::series::faults::{Fault, Faults};
use crate::serve::metrics::Reloaded;
use crate::units::Timestamp;

impl Source for FaultListSettings {
    type Content = Faults;
    const KIND: Reloaded = Reloaded::FaultList;

    fn name(&self) -> &str {
        &self.name
    }

    fn file(&self) -> &Path {
        &self.source
    }

    fn load(&self, before: Option<&Faults>, _now: Timestamp) -> Result<Faults, String> {
        let name = self.source.display().to_string();
        let file = File::open(&self.source).map_err(|error| {
            format!("{name}: cannot be read: {error}; check the path and its permissions")
        })?;
        let faults = read_faults(file, &name).map_err(|error| error.to_string())?;
        info!(list = self.name, faults = faults.len(), "fault list loaded");
        let gone = before.map_or(0, |before| faults_gone(before, &faults));
        if gone > 0 {
            warn!(
                list = self.name,
                gone,
                "faults are gone from the list: their spans are learnt as they stand from now on; \
                 put them back unless they were declared by mistake"
            );
        }
        Ok(faults)
    }
}

/// How many spans were declared before and are not, or not wholly, now.
fn faults_gone(before: &Faults, now: &Faults) -> usize {
    let declared = |old: &Fault| {
        now.iter()
            .any(|new| new.from <= old.from && old.to <= new.to)
    };
    before.iter().filter(|old| !declared(old)).count()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::series::faults::Cause;

    #[test]
    fn a_span_that_is_declared_no_more_is_gone_and_one_that_grew_is_not() {
        let hour = |hours| Timestamp::UNIX_EPOCH + TimeDelta::hours(hours);
        let list = |spans: &[(i64, i64)]| {
            let fault = |&(from, to): &(i64, i64)| Fault {
                from: hour(from),
                to: hour(to),
                cause: Cause::Outage,
            };
            Faults::new(spans.iter().map(fault).collect())
        };
        let before = list(&[(1, 2), (5, 7), (10, 12)]);
        for (now, gone) in [
            (list(&[(1, 2), (5, 7), (10, 12), (20, 21)]), 0),
            (list(&[(0, 3), (5, 7), (10, 12)]), 0),
            (list(&[(1, 2), (10, 11)]), 2),
            (Faults::NONE, 3),
        ] {
            assert_eq!(faults_gone(&before, &now), gone, "{now:?}");
        }
    }
}
