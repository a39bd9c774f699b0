//! The configuration in force, as it is handed to those who act on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Settings;
use crate::fixture::Calendar;
use crate::series::faults::Faults;

/// The last good version of each file of one kind that ever loaded, by the name policies use.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce<T> {
    good: BTreeMap<String, Arc<T>>,
    /// Why a file has never loaded.
    missing: BTreeMap<String, String>,
    /// Why the version of a file that lies there is not the one in force.
    refused: BTreeMap<String, String>,
}

impl<T> Default for InForce<T> {
    fn default() -> Self {
        Self {
            good: BTreeMap::new(),
            missing: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }
}

impl<T> InForce<T> {
    /// What is in force under a name.
    pub fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.good.get(name)
    }

    /// Puts a version in force.
    pub fn insert(&mut self, name: &str, content: Arc<T>) {
        self.missing.remove(name);
        self.good.insert(name.to_owned(), content);
    }

    /// Why what is in force under a name is not what its file says, when it is not.
    pub fn refused(&self, name: &str) -> Option<&str> {
        self.refused.get(name).map(String::as_str)
    }

    /// Notes why the version in force under a name is not the newest.
    pub(crate) fn refuses(&mut self, name: &str, reason: String) {
        self.refused.insert(name.to_owned(), reason);
    }

    /// Takes out of force what was under a name.
    pub fn remove(&mut self, name: &str) {
        self.good.remove(name);
    }

    /// Notes why there is nothing under a name.
    pub(super) fn lacks(&mut self, name: &str, reason: String) {
        self.missing.insert(name.to_owned(), reason);
    }

    /// True when nothing is in force.
    pub fn is_empty(&self) -> bool {
        self.good.is_empty()
    }

    /// What is in force under a name, or why nothing is: `field` of the settings should hold a
    /// `noun` of that name.
    fn named<'n>(
        &self,
        name: &str,
        noun: &str,
        field: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> Result<&Arc<T>, String> {
        if let Some(content) = self.get(name) {
            return Ok(content);
        }
        Err(match self.missing.get(name) {
            Some(reason) => format!("{noun} {name:?} has not loaded: {reason}"),
            None => format!(
                "{noun} {name:?} is not in the controller's settings, which have [{}]: add it \
                 under {field}, or correct the name",
                known.collect::<Vec<_>>().join(", ")
            ),
        })
    }
}

/// The configuration in force, with what is wrong about newer versions of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The last good settings.
    pub settings: Settings,
    /// Fixture lists.
    pub calendars: InForce<Calendar>,
    /// Fault lists.
    pub faults: InForce<Faults>,
    /// What a person should repair; empty when the files are in force as they are.
    pub problems: Vec<String>,
}

impl Live {
    /// A configuration that comes from no file and never changes, without any list.
    pub fn fixed(settings: Settings) -> Self {
        Self {
            settings,
            calendars: InForce::default(),
            faults: InForce::default(),
            problems: Vec::new(),
        }
    }

    /// The calendar a policy names.
    ///
    /// # Errors
    /// Why there is none, for the policy's status.
    pub fn calendar(&self, name: &str) -> Result<&Arc<Calendar>, String> {
        let known = self
            .settings
            .calendars
            .iter()
            .map(|list| list.name.as_str());
        self.calendars.named(name, "calendar", "calendars", known)
    }

    /// The fault list a policy names.
    ///
    /// # Errors
    /// Why there is none, for the policy's status.
    pub fn fault_list(&self, name: &str) -> Result<&Arc<Faults>, String> {
        let known = self.settings.faults.iter().map(|list| list.name.as_str());
        self.faults.named(name, "fault list", "faults", known)
    }
}
