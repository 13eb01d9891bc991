//! Claims: create, look at, renew, release.

use async_trait::async_trait;

use super::MongodbDriver;
use crate::model::{Claim, ClaimId, ClaimOrder, QueueKey, Timestamp};
use crate::storage::{ClaimController, Error, Result};

#[async_trait]
impl ClaimController for MongodbDriver {
    async fn create(
        &self,
        _key: &QueueKey,
        _order: &ClaimOrder,
        _now: Timestamp,
    ) -> Result<Option<Claim>> {
        Ok(None)
    }

    async fn get(&self, key: &QueueKey, id: ClaimId, _now: Timestamp) -> Result<Claim> {
        Err(Error::ClaimDoesNotExist(key.clone(), id))
    }

    async fn renew(
        &self,
        _key: &QueueKey,
        _id: ClaimId,
        _ttl: u32,
        _grace: u32,
        _now: Timestamp,
    ) -> Result<()> {
        Ok(())
    }

    async fn release(&self, _key: &QueueKey, _id: ClaimId, _now: Timestamp) -> Result<()> {
        Ok(())
    }
}
