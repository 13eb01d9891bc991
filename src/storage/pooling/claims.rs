//! Claims, each call in the pool of its queue.

use async_trait::async_trait;

use super::PoolRouter;
use crate::model::{ClaimId, ClaimOrder, QueueKey, StoredClaim, Timestamp};
use crate::storage::{ClaimController, Error, Result};

#[async_trait]
impl ClaimController for PoolRouter {
    async fn create(
        &self,
        queue: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        match self.route(queue).await? {
            Some(driver) => driver.claims().create(queue, order, now).await,
            None => Ok(None),
        }
    }

    async fn get(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim> {
        match self.route(queue).await? {
            Some(driver) => driver.claims().get(queue, id, now).await,
            None => Err(Error::ClaimDoesNotExist(queue.clone(), id)),
        }
    }

    async fn renew(
        &self,
        queue: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.claims().renew(queue, id, ttl, grace, now).await,
            None => Err(Error::ClaimDoesNotExist(queue.clone(), id)),
        }
    }

    async fn release(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.claims().release(queue, id, now).await,
            None => Ok(()),
        }
    }
}
