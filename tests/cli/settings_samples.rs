//! The sample settings do what they say: they load with their lists, and show the defaults.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tipoff::clock::ManualClock;
use tipoff::serve::Metrics;
use tipoff::settings::{self, Reloader, Settings};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

#[test]
fn the_sample_settings_load_with_their_lists() {
    let clock = ManualClock::new("2023-09-10T12:00:00Z".parse().unwrap());
    let path = sample("samples/tipoff-full.yaml");
    let (_reloader, live) = Reloader::open(&path, clock, Metrics::new().unwrap()).unwrap();
    let live = Arc::clone(&live.borrow());
    assert_eq!(live.problems, [""; 0]);
    assert_eq!(live.calendar("nfl").unwrap().len(), 5);
    assert_eq!(live.fault_list("incidents").unwrap().len(), 2);
}

#[test]
fn the_sample_settings_show_the_defaults() {
    let written = settings::read(&sample("samples/tipoff-full.yaml")).unwrap();
    let mut default = Settings::new(written.prometheus.clone());
    default.calendars.clone_from(&written.calendars);
    default.faults.clone_from(&written.faults);
    default.log.clone_from(&written.log);
    assert_eq!(written, default);
    let address = written.prometheus.url.clone();
    assert_eq!(
        written.prometheus,
        settings::PrometheusSettings::new(address)
    );
}
