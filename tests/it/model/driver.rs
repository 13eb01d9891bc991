//! The model behind the storage traits: one lock around every method.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use async_trait::async_trait;
use nusku::model::{
    ClaimId, ClaimOrder, ClientId, ListQuery, MessageId, Metadata, NewMessage, ProjectId,
    QueueFilter, QueueKey, QueueKind, QueueRecord, Stats, StoredClaim, StoredMessage, Timestamp,
};
use nusku::storage::{
    CatalogueController, ClaimController, Collected, ControlDriver, DataDriver, DeliveryController,
    FlavorController, MessageController, PoolController, QueueController, Result,
    SubscriptionController, Volume, Watcher,
};

use super::State;

/// The reference driver. Holds its data until it is dropped.
#[derive(Default)]
pub struct ModelDriver {
    state: Mutex<State>,
    watcher: OnceLock<Arc<dyn Watcher>>,
}

impl ModelDriver {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl DataDriver for ModelDriver {
    fn messages(&self) -> &dyn MessageController {
        self
    }

    fn claims(&self) -> &dyn ClaimController {
        self
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryController {
        self
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    /// Of what is due; it tells nobody of arrivals.
    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        let _ = self.watcher.set(watcher);
    }

    async fn gc(&self, now: Timestamp) -> Result<Collected> {
        let mut state = self.state();
        state.end_subscriptions(now);
        state.collect_due(now);
        Ok(state.collect(now))
    }

    async fn adopt(&self, queue: &QueueKey, first_marker: u64) -> Result<()> {
        self.state().adopt(queue, first_marker);
        Ok(())
    }

    async fn abandon(&self, queue: &QueueKey, only_if_empty: bool) -> Result<Option<u64>> {
        Ok(self.state().abandon(queue, only_if_empty))
    }

    async fn volume(&self, now: Timestamp) -> Result<Volume> {
        Ok(self.state().at(now).volume(now))
    }

    async fn close(&self) {}
}

impl ControlDriver for ModelDriver {
    fn queues(&self) -> &dyn QueueController {
        self
    }

    fn pools(&self) -> &dyn PoolController {
        self
    }

    fn flavors(&self) -> &dyn FlavorController {
        self
    }

    fn catalogue(&self) -> &dyn CatalogueController {
        self
    }
}

#[async_trait]
impl QueueController for ModelDriver {
    async fn create(&self, queue: &QueueKey, metadata: &Metadata) -> Result<bool> {
        Ok(self.state().create_queue(queue, metadata))
    }

    async fn metadata(&self, queue: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        Ok(self
            .state()
            .queues
            .get(queue)
            .filter(|queue| !queue.placed)
            .map(|queue| Arc::clone(&queue.metadata)))
    }

    async fn set_metadata(
        &self,
        queue: &QueueKey,
        expected: &Metadata,
        metadata: &Metadata,
    ) -> Result<()> {
        self.state().set_metadata(queue, expected, metadata)
    }

    async fn delete(&self, queue: &QueueKey) -> Result<()> {
        let mut state = self.state();
        if state.queues.get(queue).is_some_and(|queue| !queue.placed) {
            state.queues.remove(queue);
        }
        Ok(())
    }

    async fn list(&self, project: &ProjectId, filter: &QueueFilter) -> Result<Vec<QueueRecord>> {
        Ok(self.state().list_queues(project, filter))
    }

    async fn count(&self, project: &ProjectId, kind: QueueKind) -> Result<u64> {
        let state = self.state();
        let is_one = |key: &QueueKey| key.project == *project && key.name.kind() == kind;
        let own = state.queues.iter().filter(|(key, _)| is_one(key));
        Ok(own.filter(|(_, queue)| !queue.placed).count() as u64)
    }
}

#[async_trait]
impl MessageController for ModelDriver {
    async fn post(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        let (ids, is_due) = self.state().at(now).post(queue, client, &messages, now)?;
        if let Some(watcher) = self.watcher.get().filter(|_| is_due) {
            watcher.due(queue);
        }
        Ok(ids)
    }

    async fn list(
        &self,
        queue: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        Ok(self.state().at(now).list(queue, query, now))
    }

    async fn get(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        Ok(self.state().at(now).get(queue, ids))
    }

    async fn delete(
        &self,
        queue: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()> {
        self.state().at(now).delete(queue, id, claim, now)
    }

    async fn delete_many(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()> {
        self.state().at(now).delete_many(queue, ids, claims, now)
    }

    async fn pop(
        &self,
        queue: &QueueKey,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        Ok(self.state().at(now).pop(queue, limit, now))
    }

    async fn pop_these(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        Ok(self.state().at(now).pop_these(queue, ids, now))
    }

    async fn purge(&self, queue: &QueueKey, now: Timestamp) -> Result<()> {
        self.state().at(now).remove(queue, |kept| !kept.is_claimed(now));
        Ok(())
    }

    async fn stats(&self, queue: &QueueKey, now: Timestamp) -> Result<Stats> {
        Ok(self.state().at(now).stats(queue, now))
    }
}

#[async_trait]
impl ClaimController for ModelDriver {
    async fn create(
        &self,
        queue: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        Ok(self.state().at(now).claim(queue, order, now))
    }

    async fn get(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim> {
        self.state().at(now).get_claim(queue, id, now)
    }

    async fn renew(
        &self,
        queue: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        self.state().at(now).renew(queue, id, ttl, grace, now)
    }

    async fn release(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<()> {
        self.state().at(now).release(queue, id, now);
        Ok(())
    }
}
