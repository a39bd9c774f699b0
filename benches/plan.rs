//! Cost of one decision: what bounds how many workloads one core can tick.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench has no callers")]

use std::sync::Arc;

use chrono::TimeDelta;
use divan::Bencher;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::Forecast;
use tipoff::plan::{BridgesSeen, BurstSight, Memory, Observed, Policy, Signal, Workload, plan};
use tipoff::units::{Rate, Timestamp};

fn main() {
    divan::main();
}

/// A workload with a day's forecast in 5-minute bins and a calendar of `fixtures` over 60 days.
fn observed(fixtures: u32) -> (Observed, Timestamp) {
    let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
    let path: Vec<f64> = (0..288)
        .map(|i| 1000.0 + f64::from(i % 50) * 40.0)
        .collect();
    let forecast = Forecast {
        origin: now,
        start: now,
        step: TimeDelta::minutes(5),
        paths: [path.clone(), path.clone(), path.clone(), path],
        model: "bench".into(),
        notes: vec![],
        peaks: vec![],
    };
    let calendar: Calendar = (0..fixtures)
        .map(|i| {
            let start = now + TimeDelta::minutes(i64::from(i) * 86_400 / i64::from(fixtures))
                - TimeDelta::days(30);
            Fixture::game(format!("game-{i}"), "NFL", start)
        })
        .collect();
    let observed = Observed {
        workload: Workload {
            replicas: 40,
            ready: 40,
        },
        load: Signal::Sample {
            rate: Rate::per_second(1200.0),
            at: now,
        },
        shed: None,
        queued: None,
        burst: BurstSight::default(),
        forecast: Some(Arc::new(forecast)),
        forecast_note: None,
        lists_note: None,
        calendar: Arc::new(calendar),
        manual: None,
        bridges: BridgesSeen::default(),
    };
    (observed, now)
}

#[divan::bench(args = [10, 300, 3000])]
fn one_decision(bencher: Bencher<'_, '_>, fixtures: u32) {
    let (observed, now) = observed(fixtures);
    let mut policy = Policy::new(2, 400).unwrap();
    policy.per_replica = Some(Rate::per_second(50.0));
    bencher.bench_local(|| plan(&observed, &policy, &Memory::default(), now));
}
