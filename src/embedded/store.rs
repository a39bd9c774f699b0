//! Where objects are, and what happened to them.
//!
//! Decides resource versions, keeps the objects of every resource with a bounded history of
//! changes for watches, and indexes owners for garbage collection. It must not judge objects:
//! whatever is put here is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::error::ApiError;
use super::resources::{Registry, ResourceId};

/// Namespace (empty for cluster-scoped objects) and name.
pub(super) type Key = (String, String);

/// An object of any resource.
pub(super) type ObjectId = (ResourceId, Key);

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    /// The object is new.
    Added,
    /// The object was written again.
    Modified,
    /// The object is gone.
    Deleted,
}

/// One entry of the history.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// Resource version of the change.
    pub version: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// The object after the change; for a deletion its last state.
    pub object: Arc<Value>,
    /// The object before the change.
    pub previous: Option<Arc<Value>>,
}

#[derive(Debug, Default)]
struct Shelf {
    objects: BTreeMap<Key, Arc<Value>>,
    history: VecDeque<Change>,
    /// Version of the newest change that fell out of the history.
    forgotten: u64,
}

/// All state behind the API.
#[derive(Debug)]
pub(super) struct Store {
    /// Known resources.
    pub registry: Registry,
    shelves: BTreeMap<ResourceId, Shelf>,
    version: u64,
    history_limit: usize,
    dependents: HashMap<String, BTreeSet<ObjectId>>,
    uids: HashMap<String, ObjectId>,
    touched: Vec<ObjectId>,
    rng: StdRng,
}

impl Store {
    /// An empty store that keeps `history_limit` changes per resource for watches.
    pub(super) fn new(history_limit: usize, seed: u64) -> Self {
        Self {
            registry: Registry::builtin(),
            shelves: BTreeMap::new(),
            version: 1,
            history_limit: history_limit.max(1),
            dependents: HashMap::new(),
            uids: HashMap::new(),
            touched: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The newest resource version.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// An object, if it exists.
    pub(super) fn get(&self, id: &ResourceId, key: &Key) -> Option<&Arc<Value>> {
        self.shelves.get(id)?.objects.get(key)
    }

    /// Objects of a resource in the order of namespace and name, in one namespace or in all.
    pub(super) fn list<'a>(
        &'a self,
        id: &ResourceId,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from: Key = (namespace.unwrap_or_default().to_owned(), String::new());
        self.shelves
            .get(id)
            .into_iter()
            .flat_map(move |shelf| shelf.objects.range(from.clone()..))
            .take_while(move |(key, _)| namespace.is_none_or(|namespace| key.0 == namespace))
    }

    /// Every object that lives in `namespace`.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<ObjectId> {
        self.shelves
            .iter()
            .flat_map(|(id, shelf)| {
                let from: Key = (namespace.to_owned(), String::new());
                shelf
                    .objects
                    .range(from..)
                    .take_while(|(key, _)| key.0 == namespace)
                    .map(|(key, _)| (id.clone(), key.clone()))
            })
            .collect()
    }

    /// Stores `object` under a new resource version.
    pub(super) fn put(&mut self, id: &ResourceId, key: &Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let shelf = self.shelves.entry(id.clone()).or_default();
        let previous = shelf.objects.insert(key.clone(), Arc::clone(&object));
        let kind = if previous.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        let owners_before = previous.as_deref().map(owner_uids).unwrap_or_default();
        self.remember(id, kind, Arc::clone(&object), previous);
        let whole = (id.clone(), key.clone());
        let owners = owner_uids(&object);
        if owners != owners_before {
            self.forget_owners(&whole, &owners_before);
            for owner in owners {
                self.dependents
                    .entry(owner)
                    .or_default()
                    .insert(whole.clone());
            }
        }
        if let Some(uid) = object["metadata"]["uid"].as_str() {
            self.uids.insert(uid.to_owned(), whole.clone());
        }
        self.touched.push(whole);
        object
    }

    /// Takes an object out; its last state carries the version of the deletion.
    pub(super) fn take(&mut self, id: &ResourceId, key: &Key) -> Option<Arc<Value>> {
        let previous = self.shelves.get_mut(id)?.objects.remove(key)?;
        self.version += 1;
        let mut last = (*previous).clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let last = Arc::new(last);
        let whole = (id.clone(), key.clone());
        self.forget_owners(&whole, &owner_uids(&previous));
        if let Some(uid) = previous["metadata"]["uid"].as_str() {
            self.uids.remove(uid);
        }
        self.remember(id, ChangeKind::Deleted, Arc::clone(&last), Some(previous));
        self.touched.push(whole);
        Some(last)
    }

    fn remember(
        &mut self,
        id: &ResourceId,
        kind: ChangeKind,
        object: Arc<Value>,
        previous: Option<Arc<Value>>,
    ) {
        let version = self.version;
        let shelf = self.shelves.entry(id.clone()).or_default();
        shelf.history.push_back(Change {
            version,
            kind,
            object,
            previous,
        });
        while shelf.history.len() > self.history_limit {
            if let Some(dropped) = shelf.history.pop_front() {
                shelf.forgotten = dropped.version;
            }
        }
    }

    fn forget_owners(&mut self, whole: &ObjectId, owners: &[String]) {
        for owner in owners {
            if let Some(set) = self.dependents.get_mut(owner) {
                set.remove(whole);
                if set.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// Changes of a resource after `version`, oldest first; 410 when the history is too short.
    pub(super) fn changes_since(
        &self,
        id: &ResourceId,
        version: u64,
    ) -> Result<Vec<Change>, ApiError> {
        let Some(shelf) = self.shelves.get(id) else {
            return Ok(Vec::new());
        };
        if version < shelf.forgotten {
            return Err(ApiError::expired(version, shelf.forgotten));
        }
        let start = shelf.history.partition_point(|c| c.version <= version);
        Ok(shelf.history.range(start..).cloned().collect())
    }

    /// Forgets all history, as a compaction does: watches from earlier versions get 410.
    pub(super) fn compact(&mut self) {
        for shelf in self.shelves.values_mut() {
            shelf.history.clear();
            shelf.forgotten = self.version;
        }
    }

    /// Objects that name `uid` as an owner.
    pub(super) fn dependents_of(&self, uid: &str) -> Vec<ObjectId> {
        let found = self.dependents.get(uid);
        found.into_iter().flatten().cloned().collect()
    }

    /// The object with this uid.
    pub(super) fn by_uid(&self, uid: &str) -> Option<&ObjectId> {
        self.uids.get(uid)
    }

    /// Objects written or removed since the last call, in order, for the simulation.
    pub(super) fn take_touched(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.touched)
    }

    /// A new uid in the form of a version 4 UUID, from the seeded generator.
    pub(super) fn new_uid(&mut self) -> String {
        let (high, low): (u64, u64) = (self.rng.random(), self.rng.random());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// `prefix` and five random characters from the alphabet Kubernetes uses.
    pub(super) fn generate_name(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut name = prefix.to_owned();
        for _ in 0..5 {
            name.push(char::from(
                ALPHABET[self.rng.random_range(0..ALPHABET.len())],
            ));
        }
        name
    }
}

fn owner_uids(object: &Value) -> Vec<String> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> ResourceId {
        (String::new(), "pods".to_owned())
    }

    fn key(name: &str) -> Key {
        ("dfs".to_owned(), name.to_owned())
    }

    #[test]
    fn history_ends_where_its_limit_is() {
        let mut store = Store::new(3, 1);
        let start = store.version();
        for name in ["a", "b", "c", "d"] {
            store.put(&pods(), &key(name), json!({"metadata": {"name": name}}));
        }
        let error = store.changes_since(&pods(), start).unwrap_err();
        assert_eq!(error.code.as_u16(), 410);
        let changes = store.changes_since(&pods(), start + 1).unwrap();
        assert_eq!(changes.len(), 3);
        store.compact();
        assert!(store.changes_since(&pods(), store.version() - 1).is_err());
        assert!(store.changes_since(&pods(), store.version()).is_ok());
    }

    #[test]
    fn lists_stay_inside_their_namespace() {
        let mut store = Store::new(10, 1);
        for namespace in ["a", "b", "bb"] {
            let key = (namespace.to_owned(), "x".to_owned());
            store.put(&pods(), &key, json!({"metadata": {}}));
        }
        let found: Vec<_> = store
            .list(&pods(), Some("b"))
            .map(|(key, _)| key.0.clone())
            .collect();
        assert_eq!(found, ["b"]);
        assert_eq!(store.list(&pods(), None).count(), 3);
    }

    #[test]
    fn uids_look_like_uids() {
        let uid = Store::new(1, 7).new_uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(uid.as_bytes()[14], b'4');
    }
}
