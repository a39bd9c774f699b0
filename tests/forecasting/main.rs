//! Forecasts and backtests: no leak, the figures they reach, the algebra of policies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and figures are printed where they are asked for"
)]

mod backtest_properties;
mod backtest_sample;
mod backtest_wc98;
mod disorder;
mod first_fixture;
mod growth;
mod late_news;
mod leak;
mod model;
mod prior_figures;
mod seasons;
mod series;
mod small_counts;
#[path = "../synthetic/mod.rs"]
mod synthetic;
mod wc98;
