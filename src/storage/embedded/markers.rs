//! Markers: every queue counts by itself.
//!
//! So a queue's markers tell nothing of what goes on in others. A queue begins
//! at the microseconds since 1970, and behind whatever a queue of its name ever
//! gave out: `retired` keeps where deleted queues stood until the time has
//! passed that, then one *floor* for all stands in for them, should the clock
//! ever be set back.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::error::OpResult;
use super::tx::Tx;
use crate::model::{QueueKey, Timestamp};

/// Markers are reserved on disk this many at a time: most posts do not touch
/// the queue's record, and a crash leaves a gap of less than this.
const BLOCK: u64 = 1024;

/// The most queues whose counters are kept; one that is forgotten goes on
/// behind what it had reserved.
const KNOWN_MAX: usize = 1 << 17;

/// The last marker that a queue begins at: half of what the file's integers hold,
/// so that it has room to count.
const LAST: u64 = 1 << 62;

/// Where the queues stand that were posted to lately, by number.
#[derive(Debug, Default)]
pub struct Counters(HashMap<i64, Counter>);

#[derive(Clone, Copy, Debug)]
struct Counter {
    next: u64,
    /// The file says that markers below this are in use.
    reserved: u64,
}

impl Counters {
    /// Forgets what a rolled back transaction may have changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Gives back what was reserved and not used, before the file is closed.
    pub fn save(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for (&queue, counter) in self.0.iter().filter(|(_, it)| it.next < it.reserved) {
            reserve(conn, queue, counter.next)?;
        }
        conn.execute_batch("COMMIT")
    }
}

fn reserve(conn: &Connection, queue: i64, next: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE queue SET next = ?2 WHERE number = ?1")?.execute((queue, next))?;
    Ok(())
}

/// Takes the queue's next `count` markers; returns the first of them.
pub fn take(tx: &mut Tx<'_>, queue: i64, count: usize, now: Timestamp) -> OpResult<u64> {
    let known = tx.state.counters.0.get(&queue).copied();
    let Counter { next, mut reserved } = match known {
        Some(counter) => counter,
        None => read(tx.conn, queue, now)?,
    };
    let after = next.saturating_add(count as u64);
    if after > reserved {
        reserved = after.saturating_add(BLOCK);
        reserve(tx.conn, queue, reserved)?;
    }
    let counters = &mut tx.state.counters.0;
    if known.is_none() && counters.len() >= KNOWN_MAX {
        counters.clear();
    }
    counters.insert(queue, Counter { next: after, reserved });
    Ok(next)
}

/// Where a queue stands that is not known: behind what it has reserved, or at
/// its beginning.
fn read(conn: &Connection, queue: i64, now: Timestamp) -> OpResult<Counter> {
    let (saved, free) = saved(conn, queue)?;
    // Before every marker lies 0.
    let next = saved.unwrap_or_else(|| micros(now).max(free).max(1));
    Ok(Counter { next, reserved: next })
}

/// Lets a queue that was just made begin at `first`, or behind what a queue of
/// its name gave out.
pub fn begin(tx: &Tx<'_>, queue: i64, first: u64) -> OpResult<()> {
    let (_, free) = saved(tx.conn, queue)?;
    Ok(reserve(tx.conn, queue, first.min(LAST).max(free).max(1))?)
}

/// Where the queue goes on, if it ever began, and a marker from which on no queue
/// of its name ever gave one out.
fn saved(conn: &Connection, queue: i64) -> rusqlite::Result<(Option<u64>, u64)> {
    let (next, retired, floor): (_, Option<u64>, u64) = conn
        .prepare_cached(
            "SELECT next, (SELECT next FROM retired
                 WHERE retired.project = queue.project AND retired.name = queue.name),
             (SELECT floor FROM sequence) FROM queue WHERE number = ?1",
        )?
        .query_row([queue], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok((next, floor.max(retired.unwrap_or(0))))
}

/// The marker behind all that the queue has given out; `None` if it never gave
/// one out.
pub fn next(tx: &Tx<'_>, queue: i64) -> rusqlite::Result<Option<u64>> {
    if let Some(counter) = tx.state.counters.0.get(&queue) {
        return Ok(Some(counter.next));
    }
    let saved = tx
        .conn
        .prepare_cached("SELECT next FROM queue WHERE number = ?1")?
        .query_row([queue], |row| row.get(0))
        .optional()?;
    Ok(saved.flatten())
}

/// Keeps where a queue stands that is about to be deleted.
pub fn retire(tx: &mut Tx<'_>, key: &QueueKey, queue: i64) -> OpResult<()> {
    if let Some(next) = next(tx, queue)? {
        tx.conn
            .prepare_cached(
                "INSERT INTO retired VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET next = max(next, excluded.next)",
            )?
            .execute((key.project.as_str(), key.name.as_str(), next))?;
    }
    tx.state.counters.0.remove(&queue);
    Ok(())
}

/// Forgets up to `budget` deleted queues that the time has passed by; returns
/// whether there may be more.
pub fn forget_retired(conn: &Connection, now: Timestamp, budget: usize) -> OpResult<bool> {
    let passed: Vec<(String, String, u64)> = conn
        .prepare_cached("SELECT project, name, next FROM retired WHERE next <= ?1 LIMIT ?2")?
        .query_map((micros(now), budget), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut forget = conn.prepare_cached("DELETE FROM retired WHERE project = ?1 AND name = ?2")?;
    for (project, name, _) in &passed {
        forget.execute((project, name))?;
    }
    if let Some(highest) = passed.iter().map(|(_, _, next)| next).max() {
        conn.prepare_cached("UPDATE sequence SET floor = max(floor, ?1)")?.execute([highest])?;
    }
    Ok(passed.len() == budget)
}

fn micros(moment: Timestamp) -> u64 {
    let micros = moment.seconds().max(0).saturating_mul(1_000_000);
    micros.cast_unsigned().min(LAST)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::config::Settings;
    use crate::model::{ClientId, ListQuery, Metadata, NewMessage, ProjectId, QueueName};
    use crate::storage::embedded::EmbeddedDriver;
    use crate::storage::{DataDriver, MessageController, QueueController};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn open(dir: &TempDir) -> Arc<EmbeddedDriver> {
        let settings = Settings::defaults().unwrap().storage.embedded;
        EmbeddedDriver::open(dir.path(), &settings).unwrap()
    }

    fn key(name: &str) -> QueueKey {
        QueueKey { project: ProjectId::new("p"), name: QueueName::parse(name).unwrap() }
    }

    /// Posts to the queue, which is made if it is missing; the marker of the last
    /// message.
    async fn post(store: &EmbeddedDriver, queue: &QueueKey, count: usize, now: Timestamp) -> u64 {
        QueueController::create(store, queue, &Metadata::default()).await.unwrap();
        let new = NewMessage { ttl: 60, delay: 0, body: "1".into(), checksum: None };
        let client = ClientId::parse_any("me");
        store.post(queue, &client, vec![new; count], now).await.unwrap();
        let all = ListQuery {
            marker: None,
            limit: 10_000,
            without: None,
            include_claimed: true,
            include_delayed: true,
        };
        let page = MessageController::list(store, queue, &all, now).await.unwrap();
        page.last().unwrap().marker
    }

    async fn numbers(store: &EmbeddedDriver, sql: &'static str) -> Vec<u64> {
        let read = |conn: &Connection| {
            conn.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()
        };
        store.read(read).await.unwrap()
    }

    #[tokio::test]
    async fn an_orderly_end_leaves_no_gap() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let first = post(&store, &key("q"), 1, NOW).await;
        assert_eq!(first, 1_800_000_000_000_000);
        assert_eq!(post(&store, &key("q"), 3000, NOW).await, first + 3000);
        store.close().await;
        let store = open(&dir);
        assert_eq!(post(&store, &key("q"), 1, NOW).await, first + 3001);
    }

    /// What lies on the disk while the store is open is what a crash leaves.
    #[tokio::test]
    async fn a_crash_leaves_a_gap_and_brings_nothing_back() {
        let (mut dir, queue) = (tempfile::tempdir().unwrap(), key("q"));
        let mut last = 0;
        for round in 0..4 {
            let store = open(&dir);
            let first = post(&store, &queue, 1, NOW).await;
            assert!(first > last, "round {round}");
            assert!(round == 0 || first <= last + BLOCK + 1, "round {round}: {last} to {first}");
            last = post(&store, &queue, 700, NOW).await;
            let left = tempfile::tempdir().unwrap();
            for file in ["nusku.db", "nusku.db-wal"] {
                std::fs::copy(dir.path().join(file), left.path().join(file)).unwrap();
            }
            store.close().await;
            dir = left;
        }
    }

    #[tokio::test]
    async fn deleted_queues_are_forgotten_when_time_has_passed_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        let last = post(&store, &key("q"), 5, NOW).await;
        QueueController::delete(&*store, &key("q")).await.unwrap();
        while store.gc(NOW).await.unwrap().more {}
        assert_eq!(numbers(&store, "SELECT next FROM retired").await, [last + 1]);
        assert_eq!(numbers(&store, "SELECT floor FROM sequence").await, [1]);
        assert_eq!(post(&store, &key("other"), 1, NOW).await, last - 4, "none of its business");

        while store.gc(NOW.plus(1)).await.unwrap().more {}
        assert!(numbers(&store, "SELECT next FROM retired").await.is_empty());
        assert_eq!(numbers(&store, "SELECT floor FROM sequence").await, [last + 1]);
        let early = Timestamp::from_seconds(1_000);
        assert_eq!(post(&store, &key("q"), 1, early).await, last + 1, "the clock was set back");
    }

    #[tokio::test]
    async fn moments_that_are_none_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir);
        for (name, seconds, expected) in [("a", i64::MIN, 1), ("b", 0, 1), ("c", i64::MAX, LAST)] {
            let queue = key(name);
            QueueController::create(&*store, &queue, &Metadata::default()).await.unwrap();
            let taken = store.write(move |tx| {
                let number = super::super::queues::number_of(tx.conn, &queue)?.unwrap_or_default();
                take(tx, number, 1, Timestamp::from_seconds(seconds))
            });
            assert_eq!(taken.await, Ok(expected), "{name}");
        }
    }
}
