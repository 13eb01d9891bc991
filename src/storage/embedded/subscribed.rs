//! Which queues have subscriptions, in memory: a post to any other queue pays
//! nothing for there being such a thing.

use std::collections::HashMap;

use rusqlite::Connection;

use super::queues::key_from;
use crate::model::{QueueKey, Timestamp};

/// Queues with subscriptions, each with the moment when the last of them ends, in
/// seconds. As the file says, see [`SubscribedQueues::refresh`].
#[derive(Debug, Default)]
pub struct SubscribedQueues(HashMap<QueueKey, i64>);

impl SubscribedQueues {
    /// Reads them all.
    pub fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut all = conn.prepare_cached(
            "SELECT project, queue, max(expires) FROM subscription GROUP BY project, queue",
        )?;
        let mut rows = all.query([])?;
        let mut queues = HashMap::new();
        while let Some(row) = rows.next()? {
            if let Some(key) = key_from(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?) {
                queues.insert(key, row.get(2)?);
            }
        }
        Ok(Self(queues))
    }

    /// Whether somebody is to be told of what comes to the queue.
    pub fn contains(&self, queue: &QueueKey, now: Timestamp) -> bool {
        self.0.get(queue).is_some_and(|&end| end > now.seconds())
    }

    /// Reads a queue anew: one of its subscriptions was made, changed or removed.
    pub fn refresh(&mut self, conn: &Connection, queue: &QueueKey) -> rusqlite::Result<()> {
        let end: Option<i64> = conn
            .prepare_cached(
                "SELECT max(expires) FROM subscription WHERE project = ?1 AND queue = ?2",
            )?
            .query_row((queue.project.as_str(), queue.name.as_str()), |row| row.get(0))?;
        match end {
            Some(end) => self.0.insert(queue.clone(), end),
            None => self.0.remove(queue),
        };
        Ok(())
    }
}
