//! Claims: create, look at, renew, release.

use super::{Field, Result, Service};
use crate::model::{Claim, QueueKey};

impl Service {
    /// Claims up to `limit` messages; `None` if there is nothing to claim.
    pub async fn create_claim(
        &self,
        queue: &QueueKey,
        limit: Option<i64>,
        ttl: Field,
        grace: Field,
    ) -> Result<Option<Claim>> {
        todo!()
    }

    /// A live claim and what it still holds.
    pub async fn get_claim(&self, queue: &QueueKey, id: &str) -> Result<Claim> {
        todo!()
    }

    /// Renews a claim; missing numbers become the server's defaults.
    pub async fn renew_claim(
        &self,
        queue: &QueueKey,
        id: &str,
        ttl: Field,
        grace: Field,
    ) -> Result<()> {
        todo!()
    }

    /// Ends a claim.
    pub async fn release_claim(&self, queue: &QueueKey, id: &str) -> Result<()> {
        todo!()
    }
}
