//! The Prometheus in force: made anew when the configuration changes, shared while it does not.

use std::sync::{Arc, Mutex, PoisonError};

use crate::guard::Breakers;
use crate::settings::PrometheusSettings;
use crate::source::{GuardedPrometheus, Prometheus, SourceError};

/// A client of Prometheus, or why it could not be made.
type Source = Result<Arc<GuardedPrometheus>, SourceError>;

/// The client by its configuration.
#[derive(Debug)]
pub(super) struct Sources {
    breakers: Breakers,
    current: Mutex<Option<(PrometheusSettings, Arc<GuardedPrometheus>)>>,
}

impl Sources {
    /// No client yet.
    pub(super) fn new(breakers: Breakers) -> Self {
        Self {
            breakers,
            current: Mutex::default(),
        }
    }

    /// The client for this configuration.
    ///
    /// # Errors
    /// Why it cannot be made, for example an unreadable certificate. It is tried again each time,
    /// for a file may be there by then.
    pub(super) fn current(&self, settings: &PrometheusSettings) -> Source {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_for, source)) = current.as_ref()
            && made_for == settings
        {
            return Ok(Arc::clone(source));
        }
        let source = Prometheus::new(settings)?;
        let source = Arc::new(GuardedPrometheus::new(source, self.breakers.clone()));
        *current = Some((settings.clone(), Arc::clone(&source)));
        Ok(source)
    }
}
