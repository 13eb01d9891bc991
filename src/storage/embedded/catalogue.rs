//! The catalogue: which queue is in which pool.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::EmbeddedDriver;
use super::error::OpResult;
use super::pools;
use super::tx::Tx;
use crate::model::{Placement, PoolName, QueueKey, Timestamp};
use crate::storage::{CatalogueController, Error, Result};

fn find(conn: &Connection, queue: &QueueKey) -> rusqlite::Result<Option<Placement>> {
    conn.prepare_cached("SELECT pool, leaving FROM catalogue WHERE project = ?1 AND name = ?2")?
        .query_row((queue.project.as_str(), queue.name.as_str()), |row| {
            let pool = PoolName::parse(row.get_ref(0)?.as_str()?).ok_or_else(|| {
                let kind = rusqlite::types::Type::Text;
                rusqlite::Error::FromSqlConversionFailure(0, kind, "no name".into())
            })?;
            let leaving: Option<i64> = row.get(1)?;
            Ok(Placement { pool, leaving: leaving.map(Timestamp::from_seconds) })
        })
        .optional()
}

/// How many queues are in the pool, counted up to `most`.
pub fn count(conn: &Connection, pool: &PoolName, most: u64) -> rusqlite::Result<u64> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    conn.prepare_cached("SELECT count(*) FROM (SELECT 1 FROM catalogue WHERE pool = ?1 LIMIT ?2)")?
        .query_row((pool.as_str(), most), |row| row.get(0))
}

fn require_pool(tx: &Tx<'_>, pool: &PoolName) -> OpResult<()> {
    match pools::find(tx.conn, pool)? {
        Some(_) => Ok(()),
        None => Err(Error::PoolDoesNotExist(pool.clone()).into()),
    }
}

fn place(tx: &Tx<'_>, queue: &QueueKey, pool: &PoolName) -> OpResult<Placement> {
    if let Some(there) = find(tx.conn, queue)? {
        return Ok(there);
    }
    require_pool(tx, pool)?;
    write(tx, queue, &Placement { pool: pool.clone(), leaving: None })
}

fn write(tx: &Tx<'_>, queue: &QueueKey, placement: &Placement) -> OpResult<Placement> {
    tx.conn.prepare_cached("INSERT OR REPLACE INTO catalogue VALUES (?1, ?2, ?3, ?4)")?.execute(
        params![
            queue.project.as_str(),
            queue.name.as_str(),
            placement.pool.as_str(),
            placement.leaving.map(Timestamp::seconds),
        ],
    )?;
    Ok(placement.clone())
}

fn change(tx: &Tx<'_>, queue: &QueueKey, expected: &Placement, new: &Placement) -> OpResult<bool> {
    if find(tx.conn, queue)?.as_ref() != Some(expected) {
        return Ok(false);
    }
    if new.pool != expected.pool {
        require_pool(tx, &new.pool)?;
    }
    write(tx, queue, new)?;
    Ok(true)
}

fn remove(tx: &Tx<'_>, queue: &QueueKey, expected: &Placement) -> OpResult<bool> {
    if find(tx.conn, queue)?.as_ref() != Some(expected) {
        return Ok(false);
    }
    tx.conn
        .prepare_cached("DELETE FROM catalogue WHERE project = ?1 AND name = ?2")?
        .execute((queue.project.as_str(), queue.name.as_str()))?;
    Ok(true)
}

#[async_trait]
impl CatalogueController for EmbeddedDriver {
    async fn get(&self, queue: &QueueKey) -> Result<Option<Placement>> {
        let queue = queue.clone();
        self.read(move |conn| find(conn, &queue)).await
    }

    async fn place(&self, queue: &QueueKey, pool: &PoolName) -> Result<Placement> {
        let (queue, pool) = (queue.clone(), pool.clone());
        self.write(move |tx| place(tx, &queue, &pool)).await
    }

    async fn change(
        &self,
        queue: &QueueKey,
        expected: &Placement,
        placement: &Placement,
    ) -> Result<bool> {
        let (queue, expected, new) = (queue.clone(), expected.clone(), placement.clone());
        self.write(move |tx| change(tx, &queue, &expected, &new)).await
    }

    async fn remove(&self, queue: &QueueKey, expected: &Placement) -> Result<bool> {
        let (queue, expected) = (queue.clone(), expected.clone());
        self.write(move |tx| remove(tx, &queue, &expected)).await
    }

    async fn count(&self, pool: &PoolName, most: u64) -> Result<u64> {
        let pool = pool.clone();
        self.read(move |conn| count(conn, &pool, most)).await
    }
}
