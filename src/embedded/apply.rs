//! Server-side apply.
//!
//! Decides what an object looks like after a manager applied its configuration, and which fields
//! it may not take from others. The rules follow the structured merge of Kubernetes with two
//! simplifications: lists of built-in kinds that are keyed are known by field name (see
//! `Resource::list_rule`), and values are compared as JSON without unit conversion (`1` and
//! `1000m` differ). It must not store anything.

use serde_json::Value;

use super::error::{ApiError, Cause};
use super::fields::{FieldSet, ManagedFields, Manager, effective_rule, item_part, path_text};
use super::resources::Resource;
use super::schema::ListRule;

/// The object after `config` was applied to `live` by `manager`, with `managedFields` brought up
/// to date. `live` is `null` when the object does not exist yet.
pub(super) fn apply(
    live: &Value,
    config: &Value,
    manager: &Manager,
    force: bool,
    resource: &Resource,
    time: &str,
) -> Result<Value, ApiError> {
    let mut managed = ManagedFields::of(live);
    let applied = FieldSet::of(config, resource);

    let mut causes = Vec::new();
    let mut contested = FieldSet::default();
    let differing = FieldSet::changed(live, config, resource);
    for (owner, owned) in managed.others(manager) {
        for path in overlap(&differing, owned) {
            causes.push(Cause {
                field: path_text(&path),
                reason: "FieldManagerConflict",
                message: owner.clone(),
            });
        }
    }
    if !causes.is_empty() {
        if !force {
            return Err(ApiError::apply_conflict(&causes));
        }
        contested.add(&differing);
    }

    let mut merged = live.clone();
    merge(&mut merged, config, resource, &mut Vec::new());

    let mut given_up = managed.owned_by(manager);
    given_up.subtract(&applied);
    for path in given_up.paths() {
        let shared = managed
            .others(manager)
            .iter()
            .any(|(_, owned)| owned.covers(&path));
        if !shared && !applied.covers(&path) {
            remove(&mut merged, &path, resource, &mut Vec::new());
        }
    }

    managed.take_from_others(manager, &contested);
    managed.record(manager, applied, time);
    merged["metadata"]["managedFields"] = managed.to_json();
    Ok(merged)
}

/// Paths of `wanted` that `owned` holds, or holds something above or below of.
fn overlap(wanted: &FieldSet, owned: &FieldSet) -> Vec<Vec<String>> {
    wanted
        .paths()
        .into_iter()
        .filter(|path| {
            let mut at = owned;
            for part in path {
                match at.child(part) {
                    Some(child) => at = child,
                    // An owner of the whole (an atomic value) owns every part of it.
                    None => return at.is_member() && at.children().next().is_none(),
                }
            }
            at.is_member() || (!at.is_empty() && !path_is_item(path))
        })
        .collect()
}

/// Naming a list item contests nothing: several managers may hold fields of one item.
fn path_is_item(path: &[String]) -> bool {
    path.last()
        .is_some_and(|part| part.starts_with("k:") || part.starts_with("v:"))
}

fn merge(live: &mut Value, config: &Value, resource: &Resource, at: &mut Vec<String>) {
    match config {
        Value::Object(fields) => {
            if !live.is_object() {
                *live = Value::Object(serde_json::Map::new());
            }
            for (name, field) in fields {
                at.push(format!("f:{name}"));
                merge(&mut live[name.as_str()], field, resource, at);
                at.pop();
            }
        }
        Value::Array(items) => {
            let rule = effective_rule(items, at, resource);
            let Value::Array(present) = live else {
                *live = config.clone();
                return;
            };
            if rule == ListRule::Atomic {
                *live = config.clone();
                return;
            }
            for item in items {
                let part = item_part(item, &rule);
                let twin = present
                    .iter()
                    .position(|candidate| item_part(candidate, &rule) == part);
                match twin {
                    Some(index) => {
                        at.push(part.unwrap_or_default());
                        merge(&mut present[index], item, resource, at);
                        at.pop();
                    }
                    None => present.push(item.clone()),
                }
            }
        }
        scalar => *live = scalar.clone(),
    }
}

/// Removes the value at `path`, and the objects and lists it leaves empty above it.
fn remove(value: &mut Value, path: &[String], resource: &Resource, at: &mut Vec<String>) {
    let Some((part, rest)) = path.split_first() else {
        return;
    };
    if let Some(name) = part.strip_prefix("f:") {
        let Some(map) = value.as_object_mut() else {
            return;
        };
        let mut drop = rest.is_empty();
        if !drop && let Some(child) = map.get_mut(name) {
            at.push(part.clone());
            remove(child, rest, resource, at);
            at.pop();
            drop = child.as_object().is_some_and(serde_json::Map::is_empty)
                || child.as_array().is_some_and(Vec::is_empty);
        }
        if drop {
            map.remove(name);
        }
        return;
    }
    let Some(items) = value.as_array_mut() else {
        return;
    };
    let rule = effective_rule(items, at, resource);
    let Some(index) = items
        .iter()
        .position(|item| item_part(item, &rule).as_ref() == Some(part))
    else {
        return;
    };
    if rest.is_empty() {
        items.remove(index);
    } else {
        at.push(part.clone());
        remove(&mut items[index], rest, resource, at);
        at.pop();
    }
}
