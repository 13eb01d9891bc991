//! Writing claims into messages.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::join_all;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, RawBsonRef, doc};

use super::command;
use super::document::{Stored, date, int};
use super::error::OpResult;
use super::hand_out::Order;
use super::layout::index;
use super::removal::holders;
use super::store::{Partition, Store};
use crate::model::{MessageId, StoredMessage, Timestamp};
use crate::storage::Result;

/// What an order is to get.
pub struct Share<'a> {
    /// The order.
    pub order: &'a Order,
    /// Messages that were free a moment ago.
    pub messages: &'a [Stored],
}

/// Which messages of the shares were really got.
pub enum Won {
    /// All of them.
    All,
    /// Those with these ids; somebody else was quicker with the others.
    Some(HashSet<ObjectId>),
}

impl Won {
    /// Whether this one was.
    #[must_use]
    pub fn has(&self, stored: &Stored) -> bool {
        match self {
            Self::All => true,
            Self::Some(ids) => ids.contains(&object_id(stored)),
        }
    }
}

/// Writes the claims into what is still free of their shares; tells by partition
/// what was got. Some of it may have happened where it failed, and passes with the
/// claim.
pub async fn claim(store: &Store, shares: Vec<Share<'_>>) -> HashMap<usize, Result<Won>> {
    let mut parts: HashMap<usize, Vec<Share<'_>>> = HashMap::new();
    for share in shares.into_iter().filter(|share| !share.messages.is_empty()) {
        parts.entry(share.order.queue.partition).or_default().push(share);
    }
    let claims = parts.iter().map(|(&partition, shares)| async move {
        (partition, claim_in(store, &store.partitions[partition], shares).await)
    });
    // At once: so they wait for the journal together.
    join_all(claims).await.into_iter().collect()
}

/// The same for shares that are all in one partition, with one command.
async fn claim_in(store: &Store, partition: &Partition, shares: &[Share<'_>]) -> Result<Won> {
    let statements: Vec<_> = shares.iter().flat_map(|share| statements(share)).collect();
    let update = || command::update(store, partition, statements.clone(), None);
    let matched = store.patience.persist(update).await?;
    let wanted: usize = shares.iter().map(|share| share.messages.len()).sum();
    if matched == wanted as u64 {
        return Ok(Won::All);
    }
    if matched == 0 {
        return Ok(Won::Some(HashSet::new()));
    }
    Ok(Won::Some(store.patience.persist(|| held(partition, shares)).await?))
}

/// Hides those of the messages that are free, without a trace in what can be
/// seen of them; tells which.
///
/// # Errors
///
/// As [`claim`].
pub async fn hide(store: &Store, order: &Order, ids: &[MessageId]) -> Result<Vec<MessageId>> {
    let partition = store.partition(&order.queue);
    let wanted = ids.iter().map(|id| ObjectId::from_bytes(id.bytes())).collect();
    let statement = statement(order, wanted, (None, 0));
    let update = || command::update(store, partition, vec![statement.clone()], None);
    if store.patience.persist(update).await? == 0 {
        return Ok(Vec::new());
    }
    let hidden = || async {
        let holders = holders(partition, ids, None).await?;
        let is_hidden = |id: &&MessageId| {
            holders.get(id).is_some_and(|holder| {
                holder.claim == Some(order.id) && holder.is_in(&order.queue, order.now)
            })
        };
        Ok(ids.iter().filter(is_hidden).copied().collect())
    };
    store.patience.persist(hidden).await
}

/// A message as the claim shows it.
#[must_use]
pub fn shown(stored: Stored, order: &Order) -> StoredMessage {
    let stretched = stretched(&stored, order);
    let mut message = stored.message;
    if !order.quietly {
        message.claim = Some(order.id);
        message.ttl = stretched.unwrap_or(message.ttl);
    }
    message
}

/// The new life of a message that would not outlive its claim; see
/// [`crate::model::ClaimOrder::grace`].
fn stretched(stored: &Stored, order: &Order) -> Option<u32> {
    let brief = stored.expires < order.now.plus(order.claim.ttl);
    (brief && !order.quietly).then(|| order.claim.ttl.saturating_add(order.claim.grace))
}

/// One update for all messages of a share that change in the same way.
fn statements(share: &Share<'_>) -> Vec<Document> {
    let Share { order, messages } = share;
    let mut alike: BTreeMap<(Option<u32>, i64), Vec<ObjectId>> = BTreeMap::new();
    for stored in *messages {
        let count = match order.claim.dead_letter {
            Some(_) => stored.claims.saturating_add(1),
            None => 0,
        };
        let kind = if order.quietly { (None, 0) } else { (stretched(stored, order), count) };
        alike.entry(kind).or_default().push(object_id(stored));
    }
    alike.into_iter().map(|(kind, ids)| statement(order, ids, kind)).collect()
}

fn statement(order: &Order, ids: Vec<ObjectId>, (life, count): (Option<u32>, i64)) -> Document {
    let (now, ttl) = (order.now.seconds(), i64::from(order.claim.ttl));
    let claim = ObjectId::from_bytes(order.id.bytes());
    let mut set = if order.quietly {
        doc! { "c.id": claim, "c.t": int(ttl), "c.e": int(now + ttl) }
    } else {
        doc! { "c": { "id": claim, "t": int(ttl), "e": int(now + ttl), "c": int(count) } }
    };
    if let Some(life) = life {
        set.extend(life_of(life, order.now));
    }
    let mut changes = doc! { "$set": set };
    if order.claim.include_delayed && !order.quietly {
        // Who reaches for delayed messages ends the delay of those it takes.
        changes.insert("$min", doc! { "d": int(now) });
    }
    // Free, or ours already: the command may be repeated when its answer was lost.
    let still = [doc! { "c.e": { "$lte": now } }, doc! { "c.id": claim }];
    doc! {
        "q": { "_id": { "$in": ids }, "p_q": &order.queue.p_q, "$or": still },
        "u": changes,
        "multi": true,
        "hint": { "_id": 1 },
    }
}

/// The fields of a message that lives for `ttl` seconds from now.
#[must_use]
pub fn life_of(ttl: u32, now: Timestamp) -> Document {
    doc! { "t": int(ttl.into()), "e": date(now.plus(ttl)) }
}

fn object_id(stored: &Stored) -> ObjectId {
    ObjectId::from_bytes(stored.message.id.bytes())
}

/// What the claims of the shares hold.
async fn held(partition: &Partition, shares: &[Share<'_>]) -> OpResult<HashSet<ObjectId>> {
    let mut queues: Vec<_> = shares.iter().map(|share| &share.order.queue.p_q).collect();
    queues.dedup();
    let claims: Vec<_> =
        shares.iter().map(|share| ObjectId::from_bytes(share.order.id.bytes())).collect();
    let mut cursor = partition
        .messages
        .find(doc! { "p_q": { "$in": queues }, "c.id": { "$in": claims } })
        .projection(doc! { "_id": 1 })
        .hint(index("claimed"))
        .await?;
    let mut held = HashSet::new();
    while cursor.advance().await? {
        if let Ok(Some(RawBsonRef::ObjectId(id))) = cursor.current().get("_id") {
            held.insert(id);
        }
    }
    Ok(held)
}
