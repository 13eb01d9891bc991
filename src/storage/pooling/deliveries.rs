//! What subscribers are still to be told of, each call in the pool where that is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::PoolRouter;
use super::slots::Slot;
use crate::model::{QueueKey, SubscriptionId, Timestamp, WorkerId};
use crate::storage::{
    DataDriver, Delivery, DeliveryController, DueMessage, Error, Failure, Progress, Result,
    TakeOrder,
};

/// How long it is remembered where a deleted queue left something due.
pub const MEMORY: Duration = Duration::from_secs(10);

impl PoolRouter {
    /// The store that has what is due in the queue. That is where the queue is, or,
    /// if it was deleted, where it was: what was posted to it is still told. What a
    /// queue left in one pool waits while it is in another one.
    async fn due_in(&self, queue: &QueueKey) -> Result<Option<Arc<dyn DataDriver>>> {
        if let Some(slot) = self.slot_of(queue).await? {
            return slot.driver(&self.parts.opener).await.map(Some);
        }
        let begun = Instant::now();
        if let Some(slot) = self.leftovers.get(queue, begun).filter(|it| !it.is_closed()) {
            return slot.driver(&self.parts.opener).await.map(Some);
        }
        let generation = self.leftovers.generation();
        let Some(slot) = self.find_leftovers(queue).await? else {
            return Ok(self.parts.virtual_pool.then(|| Arc::clone(&self.parts.own)));
        };
        self.leftovers.learn(queue, Arc::clone(&slot), generation, begun);
        slot.driver(&self.parts.opener).await.map(Some)
    }

    /// The first pool that has something due in a queue that is in none.
    async fn find_leftovers(&self, queue: &QueueKey) -> Result<Option<Arc<Slot>>> {
        if self.parts.virtual_pool && has_due(self.parts.own.as_ref(), queue).await? {
            return Ok(None);
        }
        for slot in self.all_slots().await? {
            let looked = async {
                let driver = slot.driver(&self.parts.opener).await?;
                has_due(driver.as_ref(), queue).await
            };
            if self.bounded(&slot, looked).await == Some(true) {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    async fn all_slots(&self) -> Result<Vec<Arc<Slot>>> {
        Ok(self.pools().await?.iter().map(|pool| self.slots.of(pool)).collect())
    }

    /// What a pool answers; `None` if it does not, or not in time: it is told to
    /// the log, and the others go on.
    async fn bounded<T>(&self, slot: &Slot, answer: impl Future<Output = Result<T>>) -> Option<T> {
        let late = |_| Err(Error::Unavailable("it takes too long to answer".to_owned()));
        let answer = tokio::time::timeout(self.parts.probe_timeout, answer).await;
        slot.due(answer.unwrap_or_else(late))
    }
}

async fn has_due(driver: &dyn DataDriver, queue: &QueueKey) -> Result<bool> {
    Ok(!driver.deliveries().due(queue, 0, 1).await?.is_empty())
}

#[async_trait]
impl DeliveryController for PoolRouter {
    /// Those of all pools that answer, and of the server's own store.
    async fn queues(&self, after: Option<&QueueKey>, limit: u32) -> Result<Vec<QueueKey>> {
        let slots = self.all_slots().await?;
        let pools = join_all(slots.iter().map(|slot| {
            self.bounded(slot, async {
                let driver = slot.driver(&self.parts.opener).await?;
                driver.deliveries().queues(after, limit).await
            })
        }));
        let own = async {
            if !self.parts.virtual_pool {
                return Ok(Vec::new());
            }
            self.parts.own.deliveries().queues(after, limit).await
        };
        let (own, pools) = tokio::join!(own, pools);
        let mut all: Vec<_> = pools.into_iter().flatten().flatten().chain(own?).collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn take(
        &self,
        queue: &QueueKey,
        order: TakeOrder,
        now: Timestamp,
    ) -> Result<Vec<Delivery>> {
        match self.due_in(queue).await? {
            Some(driver) => driver.deliveries().take(queue, order, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn due(&self, queue: &QueueKey, behind: u64, limit: u32) -> Result<Vec<DueMessage>> {
        match self.due_in(queue).await? {
            Some(driver) => driver.deliveries().due(queue, behind, limit).await,
            None => Ok(Vec::new()),
        }
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
        let Some(driver) = self.due_in(queue).await? else { return Ok(false) };
        driver.deliveries().note(queue, id, worker, progress, failure, hold, now).await
    }

    async fn release(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
        progress: Progress,
        now: Timestamp,
    ) -> Result<bool> {
        match self.due_in(queue).await? {
            Some(driver) => driver.deliveries().release(queue, id, worker, progress, now).await,
            None => Ok(false),
        }
    }

    async fn drop_hold(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        worker: WorkerId,
    ) -> Result<()> {
        match self.due_in(queue).await? {
            Some(driver) => driver.deliveries().drop_hold(queue, id, worker).await,
            None => Ok(()),
        }
    }

    async fn last_failure(&self, queue: &QueueKey, id: SubscriptionId) -> Result<Option<Failure>> {
        match self.due_in(queue).await? {
            Some(driver) => driver.deliveries().last_failure(queue, id).await,
            None => Ok(None),
        }
    }
}
