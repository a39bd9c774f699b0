//! The whole controller from one end to the other on the real clock: on the embedded cluster, and
//! with `TIPOFF_E2E=1` on the cluster of `KUBECONFIG`, where it makes and deletes a namespace of
//! its own and needs only the API server, the workload controllers and something that makes pods
//! Ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tipoff::api::{PredictiveAutoscaler, PredictiveAutoscalerStatus};
use tipoff::clock::SystemClock;
use tipoff::controller::leader::Elector;
use tipoff::controller::{self, ControllerConfig, Pace};
use tipoff::embedded::{Delay, EmbeddedCluster, PodBehaviour};
use tipoff::guard::Breakers;
use tipoff::serve::{Metrics, Readiness, Workloads};
use tipoff::settings::{LeaderElectionSettings, Live, Settings};
use tipoff::source::Inbox;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::prometheus::{FakePrometheus, Mood};
use crate::support::rig::deployment;

const NAME: &str = "contest-entry";

/// Longest time anything may take, pods of a busy cluster included.
const PATIENCE: Duration = Duration::from_secs(60);

const DEFINITION: &str = "predictiveautoscalers.tipoff.dev";

/// A namespace on some cluster.
struct World {
    client: Client,
    namespace: String,
    /// Rules that only a real API server evaluates are checked there.
    real: bool,
    /// We installed the definition, so we remove it.
    installed: bool,
    embedded: Option<EmbeddedCluster>,
}

impl World {
    async fn enter() -> Self {
        crate::support::install_tls();
        let real = std::env::var_os("TIPOFF_E2E").is_some_and(|wanted| wanted == "1");
        let (client, embedded) = if real {
            (Client::try_default().await.unwrap(), None)
        } else {
            println!("on the embedded cluster; TIPOFF_E2E=1 runs on KUBECONFIG");
            let cluster = EmbeddedCluster::builder()
                .pods(PodBehaviour {
                    start_up: Delay::seconds(1),
                    ..PodBehaviour::default()
                })
                .build();
            (cluster.client(), Some(cluster))
        };
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let installed = definitions.get_opt(DEFINITION).await.unwrap().is_none();
        tipoff::cli::run::install(&client).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let wanted = serde_json::from_value(json!({"metadata": {"generateName": "tipoff-e2e-"}}));
        let made = namespaces
            .create(&PostParams::default(), &wanted.unwrap())
            .await
            .unwrap();
        let world = Self {
            client,
            namespace: made.metadata.name.unwrap(),
            real,
            installed,
            embedded,
        };
        world
            .until("the definition is served", async || {
                world.policies().list(&ListParams::default()).await.is_ok()
            })
            .await;
        world
    }

    async fn leave(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await
            .unwrap();
        if self.installed {
            let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
            definitions
                .delete(DEFINITION, &DeleteParams::default())
                .await
                .unwrap();
        }
        drop(self.embedded);
    }

    fn policies(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !so().await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        if waited.await.is_err() {
            let policy = self.policies().get_opt(NAME).await;
            panic!("waited in vain until {what}; the policy: {policy:#?}");
        }
    }

    async fn until_event(&self, reason: &str) {
        self.until(reason, async || {
            self.event_reasons().await.iter().any(|r| r == reason)
        })
        .await;
    }

    async fn policy(&self, spec: Value) -> Result<PredictiveAutoscaler, kube::Error> {
        let mut whole = json!({
            "mode": "Enforce",
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 2,
            "maxReplicas": 20,
            "load": {"prometheus": {"query": "load"}},
            "capacity": {"perReplica": 100, "targetUtilization": 1.0, "scaleUpTime": "5s"},
            "quietCover": "1x",
            "spikeCover": "1x",
            "lead": "0s",
            "release": {"window": "6s", "rung": 1, "every": "1s"},
        });
        for (key, value) in spec.as_object().cloned().unwrap_or_default() {
            whole[key] = value;
        }
        let object = json!({
            "apiVersion": "tipoff.dev/v1alpha1", "kind": "PredictiveAutoscaler",
            "metadata": {"name": NAME}, "spec": whole,
        });
        let params = PatchParams::apply("e2e").force();
        self.policies()
            .patch(NAME, &params, &Patch::Apply(&object))
            .await
    }

    async fn status(&self) -> PredictiveAutoscalerStatus {
        self.policies()
            .get(NAME)
            .await
            .unwrap()
            .status
            .unwrap_or_default()
    }

    async fn until_condition(&self, name: &str, status: &str, reason: &str) {
        self.until(&format!("{name} is {status}/{reason}"), async || {
            let conditions = self.status().await.conditions;
            conditions
                .iter()
                .any(|c| c.type_ == name && c.status == status && c.reason == reason)
        })
        .await;
    }

    async fn replicas(&self) -> i32 {
        let deployment = self.deployments().get(NAME).await.unwrap();
        deployment.spec.unwrap().replicas.unwrap()
    }

    async fn until_replicas(&self, replicas: i32) {
        self.until(&format!("there are {replicas} replicas"), async || {
            self.replicas().await == replicas
        })
        .await;
    }

    async fn keeps(&self, replicas: i32, span: Duration) {
        for _ in 0..span.as_millis() / 200 {
            assert_eq!(self.replicas().await, replicas);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn event_reasons(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await.unwrap();
        events
            .into_iter()
            .filter_map(|event| event.reason)
            .collect()
    }

    /// A controller that stands for election, as an abortable task.
    fn candidate(
        &self,
        name: &str,
        live: watch::Receiver<Arc<Live>>,
    ) -> (CancellationToken, JoinHandle<()>) {
        let clock = SystemClock::shared();
        let metrics = Metrics::new().unwrap();
        let election = LeaderElectionSettings {
            namespace: Some(self.namespace.clone()),
            lease_duration: Duration::from_secs(4),
            renew_deadline: Duration::from_secs(3),
            retry_period: Duration::from_secs(1),
            ..LeaderElectionSettings::default()
        };
        let (elector, leadership) = Elector::new(
            &self.client,
            &election,
            None,
            name.to_owned(),
            clock.clone(),
            metrics.clone(),
        );
        let inbox = Inbox::new(metrics.clone());
        let config = ControllerConfig {
            breakers: Breakers::new(&clock, &live, &metrics),
            client: self.client.clone(),
            clock,
            live,
            leadership,
            metrics,
            workloads: Workloads::default(),
            readiness: Readiness::default(),
            namespace: Some(self.namespace.clone()),
            identity: name.to_owned(),
            pace: Pace {
                retry_every: TimeDelta::seconds(1),
                ..Pace::default()
            },
            inbox,
            fast_loop: true,
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let lease = CancellationToken::new();
            let ended = lease.clone();
            tokio::join!(elector.run(lease), async {
                controller::run(config, stopped).await;
                ended.cancel();
            });
        });
        (stop, task)
    }

    async fn holder(&self) -> Option<String> {
        use k8s_openapi::api::coordination::v1::Lease;
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let lease = leases.get_opt("tipoff").await.unwrap()?;
        lease
            .spec?
            .holder_identity
            .filter(|holder| !holder.is_empty())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_end_to_the_other() {
    let world = World::enter().await;
    let load = Arc::new(AtomicU64::new(150));
    let offered = Arc::clone(&load);
    let began = wall_clock();
    let prometheus = FakePrometheus::start(move |at| {
        // history is small, so that only what is offered now asks for much
        if at >= began {
            offered.load(Ordering::Relaxed) as f64
        } else {
            100.0
        }
    })
    .await;
    let mut settings = Settings::new(prometheus.settings());
    settings.tick = TimeDelta::seconds(1);
    let (_live, live) = watch::channel(Arc::new(Live::fixed(settings)));

    // an API server refuses what contradicts itself, in words
    if world.real {
        let refused = world
            .policy(json!({"minReplicas": 30}))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("raise maxReplicas or lower minReplicas"),
            "{refused}"
        );
        let order = json!({"action": "Pin", "expires": "2030-01-01T00:00:00Z", "reason": "x"});
        let refused = world
            .policy(json!({"override": order}))
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("override.replicas is needed"), "{refused}");
        let refused = world
            .policy(json!({"lead": "soon"}))
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("spec.lead"), "{refused}");
    }

    // Recommend only says
    let api = world.deployments();
    api.create(&PostParams::default(), &deployment(NAME, 2))
        .await
        .unwrap();
    world.policy(json!({"mode": "Recommend"})).await.unwrap();
    let (_, first) = world.candidate("first", live.clone());
    world
        .until("the first leads", async || {
            world.holder().await.as_deref() == Some("first")
        })
        .await;
    world.until_condition("Ready", "True", "Complete").await;
    world
        .until_condition("Enforcing", "False", "Recommend")
        .await;
    load.store(600, Ordering::Relaxed);
    world
        .until("more is recommended", async || {
            world.status().await.desired_replicas == Some(6)
        })
        .await;
    world.keeps(2, Duration::from_secs(2)).await;

    // Enforce does it, and sees it through until pods are Ready
    world.policy(json!({})).await.unwrap();
    world.until_replicas(6).await;
    world
        .until("six are ready", async || {
            world.status().await.ready_replicas == Some(6)
        })
        .await;
    world.until_event("ScaledUp").await;
    let scaled = world.status().await.last_scale.unwrap();
    assert_eq!((scaled.from, scaled.to), (2, 6));

    // what is missing never lowers
    load.store(150, Ordering::Relaxed);
    prometheus.is(Mood::Broken);
    world
        .until_condition("LoadAvailable", "False", "Http5xx")
        .await;
    world.keeps(6, Duration::from_secs(10)).await;

    // the leader dies: the other takes over, nothing shrinks meanwhile
    let (stop_second, second) = world.candidate("second", live.clone());
    first.abort();
    world
        .until("the second leads", async || {
            world.holder().await.as_deref() == Some("second")
        })
        .await;
    world.keeps(6, Duration::from_secs(3)).await;
    prometheus.is(Mood::Well);
    world.until_condition("Ready", "True", "Complete").await;
    world.until_replicas(2).await;
    world.until_event("ScaledDown").await;

    // a person's order stands until it expires
    let expires = (wall_clock() + TimeDelta::seconds(8)).to_rfc3339();
    let order = json!({"action": "Boost", "replicas": 5, "expires": expires, "reason": "drill"});
    world.policy(json!({"override": order})).await.unwrap();
    world.until_replicas(5).await;
    world.until_replicas(2).await;

    // an HPA is not fought
    let hpas: Api<HorizontalPodAutoscaler> =
        Api::namespaced(world.client.clone(), &world.namespace);
    let hpa = serde_json::from_value(json!({
        "metadata": {"name": "cpu"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 2, "maxReplicas": 3,
        },
    }));
    hpas.create(&PostParams::default(), &hpa.unwrap())
        .await
        .unwrap();
    world.policy(json!({})).await.unwrap();
    world
        .until_condition("Enforcing", "False", "HpaPresent")
        .await;
    load.store(600, Ordering::Relaxed);
    world.keeps(2, Duration::from_secs(4)).await;
    hpas.delete("cpu", &DeleteParams::default()).await.unwrap();
    world.until_replicas(6).await;

    // stopping lowers nothing and hands the lease back
    load.store(150, Ordering::Relaxed);
    stop_second.cancel();
    tokio::time::timeout(PATIENCE, second)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(world.holder().await, None);
    world.keeps(6, Duration::from_secs(3)).await;
    world.leave().await;
}

/// The test is the outermost caller: it may look at the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the wall clock of the test itself"
)]
fn wall_clock() -> chrono::DateTime<Utc> {
    Utc::now()
}
