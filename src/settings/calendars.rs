//! How a calendar of the settings is read.
//!
//! A file that shrank takes nothing away that is not over yet: a pull that lost half its fixtures
//! looks the same as a season that ended. Who means it removes a fixture by its status or its
//! tombstone.

use std::path::Path;

use chrono::TimeDelta;
use tracing::{info, warn};

use super::CalendarSettings;
use super::calendar_file::{CalendarOptions, load_calendar};
use super::watched::Source;
use crate::fixture::import::Declared;
use crate::fixture::{Calendar, Phase};
use crate::serve::metrics::Reloaded;
use crate::units::Timestamp;

/// How far recurring events are expanded into the past, for learning, and into the future, for a
/// controller that runs on without a new version of the file.
const EXPANDED: TimeDelta = TimeDelta::days(730);

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
        let calendar = before.map_or_else(|| new.clone(), |before| carry_over(before, &new, now));
        info!(
            calendar = self.name,
            fixtures = calendar.len(),
            "calendar loaded"
        );
        if calendar.len() > new.len() {
            warn!(
                calendar = self.name,
                kept = calendar.len() - new.len(),
                "fixtures are gone from the file and not over yet; they stay until they are, or \
                 until the file cancels them"
            );
        }
        Ok(calendar)
    }
}

/// The new version, with what it lost and what is not over yet.
fn carry_over(before: &Calendar, new: &Calendar, now: Timestamp) -> Calendar {
    let mut calendar = new.clone();
    let lost = before
        .iter()
        .filter(|fixture| {
            new.versions(&fixture.id).is_empty() && fixture.phase_at(now) != Phase::Over
        })
        .cloned();
    // it can only warn of fixtures that the new version removed on purpose, and those stay removed
    drop(calendar.merge(lost));
    calendar
}
