//! Reading messages: pages, single ones, counts.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};

use super::document::{Stored, date, integer};
use super::error::OpResult;
use super::layout::index;
use super::store::{Documents, Partition, QueueEntry, Store};
use super::{counter, gaps, heads, ids};
use crate::model::{
    ClientId, ListQuery, Marker, Message, MessageHead, MessageId, Stats, Timestamp,
};

/// See [`crate::storage::MessageController::list`].
pub async fn page(
    store: &Store,
    queue: &QueueEntry,
    query: &ListQuery,
    now: Timestamp,
) -> OpResult<Vec<Message>> {
    let Some(behind) = position(store, queue, query.marker).await? else { return Ok(Vec::new()) };
    let mut from = heads::first(store, queue).await?.max(behind.saturating_add(1));
    let mut found = Vec::new();
    loop {
        let left = query.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let stretch = gaps::stretch(store, queue, from, left, now).await?;
        let filter = shown(queue, query, doc! { "$gte": from, "$lt": stretch.end }, now);
        let messages = &store.partitions[queue.partition].settled;
        found.extend(walk(store, messages, filter, Order::Ascending, left).await?);
        if !stretch.more || found.len() >= query.limit as usize {
            return Ok(found.into_iter().map(|stored| stored.message).collect());
        }
        from = stretch.end;
    }
}

/// What a listing shows of the messages with these markers.
fn shown(queue: &QueueEntry, query: &ListQuery, markers: Document, now: Timestamp) -> Document {
    let mut filter = living(queue, markers, now);
    let mut conditions = Vec::new();
    if let Some(client) = &query.without {
        conditions.push(doc! { "u": { "$ne": poster(client) } });
    }
    if !query.include_claimed {
        conditions.push(free(now));
    }
    if !query.include_delayed {
        conditions.push(ready(now));
    }
    if !conditions.is_empty() {
        filter.insert("$and", conditions);
    }
    filter
}

/// Messages of the queue with these markers that have not expired.
fn living(queue: &QueueEntry, markers: Document, now: Timestamp) -> Document {
    doc! { "p_q": &queue.p_q, "tx": null, "k": markers, "e": { "$gt": date(now) } }
}

/// No live claim holds it. A message that was never claimed tells by `c.e` when
/// it was posted, which lies ahead if another server's clock is ahead of ours:
/// whoever left it out would never see it, if others behind it are shown.
fn free(now: Timestamp) -> Document {
    doc! { "$or": [{ "c.e": { "$lte": now.seconds() } }, { "c.id": null }] }
}

/// Its delay is over, or it never had one: for the same reason, `d` is not only
/// compared with our clock but with the moment of the post, which the id tells.
fn ready(now: Timestamp) -> Document {
    let posted = doc! { "$convert": { "input": "$_id", "to": "date", "onError": null } };
    let posted = doc! { "$divide": [{ "$toLong": posted }, 1000] };
    doc! { "$or": [
        { "d": { "$lte": now.seconds() } },
        { "d": { "$exists": false } },
        { "$expr": { "$lte": ["$d", posted] } },
    ] }
}

/// Who posted a message, as its `u` has it.
fn poster(client: &ClientId) -> Bson {
    match client {
        ClientId::Uuid(uuid) => {
            let bytes = uuid.as_bytes().to_vec();
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })
        }
        ClientId::Name(name) => Bson::String(name.to_string()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

/// Up to `limit` messages in the order of their markers. Documents that are
/// none are stepped over: if there are fewer, there are no more.
async fn walk(
    store: &Store,
    messages: &Documents,
    mut filter: Document,
    order: Order,
    limit: u32,
) -> OpResult<Vec<Stored>> {
    let limit = limit as usize;
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = limit - found.len();
        // One more than the limit, and the server need not keep a cursor.
        let batch = u32::try_from(wanted.saturating_add(1)).unwrap_or(u32::MAX);
        let mut cursor = messages
            .find(filter.clone())
            .hint(index("active"))
            .sort(doc! { "k": if order == Order::Ascending { 1 } else { -1 } })
            .limit(i64::from(batch) - 1)
            .batch_size(batch)
            .await?;
        let (mut seen, mut last) = (0, Bson::Null);
        while cursor.advance().await? {
            let document = cursor.current();
            seen += 1;
            if seen == wanted
                && let Some(marker) = document.get("k")?
            {
                last = marker.try_into()?;
            }
            found.extend(store.decode(document));
        }
        if seen < wanted {
            break;
        }
        if let Ok(markers) = filter.get_document_mut("k") {
            markers.remove(if order == Order::Ascending { "$gte" } else { "$lte" });
            markers.insert(if order == Order::Ascending { "$gt" } else { "$lt" }, last);
        }
    }
    Ok(found)
}

/// The place a marker names: that of the last message before the page. `None`
/// if nothing lies behind it.
async fn position(
    store: &Store,
    queue: &QueueEntry,
    marker: Option<Marker>,
) -> OpResult<Option<i64>> {
    match marker {
        None => Ok(Some(0)),
        Some(Marker::Position(place)) => Ok(i64::try_from(place).ok()),
        Some(Marker::Message(id)) => place_of(store, queue, id).await.map(Some),
    }
}

/// The marker of a message that may be gone. Then its id tells it; or, if Zaqar
/// made the id, only when it was posted: its place is behind all that was posted
/// in earlier seconds.
async fn place_of(store: &Store, queue: &QueueEntry, id: MessageId) -> OpResult<i64> {
    let messages = &store.partitions[queue.partition].messages;
    let own = messages
        .find_one(doc! { "_id": ObjectId::from_bytes(id.bytes()), "p_q": &queue.p_q })
        .projection(doc! { "_id": 0, "k": 1 })
        .await?;
    if let Some(marker) = own.and_then(|own| integer(&own, "k")) {
        return Ok(marker);
    }
    let record = store.queues.find_one(doc! { "p_q": &queue.p_q }).projection(doc! { "c.v": 1 });
    let counter = record.await?.as_deref().and_then(counter::value).unwrap_or(1);
    let newest = u64::try_from(counter.saturating_sub(1)).unwrap_or(0);
    if let Some(marker) = ids::marker(id, newest).and_then(|marker| i64::try_from(marker).ok()) {
        return Ok(marker);
    }
    let (second, _) = id.parts();
    let second = ObjectId::from_bytes(MessageId::from_parts(second, 0).bytes());
    let earlier = messages
        .find_one(doc! { "p_q": &queue.p_q, "_id": { "$lt": second } })
        .sort(doc! { "k": -1 })
        .hint(index("active"))
        .projection(doc! { "_id": 0, "k": 1 })
        .await?;
    Ok(earlier.and_then(|earlier| integer(&earlier, "k")).unwrap_or(0))
}

/// See [`crate::storage::MessageController::get`].
pub async fn by_ids(
    store: &Store,
    queue: &QueueEntry,
    ids: &[MessageId],
    now: Timestamp,
) -> OpResult<Vec<Message>> {
    let ids: Vec<_> = ids.iter().map(|id| ObjectId::from_bytes(id.bytes())).collect();
    let mut filter = doc! { "_id": { "$in": ids }, "p_q": &queue.p_q, "e": { "$gt": date(now) } };
    if queue.first_marker > 0 {
        filter.insert("k", doc! { "$gte": queue.first_marker });
    }
    let messages = &store.partitions[queue.partition].messages;
    let mut cursor = messages.find(filter).hint(index("_id_")).await?;
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.extend(store.decode(cursor.current()).map(|stored| stored.message));
    }
    found.sort_unstable_by_key(|message| message.id);
    Ok(found)
}

/// See [`crate::storage::MessageController::stats`].
pub async fn stats(store: &Store, queue: &QueueEntry, now: Timestamp) -> OpResult<Stats> {
    let partition = &store.partitions[queue.partition];
    let first = heads::first(store, queue).await?;
    let (all, dead, claimed, oldest, newest) = tokio::try_join!(
        all(partition, queue, first),
        dead(partition, queue, first, now),
        claimed(partition, queue, first, now),
        end(store, queue, first, now, Order::Ascending),
        end(store, queue, first, now, Order::Descending),
    )?;
    Ok(Stats { claimed, free: all.saturating_sub(dead + claimed), oldest, newest })
}

/// Counts all documents of the queue, in an index alone.
async fn all(partition: &Partition, queue: &QueueEntry, first: i64) -> OpResult<u64> {
    let all = doc! { "p_q": &queue.p_q, "k": { "$gte": first } };
    Ok(partition.messages.count_documents(all).hint(index("active")).await?)
}

/// Counts those that expired and were not collected yet: few as a rule, in the
/// index of what expires first.
async fn dead(
    partition: &Partition,
    queue: &QueueEntry,
    first: i64,
    now: Timestamp,
) -> OpResult<u64> {
    let dead = doc! {
        "p_q": &queue.p_q,
        "k": { "$gte": first },
        "e": { "$lte": date(now) },
    };
    Ok(partition.messages.count_documents(dead).hint(index("ttl")).await?)
}

/// Counts those that a live claim holds.
async fn claimed(
    partition: &Partition,
    queue: &QueueEntry,
    first: i64,
    now: Timestamp,
) -> OpResult<u64> {
    let mut held = living(queue, doc! { "$gte": first }, now);
    held.insert("c.id", doc! { "$ne": null });
    held.insert("c.e", doc! { "$gt": now.seconds() });
    Ok(partition.messages.count_documents(held).hint(index("claimed")).await?)
}

/// The first or the last message that can be seen.
async fn end(
    store: &Store,
    queue: &QueueEntry,
    first: i64,
    now: Timestamp,
    order: Order,
) -> OpResult<Option<MessageHead>> {
    let mut filter = living(queue, doc! { "$gte": first }, now);
    filter.extend(ready(now));
    let messages = &store.partitions[queue.partition].messages;
    let found = walk(store, messages, filter, order, 1).await?.pop();
    Ok(found.map(|Stored { message, .. }| MessageHead {
        id: message.id,
        created: message.created,
        claim: message.claim,
    }))
}
