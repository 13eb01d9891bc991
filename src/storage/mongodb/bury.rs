//! Dead letters: messages that were claimed too often move to another queue.
//!
//! All of a move is one transaction: fresh markers from the other queue's
//! counter, and the messages, which may have to change their partition. A
//! stand-alone server has no transactions. There the mover claims the messages
//! first, so that nobody else touches them, and copies before it deletes: a
//! crash leaves at worst a copy beside a message that is claimed for a minute,
//! and whoever moves the message the next time finds the copy.

use std::collections::HashSet;

use mongodb::ClientSession;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::contention::Contention;
use super::counter::{self, Stall};
use super::document::{int, integer};
use super::error::{DUPLICATE_KEY, OpResult, WRITE_CONFLICT};
use super::hand_out::Order;
use super::store::{Partition, Store};
use super::take::life_of;
use super::{command, layout, queues, transaction};
use crate::model::{DeadLetter, Metadata, QueueKey, StoredMessage};
use crate::storage::Arrival;

/// How long the mover's own claim lasts where there are no transactions, in seconds.
const MOVERS_TTL: u32 = 60;

/// Moves those of the messages that are still free to the end of the dead
/// letter queue, which is made if it is missing; returns how many those were.
/// Can be repeated: what was moved is no longer in its old place.
pub async fn bury(
    store: &Store,
    order: &Order,
    rule: &DeadLetter,
    spent: &[StoredMessage],
) -> OpResult<usize> {
    let grave = QueueKey { project: order.queue.key.project.clone(), name: rule.queue.clone() };
    let burial = Burial {
        store,
        order,
        rule,
        grave: &grave,
        to: layout::scoped(&grave),
        source: store.partition(&order.queue),
        target: store.partition_of(&grave),
        near: store.partition_number(&grave) == order.queue.partition,
    };
    let mut contention = Contention::new(&store.settings);
    let mut stall = Stall::default();
    loop {
        match burial.try_once(spent).await {
            Ok(Some(moved)) => {
                let arrival = Arrival::Messages(moved as u64);
                store.announcer.arrived(&grave, arrival);
                return Ok(moved);
            }
            Ok(None) => {
                queues::create(store, &grave, &Metadata::default()).await?;
            }
            // Others post to the dead letter queue: two want one counter, or,
            // without transactions, one marker.
            Err(fault) if matches!(fault.code(), Some(WRITE_CONFLICT | DUPLICATE_KEY)) => {}
            Err(fault) => return Err(fault),
        }
        contention.pause().await?;
        stall.clear_the_way(store, &grave, order.now).await;
    }
}

/// One move.
struct Burial<'a> {
    store: &'a Store,
    order: &'a Order,
    rule: &'a DeadLetter,
    /// The dead letter queue.
    grave: &'a QueueKey,
    /// Its scoped name.
    to: String,
    source: &'a Partition,
    target: &'a Partition,
    /// Whether these are the same.
    near: bool,
}

impl Burial<'_> {
    /// Moves what is still there; `None` if there is no such dead letter queue.
    async fn try_once(&self, spent: &[StoredMessage]) -> OpResult<Option<usize>> {
        let mut session = transaction::begin_if_any(self.store).await?;
        let found = self.still_free(spent, session.as_mut()).await?;
        if found.is_empty() {
            return Ok(Some(0));
        }
        let Some(first) = self.markers(found.len(), session.as_mut()).await? else {
            return Ok(None);
        };
        let moving: Vec<_> = found.into_iter().zip(first..).collect();
        if self.near {
            self.rename(&moving, session.as_mut()).await?;
        } else {
            self.carry(&moving, session.as_mut()).await?;
        }
        if let Some(session) = &mut session {
            transaction::commit(session).await?;
        }
        Ok(Some(moving.len()))
    }

    /// Those that nobody else has taken.
    async fn still_free(
        &self,
        spent: &[StoredMessage],
        session: Option<&mut ClientSession>,
    ) -> OpResult<Vec<Document>> {
        let ids: Vec<_> = spent.iter().map(|it| ObjectId::from_bytes(it.id.bytes())).collect();
        let markers: Vec<_> =
            spent.iter().map(|message| i64::try_from(message.marker).unwrap_or(i64::MAX)).collect();
        let now = self.order.now;
        let mover = ObjectId::from_bytes(self.order.id.bytes());
        // A queue may be its own dead letter queue: only the marker tells there
        // what was moved already.
        let mut filter = doc! {
            "_id": { "$in": ids },
            "p_q": &self.order.queue.p_q,
            "k": { "$in": markers },
            "$or": [{ "c.e": { "$lte": now.seconds() } }, { "c.id": mover }],
        };
        if session.is_none() {
            let until = now.plus(MOVERS_TTL).seconds();
            let mark = doc! { "c.id": mover, "c.t": int(MOVERS_TTL.into()), "c.e": int(until) };
            let statement = doc! {
                "q": filter.clone(), "u": { "$set": mark }, "multi": true, "hint": { "_id": 1 },
            };
            command::update(self.store, self.source, vec![statement], None).await?;
            filter.insert("c.id", mover);
        }
        documents(self.source, filter, session).await
    }

    /// Takes markers from the queue's counter and returns the first one.
    async fn markers(
        &self,
        count: usize,
        session: Option<&mut ClientSession>,
    ) -> OpResult<Option<i64>> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        counter::take(self.store, self.grave, count, self.order.now, session).await
    }

    /// What a message becomes.
    fn changes(&self, marker: i64) -> Document {
        let now = int(self.order.now.seconds());
        let mut changes = doc! {
            "p_q": &self.to,
            "k": int(marker),
            "c": { "id": Bson::Null, "e": now.clone(), "c": 0 },
            "d": now,
        };
        if let Some(ttl) = self.rule.ttl {
            changes.extend(life_of(ttl, self.order.now));
        }
        changes
    }

    /// Moves messages within their partition.
    async fn rename(
        &self,
        moving: &[(Document, i64)],
        session: Option<&mut ClientSession>,
    ) -> OpResult<()> {
        let statements = moving.iter().map(|(message, marker)| {
            doc! {
                "q": { "_id": id(message), "p_q": &self.order.queue.p_q },
                "u": { "$set": self.changes(*marker) },
                "hint": { "_id": 1 },
            }
        });
        command::update(self.store, self.source, statements.collect(), session).await?;
        Ok(())
    }

    /// Moves messages into the other partition.
    async fn carry(
        &self,
        moving: &[(Document, i64)],
        mut session: Option<&mut ClientSession>,
    ) -> OpResult<()> {
        let ids: Vec<_> = moving.iter().map(|(message, _)| id(message)).collect();
        let there = doc! { "_id": { "$in": &ids }, "p_q": &self.to };
        let there = documents(self.target, there, session.as_deref_mut()).await?;
        let there: HashSet<_> =
            there.iter().filter_map(|copy| copy.get_object_id("_id").ok()).collect();
        let mut copies = Vec::with_capacity(moving.len());
        for (message, marker) in moving {
            if message.get_object_id("_id").is_ok_and(|id| !there.contains(&id)) {
                let mut copy = message.clone();
                copy.extend(self.changes(*marker));
                copies.push(RawDocumentBuf::try_from(&copy)?);
            }
        }
        if !copies.is_empty() {
            let mut insert = self.target.messages.insert_many(copies);
            if let Some(session) = session.as_deref_mut() {
                insert = insert.session(session);
            }
            insert.await?;
        }
        let gone = doc! { "_id": { "$in": ids }, "p_q": &self.order.queue.p_q };
        let statement = doc! { "q": gone, "limit": 0, "hint": { "_id": 1 } };
        command::delete(self.store, self.source, vec![statement], session).await?;
        Ok(())
    }
}

fn id(message: &Document) -> Bson {
    message.get("_id").cloned().unwrap_or(Bson::Null)
}

/// All of the messages that pass the filter.
async fn documents(
    partition: &Partition,
    filter: Document,
    session: Option<&mut ClientSession>,
) -> OpResult<Vec<Document>> {
    let mut found = command::find_by_ids(partition, filter, doc! {}, session).await?;
    found.sort_by_key(|message| integer(message, "k"));
    found.iter().map(|message| Ok(Document::try_from(message.as_ref())?)).collect()
}
