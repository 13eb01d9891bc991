//! The pools that this process uses, and their drivers.
//!
//! A slot belongs to a pool as it was described at one moment: a URI and options.
//! When these change, the slot is closed and another takes its place. They can
//! change only while there are no queues in the pool, so nobody misses one that
//! is closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Mutex as AsyncMutex;

use super::PoolOpener;
use crate::model::{Pool, PoolName, Timestamp};
use crate::storage::{Collected, DataDriver, Error, PoolController, Result, Watcher};

/// After a failure to open a store, the pause until the next try. Requests in
/// between fail at once.
const PAUSE: Duration = Duration::from_secs(1);

/// A pool and its driver, once there is one.
pub struct Slot {
    pool: Pool,
    driver: OnceLock<Arc<dyn DataDriver>>,
    /// Whom the driver is to tell of arrivals.
    watcher: Listener,
    /// Held by whoever opens it; when that failed last, and why.
    failure: AsyncMutex<Option<(Instant, Error)>>,
    closed: AtomicBool,
    /// Whether the log was told that garbage cannot be collected.
    gc_failed: AtomicBool,
    /// Whether the log was told that nobody knows what is due.
    due_failed: AtomicBool,
}

/// Whom all drivers tell of arrivals, once there is somebody.
pub type Listener = Arc<OnceLock<Arc<dyn Watcher>>>;

impl Slot {
    fn new(pool: Pool, watcher: Listener) -> Arc<Self> {
        Arc::new(Self {
            pool,
            driver: OnceLock::new(),
            watcher,
            failure: AsyncMutex::default(),
            closed: AtomicBool::new(false),
            gc_failed: AtomicBool::new(false),
            due_failed: AtomicBool::new(false),
        })
    }

    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.pool.name
    }

    /// Whether another one is to be used.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn describes(&self, pool: &Pool) -> bool {
        self.pool.uri == pool.uri && self.pool.options == pool.options
    }

    /// The driver, which is opened if it was not.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn driver(
        self: &Arc<Self>,
        opener: &Arc<dyn PoolOpener>,
    ) -> Result<Arc<dyn DataDriver>> {
        if let Some(driver) = self.driver.get() {
            return Ok(Arc::clone(driver));
        }
        // Once begun it is finished, even if the caller goes away: a store that
        // is half open could not be opened again.
        let (slot, opener) = (Arc::clone(self), Arc::clone(opener));
        let opening = tokio::spawn(async move { slot.open(opener.as_ref()).await });
        opening.await.unwrap_or_else(|lost| Err(Error::Unavailable(lost.to_string())))
    }

    async fn open(&self, opener: &dyn PoolOpener) -> Result<Arc<dyn DataDriver>> {
        let mut failure = self.failure.lock().await;
        if let Some(driver) = self.driver.get() {
            return Ok(Arc::clone(driver));
        }
        if self.is_closed() {
            return Err(Error::Unavailable(format!("pool {} was changed", self.name())));
        }
        if let Some((at, error)) = failure.as_ref()
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        match opener.open(&self.pool.uri, &self.pool.options).await {
            Ok(driver) => {
                tracing::info!(pool.name = %self.name(), "a pool was opened");
                let driver = Arc::clone(self.driver.get_or_init(|| driver));
                self.introduce();
                Ok(driver)
            }
            Err(error) => {
                // It is tried again and again; what stays the same is said once.
                if failure.as_ref().is_none_or(|(_, before)| *before != error) {
                    tracing::warn!(pool.name = %self.name(), %error, "a pool cannot be opened");
                }
                *failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Lets the driver know whom to tell, as soon as there are both. To be told
    /// twice does it no harm.
    pub fn introduce(&self) {
        if let (Some(driver), Some(watcher)) = (self.driver.get(), self.watcher.get()) {
            driver.announce_to(Arc::clone(watcher));
        }
    }

    /// Lets the driver look at the time, if it is open.
    pub async fn catch_up(self: Arc<Self>, now: Timestamp) {
        if let Some(driver) = self.driver.get() {
            driver.catch_up(now).await;
        }
    }

    /// A slice of garbage collection, if the driver is open; nothing if it fails.
    pub async fn gc(self: Arc<Self>, now: Timestamp) -> Collected {
        let Some(driver) = self.driver.get() else { return Collected::default() };
        let collected = driver.gc(now).await;
        let warn = |error| {
            tracing::warn!(pool.name = %self.name(), %error, "garbage could not be collected");
        };
        said_once(&self.gc_failed, collected, warn).unwrap_or_default()
    }

    /// What the pool answered when it was asked for what is due; nothing if it
    /// failed.
    pub fn due<T>(&self, answer: Result<T>) -> Option<T> {
        said_once(&self.due_failed, answer, |error| {
            let name = self.name();
            tracing::warn!(pool.name = %name, %error, "what is due in a pool is not known");
        })
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Whoever is opening it comes first.
        let _opening = self.failure.lock().await;
        if let Some(driver) = self.driver.get() {
            driver.close().await;
        }
    }
}

/// The answer, if it is one. Of failures in a row the first one is told.
fn said_once<T>(failed: &AtomicBool, answer: Result<T>, warn: impl FnOnce(Error)) -> Option<T> {
    match answer {
        Ok(answer) => {
            failed.store(false, Ordering::Relaxed);
            Some(answer)
        }
        Err(error) => {
            if !failed.swap(true, Ordering::Relaxed) {
                warn(error);
            }
            None
        }
    }
}

/// A pool that was tried out and answered.
pub struct Tried {
    slot: Arc<Slot>,
    /// Whether it was in use before.
    is_known: bool,
}

impl Tried {
    /// Lets go of it, if it was opened only to be tried.
    pub async fn discard(self) {
        if !self.is_known {
            self.slot.close().await;
        }
    }
}

/// All slots, by the names of their pools.
pub struct Slots {
    opener: Arc<dyn PoolOpener>,
    memory: Option<Duration>,
    watcher: Listener,
    known: Mutex<HashMap<PoolName, (Arc<Slot>, Instant)>>,
}

impl Slots {
    /// No slots yet; a description is good for `memory`.
    pub fn new(opener: Arc<dyn PoolOpener>, memory: Option<Duration>) -> Self {
        Self { opener, memory, watcher: Listener::default(), known: Mutex::default() }
    }

    /// Lets all drivers tell `watcher` of arrivals, those too that come later.
    pub fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        if self.watcher.set(watcher).is_ok() {
            self.open().iter().for_each(|slot| slot.introduce());
        }
    }

    /// The slot of a pool that is described like this now.
    pub fn of(&self, pool: &Pool) -> Arc<Slot> {
        let mut known = self.known();
        if let Some((slot, read)) = known.get_mut(&pool.name)
            && slot.describes(pool)
        {
            *read = Instant::now();
            return Arc::clone(slot);
        }
        let slot = Slot::new(pool.clone(), Arc::clone(&self.watcher));
        let before = known.insert(pool.name.clone(), (Arc::clone(&slot), Instant::now()));
        drop(known);
        close_aside(before);
        slot
    }

    /// The slot of a pool by its name; `None` if there is no such pool.
    pub async fn find(
        &self,
        name: &PoolName,
        pools: &dyn PoolController,
    ) -> Result<Option<Arc<Slot>>> {
        if let Some(slot) = self.fresh(name) {
            return Ok(Some(slot));
        }
        let Some(pool) = pools.get(name).await? else {
            self.drop_slot(name).await;
            return Ok(None);
        };
        Ok(Some(self.of(&pool)))
    }

    fn fresh(&self, name: &PoolName) -> Option<Arc<Slot>> {
        let known = self.known();
        let (slot, read) = known.get(name)?;
        let is_fresh = self.memory.is_none_or(|memory| read.elapsed() < memory);
        is_fresh.then(|| Arc::clone(slot))
    }

    /// Reads again what became of pools whose descriptions are old.
    pub async fn refresh(&self, pools: &dyn PoolController) -> Result<()> {
        let names: Vec<_> = self.known().keys().cloned().collect();
        for name in names {
            self.find(&name, pools).await?;
        }
        Ok(())
    }

    /// The slots that have a driver.
    pub fn open(&self) -> Vec<Arc<Slot>> {
        let known = self.known();
        let open = known.values().filter(|(slot, _)| slot.driver.get().is_some());
        open.map(|(slot, _)| Arc::clone(slot)).collect()
    }

    /// Opens a pool, as it is described here, and sees whether it answers. If
    /// the same store is open with other options, it is closed first: some can
    /// be opened once only.
    pub async fn try_out(&self, pool: &Pool) -> Result<Tried> {
        let known = self.known().get(&pool.name).map(|(slot, _)| Arc::clone(slot));
        let (slot, is_known) = match known {
            Some(slot) if slot.describes(pool) => (slot, true),
            Some(slot) if slot.pool.uri == pool.uri => {
                self.drop_slot(&pool.name).await;
                (Slot::new(pool.clone(), Arc::clone(&self.watcher)), false)
            }
            _ => (Slot::new(pool.clone(), Arc::clone(&self.watcher)), false),
        };
        let tried = Tried { slot, is_known };
        let answer = match tried.slot.driver(&self.opener).await {
            Ok(driver) => driver.ping().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) => Ok(tried),
            Err(error) => {
                tried.discard().await;
                Err(error)
            }
        }
    }

    /// Uses a pool that was tried out from now on.
    pub fn keep(&self, tried: Tried) {
        let Tried { slot, .. } = tried;
        let name = slot.name().clone();
        let before = self.known().insert(name, (Arc::clone(&slot), Instant::now()));
        close_aside(before.filter(|(before, _)| !Arc::ptr_eq(before, &slot)));
    }

    /// Closes the slot of a pool that is gone.
    pub async fn drop_slot(&self, name: &PoolName) {
        let gone = self.known().remove(name);
        if let Some((slot, _)) = gone {
            slot.close().await;
        }
    }

    /// Closes all.
    pub async fn close(&self) {
        let all: Vec<_> = self.known().drain().map(|(_, (slot, _))| slot).collect();
        join_all(all.iter().map(|slot| slot.close())).await;
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PoolName, (Arc<Slot>, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a slot that another one took the place of, while nobody waits.
fn close_aside(slot: Option<(Arc<Slot>, Instant)>) {
    if let Some((slot, _)) = slot {
        slot.closed.store(true, Ordering::Release);
        tokio::spawn(async move { slot.close().await });
    }
}
