//! Which pool a queue is in: it is placed once, when it is made, and leaves its
//! pool only to be deleted or, while it is empty, for another flavor.
//!
//! The steps of each change are in an order in which no acknowledged message is
//! ever out of reach, wherever a process is killed, and however many processes
//! work on one queue:
//!
//! * to make: entry in the catalogue, room in the pool, look at the entry once
//!   more, record. Room without an entry is empty, and an entry without room
//!   gets it when the next post finds none;
//! * to delete: mark the entry as leaving, take the room away, remove the record,
//!   remove the entry. Nobody makes the queue anew in between;
//! * what a killed process leaves marked is settled by whoever meets it later:
//!   a queue with messages stays, for its deletion was never acknowledged.
//!
//! Within one process queues are worked on one at a time. What was begun is
//! finished, even if the client goes away.

mod choice;
mod steps;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::choice::wanted;
use super::queue_locks::QueueLocks;
use super::{Error, Result, metadata};
use crate::clock::Clock;
use crate::model::{FlavorName, Metadata, Placement, PoolName, ProjectId, QueueKey, QueueName};
use crate::storage::pooling::PoolRouter;
use crate::storage::{self, ControlDriver};

/// Seconds after which whoever marked a queue as leaving is taken for dead.
const DESERTED: i64 = 60;
/// Longest wait for a queue that somebody else is working on. Nobody in a test
/// ever ends.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 2000 });
/// The pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(25);

/// The rules of pools, and what they need.
pub(super) struct Placements {
    control: Arc<dyn ControlDriver>,
    router: Arc<PoolRouter>,
    clock: Clock,
    locks: QueueLocks,
    /// Behind every marker that a queue gave out which left its pool here.
    highest: AtomicU64,
}

/// How long somebody who waits has waited.
struct Wait(Instant);

impl Wait {
    fn begin() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    async fn pause(&self, queue: &QueueKey) -> Result<()> {
        if Instant::now() >= self.0 {
            return unavailable(format!("somebody else is working on queue {queue}"));
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

impl Placements {
    pub(super) fn new(
        control: Arc<dyn ControlDriver>,
        router: Arc<PoolRouter>,
        clock: Clock,
    ) -> Arc<Self> {
        let (locks, highest) = (QueueLocks::default(), AtomicU64::new(0));
        Arc::new(Self { control, router, clock, locks, highest })
    }

    pub(super) fn router(&self) -> &Arc<PoolRouter> {
        &self.router
    }

    /// Makes a queue, or gives one that exists the room in a pool that it lacks;
    /// `false` if it exists.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an unknown flavor;
    /// [`storage::Error::Unavailable`] if there is no pool for it;
    /// [`Error::Conflict`] for a queue whose messages are in the store that was
    /// used before there were pools.
    pub(super) async fn create(
        self: &Arc<Self>,
        queue: &QueueKey,
        metadata: Metadata,
    ) -> Result<bool> {
        let (this, queue) = (Arc::clone(self), queue.clone());
        to_the_end(async move {
            let _held = this.locks.hold(&queue).await;
            this.make(&queue, &metadata, None).await
        })
        .await
    }

    /// Refuses metadata that names a flavor which the project does not have.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`].
    pub(super) async fn check_flavor(
        &self,
        project: &ProjectId,
        metadata: &Metadata,
    ) -> Result<()> {
        match wanted(metadata)? {
            Some(flavor) => self.check_exists(project, &flavor).await,
            None => Ok(()),
        }
    }

    /// Whether the queue exists and is where it should be, as far as the
    /// catalogue tells.
    pub(super) async fn is_placed(&self, queue: &QueueKey) -> Result<bool> {
        let record = self.control.queues().metadata(queue).await?;
        let placement = self.control.catalogue().get(queue).await?;
        Ok(record.is_some() && placement.is_some_and(|it| it.leaving.is_none()))
    }

    /// Deletes a queue with all its messages.
    ///
    /// # Errors
    ///
    /// [`storage::Error::Unavailable`]: then it is still there.
    pub(super) async fn delete(self: &Arc<Self>, queue: &QueueKey) -> Result<()> {
        let (this, queue) = (Arc::clone(self), queue.clone());
        to_the_end(async move {
            let _held = this.locks.hold(&queue).await;
            this.remove(&queue).await
        })
        .await
    }

    /// Moves an empty queue to a pool of the flavor that `updated` names, if it
    /// names another one than `stored`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an unknown flavor; [`Error::Conflict`] if
    /// there are messages in it; [`storage::Error::Unavailable`] if there is no
    /// pool for it.
    pub(super) async fn follow(
        self: &Arc<Self>,
        queue: &QueueKey,
        stored: &Metadata,
        updated: &Metadata,
    ) -> Result<()> {
        if metadata::flavor(stored) == metadata::flavor(updated) {
            return Ok(());
        }
        let flavor = wanted(updated)?;
        let (this, queue) = (Arc::clone(self), queue.clone());
        to_the_end(async move {
            let _held = this.locks.hold(&queue).await;
            this.transfer(&queue, flavor.as_ref()).await
        })
        .await
    }

    /// Sees to it that dead letters of `queue` can go to `other`, which must be
    /// in the same pool; makes it there if it does not exist. `false` if it is in
    /// another.
    pub(super) async fn join(
        self: &Arc<Self>,
        queue: &QueueKey,
        other: &QueueName,
    ) -> Result<bool> {
        let other = QueueKey { project: queue.project.clone(), name: other.clone() };
        let pool = self.router.pool_of(queue).await?;
        let there = self.router.pool_of(&other).await?;
        let (Some(pool), None) = (&pool, &there) else { return Ok(pool == there) };
        let (this, pool) = (Arc::clone(self), pool.clone());
        to_the_end(async move {
            let _held = this.locks.hold(&other).await;
            let is_new = this.control.queues().metadata(&other).await?.is_none();
            if is_new || !this.router.has_virtual_pool() {
                this.make(&other, &Metadata::default(), Some(pool.clone())).await?;
            }
            Ok(this.router.pool_of(&other).await? == Some(pool))
        })
        .await
    }

    /// `preferred` is the pool to place it in, if it is not placed.
    async fn make(
        &self,
        queue: &QueueKey,
        metadata: &Metadata,
        mut preferred: Option<PoolName>,
    ) -> Result<bool> {
        let stored = self.control.queues().metadata(queue).await?;
        let wait = Wait::begin();
        loop {
            let found = match self.control.catalogue().get(queue).await? {
                None => self.place(queue, metadata, stored.as_deref(), preferred.as_ref()).await,
                found => Ok(found),
            };
            let placement = match found {
                Ok(Some(placement)) => placement,
                Ok(None) => break,
                Err(Error::Storage(storage::Error::PoolDoesNotExist(_))) => {
                    preferred = None;
                    wait.pause(queue).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if placement.leaving.is_some() {
                self.await_end(queue, &placement, &wait).await?;
                continue;
            }
            if let Some(left) = preferred.take().filter(|pool| *pool != placement.pool) {
                self.let_go(queue, &left).await;
            }
            self.make_room(queue, &placement.pool).await?;
            if self.control.catalogue().get(queue).await?.as_ref() == Some(&placement) {
                break;
            }
            // Somebody took the entry away. Who saw it may have posted here by
            // now, so if the queue is to be placed again, then where it is.
            preferred = Some(placement.pool);
            wait.pause(queue).await?;
        }
        self.router.forget(queue);
        Ok(self.control.queues().create(queue, metadata).await?)
    }

    /// Puts a queue into the catalogue; `None` for one that the virtual pool has.
    async fn place(
        &self,
        queue: &QueueKey,
        metadata: &Metadata,
        stored: Option<&Metadata>,
        preferred: Option<&PoolName>,
    ) -> Result<Option<Placement>> {
        let chosen = match (preferred, stored) {
            (Some(pool), _) => Some(pool.clone()),
            (None, Some(_)) if self.router.has_virtual_pool() => None,
            (None, stored) => {
                if stored.is_some() {
                    self.check_own_store(queue).await?;
                }
                let flavor = wanted(stored.unwrap_or(metadata))?;
                self.choose(&queue.project, flavor.as_ref()).await?
            }
        };
        let Some(pool) = chosen else { return Ok(None) };
        Ok(Some(self.control.catalogue().place(queue, &pool).await?))
    }

    /// A queue that is in no pool may be from before there were any.
    async fn check_own_store(&self, queue: &QueueKey) -> Result<()> {
        let messages = self.router.own().messages();
        let stats = messages.stats(queue, self.clock.now()).await?;
        if stats.free + stats.claimed == 0 {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "Queue {} has messages from before there were pools; pooling.enable_virtual_pool \
             makes them available.",
            queue.name
        )))
    }

    async fn remove(&self, queue: &QueueKey) -> Result<()> {
        let catalogue = self.control.catalogue();
        let wait = Wait::begin();
        while let Some(placement) = catalogue.get(queue).await? {
            if placement.leaving.is_some_and(|since| !self.is_deserted(since)) {
                wait.pause(queue).await?;
                continue;
            }
            let Some(leaving) = self.mark(queue, &placement).await? else { continue };
            let removed = match self.take_room(queue, &placement.pool, false).await {
                Ok(_) => self.control.queues().delete(queue).await.map_err(Error::from),
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                self.unmark(queue, &leaving).await;
                return Err(error);
            }
            catalogue.remove(queue, &leaving).await?;
            self.router.forget(queue);
            return Ok(());
        }
        Ok(self.control.queues().delete(queue).await?)
    }

    async fn transfer(&self, queue: &QueueKey, flavor: Option<&FlavorName>) -> Result<()> {
        let wait = Wait::begin();
        loop {
            if let Some(flavor) = flavor {
                self.check_exists(&queue.project, flavor).await?;
            }
            let Some(placement) = self.control.catalogue().get(queue).await? else {
                return self.transfer_unplaced(queue, flavor);
            };
            if placement.leaving.is_some() {
                self.await_end(queue, &placement, &wait).await?;
                continue;
            }
            let pool = self.control.pools().get(&placement.pool).await?;
            if pool.is_some_and(|pool| pool.flavor.as_ref() == flavor) {
                return Ok(());
            }
            let Some(target) = self.choose(&queue.project, flavor).await? else {
                return unavailable("no pool takes queues without a flavor".to_owned());
            };
            let Some(leaving) = self.mark(queue, &placement).await? else { continue };
            let moved = self.move_marked(queue, &leaving, target).await;
            if moved.is_err() {
                self.unmark(queue, &leaving).await;
            }
            self.router.forget(queue);
            return moved;
        }
    }

    async fn move_marked(
        &self,
        queue: &QueueKey,
        leaving: &Placement,
        target: PoolName,
    ) -> Result<()> {
        if self.take_room(queue, &leaving.pool, true).await?.is_none() {
            return Err(Error::Conflict(format!(
                "Queue {} holds messages; its _flavor can be changed only while it is empty.",
                queue.name
            )));
        }
        self.make_room(queue, &target).await?;
        let placement = Placement { pool: target, leaving: None };
        if self.control.catalogue().change(queue, leaving, &placement).await? {
            return Ok(());
        }
        self.let_go(queue, &placement.pool).await;
        unavailable(format!("somebody else is working on queue {queue}"))
    }

    /// A queue in the virtual pool cannot be moved: posts to it cannot be held
    /// off while it is looked whether it is empty.
    fn transfer_unplaced(&self, queue: &QueueKey, flavor: Option<&FlavorName>) -> Result<()> {
        if flavor.is_none() || !self.router.has_virtual_pool() {
            return Ok(());
        }
        Err(Error::Conflict(format!(
            "Queue {} is in no pool; it gets a _flavor only when it is made anew.",
            queue.name
        )))
    }
}

/// Does `work` in a task of its own, so that it ends even if the caller goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let lost = |lost: tokio::task::JoinError| storage::Error::Unavailable(lost.to_string());
    tokio::spawn(work).await.map_err(lost)?
}

fn unavailable<T>(reason: String) -> Result<T> {
    Err(storage::Error::Unavailable(reason).into())
}
