//! Sets of field paths and `metadata.managedFields`.
//!
//! Decides which manager is recorded as the owner of which field after a write, in the format a
//! real API server stores. It must not decide whether a write is allowed (see `apply`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::resources::Resource;
use super::schema::ListRule;

/// A set of paths into an object, as a tree in the notation of `FieldsV1`: `f:name` is a field,
/// `k:{..}` a list item found by key, `v:..` an item of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// The path that ends here is a member.
    member: bool,
    children: BTreeMap<String, FieldSet>,
}

/// Fields of `metadata` that the server owns; no manager ever does.
const SERVER_OWNED: [&str; 10] = [
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
];

impl FieldSet {
    /// Every leaf of `object` that a manager can own.
    pub(super) fn of(object: &Value, resource: &Resource) -> Self {
        let mut set = Self::default();
        collect(object, resource, &mut Vec::new(), &mut set);
        set.without_server_owned()
    }

    /// The leaves of `new` that `old` has not or has with another value.
    pub(super) fn changed(old: &Value, new: &Value, resource: &Resource) -> Self {
        let mut set = Self::default();
        collect_changed(old, new, resource, &mut Vec::new(), &mut set);
        set.without_server_owned()
    }

    fn without_server_owned(mut self) -> Self {
        self.children.remove("f:apiVersion");
        self.children.remove("f:kind");
        if let Some(metadata) = self.children.get_mut("f:metadata") {
            for name in SERVER_OWNED {
                metadata.children.remove(&format!("f:{name}"));
            }
            if metadata.is_empty() {
                self.children.remove("f:metadata");
            }
        }
        self
    }

    /// True when nothing is in the set.
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (name, child) in &other.children {
            self.children.entry(name.clone()).or_default().add(child);
        }
    }

    /// Takes out all of `other`. Whoever loses an atomic value loses what he held below it too.
    pub(super) fn subtract(&mut self, other: &Self) {
        if other.member {
            self.member = false;
            if other.children.is_empty() {
                self.children.clear();
            }
        }
        for (name, theirs) in &other.children {
            if let Some(ours) = self.children.get_mut(name) {
                ours.subtract(theirs);
                if ours.is_empty() {
                    self.children.remove(name);
                }
            }
        }
    }

    /// The child that `part` leads to.
    pub(super) fn child(&self, part: &str) -> Option<&Self> {
        self.children.get(part)
    }

    /// The parts that lead further down.
    pub(super) fn children(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.children.iter()
    }

    /// True when the path itself is in the set.
    pub(super) fn is_member(&self) -> bool {
        self.member
    }

    /// Every path of the set.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        self.walk(&mut Vec::new(), &mut found);
        found
    }

    fn walk(&self, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        if self.member {
            found.push(at.clone());
        }
        for (name, child) in &self.children {
            at.push(name.clone());
            child.walk(at, found);
            at.pop();
        }
    }

    /// True when `path` or anything below it is in the set.
    pub(super) fn covers(&self, path: &[String]) -> bool {
        let mut at = self;
        for part in path {
            match at.children.get(part) {
                Some(child) => at = child,
                None => return false,
            }
        }
        !at.is_empty()
    }

    fn insert(&mut self, path: &[String]) {
        let mut at = self;
        for part in path {
            at = at.children.entry(part.clone()).or_default();
        }
        at.member = true;
    }

    /// The stored form.
    pub(super) fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), json!({}));
        }
        for (name, child) in &self.children {
            map.insert(name.clone(), child.to_json());
        }
        Value::Object(map)
    }

    /// Reads the stored form.
    pub(super) fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        let map = value.as_object();
        for (name, child) in map.into_iter().flatten() {
            if name == "." {
                set.member = true;
            } else {
                set.children.insert(name.clone(), Self::from_json(child));
            }
        }
        if map.is_some_and(Map::is_empty) {
            set.member = true;
        }
        set
    }
}

/// A path as an error message writes it: `.spec.containers[name="app"].image`.
pub(super) fn path_text(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if let Some(name) = part.strip_prefix("f:") {
            let _ = write!(text, ".{name}");
        } else if let Some(key) = part.strip_prefix("k:") {
            let key: Value = serde_json::from_str(key).unwrap_or_default();
            let pairs: Vec<String> = key
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let _ = write!(text, "[{}]", pairs.join(","));
        } else if let Some(value) = part.strip_prefix("v:") {
            let _ = write!(text, "[={value}]");
        }
    }
    text
}

/// The part that names `item` in a list under `rule`; `None` for atomic lists and for items that
/// lack the key.
pub(super) fn item_part(item: &Value, rule: &ListRule) -> Option<String> {
    match rule {
        ListRule::Atomic => None,
        ListRule::Set => Some(format!("v:{item}")),
        ListRule::Map(keys) => {
            let mut key = BTreeMap::new();
            for name in keys {
                match item.get(name) {
                    Some(value) => key.insert(name.as_str(), value.clone()),
                    // The one defaulted key in common use: a port is TCP unless it says otherwise.
                    None if name == "protocol" => key.insert(name.as_str(), json!("TCP")),
                    None => return None,
                };
            }
            serde_json::to_string(&key)
                .ok()
                .map(|key| format!("k:{key}"))
        }
    }
}

/// Field names of a path of parts, with `[]` for list items: what list rules are looked up by.
pub(super) fn schema_path(parts: &[String]) -> Vec<String> {
    parts
        .iter()
        .map(|part| part.strip_prefix("f:").unwrap_or("[]").to_owned())
        .collect()
}

/// The rule of the list at `parts`; atomic when an item cannot be named by it.
pub(super) fn effective_rule(items: &[Value], parts: &[String], resource: &Resource) -> ListRule {
    let rule = resource.list_rule(&schema_path(parts));
    if items.iter().all(|item| item_part(item, &rule).is_some()) {
        rule
    } else {
        ListRule::Atomic
    }
}

fn collect(value: &Value, resource: &Resource, at: &mut Vec<String>, set: &mut FieldSet) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, child) in map {
                at.push(format!("f:{name}"));
                collect(child, resource, at, set);
                at.pop();
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let rule = effective_rule(items, at, resource);
            if rule == ListRule::Atomic {
                set.insert(at);
                return;
            }
            for item in items {
                if let Some(part) = item_part(item, &rule) {
                    at.push(part);
                    set.insert(at);
                    if item.is_object() {
                        collect(item, resource, at, set);
                    }
                    at.pop();
                }
            }
        }
        _ if !at.is_empty() => set.insert(at),
        _ => {}
    }
}

fn collect_changed(
    old: &Value,
    new: &Value,
    resource: &Resource,
    at: &mut Vec<String>,
    set: &mut FieldSet,
) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if !after.is_empty() => {
            for (name, child) in after {
                at.push(format!("f:{name}"));
                match before.get(name) {
                    Some(previous) => collect_changed(previous, child, resource, at, set),
                    None => collect(child, resource, at, set),
                }
                at.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) if !after.is_empty() => {
            let rule = effective_rule(after, at, resource);
            if rule == ListRule::Atomic {
                set.insert(at);
                return;
            }
            for item in after {
                let part = item_part(item, &rule);
                let previous = before
                    .iter()
                    .find(|candidate| item_part(candidate, &rule) == part);
                let Some(part) = part else { continue };
                at.push(part);
                if let Some(previous) = previous {
                    collect_changed(previous, item, resource, at, set);
                } else {
                    set.insert(at);
                    if item.is_object() {
                        collect(item, resource, at, set);
                    }
                }
                at.pop();
            }
        }
        _ => collect(new, resource, at, set),
    }
}

/// Who writes: one line of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manager {
    /// The field manager's name.
    pub name: String,
    /// Server-side apply, or any other write.
    pub applies: bool,
    /// `apiVersion` of what was written.
    pub api_version: String,
    /// Subresource written through.
    pub subresource: Option<String>,
}

impl Manager {
    fn is(&self, entry: &Value) -> bool {
        entry["manager"] == self.name.as_str()
            && entry["operation"] == self.operation()
            && entry["subresource"].as_str() == self.subresource.as_deref()
            && (self.applies || entry["apiVersion"] == self.api_version.as_str())
    }

    fn operation(&self) -> &'static str {
        if self.applies { "Apply" } else { "Update" }
    }
}

/// All owners recorded on an object.
#[derive(Debug, Clone, Default)]
pub(super) struct ManagedFields(Vec<(Value, FieldSet)>);

impl ManagedFields {
    /// Reads `metadata.managedFields`.
    pub(super) fn of(object: &Value) -> Self {
        let entries = object["metadata"]["managedFields"].as_array();
        Self(
            entries
                .into_iter()
                .flatten()
                .map(|entry| (entry.clone(), FieldSet::from_json(&entry["fieldsV1"])))
                .collect(),
        )
    }

    /// What `manager` owns.
    pub(super) fn owned_by(&self, manager: &Manager) -> FieldSet {
        self.0
            .iter()
            .find(|(entry, _)| manager.is(entry))
            .map(|(_, set)| set.clone())
            .unwrap_or_default()
    }

    /// Everybody but `manager`, with a description for error messages.
    pub(super) fn others(&self, manager: &Manager) -> Vec<(String, &FieldSet)> {
        self.0
            .iter()
            .filter(|(entry, _)| !manager.is(entry))
            .map(|(entry, set)| {
                let mut text = format!("conflict with {}", entry["manager"]);
                if let Some(subresource) = entry["subresource"].as_str() {
                    let _ = write!(text, " with subresource {subresource:?}");
                }
                let api_version = entry["apiVersion"].as_str().unwrap_or_default();
                let _ = write!(text, " using {api_version}");
                (text, set)
            })
            .collect()
    }

    /// Takes `lost` from everybody but `manager`.
    pub(super) fn take_from_others(&mut self, manager: &Manager, lost: &FieldSet) {
        for (entry, set) in &mut self.0 {
            if !manager.is(entry) {
                set.subtract(lost);
            }
        }
        self.0.retain(|(_, set)| !set.is_empty());
    }

    /// Records that `manager` owns exactly `set` since `time` (unless it owned just that before).
    pub(super) fn record(&mut self, manager: &Manager, set: FieldSet, time: &str) {
        let position = self.0.iter().position(|(entry, _)| manager.is(entry));
        if let Some(at) = position {
            if self.0[at].1 == set {
                return;
            }
            self.0.remove(at);
        }
        if set.is_empty() {
            return;
        }
        let mut entry = json!({
            "manager": manager.name,
            "operation": manager.operation(),
            "apiVersion": manager.api_version,
            "time": time,
            "fieldsType": "FieldsV1",
        });
        if let Some(subresource) = &manager.subresource {
            entry["subresource"] = json!(subresource);
        }
        self.0.push((entry, set));
    }

    /// Records a write that is not an apply: what changed belongs to the writer now, what went is
    /// nobody's.
    pub(super) fn record_update(
        &mut self,
        manager: &Manager,
        old: &Value,
        new: &Value,
        resource: &Resource,
        time: &str,
    ) {
        let changed = FieldSet::changed(old, new, resource);
        let mut gone = FieldSet::of(old, resource);
        gone.subtract(&FieldSet::of(new, resource));
        if changed.is_empty() && gone.is_empty() {
            return;
        }
        let mut lost = changed.clone();
        lost.add(&gone);
        self.take_from_others(manager, &lost);
        let mut mine = self.owned_by(manager);
        mine.subtract(&gone);
        mine.add(&changed);
        self.record(manager, mine, time);
    }

    /// The list to store in `metadata.managedFields`.
    pub(super) fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(entry, set)| {
                let mut entry = entry.clone();
                entry["fieldsV1"] = set.to_json();
                entry
            })
            .collect()
    }
}
