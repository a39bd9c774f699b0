//! Creating and changing objects.
//!
//! Decides whether a write is accepted and what is stored: names, resource versions, generation,
//! the split between spec and status, managed fields. It must not delete (see `remove`).

use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::admit::{
    admit, check_declared, compose, differs_in_spec, refuse_new_finalizers, same_state,
};
use super::apply::apply;
use super::definitions;
use super::error::{ApiError, Cause};
use super::fields::{ManagedFields, Manager};
use super::patch::{PatchKind, patched};
use super::resources::Resource;
use super::store::{Key, Store};
use crate::units::Timestamp;

/// Which part of an object a request may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All but the status, if the kind has a status subresource.
    Main,
    /// The status only.
    Status,
    /// Resources of the containers of a pod only.
    Resize,
    /// The count of replicas only.
    Scale,
}

impl Part {
    fn subresource(self) -> Option<String> {
        match self {
            Self::Main => None,
            Self::Status => Some("status".to_owned()),
            Self::Resize => Some("resize".to_owned()),
            Self::Scale => Some("scale".to_owned()),
        }
    }
}

/// Who writes, when and how.
#[derive(Debug)]
pub(super) struct WriteContext {
    /// Time of the write.
    pub now: Timestamp,
    /// Field manager.
    pub manager: String,
    /// Answer as if written, but store nothing.
    pub dry_run: bool,
    /// Unknown fields are an error, not a warning.
    pub strict: bool,
    /// Warnings for the client.
    pub warnings: Vec<String>,
}

impl WriteContext {
    /// The context of the server's own controllers.
    pub(super) fn internal(now: Timestamp, manager: &str) -> Self {
        Self {
            now,
            manager: manager.to_owned(),
            dry_run: false,
            strict: false,
            warnings: Vec::new(),
        }
    }

    pub(super) fn manager(
        &self,
        resource: &Resource,
        version: &str,
        part: Part,
        applies: bool,
    ) -> Manager {
        Manager {
            name: self.manager.clone(),
            applies,
            api_version: resource.api_version(version),
            subresource: part.subresource(),
        }
    }
}

/// A time as `metav1.Time` is written: whole seconds.
pub(super) fn seconds(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Addresses an object in a request: the resource, the version spoken, and the key.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The resource.
    pub resource: Arc<Resource>,
    /// The version of the path.
    pub version: String,
    /// Namespace and name of the path; the name is empty on create.
    pub key: Key,
}

impl Target {
    /// 404 for this object.
    pub(super) fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.resource.group, &self.resource.plural, &self.key.1)
    }

    /// 409 for this object.
    pub(super) fn conflict(&self, why: &str) -> ApiError {
        ApiError::conflict(
            &self.resource.group,
            &self.resource.plural,
            &self.key.1,
            why,
        )
    }

    /// 422 for this object.
    pub(super) fn invalid(&self, causes: &[Cause]) -> ApiError {
        ApiError::invalid(
            &self.resource.group,
            &self.resource.kind,
            &self.key.1,
            causes,
        )
    }
}

impl Store {
    /// The stored object a request addresses.
    pub(super) fn find(&self, target: &Target) -> Result<Arc<Value>, ApiError> {
        self.get(&target.resource.storage_id(), &target.key)
            .cloned()
            .ok_or_else(|| target.not_found())
    }

    /// Stores a new object.
    pub(super) fn create(
        &mut self,
        target: &Target,
        body: Value,
        context: &mut WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        let (target, object) = self.prepare_create(target, body, context)?;
        let mut managed = ManagedFields::default();
        let manager = context.manager(&target.resource, &target.version, Part::Main, false);
        let time = seconds(context.now);
        managed.record_update(&manager, &Value::Null, &object, &target.resource, &time);
        self.finish_create(&target, object, &managed, context)
    }

    fn prepare_create(
        &mut self,
        target: &Target,
        body: Value,
        context: &mut WriteContext,
    ) -> Result<(Target, Value), ApiError> {
        let mut target = target.clone();
        check_type(&body, &target)?;
        let mut object = target.resource.absorb(body);
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = text(&object["metadata"]["namespace"]);
        if target.resource.namespaced && !namespace.is_empty() && namespace != target.key.0 {
            return Err(ApiError::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the \
                 request: {namespace:?} and {:?}",
                target.key.0
            )));
        }
        let mut name = text(&object["metadata"]["name"]);
        if name.is_empty() {
            let prefix = text(&object["metadata"]["generateName"]);
            if prefix.is_empty() {
                return Err(target.invalid(&[Cause {
                    field: "metadata.name".to_owned(),
                    reason: "FieldValueRequired",
                    message: "Required value: name or generateName is required".to_owned(),
                }]));
            }
            name = self.generate_name(&prefix);
        }
        target.key.1 = name;
        self.check_namespace(&target)?;
        if self
            .get(&target.resource.storage_id(), &target.key)
            .is_some()
        {
            let resource = &target.resource;
            return Err(ApiError::already_exists(
                &resource.group,
                &resource.plural,
                &target.key.1,
            ));
        }
        if target.resource.has_status()
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        let uid = self.new_uid();
        let metadata = &mut object["metadata"];
        if let Some(map) = metadata.as_object_mut() {
            for field in [
                "managedFields",
                "resourceVersion",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "generation",
                "selfLink",
            ] {
                map.remove(field);
            }
        }
        metadata["name"] = json!(target.key.1);
        if target.resource.namespaced {
            metadata["namespace"] = json!(target.key.0);
        }
        metadata["uid"] = json!(uid);
        metadata["creationTimestamp"] = json!(seconds(context.now));
        if target.resource.generation {
            metadata["generation"] = json!(1);
        }
        let object = admit(&target, object, context)?;
        Ok((target, object))
    }

    fn finish_create(
        &mut self,
        target: &Target,
        mut object: Value,
        managed: &ManagedFields,
        context: &WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        object["metadata"]["managedFields"] = managed.to_json();
        if target.resource.kind == "Namespace" && !target.resource.custom {
            object["status"]["phase"] = json!("Active");
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(target.key.1);
        }
        self.commit(target, object, context)
    }

    fn check_namespace(&self, target: &Target) -> Result<(), ApiError> {
        if !target.resource.namespaced {
            return Ok(());
        }
        let namespace = &target.key.0;
        let id = (String::new(), "namespaces".to_owned());
        match self.get(&id, &(String::new(), namespace.clone())) {
            None => Err(ApiError::not_found("", "namespaces", namespace)),
            Some(found) if found["metadata"]["deletionTimestamp"].is_string() => {
                Err(ApiError::forbidden(format!(
                    "{} {:?} is forbidden: unable to create new content in namespace {namespace} \
                     because it is being terminated",
                    target.resource.plural, target.key.1
                )))
            }
            Some(_) => Ok(()),
        }
    }

    /// Replaces an object, or the part of it that `part` names.
    pub(super) fn replace(
        &mut self,
        target: &Target,
        body: Value,
        part: Part,
        context: &mut WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        check_type(&body, target)?;
        let live = self.find(target)?;
        let object = target.resource.absorb(body);
        let named = object["metadata"]["name"].as_str().unwrap_or_default();
        if named != target.key.1 {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({named}) does not match the name on the URL ({})",
                target.key.1
            )));
        }
        let versioned = object["metadata"]["resourceVersion"]
            .as_str()
            .is_some_and(|version| !version.is_empty());
        if !versioned && !target.resource.unconditional_update {
            return Err(target.invalid(&[Cause {
                field: "metadata.resourceVersion".to_owned(),
                reason: "FieldValueInvalid",
                message: "Invalid value: 0: must be specified for an update".to_owned(),
            }]));
        }
        self.update(target, &live, object, part, None, context)
    }

    /// Patches an object, or the part of it that `part` names.
    pub(super) fn patch(
        &mut self,
        target: &Target,
        patch: &Value,
        kind: PatchKind,
        part: Part,
        force: bool,
        context: &mut WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        if kind == PatchKind::Apply {
            return self.apply(target, patch, part, force, context);
        }
        let live = self.find(target)?;
        let shown = target.resource.present(&live, &target.version);
        let object = target
            .resource
            .absorb(patched(&shown, patch, kind, &target.resource)?);
        self.update(target, &live, object, part, None, context)
    }

    fn apply(
        &mut self,
        target: &Target,
        config: &Value,
        part: Part,
        force: bool,
        context: &mut WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        if config["apiVersion"].as_str().is_none() || config["kind"].as_str().is_none() {
            return Err(ApiError::bad_request(
                "an applied configuration must have apiVersion and kind",
            ));
        }
        check_type(config, target)?;
        if config["metadata"]["managedFields"]
            .as_array()
            .is_some_and(|fields| !fields.is_empty())
        {
            return Err(ApiError::bad_request(
                "metadata.managedFields must be nil in an applied configuration",
            ));
        }
        let mut config = target.resource.absorb(config.clone());
        if let Some(map) = config.as_object_mut() {
            match part {
                Part::Main if target.resource.has_status() => {
                    map.remove("status");
                }
                Part::Status => {
                    map.retain(|field, _| {
                        matches!(
                            field.as_str(),
                            "apiVersion" | "kind" | "metadata" | "status"
                        )
                    });
                }
                _ => {}
            }
        }
        config["metadata"]["name"] = json!(target.key.1);
        check_declared(target, &config)?;
        let manager = context.manager(&target.resource, &target.version, part, true);
        let time = seconds(context.now);
        let resource = Arc::clone(&target.resource);
        match self.find(target) {
            Ok(live) => {
                let merged = apply(&live, &config, &manager, force, &resource, &time)?;
                let managed = ManagedFields::of(&merged);
                self.update(target, &live, merged, part, Some(managed), context)
            }
            Err(missing) if part != Part::Main => Err(missing),
            Err(_) => {
                // With nothing stored there is nobody to conflict with.
                let merged = apply(&Value::Null, &config, &manager, force, &resource, &time)?;
                let managed = ManagedFields::of(&merged);
                let mut target = target.clone();
                target.key.1.clear();
                let (target, object) = self.prepare_create(&target, merged, context)?;
                self.finish_create(&target, object, &managed, context)
            }
        }
    }

    /// The common end of every change: locks, keeps what the writer may not touch, validates.
    pub(super) fn update(
        &mut self,
        target: &Target,
        live: &Arc<Value>,
        wanted: Value,
        part: Part,
        applied: Option<ManagedFields>,
        context: &mut WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        let resource = Arc::clone(&target.resource);
        check_preconditions(target, live, &wanted["metadata"])?;
        let object = compose(live, wanted, part, &resource);
        if live["metadata"]["deletionTimestamp"].is_string() {
            refuse_new_finalizers(target, live, &object)?;
        }
        let mut object = admit(target, object, context)?;
        let spec_changed = resource.generation && differs_in_spec(live, &object, &resource);
        if spec_changed {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        let managed = applied.unwrap_or_else(|| {
            let mut managed = ManagedFields::of(live);
            let manager = context.manager(&resource, &target.version, part, false);
            let time = seconds(context.now);
            managed.record_update(&manager, live, &object, &resource, &time);
            managed
        });
        object["metadata"]["managedFields"] = managed.to_json();
        if same_state(&object, live) {
            return Ok(Arc::clone(live));
        }
        self.commit(target, object, context)
    }

    fn commit(
        &mut self,
        target: &Target,
        mut object: Value,
        context: &WriteContext,
    ) -> Result<Arc<Value>, ApiError> {
        let definition = definitions::is_definition(&target.resource);
        if definition {
            definitions::establish(&mut object, context.now);
        }
        if context.dry_run {
            return Ok(Arc::new(object));
        }
        if definition {
            let resource =
                Resource::from_definition(&object).map_err(|causes| target.invalid(&causes))?;
            self.registry.register(resource);
        }
        let id = target.resource.storage_id();
        let metadata = &object["metadata"];
        let finished = metadata["deletionTimestamp"].is_string()
            && metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
            && metadata["deletionGracePeriodSeconds"]
                .as_i64()
                .unwrap_or_default()
                == 0;
        let stored = self.put(&id, &target.key, object);
        if finished {
            self.erase(&id, &target.key, context.now);
        }
        Ok(stored)
    }
}

fn check_type(body: &Value, target: &Target) -> Result<(), ApiError> {
    let (kind, api_version) = (body["kind"].as_str(), body["apiVersion"].as_str());
    let wanted = target.resource.api_version(&target.version);
    let kind_fits = kind.is_none_or(|kind| kind == target.resource.kind);
    if !kind_fits || api_version.is_some_and(|version| version != wanted) {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized or does not match the path: it is {} {}, the \
             path takes {wanted} {}",
            api_version.unwrap_or("(no apiVersion)"),
            kind.unwrap_or("(no kind)"),
            target.resource.kind
        )));
    }
    Ok(())
}

/// 409 when `metadata` names another uid or resource version than the stored object has.
pub(super) fn check_preconditions(
    target: &Target,
    live: &Value,
    metadata: &Value,
) -> Result<(), ApiError> {
    let stored = &live["metadata"];
    let asked = |field: &str| metadata[field].as_str().filter(|text| !text.is_empty());
    if let Some(uid) = asked("uid")
        && stored["uid"] != uid
    {
        return Err(target.conflict(&format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            stored["uid"].as_str().unwrap_or_default()
        )));
    }
    if let Some(version) = asked("resourceVersion")
        && stored["resourceVersion"] != version
    {
        return Err(target.conflict(
            "the object has been modified; please apply your changes to the latest version and \
             try again",
        ));
    }
    Ok(())
}
