//! How good the forecasts are, as metrics: realised coverage, trust, and entries heard of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

use super::{WORKLOAD, forget, register};
use crate::forecast::Quantile;
use crate::serve::Standing;

/// Kind of moment, longest lead, quantile.
type Cell = [String; 3];

/// Gauges of forecasts. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct ForecastMetrics {
    coverage: GaugeVec,
    trusted: IntGaugeVec,
    slates: IntGaugeVec,
    /// Cells of `coverage` shown for each workload, to take them out again.
    shown: Arc<Mutex<BTreeMap<[String; 2], BTreeSet<Cell>>>>,
}

impl ForecastMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let whole = |name: &str, help: &str| {
            register(
                registry,
                IntGaugeVec::new(Opts::new(name, help), &WORKLOAD)?,
            )
        };
        Ok(Self {
            coverage: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "tipoff_forecast_coverage",
                        "Share of moments of the last four weeks whose load stayed at or below \
                         the quantile that was forecast, by kind of moment and longest lead.",
                    ),
                    &["namespace", "name", "kind", "up_to_minutes", "quantile"],
                )?,
            )?,
            trusted: whole(
                "tipoff_forecast_trusted",
                "1 while the model itself forecasts, 0 while a simpler one stands in for it.",
            )?,
            slates: whole(
                "tipoff_forecast_entries_slates",
                "Slates whose contest entries are known up to now; absent without entries.",
            )?,
            shown: Arc::default(),
        })
    }

    /// Shows a workload's standing, or takes it out.
    pub(super) fn show(&self, labels: [&str; 2], standing: Option<&Standing>) {
        let [namespace, name] = labels;
        let mut cells = BTreeSet::new();
        for row in standing.iter().flat_map(|standing| &standing.coverage) {
            for (quantile, covered) in Quantile::ALL[1..].iter().zip(row.covered) {
                let lead = row.up_to_minutes.to_string();
                let cell = [row.kind.clone(), lead, quantile.name().to_owned()];
                self.coverage
                    .with_label_values(&all(labels, &cell))
                    .set(covered);
                cells.insert(cell);
            }
        }
        let key = [namespace.to_owned(), name.to_owned()];
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if cells.is_empty() {
            shown.remove(&key)
        } else {
            shown.insert(key, cells.clone())
        };
        for cell in before.unwrap_or_default().difference(&cells) {
            // it was shown, so it can be taken out
            drop(self.coverage.remove_label_values(&all(labels, cell)));
        }
        match standing {
            Some(standing) => self
                .trusted
                .with_label_values(&labels)
                .set(i64::from(standing.trusted())),
            None => forget(&self.trusted, labels),
        }
        match standing.and_then(|standing| standing.entries_slates) {
            Some(slates) => self
                .slates
                .with_label_values(&labels)
                .set(i64::try_from(slates).unwrap_or(i64::MAX)),
            None => forget(&self.slates, labels),
        }
    }
}

fn all<'l>([namespace, name]: [&'l str; 2], [kind, lead, quantile]: &'l Cell) -> [&'l str; 5] {
    [namespace, name, kind, lead, quantile]
}
