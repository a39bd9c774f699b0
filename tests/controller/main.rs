//! The whole controller on the embedded cluster, and on a real one where `TIPOFF_E2E=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and figures are printed where they are asked for"
)]

mod breakers;
mod bridges;
mod decides;
mod e2e;
mod entries;
mod fast_loop;
mod faults;
mod leader;
mod live_feeders;
mod refuses;
mod safety;
mod samples;
mod stage;
#[path = "../support/mod.rs"]
mod support;
