//! One binary for all integration tests: it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by a panic, in its helpers too"
)]

mod auth;
mod bench;
mod bootstrap;
mod channels;
mod cli;
mod config;
mod contract;
mod crash;
mod dice;
mod edges;
mod failover;
mod fuzz;
mod hostile;
mod http_v2;
mod import;
mod isolation;
mod model;
mod mongodb_start;
mod notification;
mod observers;
mod on_mongodb;
mod policy;
mod pooling;
mod property;
mod store;
mod support;
mod tidy;
mod waiting;
mod websocket;
