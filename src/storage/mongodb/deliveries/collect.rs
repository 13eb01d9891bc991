//! Collecting due messages that nobody is to be told of any more.

use std::sync::PoisonError;

use mongodb::bson::{Bson, doc};

use super::state::{self, DONE};
use super::{newest_due, queues};
use crate::model::{QueueKey, Timestamp};
use crate::storage::mongodb::error::OpResult;
use crate::storage::mongodb::layout::{index, scoped};
use crate::storage::mongodb::store::Store;
use crate::storage::mongodb::subscriptions::{alive, of_queue};

/// Most due messages removed by one operation.
const CHUNK: u32 = 1000;
/// Most operations in one slice.
const CHUNKS: usize = 5;
/// Most queues looked at in one slice.
const QUEUES: usize = 200;

/// Goes on where the last slice ended; answers whether there is more to look at.
pub async fn slice(store: &Store, now: Timestamp) -> OpResult<bool> {
    let position = || store.collected.lock().unwrap_or_else(PoisonError::into_inner);
    let mut behind = position().clone();
    let queues = queues(store, behind.as_ref()).await?;
    let (mut chunks, mut looks) = (0, 0);
    for queue in &queues {
        if looks == QUEUES || chunks >= CHUNKS {
            *position() = behind;
            return Ok(true);
        }
        looks += 1;
        let passed = passed(store, queue, now).await?;
        let mut more = passed > 0;
        while more && chunks < CHUNKS {
            more = remove(store, queue, passed).await?;
            chunks += 1;
        }
        if !more {
            behind = Some(queue.clone());
        }
    }
    let unfinished = behind.as_ref() < queues.last();
    *position() = behind.filter(|_| unfinished);
    Ok(unfinished)
}

/// All live subscriptions of the queue are past this marker. What comes after the
/// first look is behind it.
async fn passed(store: &Store, queue: &QueueKey, now: Timestamp) -> OpResult<i64> {
    let Some(newest) = newest_due(store, queue).await? else { return Ok(0) };
    let mut live = of_queue(queue);
    live.extend(alive(now));
    // One that has not begun comes first.
    let last = store
        .subscriptions
        .find_one(live)
        .sort(doc! { DONE: 1 })
        .hint(index("nusku_queue"))
        .await?;
    let Some(last) = last else { return Ok(newest) };
    let done = state::progress(&last).map_or(0, |progress| progress.done);
    Ok(newest.min(i64::try_from(done).unwrap_or(i64::MAX)))
}

/// Removes some due messages up to a marker; whether there may be more.
async fn remove(store: &Store, queue: &QueueKey, passed: i64) -> OpResult<bool> {
    let due = &store.partition_of(queue).due;
    let mut found = due
        .find(doc! { "p_q": scoped(queue), "k": { "$lte": passed } })
        .hint(index("nusku_queue"))
        .projection(doc! { "_id": 1 })
        .limit(CHUNK.into())
        .batch_size(CHUNK)
        .await?;
    let mut ids: Vec<Bson> = Vec::new();
    while found.advance().await? {
        if let Some(id) = found.current().get("_id")? {
            ids.push(id.try_into()?);
        }
    }
    let count = ids.len();
    if count > 0 {
        due.delete_many(doc! { "_id": { "$in": ids } }).await?;
    }
    Ok(count == CHUNK as usize)
}
