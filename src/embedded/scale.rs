//! The scale subresource.
//!
//! Decides how a `Scale` is read from an object and written back to it, by the paths the kind
//! declares. It must not touch anything but the wanted count of replicas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::fields::ManagedFields;
use super::patch::{PatchKind, patched};
use super::resources::{Resource, ScalePaths, SelectorPath};
use super::selector::LabelSelector;
use super::store::Store;
use super::write::{Part, Target, WriteContext, seconds};

fn paths(target: &Target) -> Result<ScalePaths, ApiError> {
    target
        .resource
        .version(&target.version)
        .and_then(|version| version.scale.clone())
        .ok_or_else(ApiError::no_such_path)
}

/// The `Scale` of an object.
pub(super) fn read(object: &Value, paths: &ScalePaths) -> Value {
    let metadata = &object["metadata"];
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let mut status = json!({"replicas": count(&paths.status_replicas).unwrap_or_default()});
    let selector = match &paths.selector {
        SelectorPath::Object => {
            Some(LabelSelector::from_object(&object["spec"]["selector"]).to_text())
        }
        SelectorPath::Text(pointer) => object
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned),
        SelectorPath::None => None,
    };
    if let Some(selector) = selector {
        status["selector"] = json!(selector);
    }
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": status,
    });
    // as the real one writes it: the field is `omitempty`
    if let Some(replicas) = count(&paths.spec_replicas).filter(|&replicas| replicas != 0) {
        scale["spec"]["replicas"] = json!(replicas);
    }
    scale
}

impl Store {
    /// Reads the scale of an object.
    pub(super) fn scale(&self, target: &Target) -> Result<Value, ApiError> {
        let paths = paths(target)?;
        Ok(read(&*self.find(target)?, &paths))
    }

    /// Replaces the scale of an object.
    pub(super) fn replace_scale(
        &mut self,
        target: &Target,
        body: &Value,
        context: &mut WriteContext,
    ) -> Result<Value, ApiError> {
        let paths = paths(target)?;
        let live = self.find(target)?;
        self.write_scale(target, &live, body, &paths, None, context)
    }

    /// Patches the scale of an object.
    pub(super) fn patch_scale(
        &mut self,
        target: &Target,
        patch: &Value,
        kind: PatchKind,
        force: bool,
        context: &mut WriteContext,
    ) -> Result<Value, ApiError> {
        let paths = paths(target)?;
        let live = self.find(target)?;
        let resource = &target.resource;
        if kind == PatchKind::Apply {
            let mut config = json!({"metadata": {"name": target.key.1}});
            if let Some(replicas) = patch["spec"].get("replicas") {
                set(&mut config, &paths.spec_replicas, replicas.clone());
            }
            let manager = context.manager(resource, &target.version, Part::Scale, true);
            let time = seconds(context.now);
            let merged = super::apply::apply(&live, &config, &manager, force, resource, &time)?;
            let managed = ManagedFields::of(&merged);
            let scale = read(&merged, &paths);
            return self.write_scale(target, &live, &scale, &paths, Some(managed), context);
        }
        // A Scale is a plain object: strategic merge has no lists to be clever about.
        let kind = match kind {
            PatchKind::Strategic => PatchKind::Merge,
            other => other,
        };
        let scale = patched(&read(&live, &paths), patch, kind, resource)?;
        self.write_scale(target, &live, &scale, &paths, None, context)
    }

    fn write_scale(
        &mut self,
        target: &Target,
        live: &Arc<Value>,
        scale: &Value,
        paths: &ScalePaths,
        applied: Option<ManagedFields>,
        context: &mut WriteContext,
    ) -> Result<Value, ApiError> {
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| {
                ApiError::bad_request(format!(
                    "Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is \
                     {value}, not an integer"
                ))
            })?,
        };
        if !(0..=i64::from(i32::MAX)).contains(&replicas) {
            let rule = "must be greater than or equal to 0";
            let cause = Cause::invalid("spec.replicas", &json!(replicas), rule);
            return Err(ApiError::invalid(
                "autoscaling",
                "Scale",
                &target.key.1,
                &[cause],
            ));
        }
        let mut wanted = (**live).clone();
        set(&mut wanted, &paths.spec_replicas, json!(replicas));
        for field in ["uid", "resourceVersion"] {
            // An absent precondition is none; the stored object always has both.
            wanted["metadata"][field] = scale["metadata"][field].clone();
        }
        let stored = self.update(target, live, wanted, Part::Scale, applied, context)?;
        Ok(read(&stored, paths))
    }
}

/// Sets the value at a JSON pointer, making objects on the way.
pub(super) fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part];
    }
    *at = value;
}

/// The discovery entry's kind of the subresource, the same for every resource.
pub(super) fn discovery_kind(resource: &Resource) -> Value {
    json!({
        "name": format!("{}/scale", resource.plural),
        "singularName": "",
        "namespaced": resource.namespaced,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_reads_the_declared_paths() {
        let paths = ScalePaths {
            spec_replicas: "/spec/size".to_owned(),
            status_replicas: "/status/size".to_owned(),
            selector: SelectorPath::Text("/status/selector".to_owned()),
        };
        let object = json!({"metadata": {"name": "a", "resourceVersion": "7"},
            "spec": {"size": 3}, "status": {"size": 2, "selector": "app=a"}});
        let scale = read(&object, &paths);
        assert_eq!(scale["spec"]["replicas"], 3);
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "app=a"}));
        assert_eq!(scale["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn values_are_set_where_nothing_was() {
        let mut object = json!({});
        set(&mut object, "/spec/pool/size", json!(4));
        assert_eq!(object, json!({"spec": {"pool": {"size": 4}}}));
    }
}
