//! The steps by which a queue comes into a pool and leaves it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{DESERTED, Placements, Wait, unavailable};
use crate::model::{Placement, PoolName, QueueKey, Timestamp};
use crate::service::Result;
use crate::storage::DataDriver;

impl Placements {
    /// Waits for whoever marked the queue, or does what a dead one left to do.
    pub(super) async fn await_end(
        &self,
        queue: &QueueKey,
        leaving: &Placement,
        wait: &Wait,
    ) -> Result<()> {
        match leaving.leaving {
            Some(since) if !self.is_deserted(since) => return wait.pause(queue).await,
            _ => {}
        }
        tracing::warn!(
            queue.name = %queue.name, project.id = %queue.project, pool.name = %leaving.pool,
            "the deletion or move of a queue was cut short; it is settled now"
        );
        if self.take_room(queue, &leaving.pool, true).await?.is_none() {
            self.unmark(queue, leaving).await;
        } else {
            self.control.catalogue().remove(queue, leaving).await?;
        }
        self.router.forget(queue);
        Ok(())
    }

    pub(super) fn is_deserted(&self, since: Timestamp) -> bool {
        self.clock.now().since(since) >= DESERTED
    }

    /// Marks the queue as leaving; `None` if somebody else was quicker.
    pub(super) async fn mark(
        &self,
        queue: &QueueKey,
        placement: &Placement,
    ) -> Result<Option<Placement>> {
        let leaving = Placement { pool: placement.pool.clone(), leaving: Some(self.clock.now()) };
        let marked = self.control.catalogue().change(queue, placement, &leaving).await?;
        self.router.forget(queue);
        Ok(marked.then_some(leaving))
    }

    /// Lets the queue stay where it is. If that fails, the mark is settled later.
    pub(super) async fn unmark(&self, queue: &QueueKey, leaving: &Placement) {
        let staying = Placement { leaving: None, ..leaving.clone() };
        let unmarked = self.control.catalogue().change(queue, leaving, &staying).await;
        if let Err(error) = unmarked {
            tracing::warn!(
                queue.name = %queue.name, project.id = %queue.project, %error,
                "a queue that could not leave its pool is still marked as leaving"
            );
        }
        self.router.forget(queue);
    }

    pub(super) async fn make_room(&self, queue: &QueueKey, pool: &PoolName) -> Result<()> {
        let Some(driver) = self.driver(pool).await? else {
            return unavailable(format!("pool {pool}, which queue {queue} is in, is gone"));
        };
        let first_marker = self.clock.micros().max(self.highest.load(Ordering::SeqCst));
        Ok(driver.adopt(queue, first_marker).await?)
    }

    /// `None` if it is not empty and had to be.
    pub(super) async fn take_room(
        &self,
        queue: &QueueKey,
        pool: &PoolName,
        only_if_empty: bool,
    ) -> Result<Option<()>> {
        // Somebody else may have removed the pool, which asked nobody.
        let Some(driver) = self.driver(pool).await? else { return Ok(Some(())) };
        let next = driver.abandon(queue, only_if_empty).await?;
        if let Some(next) = next {
            self.highest.fetch_max(next, Ordering::SeqCst);
        }
        Ok(next.map(|_| ()))
    }

    /// Takes back room that was made in a pool that the queue is not in.
    pub(super) async fn let_go(&self, queue: &QueueKey, pool: &PoolName) {
        let reason = match self.take_room(queue, pool, true).await {
            Ok(Some(())) => return,
            Ok(None) => "there are messages in it".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            queue.name = %queue.name, project.id = %queue.project, pool.name = %pool, reason,
            "a queue is in two pools"
        );
    }

    pub(super) async fn driver(&self, pool: &PoolName) -> Result<Option<Arc<dyn DataDriver>>> {
        match self.control.pools().get(pool).await? {
            Some(pool) => Ok(Some(self.router.driver(&pool).await?)),
            None => Ok(None),
        }
    }
}
