//! Patches: merge (RFC 7386), JSON (RFC 6902) and strategic merge.
//!
//! Decides what an object looks like after a patch. Strategic merge knows keyed lists by the same
//! table as server-side apply, and the directives `$patch: delete`, `$patch: replace` and
//! `$deleteFromPrimitiveList`; `$setElementOrder` and `$retainKeys` are read past. It must not
//! decide who may patch what.

use serde_json::Value;

use super::error::ApiError;
use super::fields::item_part;
use super::resources::Resource;
use super::schema::ListRule;

/// The format of a patch body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// `application/merge-patch+json`
    Merge,
    /// `application/json-patch+json`
    Json,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`
    Apply,
}

impl PatchKind {
    /// Reads a content type.
    pub(super) fn from_content_type(content_type: &str) -> Result<Self, ApiError> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/json-patch+json" => Ok(Self::Json),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(Self::Apply),
            other => Err(ApiError::unsupported_media_type(format!(
                "the body of the request was in an unknown format ({other}) - accepted media \
                 types include: application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json, application/apply-patch+yaml"
            ))),
        }
    }
}

/// `object` after `patch`. Server-side apply is not handled here.
pub(super) fn patched(
    object: &Value,
    patch: &Value,
    kind: PatchKind,
    resource: &Resource,
) -> Result<Value, ApiError> {
    let mut result = object.clone();
    match kind {
        PatchKind::Merge => {
            if !patch.is_object() {
                return Err(ApiError::bad_request("a merge patch must be an object"));
            }
            json_patch::merge(&mut result, patch);
        }
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| ApiError::bad_request(format!("not a JSON patch: {error}")))?;
            json_patch::patch(&mut result, &operations).map_err(|error| {
                ApiError::unprocessable(format!(
                    "the server rejected our request due to an error in our request: {error}"
                ))
            })?;
        }
        PatchKind::Strategic => {
            if resource.custom {
                return Err(ApiError::unsupported_media_type(
                    "the body of the request was in an unknown format - strategic merge is not \
                     supported for custom resources: send application/merge-patch+json",
                ));
            }
            strategic(&mut result, patch, resource, &mut Vec::new());
        }
        PatchKind::Apply => {
            return Err(ApiError::bad_request("apply is not a patch of this kind"));
        }
    }
    Ok(result)
}

fn strategic(live: &mut Value, patch: &Value, resource: &Resource, at: &mut Vec<String>) {
    let Value::Object(fields) = patch else {
        *live = patch.clone();
        return;
    };
    if fields.get("$patch").is_some_and(|verb| verb == "replace") {
        let mut whole = patch.clone();
        if let Some(map) = whole.as_object_mut() {
            map.remove("$patch");
        }
        *live = whole;
        return;
    }
    if !live.is_object() {
        *live = Value::Object(serde_json::Map::new());
    }
    let Some(map) = live.as_object_mut() else {
        return;
    };
    for (name, field) in fields {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(present), Some(gone)) = (
                map.get_mut(list).and_then(Value::as_array_mut),
                field.as_array(),
            ) {
                present.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if name.starts_with('$') {
            continue;
        }
        let deletes = field.is_null() || field.get("$patch").is_some_and(|verb| verb == "delete");
        if deletes {
            map.remove(name);
            continue;
        }
        at.push(name.clone());
        let slot = map.entry(name.clone()).or_insert(Value::Null);
        match field {
            Value::Array(items) => strategic_list(slot, items, resource, at),
            other => strategic(slot, other, resource, at),
        }
        at.pop();
    }
}

fn strategic_list(live: &mut Value, items: &[Value], resource: &Resource, at: &mut Vec<String>) {
    let rule = resource.list_rule(at);
    let replaces = items.iter().any(|item| item["$patch"] == "replace");
    let Value::Array(present) = live else {
        let kept = items.iter().filter(|item| item.get("$patch").is_none());
        *live = kept.cloned().collect();
        return;
    };
    if rule == ListRule::Atomic || replaces {
        *present = items
            .iter()
            .filter(|item| item.get("$patch").is_none())
            .cloned()
            .collect();
        return;
    }
    for item in items {
        // The first key is the strategic merge key; a patch may leave the others out.
        let key = match &rule {
            ListRule::Map(keys) => ListRule::Map(keys.iter().take(1).cloned().collect()),
            other => other.clone(),
        };
        let part = item_part(item, &key);
        let twin = present
            .iter()
            .position(|candidate| part.is_some() && item_part(candidate, &key) == part);
        match twin {
            Some(index) if item["$patch"] == "delete" => {
                present.remove(index);
            }
            Some(index) => {
                at.push("[]".to_owned());
                strategic(&mut present[index], item, resource, at);
                at.pop();
            }
            None if item["$patch"] == "delete" => {}
            None => present.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::resources::Registry;
    use serde_json::json;

    fn deployment_patch(live: &Value, patch: &Value, kind: PatchKind) -> Result<Value, ApiError> {
        let resource = Registry::builtin().get("apps", "deployments").unwrap();
        patched(live, patch, kind, &resource)
    }

    #[test]
    fn strategic_merge_finds_containers_by_name() {
        let live = json!({"spec": {"containers": [
            {"name": "app", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
            {"name": "proxy", "image": "p:1"},
        ], "args": ["a", "b"]}});
        let patch = json!({"spec": {"containers": [
            {"name": "app", "image": "a:2", "env": [{"name": "Y", "value": "2"}]},
            {"name": "proxy", "$patch": "delete"},
        ], "args": ["c"]}});
        assert_eq!(
            deployment_patch(&live, &patch, PatchKind::Strategic).unwrap(),
            json!({"spec": {"containers": [
                {"name": "app", "image": "a:2",
                 "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
            ], "args": ["c"]}})
        );
    }

    #[test]
    fn merge_patch_replaces_lists_and_null_removes() {
        let live = json!({"a": {"b": 1, "c": [1, 2]}});
        let patch = json!({"a": {"b": null, "c": [3]}});
        assert_eq!(
            deployment_patch(&live, &patch, PatchKind::Merge).unwrap(),
            json!({"a": {"c": [3]}})
        );
    }

    #[test]
    fn a_json_patch_whose_test_fails_is_refused() {
        let live = json!({"spec": {"replicas": 3}});
        let patch = json!([{"op": "test", "path": "/spec/replicas", "value": 4}]);
        let error = deployment_patch(&live, &patch, PatchKind::Json).unwrap_err();
        assert_eq!(error.code.as_u16(), 422);
    }
}
