//! The readers: threads with connections of their own.
//!
//! A reader sees the store as of the last commit before it began and never
//! waits for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Sender, TrySendError, bounded};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::unavailable;
use crate::storage::Result;

type Work = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Read(Work),
    Stop,
}

/// Runs one job; its panic, should there be one, fails that job alone.
fn serve(conn: &Connection, work: Work) {
    if catch_unwind(AssertUnwindSafe(|| work(conn))).is_err()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a reader could not end its transaction");
    }
}

/// The way to the reader threads.
pub struct Readers {
    jobs: Sender<Job>,
    threads: usize,
}

impl Readers {
    /// Starts a thread for each connection; at most `waiting_max` jobs wait.
    pub fn start(
        connections: Vec<Connection>,
        waiting_max: usize,
    ) -> std::io::Result<(Self, Vec<thread::JoinHandle<()>>)> {
        let (sender, jobs) = bounded::<Job>(waiting_max);
        let threads = connections
            .into_iter()
            .map(|conn| {
                let jobs = jobs.clone();
                thread::Builder::new().name("nusku-reader".into()).spawn(move || {
                    while let Ok(Job::Read(work)) = jobs.recv() {
                        serve(&conn, work);
                    }
                })
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        Ok((Self { jobs: sender, threads: threads.len() }, threads))
    }

    /// Lets the threads finish what waits, and end.
    pub fn stop(&self) {
        for _ in 0..self.threads {
            // Fails only if they have ended already.
            let _ = self.jobs.send(Job::Stop);
        }
    }

    /// Runs `work` in a read transaction of its own: all it reads is one state.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |conn: &Connection| {
            let read = || {
                conn.prepare_cached("BEGIN")?.execute([])?;
                let answer = work(conn);
                // Some failures have ended the transaction already.
                if !conn.is_autocommit() {
                    conn.prepare_cached("COMMIT")?.execute([])?;
                }
                answer
            };
            // The caller may have gone away.
            let _ = reply.send(read().map_err(|error: rusqlite::Error| {
                tracing::error!(%error, "a read failed");
                unavailable(&error)
            }));
        });
        match self.jobs.try_send(Job::Read(work)) {
            Ok(()) => answer.await.map_err(|_| unavailable(&"a reader stopped"))?,
            Err(TrySendError::Full(_)) => Err(unavailable(&"too many requests wait to be read")),
            Err(TrySendError::Disconnected(_)) => Err(unavailable(&"the store is closed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_panics_or_fails_is_not_the_last() {
        let conn = Connection::open_in_memory().unwrap();
        let (readers, threads) = Readers::start(vec![conn], 8).unwrap();
        let panicked = readers.read(|_| -> rusqlite::Result<()> { panic!("as tests do") }).await;
        assert!(panicked.is_err());
        // As SQLite does by itself when the disk fails.
        let ended = readers.read(|conn| {
            conn.execute_batch("ROLLBACK")?;
            conn.execute_batch("SELECT nonsense")
        });
        let reason = ended.await.unwrap_err().to_string();
        assert!(reason.contains("nonsense"), "the reason is told: {reason}");
        let one = readers.read(|conn| conn.query_row("SELECT 1", [], |row| row.get(0))).await;
        assert_eq!(one, Ok(1));
        readers.stop();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
