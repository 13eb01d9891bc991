//! The model's pools, flavors, catalogue, and queues placed by another store.

use async_trait::async_trait;
use nusku::model::{Flavor, FlavorName, Placement, Pool, PoolName, ProjectId, QueueKey};
use nusku::storage::{CatalogueController, Error, FlavorController, PoolController, Result};

use super::{ModelDriver, Queue, State};

impl State {
    fn is_used(&self, pool: &PoolName) -> bool {
        self.catalogue.values().any(|placement| placement.pool == *pool)
    }

    fn require_pool(&self, pool: &PoolName) -> Result<()> {
        let there = self.pools.contains_key(pool);
        there.then_some(()).ok_or_else(|| Error::PoolDoesNotExist(pool.clone()))
    }

    fn refuse_if_used(&self, pool: &PoolName) -> Result<()> {
        if self.is_used(pool) { Err(Error::PoolIsInUse(pool.clone())) } else { Ok(()) }
    }

    fn put_pool(&mut self, pool: &Pool) -> Result<()> {
        if self.pools.values().any(|it| it.uri == pool.uri && it.name != pool.name) {
            return Err(Error::PoolUriInUse(pool.name.clone()));
        }
        if let Some(old) = self.pools.get(&pool.name)
            && (&old.uri, &old.options) != (&pool.uri, &pool.options)
        {
            self.refuse_if_used(&pool.name)?;
        }
        self.pools.insert(pool.name.clone(), pool.clone());
        Ok(())
    }

    fn label(&mut self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()> {
        pools.iter().try_for_each(|pool| self.require_pool(pool))?;
        for pool in self.pools.values_mut() {
            if pools.contains(&pool.name) {
                pool.flavor = Some(flavor.clone());
            } else if no_others && pool.flavor.as_ref() == Some(flavor) {
                pool.flavor = None;
            }
        }
        Ok(())
    }

    pub(super) fn adopt(&mut self, queue: &QueueKey, first_marker: u64) {
        if !self.queues.contains_key(queue) {
            self.queues.insert(queue.clone(), Queue { placed: true, ..Queue::default() });
            let last = self.last_markers.entry(queue.clone()).or_default();
            *last = (*last).max(first_marker.saturating_sub(1));
        }
    }

    pub(super) fn abandon(&mut self, queue: &QueueKey, only_if_empty: bool) -> Option<u64> {
        let Some(there) = self.queues.get(queue).filter(|queue| queue.placed) else {
            return Some(0);
        };
        if only_if_empty && !there.messages.is_empty() {
            return None;
        }
        self.queues.remove(queue);
        Some(self.last_markers.get(queue).copied().unwrap_or_default() + 1)
    }
}

#[async_trait]
impl PoolController for ModelDriver {
    async fn put(&self, pool: &Pool) -> Result<()> {
        self.state().put_pool(pool)
    }

    async fn get(&self, name: &PoolName) -> Result<Option<Pool>> {
        Ok(self.state().pools.get(name).cloned())
    }

    async fn list(&self, marker: Option<&str>, limit: u32) -> Result<Vec<Pool>> {
        let state = self.state();
        let behind = |pool: &&Pool| marker.is_none_or(|it| pool.name.as_str() > it);
        Ok(state.pools.values().filter(behind).take(limit as usize).cloned().collect())
    }

    async fn of_flavor(&self, flavor: Option<&FlavorName>) -> Result<Vec<Pool>> {
        let state = self.state();
        Ok(state.pools.values().filter(|it| it.flavor.as_ref() == flavor).cloned().collect())
    }

    async fn label(&self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()> {
        self.state().label(flavor, pools, no_others)
    }

    async fn delete(&self, name: &PoolName) -> Result<()> {
        let mut state = self.state();
        state.refuse_if_used(name)?;
        state.pools.remove(name);
        Ok(())
    }
}

#[async_trait]
impl FlavorController for ModelDriver {
    async fn put(&self, flavor: &Flavor) -> Result<()> {
        let key = (flavor.project.clone(), flavor.name.clone());
        self.state().flavors.insert(key, flavor.clone());
        Ok(())
    }

    async fn get(&self, project: &ProjectId, name: &FlavorName) -> Result<Option<Flavor>> {
        Ok(self.state().flavors.get(&(project.clone(), name.clone())).cloned())
    }

    async fn list(
        &self,
        project: &ProjectId,
        marker: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Flavor>> {
        let state = self.state();
        let own = |flavor: &&Flavor| flavor.project == *project;
        let behind = |flavor: &&Flavor| marker.is_none_or(|it| flavor.name.as_str() > it);
        let found = state.flavors.values().filter(own).filter(behind);
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn delete(&self, project: &ProjectId, name: &FlavorName) -> Result<()> {
        self.state().flavors.remove(&(project.clone(), name.clone()));
        Ok(())
    }
}

#[async_trait]
impl CatalogueController for ModelDriver {
    async fn get(&self, queue: &QueueKey) -> Result<Option<Placement>> {
        Ok(self.state().catalogue.get(queue).cloned())
    }

    async fn place(&self, queue: &QueueKey, pool: &PoolName) -> Result<Placement> {
        let mut state = self.state();
        if let Some(there) = state.catalogue.get(queue) {
            return Ok(there.clone());
        }
        state.require_pool(pool)?;
        let placement = Placement { pool: pool.clone(), leaving: None };
        state.catalogue.insert(queue.clone(), placement.clone());
        Ok(placement)
    }

    async fn change(
        &self,
        queue: &QueueKey,
        expected: &Placement,
        placement: &Placement,
    ) -> Result<bool> {
        let mut state = self.state();
        if state.catalogue.get(queue) != Some(expected) {
            return Ok(false);
        }
        if placement.pool != expected.pool {
            state.require_pool(&placement.pool)?;
        }
        state.catalogue.insert(queue.clone(), placement.clone());
        Ok(true)
    }

    async fn remove(&self, queue: &QueueKey, expected: &Placement) -> Result<bool> {
        let mut state = self.state();
        let is_there = state.catalogue.get(queue) == Some(expected);
        if is_there {
            state.catalogue.remove(queue);
        }
        Ok(is_there)
    }

    async fn count(&self, pool: &PoolName, most: u64) -> Result<u64> {
        let state = self.state();
        let there = state.catalogue.values().filter(|it| it.pool == *pool).count() as u64;
        Ok(there.min(most))
    }
}
