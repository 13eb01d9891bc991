//! Reading messages: pages, single ones, counts.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

use super::document::{date, integer};
use super::error::OpResult;
use super::layout::index;
use super::store::{Partition, QueueEntry, Store};
use super::walk::{Walk, first_id};
use super::{counter, gaps, heads, ids};
use crate::model::{ListQuery, Marker, MessageHead, MessageId, Stats, StoredMessage, Timestamp};

/// See [`crate::storage::MessageController::list`].
pub async fn page(
    store: &Store,
    queue: &QueueEntry,
    query: &ListQuery,
    now: Timestamp,
) -> OpResult<Vec<StoredMessage>> {
    let Some(behind) = position(store, queue, query.marker).await? else { return Ok(Vec::new()) };
    let mut from = heads::first(store, queue).await?.max(behind.saturating_add(1));
    let mut found = Vec::new();
    loop {
        let left = query.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let stretch = gaps::stretch(store, queue, from, left, now).await?;
        let walk = walk(queue, query, doc! { "$gte": from, "$lt": stretch.end }, now);
        let messages = &store.partitions[queue.partition].settled;
        found.extend(walk.read(store, messages, left).await?);
        if !stretch.more || found.len() >= query.limit as usize {
            return Ok(found.into_iter().map(|stored| stored.message).collect());
        }
        from = stretch.end;
    }
}

fn walk(queue: &QueueEntry, query: &ListQuery, markers: Document, now: Timestamp) -> Walk {
    let mut walk = Walk::over(queue, markers, now);
    if let Some(client) = &query.without {
        walk = walk.without(client);
    }
    if !query.include_claimed {
        walk = walk.only_free();
    }
    if !query.include_delayed {
        walk = walk.only_ready();
    }
    walk
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
    let records = store.records(&queue.key);
    let record = records.documents.find_one(records.query(&queue.key));
    let record = record.projection(doc! { "c.v": 1 });
    let counter = record.await?.as_deref().and_then(counter::value).unwrap_or(1);
    let newest = u64::try_from(counter.saturating_sub(1)).unwrap_or(0);
    if let Some(marker) = ids::marker(id, newest).and_then(|marker| i64::try_from(marker).ok()) {
        return Ok(marker);
    }
    let second = Timestamp::from_seconds(i64::from(id.parts().0));
    let earlier = messages
        .find_one(doc! { "p_q": &queue.p_q, "_id": { "$lt": first_id(second) } })
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
) -> OpResult<Vec<StoredMessage>> {
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
    let all_of = || Walk::over(queue, doc! { "$gte": first }, now).only_ready();
    let (all, dead, claimed, oldest, newest) = tokio::try_join!(
        all(partition, queue, first),
        dead(partition, queue, first, now),
        claimed(partition, queue, first, now),
        end(store, partition, all_of()),
        end(store, partition, all_of().backward()),
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
    let held = doc! {
        "p_q": &queue.p_q,
        "c.id": { "$ne": null },
        "k": { "$gte": first },
        "c.e": { "$gt": now.seconds() },
        "e": { "$gt": date(now) },
    };
    Ok(partition.messages.count_documents(held).hint(index("claimed")).await?)
}

/// The first message of a walk.
async fn end(store: &Store, partition: &Partition, walk: Walk) -> OpResult<Option<MessageHead>> {
    let found = walk.read(store, &partition.settled, 1).await?.pop();
    Ok(found.map(|stored| MessageHead {
        id: stored.message.id,
        created: stored.message.created,
        claim: stored.message.claim,
    }))
}
