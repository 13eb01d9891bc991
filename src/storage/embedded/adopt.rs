//! Queues whose records are kept in another store, which placed them here.
//!
//! Such a queue has a row like any other, but none of the methods on records
//! sees it: here is where its messages are, and nothing else.

use std::sync::Arc;

use super::error::OpResult;
use super::slip::Place;
use super::tx::Tx;
use super::{markers, queues};
use crate::model::QueueKey;

/// See [`crate::storage::DataDriver::adopt`].
pub fn adopt(tx: &mut Tx<'_>, key: &QueueKey, first_marker: u64) -> OpResult<()> {
    if queues::number_of(tx.conn, key)?.is_some() {
        return Ok(());
    }
    let number = queues::insert(tx, key, Arc::default(), true)?;
    markers::begin(tx, number, first_marker)
}

/// See [`crate::storage::DataDriver::abandon`].
pub fn abandon(tx: &mut Tx<'_>, key: &QueueKey, only_if_empty: bool) -> OpResult<Option<u64>> {
    let Some(number) = queues::number_of(tx.conn, key)? else { return Ok(Some(0)) };
    if !queues::is_placed(tx.conn, number)? {
        return Ok(Some(0));
    }
    if only_if_empty && holds_messages(tx, number)? {
        return Ok(None);
    }
    let next = markers::next(tx, number)?;
    queues::remove(tx, key, number)?;
    Ok(Some(next.unwrap_or(0)))
}

fn holds_messages(tx: &Tx<'_>, queue: i64) -> rusqlite::Result<bool> {
    for place in Place::ALL {
        if !place.is_empty(tx.conn, queue)? {
            return Ok(true);
        }
    }
    Ok(false)
}
