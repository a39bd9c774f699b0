//! What is believed about a sport before any of its fixtures was seen.
//!
//! The figures live in `models/`, one JSON file per sport with the provenance of each block; they
//! are compiled in, so nothing is read at run time. Formats and meanings: `models/README.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

mod file;

pub use file::PriorError;

/// The shipped files by sport; the first is for any sport without one.
const FILES: [(&str, &str); 8] = [
    ("generic", include_str!("../../models/generic.json")),
    (
        "american_football",
        include_str!("../../models/american_football.json"),
    ),
    ("baseball", include_str!("../../models/baseball.json")),
    ("basketball", include_str!("../../models/basketball.json")),
    ("cricket", include_str!("../../models/cricket.json")),
    ("esports", include_str!("../../models/esports.json")),
    ("football", include_str!("../../models/football.json")),
    ("ice_hockey", include_str!("../../models/ice_hockey.json")),
];

/// Sports that take another's file, by their names in `fixture::sport`.
const KIN: [(&str, &str); 1] = [("cricket_one_day", "cricket")];

static GENERIC: LazyLock<SportPrior> =
    LazyLock::new(|| SportPrior::parse(FILES[0].1, &file_name(FILES[0].0)).unwrap_or_default());

static SHIPPED: LazyLock<Vec<SportPrior>> = LazyLock::new(|| {
    FILES[1..]
        .iter()
        .filter_map(|(sport, text)| SportPrior::parse(text, &file_name(sport)).ok())
        .collect()
});

fn file_name(sport: &str) -> String {
    format!("models/{sport}.json")
}

/// Everything believed about one sport.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SportPrior {
    /// Its name, as in `fixture::sport`.
    pub sport: String,
    /// For each block of the file: measured on what, or declared why.
    pub provenance: BTreeMap<String, String>,
    /// What an ordinary fixture does to load.
    pub response: ResponsePrior,
    /// Log load that one step of importance adds before, in, at the end of and after play.
    pub importance: [f64; 4],
    /// Play beyond the regular end.
    pub overtime: OvertimePrior,
    /// How contest entries come in.
    pub entries: EntriesPrior,
    /// What a score does within seconds.
    pub spike: SpikePrior,
}

/// The course of load around one ordinary fixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResponsePrior {
    /// Load at the top of the shape over load without the fixture; at least 1.
    pub multiple: f64,
    /// Response minutes (0 to 110 is play) and the share of the top; straight lines between,
    /// 0 outside.
    pub shape: Vec<(f64, f64)>,
}

/// Whether and how far a fixture runs over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OvertimePrior {
    /// Chance that a fixture which may run over does.
    pub chance: f64,
    /// How much later it then ends on average, minutes.
    pub minutes: f64,
    /// True when only knock-out fixtures may.
    pub only_in_knockout: bool,
}

/// The pickup curve of contest entries towards a lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntriesPrior {
    /// Further ahead than the table the share falls by a factor e in so many hours.
    pub tail_hours: f64,
    /// Hours before the lock, descending to 0, and the share of all entries made by then,
    /// ascending to 1.
    pub completed_at_hours: Vec<(f64, f64)>,
    /// Hours before the lock, descending to 0, and the standard deviation of the logarithm of
    /// that share.
    pub spread_ln: Vec<(f64, f64)>,
}

/// A spike of load within seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpikePrior {
    /// Half of the spikes are smaller: load at the top over load before it.
    pub median_multiple: f64,
    /// Nineteen in twenty are smaller.
    pub p95_multiple: f64,
    /// Shortest and longest usual rise, seconds.
    pub rise_seconds: [f64; 2],
    /// The excess halves in this time, seconds.
    pub half_life_seconds: f64,
    /// Spikes per hour of play.
    pub per_hour: f64,
}

impl SportPrior {
    /// The prior of a sport; the generic one when it is not known or has no file.
    pub fn of(sport: Option<&str>) -> &'static Self {
        let Some(sport) = sport else {
            return &GENERIC;
        };
        let name = KIN
            .iter()
            .find(|(from, _)| *from == sport)
            .map_or(sport, |(_, to)| to);
        SHIPPED
            .iter()
            .find(|prior| prior.sport == name)
            .unwrap_or(&GENERIC)
    }

    /// All that are shipped, the generic one first.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        std::iter::once(&*GENERIC).chain(SHIPPED.iter())
    }

    /// Share of the top of the response at a response minute, between 0 and 1.
    pub fn shape(&self, minute: f64) -> f64 {
        self.response.at(minute)
    }
}

/// Knows nothing: a fixture changes no load, does not run over, and has no spikes.
impl Default for SportPrior {
    fn default() -> Self {
        Self {
            sport: FILES[0].0.to_owned(),
            provenance: BTreeMap::new(),
            response: ResponsePrior {
                multiple: 1.0,
                shape: Vec::new(),
            },
            importance: [0.0; 4],
            overtime: OvertimePrior {
                chance: 0.0,
                minutes: 0.0,
                only_in_knockout: false,
            },
            entries: EntriesPrior {
                tail_hours: 24.0,
                completed_at_hours: vec![(0.0, 1.0)],
                spread_ln: vec![(0.0, 0.0)],
            },
            spike: SpikePrior {
                median_multiple: 1.0,
                p95_multiple: 1.0,
                rise_seconds: [2.0, 10.0],
                half_life_seconds: 90.0,
                per_hour: 0.0,
            },
        }
    }
}

impl ResponsePrior {
    fn at(&self, minute: f64) -> f64 {
        let right = self.shape.partition_point(|&(knot, _)| knot <= minute);
        if right == 0 || right == self.shape.len() {
            return 0.0;
        }
        let ((x0, y0), (x1, y1)) = (self.shape[right - 1], self.shape[right]);
        y0 + (y1 - y0) * (minute - x0) / (x1 - x0)
    }
}

impl EntriesPrior {
    /// Share of all entries that are made `hours` before the lock: 1 at the lock and after it.
    ///
    /// The logarithm of the share runs straight between the points of the table.
    pub fn completed(&self, hours: f64) -> f64 {
        let Some(&(first, share)) = self.completed_at_hours.first() else {
            return 1.0;
        };
        if hours > first {
            return share * (-(hours - first) / self.tail_hours).exp();
        }
        along(&self.completed_at_hours, hours, f64::ln).exp()
    }

    /// Standard deviation of the logarithm of that share among slates, `hours` before the lock.
    pub fn spread(&self, hours: f64) -> f64 {
        along(&self.spread_ln, hours, |value| value)
    }
}

/// The value at `hours` in a table whose hours descend, straight in `scale` between its points
/// and constant outside.
fn along(table: &[(f64, f64)], hours: f64, scale: impl Fn(f64) -> f64) -> f64 {
    let right = table.partition_point(|&(at, _)| at > hours);
    let at = |place: usize| table.get(place).copied();
    match (right.checked_sub(1).and_then(at), at(right)) {
        (Some((h0, y0)), Some((h1, y1))) => {
            let (y0, y1) = (scale(y0), scale(y1));
            y0 + (y1 - y0) * (h0 - hours) / (h0 - h1)
        }
        (Some((_, y)), None) | (None, Some((_, y))) => scale(y),
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::sport::SPORTS;

    #[test]
    fn every_shipped_file_is_read_and_says_where_its_figures_come_from() {
        for (sport, text) in FILES {
            let prior = SportPrior::parse(text, &file_name(sport)).unwrap();
            assert_eq!(prior.sport, sport);
            let blocks: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(text).unwrap();
            for block in blocks.keys() {
                let plain = ["format", "sport", "provenance"].contains(&block.as_str());
                assert!(
                    plain || prior.provenance.contains_key(block),
                    "{sport}: no provenance of {block}"
                );
            }
            for block in prior.provenance.keys() {
                assert!(blocks.contains_key(block), "{sport}: nothing is {block}");
            }
        }
        assert_eq!(SportPrior::all().count(), FILES.len());
    }

    #[test]
    fn every_sport_has_a_prior_and_an_unknown_one_the_generic() {
        for sport in &SPORTS {
            let prior = SportPrior::of(Some(sport.name));
            let own = FILES.iter().any(|(name, _)| *name == sport.name);
            assert!(!own || prior.sport == sport.name, "{}", sport.name);
            assert!(prior.response.multiple > 1.0);
        }
        assert_eq!(SportPrior::of(Some("cricket_one_day")).sport, "cricket");
        for unknown in [None, Some("quidditch"), Some("rugby")] {
            assert_eq!(SportPrior::of(unknown).sport, "generic");
        }
    }

    #[test]
    fn shapes_stay_within_bounds_and_do_not_jump() {
        for prior in SportPrior::all() {
            let (first, last) = (
                prior.response.shape[0].0,
                prior.response.shape.last().unwrap().0,
            );
            assert_eq!((prior.shape(first), prior.shape(last)), (0.0, 0.0));
            let mut minute = first - 10.0;
            let mut before = 0.0;
            while minute < last + 10.0 {
                let here = prior.shape(minute);
                assert!((0.0..=1.0).contains(&here), "{} at {minute}", prior.sport);
                // a tenth of the top within a minute is the steepest a rush may be
                assert!(
                    f64::abs(here - before) <= 0.01 + 1e-9,
                    "{} jumps at {minute}",
                    prior.sport
                );
                before = here;
                minute += 0.1;
            }
        }
    }

    #[test]
    fn football_is_the_reference_model_s_prior() {
        for sport in ["football", "generic"] {
            let prior = SportPrior::of(Some(sport));
            assert_eq!(prior.response.multiple, 2.0);
            assert_eq!(prior.importance, [0.2, 0.4, 0.5, 0.4]);
            let shape = [
                (-180.0, 0.0),
                (-60.0, 0.15),
                (-15.0, 0.5),
                (15.0, 1.0),
                (105.0, 1.0),
                (135.0, 0.8),
                (240.0, 0.0),
            ];
            assert_eq!(prior.response.shape, shape);
        }
    }

    #[test]
    fn entries_come_in_towards_the_lock() {
        for prior in SportPrior::all() {
            let mut before = 0.0;
            for half_hour in (0..400).rev() {
                let hours = f64::from(half_hour) / 2.0;
                let share = prior.entries.completed(hours);
                assert!(share >= before && share <= 1.0, "{} {hours}", prior.sport);
                assert!(prior.entries.spread(hours) >= 0.0);
                before = share;
            }
            assert_eq!(prior.entries.completed(0.0), 1.0);
            assert_eq!(prior.entries.completed(-3.0), 1.0);
            assert_eq!(prior.entries.spread(0.0), 0.0);
        }
        let football = &SportPrior::of(Some("football")).entries;
        assert!((football.completed(24.0) - 0.39).abs() < 1e-12);
        assert!((football.completed(72.0 + 45.0) - 0.14 / std::f64::consts::E).abs() < 1e-12);
        assert!((football.spread(9.0) - 0.125).abs() < 1e-12);
        assert_eq!(football.spread(500.0), 0.2);
    }
}
