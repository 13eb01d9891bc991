//! Where the messages of a queue begin.

use super::error::OpResult;
use super::store::{QueueEntry, Store};
use crate::model::Timestamp;

/// What is remembered of each queue's beginning.
#[derive(Debug, Default)]
pub struct Heads {}

/// A marker below which the queue has no message, now or later. Scans start
/// here: what was deleted before it still costs the database time to step over.
pub async fn first(_store: &Store, queue: &QueueEntry, _now: Timestamp) -> OpResult<i64> {
    Ok(queue.first_marker)
}
