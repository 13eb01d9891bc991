//! Waiting: long polls and streams.

use serde::{Deserialize, Serialize};

use super::validate::{Check, within};

/// Requests that wait for messages, and streams.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WaitingSettings {
    /// Most requests that wait and streams that are open in this process.
    pub max_waiters: usize,
    /// Most of them of one project.
    pub max_waiters_per_project: usize,
    /// Seconds of silence after which a stream shows that it is alive.
    pub heartbeat: u32,
    /// Seconds after which a stream ends, to be taken up again.
    pub max_stream: u32,
}

pub(super) fn check(waiting: &WaitingSettings) -> Check {
    within("waiting.max_waiters", waiting.max_waiters, 0..=1_000_000)?;
    within("waiting.max_waiters_per_project", waiting.max_waiters_per_project, 0..=1_000_000)?;
    within("waiting.heartbeat", waiting.heartbeat, 1..=3_600)?;
    within("waiting.max_stream", waiting.max_stream, 1..=86_400)
}
