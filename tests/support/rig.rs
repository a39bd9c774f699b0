//! A cluster, a clock and controllers on them, with the questions tests ask.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, CustomResourceExt as _};
use serde_json::{Value, json};
use tipoff::api::{PredictiveAutoscaler, PredictiveAutoscalerStatus};
use tipoff::clock::{ScaledClock, SharedClock};
use tipoff::controller::leader::{Elector, Leadership};
use tipoff::controller::{self, ControllerConfig, Pace};
use tipoff::embedded::{Delay, EmbeddedCluster, PodBehaviour};
use tipoff::fixture::Calendar;
use tipoff::guard::Breakers;
use tipoff::serve::{Metrics, Readiness, Workloads};
use tipoff::settings::{LeaderElectionSettings, Live, Settings};
use tipoff::source::Inbox;
use tipoff::units::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::prometheus::FakePrometheus;

/// The namespace of every test.
pub const NAMESPACE: &str = "dfs";

/// The name of workload and policy.
pub const NAME: &str = "contest-entry";

/// Longest real time a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything a test needs.
pub struct Rig {
    pub cluster: EmbeddedCluster,
    pub clock: SharedClock,
    pub prometheus: FakePrometheus,
    pub live: watch::Sender<Arc<Live>>,
    pub client: Client,
}

/// A controller that runs.
pub struct Running {
    pub metrics: Metrics,
    pub workloads: Workloads,
    pub breakers: Breakers,
    pub readiness: Readiness,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops it as SIGTERM does, and waits until it has stopped.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap();
    }

    /// Ends it as SIGKILL does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Rig {
    /// A cluster whose clock shows `start` and runs `factor` times as fast as ours, with the
    /// definition installed. Pods take 20 s of its time.
    pub async fn new(
        start: Timestamp,
        factor: f64,
        load: impl Fn(Timestamp) -> f64 + Send + Sync + 'static,
    ) -> Self {
        super::install_tls();
        let clock: SharedClock = Arc::new(ScaledClock::new(start, factor).unwrap());
        let cluster = EmbeddedCluster::builder()
            .clock(clock.clone())
            .namespace(NAMESPACE)
            .pods(PodBehaviour {
                start_up: Delay::seconds(20),
                ..PodBehaviour::default()
            })
            .build();
        let client = cluster.client_as("test");
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        definitions
            .create(&PostParams::default(), &PredictiveAutoscaler::crd())
            .await
            .unwrap();
        let prometheus = FakePrometheus::start(load).await;
        let mut settings = Settings::new(prometheus.settings());
        settings.tick = TimeDelta::seconds(15);
        // breakers sleep in real time, of which a test has little
        settings.breakers.prometheus.sleep_window = Duration::from_millis(100);
        settings.breakers.kubernetes.sleep_window = Duration::from_millis(100);
        let (live, _) = watch::channel(Arc::new(Live::fixed(settings)));
        Self {
            cluster,
            clock,
            prometheus,
            live,
            client,
        }
    }

    /// Makes a calendar known under a name.
    pub fn calendar(&self, name: &str, calendar: Calendar) {
        self.live.send_modify(|live| {
            let mut changed = live.as_ref().clone();
            changed.calendars.insert(name, Arc::new(calendar));
            *live = Arc::new(changed);
        });
    }

    /// Puts a fault list in force, as a changed file would.
    pub fn fault_list(&self, name: &str, faults: tipoff::series::faults::Faults) {
        self.live.send_modify(|live| {
            let mut changed = live.as_ref().clone();
            changed.faults.insert(name, Arc::new(faults));
            *live = Arc::new(changed);
        });
    }

    /// Takes a fault list out of force, as a settings file without it would.
    pub fn no_fault_list(&self, name: &str) {
        self.live.send_modify(|live| {
            let mut changed = live.as_ref().clone();
            changed.faults.remove(name);
            *live = Arc::new(changed);
        });
    }

    /// Leads the controller to another Prometheus, as a changed settings file would.
    pub fn prometheus_at(&self, prometheus: tipoff::settings::PrometheusSettings) {
        self.live.send_modify(|live| {
            let mut changed = live.as_ref().clone();
            changed.settings.prometheus = prometheus;
            *live = Arc::new(changed);
        });
    }

    /// Makes the workload.
    pub async fn deployment(&self, replicas: u32) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let deployment = deployment(NAME, replicas);
        api.create(&PostParams::default(), &deployment)
            .await
            .unwrap();
        self.until("the first pods are ready", async || {
            let deployment = api.get(NAME).await.unwrap();
            deployment.status.and_then(|status| status.ready_replicas)
                == i32::try_from(replicas).ok()
        })
        .await;
    }

    /// Makes or changes the policy; `spec` is merged over a sound one.
    pub async fn policy(&self, spec: Value) {
        let mut whole = json!({
            "mode": "Enforce",
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 2,
            "maxReplicas": 100,
            "load": {"prometheus": {"query": "load"}},
            "capacity": {"perReplica": 100, "targetUtilization": 1.0, "scaleUpTime": "1m"},
            "quietCover": "1x",
            "spikeCover": "1x",
        });
        merge(&mut whole, spec);
        let object = json!({
            "apiVersion": "tipoff.dev/v1alpha1",
            "kind": "PredictiveAutoscaler",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": whole,
        });
        self.policies()
            .patch(
                NAME,
                &PatchParams::apply("test").force(),
                &Patch::Apply(&object),
            )
            .await
            .unwrap();
    }

    /// The API of policies.
    pub fn policies(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Starts a controller that is alone. Its requests carry `agent`.
    pub fn controller(&self, agent: &str) -> Running {
        self.start(agent, None)
    }

    /// Starts a controller that stands for election.
    pub fn candidate(&self, agent: &str) -> Running {
        // real time: a second instead of fifteen
        self.start(
            agent,
            Some(LeaderElectionSettings {
                namespace: Some(NAMESPACE.to_owned()),
                lease_duration: Duration::from_millis(1500),
                renew_deadline: Duration::from_secs(1),
                retry_period: Duration::from_millis(200),
                ..LeaderElectionSettings::default()
            }),
        )
    }

    fn start(&self, agent: &str, election: Option<LeaderElectionSettings>) -> Running {
        let client = self.cluster.client_as(agent);
        let metrics = Metrics::new().unwrap();
        let (workloads, readiness) = (Workloads::default(), Readiness::default());
        let stop = CancellationToken::new();
        let elector_stop = CancellationToken::new();
        let (elector, leadership) = match election {
            Some(settings) => {
                let (elector, leadership) = Elector::new(
                    &client,
                    &settings,
                    None,
                    agent.to_owned(),
                    self.clock.clone(),
                    metrics.clone(),
                );
                (Some(elector), leadership)
            }
            None => (None, Leadership::always(self.clock.clone())),
        };
        let breakers = Breakers::new(&self.clock, &self.live.subscribe(), &metrics);
        let inbox = Inbox::new(metrics.clone());
        let config = ControllerConfig {
            breakers: breakers.clone(),
            client,
            clock: self.clock.clone(),
            live: self.live.subscribe(),
            leadership,
            metrics: metrics.clone(),
            workloads: workloads.clone(),
            readiness: readiness.clone(),
            namespace: Some(NAMESPACE.to_owned()),
            identity: agent.to_owned(),
            pace: Pace::default(),
            inbox,
            fast_loop: true,
        };
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let run = controller::run(config, stopped);
            match elector {
                None => run.await,
                Some(elector) => {
                    let ended = elector_stop.clone();
                    tokio::join!(elector.run(elector_stop), async {
                        run.await;
                        ended.cancel();
                    });
                }
            }
        });
        Running {
            metrics,
            workloads,
            breakers,
            readiness,
            stop,
            task,
        }
    }

    /// Replicas the workload asks for.
    pub async fn replicas(&self) -> u32 {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let deployment = api.get(NAME).await.unwrap();
        u32::try_from(deployment.spec.unwrap().replicas.unwrap()).unwrap()
    }

    /// Changes the workload's size as somebody else would.
    pub async fn scale(&self, replicas: u32) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let patch = json!({"spec": {"replicas": replicas}});
        api.patch_scale(NAME, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    /// The policy's status; an empty one while there is none.
    pub async fn status(&self) -> PredictiveAutoscalerStatus {
        self.policies()
            .get(NAME)
            .await
            .unwrap()
            .status
            .unwrap_or_default()
    }

    /// Status, reason and message of a condition.
    pub async fn condition(&self, name: &str) -> Option<(String, String, String)> {
        let status = self.status().await;
        status
            .conditions
            .into_iter()
            .find(|condition| condition.type_ == name)
            .map(|condition| (condition.status, condition.reason, condition.message))
    }

    /// Waits until a condition has this status and reason.
    pub async fn until_condition(&self, name: &str, status: &str, reason: &str) {
        self.until(&format!("{name} is {status}/{reason}"), async || {
            self.condition(name)
                .await
                .is_some_and(|(s, r, _)| s == status && r == reason)
        })
        .await;
    }

    /// Reasons and notes of the Events about the policy.
    pub async fn events(&self) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let events = api.list(&ListParams::default()).await.unwrap();
        events
            .into_iter()
            .filter(|event| {
                let about = event.regarding.as_ref();
                about.is_some_and(|about| about.kind.as_deref() == Some("PredictiveAutoscaler"))
            })
            .map(|event| {
                (
                    event.reason.unwrap_or_default(),
                    event.note.unwrap_or_default(),
                )
            })
            .collect()
    }

    /// Waits until an Event with this reason was sent; its note.
    pub async fn until_event(&self, reason: &str) -> String {
        let mut note = String::new();
        self.until(&format!("an event {reason}"), async || {
            let found = self.events().await.into_iter().find(|(r, _)| r == reason);
            if let Some((_, text)) = &found {
                note.clone_from(text);
            }
            found.is_some()
        })
        .await;
        note
    }

    /// Waits, in real time, until something is so.
    pub async fn until(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !so().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        if waited.is_err() {
            let status = self.status().await;
            panic!(
                "waited in vain until {what}; at {} with {} replicas, status {status:#?}, events {:?}",
                self.clock.now(),
                self.replicas().await,
                self.events().await,
            );
        }
    }

    /// Lets time of the clock pass.
    pub async fn pass(&self, span: TimeDelta) {
        self.clock.sleep(span).await;
    }

    /// The smallest size the workload had while `span` passed.
    pub async fn lowest_over(&self, span: TimeDelta) -> u32 {
        let end = self.clock.now() + span;
        let mut lowest = self.replicas().await;
        while self.clock.now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
            lowest = lowest.min(self.replicas().await);
        }
        lowest
    }

    /// Writes to the workload that clients whose agent starts so have made or tried.
    pub fn scale_writes(&self, agent: &str) -> usize {
        self.cluster
            .requests()
            .select(|request| {
                request.agent.starts_with(agent)
                    && request.verb.writes()
                    && request.resource.starts_with("deployments")
            })
            .len()
    }
}

/// A Deployment of one small container.
pub fn deployment(name: &str, replicas: u32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "registry.invalid/main:1"}]},
            },
        },
    }))
    .unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
