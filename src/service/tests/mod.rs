//! The rules, one by one, over a store that only remembers what it was asked.
//!
//! That the stores keep their promises is tested elsewhere, over each of them.

pub(super) mod fake;

mod claims;
mod health;
mod messages;
mod metadata;
mod placement;
mod pool_store;
mod queues;
mod share;
