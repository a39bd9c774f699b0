//! Bridges on the whole controller: CPU raised and given back to the letter, nodes asked for before
//! the crowd, and nothing at all where nobody asked for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{TimeDelta, Timelike as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tipoff::api::PredictiveAutoscaler;
use tipoff::embedded::{Fault, Matcher};
use tipoff::units::Timestamp;

use crate::support::at;
use crate::support::rig::{NAME, NAMESPACE, Rig};

const NIGHT: &str = "2026-09-09T03:00:00Z";
const RESERVE: &str = "contest-entry-headroom";

/// A Deployment whose pods have CPU limits and take a minute to start.
async fn limited(rig: &Rig, replicas: u32) {
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {"name": NAME},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {
                    "labels": {"app": NAME},
                    "annotations": {"embedded.tipoff.dev/start-up": "60s"},
                },
                "spec": {"containers": [
                    {"name": "main", "image": "main:1", "resources": {
                        "limits": {"cpu": "0.5", "memory": "1Gi"}, "requests": {"cpu": "250m"}}},
                    {"name": "proxy", "image": "proxy:1", "resources": {
                        "limits": {"cpu": "100m"}, "requests": {"cpu": "0.1"}}},
                    {"name": "free", "image": "free:1"},
                ]},
            },
        },
    }))
    .unwrap();
    api.create(&PostParams::default(), &deployment)
        .await
        .unwrap();
    rig.until("the first pods are ready", async || {
        let deployment = api.get(NAME).await.unwrap();
        deployment.status.and_then(|status| status.ready_replicas) == i32::try_from(replicas).ok()
    })
    .await;
}

async fn pods(rig: &Rig) -> Vec<Pod> {
    let api: Api<Pod> = Api::namespaced(rig.client.clone(), NAMESPACE);
    let params = ListParams::default().labels("app=contest-entry");
    api.list(&params).await.unwrap().items
}

/// Limit and request of a container's CPU, as they are written.
fn cpu(pod: &Pod, container: &str) -> [Option<String>; 2] {
    let spec = serde_json::to_value(pod.spec.as_ref().unwrap()).unwrap();
    let found = spec["containers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == container)
        .unwrap()
        .clone();
    ["limits", "requests"].map(|part| {
        let amount = found["resources"][part]["cpu"].as_str();
        amount.map(str::to_owned)
    })
}

fn written(limit: &str, request: &str) -> [Option<String>; 2] {
    [Some(limit.to_owned()), Some(request.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn running_pods_get_more_cpu_until_new_ones_are_ready() {
    let load = Arc::new(AtomicU64::new(400));
    let now = Arc::clone(&load);
    let rig = Rig::new(at(NIGHT), 20.0, move |t| {
        if t > at(NIGHT) {
            now.load(Ordering::Relaxed) as f64
        } else {
            200.0
        }
    })
    .await;
    rig.live.send_modify(|live| {
        let mut changed = live.as_ref().clone();
        changed.settings.tick = TimeDelta::seconds(2);
        *live = Arc::new(changed);
    });
    limited(&rig, 4).await;
    rig.policy(json!({"bridges": {"resize": {"enabled": true, "factor": "2x"}}}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    assert_eq!(rig.replicas().await, 4);

    load.store(1200, Ordering::Relaxed);
    rig.until("four pods are raised", async || {
        let pods = pods(&rig).await;
        let raised = pods
            .iter()
            .filter(|pod| cpu(pod, "main") == written("1000m", "250m"));
        raised.count() == 4
    })
    .await;
    for pod in pods(&rig).await {
        let raised = pod.labels().contains_key("tipoff.dev/cpu-raised");
        // a request that equals the limit follows it
        let proxy = if raised {
            written("200m", "200m")
        } else {
            written("100m", "0.1")
        };
        assert_eq!(cpu(&pod, "proxy"), proxy);
        assert_eq!(cpu(&pod, "free"), [None, None]);
    }

    // whoever leads next gives it back
    controller.kill().await;
    let next = rig.controller("tipoff-2");
    rig.until("twelve are ready and none is raised", async || {
        let pods = pods(&rig).await;
        pods.len() == 12
            && pods.iter().all(|pod| {
                cpu(pod, "main") == written("0.5", "250m")
                    && cpu(pod, "proxy") == written("100m", "0.1")
                    && !pod.labels().contains_key("tipoff.dev/cpu-raised")
                    && !pod.annotations().contains_key("tipoff.dev/cpu-before")
            })
    })
    .await;
    rig.until("the status says so", async || {
        rig.status().await.ready_replicas == Some(12)
    })
    .await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_deleted_gives_cpu_back() {
    let load = Arc::new(AtomicU64::new(400));
    let now = Arc::clone(&load);
    let rig = Rig::new(at(NIGHT), 20.0, move |_| now.load(Ordering::Relaxed) as f64).await;
    limited(&rig, 4).await;
    rig.policy(json!({"bridges": {"resize": {"enabled": true}}, "maxReplicas": 12}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "True", "Complete").await;
    load.store(1200, Ordering::Relaxed);
    let raised = async || {
        let pods = pods(&rig).await;
        pods.iter()
            .filter(|pod| pod.labels().contains_key("tipoff.dev/cpu-raised"))
            .count()
    };
    rig.until("pods are raised", async || raised().await == 4)
        .await;
    rig.policies()
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    for _ in 0..1000 {
        if raised().await == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(raised().await, 0);
    for pod in pods(&rig).await {
        assert_eq!(cpu(&pod, "main"), written("0.5", "250m"));
    }
    let deployment = api.get(NAME).await.unwrap();
    assert_eq!(deployment.spec.unwrap().replicas, Some(12));
    controller.stop().await;
}

/// 400/s, but 2000/s from four to five each night.
fn nightly(t: Timestamp) -> f64 {
    if t.hour() == 4 { 2000.0 } else { 400.0 }
}

/// A workload whose forecast sees a crowd an hour ahead.
async fn before_the_crowd() -> Rig {
    let rig = Rig::new(at(NIGHT), 200.0, nightly).await;
    rig.deployment(5).await;
    rig
}

fn reserving() -> Value {
    json!({"bridges": {"nodes": {"enabled": true, "maxReplicas": 3}}})
}

async fn install_capacity_buffers(rig: &Rig) -> Api<DynamicObject> {
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "capacitybuffers.autoscaling.x-k8s.io"},
        "spec": {
            "group": "autoscaling.x-k8s.io",
            "scope": "Namespaced",
            "names": {"plural": "capacitybuffers", "kind": "CapacityBuffer"},
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "provisioningStrategy": {"type": "string"},
                        "replicas": {"type": "integer", "minimum": 0},
                        "percentage": {"type": "integer", "minimum": 0},
                        "scalableRef": {
                            "type": "object", "required": ["kind", "name"],
                            "properties": {
                                "apiGroup": {"type": "string"},
                                "kind": {"type": "string"},
                                "name": {"type": "string"},
                            },
                        },
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let gvk = GroupVersionKind::gvk("autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer");
    Api::namespaced_with(rig.client.clone(), NAMESPACE, &ApiResource::from_gvk(&gvk))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capacity_buffer_comes_before_the_crowd_and_goes_with_it() {
    let rig = before_the_crowd().await;
    let buffers = install_capacity_buffers(&rig).await;
    rig.policy(reserving()).await;
    let controller = rig.controller("tipoff");
    rig.until("nodes are asked for", async || {
        buffers.get_opt(RESERVE).await.unwrap().is_some()
    })
    .await;
    let asked = rig.clock.now();
    let buffer = buffers.get(RESERVE).await.unwrap();
    assert_eq!(
        buffer.data["spec"],
        json!({
            "provisioningStrategy": "buffer.x-k8s.io/active-capacity",
            "scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": NAME},
            "replicas": 3,
        })
    );
    assert_eq!(buffer.owner_references()[0].kind, "PredictiveAutoscaler");
    let replicas = rig.replicas().await;
    // a larger limit reaches it, and so does a smaller one
    for most in [9, 2] {
        rig.policy(json!({"bridges": {"nodes": {"enabled": true, "maxReplicas": most}}}))
            .await;
        rig.until("the buffer is changed", async || {
            let buffer = buffers.get_opt(RESERVE).await.unwrap();
            buffer.is_some_and(|buffer| buffer.data["spec"]["replicas"] == most)
        })
        .await;
    }
    assert!(
        asked < at("2026-09-09T04:00:00Z") && replicas < 10,
        "{asked}, {replicas}"
    );
    rig.until("replicas have taken its place", async || {
        buffers.get_opt(RESERVE).await.unwrap().is_none()
    })
    .await;
    assert!(rig.replicas().await >= 10);
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    assert!(api.get_opt(RESERVE).await.unwrap().is_none(), "one of both");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_capacity_buffers_pods_hold_the_room_and_go_with_the_policy() {
    let rig = before_the_crowd().await;
    rig.policy(reserving()).await;
    let controller = rig.controller("tipoff");
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    let there = async || api.get_opt(RESERVE).await.unwrap().is_some();
    rig.until("room is held", async || there().await).await;
    let spec = api.get(RESERVE).await.unwrap().spec.unwrap();
    assert_eq!(spec.replicas, Some(3));
    let pod = spec.template.spec.unwrap();
    assert_eq!(pod.priority_class_name.as_deref(), Some("tipoff-headroom"));
    assert_eq!(pod.termination_grace_period_seconds, Some(0));
    let classes: Api<PriorityClass> = Api::all(rig.client.clone());
    assert_eq!(classes.get("tipoff-headroom").await.unwrap().value, -10);

    // turned off it is taken back, and held again once it is on
    rig.policy(json!({})).await;
    rig.until("it is released", async || !there().await).await;
    rig.policy(reserving()).await;
    rig.until("room is held again", async || there().await)
        .await;
    rig.policy(json!({"mode": "Recommend", "bridges": reserving()["bridges"]}))
        .await;
    rig.until("nothing is held while it is only recommended", async || {
        !there().await
    })
    .await;
    rig.policy(reserving()).await;
    rig.until("room is held once more", async || there().await)
        .await;
    rig.policies()
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    assert!(!there().await, "it belonged to the policy");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_deployment_is_not_taken_for_a_reserve() {
    let rig = before_the_crowd().await;
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    api.create(
        &PostParams::default(),
        &crate::support::rig::deployment(RESERVE, 1),
    )
    .await
    .unwrap();
    rig.policy(reserving()).await;
    let controller = rig.controller("tipoff");
    rig.until("it is said", async || {
        let reasons = rig.status().await.reasons;
        reasons
            .iter()
            .any(|reason| reason.contains("exists and is not this policy's"))
    })
    .await;
    let theirs = api.get(RESERVE).await.unwrap();
    assert_eq!(theirs.spec.unwrap().replicas, Some(1));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_for_a_reserve_is_said() {
    let rig = before_the_crowd().await;
    let _buffers = install_capacity_buffers(&rig).await;
    rig.cluster.faults().always(
        Matcher::any().resource("capacitybuffers").agent("tipoff"),
        Fault::status(403),
    );
    rig.policy(reserving()).await;
    let controller = rig.controller("tipoff");
    rig.until("it is said", async || {
        let reasons = rig.status().await.reasons;
        reasons.iter().any(|reason| {
            reason.starts_with("bridge not changed: reserve: ")
                && reason.ends_with("give the controller the rights in config/rbac/bridges")
        })
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_cannot_be_found_keep_no_capacity_from_being_learnt() {
    let rig = Rig::new(at(NIGHT), 60.0, |_| 400.0).await;
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "fleets.example.dev"},
        "spec": {
            "group": "example.dev",
            "scope": "Namespaced",
            "names": {"plural": "fleets", "kind": "Fleet"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                // no labelSelectorPath: nobody says which pods are its own
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas",
                }},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    }))
    .unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let gvk = GroupVersionKind::gvk("example.dev", "v1", "Fleet");
    let resource = ApiResource::from_gvk(&gvk);
    let fleets: Api<DynamicObject> = Api::namespaced_with(rig.client.clone(), NAMESPACE, &resource);
    let mut fleet = DynamicObject::new(NAME, &resource);
    fleet.data = json!({"spec": {"replicas": 4}});
    fleets.create(&PostParams::default(), &fleet).await.unwrap();
    let ready = json!({"status": {"replicas": 4, "readyReplicas": 4}});
    fleets
        .patch_status(NAME, &PatchParams::default(), &Patch::Merge(&ready))
        .await
        .unwrap();
    let policy: PredictiveAutoscaler = serde_json::from_value(json!({
        "apiVersion": "tipoff.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": NAME},
        "spec": {
            "mode": "Enforce",
            "scaleTargetRef": {"apiVersion": "example.dev/v1", "kind": "Fleet", "name": NAME},
            "minReplicas": 2,
            "maxReplicas": 100,
            "load": {"prometheus": {"query": "load"}},
            "bridges": {"resize": {"enabled": true, "factor": "2x"}},
        },
    }))
    .unwrap();
    rig.policies()
        .create(&PostParams::default(), &policy)
        .await
        .unwrap();
    let controller = rig.controller("tipoff");
    rig.until("what a replica carries is learnt", async || {
        let capacity = rig.status().await.capacity;
        capacity.is_some_and(|capacity| capacity.per_replica == Some(100.0))
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_asked_nothing_is_touched() {
    let rig = before_the_crowd().await;
    let buffers = install_capacity_buffers(&rig).await;
    rig.policy(json!({"bridges": {
        "resize": {"enabled": false}, "nodes": {"enabled": false},
    }}))
    .await;
    let controller = rig.controller("tipoff");
    rig.until("the crowd is covered", async || rig.replicas().await >= 10)
        .await;
    controller.stop().await;
    let written = rig.cluster.requests().select(|request| {
        request.agent.starts_with("tipoff")
            && request.verb.writes()
            && !request.resource.starts_with("predictiveautoscalers")
            && request.resource != "events"
            && request.resource != "deployments/scale"
    });
    assert!(written.is_empty(), "{written:?}");
    assert!(buffers.get_opt(RESERVE).await.unwrap().is_none());
}
