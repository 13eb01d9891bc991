//! Claims: create, look at, renew, release.

use async_trait::async_trait;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};

use super::command;
use super::document::{Stored, date, int};
use super::error::OpResult;
use super::hand_out::Order;
use super::layout::index;
use super::store::{QueueEntry, Store};
use super::take::life_of;
use super::{MongodbDriver, ids};
use crate::model::{ClaimId, ClaimOrder, QueueKey, StoredClaim, Timestamp};
use crate::storage::{Arrival, ClaimController, Error, Result};

/// The messages that the claim holds, if it lives.
fn held(queue: &QueueEntry, id: ClaimId, now: Timestamp) -> Document {
    let mut filter = doc! {
        "p_q": &queue.p_q,
        "c.id": ObjectId::from_bytes(id.bytes()),
        "c.e": { "$gt": now.seconds() },
        "e": { "$gt": date(now) },
    };
    if queue.first_marker > 0 {
        filter.insert("k", doc! { "$gte": queue.first_marker });
    }
    filter
}

/// The claim and what it holds; `None` if it does not live or holds nothing.
async fn find(
    store: &Store,
    queue: &QueueEntry,
    id: ClaimId,
    now: Timestamp,
) -> OpResult<Option<StoredClaim>> {
    let mut cursor = store
        .partition(queue)
        .messages
        .find(held(queue, id, now))
        .sort(doc! { "k": 1 })
        .hint(index("claimed"))
        .await?;
    let mut messages: Vec<Stored> = Vec::new();
    while cursor.advance().await? {
        messages.extend(store.decode(cursor.current()));
    }
    let Some(first) = messages.first() else { return Ok(None) };
    let (ttl, expires) = (first.claim_ttl, first.claim_expires);
    let messages = messages.into_iter().map(|stored| stored.message).collect();
    Ok(Some(StoredClaim { id, ttl, expires, messages }))
}

/// Renews the claim; `false` if it does not live or holds nothing.
async fn renew(
    store: &Store,
    queue: &QueueEntry,
    id: ClaimId,
    (ttl, grace): (u32, u32),
    now: Timestamp,
) -> OpResult<bool> {
    let ends = now.plus(ttl);
    // As a whole, as Zaqar does: the count starts anew.
    let claim = doc! {
        "id": ObjectId::from_bytes(id.bytes()), "t": int(ttl.into()), "e": int(ends.seconds()),
    };
    let mut stretched = life_of(ttl.saturating_add(grace), now);
    stretched.insert("c", &claim);
    let statement = |life: Document, changes: Document| {
        let mut filter = held(queue, id, now);
        filter.insert("e", life);
        doc! { "q": filter, "u": { "$set": changes }, "multi": true, "hint": "claimed" }
    };
    // In this order: what is stretched would be one of those that need no stretching.
    let statements = vec![
        statement(doc! { "$gte": date(ends), "$gt": date(now) }, doc! { "c": claim }),
        statement(doc! { "$lt": date(ends), "$gt": date(now) }, stretched),
    ];
    Ok(command::update(store, store.partition(queue), statements, None).await? > 0)
}

/// Gives back what the claim holds, if it lives.
pub async fn release(
    store: &Store,
    queue: &QueueEntry,
    id: ClaimId,
    now: Timestamp,
) -> OpResult<()> {
    let free = doc! { "id": Bson::Null, "e": int(now.seconds()) };
    let statement = doc! {
        "q": held(queue, id, now),
        "u": { "$set": { "c": free } },
        "multi": true,
        "hint": "claimed",
    };
    command::update(store, store.partition(queue), vec![statement], None).await?;
    Ok(())
}

/// Gives back what was claimed quietly: only the claim goes. If that fails, it
/// passes by itself.
pub async fn give_back(store: &Store, queue: &QueueEntry, id: ClaimId, now: Timestamp) {
    let statement = doc! {
        "q": held(queue, id, now),
        "u": { "$set": { "c.id": Bson::Null, "c.e": int(now.seconds()) } },
        "multi": true,
        "hint": "claimed",
    };
    let given_back = command::update(store, store.partition(queue), vec![statement], None).await;
    if let Err(fault) = given_back {
        tracing::debug!(%fault, "messages stay claimed for a while");
    }
}

#[async_trait]
impl ClaimController for MongodbDriver {
    async fn create(
        &self,
        key: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        let (key, claim) = (key.clone(), order.clone());
        self.run(move |engine| async move {
            let Some(queue) = engine.find(&key).await? else { return Ok(None) };
            let id = ids::new_claim(now);
            engine.hand_out(Order { queue, id, claim, quietly: false, now }).await
        })
        .await
    }

    async fn get(&self, key: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim> {
        let missing = Error::ClaimDoesNotExist(key.clone(), id);
        let key = key.clone();
        let found = self.run(move |engine| async move {
            let Some(queue) = engine.find(&key).await? else { return Ok(None) };
            let store = &engine.store;
            store.patience.persist(|| find(store, &queue, id, now)).await
        });
        found.await?.ok_or(missing)
    }

    async fn renew(
        &self,
        key: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        let missing = Error::ClaimDoesNotExist(key.clone(), id);
        let key = key.clone();
        let lives = self.run(move |engine| async move {
            let Some(queue) = engine.find(&key).await? else { return Ok(false) };
            let store = &engine.store;
            store.patience.persist(|| renew(store, &queue, id, (ttl, grace), now)).await
        });
        if lives.await? { Ok(()) } else { Err(missing) }
    }

    async fn release(&self, key: &QueueKey, id: ClaimId, now: Timestamp) -> Result<()> {
        let key = key.clone();
        self.run(move |engine| async move {
            let Some(queue) = engine.find(&key).await? else { return Ok(()) };
            let store = &engine.store;
            let released = store.patience.persist(|| release(store, &queue, id, now)).await;
            engine.floors.forget(&queue);
            store.announcer.arrived(&key, Arrival::Something);
            released
        })
        .await
    }
}
