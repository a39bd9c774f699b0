//! The commands, run as a user runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and figures are printed where they are asked for"
)]

mod apart;
mod backtest;
mod fixtures;
mod forecast;
mod forecast_commands;
mod general;
mod generated;
mod replay;
mod run;
mod settings_samples;
mod spikes;
mod synth;
#[path = "../synthetic/mod.rs"]
mod synthetic;
