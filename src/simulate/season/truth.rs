//! What really was, per group of fixtures that start together: for measuring, never for learning.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use chrono::{SecondsFormat, TimeDelta};

use super::booking::Booked;
use super::changes::Announced;
use crate::fixture::FixtureId;
use crate::series::Series;
use crate::simulate::traffic::Game;
use crate::units::Timestamp;

/// A group's window reaches from this long before its lock ...
const BEFORE: TimeDelta = TimeDelta::minutes(60);

/// ... to this long after its actual end.
const AFTER: TimeDelta = TimeDelta::minutes(75);

/// Peaks are means over this long.
const PEAK_MEAN: TimeDelta = TimeDelta::minutes(5);

/// Fixtures that started together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Their start, as played.
    pub start: Timestamp,
    /// When their entries closed, the first.
    pub lock: Timestamp,
    /// When the last of them ended.
    pub end: Timestamp,
    /// Whether any needed extra play.
    pub overtime: bool,
    /// Whether any was moved after it was announced.
    pub moved: bool,
    /// Competitions, without repeats.
    pub competitions: Vec<String>,
    /// Slates, without repeats.
    pub slates: Vec<String>,
    /// Which fixtures.
    pub fixtures: Vec<FixtureId>,
    /// Size that teams, kick-off and opener give; 1 is one ordinary game.
    pub expected: f64,
    /// Size they really had, hidden shocks included, growth not.
    pub intensity: f64,
    /// Growth of the audience by then.
    pub level: f64,
    /// Start of the bin with the largest offered load (mean of five minutes) from an hour before
    /// the lock to 75 minutes after the end.
    pub peak_at: Timestamp,
    /// That load, units per second.
    pub peak: f64,
    /// How many wanted to enter their slates.
    pub entries_wanted: f64,
    /// How many did.
    pub entries_made: f64,
    /// Places in the end.
    pub spots: f64,
    /// When the first of their slates was full.
    pub full_at: Option<Timestamp>,
}

/// Crowd of games together: less than their sum.
pub(super) fn together(sizes: impl Iterator<Item = f64>, simultaneous: f64) -> f64 {
    let powers: f64 = sizes.map(|size| size.powf(1.0 / simultaneous)).sum();
    powers.powf(simultaneous)
}

/// Groups of the season, in order of start. Entries are added later.
pub(super) fn groups(
    games: &[Game],
    announced: &BTreeMap<&FixtureId, &Announced>,
    simultaneous: f64,
    level: impl Fn(Timestamp) -> f64,
    offered: &Series,
) -> Vec<Group> {
    let mut by_start: BTreeMap<Timestamp, Vec<(&Game, &Announced)>> = BTreeMap::new();
    for game in games {
        if let Some(of) = announced.get(&game.id) {
            by_start.entry(game.start).or_default().push((game, of));
        }
    }
    let means = five_minutes(offered);
    by_start
        .into_iter()
        .filter_map(|(start, members)| {
            let lock = members.iter().map(|(game, _)| game.lock).min()?;
            let end = members.iter().map(|(game, _)| game.end).max()?;
            let window = means.between(lock.min(start) - BEFORE, end + AFTER);
            let (peak_at, peak) = window.peak()?;
            let words = |of: &dyn Fn(&Announced) -> Option<String>| -> Vec<String> {
                let set: BTreeSet<String> = members.iter().filter_map(|(_, a)| of(a)).collect();
                set.into_iter().collect()
            };
            Some(Group {
                start,
                lock,
                end,
                overtime: members.iter().any(|(game, _)| game.overtime),
                moved: members.iter().any(|(_, of)| !of.earlier.is_empty()),
                competitions: words(&|of| Some(of.last.fixture.competition.clone())),
                slates: words(&|of| of.last.fixture.slate.clone()),
                fixtures: members.iter().map(|(game, _)| game.id.clone()).collect(),
                expected: together(members.iter().map(|(_, of)| of.last.known), simultaneous),
                intensity: together(members.iter().map(|(game, _)| game.intensity), simultaneous),
                level: level(start),
                peak_at,
                peak: peak.as_per_second(),
                entries_wanted: 0.0,
                entries_made: 0.0,
                spots: 0.0,
                full_at: None,
            })
        })
        .collect()
}

/// Adds what became of the slates of each group.
pub(super) fn add_entries(groups: &mut [Group], booked: &BTreeMap<String, Booked>) {
    for group in groups {
        for of in group.slates.iter().filter_map(|slate| booked.get(slate)) {
            group.entries_wanted += of.wanted;
            group.entries_made += of.made;
            group.spots += of.entries.spots.last().map_or(0.0, |&(_, places)| places);
            group.full_at = match (group.full_at, of.full_at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
}

/// Means over five minutes where bins are finer and fit; the bins as they are where not.
fn five_minutes(series: &Series) -> Series {
    let step = series.step().num_milliseconds().max(1);
    let bins = PEAK_MEAN.num_milliseconds() / step;
    if bins < 2 || PEAK_MEAN.num_milliseconds() % step != 0 {
        return series.clone();
    }
    let means = series
        .raw()
        .chunks(bins as usize)
        .map(|values| values.iter().sum::<f64>() / values.len() as f64)
        .collect();
    Series::from_raw(series.start(), PEAK_MEAN, means)
}

/// Writes the groups as CSV.
///
/// # Errors
/// Whatever the writer reports.
pub fn write_truth(writer: impl Write, groups: &[Group]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(writer);
    csv.write_record([
        "start",
        "lock",
        "end",
        "overtime",
        "moved",
        "competitions",
        "slates",
        "fixtures",
        "expected_intensity",
        "intensity",
        "level",
        "peak_at",
        "peak_per_second",
        "entries_wanted",
        "entries_made",
        "spots",
        "full_at",
    ])?;
    let time = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    for group in groups {
        let ids: Vec<&str> = group.fixtures.iter().map(|id| id.0.as_str()).collect();
        csv.write_record([
            time(group.start),
            time(group.lock),
            time(group.end),
            yes(group.overtime),
            yes(group.moved),
            group.competitions.join(";"),
            group.slates.join(";"),
            ids.join(";"),
            format!("{:.4}", group.expected),
            format!("{:.4}", group.intensity),
            format!("{:.4}", group.level),
            time(group.peak_at),
            format!("{:.3}", group.peak),
            format!("{:.0}", group.entries_wanted),
            format!("{:.0}", group.entries_made),
            format!("{:.0}", group.spots),
            group.full_at.map(time).unwrap_or_default(),
        ])?;
    }
    csv.flush()
}
