//! Subscriptions: one small table, keyed by the name of the queue and not by its
//! number, for they outlive it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};

use uuid::Uuid;

use super::error::OpResult;
use super::ids::Ids;
use super::queues::key_from;
use super::tx::Tx;
use super::{EmbeddedDriver, due};
use crate::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
    WorkerId,
};
use crate::storage::{Error, Result, Subscribed, SubscriptionController};

/// Reads number, created, subscriber, ttl, options, confirmed and `bound_to`.
pub fn from_row(row: &Row<'_>, ids: &Ids) -> rusqlite::Result<Subscription> {
    let created = Timestamp::from_seconds(row.get(1)?);
    let options: Map<String, Value> = serde_json::from_str(row.get_ref(4)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
    Ok(Subscription {
        id: ids.subscription(created, row.get(0)?),
        subscriber: row.get(2)?,
        ttl: row.get(3)?,
        created,
        options,
        confirmed: row.get(5)?,
        bound_to: row.get::<_, Option<_>>(6)?.map(|it| WorkerId::from_uuid(Uuid::from_bytes(it))),
    })
}

/// The live subscription with that id.
fn find(
    conn: &Connection,
    ids: &Ids,
    queue: &QueueKey,
    id: SubscriptionId,
    now: Timestamp,
) -> rusqlite::Result<Option<Subscription>> {
    let Some(number) = ids.subscription_number(id) else { return Ok(None) };
    let found = conn
        .prepare_cached(
            "SELECT number, created, subscriber, ttl, options, confirmed, bound_to
             FROM subscription
             WHERE number = ?1 AND project = ?2 AND queue = ?3 AND expires > ?4",
        )?
        .query_row((number, queue.project.as_str(), queue.name.as_str(), now.seconds()), |row| {
            from_row(row, ids)
        })
        .optional()?;
    Ok(found.filter(|found| found.id == id))
}

/// The subscription of a subscriber. An expired one is removed: another may take
/// its place.
fn of_subscriber(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    subscriber: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Subscription>> {
    let key = (queue.project.as_str(), queue.name.as_str(), subscriber, now.seconds());
    tx.conn
        .prepare_cached(
            "DELETE FROM subscription
             WHERE project = ?1 AND queue = ?2 AND subscriber = ?3 AND expires <= ?4",
        )?
        .execute(key)?;
    tx.conn
        .prepare_cached(
            "SELECT number, created, subscriber, ttl, options, confirmed, bound_to
             FROM subscription
             WHERE project = ?1 AND queue = ?2 AND subscriber = ?3 AND expires > ?4",
        )?
        .query_row(key, |row| from_row(row, &tx.memory.ids))
        .optional()
}

/// See [`SubscriptionController::create`].
pub fn create(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    new: NewSubscription,
    now: Timestamp,
) -> OpResult<Subscribed> {
    if let Some(existing) = of_subscriber(tx, queue, &new.subscriber, now)? {
        return Ok(Subscribed::Existing(existing));
    }
    let number = tx.number();
    tx.conn
        .prepare_cached(
            "INSERT INTO subscription (number, project, queue, subscriber, created, ttl, expires,
                 options, confirmed, bound_to, done)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, FALSE, ?9, ?10)",
        )?
        .execute((
            number,
            queue.project.as_str(),
            queue.name.as_str(),
            new.subscriber,
            now.seconds(),
            new.ttl,
            now.later(new.ttl).seconds(),
            Value::Object(new.options).to_string(),
            new.bound_to.map(|worker| worker.as_uuid().into_bytes()),
            due::last(tx.conn, queue)?.unwrap_or(0),
        ))?;
    tx.state.subscribed.refresh(tx.conn, queue)?;
    Ok(Subscribed::New(tx.memory.ids.subscription(now, number)))
}

fn update(
    tx: &mut Tx<'_>,
    queue: &QueueKey,
    id: SubscriptionId,
    change: SubscriptionChange,
    now: Timestamp,
) -> OpResult<()> {
    let Some(found) = find(tx.conn, &tx.memory.ids, queue, id, now)? else {
        return Err(Error::SubscriptionDoesNotExist(id).into());
    };
    if let Some(subscriber) = change.subscriber.as_ref().filter(|it| **it != found.subscriber)
        && of_subscriber(tx, queue, subscriber, now)?.is_some()
    {
        return Err(Error::SubscriberIsTaken.into());
    }
    tx.conn
        .prepare_cached(
            "UPDATE subscription SET subscriber = coalesce(?2, subscriber), ttl = coalesce(?3, ttl),
                 expires = coalesce(?4, expires), options = coalesce(?5, options)
             WHERE number = ?1",
        )?
        .execute((
            tx.memory.ids.subscription_number(id),
            change.subscriber,
            change.ttl,
            change.ttl.map(|ttl| now.later(ttl).seconds()),
            change.options.map(|options| Value::Object(options).to_string()),
        ))?;
    Ok(tx.state.subscribed.refresh(tx.conn, queue)?)
}

/// Removes up to `budget` subscriptions that have expired; whether there may be
/// more of them.
pub fn collect(tx: &mut Tx<'_>, now: Timestamp, budget: usize) -> OpResult<bool> {
    let mut expired = tx.conn.prepare_cached(
        "SELECT number, project, queue FROM subscription WHERE expires <= ?1 LIMIT ?2",
    )?;
    let expired = expired
        .query_map((now.seconds(), budget), |row| {
            Ok((row.get(0)?, key_from(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)))
        })?
        .collect::<rusqlite::Result<Vec<(u64, _)>>>()?;
    let mut remove = tx.conn.prepare_cached("DELETE FROM subscription WHERE number = ?1")?;
    for (number, _) in &expired {
        remove.execute([number])?;
    }
    let queues: BTreeSet<_> = expired.iter().filter_map(|(_, queue)| queue.as_ref()).collect();
    for queue in queues {
        removed(tx, queue)?;
    }
    Ok(expired.len() >= budget)
}

/// Sees to what follows from subscriptions of a queue being gone.
fn removed(tx: &mut Tx<'_>, queue: &QueueKey) -> OpResult<()> {
    tx.state.subscribed.refresh(tx.conn, queue)?;
    due::forget(tx.conn, queue, due::FEW)?;
    Ok(())
}

/// Removes subscriptions whose only worker was another process: it has ended, for
/// this one has the store.
pub fn forget_bound(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM subscription WHERE bound_to IS NOT NULL", [])?;
    Ok(())
}

#[async_trait]
impl SubscriptionController for EmbeddedDriver {
    async fn create(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        let queue = queue.clone();
        self.write(move |tx| create(tx, &queue, new, now)).await
    }

    async fn get(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Subscription> {
        let (queue, memory) = (queue.clone(), Arc::clone(&self.memory));
        let found = self.read(move |conn| find(conn, &memory.ids, &queue, id, now)).await?;
        found.ok_or(Error::SubscriptionDoesNotExist(id))
    }

    async fn list(
        &self,
        queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        let behind = match marker.map(|marker| self.memory.ids.subscription_number(marker)) {
            None => 0,
            Some(Some(number)) => number,
            Some(None) => return Ok(Vec::new()),
        };
        let (queue, memory) = (queue.clone(), Arc::clone(&self.memory));
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT number, created, subscriber, ttl, options, confirmed, bound_to
                 FROM subscription INDEXED BY subscription_queue
                 WHERE project = ?1 AND queue = ?2 AND number > ?3 AND expires > ?4
                 ORDER BY number LIMIT ?5",
            )?
            .query_map(
                (queue.project.as_str(), queue.name.as_str(), behind, now.seconds(), limit),
                |row| from_row(row, &memory.ids),
            )?
            .collect()
        })
        .await
    }

    async fn update(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<()> {
        let queue = queue.clone();
        self.write(move |tx| update(tx, &queue, id, change, now)).await
    }

    async fn confirm(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<()> {
        let queue = queue.clone();
        self.write(move |tx| {
            if find(tx.conn, &tx.memory.ids, &queue, id, now)?.is_none() {
                return Err(Error::SubscriptionDoesNotExist(id).into());
            }
            tx.conn
                .prepare_cached("UPDATE subscription SET confirmed = ?2 WHERE number = ?1")?
                .execute((tx.memory.ids.subscription_number(id), confirmed))?;
            Ok(())
        })
        .await
    }

    async fn delete(&self, queue: &QueueKey, id: SubscriptionId) -> Result<()> {
        let Some(number) = self.memory.ids.subscription_number(id) else { return Ok(()) };
        let (queue, (created, _)) = (queue.clone(), id.parts());
        self.write(move |tx| {
            tx.conn
                .prepare_cached(
                    "DELETE FROM subscription
                     WHERE number = ?1 AND created = ?2 AND project = ?3 AND queue = ?4",
                )?
                .execute((number, created, queue.project.as_str(), queue.name.as_str()))?;
            removed(tx, &queue)
        })
        .await
    }

    async fn purge(&self, queue: &QueueKey) -> Result<()> {
        let queue = queue.clone();
        self.write(move |tx| {
            tx.conn
                .prepare_cached("DELETE FROM subscription WHERE project = ?1 AND queue = ?2")?
                .execute((queue.project.as_str(), queue.name.as_str()))?;
            removed(tx, &queue)
        })
        .await
    }
}
