//! The embedded API answers a real `kube::Client` as an API server does: objects, patches, locks,
//! subresources, discovery, refusals.

use crate::support::*;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent, Namespace, Pod};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, Preconditions, PropagationPolicy, ValidationDirective,
};
use kube::core::PartialObjectMeta;
use kube::discovery::{Discovery, Scope, pinned_kind, verbs};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use tipoff::embedded::EmbeddedCluster;

fn config_map(name: &str, labels: &Value) -> ConfigMap {
    typed(json!({"metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}))
}

#[tokio::test]
async fn objects_are_made_once_and_found_by_name() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    let params = PostParams::default();
    let made = maps
        .create(&params, &config_map("a", &json!({})))
        .await
        .unwrap();
    assert!(made.uid().is_some());
    assert_eq!(
        made.creation_timestamp().unwrap().0.to_string(),
        "2026-09-13T17:00:00Z"
    );
    assert_eq!(
        maps.get("a").await.unwrap().resource_version(),
        made.resource_version()
    );

    let twin = maps.create(&params, &config_map("a", &json!({}))).await;
    let Err(kube::Error::Api(status)) = twin else {
        panic!("{twin:?}")
    };
    assert!(status.is_already_exists());
    let details = status.details.unwrap();
    assert_eq!(
        (details.name.as_str(), details.kind.as_str()),
        ("a", "configmaps")
    );

    let Err(kube::Error::Api(status)) = maps.get("b").await else {
        panic!("found what is not there")
    };
    assert!(status.is_not_found());
    assert!(maps.get_opt("b").await.unwrap().is_none());

    let generated: ConfigMap = typed(json!({"metadata": {"generateName": "run-"}}));
    let generated = maps.create(&params, &generated).await.unwrap();
    assert!(generated.name_any().starts_with("run-") && generated.name_any().len() == 9);

    let elsewhere: Api<ConfigMap> = Api::namespaced(cluster.client(), "nowhere");
    assert_eq!(
        code(
            elsewhere
                .create(&params, &config_map("a", &json!({})))
                .await
        ),
        404
    );
    assert_eq!(
        code(
            maps.create(&params, &config_map("Bad_Name", &json!({})))
                .await
        ),
        422
    );
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    for (name, league) in [
        ("a", "nfl"),
        ("b", "nba"),
        ("c", "nfl"),
        ("d", "epl"),
        ("e", "nhl"),
    ] {
        let map = config_map(name, &json!({"league": league}));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let names = async |params: ListParams| -> Vec<String> {
        let list = maps.list(&params).await.unwrap();
        list.iter().map(kube::ResourceExt::name_any).collect()
    };
    let select = |text: &str| ListParams::default().labels(text);
    assert_eq!(names(select("league in (nfl,nba)")).await, ["a", "b", "c"]);
    assert_eq!(names(select("league notin (nfl,nba)")).await, ["d", "e"]);
    assert_eq!(names(select("!league")).await, [""; 0]);
    assert_eq!(
        names(ListParams::default().fields("metadata.name=d")).await,
        ["d"]
    );
    assert_eq!(
        code(maps.list(&ListParams::default().fields("data.k=v")).await),
        400
    );

    let mut paged = Vec::new();
    let mut params = ListParams::default().limit(2);
    loop {
        let page = maps.list(&params).await.unwrap();
        paged.extend(page.iter().map(kube::ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(paged, ["a", "b", "c", "d", "e"]);
    let everywhere: Api<ConfigMap> = Api::all(cluster.client());
    assert_eq!(
        everywhere
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        5
    );
}

#[tokio::test]
async fn a_replace_needs_the_version_it_was_read_at() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    let params = PostParams::default();
    let first = maps
        .create(&params, &config_map("a", &json!({})))
        .await
        .unwrap();
    let mut newer = first.clone();
    newer.data = Some([("k".to_owned(), "w".to_owned())].into());
    let stored = maps.replace("a", &params, &newer).await.unwrap();
    assert_ne!(stored.resource_version(), first.resource_version());
    let Err(kube::Error::Api(status)) = maps.replace("a", &params, &first).await else {
        panic!("a stale replace was accepted")
    };
    assert!(status.is_conflict());
    let same = maps.replace("a", &params, &stored).await.unwrap();
    assert_eq!(
        same.resource_version(),
        stored.resource_version(),
        "nothing changed"
    );
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut more = stored.clone();
    more.data = None;
    maps.replace("a", &dry, &more).await.unwrap();
    assert!(maps.get("a").await.unwrap().data.is_some());
}

#[tokio::test]
async fn two_candidates_cannot_both_take_a_lease() {
    let (cluster, _) = cluster();
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "kube-system");
    let lease: Lease = typed(json!({
        "metadata": {"name": "tipoff"},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 15,
                 "renewTime": "2026-09-13T17:00:00.123456Z"},
    }));
    let seen = leases.create(&PostParams::default(), &lease).await.unwrap();
    let take = |who: &str| {
        let mut mine = seen.clone();
        mine.spec.as_mut().unwrap().holder_identity = Some(who.to_owned());
        let leases = leases.clone();
        async move {
            leases
                .replace("tipoff", &PostParams::default(), &mine)
                .await
        }
    };
    let (one, two) = tokio::join!(take("a"), take("b"));
    let outcomes = [one.is_ok(), two.is_ok()];
    assert_eq!(
        outcomes.iter().filter(|won| **won).count(),
        1,
        "{outcomes:?}"
    );
    let lost = if outcomes[0] { two } else { one };
    assert_eq!(code(lost), 409);

    let mut unversioned = seen.clone();
    unversioned.metadata.resource_version = None;
    let refused = leases
        .replace("tipoff", &PostParams::default(), &unversioned)
        .await;
    assert_eq!(code(refused), 422);
}

#[tokio::test]
async fn patches_of_every_kind_change_what_they_name() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 3).await;
    let deployments: Api<Deployment> = Api::namespaced(client, "dfs");
    let params = PatchParams::default();

    let merge = json!({"spec": {"replicas": 4}});
    let patched = deployments
        .patch("entry", &params, &Patch::Merge(merge))
        .await
        .unwrap();
    assert_eq!(patched.spec.as_ref().unwrap().replicas, Some(4));
    assert_eq!(patched.metadata.generation, Some(2));

    let strategic = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "app", "env": [{"name": "LEAGUE", "value": "nfl"}]}]}}}});
    let patched = deployments
        .patch("entry", &params, &Patch::Strategic(strategic))
        .await
        .unwrap();
    let pod = patched.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].image.as_deref(), Some("entry:1"));
    assert_eq!(pod.containers[0].env.as_ref().unwrap()[0].name, "LEAGUE");

    let steps = json!([{"op": "test", "path": "/spec/replicas", "value": 4},
                       {"op": "replace", "path": "/spec/replicas", "value": 5}]);
    let steps: json_patch::Patch = typed(steps);
    let patched = deployments
        .patch("entry", &params, &Patch::Json::<()>(steps))
        .await
        .unwrap();
    assert_eq!(patched.spec.unwrap().replicas, Some(5));

    let stale = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}});
    assert_eq!(
        code(
            deployments
                .patch("entry", &params, &Patch::Merge(stale))
                .await
        ),
        409
    );
    let wrong = json!({"spec": {"replicas": "nine"}});
    assert_eq!(
        code(
            deployments
                .patch("entry", &params, &Patch::Merge(wrong))
                .await
        ),
        400
    );
    let negative = json!({"spec": {"replicas": -1}});
    assert_eq!(
        code(
            deployments
                .patch("entry", &params, &Patch::Merge(negative))
                .await
        ),
        422
    );
    let anonymous = client_patch(&cluster, "application/apply-patch+yaml", "").await;
    assert_eq!(anonymous, 400, "an apply without a manager");
    let lost = json!({"spec": {"replicas": 1}});
    assert_eq!(
        code(
            deployments
                .patch("lobby", &params, &Patch::Merge(lost))
                .await
        ),
        404
    );
}

/// The code a raw patch of a missing deployment is answered with.
async fn client_patch(cluster: &EmbeddedCluster, content_type: &str, query: &str) -> u16 {
    let path = format!("/apis/apps/v1/namespaces/dfs/deployments/lobby?{query}");
    let request = http::Request::patch(path)
        .header("content-type", content_type)
        .body(b"{}".to_vec())
        .unwrap();
    code(cluster.client().request::<Value>(request).await)
}

#[tokio::test]
async fn custom_kinds_refuse_strategic_merge() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    define_rollouts(&client).await;
    let rollouts = rollouts(&client);
    rollouts
        .create(&PostParams::default(), &typed(rollout("entry", 3)))
        .await
        .unwrap();
    let patch = Patch::Strategic(json!({"spec": {"replicas": 4}}));
    let refused = rollouts
        .patch("entry", &PatchParams::default(), &patch)
        .await;
    assert_eq!(code(refused), 415);
}

#[tokio::test]
async fn spec_and_status_are_written_apart() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    define_rollouts(&client).await;
    let rollouts = rollouts(&client);
    let mut object: DynamicObject = typed(rollout("entry", 3));
    object.data["status"] = json!({"phase": "Sneaked"});
    let made = rollouts
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    assert!(
        made.data.get("status").is_none(),
        "status on create is ignored"
    );
    assert_eq!(
        made.data["spec"]["strategy"], "Canary",
        "defaults are filled"
    );
    assert_eq!(made.metadata.generation, Some(1));

    let params = PatchParams::default();
    let both = json!({"spec": {"replicas": 7}, "status": {"phase": "Healthy"}});
    let stored = rollouts
        .patch_status("entry", &params, &Patch::Merge(&both))
        .await
        .unwrap();
    assert_eq!(
        stored.data["spec"]["replicas"], 3,
        "spec on a status write is ignored"
    );
    assert_eq!(stored.data["status"]["phase"], "Healthy");
    assert_eq!(stored.metadata.generation, Some(1));

    let both = json!({"spec": {"replicas": 7}, "status": {"phase": "Broken"}});
    let stored = rollouts
        .patch("entry", &params, &Patch::Merge(&both))
        .await
        .unwrap();
    assert_eq!(stored.data["spec"]["replicas"], 7);
    assert_eq!(
        stored.data["status"]["phase"], "Healthy",
        "status on a main write is ignored"
    );
    assert_eq!(stored.metadata.generation, Some(2));

    let applied = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "status": {"phase": "Paused", "stable": "v1"}});
    let apply = PatchParams::apply("tipoff").force();
    let stored = rollouts
        .patch_status("entry", &apply, &Patch::Apply(&applied))
        .await
        .unwrap();
    assert_eq!(
        stored.data["status"],
        json!({"phase": "Paused", "stable": "v1"})
    );
    let applied = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "status": {"phase": "Healthy"}});
    let stored = rollouts
        .patch_status("entry", &apply, &Patch::Apply(&applied))
        .await
        .unwrap();
    assert_eq!(
        stored.data["status"],
        json!({"phase": "Healthy"}),
        "what is left out goes"
    );
    let version = stored.resource_version();
    let again = rollouts
        .patch_status("entry", &apply, &Patch::Apply(&applied))
        .await
        .unwrap();
    assert_eq!(
        again.resource_version(),
        version,
        "a repeated apply stores nothing"
    );
}

fn rollouts(client: &kube::Client) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
    Api::namespaced_with(client.clone(), "dfs", &ApiResource::from_gvk(&gvk))
}

#[tokio::test]
async fn managers_keep_what_they_applied() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data});
    let apply = async |manager: &str, force: bool, data: Value| {
        let mut params = PatchParams::apply(manager);
        params.force = force;
        maps.patch("shared", &params, &Patch::Apply(config(data)))
            .await
    };
    let made = apply("git", false, json!({"min": "4", "max": "9"}))
        .await
        .unwrap();
    let entries = made.metadata.managed_fields.as_ref().unwrap();
    assert_eq!(entries[0].manager.as_deref(), Some("git"));
    assert_eq!(entries[0].operation.as_deref(), Some("Apply"));
    assert_eq!(
        entries[0].fields_v1.as_ref().unwrap().0,
        json!({"f:data": {"f:max": {}, "f:min": {}}})
    );

    apply("tipoff", false, json!({"min": "4", "mode": "Enforce"}))
        .await
        .unwrap();
    let refused = apply("tipoff", false, json!({"min": "6"})).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("a field was taken without force")
    };
    assert!(status.is_conflict());
    assert!(
        status.message.contains("conflict with \"git\""),
        "{}",
        status.message
    );
    assert_eq!(status.details.unwrap().causes[0].field, ".data.min");

    let forced = apply("tipoff", true, json!({"min": "6"})).await.unwrap();
    let data = forced.data.unwrap();
    assert_eq!(data.get("min").map(String::as_str), Some("6"));
    assert_eq!(data.get("max").map(String::as_str), Some("9"));
    assert!(!data.contains_key("mode"), "given up by its only owner");

    // What `git` lost it does not take along when it leaves it out.
    let after = apply("git", false, json!({"max": "9"})).await.unwrap();
    assert!(after.data.unwrap().contains_key("min"));
    assert_eq!(
        code(apply("git", false, json!({"min": "4", "max": "9"})).await),
        409
    );
}

#[tokio::test]
async fn plain_writes_take_fields_over_and_are_recorded() {
    let (cluster, _) = cluster();
    let client = cluster.client_as("kubectl/v1.33");
    let deployments: Api<Deployment> = Api::namespaced(client, "dfs");
    let mut config = serde_json::to_value(deployment("entry", 3)).unwrap();
    config["apiVersion"] = json!("apps/v1");
    config["kind"] = json!("Deployment");
    let git = PatchParams::apply("git");
    deployments
        .patch("entry", &git, &Patch::Apply(&config))
        .await
        .unwrap();

    let scale = json!({"spec": {"replicas": 8}});
    deployments
        .patch_scale("entry", &PatchParams::default(), &Patch::Merge(&scale))
        .await
        .unwrap();
    let stored = deployments.get("entry").await.unwrap();
    let entries = stored.metadata.managed_fields.unwrap();
    let scaler = entries
        .iter()
        .find(|e| e.manager.as_deref() == Some("kubectl"))
        .unwrap();
    assert_eq!(scaler.subresource.as_deref(), Some("scale"));
    assert_eq!(
        scaler.fields_v1.as_ref().unwrap().0,
        json!({"f:spec": {"f:replicas": {}}})
    );

    let refused = deployments
        .patch("entry", &git, &Patch::Apply(&config))
        .await;
    assert_eq!(code(refused), 409);
    // Giving the field up is how a repository hands the count to a scaler.
    config["spec"].as_object_mut().unwrap().remove("replicas");
    let stored = deployments
        .patch("entry", &git, &Patch::Apply(&config))
        .await
        .unwrap();
    assert_eq!(stored.spec.unwrap().replicas, Some(8));
}

#[tokio::test]
async fn an_applied_scale_is_owned_by_who_applied_it() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 3).await;
    let deployments: Api<Deployment> = Api::namespaced(client, "dfs");
    let apply = async |manager: &str, force: bool, replicas: i32| {
        let mut params = PatchParams::apply(manager);
        params.force = force;
        let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": "entry", "namespace": "dfs"}, "spec": {"replicas": replicas}});
        deployments
            .patch_scale("entry", &params, &Patch::Apply(scale))
            .await
    };
    assert_eq!(
        code(apply("tipoff", false, 5).await),
        409,
        "its creator owns the count"
    );
    let scale = apply("tipoff", true, 5).await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(5));
    assert_eq!(code(apply("keda", false, 2).await), 409);
    apply("tipoff", false, 6).await.unwrap();
    let stored = deployments.get("entry").await.unwrap();
    assert_eq!(stored.spec.unwrap().replicas, Some(6));
    assert_eq!(stored.metadata.generation, Some(3));
}

#[tokio::test]
async fn keyed_lists_of_custom_kinds_merge_by_key() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    define_rollouts(&client).await;
    let rollouts = rollouts(&client);
    let apply = async |manager: &str, steps: Value| {
        let config = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "spec": {"replicas": 2, "steps": steps}});
        rollouts
            .patch("entry", &PatchParams::apply(manager), &Patch::Apply(config))
            .await
    };
    apply("a", json!([{"name": "first", "weight": 10}]))
        .await
        .unwrap();
    apply("b", json!([{"name": "second", "weight": 20}]))
        .await
        .unwrap();
    let object = apply("a", json!([{"name": "first", "weight": 15}]))
        .await
        .unwrap();
    assert_eq!(
        object.data["spec"]["steps"],
        json!([{"name": "first", "weight": 15}, {"name": "second", "weight": 20}])
    );
    assert_eq!(
        code(apply("a", json!([{"name": "second", "weight": 1}])).await),
        409
    );
}

#[tokio::test]
async fn a_custom_kind_works_as_soon_as_it_is_defined() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
    assert!(pinned_kind(&client, &gvk).await.is_err());
    assert_eq!(code(rollouts(&client).get("entry").await), 404);

    let definition = define_rollouts(&client).await;
    let established = kube::runtime::conditions::is_crd_established();
    assert!(kube::runtime::wait::Condition::matches_object(
        &established,
        Some(&definition)
    ));
    let (resource, capabilities) = pinned_kind(&client, &gvk).await.unwrap();
    assert_eq!(resource.plural, "rollouts");
    assert_eq!(capabilities.scope, Scope::Namespaced);
    assert!(capabilities.supports_operation(verbs::WATCH));
    let parts: Vec<&str> = capabilities
        .subresources
        .iter()
        .map(|(r, _)| r.plural.as_str())
        .collect();
    assert!(
        parts.contains(&"rollouts/scale") || parts.contains(&"scale"),
        "{parts:?}"
    );

    for discovery in [
        Discovery::new(client.clone()).run().await.unwrap(),
        Discovery::new(client.clone())
            .run_aggregated()
            .await
            .unwrap(),
    ] {
        assert!(discovery.resolve_gvk(&gvk).is_some());
        let deployments = GroupVersionKind::gvk("apps", "v1", "Deployment");
        assert!(discovery.resolve_gvk(&deployments).is_some());
        assert!(discovery.has_group("events.k8s.io"));
    }
    assert_eq!(client.apiserver_version().await.unwrap().minor, "33");

    let rollouts: Api<DynamicObject> = Api::namespaced_with(client.clone(), "dfs", &resource);
    rollouts
        .create(&PostParams::default(), &typed(rollout("entry", 3)))
        .await
        .unwrap();
    let scale = rollouts.get_scale("entry").await.unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(3));
    let version = scale.metadata.resource_version;
    let to = |replicas: i32| {
        Patch::Merge(
            json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}),
        )
    };
    let params = PatchParams::default();
    let scale = rollouts
        .patch_scale("entry", &params, &to(6))
        .await
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(6));
    assert_eq!(
        code(rollouts.patch_scale("entry", &params, &to(7)).await),
        409,
        "stale version"
    );
    let object = rollouts.get("entry").await.unwrap();
    assert_eq!(object.data["spec"]["replicas"], 6);
    assert_eq!(object.metadata.generation, Some(2));

    let definitions: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
        Api::all(client.clone());
    definitions
        .delete("rollouts.argoproj.io", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(code(rollouts.get("entry").await), 404);
    assert!(pinned_kind(&client, &gvk).await.is_err());
}

#[tokio::test]
async fn scale_can_be_replaced_and_refuses_nonsense() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 3).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let params = PatchParams::default();
    let mut scale = deployments.get_scale("entry").await.unwrap();
    assert_eq!(
        scale.status.as_ref().unwrap().selector.as_deref(),
        Some("app=entry")
    );
    scale.spec.as_mut().unwrap().replicas = Some(4);
    let written = deployments
        .replace_scale("entry", &PostParams::default(), &scale)
        .await
        .unwrap();
    assert_eq!(written.spec.unwrap().replicas, Some(4));
    let stale = deployments
        .replace_scale("entry", &PostParams::default(), &scale)
        .await;
    assert_eq!(code(stale), 409);
    for (patch, refusal) in [
        (json!({"spec": {"replicas": -1}}), 422),
        (json!({"spec": {"replicas": "many"}}), 400),
        (
            json!({"metadata": {"uid": "other"}, "spec": {"replicas": 1}}),
            409,
        ),
    ] {
        let result = deployments
            .patch_scale("entry", &params, &Patch::Merge(&patch))
            .await;
        assert_eq!(code(result), refusal, "{patch}");
    }
    let maps: Api<ConfigMap> = Api::namespaced(client, "dfs");
    maps.create(&PostParams::default(), &config_map("a", &json!({})))
        .await
        .unwrap();
    let no_scale = maps
        .patch_scale("a", &params, &Patch::Merge(json!({})))
        .await;
    assert_eq!(code(no_scale), 404);
}

#[tokio::test]
async fn bad_custom_objects_are_refused_with_every_cause() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    define_rollouts(&client).await;
    let rollouts = rollouts(&client);
    let create = async |spec: Value| {
        let mut object = rollout("entry", 1);
        object["spec"] = spec;
        rollouts
            .create(&PostParams::default(), &typed(object))
            .await
    };
    for (spec, field) in [
        (json!({}), "spec.replicas"),
        (json!({"replicas": "3"}), "spec.replicas"),
        (json!({"replicas": -1}), "spec.replicas"),
        (json!({"replicas": 1001}), "spec.replicas"),
        (json!({"replicas": 1, "strategy": "Hope"}), "spec.strategy"),
        (json!({"replicas": 1, "version": "1"}), "spec.version"),
    ] {
        let Err(kube::Error::Api(status)) = create(spec.clone()).await else {
            panic!("accepted {spec}")
        };
        assert!(status.is_invalid(), "{status:?}");
        assert_eq!(status.details.unwrap().causes[0].field, field, "{spec}");
    }
    let typo = json!({"replicas": 1, "replcas": 2});
    let stored = create(typo.clone()).await.unwrap();
    assert!(
        stored.data["spec"].get("replcas").is_none(),
        "unknown fields are pruned"
    );

    // an apply of them is refused whole, whether it asks for strictness or not
    let config = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": typo});
    for validation in [None, Some(ValidationDirective::Strict)] {
        let mut params = PatchParams::apply("tipoff");
        params.field_validation = validation;
        let refused = rollouts
            .patch("entry", &params, &Patch::Apply(&config))
            .await;
        let Err(kube::Error::Api(status)) = refused else {
            panic!("accepted {config}")
        };
        assert_eq!(status.code, 500);
        assert_eq!(
            status.message,
            "failed to create typed patch object (dfs/entry; argoproj.io/v1alpha1, Kind=Rollout): \
             .spec.replcas: field not declared in schema"
        );
    }
}

#[tokio::test]
async fn bad_built_in_objects_are_refused() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let mut stranger = deployment("entry", 1);
    stranger.spec.as_mut().unwrap().selector.match_labels =
        Some([("app".to_owned(), "other".to_owned())].into());
    assert_eq!(
        code(deployments.create(&PostParams::default(), &stranger).await),
        422
    );

    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client, "dfs");
    let hpa = |min: i32, max: i32| -> HorizontalPodAutoscaler {
        typed(json!({"metadata": {"name": "entry"}, "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "entry"},
            "minReplicas": min, "maxReplicas": max}}))
    };
    assert_eq!(
        code(autoscalers.create(&PostParams::default(), &hpa(5, 4)).await),
        422
    );
    assert_eq!(
        code(autoscalers.create(&PostParams::default(), &hpa(0, 4)).await),
        422
    );
    autoscalers
        .create(&PostParams::default(), &hpa(2, 40))
        .await
        .unwrap();
    let floor = json!({"spec": {"minReplicas": 50}});
    let refused = autoscalers
        .patch("entry", &PatchParams::default(), &Patch::Merge(floor))
        .await;
    assert_eq!(code(refused), 422, "a floor above the ceiling");
}

#[tokio::test]
async fn finalizers_hold_an_object_until_they_are_lifted() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    let mut map = config_map("a", &json!({}));
    map.metadata.finalizers = Some(vec!["tipoff.dev/restore".to_owned()]);
    maps.create(&PostParams::default(), &map).await.unwrap();
    let marked = maps
        .delete("a", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert!(marked.metadata.deletion_timestamp.is_some());
    let add = json!({"metadata": {"finalizers": ["tipoff.dev/restore", "late/comer"]}});
    let refused = maps
        .patch("a", &PatchParams::default(), &Patch::Merge(add))
        .await;
    assert_eq!(code(refused), 422);
    let lift = json!({"metadata": {"finalizers": null}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(lift))
        .await
        .unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn deletes_keep_preconditions_and_reach_dependents() {
    let (cluster, _) = cluster();
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "dfs");
    let params = PostParams::default();
    let owner = maps
        .create(&params, &config_map("owner", &json!({})))
        .await
        .unwrap();
    let wrong = DeleteParams::default().preconditions(Preconditions {
        uid: Some("other".to_owned()),
        resource_version: None,
    });
    assert_eq!(code(maps.delete("owner", &wrong).await), 409);
    for name in ["child", "kept"] {
        let mut map = config_map(name, &json!({}));
        map.metadata.owner_references = Some(vec![owner.controller_owner_ref(&()).unwrap()]);
        maps.create(&params, &map).await.unwrap();
    }
    let mut shared = maps.get("kept").await.unwrap();
    let second = maps
        .create(&params, &config_map("second", &json!({})))
        .await
        .unwrap();
    shared
        .owner_references_mut()
        .push(second.owner_ref(&()).unwrap());
    maps.replace("kept", &params, &shared).await.unwrap();

    maps.delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    assert!(
        maps.get_opt("child").await.unwrap().is_none(),
        "its only owner went"
    );
    let kept = maps.get("kept").await.unwrap();
    assert_eq!(kept.owner_references().len(), 1, "one owner is left");

    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    maps.delete("second", &orphan).await.unwrap();
    assert!(
        maps.get("kept")
            .await
            .unwrap()
            .owner_references()
            .is_empty()
    );

    let league = ListParams::default().labels("league=nfl");
    for name in ["x", "y"] {
        maps.create(&params, &config_map(name, &json!({"league": "nfl"})))
            .await
            .unwrap();
    }
    maps.delete_collection(&DeleteParams::default(), &league)
        .await
        .unwrap();
    let left: Vec<String> = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(kube::ResourceExt::name_any)
        .collect();
    assert_eq!(left, ["kept"]);
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let (cluster, clock) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    clock.advance(seconds(60));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let marked = namespaces
        .delete("dfs", &DeleteParams::default())
        .await
        .unwrap()
        .left()
        .unwrap();
    assert_eq!(marked.status.unwrap().phase.as_deref(), Some("Terminating"));
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "dfs");
    let refused = maps
        .create(&PostParams::default(), &config_map("a", &json!({})))
        .await;
    assert_eq!(code(refused), 403);
    clock.advance(seconds(10));
    assert!(
        namespaces.get_opt("dfs").await.unwrap().is_none(),
        "its pods have ended"
    );
    let pods: Api<Pod> = Api::all(client);
    assert!(
        pods.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn recorded_events_are_seen_in_both_groups_and_fold() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    let made = deploy(&client, "entry", 2).await;
    let recorder = Recorder::new(client.clone(), Reporter::from("tipoff"));
    let event = Event {
        type_: EventType::Normal,
        reason: "Raised".to_owned(),
        note: Some("floor to 9".to_owned()),
        action: "Scale".to_owned(),
        secondary: None,
    };
    let reference = made.object_ref(&());
    recorder.publish(&event, &reference).await.unwrap();
    recorder.publish(&event, &reference).await.unwrap();
    let newer: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(client.clone(), "dfs");
    let events = newer.list(&ListParams::default()).await.unwrap();
    assert_eq!(events.items.len(), 1);
    assert_eq!(events.items[0].note.as_deref(), Some("floor to 9"));
    assert_eq!(events.items[0].series.as_ref().unwrap().count, 2);
    let older: Api<CoreEvent> = Api::namespaced(client, "dfs");
    let about = ListParams::default().fields("involvedObject.name=entry,reason=Raised");
    let events = older.list(&about).await.unwrap();
    assert_eq!(events.items[0].message.as_deref(), Some("floor to 9"));
}

#[tokio::test]
async fn metadata_can_be_asked_for_alone() {
    let (cluster, _) = cluster();
    let client = cluster.client();
    deploy(&client, "entry", 2).await;
    let deployments: Api<Deployment> = Api::namespaced(client, "dfs");
    let partial: PartialObjectMeta<Deployment> = deployments.get_metadata("entry").await.unwrap();
    assert_eq!(partial.name_any(), "entry");
    let list = deployments
        .list_metadata(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(list.items.len(), 1);
}
