//! The few calls by which a fitted model is taken apart: the log median at a moment with these
//! slots or those, with the level of the present or the model's own.

use super::super::event_response::FittedEventResponse;
use super::super::experts::{MODELS, Mixture};
use super::super::grid::STEP;
use super::super::lead::Lead;
use super::super::level::Level;
use super::super::replay::fit;
use super::super::slots::Slot;
use super::super::view::View;
use super::super::{Evidence, Horizon};

/// A model as seen from one origin, in parts.
pub(super) struct Parts<'a> {
    model: &'a FittedEventResponse,
    pub(super) view: View<'a>,
    settled: Mixture,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        model: &'a FittedEventResponse,
        known: Evidence<'a>,
        horizon: Horizon,
    ) -> Self {
        Self {
            model,
            view: View::new(model, known, horizon),
            settled: settled(model),
        }
    }

    /// The slots around the horizon.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.view.slots
    }

    /// Units per second of the median at a moment with these slots alone.
    pub(super) fn median(&self, slots: &[Slot], at: i64) -> f64 {
        self.model.rate(self.log(slots, at))
    }

    /// Logarithm of the same.
    pub(super) fn log(&self, slots: &[Slot], at: i64) -> f64 {
        let rows = self.model.design.rows(slots, std::iter::once(at));
        self.view.log(&rows, 0, self.view.lead(at))
    }

    /// Units per second without any slot, at the model's own level.
    pub(super) fn calm(&self, at: i64) -> f64 {
        let rows = self.model.design.rows(&[], std::iter::once(at));
        let fits = fit(&rows, 0, &self.model.coefficients, &self.model.remainder);
        self.model.rate(self.settled.at(&self.view.lead(at), &fits))
    }

    /// Model bins from the last known load to a moment.
    pub(super) fn lead(&self, at: i64) -> f64 {
        self.view.lead(at).bins()
    }
}

/// The mixture at the model's own level.
pub(super) fn settled(model: &FittedEventResponse) -> Mixture {
    Mixture::new(&model.weights, &[Level::default(); MODELS])
}

/// A lead at which levels have settled, model bins: sixteen hours.
pub(super) const SETTLED: f64 = 16.0 * 3_600.0 / STEP as f64;

/// Log medians of a model at its own level, at ascending moments with these slots.
pub(super) fn settled_logs(
    model: &FittedEventResponse,
    slots: &[Slot],
    moments: impl Iterator<Item = i64>,
) -> Vec<f64> {
    let mixture = settled(model);
    let settled_by_then = Lead::of(SETTLED);
    let rows = model.design.rows(slots, moments);
    (0..rows.len())
        .map(|index| {
            let fits = fit(&rows, index, &model.coefficients, &model.remainder);
            mixture.at(&settled_by_then, &fits)
        })
        .collect()
}
