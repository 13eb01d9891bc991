//! Messages and subscriptions in several stores: each queue is in the pool that the catalogue
//! names.
//!
//! [`PoolRouter`] is a [`DataDriver`] that hands every call on to the driver of
//! the right pool. Drivers are opened when they are first needed, one for each
//! pool, each with options of its own (`slots`). Where a queue is, is remembered
//! for a moment (`route`). Which pool takes a new queue, and how queues come and
//! go, are rules: they are the service's.
//!
//! A pool that is down fails its own queues and nothing else.

mod claims;
mod deliveries;
mod messages;
mod route;
mod slots;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Map, Value};

use self::slots::Slots;
use super::queue_cache::QueueCache;
use super::{
    ClaimController, Collected, ControlDriver, DataDriver, DeliveryController, Error,
    MessageController, Result, SubscriptionController, Volume, Watcher,
};
use crate::model::{Capability, Pool, PoolName, QueueKey, Timestamp};

pub use slots::{Slot, Tried};

/// Pools read from the management store at once.
const PAGE: u32 = 100;

/// Knows the drivers that pools can have.
#[async_trait]
pub trait PoolOpener: Send + Sync {
    /// What a store with this URI does for queues; `None` if there is no driver
    /// for it.
    fn capabilities(&self, uri: &str) -> Option<&'static [Capability]>;

    /// Looks at a pool's options without opening it.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in a sentence for whoever set them.
    fn check_options(
        &self,
        uri: &str,
        options: &Map<String, Value>,
    ) -> std::result::Result<(), String>;

    /// Opens the store of a pool. Options that its driver does not have change
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    async fn open(&self, uri: &str, options: &Map<String, Value>) -> Result<Arc<dyn DataDriver>>;
}

/// What a router is made of.
pub struct Parts {
    /// What is known about pools, and which queue is in which.
    pub control: Arc<dyn ControlDriver>,
    /// The data side of the store that `control` is in.
    pub own: Arc<dyn DataDriver>,
    /// Whether queues that are in no pool are in `own`.
    pub virtual_pool: bool,
    /// How the stores of pools are opened.
    pub opener: Arc<dyn PoolOpener>,
    /// How long it is remembered where a queue is; for ever if no other process
    /// can use `control`.
    pub memory: Option<Duration>,
    /// Longest wait for a pool that is tried out.
    pub probe_timeout: Duration,
}

/// The data side of all pools.
pub struct PoolRouter {
    parts: Parts,
    slots: Slots,
    /// In which pool queues are.
    routes: QueueCache<Arc<Slot>>,
    /// In which pool queues were that are in none now, and left something due.
    leftovers: QueueCache<Arc<Slot>>,
}

impl PoolRouter {
    /// Over the pools that `parts.control` knows; none of them is opened yet.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let slots = Slots::new(Arc::clone(&parts.opener), parts.memory);
        let (routes, leftovers) =
            (QueueCache::new(parts.memory), QueueCache::new(Some(deliveries::MEMORY)));
        Arc::new(Self { parts, slots, routes, leftovers })
    }

    /// Whether queues that are in no pool are in the server's own store.
    pub fn has_virtual_pool(&self) -> bool {
        self.parts.virtual_pool
    }

    /// What a store with this URI does for queues.
    pub fn capabilities(&self, uri: &str) -> Option<&'static [Capability]> {
        self.parts.opener.capabilities(uri)
    }

    /// See [`PoolOpener::check_options`].
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn check_options(
        &self,
        uri: &str,
        options: &Map<String, Value>,
    ) -> std::result::Result<(), String> {
        self.parts.opener.check_options(uri, options)
    }

    /// Longest wait for a pool that is tried out.
    pub fn probe_timeout(&self) -> Duration {
        self.parts.probe_timeout
    }

    /// Opens a pool, as it is described here, and sees whether it answers. What
    /// comes of it is for [`PoolRouter::keep`], if the pool is to stay.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], also if it takes too long.
    pub async fn try_out(&self, pool: &Pool) -> Result<Tried> {
        let late = |_| Err(Error::Unavailable("the pool takes too long to answer".to_owned()));
        let tried = self.slots.try_out(pool);
        tokio::time::timeout(self.parts.probe_timeout, tried).await.unwrap_or_else(late)
    }

    /// Uses a pool that was tried out from now on.
    pub fn keep(&self, tried: Tried) {
        self.slots.keep(tried);
    }

    /// Closes the store of a pool that is gone.
    pub async fn drop_pool(&self, name: &PoolName) {
        self.slots.drop_slot(name).await;
    }

    /// The driver of a pool as it is described here.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn driver(&self, pool: &Pool) -> Result<Arc<dyn DataDriver>> {
        self.slots.of(pool).driver(&self.parts.opener).await
    }

    /// All pools there are, ascending by name.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn pools(&self) -> Result<Vec<Pool>> {
        let mut pools: Vec<Pool> = Vec::new();
        loop {
            let marker = pools.last().map(|last| last.name.as_str().to_owned());
            let page = self.parts.control.pools().list(marker.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            pools.extend(page);
            if is_last {
                return Ok(pools);
            }
        }
    }

    /// Opens every pool that can be opened now.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if it cannot be told which pools there are.
    pub async fn open_all(&self) -> Result<()> {
        let pools = self.pools().await?;
        join_all(pools.iter().map(|pool| self.driver(pool))).await;
        Ok(())
    }

    /// The server's own store: what is known about pools is there too.
    pub fn own(&self) -> &Arc<dyn DataDriver> {
        &self.parts.own
    }
}

#[async_trait]
impl DataDriver for PoolRouter {
    fn messages(&self) -> &dyn MessageController {
        self
    }

    fn claims(&self) -> &dyn ClaimController {
        self
    }

    fn subscriptions(&self) -> &dyn SubscriptionController {
        self
    }

    fn deliveries(&self) -> &dyn DeliveryController {
        self
    }

    /// Whether the store answers that everything else depends on. A pool that is
    /// down concerns its queues, and the health report tells of it: this server
    /// is of use to all others.
    async fn ping(&self) -> Result<()> {
        self.parts.own.ping().await
    }

    /// A slice of every pool that is open, and of the server's own store. What a
    /// pool says that is down is told once, and the others go on.
    async fn gc(&self, now: Timestamp) -> Result<Collected> {
        self.slots.refresh(self.parts.control.pools()).await?;
        let pools = join_all(self.slots.open().into_iter().map(|slot| slot.gc(now)));
        let (own, pools) = tokio::join!(self.parts.own.gc(now), pools);
        let sum = |sum: Collected, it: Collected| Collected {
            messages: sum.messages + it.messages,
            more: sum.more || it.more,
        };
        Ok(pools.into_iter().fold(own?, sum))
    }

    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        self.parts.own.announce_to(Arc::clone(&watcher));
        self.slots.announce_to(watcher);
    }

    async fn catch_up(&self, now: Timestamp) {
        let pools = self.slots.open().into_iter().map(|slot| slot.catch_up(now));
        tokio::join!(self.parts.own.catch_up(now), join_all(pools));
    }

    async fn adopt(&self, queue: &QueueKey, first_marker: u64) -> Result<()> {
        match self.route(queue).await? {
            Some(driver) => driver.adopt(queue, first_marker).await,
            None => Err(Error::QueueDoesNotExist(queue.clone())),
        }
    }

    async fn abandon(&self, queue: &QueueKey, only_if_empty: bool) -> Result<Option<u64>> {
        match self.route(queue).await? {
            Some(driver) => driver.abandon(queue, only_if_empty).await,
            None => Ok(Some(0)),
        }
    }

    async fn volume(&self, now: Timestamp) -> Result<Volume> {
        let mut volume = Volume::default();
        let mut add = |more: Volume| {
            volume.free += more.free;
            volume.claimed += more.claimed;
        };
        for pool in self.pools().await? {
            add(self.driver(&pool).await?.volume(now).await?);
        }
        if self.parts.virtual_pool {
            add(self.parts.own.volume(now).await?);
        }
        Ok(volume)
    }

    async fn close(&self) {
        self.slots.close().await;
        self.parts.own.close().await;
    }
}
