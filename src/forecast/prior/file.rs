//! Files of figures: how they are read, and what is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{EntriesPrior, GENERIC, OvertimePrior, ResponsePrior, SpikePrior, SportPrior};

/// The only format read.
const FORMAT: u32 = 1;

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

impl ResponsePrior {
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

#[cfg(test)]
mod tests {
    use super::super::FILES;
    use super::*;

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
