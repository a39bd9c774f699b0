//! Room on nodes for replicas to come: a `CapacityBuffer` where the cluster knows the kind,
//! otherwise a Deployment of pods that do nothing and give way.
//!
//! `CapacityBuffer` (autoscaling.x-k8s.io) is read by Cluster Autoscaler and Karpenter. Exactly one
//! of its `replicas` and `percentage` is set, for their documents disagree on both together. The
//! pods have priority -10: the lowest for which Cluster Autoscaler still adds nodes
//! (`--expendable-pods-priority-cutoff`), and lower than anything that must run. Both belong to
//! the policy and go with it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::WRITE_TIMEOUT;
use super::balloon::balloon;
use super::call::{CallError, within};
use super::scale::MANAGER;
use crate::api::PredictiveAutoscaler;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::clock::SharedClock;
use crate::guard::Breakers;

/// Name of the priority class of pods that give way.
pub const PRIORITY_CLASS: &str = "tipoff-headroom";

/// Priority of pods that give way.
const PRIORITY: i32 = -10;

/// Tells the pods of one reserve from others; its value is the policy's uid.
pub(super) const RESERVE_LABEL: &str = "tipoff.dev/headroom-of";

/// Versions of `CapacityBuffer`, newest first.
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// How long the answer whether the cluster knows `CapacityBuffer` is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// Why room could not be held.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// The name is taken.
    #[error("{kind} {name} exists and is not this policy's: rename it, and room is held")]
    Taken {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
    },
    /// The workload shows no pod that room could be measured by.
    #[error(
        "the workload has no spec.template, so pods that hold its room cannot be made: install \
         the CapacityBuffer API, or turn bridges.nodes off"
    )]
    NoTemplate,
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Whose room it is.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'o> {
    /// Namespace of the policy.
    pub namespace: &'o str,
    /// Its name.
    pub name: &'o str,
    /// Its uid.
    pub uid: &'o str,
}

impl Owner<'_> {
    fn reserve(&self) -> String {
        format!("{}-headroom", self.name)
    }

    pub(super) fn metadata(&self) -> Value {
        json!({
            "name": self.reserve(),
            "labels": {"app.kubernetes.io/managed-by": MANAGER, RESERVE_LABEL: self.uid},
            "ownerReferences": [{
                "apiVersion": PredictiveAutoscaler::api_version(&()),
                "kind": PredictiveAutoscaler::kind(&()),
                "name": self.name,
                "uid": self.uid,
                "controller": true,
                "blockOwnerDeletion": false,
            }],
        })
    }

    fn owns(&self, object: &DynamicObject) -> bool {
        object
            .owner_references()
            .iter()
            .any(|owner| owner.uid == self.uid)
    }
}

/// Holds and releases room.
pub struct Buffers {
    client: Client,
    clock: SharedClock,
    breakers: Breakers,
    kind: Mutex<Option<(Duration, Option<ApiResource>)>>,
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

impl Buffers {
    /// Room in one cluster.
    pub fn new(client: Client, clock: SharedClock, breakers: Breakers) -> Self {
        Self {
            client,
            clock,
            breakers,
            kind: Mutex::default(),
        }
    }

    /// Replicas that room is held for now.
    ///
    /// # Errors
    /// When it cannot be seen.
    pub async fn held(&self, owner: &Owner<'_>) -> Result<u32, BufferError> {
        let mut held = 0;
        let (buffers, balloons) = self.kinds(owner.namespace).await?;
        for api in buffers.iter().chain([&balloons]) {
            let found = self.get(api, &owner.reserve()).await?;
            let found = found.filter(|object| owner.owns(object));
            let replicas = found.and_then(|object| object.data["spec"]["replicas"].as_u64());
            held += replicas.map_or(0, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX));
        }
        Ok(held)
    }

    /// Holds room for this many replicas; 0 holds none.
    ///
    /// `pod` is the spec of the workload's pods, if it shows one.
    ///
    /// # Errors
    /// [`BufferError`], which says what is in the way.
    pub async fn hold(
        &self,
        owner: &Owner<'_>,
        target: &ScaleTargetRef,
        pod: Option<&Value>,
        image: &str,
        replicas: u32,
    ) -> Result<(), BufferError> {
        let (buffers, balloons) = self.kinds(owner.namespace).await?;
        let Some(buffers) = buffers else {
            if replicas == 0 {
                return self.remove(&balloons, "Deployment", owner).await;
            }
            let body = balloon(owner, pod.ok_or(BufferError::NoTemplate)?, image, replicas);
            self.priority_class().await?;
            return self.apply(&balloons, "Deployment", owner, &body).await;
        };
        // what was there before the cluster knew better
        self.remove(&balloons, "Deployment", owner).await?;
        if replicas == 0 {
            return self.remove(&buffers, "CapacityBuffer", owner).await;
        }
        let body = buffer(owner, target, replicas);
        self.apply(&buffers, "CapacityBuffer", owner, &body).await
    }

    /// `CapacityBuffer`, if it is served, and Deployment.
    async fn kinds(
        &self,
        namespace: &str,
    ) -> Result<(Option<Api<DynamicObject>>, Api<DynamicObject>), CallError> {
        let api =
            |resource: &ApiResource| Api::namespaced_with(self.client.clone(), namespace, resource);
        let deployment = GroupVersionKind::gvk("apps", "v1", "Deployment");
        let deployment = ApiResource::from_gvk(&deployment);
        Ok((self.kind().await?.as_ref().map(api), api(&deployment)))
    }

    async fn kind(&self) -> Result<Option<ApiResource>, CallError> {
        let now = self.clock.monotonic();
        let known = self.known().clone();
        if let Some((at, kind)) = known
            && now.saturating_sub(at) < BELIEVED
        {
            return Ok(kind);
        }
        let mut found = None;
        for version in VERSIONS {
            let gvk = GroupVersionKind::gvk("autoscaling.x-k8s.io", version, "CapacityBuffer");
            let read = &self.breakers.read;
            let call = kube::discovery::pinned_kind(&self.client, &gvk);
            let call = within(read.limits().timeout, "tell which kinds it serves", call);
            match read.call("CapacityBuffer.autoscaling.x-k8s.io", call).await {
                Ok((kind, _)) => {
                    found = Some(kind);
                    break;
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        *self.known() = Some((now, found.clone()));
        Ok(found)
    }

    async fn get(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
    ) -> Result<Option<DynamicObject>, CallError> {
        let read = &self.breakers.read;
        let call = within(read.limits().timeout, "show the reserve", api.get_opt(name));
        read.call("reserve", call).await
    }

    async fn apply(
        &self,
        api: &Api<DynamicObject>,
        kind: &'static str,
        owner: &Owner<'_>,
        body: &Value,
    ) -> Result<(), BufferError> {
        let name = owner.reserve();
        let found = self.get(api, &name).await?;
        if found.is_some_and(|object| !owner.owns(&object)) {
            return Err(BufferError::Taken { kind, name });
        }
        let mut body = body.clone();
        let types = api_types(kind, self.known().as_ref());
        body["apiVersion"] = json!(types);
        body["kind"] = json!(kind);
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&body);
        let call = api.patch(&name, &params, &patch);
        self.write(owner, "hold room on nodes", call).await?;
        Ok(())
    }

    async fn remove(
        &self,
        api: &Api<DynamicObject>,
        kind: &'static str,
        owner: &Owner<'_>,
    ) -> Result<(), BufferError> {
        let name = owner.reserve();
        let Some(found) = self
            .get(api, &name)
            .await?
            .filter(|found| owner.owns(found))
        else {
            return Ok(());
        };
        tracing::debug!(kind, name, "reserve removed");
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.uid(),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let call = api.delete(&name, &params);
        match self.write(owner, "release room on nodes", call).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Makes the priority class, unless it is there.
    async fn priority_class(&self) -> Result<(), CallError> {
        let api: Api<PriorityClass> = Api::all(self.client.clone());
        let read = &self.breakers.read;
        let call = api.get_opt(PRIORITY_CLASS);
        let call = within(read.limits().timeout, "show the priority class", call);
        if read
            .call("PriorityClass.scheduling.k8s.io", call)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let class = PriorityClass {
            metadata: kube::api::ObjectMeta {
                name: Some(PRIORITY_CLASS.to_owned()),
                ..kube::api::ObjectMeta::default()
            },
            value: PRIORITY,
            global_default: Some(false),
            preemption_policy: Some("Never".to_owned()),
            description: Some(
                "Pods that hold room on nodes until replicas need it, and give way then."
                    .to_owned(),
            ),
        };
        let params = PostParams::default();
        let write = &self.breakers.write;
        let call = within(
            write.limits().timeout.min(WRITE_TIMEOUT),
            "make the priority class",
            api.create(&params, &class),
        );
        match write.call(PRIORITY_CLASS, call).await {
            // another policy was quicker
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }

    async fn write<T>(
        &self,
        owner: &Owner<'_>,
        what: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CallError> {
        let write = &self.breakers.write;
        let timeout = write.limits().timeout.min(WRITE_TIMEOUT);
        let key = format!("{}/{}", owner.namespace, owner.reserve());
        write.call(&key, within(timeout, what, call)).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<(Duration, Option<ApiResource>)>> {
        self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn api_types(kind: &str, known: Option<&(Duration, Option<ApiResource>)>) -> String {
    match known {
        Some((_, Some(resource))) if kind == "CapacityBuffer" => resource.api_version.clone(),
        _ => "apps/v1".to_owned(),
    }
}

fn buffer(owner: &Owner<'_>, target: &ScaleTargetRef, replicas: u32) -> Value {
    let group = target
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    json!({
        "metadata": owner.metadata(),
        "spec": {
            "provisioningStrategy": "buffer.x-k8s.io/active-capacity",
            "scalableRef": {"apiGroup": group, "kind": target.kind, "name": target.name},
            "replicas": replicas,
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::target) const OWNER: Owner<'_> = Owner {
        namespace: "dfs",
        name: "contest-entry",
        uid: "u-1",
    };

    #[test]
    fn a_buffer_sets_exactly_one_size() {
        let target = ScaleTargetRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "contest-entry".to_owned(),
        };
        let spec = &buffer(&OWNER, &target, 7)["spec"];
        assert_eq!(spec["replicas"], 7);
        assert_eq!(spec.get("percentage"), None);
        assert_eq!(spec["scalableRef"]["apiGroup"], "apps");
    }
}
