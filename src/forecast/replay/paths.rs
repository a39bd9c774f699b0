//! What was forecast for the bins ahead of one past origin.

use super::super::experts::{Fits, Mixture};
use super::super::lead::Lead;
use super::super::learn::History;
use super::fits::PeriodFits;

/// The log median of bins from one origin: by the calendar alone, and at the level that entries
/// leave to explain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paths<'a> {
    pub(super) view: &'a PeriodFits,
    pub(super) history: &'a History,
    pub(super) origin: usize,
    /// By bins ahead.
    pub(super) leads: &'a [Lead],
    pub(super) calendar: &'a Mixture,
    /// `None` where entries explain nothing of the last day: both are the same.
    pub(super) informed: Option<&'a Mixture>,
}

impl Paths<'_> {
    /// By the calendar alone.
    pub(super) fn calendar(&self, bin: usize) -> f64 {
        self.said(self.calendar, bin, &Fits::default())
    }

    /// At the level that entries leave to explain.
    pub(super) fn informed(&self, bin: usize) -> f64 {
        self.informed_if(bin, &Fits::default())
    }

    /// The same if every model said so much more.
    pub(super) fn informed_if(&self, bin: usize, more: &Fits) -> f64 {
        self.said(self.informed.unwrap_or(self.calendar), bin, more)
    }

    fn said(&self, mixture: &Mixture, bin: usize, more: &Fits) -> f64 {
        let mut fits = *self.view.fits(self.history, bin, self.origin);
        for (fit, more) in fits.iter_mut().zip(more) {
            *fit += more;
        }
        mixture.at(&self.leads[bin - self.origin], &fits)
    }
}
