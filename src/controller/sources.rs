//! The Prometheus in force: made anew when the configuration changes, shared while it does not.

use std::sync::{Arc, Mutex, PoisonError};

use crate::settings::PrometheusSettings;
use crate::source::prometheus::{Prometheus, SourceError};

/// Why nothing could be read, in a form that is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unread {
    /// One of few words.
    pub kind: &'static str,
    /// For a person.
    pub message: String,
}

impl From<SourceError> for Unread {
    fn from(error: SourceError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// A client of Prometheus, or why it could not be made.
pub type Source = Result<Arc<Prometheus>, Unread>;

/// Clients by configuration.
#[derive(Debug, Default)]
pub struct Sources {
    current: Mutex<Option<(PrometheusSettings, Source)>>,
}

impl Sources {
    /// The client for this configuration.
    ///
    /// # Errors
    /// Why it cannot be made, for example an unreadable certificate.
    pub fn current(&self, settings: &PrometheusSettings) -> Source {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_for, source)) = current.as_ref()
            && made_for == settings
            // what failed may be a file that is there by now
            && source.is_ok()
        {
            return source.clone();
        }
        let source = Prometheus::new(settings).map(Arc::new).map_err(Unread::from);
        *current = Some((settings.clone(), source.clone()));
        source
    }
}
