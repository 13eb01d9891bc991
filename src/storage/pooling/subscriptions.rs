//! Subscriptions, each call in the pool of its queue.

use async_trait::async_trait;

use super::PoolRouter;
use crate::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};
use crate::storage::{Error, Result, Subscribed, SubscriptionController};

#[async_trait]
impl SubscriptionController for PoolRouter {
    /// Who moves a queue marks it first, and then sees whether there are
    /// subscriptions. So one that was made before the mark is seen there, and one
    /// that may have come later is seen here, and not acknowledged.
    async fn create(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        let Some(driver) = self.route(queue).await? else {
            return Err(Error::QueueDoesNotExist(queue.clone()));
        };
        let pool = self.pool_of(queue).await?;
        let made = driver.subscriptions().create(queue, new, now).await?;
        let placement = self.parts.control.catalogue().get(queue).await?;
        let stays = match (&placement, &pool) {
            (Some(placement), Some(pool)) => placement.pool == *pool && placement.leaving.is_none(),
            (None, None) => true,
            _ => false,
        };
        if !stays {
            self.forget(queue);
            return Err(Error::Unavailable(format!("queue {queue} is on its way")));
        }
        Ok(made)
    }

    async fn get(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Subscription> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().get(queue, id, now).await,
            None => Err(Error::SubscriptionDoesNotExist(id)),
        }
    }

    async fn list(
        &self,
        queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().list(queue, marker, limit, now).await,
            None => Ok(Vec::new()),
        }
    }

    async fn update(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().update(queue, id, change, now).await,
            None => Err(Error::SubscriptionDoesNotExist(id)),
        }
    }

    async fn confirm(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().confirm(queue, id, confirmed, now).await,
            None => Err(Error::SubscriptionDoesNotExist(id)),
        }
    }

    async fn delete(&self, queue: &QueueKey, id: SubscriptionId) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().delete(queue, id).await,
            None => Ok(()),
        }
    }

    async fn purge(&self, queue: &QueueKey) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.subscriptions().purge(queue).await,
            None => Ok(()),
        }
    }
}
