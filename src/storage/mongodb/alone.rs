//! Posting to a server without transactions, a stand-alone one: the steps of
//! Zaqar's own drivers, one after the other. A crash between them leaves a gap
//! in the markers, or a part of a batch.
//!
//! What is due follows its messages. Where the counter is moved last, that comes
//! after this too, so nobody gets behind a due message that is not there yet. Where
//! it is moved first, only the posts of one process are in that order.

use mongodb::bson::RawDocumentBuf;

use super::batch::Batch;
use super::document::due::copy_of;
use super::error::{DUPLICATE_KEY, OpResult};
use super::insert::insert;
use super::layout::Layout;
use super::post::{Posted, ids_of};
use super::store::{DUE, MESSAGES, Partition, Store};
use super::{counter, subscribers};

/// Posts the batches; what became of each, `None` if there is no such queue.
pub async fn post(store: &Store, batches: &[Batch]) -> OpResult<Vec<Option<Posted>>> {
    let mut posted = Vec::with_capacity(batches.len());
    for batch in batches {
        let partition = &store.partitions[batch.partition];
        posted.push(match store.layout {
            Layout::Plain => counter_first(store, partition, batch).await?,
            Layout::Fifo => messages_first(store, partition, batch).await?,
        });
    }
    Ok(posted)
}

async fn counter_first(
    store: &Store,
    partition: &Partition,
    batch: &Batch,
) -> OpResult<Option<Posted>> {
    let first = counter::take(store, &batch.queue, batch.count, batch.now(), None).await?;
    let Some(first) = first else { return Ok(None) };
    fill(store, partition, batch, first).await.map(Some)
}

/// The unique index lets only one of several writers have a marker; the others
/// fail at their first message and try again.
async fn messages_first(
    store: &Store,
    partition: &Partition,
    batch: &Batch,
) -> OpResult<Option<Posted>> {
    let records = store.records(&batch.queue);
    let record = records.documents.find_one(records.query(&batch.queue)).await?;
    let Some(first) = record.as_deref().and_then(counter::value) else { return Ok(None) };
    let posted = fill(store, partition, batch, first).await?;
    counter::take(store, &batch.queue, batch.count, batch.now(), None).await?;
    Ok(Some(posted))
}

/// Inserts the messages of a batch, then what is due of them.
async fn fill(store: &Store, partition: &Partition, batch: &Batch, first: i64) -> OpResult<Posted> {
    let documents = batch.documents(first);
    insert(partition, MESSAGES, None, &documents).await?;
    // The messages are there: from here on, only what follows is tried again.
    let due = store.patience.persist(|| keep_due(store, partition, batch, &documents)).await?;
    Ok(Posted { ids: ids_of(&documents), due })
}

/// Keeps the messages for the subscribers, if there are any. Can be repeated.
async fn keep_due(
    store: &Store,
    partition: &Partition,
    batch: &Batch,
    documents: &[RawDocumentBuf],
) -> OpResult<bool> {
    let wanted = subscribers::wanted(store, std::slice::from_ref(batch)).await?;
    if !wanted.contains(&true) {
        return Ok(false);
    }
    for document in documents.iter().map(|document| copy_of(document)) {
        match insert(partition, DUE, None, [&document]).await {
            Err(fault) if fault.code() == Some(DUPLICATE_KEY) => {}
            inserted => inserted?,
        }
    }
    Ok(true)
}
