//! Due messages: copies of what was posted, until every subscription of their
//! queue is past them.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::body;
use super::error::OpResult;
use super::ids::Ids;
use super::queues::key_from;
use super::slip::Slip;
use super::tx::Tx;
use crate::model::{NewMessage, QueueKey, Timestamp};
use crate::storage::DueMessage;

/// Due messages that a step of somebody else removes on the way; what is more is
/// left to later steps and to the collector.
pub const FEW: usize = 32;

/// Queues that one slice of garbage collection looks at.
const QUEUES_PER_SLICE: usize = 64;

/// Bytes of bodies read at once, unless the first one alone has more.
const PAGE_BYTES: usize = 1 << 20;

const QUEUE_BEHIND: &str = "SELECT project, queue FROM due
    WHERE (project, queue) > (?1, ?2) ORDER BY project, queue LIMIT 1";

/// What every subscription of a queue is past; the marker that stands for no
/// subscription is the greatest there can be.
const DONE_WITH: &str = "SELECT marker FROM due WHERE project = ?1 AND queue = ?2
    AND marker <= coalesce((SELECT min(done) FROM subscription
        WHERE project = ?1 AND queue = ?2), 9223372036854775807)
    ORDER BY marker LIMIT ?3";

const EXPIRED: &str = "SELECT project, queue, marker FROM due WHERE expires <= ?1 LIMIT ?2";

/// One row at a time: for a statement that removes several, SQLite keeps a copy of
/// each page that it changes.
const REMOVE: &str = "DELETE FROM due WHERE project = ?1 AND queue = ?2 AND marker = ?3";

/// A statement for [`insert`].
pub fn inserter(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    conn.prepare_cached("INSERT INTO due VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")
}

/// Keeps a copy of a message that was just posted, by a statement from
/// [`inserter`].
pub fn insert(
    into: &mut CachedStatement<'_>,
    queue: &QueueKey,
    slip: &Slip,
    new: &NewMessage,
    written: &body::Written<'_>,
) -> rusqlite::Result<()> {
    into.execute(params![
        queue.project.as_str(),
        queue.name.as_str(),
        slip.marker,
        slip.number,
        slip.created.seconds(),
        new.ttl,
        new.delay,
        slip.expires.seconds(),
        written.crc,
        written.text.as_ref(),
    ])?;
    Ok(())
}

/// The marker behind which nothing is due yet; `None` if nothing is due at all.
pub fn last(conn: &Connection, queue: &QueueKey) -> rusqlite::Result<Option<u64>> {
    conn.prepare_cached("SELECT max(marker) FROM due WHERE project = ?1 AND queue = ?2")?
        .query_row((queue.project.as_str(), queue.name.as_str()), |row| row.get(0))
}

/// See [`crate::storage::DeliveryController::due`].
pub fn page(
    conn: &Connection,
    ids: &Ids,
    queue: &QueueKey,
    behind: u64,
    limit: u32,
) -> rusqlite::Result<Vec<DueMessage>> {
    let mut walk = conn.prepare_cached(
        "SELECT marker, number, ttl, delay, created, crc, text FROM due
         WHERE project = ?1 AND queue = ?2 AND marker > ?3 ORDER BY marker",
    )?;
    // No message has a marker that the file's integers cannot hold.
    let Ok(behind) = i64::try_from(behind) else { return Ok(Vec::new()) };
    let mut rows = walk.query((queue.project.as_str(), queue.name.as_str(), behind))?;
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while messages.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let (number, text) = (row.get(1)?, row.get_ref(6)?.as_bytes()?);
        bytes += text.len();
        if bytes > PAGE_BYTES && !messages.is_empty() {
            break;
        }
        let created = Timestamp::from_seconds(row.get(4)?);
        messages.push(DueMessage {
            marker: row.get(0)?,
            id: ids.message(created, number),
            ttl: row.get(2)?,
            delay: row.get(3)?,
            created,
            body: body::read(number, row.get(5)?, text)?,
        });
    }
    Ok(messages)
}

/// See [`crate::storage::DeliveryController::queues`].
pub fn queues(
    conn: &Connection,
    after: Option<&QueueKey>,
    limit: u32,
) -> rusqlite::Result<Vec<QueueKey>> {
    let mut found: Vec<QueueKey> = Vec::new();
    while found.len() < limit as usize
        && let Some(queue) = next_queue(conn, found.last().or(after))?
    {
        found.push(queue);
    }
    Ok(found)
}

/// The first queue behind `after` that has due messages: one step down the table,
/// however many lie before it.
fn next_queue(conn: &Connection, after: Option<&QueueKey>) -> rusqlite::Result<Option<QueueKey>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(key_from(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?))
    };
    let found = match after {
        None => conn
            .prepare_cached("SELECT project, queue FROM due ORDER BY project, queue LIMIT 1")?
            .query_row([], read),
        Some(after) => conn
            .prepare_cached(QUEUE_BEHIND)?
            .query_row((after.project.as_str(), after.name.as_str()), read),
    };
    Ok(found.optional()?.flatten())
}

/// Removes up to `budget` due messages that every subscription of the queue is
/// past, or all if it has none; returns how many.
pub fn forget(conn: &Connection, queue: &QueueKey, budget: usize) -> rusqlite::Result<usize> {
    let (project, name) = (queue.project.as_str(), queue.name.as_str());
    let markers: Vec<u64> = conn
        .prepare_cached(DONE_WITH)?
        .query_map((project, name, budget), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut remove = conn.prepare_cached(REMOVE)?;
    for marker in &markers {
        remove.execute((project, name, marker))?;
    }
    Ok(markers.len())
}

/// Removes up to `budget` due messages that have expired; returns how many.
fn expire(conn: &Connection, now: Timestamp, budget: usize) -> rusqlite::Result<usize> {
    let expired: Vec<(String, String, u64)> = conn
        .prepare_cached(EXPIRED)?
        .query_map((now.seconds(), budget), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut remove = conn.prepare_cached(REMOVE)?;
    for (project, queue, marker) in &expired {
        remove.execute((project, queue, marker))?;
    }
    Ok(expired.len())
}

/// Removes up to `budget` due messages that have expired or that nobody waits
/// for; whether there may be more of them. Comes after the collection of
/// subscriptions that have expired.
pub fn collect(tx: &mut Tx<'_>, now: Timestamp, budget: usize) -> OpResult<bool> {
    if expire(tx.conn, now, budget)? >= budget {
        return Ok(true);
    }
    let mut left = budget;
    for _ in 0..QUEUES_PER_SLICE {
        let Some(queue) = next_queue(tx.conn, tx.state.swept_due.as_ref())? else {
            tx.state.swept_due = None;
            return Ok(false);
        };
        left = left.saturating_sub(forget(tx.conn, &queue, left)?);
        if left == 0 {
            return Ok(true);
        }
        tx.state.swept_due = Some(queue);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(conn: &Connection, sql: &str) -> String {
        let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Without parameters: the plan does not depend on them.
        let steps = explained.raw_query().mapped(|row| row.get::<_, String>("detail"));
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[test]
    fn no_step_walks_over_more_than_it_takes() {
        let mut conn = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut conn, 1).unwrap();
        for (sql, steps) in [
            (QUEUE_BEHIND, &["((project,queue)>(?,?))"][..]),
            (
                DONE_WITH,
                &[
                    "due USING PRIMARY KEY (project=? AND queue=? AND marker<?)",
                    "subscription_done (project=? AND queue=?)",
                ],
            ),
            (EXPIRED, &["due_expires (expires<?)"]),
            (REMOVE, &["due USING PRIMARY KEY (project=? AND queue=? AND marker=?)"]),
        ] {
            let plan = plan(&conn, sql);
            assert!(steps.iter().all(|step| plan.contains(step)), "{sql}: {plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
