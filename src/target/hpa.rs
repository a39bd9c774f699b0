//! Whether a `HorizontalPodAutoscaler` owns a workload's size (KEDA's are HPAs too).
//!
//! Two autoscalers on one `/scale` undo each other every fifteen seconds. Until the floor of an HPA
//! can be raised and given back, a workload with one is only recommended for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};

use super::call::within;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::clock::SharedClock;
use crate::guard::Breakers;

/// How long a list of HPAs is believed. An HPA itself syncs every 15 s.
const BELIEVED: Duration = Duration::from_secs(15);

/// What is known of HPAs on one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HpaSight {
    /// There is none.
    None,
    /// This one owns the size.
    Present {
        /// Its name.
        name: String,
    },
    /// They cannot be seen.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// HPAs by namespace, listed at most once every few seconds.
pub struct Hpas {
    client: Client,
    clock: SharedClock,
    breakers: Breakers,
    seen: Mutex<HashMap<String, (Duration, Vec<Scaled>)>>,
}

/// An HPA and what it scales.
#[derive(Debug, Clone)]
struct Scaled {
    name: String,
    group: String,
    kind: String,
    target: String,
}

impl fmt::Debug for Hpas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hpas").finish_non_exhaustive()
    }
}

impl Hpas {
    /// HPAs of one cluster.
    pub fn new(client: Client, clock: SharedClock, breakers: Breakers) -> Self {
        Self {
            client,
            clock,
            breakers,
            seen: Mutex::default(),
        }
    }

    /// The HPA that scales `target`, if one does.
    pub async fn on(&self, namespace: &str, target: &ScaleTargetRef) -> HpaSight {
        let now = self.clock.monotonic();
        let last = self.seen().get(namespace).cloned();
        let owner = |hpas: &[Scaled]| {
            let group = group_of(&target.api_version);
            let scales = |hpa: &&Scaled| {
                hpa.group == group && hpa.kind == target.kind && hpa.target == target.name
            };
            hpas.iter().find(scales).map(|hpa| hpa.name.clone())
        };
        let sight = |owner: Option<String>| match owner {
            Some(name) => HpaSight::Present { name },
            None => HpaSight::None,
        };
        if let Some((at, hpas)) = &last
            && now.saturating_sub(*at) < BELIEVED
        {
            return sight(owner(hpas));
        }
        match self.list(namespace).await {
            Ok(hpas) => {
                let found = sight(owner(&hpas));
                self.seen().insert(namespace.to_owned(), (now, hpas));
                found
            }
            // one that was there is there until a list shows that it is not: a size written beside
            // it would come and go with every list that fails
            Err(reason) => match last.and_then(|(_, hpas)| owner(&hpas)) {
                Some(name) => HpaSight::Present { name },
                None => HpaSight::Unknown { reason },
            },
        }
    }

    async fn list(&self, namespace: &str) -> Result<Vec<Scaled>, String> {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default();
        let call = api.list(&params);
        let read = &self.breakers.read;
        let call = within(read.limits().timeout, "list HorizontalPodAutoscalers", call);
        match read.call("HorizontalPodAutoscaler.autoscaling", call).await {
            Ok(list) => Ok(list.items.iter().filter_map(scaled).collect()),
            // a cluster that does not serve them has none
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Duration, Vec<Scaled>)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scaled(hpa: &HorizontalPodAutoscaler) -> Option<Scaled> {
    let target = &hpa.spec.as_ref()?.scale_target_ref;
    Some(Scaled {
        name: hpa.name_any(),
        group: group_of(target.api_version.as_deref().unwrap_or_default()).to_owned(),
        kind: target.kind.clone(),
        target: target.name.clone(),
    })
}

/// The version does not matter: an HPA on apps/v1beta2 scales the same Deployment.
fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
