//! The records of queues.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::EmbeddedDriver;
use super::error::{OpResult, unavailable};
use super::registry::{Known, QueueRef};
use super::slip::{self, Place};
use super::tx::{Effect, Tx};
use super::{body, markers};
use crate::model::{Metadata, ProjectId, QueueFilter, QueueKey, QueueKind, QueueName, QueueRecord};
use crate::storage::{Collected, Error, QueueController, Result};

/// The number of a queue, whoever keeps its record.
pub fn number_of(conn: &Connection, key: &QueueKey) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT number FROM queue WHERE project = ?1 AND name = ?2")?
        .query_row((key.project.as_str(), key.name.as_str()), |row| row.get(0))
        .optional()
}

/// The queue or topic that a row names.
pub fn key_from(project: &str, name: &str) -> Option<QueueKey> {
    Some(QueueKey { project: ProjectId::new(project), name: QueueName::from_stored(name)? })
}

/// Whether the queue's record is kept in another store.
pub fn is_placed(conn: &Connection, number: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT placed FROM queue WHERE number = ?1")?
        .query_row([number], |row| row.get(0))
}

/// Makes a queue that does not exist; returns its number.
pub fn insert(
    tx: &mut Tx<'_>,
    key: &QueueKey,
    metadata: Arc<Metadata>,
    placed: bool,
) -> rusqlite::Result<i64> {
    tx.conn
        .prepare_cached(
            "INSERT INTO queue (project, name, metadata, placed) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((key.project.as_str(), key.name.as_str(), metadata.to_text(), placed))?;
    let number = tx.conn.last_insert_rowid();
    tx.after_commit(Effect::Made(key.clone(), Known { number, metadata, placed }));
    Ok(number)
}

/// A row of `queue`.
struct QueueRow {
    number: i64,
    metadata: String,
    placed: bool,
}

fn row_of(conn: &Connection, key: &QueueKey) -> rusqlite::Result<Option<QueueRow>> {
    conn.prepare_cached(
        "SELECT number, metadata, placed FROM queue WHERE project = ?1 AND name = ?2",
    )?
    .query_row((key.project.as_str(), key.name.as_str()), |row| {
        Ok(QueueRow { number: row.get(0)?, metadata: row.get(1)?, placed: row.get(2)? })
    })
    .optional()
}

fn create(tx: &mut Tx<'_>, key: &QueueKey, metadata: Metadata) -> OpResult<bool> {
    match row_of(tx.conn, key)? {
        Some(QueueRow { placed: true, .. }) => {
            Err(unavailable(&format_args!("queue {key} was placed here by another store")).into())
        }
        Some(_) => Ok(false),
        None => {
            insert(tx, key, Arc::new(metadata), false)?;
            Ok(true)
        }
    }
}

fn set_metadata(tx: &mut Tx<'_>, key: &QueueKey, old: &Metadata, new: &Metadata) -> OpResult<()> {
    let row = row_of(tx.conn, key)?.filter(|row| !row.placed);
    let Some(QueueRow { number, metadata, .. }) = row else {
        return Err(Error::QueueDoesNotExist(key.clone()).into());
    };
    if metadata != old.to_text() {
        return Err(Error::MetadataChanged(key.clone()).into());
    }
    tx.conn
        .prepare_cached("UPDATE queue SET metadata = ?2 WHERE number = ?1")?
        .execute((number, new.to_text()))?;
    tx.after_commit(Effect::Forget(key.clone()));
    Ok(())
}

fn delete(tx: &mut Tx<'_>, key: &QueueKey) -> OpResult<()> {
    match row_of(tx.conn, key)? {
        Some(row) if !row.placed => remove(tx, key, row.number),
        _ => Ok(()),
    }
}

/// Drops a queue; its messages are the collector's, see [`sweep`].
pub fn remove(tx: &mut Tx<'_>, key: &QueueKey, number: i64) -> OpResult<()> {
    markers::retire(tx, key, number)?;
    tx.conn.prepare_cached("DELETE FROM queue WHERE number = ?1")?.execute([number])?;
    tx.conn.prepare_cached("INSERT INTO dropped VALUES (?1)")?.execute([number])?;
    tx.after_commit(Effect::Forget(key.clone()));
    Ok(())
}

/// Removes about `budget` messages of deleted queues.
pub fn sweep(tx: &mut Tx<'_>, budget: u64) -> OpResult<Collected> {
    let first: Option<i64> = tx
        .conn
        .prepare_cached("SELECT queue FROM dropped LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(queue) = first else { return Ok(Collected::default()) };
    let mut swept = 0;
    for place in Place::ALL {
        let mut slips = Vec::new();
        place.walk(tx.conn, queue, slip::START, |slip| {
            if swept >= budget {
                return ControlFlow::Break(());
            }
            swept += slip.count;
            slips.push(slip);
            ControlFlow::Continue(())
        })?;
        // Claims of the queue run out by themselves: see the timers.
        for slip in &slips {
            place.remove(tx.conn, slip)?;
            body::remove(tx.conn, slip)?;
        }
    }
    if swept < budget {
        tx.conn.prepare_cached("DELETE FROM dropped WHERE queue = ?1")?.execute([queue])?;
    }
    Ok(Collected { messages: swept, more: true })
}

fn list(
    conn: &Connection,
    project: &ProjectId,
    filter: &QueueFilter,
) -> rusqlite::Result<Vec<QueueRecord>> {
    let mut walk = conn.prepare_cached(
        "SELECT name, metadata FROM queue WHERE project = ?1 AND name > ?2 AND name < ?3
         AND NOT placed ORDER BY name",
    )?;
    let (behind, before) = filter.stored_names();
    let mut rows = walk.query((project.as_str(), behind, before))?;
    let mut records = Vec::new();
    while records.len() < filter.limit as usize
        && let Some(row) = rows.next()?
    {
        let name = row.get_ref(0)?.as_str()?;
        let metadata = read_metadata(row.get_ref(1)?.as_str()?)?;
        if let Some(name) =
            QueueName::from_stored(name).filter(|name| filter.matches(name, &metadata))
        {
            records.push(QueueRecord { name, metadata: Arc::new(metadata) });
        }
    }
    Ok(records)
}

fn read_metadata(text: &str) -> rusqlite::Result<Metadata> {
    Metadata::from_text(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })
}

impl EmbeddedDriver {
    /// The queue of that name, from memory if it is known.
    pub(super) async fn find_queue(&self, key: &QueueKey) -> Result<Option<QueueRef>> {
        if let Some(queue) = self.memory.registry.get(key) {
            return Ok(Some(queue));
        }
        let generation = self.memory.registry.generation();
        let wanted = key.clone();
        let Some(row) = self.read(move |conn| row_of(conn, &wanted)).await? else {
            return Ok(None);
        };
        let metadata = Metadata::from_text(&row.metadata).map_err(|error| unavailable(&error))?;
        let known = Known { number: row.number, metadata: Arc::new(metadata), placed: row.placed };
        let queue = QueueRef { known, generation };
        self.memory.registry.learn(key, &queue);
        Ok(Some(queue))
    }
}

#[async_trait]
impl QueueController for EmbeddedDriver {
    async fn create(&self, key: &QueueKey, metadata: &Metadata) -> Result<bool> {
        if self.memory.registry.get(key).is_some_and(|queue| !queue.placed) {
            return Ok(false);
        }
        let (key, metadata) = (key.clone(), metadata.clone());
        self.write(move |tx| create(tx, &key, metadata)).await
    }

    async fn metadata(&self, key: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        let queue = self.find_queue(key).await?.filter(|queue| !queue.placed);
        Ok(queue.map(|queue| queue.known.metadata))
    }

    async fn set_metadata(&self, key: &QueueKey, old: &Metadata, new: &Metadata) -> Result<()> {
        let (key, old, new) = (key.clone(), old.clone(), new.clone());
        self.write(move |tx| set_metadata(tx, &key, &old, &new)).await
    }

    async fn delete(&self, key: &QueueKey) -> Result<()> {
        let key = key.clone();
        self.write(move |tx| delete(tx, &key)).await
    }

    async fn list(&self, project: &ProjectId, filter: &QueueFilter) -> Result<Vec<QueueRecord>> {
        let (project, filter) = (project.clone(), filter.clone());
        self.read(move |conn| list(conn, &project, &filter)).await
    }

    async fn count(&self, project: &ProjectId, kind: QueueKind) -> Result<u64> {
        let project = project.clone();
        let (behind, before) = QueueFilter { kind, ..QueueFilter::default() }.stored_names();
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT count(*) FROM queue WHERE project = ?1 AND name > ?2 AND name < ?3
                 AND NOT placed",
            )?
            .query_row((project.as_str(), behind, before), |row| row.get(0))
        })
        .await
    }
}
