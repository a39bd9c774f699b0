//! The simulated cluster: from replicas wanted to pods ready, on the time of the clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::*;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tipoff::clock::{Clock as _, ManualClock, ScaledClock};
use tipoff::embedded::{Delay, EmbeddedCluster, NodeBehaviour, PodBehaviour};

async fn scale(client: &Client, name: &str, replicas: i32) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments
        .patch_scale(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// `(replicas, ready, available, unavailable)` of a deployment's status.
async fn counts(client: &Client, name: &str) -> (i32, i32, i32, i32) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let status = deployments.get(name).await.unwrap().status.unwrap();
    (
        status.replicas.unwrap_or_default(),
        status.ready_replicas.unwrap_or_default(),
        status.available_replicas.unwrap_or_default(),
        status.unavailable_replicas.unwrap_or_default(),
    )
}

async fn pods(client: &Client) -> Vec<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "dfs");
    pods.list(&ListParams::default()).await.unwrap().items
}

fn condition<'a>(deployment: &'a Deployment, kind: &str) -> &'a str {
    let conditions = deployment
        .status
        .as_ref()
        .unwrap()
        .conditions
        .as_ref()
        .unwrap();
    &conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap()
        .status
}

#[tokio::test]
async fn pods_are_ready_after_their_start_up_and_not_before() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 3).await;
    assert_eq!(counts(&client, "entry").await, (3, 0, 0, 3));
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let stored = deployments.get("entry").await.unwrap();
    assert_eq!(condition(&stored, "Available"), "False");
    assert!(
        pods(&client)
            .await
            .iter()
            .all(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Pending"))
    );

    clock.advance(seconds(29));
    assert_eq!(counts(&client, "entry").await, (3, 0, 0, 3));
    clock.advance(seconds(1));
    assert_eq!(counts(&client, "entry").await, (3, 3, 3, 0));
    assert_eq!(cluster.ready_pods("dfs", "app=entry").unwrap(), 3);
    let stored = deployments.get("entry").await.unwrap();
    assert_eq!(condition(&stored, "Available"), "True");
    assert_eq!(
        stored.status.unwrap().observed_generation,
        stored.metadata.generation
    );

    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "dfs");
    let set = sets
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .remove(0);
    for pod in pods(&client).await {
        let owner = &pod.owner_references()[0];
        assert_eq!(
            (owner.kind.as_str(), &owner.uid),
            ("ReplicaSet", &set.uid().unwrap())
        );
        assert_eq!(pod.labels()["app"], "entry");
        let status = pod.status.unwrap();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert!(status.pod_ip.is_some());
        let ready = status
            .conditions
            .unwrap()
            .into_iter()
            .find(|c| c.type_ == "Ready")
            .unwrap();
        assert_eq!(
            ready.last_transition_time.unwrap().0.to_string(),
            "2026-09-13T17:00:30Z"
        );
    }
}

#[tokio::test]
async fn one_jump_of_the_clock_equals_many_steps() {
    let behaviour = PodBehaviour {
        start_up: Delay::LogNormal {
            median: seconds(20),
            p95: seconds(60),
        },
        ..steady()
    };
    let run = async |steps: i64| {
        let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
        let cluster = EmbeddedCluster::builder()
            .clock(clock.clone())
            .pods(behaviour)
            .namespace("dfs")
            .build();
        let client = cluster.client();
        deploy(&client, "entry", 80).await;
        for _ in 0..steps {
            clock.advance(seconds(600 / steps));
            cluster.ready_pods("dfs", "").unwrap();
        }
        let mut ready: Vec<String> = pods(&client)
            .await
            .into_iter()
            .map(|pod| {
                let conditions = pod.status.unwrap().conditions.unwrap();
                let ready = conditions.into_iter().find(|c| c.type_ == "Ready").unwrap();
                ready.last_transition_time.unwrap().0.to_string()
            })
            .collect();
        ready.sort();
        ready
    };
    let jump = run(1).await;
    assert_eq!(jump.len(), 80);
    assert!(jump.first() != jump.last());
    assert_eq!(jump, run(100).await);
}

#[tokio::test]
async fn creations_are_paced_over_the_whole_cluster() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 100).await;
    deploy(&client, "lobby", 30).await;
    assert_eq!(pods(&client).await.len(), 30, "the burst");
    clock.advance(seconds(2));
    assert_eq!(pods(&client).await.len(), 70, "and twenty per second");
    clock.advance(seconds(3));
    assert_eq!(pods(&client).await.len(), 130);
}

#[tokio::test]
async fn scaling_down_takes_the_unready_and_the_young_first() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    clock.advance(seconds(60));
    let old: BTreeSet<String> = pods(&client).await.iter().map(Pod::name_any).collect();
    scale(&client, "entry", 4).await;
    clock.advance(seconds(60));
    let middle: BTreeSet<String> = pods(&client).await.iter().map(Pod::name_any).collect();
    scale(&client, "entry", 6).await;
    clock.advance(seconds(10));
    assert_eq!(counts(&client, "entry").await, (6, 4, 4, 2));

    scale(&client, "entry", 4).await;
    assert_eq!(counts(&client, "entry").await, (4, 4, 4, 0));
    let ending: Vec<Pod> = pods(&client)
        .await
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_some())
        .collect();
    assert_eq!(ending.len(), 2, "they take their time");
    assert!(ending.iter().all(|pod| !middle.contains(&pod.name_any())));
    clock.advance(seconds(5));
    assert_eq!(pods(&client).await.len(), 4);

    scale(&client, "entry", 2).await;
    clock.advance(seconds(5));
    let left: BTreeSet<String> = pods(&client).await.iter().map(Pod::name_any).collect();
    assert_eq!(left, old, "the youngest went");
}

#[tokio::test]
async fn a_deleted_pod_is_replaced_and_a_deleted_deployment_is_not() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    clock.advance(seconds(60));
    let api: Api<Pod> = Api::namespaced(client.clone(), "dfs");
    let victim = pods(&client).await[0].name_any();
    api.delete(&victim, &DeleteParams::default()).await.unwrap();
    assert_eq!(
        counts(&client, "entry").await,
        (2, 1, 1, 1),
        "a new one has been made"
    );
    clock.advance(seconds(30));
    assert_eq!(counts(&client, "entry").await, (2, 2, 2, 0));
    assert!(api.get_opt(&victim).await.unwrap().is_none());

    let now = DeleteParams::default().grace_period(0);
    let victim = pods(&client).await[0].name_any();
    api.delete(&victim, &now).await.unwrap();
    assert!(api.get_opt(&victim).await.unwrap().is_none());

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    deployments
        .delete("entry", &DeleteParams::foreground())
        .await
        .unwrap();
    assert!(
        deployments.get_opt("entry").await.unwrap().is_some(),
        "waits for its dependents"
    );
    clock.advance(seconds(10));
    assert!(deployments.get_opt("entry").await.unwrap().is_none());
    assert!(pods(&client).await.is_empty());
}

#[tokio::test]
async fn a_full_cluster_boots_nodes_for_waiting_pods() {
    let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
    let cluster = EmbeddedCluster::builder()
        .clock(clock.clone())
        .pods(steady())
        .nodes(NodeBehaviour {
            initial: 1,
            max: 3,
            pods_per_node: 4,
            boot: Delay::seconds(90),
        })
        .namespace("dfs")
        .build();
    let client = cluster.client();
    deploy(&client, "entry", 14).await;
    clock.advance(seconds(40));
    assert_eq!(counts(&client, "entry").await, (14, 4, 4, 10));
    let waiting = pods(&client)
        .await
        .into_iter()
        .find(|pod| pod.spec.as_ref().unwrap().node_name.is_none())
        .unwrap();
    let scheduled = waiting.status.unwrap().conditions.unwrap().remove(0);
    assert_eq!(scheduled.reason.as_deref(), Some("Unschedulable"));
    clock.advance(seconds(49));
    assert_eq!(counts(&client, "entry").await.1, 4, "nodes come at 90 s");
    clock.advance(seconds(31));
    assert_eq!(
        counts(&client, "entry").await.1,
        12,
        "two nodes more, which is the limit"
    );
    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(
        nodes
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        3
    );
    scale(&client, "entry", 12).await;
    assert_eq!(
        counts(&client, "entry").await,
        (12, 12, 12, 0),
        "those without a node went first"
    );
}

#[tokio::test]
async fn stateful_sets_start_and_stop_in_order() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), "dfs");
    let set: StatefulSet = typed(json!({
        "metadata": {"name": "db"},
        "spec": {"replicas": 3, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
                 "template": {"metadata": {"labels": {"app": "db"}},
                              "spec": {"containers": [{"name": "db", "image": "db:1"}]}}},
    }));
    sets.create(&PostParams::default(), &set).await.unwrap();
    let names = async || -> Vec<String> { pods(&client).await.iter().map(Pod::name_any).collect() };
    assert_eq!(names().await, ["db-0"]);
    clock.advance(seconds(30));
    assert_eq!(names().await, ["db-0", "db-1"]);
    clock.advance(seconds(60));
    assert_eq!(names().await, ["db-0", "db-1", "db-2"]);
    let status = sets.get("db").await.unwrap().status.unwrap();
    assert_eq!((status.replicas, status.ready_replicas), (3, Some(3)));
    let patch = Patch::Merge(json!({"spec": {"replicas": 2}}));
    sets.patch_scale("db", &PatchParams::default(), &patch)
        .await
        .unwrap();
    clock.advance(seconds(5));
    assert_eq!(names().await, ["db-0", "db-1"]);
}

#[tokio::test]
async fn a_custom_kind_gets_pods_when_asked_for() {
    let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
    let cluster = EmbeddedCluster::builder()
        .clock(clock.clone())
        .pods(steady())
        .namespace("dfs")
        .simulate("argoproj.io", "rollouts")
        .build();
    let client = cluster.client();
    define_rollouts(&client).await;
    let gvk = kube::api::GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
    let (resource, _) = kube::discovery::pinned_kind(&client, &gvk).await.unwrap();
    let rollouts: Api<DynamicObject> = Api::namespaced_with(client.clone(), "dfs", &resource);
    rollouts
        .create(&PostParams::default(), &typed(rollout("entry", 3)))
        .await
        .unwrap();
    clock.advance(seconds(30));
    let scale = rollouts.get_scale("entry").await.unwrap().status.unwrap();
    assert_eq!(scale.replicas, 3);
    let selector = scale.selector.unwrap();
    assert_eq!(cluster.ready_pods("dfs", &selector).unwrap(), 3);
}

#[tokio::test]
async fn pods_resize_in_place_and_take_their_own_start_up_time() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    let api: Api<Pod> = Api::namespaced(client.clone(), "dfs");
    let pod: Pod = typed(json!({
        "metadata": {"name": "balloon", "annotations": {"embedded.tipoff.dev/start-up": "5s"}},
        "spec": {"containers": [{"name": "app", "image": "a", "resources": {"limits": {"cpu": "1"}}}]},
    }));
    api.create(&PostParams::default(), &pod).await.unwrap();
    clock.advance(seconds(5));
    assert_eq!(cluster.ready_pods("dfs", "").unwrap(), 1);
    let larger = json!({"spec": {"priority": 9, "containers": [
        {"name": "app", "resources": {"limits": {"cpu": "2"}}}]}});
    let params = PatchParams::default();
    let resized = api
        .patch_resize("balloon", &params, &Patch::Strategic(larger))
        .await
        .unwrap();
    let spec = resized.spec.unwrap();
    let limits = spec.containers[0]
        .resources
        .as_ref()
        .unwrap()
        .limits
        .as_ref()
        .unwrap();
    assert_eq!(limits["cpu"].0, "2");
    assert_eq!(spec.priority, None, "only resources are resized");
}

#[tokio::test]
async fn watchers_hear_of_pods_as_the_clock_moves() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    let api: Api<Pod> = Api::namespaced(client.clone(), "dfs");
    let mut stream = api
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    deploy(&client, "entry", 1).await;
    let added = stream.try_next().await.unwrap().unwrap();
    assert!(matches!(added, WatchEvent::Added(_)), "{added:?}");
    clock.advance(seconds(30));
    let running = tokio::time::timeout(std::time::Duration::from_secs(5), stream.try_next());
    match running.await.unwrap().unwrap().unwrap() {
        WatchEvent::Modified(pod) => {
            assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pods_start_in_simulated_time() {
    let origin = "2026-09-13T17:00:00Z".parse().unwrap();
    let clock = Arc::new(ScaledClock::new(origin, 600.0).unwrap());
    let cluster = EmbeddedCluster::builder()
        .clock(clock.clone())
        .pods(steady())
        .namespace("dfs")
        .build();
    let client = cluster.client();
    deploy(&client, "entry", 5).await;
    eventually("pods ready", async || counts(&client, "entry").await.1 == 5).await;
    assert!(clock.now() - origin >= seconds(30));
    assert!(clock.monotonic() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn thousands_of_pods_are_kept_in_step() {
    let clock = ManualClock::new("2026-09-13T17:00:00Z".parse().unwrap());
    let behaviour = PodBehaviour {
        create_per_second: 200.0,
        ..steady()
    };
    let cluster = EmbeddedCluster::builder()
        .clock(clock.clone())
        .pods(behaviour)
        .namespace("dfs")
        .build();
    let client = cluster.client();
    deploy(&client, "entry", 3000).await;
    clock.advance(seconds(60));
    assert_eq!(counts(&client, "entry").await, (3000, 3000, 3000, 0));
    scale(&client, "entry", 10).await;
    scale(&client, "entry", 1000).await;
    scale(&client, "entry", 20).await;
    clock.advance(seconds(60));
    assert_eq!(counts(&client, "entry").await, (20, 20, 20, 0));
    assert_eq!(
        pods(&client).await.len(),
        20,
        "what was under way is not made any more"
    );
}

#[tokio::test]
async fn a_count_written_to_the_replica_set_is_put_back() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "dfs");
    let set = sets
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .remove(0);
    let patch = Patch::Merge(json!({"spec": {"replicas": 9}}));
    sets.patch_scale(&set.name_any(), &PatchParams::default(), &patch)
        .await
        .unwrap();
    clock.advance(seconds(60));
    assert_eq!(counts(&client, "entry").await, (2, 2, 2, 0));
}
