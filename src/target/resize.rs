//! CPU of running pods through `pods/resize`: raised for a while, and given back exactly.
//!
//! What a pod had is written on the pod itself before it is raised, so that any later process can
//! give it back. New pods are made from their template and are not touched. Changes are per pod,
//! some at a time; a pod that is gone meanwhile is no failure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Client, ResourceExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{CallError, within};
use super::scale::MANAGER;
use super::{WRITE_TIMEOUT, ready};
use crate::clock::SharedClock;
use crate::guard::Breakers;
use crate::plan::bridges::CpuBridge;
use crate::units::Millicores;

/// Marks a pod whose CPU was raised.
pub const RAISED_LABEL: &str = "tipoff.dev/cpu-raised";

/// What its containers had before, as JSON by container.
pub const BEFORE_ANNOTATION: &str = "tipoff.dev/cpu-before";

/// Pods changed at the same time.
const AT_ONCE: usize = 8;

/// Most pods changed in one tick; the rest follow at the next.
const PER_TICK: usize = 100;

/// How long the answer whether pods can be resized is believed: an API server is upgraded seldom.
const BELIEVED: Duration = Duration::from_secs(300);

/// Why CPU could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    /// The API server has no `pods/resize`.
    #[error(
        "this cluster cannot resize running pods: it serves no pods/resize, which Kubernetes does from 1.33"
    )]
    NotServed,
    /// The workload tells no selector.
    #[error("the workload's scale tells no selector, so its pods cannot be found")]
    NoSelector,
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What became of a round of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Pods changed.
    pub done: usize,
    /// Pods still to be changed.
    pub left: usize,
    /// The first failure, in words.
    pub failure: Option<String>,
}

/// CPU of one container as it stood, in Kubernetes' own notation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    limit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

/// Raises and restores CPU.
pub struct Resizes {
    client: Client,
    clock: SharedClock,
    breakers: Breakers,
    served: Mutex<Option<(Duration, bool)>>,
}

impl fmt::Debug for Resizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resizes").finish_non_exhaustive()
    }
}

impl Resizes {
    /// Pods of one cluster.
    pub fn new(client: Client, clock: SharedClock, breakers: Breakers) -> Self {
        Self {
            client,
            clock,
            breakers,
            served: Mutex::default(),
        }
    }

    /// How many pods are raised now.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn raised(&self, namespace: &str, selector: &str) -> Result<usize, ResizeError> {
        Ok(self.marked(namespace, selector).await?.len())
    }

    /// Raises the Ready pods that are not.
    ///
    /// # Errors
    /// When none could even be tried.
    pub async fn raise(
        &self,
        namespace: &str,
        selector: &str,
        bridge: &CpuBridge,
    ) -> Result<Round, ResizeError> {
        if !self.served().await? {
            return Err(ResizeError::NotServed);
        }
        let pods = self.list(namespace, selector).await?;
        let due: Vec<_> = pods
            .iter()
            .filter(|pod| ready::is_ready(pod) && !is_raised(pod))
            .filter_map(|pod| Some((pod.name_any(), raise_of(pod, bridge)?)))
            .collect();
        let changes = due.into_iter().map(|(name, (before, raised))| {
            let mark = mark(&before);
            async move {
                // first what it had: a pod must never be raised without
                self.patch(namespace, &name, &mark).await?;
                self.resize(namespace, &name, &raised).await
            }
        });
        Ok(round(changes.collect()).await)
    }

    /// Gives every raised pod what it had.
    ///
    /// # Errors
    /// When none could even be tried.
    pub async fn restore(&self, namespace: &str, selector: &str) -> Result<Round, ResizeError> {
        let pods = self.marked(namespace, selector).await?;
        let unmark = json!({"metadata": {
            "labels": {RAISED_LABEL: null}, "annotations": {BEFORE_ANNOTATION: null},
        }});
        let changes = pods.iter().map(|pod| {
            let (name, before) = (pod.name_any(), before_of(pod));
            let unmark = &unmark;
            async move {
                if let Some(before) = before {
                    self.resize(namespace, &name, &before).await?;
                }
                self.patch(namespace, &name, unmark).await
            }
        });
        Ok(round(changes.collect()).await)
    }

    async fn marked(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ResizeError> {
        self.list(namespace, &format!("{selector},{RAISED_LABEL}"))
            .await
    }

    async fn list(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ResizeError> {
        let read = &self.breakers.read;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels(selector);
        let call = pods.list(&params);
        let call = within(read.limits().timeout, "list the workload's pods", call);
        Ok(read.call("Pod.", call).await?.items)
    }

    async fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<(), CallError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let (params, patch) = (params(), Patch::Merge(patch));
        let call = pods.patch(name, &params, &patch);
        self.write(namespace, "mark the pod", call).await
    }

    async fn resize(
        &self,
        namespace: &str,
        name: &str,
        cpu: &BTreeMap<String, Before>,
    ) -> Result<(), CallError> {
        let containers: Vec<Value> = cpu
            .iter()
            .map(|(container, Before { limit, request })| {
                let mut resources = json!({"limits": {"cpu": limit}});
                if let Some(request) = request {
                    resources["requests"] = json!({"cpu": request});
                }
                json!({"name": container, "resources": resources})
            })
            .collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let patch = json!({"spec": {"containers": containers}});
        let (params, patch) = (params(), Patch::Strategic(&patch));
        let call = pods.patch_resize(name, &params, &patch);
        self.write(namespace, "resize the pod", call).await
    }

    async fn write<T>(
        &self,
        namespace: &str,
        what: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<(), CallError> {
        let write = &self.breakers.write;
        let timeout = write.limits().timeout.min(WRITE_TIMEOUT);
        let key = format!("{namespace}/pods");
        match write.call(&key, within(timeout, what, call)).await {
            Ok(_) => Ok(()),
            // it ended meanwhile, and needs nothing any more
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn served(&self) -> Result<bool, CallError> {
        let now = self.clock.monotonic();
        let known = *self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, served)) = known
            && now.saturating_sub(at) < BELIEVED
        {
            return Ok(served);
        }
        let read = &self.breakers.read;
        let pod = GroupVersionKind::gvk("", "v1", "Pod");
        let call = kube::discovery::pinned_kind(&self.client, &pod);
        let call = within(read.limits().timeout, "tell what pods can do", call);
        let (_, capabilities) = read.call("Pod.", call).await?;
        let served = capabilities
            .subresources
            .iter()
            .any(|(subresource, _)| subresource.plural == "resize");
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, served));
        Ok(served)
    }
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Carries out changes, some at a time.
async fn round<F: Future<Output = Result<(), CallError>>>(changes: Vec<F>) -> Round {
    let all = changes.len();
    let ended: Vec<_> = stream::iter(changes.into_iter().take(PER_TICK))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let done = ended.iter().filter(|end| end.is_ok()).count();
    Round {
        done,
        left: all - done,
        failure: ended
            .into_iter()
            .find_map(Result::err)
            .map(|error| error.to_string()),
    }
}

fn mark(before: &BTreeMap<String, Before>) -> Value {
    json!({"metadata": {
        "labels": {RAISED_LABEL: "true"},
        "annotations": {BEFORE_ANNOTATION: json!(before).to_string()},
    }})
}

/// What a pod has, and what it should have; `None` when there is nothing to raise.
fn raise_of(
    pod: &Pod,
    bridge: &CpuBridge,
) -> Option<(BTreeMap<String, Before>, BTreeMap<String, Before>)> {
    let mut before = BTreeMap::new();
    let mut raised = BTreeMap::new();
    for container in &pod.spec.as_ref()?.containers {
        if let Some((had, gets)) = container_raise(container, bridge) {
            before.insert(container.name.clone(), had);
            raised.insert(container.name.clone(), gets);
        }
    }
    (!raised.is_empty()).then_some((before, raised))
}

/// Without a limit nothing holds a container down. A request stays what it is, so that the node
/// needs no more room, unless it equals the limit: then the pod may be Guaranteed, and its class
/// may not change. A container that is started anew when its CPU changes is left as it is: it would
/// be gone when it is needed most.
fn container_raise(container: &Container, bridge: &CpuBridge) -> Option<(Before, Before)> {
    if restarts(container) {
        return None;
    }
    let resources = container.resources.as_ref()?;
    let limit = &resources.limits.as_ref()?.get("cpu")?.0;
    let request = resources
        .requests
        .as_ref()
        .and_then(|requests| requests.get("cpu"))
        .map(|request| request.0.clone());
    let amount: Millicores = limit.parse().ok()?;
    let raised = bridge.raised(amount)?.to_string();
    let equal = request
        .as_ref()
        .is_some_and(|request| request.parse() == Ok(amount));
    let request = request.filter(|_| equal);
    let gets = Before {
        limit: raised.clone(),
        request: request.as_ref().map(|_| raised),
    };
    let had = Before {
        limit: limit.clone(),
        request,
    };
    Some((had, gets))
}

/// Whether the kubelet starts the container anew when its CPU changes.
fn restarts(container: &Container) -> bool {
    let policies = container.resize_policy.as_deref().unwrap_or_default();
    policies
        .iter()
        .any(|policy| policy.resource_name == "cpu" && policy.restart_policy == "RestartContainer")
}

/// Whether a pod has more than it was made with. One that is marked and has not was marked for a
/// raise that failed.
fn is_raised(pod: &Pod) -> bool {
    if !pod.labels().contains_key(RAISED_LABEL) {
        return false;
    }
    let limit = |container: &Container| {
        let limits = container.resources.as_ref()?.limits.as_ref()?;
        Some(limits.get("cpu")?.0.clone())
    };
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice());
    before_of(pod).is_none_or(|before| {
        containers.unwrap_or_default().iter().any(|container| {
            let before = before.get(&container.name);
            before.is_some_and(|before| limit(container).as_ref() != Some(&before.limit))
        })
    })
}

fn before_of(pod: &Pod) -> Option<BTreeMap<String, Before>> {
    let text = pod.annotations().get(BEFORE_ANNOTATION)?;
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ContainerResizePolicy;

    use super::*;

    const TWICE: CpuBridge = CpuBridge {
        factor: 2.0,
        most: None,
    };

    fn container(resources: &Value) -> Container {
        serde_json::from_value(json!({"name": "main", "resources": resources})).unwrap()
    }

    #[test]
    fn a_limit_is_raised_and_a_request_only_with_it() {
        let burstable = container(&json!({"limits": {"cpu": "1"}, "requests": {"cpu": "250m"}}));
        let (had, gets) = container_raise(&burstable, &TWICE).unwrap();
        assert_eq!((had.limit.as_str(), gets.limit.as_str()), ("1", "2000m"));
        assert_eq!((had.request, gets.request), (None, None));

        let guaranteed = container(&json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1000m"}}));
        let (had, gets) = container_raise(&guaranteed, &TWICE).unwrap();
        assert_eq!(had.request.as_deref(), Some("1000m"), "as it was written");
        assert_eq!(gets.request.as_deref(), Some("2000m"));
    }

    #[test]
    fn what_has_no_limit_is_not_held_down() {
        for resources in [
            json!(null),
            json!({"requests": {"cpu": "1"}}),
            json!({"limits": {"memory": "1Gi"}}),
            json!({"limits": {"cpu": "many"}}),
        ] {
            assert_eq!(container_raise(&container(&resources), &TWICE), None);
        }
        let mut at_start = container(&json!({"limits": {"cpu": "1"}}));
        at_start.resize_policy = Some(vec![ContainerResizePolicy {
            resource_name: "cpu".to_owned(),
            restart_policy: "RestartContainer".to_owned(),
        }]);
        assert_eq!(container_raise(&at_start, &TWICE), None);
        let most = CpuBridge {
            most: Some(Millicores(1000)),
            ..TWICE
        };
        let enough = container(&json!({"limits": {"cpu": "1"}}));
        assert_eq!(container_raise(&enough, &most), None);
    }

    #[test]
    fn a_pod_that_was_marked_and_not_resized_is_not_raised() {
        let pod = |limit: &str, marked: bool| -> Pod {
            let had = container(&json!({"limits": {"cpu": "1"}}));
            let (had, _) = container_raise(&had, &TWICE).unwrap();
            let mut pod = json!({"spec": {"containers": [
                {"name": "main", "resources": {"limits": {"cpu": limit}}},
                {"name": "sidecar"},
            ]}});
            if marked {
                pod["metadata"] =
                    mark(&BTreeMap::from([("main".to_owned(), had)]))["metadata"].take();
            }
            serde_json::from_value(pod).unwrap()
        };
        assert!(is_raised(&pod("2000m", true)));
        assert!(!is_raised(&pod("1", true)));
        assert!(!is_raised(&pod("2000m", false)));
    }

    #[test]
    fn what_is_written_on_a_pod_is_read_back() {
        let had = Before {
            limit: "1".to_owned(),
            request: None,
        };
        let before = BTreeMap::from([("main".to_owned(), had)]);
        let pod: Pod = serde_json::from_value(mark(&before)).unwrap();
        assert_eq!(before_of(&pod), Some(before));
    }
}
