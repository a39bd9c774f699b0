//! The backtest scenario that goes with a season.

use super::Generated;
use super::params::Season;

/// Load of one replica, as a share of the ordinary evening's: eight of them carry it.
const REPLICAS_OF_AN_EVENING: f64 = 8.0;

/// Replicas that would be allowed, in multiples of those the largest load needs.
const ROOM: f64 = 3.0;

/// The text of a scenario for `tipoff backtest`, with the files as they lie beside it.
pub fn scenario(season: &Season, made: &Generated, title: &str, seed: u64) -> String {
    let per_replica = (season.game_day.base / REPLICAS_OF_AN_EVENING).max(1e-3);
    let peak = made.offered.raw().iter().copied().fold(0.0, f64::max);
    let most = (ROOM * peak / per_replica).ceil().clamp(10.0, 100_000.0);
    let (from, to) = made.evaluate;
    let time = |at: crate::units::Timestamp| at.format("%Y-%m-%dT%H:%M:%SZ");
    let entries = if made.entries.is_empty() {
        String::new()
    } else {
        format!("entries: {{file: entries.csv.gz, per: {}}}\n", season.step)
    };
    format!(
        "# A generated season: it proves that machinery works, and nothing about anybody's crowd.\n\
         # Try: tipoff backtest --scenario scenario.yaml --html report.html\n\
         title: {title}\n\
         load: {{file: load.csv.gz}}\n\
         fixtures: [fixtures.csv]\n\
         {entries}\
         faults: faults.csv\n\
         zone: {zone}\n\
         evaluate:\n  from: {from}\n  to: {to}\n\
         cluster:\n  perReplica: {per_replica}\n  startUp:\n    \
         lognormal: {{median: 40s, p95: 120s}}\n\
         policy:\n  minReplicas: 4\n  maxReplicas: {most}\n  \
         capacity: {{perReplica: {per_replica}, targetUtilization: 0.9, scaleUpTime: 2m}}\n  \
         lead: 2m\n  spikeCover: 2x\n  quietCover: 1.3x\n\
         seed: {seed}\n",
        zone = season.game_day.zone,
        from = time(from),
        to = time(to),
    )
}
