//! Messages: post, delete, pop, purge; reading is in [`super::listing`].

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;

use super::bundle::{self, Bundle};
use super::error::OpResult;
use super::settle::settle;
use super::slip::{self, Place, Slip};
use super::tx::Tx;
use super::{EmbeddedDriver, body, claims, due, listing, markers};
use crate::model::{
    Body, ClaimId, ClientId, ListQuery, MessageId, NewMessage, QueueKey, Stats, StoredMessage,
    Timestamp,
};
use crate::storage::{Error, MessageController, Result};

/// Messages a purge removes in one commit.
const PURGE_SLICE: u64 = 1000;

fn post(
    tx: &mut Tx<'_>,
    key: &QueueKey,
    queue: i64,
    client: ClientId,
    messages: &[NewMessage],
    now: Timestamp,
) -> OpResult<Vec<MessageId>> {
    let mut ids = Vec::with_capacity(messages.len());
    let mut slip = Slip::new(queue, client, now);
    let first = markers::take(tx, queue, messages.len(), now)?;
    let is_due = tx.state.subscribed.contains(key, now) && !messages.is_empty();
    let mut due = if is_due { Some(due::inserter(tx.conn)?) } else { None };
    for (marker, message) in (first..).zip(messages) {
        slip.number = tx.number();
        slip.marker = marker;
        slip.ttl = message.ttl;
        slip.expires = now.plus(message.ttl);
        let written = body::Written::new(slip.number, &message.body);
        tx.posting.add_body(tx.conn, &slip, message.checksum.as_deref(), &written)?;
        if let Some(into) = &mut due {
            due::insert(into, key, &slip, message, &written)?;
        }
        if message.delay == 0 {
            tx.posting.add_ready(tx.conn, &slip)?;
        } else {
            delay(tx, &slip, now.plus(message.delay))?;
        }
        tx.state.runs.posted(slip.number, slip.expires);
        tx.note_posted(slip.number, message);
        ids.push(slip.id(&tx.memory.ids));
    }
    tx.note_arrivals(queue, ids.len() as u64);
    if is_due {
        tx.note_due(key);
    }
    Ok(ids)
}

fn delay(tx: &mut Tx<'_>, slip: &Slip, until: Timestamp) -> OpResult<()> {
    slip.insert(&mut Place::Delayed.inserter(tx.conn)?)?;
    tx.conn.prepare_cached("INSERT INTO delay VALUES (?1, ?2, ?3)")?.execute((
        until.seconds(),
        slip.queue,
        slip.marker,
    ))?;
    tx.wake_by(until);
    Ok(())
}

/// The marker of a message, if there is one in that queue with the number of
/// that id.
fn locate(tx: &Tx<'_>, queue: i64, id: MessageId) -> OpResult<Option<u64>> {
    match tx.memory.ids.message_number(id) {
        Some(number) => Ok(body::locate(tx.conn, queue, number)?),
        None => Ok(None),
    }
}

/// Where a message's slip lies.
fn find(tx: &Tx<'_>, queue: i64, id: MessageId) -> OpResult<Option<(Place, Slip)>> {
    match locate(tx, queue, id)? {
        Some(marker) => find_at(tx, queue, marker, id),
        None => Ok(None),
    }
}

/// The slip at that marker, wherever it lies, if it is that message's.
fn find_at(tx: &Tx<'_>, queue: i64, marker: u64, id: MessageId) -> OpResult<Option<(Place, Slip)>> {
    for place in Place::ALL {
        if let Some(slip) = place.find(tx.conn, queue, marker)? {
            return Ok((slip.id(&tx.memory.ids) == id).then_some((place, slip)));
        }
    }
    Ok(None)
}

/// Removes messages that lie at that place.
pub fn remove(tx: &Tx<'_>, place: Place, slip: &Slip) -> OpResult<()> {
    place.remove(tx.conn, slip)?;
    forget(tx, place, slip)
}

/// Removes what is left of messages whose slip was taken out of that place.
pub fn forget(tx: &Tx<'_>, place: Place, slip: &Slip) -> OpResult<()> {
    body::remove(tx.conn, slip)?;
    if let (Place::Claimed, Some(claim)) = (place, slip.claim) {
        claims::shrink(tx.conn, claim, slip.count)?;
    }
    Ok(())
}

fn delete(
    tx: &mut Tx<'_>,
    queue: i64,
    id: MessageId,
    claim: Option<ClaimId>,
    now: Timestamp,
) -> OpResult<()> {
    settle(tx, now)?;
    let Some((place, slip)) = find(tx, queue, id)? else { return Ok(()) };
    if slip.expires > now {
        check_claim(tx, place, &slip, claim)?;
    }
    remove(tx, place, &slip)
}

fn check_claim(tx: &Tx<'_>, place: Place, slip: &Slip, claim: Option<ClaimId>) -> OpResult<()> {
    let last = slip.claim.map(|number| tx.memory.ids.claim(number));
    match (place, claim) {
        (Place::Ready | Place::Delayed, None) => Ok(()),
        (_, Some(_)) if claim == last => Ok(()),
        (Place::Claimed, _) => Err(Error::MessageIsClaimed(slip.id(&tx.memory.ids)).into()),
        (_, Some(_)) => Err(Error::MessageIsNotClaimed(slip.id(&tx.memory.ids)).into()),
    }
}

fn delete_many(
    tx: &mut Tx<'_>,
    queue: i64,
    ids: &[MessageId],
    claims: Option<&[ClaimId]>,
    now: Timestamp,
) -> OpResult<()> {
    settle(tx, now)?;
    if let Some(claims) = claims {
        check_all_claimed(tx, queue, ids, claims, now)?;
    }
    for doomed in runs_of(tx, queue, ids)? {
        // A run that fits another message at that place by chance does not fit
        // its number.
        let same = |slip: &Slip| slip.created == doomed.created && slip.lead() == doomed.lead();
        let range = doomed.marker..doomed.end();
        let taken = Place::Claimed.take(tx.conn, queue, range, same)?;
        for slip in &taken {
            forget(tx, Place::Claimed, slip)?;
        }
        if slip::total(&taken) == doomed.count {
            continue;
        }
        // Some are free, or were moved, or are gone.
        for number in doomed.number..doomed.number + doomed.count {
            let id = tx.memory.ids.message(doomed.created, number);
            if let Some((place, slip)) = find(tx, queue, id)? {
                remove(tx, place, &slip)?;
            }
        }
    }
    Ok(())
}

/// Messages to be deleted, side by side when they were posted.
struct Doomed {
    marker: u64,
    number: u64,
    count: u64,
    created: Timestamp,
}

impl Doomed {
    fn end(&self) -> u64 {
        self.marker + self.count
    }

    /// As [`Slip::lead`].
    fn lead(&self) -> u64 {
        self.marker.wrapping_sub(self.number)
    }
}

/// What those ids name, as runs: ids of one claim come in its order.
fn runs_of(tx: &Tx<'_>, queue: i64, ids: &[MessageId]) -> OpResult<Vec<Doomed>> {
    let mut runs: Vec<Doomed> = Vec::new();
    let mut bundle: Option<Bundle> = None;
    for &id in ids {
        let Some(number) = tx.memory.ids.message_number(id) else { continue };
        let created = Timestamp::from_seconds(i64::from(id.parts().0));
        if bundle.is_none_or(|it| it.marker_of(number).is_none()) {
            bundle = bundle::around(tx.conn, number)?.filter(|it| it.queue == queue);
        }
        let marker = match bundle.and_then(|it| it.marker_of(number)) {
            Some(marker) => marker,
            None => match body::locate(tx.conn, queue, number)? {
                Some(marker) => marker,
                None => continue,
            },
        };
        match runs.last_mut() {
            Some(run)
                if run.end() == marker
                    && run.number + run.count == number
                    && run.created == created =>
            {
                run.count += 1;
            }
            _ => runs.push(Doomed { marker, number, count: 1, created }),
        }
    }
    Ok(runs)
}

fn check_all_claimed(
    tx: &Tx<'_>,
    queue: i64,
    ids: &[MessageId],
    claims: &[ClaimId],
    now: Timestamp,
) -> OpResult<()> {
    for &id in ids {
        match find(tx, queue, id)? {
            Some((_, slip)) if slip.expires <= now => {}
            Some((Place::Claimed, slip)) => {
                let holder = slip.claim.map(|number| tx.memory.ids.claim(number));
                if !holder.is_some_and(|holder| claims.contains(&holder)) {
                    return Err(Error::MessageIsClaimed(id).into());
                }
            }
            Some(_) => return Err(Error::MessageIsNotClaimed(id).into()),
            None => {}
        }
    }
    Ok(())
}

/// The oldest messages that no live claim holds, expired ones aside.
fn oldest_unclaimed(
    tx: &Tx<'_>,
    queue: i64,
    most: u64,
    keep: impl Fn(&Slip) -> bool,
) -> OpResult<Vec<(Place, Slip)>> {
    let mut found = Vec::new();
    for place in [Place::Ready, Place::Delayed] {
        let mut kept = 0;
        place.walk(tx.conn, queue, slip::START, |slip| {
            if keep(&slip) {
                kept += slip.count;
                found.push((place, slip));
            }
            if kept < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    found.sort_by_key(|(_, slip)| slip.marker);
    let mut left = most;
    found.retain_mut(|(_, slip)| {
        slip.count = slip.count.min(left);
        left -= slip.count;
        slip.count > 0
    });
    Ok(found)
}

fn pop(tx: &mut Tx<'_>, queue: i64, limit: u32, now: Timestamp) -> OpResult<Vec<StoredMessage>> {
    settle(tx, now)?;
    let found = oldest_unclaimed(tx, queue, limit.into(), |slip| slip.expires > now)?;
    let slips: Vec<Slip> = found.iter().map(|(_, slip)| slip.clone()).collect();
    let mut messages = body::complete(tx.conn, tx.memory, &slips)?;
    let sealed = messages.iter().position(|message| matches!(message.body, Body::Sealed(_)));
    let end = sealed.map_or(u64::MAX, |first| messages[first].marker);
    messages.truncate(sealed.unwrap_or(messages.len()));
    for (place, slip) in found {
        let part = slip.part(slip.marker..end);
        if part.count > 0 {
            remove(tx, place, &part)?;
        }
    }
    Ok(messages)
}

fn pop_these(
    tx: &mut Tx<'_>,
    queue: i64,
    ids: &[MessageId],
    now: Timestamp,
) -> OpResult<Vec<MessageId>> {
    settle(tx, now)?;
    let mut popped = Vec::with_capacity(ids.len());
    for &id in ids {
        let found = find(tx, queue, id)?
            .filter(|(place, slip)| *place != Place::Claimed && slip.expires > now);
        if let Some((place, slip)) = found {
            remove(tx, place, &slip)?;
            popped.push(id);
        }
    }
    Ok(popped)
}

/// Removes a slice of what a purge is to remove, all that lies before `end`;
/// returns whether there is more.
fn purge_slice(tx: &mut Tx<'_>, queue: i64, end: u64, now: Timestamp) -> OpResult<bool> {
    settle(tx, now)?;
    let mut purged = 0;
    for (place, slip) in oldest_unclaimed(tx, queue, PURGE_SLICE, |_| true)? {
        let part = slip.part(slip.marker..end);
        if part.count > 0 {
            remove(tx, place, &part)?;
        }
        purged += part.count;
    }
    Ok(purged == PURGE_SLICE)
}

#[async_trait]
impl MessageController for EmbeddedDriver {
    async fn post(
        &self,
        key: &QueueKey,
        client: &ClientId,
        mut messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        // They stay in memory for a while, without the request they came in.
        for message in &mut messages {
            message.body = message.body.detached();
        }
        let missing = || Error::QueueDoesNotExist(key.clone());
        let queue = self.find_queue(key).await?.ok_or_else(missing)?;
        let (key, client) = (key.clone(), client.clone());
        self.write_post(queue.number, move |tx| {
            tx.require(&key, &queue)?;
            post(tx, &key, queue.number, client, &messages, now)
        })
        .await
    }

    async fn list(
        &self,
        key: &QueueKey,
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        self.settled(now).await;
        let Some(queue) = self.find_queue(key).await? else { return Ok(Vec::new()) };
        let (query, memory) = (query.clone(), Arc::clone(&self.memory));
        self.read(move |conn| listing::page(conn, queue.number, &query, &memory, now)).await
    }

    async fn get(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        self.settled(now).await;
        let Some(queue) = self.find_queue(key).await? else { return Ok(Vec::new()) };
        let (mut wanted, memory) = (ids.to_vec(), Arc::clone(&self.memory));
        wanted.sort_unstable();
        wanted.dedup();
        self.read(move |conn| listing::by_ids(conn, queue.number, &wanted, &memory, now)).await
    }

    async fn delete(
        &self,
        key: &QueueKey,
        id: MessageId,
        claim: Option<ClaimId>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(()) };
        self.write(move |tx| delete(tx, queue.number, id, claim, now)).await
    }

    async fn delete_many(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        claims: Option<&[ClaimId]>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(()) };
        let (ids, claims) = (ids.to_vec(), claims.map(<[ClaimId]>::to_vec));
        self.write(move |tx| delete_many(tx, queue.number, &ids, claims.as_deref(), now)).await
    }

    async fn pop(&self, key: &QueueKey, limit: u32, now: Timestamp) -> Result<Vec<StoredMessage>> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(Vec::new()) };
        self.write(move |tx| pop(tx, queue.number, limit, now)).await
    }

    async fn pop_these(
        &self,
        key: &QueueKey,
        ids: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<MessageId>> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(Vec::new()) };
        let ids = ids.to_vec();
        self.write(move |tx| pop_these(tx, queue.number, &ids, now)).await
    }

    async fn purge(&self, key: &QueueKey, now: Timestamp) -> Result<()> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(()) };
        let queue = queue.number;
        let end = self.write(move |tx| Ok(markers::next(tx, queue)?.unwrap_or(0))).await?;
        while self.write(move |tx| purge_slice(tx, queue, end, now)).await? {}
        Ok(())
    }

    async fn stats(&self, key: &QueueKey, now: Timestamp) -> Result<Stats> {
        self.settled(now).await;
        let Some(queue) = self.find_queue(key).await? else { return Ok(Stats::default()) };
        let memory = Arc::clone(&self.memory);
        self.read(move |conn| listing::stats(conn, queue.number, &memory.ids, now)).await
    }
}
