//! The same API over HTTP: plain requests, kube's own transport, and kubectl where there is one.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use crate::support::*;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tipoff::embedded::{EmbeddedCluster, Fault, Matcher, Verb};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

async fn serve(cluster: &EmbeddedCluster) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (cluster, until) = (cluster.clone(), stop.clone());
    tokio::spawn(async move { cluster.serve(listener, until).await.unwrap() });
    (address, stop)
}

fn http() -> reqwest::Client {
    // Another test of this process may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn plain_requests_are_answered_with_status_bodies() {
    let (cluster, clock) = cluster();
    let (address, stop) = serve(&cluster).await;
    let url = |path: &str| format!("http://{address}{path}");
    let http = http();
    let version: Value = http
        .get(url("/version"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(version["minor"], "33");
    assert_eq!(http.get(url("/readyz")).send().await.unwrap().status(), 200);

    let deployments = url("/apis/apps/v1/namespaces/dfs/deployments");
    let yaml = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: entry}\nspec:\n  replicas: 2\n  \
                selector: {matchLabels: {app: entry}}\n  template:\n    metadata: {labels: {app: entry}}\n    \
                spec: {containers: [{name: app, image: 'entry:1'}]}\n";
    let post = http
        .post(&deployments)
        .header("content-type", "application/yaml")
        .body(yaml);
    assert_eq!(post.send().await.unwrap().status(), 201);
    clock.advance(seconds(30));
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let list: Value = http
        .get(&deployments)
        .header("accept", table)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(list["kind"], "Table");
    assert_eq!(
        list["rows"][0]["cells"],
        json!(["entry", "2/2", 2, 2, "30s"])
    );

    let missing = http
        .get(format!("{deployments}/lobby"))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
    let status: Value = missing.json().await.unwrap();
    assert_eq!(status["reason"], "NotFound");
    assert_eq!(
        status["details"],
        json!({"name": "lobby", "group": "apps", "kind": "deployments"})
    );
    // where nobody serves anything there is no Status
    let nowhere = http.get(url("/apis/none")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
    assert_eq!(nowhere.text().await.unwrap(), "404 page not found\n");
    assert_eq!(
        http.post(url("/apis/apps/v1/deployments"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    let garbage = http.post(&deployments).body("{").send().await.unwrap();
    assert_eq!(garbage.status(), 400);
    let unknown = http
        .patch(format!("{deployments}/entry"))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), 415);

    cluster
        .faults()
        .next(1, Matcher::any(), Fault::too_many_requests(3));
    let busy = http.get(&deployments).send().await.unwrap();
    assert_eq!(
        (
            busy.status().as_u16(),
            busy.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "3")
    );
    cluster.faults().set_down(true);
    assert!(http.get(&deployments).send().await.is_err());
    cluster.faults().set_down(false);
    assert!(http.get(&deployments).send().await.is_ok());
    stop.cancel();
}

#[tokio::test]
async fn the_stock_client_works_over_a_socket() {
    let (cluster, clock) = cluster();
    let (address, stop) = serve(&cluster).await;
    let kubeconfig = Kubeconfig::from_yaml(&EmbeddedCluster::kubeconfig(address)).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    deploy(&client, "entry", 2).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "dfs");
    let mut stream = deployments
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    stream.try_next().await.unwrap().unwrap();
    clock.advance(seconds(30));
    let change = tokio::time::timeout(std::time::Duration::from_secs(5), stream.try_next());
    assert!(change.await.unwrap().unwrap().is_some());

    // Its own retry layer sits out a 429.
    let scaling = Matcher::any()
        .verb(Verb::Patch)
        .resource("deployments/scale");
    cluster
        .faults()
        .next(1, scaling, Fault::too_many_requests(0));
    let patch = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments
        .patch_scale("entry", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(
        cluster.requests().count(Verb::Patch, "deployments/scale"),
        2
    );

    stop.cancel();
    let end = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while let Ok(Some(_)) = stream.try_next().await {}
    });
    end.await.expect("open watches end with the server");
    assert!(
        deployments
            .create(&PostParams::default(), &deployment("b", 1))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn kubectl_is_at_home() {
    let (cluster, clock) = cluster();
    let (address, stop) = serve(&cluster).await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(&file, EmbeddedCluster::kubeconfig(address)).unwrap();
    let kubectl = async |args: &str, input: Option<String>| -> Option<(bool, String)> {
        let mut command = std::process::Command::new("kubectl");
        command
            .args(args.split(' '))
            .env("KUBECONFIG", &file)
            .env("HOME", home.path())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let output = tokio::task::spawn_blocking(move || {
            stdin
                .write_all(input.unwrap_or_default().as_bytes())
                .unwrap();
            drop(stdin);
            child.wait_with_output().unwrap()
        });
        let output = output.await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        Some((
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        ))
    };
    let Some((found, version)) = kubectl("version", None).await else {
        println!("skipped: kubectl is not installed");
        return;
    };
    if !found || !version.contains("v1.33.0+tipoff-embedded") {
        println!("skipped: kubectl does not work here: {version}");
        return;
    }
    let run = async |args: &str, input: Option<String>| {
        let (done, text) = kubectl(args, input).await.unwrap();
        assert!(done, "kubectl {args}: {text}");
        text
    };
    let mut object = serde_json::to_value(deployment("entry", 2)).unwrap();
    object["apiVersion"] = json!("apps/v1");
    object["kind"] = json!("Deployment");
    let crd = serde_json::to_string(&rollout_definition()).unwrap();
    assert!(run("apply -f -", Some(crd)).await.contains("created"));
    assert!(
        run("apply -n dfs -f -", Some(object.to_string()))
            .await
            .contains("created")
    );
    clock.advance(seconds(30));
    assert!(run("get deploy -n dfs", None).await.contains("2/2"));
    run("scale deploy/entry -n dfs --replicas=3", None).await;
    clock.advance(seconds(30));
    assert!(
        run("rollout status deploy/entry -n dfs --timeout=5s", None)
            .await
            .contains("successfully rolled out")
    );
    object["spec"]["replicas"] = json!(4);
    assert!(
        run("apply -n dfs -f -", Some(object.to_string()))
            .await
            .contains("configured")
    );
    run(
        "apply --server-side --force-conflicts -n dfs -f -",
        Some(object.to_string()),
    )
    .await;
    run("apply -n dfs -f -", Some(rollout("canary", 3).to_string())).await;
    let custom = run("get ro -n dfs", None).await;
    assert!(
        custom.contains("REPLICAS") && custom.contains("canary"),
        "{custom}"
    );
    run("scale ro/canary -n dfs --replicas=5", None).await;
    assert!(
        run("get ro canary -n dfs -o jsonpath={.spec.replicas}", None)
            .await
            .contains('5')
    );
    assert!(
        run("describe deploy entry -n dfs", None)
            .await
            .contains("MinimumReplicasAvailable")
    );
    assert!(run("api-resources", None).await.contains("rollouts"));
    assert!(run("auth can-i create pods", None).await.contains("yes"));
    run("delete deploy entry -n dfs --wait=false", None).await;
    clock.advance(seconds(10));
    assert!(
        run("get pods -n dfs", None)
            .await
            .contains("No resources found")
    );
    let (done, text) = kubectl(
        "apply -n dfs -f -",
        Some(
            json!({"apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout", "metadata": {"name": "typo"}, "spec": {"replicas": 1, "replcas": 2}})
            .to_string(),
        ),
    )
    .await
    .unwrap();
    assert!(!done && text.contains("unknown field"), "{text}");
    stop.cancel();
}
