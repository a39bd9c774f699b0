//! Which version of each file that the settings name is in force.
//!
//! A file is read again when its content or what the settings say of it changed. A version that is
//! refused leaves the last good one in force and is said aloud once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use tracing::error;

use super::InForce;
use super::reload::fingerprint;
use crate::serve::metrics::{Metrics, Reloaded};
use crate::units::Timestamp;

/// A file that the settings name, and how it is read.
pub(super) trait Source: Clone + PartialEq {
    /// What is in it.
    type Content: Debug + PartialEq;
    /// What metrics and people call it.
    const KIND: Reloaded;

    /// Name that policies use.
    fn name(&self) -> &str;

    /// Where it lies.
    fn file(&self) -> &Path;

    /// Reads it; `before` is the version in force so far, if it was read the same way.
    ///
    /// # Errors
    /// What is wrong with it, where, and what to do.
    fn load(&self, before: Option<&Self::Content>, now: Timestamp)
    -> Result<Self::Content, String>;
}

/// All files of one kind.
#[derive(Debug)]
pub(super) struct Watched<S: Source> {
    by_name: BTreeMap<String, Entry<S>>,
}

#[derive(Debug)]
struct Entry<S: Source> {
    settings: S,
    seen: u64,
    good: Option<Arc<S::Content>>,
    refused: Option<String>,
}

impl<S: Source> Watched<S> {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            by_name: BTreeMap::new(),
        }
    }

    /// Reads what changed; true when anything did.
    pub(super) fn refresh(&mut self, wanted: &[S], now: Timestamp, metrics: &Metrics) -> bool {
        let before = self.by_name.len();
        self.by_name
            .retain(|name, _| wanted.iter().any(|source| source.name() == name));
        let mut changed = self.by_name.len() != before;
        for source in wanted {
            let seen = fingerprint(source.file());
            let entry = self.by_name.get(source.name());
            if entry.is_some_and(|entry| entry.seen == seen && entry.settings == *source) {
                continue;
            }
            // another file under an old name is another one: nothing is carried over
            let before = entry
                .filter(|entry| entry.settings.file() == source.file())
                .and_then(|entry| entry.good.clone());
            // read in another way, as in another zone, it says nothing new: it was misread before
            let comparable = entry.is_some_and(|entry| entry.settings == *source);
            let loaded = source.load(before.as_deref().filter(|_| comparable), now);
            metrics.reload(S::KIND, loaded.is_ok());
            let (good, refused) = match loaded {
                // whoever holds the version before needs to do nothing about the same again
                Ok(new) => match before.filter(|before| **before == new) {
                    Some(same) => (Some(same), None),
                    None => (Some(Arc::new(new)), None),
                },
                Err(reason) => {
                    let stays = if before.is_some() {
                        "; the version before stays in force until a restart"
                    } else {
                        ""
                    };
                    error!(name = source.name(), %reason, "{} refused{stays}", S::KIND.noun());
                    (before, Some(reason))
                }
            };
            let in_force = |content: &Option<Arc<S::Content>>| content.as_ref().map(Arc::as_ptr);
            changed |= entry.is_none_or(|entry| {
                entry.settings != *source
                    || entry.refused != refused
                    || in_force(&entry.good) != in_force(&good)
            });
            let entry = Entry {
                settings: source.clone(),
                seen,
                good,
                refused,
            };
            self.by_name.insert(source.name().to_owned(), entry);
        }
        changed
    }

    /// The files that loaded, and why the others have not.
    pub(super) fn in_force(&self) -> InForce<S::Content> {
        let mut in_force = InForce::default();
        for (name, entry) in &self.by_name {
            match (&entry.good, &entry.refused) {
                (Some(content), refused) => {
                    in_force.insert(name, Arc::clone(content));
                    if let Some(reason) = refused {
                        in_force.refuses(name, reason.clone());
                    }
                }
                (None, reason) => in_force.lacks(name, reason.clone().unwrap_or_default()),
            }
        }
        in_force
    }

    /// What a person should repair.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.by_name.iter().filter_map(|(name, entry)| {
            let reason = entry.refused.as_ref()?;
            let kind = S::KIND.noun();
            Some(if entry.good.is_some() {
                format!("{kind} {name:?}: {reason} (its last good version stays in force)")
            } else {
                format!("{kind} {name:?}: {reason} (policies that name it do without)")
            })
        })
    }
}
