//! Copying the write-ahead log into the file, beside the writer.
//!
//! A passive checkpoint waits for nobody and nobody waits for it. Once all of
//! the log is copied, the writer begins it anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rusqlite::Connection;

use super::writer::{Published, checkpoint};

/// Pause between looks at the log.
const PAUSE: Duration = Duration::from_millis(100);

/// The way to the checkpointer's thread.
#[derive(Debug)]
pub struct Checkpointer {
    stop: Sender<()>,
}

impl Checkpointer {
    /// Starts the thread.
    pub fn start(
        conn: Connection,
        published: Arc<Published>,
    ) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let (stop, stopped) = bounded(1);
        let builder = thread::Builder::new().name("nusku-checkpoint".into());
        let thread = builder.spawn(move || {
            let mut seen = 0;
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let commits = published.commits.load(Ordering::Acquire);
                if commits == seen {
                    continue;
                }
                seen = commits;
                match checkpoint(&conn, "PASSIVE") {
                    Ok(pages) => published.log_pages.store(pages, Ordering::Release),
                    Err(error) => tracing::warn!(%error, "a checkpoint failed"),
                }
            }
        })?;
        Ok((Self { stop }, thread))
    }

    /// Lets the thread end.
    pub fn stop(&self) {
        // Fails only if it has been told already.
        let _ = self.stop.try_send(());
    }
}
