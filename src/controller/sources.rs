//! The Prometheus in force: made anew when the configuration changes, shared while it does not.

use std::sync::{Arc, Mutex, PoisonError};

use crate::settings::PrometheusSettings;
use crate::source::{Prometheus, SourceError};

/// A client of Prometheus, or why it could not be made.
type Source = Result<Arc<Prometheus>, SourceError>;

/// The client by its configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    current: Mutex<Option<(PrometheusSettings, Arc<Prometheus>)>>,
}

impl Sources {
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
        let source = Arc::new(Prometheus::new(settings)?);
        *current = Some((settings.clone(), Arc::clone(&source)));
        Ok(source)
    }
}
