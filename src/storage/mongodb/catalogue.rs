//! The catalogue: which queue is in which pool, in Zaqar's documents.
//!
//! Zaqar leaves entries with no pool behind where it found none; they read as if
//! they were not there, and a placement fills them in.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use super::document::{field, int, integer};
use super::error::{DUPLICATE_KEY, Fault, OpResult};
use super::layout::{index, scoped};
use super::management::Management;
use super::store::Store;
use super::wire::Value;
use super::{MongodbDriver, pools};
use crate::model::{Placement, PoolName, QueueKey, Timestamp};
use crate::storage::{CatalogueController, Error, Result};

/// Since when a queue is on its way out, in seconds; nusku's own field.
const LEAVING: &str = "nusku_leaving";

fn decode(entry: &RawDocument) -> Option<Placement> {
    let pool = field(entry, "s").and_then(Value::text).and_then(PoolName::parse)?;
    Some(Placement { pool, leaving: integer(entry, LEAVING).map(Timestamp::from_seconds) })
}

fn seconds(placement: &Placement) -> Bson {
    placement.leaving.map_or(Bson::Null, |leaving| int(leaving.seconds()))
}

/// What finds the entry as long as it is this one.
fn just(queue: &QueueKey, placement: &Placement) -> Document {
    doc! { "p_q": scoped(queue), "s": placement.pool.as_str(), LEAVING: seconds(placement) }
}

/// What makes an entry this one.
fn change_to(placement: &Placement) -> Document {
    let mut change = doc! { "$set": { "s": placement.pool.as_str() } };
    match placement.leaving {
        Some(leaving) => {
            change.insert(
                "$set",
                doc! {
                    "s": placement.pool.as_str(), LEAVING: int(leaving.seconds()),
                },
            );
        }
        None => {
            change.insert("$unset", doc! { LEAVING: "" });
        }
    }
    change
}

async fn find(management: &Management, queue: &QueueKey) -> OpResult<Option<Placement>> {
    let entry = management.catalogue.find_one(doc! { "p_q": scoped(queue) }).await?;
    Ok(entry.and_then(|entry| decode(&entry)))
}

/// How many queues are in the pool, counted up to `most`.
pub async fn count(management: &Management, pool: &PoolName, most: u64) -> OpResult<u64> {
    if most == 0 {
        return Ok(0);
    }
    let there = doc! { "s": pool.as_str() };
    Ok(management.catalogue.count_documents(there).limit(most).hint(index("nusku_s")).await?)
}

async fn place(store: &Store, queue: &QueueKey, pool: &PoolName) -> OpResult<Placement> {
    let management = store.management().await?;
    let missing = || Err(Error::PoolDoesNotExist(pool.clone()).into());
    loop {
        if let Some(there) = find(management, queue).await? {
            return Ok(there);
        }
        if !pools::is_open(management, pool).await? {
            return missing();
        }
        let placement = Placement { pool: pool.clone(), leaving: None };
        if !enter(management, queue, &placement).await? {
            continue;
        }
        // See `pools` for why once more.
        if !pools::is_open(management, pool).await? {
            management.catalogue.delete_one(just(queue, &placement)).await?;
            return missing();
        }
        return Ok(placement);
    }
}

/// Makes the entry; `false` if there is one.
async fn enter(management: &Management, queue: &QueueKey, placement: &Placement) -> OpResult<bool> {
    let empty = doc! { "p_q": scoped(queue), "s": null };
    let filled = management.catalogue.update_one(empty, change_to(placement)).await?;
    if filled.matched_count > 0 {
        return Ok(true);
    }
    let entry = doc! { "_id": ObjectId::new(), "p_q": scoped(queue), "s": placement.pool.as_str() };
    let entry = RawDocumentBuf::try_from(&entry)?;
    match management.catalogue.insert_one(entry).await.map_err(Fault::from) {
        Ok(_) => Ok(true),
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => Ok(false),
        Err(fault) => Err(fault),
    }
}

async fn change(
    store: &Store,
    queue: &QueueKey,
    expected: &Placement,
    new: &Placement,
) -> OpResult<bool> {
    let management = store.management().await?;
    let replace = async |from: &Placement, to: &Placement| -> OpResult<bool> {
        let done = management.catalogue.update_one(just(queue, from), change_to(to)).await?;
        Ok(done.matched_count > 0)
    };
    if new.pool == expected.pool {
        return replace(expected, new).await;
    }
    if find(management, queue).await?.as_ref() != Some(expected) {
        return Ok(false);
    }
    let missing = || Err(Error::PoolDoesNotExist(new.pool.clone()).into());
    if !pools::is_open(management, &new.pool).await? {
        return missing();
    }
    if !replace(expected, new).await? {
        return Ok(false);
    }
    if !pools::is_open(management, &new.pool).await? {
        replace(new, expected).await?;
        return missing();
    }
    Ok(true)
}

async fn remove(store: &Store, queue: &QueueKey, expected: &Placement) -> OpResult<bool> {
    let management = store.management().await?;
    let removed = management.catalogue.delete_one(just(queue, expected)).await?;
    Ok(removed.deleted_count > 0)
}

#[async_trait]
impl CatalogueController for MongodbDriver {
    async fn get(&self, queue: &QueueKey) -> Result<Option<Placement>> {
        let queue = queue.clone();
        self.run(move |engine| async move {
            let (store, queue) = (&engine.store, &queue);
            let find = || async move { find(store.management().await?, queue).await };
            store.patience.persist(find).await
        })
        .await
    }

    async fn place(&self, queue: &QueueKey, pool: &PoolName) -> Result<Placement> {
        let (queue, pool) = (queue.clone(), pool.clone());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| place(store, &queue, &pool)).await
        })
        .await
    }

    async fn change(
        &self,
        queue: &QueueKey,
        expected: &Placement,
        placement: &Placement,
    ) -> Result<bool> {
        let (queue, expected, new) = (queue.clone(), expected.clone(), placement.clone());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| change(store, &queue, &expected, &new)).await
        })
        .await
    }

    async fn remove(&self, queue: &QueueKey, expected: &Placement) -> Result<bool> {
        let (queue, expected) = (queue.clone(), expected.clone());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| remove(store, &queue, &expected)).await
        })
        .await
    }

    async fn count(&self, pool: &PoolName, most: u64) -> Result<u64> {
        let pool = pool.clone();
        self.run(move |engine| async move {
            let (store, pool) = (&engine.store, &pool);
            let count = || async move { count(store.management().await?, pool, most).await };
            store.patience.persist(count).await
        })
        .await
    }
}
