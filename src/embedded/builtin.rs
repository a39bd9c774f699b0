//! The kinds that exist before anybody declares one.
//!
//! Decides which built-in kinds are served, how their lists merge, which semantic rules their
//! objects must meet, and how the two views on events translate. Rules are those that a wrong
//! controller would trip over, not the full validation of a real server.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::Cause;
use super::resources::{Decoder, Resource, ScalePaths, SelectorPath, Version};
use super::schema::ListRule;
use super::selector::LabelSelector;

fn decode<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent traits of a kind, as discovery lists them"
)]
struct Kind {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    name: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    status: bool,
    scale: bool,
    generation: bool,
    decoder: Decoder,
}

/// Every built-in resource.
pub(super) fn resources() -> Vec<Resource> {
    let kind = |group, version, plural, name, decoder| Kind {
        group,
        version,
        plural,
        name,
        short: &[],
        namespaced: true,
        status: false,
        scale: false,
        generation: false,
        decoder,
    };
    let workload = |plural, name, short, decoder| Kind {
        short,
        status: true,
        scale: true,
        generation: true,
        ..kind("apps", "v1", plural, name, decoder)
    };
    let mut kinds = vec![
        Kind {
            short: &["ns"],
            namespaced: false,
            status: true,
            ..kind("", "v1", "namespaces", "Namespace", decode::<Namespace>)
        },
        Kind {
            short: &["no"],
            namespaced: false,
            status: true,
            ..kind("", "v1", "nodes", "Node", decode::<Node>)
        },
        Kind {
            short: &["po"],
            status: true,
            ..kind("", "v1", "pods", "Pod", decode::<Pod>)
        },
        Kind {
            short: &["ev"],
            ..kind("", "v1", "events", "Event", decode::<Event>)
        },
        Kind {
            short: &["cm"],
            ..kind("", "v1", "configmaps", "ConfigMap", decode::<ConfigMap>)
        },
        kind("", "v1", "secrets", "Secret", decode::<Secret>),
        Kind {
            short: &["svc"],
            status: true,
            ..kind("", "v1", "services", "Service", decode::<Service>)
        },
        Kind {
            short: &["sa"],
            ..kind(
                "",
                "v1",
                "serviceaccounts",
                "ServiceAccount",
                decode::<ServiceAccount>,
            )
        },
        workload(
            "deployments",
            "Deployment",
            &["deploy"],
            decode::<Deployment>,
        ),
        workload("replicasets", "ReplicaSet", &["rs"], decode::<ReplicaSet>),
        workload(
            "statefulsets",
            "StatefulSet",
            &["sts"],
            decode::<StatefulSet>,
        ),
        Kind {
            short: &["hpa"],
            status: true,
            ..kind(
                "autoscaling",
                "v2",
                "horizontalpodautoscalers",
                "HorizontalPodAutoscaler",
                decode::<HorizontalPodAutoscaler>,
            )
        },
        kind(
            "coordination.k8s.io",
            "v1",
            "leases",
            "Lease",
            decode::<Lease>,
        ),
        Kind {
            short: &["pdb"],
            status: true,
            generation: true,
            ..kind(
                "policy",
                "v1",
                "poddisruptionbudgets",
                "PodDisruptionBudget",
                decode::<PodDisruptionBudget>,
            )
        },
        Kind {
            short: &["pc"],
            namespaced: false,
            ..kind(
                "scheduling.k8s.io",
                "v1",
                "priorityclasses",
                "PriorityClass",
                decode::<PriorityClass>,
            )
        },
        Kind {
            short: &["crd", "crds"],
            namespaced: false,
            status: true,
            generation: true,
            ..kind(
                "apiextensions.k8s.io",
                "v1",
                "customresourcedefinitions",
                "CustomResourceDefinition",
                decode::<CustomResourceDefinition>,
            )
        },
    ];
    // The newer view on events decodes as the newer type; it is stored as the older one.
    kinds.push(kind(
        "events.k8s.io",
        "v1",
        "events",
        "Event",
        decode::<k8s_openapi::api::events::v1::Event>,
    ));
    kinds.iter().map(resource).collect()
}

fn resource(kind: &Kind) -> Resource {
    let selectable: &[&str] = match kind.name {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingComponent",
            "reportingController",
            "source",
            "type",
        ],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "ReplicaSet" => &["status.replicas"],
        "Secret" => &["type"],
        _ => &[],
    };
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let everyday = matches!(
        kind.plural,
        "pods"
            | "services"
            | "deployments"
            | "replicasets"
            | "statefulsets"
            | "horizontalpodautoscalers"
    );
    Resource {
        group: kind.group.to_owned(),
        plural: kind.plural.to_owned(),
        singular: kind.name.to_lowercase(),
        kind: kind.name.to_owned(),
        list_kind: format!("{}List", kind.name),
        short_names: strings(kind.short),
        categories: if everyday {
            vec!["all".to_owned()]
        } else {
            Vec::new()
        },
        namespaced: kind.namespaced,
        versions: vec![Version {
            name: kind.version.to_owned(),
            schema: None,
            status: kind.status,
            scale: kind.scale.then(|| ScalePaths {
                spec_replicas: "/spec/replicas".to_owned(),
                status_replicas: "/status/replicas".to_owned(),
                selector: SelectorPath::Object,
            }),
            columns: Vec::new(),
            selectable: strings(selectable),
        }],
        storage_version: kind.version.to_owned(),
        generation: kind.generation,
        unconditional_update: kind.name != "Lease" && kind.name != "CustomResourceDefinition",
        custom: false,
        decoder: Some(kind.decoder),
        extra_subresources: match kind.name {
            "Pod" => vec!["resize"],
            "Namespace" => vec!["finalize"],
            _ => Vec::new(),
        },
        stored_as: (kind.group == "events.k8s.io").then(|| (String::new(), "events".to_owned())),
    }
}

/// Keyed lists of built-in kinds by field name, for server-side apply and strategic merge.
///
/// The names follow the `patchMergeKey` and `listMapKey` marks of the Kubernetes types. Looking
/// up by name is enough because no two kept kinds disagree, ports excepted.
pub(super) fn list_rule(kind: &str, path: &[String]) -> ListRule {
    let keys = |names: &[&str]| ListRule::Map(names.iter().map(|n| (*n).to_owned()).collect());
    match path.last().map(String::as_str) {
        Some("containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes") => {
            keys(&["name"])
        }
        Some("imagePullSecrets" | "secrets") => keys(&["name"]),
        Some("ports") if kind == "Service" => keys(&["port", "protocol"]),
        Some("ports") => keys(&["containerPort", "protocol"]),
        Some("volumeMounts") => keys(&["mountPath"]),
        Some("hostAliases" | "podIPs" | "hostIPs") => keys(&["ip"]),
        Some("topologySpreadConstraints") => keys(&["topologyKey", "whenUnsatisfiable"]),
        Some("ownerReferences") => keys(&["uid"]),
        Some("conditions") => keys(&["type"]),
        Some("finalizers") => ListRule::Set,
        _ => ListRule::Atomic,
    }
}

/// Fills the defaults that clients rely on reading back.
pub(super) fn apply_defaults(kind: &str, object: &mut Value) {
    let mut default = |pointer: &str, value: Value| {
        let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        if let Some(Value::Object(map)) = object.pointer_mut(parent) {
            let slot = map.entry(field.to_owned()).or_insert(Value::Null);
            if slot.is_null() {
                *slot = value;
            }
        }
    };
    match kind {
        "Deployment" => {
            default("/spec/replicas", json!(1));
            default("/spec/progressDeadlineSeconds", json!(600));
            default("/spec/revisionHistoryLimit", json!(10));
            default(
                "/spec/strategy",
                json!({
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                }),
            );
            default("/spec/template/spec/restartPolicy", json!("Always"));
            default(
                "/spec/template/spec/terminationGracePeriodSeconds",
                json!(30),
            );
        }
        "ReplicaSet" => default("/spec/replicas", json!(1)),
        "StatefulSet" => {
            default("/spec/replicas", json!(1));
            default("/spec/podManagementPolicy", json!("OrderedReady"));
        }
        "HorizontalPodAutoscaler" => default("/spec/minReplicas", json!(1)),
        "Pod" => {
            default("/spec/restartPolicy", json!("Always"));
            default("/spec/terminationGracePeriodSeconds", json!(30));
        }
        _ => {}
    }
}

/// Semantic faults of a built-in object.
pub(super) fn validate(kind: &str, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    if let Some(replicas) = spec["replicas"].as_i64()
        && replicas < 0
    {
        let rule = "must be greater than or equal to 0";
        causes.push(Cause::invalid("spec.replicas", &spec["replicas"], rule));
    }
    match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            let selector = LabelSelector::from_object(&spec["selector"]);
            let labels = &spec["template"]["metadata"]["labels"];
            if selector.is_empty() {
                causes.push(Cause::required("spec.selector"));
            } else if !selector.matches_labels(labels) {
                let rule = "`selector` does not match template `labels`";
                causes.push(Cause::invalid(
                    "spec.template.metadata.labels",
                    labels,
                    rule,
                ));
            }
            let containers = &spec["template"]["spec"]["containers"];
            if containers.as_array().is_none_or(Vec::is_empty) {
                causes.push(Cause::required("spec.template.spec.containers"));
            }
        }
        "Pod" if spec["containers"].as_array().is_none_or(Vec::is_empty) => {
            causes.push(Cause::required("spec.containers"));
        }
        "HorizontalPodAutoscaler" => {
            let (min, max) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64());
            if max.is_none_or(|max| max < 1) {
                let rule = "must be greater than 0";
                causes.push(Cause::invalid(
                    "spec.maxReplicas",
                    &spec["maxReplicas"],
                    rule,
                ));
            }
            if min.is_some_and(|min| min < 1) {
                let rule = "must be greater than or equal to 1";
                causes.push(Cause::invalid(
                    "spec.minReplicas",
                    &spec["minReplicas"],
                    rule,
                ));
            }
            if let (Some(min), Some(max)) = (min, max)
                && max < min
            {
                let rule = "must be greater than or equal to `minReplicas`";
                causes.push(Cause::invalid(
                    "spec.maxReplicas",
                    &spec["maxReplicas"],
                    rule,
                ));
            }
        }
        "Lease"
            if spec["leaseDurationSeconds"]
                .as_i64()
                .is_some_and(|span| span <= 0) =>
        {
            let value = &spec["leaseDurationSeconds"];
            let rule = "must be greater than 0";
            causes.push(Cause::invalid("spec.leaseDurationSeconds", value, rule));
        }
        _ => {}
    }
    causes
}

/// Decoder of events as they are stored.
pub(super) fn stored_event_decoder() -> Decoder {
    decode::<Event>
}

/// Field names of the newer events and what the stored, older form calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
];

/// `events.k8s.io/v1` to `v1`.
pub(super) fn event_to_core(event: &Value) -> Value {
    let mut stored = event.clone();
    if let Some(map) = stored.as_object_mut() {
        for (newer, older) in EVENT_FIELDS {
            if let Some(value) = map.remove(newer) {
                map.insert(older.to_owned(), value);
            }
        }
        map.insert("apiVersion".to_owned(), json!("v1"));
        map.insert("kind".to_owned(), json!("Event"));
    }
    stored
}

/// `v1` to `events.k8s.io/v1`.
pub(super) fn event_from_core(event: &Value) -> Value {
    let mut shown = event.clone();
    if let Some(map) = shown.as_object_mut() {
        for (newer, older) in EVENT_FIELDS {
            if let Some(value) = map.remove(older) {
                map.insert(newer.to_owned(), value);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_views_on_an_event_tell_the_same() {
        let newer = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
            "regarding": {"name": "a"}, "note": "to 9", "reportingController": "tipoff"});
        let stored = event_to_core(&newer);
        assert_eq!(stored["involvedObject"]["name"], "a");
        assert_eq!(stored["message"], "to 9");
        let back = event_from_core(&stored);
        assert_eq!(back["note"], "to 9");
        assert_eq!(back["reportingController"], "tipoff");
    }

    #[test]
    fn no_resource_is_declared_twice() {
        let mut ids: Vec<_> = resources().iter().map(Resource::id).collect();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
