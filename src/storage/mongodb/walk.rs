//! A walk over the messages of a queue, in the order of their markers.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocument, doc};

use super::document::{Stored, date, id_of, integer};
use super::error::OpResult;
use super::layout::index;
use super::store::{Documents, QueueEntry, Store};
use crate::model::{ClientId, MessageId, Timestamp};

/// Which messages to meet.
#[derive(Debug)]
pub struct Walk {
    filter: Document,
    conditions: Vec<Document>,
    now: Timestamp,
    /// Whether those are left out whose delay has not passed.
    only_ready: bool,
    backward: bool,
}

impl Walk {
    /// Messages of the queue that have not expired, with markers in these bounds.
    pub fn over(queue: &QueueEntry, markers: Document, now: Timestamp) -> Self {
        let alive = doc! { "$gt": date(now) };
        Self {
            filter: doc! { "p_q": &queue.p_q, "tx": null, "k": markers, "e": alive },
            conditions: Vec::new(),
            now,
            only_ready: false,
            backward: false,
        }
    }

    /// Not those that this client has posted.
    pub fn without(mut self, client: &ClientId) -> Self {
        self.conditions.push(doc! { "u": { "$ne": poster(client) } });
        self
    }

    /// Only those that no live claim holds. A message that was never claimed
    /// tells by `c.e` when it was posted, which lies ahead if another server's
    /// clock is ahead of ours: an observer that is not shown it, but others
    /// behind it, would never see it.
    pub fn only_free(mut self) -> Self {
        let over = doc! { "c.e": { "$lte": self.now.seconds() } };
        self.conditions.push(doc! { "$or": [over, { "c.id": null }] });
        self
    }

    /// Only those that have no delay or whose delay has passed. For the same
    /// reason `d` is compared with the moment of the post too: that is done
    /// here, for the few that were posted after our now.
    pub fn only_ready(mut self) -> Self {
        let over = doc! { "d": { "$not": { "$gt": self.now.seconds() } } };
        let ahead = doc! { "_id": { "$gte": first_id(self.now.plus(1)) } };
        self.conditions.push(doc! { "$or": [over, ahead] });
        self.only_ready = true;
        self
    }

    /// From the newest to the oldest.
    pub fn backward(self) -> Self {
        Self { backward: true, ..self }
    }

    /// Reads up to `limit` messages. Documents that are none are stepped over:
    /// if there are fewer, there are no more.
    pub async fn read(
        mut self,
        store: &Store,
        messages: &Documents,
        limit: u32,
    ) -> OpResult<Vec<Stored>> {
        if !self.conditions.is_empty() {
            self.filter.insert("$and", std::mem::take(&mut self.conditions));
        }
        let limit = limit as usize;
        let mut found = Vec::new();
        while found.len() < limit {
            let wanted = limit - found.len();
            let Some(last) = self.step(store, messages, wanted, &mut found).await? else { break };
            if let Ok(markers) = self.filter.get_document_mut("k") {
                markers.insert(if self.backward { "$lt" } else { "$gt" }, last);
            }
        }
        Ok(found)
    }

    /// One query for so many documents; the marker of the last if there may be
    /// more behind it.
    async fn step(
        &self,
        store: &Store,
        messages: &Documents,
        wanted: usize,
        found: &mut Vec<Stored>,
    ) -> OpResult<Option<Bson>> {
        // One more than the limit, and the server need not keep a cursor.
        let batch = u32::try_from(wanted.saturating_add(1)).unwrap_or(u32::MAX);
        let mut documents = messages
            .find(self.filter.clone())
            .hint(index("active"))
            .sort(doc! { "k": if self.backward { -1 } else { 1 } })
            .limit(i64::from(batch) - 1)
            .batch_size(batch)
            .await?;
        let mut seen = 0;
        while documents.advance().await? {
            let document = documents.current();
            seen += 1;
            if !self.only_ready || is_ready(document, self.now) {
                meet(found, store.decode(document));
            }
            if seen == wanted {
                return Ok(document.get("k")?.map(TryInto::try_into).transpose()?);
            }
        }
        Ok(None)
    }
}

/// Adds a message, unless it is the last one again: the index goes on to `c.e`, so one
/// that is claimed or released while the server reads there can lie ahead once more.
fn meet(found: &mut Vec<Stored>, stored: Option<Stored>) {
    let last = found.last().map(|last| last.message.id);
    found.extend(stored.filter(|stored| last != Some(stored.message.id)));
}

fn is_ready(document: &RawDocument, now: Timestamp) -> bool {
    let posted = || id_of(document).map_or(0, |id| i64::from(id.parts().0));
    integer(document, "d").is_none_or(|due| due <= now.seconds() || due <= posted())
}

/// The smallest id that can be made in a second.
pub fn first_id(second: Timestamp) -> ObjectId {
    let second = u32::try_from(second.seconds().max(0)).unwrap_or(u32::MAX);
    ObjectId::from_bytes(MessageId::from_parts(second, 0).bytes())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, StoredMessage};

    #[test]
    fn a_message_that_moves_on_in_the_index_is_met_once() {
        let stored = |marker| Stored {
            message: StoredMessage {
                id: MessageId::from_parts(1, marker),
                marker,
                ttl: 60,
                created: Timestamp::from_seconds(1),
                claim: None,
                body: Body::from("1"),
                checksum: None,
            },
            expires: Timestamp::from_seconds(61),
            claim_expires: Timestamp::from_seconds(1),
            claim_ttl: 0,
            claims: 0,
        };
        let mut found = Vec::new();
        for marker in [6, 7, 7, 8, 8, 9] {
            meet(&mut found, Some(stored(marker)));
        }
        meet(&mut found, None);
        let markers: Vec<_> = found.iter().map(|it| it.message.marker).collect();
        assert_eq!(markers, [6, 7, 8, 9]);
    }
}
