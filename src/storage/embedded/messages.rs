//! Messages: post, delete, pop, purge; reading is in [`super::listing`].

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection};

use super::error::OpResult;
use super::settle::settle;
use super::slip::{ClaimedTaker, Place, Slip};
use super::tx::Tx;
use super::{EmbeddedDriver, body, claims, due, listing, markers};
use crate::model::{
    Body, ClaimId, ClientId, ListQuery, MessageId, NewMessage, QueueKey, Stats, StoredMessage,
    Timestamp,
};
use crate::storage::{Error, MessageController, Result};

/// Messages a purge removes in one commit.
const PURGE_SLICE: usize = 1000;

/// The statements of a post. Posts come in crowds: the statements are looked up
/// once for all the posts of a commit.
pub struct PostStatements<'c> {
    body: CachedStatement<'c>,
    ready: CachedStatement<'c>,
}

impl<'c> PostStatements<'c> {
    /// Looks them up.
    pub fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self { body: body::inserter(conn)?, ready: Place::Ready.first_inserter(conn)? })
    }
}

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
        let statements = tx.post_statements()?;
        let written = body::Written::new(slip.number, &message.body);
        body::insert(&mut statements.body, &slip, message.checksum.as_deref(), &written)?;
        if let Some(into) = &mut due {
            due::insert(into, key, &slip, message, &written)?;
        }
        if message.delay == 0 {
            slip.insert_first(&mut statements.ready)?;
        } else {
            delay(tx, &slip, now.plus(message.delay))?;
        }
        tx.state.runs.posted(slip.number, slip.expires);
        tx.note_posted(slip.number, message);
        ids.push(slip.id(tx.ids));
    }
    tx.note_arrivals(queue, ids.len());
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
    match tx.ids.message_number(id) {
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
            return Ok((slip.id(tx.ids) == id).then_some((place, slip)));
        }
    }
    Ok(None)
}

/// Removes a message, wherever it lies.
pub fn remove(tx: &Tx<'_>, place: Place, slip: &Slip) -> OpResult<()> {
    slip.remove(&mut place.remover(tx.conn)?)?;
    body::remove(tx.conn, slip.number)?;
    if let (Place::Claimed, Some(claim)) = (place, slip.claim) {
        claims::shrink(tx.conn, claim, 1)?;
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
    let last = slip.claim.map(|number| tx.ids.claim(number));
    match (place, claim) {
        (Place::Ready | Place::Delayed, None) => Ok(()),
        (_, Some(_)) if claim == last => Ok(()),
        (Place::Claimed, _) => Err(Error::MessageIsClaimed(slip.id(tx.ids)).into()),
        (_, Some(_)) => Err(Error::MessageIsNotClaimed(slip.id(tx.ids)).into()),
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
    // Nearly always all are held by one claim, whose row is touched once.
    let mut emptied: Vec<(u64, usize)> = Vec::new();
    let mut claimed = ClaimedTaker::new(tx.conn)?;
    let mut bodies = body::remover(tx.conn)?;
    for &id in ids {
        let Some(number) = tx.ids.message_number(id) else { continue };
        let Some(marker) = body::locate(tx.conn, queue, number)? else { continue };
        let created = Timestamp::from_seconds(i64::from(id.parts().0));
        if let Some(claim) = claimed.take(queue, marker, created)? {
            bodies.execute([number])?;
            match emptied.last_mut() {
                Some((last, count)) if *last == claim => *count += 1,
                _ => emptied.push((claim, 1)),
            }
        } else if let Some((place, slip)) = find_at(tx, queue, marker, id)? {
            remove(tx, place, &slip)?;
        }
    }
    for (claim, count) in emptied {
        claims::shrink(tx.conn, claim, count)?;
    }
    Ok(())
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
                let holder = slip.claim.map(|number| tx.ids.claim(number));
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

/// The oldest slips that no live claim holds, expired ones aside.
fn oldest_unclaimed(
    tx: &Tx<'_>,
    queue: i64,
    most: usize,
    keep: impl Fn(&Slip) -> bool,
) -> OpResult<Vec<(Place, Slip)>> {
    let mut found = Vec::new();
    for place in [Place::Ready, Place::Delayed] {
        let mut walk = place.walk(tx.conn)?;
        let mut rows = walk.query((queue, 0))?;
        let mut kept = 0;
        while kept < most
            && let Some(row) = rows.next()?
        {
            let slip = Slip::from_row(row)?;
            if keep(&slip) {
                found.push((place, slip));
                kept += 1;
            }
        }
    }
    found.sort_by_key(|(_, slip)| slip.marker);
    found.truncate(most);
    Ok(found)
}

fn pop(tx: &mut Tx<'_>, queue: i64, limit: u32, now: Timestamp) -> OpResult<Vec<StoredMessage>> {
    settle(tx, now)?;
    let found = oldest_unclaimed(tx, queue, limit as usize, |slip| slip.expires > now)?;
    let slips: Vec<Slip> = found.iter().map(|(_, slip)| slip.clone()).collect();
    let mut messages = body::complete(tx.conn, tx.ids, &slips)?;
    let sealed = messages.iter().position(|message| matches!(message.body, Body::Sealed(_)));
    let end = sealed.map(|first| messages[first].marker);
    messages.truncate(sealed.unwrap_or(messages.len()));
    for (place, slip) in found.iter().filter(|(_, slip)| end.is_none_or(|end| slip.marker < end)) {
        remove(tx, *place, slip)?;
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
    let found = oldest_unclaimed(tx, queue, PURGE_SLICE, |_| true)?;
    let doomed: Vec<_> = found.into_iter().filter(|(_, slip)| slip.marker < end).collect();
    for (place, slip) in &doomed {
        remove(tx, *place, slip)?;
    }
    Ok(doomed.len() == PURGE_SLICE)
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
        self.write(move |tx| {
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
        self.read(move |conn| listing::page(conn, queue.number, &query, &memory.ids, now)).await
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
        self.read(move |conn| listing::by_ids(conn, queue.number, &wanted, &memory.ids, now)).await
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
