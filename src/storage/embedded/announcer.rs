//! Tells those who wait what a commit brought to which queue.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, OptionalExtension};

use super::queues::key_from;
use crate::model::QueueKey;
use crate::storage::{Arrival, Watcher};

/// What a commit brought.
#[derive(Debug, Default)]
pub struct News {
    /// Queues, by number, and how many messages came free in them.
    pub arrivals: Vec<(i64, u64)>,
    /// Queues in which something became due to subscribers.
    pub due: Vec<QueueKey>,
}

/// Knows who wants to be told, once somebody does.
#[derive(Default)]
pub struct Announcer(OnceLock<Arc<dyn Watcher>>);

impl Announcer {
    /// Tells `watcher` from now on; whoever comes first stays.
    pub fn listen(&self, watcher: Arc<dyn Watcher>) {
        // Told twice is told enough.
        let _ = self.0.set(watcher);
    }

    /// Tells what was committed.
    pub fn tell(&self, conn: &Connection, news: News) {
        let Some(watcher) = self.0.get() else { return };
        news.due.iter().for_each(|queue| watcher.due(queue));
        // After the commit: whoever is not there yet will see it.
        if !watcher.is_watching() {
            return;
        }
        for (queue, count) in news.arrivals {
            match key_of(conn, queue) {
                Ok(Some(key)) => watcher.arrived(&key, Arrival::Messages(count)),
                // It was deleted in the meantime, with what came.
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "those who wait could not be told"),
            }
        }
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Announcer").field(&self.0.get().is_some()).finish()
    }
}

fn key_of(conn: &Connection, queue: i64) -> rusqlite::Result<Option<QueueKey>> {
    let mut find = conn.prepare_cached("SELECT project, name FROM queue WHERE number = ?1")?;
    let found = find
        .query_row([queue], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    Ok(found.and_then(|(project, name)| key_from(&project, &name)))
}
