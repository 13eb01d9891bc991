//! Posting to a server without transactions, a stand-alone one: the steps of
//! Zaqar's own drivers, one after the other. A crash between them leaves a gap
//! in the markers, or a part of a batch.

use super::counter;
use super::document;
use super::error::OpResult;
use super::insert::insert;
use super::layout::Layout;
use super::post::Batch;
use super::store::{Partition, Store};
use crate::model::MessageId;

/// Posts the batches; the ids of each, `None` if there is no such queue.
pub async fn post(
    store: &Store,
    partition: &Partition,
    batches: &[Batch],
) -> OpResult<Vec<Option<Vec<MessageId>>>> {
    let mut ids = Vec::with_capacity(batches.len());
    for batch in batches {
        ids.push(match store.layout {
            Layout::Plain => counter_first(store, partition, batch).await?,
            Layout::Fifo => messages_first(store, partition, batch).await?,
        });
    }
    Ok(ids)
}

async fn counter_first(
    store: &Store,
    partition: &Partition,
    batch: &Batch,
) -> OpResult<Option<Vec<MessageId>>> {
    let first = counter::take(store, &batch.queue, batch.count, batch.now(), None).await?;
    let Some(first) = first else { return Ok(None) };
    let documents = batch.documents(first);
    insert(partition, None, &documents).await?;
    Ok(Some(ids_of(&documents)))
}

/// The unique index lets only one of several writers have a marker; the others
/// fail at their first message and try again.
async fn messages_first(
    store: &Store,
    partition: &Partition,
    batch: &Batch,
) -> OpResult<Option<Vec<MessageId>>> {
    let records = store.records(&batch.queue);
    let record = records.documents.find_one(records.query(&batch.queue)).await?;
    let Some(first) = record.as_deref().and_then(counter::value) else { return Ok(None) };
    let documents = batch.documents(first);
    insert(partition, None, &documents).await?;
    counter::take(store, &batch.queue, batch.count, batch.now(), None).await?;
    Ok(Some(ids_of(&documents)))
}

fn ids_of(documents: &[mongodb::bson::RawDocumentBuf]) -> Vec<MessageId> {
    documents.iter().filter_map(|document| document::id_of(document)).collect()
}
