//! Taking hold of subscriptions: conditions on their records say who may, so that of
//! several processes one gets each.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::state::{BOUND_TO, DONE, TAKE, UNTIL, WORKER, progress, worker_id};
use super::{begin, newest_due};
use crate::model::{QueueKey, Timestamp};
use crate::storage::mongodb::document::int;
use crate::storage::mongodb::error::OpResult;
use crate::storage::mongodb::layout::index;
use crate::storage::mongodb::store::Store;
use crate::storage::mongodb::subscriptions::{alive, of_queue, read};
use crate::storage::{Delivery, Result, TakeOrder};

/// What is looked for.
struct Search<'a> {
    store: &'a Store,
    queue: &'a QueueKey,
    order: TakeOrder,
    now: Timestamp,
    /// The greatest marker of what is due.
    newest: i64,
}

/// A subscription that could be taken a moment ago.
struct Candidate {
    id: ObjectId,
    /// Whether it is noted how far it is.
    has_begun: bool,
}

/// See [`crate::storage::DeliveryController::take`].
pub async fn take(
    store: &Store,
    queue: &QueueKey,
    order: TakeOrder,
    now: Timestamp,
) -> Result<Vec<Delivery>> {
    let newest = store.patience.persist(|| newest_due(store, queue)).await?;
    let Some(newest) = newest else { return Ok(Vec::new()) };
    let search = Search { store, queue, order, now, newest };
    let limit = order.limit as usize;
    let mut behind = order.behind.map(|id| ObjectId::from_bytes(id.bytes()));
    let mut taken = Vec::new();
    while taken.len() < limit {
        let wanted = limit - taken.len();
        let found = store.patience.persist(|| search.candidates(behind, wanted)).await?;
        let Some(last) = found.last() else { break };
        behind = Some(last.id);
        taken.extend(search.hold(&found).await?);
        if found.len() < wanted {
            break;
        }
    }
    Ok(taken)
}

impl Search<'_> {
    /// Live subscriptions of the queue that this worker may take.
    fn eligible(&self) -> Document {
        let worker = worker_id(self.order.worker);
        let mut filter = of_queue(self.queue);
        filter.extend(alive(self.now));
        filter.insert(BOUND_TO, doc! { "$in": [Bson::Null, worker] });
        filter
    }

    /// What nobody holds.
    fn free(&self) -> [Document; 2] {
        [doc! { WORKER: Bson::Null }, doc! { UNTIL: { "$lte": self.now.seconds() } }]
    }

    async fn candidates(
        &self,
        behind: Option<ObjectId>,
        wanted: usize,
    ) -> OpResult<Vec<Candidate>> {
        let mut filter = self.eligible();
        let due = [doc! { DONE: { "$lt": self.newest } }, doc! { DONE: Bson::Null }];
        filter.insert("$and", [doc! { "$or": self.free() }, doc! { "$or": due }]);
        if let Some(behind) = behind {
            filter.insert("_id", doc! { "$gt": behind });
        }
        let mut cursor = self
            .store
            .subscriptions
            .find(filter)
            .sort(doc! { "_id": 1 })
            .hint(index("nusku_queue"))
            .projection(doc! { DONE: 1 })
            .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
            .await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            let record = cursor.current();
            let has_begun = progress(record).is_some();
            found.push(Candidate { id: record.get_object_id("_id")?, has_begun });
        }
        Ok(found)
    }

    /// Takes hold of those that are still free and have something due.
    async fn hold(&self, candidates: &[Candidate]) -> Result<Vec<Delivery>> {
        let patience = &self.store.patience;
        for it in candidates.iter().filter(|it| !it.has_begun) {
            patience.persist(|| begin::assign(self.store, self.queue, it.id)).await?;
        }
        let ids: Vec<_> = candidates.iter().map(|it| it.id).collect();
        // Tells what this call has taken from what another one of this worker has,
        // and lets it be repeated when its answer was lost.
        let take = ObjectId::new();
        patience.persist(|| self.mark(&ids, take)).await?;
        patience.persist(|| self.marked(&ids, take)).await
    }

    async fn mark(&self, ids: &[ObjectId], take: ObjectId) -> OpResult<()> {
        let mut filter = self.eligible();
        filter.insert("_id", doc! { "$in": ids });
        filter.insert(DONE, doc! { "$lt": self.newest });
        let [nobodys, over] = self.free();
        filter.insert("$or", [nobodys, over, doc! { TAKE: take }]);
        let until = self.now.plus(self.order.hold).seconds();
        let worker = worker_id(self.order.worker);
        let hold = doc! { "$set": { WORKER: worker, UNTIL: int(until), TAKE: take } };
        self.store.subscriptions.update_many(filter, hold).await?;
        Ok(())
    }

    async fn marked(&self, ids: &[ObjectId], take: ObjectId) -> OpResult<Vec<Delivery>> {
        let ours = doc! { "_id": { "$in": ids }, TAKE: take };
        let mut cursor = self.store.subscriptions.find(ours).sort(doc! { "_id": 1 }).await?;
        let mut taken = Vec::new();
        while cursor.advance().await? {
            taken.extend(self.delivery(cursor.current()));
        }
        Ok(taken)
    }

    fn delivery(&self, record: &RawDocument) -> Option<Delivery> {
        let subscription = read(self.store, record)?;
        Some(Delivery { subscription, progress: progress(record)? })
    }
}
