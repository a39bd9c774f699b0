//! How a calendar of the settings is read.
//!
//! A file that shrank takes nothing away that is not over yet: a pull that lost half its fixtures
//! looks the same as a season that ended. Who means it removes a fixture by its status or its
//! tombstone. What a file says otherwise than when it was last read is news of that moment.

use std::path::Path;

use chrono::TimeDelta;
use tracing::{info, warn};

use super::CalendarSettings;
use super::calendar_file::{CalendarOptions, load_calendar};
use super::watched::Source;
use crate::fixture::Calendar;
use crate::fixture::import::Declared;
use crate::fixture::validate::validate;
use crate::serve::metrics::Reloaded;
use crate::units::Timestamp;

/// How far recurring events are expanded into the past, for learning, and into the future, for a
/// controller that runs on without a new version of the file.
const EXPANDED: TimeDelta = TimeDelta::days(730);

/// What is doubtful about a calendar is logged one by one, so much of it.
const DOUBTS_TOLD: usize = 10;

impl Source for CalendarSettings {
    type Content = Calendar;
    const KIND: Reloaded = Reloaded::Calendar;

    fn name(&self) -> &str {
        &self.name
    }

    fn file(&self) -> &Path {
        &self.source
    }

    fn load(&self, before: Option<&Calendar>, now: Timestamp) -> Result<Calendar, String> {
        let options = CalendarOptions {
            zone: self.zone,
            format: self.format,
            competition: None,
            window: Some((now - EXPANDED, now + EXPANDED)),
            declared: Declared::ZoneField,
        };
        let (new, warnings) =
            load_calendar(&[&self.source], &options).map_err(|reason| reason.to_string())?;
        for warning in warnings {
            warn!(calendar = self.name, "{warning}");
        }
        let doubts = validate(new.iter(), None);
        for doubt in doubts.iter().take(DOUBTS_TOLD) {
            warn!(calendar = self.name, "{doubt}");
        }
        if doubts.len() > DOUBTS_TOLD {
            let more = doubts.len() - DOUBTS_TOLD;
            warn!(
                calendar = self.name,
                more, "see tipoff fixtures check for the others"
            );
        }
        let Some(before) = before else {
            info!(
                calendar = self.name,
                fixtures = new.len(),
                "calendar loaded"
            );
            return Ok(new);
        };
        let read = before.reread(new, now, EXPANDED);
        info!(
            calendar = self.name,
            fixtures = read.calendar.len(),
            changed = read.changed,
            dropped = read.dropped,
            "calendar loaded again; what changed counts as known from now on"
        );
        if read.kept > 0 {
            warn!(
                calendar = self.name,
                kept = read.kept,
                "fixtures are gone from the file and not over yet; they stay until they are, or \
                 until the file cancels them"
            );
        }
        Ok(read.calendar)
    }
}
