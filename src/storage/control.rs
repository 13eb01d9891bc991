//! What is known about stores: pools, flavors, and the catalogue of which queue
//! is in which pool.

use async_trait::async_trait;

use super::Result;
use crate::model::{Flavor, FlavorName, Placement, Pool, PoolName, ProjectId, QueueKey};

/// Keeps the records of pools.
#[async_trait]
pub trait PoolController: Send + Sync {
    /// Makes the pool, or replaces the one of that name.
    ///
    /// # Errors
    ///
    /// [`super::Error::PoolUriInUse`] if another pool has that very URI;
    /// [`super::Error::PoolIsInUse`] if the URI or the options of a pool would
    /// change that the catalogue names.
    async fn put(&self, pool: &Pool) -> Result<()>;

    /// The pool, if it exists.
    async fn get(&self, name: &PoolName) -> Result<Option<Pool>>;

    /// Up to `limit` pools with names behind `marker`, ascending by name.
    async fn list(&self, marker: Option<&str>, limit: u32) -> Result<Vec<Pool>>;

    /// All pools of that flavor, or all that have none, ascending by name.
    async fn of_flavor(&self, flavor: Option<&FlavorName>) -> Result<Vec<Pool>>;

    /// Gives these pools the flavor, whatever they had before, all or none. With
    /// `no_others`, every other pool loses it.
    ///
    /// # Errors
    ///
    /// [`super::Error::PoolDoesNotExist`] for the first that does not exist.
    async fn label(&self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()>;

    /// Removes the pool. A missing pool is no error.
    ///
    /// # Errors
    ///
    /// [`super::Error::PoolIsInUse`] if the catalogue names it.
    async fn delete(&self, name: &PoolName) -> Result<()>;
}

/// Keeps the records of flavors.
#[async_trait]
pub trait FlavorController: Send + Sync {
    /// Makes the flavor, or replaces the one of that name in its project.
    async fn put(&self, flavor: &Flavor) -> Result<()>;

    /// The flavor, if the project has it.
    async fn get(&self, project: &ProjectId, name: &FlavorName) -> Result<Option<Flavor>>;

    /// Up to `limit` of the project's flavors with names behind `marker`,
    /// ascending by name.
    async fn list(
        &self,
        project: &ProjectId,
        marker: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Flavor>>;

    /// Removes the flavor. A missing one is no error.
    async fn delete(&self, project: &ProjectId, name: &FlavorName) -> Result<()>;
}

/// Knows which pool each queue is in. It is asked often and never remembers
/// what it was asked: whoever asks does.
#[async_trait]
pub trait CatalogueController: Send + Sync {
    /// Where the queue is; `None` if it was not placed.
    async fn get(&self, queue: &QueueKey) -> Result<Option<Placement>>;

    /// Places the queue in `pool` unless it is placed already; returns where it
    /// is then. Of several at once, one is the first.
    ///
    /// # Errors
    ///
    /// [`super::Error::PoolDoesNotExist`].
    async fn place(&self, queue: &QueueKey, pool: &PoolName) -> Result<Placement>;

    /// Replaces the entry if it still equals `expected`; tells whether it did.
    ///
    /// # Errors
    ///
    /// [`super::Error::PoolDoesNotExist`] for that of the new entry, if it is
    /// another one.
    async fn change(
        &self,
        queue: &QueueKey,
        expected: &Placement,
        placement: &Placement,
    ) -> Result<bool>;

    /// Removes the entry if it still equals `expected`; tells whether it did.
    async fn remove(&self, queue: &QueueKey, expected: &Placement) -> Result<bool>;

    /// How many queues are in the pool, counted up to `most`.
    async fn count(&self, pool: &PoolName, most: u64) -> Result<u64>;
}

/// Why a store without pools has none.
pub const NO_POOLS: &str = "this store keeps no pools";

/// A store that keeps no pools.
pub struct NoPools;

fn none<T>() -> Result<T> {
    Err(super::Error::Unavailable(NO_POOLS.to_owned()))
}

#[async_trait]
impl PoolController for NoPools {
    async fn put(&self, _: &Pool) -> Result<()> {
        none()
    }

    async fn get(&self, _: &PoolName) -> Result<Option<Pool>> {
        none()
    }

    async fn list(&self, _: Option<&str>, _: u32) -> Result<Vec<Pool>> {
        none()
    }

    async fn of_flavor(&self, _: Option<&FlavorName>) -> Result<Vec<Pool>> {
        none()
    }

    async fn label(&self, _: &FlavorName, _: &[PoolName], _: bool) -> Result<()> {
        none()
    }

    async fn delete(&self, _: &PoolName) -> Result<()> {
        none()
    }
}

#[async_trait]
impl FlavorController for NoPools {
    async fn put(&self, _: &Flavor) -> Result<()> {
        none()
    }

    async fn get(&self, _: &ProjectId, _: &FlavorName) -> Result<Option<Flavor>> {
        none()
    }

    async fn list(&self, _: &ProjectId, _: Option<&str>, _: u32) -> Result<Vec<Flavor>> {
        none()
    }

    async fn delete(&self, _: &ProjectId, _: &FlavorName) -> Result<()> {
        none()
    }
}

#[async_trait]
impl CatalogueController for NoPools {
    async fn get(&self, _: &QueueKey) -> Result<Option<Placement>> {
        none()
    }

    async fn place(&self, _: &QueueKey, _: &PoolName) -> Result<Placement> {
        none()
    }

    async fn change(&self, _: &QueueKey, _: &Placement, _: &Placement) -> Result<bool> {
        none()
    }

    async fn remove(&self, _: &QueueKey, _: &Placement) -> Result<bool> {
        none()
    }

    async fn count(&self, _: &PoolName, _: u64) -> Result<u64> {
        none()
    }
}
