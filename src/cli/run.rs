//! `tipoff run`: the controller, on the cluster of the kubeconfig or of the pod it runs in, or on
//! an embedded cluster that needs nothing installed.
//!
//! It puts the parts together and ends them in order: ticks first, so that what is under way is
//! finished by a leader; then the lease, so that another may take over at once; then HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::{Client, CustomResourceExt as _, ResourceExt as _};
use serde::Deserialize as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::CliError;
use crate::api::PredictiveAutoscaler;
use crate::clock::{SharedClock, SystemClock};
use crate::controller::leader::{self, Elector, Leadership};
use crate::controller::{self, ControllerConfig, Pace};
use crate::embedded::EmbeddedCluster;
use crate::guard::Breakers;
use crate::serve::{self, Metrics, Push, Readiness, Shown, Workloads};
use crate::settings::{self, Live, Reloader};
use crate::source::Inbox;
use crate::target::call::{is_not_found, text};
use crate::target::scale::MANAGER;

/// Longest time a stopping controller waits for what is under way; Kubernetes kills a pod 30 s
/// after it asked it to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Longest time without any byte from the API server outside of watches, beyond which a connection
/// is dead. Watches send bookmarks every minute or are renewed within five.
const READ_TIMEOUT: Duration = Duration::from_secs(295);

/// Run the controller.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The settings file.
    #[arg(long, value_name = "FILE", default_value = settings::DEFAULT_PATH, env = "TIPOFF_CONFIG")]
    pub config: PathBuf,
    /// Look after this namespace only.
    #[arg(long, value_name = "NAME", env = "TIPOFF_NAMESPACE")]
    pub namespace: Option<String>,
    /// Run on a cluster inside this process, with simulated pods, instead of a real one.
    #[arg(long)]
    pub embedded: bool,
    /// Objects to begin with on the embedded cluster, as YAML. May be given more than once.
    #[arg(long, value_name = "FILE", requires = "embedded")]
    pub apply: Vec<PathBuf>,
    /// Where the embedded cluster's API is served for kubectl; a loopback address.
    #[arg(
        long,
        value_name = "ADDRESS",
        requires = "embedded",
        default_value = "127.0.0.1:0"
    )]
    pub embedded_listen: SocketAddr,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// Exit code 2 for settings or objects that are not usable, 1 when a cluster or a port is not
/// there.
pub async fn run(args: &RunArgs) -> Result<(), CliError> {
    let clock = SystemClock::shared();
    let metrics = Metrics::new().map_err(CliError::failed)?;
    let (reloader, live) =
        Reloader::open(&args.config, clock.clone(), metrics.clone()).map_err(CliError::input)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));

    let client = if args.embedded {
        embedded(args, &clock, &stop).await?
    } else {
        connect().await?
    };
    let parts = Parts {
        client,
        clock,
        live,
        metrics,
        namespace: args.namespace.clone(),
        alone: args.embedded,
    };
    let tasks = TaskTracker::new();
    tasks.spawn(reloader.run(stop.clone()));
    let served = parts.run(stop.clone()).await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    served
}

/// What a controller is put together from.
struct Parts {
    client: Client,
    clock: SharedClock,
    live: watch::Receiver<Arc<Live>>,
    metrics: Metrics,
    namespace: Option<String>,
    /// Nobody else can be on this cluster, so nobody is elected.
    alone: bool,
}

impl Parts {
    async fn run(self, stop: CancellationToken) -> Result<(), CliError> {
        let Self {
            client,
            clock,
            live,
            metrics,
            namespace,
            alone,
        } = self;
        let settings = live.borrow().settings.clone();
        let readiness = Readiness::waiting_for([controller::READINESS]);
        let workloads = Workloads::default();
        let breakers = Breakers::new(&clock, &live, &metrics);
        let (listener, address) = listen(settings.listen).await?;
        tracing::info!(%address, "serving /healthz, /readyz, /metrics and /api/v1");
        let http = CancellationToken::new();
        let shown = Shown {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            workloads: workloads.clone(),
            breakers: breakers.clone(),
        };
        let inbox = Inbox::new(metrics.clone());
        let push = Push::new(inbox.clone(), live.clone(), clock.clone(), metrics.clone());
        let tasks = TaskTracker::new();
        let served = tasks.spawn(serve::run(listener, shown, push, http.clone()));

        let identity = leader::identity();
        let lease = CancellationToken::new();
        let leadership = if alone || !settings.leader_election.enabled {
            let settings = &settings.leader_election;
            let lease = leader::label(&client, settings, namespace.as_deref());
            metrics.leader(&lease, true);
            Leadership::always(clock.clone())
        } else {
            let (elector, leadership) = Elector::new(
                &client,
                &settings.leader_election,
                namespace.as_deref(),
                identity.clone(),
                clock.clone(),
                metrics.clone(),
            );
            tasks.spawn(elector.run(lease.clone()));
            leadership
        };
        let config = ControllerConfig {
            client,
            clock,
            live,
            leadership,
            metrics,
            workloads,
            breakers,
            readiness,
            namespace,
            identity,
            pace: Pace::default(),
            inbox,
            fast_loop: true,
        };
        let running = controller::run(config, stop.clone());
        tokio::select! {
            () = running => {}
            () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
                tracing::warn!("what was under way did not end in time and is left");
            }
        }
        lease.cancel();
        http.cancel();
        tasks.close();
        if tokio::time::timeout(GRACE / 4, tasks.wait()).await.is_err() {
            tracing::warn!("a connection was still open");
            return Ok(());
        }
        match served.await {
            Ok(served) => served.map_err(CliError::failed),
            Err(error) => Err(CliError::failed(error)),
        }
    }
}

/// The cluster of the kubeconfig, or of the pod this runs in.
async fn connect() -> Result<Client, CliError> {
    let mut config = kube::Config::infer().await.map_err(|error| {
        CliError::input(format!(
            "no cluster to run on: {error}; set KUBECONFIG, run in a pod with a service account, \
             or use --embedded"
        ))
    })?;
    config.read_timeout = Some(READ_TIMEOUT);
    Client::try_from(config).map_err(CliError::failed)
}

/// Listens, and says where: port 0 leaves the choice to the system.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CliError> {
    let failed = |error| {
        CliError::failed(format!(
            "failed to listen on {address}: {error}; change listen in the settings"
        ))
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let taken = listener.local_addr().map_err(failed)?;
    Ok((listener, taken))
}

/// Starts an embedded cluster with the definition and the objects asked for, and says where
/// kubectl finds it.
async fn embedded(
    args: &RunArgs,
    clock: &SharedClock,
    stop: &CancellationToken,
) -> Result<Client, CliError> {
    if !args.embedded_listen.ip().is_loopback() {
        return Err(CliError::input(format!(
            "--embedded-listen {} is not a loopback address: the embedded API has no access rules; \
             use {}:0",
            args.embedded_listen,
            Ipv4Addr::LOCALHOST
        )));
    }
    let cluster = EmbeddedCluster::builder().clock(clock.clone()).build();
    let client = cluster.client_as(MANAGER);
    install(&client).await?;
    for path in &args.apply {
        apply_file(&client, path).await?;
    }
    let (listener, address) = listen(args.embedded_listen).await?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = cluster.serve(listener, stop).await {
            tracing::error!(%error, "the embedded API is not served any more");
        }
    });
    super::output::progress(&format!(
        "embedded cluster: kubectl --server http://{address} get pas,deployments -A"
    ));
    Ok(client)
}

/// Installs the custom resource definition.
///
/// # Errors
/// When the cluster refuses it.
pub async fn install(client: &Client) -> Result<(), CliError> {
    let definition = PredictiveAutoscaler::crd();
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&definition.name_any(), &params, &Patch::Apply(&definition))
        .await
        .map_err(CliError::failed)?;
    Ok(())
}

/// Applies every object of a YAML file, making namespaces that are missing.
///
/// # Errors
/// Exit code 2 when the file or an object in it is not usable.
pub async fn apply_file(client: &Client, path: &Path) -> Result<(), CliError> {
    let at = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| CliError::input(at(&error)))?;
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| {
            let told = error.without_snippet();
            let told = told.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            CliError::input(at(&format!("{told}; correct it")))
        })?;
    for (place, document) in documents.into_iter().enumerate() {
        if document.is_null() {
            continue;
        }
        let at = |what: &dyn std::fmt::Display| at(&format!("object {}: {what}", place + 1));
        let object =
            DynamicObject::deserialize(document).map_err(|error| CliError::input(at(&error)))?;
        apply(client, &object)
            .await
            .map_err(|error| CliError::input(at(&error)))?;
    }
    Ok(())
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<(), String> {
    let types = object
        .types
        .as_ref()
        .ok_or("it has no apiVersion and kind: add them")?;
    let gvk = GroupVersionKind::try_from(types).map_err(|error| error.to_string())?;
    let (resource, capabilities) =
        kube::discovery::pinned_kind(client, &gvk)
            .await
            .map_err(|error| {
                if is_not_found(&error) {
                    format!(
                        "the cluster has no kind {} in {}: correct kind or apiVersion",
                        types.kind, types.api_version
                    )
                } else {
                    text(&error)
                }
            })?;
    let name = object
        .metadata
        .name
        .as_deref()
        .ok_or("it has no metadata.name")?;
    // as kubectl does: a misspelt field is refused, not dropped
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("tipoff-apply").force()
    };
    let api: Api<DynamicObject> = match capabilities.scope {
        kube::discovery::Scope::Cluster => Api::all_with(client.clone(), &resource),
        kube::discovery::Scope::Namespaced => {
            let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
            let wanted = serde_json::json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
            });
            namespaces
                .patch(&namespace, &params, &Patch::Apply(&wanted))
                .await
                .map_err(|error| text(&error))?;
            Api::namespaced_with(client.clone(), &namespace, &resource)
        }
    };
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .map_err(|error| text(&error))?;
    Ok(())
}

/// Cancels `stop` at the first SIGINT or SIGTERM; the second ends the process at once.
async fn stop_on_signal(stop: CancellationToken) {
    signalled().await;
    tracing::info!("stopping: what is under way is finished, nothing is lowered");
    stop.cancel();
    signalled().await;
    // 128 + SIGINT, as shells report it
    std::process::exit(130);
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[cfg(not(unix))]
async fn signalled() {
    // without a handler the default ends the process, which is what was asked for
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_that_is_logged_is_the_one_that_was_taken() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listener, address) = listen(any).await.unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(address, listener.local_addr().unwrap());
    }
}
