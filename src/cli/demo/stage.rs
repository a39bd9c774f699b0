//! The demo's world: the Sunday and its traffic, the embedded cluster with one workload, a
//! Prometheus-compatible source, and the real controller on top.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, PostParams};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::CliError;
use super::super::run::install;
use crate::api::PredictiveAutoscaler;
use crate::backtest::contest;
use crate::clock::SharedClock;
use crate::controller::leader::Leadership;
use crate::controller::{self, ControllerConfig, Pace};
use crate::embedded::prometheus::{Answer, EmbeddedPrometheus};
use crate::embedded::{Delay, EmbeddedCluster, PodBehaviour};
use crate::fixture::{Calendar, export};
use crate::guard::Breakers;
use crate::plan::Workload;
use crate::serve::workloads::Report;
use crate::serve::{Metrics, Readiness, Workloads};
use crate::settings::Reloader;
use crate::simulate::traffic::sunday;
use crate::simulate::{GameDay, Traffic};
use crate::source::Inbox;
use crate::target::scale::MANAGER;
use crate::units::{Rate, Timestamp};

/// Where the workload lives.
pub(super) const NAMESPACE: &str = "dfs";
/// The workload and its policy.
pub(super) const NAME: &str = "contest-entry";
/// Load one ready replica serves, units per second.
pub(super) const PER_REPLICA: f64 = 25.0;
/// Bounds of the policy.
pub(super) const REPLICAS: (u32, u32) = (4, 400);
/// Median and 95th percentile of a pod's start, seconds.
pub(super) const START_UP: (i64, i64) = (35, 60);

/// Width of a step of what is recorded and of what is simulated beside it.
pub(super) const STEP: TimeDelta = TimeDelta::seconds(15);

/// The workload is put up so long before the controller, longer than its slowest pod takes to be
/// Ready.
const HEAD_START: TimeDelta = TimeDelta::minutes(3);

const QUERY: &str = "sum(rate(http_requests_total{app=\"contest-entry\"}[1m]))";

/// What will happen, which nobody on the stage is told.
#[derive(Debug)]
pub(super) struct Sunday {
    /// The fourteen games of the day.
    pub(super) games: Calendar,
    /// They and the weeks to learn from.
    pub(super) calendar: Calendar,
    /// Offered load.
    pub(super) traffic: Traffic,
    /// Nine in the morning, eastern time.
    pub(super) from: Timestamp,
    /// A quarter to two at night, when the night game is long over.
    pub(super) to: Timestamp,
}

impl Sunday {
    /// Weeks of generated history.
    pub(super) const WEEKS: u32 = 4;

    pub(super) fn new(seed: u64) -> Self {
        let games = sunday::week_one_2023();
        let earlier = sunday::earlier_weeks(&games, Self::WEEKS);
        let calendar: Calendar = games.iter().chain(earlier.iter()).cloned().collect();
        let traffic = Traffic::new(GameDay::default(), &calendar, seed);
        let midnight = NaiveDate::from_ymd_opt(2023, 9, 10)
            .and_then(|day| day.and_hms_opt(0, 0, 0))
            .unwrap_or_default()
            .and_utc();
        let from = midnight + TimeDelta::hours(13);
        let to = midnight + TimeDelta::minutes(29 * 60 + 45);
        Self {
            games,
            calendar,
            traffic,
            from,
            to,
        }
    }

    /// Replicas that are Ready when the controller is installed: those that the simulations beside
    /// it begin with.
    pub(super) fn opening_size(&self) -> u32 {
        let first = self.traffic.series(self.from, self.from + STEP, STEP);
        let first = first.at(self.from).unwrap_or(Rate::ZERO);
        let (least, most) = REPLICAS;
        contest::opening_size(first, Rate::per_second(PER_REPLICA), least..=most)
    }

    /// When the demo's clock must begin for the workload to be there when the controller comes.
    pub(super) fn doors(&self) -> Timestamp {
        self.from - HEAD_START
    }

    /// Start of the history that can be learnt from.
    pub(super) fn history_from(&self) -> Timestamp {
        self.from - TimeDelta::weeks(i64::from(Self::WEEKS))
    }
}

/// What can be seen at one moment.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// The workload.
    pub(super) workload: Workload,
    /// The controller's last decision.
    pub(super) report: Option<Arc<Report>>,
}

/// Everything that runs.
pub(super) struct Theatre {
    cluster: EmbeddedCluster,
    deployments: Api<Deployment>,
    workloads: Workloads,
    controller: CancellationToken,
    tasks: TaskTracker,
    folder: PathBuf,
}

impl Theatre {
    /// Starts it all: the workload first, the controller once that stands and the Sunday begins.
    pub(super) async fn open(
        sunday: Arc<Sunday>,
        clock: SharedClock,
        stop: &CancellationToken,
    ) -> Result<Self, CliError> {
        let tasks = TaskTracker::new();
        let cluster = EmbeddedCluster::builder()
            .clock(clock.clone())
            .pods(PodBehaviour {
                start_up: Delay::LogNormal {
                    median: TimeDelta::seconds(START_UP.0),
                    p95: TimeDelta::seconds(START_UP.1),
                },
                ..PodBehaviour::default()
            })
            .namespace(NAMESPACE)
            .build();
        let client = cluster.client_as("tipoff-demo");
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
        deployments
            .create(&PostParams::default(), &deployment(sunday.opening_size())?)
            .await
            .map_err(CliError::failed)?;
        stands(&deployments, &clock, sunday.from, stop).await?;
        install(&client).await?;
        Api::<PredictiveAutoscaler>::namespaced(client, NAMESPACE)
            .create(&PostParams::default(), &policy()?)
            .await
            .map_err(CliError::failed)?;

        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(CliError::failed)?;
        let address = listener.local_addr().map_err(CliError::failed)?;
        let source = EmbeddedPrometheus::new(clock.clone(), [(QUERY.to_owned(), answer(&sunday))]);
        tasks.spawn(source.serve(listener, stop.clone()));

        let folder = std::env::temp_dir().join(format!("tipoff-demo-{}", std::process::id()));
        let settings = write_settings(&folder, &sunday, &address.to_string())?;
        let metrics = Metrics::new().map_err(CliError::failed)?;
        let (reloader, live) =
            Reloader::open(&settings, clock.clone(), metrics.clone()).map_err(CliError::failed)?;
        tasks.spawn(reloader.run(stop.clone()));
        let workloads = Workloads::default();
        let controller = CancellationToken::new();
        let breakers = Breakers::new(&clock, &live, &metrics);
        let inbox = Inbox::new(metrics.clone());
        let config = ControllerConfig {
            breakers,
            client: cluster.client_as(MANAGER),
            leadership: Leadership::always(clock.clone()),
            clock,
            live,
            metrics,
            workloads: workloads.clone(),
            readiness: Readiness::waiting_for([controller::READINESS]),
            namespace: Some(NAMESPACE.to_owned()),
            identity: "tipoff-demo".to_owned(),
            pace: Pace::default(),
            inbox,
            fast_loop: true,
        };
        tasks.spawn(controller::run(config, controller.clone()));
        Ok(Self {
            cluster,
            deployments,
            workloads,
            controller,
            tasks,
            folder,
        })
    }

    /// The workload as the cluster shows it, and the last decision about it.
    pub(super) async fn look(&self) -> Result<Sight, CliError> {
        Ok(Sight {
            workload: counted(&self.deployments).await?,
            report: self.workloads.get(NAMESPACE, NAME),
        })
    }

    /// Ends the controller first, then what it stands on.
    pub(super) async fn close(self) {
        let Self {
            cluster,
            deployments: _,
            workloads: _,
            controller,
            tasks,
            folder,
        } = self;
        controller.cancel();
        tasks.close();
        let patience = std::time::Duration::from_secs(5);
        if tokio::time::timeout(patience, tasks.wait()).await.is_err() {
            tracing::warn!("a task of the demo did not end in time");
        }
        cluster.stop();
        // what is left behind in the temporary folder is the system's to clear
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Waits until all replicas are Ready and the clock shows `from`, as in any cluster that an
/// autoscaler comes to; not longer than until `stop`.
async fn stands(
    deployments: &Api<Deployment>,
    clock: &SharedClock,
    from: Timestamp,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    tokio::select! {
        () = clock.sleep_until(from) => {}
        () = stop.cancelled() => return Ok(()),
    }
    while !stop.is_cancelled() {
        let Workload { replicas, ready } = counted(deployments).await?;
        if ready >= replicas {
            break;
        }
        clock.sleep(TimeDelta::seconds(1)).await;
    }
    Ok(())
}

/// The workload as the cluster shows it.
async fn counted(deployments: &Api<Deployment>) -> Result<Workload, CliError> {
    let deployment = deployments.get(NAME).await.map_err(CliError::failed)?;
    let asked = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(0);
    let ready = deployment
        .status
        .and_then(|status| status.ready_replicas)
        .unwrap_or(0);
    Ok(Workload {
        replicas: u32::try_from(asked).unwrap_or(0),
        ready: u32::try_from(ready).unwrap_or(0),
    })
}

/// The gateway's counter: mean offered load over the last minute.
fn answer(sunday: &Arc<Sunday>) -> Answer {
    let sunday = Arc::clone(sunday);
    Arc::new(move |at| {
        let sum: Rate = (0..6)
            .map(|i| sunday.traffic.rate(at - TimeDelta::seconds(10 * i + 5)))
            .sum();
        (at >= sunday.history_from()).then_some(sum / 6.0)
    })
}

fn deployment(replicas: u32) -> Result<Deployment, CliError> {
    let labels = json!({"app": NAME});
    serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "example.org/contest-entry:1"}]},
            },
        },
    }))
    .map_err(CliError::failed)
}

fn policy() -> Result<PredictiveAutoscaler, CliError> {
    serde_json::from_value(json!({
        "apiVersion": "tipoff.dev/v1alpha1", "kind": "PredictiveAutoscaler",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "mode": "Enforce",
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": REPLICAS.0,
            "maxReplicas": REPLICAS.1,
            "load": {"prometheus": {"query": QUERY}},
            "calendars": ["nfl"],
            "capacity": {"perReplica": PER_REPLICA},
            "forecast": {"zone": "America/New_York"},
        },
    }))
    .map_err(CliError::failed)
}

/// Writes the controller's settings and its calendar, as a person would, and returns their path.
fn write_settings(
    folder: &std::path::Path,
    sunday: &Sunday,
    prometheus: &str,
) -> Result<PathBuf, CliError> {
    let settings = format!(
        "prometheus:\n  url: http://{prometheus}\ncalendars:\n  - name: nfl\n    source: nfl.yaml\n\
         listen: 127.0.0.1:0\ntick: 15s\n"
    );
    let path = folder.join("tipoff.yaml");
    let calendar = export::to_yaml(sunday.calendar.iter(), &[]).map_err(CliError::failed)?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join("nfl.yaml"), calendar))
        .and_then(|()| std::fs::write(&path, settings))
        .map_err(|error| {
            CliError::failed(format!("failed to write to {}: {error}", folder.display()))
        })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ScaledClock;

    #[tokio::test]
    async fn the_replicas_are_ready_when_the_controller_comes() {
        let sunday = Arc::new(Sunday::new(2023));
        let clock = ScaledClock::new(sunday.doors(), 780.0).unwrap();
        let clock: SharedClock = Arc::new(clock);
        let stop = CancellationToken::new();
        let theatre = Theatre::open(Arc::clone(&sunday), clock.clone(), &stop)
            .await
            .unwrap();
        let sight = theatre.look().await.unwrap();
        assert!(clock.now() >= sunday.from);
        assert_eq!(sight.workload.ready, sunday.opening_size());
        assert_eq!(sight.workload.replicas, sunday.opening_size());
        stop.cancel();
        theatre.close().await;
    }
}
