//! `CustomResourceDefinition` objects.
//!
//! Decides when a definition is established and what its status says. It must not read schemas
//! (see `resources` and `schema`).

use serde_json::{Value, json};

use super::resources::{Resource, ResourceId};
use super::write::seconds;
use crate::units::Timestamp;

/// Keeps a definition until the last of its objects is gone.
pub(super) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// True for the resource whose objects declare resources.
pub(super) fn is_definition(resource: &Resource) -> bool {
    resource.group == "apiextensions.k8s.io" && resource.plural == "customresourcedefinitions"
}

/// Identity of definitions in the store.
pub(super) fn resource_id() -> ResourceId {
    (
        "apiextensions.k8s.io".to_owned(),
        "customresourcedefinitions".to_owned(),
    )
}

/// The resource a definition declares.
pub(super) fn declared(definition: &Value) -> ResourceId {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&definition["spec"]["group"]),
        text(&definition["spec"]["names"]["plural"]),
    )
}

/// Fills the status of a definition: names accepted, established. Names never clash here because
/// the store keys resources by group and plural.
pub(super) fn establish(definition: &mut Value, now: Timestamp) {
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": seconds(now),
        })
    };
    let names = definition["spec"]["names"].clone();
    let mut accepted = names.clone();
    if accepted["singular"].as_str().is_none_or(str::is_empty) {
        let kind = names["kind"].as_str().unwrap_or_default();
        accepted["singular"] = json!(kind.to_lowercase());
    }
    if accepted["listKind"].as_str().is_none_or(str::is_empty) {
        let kind = names["kind"].as_str().unwrap_or_default();
        accepted["listKind"] = json!(format!("{kind}List"));
    }
    let stored: Vec<Value> = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let status = &mut definition["status"];
    if status["conditions"].as_array().is_none_or(Vec::is_empty) {
        status["conditions"] = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]);
    }
    status["acceptedNames"] = accepted;
    status["storedVersions"] = json!(stored);
}
