//! The default driver: one SQLite file, driven the way a queue wants it.
//!
//! One writer thread commits for everybody at once (`writer`), readers never
//! wait for it (`reader`), a checkpointer keeps the log short. `schema` tells
//! what lies where. The store needs no other service and belongs to one
//! process at a time.

pub mod admin;
mod adopt;
mod announcer;
mod body;
mod bundle;
mod catalogue;
mod checkpointer;
mod claims;
mod deliveries;
mod due;
mod error;
mod expiry;
mod flavors;
mod header;
mod holds;
mod ids;
mod listing;
mod lock;
mod markers;
mod matching;
mod messages;
mod pools;
mod posting;
mod queues;
mod reader;
mod recent;
mod registry;
mod resume;
mod schema;
mod settle;
mod shrink;
mod slip;
mod subscribed;
mod subscriptions;
mod tx;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

pub use error::OpenError;

use self::announcer::Announcer;
use self::checkpointer::Checkpointer;
use self::error::OpResult;
use self::ids::Ids;
use self::lock::DirectoryLock;
use self::reader::Readers;
use self::recent::RecentBodies;
use self::registry::Registry;
use self::slip::Place;
use self::tx::Tx;
use self::writer::{Memory, Published, Writer};
use crate::config::EmbeddedSettings;
use crate::model::{QueueKey, Timestamp};
use crate::storage::{
    CatalogueController, ClaimController, Collected, ControlDriver, DataDriver, DeliveryController,
    FlavorController, MessageController, PoolController, QueueController, Result,
    SubscriptionController, Volume, Watcher,
};

/// Messages collected in one commit.
const GC_SLICE: usize = 1000;

/// The longest a reader waits for the writer to settle the store; it then
/// reads what is there.
const SETTLE_WAIT: Duration = Duration::from_secs(1);

/// The embedded store, control and data side.
pub struct EmbeddedDriver {
    writer: Writer,
    readers: Readers,
    memory: Arc<Memory>,
    checkpointer: Checkpointer,
    rest: Mutex<Option<Rest>>,
}

/// What must end before the directory is let go.
struct Rest {
    threads: Vec<std::thread::JoinHandle<()>>,
    _lock: DirectoryLock,
}

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "nusku.db";

impl EmbeddedDriver {
    /// Opens the store in `dir`, making it if there is none.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(
        dir: &Path,
        settings: &EmbeddedSettings,
    ) -> std::result::Result<Arc<Self>, OpenError> {
        let lock = DirectoryLock::take(dir)?;
        let path = dir.join(FILE_NAME);
        match header::faults(dir) {
            Ok(faults) => faults.into_iter().try_for_each(|it| Err(OpenError::Damaged(it)))?,
            // Then this is where a new one is made.
            Err(OpenError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
        let mut conn = Connection::open(&path)?;
        if let Some(steps) = schema::steps_taken(&conn)? {
            admin::look_over(&conn, &path, steps)?;
        }
        schema::prepare(&mut conn, settings.writer_cache_mib)?;
        subscriptions::forget_bound(&conn)?;
        let ids = Ids::load(&conn)?;

        let failed = |error| OpenError::Directory(dir.to_owned(), error);
        let recent = RecentBodies::new(settings.body_cache_mib as usize * 1024 * 1024);
        let (registry, announcer) = (Registry::default(), Announcer::default());
        let memory = Arc::new(Memory { registry, recent, announcer, ids });
        let published = Arc::new(Published::default());
        let mut connections = Vec::new();
        for _ in 0..settings.readers.max(1) {
            connections.push(open_reader(&path, settings.reader_cache_mib)?);
        }
        let (readers, mut threads) =
            Readers::start(connections, settings.max_waiting_requests).map_err(failed)?;
        let (checkpointer, thread) =
            Checkpointer::start(Connection::open(&path)?, Arc::clone(&published))
                .map_err(failed)?;
        threads.push(thread);
        let (writer, thread) = Writer::start(
            conn,
            Arc::clone(&memory),
            published,
            settings.max_waiting_requests,
            settings.max_requests_per_commit,
        )?;
        threads.push(thread);
        Ok(Arc::new(Self {
            writer,
            readers,
            memory,
            checkpointer,
            rest: Mutex::new(Some(Rest { threads, _lock: lock })),
        }))
    }

    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send + 'static,
    {
        self.writer.write(work).await
    }

    async fn write_post<T, F>(&self, queue: i64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send + 'static,
    {
        self.writer.write_post(queue, work).await
    }

    async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(work).await
    }

    /// Makes sure that a reader at `now` finds no timers left to work off, if
    /// the writer is there to do it.
    async fn settled(&self, now: Timestamp) {
        if now.seconds() < self.writer.published().next_due.load(Ordering::Acquire) {
            return;
        }
        let settling = self.write(move |tx| settle::settle(tx, now));
        if !matches!(tokio::time::timeout(SETTLE_WAIT, settling).await, Ok(Ok(()))) {
            tracing::warn!("the store could not be settled; ended claims may still show");
        }
    }
}

fn open_reader(path: &Path, cache_mib: u32) -> std::result::Result<Connection, OpenError> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    schema::set_up(&conn, cache_mib)?;
    Ok(conn)
}

impl ControlDriver for EmbeddedDriver {
    fn queues(&self) -> &dyn QueueController {
        self
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
impl DataDriver for EmbeddedDriver {
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

    async fn ping(&self) -> Result<()> {
        self.read(|conn| conn.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    async fn gc(&self, now: Timestamp) -> Result<Collected> {
        self.write(move |tx| {
            settle::settle(tx, now)?;
            let collected = expiry::collect(tx, now, GC_SLICE as u64)?;
            if collected.more {
                return Ok(collected);
            }
            let swept = queues::sweep(tx, GC_SLICE as u64)?;
            let messages = collected.messages + swept.messages;
            let more = swept.more
                || markers::forget_retired(tx.conn, now, GC_SLICE)?
                || subscriptions::collect(tx, now, GC_SLICE)?
                || due::collect(tx, now, GC_SLICE)?
                || shrink::give_back(tx.conn)?;
            Ok(Collected { messages, more })
        })
        .await
    }

    fn announce_to(&self, watcher: Arc<dyn Watcher>) {
        self.memory.announcer.listen(watcher);
    }

    async fn catch_up(&self, now: Timestamp) {
        // Whatever the writer settles, it tells.
        self.settled(now).await;
    }

    async fn adopt(&self, queue: &QueueKey, first_marker: u64) -> Result<()> {
        let queue = queue.clone();
        self.write(move |tx| adopt::adopt(tx, &queue, first_marker)).await
    }

    async fn abandon(&self, queue: &QueueKey, only_if_empty: bool) -> Result<Option<u64>> {
        let queue = queue.clone();
        self.write(move |tx| adopt::abandon(tx, &queue, only_if_empty)).await
    }

    async fn volume(&self, now: Timestamp) -> Result<Volume> {
        self.settled(now).await;
        self.read(move |conn| {
            Ok(Volume {
                free: Place::Ready.count_all(conn, now)? + Place::Delayed.count_all(conn, now)?,
                claimed: Place::Claimed.count_all(conn, now)?,
            })
        })
        .await
    }

    async fn close(&self) {
        if let Some(rest) = self.begin_close() {
            // A thread of the runtime must not wait for a disk. Fails only if
            // the runtime is ending, and then the lock goes with the process.
            let _ = tokio::task::spawn_blocking(move || rest.wait()).await;
        }
    }
}

impl EmbeddedDriver {
    fn begin_close(&self) -> Option<Rest> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.readers.stop();
        self.checkpointer.stop();
        self.writer.stop();
        Some(rest)
    }
}

impl Drop for EmbeddedDriver {
    fn drop(&mut self) {
        if let Some(rest) = self.begin_close() {
            rest.wait();
        }
    }
}

impl Rest {
    /// Waits for the threads, then lets the directory go.
    fn wait(self) {
        for thread in self.threads {
            // A panic there was logged there.
            let _ = thread.join();
        }
    }
}
