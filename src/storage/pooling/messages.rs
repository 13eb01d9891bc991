//! Messages, each call in the pool of its queue.

use async_trait::async_trait;

use super::PoolRouter;
use crate::model::{
    ClaimId, ClientId, ListQuery, MessageId, NewMessage, QueueKey, Stats, StoredMessage, Timestamp,
};
use crate::storage::{Error, MessageController, Result};

#[async_trait]
impl MessageController for PoolRouter {
    async fn post(
        &self,
        queue: &QueueKey,
        client: &ClientId,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        let Some(driver) = self.route(queue).await? else {
            return Err(Error::QueueDoesNotExist(queue.clone()));
        };
        let posted = driver.messages().post(queue, client, messages, now).await;
        if let Err(Error::QueueDoesNotExist(_)) = posted {
            // It may be in another pool by now: the next look shows.
            self.forget(queue);
        }
        posted
    }

    async fn list(
        &self,
        queue: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().list(queue, query, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn get(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().get(queue, ids, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn delete(
        &self,
        queue: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().delete(queue, id, claim, now).await,
            None => Ok(()),
        }
    }

    async fn delete_many(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().delete_many(queue, ids, claims, now).await,
            None => Ok(()),
        }
    }

    async fn pop(
        &self,
        queue: &QueueKey,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().pop(queue, limit, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn pop_these(
        &self,
        queue: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().pop_these(queue, ids, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn purge(&self, queue: &QueueKey, now: Timestamp) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().purge(queue, now).await,
            None => Ok(()),
        }
    }

    async fn stats(&self, queue: &QueueKey, now: Timestamp) -> Result<Stats> {
        match self.route(queue).await? {
            Some(driver) => driver.messages().stats(queue, now).await,
            None => Ok(Stats::default()),
        }
    }
}
