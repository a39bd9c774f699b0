//! The last days as a fitted model saw them: what is left to the level of the day.

use super::event_response::{FittedEventResponse, reaching};
use super::experts::MODELS;
use super::features::Rows;
use super::grid::{DAY, DOUBT, Grid, OUTAGE, STEP};
use super::level::{Level, at_least};
use super::replay::fit;
use super::slots::Slot;

/// Residuals of every model on a grid that ends at the origin.
#[derive(Debug)]
pub(crate) struct Recently {
    /// Slots that reach into it, which `rows` speak of.
    pub(crate) near: Vec<Slot>,
    pub(crate) rows: Rows,
    /// Bins of the last day that look like an outage.
    pub(crate) outage: usize,
    residuals: [Vec<f64>; MODELS],
    end: i64,
}

impl Recently {
    pub(crate) fn new(model: &FittedEventResponse, slots: &[Slot], grid: &Grid) -> Self {
        let near = reaching(slots, grid.middle(0), grid.end);
        let rows = model
            .design
            .rows(&near, (0..grid.len()).map(|bin| grid.middle(bin)));
        let mut outage = 0;
        let mut residuals: [Vec<f64>; MODELS] =
            std::array::from_fn(|_| Vec::with_capacity(rows.len()));
        for bin in 0..rows.len() {
            let fits = fit(&rows, bin, &model.coefficients, &model.remainder);
            let mut seen = grid.values[bin];
            // next to nothing where the model is sure of load is no new level
            let usual = model.rate(fits.iter().copied().fold(f64::INFINITY, f64::min));
            if seen < OUTAGE * usual && usual * STEP as f64 > DOUBT {
                seen = f64::NAN;
                outage += usize::from(bin + DAY >= rows.len());
            }
            for (residuals, fit) in residuals.iter_mut().zip(fits) {
                let residual = (seen + model.offset).ln() - fit;
                residuals.push(at_least(residual, grid.floor[bin]));
            }
        }
        Self {
            near,
            rows,
            outage,
            residuals,
            end: grid.end,
        }
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bins that are over by a moment.
    pub(crate) fn bin(&self, at: i64) -> usize {
        let back = ((self.end - at).max(0) + STEP - 1) / STEP;
        self.len().saturating_sub(back as usize)
    }

    /// Levels from the day before bin `to`, or what is left of it without what `explained` adds to
    /// the log load of each bin.
    pub(crate) fn levels(&self, to: usize, explained: Option<&[f64]>) -> [Level; MODELS] {
        let day = to.saturating_sub(DAY)..to;
        let explained = explained.map(|explained| &explained[day.clone()]);
        let mut scratch = Vec::new();
        std::array::from_fn(|model| {
            Level::new(&self.residuals[model][day.clone()], explained, &mut scratch)
        })
    }
}
