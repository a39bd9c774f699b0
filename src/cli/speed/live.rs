//! The fast loop at full load: what ten thousand workloads with a sample a second cost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::measure::{cpu_time, forget_peak, memory};
use crate::clock::{Clock as _, SystemClock};
use crate::controller::Rehearsal;

/// Seconds between two ticks of the slow loop, as by default.
const TICK: u64 = 5;

/// Parts of a second over which samples are spread.
const SLICES: u64 = 100;

/// What it cost.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    workloads: u32,
    seconds: u64,
    looks: usize,
    /// Share of one core that looking took.
    looking: f64,
    /// Share of one core that the slow loop's plans took.
    planning: f64,
    /// Growth of this process's memory, megabytes.
    memory_mb: Option<f64>,
    /// From a sample being sent to its being looked at, milliseconds.
    lateness_ms: [f64; 3],
    false_decisions: usize,
}

impl Live {
    /// Runs so many workloads for so many seconds of real time.
    pub(super) fn measured(workloads: u32, seconds: u64) -> Result<Self, String> {
        let clock = SystemClock::new();
        forget_peak();
        let before = memory("VmRSS:");
        let rehearsal = Rehearsal::new(workloads).map_err(|error| error.to_string())?;
        let stopped = AtomicBool::new(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let (looking, planning) = std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let begun = cpu_time(&clock);
                let mut late = Vec::new();
                let mut decisions = 0;
                runtime.block_on(async {
                    while !stopped.load(Ordering::Relaxed) {
                        let looks = rehearsal.look();
                        let Ok(looks) =
                            tokio::time::timeout(Duration::from_millis(100), looks).await
                        else {
                            continue;
                        };
                        decisions += looks.iter().filter(|look| look.decides).count();
                        late.extend(
                            looks
                                .iter()
                                .map(|look| look.lateness.as_seconds_f64() * 1e3),
                        );
                    }
                });
                (cpu_time(&clock).saturating_sub(begun), late, decisions)
            });
            let planning = scope.spawn(|| {
                let begun = cpu_time(&clock);
                each_slice(&clock, seconds, |second, slice| {
                    let turn = (second % TICK) * SLICES + slice;
                    for number in share(rehearsal.len(), turn, TICK * SLICES) {
                        rehearsal.tick(number);
                    }
                });
                cpu_time(&clock).saturating_sub(begun)
            });
            each_slice(&clock, seconds, |second, slice| {
                for number in share(rehearsal.len(), slice, SLICES) {
                    rehearsal.send(number, second);
                }
            });
            std::thread::sleep(Duration::from_millis(200));
            stopped.store(true, Ordering::Relaxed);
            (looking.join(), planning.join())
        });
        let (looking, mut late, false_decisions) =
            looking.map_err(|_| "the looking thread broke".to_owned())?;
        let planning = planning.map_err(|_| "the planning thread broke".to_owned())?;
        late.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (late.len() as f64 * share).ceil() as usize;
            late.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
        };
        let core = |spent: Duration| spent.as_secs_f64() / seconds.max(1) as f64;
        Ok(Self {
            workloads,
            seconds,
            looks: late.len(),
            looking: core(looking),
            planning: core(planning),
            memory_mb: memory("VmHWM:")
                .zip(before)
                .map(|(peak, before)| (peak - before).max(0.0)),
            lateness_ms: [at(0.5), at(0.99), at(1.0)],
            false_decisions,
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Self {
            workloads,
            seconds,
            looks,
            looking,
            planning,
            memory_mb,
            lateness_ms: [median, p99, worst],
            false_decisions,
        } = self;
        let memory = memory_mb.map_or("unknown".to_owned(), |mb| format!("{mb:.0} MB"));
        format!(
            "fast loop: {workloads} workloads, a sample a second each, {seconds} s, {looks} looks\n\
             looking   {:.1} % of a core\n\
             planning  {:.1} % of a core (a whole plan each {TICK} s)\n\
             memory    {memory}\n\
             lateness  median {median:.2} ms, p99 {p99:.2} ms, worst {worst:.2} ms\n\
             decisions without a spike: {false_decisions}\n",
            looking * 100.0,
            planning * 100.0,
        )
    }
}

/// The numbers below `all` whose turn it is.
fn share(all: usize, turn: u64, turns: u64) -> std::ops::Range<usize> {
    let at = |turn: u64| (all as u64 * turn / turns) as usize;
    at(turn)..at(turn + 1)
}

/// Calls once for each slice of each second, on time.
fn each_slice(clock: &SystemClock, seconds: u64, mut call: impl FnMut(u64, u64)) {
    let begun = clock.monotonic();
    for second in 0..seconds {
        for slice in 0..SLICES {
            let due = begun
                + Duration::from_secs(second)
                + Duration::from_micros(slice * 1_000_000 / SLICES);
            std::thread::sleep(due.saturating_sub(clock.monotonic()));
            call(second, slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_its_turn_once() {
        let turns: Vec<usize> = (0..SLICES)
            .flat_map(|turn| share(257, turn, SLICES))
            .collect();
        assert_eq!(turns, (0..257).collect::<Vec<_>>());
    }

    #[test]
    fn every_sample_is_looked_at() {
        let live = Live::measured(40, 2).unwrap();
        assert_eq!((live.looks, live.false_decisions), (80, 0));
    }
}
