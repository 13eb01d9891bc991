//! Claims: create, look at, renew, release.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::OpResult;
use super::settle::settle;
use super::slip::{self, Place, Slip};
use super::tx::Tx;
use super::{EmbeddedDriver, body, markers, queues};
use crate::model::{ClaimId, ClaimOrder, DeadLetter, QueueKey, StoredClaim, Timestamp};
use crate::storage::{ClaimController, Error, Result};

/// A row of `claim`.
#[derive(Debug)]
pub struct ClaimRow {
    number: u64,
    queue: i64,
    ttl: u32,
    expires: Timestamp,
    /// The markers it took; some of their messages may be gone since.
    markers: Vec<u64>,
}

impl ClaimRow {
    /// The claim with that number.
    pub fn find(conn: &Connection, number: u64) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached("SELECT queue, ttl, expires, markers FROM claim WHERE number = ?1")?
            .query_row([number], |row| {
                let markers = row.get_ref(3)?.as_bytes()?;
                Ok(Self {
                    number,
                    queue: row.get(0)?,
                    ttl: row.get(1)?,
                    expires: Timestamp::from_seconds(row.get(2)?),
                    markers: markers.chunks_exact(8).map(read_marker).collect(),
                })
            })
            .optional()
    }

    /// The claim in that queue, if it lives.
    fn find_live(
        conn: &Connection,
        number: u64,
        queue: i64,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Self>> {
        let lives = |claim: &Self| claim.queue == queue && claim.expires > now;
        Ok(Self::find(conn, number)?.filter(lives))
    }

    fn insert(&self, conn: &Connection) -> rusqlite::Result<()> {
        let markers: Vec<u8> =
            self.markers.iter().flat_map(|marker| marker.to_le_bytes()).collect();
        conn.prepare_cached("INSERT INTO claim VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
            params![
                self.number,
                self.queue,
                self.ttl,
                self.expires.seconds(),
                self.markers.len(),
                markers,
            ],
        )?;
        Ok(())
    }

    /// What it still holds, by ascending marker.
    pub fn slips(&self, conn: &Connection) -> rusqlite::Result<Vec<Slip>> {
        let mut slips = Vec::new();
        for side_by_side in self.markers.chunk_by(|one, next| one + 1 == *next) {
            let [first, ..] = *side_by_side else { continue };
            let range = first..first + side_by_side.len() as u64;
            let there = Place::Claimed.within(conn, self.queue, range)?;
            slips.extend(there.into_iter().filter(|slip| slip.claim == Some(self.number)));
        }
        Ok(slips)
    }
}

fn read_marker(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Removes the row of a claim that has ended.
pub fn forget(conn: &Connection, number: u64) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM claim WHERE number = ?1")?.execute([number])?;
    Ok(())
}

/// Notes that `gone` messages of a claim were deleted; the claim goes with the
/// last one.
pub fn shrink(conn: &Connection, number: u64, gone: u64) -> rusqlite::Result<()> {
    let left: Option<u64> = conn
        .prepare_cached("SELECT live FROM claim WHERE number = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    match left {
        Some(left) if left > gone => {
            conn.prepare_cached("UPDATE claim SET live = ?2 WHERE number = ?1")?
                .execute((number, left - gone))?;
            Ok(())
        }
        Some(_) => forget(conn, number),
        None => Ok(()),
    }
}

/// A claim just made: what [`body::complete`] needs to show it.
struct Made {
    id: ClaimId,
    expires: Timestamp,
    slips: Vec<Slip>,
}

fn create(
    tx: &mut Tx<'_>,
    key: &QueueKey,
    queue: i64,
    order: &ClaimOrder,
    now: Timestamp,
) -> OpResult<Option<Made>> {
    settle(tx, now)?;
    let mut slips = oldest_ready(tx, queue, order.limit.into(), now)?;
    if order.include_delayed {
        hurry_delayed(tx.conn, queue, order.limit.into(), now, &mut slips)?;
    }
    for slip in &slips {
        Place::Ready.remove(tx.conn, slip)?;
    }
    if let Some(rule) = &order.dead_letter {
        let (spent, good): (Vec<_>, Vec<_>) =
            slips.into_iter().partition(|slip| slip.claims >= rule.max_claim_count);
        bury(tx, (key, queue), rule, spent, now)?;
        slips = good;
    }
    if slips.is_empty() {
        return Ok(None);
    }
    let number = tx.number();
    let expires = now.plus(order.ttl);
    let mut hold = Place::Claimed.inserter(tx.conn)?;
    for slip in &mut slips {
        slip.claim = Some(number);
        slip.claims = if order.dead_letter.is_some() { slip.claims + 1 } else { 0 };
        stretch(tx, slip, order.ttl, order.grace, now);
        slip.insert(&mut hold)?;
    }
    let markers = slips.iter().flat_map(|slip| slip.marker..slip.end()).collect();
    ClaimRow { number, queue, ttl: order.ttl, expires, markers }.insert(tx.conn)?;
    tx.wake_by(expires);
    Ok(Some(Made { id: tx.memory.ids.claim(number), expires, slips }))
}

/// Takes delayed messages too, where the queue's delays are off: of those and
/// the free ones in `slips`, the oldest. The others stay delayed.
fn hurry_delayed(
    conn: &Connection,
    queue: i64,
    limit: u64,
    now: Timestamp,
    slips: &mut Vec<Slip>,
) -> OpResult<()> {
    let mut delayed = Vec::new();
    Place::Delayed.walk(conn, queue, slip::START, |slip| {
        if slip.expires > now {
            delayed.push(slip.marker);
            slips.push(slip);
        }
        if (delayed.len() as u64) < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if delayed.is_empty() {
        return Ok(());
    }
    slips.sort_unstable_by_key(|slip| slip.marker);
    slip::truncate(slips, limit);
    for slip in slips.iter().filter(|slip| delayed.contains(&slip.marker)) {
        Place::Delayed.remove(conn, slip)?;
    }
    Ok(())
}

/// Up to `limit` free messages; steps over what expired.
fn oldest_ready(tx: &mut Tx<'_>, queue: i64, limit: u64, now: Timestamp) -> OpResult<Vec<Slip>> {
    let (mut slips, mut count) = (Vec::new(), 0);
    let mut dead = 0;
    let mut dead_end = tx.dead_end(queue);
    Place::Ready.walk(tx.conn, queue, dead_end, |slip| {
        if slip.expires > now {
            count += slip.count;
            slips.push(slip);
        } else if slips.is_empty() {
            dead += 1;
            dead_end = slip.end() - 1;
        }
        if count < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    slip::truncate(&mut slips, limit);
    tx.note_dead_end(queue, dead_end, dead);
    Ok(slips)
}

/// Lets a message live on beyond its claim, see [`ClaimOrder::grace`].
fn stretch(tx: &mut Tx<'_>, slip: &mut Slip, ttl: u32, grace: u32, now: Timestamp) {
    if slip.expires < now.plus(ttl) {
        slip.ttl = ttl.saturating_add(grace);
        slip.expires = now.plus(slip.ttl);
        note_stretched(tx, slip);
    }
}

fn note_stretched(tx: &mut Tx<'_>, slip: &Slip) {
    for number in slip.number..slip.number + slip.count {
        tx.state.runs.stretched(number, slip.expires);
    }
}

/// Moves messages, already out of their queue, to the dead letter queue.
fn bury(
    tx: &mut Tx<'_>,
    (key, from): (&QueueKey, i64),
    rule: &DeadLetter,
    spent: Vec<Slip>,
    now: Timestamp,
) -> OpResult<()> {
    if spent.is_empty() {
        return Ok(());
    }
    let grave = QueueKey { project: key.project.clone(), name: rule.queue.clone() };
    let queue = if let Some(number) = queues::number_of(tx.conn, &grave)? {
        number
    } else {
        // Its record, if there is one, is kept where that of the queue is.
        let placed = queues::is_placed(tx.conn, from)?;
        queues::insert(tx, &grave, Arc::default(), placed)?
    };
    let count = slip::total(&spent);
    tx.note_arrivals(queue, count);
    let mut marker = markers::take(tx, queue, usize::try_from(count).unwrap_or(usize::MAX), now)?;
    for mut slip in spent {
        slip.queue = queue;
        slip.marker = marker;
        marker = slip.end();
        slip.moved = true;
        slip.claims = 0;
        slip.claim = None;
        if let Some(ttl) = rule.ttl {
            slip.ttl = ttl;
            slip.expires = now.plus(ttl);
            note_stretched(tx, &slip);
        }
        slip.insert(&mut Place::Ready.inserter(tx.conn)?)?;
        body::relocate(tx.conn, &slip)?;
    }
    Ok(())
}

fn renew(
    tx: &mut Tx<'_>,
    queue: i64,
    id: ClaimId,
    (ttl, grace): (u32, u32),
    now: Timestamp,
) -> OpResult<bool> {
    settle(tx, now)?;
    let Some(claim) = live(tx, queue, id, now)? else { return Ok(false) };
    let expires = now.plus(ttl);
    for mut slip in claim.slips(tx.conn)? {
        let old = slip.clone();
        slip.claims = 0;
        stretch(tx, &mut slip, ttl, grace, now);
        if slip != old {
            slip.shift(tx.conn, Place::Claimed, Place::Claimed)?;
        }
    }
    tx.conn
        .prepare_cached("UPDATE claim SET ttl = ?2, expires = ?3 WHERE number = ?1")?
        .execute((claim.number, ttl, expires.seconds()))?;
    tx.wake_by(expires);
    Ok(true)
}

fn release(tx: &mut Tx<'_>, queue: i64, id: ClaimId, now: Timestamp) -> OpResult<()> {
    settle(tx, now)?;
    let Some(claim) = live(tx, queue, id, now)? else { return Ok(()) };
    for mut slip in claim.slips(tx.conn)? {
        slip.claims = 0;
        slip.claim = None;
        slip.shift(tx.conn, Place::Claimed, Place::Ready)?;
        tx.note_alive(&slip);
    }
    Ok(forget(tx.conn, claim.number)?)
}

fn live(tx: &Tx<'_>, queue: i64, id: ClaimId, now: Timestamp) -> OpResult<Option<ClaimRow>> {
    match tx.memory.ids.claim_number(id) {
        Some(number) => Ok(ClaimRow::find_live(tx.conn, number, queue, now)?),
        None => Ok(None),
    }
}

#[async_trait]
impl ClaimController for EmbeddedDriver {
    async fn create(
        &self,
        key: &QueueKey,
        order: &ClaimOrder,
        now: Timestamp,
    ) -> Result<Option<StoredClaim>> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(None) };
        let (key, order, ttl) = (key.clone(), order.clone(), order.ttl);
        let made = self.write(move |tx| create(tx, &key, queue.number, &order, now)).await?;
        let Some(Made { id, expires, slips }) = made else { return Ok(None) };
        let memory = Arc::clone(&self.memory);
        let messages = match body::recall(&memory, &slips) {
            Some(messages) => messages,
            None => self.read(move |conn| body::complete(conn, &memory, &slips)).await?,
        };
        // All of it may have been deleted by id since the commit.
        Ok((!messages.is_empty()).then_some(StoredClaim { id, ttl, expires, messages }))
    }

    async fn get(&self, key: &QueueKey, id: ClaimId, now: Timestamp) -> Result<StoredClaim> {
        let missing = || Error::ClaimDoesNotExist(key.clone(), id);
        let queue = self.find_queue(key).await?.ok_or_else(missing)?;
        let memory = Arc::clone(&self.memory);
        let number = memory.ids.claim_number(id).ok_or_else(missing)?;
        let found = self.read(move |conn| {
            let Some(claim) = ClaimRow::find_live(conn, number, queue.number, now)? else {
                return Ok(None);
            };
            let slips = claim.slips(conn)?;
            Ok(Some((claim.ttl, claim.expires, body::complete(conn, &memory, &slips)?)))
        });
        match found.await? {
            Some((ttl, expires, messages)) if !messages.is_empty() => {
                Ok(StoredClaim { id, ttl, expires, messages })
            }
            _ => Err(missing()),
        }
    }

    async fn renew(
        &self,
        key: &QueueKey,
        id: ClaimId,
        ttl: u32,
        grace: u32,
        now: Timestamp,
    ) -> Result<()> {
        let missing = || Error::ClaimDoesNotExist(key.clone(), id);
        let queue = self.find_queue(key).await?.ok_or_else(missing)?.number;
        let found = self.write(move |tx| renew(tx, queue, id, (ttl, grace), now)).await?;
        if found { Ok(()) } else { Err(missing()) }
    }

    async fn release(&self, key: &QueueKey, id: ClaimId, now: Timestamp) -> Result<()> {
        let Some(queue) = self.find_queue(key).await? else { return Ok(()) };
        self.write(move |tx| release(tx, queue.number, id, now)).await
    }
}
