//! The Kubernetes API of Tipoff: the custom resource, its conditions, and the way from a written
//! spec to a validated policy.
//!
//! Types only: nothing here talks to a cluster or reads a clock.

mod bridges;
pub mod conditions;
mod cover;
pub mod live;
pub mod policy;
mod queries;
mod schema;
pub mod v1alpha1;

pub use conditions::{ConditionType, set_condition};
pub use policy::{SpecError, ValidPolicy};
pub use v1alpha1::{PredictiveAutoscaler, PredictiveAutoscalerSpec, PredictiveAutoscalerStatus};

/// The custom resource definition as YAML, as `tipoff crds` prints it and `config/crd` holds it.
///
/// # Errors
/// When the definition cannot be written as YAML, which no build that passed its tests does.
pub fn crd_yaml() -> Result<String, serde_saphyr::SerializeError> {
    use kube::CustomResourceExt as _;
    serde_saphyr::to_string(&PredictiveAutoscaler::crd())
}

/// A policy of a Deployment `web` with these fields, each on a line of its own, for tests.
#[cfg(test)]
pub(crate) fn of_web(fields: &str) -> PredictiveAutoscalerSpec {
    let policy = format!(
        "
apiVersion: tipoff.dev/v1alpha1
kind: PredictiveAutoscaler
metadata: {{name: web}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}
  load: {{prometheus: {{query: q}}}}
{fields}"
    );
    let object: PredictiveAutoscaler = serde_saphyr::from_str(&policy).unwrap();
    object.spec
}
