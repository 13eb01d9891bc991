//! What subscribers are still to be told of. Due messages lie in a collection of
//! nusku's own beside the messages; how far a subscription is stands in its record.
//!
//! They are read as a majority has them: a subscriber is told of nothing that a
//! change of primary can take back, and no marker is passed that somebody else may
//! get.

mod begin;
mod collect;
mod state;
mod take;

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

pub use self::begin::{floor, newest_marker, wait_for_posts};
pub use self::collect::slice as collect;
use self::state::{
    DONE, FAILURE, UNTIL, WORKER, failure_document, held_by, progress_fields, worker_id,
};
pub use self::state::{STATE, bound_to, new as new_state};
use super::MongodbDriver;
use super::document::{due, int, integer};
use super::error::OpResult;
use super::layout::{index, scoped, unscoped};
use super::store::Store;
use super::subscriptions::{by_id, live};
use crate::model::{QueueKey, SubscriptionId, Timestamp, WorkerId};
use crate::storage::{
    Delivery, DeliveryController, DueMessage, Failure, Progress, Result, TakeOrder,
};

/// Most bytes of due messages in one answer, if it has more than one.
const MOST_BYTES: usize = 4 << 20;

/// The greatest marker of what is due in the queue; `None` if nothing is.
async fn newest_due(store: &Store, queue: &QueueKey) -> OpResult<Option<i64>> {
    let newest = store
        .partition_of(queue)
        .settled_due
        .find_one(doc! { "p_q": scoped(queue) })
        .sort(doc! { "k": -1 })
        .hint(index("nusku_queue"))
        .projection(doc! { "_id": 0, "k": 1 })
        .await?;
    Ok(newest.and_then(|newest| integer(&newest, "k")))
}

/// All queues behind `after` that have due messages, ascending. Not by page: the
/// names of queues sort in another way than the texts they are part of here. The
/// server steps from one name to the next in the index.
async fn queues(store: &Store, after: Option<&QueueKey>) -> OpResult<Vec<QueueKey>> {
    let mut queues = Vec::new();
    for partition in &store.partitions {
        let mut cursor = partition
            .due
            .aggregate([doc! { "$group": { "_id": "$p_q" } }])
            .hint(index("nusku_queue"))
            .with_type::<RawDocumentBuf>()
            .await?;
        while cursor.advance().await? {
            let name = cursor.current().get_str("_id").ok();
            queues.extend(name.and_then(unscoped).filter(|queue| after < Some(queue)));
        }
    }
    queues.sort_unstable();
    Ok(queues)
}

async fn due(
    store: &Store,
    queue: &QueueKey,
    behind: Bson,
    limit: u32,
) -> OpResult<Vec<DueMessage>> {
    let mut cursor = store
        .partition_of(queue)
        .settled_due
        .find(doc! { "p_q": scoped(queue), "k": { "$gt": behind } })
        .sort(doc! { "k": 1 })
        .hint(index("nusku_queue"))
        .batch_size(limit.saturating_add(1))
        .await?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while found.len() < limit as usize && bytes < MOST_BYTES && cursor.advance().await? {
        match due::decode(cursor.current()) {
            Ok(message) => {
                bytes += message.body.as_bytes().len();
                found.push(message);
            }
            Err(foreign) => store.skip(&foreign),
        }
    }
    Ok(found)
}

/// Who asks for a change of what it holds.
struct Holder {
    queue: QueueKey,
    id: SubscriptionId,
    worker: WorkerId,
    now: Timestamp,
}

impl Holder {
    /// Changes the subscription if the worker holds it; whether it did.
    async fn change(&self, store: &Store, change: Document) -> OpResult<bool> {
        let mut held = live(&self.queue, self.id, self.now);
        held.extend(held_by(self.worker, self.now));
        Ok(store.subscriptions.update_one(held, change).await?.matched_count > 0)
    }

    /// Lets go first and looks then: what becomes due after the look is announced
    /// when nobody holds the subscription any more. `let_go` remembers over
    /// repetitions that it was done.
    async fn release(
        &self,
        store: &Store,
        progress: Progress,
        let_go: &AtomicBool,
    ) -> OpResult<bool> {
        let change = doc! { "$set": progress_fields(progress), "$unset": { WORKER: "" } };
        let repeated = let_go.swap(true, Ordering::Relaxed);
        if !self.change(store, change).await? && !repeated {
            return Ok(false);
        }
        let newest = newest_due(store, &self.queue).await?;
        let newest = newest.and_then(|newest| u64::try_from(newest).ok());
        if newest.is_none_or(|newest| newest <= progress.done) {
            return Ok(false);
        }
        // What it still had of its time, unless somebody was quicker.
        let mut free = live(&self.queue, self.id, self.now);
        free.insert(DONE, state::marker(progress.done));
        free.insert(WORKER, Bson::Null);
        free.insert(UNTIL, doc! { "$gt": self.now.seconds() });
        let back = doc! { "$set": { WORKER: worker_id(self.worker) } };
        Ok(store.subscriptions.update_one(free, back).await?.matched_count > 0)
    }
}

#[async_trait]
impl DeliveryController for MongodbDriver {
    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Result<Vec<QueueKey>> {
        let after = after.cloned();
        self.run(move |engine| async move {
            let store = &engine.store;
            let mut found = store.patience.persist(|| queues(store, after.as_ref())).await?;
            found.truncate(limit as usize);
            Ok(found)
        })
        .await
    }

    async fn take(
        &self,
        queue: &QueueKey,
        order: TakeOrder,
        now: Timestamp,
    ) -> Result<Vec<Delivery>> {
        let queue = queue.clone();
        self.run(move |engine| async move { take::take(&engine.store, &queue, order, now).await })
            .await
    }

    async fn due(&self, queue: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>> {
        let (queue, behind) = (queue.clone(), state::marker(behind));
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| due(store, &queue, behind.clone(), limit)).await
        })
        .await
    }

    async fn note(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        failure: Option<Failure>,
        hold: u32,
        now: Timestamp,
    ) -> Result<bool> {
        let holder = Holder { queue: queue.clone(), id, worker, now };
        let mut fields = progress_fields(progress);
        fields.insert(UNTIL, int(now.plus(hold).seconds()));
        if let Some(failure) = failure {
            fields.insert(FAILURE, failure_document(&failure));
        }
        self.run(move |engine| async move {
            let store = &engine.store;
            let note = || holder.change(store, doc! { "$set": fields.clone() });
            store.patience.persist(note).await
        })
        .await
    }

    async fn release(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool> {
        let holder = Holder { queue: queue.clone(), id, worker, now };
        self.run(move |engine| async move {
            let (store, let_go) = (&engine.store, &AtomicBool::new(false));
            store.patience.persist(|| holder.release(store, progress, let_go)).await
        })
        .await
    }

    async fn drop_hold(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
    ) -> Result<()> {
        let mut held = by_id(queue, id);
        held.insert(WORKER, worker_id(worker));
        self.run(move |engine| async move {
            let store = &engine.store;
            let drop_hold = || async {
                let let_go = doc! { "$unset": { WORKER: "" } };
                store.subscriptions.update_one(held.clone(), let_go).await?;
                Ok(())
            };
            store.patience.persist(drop_hold).await
        })
        .await
    }

    async fn last_failure(&self, queue: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>> {
        let filter = by_id(queue, id);
        self.run(move |engine| async move {
            let store = &engine.store;
            let read = || async {
                let found = store.subscriptions.find_one(filter.clone()).await?;
                Ok(found.and_then(|record| state::failure(&record)))
            };
            store.patience.persist(read).await
        })
        .await
    }
}
