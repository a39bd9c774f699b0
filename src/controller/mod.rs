//! The controller's shell around the brain.
