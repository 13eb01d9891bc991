//! Removing messages: one, several, the oldest, all.

use super::Engine;
use super::store::QueueEntry;
use crate::model::{ClaimId, Message, MessageId, Timestamp};
use crate::storage::Result;

/// See [`crate::storage::MessageController::delete`].
pub async fn delete(
    _engine: &Engine,
    _queue: &QueueEntry,
    _id: MessageId,
    _claim: Option<ClaimId>,
    _now: Timestamp,
) -> Result<()> {
    Ok(())
}

/// See [`crate::storage::MessageController::delete_many`].
pub async fn delete_many(
    _engine: &Engine,
    _queue: &QueueEntry,
    _ids: &[MessageId],
    _claims: Option<&[ClaimId]>,
    _now: Timestamp,
) -> Result<()> {
    Ok(())
}

/// See [`crate::storage::MessageController::pop`].
pub async fn pop(
    _engine: &Engine,
    _queue: &QueueEntry,
    _limit: u32,
    _now: Timestamp,
) -> Result<Vec<Message>> {
    Ok(Vec::new())
}

/// See [`crate::storage::MessageController::purge`].
pub async fn purge(_engine: &Engine, _queue: &QueueEntry, _now: Timestamp) -> Result<()> {
    Ok(())
}
