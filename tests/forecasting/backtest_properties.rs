//! What must hold of every simulated policy, whatever the traffic.

use chrono::TimeDelta;
use proptest::prelude::*;
use tipoff::backtest::contest::{Contest, run_all};
use tipoff::backtest::scenario::{self, Peer, Scenario};
use tipoff::backtest::{self, Listener, Outcome};
use tipoff::fixture::Calendar;
use tipoff::forecast::Evidence;
use tipoff::series::Series;
use tipoff::series::faults::{Cause, Fault, Faults};
use tipoff::simulate::peers::{HpaMetric, HpaPolicy, HpaSpec, Oracle, StaticPeak};
use tipoff::simulate::traffic::sunday::{earlier_weeks, week_one_2023};
use tipoff::simulate::{ClusterModel, GameDay, Run, ScalingPolicy, Traffic, World, run};
use tipoff::units::{Rate, Timestamp};

fn start() -> Timestamp {
    "2023-09-09T00:00:00Z".parse().unwrap()
}

/// A load that wanders and jumps, one value a minute.
fn load() -> impl Strategy<Value = Series> {
    proptest::collection::vec((0.0..1.0_f64, 0_u8..20), 60..400).prop_map(|draws| {
        let mut level = 300.0;
        let values = draws
            .into_iter()
            .map(|(draw, jump)| {
                level = if jump == 0 {
                    draw * 3000.0
                } else {
                    level * (0.9 + 0.2 * draw)
                };
                level
            })
            .collect();
        Series::from_raw(start(), TimeDelta::minutes(1), values)
    })
}

fn world(load: &Series, start_up: i64) -> World<'_> {
    World {
        load,
        per_replica: Rate::per_second(50.0),
        cluster: ClusterModel::constant(TimeDelta::seconds(start_up)),
        from: load.start(),
        scored_from: load.start(),
        to: load.end(),
        step: TimeDelta::seconds(5),
        initial: 6,
        seed: 1,
    }
}

fn hpa(max: u32) -> HpaPolicy {
    HpaPolicy::new(
        "hpa",
        HpaSpec::new(2, max),
        vec![HpaMetric::External {
            average: Rate::per_second(35.0),
            lag: TimeDelta::seconds(15),
            window: TimeDelta::zero(),
        }],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_replicas_never_serve_less(load in load(), few in 1_u32..60, more in 0_u32..60) {
        let world = world(&load, 30);
        let short = run(&world, &mut StaticPeak::of(few));
        let long = run(&world, &mut StaticPeak::of(few + more));
        for (a, b) in short.unserved.iter().zip(&long.unserved) {
            prop_assert!(b <= a);
        }
        prop_assert!(long.totals().unserved <= short.totals().unserved);
    }

    #[test]
    fn the_oracle_serves_everything_once_it_could_start(
        load in load(), start_up in 0_i64..600
    ) {
        let world = world(&load, start_up);
        let mut oracle = Oracle::new(
            &load,
            world.per_replica,
            &world.cluster,
            world.step,
            1..=u32::MAX,
        );
        let record = run(&world, &mut oracle);
        // pods asked for at the very start are late by what their creation takes
        let late = TimeDelta::seconds(start_up + 10);
        for (index, &unserved) in record.unserved.iter().enumerate() {
            if record.time(index) >= world.from + late {
                prop_assert_eq!(unserved, 0.0, "{}", record.time(index));
            }
        }
    }

    #[test]
    fn static_peak_serves_everything(load in load()) {
        let world = World { initial: 1000, ..world(&load, 30) };
        let mut peak = StaticPeak::new(&load, load.start(), load.end(), world.per_replica);
        prop_assert_eq!(run(&world, &mut peak).totals().unserved, 0.0);
    }

    #[test]
    fn the_hpa_never_outruns_its_rate_limit(load in load(), start_up in 0_i64..300) {
        let world = world(&load, start_up);
        let record = run(&world, &mut hpa(10_000));
        // at most one sync in any three steps of 5 s
        for steps in record.desired.windows(4) {
            let before = steps[0];
            prop_assert!(steps[3] <= (2 * before).max(4), "{:?}", steps);
        }
        for pair in record.desired.windows(2) {
            prop_assert!(pair[1] <= (2 * pair[0]).max(4), "{:?}", pair);
        }
    }

    #[test]
    fn what_is_not_served_was_offered(load in load()) {
        let world = world(&load, 60);
        let record = run(&world, &mut hpa(20));
        for (unserved, offered) in record.unserved.iter().zip(&record.offered) {
            prop_assert!((0.0..=*offered).contains(unserved));
        }
        prop_assert!(record.desired.iter().all(|&n| (2..=20).contains(&n)));
    }
}

const SCENARIO: &str = "\
load: {file: unused.csv}
zone: America/New_York
evaluate: {from: 2023-09-09T00:00:00Z, to: 2023-09-11T06:00:00Z}
forecast: {reissue: 15m, protocols: [day, h4]}
cluster: {perReplica: 50, startUp: {lognormal: {median: 40s, p95: 120s}}}
policy:
  minReplicas: 4
  maxReplicas: 400
  capacity: {perReplica: 50}
peers:
  - hpa: {target: 0.7}
  - hpa: {target: 0.7, metric: cpu}
  - kedaCron: {replicas: 100}
  - seasonalNaive: {}
simulation: {step: 15s}
seed: 5
";

struct Quiet;

impl Listener for Quiet {
    fn progress(&mut self, _: &str) {}
}

fn sundays() -> (Scenario, Series, Calendar) {
    let scenario = scenario::parse(SCENARIO, "test.yaml").unwrap();
    let sunday = week_one_2023();
    let calendar: Calendar = sunday
        .iter()
        .chain(earlier_weeks(&sunday, 3).iter())
        .cloned()
        .collect();
    let traffic = Traffic::new(GameDay::default(), &calendar, 11);
    let load = traffic.series(
        start() - TimeDelta::days(21),
        scenario.evaluate.to,
        TimeDelta::minutes(1),
    );
    (scenario, load, calendar)
}

/// Overwrites everything from `at` on with garbage.
fn poisoned(load: &Series, at: Timestamp) -> Series {
    let values = load
        .iter()
        .enumerate()
        .map(|(index, (time, value))| match value {
            Some(rate) if time < at => rate.as_per_second(),
            _ => 1e4 + 977.0 * (index % 13) as f64,
        })
        .collect();
    Series::from_raw(load.start(), load.step(), values)
}

fn outcome(load: &Series) -> Outcome {
    let (scenario, _, calendar) = sundays();
    backtest::run(&scenario, Evidence::new(load, &calendar), &mut Quiet).unwrap()
}

#[test]
fn garbage_after_a_moment_changes_nothing_decided_before_it() {
    let (scenario, load, _) = sundays();
    // in the middle of the late games
    let at: Timestamp = "2023-09-10T21:00:00Z".parse().unwrap();
    let clean = outcome(&load);
    let dirty = outcome(&poisoned(&load, at));
    let before = |run: &Run| {
        let steps = (at - run.from).num_milliseconds() / run.step.num_milliseconds();
        usize::try_from(steps).unwrap()
    };
    for (a, b) in clean.runs.iter().zip(&dirty.runs) {
        let n = before(a);
        assert!(n > 1000);
        assert_eq!(a.name, b.name);
        assert_eq!(a.desired[..=n], b.desired[..=n], "{}", a.name);
        assert_eq!(a.ready[..n], b.ready[..n], "{}", a.name);
        // and the test can fail: garbage does change what comes after
        assert_ne!(a.desired[n..], b.desired[n..], "{}", a.name);
    }
    // forecasts issued at or before the moment are bit-identical, also beyond it
    for (a, b) in clean.bands.iter().zip(&dirty.bands) {
        assert_eq!(a.block, b.block);
        let midnight: Timestamp = "2023-09-11T00:00:00Z".parse().unwrap();
        let known_until = match a.block {
            backtest::origin::Block::D2 => midnight + TimeDelta::hours(6),
            // daily origins at 00:00, four-hourly ones up to 20:00
            _ => midnight,
        };
        let bins = (known_until - scenario.evaluate.from).num_minutes() / 5;
        let n = usize::try_from(bins).unwrap();
        assert!(a.quantiles.len() >= n);
        for (place, (x, y)) in a.quantiles[..n].iter().zip(&b.quantiles[..n]).enumerate() {
            assert_eq!(
                x.map(f64::to_bits),
                y.map(f64::to_bits),
                "{:?} {place}",
                a.block
            );
        }
    }
}

#[test]
fn a_declared_outage_is_neither_scored_nor_offered() {
    let (scenario, load, calendar) = sundays();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // two per cent came through while the early games were on
    let (from, to) = (at("2023-09-10T18:00:00Z"), at("2023-09-10T19:00:00Z"));
    let values = load.iter().map(|(time, value)| {
        let came = value.map_or(f64::NAN, Rate::as_per_second);
        came * if (from..to).contains(&time) {
            0.02
        } else {
            1.0
        }
    });
    let load = Series::from_raw(load.start(), load.step(), values.collect());
    let faults = Faults::new(vec![Fault {
        from,
        to,
        cause: Cause::Outage,
    }]);
    let known = Evidence::new(&load, &calendar).with_faults(&faults);
    let outcome = backtest::run(&scenario, known, &mut Quiet).unwrap();
    let first = outcome.targets.index(from).unwrap();
    let scored = &outcome.targets.actual;
    assert!(scored[first..first + 12].iter().all(|came| came.is_nan()));
    assert!(scored[first - 1].is_finite() && scored[first + 12].is_finite());
    let run = &outcome.runs[0];
    let step = |at: Timestamp| ((at - run.from).num_seconds() / run.step.num_seconds()) as usize;
    let offered = &run.offered[step(from)..step(to)];
    assert!(offered.iter().all(|offered| *offered == 0.0));
    let notes = outcome.report.notes.join("\n");
    assert!(
        notes.contains("60 bins of the load lie in declared faults: "),
        "{notes}"
    );
}

#[test]
fn the_same_scenario_gives_the_same_report() {
    let (_, load, _) = sundays();
    assert_eq!(outcome(&load), outcome(&load));
}

#[test]
fn a_generated_sunday_is_ready_before_the_lock_and_beats_the_hpa() {
    let (_, load, _) = sundays();
    let outcome = outcome(&load);
    let policy = |name: &str| {
        let found = outcome.report.policies.iter().find(|p| p.name == name);
        found.unwrap()
    };
    let (own, hpa) = (policy("tipoff"), policy("hpa-70"));
    assert!(
        own.unserved_requests < 0.5 * hpa.unserved_requests,
        "{} against {}",
        own.unserved_requests,
        hpa.unserved_requests
    );
    // a quarter of an hour before the main lock the size of the lock is there
    let run = &outcome.runs[0];
    let at = |text: &str| {
        let moment: Timestamp = text.parse().unwrap();
        ((moment - run.from).num_milliseconds() / run.step.num_milliseconds()) as usize
    };
    let lock = at("2023-09-10T17:00:00Z");
    let needed = run.offered[lock - 1] / 50.0;
    assert!(
        f64::from(run.ready[lock - 40]) > needed,
        "{}",
        run.ready[lock - 40]
    );
}

#[test]
fn a_cron_window_opens_before_a_game_that_starts_after_the_span() {
    let (mut scenario, load, calendar) = sundays();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    // the first games of the day start at 17:00, their window opens an hour before
    scenario.evaluate.to = at("2023-09-10T16:30:00Z");
    let arena = scenario.arena.as_ref().unwrap();
    let outlook = std::sync::Arc::default();
    let contest = Contest::new(&scenario, arena, (&load, &calendar), outlook);
    let mut peers = scenario.peers.iter();
    let cron = peers.find(|peer| matches!(peer, Peer::KedaCron(_)));
    let record = run(&contest.world(), contest.peer(cron.unwrap(), 1.0).as_mut());
    let step =
        |at: Timestamp| ((at - record.from).num_seconds() / record.step.num_seconds()) as usize;
    let desired = |text: &str| record.desired[step(at(text))];
    assert!(desired("2023-09-10T15:59:00Z") < 100);
    assert_eq!(desired("2023-09-10T16:29:00Z"), 100);
}

#[test]
fn a_larger_factor_serves_more_and_the_search_finds_the_smallest() {
    let (scenario, load, calendar) = sundays();
    let arena = scenario.arena.as_ref().unwrap();
    let contest = Contest::new(
        &scenario,
        arena,
        (&load, &calendar),
        std::sync::Arc::default(),
    );
    let Some(peer @ Peer::Hpa(_)) = scenario.peers.first() else {
        unreachable!("the first peer is an HPA");
    };
    let build = |factor: f64| -> Box<dyn ScalingPolicy> { contest.peer(peer, factor) };
    let found = contest.at_equal_service(&[0.01, 0.001], build)[1].unwrap();
    let totals = |factor| run(&contest.world(), build(factor).as_mut()).totals();
    assert!(totals(found.factor).unserved_ratio() <= 0.001);
    assert!(totals(found.factor * 0.99).unserved_ratio() > 0.001);
    let runs = run_all(&contest, |_| {});
    assert_eq!(runs.len(), 1 + scenario.peers.len());
}
