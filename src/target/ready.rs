//! How many replicas of a workload are Ready: from its own status where it says so, else by
//! counting its pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, Resource as _};
use serde_json::Value;

use super::call::{CallError, within};
use super::scale::Kind;

/// Pods asked for at a time, the page size of the API server's own clients.
const PAGE: u32 = 500;

/// Ready replicas as the object's status tells them.
///
/// The built-in workloads leave `readyReplicas` out when it is 0, so there its absence means 0;
/// of any other kind it means that the kind does not tell.
pub(super) fn from_status(kind: &Kind, object: &Value) -> Option<u32> {
    let told = object
        .pointer("/status/readyReplicas")
        .and_then(Value::as_u64)
        .map(|ready| u32::try_from(ready).unwrap_or(u32::MAX));
    let built_in = matches!(kind.group.as_str(), "apps" | "")
        && matches!(
            kind.name.as_str(),
            "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController"
        );
    told.or(built_in.then_some(0))
}

/// Counts Ready pods that are not on their way out.
pub(super) async fn count_pods(
    client: &Client,
    namespace: &str,
    selector: &str,
    timeout: Duration,
) -> Result<u32, CallError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    let mut ready = 0;
    loop {
        let page = within(timeout, "list the workload's pods", pods.list(&params)).await?;
        let next = page
            .metadata
            .continue_
            .clone()
            .filter(|token| !token.is_empty());
        ready += page.items.iter().filter(|pod| is_ready(pod)).count();
        match next {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(u32::try_from(ready).unwrap_or(u32::MAX)),
        }
    }
}

fn is_ready(pod: &Pod) -> bool {
    pod.meta().deletion_timestamp.is_none()
        && pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(group: &str, name: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            version: "v1".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn silence_means_none_only_where_the_kind_is_known_to_be_silent() {
        let silent = json!({"status": {"replicas": 3}});
        let told = json!({"status": {"readyReplicas": 2}});
        assert_eq!(from_status(&kind("apps", "Deployment"), &silent), Some(0));
        assert_eq!(from_status(&kind("apps", "Deployment"), &told), Some(2));
        assert_eq!(from_status(&kind("example.dev", "Fleet"), &silent), None);
        assert_eq!(from_status(&kind("example.dev", "Fleet"), &told), Some(2));
    }

    #[test]
    fn a_pod_on_its_way_out_is_not_ready() {
        let pod = |deleted: Option<&str>, ready: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "a", "deletionTimestamp": deleted},
                "status": {"conditions": [{"type": "Ready", "status": ready}]},
            }))
            .unwrap()
        };
        assert!(is_ready(&pod(None, "True")));
        assert!(!is_ready(&pod(None, "False")));
        assert!(!is_ready(&pod(Some("2026-01-01T00:00:00Z"), "True")));
    }
}
