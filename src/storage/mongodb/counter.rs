//! The counters of queues: `c.v` is the next free marker.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;

use super::batch::Batch;
use super::document::{int, integer};
use super::error::{OpResult, check_reply, unavailable};
use super::layout::scoped;
use super::records::Records;
use super::store::Store;
use super::{command, transaction};
use crate::model::{QueueKey, Timestamp};

/// The first of the markers a batch got; `None` if there is no such queue.
pub type Reserved = Option<i64>;

/// Begins a transaction in which each batch has its markers: other processes wait
/// with the same queues until it ends.
pub async fn begin_with_markers(
    store: &Store,
    batches: &[Batch],
) -> OpResult<(ClientSession, Vec<Reserved>)> {
    let mut session = transaction::begin(store).await?;
    if let [batch] = batches {
        let (queue, count) = (&batch.queue, batch.count);
        let reserved = take(store, queue, count, batch.now(), Some(&mut session)).await?;
        return Ok((session, vec![reserved]));
    }
    let forecasts: Vec<_> = batches.iter().map(|batch| store.forecasts.get(&batch.queue)).collect();
    if let Some(reserved) = reserve(store, &mut session, batches, forecasts).await? {
        return Ok((session, reserved));
    }
    session.abort_transaction().await?;
    store.forecasts.distrust(batches.iter().map(|batch| &batch.queue));
    let mut session = transaction::begin(store).await?;
    let unforeseen = vec![None; batches.len()];
    let reserved = reserve(store, &mut session, batches, unforeseen).await?;
    let odd = || unavailable(&"the records of queues do not stand still in a transaction");
    Ok((session, reserved.ok_or_else(odd)?))
}

/// Takes each batch its markers; `None` if a forecast was wrong.
async fn reserve(
    store: &Store,
    session: &mut ClientSession,
    batches: &[Batch],
    mut reserved: Vec<Reserved>,
) -> OpResult<Option<Vec<Reserved>>> {
    for records in store.all_records() {
        let is_here = |batch: &Batch| std::ptr::eq(store.records(&batch.queue), records);
        let here: Vec<_> = batches.iter().zip(&mut reserved).filter(|it| is_here(it.0)).collect();
        if !here.is_empty() && !reserve_in(store, session, records, here).await? {
            return Ok(None);
        }
    }
    Ok(Some(reserved))
}

/// The same for batches of which one collection has all the counters. They come
/// with their forecasts.
async fn reserve_in(
    store: &Store,
    session: &mut ClientSession,
    records: &Records,
    mut batches: Vec<(&Batch, &mut Reserved)>,
) -> OpResult<bool> {
    let update = |(batch, forecast): &(&Batch, &mut Reserved)| {
        let mut query = records.query(&batch.queue);
        if let Some(next) = **forecast {
            query.insert("c.v", Bson::Int64(next));
        }
        doc! { "q": query, "u": step(batch.count, batch.now()) }
    };
    let updates: Vec<Document> = batches.iter().map(update).collect();
    let (documents, asked) = (&records.documents, batches.len());
    let command = doc! { "update": documents.name(), "ordered": true, "updates": updates };
    let database = store.client.database(&documents.namespace().db);
    let reply = database.run_command(command).session(&mut *session).await?;
    check_reply(&reply)?;
    batches.retain(|(_, forecast)| forecast.is_none());
    let foreseen = asked - batches.len();
    let mut found = 0;
    if !batches.is_empty() {
        let records = read(records, session, &batches).await?;
        for (batch, reserved) in batches {
            let record = records.get(&batch.queue);
            *reserved = record.map(|it| first_of(it, &batch.queue, batch.count)).transpose()?;
            found += usize::from(reserved.is_some());
        }
    }
    Ok(command::matched(&reply) == (foreseen + found) as u64)
}

/// The records of the batches' queues, within a transaction.
async fn read(
    records: &Records,
    session: &mut ClientSession,
    batches: &[(&Batch, &mut Reserved)],
) -> OpResult<HashMap<QueueKey, RawDocumentBuf>> {
    let field = records.field;
    let names: Vec<_> = batches.iter().map(|(batch, _)| records.name(&batch.queue)).collect();
    // One more than there can be, or the server would expect to be asked for more.
    let size = u32::try_from(batches.len() + 1).unwrap_or(u32::MAX);
    let mut cursor = records
        .documents
        .find(records.named(doc! { "$in": names }))
        .projection(doc! { field: 1, "c.v": 1 })
        .batch_size(size)
        .session(&mut *session)
        .await?;
    let mut found = HashMap::new();
    while cursor.advance(session).await? {
        let record = cursor.current().to_owned();
        if let Some(queue) = record.get_str(field).ok().and_then(|name| records.key(name)) {
            found.insert(queue, record);
        }
    }
    Ok(found)
}

/// Takes `count` markers from the counter of one queue, within a transaction or
/// without.
pub async fn take(
    store: &Store,
    queue: &QueueKey,
    count: i64,
    now: Timestamp,
    session: Option<&mut ClientSession>,
) -> OpResult<Reserved> {
    let records = store.records(queue);
    let mut update = records
        .documents
        .find_one_and_update(records.query(queue), step(count, now))
        .projection(doc! { "c.v": 1 })
        .return_document(ReturnDocument::After);
    if let Some(session) = session {
        update = update.session(session);
    }
    update.await?.map(|record| first_of(&record, queue, count)).transpose()
}

/// What moves a counter.
fn step(count: i64, now: Timestamp) -> Document {
    doc! { "$inc": { "c.v": int(count) }, "$set": { "c.t": int(now.seconds()) } }
}

/// The first of the markers taken, from the record after [`step`].
fn first_of(record: &RawDocument, queue: &QueueKey, count: i64) -> OpResult<i64> {
    let first = value(record).map(|next| next - count).filter(|&first| first > 0);
    let odd = || unavailable(&format_args!("the counter of queue {queue} is not a marker"));
    Ok(first.ok_or_else(odd)?)
}

/// The counter in a record.
#[must_use]
pub fn value(record: &RawDocument) -> Option<i64> {
    integer(record.get_document("c").ok()?, "v")
}

/// How long a counter may stand still behind messages before it is moved past
/// them; Zaqar's own figure. A writer that is alive moves it sooner.
const STALL: Duration = Duration::from_secs(5);
/// How long somebody is in the way before we look who it is.
const LOOK: Duration = Duration::from_secs(1);

/// Watches a post, or a move, that others are in the way of, and removes what nobody will
/// remove any more.
#[derive(Debug, Default)]
pub struct Stall {
    /// The counter that did not move, and since when.
    stuck: Option<(i64, Instant)>,
    looked: Option<Instant>,
}

impl Stall {
    /// Looks, every now and then, whether what is in the way is dead: a
    /// transaction whose process was killed, or messages of a Zaqar that died
    /// before it moved the counter past them. Failing at this is no failure
    /// of what is delayed, which tries again in any case.
    pub async fn clear_the_way(&mut self, store: &Store, queue: &QueueKey, now: Timestamp) {
        let began = *self.looked.get_or_insert_with(Instant::now);
        if began.elapsed() < LOOK {
            return;
        }
        self.looked = Some(Instant::now());
        if store.transactions
            && let Err(fault) = transaction::end_abandoned(store).await
        {
            tracing::debug!(%fault, "abandoned transactions could not be ended");
        }
        if let Err(fault) = self.unstick(store, queue, now).await {
            tracing::debug!(%fault, %queue, "the counter could not be looked at");
        }
    }

    async fn unstick(&mut self, store: &Store, queue: &QueueKey, now: Timestamp) -> OpResult<()> {
        let (records, p_q) = (store.records(queue), scoped(queue));
        let record = records.documents.find_one(records.query(queue)).await?;
        let Some(counter) = record.as_deref().and_then(value) else { return Ok(()) };
        let since = match self.stuck {
            Some((stuck, since)) if stuck == counter => since,
            _ => {
                self.stuck = Some((counter, Instant::now()));
                return Ok(());
            }
        };
        if since.elapsed() < STALL {
            return Ok(());
        }
        let messages = &store.partition_of(queue).messages;
        let newest = messages.find_one(doc! { "p_q": &p_q }).sort(doc! { "k": -1 }).await?;
        let newest = newest.as_deref().and_then(|newest| integer(newest, "k"));
        if let Some(newest) = newest.filter(|&newest| newest >= counter) {
            tracing::warn!(%queue, counter, newest, "the counter stood behind the messages");
            let past = doc! { "$set": { "c.v": int(newest + 1), "c.t": int(now.seconds()) } };
            let mut still = records.query(queue);
            still.insert("c.v", Bson::Int64(counter));
            records.documents.update_one(still, past).await?;
        }
        Ok(())
    }
}
