//! Removing messages: several under their claims, the oldest, all; for single
//! ones see [`super::removal`].

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

use super::error::{Fault, OpResult};
use super::hand_out::Order;
use super::layout::index;
use super::removal::{Holder, Removal, Right, holders};
use super::store::{QueueEntry, Store};
use super::{Engine, claims, command, ids, take, transaction};
use crate::model::{Body, ClaimId, ClaimOrder, MessageId, StoredMessage, Timestamp};
use crate::storage::{Arrival, Error, Result};

/// Messages that a purge removes with one command.
const PURGE_SLICE: usize = 1000;
/// How long what is popped stays hidden if we are gone before it is, in seconds.
const POP_TTL: u32 = 60;

/// See [`crate::storage::MessageController::delete`].
pub async fn delete(
    engine: &Engine,
    queue: &Arc<QueueEntry>,
    id: MessageId,
    claim: Option<ClaimId>,
    now: Timestamp,
) -> Result<()> {
    let right = claim.map_or(Right::Free, Right::Claim);
    engine.remove(Removal { queue: Arc::clone(queue), ids: vec![id], right, now }).await
}

/// See [`crate::storage::MessageController::delete_many`].
pub async fn delete_many(
    engine: &Engine,
    queue: &Arc<QueueEntry>,
    ids: &[MessageId],
    claims: Option<&[ClaimId]>,
    now: Timestamp,
) -> Result<()> {
    let store = &engine.store;
    let (queue, ids) = (Arc::clone(queue), ids.to_vec());
    match claims {
        None => engine.remove(Removal { queue, ids, right: Right::Any, now }).await,
        Some(claims) => {
            let work = || delete_claimed(store, &queue, &ids, claims, now);
            store.patience.persist(work).await
        }
    }
}

/// Deletes messages if all of them are held by live claims among these.
async fn delete_claimed(
    store: &Store,
    queue: &QueueEntry,
    ids: &[MessageId],
    claims: &[ClaimId],
    now: Timestamp,
) -> OpResult<()> {
    let partition = store.partition(queue);
    let mut session = transaction::begin_if_any(store).await?;
    let held = holders(partition, ids, session.as_mut()).await?;
    let held: HashMap<_, _> = held.into_iter().filter(|(_, it)| it.is_in(queue, now)).collect();
    for &id in ids {
        match held.get(&id) {
            Some(holder) if !holder.is_live(now) => {
                return Err(Fault::Refused(Error::MessageIsNotClaimed(id)));
            }
            Some(Holder { claim: Some(claim), .. }) if !claims.contains(claim) => {
                return Err(Fault::Refused(Error::MessageIsClaimed(id)));
            }
            _ => {}
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let doomed: Vec<_> = held.keys().map(|id| ObjectId::from_bytes(id.bytes())).collect();
    let claims: Vec<_> = claims.iter().map(|id| ObjectId::from_bytes(id.bytes())).collect();
    let filter = doc! { "_id": { "$in": doomed }, "p_q": &queue.p_q, "c.id": { "$in": claims } };
    let statement = doc! { "q": filter, "limit": 0, "hint": { "_id": 1 } };
    command::delete(store, partition, vec![statement], session.as_mut()).await?;
    if let Some(session) = &mut session {
        transaction::commit(session).await?;
    }
    Ok(())
}

/// See [`crate::storage::MessageController::pop`]. The messages are claimed and
/// then deleted under that claim: whatever happens between, none is lost.
pub async fn pop(
    engine: &Engine,
    queue: &Arc<QueueEntry>,
    limit: u32,
    now: Timestamp,
) -> Result<Vec<StoredMessage>> {
    let order = hiding(queue, limit, now);
    let Some(taken) = engine.hand_out(order.clone()).await? else { return Ok(Vec::new()) };
    let mut messages = taken.messages;
    let sealed = messages.iter().position(|message| matches!(message.body, Body::Sealed(_)));
    messages.truncate(sealed.unwrap_or(messages.len()));
    remove_hidden(engine, &order, messages.iter().map(|message| message.id).collect()).await?;
    if sealed.is_some() {
        give_back(engine, &order).await;
    }
    Ok(messages)
}

/// See [`crate::storage::MessageController::pop_these`]; done as [`pop`] is.
pub async fn pop_these(
    engine: &Engine,
    queue: &Arc<QueueEntry>,
    ids: &[MessageId],
    now: Timestamp,
) -> Result<Vec<MessageId>> {
    let order = hiding(queue, u32::try_from(ids.len()).unwrap_or(u32::MAX), now);
    let hidden = take::hide(&engine.store, &order, ids).await?;
    remove_hidden(engine, &order, hidden.clone()).await?;
    Ok(hidden)
}

fn hiding(queue: &Arc<QueueEntry>, limit: u32, now: Timestamp) -> Order {
    let claim =
        ClaimOrder { ttl: POP_TTL, grace: 0, limit, include_delayed: true, dead_letter: None };
    Order { queue: Arc::clone(queue), id: ids::new_claim(now), claim, quietly: true, now }
}

/// Removes what was hidden by that order, or lets it be seen again.
async fn remove_hidden(engine: &Engine, order: &Order, ids: Vec<MessageId>) -> Result<()> {
    let (queue, right) = (Arc::clone(&order.queue), Right::Claim(order.id));
    let removed = engine.remove(Removal { queue, ids, right, now: order.now }).await;
    if let Err(error) = &removed {
        tracing::debug!(%error, "a pop failed, its messages are given back");
        give_back(engine, order).await;
    }
    removed
}

async fn give_back(engine: &Engine, order: &Order) {
    claims::give_back(&engine.store, &order.queue, order.id, order.now).await;
    engine.floors.forget(&order.queue);
    engine.store.announcer.arrived(&order.queue.key, Arrival::Something);
}

/// See [`crate::storage::MessageController::purge`].
pub async fn purge(engine: &Engine, queue: &QueueEntry, now: Timestamp) -> Result<()> {
    let store = &engine.store;
    let Some(newest) = store.patience.persist(|| newest(store, queue)).await? else {
        return Ok(());
    };
    let mut from = queue.first_marker;
    while let Some(last) =
        store.patience.persist(|| purge_slice(store, queue, (from, newest), now)).await?
    {
        from = last;
    }
    Ok(())
}

/// The greatest marker of the queue's messages.
async fn newest(store: &Store, queue: &QueueEntry) -> OpResult<Option<i64>> {
    let mut cursor = store
        .partition(queue)
        .messages
        .find(doc! { "p_q": &queue.p_q })
        .projection(doc! { "_id": 0, "k": 1 })
        .sort(doc! { "k": -1 })
        .hint(index("active"))
        .limit(1)
        .await?;
    Ok(if cursor.advance().await? { super::document::integer(cursor.current(), "k") } else { None })
}

/// Removes what is free of the first messages between the markers; returns the
/// marker to go on from, if there may be more.
async fn purge_slice(
    store: &Store,
    queue: &QueueEntry,
    (from, to): (i64, i64),
    now: Timestamp,
) -> OpResult<Option<i64>> {
    let partition = store.partition(queue);
    let free = doc! { "$lte": now.seconds() };
    let mut cursor = partition
        .messages
        .find(doc! { "p_q": &queue.p_q, "k": { "$gte": from, "$lte": to }, "c.e": free.clone() })
        .projection(doc! { "k": 1 })
        .sort(doc! { "k": 1 })
        .hint(index("active"))
        .limit(i64::try_from(PURGE_SLICE).unwrap_or(i64::MAX))
        .batch_size(u32::try_from(PURGE_SLICE).unwrap_or(u32::MAX))
        .await?;
    let mut doomed = Vec::with_capacity(PURGE_SLICE);
    let mut last = None;
    while cursor.advance().await? {
        let message = Document::try_from(cursor.current())?;
        last = super::document::integer(cursor.current(), "k").or(last);
        doomed.extend(message.get("_id").cloned());
    }
    if doomed.is_empty() {
        return Ok(None);
    }
    let full = doomed.len() == PURGE_SLICE;
    let filter = doc! { "_id": { "$in": doomed }, "p_q": &queue.p_q, "c.e": free };
    let statement = doc! { "q": filter, "limit": 0, "hint": { "_id": 1 } };
    command::delete(store, partition, vec![statement], None).await?;
    Ok(last.filter(|_| full))
}
