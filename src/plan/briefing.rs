//! What the fast loop takes from the slow one: which load is expected, how many fixtures are in
//! play, how long replicas need and how large spikes are. The controller and the simulation brief
//! their fast loops with the same words.

use std::sync::Arc;

use chrono::TimeDelta;

use super::demand::LONGEST_PLAY;
use super::memory::Memory;
use super::observed::{BurstSight, Observed};
use super::policy::Policy;
use super::until_ready;
use crate::burst::spike::{Declared, Learnt};
use crate::burst::{BurstPolicy, Expected, SpikeSizes, Watch};
use crate::fixture::Calendar;
use crate::fixture::phase::MAX_DELAY;
use crate::forecast::{Forecast, Quantile};
use crate::forecast::{SpikePrior, SportPrior};
use crate::units::{Rate, Timestamp};

/// A fast loop may go on with a briefing this old before it counts as none.
const STALE: TimeDelta = TimeDelta::minutes(2);

/// What the fast loop is told now and then.
#[derive(Debug, Clone, PartialEq)]
pub struct Briefing {
    /// When.
    pub at: Timestamp,
    /// The latest forecast.
    pub forecast: Option<Arc<Forecast>>,
    /// Fixtures in play.
    pub in_play: u32,
    /// Decision to a replica Ready.
    pub until_ready: TimeDelta,
    /// Spikes while a fixture is in play.
    pub live: SpikeSizes,
    /// Spikes at other times.
    pub quiet: SpikeSizes,
    /// How bursts are met.
    pub policy: BurstPolicy,
    /// Time in which waiting work should be drained.
    pub drain_within: TimeDelta,
}

impl Briefing {
    /// The briefing of a workload at `now`. `kin` are the spikes of other workloads of its sport,
    /// `watch` knows its own.
    pub fn new(
        observed: &Observed,
        policy: &Policy,
        memory: &Memory,
        (watch, kin): (&Watch, &Learnt),
        now: Timestamp,
    ) -> Self {
        let own = watch.learnt();
        let declared = declared(sport(&observed.calendar, now));
        Self {
            at: now,
            forecast: observed.forecast.clone(),
            in_play: in_play(&observed.calendar, now),
            until_ready: until_ready(policy, memory),
            live: SpikeSizes::new(&declared, kin, &own.live),
            quiet: SpikeSizes::new(&Declared::QUIET, &Learnt::default(), &own.quiet),
            policy: policy.burst,
            drain_within: policy.drain_within,
        }
    }

    /// What is expected of a sample that ends at `at`.
    pub fn expected(&self, at: Timestamp) -> Expected {
        let forecast = self.forecast.as_deref();
        Expected {
            forecast: forecast.and_then(|forecast| forecast.at(Quantile::P50, at)),
            in_play: self.in_play,
            until_ready: self.until_ready,
            live: self.live,
            quiet: self.quiet,
        }
    }

    /// Whether it is too old to decide on.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        (now - self.at).abs() > STALE
    }

    /// What the next plan is told of the fast loop. `promised` when the policy names a live
    /// signal: then its silence holds.
    pub fn sight(&self, watch: &Watch, promised: bool, now: Timestamp) -> BurstSight {
        // what waits is demand as well: served within the time the policy allows
        let waiting = watch.queued().unwrap_or(0.0);
        let seconds = (self.drain_within.num_milliseconds() as f64 / 1e3).max(1.0);
        let offered = watch
            .offered(now)
            .map(|offered| offered + Rate::per_second(waiting / seconds));
        let note = (promised && offered.is_none()).then(|| match watch.last() {
            None => "no sample yet".to_owned(),
            Some(last) if last > now => "no sample since the clock was set back".to_owned(),
            Some(last) => format!("no sample for {} s", (now - last).num_seconds()),
        });
        BurstSight {
            demand: watch.demand(now),
            offered,
            note,
            spikes: self.live,
        }
    }
}

/// Fixtures in play at a time.
pub fn in_play(calendar: &Calendar, at: Timestamp) -> u32 {
    calendar
        .starting_between(at - LONGEST_PLAY, at + MAX_DELAY)
        .into_iter()
        .filter(|fixture| fixture.phase_at(at).is_live())
        .count() as u32
}

/// The sport most fixtures of the days around `at` are of.
pub fn sport(calendar: &Calendar, at: Timestamp) -> Option<&str> {
    let week = TimeDelta::days(7);
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for fixture in calendar.starting_between(at - week, at + week) {
        let Some(sport) = fixture.sport.as_deref() else {
            continue;
        };
        match counts.iter_mut().find(|(name, _)| *name == sport) {
            Some((_, count)) => *count += 1,
            None => counts.push((sport, 1)),
        }
    }
    // of equal ones the first by name, whatever the order of the calendar
    counts
        .into_iter()
        .max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0)))
        .map(|(sport, _)| sport)
}

/// What `models/` declares of a sport's spikes.
fn declared(sport: Option<&str>) -> Declared {
    let SpikePrior {
        median_multiple,
        p95_multiple,
        rise_seconds: [shortest, longest],
        half_life_seconds,
        per_hour,
    } = SportPrior::of(sport).spike;
    // a sport that knows no spikes declares none an hour; pushes come all the same
    if per_hour <= 0.0 {
        return Declared::LIVE;
    }
    Declared {
        median: median_multiple,
        p95: p95_multiple,
        rise_seconds: f64::midpoint(shortest, longest),
        half_life_seconds,
        per_hour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::burst::LiveSample;
    use crate::fixture::Fixture;

    fn game(id: &str, sport: Option<&str>, minutes_ago: i64) -> Fixture {
        let start = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut game = Fixture::game(id, "league", start - TimeDelta::minutes(minutes_ago));
        game.sport = sport.map(str::to_owned);
        game
    }

    #[test]
    fn fixtures_in_play_are_counted_and_their_sport_is_the_usual_one() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let calendar = Calendar::from_iter([
            game("a", Some("american_football"), 30),
            game("b", Some("american_football"), 60),
            game("c", Some("football"), -600),
            game("d", None, 20),
        ]);
        assert_eq!(in_play(&calendar, now), 3);
        assert_eq!(sport(&calendar, now), Some("american_football"));
        assert_eq!(sport(&Calendar::default(), now), None);
    }

    #[test]
    fn what_waits_is_demand_over_the_time_it_may_take() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let none = Learnt::default();
        let briefing = Briefing {
            at: now,
            forecast: None,
            in_play: 0,
            until_ready: TimeDelta::seconds(20),
            live: SpikeSizes::default(),
            quiet: SpikeSizes::new(&Declared::QUIET, &none, &none),
            policy: BurstPolicy::default(),
            drain_within: TimeDelta::seconds(30),
        };
        let mut watch = Watch::default();
        let sample = LiveSample {
            from: now - TimeDelta::seconds(1),
            to: now,
            offered: Rate::per_second(100.0),
            queued: Some(600.0),
            error: 0.0,
        };
        watch.observe(&sample, &briefing.expected(now), &briefing.policy);
        let offered = briefing.sight(&watch, true, now).offered;
        assert_eq!(offered, Some(Rate::per_second(120.0)));
    }

    #[test]
    fn what_a_sport_declares_reaches_the_sizes() {
        let football = declared(Some("football"));
        let american = declared(Some("american_football"));
        assert_ne!(football, american);
        assert!(american.median > 1.0 && american.p95 > american.median);
    }
}
