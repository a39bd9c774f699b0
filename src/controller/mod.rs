//! The controller's shell around the brain.

pub mod leader;
