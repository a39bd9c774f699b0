//! `tipoff spikes`: how soon the fast loop sees a jump, on loads of its own and on yours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use clap::Args;
use flate2::read::MultiGzDecoder;

use super::CliError;
use super::output;
use super::replay::WIDEST;
use crate::burst::BurstPolicy;
use crate::series::csv::MAX_ROWS;
use crate::series::rows::commonest;
use crate::simulate::drill::{Drill, Watcher};
use crate::simulate::hindsight::{self, Verdict};
use crate::units::{DurationError, HumanDuration, Rate, Timestamp, quoted};

/// Loads that are drilled, per second, with variance over mean of their counts.
const LOADS: [(f64, f64); 6] = [
    (2.0, 1.0),
    (20.0, 1.0),
    (20.0, 4.0),
    (200.0, 4.0),
    (2_000.0, 4.0),
    (2_000.0, 20.0),
];

/// Jumps that are drilled.
const JUMPS: [f64; 4] = [1.5, 2.0, 4.0, 8.0];

/// Jumps of each kind.
const TRIALS: u32 = 500;

/// Arguments of `tipoff spikes`.
#[derive(Debug, Args)]
pub struct SpikesArgs {
    /// A load in seconds to look at, as CSV (gzipped or not): one row a second, seconds left out
    /// are zero. Without it, declared loads are drilled.
    #[arg(long)]
    load: Option<PathBuf>,
    /// Column of its times (RFC 3339).
    #[arg(long, default_value = "timestamp_utc", requires = "load")]
    time: String,
    /// Column of its counts.
    #[arg(long, default_value = "value", requires = "load")]
    value: String,
    /// Column that tells several loads in one file apart.
    #[arg(long, requires = "load")]
    by: Option<String>,
    /// Scale each load so that half of its seconds lie below this many units.
    #[arg(long, requires = "load", value_parser = median)]
    median: Option<f64>,
    /// Least mean time between two false alarms.
    #[arg(long, default_value = "1d", value_parser = false_alarm_every)]
    false_alarm_every: HumanDuration,
    /// Quiet days on which false alarms are counted, without --load.
    #[arg(
        long,
        default_value_t = 20,
        conflicts_with = "load",
        value_parser = clap::value_parser!(u32).range(1..=3650)
    )]
    days: u32,
    /// Seed of what is drawn, without --load.
    #[arg(long, default_value_t = 1, conflicts_with = "load")]
    seed: u64,
}

/// The most units a second that a load is scaled to.
const MOST: f64 = 1e9;

fn median(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|median: &f64| *median > 0.0 && *median <= MOST)
        .ok_or_else(|| format!("{text:?} is not a number above 0 and at most {MOST}"))
}

/// Longest mean time between two false alarms.
const RAREST: TimeDelta = TimeDelta::days(3650);

fn false_alarm_every(text: &str) -> Result<HumanDuration, String> {
    let every: HumanDuration = text
        .parse()
        .map_err(|error: DurationError| error.to_string())?;
    if every.0 < TimeDelta::seconds(1) || every.0 > RAREST {
        return Err(format!(
            "{every} is out of range: write from 1s to {}",
            HumanDuration(RAREST)
        ));
    }
    Ok(every)
}

/// Drills or looks, and prints.
///
/// # Errors
/// When the file cannot be read, or standard output fails.
pub fn run(args: &SpikesArgs) -> Result<(), CliError> {
    let text = match &args.load {
        Some(file) => looked_at(args, file)?,
        None => drilled(args),
    };
    output::print(&text)
}

fn drilled(args: &SpikesArgs) -> String {
    let every = args.false_alarm_every.0;
    let mut text = format!(
        "seconds from the jump to the alarm; {TRIALS} jumps each, false alarms on {} quiet days\n\n\
         {:>8} {:>5} {:>5} | {:>7} {:>7} {:>7} {:>9} | {:>7} {:>7} {:>9} | {:>6}\n",
        args.days,
        "load",
        "var/m",
        "jump",
        "median",
        "p99",
        "missed",
        "false/day",
        "KPA med",
        "p99",
        "false/day",
        "bound",
    );
    for (rate, dispersion) in LOADS {
        let quiet = Drill {
            rate: Rate::per_second(rate),
            dispersion,
            jump: 1.0,
        };
        let false_a_day = |watcher| {
            let alarms = quiet.false_alarms(watcher, args.days, args.seed);
            f64::from(alarms) / f64::from(args.days)
        };
        let ours = false_a_day(Watcher::Cusum(every));
        let panic = false_a_day(Watcher::PanicWindow);
        for jump in JUMPS {
            let drill = Drill { jump, ..quiet };
            let seen = drill.delays(Watcher::Cusum(every), TRIALS, args.seed);
            let kpa = drill.delays(Watcher::PanicWindow, TRIALS, args.seed);
            let missed = seen.iter().filter(|delay| delay.is_infinite()).count();
            let _ = writeln!(
                text,
                "{rate:>6}/s {dispersion:>5} {jump:>4}x | {:>7} {:>7} {missed:>7} {ours:>9.2} | \
                 {:>7} {:>7} {panic:>9.2} | {:>6.2}",
                seconds(at(&seen, 0.5)),
                seconds(at(&seen, 0.99)),
                seconds(at(&kpa, 0.5)),
                seconds(at(&kpa, 0.99)),
                drill.bound(every),
            );
        }
    }
    text.push_str(
        "\nKPA: the mean of six seconds at twice the load planned for. bound: the least mean delay \
         any watcher with\nthat time between false alarms can have (Lorden), to the next whole \
         sample; ours is limited by samples of 1 s.\n",
    );
    text
}

fn looked_at(args: &SpikesArgs, file: &Path) -> Result<String, CliError> {
    let loads = read(args, file).map_err(CliError::input)?;
    let policy = BurstPolicy {
        false_alarm_every: args.false_alarm_every.0,
        ..BurstPolicy::default()
    };
    let mut text = format!(
        "{:<28} {:>9} {:>6} | {:<16} {:>5} {:>5} {:>6} {:>8} {:>8} {:>8} {:>6} {:>8}\n",
        "load",
        "seconds",
        "bursts",
        "watcher",
        "seen",
        "held",
        "missed",
        "median s",
        "p90 s",
        "max s",
        "false",
        "a day",
    );
    for (name, mut counts) in loads {
        if let Some(wanted) = args.median {
            scale(&mut counts, wanted);
        }
        for (watcher, verdict) in [
            ("fast loop", hindsight::watched(&counts, &policy)),
            (
                "KPA panic window",
                hindsight::watched_by(&counts, Watcher::PanicWindow),
            ),
        ] {
            let Verdict {
                bursts,
                delays,
                held,
                missed,
                false_alarms,
                seconds: watched,
            } = &verdict;
            let days = *watched as f64 / 86_400.0;
            let _ = writeln!(
                text,
                "{name:<28} {watched:>9} {bursts:>6} | {watcher:<16} {:>5} {held:>5} {missed:>6} \
                 {:>8} {:>8} {:>8} {false_alarms:>6} {:>8.1}",
                delays.len(),
                seconds(at(delays, 0.5)),
                seconds(at(delays, 0.9)),
                seconds(at(delays, 1.0)),
                *false_alarms as f64 / days.max(1e-9),
            );
        }
    }
    text.push_str(
        "\nbursts are found with hindsight: 15 s at 1.5 times the minute before, beyond chance. A \
         burst is held when it\nbegan while what was ready for an earlier one was enough. Delays \
         count from the second at which a burst stands out\nclearest: below zero, the alarm came so \
         long before it, while load was rising already.\n",
    );
    Ok(text)
}

/// What a file says of one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    count: f64,
    /// Nanosecond of the row read last: the same again is the same row twice.
    last: Option<u32>,
}

/// The loads of a file by name, one count a second from first to last.
fn read(args: &SpikesArgs, file: &Path) -> anyhow::Result<Vec<(String, Vec<f64>)>> {
    let place = || file.display().to_string();
    let bytes = bytes(file).with_context(|| format!("{}: cannot be read", place()))?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let headers = reader.headers().with_context(place)?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header == name)
            .with_context(|| {
                let known: Vec<_> = headers.iter().collect();
                format!(
                    "{}:1: there is no column {name:?}; there are {}",
                    place(),
                    known.join(", ")
                )
            })
    };
    let (time, value) = (column(&args.time)?, column(&args.value)?);
    let by = args.by.as_deref().map(column).transpose()?;
    let mut loads: BTreeMap<String, BTreeMap<i64, Second>> = BTreeMap::new();
    for record in reader.records() {
        let record = record.with_context(place)?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default();
        let at: Timestamp = field(time).parse().with_context(|| {
            format!(
                "{}:{line}: {:?} is not a time in RFC 3339",
                place(),
                quoted(field(time))
            )
        })?;
        let count: f64 = field(value)
            .parse()
            .ok()
            .filter(|count: &f64| count.is_finite() && *count >= 0.0)
            .with_context(|| {
                format!(
                    "{}:{line}: {:?} is not a count",
                    place(),
                    quoted(field(value))
                )
            })?;
        let name = by.map_or("load", field).to_owned();
        let nanosecond = at.timestamp_subsec_nanos();
        let counts = loads.entry(name).or_default();
        let second = counts.entry(at.timestamp()).or_default();
        if second.last == Some(nanosecond) {
            bail!(
                "{}:{line}: {} is there twice; keep one row per time, or tell several loads apart \
                 with --by",
                place(),
                field(time)
            );
        }
        second.last = Some(nanosecond);
        second.count += count;
    }
    if loads.is_empty() {
        bail!(
            "{}: has no rows; give at least one row below the header",
            place()
        );
    }
    by_the_second(&loads).with_context(place)?;
    Ok(loads
        .into_iter()
        .filter_map(|(name, counts)| {
            let (first, last) = (*counts.first_key_value()?.0, *counts.last_key_value()?.0);
            let counts = (first..=last)
                .map(|second| counts.get(&second).map_or(0.0, |second| second.count))
                .collect();
            Some((name, counts))
        })
        .collect())
}

/// Refuses loads that are not told by the second, or that last longer than any this is made for.
fn by_the_second(loads: &BTreeMap<String, BTreeMap<i64, Second>>) -> anyhow::Result<()> {
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    let mut seconds: usize = 0;
    for counts in loads.values() {
        let mut previous = None;
        for &second in counts.keys() {
            if let Some(previous) = previous.replace(second) {
                *distances.entry(second - previous).or_default() += 1;
                let further = usize::try_from(second - previous).unwrap_or(usize::MAX);
                seconds = seconds.saturating_add(further);
            }
        }
    }
    let usual = commonest(&distances).map_or(TimeDelta::zero(), TimeDelta::seconds);
    if usual > WIDEST {
        bail!(
            "its rows are {} apart, and spikes are over within seconds: give a row a second",
            HumanDuration(usual)
        );
    }
    if seconds > MAX_ROWS {
        bail!(
            "spans {seconds} seconds, more than {MAX_ROWS}: leave out rows that lie far from the \
             others, or split the file"
        );
    }
    Ok(())
}

/// What is in a file, unpacked when it is gzipped.
fn bytes(file: &Path) -> io::Result<Vec<u8>> {
    let packed = fs::read(file)?;
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Ok(packed);
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn scale(counts: &mut [f64], median: f64) {
    let mut sorted = counts.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    // a load whose usual second is empty is scaled by its mean
    let mean = counts.iter().sum::<f64>() / counts.len().max(1) as f64;
    let usual = if middle > 0.0 { middle } else { mean };
    if usual > 0.0 {
        for count in counts {
            *count *= median / usual;
        }
    }
}

fn at(sorted: &[f64], level: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * level).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn seconds(delay: Option<f64>) -> String {
    match delay {
        None => "-".to_owned(),
        Some(delay) if delay.is_infinite() => "never".to_owned(),
        Some(delay) => format!("{delay:.2}"),
    }
}
