//! HTTP
pub mod metrics;
