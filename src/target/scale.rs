//! The size of any kind that has a scale subresource: read with what is Ready, written without
//! overtaking anybody else's write.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::autoscaling::v1::Scale;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::call::{CallError, within};
use super::{WRITE_TIMEOUT, ready};
use crate::api::v1alpha1::ScaleTargetRef;
use crate::breaker::Outcome;
use crate::guard::{Breakers, Guarded, Refusal};

/// Field manager and user agent of everything this controller writes.
pub const MANAGER: &str = "tipoff";

/// How often a write is tried again when only the object's status had moved: a workload that is
/// being scaled changes its status several times a second.
const ATTEMPTS: u32 = 4;

/// Why a workload's size could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// `apiVersion` is not a group and a version.
    #[error("scaleTargetRef.apiVersion {api_version:?} is not valid: write for example apps/v1")]
    BadApiVersion {
        /// What was written.
        api_version: String,
    },
    /// The cluster does not know the kind.
    #[error(
        "this cluster serves no {kind} in {api_version}: correct scaleTargetRef, or install what \
         defines it"
    )]
    NotServed {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The kind has no `/scale`.
    #[error("{kind} has no scale subresource, so its size cannot be set")]
    NotScalable {
        /// Kind.
        kind: String,
    },
    /// Nobody says which pods are its own.
    #[error(
        "the scale subresource of {kind} tells no selector, so its pods are not known: give the \
         kind a labelSelectorPath, or use another source of live signals"
    )]
    NoSelector {
        /// Kind.
        kind: String,
    },
    /// No such object.
    #[error("{kind} {name} does not exist in namespace {namespace}")]
    NotFound {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// Namespace.
        namespace: String,
    },
    /// RBAC forbids it.
    #[error("{source}; grant the verb on {kind} to the controller's service account")]
    Forbidden {
        /// Kind.
        kind: String,
        /// The refusal.
        source: CallError,
    },
    /// Somebody else changed the size in between.
    #[error("the size became {found} while {from} was being changed; it is decided anew")]
    Overtaken {
        /// Size the decision was made at.
        from: u32,
        /// Size found.
        found: u32,
    },
    /// The object kept changing.
    #[error("the workload kept changing while its size was written; it is tried again")]
    Conflict,
    /// Any other failure of the API server.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl TargetError {
    /// One of few words, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadApiVersion { .. } => "bad_api_version",
            Self::NotServed { .. } => "not_served",
            Self::NotScalable { .. } => "not_scalable",
            Self::NoSelector { .. } => "no_selector",
            Self::NotFound { .. } => "not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::Overtaken { .. } => "overtaken",
            Self::Conflict => "conflict",
            Self::Call(error) => error.kind(),
        }
    }

    /// How long the API server asks to be left in peace, when it does.
    pub fn retry_after(&self) -> Option<TimeDelta> {
        match self {
            Self::Call(error) | Self::Forbidden { source: error, .. } => error.retry_after(),
            _ => None,
        }
    }
}

impl From<Refusal> for TargetError {
    fn from(refusal: Refusal) -> Self {
        Self::Call(refusal.into())
    }
}

impl Guarded for TargetError {
    /// What is not there, not allowed or changed meanwhile was answered by a cluster that is well.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Call(error) | Self::Forbidden { source: error, .. } => error.outcome(),
            Self::BadApiVersion { .. } => Outcome::Abandoned,
            Self::NotServed { .. }
            | Self::NotScalable { .. }
            | Self::NoSelector { .. }
            | Self::NotFound { .. }
            | Self::Overtaken { .. }
            | Self::Conflict => Outcome::Declined,
        }
    }
}

/// The size of a workload as the cluster shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadSize {
    /// Replicas asked for.
    pub replicas: u32,
    /// Replicas Ready.
    pub ready: u32,
    /// Version of the object this was read from; a write is refused when it has moved on.
    pub version: Option<String>,
    /// What selects its pods, when the kind tells.
    pub selector: Option<String>,
}

/// A kind, split as Kubernetes does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) name: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.group)
    }
}

impl Kind {
    fn of(target: &ScaleTargetRef) -> Result<Self, TargetError> {
        let (group, version) = target
            .api_version
            .split_once('/')
            .unwrap_or(("", &target.api_version));
        if version.is_empty() || version.contains('/') {
            return Err(TargetError::BadApiVersion {
                api_version: target.api_version.clone(),
            });
        }
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            name: target.kind.clone(),
        })
    }
}

/// Reads and writes sizes. Which kinds have a scale subresource is asked once each.
pub struct ScaleTargets {
    client: Client,
    breakers: Breakers,
    kinds: Mutex<HashMap<Kind, ApiResource>>,
}

impl fmt::Debug for ScaleTargets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScaleTargets").finish_non_exhaustive()
    }
}

impl ScaleTargets {
    /// Targets of one cluster.
    pub fn new(client: Client, breakers: Breakers) -> Self {
        Self {
            client,
            breakers,
            kinds: Mutex::default(),
        }
    }

    /// The size of a workload now.
    ///
    /// # Errors
    /// [`TargetError`], which says what is missing and what to do.
    pub async fn read(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Result<WorkloadSize, TargetError> {
        let kind = Kind::of(target)?;
        let reading = self.read_now(&kind, namespace, target);
        // the parts of one look are one call: a probe that reads only half of it tells nothing
        self.breakers.read.call(&kind.to_string(), reading).await
    }

    async fn read_now(
        &self,
        kind: &Kind,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Result<WorkloadSize, TargetError> {
        let api = self.api(kind, namespace, target).await?;
        let timeout = self.read_timeout();
        let (scale, object) = tokio::join!(
            within(
                timeout,
                "tell the workload's size",
                api.get_scale(&target.name)
            ),
            within(timeout, "show the workload", api.get(&target.name)),
        );
        let scale = scale.map_err(|error| self.explain(error, kind, namespace, target))?;
        let told = match object {
            Ok(object) => ready::from_status(kind, &object.data),
            // reading /scale alone may be all that is granted
            Err(error) if error.is_forbidden() => None,
            Err(error) => return Err(self.explain(error, kind, namespace, target)),
        };
        let ready = match told {
            Some(ready) => ready,
            None => self.count_ready(namespace, kind, &scale).await?,
        };
        let selector = scale.status.as_ref().and_then(|s| s.selector.clone());
        Ok(WorkloadSize {
            selector: selector.filter(|selector| !selector.is_empty()),
            replicas: replicas_of(&scale),
            ready,
            version: scale.metadata.resource_version,
        })
    }

    /// The selector of a workload's pods, as `/scale` tells it.
    ///
    /// # Errors
    /// [`TargetError`]; [`TargetError::NoSelector`] when `/scale` tells none.
    pub async fn selector(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Result<String, TargetError> {
        let kind = Kind::of(target)?;
        let reading = async {
            let api = self.api(&kind, namespace, target).await?;
            let call = api.get_scale(&target.name);
            within(self.read_timeout(), "tell the workload's pods", call)
                .await
                .map_err(|error| self.explain(error, &kind, namespace, target))
        };
        let scale = self.breakers.read.call(&kind.to_string(), reading).await?;
        selector_of(&scale)
            .map(str::to_owned)
            .ok_or_else(|| TargetError::NoSelector {
                kind: target.kind.clone(),
            })
    }

    /// The spec of the workload's pods, when the kind has it where built-in kinds do.
    ///
    /// # Errors
    /// [`TargetError`], which says what is missing and what to do.
    pub async fn pod_spec(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Result<Option<Value>, TargetError> {
        let kind = Kind::of(target)?;
        let reading = async {
            let api = self.api(&kind, namespace, target).await?;
            let call = api.get(&target.name);
            let object = within(self.read_timeout(), "show the workload", call)
                .await
                .map_err(|error| self.explain(error, &kind, namespace, target))?;
            let spec = object.data.pointer("/spec/template/spec");
            Ok(spec.filter(|spec| spec.is_object()).cloned())
        };
        self.breakers.read.call(&kind.to_string(), reading).await
    }

    /// Sets a size, but only if it still is `from`.
    ///
    /// # Errors
    /// [`TargetError::Overtaken`] when somebody else changed the size since it was read.
    pub async fn write(
        &self,
        namespace: &str,
        target: &ScaleTargetRef,
        size: &WorkloadSize,
        to: u32,
    ) -> Result<(), TargetError> {
        let kind = Kind::of(target)?;
        let key = format!("{namespace}/{}/{}", target.kind, target.name);
        let writing = self.write_now(&kind, namespace, target, size, to);
        self.breakers.write.call(&key, writing).await
    }

    async fn write_now(
        &self,
        kind: &Kind,
        namespace: &str,
        target: &ScaleTargetRef,
        size: &WorkloadSize,
        to: u32,
    ) -> Result<(), TargetError> {
        let api = self.api(kind, namespace, target).await?;
        let timeout = self.breakers.write.limits().timeout.min(WRITE_TIMEOUT);
        let mut version = size.version.clone();
        for _ in 0..ATTEMPTS {
            let patch = json!({
                "metadata": { "resourceVersion": version },
                "spec": { "replicas": to },
            });
            let params = PatchParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(&patch);
            let call = api.patch_scale(&target.name, &params, &patch);
            match within(timeout, "set the workload's size", call).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_conflict() => {
                    let call = api.get_scale(&target.name);
                    let scale = within(timeout, "tell the workload's size", call)
                        .await
                        .map_err(|error| self.explain(error, kind, namespace, target))?;
                    let found = replicas_of(&scale);
                    if found != size.replicas {
                        return Err(TargetError::Overtaken {
                            from: size.replicas,
                            found,
                        });
                    }
                    version = scale.metadata.resource_version;
                }
                Err(error) => return Err(self.explain(error, kind, namespace, target)),
            }
        }
        Err(TargetError::Conflict)
    }

    fn read_timeout(&self) -> Duration {
        self.breakers.read.limits().timeout
    }

    async fn count_ready(
        &self,
        namespace: &str,
        kind: &Kind,
        scale: &Scale,
    ) -> Result<u32, TargetError> {
        let Some(selector) = selector_of(scale) else {
            // a kind that tells neither leaves one number to believe
            let existing = scale.status.as_ref().map_or(0, |status| status.replicas);
            return Ok(u32::try_from(existing).unwrap_or(0));
        };
        let timeout = self.read_timeout();
        match ready::count_pods(&self.client, namespace, selector, timeout).await {
            Err(error) if error.is_forbidden() => Err(TargetError::Forbidden {
                kind: format!("{} and pods", kind.name),
                source: error,
            }),
            counted => Ok(counted?),
        }
    }

    async fn api(
        &self,
        kind: &Kind,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> Result<Api<DynamicObject>, TargetError> {
        let known = self.kinds().get(kind).cloned();
        let resource = if let Some(resource) = known {
            resource
        } else {
            let found = self.discover(kind, target).await?;
            self.kinds().insert(kind.clone(), found.clone());
            found
        };
        Ok(Api::namespaced_with(
            self.client.clone(),
            namespace,
            &resource,
        ))
    }

    async fn discover(
        &self,
        kind: &Kind,
        target: &ScaleTargetRef,
    ) -> Result<ApiResource, TargetError> {
        let gvk = GroupVersionKind::gvk(&kind.group, &kind.version, &kind.name);
        let call = kube::discovery::pinned_kind(&self.client, &gvk);
        let (resource, capabilities) =
            within(self.read_timeout(), "tell which kinds it serves", call)
                .await
                .map_err(|error| {
                    if error.is_not_found() {
                        TargetError::NotServed {
                            api_version: target.api_version.clone(),
                            kind: target.kind.clone(),
                        }
                    } else {
                        error.into()
                    }
                })?;
        let scalable = capabilities
            .subresources
            .iter()
            .any(|(subresource, _)| subresource.plural == "scale");
        if scalable {
            Ok(resource)
        } else {
            Err(TargetError::NotScalable {
                kind: target.kind.clone(),
            })
        }
    }

    fn explain(
        &self,
        error: CallError,
        kind: &Kind,
        namespace: &str,
        target: &ScaleTargetRef,
    ) -> TargetError {
        if error.is_not_found() {
            // the kind may have been removed with its definition: ask again next time
            self.kinds().remove(kind);
            TargetError::NotFound {
                kind: target.kind.clone(),
                name: target.name.clone(),
                namespace: namespace.to_owned(),
            }
        } else if error.is_forbidden() {
            TargetError::Forbidden {
                kind: format!("{}/scale", target.kind),
                source: error,
            }
        } else {
            error.into()
        }
    }

    fn kinds(&self) -> std::sync::MutexGuard<'_, HashMap<Kind, ApiResource>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty selector would pick every pod of the namespace.
fn selector_of(scale: &Scale) -> Option<&str> {
    let status = scale.status.as_ref()?;
    let selector = status.selector.as_deref()?;
    (!selector.is_empty()).then_some(selector)
}

fn replicas_of(scale: &Scale) -> u32 {
    // an API server leaves the number out where it is zero (`omitempty` of autoscaling/v1): read as
    // a Deployment's default of one, a workload that somebody switched off would be started again
    let replicas = scale.spec.as_ref().and_then(|spec| spec.replicas);
    u32::try_from(replicas.unwrap_or(0)).unwrap_or(0)
}
