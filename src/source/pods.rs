//! Which pods there are to ask: those of one workload that are Ready, by a watch.
//!
//! Pods that are not Ready get no traffic and are not counted, so a fleet of which none is Ready
//! has nobody to ask: no sample, never a load of zero. When the watch fails, the last list stays
//! until it is back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;

use crate::rewatch::Rewatch;

/// Annotation that names the port of a pod's metrics.
const PORT: &str = "prometheus.io/port";

/// Annotation that names their path.
const PATH: &str = "prometheus.io/path";

/// Annotation that names how to talk to it.
const SCHEME: &str = "prometheus.io/scheme";

/// A pod that takes traffic, with what it says about its metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyPod {
    /// Name and uid: a stateful pod made anew has another one.
    pub id: String,
    /// Its address.
    pub address: IpAddr,
    /// Port it says: by annotation, else its only declared one.
    pub port: Option<u16>,
    /// Path it says.
    pub path: Option<String>,
    /// Scheme it says.
    pub scheme: Option<String>,
}

/// The Ready pods of a workload, sorted by id.
pub type ReadyPods = Arc<Vec<ReadyPod>>;

impl ReadyPod {
    /// The pod, if it takes traffic.
    pub fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let ready = status.conditions.iter().flatten();
        let ready = ready
            .filter(|condition| condition.type_ == "Ready")
            .any(|condition| condition.status == "True");
        if !ready || pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let told = |annotation| {
            let annotations = pod.metadata.annotations.as_ref()?;
            annotations.get(annotation).cloned()
        };
        Some(Self {
            id: id(pod)?,
            address: status.pod_ip.as_deref()?.parse().ok()?,
            port: match told(PORT) {
                Some(port) => port.parse().ok(),
                None => only_port(pod),
            },
            path: told(PATH).filter(|path| path.starts_with('/')),
            scheme: told(SCHEME),
        })
    }
}

fn id(pod: &Pod) -> Option<String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    Some(format!("{}/{uid}", pod.metadata.name.as_deref()?))
}

/// The port of a pod that declares just one.
fn only_port(pod: &Pod) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers
        .flat_map(|container| container.ports.iter().flatten())
        .filter(|port| port.protocol.as_deref().is_none_or(|kind| kind == "TCP"))
        .map(|port| port.container_port);
    let port = ports.next()?;
    (ports.next().is_none()).then(|| u16::try_from(port).ok())?
}

/// Follows the pods that `selector` picks in a namespace and publishes those that are Ready, until
/// it is dropped. One watch with the API server's own selection: its caches send what concerns
/// this workload and nothing else.
pub async fn follow(
    client: Client,
    namespace: &str,
    selector: &str,
    found: &watch::Sender<Option<ReadyPods>>,
) {
    let api: Api<Pod> = Api::namespaced(client, namespace);
    let config = watcher::Config::default().labels(selector);
    let events = watcher(api, config).backoff(Rewatch::new());
    pin_mut!(events);
    let mut pods: BTreeMap<String, ReadyPod> = BTreeMap::new();
    let mut listed = BTreeMap::new();
    let mut failing = false;
    while let Some(event) = events.next().await {
        let changed = match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                false
            }
            Ok(watcher::Event::InitApply(pod)) => {
                note(&mut listed, &pod);
                false
            }
            Ok(watcher::Event::InitDone) => {
                pods = std::mem::take(&mut listed);
                true
            }
            Ok(watcher::Event::Apply(pod)) => note(&mut pods, &pod),
            Ok(watcher::Event::Delete(pod)) => {
                id(&pod).is_some_and(|id| pods.remove(&id).is_some())
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        namespace, selector, %error,
                        "pods cannot be watched; those last seen are asked on"
                    );
                }
                failing = true;
                continue;
            }
        };
        failing = false;
        if changed {
            found.send_replace(Some(Arc::new(pods.values().cloned().collect())));
        }
    }
}

/// Takes note of a pod; true when that changes who is asked.
fn note(pods: &mut BTreeMap<String, ReadyPod>, pod: &Pod) -> bool {
    let Some(id) = id(pod) else { return false };
    match ReadyPod::of(pod) {
        Some(ready) => pods.insert(id, ready.clone()).as_ref() != Some(&ready),
        None => pods.remove(&id).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(annotations: &Value, ports: &Value, ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-1", "uid": "u", "annotations": annotations},
            "spec": {"containers": [{"name": "main", "ports": ports}]},
            "status": {
                "podIP": "10.1.2.3",
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }))
        .unwrap()
    }

    fn port(annotations: &Value, ports: &Value) -> Option<u16> {
        ReadyPod::of(&pod(annotations, ports, "True")).unwrap().port
    }

    #[test]
    fn a_pod_says_where_its_metrics_are() {
        let declared = json!([{"containerPort": 8080}]);
        assert_eq!(
            port(&json!({"prometheus.io/port": "9100"}), &declared),
            Some(9100)
        );
        assert_eq!(port(&json!({}), &declared), Some(8080));
        let two = json!([{"containerPort": 8080}, {"containerPort": 9100}]);
        assert_eq!(port(&json!({}), &two), None);
        let udp = json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 9100}]);
        assert_eq!(port(&json!({}), &udp), Some(9100));
        // what is written wrong is not guessed around
        assert_eq!(
            port(&json!({"prometheus.io/port": "http"}), &declared),
            None
        );
        let annotated = json!({"prometheus.io/path": "/m", "prometheus.io/scheme": "https"});
        let pod = ReadyPod::of(&pod(&annotated, &declared, "True")).unwrap();
        assert_eq!(pod.path.as_deref(), Some("/m"));
        assert_eq!(pod.scheme.as_deref(), Some("https"));
    }

    #[test]
    fn only_ready_pods_that_stay_are_asked() {
        let none = json!({});
        assert_eq!(ReadyPod::of(&pod(&none, &json!([]), "False")), None);
        let mut leaving = pod(&none, &json!([]), "True");
        assert!(ReadyPod::of(&leaving).is_some());
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
            ));
        assert_eq!(ReadyPod::of(&leaving), None);

        let mut pods = BTreeMap::new();
        assert!(note(&mut pods, &pod(&none, &json!([]), "True")));
        assert!(!note(&mut pods, &pod(&none, &json!([]), "True")));
        assert!(note(&mut pods, &pod(&none, &json!([]), "False")));
        assert!(pods.is_empty());
    }
}
