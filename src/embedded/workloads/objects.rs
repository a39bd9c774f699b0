//! Objects the simulated controllers, scheduler and kubelet write.
//!
//! Decides what their pods, nodes and replica sets look like. It must not store them.

use serde_json::{Value, json};

use super::super::store::Key;
use super::super::write::seconds;
use super::addresses::Address;
use crate::units::Timestamp;

/// Owner reference of a controller.
fn controlled_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

/// Sets a condition and keeps its transition time while the status stays.
pub(super) fn set_condition(
    status: &mut Value,
    kind: &str,
    truth: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let truth = if truth { "True" } else { "False" };
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    let mut fresh = json!({"type": kind, "status": truth, "lastTransitionTime": seconds(now)});
    if !reason.is_empty() {
        fresh["reason"] = json!(reason);
        fresh["message"] = json!(message);
    }
    match conditions
        .iter_mut()
        .find(|condition| condition["type"] == kind)
    {
        Some(present) => {
            if present["status"] == truth {
                fresh["lastTransitionTime"] = present["lastTransitionTime"].clone();
            }
            *present = fresh;
        }
        None => conditions.push(fresh),
    }
}

/// The replica set of a deployment. One per deployment: its name does not depend on the template.
pub(super) fn replica_set(
    deployment: &Value,
    present: Option<&Value>,
    uid: &str,
    now: Timestamp,
) -> Value {
    let owner_uid = deployment["metadata"]["uid"].as_str().unwrap_or_default();
    let hash: String = owner_uid.chars().filter(|c| *c != '-').take(10).collect();
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = json!(hash);
    let mut set = present.cloned().unwrap_or_else(|| {
        json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{name}-{hash}"),
                "namespace": deployment["metadata"]["namespace"],
                "uid": uid,
                "creationTimestamp": seconds(now),
                "generation": 0,
                "labels": template["metadata"]["labels"],
                "ownerReferences": controlled_by(deployment),
            },
            "status": {"replicas": 0},
        })
    });
    let spec = json!({
        "replicas": deployment["spec"]["replicas"],
        "minReadySeconds": deployment["spec"]["minReadySeconds"].as_i64().unwrap_or_default(),
        "selector": selector,
        "template": template,
    });
    if set["spec"] != spec {
        let generation = set["metadata"]["generation"].as_i64().unwrap_or_default();
        set["metadata"]["generation"] = json!(generation + 1);
        set["spec"] = spec;
    }
    set
}

/// Name of the replica set that [`replica_set`] makes.
pub(super) fn replica_set_name(deployment: &Value) -> String {
    let uid = deployment["metadata"]["uid"].as_str().unwrap_or_default();
    let hash: String = uid.chars().filter(|c| *c != '-').take(10).collect();
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    format!("{name}-{hash}")
}

/// A new pod of `owner`, not yet placed.
pub(super) fn pod(owner: &Value, key: &Key, uid: &str, now: Timestamp) -> Value {
    let template = &owner["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": key.1,
            "namespace": key.0,
            "uid": uid,
            "creationTimestamp": seconds(now),
            "ownerReferences": controlled_by(owner),
        },
        "spec": template["spec"],
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    });
    for field in ["labels", "annotations"] {
        if let Some(value) = template["metadata"].get(field) {
            pod["metadata"][field] = value.clone();
        }
    }
    pod
}

/// Marks a pod as placed on a node, or as waiting for room.
pub(super) fn place(pod: &mut Value, node: Option<&str>, now: Timestamp) {
    let status = &mut pod["status"];
    match node {
        Some(_) => set_condition(status, "PodScheduled", true, "", "", now),
        None => set_condition(
            status,
            "PodScheduled",
            false,
            "Unschedulable",
            "no node has room for another pod",
            now,
        ),
    }
    if let Some(node) = node {
        pod["spec"]["nodeName"] = json!(node);
    }
}

/// Marks a pod as running and ready.
pub(super) fn start(pod: &mut Value, address: Address, now: Timestamp) {
    if let Some(port) = address.port() {
        pod["metadata"]["annotations"]["prometheus.io/port"] = json!(port.to_string());
    }
    let containers: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|container| {
            json!({
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": seconds(now)}},
            })
        })
        .collect();
    let created = pod["metadata"]["creationTimestamp"].clone();
    let status = &mut pod["status"];
    status["phase"] = json!("Running");
    status["startTime"] = created;
    let ip = address.ip().to_string();
    status["podIPs"] = json!([{"ip": ip}]);
    status["podIP"] = json!(ip);
    status["hostIP"] = json!("192.168.0.1");
    status["containerStatuses"] = json!(containers);
    for kind in ["Initialized", "ContainersReady", "Ready"] {
        set_condition(status, kind, true, "", "", now);
    }
}

/// A node with room for `pods`.
pub(super) fn node(name: &str, uid: &str, pods: usize, now: Timestamp) -> Value {
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": uid,
            "creationTimestamp": seconds(now),
            "labels": {"kubernetes.io/hostname": name},
        },
        "spec": {},
        "status": {
            "capacity": {"pods": pods.to_string()},
            "allocatable": {"pods": pods.to_string()},
        },
    });
    let message = "the simulated node is ready";
    set_condition(
        &mut node["status"],
        "Ready",
        true,
        "KubeletReady",
        message,
        now,
    );
    node
}

/// Counts of the pods of one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) available: usize,
}

/// Writes `counts` into a status; zero counts are left out as a real controller does.
pub(super) fn set_counts(status: &mut Value, counts: Counts) {
    status["replicas"] = json!(counts.active);
    for (field, count) in [
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ] {
        if count > 0 {
            status[field] = json!(count);
        } else if let Some(map) = status.as_object_mut() {
            map.remove(field);
        }
    }
}

/// The status of a deployment whose replica set has `counts`.
pub(super) fn deployment_status(deployment: &mut Value, counts: Counts, now: Timestamp) {
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1) as usize;
    let generation = deployment["metadata"]["generation"].clone();
    let name = deployment["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let status = &mut deployment["status"];
    if !status.is_object() {
        *status = json!({});
    }
    set_counts(status, counts);
    let unavailable = wanted.saturating_sub(counts.available);
    for (field, count) in [
        ("updatedReplicas", counts.active),
        ("unavailableReplicas", unavailable),
    ] {
        if count > 0 {
            status[field] = json!(count);
        } else if let Some(map) = status.as_object_mut() {
            map.remove(field);
        }
    }
    status["observedGeneration"] = generation;
    // The default rolling update tolerates a quarter of the pods missing, rounded down.
    if unavailable <= wanted / 4 {
        let text = "Deployment has minimum availability.";
        set_condition(
            status,
            "Available",
            true,
            "MinimumReplicasAvailable",
            text,
            now,
        );
    } else {
        let text = "Deployment does not have minimum availability.";
        set_condition(
            status,
            "Available",
            false,
            "MinimumReplicasUnavailable",
            text,
            now,
        );
    }
    if counts.active == wanted && counts.available >= wanted {
        let text = format!("ReplicaSet of {name} has successfully progressed.");
        set_condition(
            status,
            "Progressing",
            true,
            "NewReplicaSetAvailable",
            &text,
            now,
        );
    } else {
        let text = format!("ReplicaSet of {name} is progressing.");
        set_condition(status, "Progressing", true, "ReplicaSetUpdated", &text, now);
    }
}
