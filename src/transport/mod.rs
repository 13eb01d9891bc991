//! The front ends: one folder per wire protocol. Each calls the service only.

pub mod auth;
pub mod http;
pub mod websocket;
