//! Queues: their records, and which part of the driver does what with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use super::document::{int, integer};
use super::error::{DUPLICATE_KEY, OpResult};
use super::gaps::Reading;
use super::layout::{Layout, scoped};
use super::metadata::{self, metadata_to_bson};
use super::retire::Removed;
use super::store::{QueueEntry, Store};
use super::transaction::{begin, commit};
use super::{MongodbDriver, deliveries, directory, retire};
use crate::model::{Metadata, ProjectId, QueueFilter, QueueKey, QueueKind, QueueRecord};
use crate::storage::{Error, QueueController, Result};

/// The queue, if it exists.
pub async fn find(store: &Store, key: &QueueKey) -> OpResult<Option<Arc<QueueEntry>>> {
    let begun = Instant::now();
    if let Some(entry) = store.cache.get(key, begun) {
        return Ok(Some(entry));
    }
    let generation = store.cache.generation();
    let records = store.records(key);
    let Some(record) = records.documents.find_one(records.query(key)).await? else {
        return Ok(None);
    };
    let entry = Arc::new(entry(store, key, &record));
    if let (Layout::Plain, Some(reading)) = (store.layout, Reading::of(&record, begun)) {
        store.gaps.learn(&entry, reading, store.settings.hold_back);
    }
    store.cache.learn(key, Arc::clone(&entry), generation, begun);
    Ok(Some(entry))
}

fn entry(store: &Store, key: &QueueKey, record: &RawDocument) -> QueueEntry {
    QueueEntry {
        key: key.clone(),
        p_q: scoped(key),
        record: record.get_object_id("_id").ok(),
        partition: store.partition_number(key),
        metadata: Arc::new(metadata_of(store, record)),
        first_marker: integer(record, "first_marker").unwrap_or(0),
    }
}

/// The metadata in a record; none if what is there cannot be metadata.
pub fn metadata_of(store: &Store, record: &RawDocument) -> Metadata {
    metadata::metadata_of(record).unwrap_or_else(|foreign| {
        store.skip(&foreign);
        Metadata::default()
    })
}

/// Makes the queue; `false` if it exists. It counts on from where a deleted
/// queue of that name ended.
pub async fn create(store: &Store, key: &QueueKey, metadata: &Metadata) -> OpResult<bool> {
    create_as(store, key, metadata, ObjectId::new()).await
}

/// The same, with a record of that id: then it can be told who made the queue,
/// even if the answer to the first try was lost.
async fn create_as(
    store: &Store,
    key: &QueueKey,
    metadata: &Metadata,
    id: ObjectId,
) -> OpResult<bool> {
    let records = store.records(key);
    if let Some(record) = records.documents.find_one(records.query(key)).await? {
        return Ok(record.get_object_id("_id").is_ok_and(|there| there == id));
    }
    let made = insert(store, key, metadata_to_bson(metadata)?, id, 1).await;
    store.cache.forget(key);
    match made {
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => Ok(false),
        made => made.map(|()| true),
    }
}

/// Inserts the record of a queue whose markers begin at `first`, or where a
/// deleted queue of that name ended, or behind where its subscriptions are. The look at the retired counter and the
/// insertion are one step, or a deletion in between would bring markers back.
pub async fn insert(
    store: &Store,
    key: &QueueKey,
    metadata: Document,
    id: ObjectId,
    first: i64,
) -> OpResult<()> {
    let first = first.max(deliveries::floor(store, key).await?.saturating_add(1));
    let records = store.records(key);
    let counter = doc! { "_id": scoped(key) };
    let record = |retired: Option<RawDocumentBuf>| {
        let first = first.max(end_of(retired.as_deref()));
        RawDocumentBuf::try_from(&record(records.query(key), metadata, id, first))
    };
    if !store.transactions {
        let retired = store.retired.find_one(counter).await?;
        records.documents.insert_one(record(retired)?).await?;
        return Ok(());
    }
    let mut session = begin(store).await?;
    let retired = store.retired.find_one(counter).session(&mut session).await?;
    records.documents.insert_one(record(retired)?).session(&mut session).await?;
    commit(&mut session).await
}

fn end_of(retired: Option<&RawDocument>) -> i64 {
    retired.and_then(|retired| integer(retired, "v")).unwrap_or(1)
}

fn record(name: Document, metadata: Document, id: ObjectId, first: i64) -> Document {
    let mut record = doc! { "_id": id };
    record.extend(name);
    record.extend(doc! { "m": metadata, "c": { "v": int(first), "t": 0 } });
    if first > 1 {
        record.insert("first_marker", int(first));
    }
    record
}

/// Replaces the metadata if it is what was expected. `sent` remembers over
/// repetitions that the change was asked for already.
async fn set_metadata(
    store: &Store,
    key: &QueueKey,
    (expected, metadata): (&Metadata, &Metadata),
    sent: &AtomicBool,
) -> OpResult<()> {
    let records = store.records(key);
    let Some(record) = records.documents.find_one(records.query(key)).await? else {
        return Err(Error::QueueDoesNotExist(key.clone()).into());
    };
    let found = metadata_of(store, &record);
    if found != *expected {
        let done = sent.load(Ordering::Relaxed) && found == *metadata;
        return if done { Ok(()) } else { Err(Error::MetadataChanged(key.clone()).into()) };
    }
    let stored: Bson = match record.get("m")? {
        Some(stored) => stored.try_into()?,
        None => Bson::Null,
    };
    sent.store(true, Ordering::Relaxed);
    // In `$eq`, for a key may begin with `$` and is no operator then.
    let mut unchanged = records.query(key);
    unchanged.insert("m", doc! { "$eq": stored });
    let change = doc! { "$set": { "m": metadata_to_bson(metadata)? } };
    match records.documents.update_one(unchanged, change).await?.matched_count {
        0 => Err(Error::MetadataChanged(key.clone()).into()),
        _ => Ok(()),
    }
}

#[async_trait]
impl QueueController for MongodbDriver {
    async fn create(&self, key: &QueueKey, metadata: &Metadata) -> Result<bool> {
        let (key, metadata, id) = (key.clone(), metadata.clone(), ObjectId::new());
        self.run(move |engine| async move {
            let (store, key, metadata) = (&engine.store, &key, &metadata);
            store.patience.persist(|| create_as(store, key, metadata, id)).await
        })
        .await
    }

    async fn metadata(&self, key: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        let key = key.clone();
        self.run(move |engine| async move {
            Ok(engine.find(&key).await?.map(|entry| Arc::clone(&entry.metadata)))
        })
        .await
    }

    async fn set_metadata(
        &self,
        key: &QueueKey,
        expected: &Metadata,
        metadata: &Metadata,
    ) -> Result<()> {
        let (key, expected, metadata) = (key.clone(), expected.clone(), metadata.clone());
        self.run(move |engine| async move {
            let (store, key, change) = (&engine.store, &key, (&expected, &metadata));
            let sent = &AtomicBool::new(false);
            let done = store.patience.persist(|| set_metadata(store, key, change, sent)).await;
            // Whatever came of it: it may have happened, or somebody else
            // changed what is remembered.
            store.cache.forget(key);
            done
        })
        .await
    }

    async fn delete(&self, key: &QueueKey) -> Result<()> {
        let key = key.clone();
        self.run(move |engine| async move {
            let (store, key) = (&engine.store, &key);
            let removed = retire::delete(store, key, false).await;
            store.cache.forget(key);
            if let Removed::Gone { retired: Some(retired), .. } = removed? {
                retire::clean(store, retired).await;
            }
            Ok(())
        })
        .await
    }

    async fn list(&self, project: &ProjectId, filter: &QueueFilter) -> Result<Vec<QueueRecord>> {
        let (project, filter) = (project.clone(), filter.clone());
        self.run(move |engine| async move {
            let (store, project, filter) = (&engine.store, &project, &filter);
            store.patience.persist(|| directory::list(store, project, filter)).await
        })
        .await
    }

    async fn count(&self, project: &ProjectId, kind: QueueKind) -> Result<u64> {
        let project = project.clone();
        self.run(move |engine| async move {
            let (store, project) = (&engine.store, &project);
            store.patience.persist(|| directory::count(store, project, kind)).await
        })
        .await
    }
}
