//! A replay decides by the past alone, and a seed makes it whole.

use chrono::TimeDelta;

use super::*;
use crate::fixture::{Fixture, FixtureId, Provenance, Tombstone};
use crate::simulate::World;
use crate::units::Rate;

const SCENARIO: &str = "\
title: two games
load: {generated: {history: 7d}}
fixtures: [games.csv]
zone: America/New_York
spans: [{from: 2030-10-06T16:30:00Z, to: 2030-10-06T18:30:00Z}]
forecast: {reissue: 30m}
cluster: {perReplica: 50, startUp: {constant: 15s}}
policy:
  minReplicas: 2
  maxReplicas: 400
  capacity: {perReplica: 50, scaleUpTime: 15s}
covers: [4x]
simulation: {warmUp: 10m}
seed: 3
";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Two games this Sunday and two the Sunday before.
fn calendar() -> Calendar {
    let kick_off = time("2030-10-06T17:00:00Z");
    (0..4)
        .map(|number| {
            let back = TimeDelta::weeks(i64::from(number / 2));
            let mut game = Fixture::game(format!("g{number}"), "NFL", kick_off - back);
            game.assume_sport();
            game
        })
        .collect()
}

fn materials() -> Materials {
    Materials {
        calendar: calendar(),
        source: Source::Generated(Results::default()),
    }
}

fn outcome(seed: u64) -> Outcome {
    let text = SCENARIO.replace("seed: 3", &format!("seed: {seed}"));
    let scenario = scenario::parse(&text, "two.yaml").unwrap();
    run(&scenario, &materials(), 1, &|_| {}).unwrap()
}

#[test]
fn the_same_seed_replays_to_the_bit_and_another_does_not() {
    let once = outcome(3).report;
    assert!(once == outcome(3).report);
    assert_ne!(once.policies, outcome(4).report.policies);
}

#[test]
fn a_fixture_is_known_before_its_latest_version() {
    let scenario = scenario::parse(SCENARIO, "two.yaml").unwrap();
    let span = scenario.spans[0];
    let prepared = |calendar: Calendar| {
        let materials = Materials {
            calendar,
            source: Source::Generated(Results::default()),
        };
        Day::prepare(&scenario, &materials, span).unwrap()
    };
    let known_first = prepared(calendar());
    let mut relabelled = calendar();
    for mut game in calendar().iter().cloned() {
        game.stage = Some("the late game".to_owned());
        game.known_at = Some(span.to - TimeDelta::minutes(5));
        relabelled.insert(game);
    }
    let mut removed = relabelled.clone();
    let stone = Tombstone {
        at: Some(span.to),
        reason: "by mistake".to_owned(),
        provenance: Provenance::default(),
    };
    removed.remove(FixtureId("g2".to_owned()), stone);
    let day = prepared(relabelled);
    assert_eq!(day.calendar.as_of(span.from).len(), 4);
    assert_eq!(day.outlook.forecasts(), known_first.outlook.forecasts());
    assert_eq!(prepared(removed).calendar.as_of(span.from).len(), 4);
}

#[test]
fn who_leaves_nothing_unserved_meets_every_surge() {
    let report = outcome(3).report;
    let whole = |row: &&report::PolicyReport| row.unserved_requests == 0.0;
    let served: Vec<_> = report.policies.iter().filter(whole).collect();
    assert!(served.iter().any(|row| row.name == "oracle"));
    for row in served {
        assert!(row.surges > 0 && row.surges_met == row.surges, "{row:?}");
        assert_eq!(row.first_reaction_seconds, None);
        assert!(row.seconds_to_capacity.is_some(), "{row:?}");
    }
}

#[test]
fn every_policy_is_told_once_and_bounds_are_bounds() {
    let report = outcome(3).report;
    let names: Vec<&str> = report
        .policies
        .iter()
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "tipoff",
            "tipoff-4x",
            "hpa-70",
            "hpa-50",
            "keda-cron-hindsight",
            "kpa-70",
            "static-peak",
            "oracle"
        ]
    );
    let row = |name: &str| report.policies.iter().find(|row| row.name == name).unwrap();
    let (peak, oracle) = (row("static-peak"), row("oracle"));
    assert_eq!(
        (peak.unserved_requests, oracle.unserved_requests),
        (0.0, 0.0)
    );
    for policy in &report.policies {
        assert_eq!(policy.offered_requests, peak.offered_requests);
        assert_eq!(policy.surges, report.days[0].surges.len());
        if policy.unserved_requests == 0.0 {
            assert!(policy.replica_hours >= oracle.replica_hours, "{policy:?}");
        }
    }
    assert!(report.policies[0].alarms.is_some() && peak.alarms.is_none());
}

#[test]
fn nobody_has_a_size_that_the_policy_does_not_allow() {
    let scenario = SCENARIO
        .replace("minReplicas: 2", "minReplicas: 9")
        .replace("maxReplicas: 400", "maxReplicas: 10");
    let scenario = scenario::parse(&scenario, "two.yaml").unwrap();
    let materials = materials();
    let day = Day::prepare(&scenario, &materials, scenario.spans[0]).unwrap();
    let contest = contest(&scenario, &day, LearntSpikes::default());
    let world = contest.world();
    for peer in &scenario.peers {
        for factor in [0.01, 1.0, 20.0] {
            let record = simulate(&world, contest.peer(peer, factor).as_mut());
            let allowed = |size: &u32| (9..=10).contains(size);
            assert!(record.desired.iter().all(allowed), "{}", record.name);
        }
    }
    let report = run(&scenario, &materials, 1, &|_| {}).unwrap().report;
    assert!(report.policies.iter().all(|row| row.peak_replicas == 10));
}

/// The sizes asked for by everybody who may not know the future.
fn sizes(scenario: &Scenario, day: &Day) -> Vec<(String, Vec<u32>)> {
    let contest = contest(scenario, day, LearntSpikes::default());
    let world: World<'_> = contest.world();
    let mut runs = vec![simulate(&world, &mut contest.tipoff(1.0))];
    for name in ["hpa-70", "kpa-70"] {
        let peers = scenario.peers.iter();
        let mut built = peers.map(|peer| contest.peer(peer, 1.0));
        let mut policy = built.find(|policy| policy.name() == name).unwrap();
        runs.push(simulate(&world, policy.as_mut()));
    }
    runs.into_iter()
        .map(|run| (run.name, run.desired))
        .collect()
}

#[test]
fn no_decision_changes_with_what_comes_after_it() {
    let scenario = scenario::parse(SCENARIO, "two.yaml").unwrap();
    let made = Day::prepare(&scenario, &materials(), scenario.spans[0]).unwrap();
    let history = Series::from_raw(
        made.load.start() - TimeDelta::days(7),
        TimeDelta::minutes(5),
        (0..2016).map(|bin| 100.0 + f64::from(bin % 288)).collect(),
    );
    let recorded = SCENARIO.replace("{generated: {history: 7d}}", "{recorded: {file: s.csv}}");
    let scenario = scenario::parse(&recorded, "two.yaml").unwrap();
    let at = time("2030-10-06T17:40:00Z");
    let replayed = |change: &dyn Fn(f64) -> f64| {
        let cut = made.load.index(at).unwrap();
        let values = made.load.raw().iter().enumerate();
        let values = values.map(|(place, &value)| if place < cut { value } else { change(value) });
        let materials = Materials {
            calendar: calendar(),
            source: Source::Recorded {
                seconds: Series::from_raw(made.load.start(), made.load.step(), values.collect()),
                history: Some(history.clone()),
            },
        };
        let day = Day::prepare(&scenario, &materials, scenario.spans[0]).unwrap();
        assert!(!day.outlook.forecasts().is_empty());
        sizes(&scenario, &day)
    };
    let as_it_was = replayed(&|value| value);
    let until = (at - scenario.spans[0].from).num_seconds() as usize;
    for (change, grows) in [
        (&(|value| value * 9.0) as &dyn Fn(f64) -> f64, true),
        (&|_| 0.0, false),
    ] {
        let changed = replayed(change);
        for ((name, before), (_, after)) in as_it_was.iter().zip(&changed) {
            assert!(before[..=until] == after[..=until], "{name} saw the future");
            let more = |sizes: &[u32]| sizes.iter().max().copied();
            // what is held through a game is held without load too
            assert!(grows <= (more(after) > more(before)), "{name} never saw it");
        }
    }
}

#[test]
fn without_history_tipoff_has_no_forecast_and_still_answers() {
    let recorded = SCENARIO.replace("{generated: {history: 7d}}", "{recorded: {file: s.csv}}");
    let scenario = scenario::parse(&recorded, "two.yaml").unwrap();
    let start = time("2030-10-06T16:20:00Z");
    let mut values = vec![400.0; 7800];
    values[3600..3700].fill(3200.0);
    let recorded = |values: Vec<f64>| Materials {
        calendar: Calendar::default(),
        source: Source::Recorded {
            seconds: Series::from_raw(start, TimeDelta::seconds(1), values),
            history: None,
        },
    };
    let materials = recorded(values.clone());
    let report = run(&scenario, &materials, 1, &|_| {}).unwrap().report;
    let told = |report: &Report, words: &str| report.notes.iter().any(|note| note.contains(words));
    assert!(told(&report, "static-peak, oracle"), "{:?}", report.notes);
    assert!(!told(&report, "missing"));
    let own = &report.policies[0];
    assert_eq!((own.surges, own.surges_met), (1, 0));
    // the sample of the second after the step, as it ends
    assert_eq!(own.first_reaction_seconds, Some(1.0));
    assert!(own.seconds_to_desired.unwrap() <= 3.0, "{own:?}");
    // nobody knows what came in these minutes, and their end is no surge
    values[1200..2400].fill(f64::NAN);
    let holed = run(&scenario, &recorded(values), 1, &|_| {});
    let holed = holed.unwrap().report;
    assert_eq!(holed.days[0].surges, report.days[0].surges);
    let words = "1,200 seconds of the load are missing";
    assert!(told(&holed, words), "{:?}", holed.notes);

    let late = SCENARIO
        .replace("{generated: {history: 7d}}", "{recorded: {file: s.csv}}")
        .replace("18:30:00Z", "19:30:00Z");
    let scenario = scenario::parse(&late, "two.yaml").unwrap();
    let error = run(&scenario, &materials, 1, &|_| {}).unwrap_err();
    assert!(
        error.to_string().contains("give a longer load file"),
        "{error}"
    );
}

#[test]
fn more_cpu_for_running_pods_serves_a_spike_before_new_ones_are_ready() {
    let recorded = SCENARIO
        .replace("{generated: {history: 7d}}", "{recorded: {file: s.csv}}")
        .replace("covers: [4x]", "covers: []")
        + "  bridges: {resize: {enabled: true, factor: 4x}}\n";
    // the policy's last line must be the bridges'
    let (policy, rest) = recorded.split_once("simulation:").unwrap();
    let (rest, bridges) = rest.split_once("  bridges").unwrap();
    let text =
        policy.replace("covers", &format!("  bridges{bridges}covers")) + "simulation:" + rest;
    let scenario = scenario::parse(&text, "two.yaml").unwrap();
    let mut values = vec![400.0; 7800];
    values[3600..3700].fill(1600.0);
    let materials = Materials {
        calendar: Calendar::default(),
        source: Source::Recorded {
            seconds: Series::from_raw(time("2030-10-06T16:20:00Z"), TimeDelta::seconds(1), values),
            history: None,
        },
    };
    let report = run(&scenario, &materials, 1, &|_| {}).unwrap().report;
    let row = |name: &str| report.policies.iter().find(|row| row.name == name).unwrap();
    let (own, plain) = (row("tipoff"), row("tipoff-no-resize"));
    assert!(
        own.unserved_requests < 0.5 * plain.unserved_requests,
        "{own:?} {plain:?}"
    );
    // seen in two seconds, done in two, and given back when the new ones are ready
    assert!((4.0..12.0).contains(&own.seconds_short), "{own:?}");
    assert!(plain.seconds_short > 15.0, "{plain:?}");
    assert!(own.lent_replica_hours > 0.0 && plain.lent_replica_hours == 0.0);
    let pods = own.replica_hours - own.lent_replica_hours;
    assert!(
        (pods - plain.replica_hours).abs() < 0.05 * plain.replica_hours,
        "{own:?} {plain:?}"
    );
    assert!(own.lent_replica_hours < 0.05 * pods, "{own:?}");
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("4x their CPU 2s after"))
    );
}

#[test]
fn work_is_done_once_and_its_results_keep_their_order() {
    let items: Vec<u32> = (0..50).collect();
    let doubled = each(3, &items, |item| item * 2);
    assert_eq!(
        doubled,
        items.iter().map(|item| item * 2).collect::<Vec<_>>()
    );
    assert!(each(2, &[] as &[u32], |item| *item).is_empty());
}

#[test]
fn the_page_stands_alone() {
    let mut outcome = outcome(3);
    outcome.report.title = "<two> & \"games\"".to_owned();
    let page = html::page(&outcome);
    assert!(page.contains("&lt;two&gt; &amp; &quot;games&quot;"));
    for part in [
        "<svg",
        "Policies side by side",
        "The largest surge",
        "touchdown",
        "another policy as it is set",
        "On the lower edge stand those that left nothing unserved",
        ">oracle</text>",
        ">static-peak</text>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN"));
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http://", "https://", "src=", "href=", "<script"] {
        assert!(!outside.contains(reference), "{reference}");
    }
    // the five minutes of the close-up are labelled
    let close_up = page.split("<h2>The largest surge").nth(1).unwrap();
    let close_up = close_up.split("</svg>").next().unwrap();
    assert!(close_up.matches("text-anchor=\"middle\"").count() >= 4);
    let per_replica = Rate::per_second(50.0);
    assert_eq!(outcome.pictures[0].per_replica, per_replica);
}

#[test]
fn days_have_the_dates_of_the_audiences_zone() {
    // half past four in the afternoon of the 6th in UTC is the early morning of the 7th
    let mut outcome = outcome(3);
    let zone = chrono_tz::Australia::Sydney;
    outcome.report.zone = zone;
    outcome.pictures[0].zone = zone;
    let day = outcome.report.days[0].clone();
    outcome.report.days.push(day);
    let table = outcome.report.day_table().unwrap();
    assert_eq!(table.rows[0][0], "2030-10-07");
    let page = html::page(&outcome);
    assert!(page.contains("<h2>Monday, 7 October 2030</h2>"), "{page}");
    assert!(page.contains("Times are those of Australia/Sydney."));
}

#[test]
fn what_was_learnt_is_carried_on_to_later_days_only() {
    let later_first = "spans: [{from: 2030-10-06T20:30:00Z, to: 2030-10-06T21:30:00Z}, \
                       {from: 2030-10-06T16:30:00Z, to: 2030-10-06T18:30:00Z}]";
    let one = "spans: [{from: 2030-10-06T16:30:00Z, to: 2030-10-06T18:30:00Z}]";
    let scenario = scenario::parse(&SCENARIO.replace(one, later_first), "two.yaml").unwrap();
    let materials = materials();
    let days: Vec<Day> = scenario
        .spans
        .iter()
        .map(|&span| Day::prepare(&scenario, &materials, span).unwrap())
        .collect();
    let learnt = learnt_before(&scenario, &days);
    assert_eq!(
        learnt[1],
        LearntSpikes::default(),
        "the first day knows nothing"
    );
    assert!(learnt[0].live.count() > 0.0, "{:?}", learnt[0]);
}
