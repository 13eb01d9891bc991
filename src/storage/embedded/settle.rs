//! Working off the timers: claims that end, delays that pass.
//!
//! Every operation at a moment sees the store *settled* to that moment: the
//! slips of claims that have ended and of delays that have passed lie in
//! `ready`. The writer settles before it runs an operation, a reader asks the
//! writer to; either looks at one number first, the next moment anything is
//! due, so a settled store costs nothing.

use super::claims::{self, ClaimRow};
use super::error::OpResult;
use super::slip::Place;
use super::tx::Tx;
use crate::model::Timestamp;

/// The most claims, and delays, read into memory at once.
const BUDGET: usize = 1_000;

/// Settles the store to `now`, however much is due: an operation on a store
/// that is settled by half would miss messages that are free.
pub fn settle(tx: &mut Tx<'_>, now: Timestamp) -> OpResult<()> {
    if now.seconds() < tx.state.next_due() {
        return Ok(());
    }
    while end_claims(tx, now)? + end_delays(tx, now)? >= BUDGET {}
    Ok(tx.rewind_timers()?)
}

/// Ends claims; returns how many, fewer than [`BUDGET`] if no more are due.
fn end_claims(tx: &mut Tx<'_>, now: Timestamp) -> OpResult<usize> {
    let ended: Vec<u64> = tx
        .conn
        .prepare_cached("SELECT number FROM claim WHERE expires <= ?1 ORDER BY expires LIMIT ?2")?
        .query_map((now.seconds(), BUDGET), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let count = ended.len();
    for number in ended {
        if let Some(claim) = ClaimRow::find(tx.conn, number)? {
            for slip in claim.slips(tx.conn)? {
                slip.shift(tx.conn, Place::Claimed, Place::Ready)?;
                tx.note_alive(&slip);
            }
        }
        claims::forget(tx.conn, number)?;
    }
    Ok(count)
}

/// Ends delays, as [`end_claims`].
fn end_delays(tx: &mut Tx<'_>, now: Timestamp) -> OpResult<usize> {
    let passed: Vec<(i64, i64, u64)> = tx
        .conn
        .prepare_cached("SELECT until, queue, marker FROM delay WHERE until <= ?1 LIMIT ?2")?
        .query_map((now.seconds(), BUDGET), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let count = passed.len();
    for (until, queue, marker) in passed {
        // The message may have been deleted, or claimed while the queue's
        // delays were switched off.
        if let Some(slip) = Place::Delayed.find(tx.conn, queue, marker)? {
            slip.shift(tx.conn, Place::Delayed, Place::Ready)?;
            tx.note_alive(&slip);
        }
        tx.conn
            .prepare_cached("DELETE FROM delay WHERE until = ?1 AND queue = ?2 AND marker = ?3")?
            .execute((until, queue, marker))?;
    }
    Ok(count)
}
