//! Whether the store answers, and how it does.

use super::{Result, Service};
use crate::storage::Volume;

/// The report of `GET /v2/health`.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether the store answers a ping.
    pub storage_reachable: bool,
    /// Each operation tried, by Zaqar's name, in order.
    pub operations: Vec<(&'static str, OperationStatus)>,
    /// What the store holds.
    pub volume: Volume,
}

/// How one operation went.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationStatus {
    /// Whether it did what it should.
    pub succeeded: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// On failure, the reference under which the log says why.
    pub reference: Option<String>,
}

impl Service {
    /// Whether the store answers.
    pub async fn ping(&self) -> Result<()> {
        todo!()
    }

    /// Really does each operation, in a queue of its own.
    pub async fn health(&self) -> Result<Health> {
        todo!()
    }
}
