//! Where a listing goes on behind a message that is gone.
//!
//! Whoever pages with the id of the last message they saw may name one that was
//! deleted meanwhile. Its id still tells its number, and numbers ascend with
//! markers, but for dead letters that moved: so the place is found by halving.
//! In doubt the page begins too early, never too late: nobody misses a message.

use std::ops::ControlFlow;

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
    let mut newest = None;
    place.walk_back(conn, queue, |slip| {
        newest = Some(slip.end() - 1);
        ControlFlow::Break(())
    })?;
    let Some(newest) = newest else { return Ok(0) };
    // All up to `low` is not newer than the message; `high` is where to look no
    // further.
    let (mut low, mut high) = (0, newest);
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
    let (mut unmoved, mut seen) = (None, 0);
    place.walk(conn, queue, marker, |slip| {
        seen += 1;
        unmoved = Some(slip).filter(|slip| !slip.moved);
        let enough = unmoved.is_some() || seen == MOVED_MAX;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(unmoved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClientId, Timestamp};
    use crate::storage::embedded::schema;

    const QUEUE: i64 = 7;

    fn file() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::prepare(&mut conn, 1).unwrap();
        conn
    }

    fn insert(conn: &Connection, place: Place, marker: u64, number: u64, moved: bool) {
        let client = ClientId::parse_any("somebody");
        let new = Slip::new(QUEUE, client, Timestamp::from_seconds(0));
        let slip = Slip { marker, number, moved, ..new };
        slip.insert(&mut place.inserter(conn).unwrap()).unwrap();
    }

    /// Queues with any mixture of what was posted, moved and deleted.
    #[test]
    fn nobody_misses_a_message() {
        let mut state = 1_u64;
        let mut roll = |sides: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % sides
        };
        for round in 0..60 {
            let conn = file();
            let (mut number, mut posted) = (1000, Vec::new());
            let (all, moved_of_ten) = (1 + roll(400), roll(10));
            for marker in (1..=all).map(|marker| 1_800_000_000_000_000 + marker) {
                number += 1 + roll(5);
                let place = Place::ALL[usize::try_from(roll(3)).unwrap()];
                let (moved, gone) = (roll(10) < moved_of_ten, roll(3) == 0);
                if !gone {
                    let own = if moved { 1 + roll(number - 1) } else { number };
                    insert(&conn, place, marker, own, moved);
                }
                if !moved {
                    posted.push((number, marker, gone));
                }
            }
            for &(number, marker, _) in &posted {
                let behind = behind(&conn, QUEUE, number).unwrap();
                assert!(behind <= marker, "round {round}: {behind} instead of {marker}");
                if moved_of_ten == 0 {
                    let seen_again = posted.iter().filter(|it| it.1 > behind && it.0 <= number);
                    assert!(seen_again.clone().all(|it| it.2), "round {round}: {number}");
                }
            }
        }
    }

    #[test]
    fn a_queue_of_dead_letters_alone_is_listed_from_its_beginning() {
        let conn = file();
        for marker in 1..=1000 {
            insert(&conn, Place::Ready, marker, 2000 - marker, true);
        }
        assert_eq!(behind(&conn, QUEUE, 1500), Ok(0));
        assert_eq!(behind(&conn, QUEUE + 1, 1500), Ok(0), "and so is an empty one");
    }
}
