//! What of a write is stored.
//!
//! Decides which parts of the stored object a request may change, and cleans, defaults and
//! validates the result. It must not store anything.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::builtin;
use super::definitions;
use super::error::{ApiError, Cause};
use super::resources::Resource;
use super::write::{Part, Target, WriteContext};

/// What is stored when `wanted` was sent for `part`.
pub(super) fn compose(live: &Value, wanted: Value, part: Part, resource: &Resource) -> Value {
    match part {
        Part::Main | Part::Scale => {
            let mut object = wanted;
            if resource.has_status()
                && let Some(map) = object.as_object_mut()
            {
                match live.get("status") {
                    Some(status) => map.insert("status".to_owned(), status.clone()),
                    None => map.remove("status"),
                };
            }
            if !object["metadata"].is_object() {
                object["metadata"] = json!({});
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                for field in [
                    "name",
                    "namespace",
                    "uid",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "deletionGracePeriodSeconds",
                    "generation",
                    "resourceVersion",
                ] {
                    match live["metadata"].get(field) {
                        Some(value) => metadata.insert(field.to_owned(), value.clone()),
                        None => metadata.remove(field),
                    };
                }
            }
            object
        }
        Part::Status => {
            let mut object = live.clone();
            if let Some(map) = object.as_object_mut() {
                match wanted.get("status") {
                    Some(status) => map.insert("status".to_owned(), status.clone()),
                    None => map.remove("status"),
                };
            }
            object
        }
        Part::Resize => {
            let mut object = live.clone();
            let sent = wanted["spec"]["containers"].as_array();
            let kept = object["spec"]["containers"].as_array_mut();
            for container in kept.into_iter().flatten() {
                let twin = sent
                    .into_iter()
                    .flatten()
                    .find(|candidate| candidate["name"] == container["name"]);
                if let Some(resources) = twin.and_then(|twin| twin.get("resources")) {
                    container["resources"] = resources.clone();
                }
            }
            object
        }
    }
}

/// 422 when an object that is being deleted would gain a finalizer.
pub(super) fn refuse_new_finalizers(
    target: &Target,
    live: &Value,
    object: &Value,
) -> Result<(), ApiError> {
    let had = live["metadata"]["finalizers"].as_array();
    let has = object["metadata"]["finalizers"].as_array();
    let fresh: Vec<&Value> = has
        .into_iter()
        .flatten()
        .filter(|finalizer| !had.is_some_and(|had| had.contains(finalizer)))
        .collect();
    if fresh.is_empty() {
        return Ok(());
    }
    Err(target.invalid(&[Cause {
        field: "metadata.finalizers".to_owned(),
        reason: "FieldValueForbidden",
        message: "Forbidden: no new finalizers can be added if the object is being deleted"
            .to_owned(),
    }]))
}

/// Cleans, defaults and validates an object that is about to be stored.
pub(super) fn admit(
    target: &Target,
    object: Value,
    context: &mut WriteContext,
) -> Result<Value, ApiError> {
    let resource = &target.resource;
    let mut object = object;
    let mut causes = name_causes(resource, &target.key.1);
    let unreadable = |error: String| {
        ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {error}",
            resource.kind, target.version, resource.kind
        ))
    };
    if let Some(decoder) = resource.stored_decoder() {
        object = decoder(&object).map_err(unreadable)?;
        builtin::apply_defaults(&resource.kind, &mut object);
        causes.extend(builtin::validate(&resource.kind, &object));
    } else {
        let metadata: ObjectMeta = serde_json::from_value(object["metadata"].take())
            .map_err(|error| unreadable(error.to_string()))?;
        object["metadata"] =
            serde_json::to_value(metadata).map_err(|error| unreadable(error.to_string()))?;
        if let Some(schema) = resource.stored_version().and_then(|v| v.schema.clone()) {
            let pruned = schema.prune(&mut object);
            if !pruned.is_empty() {
                let lines: Vec<String> = pruned
                    .iter()
                    .map(|path| format!("unknown field {path:?}"))
                    .collect();
                if context.strict {
                    return Err(ApiError::bad_request(format!(
                        "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                        resource.kind,
                        target.version,
                        resource.kind,
                        lines.join(", ")
                    )));
                }
                context.warnings.extend(lines);
            }
            schema.apply_defaults(&mut object);
            causes.extend(schema.validate(&object));
        }
    }
    if definitions::is_definition(resource)
        && let Err(found) = Resource::from_definition(&object)
    {
        causes.extend(found);
    }
    if causes.is_empty() {
        Ok(object)
    } else {
        Err(target.invalid(&causes))
    }
}

/// Refuses an applied configuration with fields that the definition does not declare. Elsewhere they
/// are dropped with a warning.
pub(super) fn check_declared(target: &Target, config: &Value) -> Result<(), ApiError> {
    let resource = &target.resource;
    let stored = resource.stored_version();
    let Some(schema) = stored.and_then(|version| version.schema.as_ref()) else {
        return Ok(());
    };
    let unknown = schema.prune(&mut config.clone());
    if unknown.is_empty() {
        return Ok(());
    }
    let (namespace, name) = &target.key;
    let version = config["apiVersion"].as_str().unwrap_or_default();
    let object = format!("{namespace}/{name}; {version}, Kind={}", resource.kind);
    Err(ApiError::undeclared(&object, &unknown))
}

fn name_causes(resource: &Resource, name: &str) -> Vec<Cause> {
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let good = if resource.kind == "Namespace" || resource.kind == "Service" {
        name.len() <= 63 && label(name)
    } else {
        name.len() <= 253 && name.split('.').all(label)
    };
    if good {
        return Vec::new();
    }
    let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                characters, '-' or '.', and must start and end with an alphanumeric character";
    vec![Cause::invalid("metadata.name", &json!(name), rule)]
}

/// True when something the generation counts differs: all but metadata and, if the kind has a
/// status subresource, status.
pub(super) fn differs_in_spec(live: &Value, object: &Value, resource: &Resource) -> bool {
    let ignored = |field: &str| {
        matches!(field, "metadata" | "apiVersion" | "kind")
            || (field == "status" && resource.has_status())
    };
    let fields = |value: &Value| -> Vec<String> {
        let map = value.as_object();
        map.into_iter()
            .flat_map(|map| map.keys())
            .filter(|field| !ignored(field))
            .cloned()
            .collect()
    };
    fields(live)
        .iter()
        .chain(&fields(object))
        .any(|field| live.get(field) != object.get(field))
}

/// True when storing `object` would change nothing.
pub(super) fn same_state(object: &Value, live: &Value) -> bool {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    if object["metadata"]["managedFields"]
        .as_array()
        .is_some_and(Vec::is_empty)
        && live["metadata"].get("managedFields").is_none()
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("managedFields");
    }
    object == *live
}
