//! Tipoff: a predictive autoscaler controller for Kubernetes that reads the fixture list.
//!
//! The crate is a pure core with a thin shell around it. Modules of the core take the time as an
//! argument and never name an I/O crate (`tests/architecture.rs` holds them to it); the shell
//! gathers facts for them and carries out what they decide.

// ---- pure core ----
pub mod backtest;
pub mod breaker;
pub mod burst;
pub mod capacity;
pub mod entries;
pub mod fixture;
pub mod forecast;
pub mod lease;
pub mod plan;
pub mod plot;
pub mod replay;
pub mod series;
pub mod simulate;
pub mod units;

// ---- shell ----
pub mod api;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod embedded;
pub mod guard;
mod rewatch;
pub mod serve;
pub mod settings;
pub mod source;
pub mod target;
pub mod telemetry;
