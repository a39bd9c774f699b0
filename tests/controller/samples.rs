//! What `config/samples` and `config/manager` hold works: settings and calendars load, and an API
//! server takes the objects.

use std::path::{Path, PathBuf};

use tipoff::api::PredictiveAutoscaler;
use tipoff::cli::run::{apply_file, install};
use tipoff::clock::ManualClock;
use tipoff::embedded::EmbeddedCluster;
use tipoff::serve::Metrics;
use tipoff::settings::Reloader;
use tipoff::settings::calendar_file::{CalendarOptions, load_calendar};

fn config(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(path)
}

#[tokio::test]
async fn the_samples_are_taken_and_valid() {
    let cluster = EmbeddedCluster::builder().build();
    let client = cluster.client();
    install(&client).await.unwrap();
    for sample in [
        "samples/workload.yaml",
        "samples/minimal.yaml",
        "samples/full.yaml",
    ] {
        apply_file(&client, &config(sample)).await.unwrap();
    }
    let policies: kube::Api<PredictiveAutoscaler> = kube::Api::namespaced(client, "dfs");
    for name in ["contest-entry", "scoring"] {
        let policy = policies.get(name).await.unwrap();
        policy
            .spec
            .validate()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn everything_of_the_installation_is_taken() {
    let cluster = EmbeddedCluster::builder().build();
    let client = cluster.client();
    for file in [
        "manager/namespace.yaml",
        "manager/deployment.yaml",
        "manager/service.yaml",
        "manager/settings.yaml",
        "manager/disruption_budget.yaml",
        "rbac/service_account.yaml",
    ] {
        apply_file(&client, &config(file)).await.unwrap();
    }
}

#[tokio::test]
async fn each_controller_is_scraped_once() {
    let cluster = EmbeddedCluster::builder().build();
    let client = cluster.client();
    apply_file(&client, &config("manager/namespace.yaml"))
        .await
        .unwrap();
    apply_file(&client, &config("manager/service.yaml"))
        .await
        .unwrap();
    let monitor = std::fs::read_to_string(config("prometheus/servicemonitor.yaml")).unwrap();
    let (_, selector) = monitor.split_once("matchLabels: {").unwrap();
    let (selector, _) = selector.split_once('}').unwrap();
    let selector = selector.replace(": ", "=");
    let services: kube::Api<k8s_openapi::api::core::v1::Service> = kube::Api::all(client);
    let found = services
        .list(&kube::api::ListParams::default().labels(&selector))
        .await
        .unwrap();
    // two that are scraped make every leader two
    let names: Vec<_> = found.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, ["tipoff"]);
}

#[test]
fn the_settings_and_their_lists_load() {
    let samples = config("samples/tipoff.yaml");
    let settings = tipoff::settings::read(&samples).unwrap();
    for calendar in &settings.calendars {
        let read = load_calendar(&[&calendar.source], &CalendarOptions::default());
        let (calendar, _) = read.unwrap();
        assert_eq!(calendar.len(), 1);
    }
    // every list that a sample policy names is there
    let clock = ManualClock::new("2026-11-01T12:00:00Z".parse().unwrap());
    let (_reloader, live) = Reloader::open(&samples, clock, Metrics::new().unwrap()).unwrap();
    let live = live.borrow();
    assert_eq!(live.problems, [""; 0]);
    for policy in ["samples/minimal.yaml", "samples/full.yaml"] {
        let text = std::fs::read_to_string(config(policy)).unwrap();
        let policy: PredictiveAutoscaler = serde_saphyr::from_str(&text).unwrap();
        let named = policy.spec.validate().unwrap();
        for name in &named.faults {
            live.fault_list(name).unwrap();
        }
        for name in &named.calendars {
            live.calendar(name).unwrap();
        }
    }
    let map: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(config("manager/settings.yaml")).unwrap())
            .unwrap();
    let text = map["data"]["tipoff.yaml"].as_str().unwrap();
    let settings = tipoff::settings::parse(text, Path::new("/etc/tipoff/tipoff.yaml")).unwrap();
    assert_eq!(
        settings.calendars[0].source,
        Path::new("/etc/tipoff/promos.csv")
    );
}
