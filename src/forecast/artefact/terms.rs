//! A model's coefficients by name.

use serde::{Deserialize, Serialize};

use super::super::FittedEventResponse;
use super::super::experts::{GROWING, STEADIEST};
use super::super::features::GROWTH;

/// One coefficient of the regression, in log load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Term {
    /// What it belongs to, for example `team nfl/KC`.
    pub name: String,
    /// What was believed before any data.
    pub prior: f64,
    /// What the steadiest regression learnt; for growth, what the one that has it learnt.
    pub value: f64,
    /// What each regression learnt.
    pub values: Vec<f64>,
}

/// Every coefficient in the order of the columns.
pub(super) fn terms(model: &FittedEventResponse) -> Vec<Term> {
    model
        .design
        .names()
        .into_iter()
        .zip(&model.design.prior)
        .zip(&model.coefficients)
        .enumerate()
        .map(|(column, ((name, &prior), values))| Term {
            name,
            prior,
            value: values[if column == GROWTH { GROWING } else { STEADIEST }],
            values: values.to_vec(),
        })
        .collect()
}
