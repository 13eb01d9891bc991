//! Where a listing goes on behind a message that is gone.
//!
//! Whoever pages with the id of the last message they saw may name one that was
//! deleted meanwhile. Its id still tells its number, and numbers ascend with
//! markers, but for dead letters that moved: so the place is found by halving.
//! In doubt the page begins too early, never too late: nobody misses a message.

use rusqlite::Connection;

use super::slip::{Place, Slip};

/// The most moved messages that a look steps over.
const MOVED_MAX: usize = 64;

/// A marker behind which lies every message of the queue with a number greater
/// than `number`.
pub fn behind(conn: &Connection, queue: i64, number: u64) -> rusqlite::Result<u64> {
    let mut behind = 0;
    for place in Place::ALL {
        behind = behind.max(behind_in(conn, place, queue, number)?);
    }
    Ok(behind)
}

fn behind_in(conn: &Connection, place: Place, queue: i64, number: u64) -> rusqlite::Result<u64> {
    let newest = {
        let mut walk = place.walk_back(conn)?;
        let mut rows = walk.query((queue, 0))?;
        rows.next()?.map(Slip::from_row).transpose()?
    };
    let Some(newest) = newest else { return Ok(0) };
    // All up to `low` is not newer than the message; `high` is where to look no
    // further.
    let (mut low, mut high) = (0, newest.marker);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_unmoved(conn, place, queue, middle)? {
            Some(slip) if slip.number <= number => low = slip.marker,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The first slip behind `marker` whose message was posted to this queue.
fn first_unmoved(
    conn: &Connection,
    place: Place,
    queue: i64,
    marker: u64,
) -> rusqlite::Result<Option<Slip>> {
    let mut walk = place.walk(conn)?;
    let mut rows = walk.query((queue, marker))?;
    for _ in 0..MOVED_MAX {
        let Some(row) = rows.next()? else { return Ok(None) };
        let slip = Slip::from_row(row)?;
        if !slip.moved {
            return Ok(Some(slip));
        }
    }
    Ok(None)
}
