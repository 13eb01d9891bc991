//! One binary for all integration tests: it links once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod contract;
mod model;
mod property;
mod support;
