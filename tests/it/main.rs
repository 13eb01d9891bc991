//! One binary for all integration tests: it links once.

mod http_v2;
mod support;
