//! Watches, reflectors and controllers of `kube_runtime` on the embedded API, through faults.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::*;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{
    DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config};
use kube::runtime::utils::Backoff;
use kube::runtime::{Controller, WatchStreamExt as _, reflector, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tipoff::embedded::{EmbeddedCluster, Fault, Matcher, Verb};
use tokio_util::sync::CancellationToken;

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "dfs")
}

async fn put(client: &Client, name: &str, league: &str) {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"labels": {"league": league}}});
    let params = PatchParams::apply("test").force();
    maps(client)
        .patch(name, &params, &Patch::Apply(config))
        .await
        .unwrap();
}

fn shorthand<K: kube::ResourceExt>(event: &WatchEvent<K>) -> String {
    match event {
        WatchEvent::Added(object) => format!("+{}", object.name_any()),
        WatchEvent::Modified(object) => format!("~{}", object.name_any()),
        WatchEvent::Deleted(object) => format!("-{}", object.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

/// The next `count` events of a watch, shortened.
async fn events(
    api: &Api<ConfigMap>,
    params: &WatchParams,
    version: &str,
    count: usize,
) -> Vec<String> {
    let stream = api.watch(params, version).await.unwrap();
    let shortened = stream.map(|event| shorthand(&event.unwrap())).take(count);
    tokio::time::timeout(Duration::from_secs(5), shortened.collect())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_watch_replays_what_happened_since_its_version() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    put(&client, "a", "nfl").await;
    let version = maps(&client).list(&ListParams::default()).await.unwrap();
    let version = version.metadata.resource_version.unwrap();
    put(&client, "b", "nba").await;
    put(&client, "a", "nba").await;
    maps(&client)
        .delete("b", &DeleteParams::default())
        .await
        .unwrap();
    let all = WatchParams::default();
    assert_eq!(
        events(&maps(&client), &all, &version, 3).await,
        ["+b", "~a", "-b"]
    );
    // Leaving a selector is a deletion, entering it an addition.
    let nfl = WatchParams::default().labels("league=nfl");
    assert_eq!(events(&maps(&client), &nfl, &version, 1).await, ["-a"]);
    let nba = WatchParams::default().labels("league=nba");
    assert_eq!(
        events(&maps(&client), &nba, &version, 3).await,
        ["+b", "+a", "-b"]
    );
    let one = WatchParams::default().fields("metadata.name=b");
    assert_eq!(
        events(&maps(&client), &one, &version, 2).await,
        ["+b", "-b"]
    );
    assert_eq!(
        events(&maps(&client), &all, "0", 1).await,
        ["+a"],
        "from nothing: what is there"
    );
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_and_sends_bookmarks() {
    let cluster = EmbeddedCluster::builder()
        .namespace("dfs")
        .bookmark_every(Duration::from_millis(20))
        .build();
    let client = cluster.client();
    put(&client, "a", "nfl").await;
    let params = WatchParams::default().timeout(1);
    let stream = maps(&client).watch(&params, "0").await.unwrap();
    let seen: Vec<String> = stream
        .map(|event| shorthand(&event.unwrap()))
        .collect()
        .await;
    assert_eq!(seen.first().map(String::as_str), Some("+a"));
    assert!(
        seen.len() > 2 && seen[1..].iter().all(|event| event == "bookmark"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn history_that_is_gone_is_said_to_be_gone() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    let list = maps(&client).list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    put(&client, "a", "nfl").await;
    cluster.compact();
    let all = WatchParams::default();
    let stream = maps(&client).watch(&all, &version).await.unwrap();
    let seen: Vec<String> = stream
        .map(|event| shorthand(&event.unwrap()))
        .collect()
        .await;
    assert_eq!(seen, ["error 410"], "and the stream ends");
}

/// Tries again every 10 ms, however often it failed.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(10))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

/// Names in a reflector's store.
fn names(store: &reflector::Store<ConfigMap>) -> BTreeSet<String> {
    store.state().iter().map(|map| map.name_any()).collect()
}

async fn reflector_survives(config: watcher::Config) {
    let (cluster, _) = cluster();
    let client = cluster.client();
    put(&client, "a", "nfl").await;
    let (store, writer) = reflector::store();
    let stream = watcher(maps(&client), config)
        .backoff(Steady)
        .reflect(writer);
    let task = tokio::spawn(stream.for_each(|_| async {}));
    store.wait_until_ready().await.unwrap();
    let holds = async |wanted: &[&str]| {
        let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        eventually(&format!("store holds {wanted:?}"), async || {
            names(&store) == wanted
        })
        .await;
    };
    holds(&["a"]).await;
    put(&client, "b", "nba").await;
    holds(&["a", "b"]).await;

    cluster.faults().end_watches(Some("configmaps"));
    put(&client, "c", "nba").await;
    holds(&["a", "b", "c"]).await;

    cluster.faults().break_watches();
    maps(&client)
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    holds(&["b", "c"]).await;

    // The watch cannot come back before history is gone, so it must list again.
    let watches = Matcher::any().verb(Verb::Watch).resource("configmaps");
    cluster.faults().always(watches, Fault::status(500));
    cluster.faults().break_watches();
    put(&client, "d", "nba").await;
    maps(&client)
        .delete("b", &DeleteParams::default())
        .await
        .unwrap();
    cluster.compact();
    cluster.faults().clear();
    holds(&["c", "d"]).await;
    task.abort();
}

#[tokio::test]
async fn a_reflector_survives_dropped_watches() {
    reflector_survives(watcher::Config::default()).await;
}

#[tokio::test]
async fn a_reflector_on_streaming_lists_survives_dropped_watches() {
    reflector_survives(watcher::Config::default().streaming_lists()).await;
}

#[tokio::test]
async fn pages_do_not_lose_objects_for_a_reflector() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    for number in 0..7 {
        put(&client, &format!("m{number}"), "nfl").await;
    }
    let (store, writer) = reflector::store();
    let stream = watcher(maps(&client), watcher::Config::default().page_size(3)).reflect(writer);
    let task = tokio::spawn(stream.for_each(|_| async {}));
    store.wait_until_ready().await.unwrap();
    assert_eq!(store.len(), 7);
    task.abort();
}

#[tokio::test]
async fn metadata_can_be_watched_alone() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    clock.advance(seconds(40));
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client, "dfs");
    let (store, writer) = reflector::store();
    let stream = watcher(pods, watcher::Config::default()).reflect(writer);
    let task = tokio::spawn(stream.for_each(|_| async {}));
    store.wait_until_ready().await.unwrap();
    assert_eq!(store.len(), 2);
    task.abort();
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct ReconcileError(#[from] kube::Error);

/// Writes the wanted replicas of a Rollout into its status, as a controller would.
async fn reconcile(
    object: Arc<DynamicObject>,
    context: Arc<(Client, AtomicU32)>,
) -> Result<Action, ReconcileError> {
    context.1.fetch_add(1, Ordering::Relaxed);
    let api: Api<DynamicObject> = Api::namespaced_with(context.0.clone(), "dfs", &resource());
    let status = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "status": {"seen": object.data["spec"]["replicas"]}});
    let params = PatchParams::apply("rollouts").force();
    api.patch_status(&object.name_any(), &params, &Patch::Apply(status))
        .await?;
    Ok(Action::await_change())
}

fn resource() -> kube::api::ApiResource {
    kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(
        "argoproj.io",
        "v1alpha1",
        "Rollout",
    ))
}

#[tokio::test]
async fn a_controller_works_through_faults_and_comes_to_rest() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    define_rollouts(&client).await;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "dfs", &resource());
    let stop = CancellationToken::new();
    let context = Arc::new((cluster.client_as("rollouts/1"), AtomicU32::new(0)));
    let controller = Controller::new_with(api.clone(), watcher::Config::default(), resource())
        .with_config(Config::default().concurrency(2))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_millis(20)),
            Arc::clone(&context),
        )
        .for_each(|_| async {});
    let task = tokio::spawn(controller);

    let writes = Matcher::any().verb(Verb::Patch).resource("rollouts/status");
    cluster
        .faults()
        .next(1, writes.clone(), Fault::too_many_requests(1));
    cluster.faults().next(1, writes.clone(), Fault::status(500));
    cluster.faults().next(1, writes.clone(), Fault::Disconnect);
    cluster.faults().next(1, writes, Fault::LoseAnswer);
    api.create(&PostParams::default(), &typed(rollout("entry", 3)))
        .await
        .unwrap();
    let seen = async || api.get("entry").await.unwrap().data["status"]["seen"].as_i64();
    eventually("status written in spite of faults", async || {
        seen().await == Some(3)
    })
    .await;

    cluster.faults().break_watches();
    let change = Patch::Merge(json!({"spec": {"replicas": 5}}));
    api.patch("entry", &PatchParams::default(), &change)
        .await
        .unwrap();
    eventually("change seen over a new watch", async || {
        seen().await == Some(5)
    })
    .await;

    cluster.faults().set_down(true);
    assert!(api.get("entry").await.is_err());
    cluster.faults().set_down(false);
    let change = Patch::Merge(json!({"spec": {"replicas": 6}}));
    api.patch("entry", &PatchParams::default(), &change)
        .await
        .unwrap();
    eventually("change seen after an outage", async || {
        seen().await == Some(6)
    })
    .await;

    // Its own status writes must not keep it busy.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let rounds = context.1.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(context.1.load(Ordering::Relaxed), rounds);
    assert_eq!(
        cluster.requests().writers("rollouts/status"),
        BTreeSet::from(["rollouts".to_owned()])
    );
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn faults_reach_the_caller_as_asked_for() {
    let (cluster, _) = cluster();
    let client = cluster.client_as("tipoff-a/0.1");
    deploy(&client, "entry", 2).await;
    let deployments: Api<Deployment> = Api::namespaced(client, "dfs");
    let scale = async || {
        let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
        deployments
            .patch_scale("entry", &PatchParams::default(), &patch)
            .await
    };
    let scaling = || {
        Matcher::any()
            .verb(Verb::Patch)
            .resource("deployments/scale")
    };
    cluster
        .faults()
        .next(2, scaling(), Fault::too_many_requests(7));
    let Err(kube::Error::Api(status)) = scale().await else {
        panic!("not refused")
    };
    assert_eq!(
        (status.code, status.details.unwrap().retry_after_seconds),
        (429, 7)
    );
    assert_eq!(code(scale().await), 429);
    assert!(scale().await.is_ok(), "two were asked for");
    cluster
        .faults()
        .always(scaling().agent("tipoff-b"), Fault::status(409));
    assert!(scale().await.is_ok(), "another client's fault");
    cluster
        .faults()
        .next(1, scaling().agent("tipoff-a"), Fault::status(409));
    assert_eq!(code(scale().await), 409);
    cluster.faults().clear();

    let log = cluster.requests();
    assert_eq!(log.count(Verb::Patch, "deployments/scale"), 5);
    assert_eq!(
        log.writers("deployments/scale"),
        BTreeSet::from(["tipoff-a".to_owned()])
    );
    assert_eq!(log.select(|record| record.code == 429).len(), 2);

    cluster.stop();
    assert!(scale().await.is_err(), "a stopped cluster answers nothing");
}
