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

enum Job {
    Read(Box<dyn FnOnce(&Connection) + Send>),
    Stop,
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
                        // The job's answer is dropped with it, which its caller
                        // sees; the thread lives on for the others.
                        if catch_unwind(AssertUnwindSafe(|| work(&conn))).is_err() {
                            tracing::error!("a read panicked");
                        }
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
                let snapshot = conn.unchecked_transaction()?;
                let answer = work(&snapshot)?;
                snapshot.commit()?;
                Ok(answer)
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
    async fn a_read_that_panics_is_an_error_and_not_the_last() {
        let conn = Connection::open_in_memory().unwrap();
        let (readers, threads) = Readers::start(vec![conn], 8).unwrap();
        let panicked = readers.read(|_| -> rusqlite::Result<()> { panic!("as tests do") }).await;
        assert!(panicked.is_err());
        let one = readers.read(|conn| conn.query_row("SELECT 1", [], |row| row.get(0))).await;
        assert_eq!(one, Ok(1));
        readers.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
