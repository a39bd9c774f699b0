//! A trained model as a file: saved, inspected, compared and loaded.
//!
//! One JSON document. `state` is all that predicting needs; everything before it is for people
//! and for comparing, and what of it can be worked out again is checked on loading. Numbers are
//! written so that they read back to the bit: a loaded model forecasts what the saved one did.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::event_response::MODEL;
use super::experts::{EXPERTS, GROWING};
use super::features::GROWTH;
use super::{Evidence, FittedEventResponse, ResponseCurve};
use crate::units::Timestamp;

mod scores;
mod terms;

pub use scores::{LeadScore, PeakScore, Scores, score};
pub use terms::Term;

/// The format written, and the only one read.
const FORMAT: u32 = 13;

/// No number of a sound model is larger: beyond it sums of products could overflow.
const LARGEST: f64 = 1e15;

/// No logarithm of a load is larger: beyond it `exp` overflows.
const LARGEST_LOG: f64 = 700.0;

/// A trained model with what it was trained on and how well it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artefact {
    /// Format of the document.
    pub format: u32,
    /// Version of Tipoff that trained it.
    pub tipoff: String,
    /// Which model it is.
    pub model: String,
    /// What it was trained on.
    pub trained: Trained,
    /// How well the same model did when it was trained at earlier times; absent when the history
    /// is too short to tell.
    pub scores: Option<Scores>,
    /// Its coefficients by name.
    pub terms: Vec<Term>,
    /// Its responses by competition.
    pub response_curves: Vec<ResponseCurve>,
    /// All that predicting needs.
    state: FittedEventResponse,
}

/// What a model was trained on, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trained {
    /// Nothing from here on was known.
    pub at: Timestamp,
    /// Start of the first bin with load.
    pub first: Timestamp,
    /// End of the last bin with load.
    pub last: Timestamp,
    /// Bins without load between the two.
    pub gaps: usize,
    /// All bins between the two.
    pub bins: usize,
    /// Width of a bin of the load, seconds.
    pub step_seconds: i64,
    /// Zone by whose clock the audience lives.
    pub zone: Tz,
    /// Fixtures known, past and to come.
    pub fixtures: usize,
    /// Slates with entries.
    pub slates: usize,
    /// Spans of load that were not learnt as they stand.
    pub faults: usize,
}

/// Why a file is not a model to predict with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// It is not a document of this kind.
    #[error("{file}: {field}: {reason}")]
    Field {
        /// File.
        file: String,
        /// Field within it.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// Another version wrote it.
    #[error(
        "{file}: format {found} is not known to this version, which reads {FORMAT}; \
         train the model again with it"
    )]
    Format {
        /// File.
        file: String,
        /// As it stands there.
        found: String,
    },
    /// It is a model of another kind.
    #[error("{file}: is a model {found:?}, and only {MODEL:?} can be loaded")]
    Model {
        /// File.
        file: String,
        /// As it stands there.
        found: String,
    },
    /// It has no load.
    #[error("no load is known before {at}: there is nothing to say about what was trained")]
    NoLoad {
        /// When it was trained.
        at: Timestamp,
    },
}

impl Artefact {
    /// Around a model fitted on `known`.
    ///
    /// # Errors
    /// [`ArtefactError::NoLoad`] when `known` holds no load before the fit.
    pub fn new(
        state: FittedEventResponse,
        known: Evidence<'_>,
        scores: Option<Scores>,
    ) -> Result<Self, ArtefactError> {
        let at = state.fitted_at();
        let load = known.load.before(at);
        let has_data = |value: &f64| value.is_finite();
        let (Some(first), Some(last)) = (
            load.raw().iter().position(has_data),
            load.raw().iter().rposition(has_data),
        ) else {
            return Err(ArtefactError::NoLoad { at });
        };
        let span = &load.raw()[first..=last];
        Ok(Self {
            format: FORMAT,
            tipoff: env!("CARGO_PKG_VERSION").to_owned(),
            model: MODEL.to_owned(),
            trained: Trained {
                at,
                first: load.time(first),
                last: load.time(last + 1),
                gaps: span.iter().filter(|value| value.is_nan()).count(),
                bins: span.len(),
                step_seconds: load.step().num_seconds(),
                zone: state.zone,
                fixtures: known
                    .calendar
                    .iter()
                    .filter(|fixture| fixture.known_at.is_none_or(|known| known <= at))
                    .count(),
                slates: known.entries.before(at).iter().count(),
                faults: known.faults.before(at).iter().count(),
            },
            scores,
            terms: terms::terms(&state),
            response_curves: state.response_curves(),
            state,
        })
    }

    /// The model, to predict with.
    pub const fn state(&self) -> &FittedEventResponse {
        &self.state
    }

    /// By what factor load grows in a week, as the regression that follows growth has learnt; the
    /// forecast believes it as far as that regression has been right.
    pub fn growth_a_week(&self) -> f64 {
        self.state.coefficients[GROWTH][GROWING].exp()
    }

    /// The document. What is for people is spread out, the state is one line.
    ///
    /// # Errors
    /// When a number is not one; a model that was fitted holds none such.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut whole = serde_json::to_value(self)?;
        let state = whole
            .as_object_mut()
            .and_then(|fields| fields.remove("state"))
            .unwrap_or_default();
        let head = serde_json::to_string_pretty(&whole)?;
        let head = head.trim_end().trim_end_matches('}').trim_end();
        Ok(format!("{head},\n  \"state\": {state}\n}}\n"))
    }

    /// Reads a document; `file` is what messages call it.
    ///
    /// # Errors
    /// [`ArtefactError`] when it is not one, of another version, or not sound: a model that is
    /// loaded forecasts without fail.
    pub fn parse(text: &str, file: &str) -> Result<Self, ArtefactError> {
        let wrong = |field: &str, reason: String| ArtefactError::Field {
            file: file.to_owned(),
            field: field.to_owned(),
            reason,
        };
        // what kind of document it is comes first: another version may have other fields
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| wrong("document", format!("is not JSON: {error}")))?;
        let said = |field: &str| match value.get(field) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            Some(other) => Ok(other.to_string()),
            None => Err(wrong(
                field,
                "is missing; give a file written by tipoff train".to_owned(),
            )),
        };
        let format = said("format")?;
        if format != FORMAT.to_string() {
            return Err(ArtefactError::Format {
                file: file.to_owned(),
                found: format,
            });
        }
        let model = said("model")?;
        if model != MODEL {
            return Err(ArtefactError::Model {
                file: file.to_owned(),
                found: model,
            });
        }
        if let Some(place) = too_large(&value) {
            return Err(wrong(&place, format!("is beyond {LARGEST:e}")));
        }
        // from the text, not the value: a number goes through no second hand
        let mut reader = serde_json::Deserializer::from_str(text);
        let artefact: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| wrong(&error.path().to_string(), error.inner().to_string()))?;
        check(&artefact.state).map_err(|(field, reason)| wrong(field, reason))?;
        let terms = terms::terms(&artefact.state);
        if let Some(place) = (0..terms.len().max(artefact.terms.len()))
            .find(|&place| terms.get(place) != artefact.terms.get(place))
        {
            let name = terms
                .get(place)
                .or(artefact.terms.get(place))
                .map_or("", |term| term.name.as_str());
            return Err(wrong(
                &format!("terms[{place}]"),
                format!(
                    "{name:?} differs from the state, which forecasts are made from; \
                     train again instead of editing"
                ),
            ));
        }
        Ok(artefact)
    }
}

/// The path of the first number that is too large.
fn too_large(value: &serde_json::Value) -> Option<String> {
    let below = |key: String, value: &serde_json::Value| {
        too_large(value).map(|rest| {
            if rest.is_empty() {
                key
            } else {
                format!("{key}.{rest}")
            }
        })
    };
    match value {
        serde_json::Value::Number(number) => number
            .as_f64()
            .is_none_or(|number| number.abs() > LARGEST)
            .then(String::new),
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(place, item)| below(place.to_string(), item)),
        serde_json::Value::Object(fields) => fields
            .iter()
            .find_map(|(name, field)| below(name.clone(), field)),
        _ => None,
    }
}

/// What predicting takes for granted.
fn check(state: &FittedEventResponse) -> Result<(), (&'static str, String)> {
    let columns = state.design.columns();
    if let Some(reason) = state.design.fault() {
        return Err(("state.design", reason));
    }
    if state.design.learnt_until > state.at.timestamp() {
        return Err((
            "state.design.learntUntil",
            format!("is after {}, when it was trained", state.at),
        ));
    }
    if state.coefficients.len() != columns {
        return Err((
            "state.coefficients",
            format!("{} lines for {columns} columns", state.coefficients.len()),
        ));
    }
    if let Some((field, fault)) = state.remainder.fault() {
        return Err((field, fault));
    }
    let (low, high) = state.leash;
    if !(low <= high && high <= LARGEST_LOG) {
        return Err((
            "state.leash",
            format!("{low} to {high} is no range of log load"),
        ));
    }
    if state.offset <= 0.0 {
        return Err(("state.offset", "must be above 0".to_owned()));
    }
    for weights in &state.weights.0 {
        let sum: f64 = weights.iter().sum();
        let short = weights.len() != EXPERTS;
        if short || weights.iter().any(|&weight| weight < 0.0) || (sum - 1.0).abs() > 1e-6 {
            return Err((
                "state.weights",
                format!("must be {EXPERTS} a line, at least 0, and sum to 1"),
            ));
        }
    }
    if !state.margins.is_sound() || !state.peaks.is_sound() {
        return Err(("state.margins", "must ascend from p90 to p99".to_owned()));
    }
    if !state.profile.is_sound() {
        return Err(("state.profile", "has a factor out of bounds".to_owned()));
    }
    if !state.scatter.is_sound() {
        return Err((
            "state.scatter",
            "must be variances, by ascending level".to_owned(),
        ));
    }
    if !state.pace.is_sound() {
        return Err((
            "state.pace.finals",
            "must be finite sums by hour of the week, 0 to 167".to_owned(),
        ));
    }
    if !state.tops.is_sound() {
        return Err((
            "state.tops",
            "must be finite numbers by hour of the week, 0 to 167".to_owned(),
        ));
    }
    Ok(())
}
