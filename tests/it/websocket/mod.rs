//! The WebSocket front end, as its clients see it.

#![allow(clippy::needless_pass_by_value, reason = "tests write a document where it is used")]

mod actions;
mod auth;
mod client;
mod endings;
mod handshake;
mod limits;
mod packed;
mod pushes;
mod refusals;
mod scene;

use serde_json::{Value, json};

pub use client::{Client, Frame};
pub use scene::Scene;

/// The headers of whoever the tests are, unless they say otherwise.
pub fn headers() -> Value {
    json!({"Client-ID": crate::support::CLIENT, "X-Project-ID": "acme"})
}
