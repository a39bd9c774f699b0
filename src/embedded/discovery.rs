//! Discovery: what the server serves, as clients ask for it.
//!
//! Decides the documents under `/api`, `/apis`, `/version` and the small part of `/openapi/v3` that
//! `kubectl apply` reads before it trusts the server with field validation. It must not decide
//! what is served: the registry does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::resources::{Registry, Resource, Version};
use super::scale;

const OBJECT_VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];

/// `/version`. The numbers name the oldest Kubernetes whose types the server decodes with.
pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "33",
        "gitVersion": "v1.33.0+tipoff-embedded",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "embedded",
    })
}

/// `/api`.
pub(super) fn core_versions() -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "embedded"}],
    })
}

/// Groups with their versions, preferred first. The core group is the empty name.
fn versions_by_group(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for resource in registry.iter() {
        let versions = groups.entry(resource.group.clone()).or_default();
        for version in &resource.versions {
            if !versions.contains(&version.name) {
                versions.push(version.name.clone());
            }
        }
    }
    groups
}

fn group_document(group: &str, versions: &[String]) -> Value {
    let entry = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(entry).collect();
    json!({
        "name": group,
        "versions": versions,
        "preferredVersion": versions.first(),
    })
}

/// `/apis`.
pub(super) fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = versions_by_group(registry)
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_document(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/{group}`.
pub(super) fn group(registry: &Registry, group: &str) -> Option<Value> {
    let groups = versions_by_group(registry);
    let versions = groups.get(group).filter(|_| !group.is_empty())?;
    let mut document = group_document(group, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    Some(document)
}

/// `/api/v1` and `/apis/{group}/{version}`.
pub(super) fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut list = Vec::new();
    for resource in registry.iter().filter(|resource| resource.group == group) {
        let Some(served) = resource.version(version) else {
            continue;
        };
        list.push(json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": OBJECT_VERBS,
            "shortNames": resource.short_names,
            "categories": resource.categories,
        }));
        for part in parts(resource, served) {
            if part == "scale" {
                list.push(scale::discovery_kind(resource));
            } else {
                list.push(json!({
                    "name": format!("{}/{part}", resource.plural),
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": PART_VERBS,
                }));
            }
        }
    }
    if list.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": list,
    }))
}

fn parts(resource: &Resource, version: &Version) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if version.status {
        parts.push("status");
    }
    if version.scale.is_some() {
        parts.push("scale");
    }
    parts.extend(&resource.extra_subresources);
    parts
}

/// `/api` or `/apis` in the aggregated form (`apidiscovery.k8s.io/v2`).
pub(super) fn aggregated(registry: &Registry, core: bool) -> Value {
    let items: Vec<Value> = versions_by_group(registry)
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = registry
                        .iter()
                        .filter(|resource| resource.group == *group)
                        .filter_map(|resource| {
                            resource
                                .version(version)
                                .map(|served| aggregated_resource(resource, served))
                        })
                        .collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(resource: &Resource, version: &Version) -> Value {
    let own = json!({"group": resource.group, "version": version.name, "kind": resource.kind});
    let parts: Vec<Value> = parts(resource, version)
        .into_iter()
        .map(|part| {
            let kind = if part == "scale" {
                json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
            } else {
                own.clone()
            };
            json!({"subresource": part, "responseKind": kind, "verbs": PART_VERBS})
        })
        .collect();
    json!({
        "resource": resource.plural,
        "responseKind": own,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": OBJECT_VERBS,
        "shortNames": resource.short_names,
        "categories": resource.categories,
        "subresources": parts,
    })
}

/// `/openapi/v3` (empty path) and the document of one group version below it.
///
/// The documents hold one thing: that patch takes `fieldValidation`. Schemas are not served, so
/// `kubectl explain` has nothing to tell.
pub(super) fn openapi(registry: &Registry, path: &str) -> Option<Value> {
    let base = |group: &str, version: &str| {
        if group.is_empty() {
            format!("api/{version}")
        } else {
            format!("apis/{group}/{version}")
        }
    };
    if path.is_empty() {
        let mut known = BTreeSet::new();
        for resource in registry.iter() {
            for version in &resource.versions {
                known.insert(base(&resource.group, &version.name));
            }
        }
        let paths: Map<String, Value> = known
            .into_iter()
            .map(|path| {
                let url = format!("/openapi/v3/{path}");
                (path, json!({"serverRelativeURL": url}))
            })
            .collect();
        return Some(json!({"paths": paths}));
    }
    let mut paths = Map::new();
    for resource in registry.iter() {
        for version in &resource.versions {
            let prefix = base(&resource.group, &version.name);
            if prefix != path {
                continue;
            }
            let scope = if resource.namespaced {
                "/namespaces/{namespace}"
            } else {
                ""
            };
            let kind =
                json!({"group": resource.group, "version": version.name, "kind": resource.kind});
            let parameter = json!({"name": "fieldValidation", "in": "query",
                                   "schema": {"type": "string"}});
            let operation = json!({
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": kind,
                "parameters": [parameter],
                "responses": {"200": {"description": "OK"}},
            });
            paths.insert(
                format!("/{prefix}{scope}/{}/{{name}}", resource.plural),
                json!({"patch": operation}),
            );
        }
    }
    (!paths.is_empty()).then(|| {
        json!({
            "openapi": "3.0.0",
            "info": {"title": "Tipoff embedded cluster", "version": "v1.33.0"},
            "paths": paths,
            "components": {"schemas": {}},
        })
    })
}
