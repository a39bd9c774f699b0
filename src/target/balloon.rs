//! Pods that hold room for a workload's: as heavy as they are, where they may stand, and gone at once
//! when one of them comes.

use serde_json::{Map, Value, json};

use super::buffer::{Owner, PRIORITY_CLASS, RESERVE_LABEL};

/// Pods that ask for what the workload's pods ask for, and may stand where those may stand.
pub(super) fn balloon(owner: &Owner<'_>, pod: &Value, image: &str, replicas: u32) -> Value {
    let always = |container: &&Value| container["restartPolicy"] == "Always";
    let sidecars = pod["initContainers"].as_array().into_iter().flatten();
    let containers: Vec<Value> = pod["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(sidecars.filter(always))
        .map(|container| {
            let mut paused = json!({
                "name": container["name"],
                "image": image,
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                },
            });
            if let Some(resources) = weight(&container["resources"]) {
                paused["resources"] = resources;
            }
            paused
        })
        .collect();
    let mut spec = json!({
        "priorityClassName": PRIORITY_CLASS,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            // the user of the pause image
            "runAsUser": 65535,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
    });
    for field in [
        "nodeSelector",
        "tolerations",
        "schedulerName",
        "runtimeClassName",
    ] {
        if let Some(value) = pod.get(field).filter(|value| !value.is_null()) {
            spec[field] = value.clone();
        }
    }
    if let Some(nodes) = pod["affinity"].get("nodeAffinity") {
        spec["affinity"] = json!({"nodeAffinity": nodes});
    }
    let labels = json!({RESERVE_LABEL: owner.uid});
    json!({
        "metadata": owner.metadata(),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })
}

/// What a container asks a node for. A limit without a request of the same resource is one too; and
/// what cannot be overcommitted must have a limit, which equals the request.
fn weight(resources: &Value) -> Option<Value> {
    let [requests, limits] = ["requests", "limits"].map(|field| resources[field].as_object());
    let mut asked = limits.cloned().unwrap_or_default();
    asked.extend(requests.cloned().unwrap_or_default());
    if asked.is_empty() {
        return None;
    }
    let exact: Map<String, Value> = asked
        .iter()
        .filter(|(resource, _)| resource.contains('/') || resource.starts_with("hugepages-"))
        .map(|(resource, amount)| (resource.clone(), amount.clone()))
        .collect();
    let mut weight = json!({"requests": asked});
    if !exact.is_empty() {
        weight["limits"] = Value::Object(exact);
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::super::buffer::tests::OWNER;
    use super::*;

    #[test]
    fn a_balloon_weighs_what_the_workload_weighs() {
        let pod = json!({
            "nodeSelector": {"pool": "games"},
            "affinity": {"nodeAffinity": {"a": 1}, "podAntiAffinity": {"b": 2}},
            "containers": [
                {"name": "main", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}},
                {"name": "limited", "resources": {"limits": {"memory": "1Gi"}}},
                {"name": "mixed", "resources": {
                    "requests": {"cpu": "500m", "nvidia.com/gpu": 1},
                    "limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1}}},
                {"name": "free"},
            ],
            "initContainers": [
                {"name": "once", "resources": {"requests": {"cpu": "9"}}},
                {"name": "proxy", "restartPolicy": "Always",
                 "resources": {"requests": {"cpu": "100m"}}},
            ],
        });
        let body = balloon(&OWNER, &pod, "pause", 3);
        let spec = &body["spec"]["template"]["spec"];
        let requests: Vec<_> = spec["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|container| container["resources"]["requests"].to_string())
            .collect();
        assert_eq!(
            requests,
            [
                r#"{"cpu":"1"}"#,
                r#"{"memory":"1Gi"}"#,
                r#"{"cpu":"500m","memory":"1Gi","nvidia.com/gpu":1}"#,
                "null",
                r#"{"cpu":"100m"}"#,
            ]
        );
        let mixed = &spec["containers"][2]["resources"];
        assert_eq!(mixed["limits"], json!({"nvidia.com/gpu": 1}));
        assert!(spec["containers"][0]["resources"].get("limits").is_none());
        assert_eq!(spec["terminationGracePeriodSeconds"], 0);
        assert_eq!(spec["nodeSelector"]["pool"], "games");
        assert_eq!(spec["affinity"], json!({"nodeAffinity": {"a": 1}}));
        assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "u-1");
    }
}
