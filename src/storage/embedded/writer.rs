//! The one writer: a thread that owns the only connection that writes.
//!
//! It takes whatever requests wait, runs them one after the other in one
//! transaction, commits with one durable sync, and only then answers them all.
//! So the cost of a sync is shared by everyone who came in the meantime, and
//! no answer ever speaks of something that is not on disk.
//!
//! The requests of a group are all under way at the same time, so none of them can
//! tell in which order they run. Posts run first, those to one queue one behind the
//! other: so their messages can share rows, and the claims of the group see them.
//!
//! A request that the rules forbid is refused before it has written anything,
//! and its neighbours go on. If the store itself fails, the whole group is
//! rolled back and everybody in it is told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::announcer::{Announcer, News};
use super::error::{OpError, OpResult, unavailable};
use super::ids::Ids;
use super::recent::RecentBodies;
use super::registry::Registry;
use super::schema;
use super::tx::{State, Told, Tx};
use crate::storage::{Error, Result};

/// What a commit leaves in memory for those who come after it.
#[derive(Debug)]
pub struct Memory {
    /// Queues by name.
    pub registry: Registry,
    /// Bodies posted last, and read last.
    pub recent: RecentBodies,
    /// Whom to tell of arrivals.
    pub announcer: Announcer,
    /// How ids are made; never changes.
    pub ids: Ids,
}

/// What the writer tells everybody else.
#[derive(Debug, Default)]
pub struct Published {
    /// No claim ends and no delay passes before this moment, in seconds.
    pub next_due: AtomicI64,
    /// Commits so far; the checkpointer sleeps while it stands still.
    pub commits: AtomicU64,
    /// Pages in the write-ahead log when the checkpointer last looked.
    pub log_pages: AtomicU64,
}

/// A write-ahead log longer than this many pages (64 MiB) is wound back by the
/// writer itself; the checkpointer has then copied nearly all of it already.
const LOG_PAGES_MAX: u64 = 8192;

/// A request as the writer sees it.
trait Op: Send {
    /// The number of the queue, if it posts there and looks for no messages: then
    /// it may share rows with its neighbours, see [`super::posting`].
    fn posts_to(&self) -> Option<i64>;
    /// Does the work inside the transaction and keeps the answer.
    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<(), rusqlite::Error>;
    /// Sends the answer, or the failure of the whole group.
    fn finish(self: Box<Self>, failure: Option<&Error>);
}

struct Request<F, T> {
    posts_to: Option<i64>,
    work: Option<F>,
    answer: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Op for Request<F, T>
where
    F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send,
    T: Send,
{
    fn posts_to(&self) -> Option<i64> {
        self.posts_to
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<(), rusqlite::Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.answer = Some(match work(tx) {
            Ok(answer) => Ok(answer),
            Err(OpError::Refused(error)) => Err(error),
            Err(OpError::Failed(error)) => return Err(error),
        });
        Ok(())
    }

    fn finish(self: Box<Self>, failure: Option<&Error>) {
        let answer = match failure {
            Some(error) => Err(error.clone()),
            None => self.answer.unwrap_or_else(|| Err(unavailable(&"the request was not run"))),
        };
        // The caller may have gone away; what it asked for is done all the same.
        let _ = self.reply.send(answer);
    }
}

enum Order {
    Do(Box<dyn Op>),
    Stop,
}

/// The way to the writer thread.
pub struct Writer {
    orders: Sender<Order>,
    published: Arc<Published>,
}

/// The thread itself, to be waited for.
pub type WriterThread = JoinHandle<()>;

impl Writer {
    /// Starts the thread. At most `waiting_max` requests wait for it, and at
    /// most `group_max` share a commit.
    pub fn start(
        conn: Connection,
        memory: Arc<Memory>,
        published: Arc<Published>,
        waiting_max: usize,
        group_max: usize,
    ) -> std::result::Result<(Self, WriterThread), rusqlite::Error> {
        let (sender, orders) = bounded(waiting_max);
        let state = State::load(&conn)?;
        published.next_due.store(state.next_due(), Ordering::Release);
        let mut work =
            Loop { conn, state, memory, published: Arc::clone(&published), orders, group_max };
        let thread = thread::Builder::new()
            .name("nusku-writer".into())
            .spawn(move || work.run())
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok((Self { orders: sender, published }, thread))
    }

    /// Runs `work` in the next commit; answers once that is on disk.
    ///
    /// Dropping the future forgets the answer, not the work.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send + 'static,
    {
        self.order(work, None).await
    }

    /// As [`Writer::write`], for work that posts to the queue with that number, and
    /// does not look for messages.
    pub async fn write_post<T, F>(&self, queue: i64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send + 'static,
    {
        self.order(work, Some(queue)).await
    }

    async fn order<T, F>(&self, work: F, posts_to: Option<i64>) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> OpResult<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Request { posts_to, work: Some(work), answer: None, reply };
        match self.orders.try_send(Order::Do(Box::new(request))) {
            Ok(()) => answer.await.map_err(|_| unavailable(&"the writer stopped"))?,
            Err(TrySendError::Full(_)) => Err(unavailable(&"too many requests wait to be written")),
            Err(TrySendError::Disconnected(_)) => Err(unavailable(&"the store is closed")),
        }
    }

    /// What the writer last told.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// Lets the thread finish what waits, and stop.
    pub fn stop(&self) {
        // Fails only if it has stopped already.
        let _ = self.orders.send(Order::Stop);
    }
}

struct Loop {
    conn: Connection,
    state: State,
    memory: Arc<Memory>,
    published: Arc<Published>,
    orders: Receiver<Order>,
    group_max: usize,
}

impl Loop {
    fn run(&mut self) {
        let mut group = Vec::with_capacity(self.group_max.min(1024));
        while let Ok(order) = self.orders.recv() {
            let mut stop = false;
            for order in std::iter::once(order).chain(self.orders.try_iter()) {
                match order {
                    Order::Do(op) => group.push(op),
                    Order::Stop => stop = true,
                }
                if stop || group.len() >= self.group_max {
                    break;
                }
            }
            self.serve(&mut group);
            if stop {
                break;
            }
        }
        if let Err(error) = self.state.save(&self.conn) {
            tracing::warn!(%error, "unused numbers could not be given back");
        }
        // What is in the log is safe; this only makes the next start shorter.
        if let Err(error) = checkpoint(&self.conn, "TRUNCATE") {
            tracing::warn!(%error, "the last checkpoint failed; the log is read at the next start");
        }
    }

    /// Runs a group and answers it.
    fn serve(&mut self, group: &mut Vec<Box<dyn Op>>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.commit(group)));
        let (news, failure) = match outcome {
            Ok(Ok(news)) => (news, None),
            Ok(Err(error)) => (News::default(), Some(error.to_string())),
            Err(_) => (News::default(), Some("an operation panicked".to_owned())),
        };
        let failure = failure.map(|reason| {
            tracing::error!(%reason, requests = group.len(), "a group of writes was rolled back");
            self.roll_back();
            Error::Unavailable(reason)
        });
        self.published.next_due.store(self.state.next_due(), Ordering::Release);
        for op in group.drain(..) {
            op.finish(failure.as_ref());
        }
        self.memory.announcer.tell(&self.conn, news);
        self.wind_back_log();
    }

    /// Commits a group; what it brought.
    fn commit(&mut self, group: &mut [Box<dyn Op>]) -> rusqlite::Result<News> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut tx = Tx::new(&self.conn, &mut self.state, &self.memory);
        group.sort_by_cached_key(|op| op.posts_to().map_or((1, 0), |queue| (0, queue)));
        for op in group {
            if op.posts_to().is_none() {
                tx.save_posts()?;
            }
            op.run(&mut tx)?;
        }
        let Told { effects, posted, news } = tx.finish()?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        self.state.holds.keep();
        self.published.commits.fetch_add(1, Ordering::Release);
        for effect in effects {
            effect.apply(&self.memory.registry);
        }
        self.memory.recent.add(posted);
        Ok(news)
    }

    /// Back to what is on disk, in the file and in memory.
    fn roll_back(&mut self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
        if let Err(error) = self.state.reload(&self.conn, self.memory.registry.generation()) {
            tracing::error!(%error, "the state could not be read back");
        }
    }

    fn wind_back_log(&mut self) {
        if self.published.log_pages.load(Ordering::Acquire) < LOG_PAGES_MAX {
            return;
        }
        self.published.log_pages.store(0, Ordering::Release);
        // A reader may be in the way, a backup for minutes. Posts must not wait
        // for it; the checkpointer will report again.
        if let Err(error) = without_waiting(&self.conn, |conn| checkpoint(conn, "RESTART")) {
            tracing::warn!(%error, "the log could not be wound back");
        }
    }
}

/// Does `work` on the connection, which meanwhile gives up at once where
/// somebody else is in the way.
fn without_waiting<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    conn.busy_timeout(Duration::ZERO)?;
    let done = work(conn);
    conn.busy_timeout(schema::BUSY_TIMEOUT)?;
    done
}

/// Copies the log into the file; returns the pages in the log.
pub fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<u64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let pages: i64 = conn.query_row(&sql, [], |row| row.get(1))?;
    Ok(u64::try_from(pages).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_wound_back_without_waiting_for_readers() {
        let conn = Connection::open_in_memory().unwrap();
        schema::set_up(&conn, 1).unwrap();
        let patience = |conn: &Connection| {
            conn.pragma_query_value(None, "busy_timeout", |row| row.get::<_, u64>(0))
        };
        assert_eq!(without_waiting(&conn, patience), Ok(0));
        assert_eq!(patience(&conn), Ok(5000), "but all else is patient");
    }
}
