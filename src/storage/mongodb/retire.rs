//! Deleting a queue: its record goes, its counter stays, its messages follow.
//!
//! The counter lives on among the retired queues for 14 days. A queue made anew
//! in that time counts on from there, and what has a smaller marker is not its
//! own. A retired queue is `dirty` until its last message is gone: should the
//! process end before, the collector goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::contention::Contention;
use super::counter;
use super::document::{int, integer};
use super::error::{OpResult, WRITE_CONFLICT};
use super::layout::{index, scoped, unscoped};
use super::store::Store;
use super::transaction::{begin, commit};
use crate::model::QueueKey;
use crate::storage::{Collected, Result};

/// How long a deletion removes messages before it answers; the rest goes on
/// behind its back.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long one slice of the collector removes messages.
const SLICE: Duration = Duration::from_millis(250);

/// Most messages removed by one operation.
const CHUNK: i64 = 1000;

/// A queue that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Retired {
    key: QueueKey,
    p_q: String,
    /// All its messages have smaller markers.
    end: i64,
}

impl Retired {
    /// `None` if nothing was ever posted.
    fn new(key: &QueueKey, end: i64) -> Option<Self> {
        (end > 1).then(|| Self { key: key.clone(), p_q: scoped(key), end })
    }

    fn filter(&self) -> Document {
        doc! { "_id": &self.p_q }
    }

    fn change(&self) -> Document {
        doc! {
            "$max": { "v": int(self.end) },
            "$set": { "dirty": true },
            "$currentDate": { "at": true },
        }
    }
}

/// What came of a deletion.
#[derive(Debug)]
pub enum Removed {
    /// There is no such queue.
    Missing,
    /// There are messages in it, and it was to be empty.
    Kept,
    /// It is gone.
    Gone {
        /// All its messages have smaller markers.
        end: i64,
        /// What is left of it; `None` if nothing was ever posted.
        retired: Option<Retired>,
    },
}

/// Deletes the record and keeps the counter, in one step; if asked so, only while
/// there are no messages in the queue.
///
/// # Errors
///
/// [`crate::storage::Error::Unavailable`].
pub async fn delete(store: &Store, key: &QueueKey, only_if_empty: bool) -> Result<Removed> {
    let mut tries = store.patience.begin();
    let mut contention = Contention::new(&store.settings);
    let mut repeated = false;
    loop {
        let attempt = async {
            match remove(store, key, only_if_empty).await? {
                Removed::Missing if repeated => before(store, key).await,
                removed => Ok(removed),
            }
        };
        match tries.attempt(attempt).await {
            Ok(removed) => return Ok(removed),
            // Posts to the queue are in the way, one after the other.
            Err(fault) if fault.code() == Some(WRITE_CONFLICT) => contention.pause().await?,
            Err(fault) => {
                repeated = true;
                tries.pause(fault).await?;
            }
        }
    }
}

/// What an earlier try may have come to whose answer was lost.
async fn before(store: &Store, key: &QueueKey) -> OpResult<Removed> {
    let kept = store.retired.find_one(doc! { "_id": scoped(key) }).await?;
    Ok(match kept.and_then(|kept| integer(&kept, "v")) {
        Some(end) => Removed::Gone { end, retired: Retired::new(key, end) },
        None => Removed::Missing,
    })
}

async fn remove(store: &Store, key: &QueueKey, only_if_empty: bool) -> OpResult<Removed> {
    if !store.transactions {
        return remove_alone(store, key, only_if_empty).await;
    }
    let mut session = begin(store).await?;
    // The deletion comes first, so that a post in between waits for it.
    let records = store.records(key);
    let found =
        records.documents.find_one_and_delete(records.query(key)).session(&mut session).await?;
    let Some(found) = found else { return Ok(Removed::Missing) };
    if only_if_empty && holds_messages(store, key, &found, Some(&mut session)).await? {
        session.abort_transaction().await?;
        return Ok(Removed::Kept);
    }
    let end = end(store, key, &found, Some(&mut session)).await?;
    let retired = Retired::new(key, end);
    if let Some(retired) = &retired {
        let kept = store.retired.update_one(retired.filter(), retired.change()).upsert(true);
        kept.session(&mut session).await?;
    }
    commit(&mut session).await?;
    Ok(Removed::Gone { end, retired })
}

/// Without transactions a post can still be on its way: its markers are taken and
/// its messages are not there yet. So the record goes only if its counter stands
/// still, and comes back if messages turn up behind it.
async fn remove_alone(store: &Store, key: &QueueKey, only_if_empty: bool) -> OpResult<Removed> {
    let records = store.records(key);
    let Some(found) = records.documents.find_one(records.query(key)).await? else {
        return Ok(Removed::Missing);
    };
    if only_if_empty && holds_messages(store, key, &found, None).await? {
        return Ok(Removed::Kept);
    }
    let end = end(store, key, &found, None).await?;
    let retired = Retired::new(key, end);
    if let Some(retired) = &retired {
        store.retired.update_one(retired.filter(), retired.change()).upsert(true).await?;
    }
    if !only_if_empty {
        records.documents.delete_one(records.query(key)).await?;
        return Ok(Removed::Gone { end, retired });
    }
    let unmoved = doc! { "_id": value(&found, "_id")?, "c.v": int(end) };
    if records.documents.delete_one(unmoved).await?.deleted_count == 0 {
        return Ok(Removed::Kept);
    }
    if holds_messages(store, key, &found, None).await? {
        records.documents.insert_one(found).await?;
        return Ok(Removed::Kept);
    }
    Ok(Removed::Gone { end, retired })
}

/// Whether there is a message in the queue, of any kind.
async fn holds_messages(
    store: &Store,
    key: &QueueKey,
    record: &RawDocument,
    session: Option<&mut ClientSession>,
) -> OpResult<bool> {
    let first = integer(record, "first_marker").unwrap_or(0);
    let mut any = store
        .partition_of(key)
        .messages
        .find_one(doc! { "p_q": scoped(key), "k": { "$gte": first } })
        .hint(index("active"))
        .projection(doc! { "_id": 1 });
    if let Some(session) = session {
        any = any.session(session);
    }
    Ok(any.await?.is_some())
}

/// The first marker that no message of the queue has. The counter may lie
/// behind it: a Zaqar of the driver `mongodb.fifo` inserts before it counts.
async fn end(
    store: &Store,
    key: &QueueKey,
    record: &RawDocument,
    session: Option<&mut ClientSession>,
) -> OpResult<i64> {
    let counter = counter::value(record).unwrap_or(1);
    let newest = store
        .partition_of(key)
        .messages
        .find_one(doc! { "p_q": scoped(key), "k": { "$gte": counter } })
        .sort(doc! { "k": -1 })
        .hint(index("active"))
        .projection(doc! { "_id": 0, "k": 1 });
    let newest = match session {
        Some(session) => newest.session(session).await?,
        None => newest.await?,
    };
    let newest = newest.and_then(|message| integer(&message, "k"));
    Ok(newest.map_or(counter, |newest| newest.saturating_add(1)))
}

/// Removes the messages of a deleted queue. What takes long goes on after this
/// has returned; what fails is left to the collector.
pub async fn clean(store: &Arc<Store>, retired: Retired) {
    let work = |store: Arc<Store>, retired: Retired| async move {
        let done = store.patience.persist(|| sweep(&store, &retired, PATIENCE)).await;
        done.inspect_err(|error| tracing::warn!(%error, "messages of a deleted queue remain"))
    };
    if !work(Arc::clone(store), retired.clone()).await.is_ok_and(|done| done.more) {
        return;
    }
    let store = Arc::clone(store);
    tokio::spawn(async move {
        while work(Arc::clone(&store), retired.clone()).await.is_ok_and(|done| done.more) {}
    });
}

/// Goes on with a deletion that was not finished, if there is one.
pub async fn resume(store: &Store) -> OpResult<Collected> {
    let Some(dirty) =
        store.retired.find_one(doc! { "dirty": true }).hint(index("nusku_dirty")).await?
    else {
        return Ok(Collected::default());
    };
    let key = dirty.get_str("_id").ok().and_then(unscoped);
    let retired = key.and_then(|key| Retired::new(&key, integer(&dirty, "v")?));
    if let Some(retired) = retired {
        return Ok(Collected { more: true, ..sweep(store, &retired, SLICE).await? });
    }
    let strange = doc! { "_id": value(&dirty, "_id")? };
    store.retired.update_one(strange, doc! { "$unset": { "dirty": "" } }).await?;
    Ok(Collected { messages: 0, more: true })
}

/// Removes messages for about as long as `budget`.
///
/// A Zaqar that makes the queue anew counts from 1 and knows nothing of this:
/// its messages must be spared. So the ids come first, then the look for such a
/// queue, then the deletion of these ids.
async fn sweep(store: &Store, retired: &Retired, budget: Duration) -> OpResult<Collected> {
    let messages = &store.partition_of(&retired.key).messages;
    let begun = Instant::now();
    let (mut swept, mut from) = (0, Bson::MinKey);
    loop {
        let (ids, last) = remaining(store, retired, &from).await?;
        if ids.is_empty() || is_taken(store, retired).await? {
            let this = doc! { "_id": &retired.p_q, "v": { "$lte": retired.end } };
            store.retired.update_one(this, doc! { "$unset": { "dirty": "" } }).await?;
            return Ok(Collected { messages: swept, more: false });
        }
        let these = doc! { "_id": { "$in": ids }, "p_q": &retired.p_q };
        swept += messages.delete_many(these).await?.deleted_count;
        from = last;
        if begun.elapsed() >= budget {
            return Ok(Collected { messages: swept, more: true });
        }
    }
}

/// Ids of some messages of the deleted queue, and the marker of the last.
async fn remaining(store: &Store, retired: &Retired, from: &Bson) -> OpResult<(Vec<Bson>, Bson)> {
    let mut messages = store
        .partition_of(&retired.key)
        .messages
        .find(doc! { "p_q": &retired.p_q, "k": { "$lt": retired.end, "$gte": from } })
        .sort(doc! { "k": 1 })
        .hint(index("active"))
        .projection(doc! { "k": 1 })
        .limit(CHUNK)
        .await?;
    let (mut ids, mut last) = (Vec::new(), from.clone());
    while messages.advance().await? {
        ids.push(value(messages.current(), "_id")?);
        last = value(messages.current(), "k")?;
    }
    Ok((ids, last))
}

/// Whether somebody who knows nothing of the retired counter has made the queue
/// anew.
async fn is_taken(store: &Store, retired: &Retired) -> OpResult<bool> {
    let records = store.records(&retired.key);
    let record = records.documents.find_one(records.query(&retired.key)).await?;
    Ok(record.is_some_and(|record| integer(&record, "first_marker").unwrap_or(0) < retired.end))
}

fn value(document: &RawDocument, field: &str) -> OpResult<Bson> {
    Ok(match document.get(field)? {
        Some(value) => value.try_into()?,
        None => Bson::Null,
    })
}
