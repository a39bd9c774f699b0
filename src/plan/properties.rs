//! What holds for every plan, whatever the facts.

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone, Utc};
use proptest::prelude::*;

use super::memory::{RaiseMinute, Rung, Wanted};
use super::policy::{HoldThrough, LiveCover, Release, SpikeCover, StartUp};
use super::*;
use crate::burst::{BurstDemand, SpikeSizes};
use crate::fixture::{Calendar, Fixture};
use crate::forecast::Forecast;

fn now() -> Timestamp {
    Utc.with_ymd_and_hms(2026, 9, 13, 17, 0, 0).unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - TimeDelta::seconds(seconds)
}

prop_compose! {
    fn policies()(
        min in 1_u32..20,
        span in 0_u32..300,
        per_replica in 0.5_f64..500.0,
        target in 0.3_f64..=1.0,
        quiet in 1.0_f64..2.0,
        live in prop_oneof![
            (1.0_f64..8.0).prop_map(LiveCover::Multiple),
            (0.5_f64..0.99).prop_map(LiveCover::Share),
        ],
        lead in 0_i64..3600,
        scale_up in prop::option::of(1_i64..900),
        rung in 0.05_f64..=1.0,
        window in 0_i64..900,
        raise in prop::option::of(1_u32..200),
        hold in prop::sample::select(vec![
            HoldThrough::Live, HoldThrough::Settled, HoldThrough::Never,
        ]),
        enforce: bool,
    ) -> Policy {
        let mut policy = Policy::new(min, min + span).unwrap();
        policy.mode = if enforce { Mode::Enforce } else { Mode::Recommend };
        policy.per_replica = Some(Rate::per_second(per_replica));
        policy.target_utilization = target;
        policy.spike_cover = SpikeCover { quiet, live };
        policy.lead = TimeDelta::seconds(lead);
        policy.start_up = StartUp {
            scale_up_time: scale_up.map(TimeDelta::seconds),
            ..StartUp::default()
        };
        policy.max_raise_per_minute = raise;
        policy.release = Release {
            window: TimeDelta::seconds(window),
            rung,
            every: TimeDelta::minutes(1),
            hold_through: hold,
        };
        policy.validated().unwrap()
    }
}

prop_compose! {
    fn forecasts()(
        age in 0_i64..100_000,
        path in prop::collection::vec(0.0_f64..20_000.0, 1..300),
    ) -> Arc<Forecast> {
        let paths = [1.0, 1.2, 1.3, 1.6].map(|f| path.iter().map(|x| x * f).collect());
        Arc::new(Forecast {
            origin: ago(age), start: ago(age), step: TimeDelta::minutes(5), paths,
            model: "property".into(), notes: vec![], peaks: vec![],
        })
    }
}

prop_compose! {
    fn signals()(
        kind in 0_u8..5, rate in 0.0_f64..20_000.0, age in -300_i64..600,
    ) -> Signal {
        match kind {
            0 => Signal::Missing { reason: "down".into() },
            1 => Signal::Sample { rate: Rate::per_second(f64::NAN), at: now() },
            _ => Signal::Sample { rate: Rate::per_second(rate), at: ago(age) },
        }
    }
}

prop_compose! {
    fn memories()(
        sighted in prop::option::of(0_i64..2000),
        wanted in prop::collection::vec((0_i64..600, 1_u32..300), 0..5),
        rung in prop::option::of((0_i64..120, 1_u32..300)),
        raise in prop::option::of((0_i64..120, 1_u32..300)),
        desired in prop::option::of(0_u32..300),
        watched in prop::option::of(0_i64..20_000),
        crowd in prop::collection::vec((0_i64..9_000, 1_u32..300), 0..5),
        spiked in prop::option::of(0_i64..900),
    ) -> Memory {
        Memory {
            sighted_since: sighted.map(ago),
            wanted: wanted.into_iter()
                .map(|(age, replicas)| Wanted { from: ago(age), until: ago(age), replicas })
                .collect(),
            watched_since: watched.map(ago),
            crowd: crowd.into_iter()
                .map(|(age, replicas)| Wanted { from: ago(age), until: ago(age), replicas })
                .collect(),
            spiked_at: spiked.map(ago),
            rung: rung.map(|(age, from)| Rung { since: ago(age), from }),
            raise: raise.map(|(age, from)| RaiseMinute { since: ago(age), from }),
            desired,
            ..Memory::default()
        }
    }
}

prop_compose! {
    fn bursts()(
        demand in prop::option::of((0.0_f64..40_000.0, any::<bool>())),
        reached in 0.0_f64..1.0,
        offered in prop::option::of(0.0_f64..20_000.0),
        silent: bool,
    ) -> BurstSight {
        BurstSight {
            demand: demand.map(|(load, confirmed)| BurstDemand {
                load: Rate::per_second(load),
                reached: Rate::per_second(load * reached),
                seen: confirmed.then(|| Rate::per_second(load * 0.8)),
                since: ago(5),
                confirmed,
                reason: "property".into(),
            }),
            offered: offered.map(Rate::per_second),
            note: silent.then(|| "silent".into()),
            spikes: SpikeSizes::default(),
        }
    }
}

prop_compose! {
    fn observations()(
        replicas in 0_u32..320,
        ready_share in 0.0_f64..=1.0,
        load in signals(),
        shed in prop::option::of(signals()),
        forecast in prop::option::of(forecasts()),
        kick_offs in prop::collection::vec(-20_000_i64..20_000, 0..4),
        order in prop::option::of((0_u8..3, 0_u32..400, -100_i64..1000)),
        burst in bursts(),
    ) -> Observed {
        let ready = (f64::from(replicas) * ready_share) as u32;
        let game = |(i, at): (usize, i64)| Fixture::game(format!("g{i}"), "NFL", ago(at));
        let calendar: Calendar = kick_offs.into_iter().enumerate().map(game).collect();
        let manual = order.map(|(kind, n, expires)| ManualOverride {
            action: match kind {
                0 => ManualAction::Pin(n),
                1 => ManualAction::Boost(n),
                _ => ManualAction::Freeze,
            },
            expires: ago(-expires),
            reason: "property".into(),
        });
        Observed {
            workload: Workload { replicas, ready },
            load, shed, queued: None, burst, forecast, forecast_note: None, lists_note: None,
            calendar: Arc::new(calendar), manual, bridges: BridgesSeen::default(),
        }
    }
}

fn current(observed: &Observed, policy: &Policy, memory: &Memory) -> u32 {
    match policy.mode {
        Mode::Enforce => observed.workload.replicas,
        Mode::Recommend => memory.desired.unwrap_or(observed.workload.replicas),
    }
}

/// Carries a plan out as the cluster would.
fn applied(mut observed: Observed, plan: &Plan) -> Observed {
    for action in &plan.actions {
        if let Action::Scale { to, .. } = *action {
            observed.workload.replicas = to;
            observed.workload.ready = observed.workload.ready.min(to);
        }
    }
    observed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn bounded(o in observations(), p in policies(), m in memories()) {
        let plan = plan(&o, &p, &m, now());
        let frozen = plan.holds.iter().any(|hold| matches!(hold, Hold::Frozen { .. }));
        let zero = o.workload.replicas == 0;
        if !frozen && !zero {
            let from = current(&o, &p, &m);
            prop_assert!(plan.desired <= p.max_replicas);
            prop_assert!(plan.desired >= p.min_replicas.min(from), "{}", plan.summary);
        }
    }

    #[test]
    fn never_lowers_on_missing_data(
        mut o in observations(), p in policies(), m in memories(), lost in 0_u8..4,
    ) {
        match lost {
            0 => o.load = Signal::Missing { reason: "down".into() },
            1 => o.forecast = None,
            2 => o.burst.note = Some("no sample".into()),
            _ => o.shed = Some(Signal::Missing { reason: "down".into() }),
        }
        // an order to pin is a person's, not data
        o.manual = None;
        let from = current(&o, &p, &m);
        let plan = plan(&o, &p, &m, now());
        prop_assert!(
            plan.desired >= from.min(p.max_replicas) || o.workload.replicas == 0,
            "{} from {from}", plan.summary
        );
        prop_assert!(plan.memory.sighted_since.is_none());
    }

    #[test]
    fn a_restart_never_lowers(mut o in observations(), mut p in policies()) {
        p.release.window = p.release.window.max(TimeDelta::seconds(1));
        o.manual = None;
        let plan = plan(&o, &p, &Memory::default(), now());
        prop_assert!(plan.desired >= o.workload.replicas.min(p.max_replicas));
    }

    #[test]
    fn monotone_in_load(
        o in observations(), p in policies(), m in memories(),
        low in 0.0_f64..20_000.0, more in 0.0_f64..20_000.0,
    ) {
        let at = |rate: f64| {
            let load = Signal::Sample { rate: Rate::per_second(rate), at: now() };
            plan(&Observed { load, ..o.clone() }, &p, &m, now())
        };
        prop_assert!(at(low).desired <= at(low + more).desired);
    }

    #[test]
    fn monotone_in_the_spike(
        o in observations(), p in policies(), m in memories(), a in 0.0_f64..9_000.0, d in 0.0_f64..9_000.0,
    ) {
        let with = |load| {
            let demand = Some(BurstDemand {
                reached: Rate::ZERO,
                load: Rate::per_second(load), seen: None, since: ago(3), confirmed: true, reason: "x".into(),
            });
            let burst = BurstSight { demand, ..o.burst.clone() };
            plan(&Observed { burst, ..o.clone() }, &p, &m, now())
        };
        prop_assert!(with(a).desired <= with(a + d).desired);
    }

    #[test]
    fn monotone_in_forecast(
        o in observations(), p in policies(), m in memories(), f in forecasts(),
        raises in prop::collection::vec(1.0_f64..5.0, 300),
    ) {
        let mut higher = (*f).clone();
        for path in &mut higher.paths {
            for (value, raise) in path.iter_mut().zip(&raises) {
                *value *= raise;
            }
        }
        let with = |forecast: Arc<Forecast>| {
            plan(&Observed { forecast: Some(forecast), ..o.clone() }, &p, &m, now())
        };
        prop_assert!(with(f.clone()).desired <= with(Arc::new(higher)).desired);
    }

    #[test]
    fn idempotent(o in observations(), p in policies(), m in memories()) {
        let first = plan(&o, &p, &m, now());
        let not_applied = plan(&o, &p, &first.memory, now());
        let after = applied(o, &first);
        let again = plan(&after, &p, &first.memory, now());
        prop_assert_eq!(again.desired, first.desired, "applied: {} / {}", first.summary, again.summary);
        prop_assert!(again.actions.is_empty());
        prop_assert_eq!(not_applied.desired, first.desired);
    }

    #[test]
    fn recommending_never_acts(o in observations(), mut p in policies(), m in memories()) {
        p.mode = Mode::Recommend;
        prop_assert!(plan(&o, &p, &m, now()).actions.is_empty());
    }

    #[test]
    fn a_plan_survives_its_own_json(o in observations(), p in policies(), m in memories()) {
        let plan = plan(&o, &p, &m, now());
        let json = serde_json::to_string(&plan).unwrap();
        let again: Plan = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(again, plan);
    }
}
