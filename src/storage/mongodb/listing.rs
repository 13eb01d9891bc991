//! Reading messages: pages, single ones, counts.

use super::error::OpResult;
use super::store::{QueueEntry, Store};
use crate::model::{ListQuery, Message, MessageId, Stats, Timestamp};

/// See [`crate::storage::MessageController::list`].
pub async fn page(
    _store: &Store,
    _queue: &QueueEntry,
    _query: &ListQuery,
    _now: Timestamp,
) -> OpResult<Vec<Message>> {
    Ok(Vec::new())
}

/// See [`crate::storage::MessageController::get`].
pub async fn by_ids(
    _store: &Store,
    _queue: &QueueEntry,
    _ids: &[MessageId],
    _now: Timestamp,
) -> OpResult<Vec<Message>> {
    Ok(Vec::new())
}

/// See [`crate::storage::MessageController::stats`].
pub async fn stats(_store: &Store, _queue: &QueueEntry, _now: Timestamp) -> OpResult<Stats> {
    Ok(Stats::default())
}
