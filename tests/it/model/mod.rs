//! The reference model: the storage promises in the fewest words.
//!
//! A driver over plain maps under one lock, slow and forgetful of nothing. It
//! is what the contract suite runs on first and what the property tests hold
//! every real driver against, so each rule is written down the most obvious
//! way, never the fastest.

mod deliveries;
mod driver;
mod pools;
mod subscriptions;

use std::collections::BTreeMap;
use std::sync::Arc;

use nusku::model::{
    Body, ClaimId, ClaimOrder, ClientId, DeadLetter, Flavor, FlavorName, ListQuery, Marker,
    MessageHead, MessageId, Metadata, NewMessage, Placement, Pool, PoolName, ProjectId,
    QueueFilter, QueueKey, QueueRecord, Stats, StoredClaim, StoredMessage, Timestamp,
};
use nusku::storage::{Collected, DueMessage, Error, Result, Volume};

pub use driver::ModelDriver;

/// Everything a store knows.
#[derive(Default)]
struct State {
    queues: BTreeMap<QueueKey, Queue>,
    pools: BTreeMap<PoolName, Pool>,
    flavors: BTreeMap<(ProjectId, FlavorName), Flavor>,
    catalogue: BTreeMap<QueueKey, Placement>,
    /// The last marker given out in each queue there ever was.
    last_markers: BTreeMap<QueueKey, u64>,
    /// The marker of each message that was ever in a queue.
    places: BTreeMap<(QueueKey, MessageId), u64>,
    /// In the order in which they were made.
    subscriptions: Vec<subscriptions::Kept>,
    subscriptions_made: u64,
    /// What subscribers are to be told of, by marker.
    due: BTreeMap<QueueKey, BTreeMap<u64, DueMessage>>,
    /// Messages that expired and that no collection has reported yet.
    expired: u64,
}

#[derive(Default)]
struct Queue {
    metadata: Arc<Metadata>,
    /// Whether its record is kept elsewhere.
    placed: bool,
    /// By marker.
    messages: BTreeMap<u64, Kept>,
}

/// A message and what only the store knows of it.
#[derive(Clone)]
struct Kept {
    message: StoredMessage,
    client: ClientId,
    expires: Timestamp,
    due: Timestamp,
    claim_ttl: u32,
    claim_expires: Timestamp,
    claim_count: i64,
}

impl Kept {
    fn lives(&self, now: Timestamp) -> bool {
        self.expires > now
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due <= now
    }

    fn is_claimed(&self, now: Timestamp) -> bool {
        self.message.claim.is_some() && self.claim_expires > now
    }

    fn is_held_by(&self, claim: ClaimId, now: Timestamp) -> bool {
        self.message.claim == Some(claim) && self.claim_expires > now
    }

    /// Puts the message under a claim and makes it outlive the claim. What was
    /// handed out once is not delayed any more.
    fn hold(&mut self, claim: ClaimId, ttl: u32, grace: u32, now: Timestamp) {
        self.message.claim = Some(claim);
        self.claim_ttl = ttl;
        self.claim_expires = now.plus(ttl);
        self.due = now;
        if self.expires < self.claim_expires {
            self.message.ttl = ttl + grace;
            self.expires = now.plus(ttl + grace);
        }
    }

    fn free(&mut self) {
        self.message.claim = None;
        self.claim_count = 0;
    }

    fn head(&self) -> MessageHead {
        MessageHead {
            id: self.message.id,
            created: self.message.created,
            claim: self.message.claim,
        }
    }
}

impl State {
    /// Forgets what has expired; every method starts with this.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        let expired = |_: &u64, kept: &mut Kept| !kept.lives(now);
        for queue in self.queues.values_mut() {
            self.expired += queue.messages.extract_if(.., expired).count() as u64;
        }
        self
    }

    /// The live messages of a queue, by marker; none if there is no queue.
    fn messages(&self, queue: &QueueKey) -> impl Iterator<Item = &Kept> {
        self.queues.get(queue).into_iter().flat_map(|queue| queue.messages.values())
    }

    fn messages_mut(&mut self, queue: &QueueKey) -> impl Iterator<Item = &mut Kept> {
        self.queues.get_mut(queue).into_iter().flat_map(|queue| queue.messages.values_mut())
    }

    /// Removes the messages for which `goes` says so, and returns them.
    fn remove(&mut self, queue: &QueueKey, goes: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let Some(queue) = self.queues.get_mut(queue) else { return Vec::new() };
        queue.messages.extract_if(.., |_, kept| goes(kept)).map(|(_, kept)| kept).collect()
    }

    /// Puts a message at the end of a queue, which is there.
    fn append(&mut self, queue: &QueueKey, mut kept: Kept) {
        let last = self.last_markers.entry(queue.clone()).or_default();
        *last += 1;
        kept.message.marker = *last;
        self.places.insert((queue.clone(), kept.message.id), *last);
        self.queues.entry(queue.clone()).or_default().messages.insert(*last, kept);
    }

    fn create_queue(&mut self, queue: &QueueKey, metadata: &Metadata) -> bool {
        if self.queues.contains_key(queue) {
            return false;
        }
        let fresh = Queue { metadata: Arc::new(metadata.clone()), ..Queue::default() };
        self.queues.insert(queue.clone(), fresh);
        true
    }

    fn set_metadata(&mut self, key: &QueueKey, expected: &Metadata, new: &Metadata) -> Result<()> {
        let Some(queue) = self.queues.get_mut(key).filter(|queue| !queue.placed) else {
            return Err(Error::QueueDoesNotExist(key.clone()));
        };
        if *queue.metadata != *expected {
            return Err(Error::MetadataChanged(key.clone()));
        }
        queue.metadata = Arc::new(new.clone());
        Ok(())
    }

    fn list_queues(&self, project: &ProjectId, filter: &QueueFilter) -> Vec<QueueRecord> {
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        self.queues
            .iter()
            .filter(|(key, queue)| key.project == *project && !queue.placed)
            .filter(|(key, _)| key.name.kind() == filter.kind)
            .filter(|(key, _)| filter.marker.as_deref().is_none_or(|it| key.name.shown() > it))
            .filter(|(key, queue)| filter.matches(&key.name, &queue.metadata))
            .map(|(key, queue)| QueueRecord {
                name: key.name.clone(),
                metadata: Arc::clone(&queue.metadata),
            })
            .take(limit)
            .collect()
    }

    /// Ids, and whether something became due.
    fn post(
        &mut self,
        queue: &QueueKey,
        client: &ClientId,
        messages: &[NewMessage],
        now: Timestamp,
    ) -> Result<(Vec<MessageId>, bool)> {
        if !self.queues.contains_key(queue) {
            return Err(Error::QueueDoesNotExist(queue.clone()));
        }
        let mut posted = Vec::new();
        for new in messages.iter().cloned() {
            let id = MessageId::from_bytes(next_id(now));
            let message = StoredMessage {
                id,
                marker: 0,
                ttl: new.ttl,
                created: now,
                claim: None,
                body: new.body,
                checksum: new.checksum,
            };
            let kept = Kept {
                message,
                client: client.clone(),
                expires: now.plus(new.ttl),
                due: now.plus(new.delay),
                claim_ttl: 0,
                claim_expires: now,
                claim_count: 0,
            };
            self.append(queue, kept);
            posted.push((self.last_markers[queue], id));
        }
        let is_due = self.make_due(queue, &posted, messages, now);
        Ok((posted.into_iter().map(|(_, id)| id).collect(), is_due))
    }

    fn list(&self, queue: &QueueKey, query: &ListQuery, now: Timestamp) -> Vec<StoredMessage> {
        let behind = match query.marker {
            None => 0,
            Some(Marker::Position(marker)) => marker,
            Some(Marker::Message(id)) => {
                self.places.get(&(queue.clone(), id)).copied().unwrap_or_default()
            }
        };
        self.messages(queue)
            .filter(|kept| kept.message.marker > behind)
            .filter(|kept| query.without.as_ref() != Some(&kept.client))
            .filter(|kept| query.include_claimed || !kept.is_claimed(now))
            .filter(|kept| query.include_delayed || kept.is_due(now))
            .map(|kept| kept.message.clone())
            .take(usize::try_from(query.limit).unwrap_or(usize::MAX))
            .collect()
    }

    fn get(&self, queue: &QueueKey, ids: &[MessageId]) -> Vec<StoredMessage> {
        let wanted = |kept: &&Kept| ids.contains(&kept.message.id);
        let mut found: Vec<_> =
            self.messages(queue).filter(wanted).map(|kept| kept.message.clone()).collect();
        found.sort_by_key(|message| message.id);
        found
    }

    fn delete(
        &mut self,
        queue: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(kept) = self.messages(queue).find(|kept| kept.message.id == id) else {
            return Ok(());
        };
        let names_the_last = claim.is_some() && claim == kept.message.claim;
        if !names_the_last && kept.is_claimed(now) {
            return Err(Error::MessageIsClaimed(id));
        }
        if !names_the_last && claim.is_some() {
            return Err(Error::MessageIsNotClaimed(id));
        }
        self.remove(queue, |kept| kept.message.id == id);
        Ok(())
    }

    fn delete_many(
        &mut self,
        queue: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()> {
        for &id in claims.map_or(&[][..], |_| ids) {
            let Some(kept) = self.messages(queue).find(|kept| kept.message.id == id) else {
                continue;
            };
            if !kept.is_claimed(now) {
                return Err(Error::MessageIsNotClaimed(id));
            }
            if !claims.unwrap_or_default().iter().any(|&claim| kept.is_held_by(claim, now)) {
                return Err(Error::MessageIsClaimed(id));
            }
        }
        self.remove(queue, |kept| ids.contains(&kept.message.id));
        Ok(())
    }

    fn pop(&mut self, queue: &QueueKey, limit: u32, now: Timestamp) -> Vec<StoredMessage> {
        let free = self.messages(queue).filter(|kept| !kept.is_claimed(now));
        let popped: Vec<_> = free
            .map(|kept| kept.message.clone())
            .take_while(|message| matches!(message.body, Body::Json(_)))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        self.remove(queue, |kept| popped.iter().any(|message| message.id == kept.message.id));
        popped
    }

    fn pop_these(&mut self, queue: &QueueKey, ids: &[MessageId], now: Timestamp) -> Vec<MessageId> {
        let free = self.messages(queue).filter(|kept| !kept.is_claimed(now));
        let popped: Vec<_> =
            free.map(|kept| kept.message.id).filter(|id| ids.contains(id)).collect();
        self.remove(queue, |kept| popped.contains(&kept.message.id));
        popped
    }

    fn stats(&self, queue: &QueueKey, now: Timestamp) -> Stats {
        let volume = count(self.messages(queue), now);
        let mut due = self.messages(queue).filter(|kept| kept.is_due(now));
        let oldest = due.next();
        let newest = due.last().or(oldest);
        Stats {
            claimed: volume.claimed,
            free: volume.free,
            oldest: oldest.map(Kept::head),
            newest: newest.map(Kept::head),
        }
    }

    fn claim(
        &mut self,
        queue: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Option<StoredClaim> {
        let id = ClaimId::from_bytes(next_id(now));
        let chosen: Vec<_> = self
            .messages(queue)
            .filter(|kept| !kept.is_claimed(now))
            .filter(|kept| order.include_delayed || kept.is_due(now))
            .map(|kept| kept.message.id)
            .take(usize::try_from(order.limit).unwrap_or(usize::MAX))
            .collect();
        for message in chosen {
            self.claim_one(queue, message, id, order, now);
        }
        self.get_claim(queue, id, now).ok()
    }

    /// Claims one message, or moves it where it was claimed too often.
    fn claim_one(
        &mut self,
        queue: &QueueKey,
        message: MessageId,
        claim: ClaimId,
        order: &ClaimOrder,
        now: Timestamp,
    ) {
        let its = |kept: &&mut Kept| kept.message.id == message;
        let Some(kept) = self.messages_mut(queue).find(its) else { return };
        match &order.dead_letter {
            Some(rule) if kept.claim_count >= rule.max_claim_count => {
                return self.bury(queue, message, rule, now);
            }
            Some(_) => kept.claim_count += 1,
            None => kept.claim_count = 0,
        }
        kept.hold(claim, order.ttl, order.grace, now);
    }

    fn bury(&mut self, queue: &QueueKey, id: MessageId, rule: &DeadLetter, now: Timestamp) {
        let grave = QueueKey { project: queue.project.clone(), name: rule.queue.clone() };
        if !self.queues.contains_key(&grave) {
            let placed = self.queues.get(queue).is_some_and(|queue| queue.placed);
            self.queues.insert(grave.clone(), Queue { placed, ..Queue::default() });
        }
        for mut kept in self.remove(queue, |kept| kept.message.id == id) {
            kept.free();
            kept.due = now;
            if let Some(ttl) = rule.ttl {
                kept.message.ttl = ttl;
                kept.expires = now.plus(ttl);
            }
            self.append(&grave, kept);
        }
    }

    fn get_claim(&self, queue: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim> {
        let held: Vec<_> = self.messages(queue).filter(|kept| kept.is_held_by(id, now)).collect();
        let first = held.first().ok_or_else(|| Error::ClaimDoesNotExist(queue.clone(), id))?;
        Ok(StoredClaim {
            id,
            ttl: first.claim_ttl,
            expires: first.claim_expires,
            messages: held.iter().map(|kept| kept.message.clone()).collect(),
        })
    }

    fn renew(
        &mut self,
        queue: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        self.get_claim(queue, id, now)?;
        for kept in self.messages_mut(queue).filter(|kept| kept.is_held_by(id, now)) {
            kept.claim_count = 0;
            kept.hold(id, ttl, grace, now);
        }
        Ok(())
    }

    fn release(&mut self, queue: &QueueKey, id: ClaimId, now: Timestamp) {
        self.messages_mut(queue).filter(|kept| kept.is_held_by(id, now)).for_each(Kept::free);
    }

    fn collect(&mut self, now: Timestamp) -> Collected {
        let messages = std::mem::take(&mut self.at(now).expired);
        Collected { messages, more: false }
    }

    fn volume(&self, now: Timestamp) -> Volume {
        count(self.queues.values().flat_map(|queue| queue.messages.values()), now)
    }
}

/// When it was made, and chance: an id tells nothing of other ones.
fn next_id(now: Timestamp) -> [u8; 12] {
    let seconds = u32::try_from(now.seconds()).unwrap_or_default();
    MessageId::from_parts(seconds, uuid::Uuid::new_v4().as_u64_pair().0).bytes()
}

fn count<'a>(messages: impl Iterator<Item = &'a Kept>, now: Timestamp) -> Volume {
    let (claimed, free): (Vec<_>, Vec<_>) = messages.partition(|kept| kept.is_claimed(now));
    Volume { free: free.len() as u64, claimed: claimed.len() as u64 }
}
