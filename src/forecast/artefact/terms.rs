//! A model's coefficients by name.

use serde::{Deserialize, Serialize};

use super::super::FittedEventResponse;
use super::super::experts::STEADIEST;
use super::super::features::{Design, HARMONICS, WEEKEND_HARMONICS};
use super::super::response::{HATS, PHASES};

/// One coefficient of the regression, in log load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Term {
    /// What it belongs to, for example `team nfl/KC`.
    pub name: String,
    /// What was believed before any data.
    pub prior: f64,
    /// What the steadiest regression learnt.
    pub value: f64,
    /// What each regression learnt.
    pub values: Vec<f64>,
}

/// Names of the coarse phases of a response.
const PHASE: [&str; PHASES] = ["before", "play", "end", "after"];

/// Columns without which a design of this kind cannot make a row.
pub(super) fn least_columns(design: &Design) -> usize {
    design.events + HATS + PHASES + if design.weekly { PHASES } else { 0 }
}

/// Every coefficient in the order of the columns.
pub(super) fn terms(model: &FittedEventResponse) -> Vec<Term> {
    names(&model.design)
        .into_iter()
        .zip(&model.design.prior)
        .zip(&model.coefficients)
        .map(|((name, &prior), values)| Term {
            name,
            prior,
            value: values[STEADIEST],
            values: values.to_vec(),
        })
        .collect()
}

/// The name of every column. One that has none is called by its number.
fn names(design: &Design) -> Vec<String> {
    let mut names: Vec<String> = (0..design.columns())
        .map(|column| format!("column {column}"))
        .collect();
    let mut at = 0;
    let mut name = |text: String| {
        if let Some(slot) = names.get_mut(at) {
            *slot = text;
        }
        at += 1;
    };
    name("level".to_owned());
    for harmonic in 1..=HARMONICS {
        name(format!("day sine {harmonic}"));
        name(format!("day cosine {harmonic}"));
    }
    if design.weekly {
        name("weekend".to_owned());
        for harmonic in 1..=WEEKEND_HARMONICS {
            name(format!("weekend sine {harmonic}"));
            name(format!("weekend cosine {harmonic}"));
        }
    }
    name("matchday".to_owned());
    for hat in 1..=HATS {
        name(format!("response {hat:02}"));
    }
    if design.weekly {
        for phase in PHASE {
            name(format!("weekend {phase}"));
        }
    }
    for phase in PHASE {
        name(format!("importance {phase}"));
    }
    for (kind, columns) in [
        ("competition", &design.competitions),
        ("team", &design.teams),
    ] {
        for (who, &column) in columns {
            if let Some(slot) = names.get_mut(column) {
                *slot = format!("{kind} {who}");
            }
        }
    }
    names
}
