//! Pools: Zaqar's records of them.
//!
//! A pool must not go, nor move, while a queue is placed in it, and no
//! transaction can see to that without making all placements wait for each other.
//! So whoever wants a pool out of the way *closes* it first and then looks for
//! queues in it; whoever places one makes the entry first and then looks whether
//! the pool is open. At least one of the two sees the other and steps back.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;

use super::document::{Foreign, field, int, integer};
use super::error::{DUPLICATE_KEY, OpResult};
use super::management::Management;
use super::metadata::{self, metadata_to_bson};
use super::store::{Documents, Store};
use super::wire::{Value, kind};
use super::{MongodbDriver, catalogue, transaction};
use crate::model::{FlavorName, Metadata, Pool, PoolName};
use crate::storage::{Error, PoolController, Result};

/// Milliseconds after which a pool that was closed counts as open again: who
/// closed it has died in the midst.
const CLOSED_MILLIS: i64 = 5 * 60 * 1000;

/// The record of a pool, if it is one of ours.
fn decode(record: &RawDocument) -> std::result::Result<Pool, Foreign> {
    let foreign = |field| Foreign::new(record, field);
    let text = |name| field(record, name).and_then(Value::text);
    let flavor = match field(record, "f") {
        None | Some(Value { kind: kind::NULL, .. }) => None,
        Some(flavor) => {
            Some(flavor.text().and_then(FlavorName::parse).ok_or_else(|| foreign("f"))?)
        }
    };
    let weight = integer(record, "w").and_then(|weight| u32::try_from(weight).ok());
    let options = match field(record, "o") {
        None | Some(Value { kind: kind::NULL, .. }) => Some(serde_json::Map::new()),
        Some(options) => metadata::object(options),
    };
    Ok(Pool {
        name: text("n").and_then(PoolName::parse).ok_or_else(|| foreign("n"))?,
        uri: text("u").ok_or_else(|| foreign("u"))?.to_owned(),
        weight: weight.ok_or_else(|| foreign("w"))?,
        flavor,
        options: options.ok_or_else(|| foreign("o"))?,
    })
}

fn read(store: &Store, record: &RawDocument) -> Option<Pool> {
    decode(record).inspect_err(|foreign| store.skip(foreign)).ok()
}

fn fields(pool: &Pool) -> OpResult<Document> {
    Ok(doc! {
        "u": &pool.uri,
        "w": int(pool.weight.into()),
        "f": pool.flavor.as_ref().map(FlavorName::as_str),
        "o": metadata_to_bson(&Metadata::new(pool.options.clone()))?,
    })
}

/// Whether queues can be placed in the pool.
pub async fn is_open(management: &Management, name: &PoolName) -> OpResult<bool> {
    let since = doc! { "$subtract": ["$$NOW", CLOSED_MILLIS] };
    let open = doc! {
        "n": name.as_str(),
        "$or": [
            { "nusku_closed": null },
            { "$expr": { "$lt": ["$nusku_closed.at", since] } },
        ],
    };
    Ok(management.pools.find_one(open).projection(doc! { "_id": 1 }).await?.is_some())
}

/// Closes the pool, if there is no queue in it; returns the filter that finds it
/// as long as it is closed by us.
async fn close(management: &Management, name: &PoolName) -> OpResult<Document> {
    let in_use = || Err(Error::PoolIsInUse(name.clone()).into());
    if catalogue::count(management, name, 1).await? > 0 {
        return in_use();
    }
    let by = ObjectId::new();
    let close = doc! {
        "$set": { "nusku_closed.by": by },
        "$currentDate": { "nusku_closed.at": true },
    };
    management.pools.update_one(doc! { "n": name.as_str() }, close).await?;
    let closed = doc! { "n": name.as_str(), "nusku_closed.by": by };
    if catalogue::count(management, name, 1).await? > 0 {
        reopen(management, &closed).await?;
        return in_use();
    }
    Ok(closed)
}

async fn reopen(management: &Management, closed: &Document) -> OpResult<()> {
    let open = doc! { "$unset": { "nusku_closed": "" } };
    management.pools.update_one(closed.clone(), open).await?;
    Ok(())
}

async fn put(store: &Store, pool: &Pool) -> OpResult<()> {
    let management = store.management().await?;
    let name = pool.name.as_str();
    let taken = || Err(Error::PoolUriInUse(pool.name.clone()).into());
    // Once more if somebody makes, removes or replaces it at the same time.
    loop {
        let Some(there) = management.pools.find_one(doc! { "n": name }).await? else {
            let mut record = doc! { "n": name };
            record.extend(fields(pool)?);
            match insert(&management.pools, &record).await {
                Err(fault) if fault.code() == Some(DUPLICATE_KEY) => {
                    if management.pools.find_one(doc! { "n": name }).await?.is_none() {
                        return taken();
                    }
                    continue;
                }
                made => return made,
            }
        };
        let stays = |old: &Pool| old.uri == pool.uri && old.options == pool.options;
        let moves = !read(store, &there).as_ref().is_some_and(stays);
        let filter = if moves {
            close(management, &pool.name).await?
        } else {
            doc! { "n": name, "u": &pool.uri }
        };
        let change = doc! { "$set": fields(pool)?, "$unset": { "nusku_closed": "" } };
        let change = UpdateModifications::Document(change);
        match management
            .pools
            .update_one(filter.clone(), change)
            .await
            .map_err(super::error::Fault::from)
        {
            Ok(done) if done.matched_count > 0 => return Ok(()),
            Ok(_) => {}
            Err(fault) if fault.code() == Some(DUPLICATE_KEY) => {
                reopen(management, &filter).await?;
                return taken();
            }
            Err(fault) => return Err(fault),
        }
    }
}

async fn insert(documents: &Documents, record: &Document) -> OpResult<()> {
    documents.insert_one(RawDocumentBuf::try_from(record)?).await?;
    Ok(())
}

async fn label(
    store: &Store,
    flavor: &FlavorName,
    pools: &[PoolName],
    no_others: bool,
) -> OpResult<()> {
    let records = &store.management().await?.pools;
    let mut session = transaction::begin_if_any(store).await?;
    for pool in pools {
        let mut there = records.find_one(doc! { "n": pool.as_str() });
        if let Some(session) = &mut session {
            there = there.session(session);
        }
        if there.await?.is_none() {
            return Err(Error::PoolDoesNotExist(pool.clone()).into());
        }
    }
    let names: Vec<_> = pools.iter().map(PoolName::as_str).collect();
    if no_others {
        let others = doc! { "f": flavor.as_str(), "n": { "$nin": &names } };
        set_flavor(records, others, Bson::Null, session.as_mut()).await?;
    }
    set_flavor(records, doc! { "n": { "$in": names } }, flavor.as_str().into(), session.as_mut())
        .await?;
    match &mut session {
        Some(session) => transaction::commit(session).await,
        None => Ok(()),
    }
}

async fn set_flavor(
    records: &Documents,
    filter: Document,
    flavor: Bson,
    session: Option<&mut ClientSession>,
) -> OpResult<()> {
    let mut update = records.update_many(filter, doc! { "$set": { "f": flavor } });
    if let Some(session) = session {
        update = update.session(session);
    }
    update.await?;
    Ok(())
}

async fn delete(store: &Store, name: &PoolName) -> OpResult<()> {
    let management = store.management().await?;
    let closed = close(management, name).await?;
    management.pools.delete_one(closed).await?;
    Ok(())
}

/// The pools that pass the filter, ascending by name; all if `limit` is `None`.
async fn list(store: &Store, filter: Document, limit: Option<u32>) -> OpResult<Vec<Pool>> {
    if limit == Some(0) {
        return Ok(Vec::new());
    }
    let records = &store.management().await?.pools;
    let limit = limit.map_or(0, i64::from);
    let mut found = records.find(filter).sort(doc! { "n": 1 }).limit(limit).await?;
    let mut pools = Vec::new();
    while found.advance().await? {
        pools.extend(read(store, found.current()));
    }
    Ok(pools)
}

async fn find(store: &Store, name: &PoolName) -> OpResult<Option<Pool>> {
    let records = &store.management().await?.pools;
    let record = records.find_one(doc! { "n": name.as_str() }).await?;
    Ok(record.and_then(|record| read(store, &record)))
}

#[async_trait]
impl PoolController for MongodbDriver {
    async fn put(&self, pool: &Pool) -> Result<()> {
        let pool = pool.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| put(store, &pool)).await
        })
        .await
    }

    async fn get(&self, name: &PoolName) -> Result<Option<Pool>> {
        let name = name.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| find(store, &name)).await
        })
        .await
    }

    async fn list(&self, marker: Option<&str>, limit: u32) -> Result<Vec<Pool>> {
        let behind = doc! { "n": { "$gt": marker.unwrap_or("") } };
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| list(store, behind.clone(), Some(limit))).await
        })
        .await
    }

    async fn of_flavor(&self, flavor: Option<&FlavorName>) -> Result<Vec<Pool>> {
        let labelled = doc! { "f": flavor.map(FlavorName::as_str) };
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| list(store, labelled.clone(), None)).await
        })
        .await
    }

    async fn label(&self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()> {
        let (flavor, pools) = (flavor.clone(), pools.to_vec());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| label(store, &flavor, &pools, no_others)).await
        })
        .await
    }

    async fn delete(&self, name: &PoolName) -> Result<()> {
        let name = name.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| delete(store, &name)).await
        })
        .await
    }
}
