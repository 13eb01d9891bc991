//! Subscriptions: Zaqar's records of them.

mod record;

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

pub use self::record::{alive, decode};
use self::record::{encode, expired};
use super::document::{date, int};
use super::error::{DUPLICATE_KEY, OpResult, unavailable};
use super::layout::spelled;
use super::metadata::object_to_bson;
use super::store::Store;
use super::{MongodbDriver, deliveries};
use crate::model::{
    NewSubscription, QueueKey, Subscription, SubscriptionChange, SubscriptionId, Timestamp,
};
use crate::storage::{Error, Result, Subscribed, SubscriptionController};

/// How often a subscription that is in the way may turn out to be gone.
const TRIES: u32 = 8;

/// An id as Zaqar's would be: the moment, then what tells processes apart, then
/// a counter, so that ids sort as they were made.
fn new_id(now: Timestamp) -> ObjectId {
    let mut bytes = ObjectId::new().bytes();
    let seconds = u32::try_from(now.seconds().max(0)).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// What the subscriptions of a queue have in common.
pub fn of_queue(queue: &QueueKey) -> Document {
    doc! { "s": queue.name.as_str(), "p": spelled(&queue.project) }
}

/// What only one subscription of the queue has.
pub fn by_id(queue: &QueueKey, id: SubscriptionId) -> Document {
    let mut filter = doc! { "_id": ObjectId::from_bytes(id.bytes()) };
    filter.extend(of_queue(queue));
    filter
}

/// The same, as long as it lives.
pub fn live(queue: &QueueKey, id: SubscriptionId, now: Timestamp) -> Document {
    let mut filter = by_id(queue, id);
    filter.extend(alive(now));
    filter
}

fn of_subscriber(queue: &QueueKey, subscriber: &str) -> Document {
    let mut filter = of_queue(queue);
    filter.insert("u", subscriber);
    filter
}

/// Reads a record, or steps over a document that is none, and counts it.
pub fn read(store: &Store, record: &RawDocument) -> Option<Subscription> {
    decode(record).inspect_err(|foreign| store.skip(foreign)).ok()
}

/// Makes a subscription with that id, and sees to it that it is told of all that
/// comes. If the answer to the first try was lost, the second finds what it made.
async fn create(
    store: &Store,
    queue: &QueueKey,
    new: &NewSubscription,
    (id, now): (ObjectId, Timestamp),
) -> OpResult<Subscribed> {
    let begin = deliveries::newest_marker(store, queue).await?;
    let record = encode(id, queue, new, (begin, now))?;
    let made = insert(store, queue, &record, (&new.subscriber, now)).await?;
    if matches!(made, Subscribed::New(_)) {
        deliveries::wait_for_posts(store, queue, id).await?;
    }
    Ok(made)
}

/// Inserts the record of a subscription, unless its subscriber has one.
async fn insert(
    store: &Store,
    queue: &QueueKey,
    record: &Document,
    (subscriber, now): (&str, Timestamp),
) -> OpResult<Subscribed> {
    let id = record.get_object_id("_id")?;
    let record = RawDocumentBuf::try_from(record)?;
    for _ in 0..TRIES {
        match store.subscriptions.insert_one(&record).await {
            Ok(_) => return Ok(Subscribed::New(SubscriptionId::from_bytes(id.bytes()))),
            Err(error) if super::error::code(&error) == Some(DUPLICATE_KEY) => {}
            Err(error) => return Err(error.into()),
        }
        let mut filter = of_subscriber(queue, subscriber);
        filter.extend(alive(now));
        let Some(found) = store.subscriptions.find_one(filter).await? else {
            remove_expired(store, queue, subscriber, now).await?;
            continue;
        };
        let Some(found) = read(store, &found) else { break };
        let is_ours = ObjectId::from_bytes(found.id.bytes()) == id;
        return Ok(if is_ours { Subscribed::New(found.id) } else { Subscribed::Existing(found) });
    }
    Err(unavailable(&"something unknown has the place of a subscription").into())
}

/// Makes room for a subscription in the place of one that has expired.
async fn remove_expired(
    store: &Store,
    queue: &QueueKey,
    subscriber: &str,
    now: Timestamp,
) -> OpResult<()> {
    let mut filter = of_subscriber(queue, subscriber);
    filter.extend(expired(now));
    store.subscriptions.delete_one(filter).await?;
    Ok(())
}

async fn get(
    store: &Store,
    queue: &QueueKey,
    id: SubscriptionId,
    now: Timestamp,
) -> OpResult<Subscription> {
    let found = store.subscriptions.find_one(live(queue, id, now)).await?;
    let found = found.and_then(|found| read(store, &found));
    found.ok_or_else(|| Error::SubscriptionDoesNotExist(id).into())
}

/// Reads on behind documents that are stepped over, until the page is full.
async fn list(
    store: &Store,
    queue: &QueueKey,
    marker: Option<SubscriptionId>,
    limit: u32,
    now: Timestamp,
) -> OpResult<Vec<Subscription>> {
    let limit = limit as usize;
    let mut page = Vec::new();
    let mut behind = marker.map(|marker| Bson::ObjectId(ObjectId::from_bytes(marker.bytes())));
    while page.len() < limit {
        let mut filter = of_queue(queue);
        filter.extend(alive(now));
        if let Some(behind) = &behind {
            filter.insert("_id", doc! { "$gt": behind });
        }
        let wanted = limit - page.len();
        let size = i64::try_from(wanted).unwrap_or(i64::MAX);
        let mut found =
            store.subscriptions.find(filter).sort(doc! { "_id": 1 }).limit(size).await?;
        let mut seen = 0;
        while found.advance().await? {
            let record = found.current();
            seen += 1;
            behind = record.get("_id")?.map(Bson::try_from).transpose()?;
            page.extend(read(store, record));
        }
        if seen < wanted {
            break;
        }
    }
    Ok(page)
}

async fn update(
    store: &Store,
    queue: &QueueKey,
    id: SubscriptionId,
    change: &SubscriptionChange,
    now: Timestamp,
) -> OpResult<()> {
    let mut fields = Document::new();
    if let Some(subscriber) = &change.subscriber {
        fields.insert("u", subscriber);
    }
    if let Some(ttl) = change.ttl {
        fields.insert("t", int(i64::try_from(ttl).unwrap_or(i64::MAX)));
        fields.insert("e", date(now.later(ttl)));
    }
    if let Some(options) = &change.options {
        fields.insert("o", object_to_bson(options)?);
    }
    match set(store, queue, id, &fields, now).await {
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => {}
        done => return done,
    }
    // The one in the way may have expired.
    remove_expired(store, queue, change.subscriber.as_deref().unwrap_or_default(), now).await?;
    match set(store, queue, id, &fields, now).await {
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => Err(Error::SubscriberIsTaken.into()),
        done => done,
    }
}

/// Sets these fields of a live subscription.
async fn set(
    store: &Store,
    queue: &QueueKey,
    id: SubscriptionId,
    fields: &Document,
    now: Timestamp,
) -> OpResult<()> {
    let change = doc! { "$set": fields };
    match store.subscriptions.update_one(live(queue, id, now), change).await?.matched_count {
        0 => Err(Error::SubscriptionDoesNotExist(id).into()),
        _ => Ok(()),
    }
}

#[async_trait]
impl SubscriptionController for MongodbDriver {
    async fn create(
        &self,
        queue: &QueueKey,
        new: NewSubscription,
        now: Timestamp,
    ) -> Result<Subscribed> {
        let (queue, made) = (queue.clone(), (new_id(now), now));
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| create(store, &queue, &new, made)).await
        })
        .await
    }

    async fn get(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        now: Timestamp,
    ) -> Result<Subscription> {
        let queue = queue.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| get(store, &queue, id, now)).await
        })
        .await
    }

    async fn list(
        &self,
        queue: &QueueKey,
        marker: Option<SubscriptionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Subscription>> {
        let queue = queue.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| list(store, &queue, marker, limit, now)).await
        })
        .await
    }

    async fn update(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        change: SubscriptionChange,
        now: Timestamp,
    ) -> Result<()> {
        let queue = queue.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            let done = store.patience.persist(|| update(store, &queue, id, &change, now)).await;
            store.subscribers.forget(&queue);
            done
        })
        .await
    }

    async fn confirm(
        &self,
        queue: &QueueKey,
        id: SubscriptionId,
        confirmed: bool,
        now: Timestamp,
    ) -> Result<()> {
        let (queue, fields) = (queue.clone(), doc! { "c": confirmed });
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| set(store, &queue, id, &fields, now)).await
        })
        .await
    }

    async fn delete(&self, queue: &QueueKey, id: SubscriptionId) -> Result<()> {
        let (queue, filter) = (queue.clone(), by_id(queue, id));
        self.run(move |engine| async move {
            let store = &engine.store;
            let gone = || async {
                store.subscriptions.delete_one(filter.clone()).await?;
                Ok(())
            };
            let done = store.patience.persist(gone).await;
            store.subscribers.forget(&queue);
            done
        })
        .await
    }

    async fn purge(&self, queue: &QueueKey) -> Result<()> {
        let (queue, filter) = (queue.clone(), of_queue(queue));
        self.run(move |engine| async move {
            let store = &engine.store;
            let gone = || async {
                store.subscriptions.delete_many(filter.clone()).await?;
                Ok(())
            };
            let done = store.patience.persist(gone).await;
            store.subscribers.forget(&queue);
            done
        })
        .await
    }
}
