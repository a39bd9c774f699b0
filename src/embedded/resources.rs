//! Which resources the server knows, and what each allows.
//!
//! Decides group, versions, scope, subresources, schemas and list rules of every kind, built in or
//! declared by a `CustomResourceDefinition`. It must not hold objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::builtin;
use super::error::Cause;
use super::schema::{ListRule, Schema};

/// Identity of a resource: group and plural name. Objects of all versions are stored together.
pub(super) type ResourceId = (String, String);

/// Decodes an object into its type and back, which rejects wrong types and drops unknown fields.
pub(super) type Decoder = fn(&Value) -> Result<Value, String>;

/// Where the scale subresource of a kind reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScalePaths {
    /// JSON pointer of the wanted count.
    pub spec_replicas: String,
    /// JSON pointer of the present count.
    pub status_replicas: String,
    /// Where the pod selector is.
    pub selector: SelectorPath,
}

/// Form of the pod selector of a scalable kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SelectorPath {
    /// `spec.selector` is a `metav1.LabelSelector`.
    Object,
    /// JSON pointer of a selector already written as text.
    Text(String),
    /// The kind tells no selector.
    None,
}

/// A printer column: heading, type and where its value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Heading as written in the definition.
    pub name: String,
    /// `string`, `integer`, `date`, ...
    pub kind: String,
    /// A simple JSON path such as `.spec.replicas`.
    pub path: String,
    /// Zero is always shown, higher only in wide output.
    pub priority: i64,
}

/// One served version of a resource.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// For example `v1alpha1`.
    pub name: String,
    /// Schema of custom resources.
    pub schema: Option<Arc<Schema>>,
    /// Writes to status go through `/status` only.
    pub status: bool,
    /// The scale subresource.
    pub scale: Option<ScalePaths>,
    /// What `kubectl get` prints besides the name.
    pub columns: Vec<Column>,
    /// Fields that may be selected on besides name and namespace.
    pub selectable: Vec<String>,
}

/// A resource and its rules.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent traits of a resource, as discovery lists them"
)]
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// Plural name, the one in paths.
    pub plural: String,
    /// Singular name.
    pub singular: String,
    /// Kind of one object.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Short names for people.
    pub short_names: Vec<String>,
    /// For example `all`.
    pub categories: Vec<String>,
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Served versions, preferred first.
    pub versions: Vec<Version>,
    /// The version objects are stored in.
    pub storage_version: String,
    /// Counts changes of the spec in `metadata.generation`.
    pub generation: bool,
    /// A replace without `resourceVersion` is accepted.
    pub unconditional_update: bool,
    /// Declared by a `CustomResourceDefinition`.
    pub custom: bool,
    /// Checks and cleans objects of built-in kinds.
    pub decoder: Option<Decoder>,
    /// Subresources besides `status` and `scale`.
    pub extra_subresources: Vec<&'static str>,
    /// Another view on what is stored under this identity (`events.k8s.io` on core events).
    pub stored_as: Option<ResourceId>,
}

impl Resource {
    /// Identity in paths and discovery.
    pub(super) fn id(&self) -> ResourceId {
        (self.group.clone(), self.plural.clone())
    }

    /// Identity in the store.
    pub(super) fn storage_id(&self) -> ResourceId {
        self.stored_as.clone().unwrap_or_else(|| self.id())
    }

    /// A served version by name.
    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// The version objects are stored in, with its schema.
    pub(super) fn stored_version(&self) -> Option<&Version> {
        self.version(&self.storage_version)
            .or_else(|| self.versions.first())
    }

    /// `group/version`, or only the version for the core group.
    pub(super) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", self.group)
        }
    }

    /// Rewrites a stored object as `version` shows it.
    pub(super) fn present(&self, object: &Value, version: &str) -> Value {
        let mut shown = if self.stored_as.is_some() {
            builtin::event_from_core(object)
        } else {
            object.clone()
        };
        shown["apiVersion"] = json!(self.api_version(version));
        shown["kind"] = json!(self.kind);
        shown
    }

    /// Rewrites an object as sent into the form it is stored in.
    pub(super) fn absorb(&self, object: Value) -> Value {
        if self.stored_as.is_some() {
            builtin::event_to_core(&object)
        } else {
            let mut object = object;
            object["apiVersion"] = json!(self.api_version(&self.storage_version));
            object
        }
    }

    /// How the list at `path` merges under server-side apply.
    pub(super) fn list_rule(&self, path: &[String]) -> ListRule {
        if path.first().is_some_and(|part| part == "metadata") || !self.custom {
            return builtin::list_rule(&self.kind, path);
        }
        match self.stored_version().and_then(|v| v.schema.as_ref()) {
            Some(schema) => schema.list_rule(path),
            None => ListRule::Atomic,
        }
    }

    /// The decoder for the stored form: that of the resource it is stored as.
    pub(super) fn stored_decoder(&self) -> Option<Decoder> {
        if self.stored_as.is_some() {
            Some(builtin::stored_event_decoder())
        } else {
            self.decoder
        }
    }

    /// True when any served version has the status subresource.
    pub(super) fn has_status(&self) -> bool {
        self.versions.iter().any(|version| version.status)
    }

    /// Reads a `CustomResourceDefinition`.
    pub(super) fn from_definition(definition: &Value) -> Result<Self, Vec<Cause>> {
        let spec = &definition["spec"];
        let names = &spec["names"];
        let mut causes = Vec::new();
        let mut text = |value: &Value, field: &str| {
            let found = value.as_str().unwrap_or_default().to_owned();
            if found.is_empty() {
                causes.push(Cause::required(field));
            }
            found
        };
        let group = text(&spec["group"], "spec.group");
        let plural = text(&names["plural"], "spec.names.plural");
        let kind = text(&names["kind"], "spec.names.kind");
        let scope = text(&spec["scope"], "spec.scope");
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        if name != format!("{plural}.{group}") {
            let rule = format!("must be spec.names.plural+\".\"+spec.group: {plural}.{group}");
            causes.push(Cause::invalid("metadata.name", &json!(name), &rule));
        }
        let mut versions = Vec::new();
        let mut storage = Vec::new();
        for version in spec["versions"].as_array().into_iter().flatten() {
            let name = version["name"].as_str().unwrap_or_default().to_owned();
            if version["storage"] == true {
                storage.push(name.clone());
            }
            if version["served"] == true {
                versions.push(version_of(version, name));
            }
        }
        versions.sort_by_cached_key(|version| std::cmp::Reverse(maturity(&version.name)));
        if storage.len() != 1 {
            let rule = "must have exactly one version marked as storage version";
            causes.push(Cause::invalid("spec.versions", &json!(storage.len()), rule));
        }
        if !causes.is_empty() {
            return Err(causes);
        }
        let strings = |value: &Value| -> Vec<String> {
            let list = value.as_array();
            list.into_iter()
                .flatten()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        };
        let or = |value: &Value, other: String| value.as_str().map_or(other, str::to_owned);
        Ok(Self {
            singular: or(&names["singular"], kind.to_lowercase()),
            list_kind: or(&names["listKind"], format!("{kind}List")),
            short_names: strings(&names["shortNames"]),
            categories: strings(&names["categories"]),
            namespaced: scope == "Namespaced",
            storage_version: storage.remove(0),
            group,
            plural,
            kind,
            versions,
            generation: true,
            unconditional_update: false,
            custom: true,
            decoder: None,
            extra_subresources: Vec::new(),
            stored_as: None,
        })
    }
}

fn version_of(version: &Value, name: String) -> Version {
    let subresources = &version["subresources"];
    let scale = &subresources["scale"];
    let pointer = |value: &Value| value.as_str().map(|path| path.replace('.', "/"));
    let columns = version["additionalPrinterColumns"].as_array();
    let selectable = version["selectableFields"].as_array();
    Version {
        name,
        schema: version["schema"]
            .get("openAPIV3Schema")
            .map(|schema| Arc::new(Schema::new(schema.clone()))),
        status: subresources["status"].is_object(),
        scale: scale.is_object().then(|| ScalePaths {
            spec_replicas: pointer(&scale["specReplicasPath"])
                .unwrap_or_else(|| "/spec/replicas".to_owned()),
            status_replicas: pointer(&scale["statusReplicasPath"])
                .unwrap_or_else(|| "/status/replicas".to_owned()),
            selector: pointer(&scale["labelSelectorPath"])
                .map_or(SelectorPath::None, SelectorPath::Text),
        }),
        columns: columns
            .into_iter()
            .flatten()
            .map(|column| Column {
                name: column["name"].as_str().unwrap_or_default().to_owned(),
                kind: column["type"].as_str().unwrap_or("string").to_owned(),
                path: column["jsonPath"].as_str().unwrap_or_default().to_owned(),
                priority: column["priority"].as_i64().unwrap_or_default(),
            })
            .collect(),
        selectable: selectable
            .into_iter()
            .flatten()
            .filter_map(|field| field["jsonPath"].as_str())
            .map(|path| path.trim_start_matches('.').to_owned())
            .collect(),
    }
}

/// Sort key of a version name: `v2` before `v1`, before `v1beta1`, before `v1alpha1`.
fn maturity(name: &str) -> (u8, u64, u64) {
    let digits = |text: &str| -> u64 {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text[..end].parse().unwrap_or_default()
    };
    let body = name.strip_prefix('v').unwrap_or(name);
    let major = digits(body);
    if let Some((_, minor)) = body.split_once("alpha") {
        (0, major, digits(minor))
    } else if let Some((_, minor)) = body.split_once("beta") {
        (1, major, digits(minor))
    } else {
        (2, major, 0)
    }
}

/// All resources by identity.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(BTreeMap<ResourceId, Arc<Resource>>);

impl Registry {
    /// The built-in resources.
    pub(super) fn builtin() -> Self {
        let mut registry = Self::default();
        for resource in builtin::resources() {
            registry.register(resource);
        }
        registry
    }

    /// Adds or replaces a resource.
    pub(super) fn register(&mut self, resource: Resource) {
        self.0.insert(resource.id(), Arc::new(resource));
    }

    /// Takes a resource away.
    pub(super) fn unregister(&mut self, id: &ResourceId) {
        self.0.remove(id);
    }

    /// A resource by group and plural.
    pub(super) fn get(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        self.0.get(&(group.to_owned(), plural.to_owned())).cloned()
    }

    /// All resources, ordered by group and plural.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_maturity() {
        let mut names = vec!["v1alpha1", "v2", "v1beta2", "v10", "v1", "v1beta1"];
        names.sort_by_key(|name| std::cmp::Reverse(maturity(name)));
        assert_eq!(names, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1"]);
    }

    #[test]
    fn a_definition_must_be_named_after_its_resource() {
        let definition = json!({
            "metadata": {"name": "wrong"},
            "spec": {"group": "argoproj.io", "scope": "Namespaced",
                     "names": {"plural": "rollouts", "kind": "Rollout"},
                     "versions": [{"name": "v1alpha1", "served": true, "storage": true}]},
        });
        let causes = Resource::from_definition(&definition).unwrap_err();
        assert_eq!(causes[0].field, "metadata.name");
    }
}
