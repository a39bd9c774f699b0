//! Scenarios read as written, and every fault names its place.

use super::*;
use crate::forecast::Quantile;
use crate::plan::policy::{LiveCover, SpikeCover};

const MINIMAL: &str = "\
load: {file: load.csv.gz, per: 1m}
fixtures: [fixtures.csv]
zone: Europe/Paris
evaluate: {from: 1998-06-10T00:00:00Z, to: 1998-06-26T00:00:00Z}
cluster:
  perReplica: 50
  startUp: {constant: 10m}
policy:
  minReplicas: 2
  maxReplicas: 200
  capacity: {perReplica: 50}
";

#[test]
fn a_minimal_scenario_has_defaults() {
    let scenario = parse(MINIMAL, "s.yaml").unwrap();
    assert_eq!(scenario.title, "s.yaml");
    assert_eq!(scenario.peers.len(), 7);
    assert_eq!(scenario.forecast.challengers, Challenger::ALL);
    assert_eq!(scenario.simulation, Simulation::default());
    let arena = scenario.arena.unwrap();
    assert_eq!(arena.policy.spike_cover, SpikeCover::default());
    assert_eq!(arena.cluster.model.start_up.p95(), TimeDelta::minutes(10));
    assert_eq!(
        scenario.load.per,
        Some(HumanDuration(TimeDelta::minutes(1)))
    );
}

#[test]
fn peers_and_the_rest_read_as_written() {
    let text = format!(
        "{MINIMAL}{}",
        "  spikeCover: 1x
  quietCover: 1.1x
  forecast: {quantile: p99}
  release: {window: 10m, holdThrough: Settled}
peers:
  - staticPeak
  - oracle
  - hpa: {target: 0.5, metric: cpu}
  - hpa:
      name: hpa-fast
      target: 0.7
      behavior:
        scaleUp: {policies: [{type: Percent, value: 900, periodSeconds: 15}]}
  - kedaCron: {replicas: 80}
  - seasonalNaive: {}
equalService: [0.001, 0.0001]
seed: 7
"
    )
    .replacen("policy:", "forecast: {challengers: [mstl]}\npolicy:", 1);
    let scenario = parse(&text, "s.yaml").unwrap();
    assert_eq!(scenario.forecast.challengers, [Challenger::Mstl]);
    assert_eq!(scenario.forecast.protocols.len(), 3);
    assert_eq!(scenario.peers.len(), 6);
    let policy = &scenario.arena.as_ref().unwrap().policy;
    assert_eq!(policy.quantile, Quantile::P99);
    assert_eq!(policy.spike_cover.live, LiveCover::Multiple(1.0));
    let Peer::Hpa(fast) = &scenario.peers[3] else {
        panic!("{:?}", scenario.peers[3]);
    };
    let behavior = fast.behavior.as_ref().unwrap();
    assert_eq!(behavior.scale_up.policies[0].value, 900);
    assert_eq!(
        behavior.scale_down,
        crate::simulate::peers::hpa::Rules::down()
    );
}

#[test]
fn entries_and_faults_are_named_and_policies_may_be_left_out() {
    let head = MINIMAL.split("cluster:").next().unwrap();
    let text = format!("{head}entries: {{file: entries.csv.gz, per: 5m}}\nfaults: faults.csv\n");
    let scenario = parse(&text, "s.yaml").unwrap();
    assert_eq!(scenario.arena, None);
    let entries = scenario.entries.unwrap();
    assert_eq!(entries.file, PathBuf::from("entries.csv.gz"));
    assert_eq!(entries.per, Some(HumanDuration(TimeDelta::minutes(5))));
    assert_eq!(scenario.faults, Some(PathBuf::from("faults.csv")));
    assert_eq!(parse(MINIMAL, "s.yaml").unwrap().entries, None);

    let none = Vec::<&str>::new();
    assert_eq!(scenario.unread, none);
    let text = format!("{head}peers: [oracle]\nmetricLag: 1m\nsimulation: {{step: 1s}}\n");
    let scenario = parse(&text, "s.yaml").unwrap();
    assert_eq!(scenario.unread, ["peers", "metricLag", "simulation"]);
    let text = format!("{MINIMAL}peers: [oracle]\nsimulation: {{step: 1s}}\n");
    assert_eq!(parse(&text, "s.yaml").unwrap().unread, none);

    let alone = format!("{head}cluster:\n  perReplica: 50\n  startUp: {{constant: 10m}}\n");
    let message = parse(&alone, "s.yaml").unwrap_err().to_string();
    assert!(
        message.contains(": cluster: policy is missing"),
        "{message}"
    );
    let alone = format!("{head}policy: {{minReplicas: 2, maxReplicas: 9}}\n");
    let message = parse(&alone, "s.yaml").unwrap_err().to_string();
    assert!(
        message.contains(": policy: cluster is missing"),
        "{message}"
    );
}

#[test]
fn every_fault_names_its_place_and_a_remedy() {
    for (from, to, expected) in [
        ("per: 1m", "per: 1 minute", "s.yaml:1:"),
        (
            "zone: Europe/Paris",
            "zone: Paris",
            "s.yaml:3:7: zone: \"Paris\" is not a time zone",
        ),
        (
            "from: 1998-06-10T00:00:00Z",
            "from: 1998-06-10",
            "evaluate.from: \"1998-06-10\" is not a time with an offset",
        ),
        (
            "to: 1998-06-26T00:00:00Z",
            "to: 1998-06-06T00:00:00Z",
            "s.yaml:4:11: evaluate: to (1998-06-06T00:00:00+00:00) is not after",
        ),
        (
            "perReplica: 50\n  s",
            "perReplica: -1\n  s",
            "s.yaml:6:15: cluster.perReplica: -1",
        ),
        ("constant: 10m", "constnat: 10m", "constnat"),
        (
            "policy:",
            "forecast: {challengers: [naive-week, prophet]}\npolicy:",
            "expected one of naive-day, naive-week, mstl",
        ),
        (
            "minReplicas: 2",
            "minReplicas: 0",
            "policy: minReplicas is 0",
        ),
        (
            "minReplicas: 2",
            "minReplicas: -4",
            "s.yaml:9:16: policy.minReplicas: -4 is out of range: write a whole number of replicas, \
             from 1 to 4294967295",
        ),
        (
            "maxReplicas: 200",
            "maxReplicas: 99999999999",
            "99999999999 is out of range: write a whole number of replicas, from 1 to 4294967295",
        ),
        (
            "minReplicas: 2",
            "minReplicas: 2\n  lead: 400d",
            "policy: lead is 400d: it must be between 0s and 7d",
        ),
        (
            "policy:",
            "seed: -1\npolicy:",
            "seed: is not a whole number of 0 or more: write for example 1",
        ),
        (
            "maxReplicas: 200",
            "maxReplicas: 2.5",
            "policy.maxReplicas: 2.5 is out of range",
        ),
        (
            "policy:",
            "peers:\n  - kedaCron: {replicas: -1}\npolicy:",
            "peers[0].kedaCron.replicas: -1 is out of range",
        ),
        ("maxReplicas: 200", "maxReplica: 200", "maxReplica"),
        (
            "policy:",
            "peers:\n  - oracle\n  - hpa: {target: 7}\npolicy:",
            "s.yaml:10:19: peers[1].hpa.target: 7 is out of range",
        ),
        (
            "policy:",
            "peers:\n  - oracle\n  - hpa: {target: 0.7, name: static-peak}\npolicy:",
            "s.yaml:10:5: peers[1]: the name \"static-peak\" is one that the report keeps: choose",
        ),
        (
            "policy:",
            "peers:\n  - kpa: {name: tipoff-2x}\npolicy:",
            "s.yaml:9:5: peers[0]: the name \"tipoff-2x\" is one that the report keeps",
        ),
        (
            "policy:",
            "peers:\n  - hpa: {target: 0.7}\n  - oracle\n  - hpa: {target: 0.701}\npolicy:",
            "s.yaml:11:5: peers[2]: another peer is called \"hpa-70\" already: give one",
        ),
        (
            "constant: 10m",
            "lognormal: {median: 60s, p95: 10s}",
            "cluster.startUp: lognormal needs",
        ),
        (
            "cluster:\n",
            "cluster:\n  resize: {takes: soon}\n",
            "s.yaml:6:19: cluster.resize.takes: \"soon\" is not a duration",
        ),
        (
            "from: 1998-06-10T00:00:00Z",
            "from: 1998-06-10T00:02:00Z",
            "s.yaml:4:11: evaluate.from: 1998-06-10T00:02:00Z is not at a whole multiple of 5m, as \
             the means are that are scored: write 1998-06-10T00:00:00Z or 1998-06-10T00:05:00Z",
        ),
    ] {
        let text = MINIMAL.replacen(from, to, 1);
        assert_ne!(text, MINIMAL);
        let message = parse(&text, "s.yaml").unwrap_err().to_string();
        assert!(message.contains(expected), "{from}: {message}");
        assert!(!message.contains(":0:0:"), "{message}");
    }
}

#[test]
fn what_no_simulation_lasts_is_refused() {
    let long = "is out of range: write between 0s and 7d";
    let slow = "is out of range: write 0.001 or more";
    for (from, to, field, reason) in [
        (
            "policy:",
            "metricLag: 99999999d\npolicy:",
            "metricLag",
            long,
        ),
        (
            "constant: 10m",
            "constant: 8d",
            "cluster.startUp.constant",
            long,
        ),
        (
            "constant: 10m",
            "lognormal: {median: 40s, p95: 106751991167d}",
            "cluster.startUp.lognormal.p95",
            long,
        ),
        (
            "constant: 10m",
            "empirical: [1s, 8d]",
            "cluster.startUp.empirical",
            long,
        ),
        (
            "cluster:\n",
            "cluster:\n  nodes: {podsPerNode: 9, standing: 1, bootTime: 99999999d}\n",
            "cluster.nodes.bootTime",
            long,
        ),
        (
            "cluster:\n",
            "cluster:\n  nodes: {podsPerNode: 0, standing: 1, bootTime: 2m}\n",
            "s.yaml:6:24: cluster.nodes.podsPerNode",
            "0 pods fit on no number of nodes: write 1 or more",
        ),
        (
            "cluster:\n",
            "cluster:\n  termination: 99999999d\n",
            "cluster.termination",
            long,
        ),
        (
            "cluster:\n",
            "cluster:\n  resize: {takes: 99999999d}\n",
            "cluster.resize.takes",
            long,
        ),
        (
            "policy:",
            "peers: [kedaCron: {before: 99999999d}]\npolicy:",
            "peers[0].kedaCron.before",
            long,
        ),
        (
            "cluster:\n",
            "cluster:\n  podsPerSecond: 1e-300\n",
            "cluster.podsPerSecond",
            slow,
        ),
        (
            "cluster:\n",
            "cluster:\n  resize: {podsPerSecond: 1e-300}\n",
            "cluster.resize",
            "podsPerSecond must be 0.001 or more",
        ),
    ] {
        let text = MINIMAL.replacen(from, to, 1);
        let message = parse(&text, "s.yaml").unwrap_err().to_string();
        assert!(message.contains(field), "{field}: {message}");
        assert!(message.contains(reason), "{field}: {message}");
        assert!(!message.contains(":0:0:"), "{message}");
    }
}

#[test]
fn what_is_written_twice_is_not_worked_out_twice() {
    for (written, expected) in [
        (
            "equalService: [0.001, 0.01, 0.001]",
            "s.yaml:12:15: equalService: 0.001 is there twice: keep one of the two",
        ),
        (
            "forecast: {protocols: [day, h4, day]}",
            "forecast.protocols: day is there twice",
        ),
        (
            "forecast: {challengers: [mstl, mstl]}",
            "forecast.challengers: mstl is there twice",
        ),
    ] {
        let message = parse(&format!("{MINIMAL}{written}\n"), "s.yaml").unwrap_err();
        let message = message.to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains(":0:0:"), "{message}");
    }
}

#[test]
fn a_zone_that_was_written_is_told_from_none() {
    let scenario = |zone: &str| {
        let text = MINIMAL.replacen("zone: Europe/Paris\n", zone, 1);
        let scenario = parse(&text, "s.yaml").unwrap();
        (scenario.zone, scenario.written_zone)
    };
    assert_eq!(scenario("zone: UTC\n"), (Tz::UTC, Some(Tz::UTC)));
    assert_eq!(scenario(""), (Tz::UTC, None));
}
