//! What the controller cannot or must not do: it says which, why, and what to do about it, and
//! goes on by itself once it can.

use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use serde_json::json;
use tipoff::embedded::{Fault, Matcher, Verb};

use crate::support::at;
use crate::support::rig::{NAME, NAMESPACE, Rig, deployment};

const NIGHT: &str = "2026-09-09T03:00:00Z";

/// A workload of three on a load that takes eight.
async fn undersized() -> Rig {
    let rig = Rig::new(at(NIGHT), 600.0, |_| 790.0).await;
    rig.deployment(3).await;
    rig
}

fn scale_patch() -> Matcher {
    Matcher::any()
        .verb(Verb::Patch)
        .resource("deployments/scale")
        .agent("tipoff")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_spec_is_told_by_field_and_remedy() {
    let rig = undersized().await;
    rig.policy(json!({"forecast": {"zone": "Mars/Base"}})).await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "False", "InvalidSpec").await;
    let (_, _, message) = rig.condition("Ready").await.unwrap();
    assert_eq!(
        message,
        "spec.forecast.zone is \"Mars/Base\": write an IANA zone, for example America/New_York"
    );
    assert_eq!(rig.until_event("InvalidSpec").await, message);
    assert_eq!(rig.replicas().await, 3);
    rig.policy(json!({"forecast": {"zone": "UTC"}})).await;
    rig.until("it works once mended", async || rig.replicas().await == 8)
        .await;
    rig.until_condition("Ready", "True", "Complete").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_slip_in_an_edit_the_last_good_version_stays_in_force() {
    let rig = undersized().await;
    rig.policy(json!({"minReplicas": 4})).await;
    let controller = rig.controller("tipoff");
    rig.until("it is raised", async || rig.replicas().await == 8)
        .await;
    // the higher minimum is plain, the zone is not
    let slip = json!({"minReplicas": 5, "forecast": {"zone": "Mars/Base"}});
    rig.policy(slip).await;
    rig.until_condition("Ready", "False", "InvalidSpec").await;
    let (_, _, message) = rig.condition("Ready").await.unwrap();
    assert_eq!(
        message,
        "spec.forecast.zone is \"Mars/Base\": write an IANA zone, for example America/New_York; \
         the last version that could be used stays in force"
    );
    assert_eq!(rig.until_event("InvalidSpec").await, message);
    let status = rig.status().await;
    assert_eq!(status.problems.first(), Some(&message));
    assert_eq!(status.desired_replicas, Some(8));
    let shown = controller.workloads.summary(NAMESPACE, NAME).unwrap();
    assert!(shown.problems >= 1);
    assert!(shown.summary.ends_with(&message), "{}", shown.summary);
    // what somebody takes away is given back, as ever
    rig.scale(4).await;
    rig.until("it is corrected", async || rig.replicas().await == 8)
        .await;
    // but what the edit says plainly counts
    rig.policy(json!({"minReplicas": 20, "forecast": {"zone": "Mars/Base"}}))
        .await;
    rig.until("the minimum is met", async || rig.replicas().await == 20)
        .await;
    // also by a controller that never saw anything else
    controller.stop().await;
    rig.scale(4).await;
    let controller = rig.controller("tipoff");
    rig.until("it is corrected anew", async || rig.replicas().await == 20)
        .await;
    rig.pass(TimeDelta::minutes(6)).await;
    let status = rig.status().await;
    assert_eq!(status.last_good_spec.unwrap()["minReplicas"], 4);
    let largest = status.capacity.unwrap().largest_maximum.unwrap();
    assert_eq!(largest.target, format!("Deployment/{NAME}"));
    assert!(largest.replicas >= 20);
    rig.until_condition("Ready", "False", "InvalidSpec").await;
    rig.policy(json!({"mode": "Recommend", "forecast": {"zone": "Mars/Base"}}))
        .await;
    rig.until_condition("Enforcing", "False", "Recommend").await;
    rig.policy(json!({"forecast": {"zone": "UTC"}})).await;
    rig.until_condition("Ready", "True", "Complete").await;
    assert_eq!(rig.status().await.last_good_spec, None);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_that_cannot_be_read_does_not_stop_the_others() {
    let rig = undersized().await;
    // an older, laxer definition let it in
    let definitions: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    let lax = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
    }}]);
    definitions
        .patch(
            "predictiveautoscalers.tipoff.dev",
            &PatchParams::default(),
            &Patch::<()>::Json(serde_json::from_value(lax).unwrap()),
        )
        .await
        .unwrap();
    let resource = ApiResource::erase::<tipoff::api::PredictiveAutoscaler>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(rig.client.clone(), NAMESPACE, &resource);
    let odd: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "tipoff.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": "odd"}, "spec": {"minReplicas": "many"},
    }))
    .unwrap();
    api.create(&PostParams::default(), &odd).await.unwrap();
    // what another version kept of it
    let kept = json!({"status": {"lastGoodSpec": {"minReplicas": 3}}});
    api.patch_status("odd", &PatchParams::default(), &Patch::Merge(&kept))
        .await
        .unwrap();
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until("the other works", async || rig.replicas().await == 8)
        .await;
    rig.until("the odd one is told", async || {
        let odd = api.get("odd").await.unwrap();
        let message = &odd.data["status"]["conditions"][0]["message"];
        message
            .as_str()
            .is_some_and(|text| text.contains("the object cannot be read"))
    })
    .await;
    let odd = api.get("odd").await.unwrap();
    assert_eq!(odd.data["status"]["lastGoodSpec"]["minReplicas"], 3);
    rig.pass(TimeDelta::minutes(30)).await;
    let failed =
        r#"tipoff_breaker_calls_total{command="report",outcome="failed",resource="kubernetes"} "#;
    let metrics = controller.metrics.render().unwrap();
    let failed = metrics.lines().find_map(|line| line.strip_prefix(failed));
    assert_eq!(failed, Some("0"), "what is said of it is taken");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_older_definition_the_status_says_what_it_can() {
    let rig = undersized().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    let older = json!([
        {"op": "remove", "path": format!("{status}/capacity/properties/largestMaximum")},
        {"op": "remove", "path": format!("{status}/lastGoodSpec")},
    ]);
    definitions
        .patch(
            "predictiveautoscalers.tipoff.dev",
            &PatchParams::default(),
            &Patch::<()>::Json(serde_json::from_value(older).unwrap()),
        )
        .await
        .unwrap();
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until("it works", async || rig.replicas().await == 8)
        .await;
    rig.until_condition("Ready", "True", "Complete").await;
    let capacity = rig.status().await.capacity.unwrap();
    assert_eq!(capacity.largest_maximum, None);
    // two at once
    rig.policy(json!({"forecast": {"zone": "Mars/Base"}})).await;
    rig.until_condition("Ready", "False", "InvalidSpec").await;
    let failed =
        r#"tipoff_breaker_calls_total{command="report",outcome="failed",resource="kubernetes"} "#;
    let metrics = controller.metrics.render().unwrap();
    let failed = metrics.lines().find_map(|line| line.strip_prefix(failed));
    assert_eq!(failed, Some("0"), "an API server that knows less is well");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_somebody_switched_off_stays_off() {
    let rig = undersized().await;
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until("it is raised", async || rig.replicas().await == 8)
        .await;
    rig.scale(0).await;
    rig.until("it is said", async || {
        let reasons = rig.status().await.summary.unwrap_or_default();
        reasons.contains("scaled to 0 by somebody else")
    })
    .await;
    rig.until_condition("Enforcing", "False", "SwitchedOff")
        .await;
    rig.until_event("SwitchedOff").await;
    rig.pass(TimeDelta::minutes(10)).await;
    assert_eq!(rig.replicas().await, 0);
    rig.scale(1).await;
    rig.until("it is handed back", async || rig.replicas().await == 8)
        .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_tried_again() {
    let rig = undersized().await;
    rig.cluster
        .faults()
        .next(2, scale_patch(), Fault::status(409));
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until("it is written in the end", async || {
        rig.replicas().await == 8
    })
    .await;
    assert!(rig.scale_writes("tipoff") >= 3);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_somebody_else_sets_is_respected_or_corrected_but_not_overtaken() {
    let rig = undersized().await;
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until("it is raised", async || rig.replicas().await == 8)
        .await;
    rig.scale(40).await;
    assert_eq!(
        rig.lowest_over(TimeDelta::minutes(4)).await,
        40,
        "not within the window"
    );
    rig.scale(2).await;
    rig.until("it is raised again", async || rig.replicas().await == 8)
        .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_is_told_and_tried_again() {
    let rig = undersized().await;
    rig.cluster
        .faults()
        .always(scale_patch(), Fault::status(403));
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "False", "WriteFailed").await;
    let note = rig.until_event("CannotScale").await;
    assert!(
        note.contains("grant the verb on Deployment/scale"),
        "{note}"
    );
    let told = async || controller.workloads.summaries().remove(0);
    rig.until("the list says so", async || {
        let line = told().await;
        line.problems == 1 && line.summary.contains("; not written: ")
    })
    .await;
    let problems =
        format!(r#"tipoff_workload_problems{{name="{NAME}",namespace="{NAMESPACE}"}} 1"#);
    let metrics = controller.metrics.render().unwrap();
    assert!(metrics.contains(&problems), "{metrics}");
    rig.cluster.faults().clear();
    rig.until("it is written in the end", async || {
        rig.replicas().await == 8
    })
    .await;
    rig.until_event("Recovered").await;
    rig.until("the list says that too", async || {
        told().await.problems == 0
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_not_there_yet_is_waited_for() {
    let rig = Rig::new(at(NIGHT), 600.0, |_| 790.0).await;
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    let api: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    let told = async || {
        let conditions = rig.status().await.conditions;
        conditions
            .iter()
            .any(|c| c.reason == "TargetNotFound" && c.message.contains(NAME))
    };
    for _ in 0..500 {
        if told().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(told().await);
    let conditions = rig.status().await.conditions;
    let enforcing = conditions.iter().find(|c| c.type_ == "Enforcing").unwrap();
    assert_eq!(
        (&*enforcing.status, &*enforcing.reason),
        ("False", "TargetNotFound")
    );
    api.create(&PostParams::default(), &deployment(NAME, 3))
        .await
        .unwrap();
    rig.until("it is scaled once there", async || {
        rig.replicas().await == 8
    })
    .await;
    rig.until_condition("Ready", "True", "Complete").await;
    rig.until_condition("Enforcing", "True", "Enforced").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_scale_is_told() {
    let rig = undersized().await;
    rig.policy(json!({"scaleTargetRef": {"apiVersion": "v1", "kind": "ConfigMap"}}))
        .await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Ready", "False", "TargetNotScalable")
        .await;
    rig.policy(json!({"scaleTargetRef": {"apiVersion": "example.dev/v1", "kind": "Fleet"}}))
        .await;
    rig.until("a kind nobody serves is told too", async || {
        let (_, _, message) = rig.condition("Ready").await.unwrap();
        message.contains("this cluster serves no Fleet in example.dev/v1")
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hpa_on_the_same_workload_is_not_fought() {
    let rig = undersized().await;
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(rig.client.clone(), NAMESPACE);
    let hpa = serde_json::from_value(json!({
        "metadata": {"name": "cpu"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 3, "maxReplicas": 10,
        },
    }))
    .unwrap();
    hpas.create(&PostParams::default(), &hpa).await.unwrap();
    rig.policy(json!({})).await;
    let controller = rig.controller("tipoff");
    rig.until_condition("Enforcing", "False", "HpaPresent")
        .await;
    let note = rig.until_event("HpaPresent").await;
    assert!(note.contains("HorizontalPodAutoscaler cpu"), "{note}");
    rig.until("it still recommends", async || {
        rig.status().await.desired_replicas == Some(8)
    })
    .await;
    rig.pass(TimeDelta::minutes(30)).await;
    assert_eq!(rig.scale_writes("tipoff"), 0);
    // what was seen is not forgotten because it cannot be looked for
    let lists = Matcher::any().resource("horizontalpodautoscalers");
    rig.cluster.faults().always(lists, Fault::status(503));
    rig.pass(TimeDelta::minutes(10)).await;
    assert_eq!(rig.scale_writes("tipoff"), 0);
    rig.cluster.faults().clear();
    hpas.delete("cpu", &DeleteParams::default()).await.unwrap();
    rig.until("it acts once the HPA is gone", async || {
        rig.replicas().await == 8
    })
    .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_hpas_cannot_be_seen_sizes_only_rise() {
    let rig = Rig::new(at(NIGHT), 600.0, |_| 290.0).await;
    rig.deployment(10).await;
    let hpas = Matcher::any().resource("horizontalpodautoscalers");
    rig.cluster.faults().always(hpas, Fault::status(403));
    rig.policy(json!({"release": {"rung": 1}})).await;
    let controller = rig.controller("tipoff");
    rig.until("it would lower", async || {
        rig.status()
            .await
            .reasons
            .iter()
            .any(|reason| reason.starts_with("held back"))
    })
    .await;
    assert_eq!(rig.replicas().await, 10);
    rig.prometheus.gives("load", |_| 1_500.0);
    rig.until("it raises", async || rig.replicas().await == 15)
        .await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_policies_on_one_workload_the_older_enforces() {
    let rig = undersized().await;
    rig.policy(json!({})).await;
    rig.pass(TimeDelta::minutes(1)).await;
    let mut younger = rig.policies().get(NAME).await.unwrap();
    younger.metadata = kube::api::ObjectMeta {
        name: Some("younger".to_owned()),
        ..Default::default()
    };
    younger.spec.min_replicas = 50;
    rig.policies()
        .create(&PostParams::default(), &younger)
        .await
        .unwrap();
    let controller = rig.controller("tipoff");
    rig.until("the younger is told", async || {
        let status = rig
            .policies()
            .get("younger")
            .await
            .unwrap()
            .status
            .unwrap_or_default();
        status
            .conditions
            .iter()
            .any(|c| c.reason == "TargetTaken" && c.message.contains(NAME))
    })
    .await;
    rig.until("the older enforces", async || rig.replicas().await == 8)
        .await;
    rig.pass(TimeDelta::minutes(20)).await;
    assert_eq!(rig.replicas().await, 8);
    rig.policies()
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    controller.stop().await;
}
