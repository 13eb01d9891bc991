//! A store that keeps nothing, for measuring what everything else costs.
//!
//! It acknowledges and forgets: a post gets ids that were never used, a claim
//! and a page get made-up messages, everything else succeeds. Never use it for
//! anything but a benchmark; the program says so when it starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    CatalogueController, ClaimController, Collected, ControlDriver, DataDriver, Error,
    FlavorController, MessageController, PoolController, QueueController, Result, Subscribed,
    SubscriptionController, Volume,
};
use crate::model::{
    Body, ClaimId, ClaimOrder, ClientId, Flavor, FlavorName, JsonText, ListQuery, MessageId,
    Metadata, NewMessage, NewSubscription, Placement, Pool, PoolName, ProjectId, QueueFilter,
    QueueKey, QueueKind, QueueRecord, Stats, StoredClaim, StoredMessage, Subscription,
    SubscriptionChange, SubscriptionId, Timestamp,
};

/// Bytes of a made-up body, a JSON string.
const BODY_BYTES: usize = 1024;

/// The store that keeps nothing.
pub struct DiscardDriver {
    next: AtomicU64,
    metadata: Arc<Metadata>,
    body: Body,
}

impl DiscardDriver {
    /// A new one.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let body = format!("\"{}\"", "x".repeat(BODY_BYTES - 2));
        Arc::new(Self {
            next: AtomicU64::new(1),
            metadata: Arc::default(),
            body: JsonText::from_checked(Bytes::from(body)).into(),
        })
    }

    fn numbers(&self, count: usize) -> std::ops::Range<u64> {
        let first = self.next.fetch_add(count as u64, Ordering::Relaxed);
        first..first + count as u64
    }

    fn messages_made_up(
        &self,
        count: u32,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Vec<StoredMessage> {
        let message = |number| StoredMessage {
            id: id(number, now),
            marker: number,
            ttl: 3600,
            created: now,
            claim,
            body: self.body.clone(),
            checksum: None,
        };
        self.numbers(count as usize).map(message).collect()
    }
}

fn id(number: u64, now: Timestamp) -> MessageId {
    MessageId::from_parts(u32::try_from(now.seconds()).unwrap_or(0), number)
}

impl ControlDriver for DiscardDriver {
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
impl DataDriver for DiscardDriver {
    fn messages(&self) -> &dyn MessageController {
        self
    }

    fn claims(&self) -> &dyn ClaimController {
        self
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn gc(&self, _: Timestamp) -> Result<Collected> {
        Ok(Collected::default())
    }

    async fn adopt(&self, _: &QueueKey, _: u64) -> Result<()> {
        Ok(())
    }

    async fn abandon(&self, _: &QueueKey, _: bool) -> Result<Option<u64>> {
        Ok(Some(self.next.load(Ordering::Relaxed)))
    }

    async fn volume(&self, _: Timestamp) -> Result<Volume> {
        Ok(Volume::default())
    }

    async fn close(&self) {}
}

#[async_trait]
impl QueueController for DiscardDriver {
    async fn create(&self, _: &QueueKey, _: &Metadata) -> Result<bool> {
        Ok(true)
    }

    async fn metadata(&self, _: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        Ok(Some(Arc::clone(&self.metadata)))
    }

    async fn set_metadata(&self, _: &QueueKey, _: &Metadata, _: &Metadata) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &QueueKey) -> Result<()> {
        Ok(())
    }

    async fn list(&self, _: &ProjectId, _: &QueueFilter) -> Result<Vec<QueueRecord>> {
        Ok(Vec::new())
    }

    async fn count(&self, _: &ProjectId, _: QueueKind) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl MessageController for DiscardDriver {
    async fn post(
        &self,
        _: &QueueKey,
        _: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        Ok(self.numbers(messages.len()).map(|number| id(number, now)).collect())
    }

    async fn list(
        &self,
        _: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        Ok(self.messages_made_up(query.limit, None, now))
    }

    async fn get(&self, _: &QueueKey, _: &[MessageId], _: Timestamp) -> Result<Vec<StoredMessage>> {
        Ok(Vec::new())
    }

    async fn delete(
        &self,
        _: &QueueKey,
        _: MessageId,
        _: Option<ClaimId>,
        _: Timestamp,
    ) -> Result<()> {
        Ok(())
    }

    async fn delete_many(
        &self,
        _: &QueueKey,
        _: &[MessageId],
        _: Option<&[ClaimId]>,
        _: Timestamp,
    ) -> Result<()> {
        Ok(())
    }

    async fn pop(&self, _: &QueueKey, limit: u32, now: Timestamp) -> Result<Vec<StoredMessage>> {
        Ok(self.messages_made_up(limit, None, now))
    }

    async fn pop_these(
        &self,
        _: &QueueKey,
        ids: &[MessageId],
        _: Timestamp,
    ) -> Result<Vec<MessageId>> {
        Ok(ids.to_vec())
    }

    async fn purge(&self, _: &QueueKey, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn stats(&self, _: &QueueKey, _: Timestamp) -> Result<Stats> {
        Ok(Stats::default())
    }
}

#[async_trait]
impl ClaimController for DiscardDriver {
    async fn create(
        &self,
        _: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        let id = ClaimId::from_parts(0, self.numbers(1).start);
        let messages = self.messages_made_up(order.limit, Some(id), now);
        Ok(Some(StoredClaim { id, ttl: order.ttl, expires: now.plus(order.ttl), messages }))
    }

    async fn get(&self, queue: &QueueKey, id: ClaimId, _: Timestamp) -> Result<StoredClaim> {
        Err(Error::ClaimDoesNotExist(queue.clone(), id))
    }

    async fn renew(&self, _: &QueueKey, _: ClaimId, _: u32, _: u32, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn release(&self, _: &QueueKey, _: ClaimId, _: Timestamp) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SubscriptionController for DiscardDriver {
    async fn create(&self, _: &QueueKey, _: NewSubscription, now: Timestamp) -> Result<Subscribed> {
        let id = SubscriptionId::from_bytes(id(self.numbers(1).start, now).bytes());
        Ok(Subscribed::New(id))
    }

    async fn get(&self, _: &QueueKey, id: SubscriptionId, _: Timestamp) -> Result<Subscription> {
        Err(Error::SubscriptionDoesNotExist(id))
    }

    async fn list(
        &self,
        _: &QueueKey,
        _: Option<SubscriptionId>,
        _: u32,
        _: Timestamp,
    ) -> Result<Vec<Subscription>> {
        Ok(Vec::new())
    }

    async fn update(
        &self,
        _: &QueueKey,
        _: SubscriptionId,
        _: SubscriptionChange,
        _: Timestamp,
    ) -> Result<()> {
        Ok(())
    }

    async fn confirm(&self, _: &QueueKey, _: SubscriptionId, _: bool, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &QueueKey, _: SubscriptionId) -> Result<()> {
        Ok(())
    }

    async fn purge(&self, _: &QueueKey) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl PoolController for DiscardDriver {
    async fn put(&self, _: &Pool) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _: &PoolName) -> Result<Option<Pool>> {
        Ok(None)
    }

    async fn list(&self, _: Option<&str>, _: u32) -> Result<Vec<Pool>> {
        Ok(Vec::new())
    }

    async fn of_flavor(&self, _: Option<&FlavorName>) -> Result<Vec<Pool>> {
        Ok(Vec::new())
    }

    async fn label(&self, _: &FlavorName, _: &[PoolName], _: bool) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &PoolName) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl FlavorController for DiscardDriver {
    async fn put(&self, _: &Flavor) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _: &ProjectId, _: &FlavorName) -> Result<Option<Flavor>> {
        Ok(None)
    }

    async fn list(&self, _: &ProjectId, _: Option<&str>, _: u32) -> Result<Vec<Flavor>> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &ProjectId, _: &FlavorName) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl CatalogueController for DiscardDriver {
    async fn get(&self, _: &QueueKey) -> Result<Option<Placement>> {
        Ok(None)
    }

    async fn place(&self, _: &QueueKey, pool: &PoolName) -> Result<Placement> {
        Ok(Placement { pool: pool.clone(), leaving: None })
    }

    async fn change(&self, _: &QueueKey, _: &Placement, _: &Placement) -> Result<bool> {
        Ok(true)
    }

    async fn remove(&self, _: &QueueKey, _: &Placement) -> Result<bool> {
        Ok(true)
    }

    async fn count(&self, _: &PoolName, _: u64) -> Result<u64> {
        Ok(0)
    }
}
