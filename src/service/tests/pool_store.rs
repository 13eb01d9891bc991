//! Pools in memory, which can be told to fail, and what is known about them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::fake::{Fake, NOW, id};
use crate::clock::Clock;
use crate::config::Settings;
use crate::model::{
    Capability, ClaimId, ClientId, Flavor, FlavorName, ListQuery, MessageId, NewMessage, Placement,
    Pool, PoolName, ProjectId, QueueKey, Stats, StoredMessage, Timestamp,
};
use crate::service::Service;
use crate::storage::pooling::{Parts, PoolOpener, PoolRouter};
use crate::storage::{
    CatalogueController, ClaimController, Collected, ControlDriver, DataDriver, Error,
    FlavorController, MessageController, PoolController, QueueController, Result, Storage,
    SubscriptionController, Volume,
};

/// What somebody else does at the catalogue, right after an entry was made.
type Interference = Box<dyn FnOnce(&Control) + Send>;

/// What is known: queues as [`Fake`] keeps them, and the rest.
#[derive(Default)]
pub(super) struct Control {
    pub(super) own: Arc<Fake>,
    pub(super) pools: Mutex<BTreeMap<PoolName, Pool>>,
    pub(super) flavors: Mutex<BTreeMap<(ProjectId, FlavorName), Flavor>>,
    pub(super) catalogue: Mutex<BTreeMap<QueueKey, Placement>>,
    pub(super) interference: Mutex<Option<Interference>>,
}

impl Control {
    /// Where the queue is.
    pub(super) fn placed(&self, queue: &QueueKey) -> Option<Placement> {
        self.catalogue.lock().unwrap().get(queue).cloned()
    }

    /// Puts an entry there, whatever the rules say.
    pub(super) fn set_placed(&self, queue: &QueueKey, placement: Option<Placement>) {
        let mut catalogue = self.catalogue.lock().unwrap();
        catalogue.remove(queue);
        catalogue.extend(placement.map(|it| (queue.clone(), it)));
    }
}

impl ControlDriver for Control {
    fn queues(&self) -> &dyn QueueController {
        self.own.as_ref()
    }
    fn pools(&self) -> &dyn PoolController {
        self
    }
    fn flavors(&self) -> &dyn FlavorController {
        self
    }
    fn catalogue(&self) -> &dyn CatalogueController {
        self
    }
}

#[async_trait]
impl PoolController for Control {
    async fn put(&self, pool: &Pool) -> Result<()> {
        self.pools.lock().unwrap().insert(pool.name.clone(), pool.clone());
        Ok(())
    }

    async fn get(&self, name: &PoolName) -> Result<Option<Pool>> {
        Ok(self.pools.lock().unwrap().get(name).cloned())
    }

    async fn list(&self, marker: Option<&str>, limit: u32) -> Result<Vec<Pool>> {
        let pools = self.pools.lock().unwrap();
        let behind = |pool: &&Pool| marker.is_none_or(|marker| pool.name.as_str() > marker);
        Ok(pools.values().filter(behind).take(limit as usize).cloned().collect())
    }

    async fn of_flavor(&self, flavor: Option<&FlavorName>) -> Result<Vec<Pool>> {
        let pools = self.pools.lock().unwrap();
        Ok(pools.values().filter(|pool| pool.flavor.as_ref() == flavor).cloned().collect())
    }

    async fn label(&self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()> {
        for pool in self.pools.lock().unwrap().values_mut() {
            if pools.contains(&pool.name) {
                pool.flavor = Some(flavor.clone());
            } else if no_others && pool.flavor.as_ref() == Some(flavor) {
                pool.flavor = None;
            }
        }
        Ok(())
    }

    async fn delete(&self, name: &PoolName) -> Result<()> {
        if CatalogueController::count(self, name, 1).await? > 0 {
            return Err(Error::PoolIsInUse(name.clone()));
        }
        self.pools.lock().unwrap().remove(name);
        Ok(())
    }
}

#[async_trait]
impl FlavorController for Control {
    async fn put(&self, flavor: &Flavor) -> Result<()> {
        let key = (flavor.project.clone(), flavor.name.clone());
        self.flavors.lock().unwrap().insert(key, flavor.clone());
        Ok(())
    }

    async fn get(&self, project: &ProjectId, name: &FlavorName) -> Result<Option<Flavor>> {
        Ok(self.flavors.lock().unwrap().get(&(project.clone(), name.clone())).cloned())
    }

    async fn list(
        &self,
        project: &ProjectId,
        marker: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Flavor>> {
        let flavors = self.flavors.lock().unwrap();
        let found = flavors.values().filter(|flavor| {
            flavor.project == *project && marker.is_none_or(|marker| flavor.name.as_str() > marker)
        });
        Ok(found.take(limit as usize).cloned().collect())
    }

    async fn delete(&self, project: &ProjectId, name: &FlavorName) -> Result<()> {
        self.flavors.lock().unwrap().remove(&(project.clone(), name.clone()));
        Ok(())
    }
}

#[async_trait]
impl CatalogueController for Control {
    async fn get(&self, queue: &QueueKey) -> Result<Option<Placement>> {
        Ok(self.placed(queue))
    }

    async fn place(&self, queue: &QueueKey, pool: &PoolName) -> Result<Placement> {
        let placement = {
            let mut catalogue = self.catalogue.lock().unwrap();
            let made = || Placement { pool: pool.clone(), leaving: None };
            catalogue.entry(queue.clone()).or_insert_with(made).clone()
        };
        let interference = self.interference.lock().unwrap().take();
        if let Some(interfere) = interference {
            interfere(self);
        }
        Ok(placement)
    }

    async fn change(
        &self,
        queue: &QueueKey,
        expected: &Placement,
        placement: &Placement,
    ) -> Result<bool> {
        let mut catalogue = self.catalogue.lock().unwrap();
        let found = catalogue.get_mut(queue).filter(|found| *found == expected);
        Ok(found.map(|found| *found = placement.clone()).is_some())
    }

    async fn remove(&self, queue: &QueueKey, expected: &Placement) -> Result<bool> {
        let mut catalogue = self.catalogue.lock().unwrap();
        let is_same = catalogue.get(queue) == Some(expected);
        Ok(is_same && catalogue.remove(queue).is_some())
    }

    async fn count(&self, pool: &PoolName, most: u64) -> Result<u64> {
        let catalogue = self.catalogue.lock().unwrap();
        let count = catalogue.values().filter(|placement| placement.pool == *pool).count();
        Ok((count as u64).min(most))
    }
}

/// A pool: how many messages each queue in it has, and what it gives out next;
/// the only subscription to any of them.
#[derive(Default)]
pub(super) struct MemoryPool {
    pub(super) queues: Mutex<BTreeMap<QueueKey, (u64, u64)>>,
    pub(super) is_down: AtomicBool,
    pub(super) is_closed: AtomicBool,
    pub(super) subscribed: Fake,
}

impl MemoryPool {
    /// How many messages it has of a queue; `None` if that is not there.
    pub(super) fn count(&self, queue: &QueueKey) -> Option<u64> {
        self.queues.lock().unwrap().get(queue).map(|(count, _)| *count)
    }

    fn is_up(&self) -> Result<()> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("the pool is down".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl DataDriver for MemoryPool {
    fn messages(&self) -> &dyn MessageController {
        self
    }
    fn claims(&self) -> &dyn ClaimController {
        unreachable!("nobody claims here")
    }
    fn subscriptions(&self) -> &dyn SubscriptionController {
        &self.subscribed
    }
    async fn ping(&self) -> Result<()> {
        self.is_up()
    }
    async fn gc(&self, _: Timestamp) -> Result<Collected> {
        self.is_up()?;
        Ok(Collected { messages: 1, more: false })
    }
    async fn adopt(&self, queue: &QueueKey, first_marker: u64) -> Result<()> {
        self.is_up()?;
        self.queues.lock().unwrap().entry(queue.clone()).or_insert((0, first_marker));
        Ok(())
    }
    async fn abandon(&self, queue: &QueueKey, only_if_empty: bool) -> Result<Option<u64>> {
        self.is_up()?;
        let mut queues = self.queues.lock().unwrap();
        if only_if_empty && queues.get(queue).is_some_and(|(count, _)| *count > 0) {
            return Ok(None);
        }
        Ok(Some(queues.remove(queue).map_or(0, |(_, next)| next)))
    }
    async fn volume(&self, _: Timestamp) -> Result<Volume> {
        self.is_up()?;
        let free = self.queues.lock().unwrap().values().map(|(count, _)| count).sum();
        Ok(Volume { free, claimed: 0 })
    }
    async fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl MessageController for MemoryPool {
    async fn post(
        &self,
        queue: &QueueKey,
        _: &ClientId,
        messages: Vec<NewMessage>,
        _: Timestamp,
    ) -> Result<Vec<MessageId>> {
        self.is_up()?;
        let mut queues = self.queues.lock().unwrap();
        let found = queues.get_mut(queue);
        let (count, next) = found.ok_or_else(|| Error::QueueDoesNotExist(queue.clone()))?;
        let first = *next;
        *count += messages.len() as u64;
        *next += messages.len() as u64;
        Ok((first..*next).map(id).collect())
    }
    async fn list(&self, _: &QueueKey, _: &ListQuery, _: Timestamp) -> Result<Vec<StoredMessage>> {
        unreachable!("nobody lists here")
    }
    async fn get(&self, _: &QueueKey, _: &[MessageId], _: Timestamp) -> Result<Vec<StoredMessage>> {
        unreachable!("nobody gets here")
    }
    async fn delete(
        &self,
        _: &QueueKey,
        _: MessageId,
        _: Option<ClaimId>,
        _: Timestamp,
    ) -> Result<()> {
        unreachable!("nobody deletes here")
    }
    async fn delete_many(
        &self,
        _: &QueueKey,
        _: &[MessageId],
        _: Option<&[ClaimId]>,
        _: Timestamp,
    ) -> Result<()> {
        unreachable!("nobody deletes here")
    }
    async fn pop(&self, _: &QueueKey, _: u32, _: Timestamp) -> Result<Vec<StoredMessage>> {
        unreachable!("nobody pops here")
    }
    async fn pop_these(
        &self,
        _: &QueueKey,
        _: &[MessageId],
        _: Timestamp,
    ) -> Result<Vec<MessageId>> {
        unreachable!("nobody pops here")
    }
    async fn purge(&self, _: &QueueKey, _: Timestamp) -> Result<()> {
        unreachable!("nobody purges here")
    }
    async fn stats(&self, queue: &QueueKey, _: Timestamp) -> Result<Stats> {
        self.is_up()?;
        Ok(Stats { free: self.count(queue).unwrap_or(0), ..Stats::default() })
    }
}

/// Finds pools by their URIs, `x://NAME`; what begins with `y` can do less.
#[derive(Default)]
pub(super) struct Stores(Mutex<BTreeMap<String, Arc<MemoryPool>>>);

impl Stores {
    /// The store with that URI.
    pub(super) fn at(&self, uri: &str) -> Arc<MemoryPool> {
        Arc::clone(self.0.lock().unwrap().entry(uri.to_owned()).or_default())
    }
}

#[async_trait]
impl PoolOpener for Stores {
    fn capabilities(&self, uri: &str) -> Option<&'static [Capability]> {
        match uri.split_once("://")?.0 {
            "x" => Some(&Capability::ALL),
            "y" => Some(&[Capability::Claims]),
            _ => None,
        }
    }
    fn check_options(
        &self,
        _: &str,
        options: &Map<String, Value>,
    ) -> std::result::Result<(), String> {
        match options.keys().find(|name| *name != "size") {
            None => Ok(()),
            Some(name) => Err(format!("options.{name}: there is no such option")),
        }
    }
    async fn open(&self, uri: &str, _: &Map<String, Value>) -> Result<Arc<dyn DataDriver>> {
        Ok(self.at(uri))
    }
}

/// A service over pools.
pub(super) struct World {
    pub(super) service: Service,
    pub(super) control: Arc<Control>,
    pub(super) stores: Arc<Stores>,
    pub(super) router: Arc<PoolRouter>,
    pub(super) clock: Clock,
}

impl World {
    /// With pools `x://a` and so on, of these weights.
    pub(super) fn with(pools: &[(&str, u32)]) -> Self {
        Self::over(Arc::default(), pools, false)
    }

    /// The same; what no pool takes is in the server's own store.
    pub(super) fn with_virtual_pool(pools: &[(&str, u32)]) -> Self {
        Self::over(Arc::default(), pools, true)
    }

    /// Another server over the same stores, which looks everything up.
    pub(super) fn another(&self) -> Self {
        let control = Arc::clone(&self.control);
        let (stores, clock) = (Arc::clone(&self.stores), self.clock.clone());
        Self::server(control, stores, clock, false)
    }

    fn over(control: Arc<Control>, pools: &[(&str, u32)], virtual_pool: bool) -> Self {
        for (name, weight) in pools {
            let pool = pool(name, *weight);
            control.pools.lock().unwrap().insert(pool.name.clone(), pool);
        }
        Self::server(control, Arc::default(), Clock::manual(NOW), virtual_pool)
    }

    fn server(
        control: Arc<Control>,
        stores: Arc<Stores>,
        clock: Clock,
        virtual_pool: bool,
    ) -> Self {
        let own: Arc<dyn DataDriver> =
            if virtual_pool { control.own.clone() } else { stores.at("x://own") };
        let router = PoolRouter::new(Parts {
            control: control.clone(),
            own,
            virtual_pool,
            opener: stores.clone(),
            memory: Some(Duration::ZERO),
            probe_timeout: Duration::from_secs(5),
        });
        let storage = Storage { control: control.clone(), data: router.clone() };
        let settings: Settings = toml::from_str(crate::config::DEFAULTS).unwrap();
        let service = Service::new(storage, clock.clone(), &settings);
        let service = service.with_pools(Arc::clone(&router));
        Self { service, control, stores, router, clock }
    }

    /// The store of a pool.
    pub(super) fn pool(&self, name: &str) -> Arc<MemoryPool> {
        self.stores.at(&format!("x://{name}"))
    }

    /// The pool that the queue is in.
    pub(super) fn pool_of(&self, queue: &QueueKey) -> Option<String> {
        self.control.placed(queue).map(|placement| placement.pool.to_string())
    }
}

/// The pool `x://NAME`.
pub(super) fn pool(name: &str, weight: u32) -> Pool {
    let name = PoolName::parse(name).unwrap();
    Pool { uri: format!("x://{name}"), name, weight, flavor: None, options: Map::new() }
}

/// A name.
pub(super) fn flavor(name: &str) -> FlavorName {
    FlavorName::parse(name).unwrap()
}
