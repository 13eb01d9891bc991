//! Where a subscription begins.
//!
//! One that nusku makes begins behind every post that was acknowledged before: its
//! record says so from the first moment on. It is acknowledged only after a write to
//! the record of the queue, which waits for every post that has its markers; who
//! gets markers later finds the subscription. So whoever subscribes, then reads the
//! queue, misses nothing in between.
//!
//! One that a Zaqar makes has no place noted. It begins with what nusku posted in the
//! second in which it was made, or later.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, RawDocument, doc};

use super::state::{self, DONE};
use crate::model::{QueueKey, SubscriptionId, Timestamp};
use crate::storage::mongodb::document::{int, integer};
use crate::storage::mongodb::error::OpResult;
use crate::storage::mongodb::layout::{index, scoped};
use crate::storage::mongodb::store::Store;
use crate::storage::mongodb::subscriptions::of_queue;
use crate::storage::mongodb::walk::first_id;
use crate::storage::mongodb::{counter, transaction};

/// The greatest marker of the queue that was given out to a post which lasts, or to
/// any before the queue was deleted; 0 if there is none.
pub async fn newest_marker(store: &Store, queue: &QueueKey) -> OpResult<i64> {
    let records = store.records(queue);
    let record = records.settled.find_one(records.query(queue)).await?;
    let next = if let Some(next) = record.as_deref().and_then(counter::value) {
        next
    } else {
        let retired = store.retired.find_one(doc! { "_id": scoped(queue) }).await?;
        retired.and_then(|retired| integer(&retired, "v")).unwrap_or(1)
    };
    Ok((next - 1).max(0))
}

/// Returns when whoever has markers of the queue has committed, or never will.
pub async fn wait_for_posts(store: &Store, queue: &QueueKey, id: ObjectId) -> OpResult<()> {
    let records = store.records(queue);
    // It has to change something, or it would not wait.
    let touch = doc! { "$set": { "nusku_subscribed": id } };
    let touched = async { Ok(records.documents.update_one(records.query(queue), touch).await?) };
    transaction::unhindered(store, touched).await.map(drop)
}

/// Gives a subscription that a Zaqar has made its beginning.
pub async fn assign(store: &Store, queue: &QueueKey, id: ObjectId) -> OpResult<()> {
    let made = SubscriptionId::from_bytes(id.bytes()).parts().0;
    let earlier = doc! { "$lt": first_id(Timestamp::from_seconds(made.into())) };
    let last = store
        .partition_of(queue)
        .settled_due
        .find_one(doc! { "p_q": scoped(queue), "_id": earlier })
        .sort(doc! { "k": -1 })
        .hint(index("nusku_queue"))
        .projection(doc! { "k": 1 })
        .await?;
    let done = last.and_then(|last| integer(&last, "k")).unwrap_or(0);
    let unnoted = doc! { "_id": id, DONE: Bson::Null };
    store.subscriptions.update_one(unnoted, doc! { "$set": { DONE: int(done) } }).await?;
    Ok(())
}

/// The marker behind which a queue made anew must begin, for its subscriptions to be
/// told of what comes: its past may be forgotten, but not where they are.
pub async fn floor(store: &Store, queue: &QueueKey) -> OpResult<i64> {
    let furthest = store
        .subscriptions
        .find_one(of_queue(queue))
        .sort(doc! { DONE: -1 })
        .hint(index("nusku_queue"))
        .await?;
    let done = |record: &RawDocument| state::progress(record).map_or(0, |progress| progress.done);
    let done = furthest.as_deref().map_or(0, done);
    Ok(i64::try_from(done).unwrap_or(0))
}
