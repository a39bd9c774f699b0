//! How often what came lay at or below each quantile: by how far ahead it was forecast, and by
//! what fixtures were doing then.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::Serialize;

use super::forecasts::{AFTER, BEFORE, Targets, has_window};
use super::origin::{Block, Protocol, TARGET};
use super::score::PerQuantile;
use crate::fixture::Calendar;
use crate::forecast::{Forecast, Quantile};
use crate::units::Timestamp;

/// What fixtures are doing at a target. Of several, the one furthest down this list counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// No fixture is near.
    Calm,
    /// From an hour before the lock to the start.
    PreLock,
    /// From the end to seventy-five minutes after it.
    Settling,
    /// From start to end.
    Live,
}

impl Activity {
    /// In the order in which they follow each other.
    pub const ALL: [Self; 4] = [Self::Calm, Self::PreLock, Self::Live, Self::Settling];

    /// As it stands in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::PreLock => "pre-lock",
            Self::Live => "live",
            Self::Settling => "settling",
        }
    }
}

/// What fixtures were doing at each target. Ends are actual ones where they are known.
pub fn activities(targets: &Targets, calendar: &Calendar) -> Vec<Activity> {
    let count = targets.actual.len();
    let mut doing = vec![Activity::Calm; count];
    let index = |at: Timestamp| {
        let bins = (at - targets.from)
            .num_milliseconds()
            .div_euclid(TARGET.num_milliseconds());
        (bins.max(0) as usize).min(count)
    };
    let until = targets.end() + BEFORE + TimeDelta::days(1);
    for fixture in calendar.iter() {
        let start = fixture.start.at;
        let end = fixture.expected_end().max(start);
        // play may have begun days before the first target
        let over = end + AFTER <= targets.from;
        if over || start >= until || !has_window(fixture) {
            continue;
        }
        for (activity, from, to) in [
            (Activity::PreLock, fixture.lock().min(start) - BEFORE, start),
            (Activity::Settling, end, end + AFTER),
            (Activity::Live, start, end),
        ] {
            for place in &mut doing[index(from)..index(to)] {
                *place = (*place).max(activity);
            }
        }
    }
    doing
}

/// Stretches of lead, minutes from the origin to the start of a target. The first is the nowcast's
/// own.
const LEADS: [(&str, i64, i64); 6] = [
    ("10-15 min", 10, 15),
    ("0-1 h", 0, 60),
    ("1-4 h", 60, 240),
    ("4-12 h", 240, 720),
    ("12-24 h", 720, 1_440),
    ("24-48 h", 1_440, 2_880),
];

/// Coverage of a set of targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Coverage {
    /// Targets that had a forecast and a value. A target counts once for every forecast of it.
    pub points: usize,
    /// Share of them at or below each quantile.
    pub coverage: PerQuantile,
    /// Geometric mean of the 95 % quantile over the median: what that coverage costs.
    pub width_p95: f64,
}

/// Coverage at some distance ahead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LeadCoverage {
    /// For example `1-4 h`.
    pub lead: &'static str,
    /// Smallest time from origin to target, minutes.
    pub from_minutes: i64,
    /// Its end, exclusive.
    pub to_minutes: i64,
    /// What was found.
    #[serde(flatten)]
    pub found: Coverage,
}

/// Coverage while fixtures did something.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseCoverage {
    /// Block, for example `D1 0-24h`.
    pub protocol: &'static str,
    /// What fixtures were doing.
    pub phase: Activity,
    /// What was found.
    #[serde(flatten)]
    pub found: Coverage,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    points: usize,
    covered: [usize; 4],
    log_width: f64,
    widths: usize,
}

impl Sums {
    fn add(&mut self, actual: f64, quantiles: [f64; 4]) {
        self.points += 1;
        for (covered, quantile) in self.covered.iter_mut().zip(quantiles) {
            *covered += usize::from(actual <= quantile);
        }
        let [p50, _, p95, _] = quantiles;
        if p50 > 0.0 && p95.is_finite() {
            self.log_width += (p95 / p50).ln();
            self.widths += 1;
        }
    }

    fn found(&self) -> Option<Coverage> {
        (self.points > 0).then(|| Coverage {
            points: self.points,
            coverage: self.covered.map(|n| n as f64 / self.points as f64).into(),
            width_p95: (self.log_width / self.widths.max(1) as f64).exp(),
        })
    }
}

/// Counts the forecasts it is shown.
#[derive(Debug)]
pub struct Tally<'a> {
    targets: &'a Targets,
    doing: &'a [Activity],
    leads: [Sums; LEADS.len()],
    phases: BTreeMap<(Block, Activity), Sums>,
}

impl<'a> Tally<'a> {
    /// Of nothing yet; `doing` are the [`activities`] of the targets.
    pub fn new(targets: &'a Targets, doing: &'a [Activity]) -> Self {
        Self {
            targets,
            doing,
            leads: [Sums::default(); LEADS.len()],
            phases: BTreeMap::new(),
        }
    }

    /// Counts what the protocol scores of a forecast.
    pub fn add(&mut self, protocol: Protocol, forecast: &Forecast) {
        for bin in 0..forecast.len() {
            let target = forecast.time(bin);
            let Some(index) = self.targets.index(target) else {
                continue;
            };
            let lead = target - forecast.origin;
            let block = protocol.blocks().iter().find(|block| block.holds(lead));
            let (actual, Some(&block)) = (self.targets.actual[index], block) else {
                continue;
            };
            let quantiles = Quantile::ALL.map(|quantile| forecast.path(quantile)[bin]);
            if !actual.is_finite() || !quantiles[0].is_finite() {
                continue;
            }
            let minutes = lead.num_minutes();
            let own = usize::from(protocol != Protocol::N15);
            let stretches = LEADS.iter().enumerate().skip(own);
            for (place, &(_, from, to)) in stretches.take(if own == 0 { 1 } else { LEADS.len() }) {
                if (from..to).contains(&minutes) {
                    self.leads[place].add(actual, quantiles);
                }
            }
            let phase = (block, self.doing[index]);
            self.phases.entry(phase).or_default().add(actual, quantiles);
        }
    }

    /// By lead, shortest first; stretches nothing was scored in are left out.
    pub fn by_lead(&self) -> Vec<LeadCoverage> {
        let rows = LEADS.iter().zip(&self.leads);
        rows.filter_map(|(&(lead, from_minutes, to_minutes), sums)| {
            Some(LeadCoverage {
                lead,
                from_minutes,
                to_minutes,
                found: sums.found()?,
            })
        })
        .collect()
    }

    /// By block, within a block in the order of the phases.
    pub fn by_phase(&self) -> Vec<PhaseCoverage> {
        let mut blocks: Vec<Block> = self.phases.keys().map(|(block, _)| *block).collect();
        blocks.dedup();
        let rows = blocks.into_iter().flat_map(|block| {
            Activity::ALL.into_iter().filter_map(move |phase| {
                Some(PhaseCoverage {
                    protocol: block.name(),
                    phase,
                    found: self.phases.get(&(block, phase))?.found()?,
                })
            })
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::forecast::Evidence;
    use crate::series::Series;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn targets(calendar: &Calendar) -> Targets {
        let mut values = vec![10.0; 576];
        values[3] = f64::NAN;
        let load = Series::from_raw(at(0), TARGET, values);
        Targets::new(Evidence::new(&load, calendar), at(0), at(2_880))
    }

    fn forecast(origin: Timestamp, bins: usize) -> Forecast {
        // two bins in three lie under the median, all under p95
        let median = (0..bins).map(|bin| if bin % 3 == 0 { 9.0 } else { 10.0 });
        let median: Vec<f64> = median.collect();
        let above = |factor: f64| median.iter().map(|value| value * factor).collect();
        Forecast {
            origin,
            start: origin,
            step: TARGET,
            paths: [above(1.0), above(1.05), above(2.0), above(3.0)],
            peaks: Vec::new(),
            model: "m".to_owned(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_target_is_what_its_liveliest_fixture_does() {
        let mut game = Fixture::game("a", "cup", at(300));
        game.duration.typical = TimeDelta::minutes(100);
        let mut next = Fixture::game("b", "cup", at(420));
        next.duration.typical = TimeDelta::minutes(60);
        let mut off = Fixture::game("c", "cup", at(1_500));
        off.status = crate::fixture::Status::Cancelled;
        let calendar: Calendar = [game, next, off].into_iter().collect();
        let doing = activities(&targets(&calendar), &calendar);
        for (minute, activity) in [
            (235, Activity::Calm),
            (240, Activity::PreLock),
            (299, Activity::PreLock),
            (300, Activity::Live),
            // the next one's pre-lock and this one's settling: the crowd is still here
            (400, Activity::Settling),
            (420, Activity::Live),
            (480, Activity::Settling),
            (554, Activity::Settling),
            (555, Activity::Calm),
            (1_500, Activity::Calm),
        ] {
            assert_eq!(doing[minute / 5], activity, "{minute}");
        }
    }

    #[test]
    fn play_of_days_is_live_however_long_ago_it_began() {
        let mut test = Fixture::game("a", "cricket", at(-4 * 1_440));
        test.duration.typical = TimeDelta::hours(104);
        let calendar: Calendar = [test].into_iter().collect();
        let doing = activities(&targets(&calendar), &calendar);
        assert_eq!(doing[0], Activity::Live);
        assert_eq!(doing[479 / 5], Activity::Live);
        assert_eq!(doing[480 / 5], Activity::Settling);
        assert_eq!(doing[555 / 5], Activity::Calm);
    }

    #[test]
    fn counts_match_those_done_by_hand() {
        let calendar: Calendar = [Fixture::game("a", "cup", at(120))].into_iter().collect();
        let targets = targets(&calendar);
        let doing = activities(&targets, &calendar);
        let mut tally = Tally::new(&targets, &doing);
        tally.add(Protocol::Day, &forecast(at(0), 576));
        tally.add(Protocol::H4, &forecast(at(240), 48));
        tally.add(Protocol::N15, &forecast(at(240), 3));
        let leads = tally.by_lead();
        let names: Vec<_> = leads
            .iter()
            .map(|row| (row.lead, row.found.points))
            .collect();
        assert_eq!(
            names,
            [
                ("10-15 min", 1),
                ("0-1 h", 11 + 12),
                ("1-4 h", 72),
                ("4-12 h", 96),
                ("12-24 h", 144),
                ("24-48 h", 288),
            ]
        );
        let day = leads.last().unwrap().found;
        assert_eq!(day.coverage.p50, 2.0 / 3.0);
        assert_eq!(day.coverage.p90, 2.0 / 3.0);
        assert_eq!(day.coverage.p95, 1.0);
        assert!((day.width_p95 - 2.0).abs() < 1e-12);

        let phases = tally.by_phase();
        let points = |protocol: &str, phase| {
            let row = phases
                .iter()
                .find(|row| row.protocol == protocol && row.phase == phase);
            row.map_or(0, |row| row.found.points)
        };
        assert_eq!(points("D1 0-24h", Activity::PreLock), 12);
        assert_eq!(points("D1 0-24h", Activity::Live), 22);
        assert_eq!(points("D1 0-24h", Activity::Settling), 15);
        assert_eq!(points("D1 0-24h", Activity::Calm), 287 - 49);
        assert_eq!(points("D2 24-48h", Activity::Calm), 288);
        assert_eq!(points("H4 0-4h", Activity::Settling), 13);
        assert_eq!(points("N15 10-15min", Activity::Settling), 1);
        assert_eq!(phases[0].phase, Activity::Calm);
        assert_eq!(phases[1].phase, Activity::PreLock);
    }
}
