//! What goes wrong: spans in which the recorded load is not what people wanted.

use chrono::TimeDelta;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand_distr::{Distribution as _, Poisson};

use super::params::Season;
use super::truth::Group;
use crate::series::Series;
use crate::series::faults::{Cause, Fault, Faults};
use crate::simulate::chance::stream;
use crate::units::Timestamp;

/// Share of the load that an outage lets through: health checks and those who do not ask us.
const THROUGH: f64 = 0.02;

/// Load as it was recorded, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recorded {
    pub(super) load: Series,
    /// Every span.
    pub(super) all: Faults,
    /// Those somebody wrote down.
    pub(super) declared: Faults,
}

/// One span in bins, and what it does to the load.
struct Span {
    from: usize,
    to: usize,
    cause: Cause,
    effect: Effect,
}

enum Effect {
    Missing,
    Times(f64),
    AtMost(f64),
}

/// Spoils the offered load.
pub(super) fn record(season: &Season, offered: &Series, groups: &[Group], seed: u64) -> Recorded {
    let mut rng = stream(seed, "faults");
    let weeks = season.quiet_weeks + season.weeks;
    let mut values = offered.raw().to_vec();
    let mut taken = vec![false; values.len()];
    let (mut all, mut declared) = (Vec::new(), Vec::new());
    for (cause, rate) in [
        (Cause::Saturated, season.faults.saturated),
        (Cause::Outage, season.faults.outages),
        (Cause::Logging, season.faults.logging),
        (Cause::Deploy, season.faults.deploys),
    ] {
        let mean = rate * f64::from(weeks);
        let count = Poisson::new(mean).map_or(0.0, |counts| counts.sample(&mut rng)) as usize;
        for _ in 0..count {
            let span = span(cause, offered, groups, &mut rng);
            let told = rng.random_bool(season.faults.declared);
            let Some(span) = span else { continue };
            if taken[span.from..span.to].iter().any(|&taken| taken) {
                continue;
            }
            taken[span.from..span.to].fill(true);
            for value in &mut values[span.from..span.to] {
                *value = match span.effect {
                    Effect::Missing => f64::NAN,
                    Effect::Times(factor) => *value * factor,
                    Effect::AtMost(most) => value.min(most),
                };
            }
            let fault = Fault {
                from: offered.time(span.from),
                to: offered.time(span.to),
                cause: span.cause,
            };
            all.push(fault);
            declared.extend(told.then_some(fault));
        }
    }
    // as many digits as a monitoring system keeps
    for value in &mut values {
        *value = (*value * 1e3).round() / 1e3;
    }
    Recorded {
        load: Series::from_raw(offered.start(), offered.step(), values),
        all: Faults::new(all),
        declared: Faults::new(declared),
    }
}

/// Draws a span; `None` when there is nothing to strike.
fn span(cause: Cause, offered: &Series, groups: &[Group], rng: &mut StdRng) -> Option<Span> {
    let end = offered.len();
    if end == 0 {
        return None;
    }
    let bins = |minutes: i64| {
        let width = offered.step().num_milliseconds().max(1);
        (TimeDelta::minutes(minutes).num_milliseconds() / width).max(1) as usize
    };
    let anywhere = rng.random_range(0..end);
    let (from, length, effect) = match cause {
        Cause::Saturated => {
            let share = rng.random_range(0.5..0.85);
            let group = groups.choose(rng)?;
            let (from, to) = clipped(offered, group, share * group.peak)?;
            (from, to - from, Effect::AtMost(share * group.peak))
        }
        Cause::Outage => {
            let length = bins(rng.random_range(5..=40));
            let in_play = rng.random_bool(0.5);
            let group = groups.choose(rng).filter(|_| in_play);
            let from = group.map_or(Some(anywhere), |group| {
                let minutes = (group.end - group.lock).num_minutes().max(1);
                let at: Timestamp = group.lock + TimeDelta::minutes(rng.random_range(0..minutes));
                offered.index(at)
            })?;
            (from, length, Effect::Times(THROUGH))
        }
        Cause::Logging => (anywhere, bins(rng.random_range(10..=120)), Effect::Missing),
        _ => {
            let factor = if rng.random_bool(0.5) { 0.5 } else { 2.0 };
            (
                anywhere,
                bins(rng.random_range(15..=60)),
                Effect::Times(factor),
            )
        }
    };
    Some(Span {
        from,
        to: (from + length).min(end),
        cause,
        effect,
    })
}

/// The bins about a group's peak in which more than `most` was offered.
fn clipped(offered: &Series, group: &Group, most: f64) -> Option<(usize, usize)> {
    let peak = offered.index(group.peak_at)?;
    let raw = offered.raw();
    if raw[peak] <= most {
        return None;
    }
    let from = (0..=peak).rev().take_while(|&bin| raw[bin] > most).last()?;
    let to = (peak..raw.len())
        .take_while(|&bin| raw[bin] > most)
        .last()?
        + 1;
    Some((from, to))
}
