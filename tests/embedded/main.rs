//! The embedded Kubernetes API, by the client that talks to a real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and figures are printed where they are asked for"
)]

mod api;
mod http;
mod support;
mod watch;
mod workloads;
