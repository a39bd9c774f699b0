//! Where facts come from: Prometheus, live samples, files and settings, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and figures are printed where they are asked for"
)]

mod live_push;
mod live_scrape;
mod prometheus;
mod series_data;
mod settings;
#[path = "../support/mod.rs"]
mod support;
