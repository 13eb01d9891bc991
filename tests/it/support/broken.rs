//! A store that cannot answer anything.

use std::sync::Arc;

use async_trait::async_trait;
use nusku::model::{
    ClaimId, ClaimOrder, ClientId, ListQuery, MessageId, Metadata, NewMessage, NewSubscription,
    ProjectId, QueueFilter, QueueKey, QueueKind, QueueRecord, Stats, StoredClaim, StoredMessage,
    Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};
use nusku::storage::{
    ClaimController, Collected, ControlDriver, DataDriver, Error, MessageController,
    QueueController, Result, Storage, Subscribed, SubscriptionController, Volume,
};

/// The reason that no client may ever see.
pub const REASON: &str = "disk sda1 is on fire";

struct Broken;

/// Both halves of the store.
pub fn storage() -> Storage {
    Storage { control: Arc::new(Broken), data: Arc::new(Broken) }
}

fn fail<T>() -> Result<T> {
    Err(Error::Unavailable(REASON.into()))
}

impl ControlDriver for Broken {
    fn queues(&self) -> &dyn QueueController {
        self
    }
}

#[async_trait]
impl DataDriver for Broken {
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
        fail()
    }
    async fn gc(&self, _: Timestamp) -> Result<Collected> {
        fail()
    }
    async fn volume(&self, _: Timestamp) -> Result<Volume> {
        fail()
    }
    async fn close(&self) {}
}

#[async_trait]
impl QueueController for Broken {
    async fn create(&self, _: &QueueKey, _: &Metadata) -> Result<bool> {
        fail()
    }
    async fn metadata(&self, _: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        fail()
    }
    async fn set_metadata(&self, _: &QueueKey, _: &Metadata, _: &Metadata) -> Result<()> {
        fail()
    }
    async fn delete(&self, _: &QueueKey) -> Result<()> {
        fail()
    }
    async fn list(&self, _: &ProjectId, _: &QueueFilter) -> Result<Vec<QueueRecord>> {
        fail()
    }
    async fn count(&self, _: &ProjectId, _: QueueKind) -> Result<u64> {
        fail()
    }
}

#[async_trait]
impl MessageController for Broken {
    async fn post(
        &self,
        _: &QueueKey,
        _: &ClientId,
        _: Vec<NewMessage>,
        _: Timestamp,
    ) -> Result<Vec<MessageId>> {
        fail()
    }
    async fn list(&self, _: &QueueKey, _: &ListQuery, _: Timestamp) -> Result<Vec<StoredMessage>> {
        fail()
    }
    async fn get(&self, _: &QueueKey, _: &[MessageId], _: Timestamp) -> Result<Vec<StoredMessage>> {
        fail()
    }
    async fn delete(
        &self,
        _: &QueueKey,
        _: MessageId,
        _: Option<ClaimId>,
        _: Timestamp,
    ) -> Result<()> {
        fail()
    }
    async fn delete_many(
        &self,
        _: &QueueKey,
        _: &[MessageId],
        _: Option<&[ClaimId]>,
        _: Timestamp,
    ) -> Result<()> {
        fail()
    }
    async fn pop(&self, _: &QueueKey, _: u32, _: Timestamp) -> Result<Vec<StoredMessage>> {
        fail()
    }
    async fn pop_these(
        &self,
        _: &QueueKey,
        _: &[MessageId],
        _: Timestamp,
    ) -> Result<Vec<MessageId>> {
        fail()
    }
    async fn purge(&self, _: &QueueKey, _: Timestamp) -> Result<()> {
        fail()
    }
    async fn stats(&self, _: &QueueKey, _: Timestamp) -> Result<Stats> {
        fail()
    }
}

#[async_trait]
impl ClaimController for Broken {
    async fn create(
        &self,
        _: &QueueKey,
        _: &ClaimOrder,
        _: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        fail()
    }
    async fn get(&self, _: &QueueKey, _: ClaimId, _: Timestamp) -> Result<StoredClaim> {
        fail()
    }
    async fn renew(&self, _: &QueueKey, _: ClaimId, _: u32, _: u32, _: Timestamp) -> Result<()> {
        fail()
    }
    async fn release(&self, _: &QueueKey, _: ClaimId, _: Timestamp) -> Result<()> {
        fail()
    }
}

#[async_trait]
impl SubscriptionController for Broken {
    async fn create(&self, _: &QueueKey, _: NewSubscription, _: Timestamp) -> Result<Subscribed> {
        fail()
    }
    async fn get(&self, _: &QueueKey, _: SubscriptionId, _: Timestamp) -> Result<Subscription> {
        fail()
    }
    async fn list(
        &self,
        _: &QueueKey,
        _: Option<SubscriptionId>,
        _: u32,
        _: Timestamp,
    ) -> Result<Vec<Subscription>> {
        fail()
    }
    async fn update(
        &self,
        _: &QueueKey,
        _: SubscriptionId,
        _: SubscriptionChange,
        _: Timestamp,
    ) -> Result<()> {
        fail()
    }
    async fn confirm(&self, _: &QueueKey, _: SubscriptionId, _: bool, _: Timestamp) -> Result<()> {
        fail()
    }
    async fn delete(&self, _: &QueueKey, _: SubscriptionId) -> Result<()> {
        fail()
    }
    async fn purge(&self, _: &QueueKey) -> Result<()> {
        fail()
    }
}
