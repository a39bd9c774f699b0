//! How a fault list of the settings is read: spans of the past not to be learnt as they stand.

use std::fs::File;
use std::path::Path;

use tracing::info;

use super::FaultListSettings;
use super::watched::Source;
use crate::series::faults::Faults;
use crate::series::faults::csv::read_faults;
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

    fn load(&self, _before: Option<&Faults>, _now: Timestamp) -> Result<Faults, String> {
        let name = self.source.display().to_string();
        let file = File::open(&self.source).map_err(|error| {
            format!("{name}: cannot be read: {error}; check the path and its permissions")
        })?;
        let faults = read_faults(file, &name).map_err(|error| error.to_string())?;
        info!(list = self.name, faults = faults.len(), "fault list loaded");
        Ok(faults)
    }
}
