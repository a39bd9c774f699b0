//! The shipped World Cup scenario on the real trace: Tipoff serves more than an HPA at its usual
//! target and pays no more. Skips, with a line saying so, where the trace is absent.

use std::fs::{self, File};
use std::path::Path;

use tipoff::backtest::scenario::{self, Peer};
use tipoff::backtest::{self, Listener};
use tipoff::forecast::Evidence;
use tipoff::series::csv::{Per, read_load};
use tipoff::settings::calendar_file::{CalendarOptions, load_calendar};

struct Quiet;

impl Listener for Quiet {
    fn progress(&mut self, _: &str) {}
}

#[test]
fn tipoff_serves_more_than_an_hpa_and_pays_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples/backtest");
    let text = fs::read_to_string(folder.join("wc98.yaml")).unwrap();
    let mut scenario = scenario::parse(&text, "wc98.yaml").unwrap();
    let file = folder.join(&scenario.load.file);
    if !file.exists() {
        println!("skipped: {} is absent", file.display());
        return;
    }
    scenario.equal_service.clear();
    scenario.forecast.protocols.clear();
    scenario
        .peers
        .retain(|peer| matches!(peer, Peer::Hpa(hpa) if hpa.target == 0.7));
    let per = Per::every(scenario.load.per.unwrap().0).unwrap();
    let load = read_load(File::open(&file).unwrap(), "load", per).unwrap();
    let fixtures: Vec<_> = scenario.fixtures.iter().map(|f| folder.join(f)).collect();
    let (calendar, _) = load_calendar(&fixtures, &CalendarOptions::default()).unwrap();

    let outcome = backtest::run(
        &scenario,
        Evidence::new(&load.series, &calendar),
        &mut Quiet,
    )
    .unwrap();
    let (own, peers) = outcome.report.policies.split_first().unwrap();
    println!("{}", outcome.report.text());
    let hpa = peers.iter().find(|peer| peer.name == "hpa-70").unwrap();
    assert!(
        hpa.unserved_requests > 0.0,
        "with pods ten minutes late who reacts is late"
    );
    assert!(own.unserved_requests < hpa.unserved_requests);
    assert!(own.replica_hours <= hpa.replica_hours);
}
