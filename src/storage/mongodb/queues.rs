//! Queues: their records, and the counters that outlive them.

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::{RawDocument, RawDocumentBuf, doc};

use super::MongodbDriver;
use super::document::{integer, metadata_to_bson};
use super::error::{DUPLICATE_KEY, Fault, OpResult};
use super::layout::scoped;
use super::store::{QueueEntry, Store};
use crate::model::{Metadata, ProjectId, QueueFilter, QueueKey, QueueRecord};
use crate::storage::{QueueController, Result};

/// What is remembered of queues for a moment.
#[derive(Debug, Default)]
pub struct QueueCache {}

/// The queue, if it exists.
pub async fn find(store: &Store, key: &QueueKey) -> OpResult<Option<Arc<QueueEntry>>> {
    let p_q = scoped(key);
    let Some(record) = store.queues.find_one(doc! { "p_q": &p_q }).await? else { return Ok(None) };
    Ok(Some(Arc::new(entry(store, key, p_q, &record))))
}

fn entry(store: &Store, key: &QueueKey, p_q: String, record: &RawDocument) -> QueueEntry {
    let metadata = record.get_document("m").ok().and_then(|m| serde_json::to_value(m).ok());
    let metadata = match metadata {
        Some(serde_json::Value::Object(entries)) => Metadata::new(entries),
        _ => Metadata::default(),
    };
    QueueEntry {
        key: key.clone(),
        p_q,
        partition: store.partition_number(key),
        metadata: Arc::new(metadata),
        first_marker: integer(record, "first_marker").unwrap_or(0),
    }
}

/// Makes the queue; `false` if it exists.
pub async fn create(store: &Store, key: &QueueKey, metadata: &Metadata) -> OpResult<bool> {
    let record =
        doc! { "p_q": scoped(key), "m": metadata_to_bson(metadata)?, "c": { "v": 1, "t": 0 } };
    match store.queues.insert_one(RawDocumentBuf::try_from(&record)?).await {
        Ok(_) => Ok(true),
        Err(error) => match Fault::from(error) {
            fault if fault.code() == Some(DUPLICATE_KEY) => Ok(false),
            fault => Err(fault),
        },
    }
}

#[async_trait]
impl QueueController for MongodbDriver {
    async fn create(&self, key: &QueueKey, metadata: &Metadata) -> Result<bool> {
        let (key, metadata) = (key.clone(), metadata.clone());
        self.run(move |engine| async move {
            let (store, key, metadata) = (&engine.store, &key, &metadata);
            store.patience.persist(|| create(store, key, metadata)).await
        })
        .await
    }

    async fn metadata(&self, key: &QueueKey) -> Result<Option<Arc<Metadata>>> {
        let key = key.clone();
        self.run(move |engine| async move {
            let (store, key) = (&engine.store, &key);
            let found = store.patience.persist(|| find(store, key)).await?;
            Ok(found.map(|entry| Arc::clone(&entry.metadata)))
        })
        .await
    }

    async fn set_metadata(
        &self,
        _key: &QueueKey,
        _expected: &Metadata,
        _metadata: &Metadata,
    ) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _key: &QueueKey) -> Result<()> {
        Ok(())
    }

    async fn list(&self, _project: &ProjectId, _filter: &QueueFilter) -> Result<Vec<QueueRecord>> {
        Ok(Vec::new())
    }

    async fn count(&self, _project: &ProjectId) -> Result<u64> {
        Ok(0)
    }
}
