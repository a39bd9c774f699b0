//! What is believed about a sport before any of its fixtures was seen.
//!
//! The figures live in `models/`, one JSON file per sport with the provenance of each block; they
//! are compiled in, so nothing is read at run time. Formats and meanings: `models/README.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The only format read.
const FORMAT: u32 = 1;

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

/// Why a prior file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {field}: {reason}")]
pub struct PriorError {
    /// File.
    pub file: String,
    /// Field within it.
    pub field: String,
    /// What is wrong, and what is wanted.
    pub reason: String,
}

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    format: u32,
    sport: String,
    provenance: BTreeMap<String, String>,
    response: ResponsePrior,
    importance: Option<[f64; 4]>,
    overtime: Option<OvertimePrior>,
    entries: Option<EntriesPrior>,
    spike: Option<SpikePrior>,
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

    /// Reads a file; `name` is what messages call it. Blocks left out are the generic sport's.
    ///
    /// # Errors
    /// [`PriorError`] when it is not a prior of this format or a figure is out of bounds.
    pub fn parse(text: &str, name: &str) -> Result<Self, PriorError> {
        let error = |field: &str, reason: String| PriorError {
            file: name.to_owned(),
            field: field.to_owned(),
            reason,
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        let file: File = serde_path_to_error::deserialize(&mut reader).map_err(|failure| {
            let field = failure.path().to_string();
            error(&field, failure.into_inner().to_string())
        })?;
        reader
            .end()
            .map_err(|failure| error("end of the file", failure.to_string()))?;
        if file.format != FORMAT {
            return Err(error(
                "format",
                format!("{} is not known; write {FORMAT}", file.format),
            ));
        }
        let complete = file.importance.is_some()
            && file.overtime.is_some()
            && file.entries.is_some()
            && file.spike.is_some();
        // the generic file is read here too and must not wait for itself
        let base = if complete {
            Self::default()
        } else {
            GENERIC.clone()
        };
        let prior = Self {
            sport: file.sport,
            provenance: file.provenance,
            response: file.response,
            importance: file.importance.unwrap_or(base.importance),
            overtime: file.overtime.unwrap_or(base.overtime),
            entries: file.entries.unwrap_or(base.entries),
            spike: file.spike.unwrap_or(base.spike),
        };
        prior
            .check()
            .map_err(|(field, reason)| error(&field, reason))?;
        Ok(prior)
    }

    /// The first field out of bounds, with what is wanted.
    fn check(&self) -> Result<(), (String, String)> {
        let within = |field: &str, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err((
                    field.to_owned(),
                    format!("{value} is out of bounds: write {low} to {high}"),
                ))
            }
        };
        within("response.multiple", self.response.multiple, 1.0, 100.0)?;
        self.response.check()?;
        for value in self.importance {
            within("importance", value, -3.0, 3.0)?;
        }
        within("overtime.chance", self.overtime.chance, 0.0, 1.0)?;
        within("overtime.minutes", self.overtime.minutes, 0.0, 600.0)?;
        within("entries.tailHours", self.entries.tail_hours, 0.1, 2_000.0)?;
        self.entries.check()?;
        let spike = &self.spike;
        within("spike.medianMultiple", spike.median_multiple, 1.0, 100.0)?;
        within(
            "spike.p95Multiple",
            spike.p95_multiple,
            spike.median_multiple,
            1_000.0,
        )?;
        within("spike.riseSeconds[0]", spike.rise_seconds[0], 0.0, 3_600.0)?;
        within(
            "spike.riseSeconds[1]",
            spike.rise_seconds[1],
            spike.rise_seconds[0],
            3_600.0,
        )?;
        within(
            "spike.halfLifeSeconds",
            spike.half_life_seconds,
            1.0,
            86_400.0,
        )?;
        within("spike.perHour", spike.per_hour, 0.0, 3_600.0)
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

    fn check(&self) -> Result<(), (String, String)> {
        let refuse =
            |place: usize, reason: String| Err((format!("response.shape[{place}]"), reason));
        if self.shape.len() < 3 {
            return refuse(0, "at least three points are needed".to_owned());
        }
        for (place, &(minute, share)) in self.shape.iter().enumerate() {
            if !(minute.is_finite() && (-10_080.0..=10_080.0).contains(&minute)) {
                return refuse(place, format!("minute {minute} is beyond a week"));
            }
            if !(0.0..=1.0).contains(&share) {
                return refuse(place, format!("share {share} is not within 0 and 1"));
            }
            if place > 0 && minute <= self.shape[place - 1].0 {
                return refuse(place, format!("minute {minute} does not ascend"));
            }
        }
        let last = self.shape.len() - 1;
        for place in [0, last] {
            if self.shape[place].1 != 0.0 {
                return refuse(
                    place,
                    "the shape must begin and end with share 0".to_owned(),
                );
            }
        }
        if !self.shape.iter().any(|&(_, share)| share == 1.0) {
            return refuse(
                0,
                "no point has share 1: scale the shape to its top and put the size into multiple"
                    .to_owned(),
            );
        }
        Ok(())
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

    fn check(&self) -> Result<(), (String, String)> {
        let tables = [
            ("entries.completedAtHours", &self.completed_at_hours, 1.0),
            ("entries.spreadLn", &self.spread_ln, 0.0),
        ];
        for (field, table, at_lock) in tables {
            let refuse =
                |place: usize, reason: &str| Err((format!("{field}[{place}]"), reason.to_owned()));
            if table.last() != Some(&(0.0, at_lock)) {
                return Err((field.to_owned(), format!("must end in [0, {at_lock}]")));
            }
            for (place, &(hours, value)) in table.iter().enumerate() {
                if !(hours.is_finite() && value.is_finite()) || value < 0.0 {
                    return refuse(place, "must be numbers of at least 0");
                }
                if place > 0 && hours >= table[place - 1].0 {
                    return refuse(place, "hours must descend to the lock");
                }
                if field == "entries.completedAtHours" {
                    if value <= 0.0 || value > 1.0 {
                        return refuse(place, "the share must be above 0 and at most 1");
                    }
                    if place > 0 && value < table[place - 1].1 {
                        return refuse(place, "the share made cannot fall towards the lock");
                    }
                }
            }
        }
        Ok(())
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

    #[test]
    fn a_bad_file_is_refused_with_the_field() {
        let good = FILES[0].1;
        for (from, to, said) in [
            (
                "\"format\": 1",
                "\"format\": 2",
                "p.json: format: 2 is not known; write 1",
            ),
            (
                "\"multiple\": 2.0",
                "\"multiple\": 0.5",
                "response.multiple: 0.5 is out of bounds",
            ),
            ("[-60, 0.15]", "[-60, 1.5]", "response.shape[1]: share 1.5"),
            (
                "[-60, 0.15]",
                "[-190, 0.15]",
                "response.shape[1]: minute -190 does not ascend",
            ),
            (
                "[-180, 0]",
                "[-180, 0.1]",
                "response.shape[0]: the shape must begin and end",
            ),
            ("[15, 1], [105, 1]", "[15, 0.9]", "no point has share 1"),
            (
                "\"chance\": 0.15",
                "\"chance\": 15",
                "overtime.chance: 15 is out of bounds",
            ),
            (
                "[48, 0.24]",
                "[48, 0.04]",
                "entries.completedAtHours[1]: the share made",
            ),
            ("[0, 0]]", "[0, 1]]", "entries.spreadLn: must end in [0, 0]"),
            (
                "\"p95Multiple\": 7.0",
                "\"p95Multiple\": 1.5",
                "spike.p95Multiple: 1.5",
            ),
            ("\"spike\"", "\"spike_\"", "unknown field `spike_`"),
            (
                "\"multiple\": 2.0",
                "\"multiple\": \"2\"",
                "response.multiple: invalid type",
            ),
        ] {
            assert!(good.contains(from), "{from}");
            let error = SportPrior::parse(&good.replace(from, to), "p.json").unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("p.json: ") && text.contains(said),
                "{from} -> {to}: {text}"
            );
        }
        assert!(SportPrior::parse("", "p.json").is_err());
        let twice = format!("{good}{good}");
        assert!(SportPrior::parse(&twice, "p.json").is_err());
    }

    #[test]
    fn blocks_left_out_are_the_generic_sport_s() {
        let text = r#"{"format": 1, "sport": "curling", "provenance": {"response": "declared"},
            "response": {"multiple": 1.2, "shape": [[-60, 0], [0, 1], [150, 0]]}}"#;
        let curling = SportPrior::parse(text, "curling.json").unwrap();
        assert_eq!(curling.entries, SportPrior::of(None).entries);
        assert_eq!(curling.spike, SportPrior::of(None).spike);
        assert_eq!(curling.shape(75.0), 0.5);
    }
}
