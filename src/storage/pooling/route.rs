//! Where a queue is.

use std::sync::Arc;
use std::time::Instant;

use super::PoolRouter;
use super::slots::Slot;
use crate::model::{PoolName, QueueKey};
use crate::storage::{DataDriver, Result};

impl PoolRouter {
    /// The driver of the store that the queue is in; `None` if it is in none.
    ///
    /// What another process changed may be seen only once what is remembered has
    /// had its time. Until then a pool that the queue has left answers as for
    /// one that does not exist, which every caller can deal with.
    pub(super) async fn route(&self, queue: &QueueKey) -> Result<Option<Arc<dyn DataDriver>>> {
        match self.slot_of(queue).await? {
            Some(slot) => slot.driver(&self.parts.opener).await.map(Some),
            None => Ok(self.parts.virtual_pool.then(|| Arc::clone(&self.parts.own))),
        }
    }

    /// The pool that the queue is in, as far as is remembered.
    ///
    /// # Errors
    ///
    /// [`crate::storage::Error::Unavailable`].
    pub async fn pool_of(&self, queue: &QueueKey) -> Result<Option<PoolName>> {
        Ok(self.slot_of(queue).await?.map(|slot| slot.name().clone()))
    }

    /// Forgets where a queue is, for that was changed, or may have been.
    pub fn forget(&self, queue: &QueueKey) {
        self.routes.forget(queue);
    }

    pub(super) async fn slot_of(&self, queue: &QueueKey) -> Result<Option<Arc<Slot>>> {
        let begun = Instant::now();
        if let Some(slot) = self.routes.get(queue, begun).filter(|slot| !slot.is_closed()) {
            return Ok(Some(slot));
        }
        let generation = self.routes.generation();
        let control = &self.parts.control;
        let Some(placement) = control.catalogue().get(queue).await? else { return Ok(None) };
        let found = self.slots.find(&placement.pool, control.pools()).await?;
        // A queue that is leaving soon is somewhere else.
        if let (Some(slot), None) = (&found, placement.leaving) {
            self.routes.learn(queue, Arc::clone(slot), generation, begun);
        }
        Ok(found)
    }
}
