//! Which version of each calendar is in force.
//!
//! A file that shrank takes nothing away that is not over yet: a pull that lost half its fixtures
//! looks the same as a season that ended. Who means it removes a fixture by its status or its
//! tombstone.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tracing::{error, info, warn};

use super::CalendarSettings;
use super::calendar_file::{CalendarOptions, load_calendar};
use super::reload::fingerprint;
use crate::fixture::{Calendar, Phase};
use crate::serve::metrics::{Metrics, Reloaded};
use crate::units::Timestamp;

/// How far recurring events are expanded into the past, for learning, and into the future, for a
/// controller that runs on without a new version of the file.
const EXPANDED: TimeDelta = TimeDelta::days(730);

/// Every calendar of the settings.
#[derive(Debug, Default)]
pub(super) struct Calendars {
    by_name: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    settings: CalendarSettings,
    seen: u64,
    good: Option<Arc<Calendar>>,
    refused: Option<String>,
}

impl Calendars {
    /// Reads what changed; true when anything did.
    pub(super) fn refresh(
        &mut self,
        wanted: &[CalendarSettings],
        now: Timestamp,
        metrics: &Metrics,
    ) -> bool {
        let before = self.by_name.len();
        self.by_name
            .retain(|name, _| wanted.iter().any(|calendar| calendar.name == *name));
        let mut changed = self.by_name.len() != before;
        for settings in wanted {
            let seen = fingerprint(&settings.source);
            let entry = self.by_name.get(&settings.name);
            if entry.is_some_and(|entry| entry.seen == seen && entry.settings == *settings) {
                continue;
            }
            changed = true;
            // another file under an old name is another calendar: nothing is carried over
            let before = entry
                .filter(|entry| entry.settings.source == settings.source)
                .and_then(|entry| entry.good.clone());
            let entry = load(settings, seen, before, now, metrics);
            self.by_name.insert(settings.name.clone(), entry);
        }
        changed
    }

    /// The calendars that loaded, and why the others have not.
    pub(super) fn in_force(&self) -> (BTreeMap<String, Arc<Calendar>>, BTreeMap<String, String>) {
        let mut calendars = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for (name, entry) in &self.by_name {
            match (&entry.good, &entry.refused) {
                (Some(calendar), _) => drop(calendars.insert(name.clone(), Arc::clone(calendar))),
                (None, reason) => {
                    let reason = reason.clone().unwrap_or_default();
                    missing.insert(name.clone(), reason);
                }
            }
        }
        (calendars, missing)
    }

    /// What a person should repair.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.by_name.iter().filter_map(|(name, entry)| {
            let reason = entry.refused.as_ref()?;
            Some(if entry.good.is_some() {
                format!("calendar {name:?}: {reason} (its last good version stays in force)")
            } else {
                format!("calendar {name:?}: {reason} (policies that name it do without)")
            })
        })
    }
}

fn load(
    settings: &CalendarSettings,
    seen: u64,
    before: Option<Arc<Calendar>>,
    now: Timestamp,
    metrics: &Metrics,
) -> Entry {
    let options = CalendarOptions {
        zone: settings.zone,
        format: settings.format,
        competition: None,
        window: Some((now - EXPANDED, now + EXPANDED)),
    };
    let (good, refused) = match load_calendar(&[&settings.source], &options) {
        Ok((new, warnings)) => {
            for warning in warnings {
                warn!(calendar = settings.name, "{warning}");
            }
            let calendar =
                before.map_or_else(|| new.clone(), |before| carry_over(&before, &new, now));
            metrics.reload(Reloaded::Calendar, true);
            info!(
                calendar = settings.name,
                fixtures = calendar.len(),
                "calendar loaded"
            );
            if calendar.len() > new.len() {
                warn!(
                    calendar = settings.name,
                    kept = calendar.len() - new.len(),
                    "fixtures are gone from the file and not over yet; they stay until they are, \
                     or until the file cancels them"
                );
            }
            (Some(Arc::new(calendar)), None)
        }
        Err(reason) => {
            metrics.reload(Reloaded::Calendar, false);
            error!(calendar = settings.name, %reason, "calendar refused");
            (before, Some(reason.to_string()))
        }
    };
    Entry {
        settings: settings.clone(),
        seen,
        good,
        refused,
    }
}

/// The new version, with what it lost and what is not over yet.
fn carry_over(before: &Calendar, new: &Calendar, now: Timestamp) -> Calendar {
    let mut calendar = new.clone();
    let lost = before
        .iter()
        .filter(|fixture| new.get(&fixture.id).is_none() && fixture.phase_at(now) != Phase::Over)
        .cloned();
    // it can only warn of fixtures that the new version removed on purpose, and those stay removed
    drop(calendar.merge(lost));
    calendar
}
