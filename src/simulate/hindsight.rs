//! Bursts of a recorded load found with hindsight, and what a watcher made of each at the time.
//!
//! A burst is where the mean of the next [`AHEAD`] seconds is at least [`LEAST`] times that of the
//! [`BEHIND`] before, beyond [`CLEARLY`] standard deviations of such a difference. Its beginning is
//! the second at which that difference is clearest. The watcher is not told.

use chrono::TimeDelta;

use super::drill::{Watcher, Watching, sample};
use crate::burst::spike::Declared;
use crate::burst::spike::Learnt;
use crate::burst::{BurstPolicy, Expected, News, SpikeSizes, Watch};
use crate::units::Rate;

/// Seconds after a beginning.
const AHEAD: usize = 15;

/// Seconds before it.
const BEHIND: usize = 60;

/// Smallest burst.
const LEAST: f64 = 1.5;

/// Standard deviations it must stand out by.
const CLEARLY: f64 = 6.0;

/// Beginnings are at least so many seconds apart.
const APART: usize = 120;

/// An alarm belongs to a burst from this long before its beginning, which is itself uncertain,
const EARLY: usize = 10;

/// to this long after.
const LATE: usize = 60;

/// A burst found with hindsight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Second of the load at which it begins.
    pub begins: usize,
    /// Mean of the seconds after over that of the seconds before.
    pub multiple: f64,
}

/// What became of the bursts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Bursts there were.
    pub bursts: usize,
    /// Seconds from a beginning to its alarm, ascending; below zero when the alarm came before
    /// the clearest second.
    pub delays: Vec<f64>,
    /// Bursts that began while an earlier one was still followed and held for more.
    pub held: usize,
    /// Bursts without an alarm.
    pub missed: usize,
    /// Alarms without a burst.
    pub false_alarms: usize,
    /// Seconds watched.
    pub seconds: usize,
}

/// The bursts of counts per second.
pub fn bursts(counts: &[f64]) -> Vec<Burst> {
    let phi = dispersion(counts);
    let mut found: Vec<(f64, Burst)> = Vec::new();
    for begins in BEHIND..counts.len().saturating_sub(AHEAD) {
        let before = mean(&counts[begins - BEHIND..begins]);
        let after = mean(&counts[begins..begins + AHEAD]);
        let deviation =
            (phi * before.max(phi / BEHIND as f64) * (1.0 / AHEAD as f64 + 1.0 / BEHIND as f64))
                .sqrt();
        let clearly = (after - before) / deviation;
        if after < LEAST * before || clearly < CLEARLY {
            continue;
        }
        let burst = Burst {
            begins,
            multiple: after / before.max(1e-9),
        };
        match found.last_mut() {
            Some((best, last)) if begins - last.begins < APART => {
                if clearly > *best {
                    (*best, *last) = (clearly, burst);
                }
            }
            _ => found.push((clearly, burst)),
        }
    }
    found.into_iter().map(|(_, burst)| burst).collect()
}

/// What the whole fast loop makes of the load.
pub fn watched(counts: &[f64], policy: &BurstPolicy) -> Verdict {
    let none = Learnt::default();
    let expected = Expected {
        forecast: None,
        in_play: 1,
        until_ready: TimeDelta::seconds(15),
        live: SpikeSizes::new(&Declared::LIVE, &none, &none),
        quiet: SpikeSizes::new(&Declared::QUIET, &none, &none),
    };
    let mut watch = Watch::default();
    let mut alarms = Vec::new();
    let mut ready = Vec::with_capacity(counts.len());
    for (second, count) in counts.iter().enumerate() {
        let sample = sample(second as i64, *count);
        let wanted = watch.demand(sample.from).map_or(Rate::ZERO, |d| d.load);
        ready.push(wanted);
        let news = watch.observe(&sample, &expected, policy);
        if matches!(news, Some(News::Alarm { .. } | News::Again { .. })) {
            alarms.push(second);
        }
        watch.let_go(sample.to);
    }
    verdict(counts, &alarms, |burst| {
        let after = mean(&counts[burst.begins..burst.begins + AHEAD]);
        ready[burst.begins].as_per_second() >= after
    })
}

/// What one watcher makes of it, told the mean load of the last minute as what is planned for.
pub fn watched_by(counts: &[f64], watcher: Watcher) -> Verdict {
    let mut watching = Watching::new(watcher, Rate::ZERO);
    let mut alarms = Vec::new();
    for (second, count) in counts.iter().enumerate() {
        if let Watching::PanicWindow(_, planned) = &mut watching {
            let first = second.saturating_sub(BEHIND + 6);
            let before = &counts[first..second.saturating_sub(6).max(first)];
            *planned = if before.len() < BEHIND {
                Rate::per_second(f64::MAX)
            } else {
                Rate::per_second(mean(before))
            };
        }
        if watching.observe(&sample(second as i64, *count)) {
            alarms.push(second);
        }
    }
    verdict(counts, &alarms, |_| false)
}

fn verdict(counts: &[f64], alarms: &[usize], held: impl Fn(&Burst) -> bool) -> Verdict {
    let bursts = bursts(counts);
    let belongs = |alarm: usize, burst: &Burst| {
        (burst.begins.saturating_sub(EARLY)..=burst.begins + LATE).contains(&alarm)
    };
    let mut verdict = Verdict {
        bursts: bursts.len(),
        seconds: counts.len(),
        ..Verdict::default()
    };
    for burst in &bursts {
        match alarms.iter().find(|&&alarm| belongs(alarm, burst)) {
            // the alarm is given at the end of its second
            Some(&alarm) => verdict
                .delays
                .push(alarm as f64 + 1.0 - burst.begins as f64),
            None if held(burst) => verdict.held += 1,
            None => verdict.missed += 1,
        }
    }
    verdict.delays.sort_by(f64::total_cmp);
    verdict.false_alarms = alarms
        .iter()
        .filter(|&&alarm| !bursts.iter().any(|burst| belongs(alarm, burst)))
        .count();
    verdict
}

/// Variance over mean about the mean of the last minute; the median, so that bursts do not count.
fn dispersion(counts: &[f64]) -> f64 {
    let mut blocks: Vec<f64> = counts
        .chunks_exact(BEHIND)
        .filter_map(|block| {
            let level = mean(block);
            let squares = block.iter().map(|x| (x - level).powi(2)).sum::<f64>();
            (level > 0.0).then(|| squares / (BEHIND - 1) as f64 / level)
        })
        .collect();
    blocks.sort_by(f64::total_cmp);
    blocks
        .get(blocks.len() / 2)
        .copied()
        .unwrap_or(1.0)
        .max(1.0)
}

fn mean(counts: &[f64]) -> f64 {
    if counts.is_empty() {
        return 0.0;
    }
    counts.iter().sum::<f64>() / counts.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes at 100 a second, a step to 400 that halves every minute, and as much again.
    fn load() -> Vec<f64> {
        (0..1_200_i32)
            .map(|second| {
                let wobble = f64::from(second * 7 % 11) - 5.0;
                let since = f64::from(second - 600);
                let spike = if since >= 0.0 {
                    300.0 * 0.5_f64.powf(since / 60.0)
                } else {
                    0.0
                };
                100.0 + wobble + spike
            })
            .collect()
    }

    #[test]
    fn a_burst_is_found_where_it_begins() {
        let found = bursts(&load());
        assert_eq!(found.len(), 1);
        assert!(found[0].begins.abs_diff(600) <= 1, "{found:?}");
        assert!((3.0..4.2).contains(&found[0].multiple));
        assert!(bursts(&[100.0; 600]).is_empty());
        assert!(bursts(&[]).is_empty());
    }

    #[test]
    fn each_watcher_is_judged_by_when_it_spoke() {
        let load = load();
        let ours = watched(&load, &BurstPolicy::default());
        assert_eq!((ours.bursts, ours.missed, ours.false_alarms), (1, 0, 0));
        assert!(ours.delays[0] <= 2.0, "{ours:?}");
        let panic = watched_by(&load, Watcher::PanicWindow);
        assert_eq!(panic.delays.len(), 1);
        assert!(panic.delays[0] > ours.delays[0]);
    }
}
