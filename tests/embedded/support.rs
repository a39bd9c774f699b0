//! What the tests of the embedded cluster share: a cluster on a manual clock and plain objects.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use serde_json::{Value, json};
use tipoff::clock::ManualClock;
use tipoff::embedded::{Delay, EmbeddedCluster, PodBehaviour};

/// Pods take 30 s to start and 5 s to end; creations are paced as in a real cluster.
pub(crate) fn steady() -> PodBehaviour {
    PodBehaviour {
        start_up: Delay::seconds(30),
        terminate: Delay::seconds(5),
        ..PodBehaviour::default()
    }
}

/// A cluster with namespace `dfs` whose time a test moves.
pub(crate) fn cluster() -> (EmbeddedCluster, Arc<ManualClock>) {
    let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
    let cluster = EmbeddedCluster::builder()
        .clock(clock.clone())
        .pods(steady())
        .namespace("dfs")
        .build();
    (cluster, clock)
}

pub(crate) fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn deployment(name: &str, replicas: i32) -> Deployment {
    typed(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "entry:1"}]},
            },
        },
    }))
}

pub(crate) async fn deploy(client: &Client, name: &str, replicas: i32) -> Deployment {
    Api::namespaced(client.clone(), "dfs")
        .create(&PostParams::default(), &deployment(name, replicas))
        .await
        .unwrap()
}

/// Argo's Rollout, reduced: scale with a text selector.
pub(crate) fn rollout_definition() -> CustomResourceDefinition {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let step = json!({
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
    });
    let spec = json!({
        "type": "object", "required": ["replicas"],
        "properties": {
            "replicas": {"type": "integer", "minimum": 0, "maximum": 1000},
            "strategy": {"type": "string", "enum": ["Canary", "BlueGreen"], "default": "Canary"},
            "version": {"type": "string", "pattern": "^v[0-9]+$"},
            "selector": open,
            "template": open,
            "steps": {
                "type": "array", "items": step,
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            },
        },
    });
    let schema = json!({
        "type": "object", "required": ["spec"],
        "properties": {"spec": spec, "status": open},
    });
    let scale = json!({
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    });
    typed(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"plural": "rollouts", "kind": "Rollout", "shortNames": ["ro"]},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": scale},
                "schema": {"openAPIV3Schema": schema},
                "additionalPrinterColumns": [
                    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
                ],
            }],
        },
    }))
}

pub(crate) fn rollout(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                         "spec": {"containers": [{"name": "app", "image": "entry:1"}]}},
        },
    })
}

pub(crate) async fn define_rollouts(client: &Client) -> CustomResourceDefinition {
    Api::all(client.clone())
        .create(&PostParams::default(), &rollout_definition())
        .await
        .unwrap()
}

/// The HTTP code of a refusal.
pub(crate) fn code<T: Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Api(status)) => status.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Waits (real time, bounded) until `met` says so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut met: impl FnMut() -> F) {
    for _ in 0..500 {
        if met().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

pub(crate) fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}
