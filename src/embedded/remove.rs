//! Deleting objects.
//!
//! Decides whether an object goes at once or is only marked (finalizers, grace of pods), and what
//! goes with it: dependents of an owner, contents of a namespace, objects of a custom kind. It
//! works inside one write, where a real cluster's garbage collector follows some seconds later.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::definitions;
use super::error::ApiError;
use super::resources::ResourceId;
use super::store::{Key, ObjectId, Store};
use super::write::{Target, check_preconditions, seconds};
use crate::units::Timestamp;

const FOREGROUND: &str = "foregroundDeletion";

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay and lose the owner.
    Orphan,
}

/// `metav1.DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub(super) struct DeleteOptions {
    /// What happens to dependents.
    pub propagation: Propagation,
    /// `uid` and `resourceVersion` the object must have.
    pub preconditions: Value,
    /// Seconds a pod may take; zero removes it at once.
    pub grace_seconds: Option<i64>,
    /// Answer only.
    pub dry_run: bool,
}

/// What became of a deleted object.
#[derive(Debug, Clone)]
pub(super) enum Removal {
    /// It is gone; this was its last state.
    Gone(Arc<Value>),
    /// It waits for finalizers, for its dependents or for its grace to end.
    Marked(Arc<Value>),
}

impl Store {
    /// Deletes one object.
    pub(super) fn delete(
        &mut self,
        target: &Target,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Removal, ApiError> {
        let live = self.find(target)?;
        check_preconditions(target, &live, &options.preconditions)?;
        if options.dry_run {
            return Ok(Removal::Gone(live));
        }
        let id = target.resource.storage_id();
        Ok(self.remove(&id, &target.key, options, now))
    }

    /// Deletes an object that exists.
    pub(super) fn remove(
        &mut self,
        id: &ResourceId,
        key: &Key,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Removal {
        let Some(live) = self.get(id, key).cloned() else {
            return Removal::Gone(Arc::new(Value::Null));
        };
        let uid = live["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mut object = (*live).clone();
        let mut finalizers: Vec<Value> = live["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let dependents = self.dependents_of(&uid);
        match options.propagation {
            Propagation::Orphan => {
                for dependent in &dependents {
                    self.disown(dependent, &uid);
                }
            }
            Propagation::Foreground if !dependents.is_empty() => {
                finalizers.push(json!(FOREGROUND));
            }
            _ => {}
        }
        let contents = self.contents(id, key, &live);
        if !contents.is_empty() {
            finalizers.push(json!(contents_finalizer(id)));
        }
        finalizers.dedup();

        let mut grace = 0;
        if is_pod(id) && live["spec"]["nodeName"].is_string() && live["status"]["phase"] != "Failed"
        {
            grace = options
                .grace_seconds
                .or_else(|| live["spec"]["terminationGracePeriodSeconds"].as_i64())
                .unwrap_or(30);
        }
        if finalizers.is_empty() && grace == 0 {
            return Removal::Gone(self.erase(id, key, now).unwrap_or(live));
        }
        let metadata = &mut object["metadata"];
        let fresh = !metadata["deletionTimestamp"].is_string();
        if fresh {
            metadata["deletionTimestamp"] = json!(seconds(now + TimeDelta::seconds(grace)));
            if let Some(generation) = metadata["generation"].as_i64() {
                metadata["generation"] = json!(generation + 1);
            }
        }
        metadata["deletionGracePeriodSeconds"] = json!(grace);
        if !finalizers.is_empty() {
            metadata["finalizers"] = json!(finalizers);
        }
        if *id == (String::new(), "namespaces".to_owned()) {
            object["status"]["phase"] = json!("Terminating");
        }
        let marked = if object == *live {
            live
        } else {
            self.put(id, key, object)
        };
        if options.propagation == Propagation::Foreground {
            for (dependent_id, dependent) in dependents {
                self.remove(&dependent_id, &dependent, options, now);
            }
        }
        for (content_id, content) in contents {
            self.remove(&content_id, &content, &DeleteOptions::default(), now);
        }
        if self.get(id, key).is_some() {
            Removal::Marked(marked)
        } else {
            Removal::Gone(marked)
        }
    }

    /// Takes an object out of the store and lets the consequences follow.
    pub(super) fn erase(
        &mut self,
        id: &ResourceId,
        key: &Key,
        now: Timestamp,
    ) -> Option<Arc<Value>> {
        let last = self.take(id, key)?;
        let uid = last["metadata"]["uid"].as_str().unwrap_or_default();
        for (dependent_id, dependent) in self.dependents_of(uid) {
            let Some(object) = self.get(&dependent_id, &dependent).cloned() else {
                continue;
            };
            let owned_still = object["metadata"]["ownerReferences"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|owner| owner["uid"].as_str())
                .any(|owner| self.by_uid(owner).is_some());
            if owned_still {
                self.disown(&(dependent_id, dependent), uid);
            } else {
                self.remove(&dependent_id, &dependent, &DeleteOptions::default(), now);
            }
        }
        for owner in last["metadata"]["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let owner = owner["uid"].as_str().unwrap_or_default();
            if self.dependents_of(owner).is_empty() {
                self.lift_finalizer(owner, FOREGROUND, now);
            }
        }
        self.after_contents_left(id, key, now);
        if *id == definitions::resource_id() {
            self.registry.unregister(&definitions::declared(&last));
        }
        Some(last)
    }

    /// What must go before a namespace or a definition may.
    fn contents(&self, id: &ResourceId, key: &Key, object: &Value) -> Vec<ObjectId> {
        if *id == (String::new(), "namespaces".to_owned()) {
            return self.in_namespace(&key.1);
        }
        if *id == definitions::resource_id() {
            let declared = definitions::declared(object);
            return self
                .list(&declared, None)
                .map(|(key, _)| (declared.clone(), key.clone()))
                .collect();
        }
        Vec::new()
    }

    /// Lets a namespace or definition go that waited for its last object.
    fn after_contents_left(&mut self, id: &ResourceId, key: &Key, now: Timestamp) {
        let namespaces: ResourceId = (String::new(), "namespaces".to_owned());
        if !key.0.is_empty() {
            let namespace = self.get(&namespaces, &(String::new(), key.0.clone()));
            if let Some(namespace) = namespace
                && namespace["metadata"]["deletionTimestamp"].is_string()
                && self.in_namespace(&key.0).is_empty()
            {
                let uid = namespace["metadata"]["uid"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                self.lift_finalizer(&uid, contents_finalizer(&namespaces), now);
            }
        }
        if id.0.contains('.') && self.list(id, None).next().is_none() {
            let definition: Key = (String::new(), format!("{}.{}", id.1, id.0));
            let found = self.get(&definitions::resource_id(), &definition);
            if let Some(uid) = found.and_then(|object| object["metadata"]["uid"].as_str()) {
                let uid = uid.to_owned();
                self.lift_finalizer(&uid, definitions::CLEANUP_FINALIZER, now);
            }
        }
    }

    /// Removes a finalizer of the server's own from an object that is being deleted.
    fn lift_finalizer(&mut self, uid: &str, finalizer: &str, now: Timestamp) {
        let Some((id, key)) = self.by_uid(uid).cloned() else {
            return;
        };
        let Some(live) = self.get(&id, &key).cloned() else {
            return;
        };
        let Some(present) = live["metadata"]["finalizers"].as_array() else {
            return;
        };
        let left: Vec<Value> = present
            .iter()
            .filter(|f| *f != finalizer)
            .cloned()
            .collect();
        if left.len() == present.len() || !live["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        if left.is_empty() {
            self.erase(&id, &key, now);
            return;
        }
        let mut object = (*live).clone();
        object["metadata"]["finalizers"] = json!(left);
        self.put(&id, &key, object);
    }

    fn disown(&mut self, (id, key): &ObjectId, owner: &str) {
        let Some(live) = self.get(id, key).cloned() else {
            return;
        };
        let mut object = (*live).clone();
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|reference| reference["uid"] != owner);
        }
        self.put(id, key, object);
    }
}

fn is_pod(id: &ResourceId) -> bool {
    id.0.is_empty() && id.1 == "pods"
}

fn contents_finalizer(id: &ResourceId) -> &'static str {
    if id.1 == "namespaces" {
        "kubernetes"
    } else {
        definitions::CLEANUP_FINALIZER
    }
}
